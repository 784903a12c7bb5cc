#!/bin/bash
# The test runner itself: it must count what failed, in every way of failing.
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"; rm -f build/results/selftest build/log/selftest-*' EXIT
passed=0 failed=0

expect() { # NAME SCRIPT-BODY STATUS SUM
	local out status
	printf '#!/bin/bash\n%s\n' "$2" >"$dir/case"
	chmod +x "$dir/case"
	out=$(FERRY_TEST_LIMIT_S=2 tests/run.sh selftest "$dir/case")
	status=$?
	if [ "$status" -eq "$3" ] && [ "$(tail -n 1 <<<"$out")" = "$4" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "not ok - $1: status $status, $(tail -n 1 <<<"$out")"
	fi
}

expect tap 'echo "ok 1 - a"; echo "ok 2 - b"' 0 '2 passed, 0 failed, 0 skipped'
expect tap-fail 'echo "ok 1 - a"; echo "not ok 2 - b"; exit 1' 1 \
	'1 passed, 1 failed, 0 skipped'
expect skip 'echo "ok 1 - a # SKIP no tool"' 0 '0 passed, 0 failed, 1 skipped'
expect plain 'echo "3 passed, 0 failed"' 0 '3 passed, 0 failed, 0 skipped'
expect status 'echo "3 passed, 0 failed"; exit 1' 1 '3 passed, 1 failed, 0 skipped'
expect silent 'exit 0' 1 '0 passed, 1 failed, 0 skipped'
expect crash 'kill -SEGV $$' 1 '0 passed, 1 failed, 0 skipped'
expect hang 'echo "ok 1 - a"; sleep 60' 1 '1 passed, 1 failed, 0 skipped'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
