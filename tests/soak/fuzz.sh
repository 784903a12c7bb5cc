#!/bin/bash
# tests/soak/fuzz.sh SECONDS PROGRAM... - each libFuzzer program in turn for so
# long, beginning with the seeds that make check uses. What it finds on the way
# is kept in build/soak/corpus/, what breaks the target in build/soak/found/.
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=$1
shift
passed=0 failed=0
mkdir -p build/soak/found build/log
for program in "$@"; do
	name=$(basename "$program")
	corpus=build/soak/corpus/$name
	log=build/log/soak-$name.log
	mkdir -p "$corpus"
	seeds=()
	[ ! -d "tests/fuzz/corpus/$name" ] || seeds+=("tests/fuzz/corpus/$name")
	# A leak or a hang is a finding too; the limit is a second safety.
	timeout --kill-after=10 $((seconds + 120)) "$program" \
		-max_total_time="$seconds" -timeout=60 -rss_limit_mb=2048 \
		-max_len=65536 -print_final_stats=1 \
		-artifact_prefix="build/soak/found/$name-" \
		"$corpus" "${seeds[@]}" </dev/null >"$log" 2>&1
	status=$?
	runs=$(sed -nE 's/^stat::number_of_executed_units: *([0-9]+)/\1/p' "$log")
	printf '%-24s %12s runs, status %d\n' "$name" "${runs:-no}" "$status"
	if [ "$status" -eq 0 ] && [ -n "$runs" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "not ok - $name: see $log"
		tail -n 40 "$log"
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
