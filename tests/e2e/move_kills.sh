#!/bin/bash
# tests/e2e/move_kills.sh - a move is held at one step, somebody dies there, and
# one owner runs in the end, or none where the guest itself was killed
#
# movehold stands between the tool and the door and holds one request, one answer
# or the memory, so nothing comes too late. Some pairs; with FERRY_SOAK=1 each of
# them. The table of docs/migration.md names these tests by STEP and VICTIM.
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 mkfs.erofs busybox
box=e2ek$$
mkdir -p "$WORK"/tmp/{1,2}
top=$TMPDIR
here=1
report=$WORK/report

on() { # HOST COMMAND...: of ferry, on that host
	TMPDIR=$top/$1 timeout --kill-after=10 "$LIMIT_S" build/ferry "${@:2}" \
		>"$WORK/out" 2>"$WORK/err" </dev/null
	status=$?
}
field() { # HOST FIELD
	TMPDIR=$top/$1 build/ferry list --json | grep -oE "\"$2\":\"?[^,\"}]*" |
		sed -E 's/.*:"?//'
}
runs_here() { [ "$(field "$1" state)" = ready ]; }
empty() { # but for what a death leaves for those who look into it
	TMPDIR=$top/$1 build/ferry gc >/dev/null
	[ -z "$(field "$1" name)" ] && [ -z "$(pgrep -f "^qemu-system-x86_64 .*$top/$1/")" ]
}

# --- the sandbox: a container that counts, so that each case sees it live --------

root=$WORK/c/rootfs
mkdir -p "$root"/{bin,proc,dev,tmp,sys,etc}
cp "$(command -v busybox)" "$root/bin/busybox"
for applet in sh sleep cat mv; do ln -s busybox "$root/bin/$applet"; done
cat >"$WORK/c/config.json" <<-'END'
	{"ociVersion": "1.0.2", "root": {"path": "rootfs"},
	 "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/",
	  "args": ["/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo $i >/tmp/m; mv /tmp/m /tmp/n; sleep 0.1; done"],
	  "env": ["PATH=/bin", "TOKEN=hunter2"]},
	 "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
	 "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]}}
END
count_is() {
	on "$here" exec "$box/c" /bin/cat /tmp/n
	cat "$WORK/out"
}
counted() { # it begins to when its shell has come so far
	before=$(count_is)
	[ -n "$before" ]
}
counts() {
	local before
	wait_for 60 counted && wait_for 60 eval "[ \"\$(count_is)\" -gt $before ]"
}
make_sandbox() {
	runs_here "$here" && return
	empty "$here"
	on "$here" run --vsock "${FERRY_E2E_VSOCK:-auto}" --detach --name "$box" \
		--memory 512 --annotation "$MIGRATABLE" --annotation team.token=hunter2
	[ "$status" -eq 0 ] || return
	timeout 60 build/tests/taskdrive "$top/$here"/ferry-*/shim-"$box"/s \
		create c "$WORK/c" '' '' '' >"$WORK/out" 2>"$WORK/err" </dev/null ||
		{ echo "create: $?" >>"$WORK/err"; false; }
}

# --- a move that is held -----------------------------------------------------------

door_args=()
begin() { # STEP [OPTION...]: of migrate
	there=$((3 - here))
	rm -f "$WORK/door" "$WORK/far" "$WORK/held"
	TMPDIR=$top/$there build/ferry migrate receive --listen "$WORK/door" --once \
		"${door_args[@]}" >"$WORK/door.out" 2>&1 </dev/null &
	door=$!
	wait_for 60 listens "$WORK/door"
	build/tests/movehold "$WORK/far" "$WORK/door" "$1" >"$WORK/held" &
	hold=$!
	wait_for 60 listens "$WORK/far"
	TMPDIR=$top/$here build/ferry migrate "$box" --to "$WORK/far" --json "${@:2}" \
		>"$report" 2>"$WORK/err" </dev/null &
	tool=$!
	[ "$1" = nothing ] || { wait_for 120 held_or_over && grep -q held "$WORK/held"; }
}
held_or_over() { grep -q held "$WORK/held" || ! kill -0 "$tool" 2>/dev/null; }
end() {
	wait_for 100 eval "! kill -0 $tool 2>/dev/null" || kill -9 "$tool"
	wait "$tool" 2>/dev/null
	status=$?
	kill -9 "$hold" 2>/dev/null
	wait_for 20 eval "! kill -0 $door 2>/dev/null" || kill -9 "$door"
	wait "$hold" "$door" 2>/dev/null
	tail -n 2 "$report" >"$WORK/out"
}
says() { grep -q "\"runs\":\"$1" "$report"; }

losses() { cat "$top/$here"/ferry-*/shim-"$box"/log | grep -cE 'bridge (lost|parked)'; }
it_died() { [ "$(losses)" -gt "$losses" ]; }
# The agent itself, which PID 1 is the parent of, some seconds from now.
# shellcheck disable=SC2016
agent_dies='sleep 4; for p in $(pidof gcs); do
	grep -q "^PPid:.1$" /proc/$p/status && kill -9 $p; done'
strike() { # VICTIM STEP
	case $1 in
	source-shim) kill -9 "$(field "$here" shim_pid)" ;;
	source-qemu) kill -9 "$(field "$here" qemu_pid)" ;;
	destination-shim) kill -9 "$(field "$there" shim_pid)" ;;
	destination-qemu) kill -9 "$(field "$there" qemu_pid)" ;;
	tool) kill -9 "$tool" ;;
	door) kill -9 "$door" ;;
	agent)
		# Who kills it was sent before, for a source that is frozen takes nobody.
		check "$2: the agent dies while it is held" \
			wait_for 20 it_died
		;;
	link) kill -USR2 "$hold" ;;
	esac
	case $1 in # with the others what is held is lost
	source-* | agent) kill -USR1 "$hold" ;;
	esac
}

# Who runs it in the end, by when it was and who died.
owner() { # STEP VICTIM
	local when=early
	case $1 in
	before:Finalize*) when=late ;; # all memory is there, nobody was let go on
	after:Finalize* | before:Cleanup) when=gone ;;
	esac
	case $2-$when in
	source-*-early | destination-*-gone) echo nobody ;;
	source-* | agent-* | *-gone) echo destination ;;
	*) echo source ;;
	esac
}

# What the source leaves that was told to go on, and was refused by the lease.
bundle() {
	local left
	left=$(find "$top/$here" -path "*/debug/*-$box-move" | sort | tail -n 1)
	check "a failed move leaves a bundle that says why" grep '^resume: ' "$left/why"
	check "with versions" grep '^ferry ' "$left/versions"
	check "with states" grep '^move session=.* vm=transfer-completed' "$left/states"
	check "with the last lines of the log" grep 'finalize: resume: ' "$left/log"
	check "and without secrets, as whatever else was left" \
		eval '! grep -r hunter2 "$top"/*/ferry-*/debug'
}

try() { # STEP VICTIM
	local step=$1 victim=$2 want owner said
	said=$(owner "$step" "$victim")
	want=$said
	case $victim-$step in # it ran there, was said to, and was killed then
	destination-*-before:Cleanup) said=destination ;;
	esac
	make_sandbox || { not_ok "$step $victim: a sandbox" "$WORK/err"; return; }
	if [ "$victim" = agent ]; then
		losses=$(losses)
		on "$here" exec -d "$box" -- /bin/sh -c "$agent_dies"
		check "$step $victim: who kills it is sent" status_is 0
	fi
	begin "$step" || { not_ok "$step $victim: it was held" "$report" "$WORK/err"; end; return; }
	strike "$victim" "$step"
	end
	[ "$victim" = tool ] || check "$step $victim: it is told that it is run by $said" says "$said"
	case $want in
	source) owner=$here ;;
	destination) owner=$there ;;
	nobody)
		check "$step $victim: nobody runs it" \
			wait_for 60 eval "empty $here && empty $there"
		[ "$step $victim" != "after:FinalizeSandbox destination-shim" ] || bundle
		return
		;;
	esac
	check "$step $victim: $want runs it" wait_for 60 runs_here "$owner"
	check "$step $victim: and nobody else" wait_for 60 empty "$((3 - owner))"
	here=$owner
	# A source goes on by itself 10 s after the tool's last word.
	local failures=$failed
	check "$step $victim: it lives" counts
	# The next case begins anew then.
	[ "$failed" -eq "$failures" ] || on "$here" stop --force "$box"
}

few=(
	"before:FinalizeSandbox source-shim"
	"after:FinalizeSandbox link"
	"after:FinalizeSandbox destination-shim"
)
steps=(before:ImportSandbox before:Adopt before:PrepareSandbox
	before:CreateDuplicateSocket before:TransferSandbox memory:20000000
	before:FinalizeSandbox after:FinalizeSandbox before:Cleanup)
victims=(source-shim source-qemu destination-shim destination-qemu tool door link agent)
each() {
	local step victim
	for step in "${steps[@]}"; do
		for victim in "${victims[@]}"; do
			case $victim-$step in
			# There is none yet, or none that runs.
			destination-qemu-before:[IAP]*) ;;
			agent-*Finalize* | agent-before:Cleanup | agent-memory:*) ;;
			*) echo "$step $victim" ;;
			esac
		done
	done
}
if [ -n "${CASES:-}" ]; then
	mapfile -t cases <<<"$CASES"
elif [ "${FERRY_SOAK:-0}" = 1 ]; then
	mapfile -t cases < <(each)
else
	cases=("${few[@]}")
fi
for case in "${cases[@]}"; do
	# shellcheck disable=SC2086
	try $case
done

# --- called off, by hand ---------------------------------------------------

here_again() {
	check "$1: the source runs it" wait_for 60 runs_here "$here"
	check "$1: and nobody else" wait_for 60 empty "$((3 - here))"
}
check "a sandbox" make_sandbox
if begin memory:20000000; then
	check "who looks after its health sees that it moves" eval \
		'[ "$(field 1 state) $(field 2 state)" = "moving moving" ]'
	on "$here" migrate "$box" --cancel
	check "--cancel of a running move" status_is 0
	on "$here" migrate "$box" --cancel
	check "and once more, or there is none any more" \
		eval '[ "$status" -eq 0 ] || err_has "$box does not move"'
	end
	check "--cancel: the tool tells it" says source
else # whoever calls off what is over is told so, and nothing is tested by it
	not_ok "a move that is held" "$report" "$WORK/err" "$WORK/door.out"
	end
fi
here_again "--cancel"

# --- what differs there is told before anything moves ------------------------------------

cp build/lib/ferry/initramfs.img "$WORK/image"
echo >>"$WORK/image"
door_args=(--image "$WORK/image")
begin nothing
end
door_args=()
check "another image there is refused by its name" err_has 'image: another one there'
here_again "another image"

# --- called off by time, in the long form --------------------------------------------------

by_time() {
	begin memory:20000000 --timeout 1
	end
	check "--timeout: it is told" err_has 'not done in 1 s'
	here_again "--timeout"

	begin memory:20000000 --timeout 1 --on-timeout force
	wait_for 20 eval '[ "$(grep -c progress "$report")" -gt 40 ]'
	kill -USR1 "$hold"
	end
	check "--on-timeout force: it moves after all" status_is 0
	[ "$status" -eq 0 ] && here=$there
	check "progress only grows" rises
}
rises() { # bytes of progress never fall
	grep -oE '"bytes":[0-9]+' "$report" | grep -oE '[0-9]+' | sort -nc
}
[ "${FERRY_SOAK:-0}" = 0 ] || by_time
check "it lives" counts
on "$here" stop --force "$box"
check "stop" status_is 0
finish
