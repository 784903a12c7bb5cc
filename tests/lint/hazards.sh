#!/bin/bash
# tests/lint/hazards.sh - every test that docs/hazards.md names exists.
# A row's tests stand in its fourth column as `file` or `file:test_name`.
set -u
cd "$(dirname "$0")/../.." || exit 1
[ -f docs/hazards.md ] || exit 0

bad=0
# shellcheck disable=SC2016 # the backquotes are those of the table
while read -r ref; do
	file=${ref%%:*} test=${ref#*:}
	if [ ! -f "$file" ]; then
		echo "docs/hazards.md: no such file: $file"
		bad=1
	elif [ "$test" != "$ref" ] && ! grep -qF -- "$test" "$file"; then
		echo "docs/hazards.md: no test $test in $file"
		bad=1
	fi
done < <(grep -E '^\|' docs/hazards.md | grep -oE '`tests/[^`]+`' | tr -d '`')
exit $bad
