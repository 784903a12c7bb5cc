#!/bin/bash
# tests/e2e/agent_killed.sh - the agent is killed at random moments under load,
# in a real UVM under ferry's PID 1: processes and containers live on, each exit
# is told, no byte of output is lost or doubled
#
# Ten kills; with FERRY_SOAK=1 a thousand, and then three hundred with FAULTS. A
# request that was in progress may be refused with a reason; a wrong answer is a
# failure.
#
# FAULTS=N	of each N calls of the agent one fails (guest/gcs_faults.c), also of
#	those by which an agent takes over; N has to be twice what that needs.
#	An exit may then be unknown, which is told as 255, and any request be
#	refused. All else stays: no answer is wrong or does not come, the UVM
#	and what runs in it live on, output is neither lost nor doubled, and
#	when calls fail no more nothing is left over.
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
# shellcheck source=tests/e2e/lib/pod.bash
. "$(dirname "$0")/lib/pod.bash"
need qemu-system-x86_64 mkfs.erofs busybox
faults=${FAULTS:-0}
kills=$(count "${KILLS:-10}" "${KILLS:-$([ "$faults" = 0 ] && echo 1000 || echo 300)}")
box=e2ek$$

task() { taskdrive "$(echo "$TMPDIR"/ferry-*/shim-"$box")/s" "$@"; } # OUT WORDS...
uvm() { timeout 60 build/ferry exec "$box" -- "$@" </dev/null; }
fact() { uvm /bin/sh -c "$1" 2>/dev/null; }
# Resident, in KiB; not VmRSS, which is brought up to date only now and then. The
# parent of what the agent runs is the agent, pidof names what it forks as well.
agent_kb() { fact 'sed -n "s/^Rss:[^0-9]*\([0-9]*\).*/\1/p" /proc/$PPID/smaps_rollup'; }
mounts() { fact 'cat /proc/mounts' | sort; }
cgroups() { fact 'find /sys/fs/cgroup -type d' | sort; }
# What is in the second and not in the first.
more() {
	"$1" >"$WORK/$1.after"
	! comm -13 "$WORK/$1.before" "$WORK/$1.after" | grep .
}
# As many as there may be, or soon: what was in progress goes after its answer.
at_most() { # NUMBER COMMAND...: of the UVM, that prints how many there are
	uvm /bin/sh -c "$2" >"$WORK/number"
	cat "$WORK/number"
	[ "$(cat "$WORK/number")" -le "$1" ]
}
# The agent itself: what it is about to execute has its name for a moment.
# shellcheck disable=SC2016
agent_dies='for p in $(pidof gcs); do
	grep -q "^PPid:.1$" /proc/$p/status && kill -9 $p; done'
kill_agent() { uvm /bin/sh -c "$agent_dies" >/dev/null 2>&1; }
le32() { printf '\\%03o' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16)) 0; }
# Its own answer may be lost: it is asked for until one comes.
faults_are() { # N
	fact "printf '$(le32 "$1")' | dd of=/run/faults conv=notrunc && echo so" |
		grep -qx so
}
serves() { uvm /bin/true >/dev/null 2>"$WORK/err"; }

# --- what runs before the first kill, and until the last -------------------------

# shellcheck disable=SC2016
bundle w '' false 'i=0; while :; do echo $i; i=$((i+1)); done'
bundle e '' false 'echo mine; exit 7'

image=()
if [ "$faults" -gt 0 ]; then
	build/ferry image build --agent build/tests/guest/gcs_faults \
		-o "$WORK/faulty.img" || exit 1
	image=(--image "$WORK/faulty.img")
fi
ferry "${RUN[@]}" "${image[@]}" --detach --annotation "$MIGRATABLE" --name "$box" </dev/null
check "a sandbox runs" status_is 0
check "a container that writes as fast as it can" \
	task "$WORK/w" create w "$WORK/w" '' "file://$WORK/lines" ''
until_file='while ! [ -e /tmp/end ]; do sleep 0.2; done; exit 33'
uvm_long() {
	timeout 7000 build/ferry exec "$box" -- /bin/sh -c "$until_file" \
		</dev/null >"$WORK/long.out" 2>"$WORK/long.err"
}
uvm_long &
long=$!
kill_agent # the next ones are compared with one that has taken over, too
check "the next agent serves" wait_for 30 serves
kb=$(agent_kb)
mounts >"$WORK/mounts.before"
cgroups >"$WORK/cgroups.before"

# A create that fails takes back what was mounted for it; no kill is needed.
bundle bad '' false 'exit 7'
sed -i 's|/bin/sh|/bin/none|' "$WORK/bad/config.json"
refused() {
	! task "$WORK/bad" create bad "$WORK/bad" '' '' '' && grep -q /bin/none "$WORK/bad.err"
}
check "a program that is not there is refused" refused
for _ in $(seq "$(count 0 65)"); do refused; done # more than there may be pods
check "time after time" refused
check "and leaves no mount" wait_for 30 more mounts

# --- load: each answer is right, or an error with words ----------------------------

# Words of $WORK/NAME.tally: right, refused, or what was wrong.
tally() { # NAME STATUS WANT WANTED_OUTPUT
	local out
	out=$(cat "$WORK/$1.out")
	if [ "$2" -eq "$3" ] && [ "$out" = "$4" ]; then
		echo right
	elif [ "$faults" -gt 0 ] && { [ "$out" = 255 ] ||
		[ "$2" -eq 255 ] && { [ -z "$out" ] || [ "$out" = "$4" ]; }; }; then
		echo unknown
	elif [ "$2" -ge 124 ] || [ "$2" -eq 1 ] && [ -s "$WORK/$1.err" ]; then
		echo refused
	else
		echo "status $2, '$out', $(cat "$WORK/$1.err")"
	fi >>"$WORK/$1.tally"
}
# Of what is asked for once: it is so, or with faults it is not known.
exit_is() { # NAME WORD
	cat "$WORK/$1.tally" "$WORK/$1.err"
	grep -qx "$2" "$WORK/$1.tally" || { [ "$faults" -gt 0 ] &&
		grep -qxE 'refused|unknown' "$WORK/$1.tally"; }
}
# Until the last kill, and then until one was right: of few requests between
# kills that come fast each may have been refused.
loaded() { # NAME
	if [ -e "$WORK/stop" ]; then
		! grep -qx right "$WORK/$1.tally" && [ "$SECONDS" -lt "$(cat "$WORK/stop")" ]
	fi
}
execs() { # NAME WHERE
	while loaded "$1"; do
		timeout 60 build/ferry exec "$2" -- /bin/sh -c 'echo x; exit 3' \
			</dev/null >"$WORK/$1.out" 2>"$WORK/$1.err"
		tally "$1" $? 3 x
	done
}
is_deleted() { # ID: or never was
	task "$WORK/gone" delete "$1" || grep -q '^5: ' "$WORK/gone.err"
}
# What the UVM knows of a container that does not end.
look_at() { # ID
	# shellcheck disable=SC2016
	fact 'cd /proc; for p in $(cat /sys/fs/cgroup/pods/'"$1"'/cgroup.procs); do
		tr "\0" " " <$p/cmdline; grep -E "^(Name|State|PPid)" $p/status
		cat $p/wchan; ls -l $p/exe $p/fd; done; ls -l /run/crun/'"$1"
	build/ferry logs "$box" | grep -a -e "$1" -e 'taken over' | tail -n 60
}
# A container from its create to its delete. One whose create was refused may be
# there all the same, and must go.
containers() {
	local i=0
	while loaded cycle; do
		i=$((i + 1))
		: >"$WORK/cycle.out"
		if task "$WORK/cycle" create "c$i" "$WORK/e" '' "file://$WORK/c$i" ''; then
			task "$WORK/cycle" wait "c$i"
			tally cycle $? 0 7
			tail -n 1 "$WORK/cycle.tally" | grep -q right ||
				look_at "c$i" >>"$WORK/looks" 2>&1
		else
			tally cycle 1 0 7
			cat "$WORK/cycle.err" >>"$WORK/refusals"
		fi
		wait_for 300 is_deleted "c$i" || # between two kills it has to be done
			echo "c$i does not go: $(cat "$WORK/gone.err")" >>"$WORK/cycle.tally"
		rm -f "$WORK/c$i"
	done
}
execs uvm "$box" &
loads=($!)
execs inside "$box/w" &
loads+=($!)
containers &
loads+=($!)

# --- kills ---------------------------------------------------------------------------

: >"$WORK/times"
lost=0
[ "$faults" = 0 ] || check "calls begin to fail" wait_for 30 faults_are "$faults"
for _ in $(seq "$kills"); do
	sleep "$((RANDOM % 2)).$((RANDOM % 10))$((RANDOM % 10))"
	kill_agent
	start=$(date +%s%N)
	wait_for 60 serves || lost=$((lost + 1))
	echo $((($(date +%s%N) - start) / 1000000)) >>"$WORK/times"
done
echo $((SECONDS + 60)) >"$WORK/end"
mv "$WORK/end" "$WORK/stop"
wait "${loads[@]}"

if [ "$faults" -gt 0 ]; then
	check "calls fail no more" wait_for 60 faults_are 0
	uvm /bin/cat /run/faults >"$WORK/faults"
	od -An -tu8 -j8 -N16 "$WORK/faults" | sed 's/^/# calls, failed: /'
fi

# --- what is left ----------------------------------------------------------------------

check "each time the next agent serves" test "$lost" = 0
for load in uvm inside cycle; do
	sort "$WORK/$load.tally" | uniq -c | tee "$WORK/out" | sed "s/^/# $load:/"
	check "$load: each answer is right or refused" eval \
		'! grep -qvE "^ +[0-9]+ (right|refused|unknown)$" "$WORK/out"'
	check "$load: some are right" grep -qE '^ +[0-9]+ right$' "$WORK/out"
done
sort "$WORK/refusals" 2>/dev/null | uniq -c | sed 's/^/# /'
sed 's/^/# /' "$WORK/looks" 2>/dev/null
uvm /bin/touch /tmp/end
wait "$long"
tally long $? 33 ''
check "an exit code outlives $kills agents" exit_is long right
ferry kill -s KILL "$box/w"
check "the writer is killed" status_is 0
task "$WORK/w" wait w
tally w 0 0 137
check "and its exit is told" exit_is w right
check "each of its lines came once and in order" eval \
	'n=$(breaks "$WORK/lines"); echo "$n breaks"; [ "$n" -eq 0 ]'
echo "# $(wc -l <"$WORK/lines") lines, $(stat -c %s "$WORK/lines") bytes"
check "it can be deleted" task "$WORK/w" delete w
# Ids are those of one container or exec each.
cat "$TMPDIR"/ferry-*/shim-"$box"/log* |
	grep -oE 'exit container=[^ ]* exec=[^ ]*' | sort >"$WORK/exits"
check "exits are told" test -s "$WORK/exits"
check "none of them twice" eval '! uniq -d "$WORK/exits" | grep .'
echo "# $(wc -l <"$WORK/exits") exits told"
# shellcheck disable=SC2016
check "no descriptor of the agent is left over" \
	wait_for 30 at_most 24 'ls /proc/$PPID/fd | wc -l'
check "nor one of PID 1" wait_for 30 at_most 40 'ls /proc/1/fd | wc -l'
echo "# descriptors of PID 1: $(cat "$WORK/number")"
check "no mount" wait_for 30 more mounts
check "no cgroup" wait_for 30 more cgroups
end_kb=$(agent_kb)
echo "# agent: $kb KiB resident before, $end_kb after"
# Pages of its program that were executed since count, too.
check "no memory of the agent" test "$end_kb" -le $((kb + 512))
check "which is small when it is idle" test "$end_kb" -le 1536
ferry logs "$box"
check "the log says so" out_has 'taken over from an earlier agent'
sort -n "$WORK/times" >"$WORK/sorted"
note="kill to the next answer of ferry exec, ms: p50 $(sed -n "$(((kills + 1) / 2))p" "$WORK/sorted")"
note+=" p99 $(sed -n "$(((kills * 99 + 99) / 100))p" "$WORK/sorted")"
echo "# $note"
[ -z "${KEEP:-}" ] || cp "$WORK"/{out,faults,*.tally,refusals,lines} "$KEEP"
ferry stop "$box"
check "the sandbox stops in order" status_is 0
check "nothing is left" nothing_left
if [ "$faults" = 0 ] && [ "${FERRY_SOAK:-0}" = 1 ]; then
	FAULTS=2000 "$PWD/tests/e2e/agent_killed.sh" >"$WORK/second" 2>&1
	status=$?
	sed 's/^/# /' "$WORK/second"
	check "and the same with calls that fail" status_is 0
fi
finish
