#!/bin/bash
# tests/e2e/migrate.sh - a sandbox with a pod moves between two hosts: two
# folders of this machine, each with shims and QEMUs of its own
#
# Longer with FERRY_SOAK=1: how often it goes there and back. Who dies on the way
# is in move_kills.sh.
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
# shellcheck source=tests/e2e/lib/pod.bash
. "$(dirname "$0")/lib/pod.bash"
need qemu-system-x86_64 mkfs.erofs busybox
rounds=$(count 1 50)
mkdir -p "$WORK"/tmp/{1,2}
: >"$WORK/lines"
top=$TMPDIR
far=$WORK/endpoint
doors=()

on() { # HOST COMMAND...: of ferry, on that host
	TMPDIR=$top/$1 timeout --kill-after=10 "$LIMIT_S" build/ferry "${@:2}" \
		>"$WORK/out" 2>"$WORK/err" </dev/null
	status=$?
}
folder() { echo "$top/$1"/ferry-*/shim-e2emove; }
task() { # HOST WORDS...: of taskdrive
	timeout 60 build/tests/taskdrive "$(folder "$1")/s" "${@:2}" \
		>"$WORK/out" 2>"$WORK/err" </dev/null
	status=$?
}
field() { # HOST FIELD
	TMPDIR=$top/$1 build/ferry list --json | grep -oE "\"$2\":\"?[^,\"}]*" |
		sed -E 's/.*:"?//'
}
open_door() { # HOST
	rm -f "$far"
	TMPDIR=$top/$1 build/ferry migrate receive --listen "$far" --once \
		>"$WORK/door" 2>&1 </dev/null &
	door=$!
	doors+=("$door")
	wait_for 60 listens "$far"
}
close_door() {
	wait_for 20 eval "! kill -0 $door 2>/dev/null" || kill -9 "$door"
	wait "$door" 2>/dev/null
}
# Nor do its processes run, whose descriptors are gone then.
holds_nothing() { # HOST PID...
	empty "$1" || return
	local pid
	for pid in "${@:2}"; do
		! grep -q . "/proc/$pid/cmdline" 2>/dev/null || return # a zombie has none
	done
}
clock_is_right() { # of the guest, between two questions to ours; to the second
	local is
	is=$(grep -xE '[0-9]{10}' "$WORK/out") || return
	echo "$is, asked from $from to $to"
	[ "$is" -ge $((from - 1)) ] && [ "$is" -le $((to + 1)) ]
}
runs_here() { [ "$(field "$1" state)" = ready ]; }
empty() { [ -z "$(find "$top/$1" -mindepth 2)" ]; }
# Every line once and in order, whatever moved.
moves=0
whole() {
	local n
	n=$(breaks "$WORK/lines")
	echo "$n breaks in $moves moves"
	[ "$n" -eq 0 ]
}
longer() { [ "$(stat -c %s "$WORK/lines")" -gt "$1" ]; }
grows() { wait_for 90 longer "$(stat -c %s "$WORK/lines")"; }

# --- a pod: its sandbox, a writer, an idle one with a terminal --------------------

bundle p sandbox false 'sleep 100000'
# shellcheck disable=SC2016
bundle w container false 'i=0; while :; do echo $i; i=$((i+1)); done'
bundle t container true 'while :; do sleep 1000; done'
# As much as the agent takes off a process; nobody reads it before the end, and its
# exit is told behind it. A move takes 64 KiB of it along.
bundle y container false 'busybox seq 160000; exit 9'
bundle x container false 'sleep 6; echo it-has-ended >/mark; sync; exit 7'
# Its disks have names, which the other host knows as well.
mkfs.erofs "$WORK/x.erofs" "$WORK/x/rootfs" >/dev/null 2>&1
truncate -s 16M "$WORK/x.ext4"
mkfs.ext4 -q "$WORK/x.ext4"
sed -i "s|\"annotations\": {|&\"ferry.disk.rootfs\": \"$WORK/x.erofs\",\n\
	\"ferry.disk.rootfs-fs\": \"erofs\", \"ferry.disk.scratch\": \"$WORK/x.ext4\",|" \
	"$WORK/x/config.json"
rm -rf "$WORK/x/rootfs"/*

on 1 run --vsock "${FERRY_E2E_VSOCK:-auto}" --detach --name e2emove \
	--memory 512 --annotation "$MIGRATABLE"
check "a sandbox" status_is 0
task 1 create p "$WORK/p" '' '' ''
check "a pod" status_is 0
task 1 create w "$WORK/w" '' "file://$WORK/lines" ''
check "a container that writes as fast as it can" status_is 0
task 1 create t "$WORK/t" - - '' tty
check "an idle one with a terminal" status_is 0
on 1 exec e2emove/w /bin/sh -c 'echo here >/tmp/mark'
check "exec before the move" status_is 0
check "it writes" grows

# Execs that run before all moves: their ends are told at the last place.
long='while ! [ -e /tmp/end ]; do sleep 0.1; done; exit 5'
on 1 exec -d --id job e2emove/w /bin/sh -c "$long"
check "an exec that goes on" status_is 0
on 1 exec -d --id quick e2emove/w /bin/sh -c 'echo it said that; exit 4'
check "and one that has ended, which nobody has asked for" status_is 0
on 1 exec -d --id ended e2emove -- /bin/sh -c 'echo and that; exit 8'
check "and one of the UVM" status_is 0
# shellcheck disable=SC2016
on 1 exec -d -i --id listens e2emove -- /bin/sh -c 'read a; echo "got $a"; exit 3'
check "a process of the UVM that waits for input" status_is 0
on 1 exec -d -t --id screen e2emove/w /bin/sh -c 'read a; busybox stty size; exit 6'
check "an exec with a terminal that does" status_is 0
on 1 exec -d --id sleeps e2emove/w /bin/sleep 100000
check "one that does nothing" status_is 0

# --- there and back -------------------------------------------------------------------

here=1
move() { # [STEP COMMAND...]: held there until the command succeeds
	there=$((3 - here))
	open_door "$there"
	local to=$far hold=()
	if [ $# -gt 0 ]; then
		to=$WORK/between
		build/tests/movehold "$to" "$far" "$1" >"$WORK/held" &
		hold=($!)
		wait_for 60 listens "$to"
		hold_until "${hold[0]}" "${@:2}" &
		hold+=($!)
	fi
	local log
	exec {log}<"$(folder "$here")/log" # which goes with its shim
	on "$here" migrate e2emove --to "$to" --json
	[ "$status" -ne 0 ] || cat <&"$log" >>"$WORK/logs"
	exec {log}<&-
	mv "$WORK/out" "$WORK/report"
	tail -n 2 "$WORK/report" >"$WORK/out"
	close_door
	[ $# -eq 0 ] || kill -9 "${hold[@]}" 2>/dev/null
	[ $# -eq 0 ] || wait "${hold[@]}" 2>/dev/null
}
# How often the exit of that process was told with that code, by all shims.
told() { # CONTAINER EXEC CODE
	cat "$WORK/logs" "$(folder "$here")/log" |
		grep -c "exit container=$1 exec=$2 status=$3\"" || true
}
told_once() { # CONTAINER EXEC CODE
	local n
	n=$(told "$@")
	echo "told $n times: $*"
	[ "$n" -eq 1 ]
}
hold_until() { # MOVEHOLD COMMAND...
	wait_for 120 grep -q held "$WORK/held" || return
	wait_for 120 "${@:2}" && echo "went on" >>"$WORK/held"
	kill -USR1 "$1"
}
figure() { grep '"done"' "$WORK/report" | grep -oE "\"$1\":[0-9]+" | grep -oE '[0-9]+'; }
rises() { # bytes of progress never fall
	grep -oE '"bytes":[0-9]+' "$WORK/report" | grep -oE '[0-9]+' | sort -nc
}
figures=$WORK/figures
for i in $(seq $((2 * rounds))); do
	code=$((100 + i % 100))
	on "$here" exec -d --id "out$i" e2emove/w /bin/sh -c "sleep 1; exit $code"
	check "move $i: an exec that will exit" status_is 0
	pids=("$(field "$here" shim_pid)" "$(field "$here" qemu_pid)")
	move
	check "move $i" status_is 0
	[ "$status" -eq 0 ] || break
	echo "$(figure total_ms) $(figure blackout_ms) $(figure reconnect_ms)" >>"$figures"
	check "move $i: progress only grows" rises
	check "move $i: the sandbox runs there" runs_here "$there"
	check "move $i: the source holds nothing" wait_for 60 holds_nothing "$here" "${pids[@]}"
	here=$there
	moves=$((moves + 1))
	check "move $i: the writer goes on" grows
	check "move $i: every line once and in order" whole
	from=$(date +%s)
	on "$here" exec e2emove/w /bin/sh -c 'cat /tmp/mark; busybox date +%s; busybox ps -o args'
	to=$(date +%s)
	check "move $i: what was written before is there" out_has here
	check "move $i: the clock is right" clock_is_right
	check "move $i: the execs of before run" eval \
		"out_has ' /tmp/end' && out_has '/bin/sleep 100000'"
	on "$here" exec e2emove/t /bin/echo alive
	check "move $i: exec in the idle one" out_is alive
	task "$here" wait w "out$i"
	check "move $i: the exit is told" out_is "$code"
	check "move $i: and once by both" told_once w "out$i" "$code"
	task "$here" delete w "out$i"
	check "move $i: and it can be deleted" status_is 0
done
spread() { # FIELD NAME: the distribution of one figure, ms
	sort -n -k"$1,$1" "$figures" | awk -v f="$1" -v name="$2" '
		function at(p, i) { i = int(p * NR); return v[i < p * NR ? i + 1 : i] }
		{ v[NR] = $f }
		END { if (NR) printf "# %s of %d moves, ms: least %d, p50 %d, p90 %d, p99 %d, most %d\n",
			name, NR, v[1], at(.5), at(.9), at(.99), v[NR] }'
}
if [ -s "$figures" ]; then
	spread 1 "total time"
	spread 2 blackout
	spread 3 "reconnect time"
fi

# --- exits on the way --------------------------------------------------------------------

mkfifo "$WORK/fifo"
task "$here" create y "$WORK/y" '' "$WORK/fifo" ''
check "a container that exits, and nobody reads what it wrote" status_is 0
for i in 1 2 3 4 5 6 7 8; do
	on "$here" exec -d --id "e$i" e2emove/w /bin/sh -c "sleep $((i / 2)).$((i % 2 * 5)); exit 1$i"
done
check "execs that will exit one after the other" status_is 0
on "$here" exec -d --id ends e2emove -- /bin/sh -c 'sleep 3; exit 9'
check "a process of the UVM that will" status_is 0
task "$here" create x "$WORK/x" '' '' ''
check "a container that will exit" status_is 0
# The source is frozen, and its guest still runs, until the container has ended.
has_ended() { grep -qa it-has-ended "$WORK/x.ext4"; }
move after:PrepareSandbox has_ended
check "it moves meanwhile" status_is 0
check "when they have ended and nobody was told" grep -q "went on" "$WORK/held"
[ "$status" -eq 0 ] && here=$there && moves=$((moves + 1))
for i in 1 2 3 4 5 6 7 8; do
	task "$here" wait w "e$i"
	check "exit of exec $i is told" out_is "1$i"
	check "and once by both" told_once w "e$i" "1$i"
done
task "$here" wait x
check "the exit of the container is told" out_is 7
check "and once by both" told_once x '' 7
task "$here" delete x
check "and it can be deleted" status_is 0
task "$here" state w job
check "the exec of the beginning runs" out_is 2
on "$here" exec e2emove/w /bin/sh -c ': >/tmp/end'
task "$here" wait w job
check "its exit is told" out_is 5
check "and once by all" told_once w job 5
task "$here" delete w job
check "and it can be deleted" status_is 0
task "$here" wait w quick
check "that of the one that had ended as well" out_is 4
on "$here" attach --no-stdin e2emove/w quick
check "attach tells it too" status_is 4
check "and what it had said" out_is "it said that"
check "that exit was told once, before all moves" told_once w quick 4
on "$here" attach --no-stdin e2emove ended
check "that of the UVM's which had ended" status_is 8
check "and what that had said" out_is "and that"
on "$here" attach --no-stdin e2emove ends
check "and of the one that ended on the way" status_is 9

# --- what came along is served ------------------------------------------------------------

typed() { # TEXT WORDS...: of ferry attach
	TMPDIR=$top/$here timeout 60 build/ferry attach "${@:2}" \
		>"$WORK/out" 2>"$WORK/err" <<<"$1"
	status=$?
}
typed hello e2emove listens
check "input to a process of the UVM" out_is "got hello"
check "and its exit" status_is 3
task "$here" resize w screen 33 77
check "a terminal is resized" status_is 0
typed now e2emove/w screen
check "its program sees that and reads on" out_has "33 77"
check "and ends" status_is 6
on "$here" kill -s TERM e2emove/w sleeps
check "an exec is killed" status_is 0
task "$here" wait w sleeps
check "and says so" out_is 143

check "the processors of both were compared" eval \
	"! grep 'its processors is not known' '$(folder "$here")/log'"

# --- what cannot move, and moves that fail ------------------------------------------------

steady() { [ "$(breaks "$WORK/lines")" -le "$before" ]; } # a move that fails costs no line
stays() { runs_here "$here" && grows && steady; }
check "the writer goes on" grows # and with it the break of that move is there
before=$(breaks "$WORK/lines")
on "$here" migrate e2emove --to "$WORK/nobody"
check "nobody there: told by name" err_has "$WORK/nobody"
check "nobody there: it stays" stays
task "$here" create x "$WORK/x" '' '' ''
check "the container with disks of names once more" status_is 0
mv "$WORK/x.ext4" "$WORK/away"
move
check "a disk that is not there: told by name" err_has "$WORK/x.ext4"
check "a disk that is not there: it stays" stays
mv "$WORK/away" "$WORK/x.ext4"
task "$here" wait x
check "the exit of its container is told" out_is 7
task "$here" delete x
check "and its disks are let go" status_is 0

# --- the end --------------------------------------------------------------------------------

move
check "after all that it moves" status_is 0
echo "# $(breaks "$WORK/lines") breaks in the lines of $moves moves"
[ "$status" -eq 0 ] && here=$there
timeout 60 cat "$WORK/fifo" >"$WORK/read"
seq 160000 >"$WORK/written"
check "what one had written that ended before a move is whole" \
	cmp "$WORK/read" "$WORK/written"
task "$here" wait y
check "its exit is told then" out_is 9
check "and once by all" told_once y '' 9
on "$here" stop e2emove
check "stop" status_is 0
check "nothing is left" wait_for 60 empty "$here"
finish
