#!/bin/bash
# tests/e2e/upkeep.sh - what the agent does for the UVM as a whole: its cgroups,
# the limit of the pods, and the clock, which is set wrong here on purpose
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64
# A look at the host's clock every 10 s; this waits for two.
wrong='date -s @978307200 >/dev/null; i=0
while [ $i -lt 80 ] && [ $(date +%s) -lt 1600000000 ]; do
	sleep 0.25; i=$((i + 1)); done; echo now=$(date +%s)'

ferry "${RUN[@]}" --verbose --memory 512 -- /bin/sh -c "
	cat /proc/self/cgroup
	echo pods=\$(cat /sys/fs/cgroup/pods/memory.max)
	echo total=\$(grep MemTotal /proc/meminfo | tr -dc 0-9)
	echo gcs=\$(cat /sys/fs/cgroup/gcs/memory.current)
	$wrong" </dev/null
arrived=$(date +%s)
field() { sed -n "s/^$1=//p" "$WORK/out"; }
check "the command runs" status_is 0
check "processes of the UVM are in the agent's cgroup" out_has '0::/gcs'
check "the pods get all but 75 MiB" test "$(field pods)" -eq \
	$(($(field total) * 1024 - 75 * 1024 * 1024))
check "the agent's cgroup is far from its threshold" test "$(field gcs)" -lt \
	$((10 * 1024 * 1024))
off=$((arrived - $(field now)))
check "hazard 21: a wrong clock is set" test "${off#-}" -le 3
check "and that is logged" err_has 'and was set source='

ferry "${RUN[@]}" --verbose --annotation \
	io.microsoft.virtualmachine.lcow.timesync.disable=true -- \
	/bin/sh -c "$wrong" </dev/null
check "a clock that the host wants left alone stays as it is" test \
	"$(field now)" -lt 1000000000
check "nothing is left" nothing_left
finish
