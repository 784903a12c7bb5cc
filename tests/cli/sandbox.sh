#!/bin/bash
# tests/cli/sandbox.sh - what the commands say of a sandbox that is not there, and
# of options that they do not have: in one voice, and each once.
set -u
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
WORK=$(mktemp -d) || exit 1
trap 'rm -rf "$WORK"' EXIT
export TMPDIR=$WORK
unset XDG_RUNTIME_DIR

# says STATUS TEXT ARG...: that and nothing else
says() {
	local want=$1 text=$2 out status
	shift 2
	out=$(timeout 20 build/ferry "$@" 2>&1 </dev/null)
	status=$?
	if [ "$status" -eq "$want" ] && [ "$out" = "$text" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL ferry $*: $status $out"
	fi
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

for command in run exec attach list ps kill stats logs stop metrics debug upgrade-agent gc save restore state config; do
	says 2 "ferry $command: unrecognized option '--none'
Try 'ferry $command --help'." "$command" --none
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
