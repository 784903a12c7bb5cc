#!/bin/bash
# tests/e2e/agent_killed.sh - the agent is killed at random moments under load,
# in a real UVM under ferry's PID 1: processes live on, exit codes arrive
#
# Twenty kills; with FERRY_SOAK=1 a thousand. The plain protocol loses the calls
# that were in progress and the streams, which is not counted here.
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64
kills=$(count "${KILLS:-20}" 1000)
name=e2ek$$

shims() { pgrep -f "^build/ferry .*--name $name" || true; }
cleanup_shims() {
	local pid
	for pid in $(shims); do kill -9 "$pid"; done
	cleanup
}
trap cleanup_shims EXIT

ferry "${RUN[@]}" --detach --annotation "$MIGRATABLE" --name "$name" </dev/null
check "a sandbox runs" status_is 0

uvm() { timeout 30 build/ferry exec "$name" -- "$@" </dev/null; }

# Its exit code must come through however many agents end meanwhile.
until_file='while ! [ -e /tmp/end ]; do sleep 0.2; done; exit 33'
uvm_long() {
	timeout 3000 build/ferry exec "$name" -- /bin/sh -c "$until_file" \
		</dev/null >/dev/null 2>"$WORK/long"
}
uvm_long &
long=$!
# Load: starts and exits all the time, by the UVM's host; lost calls are fine.
(
	while ! [ -e "$WORK/stop" ]; do
		uvm /bin/sh -c 'echo x; exit 3' >/dev/null 2>&1
	done
) &
load=$!

: >"$WORK/times"
lost=0
for _ in $(seq "$kills"); do
	sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
	timeout 30 build/ferry exec "$name" -- /bin/sh -c \
		'kill -9 $(pidof gcs)' </dev/null >/dev/null 2>&1
	start=$(date +%s%N)
	ok=
	for _ in $(seq 50); do
		uvm /bin/true >/dev/null 2>"$WORK/err" && ok=1 && break
		sleep 0.01
	done
	[ -n "$ok" ] || lost=$((lost + 1))
	echo $((($(date +%s%N) - start) / 1000000)) >>"$WORK/times"
done
touch "$WORK/stop"
wait "$load"
check "each time the next agent serves" test "$lost" = 0
uvm /bin/touch /tmp/end
wait "$long"
check "an exit code outlives $kills agents" test $? = 33
uvm /bin/sh -c 'ls /proc/$(pidof gcs)/fd | wc -l' >"$WORK/fds"
check "no descriptor of the agent is left over" test "$(cat "$WORK/fds")" -le 24
uvm /bin/sh -c 'ls /proc/1/fd | wc -l' >"$WORK/fds1"
check "nor one of PID 1" test "$(cat "$WORK/fds1")" -le 40
ferry logs "$name"
check "the log says so" out_has 'taken over from an earlier agent'
sort -n "$WORK/times" >"$WORK/sorted"
note="kill to the next answer of ferry exec, ms: p50 $(sed -n "$(((kills + 1) / 2))p" "$WORK/sorted")"
note+=" p99 $(sed -n "$(((kills * 99 + 99) / 100))p" "$WORK/sorted")"
echo "# $note"
ferry stop "$name"
check "the sandbox stops in order" status_is 0
check "nothing is left" nothing_left
finish
