#!/bin/bash
# The test runner itself: it must count what failed, in every way of failing.
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"; rm -f build/results/selftest* build/log/selftest-*' EXIT
passed=0 failed=0
unset FERRY_TEST_TRIES FERRY_TEST_JOBS

expect() { # NAME SCRIPT-BODY STATUS LAST-LINES [HOW-MANY-OF-THEM]
	local out status
	printf '#!/bin/bash\n%s\n' "$2" >"$dir/case"
	chmod +x "$dir/case"
	out=$(FERRY_TEST_LIMIT_S=2 tests/run.sh selftest "$dir/case")
	status=$?
	if [ "$status" -eq "$3" ] && [ "$(tail -n "${5:-1}" <<<"$out")" = "$4" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "not ok - $1: status $status, $(tail -n "${5:-1}" <<<"$out")"
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

# shellcheck disable=SC2016
later='echo x >>"$0.runs"; [ "$(wc -l <"$0.runs")" -ge NTH ] || { echo "not ok 1"; exit 1; }
	echo "ok 1"; echo "ok 2"'
expect "a second try is asked for" "${later/NTH/2}" 1 '0 passed, 1 failed, 0 skipped'
rm "$dir/case.runs"
export FERRY_TEST_TRIES=2
expect "and named" "${later/NTH/2}" 0 "# selftest/case: 1 of 1 failed in try 1
2 passed, 0 failed, 0 skipped" 2
rm "$dir/case.runs"
expect "there is no third" "${later/NTH/3}" 1 '0 passed, 1 failed, 0 skipped'
expect "what passes runs once" 'echo x >>"$0.once"; echo "ok $(wc -l <"$0.once")"' 0 \
	'1 passed, 0 failed, 0 skipped'
if [ "$(wc -l <"$dir/case.once")" -eq 1 ] && ! [ -e build/results/selftest.again ]; then
	passed=$((passed + 1))
else
	failed=$((failed + 1))
	echo "not ok - one run, nothing to name"
fi

# Each of four waits for the next one in turn to have begun, which ends only when
# two run at a time; and their output is not mixed.
pair() { # NAME OTHER
	# shellcheck disable=SC2016
	printf '#!/bin/bash\ntouch "%s/%s.on"; until [ -e "%s/%s.on" ]; do sleep 0.02; done
		echo "ok 1"; echo "not ok 2 - %s"; exit 1\n' \
		"$dir" "$1" "$dir" "$2" "$1" >"$dir/$1"
	chmod +x "$dir/$1"
}
pair a b
pair b a
pair c d
pair d c
out=$(FERRY_TEST_TRIES=1 FERRY_TEST_JOBS=2 FERRY_TEST_LIMIT_S=20 \
	tests/run.sh selftest "$dir/a" "$dir/b" "$dir/c" "$dir/d")
if [ "$(tail -n 1 <<<"$out")" = "4 passed, 4 failed, 0 skipped" ] &&
	[ "$(grep -c '^selftest/[abcd] .* 1 passed' <<<"$out")" -eq 4 ] &&
	! grep -A 2 '^selftest/a ' <<<"$out" | grep -q 'ok 2 - [bcd]'; then
	passed=$((passed + 1))
else
	failed=$((failed + 1))
	echo "not ok - two at a time: $out"
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
