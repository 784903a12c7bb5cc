#!/bin/bash
# tests/cli/explain.sh [--write] - the outputs in docs/explain.md are those of
# the program. A command is a line "    $ ferry ..."; its output follows,
# indented too, up to the next line that is not. --write puts the present
# outputs there.
set -u
cd "$(dirname "$0")/../.." || exit 1
page=docs/explain.md
now=$(mktemp) || exit 1
trap 'rm -f "$now"' EXIT
commands=0 inside=0

while IFS= read -r line; do
	if [[ $line == '    $ ferry '* ]]; then
		inside=1 commands=$((commands + 1))
		printf '%s\n' "$line"
		read -ra words <<<"${line#*ferry }"
		timeout 20 build/ferry "${words[@]}" 2>&1 | sed -E 's/^(.+)$/    \1/'
	elif [ "$inside" -eq 1 ] && [[ $line == '    '* || -z $line ]]; then
		continue # the old output, or an empty line in it
	else
		[ "$inside" -eq 0 ] || [ -z "$line" ] || echo
		inside=0
		printf '%s\n' "$line"
	fi
done <"$page" >"$now"

if [ "${1:-}" = --write ]; then
	cat "$now" >"$page"
	exit
fi
passed=0 failed=0
check() { # NAME STATUS
	if [ "$2" -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $1"
	fi
}
[ "$commands" -eq 5 ]
check "five examples" $?
diff -u "$page" "$now"
check "$page says what the program says; tests/cli/explain.sh --write" $?
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
