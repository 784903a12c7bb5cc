#!/bin/bash
# tests/e2e/plug.sh - disks and network cards come and go in a running UVM
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 mke2fs
mkdir "$WORK/folder"
echo content >"$WORK/folder/file"
rounds=$(count 40 1000)

LIMIT_S=$((60 + rounds))
timeout --kill-after=10 "$LIMIT_S" build/tests/plugdrive "$rounds" "$WORK/folder" \
	--vsock "${FERRY_E2E_VSOCK:-auto}" --annotation "$MIGRATABLE" \
	-- unused \
	>"$WORK/out" 2>"$WORK/err"
status=$?
check "$rounds times a disk is plugged, mounted, and goes" status_is 0
echo "# $(grep rounds "$WORK/out")"
check "a disk that cannot be opened is refused" out_has 'refused: yes'
check "no disk is left in the guest" out_lacks sda
check "no card" out_lacks eth0
check "no mount" out_lacks /run/mounts/scsi
check "nothing is left" nothing_left
finish
