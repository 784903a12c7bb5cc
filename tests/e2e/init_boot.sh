#!/bin/bash
# tests/e2e/init_boot.sh - PID 1 and vsockexec in a real UVM, with every kind
# of host, agent and end; each boot must end in a power-off, never in a panic
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 cpio

BOOT_S=60

# The image with a stand-in for the agent; a later archive wins.
prepare() {
	mkdir -p "$WORK/tree/bin" || return
	cp build/tests/guest/init_agent "$WORK/tree/bin/gcs" || return
	printf '#!/bin/sh\n' >"$WORK/tree/bin/notexec"
	(cd "$WORK/tree" && find . | LC_ALL=C sort |
		cpio --quiet -o -H newc --owner 0:0) >"$WORK/extra.cpio" || return
	cat "$LIB/initramfs.img" "$WORK/extra.cpio" >"$WORK/image"
}

# boot KERNEL_AND_INIT_WORDS [QEMU_ARG...]: console in $WORK/out, how it ended
# (QMP events) in $WORK/qmp, seconds in $took
boot() {
	local words=$1 start=$SECONDS
	shift
	FERRY_VSOCK_BASE=$WORK/v LD_PRELOAD=$LIB/vhost-vsock.so \
		timeout --kill-after=5 "$BOOT_S" qemu-system-x86_64 -M q35 -accel tcg \
		-m 256 -smp 1 -nodefaults -no-user-config -display none -no-reboot \
		-bios qboot.rom -serial "file:$WORK/serial" -device pvpanic \
		-action panic=none -qmp "unix:$WORK/qmp.sock,server=on,wait=off" \
		-object memory-backend-memfd,id=mem,size=256M,share=on \
		-machine memory-backend=mem -device vhost-vsock-pci,guest-cid=3 \
		-kernel "$LIB/vmlinux" -initrd "$WORK/image" -append \
		"console=ttyS0 panic=-1 quiet cryptomgr.notests $words" "$@" \
		</dev/null >"$WORK/err" 2>&1
	status=$?
	took=$((SECONDS - start))
	tr -d '\r' <"$WORK/serial" >"$WORK/out"
	cp "$WORK/out" "$WORK/last-$((passed + failed))"
}

peer() { # PORT HABIT [SECONDS]
	rm -f "$WORK/v_$1"
	build/tests/initpeer "$WORK/v_$1" "${@:2}" >"$WORK/peer" 2>&1 &
	peer_pid=$!
	wait_for 10 test -S "$WORK/v_$1"
}

no_peer() {
	kill "$peer_pid" 2>/dev/null
	wait "$peer_pid" 2>/dev/null
	rm -f "$WORK"/v_*
}

orderly() {
	status_is 0 && out_lacks 'Kernel panic' && out_lacks '(not orderly)'
}
not_orderly() { # REASON
	status_is 0 && out_lacks 'Kernel panic' &&
		out_has "init: power off (not orderly): $1"
}

if [ ! -e "$LIB/initramfs.img" ] || [ ! -e "$LIB/vmlinux" ]; then
	skip "all of init_boot.sh" "no image or kernel below $LIB"
	finish
fi
prepare || { not_ok "prepare the image"; finish; }

# --- the modes ----------------------------------------------------------------

boot '-- /bin/gcs exit 0'
check "migratable: an end with 0 is orderly" orderly
check "migratable: the agent has the control socket" \
	out_has 'agent says: control socket'
check "migratable: its output is not on the console" out_lacks 'line one'

boot '-- /bin/gcs exit 3'
check "a status is not orderly, with the reason" \
	not_orderly '/bin/gcs ended with status 3'
boot '-- /bin/gcs kill 9'
check "neither is a signal" not_orderly '/bin/gcs was killed by signal 9'

peer 109 log
boot '-- /bin/vsockexec -e 109 /bin/gcs exit 0'
no_peer
check "classic: ends orderly" orderly
check "classic: the agent has the control socket" \
	out_has 'agent says: control socket'
check "classic: its output is on port 109" grep -qx 'line two' "$WORK/peer"

boot '-- /bin/vsockexec -e 109 /bin/gcs exit 0'
check "classic without a listener ends, as the reference does" \
	not_orderly '/bin/vsockexec ended with status 1'

peer 109 log
boot '-- /bin/vsockexec -r -e 109 /bin/gcs exit 0'
no_peer
check "relay: ends orderly" orderly
check "relay: the agent has the control socket" \
	out_has 'agent says: control socket'
check "relay: its output is on port 109" grep -qx 'line two' "$WORK/peer"

boot '-- /bin/vsockexec -r -e 109 /bin/gcs exit 7'
check "relay without a listener passes the status on" \
	not_orderly '/bin/vsockexec ended with status 7'

# --- entropy -------------------------------------------------------------------

boot '-- -e 1 /bin/gcs exit 0'
check "no entropy host: a boot" orderly
peer 1 silent
boot '-- -e 1 /bin/gcs exit 0'
no_peer
check "a silent entropy host: a boot" orderly
check "a silent entropy host delays it by some 2 s only" test "$took" -lt 30
peer 1 flood
boot '-- -e 1 /bin/gcs exit 0'
no_peer
check "an endless entropy host: a boot" orderly

# --- the agent dies ---------------------------------------------------------------

boot '-- /bin/gcs crash'
check "an agent that was stable is started again" orderly
check "its deposit is there" out_has 'agent says: the deposit is there'
check "the ring has its words" out_has 'agent says: the ring has its words'
check "the ring is sealed" out_has 'agent says: the ring is sealed'
check "each death is told" test "$(grep -c 'next one in' "$WORK/out")" = 2

# --- what cannot be run --------------------------------------------------------------

boot '-- /bin/absent'
check "a missing program" not_orderly 'cannot run /bin/absent: No such file'
boot '-- /bin/notexec'
check "a file that is not executable" \
	not_orderly 'cannot run /bin/notexec: Permission denied'
boot '-- -e zero /bin/gcs'
check "a bad entropy port" not_orderly 'start-up, arguments: entropy port'
boot '-- -x /bin/gcs'
check "an unknown option" not_orderly 'start-up, arguments: unknown option'

# --- PID 1 never dies ------------------------------------------------------------------

boot '-- /bin/gcs signals'
check "all signals" orderly
check "PID 1 lives through them" out_has 'agent says: PID 1 lives'
boot '-- /bin/gcs orphans 2000'
check "2000 orphans" orderly
check "none is left as a zombie" out_has 'zombies 0'
boot '-- /bin/gcs bomb'
check "a fork bomb" not_orderly '/bin/gcs ended with status 5'
boot '-- /bin/gcs noise'
check "an agent that writes more than anybody reads" orderly
check "it is not held up" out_has 'agent says: noise done'
check "the console hears few of its lines" \
	test "$(grep -c 'error noise' "$WORK/out")" -lt 200

# --- no console, cgroup 1 -------------------------------------------------------------------

boot '8250.nr_uarts=0 -- /bin/gcs exit 0'
check "no console: an orderly end" status_is 0
boot 'hcsshim.cgroup=v1 -- /bin/sh -c "mount >/dev/console"'
check "cgroup 1 on demand" out_has 'cgroup on /sys/fs/cgroup/cpu'
boot '-- /bin/sh -c "mount >/dev/console; echo hcsshim.cgroup=v1"'
check "cgroup 2 otherwise, whatever a value says" \
	out_has 'cgroup2 on /sys/fs/cgroup type cgroup2 (rw,nosuid,nodev,noexec'
finish
