#!/bin/bash
# tests/e2e/upkeep.sh - what the agent does for the UVM as a whole: its cgroups,
# the limit of the pods, and the clock, which is set wrong here on purpose; and
# the statistics and limits of pods against the files of the kernel
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64
# A look at the host's clock every 10 s; this waits for two, or until it is set.
wrong() { # QUARTERS
	echo "date -s @978307200 >/dev/null; i=0
	while [ \$i -lt $1 ] && [ \$(date +%s) -lt 1600000000 ]; do
		sleep 0.25; i=\$((i + 1)); done; echo set; read x; echo now=\$(date +%s)"
}
is_set() { grep -q '^set$' "$WORK/out"; }
# The guest looks at its clock when it is told to: after \$asked.
tell() {
	wait_for 100 is_set
	date +%s >"$WORK/asked"
	echo go
}

mkfifo "$WORK/go"
: >"$WORK/out"
tell >"$WORK/go" &
ferry "${RUN[@]}" -i --verbose --memory 512 -- /bin/sh -c "
	cat /proc/self/cgroup
	echo pods=\$(cat /sys/fs/cgroup/pods/memory.max)
	echo total=\$(grep MemTotal /proc/meminfo | tr -dc 0-9)
	echo gcs=\$(cat /sys/fs/cgroup/gcs/memory.current)
	$(wrong 240)" <"$WORK/go"
arrived=$(date +%s)
field() { sed -n "s/^$1=//p" "$WORK/out"; }
check "the command runs" status_is 0
check "processes of the UVM are in the agent's cgroup" out_has '0::/gcs'
check "the pods get all but 75 MiB" test "$(field pods)" -eq \
	$(($(field total) * 1024 - 75 * 1024 * 1024))
check "the agent's cgroup is far from its threshold" test "$(field gcs)" -lt \
	$((10 * 1024 * 1024))
right() { [ "$1" -ge $(($(cat "$WORK/asked") - 3)) ] && [ "$1" -le $((arrived + 3)) ]; }
check "hazard 21: a wrong clock is set" right "$(field now)"
check "and that is logged" err_has 'and was set source='

ferry "${RUN[@]}" --verbose --annotation \
	io.microsoft.virtualmachine.lcow.timesync.disable=true -- \
	/bin/sh -c "$(wrong 80)" </dev/null
check "a clock that the host wants left alone stays as it is" test \
	"$(field now)" -lt 1000000000

# --- statistics: the agent's code on the cgroups of a real UVM -------------------

build/ferry "${RUN[@]}" -i -- /bin/sh -c \
	'cat >/probe; chmod +x /probe; exec /probe' \
	<build/tests/guest/cgroup_probe >"$WORK/out" 2>"$WORK/err"
file() { sed -n "s/^file $1 //p" "$WORK/out"; }
key() { file "$1" | sed -n "s/^$2 //p"; }
was() { sed -n "s/^before $1 $2 //p" "$WORK/out"; }
same() { [ -n "$1" ] && [ "$1" = "$2" ]; }
# The kernel sums these up now and then: it was so before the agent looked, behind
# it, or between.
between() { # NUMBER ONE OTHER
	[ -n "$1" ] || return
	[ "$1" -ge "$2" ] && [ "$1" -le "$3" ] || [ "$1" -ge "$3" ] && [ "$1" -le "$2" ]
}
# A processor takes pages in stock, and gives back what it did not use.
near() { [ "$1" -gt 0 ] && [ $(($1 - $2)) -lt 1048576 ] &&
	[ $(($2 - $1)) -lt 1048576 ]; }
check "statistics: CPU time" between "$(field cpu)" \
	"$(was cpu.stat usage_usec)000" "$(key cpu.stat usage_usec)000"
check "statistics: memory in use" near "$(field current)" \
	"$(file memory.current)"
check "statistics: most memory ever" same "$(field peak)" "$(file memory.peak)"
check "statistics: memory of processes" between "$(field anon)" \
	"$(was memory.stat anon)" "$(key memory.stat anon)"
check "statistics: page faults" between "$(field faults)" \
	"$(was memory.stat pgfault)" "$(key memory.stat pgfault)"
check "statistics: no limit is the largest number" same "$(field max)" \
	18446744073709551615
check "statistics: processes" same "$(field pids)" 1
check "the list of processes has those below" same "$(field procs)" 1
check "a cgroup with processes is not removed" same "$(field busy)" 16
check "and one without is" same "$(field removed)" 0
pod() { sed -n "s/^pod $1 //p" "$WORK/out"; }
check "limits of a pod: memory" same "$(pod memory.max)" 67108864
check "limits of a pod: CPU weight" same "$(pod cpu.weight)" 39
check "limits of a pod: CPU time" same "$(pod cpu.max)" '50000 100000'
check "limits of a pod: processes" same "$(pod pids.max)" 33
check "nothing is left" nothing_left
finish
