#!/bin/bash
# tests/e2e/many.sh - many processes, cut bridges, and a host side that dies
#
# build/tests/hostdrive is the host side here: `boot` keeps QEMU, the others
# come, break and go. The counts can be raised: many.sh PROCESSES RECONNECTS.
# In a soak build/tests/manydrive has 500 containers and 5,000 processes at once,
# three streams each: 15,000 of the VCONNS_MAX of tools/vsock.
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64
processes=${1:-$(count 400 600)} reconnects=${2:-$(count 10 100)}
drive=build/tests/hostdrive
base=$WORK/v

line=$(build/ferry cmdline build --annotation "$MIGRATABLE" --processors 2) ||
	exit 1
"$drive" boot "$base" "$LIB/vmlinux" "$LIB/initramfs.img" \
	"$LIB/vhost-vsock.so" "$line" "$(count 512 6144)" >"$WORK/boot" 2>&1 &
boot=$!

client() { # ARG...: one host side, with a deadline
	timeout --kill-after=5 400 "$drive" "$@" >"$WORK/out" 2>"$WORK/err"
	status=$?
}

client many "$base" "$processes"
check "$processes processes at once: output and exit codes" status_is 0
check "and all of them were checked" out_is \
	"$processes processes at once, 0 wrong"

containers=$(count 2 500) all=$(count 20 5000)
timeout --kill-after=5 "$(count 400 6000)" build/tests/manydrive "$base" \
	"$containers" 1 "$all" >"$WORK/out" 2>"$WORK/err"
status=$?
grep '^# ' "$WORK/out"
check "$containers containers and $all processes at once" status_is 0

client reconnect "$base" "$reconnects"
check "$reconnects reconnects under load lose nothing" status_is 0
check "and they did happen" out_has "$reconnects reconnects, "

# A host side is killed while its process runs; the next one asks for the end.
timeout 100 "$drive" start "$base" /bin/sh -c 'sleep 2; exit 33' \
	>"$WORK/pid" 2>"$WORK/err" &
starter=$!
wait_for 60 test -s "$WORK/pid"
kill -9 "$(pgrep -P "$starter")"
wait "$starter" 2>/dev/null
client wait "$base" "$(cat "$WORK/pid")"
check "a host side killed and back: the exit code is there" \
	out_is 'exit code 33'

client off "$base"
check "the UVM is asked to power off" status_is 0
wait "$boot"
status=$?
check "and does so, orderly" status_is 0
check "nothing is left" nothing_left
finish
