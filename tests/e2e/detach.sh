#!/bin/bash
# tests/e2e/detach.sh - sandboxes that run by themselves, and the commands
# about them
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 sha256sum cpio
run=("${RUN[@]}" --detach --annotation "$MIGRATABLE")

shims() { of_ours '^build/ferry .*--name e2e[0-9]'; }
no_shim() { [ -z "$(shims)" ] || { shims; false; }; }
field() { # NAME FIELD
	build/ferry list --json | grep "\"name\":\"$1\"" |
		grep -oE "\"$2\":\"?[^,\"}]*" | sed -E 's/.*:"?//'
}

left() { echo "$TMPDIR"/ferry-*/debug/*-"$1-$2"; } # NAME WHY

# --- start, list ---------------------------------------------------------------

ferry "${run[@]}" --name e2e1 </dev/null
check "run --detach ends when the sandbox is ready" status_is 0
check "and says its name, no more" out_is e2e1
check "nothing on stderr" err_is ''
ferry list
check "list has it" out_has 'e2e1                     ready'
ferry "${run[@]}" --name e2e1 </dev/null
check "a name that runs is refused" status_is 125
check "by name" err_has 'a sandbox e2e1 runs already'
ferry "${run[@]}" --name '../x' </dev/null
check "a name is no path" status_is 2

[ "$(stat -c '%a' "$TMPDIR"/ferry-*/shim-e2e1/s)" = 600 ] &&
	[ "$(stat -c '%a' "$TMPDIR"/ferry-*/shim-e2e1)" = 700 ]
check "socket 0600 in a folder 0700" test $? -eq 0

# --- exec -------------------------------------------------------------------------

ferry exec e2e1 -- /bin/sh -c 'echo out; echo err >&2; exit 42' </dev/null
check "exec: exit code" status_is 42
check "exec: stdout" out_is out
check "exec: stderr" err_is err
ferry exec e2e1 /bin/no-such-program </dev/null
check "exec: missing is 127" status_is 127
check "and named" err_has /bin/no-such-program
ferry exec e2e1 /etc </dev/null
check "exec: not executable is 126" status_is 126
ferry exec nobody /bin/true </dev/null
check "exec: no sandbox is 125" status_is 125
ferry exec e2e1/nobody /bin/true </dev/null
check "exec: no container is 125" status_is 125
ferry exec --env 'A=b c' --workdir /tmp e2e1 -- /bin/sh -c 'echo "$A"; pwd'
check "exec: environment and working directory" out_is $'b c\n/tmp'
printf 'a\nb' | ferry exec e2e1 -- /bin/sh -c 'cat; echo; echo end'
check "exec: stdin and its end" out_is $'a\nb\nend'

head -c 20000000 /dev/urandom >"$WORK/block"
sum=$(sha256sum <"$WORK/block")
same=$(timeout 60 build/ferry exec e2e1 /bin/cat <"$WORK/block" 2>"$WORK/err" | sha256sum)
check "exec: 20 MB through cat are the same" test "$same" = "$sum"

twenty() {
	local i pids=() bad=0
	for i in $(seq 20); do
		timeout 60 build/ferry exec e2e1 -- /bin/sh -c \
			"cat; echo $i; exit $i" <<<"in $i" >"$WORK/out.$i" &
		pids+=($!)
	done
	for i in $(seq 20); do
		wait "${pids[i - 1]}"
		if [ $? -ne "$i" ] || [ "$(cat "$WORK/out.$i")" != "in $i"$'\n'"$i" ]; then
			echo "exec $i"
			bad=1
		fi
	done
	return "$bad"
}
check "twenty execs side by side" twenty
ps_lines_are() { # NUMBER
	ferry ps e2e1
	[ "$(wc -l <"$WORK/out")" -eq "$1" ]
}
check "none of them is left" wait_for 20 ps_lines_are 1

ferry exec -t e2e1 -- /bin/sh -c 'test -t 1 && echo $PPID; readlink /proc/self/fd/1' </dev/null
check "exec -t: a terminal" out_has /dev/pts/

timeout 60 build/ferry exec e2e1 -- /bin/sh -c \
	'trap "echo got; exit 9" TERM; echo up; while :; do sleep 0.1; done' \
	>"$WORK/out" 2>"$WORK/err" </dev/null &
client=$!
wait_for 60 grep -q up "$WORK/out"
pkill -TERM -P "$client"
wait "$client"
status=$?
check "exec: SIGTERM is the command's" status_is 9
check "which hears it" out_has got

# --- a process without its client -----------------------------------------------------

ferry exec -d --id job e2e1 -- /bin/sh -c \
	'i=0; while [ $i -lt 50 ]; do echo $i; i=$((i+1)); sleep 0.1; done; exit 3' </dev/null
check "exec -d prints the id" out_is job
ferry ps e2e1
check "ps has it" out_has 'job '
ferry attach --no-stdin e2e1 job </dev/null
check "attach: exit code" status_is 3
check "attach: what was written before, too" out_is "$(seq 0 49)"
ferry ps --json e2e1
check "ps --json has its end" out_has '"state":"stopped","exit_status":3'

timeout 60 build/ferry exec --id talker e2e1 -- /bin/sh -c \
	'while :; do echo more; sleep 0.05; done' >"$WORK/talk" </dev/null &
client=$!
wait_for 60 test -s "$WORK/talk"
pkill -KILL -P "$client"
wait "$client" 2>/dev/null
ferry kill -s KILL e2e1 talker
check "a process survives its client's SIGKILL" status_is 0
ferry attach --no-stdin e2e1 talker </dev/null
check "its end is told to who attaches" status_is 137
ferry kill e2e1 talker
check "kill of the dead is an error" status_is 1

# --- clients that mean no good --------------------------------------------------------------

sock=$(echo "$TMPDIR"/ferry-*/shim-e2e1/s)
rss() { grep VmRSS "/proc/$(field e2e1 shim_pid)/status" | grep -oE '[0-9]+'; }
before=$(rss)
for kind in noise half bomb deaf many; do
	check "a hostile client ($kind)" timeout 60 build/tests/ttrpc_hostile "$sock" "$kind"
	ferry exec e2e1 /bin/echo alive </dev/null
	check "does no harm ($kind)" out_is alive
done
after=$(rss)
check "the shim has not grown: $before to $after KiB" test "$after" -lt $((before + 16384))

# --- two sandboxes -------------------------------------------------------------------------------

ferry "${run[@]}" --name e2e2 -- /bin/sh -c 'echo hello; sleep 1000' </dev/null
check "a second sandbox, with a command" out_is e2e2
ferry exec e2e2 -- /bin/sh -c 'echo two >/tmp/mark' </dev/null
ferry exec e2e1 -- /bin/sh -c 'cat /tmp/mark' </dev/null
check "it is another machine" status_is 1
ferry logs e2e2
check "logs: of the shim and of PID 1" out_has 'the sandbox is ready'
check "and of the agent" out_has 'log of PID 1'

timeout 800 build/ferry logs -f e2e2 >"$WORK/follow" 2>&1 </dev/null &
follower=$!
wait_for 60 grep -q 'log of PID 1' "$WORK/follow"
ferry exec -d e2e2 -- /bin/sh -c 'kill -9 $(pidof gcs)' </dev/null
check "logs -f: what is new comes" wait_for 60 grep -q 'was killed by signal 9' "$WORK/follow"
check "logs -f: once" test "$(grep -c 'was killed by signal 9' "$WORK/follow")" -eq 1
# More than the ring holds, into the agent's own pipe, while nobody reads it.
reader=$(pgrep -P "$follower")
kill -STOP "$reader"
ferry exec e2e2 -- /bin/sh -c '{ yes "info of a flood" | head -c 1000000; echo; echo info last of it; } >/proc/$PPID/fd/2; echo done' </dev/null
check "a flood of the log holds nobody up" out_is 'done'
kill -CONT "$reader"
check "logs -f: its end comes" wait_for 60 grep -q 'info last of it' "$WORK/follow"
check "logs -f: and how much of it is gone" grep -qE '\[[0-9]+ bytes are gone\]' "$WORK/follow"
ferry stats e2e2
check "stats of a sandbox without containers" test "$(wc -l <"$WORK/out")" -eq 1

# A static key of the kernel is code that it patches while it runs.
ferry exec e2e2 -- /bin/sh -c "
	(while :; do /bin/true; done) & (while :; do /bin/true; done) &
	i=0
	while [ \$i -lt $(count 20 5000) ]; do
		echo 1 >/proc/sys/kernel/sched_schedstats
		echo 0 >/proc/sys/kernel/sched_schedstats
		i=\$((i + 1))
	done
	kill %1 %2" </dev/null
check "a kernel that patches itself beside running code goes on" status_is 0

# One whose agent hangs: looked at when that must have been noticed.
ferry "${run[@]}" --name e2e6 --annotation com.example.token=hunter2 \
	-- /bin/sh -c 'sleep 1; kill -STOP $(pidof gcs)' </dev/null

# --- diagnostics -----------------------------------------------------------------------------------

ferry exec -d --id named --env API_TOKEN=hunter2 e2e2 -- /bin/sh -c 'sleep 1000; : hunter2' </dev/null
ferry debug collect -o "$WORK/e2e2.tar" e2e2 </dev/null
check "debug collect: a tar file" out_is "$WORK/e2e2.tar"
mkdir -p "$WORK/collected" && tar -xf "$WORK/e2e2.tar" -C "$WORK/collected"
of() { grep -q -- "$2" "$WORK/collected/e2e2/$1" || { cat "$WORK/collected/e2e2/$1"; false; }; }
check "with versions, QEMU's too" of qmp '^version qemu.major=[0-9]'
check "the kernel line" of line ' -- -e 1 /bin/gcs'
check "states" of states 'process id=named .*state=running'
check "what QEMU says" of qmp '^machine status=running'
check "the end of the shim's log" of log 'the sandbox is ready'
check "and the guest's word" of guest 'log of PID 1'
check "no environment, no command line" eval '! grep -r hunter2 "$WORK/collected"'
ferry debug collect -o "$WORK/none.tar" nobody </dev/null
check "debug collect of nobody is an error" status_is 1
check "and leaves no file" test ! -e "$WORK/none.tar"

# --- metrics ---------------------------------------------------------------------------------------

# Every line of the text format: HELP, TYPE, then samples of that metric.
valid() {
	awk '
	/^# HELP [a-z_]+ ./ { name = $3; next }
	/^# TYPE [a-z_]+ (counter|gauge|histogram)$/ {
		if ($3 != name || seen[name]++) bad = 1
		next
	}
	{
		if (!match($0, /^[a-z_]+\{sandbox="e2e[0-9]"(,[a-z_]+="[^"\\]*")*\} [0-9.e+]+$/)) bad = 1
		own = $0
		sub(/\{.*/, "", own)
		sub(/_(bucket|sum|count)$/, "", own)
		if (own != name || twice[$1]++) bad = 1
		n++
	}
	bad { print "line " NR ": " $0; exit }
	END { exit bad || n < 50 }' "$WORK/out"
}
documented() {
	local name
	while read -r name; do
		grep -q "^| .$name. |" docs/metrics.md || { echo "$name"; return 1; }
	done < <(sed -nE 's/^# TYPE ([a-z_]+) .*/\1/p' "$WORK/out")
}
ferry metrics </dev/null
check "metrics: the text format" valid
if command -v promtool >/dev/null; then # a package of its own
	check "promtool finds nothing" promtool check metrics <"$WORK/out"
fi
check "each is documented" documented
check "of all sandboxes" eval 'out_has "{sandbox=\"e2e1\"}" && out_has "{sandbox=\"e2e2\"}"'
counter() { sed -n "s/^ferry_$1_total{sandbox=\"e2e2\"} //p" "$WORK/out"; }
cuts=$(counter bridge_cuts) # a machine that stands still costs one, too
check "a lost bridge was counted" test "${cuts:-0}" -ge 1
check "and the next one" test "$(counter bridge_connections)" -eq $((cuts + 1))
ferry metrics e2e1 </dev/null
check "of one" out_lacks e2e2
check "bytes: 20 MB and more" eval '[ "$(sed -nE "s/^ferry_stdio_bytes_total.*\"stdin\".* //p" "$WORK/out")" -ge 20000000 ]'

# --- a shim that is killed --------------------------------------------------------------------------

qemu=$(field e2e2 qemu_pid)
kill -9 "$(field e2e2 shim_pid)"
gone() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }
check "QEMU goes with its shim" wait_for 30 gone "$qemu"
ferry list
check "list tells that it is dead" out_has 'e2e2                     dead'
ferry debug collect -o "$WORK/dead.tar" e2e2 </dev/null
check "debug collect of a dead one has its log" eval 'tar -xOf "$WORK/dead.tar" e2e2/log | grep -q "is ready"'
ferry exec e2e2 /bin/true </dev/null
check "exec tells it too" err_has 'ferry gc'
ferry gc
check "gc: what it removes" out_has e2e2
ferry list
check "gc: it is gone" out_lacks e2e2
ferry ps e2e2
check "what a dead shim left is told to who asks" err_has '-e2e2-shim'
check "and is its log" grep -q 'the sandbox is ready' "$(left e2e2 shim)/log"
ferry exec e2e1 /bin/echo alive </dev/null
check "gc: the other one is not" out_is alive
wait "$follower"
check "logs -f ends with its sandbox" test $? -eq 0

# A process whose owner died, and that did not: it ends when its folder goes,
# and only if it is that process.
dead=$(echo "$TMPDIR"/ferry-*)/shim-e2e9
mkdir -m 700 "$dead"
sleep 300 &
orphan=$!
start=$(sed 's/.*) //' /proc/$orphan/stat | cut -d' ' -f20)
echo -n "$orphan $((start + 1))" >"$dead/process"
ferry gc
check "gc: another process of that number lives" kill -0 "$orphan"
mkdir -m 700 "$dead"
echo -n "$orphan $start" >"$dead/process"
ferry gc
check "gc: the orphan has ended" wait_for 20 gone "$orphan"
wait "$orphan" 2>/dev/null

# --- ends that nobody asked for ---------------------------------------------------------------------

check "a sandbox whose agent hangs leaves a bundle" wait_for 120 eval 'test -d "$(left e2e6 agent)"'
ferry list
check "and lives on" out_has 'e2e6                     ready'
check "its log says where the processors are" wait_for 60 \
	grep -q 'processors of the guest: cpu0=[0-9a-f]' "$TMPDIR"/ferry-*/shim-e2e6/log
kill -9 "$(field e2e6 qemu_pid)"
check "a QEMU that is killed leaves one" wait_for 60 eval 'test -d "$(left e2e6 ended)"'
check "the bundle says why" grep -q 'QEMU was ended by signal 9' "$(left e2e6 ended)/why"
check "and what was so then" grep -q 'phases qemu-started init negotiated' "$(left e2e6 ended)/states"
check "a bundle has no values of annotations" eval '! grep -rq hunter2 "$TMPDIR"/ferry-*/debug'
ferry debug collect -o - e2e6 >"$WORK/out" </dev/null
check "debug collect has what was left" eval 'tar -tf "$WORK/out" | grep -q e2e6-ended/why'
ferry ps e2e6
check "who asks is told where it is" err_has "what it left is in $(left e2e6 ended)"

ferry "${run[@]}" --name e2e7 </dev/null
ferry exec -d e2e7 -- /bin/sh -c 'echo c >/proc/sysrq-trigger' </dev/null
check "a panic leaves a bundle" wait_for 120 eval 'test -d "$(left e2e7 panic)"'

# --- the end ----------------------------------------------------------------------------------------

timeout 800 build/ferry exec e2e1 /bin/sleep 1000 >"$WORK/sleep" 2>&1 </dev/null &
client=$!
wait_for 60 eval 'build/ferry ps e2e1 | grep -q "sleep 1000"'
ferry stop e2e1
check "stop" status_is 0
check "nothing has that name then" eval '[ ! -e "$(echo "$TMPDIR"/ferry-*)/shim-e2e1" ]'
wait "$client"
check "who waited for a process is told" test $? -ne 0
ferry stop e2e1
check "stop of what is not there" status_is 1
check "no shim is left" wait_for 60 no_shim

ferry "${run[@]}" --name e2e3 </dev/null
kill -TERM "$(field e2e3 shim_pid)"
check "SIGTERM stops a shim in order" wait_for 60 no_shim
tiny_image build/tests/guest/sleep_init "$WORK/silent.img"
ferry "${run[@]}" --name e2e4 --boot-timeout 2 --image "$WORK/silent.img" </dev/null
check "a start that fails is told" status_is 125
(
	build/ferry "${run[@]}" --name e2e5 </dev/null >/dev/null 2>&1 &
	wait_for 60 eval '[ -n "$(qemus)" ]'
	kill -9 $!
)
check "a starter that dies takes the sandbox along" wait_for 60 no_shim
check "nothing is left" wait_for 60 nothing_left
finish
