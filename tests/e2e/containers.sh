#!/bin/bash
# tests/e2e/containers.sh - containers in a UVM, with the runtime of the image
#
# build/tests/hostdrive keeps QEMU, build/tests/containerdrive is the host that
# asks for containers. containers.sh PODS PROCESSES raises the counts.
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64
pods=${1:-$(count 10 400)} processes=${2:-$(count 50 600)}
base=$WORK/v

line=$(build/ferry cmdline build --annotation "$MIGRATABLE" --processors 2) ||
	exit 1
boot() { # LINE
	build/tests/hostdrive boot "$base" "$LIB/vmlinux" "$LIB/initramfs.img" \
		"$LIB/vhost-vsock.so" "$1" >"$WORK/boot" 2>&1 &
	boot=$!
}
off() {
	timeout 60 build/tests/hostdrive off "$base" >"$WORK/out" 2>"$WORK/err"
	status=$?
	check "the UVM is asked to power off" status_is 0
	wait "$boot"
}
boot "$line"

drive() { # NAME TEST [ARG...]
	local name=$1
	shift
	timeout --kill-after=5 "$LIMIT_S" build/tests/containerdrive "$base" \
		"$@" >"$WORK/out" 2>"$WORK/err"
	status=$?
	grep '^# ' "$WORK/out"
	check "$name" status_is 0
}

drive "a container: create, start, streams, exit, notice, delete" test_life
drive "exit codes and signals of execs" test_exit_codes
drive "an exec's user is found in the container's passwd" test_users
drive "terminals: the runtime makes them, sizes arrive" test_terminals
drive "statistics, process list, constraints" test_properties
drive "errors of the runtime" test_errors_of_the_runtime
drive "out of memory: told with a count, then the end" test_out_of_memory
drive "what init leaves behind is ended with it" test_the_rest_ends_with_init
drive "streams of init are dialled again" test_streams_are_dialled_again
drive "what cannot move is refused by name" test_what_cannot_move_is_refused
LIMIT_S=$((600 + pods * 15)) drive "$pods pods leave nothing behind" test_pods_leave_nothing \
	"$pods"
LIMIT_S=$((600 + processes * 5)) drive "$processes processes: memory of the agent" \
	test_memory_of_processes "$processes"

off

# With cgroup 1, for which the soak has the time.
if [ "${FERRY_SOAK:-0}" = 1 ]; then
	base=$WORK/v1
	boot "${line%% -- *} hcsshim.cgroup=v1 -- ${line#* -- }"
	drive "cgroup 1: a container" test_life
	drive "cgroup 1: statistics, process list, constraints" test_properties
	drive "cgroup 1: out of memory" test_out_of_memory
	drive "cgroup 1: 3 pods leave nothing behind" test_pods_leave_nothing 3
	off
fi
check "nothing is left" nothing_left
finish
