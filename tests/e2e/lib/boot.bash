# tests/e2e/lib/boot.bash - boots PID 1 with a stand-in for the agent
#
# Sourced after e2e.bash. Unlike ferry it gives PID 1 any command line and
# keeps the console; every boot has a deadline.
# shellcheck shell=bash

BOOT_S=${BOOT_S:-150}
IMAGE=$WORK/image
export FERRY_VSOCK_BASE=$WORK/v

# The image with a stand-in for the agent, and what a script put into
# $WORK/tree before; a later archive wins.
prepare() {
	if [ ! -e "$LIB/initramfs.img" ] || [ ! -e "$LIB/vmlinux" ]; then
		skip "all of $(basename "$0")" "no image or kernel below $LIB"
		finish
	fi
	mkdir -p "$WORK/tree/bin" &&
		cp build/tests/guest/init_agent "$WORK/tree/bin/gcs" &&
		(cd "$WORK/tree" && find . | LC_ALL=C sort |
			cpio --quiet -o -H newc --owner 0:0) >"$WORK/extra.cpio" &&
		cat "$LIB/initramfs.img" "$WORK/extra.cpio" >"$IMAGE" &&
		mkfifo "$WORK/monitor" && return
	not_ok "prepare the image"
	finish
}

# boot KERNEL_AND_INIT_WORDS [QEMU_ARG...]: console in $WORK/out, events in
# $WORK/qmp, seconds in $took. MEMORY_MIB may be set.
boot() {
	local words=$1 start=$SECONDS mib=${MEMORY_MIB:-256}
	shift
	: >"$WORK/serial"
	# Held open both ways: QEMU must not see the end of its monitor.
	exec {monitor}<>"$WORK/monitor"
	echo '{"execute":"qmp_capabilities"}' >&"$monitor"
	LD_PRELOAD=$LIB/vhost-vsock.so timeout --kill-after=5 "$BOOT_S" \
		qemu-system-x86_64 -M q35 -accel tcg,thread=single \
		-m "$mib" -smp 1 -nodefaults -no-user-config -display none \
		-no-reboot -bios qboot.rom -serial "file:$WORK/serial" \
		-device pvpanic -action panic=none -qmp stdio \
		-object "memory-backend-memfd,id=mem,size=${mib}M,share=on" \
		-machine memory-backend=mem -device vhost-vsock-pci,guest-cid=3 \
		-kernel "$LIB/vmlinux" -initrd "$IMAGE" -append \
		"console=ttyS0 panic=-1 quiet cryptomgr.notests $words" "$@" \
		<"$WORK/monitor" >"$WORK/qmp" 2>"$WORK/err"
	status=$?
	exec {monitor}>&-
	took=$((SECONDS - start))
	tr -d '\r' <"$WORK/serial" >"$WORK/out"
	if [ -n "${KEEP:-}" ]; then
		cp "$WORK/out" "$KEEP/out-$((passed + failed))"
		echo "# boot of $took s: $words"
	fi
}

peer() { # PORT HABIT [SECONDS]
	rm -f "$WORK/v_$1"
	build/tests/initpeer "$WORK/v_$1" "${@:2}" >"$WORK/peer" 2>&1 &
	peer_pid=$!
	wait_for 60 listens "$WORK/v_$1"
}

no_peer() {
	kill "$peer_pid" 2>/dev/null
	wait "$peer_pid" 2>/dev/null
	rm -f "$WORK"/v_*
}

powered_off() {
	status_is 0 && out_lacks 'Kernel panic' &&
		grep -q '"event": "SHUTDOWN".*"reason": "guest-shutdown"' "$WORK/qmp"
}
sign() { grep -q '"event": "GUEST_PANICKED"' "$WORK/qmp"; }
no_sign() { ! sign; }
orderly() { powered_off && no_sign && out_lacks '(not orderly)'; }
not_orderly() { # REASON
	powered_off && sign && out_has "init: power off (not orderly): $1"
}
