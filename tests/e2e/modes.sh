#!/bin/bash
# tests/e2e/modes.sh - the three ways of the agent's log, from annotations; and
# the agent below a PID 1 that is not ferry's
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
# shellcheck source=tests/e2e/lib/pod.bash
. "$(dirname "$0")/lib/pod.bash"
need qemu-system-x86_64 cpio mkfs.erofs busybox

show='cat /proc/cmdline; echo ---; ps'

# --- migratable: no wrapper, nothing dials the log port ---------------------

run_dir() { find "$TMPDIR" -mindepth 2 -name 'uvm-*'; }
has_run_dir() { [ -n "$(run_dir)" ]; }

ferry "${RUN[@]}" --annotation "$MIGRATABLE" -- /bin/sh -c "$show" </dev/null
check "migratable: ends with 0" status_is 0
check "migratable: the line starts the agent itself" \
	out_has ' -- -e 1 /bin/gcs -v4 -log-format json -loglevel info'
check "migratable: no wrapper is in the line or runs" out_lacks vsockexec
check "migratable: the agent runs" grep -q '/bin/gcs' "$WORK/out"
check "migratable: nothing is left" nothing_left

# Somebody listens on the log port of this run all the time that it lives: on
# a unix socket, so the backend is ferry's own.
ferry run --vsock user --annotation "$MIGRATABLE" \
	-- /bin/sh -c 'sleep 2; ps' </dev/null &
running=$!
wait_for 60 has_run_dir
build/tests/hostdrive listen "$(run_dir)/v" 109 3 >"$WORK/listen" 2>&1
wait "$running"
check "migratable: nothing dials port 109" \
	grep -qx '0 connections' "$WORK/listen"

ferry "${RUN[@]}" --annotation io.microsoft.migration.allowed=true \
	-- /bin/cat /proc/cmdline </dev/null
check "the older key means the same" out_lacks vsockexec

printf '[migration]\nenabled = true\n' >"$WORK/ferry.conf"
ferry "${RUN[@]}" --config "$WORK/ferry.conf" -- /bin/cat /proc/cmdline </dev/null
check "the configuration can say it" status_is 0
check "and is heard" out_lacks vsockexec

# --- classic ------------------------------------------------------------------

ferry "${RUN[@]}" --verbose -- /bin/sh -c "$show" </dev/null
check "classic: ends with 0" status_is 0
check "classic: the line has the wrapper" \
	out_has ' -- -e 1 /bin/vsockexec -e 109 /bin/gcs -v4'
check "classic: the agent's log arrives" err_has 'uvm: info: '

# --- relay -----------------------------------------------------------------------

ferry "${RUN[@]}" --verbose --annotation "$MIGRATABLE" --forwarder relay \
	-- /bin/sh -c "$show" </dev/null
check "relay: ends with 0" status_is 0
check "relay: the line has the relay" \
	out_has ' -- -e 1 /bin/vsockexec -r -e 109 /bin/gcs -v4'
check "relay: it runs beside the agent" \
	grep -q '[/]bin/vsockexec -r' "$WORK/out"
check "relay: the agent's log arrives" err_has 'uvm: info: '

# Nobody listens for the log: the agent is there all the same, and the relay
# goes on dialling until somebody does.
base=$WORK/v
line=$(build/ferry cmdline build --forwarder relay --processors 2 \
	--annotation "$MIGRATABLE")
timeout 100 build/tests/hostdrive boot "$base" "$LIB/vmlinux" \
	"$LIB/initramfs.img" "$LIB/vhost-vsock.so" "$line" >"$WORK/boot" 2>&1 &
boot=$!
check "relay: a missing log listener holds nothing up" \
	timeout 60 build/tests/hostdrive many "$base" 5
build/tests/initpeer "${base}_109" log >"$WORK/late" 2>&1 &
late=$!
check "relay: who listens late hears what was said before" \
	wait_for 60 grep -q 'bridge is up' "$WORK/late"
kill "$late"
timeout 20 build/tests/hostdrive off "$base" 2>"$WORK/err"
wait "$boot"

# --- an agent that dies ----------------------------------------------------------

# PID 1 starts it again, it finds the host as before and takes the command over.
for mode in migratable classic relay; do
	words=(--forwarder "$mode")
	[ "$mode" = classic ] || words+=(--annotation "$MIGRATABLE")
	ferry "${RUN[@]}" --verbose "${words[@]}" \
		-- /bin/sh -c 'sleep 1; kill -9 $(pidof gcs); sleep 2; exit 9' </dev/null
	check "$mode: the agent is killed: its command goes on" status_is 9
	check "$mode: the agent is killed: the bridge comes back" \
		err_has 'connection=2'
	check "$mode: and the UVM lives until it is asked to power off" \
		err_lacks 'powered off'
	[ "$mode" = migratable ] || check "$mode: its log comes back" \
		test "$(grep -c 'uvm: info: bridge is up' "$WORK/err")" -gt 1
	check "$mode: nothing is left" nothing_left
done

# --- a PID 1 that is not ferry's ------------------------------------------------------

# A shell: it has nothing for the agent, and looks after nobody.
mkdir -p "$WORK/tree"
cat >"$WORK/tree/init" <<'EOF'
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts && mount -t devpts devpts /dev/pts
mount -t tmpfs run /run
mount -t cgroup2 cgroup /sys/fs/cgroup
for m in $(sed 's/ .*//' /lib/modules/ferry.list); do insmod $m; done
while [ "$1" != /bin/gcs ]; do shift; done
"$@" &
wait $!
EOF
chmod +x "$WORK/tree/init"
(cd "$WORK/tree" && find . | LC_ALL=C sort |
	cpio --quiet -o -H newc --owner 0:0) >"$WORK/extra.cpio"
cat "$LIB/initramfs.img" "$WORK/extra.cpio" >"$WORK/foreign.img"
# shellcheck disable=SC2016
orphan='[ "$(readlink /proc/1/exe)" = /bin/busybox ] || exit 1
p=$(sleep 1000 >/dev/null & echo $!)
grep -q "^PPid:.$PPID$" /proc/$p/status || exit 2
kill $p
n=0
while [ -e /proc/$p ]; do n=$((n + 1)); [ $n -lt 600 ] || exit 3; sleep 0.05; done
echo reaped; exit 5'
box=e2ef$$
task() { taskdrive "$(echo "$TMPDIR"/ferry-*/shim-"$box")/s" "$WORK/c" "$@"; }
bundle c '' false 'echo from inside; exit 7'
ferry "${RUN[@]}" --detach --name "$box" --image "$WORK/foreign.img" \
	--annotation "$MIGRATABLE" </dev/null
check "foreign PID 1: the agent serves" status_is 0
ferry exec "$box" -- /bin/sh -c "$orphan" </dev/null
check "foreign PID 1: an exit code is told, an orphan is the agent's" status_is 5
check "foreign PID 1: so is the output" out_is reaped
check "foreign PID 1: a container" \
	task create c "$WORK/c" '' "file://$WORK/said" ''
task wait c
check "foreign PID 1: its exit is told" grep -qx 7 "$WORK/c.out"
check "foreign PID 1: with what it wrote" grep -qx 'from inside' "$WORK/said"
ferry stop "$box"
check "foreign PID 1: the sandbox stops in order" status_is 0
check "foreign PID 1: nothing is left" wait_for 60 nothing_left

# --- what must not be ---------------------------------------------------------------

ferry "${RUN[@]}" --annotation "$MIGRATABLE" --forwarder classic \
	-- /bin/true </dev/null
check "a migratable sandbox with classic is refused" status_is 2
check "and says why" err_has 'error: migration-incompatible: '
check "nothing is left" nothing_left
finish
