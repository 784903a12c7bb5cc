#!/bin/bash
# tests/e2e/fixup.sh - UVMs loaded from one saved state: what is put right
# before they serve anything, and what is wrong without that
#
# build/tests/snapdrive is the host. Longer with FERRY_SOAK=1: how many copies,
# and how long the state lies about.
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64
copies=$(($(count 1 100) * 2))
bare=3
pause=$(count 1 60)
# Longer than the agent takes to measure the RTC.
settle=4
LIMIT_S=$((90 + pause + (copies + bare) * 20))

timeout --kill-after=10 "$LIMIT_S" build/tests/snapdrive "$copies" "$bare" \
	"$pause" "$settle" build/tests/guest/fresh "$WORK/state" \
	--vsock "${FERRY_E2E_VSOCK:-auto}" --annotation "$MIGRATABLE" -- none \
	>"$WORK/all" 2>"$WORK/err"
status=$?
# What differs by its nature is not in what a failure shows.
grep -E '^(bare )?(copy|settled) ' "$WORK/all" >"$WORK/out"
lines_are() { # NUMBER BEGINNING
	local n
	n=$(grep -c "^$2 " "$WORK/all")
	[ "$n" -eq "$1" ] || { echo "$n lines of $2"; false; }
}
repeated() { grep "^$1 " "$WORK/all" | sort | uniq -d | head; }
none_repeated() { [ -z "$(repeated "$1")" ] || { repeated "$1"; false; }; }
some_repeated() { [ -n "$(repeated "$1")" ]; }
# The worst clock of those.
off() { sed -n "s/^$1 .*off_ms=//p" "$WORK/out" | sort -n | tail -n 1; }
off_below() { [ "$(off "$1")" -lt "$2" ]; }
# The agent sets the clock soon, then that tells by how much it was off.
stood_still() { # MS
	sed -nE 's/^bare (copy .*off_ms|stepped_ms)=//p' "$WORK/all" | sort -n >"$WORK/still"
	tail -n 1 "$WORK/still"
	[ "$(tail -n 1 "$WORK/still")" -ge "$1" ]
}

check "copies of one state answer" status_is 0
check "all of them" lines_are "$copies" copy
check "with 200 uuids each" lines_are $((copies * 200)) uuid
check "no uuid comes twice" none_repeated uuid
check "no random bytes come twice" none_repeated bytes
check "after a stop of $pause s no clock is off by 100 ms" off_below copy 100
check "nor is it set back later" off_below settled 100

# The same state: it is the barrier that makes them differ.
check "without the barrier they answer too" lines_are "$bare" 'bare copy'
check "with the same uuids" some_repeated 'bare uuid'
check "and the same random bytes" some_repeated 'bare bytes'
check "and a clock that stood still" stood_still 1000
check "nothing is left" wait_for 30 nothing_left
echo "# $copies copies, worst clock $(off copy) ms, settled $(off settled) ms"
finish
