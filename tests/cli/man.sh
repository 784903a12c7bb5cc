#!/bin/bash
# tests/cli/man.sh - manual pages: well formed, and with the options that the
# program has. What they show of tables is compared by golden-man.
set -u
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0 skipped=0

verdict() { # NAME STATUS
	if [ "$2" -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $1"
	fi
}

of_help() { # COMMAND... : long options that its help lists
	timeout 20 build/ferry "$@" --help |
		grep -oE '(^|[ |[])--[a-z][a-z-]*' | grep -oE -- '--[a-z-]+' | sort -u
}

of_page() { # PAGE : long options that it describes
	grep -E '^\.It Fl |^\.Op Fl -|^\.Fl -' "docs/$1" |
		grep -oE '(Fl|\|) -[a-z][a-z-]*' | sed -E 's/^(Fl|\|) /-/' | sort -u
}

for page in docs/*.[1578]; do
	if ! command -v mandoc >/dev/null; then
		skipped=$((skipped + 1))
		echo "ok - $page # SKIP no mandoc"
		continue
	fi
	out=$(mandoc -T lint -W warning "$page" 2>&1)
	[ -z "$out" ]
	verdict "$page is well formed: $out" $?
done

diff <(of_help cmdline) <(of_page ferry-cmdline.1)
verdict "ferry-cmdline.1 has the options of --help" $?
for command in run config exec attach list ps kill stats logs stop state migrate save restore debug metrics upgrade-agent gc; do
	for option in $(of_help "$command"); do
		grep -q -- "Fl -*${option#--}" docs/ferry.1
		verdict "ferry.1 knows $option of $command" $?
	done
done
# Every command that the program lists is a word of the page.
for command in $(timeout 20 build/ferry --help | sed -nE 's/^  ([a-z-]+) .*/\1/p'); do
	grep -qE -- "^\.(It )?Cm $command( |$)|Cm $command( |$)" docs/ferry.1
	verdict "ferry.1 knows ferry $command" $?
done
# What --help lists is what the program takes: an unknown one is told.
for option in $(of_help cmdline); do
	out=$(timeout 20 build/ferry cmdline build "$option" --help 2>&1 </dev/null)
	[[ $out != *'unknown option'* ]]
	verdict "ferry cmdline build takes $option" $?
done
diff <(grep -oE '^	\{ "[a-z-]+",' tools/cmdline_args.c | grep -oE '[a-z-]+' | sed 's/^/--/' | sort -u) \
	<(of_help cmdline)
verdict "--help lists the options of the program" $?
# The options of init.
diff <(grep -oE '^\.It Fl [a-z]' docs/ferry-init.8 | grep -oE '[a-z]$' | sort) \
	<(grep -oE "case '[a-z]'" cmdline/initargs.c | grep -oE "'[a-z]'" | tr -d "'" | sort -u)
verdict "ferry-init.8 has the options of init" $?

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
