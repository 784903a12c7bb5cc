#!/bin/bash
# tests/e2e/upgrade.sh - another agent in a running sandbox: containers go on,
# and an agent that does not become stable is taken back
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
# shellcheck source=tests/e2e/lib/pod.bash
. "$(dirname "$0")/lib/pod.bash"
need qemu-system-x86_64 mkfs.erofs busybox
box=e2eu$$
rounds=$(count 1 20)
: >"$WORK/lines"

task() { # WORDS...: of taskdrive
	timeout 60 build/tests/taskdrive "$(echo "$TMPDIR"/ferry-*/shim-"$box")/s" "$@" \
		>"$WORK/out" 2>"$WORK/err" </dev/null
	status=$?
}
upgrade() { ferry upgrade-agent "$box" "$@" </dev/null; }
uvm() { ferry exec "$box" -- "$@" </dev/null; }
# The sum of the program that runs as the agent.
agent_is() {
	# shellcheck disable=SC2016
	uvm /bin/sh -c 'sha256sum </proc/$PPID/exe'
	out_has "$(sha256sum <"$1")"
}
clean() { uvm /bin/sh -c 'ls /bin/gcs*' && out_is /bin/gcs; }
longer() { [ "$(stat -c %s "$WORK/lines")" -gt "$1" ]; }
grows() { wait_for 90 longer "$(stat -c %s "$WORK/lines")"; }
# Without a session of streams what was on its way when the agent went is lost
# or comes twice (docs/status.md): one place for each agent.
agents=0
whole() { echo "$(breaks "$WORK/lines") breaks" && [ "$(breaks "$WORK/lines")" -le $((2 * agents)) ]; }
same_process() {
	ferry exec "$box/w" -- /bin/cat /tmp/mark </dev/null && out_is here
}

bundle p sandbox false 'sleep 100000'
# shellcheck disable=SC2016
bundle w container false 'echo here >/tmp/mark; i=0; while :; do echo $i; i=$((i+1)); done'
bundle x container false 'sleep 4; exit 7'
ferry run --detach --name "$box" --vsock "${FERRY_E2E_VSOCK:-auto}" \
	--memory 512 --annotation "$MIGRATABLE" </dev/null
check "a sandbox" status_is 0
task create p "$WORK/p" '' '' ''
check "a pod" status_is 0
task create w "$WORK/w" '' "file://$WORK/lines" ''
check "a container that writes as fast as it can" status_is 0
check "it writes" grows

# --- to another agent -------------------------------------------------------------

task create x "$WORK/x" '' '' ''
check "one that ends soon" status_is 0
for i in $(seq "$rounds"); do
	cp build/guest/bin/gcs "$WORK/new"
	echo "$i" >>"$WORK/new"
	start=$(date +%s%N)
	upgrade "$WORK/new"
	echo "# upgrade $i took $((($(date +%s%N) - start) / 1000000)) ms"
	check "upgrade $i" status_is 0
	agents=$((agents + 1))
	check "upgrade $i: it is the new one" agent_is "$WORK/new"
	check "upgrade $i: nothing lies about" clean
	check "upgrade $i: the writer goes on" grows
	check "upgrade $i: lines in order, but at the upgrade" whole
	check "upgrade $i: exec in the container" same_process
done
task wait x
check "an exit on the way is told" out_is 7

# --- that are none ----------------------------------------------------------------

echo '#!/bin/sh' >"$WORK/script"
upgrade "$WORK/script"
check "a script is refused" status_is 2
check "as no program" err_has 'is no program'
upgrade "$WORK/none"
check "a file that is not there" status_is 1
upgrade "$box/w"
check "a missing file that looks like a container" status_is 1
upgrade build/tests/guest/init_agent
check "an agent that ends at once is taken back" status_is 1
check "that is told too" err_has 'was never stable'
agents=$((agents + 2))
check "and the one before serves" agent_is "$WORK/new"
check "with its containers" same_process
check "which write" grows
check "all in order, but at the ends of agents" whole
check "nothing lies about" clean
# ferry does not send one, but PID 1 cannot know what put it there.
uvm /bin/sh -c 'cp /proc/$PPID/exe /bin/gcs.part &&
	printf "\050" | dd of=/bin/gcs.part bs=1 seek=18 conv=notrunc &&
	mv /bin/gcs.part /bin/gcs.new && kill -9 $PPID'
agents=$((agents + 1))
back() { agent_is "$WORK/new" && clean; }
check "an agent of another machine is taken back" wait_for 90 back
ferry logs "$box"
check "and that it was tried is in the log" \
	test "$(grep -c 'upgrade: the new agent was never stable' "$WORK/out")" -eq 2
check "with its containers too" same_process
if [ "${FERRY_SOAK:-0}" = 1 ]; then
	upgrade build/guest/bin/vsockexec
	check "a program that is no agent is not taken" status_is 1
	check "which is told" err_has 'is no agent'
	check "the one before serves on" agent_is "$WORK/new"
	upgrade build/tests/guest/sleep_agent
	check "an agent that says nothing is taken back" status_is 1
	check "and the one before serves again" agent_is "$WORK/new"
	agents=$((agents + 2))
fi
upgrade
check "back to ferry's own" status_is 0
check "which it is" agent_is build/guest/bin/gcs
ferry stop "$box"
check "the sandbox stops in order" status_is 0
check "nothing is left" wait_for 60 nothing_left
finish
