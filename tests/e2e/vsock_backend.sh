#!/bin/bash
# tests/e2e/vsock_backend.sh - ferry's own vhost-vsock in a real QEMU, with the
# kernel's driver in the guest: streams of all kinds, and a chain of migrations
# with traffic that is compared byte by byte
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 cpio

MOVES=${MOVES:-$(count 5 25)}
MODULES=$LIB/modules
# In load order; what is built into a kernel is not there.
NEEDED='vsock vmw_vsock_virtio_transport_common virtio_ring virtio
	virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci
	vmw_vsock_virtio_transport'

if [ ! -e "$LIB/vmlinux" ] || [ ! -d "$MODULES" ]; then
	skip "all of vsock_backend" "no kernel prepared in $LIB"
	finish
fi

image() {
	local name file number=0
	mkdir -p "$WORK/image/dev" "$WORK/image/m"
	cp build/tests/guest/vsock_init "$WORK/image/init"
	for name in $NEEDED; do
		file=$(find "$MODULES/" -name "$name.ko" | head -n 1)
		[ -n "$file" ] || continue
		cp "$file" "$WORK/image/m/$(printf %02d "$number").ko"
		number=$((number + 1))
	done
	(cd "$WORK/image" && find . | LC_ALL=C sort |
		cpio --quiet -o -H newc --owner 0:0) >"$WORK/initrd"
}

# vm NUMBER WORD [ARG...]: QEMU number NUMBER in the background
vm() {
	local n=$1 word=$2
	shift 2
	FERRY_VSOCK_BASE=$WORK/v$n LD_PRELOAD=$PWD/$LIB_SO \
		timeout --kill-after=5 "$LIMIT_S" qemu-system-x86_64 \
		-M q35 -accel tcg,thread=single -m 128 -smp 2 -nodefaults -no-user-config \
		-display none -no-reboot -bios qboot.rom -only-migratable \
		-serial "file:$WORK/serial$n" \
		-qmp "unix:$WORK/qmp$n,server=on,wait=off" \
		-kernel "$LIB/vmlinux" -initrd "$WORK/initrd" \
		-append "console=ttyS0 panic=-1 quiet cryptomgr.notests -- $word" \
		-device vhost-vsock-pci,guest-cid=5 "$@" \
		</dev/null >"$WORK/qemu$n" 2>&1 &
}

# peer NUMBER: the host's services of VM number NUMBER
peer() {
	build/tests/vsock_peer "$WORK/v$1" >"$WORK/peer$1" &
	wait_for 60 grep -q ready "$WORK/peer$1"
}

traffic() { grep -a '^traffic' "$WORK/serial$1" | tail -n 1 | tr -dc 0-9; }
# The traffic of VM $1 has passed $2 bytes.
traffic_over() {
	local now
	now=$(traffic "$1" 2>/dev/null)
	[ "${now:-0}" -gt "$2" ]
}
connected() { [ "$(connects "$1")" -gt 0 ]; }
connects() { grep -ac '^connect' "$WORK/serial$1"; }

LIB_SO=${LIB#"$PWD"/}/vhost-vsock.so
image

# --- streams ------------------------------------------------------------------

peer 0
vm 0 check
guest=$!
wait "$guest"
check "the guest powers off" grep -qaE 'DONE' "$WORK/serial0"
while read -r word name; do
	case $word in
	ok) ok "$name" ;;
	not) not_ok "${name#ok }" "$WORK/serial0" ;;
	esac
done < <(tr -d '\r' <"$WORK/serial0" | grep -aE '^(ok|not ok) ')
grep -a '^# ' "$WORK/serial0"

# --- a chain of migrations ------------------------------------------------------

peer 1
vm 1 traffic
check "traffic begins" wait_for 120 traffic_over 1 1000000
for ((n = 1; n <= MOVES; n++)); do
	next=$((n + 1))
	if [ "$n" -eq 2 ]; then
		# One that is called off: the connection must live on.
		vm c traffic -incoming "unix:$WORK/move$n"
		wait_for 60 listens "$WORK/qmpc"
		before=$(connects "$n")
		check "a move is called off" build/tests/qmp_move \
			"$WORK/qmp$n" "$WORK/qmpc" "unix:$WORK/move$n" cancel
		total=$(traffic "$n")
		check "its traffic goes on" wait_for 60 \
			traffic_over "$n" $((total + 500000))
		check "on the same connection" \
			test "$(connects "$n")" -eq "$before"
		rm -f "$WORK/move$n"
	fi
	peer "$next"
	vm "$next" traffic -incoming "unix:$WORK/move$n"
	wait_for 60 listens "$WORK/qmp$next"
	check "move $n" build/tests/qmp_move \
		"$WORK/qmp$n" "$WORK/qmp$next" "unix:$WORK/move$n"
	# What it had passed before, and not told, it tells here.
	wait_for 60 connected "$next"
	total=$(traffic "$next")
	check "traffic after move $n" wait_for 60 \
		traffic_over "$next" $((${total:-$(traffic "$n")} + 500000))
	check "one new connection after move $n" eval \
		'got=$(connects "$next"); echo "$got of them"; [ "$got" -eq 1 ]'
done
check "no byte was wrong" test -z "$(grep -ah '^not ok' "$WORK"/serial*)"
finish
