#!/bin/bash
# tests/e2e/qemu_move.sh - a live migration between two QEMU processes, with a
# disk that was plugged; called off, and with a link that breaks
#
# build/tests/movedrive is both hosts: two sandboxes, each with its own folder.
# Longer with FERRY_SOAK=1: how often it moves.
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 mkfs.ext4
moves=$(count 1 25)

mkdir "$WORK/folder" && echo x >"$WORK/folder/x"
drive() { # [cancel|broken]
	timeout --kill-after=10 "$LIMIT_S" build/tests/movedrive \
		"$WORK/folder" "$@" --vsock "${FERRY_E2E_VSOCK:-auto}" \
		--annotation "$MIGRATABLE" -- none >"$WORK/out" 2>"$WORK/err"
	status=$?
}
runs_on() { # SIDE
	status_is 0 && out_has "proof on side $1" && out_has sda &&
		out_has 'it runs'
}

for i in $(seq "$moves"); do
	drive
	check "move $i: the guest runs on the other side, a process went on" \
		runs_on 1
done
check "both sides say that it is over" out_has 'source: completed'
drive cancel
check "called off: it runs where it was" runs_on 0
check "and it was the cancel" out_has 'the migration was cancelled'
drive broken
check "a link that breaks: it runs where it was" runs_on 0
check "and the reason is told" out_has 'Unable to write to socket'
check "nothing is left" wait_for 30 nothing_left
finish
