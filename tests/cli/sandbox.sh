#!/bin/bash
# tests/cli/sandbox.sh - what the commands say of a sandbox that is not there, and
# of options that they do not have: in one voice, and each once.
# shellcheck source=tests/cli/lib/cli.bash
. "$(dirname "$0")/lib/cli.bash"

says() { # STATUS TEXT ARG...: that and nothing else
	exactly "ferry ${*:3}" "$1" "$2" build/ferry "${@:3}"
}

for command in ps kill stats logs 'logs -f' stop 'stop -f' metrics 'debug collect' upgrade-agent; do
	# shellcheck disable=SC2086 # words
	says 1 'ferry: no sandbox a' $command a
done
says 125 'ferry: no sandbox a' exec a /bin/true
says 125 'ferry: no sandbox a' attach a
says 1 'ferry: no sandbox a' save a "$WORK/file"
says 1 'ferry: no sandbox a' migrate a --to "$WORK/door"
says 0 '' gc
says 1 'ferry: /none: No such file or directory' restore /none
says 1 "ferry: $WORK/none: No such file or directory" restore "$WORK/none"

for command in logs stop 'stop -f' metrics; do
	# shellcheck disable=SC2086 # words
	out=$(timeout 20 build/ferry $command a/b 2>&1)
	case $out in
	*"'a/b': want a sandbox, not a container in it"*) passed=$((passed + 1)) ;;
	*) failed=$((failed + 1)) && echo "FAIL ferry $command a/b: $out" ;;
	esac
done
for command in ps kill stats 'attach --no-stdin'; do
	# shellcheck disable=SC2086 # words
	out=$(timeout 20 build/ferry $command a/b 2>&1)
	case $out in
	'ferry: no sandbox a') passed=$((passed + 1)) ;;
	*) failed=$((failed + 1)) && echo "FAIL ferry $command a/b: $out" ;;
	esac
done

# refused COMMAND TEXT ARG...: the line that names it, and the hint, once each
refused() {
	local command=$1 text=$2
	shift 2
	# shellcheck disable=SC2086 # words
	says 2 "ferry $command: $text
Try 'ferry $command --help'." $command "$@"
}

for command in run exec attach list ps kill stats logs stop metrics debug upgrade-agent gc save restore state config migrate 'migrate receive' version; do
	refused "$command" "unrecognized option '--none'" --none
done
refused image 'no option --none' --none

# What another of them has.
refused ps "unrecognized option '--signal'" --signal 9 a
refused ps "invalid option -- 'f'" -f a
refused kill "invalid option -- 'f'" -f a
refused logs "unrecognized option '--force'" --force a
refused stop "unrecognized option '--follow'" --follow a
refused list "invalid option -- 's'" -s 9
refused image '--add: only build takes it' list --add "$WORK" "$WORK"

# A value that is not there, or not wanted.
refused migrate "option '--to' requires an argument" a --to
refused migrate "option '--cancel' doesn't allow an argument" a --cancel=1
refused 'migrate receive' "option '--listen' requires an argument" --listen
refused kill "option '--signal' requires an argument" --signal
refused kill "option requires an argument -- 's'" -s
refused debug "option requires an argument -- 'o'" collect -o
refused state "option '--json' doesn't allow an argument" show --json=1

# A word too many, or too few.
for command in ps stats logs; do
	refused "$command" 'too many words: b' a b
done
for command in list gc version; do
	refused "$command" 'too many words: a' a
done
for command in exec attach ps kill stats logs stop upgrade-agent; do
	refused "$command" 'no sandbox'
done
refused kill 'too many words: c' a b c
refused attach 'too many words: c' a b c
refused upgrade-agent 'too many words: c' a b c
refused 'migrate receive' 'too many words: a' --listen "$WORK/door" a
refused migrate 'want one sandbox' --cancel
refused config 'too many words: a' check a
refused state 'show: want 1 file' show a b
refused state 'diff: want 2 files' diff a
finish
