#!/bin/bash
# tests/e2e/reference_host.sh - a scripted host against ferry's agent
#
# build/tests/refhost speaks as the reference's host does, with the bytes of
# the vectors, and checks every frame of the agent for what the reference could
# not read. The reference itself cannot be run by this project's tests.
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64
base=$WORK/v
pods=${1:-$(count 10 200)} codes=${2:-$(count 24 256)}
vectors=tests/golden/bridge
# The MAC address is that of the vector of the adapter.
nic=00:15:5d:0a:0b:0c

line=$(build/ferry cmdline build --annotation "$MIGRATABLE" --processors 2) ||
	exit 1
start_uvm() {
	FERRY_VSOCK_BASE=$base LD_PRELOAD=$LIB/vhost-vsock.so \
		timeout --kill-after=5 1500 \
		qemu-system-x86_64 -M q35 -accel tcg,thread=single -m 768 -smp 2 -nodefaults \
		-no-user-config -display none -no-reboot -bios qboot.rom \
		-serial "file:$WORK/serial" -device pvpanic \
		-action panic=none \
		-object memory-backend-memfd,id=mem,size=768M,share=on \
		-machine memory-backend=mem \
		-device vhost-vsock-pci,guest-cid=3,addr=2 \
		-netdev user,restrict=on,id=n0 \
		-device "virtio-net-pci,netdev=n0,mac=$nic,romfile=,addr=5" \
		-kernel "$LIB/vmlinux" -initrd "$LIB/initramfs.img" \
		-append "$line" >"$WORK/qemu" 2>&1 &
	uvm=$!
}

# Each line of refhost is a test; it ends at the first that fails.
run() { # SCENARIO...
	local verdict name
	timeout --kill-after=5 1400 build/tests/refhost "$base" "$vectors" "$@" \
		>"$WORK/refhost" 2>"$WORK/err"
	status=$?
	while read -r verdict name; do
		case $verdict in
		ok) ok "${name#- }" ;;
		not) not_ok "${name#ok - }" "$WORK/err" "$WORK/serial" ;;
		esac
	done <"$WORK/refhost"
	if [ $status -ne 0 ] && ! grep -q '^not ok' "$WORK/refhost"; then
		not_ok "refhost ended with $status" "$WORK/err" "$WORK/serial"
	fi
}

start_uvm
run all pod exits "$codes" resume hostile churn "$pods" off
wait "$uvm"
status=$?
check "the UVM powers off" status_is 0
check "nothing is left" nothing_left
finish
