#!/bin/bash
# tests/run.sh NAME PROGRAM... - run test programs one after the other.
#
# A program speaks TAP ("ok N - name", "not ok N - name", "# SKIP reason") or
# ends with "N passed, N failed[, N skipped]". One that does neither, or ends
# with a status that its output does not explain, counts as one failure.
# Prints a line for each program, the output of those that failed, and the sum;
# leaves the sum in build/results/NAME.
#
# FERRY_TEST_JOBS=N	programs that run side by side, 1 unless told
# FERRY_TEST_TRIES=N	a program that failed runs again, alone and behind all
#	others, until it passes or has run N times, 1 unless told: emulated
#	machines that share two processors are late at times. Each failure is
#	shown, the last run is counted, and what passed only then is named again
#	before the sum, and in build/results/NAME.again, for it is a defect all
#	the same.
set -u
cd "$(dirname "$0")/.." || exit 1
name=$1
shift
mkdir -p build/results build/log
passed=0 failed=0 skipped=0

count() { # FILE -> "passed failed skipped", or nothing
	local last
	last=$(grep -aE '^[0-9]+ passed, [0-9]+ failed' "$1" | tail -n 1)
	if [ -n "$last" ]; then
		sed -E 's/^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?.*/\1 \2 \4/' <<<"$last"
	elif grep -qaE '^(ok|not ok) ' "$1"; then
		echo "$(grep -aE '^ok ' "$1" | grep -vc '# SKIP')" \
			"$(grep -caE '^not ok ' "$1")" \
			"$(grep -aE '^ok ' "$1" | grep -c '# SKIP')"
	fi
}

log_of() { echo "build/log/$name-$(basename "$1").log"; }

# Shows how it went, and leaves "passed failed skipped" beside its log.
run() { # PROGRAM
	local log status p f s start=$SECONDS
	log=$(log_of "$1")
	CMOCKA_MESSAGE_OUTPUT=TAP timeout --kill-after=5 "${FERRY_TEST_LIMIT_S:-900}" \
		"$1" </dev/null >"$log" 2>&1
	status=$?
	read -r p f s <<<"$(count "$log")"
	if [ -z "${p:-}" ]; then
		p=0 f=1 s=0
		echo "not ok - $1 printed no result (status $status)" >>"$log"
	elif [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
		f=1
		echo "not ok - $1 ended with status $status" >>"$log"
	fi
	echo "$p $f ${s:-0}" >"$log.sum"
	printf '%-44s %4d passed %3d failed %3d skipped %4d s\n' \
		"$name/$(basename "$1")" "$p" "$f" "${s:-0}" $((SECONDS - start))
	if [ "$f" -ne 0 ]; then
		grep -aE -B 12 -A 6 '^not ok|FAIL|^expected|^actual|ERROR' "$log" | tail -n 150
		tail -n 80 "$log"
	fi
	grep -aE '# SKIP' "$log"
}

# The output of one that runs beside others comes in one piece.
run_apart() { # PROGRAM
	local out
	out=$(run "$1")
	echo "$out"
}

rm -f "build/results/$name.again"
for program in "$@"; do
	rm -f "$(log_of "$program").sum"
	if [ "${FERRY_TEST_JOBS:-1}" -le 1 ]; then
		run "$program"
		continue
	fi
	while [ "$(jobs -rp | wc -l)" -ge "$FERRY_TEST_JOBS" ]; do
		wait -n
	done
	run_apart "$program" &
done
wait

for program in "$@"; do
	p=0 f=1 s=0
	read -r p f s <"$(log_of "$program").sum"
	for ((try = 1; f > 0 && try < ${FERRY_TEST_TRIES:-1}; try++)); do
		first="$name/$(basename "$program"): $f of $((p + f)) failed in try $try"
		echo "# $first; once more"
		run "$program"
		read -r p f s <"$(log_of "$program").sum"
		[ "$f" -ne 0 ] || echo "# $first" >>"build/results/$name.again"
	done
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
cat "build/results/$name.again" 2>/dev/null
echo "$passed passed, $failed failed, $skipped skipped" | tee "build/results/$name"
[ "$failed" -eq 0 ] && [ $((passed + skipped)) -gt 0 ]
