#!/bin/bash
# tests/e2e/init_boot.sh - PID 1 and vsockexec in a real UVM, with every kind
# of host, agent and end; each boot must end in a power-off, never in a panic
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 cpio

# shellcheck source=tests/e2e/lib/boot.bash
. tests/e2e/lib/boot.bash

mkdir -p "$WORK/tree/bin" "$WORK/tree/opt"
printf '#!/bin/sh\n' >"$WORK/tree/bin/notexec"
# Somebody else's agent: more than a pipe holds, and a few words that matter.
cat >"$WORK/tree/opt/gcs" <<'EOF'
#!/bin/sh
i=0
while [ $i -lt 3000 ]; do
	echo "{\"level\":\"info\",\"msg\":\"dull line number $i of this agent\"}"
	i=$((i + 1))
done
echo '{"level":"warning","msg":"a warning"}' >&2
echo 'a runtime in distress' >&2
[ -n "${FERRY_CONTROL_FD:-}" ] || echo 'it has no control socket' >&2
printf 'its last words'
exit 6
EOF
chmod +x "$WORK/tree/opt/gcs"
prepare
# The peer has written what was sent when the UVM is gone, or does soon.
heard() { wait_for 20 grep -qx 'info line two' "$WORK/peer"; }

# --- the modes ----------------------------------------------------------------

boot '-- /bin/gcs exit 0'
check "migratable: an end with 0 is orderly" orderly
check "migratable: the agent has the control socket" \
	out_has 'agent says: control socket'
check "migratable: its output is not on the console" out_lacks 'line one'

boot '-- /opt/gcs'
check "a foreign agent that writes much is not held up" \
	not_orderly '/opt/gcs ended with status 6'
check "its dull lines are not on the console" out_lacks 'dull line'
check "its warnings are" out_has 'a warning'
check "so is what no logger wrote" out_has 'a runtime in distress'
check "and the last line, which never ended" out_has 'its last words'
check "it has no control socket" out_has 'it has no control socket'
check "and is not started again" test "$(grep -c 'its last words' "$WORK/out")" = 1

boot '-- /bin/gcs exit 3'
check "a status is not orderly, with the reason" \
	not_orderly '/bin/gcs ended with status 3'
boot '-- /bin/gcs kill 9'
check "neither is a signal" not_orderly '/bin/gcs was killed by signal 9'

peer 109 log
boot '-- /bin/vsockexec -e 109 /bin/gcs exit 0'
heard
no_peer
check "classic: ends orderly" orderly
check "classic: the agent has the control socket" \
	out_has 'agent says: control socket'
check "classic: its output is on port 109" grep -qx 'info line two' "$WORK/peer"

boot '-- /bin/vsockexec -e 109 /bin/gcs exit 0'
check "classic without a listener ends, as the reference does" \
	not_orderly '/bin/vsockexec ended with status 1'

peer 109 log
boot '-- /bin/vsockexec -r -e 109 /bin/gcs exit 0'
heard
no_peer
check "relay: ends orderly" orderly
check "relay: the agent has the control socket" \
	out_has 'agent says: control socket'
check "relay: its output is on port 109" grep -qx 'info line two' "$WORK/peer"

boot '-- /bin/vsockexec -r -e 109 /bin/gcs exit 7'
check "W-C22: relay without a listener passes the status on" \
	not_orderly '/bin/vsockexec ended with status 7'

# --- entropy -------------------------------------------------------------------

boot '-- -e 1 /bin/gcs exit 0'
quiet=$took
check "no entropy host: a boot" orderly
peer 1 silent
boot '-- -e 1 /bin/gcs exit 0'
no_peer
check "W-C24: a silent entropy host: a boot" orderly
check "a silent entropy host delays it by some 2 s only" \
	test "$took" -lt $((30 + 4 * quiet))
peer 1 flood
boot '-- -e 1 /bin/gcs exit 0'
no_peer
check "an endless entropy host: a boot" orderly

# --- the agent dies ---------------------------------------------------------------

boot '-- /bin/gcs crash'
check "an agent that was stable is started again" orderly
check "its deposit is there" out_has 'agent says: the deposit is there'
check "the ring has its words" out_has 'agent says: the ring has its words'
check "the ring is sealed" out_has 'agent says: the ring is sealed'
check "each death is told" test "$(grep -c 'next one in' "$WORK/out")" = 2

# --- what cannot be run --------------------------------------------------------------

boot '-- /bin/absent'
check "a missing program" not_orderly 'cannot run /bin/absent: No such file'
boot '-- /bin/notexec'
check "a file that is not executable" \
	not_orderly 'cannot run /bin/notexec: Permission denied'
boot '-- -e zero /bin/gcs'
check "W-C24: a bad entropy port" not_orderly 'start-up, arguments: entropy port'
boot '-- -x /bin/gcs'
check "an unknown option" not_orderly 'start-up, arguments: unknown option'

# --- PID 1 never dies ------------------------------------------------------------------

boot '-- /bin/gcs signals'
check "all signals" orderly
check "PID 1 lives through them" out_has 'agent says: PID 1 lives'
boot '-- /bin/gcs noise'
check "an agent that writes more than anybody reads, and the reason is heard" \
	not_orderly '/bin/gcs ended with status 4'
check "it is not held up" out_has 'agent says: noise done'
# 20 a second (init/drain.h).
check "the console hears few of its lines" \
	test "$(grep -c 'error noise' "$WORK/out")" -le $((20 * (took + 2)))

# --- no console -------------------------------------------------------------------

boot '8250.nr_uarts=0 -- /bin/gcs exit 0'
check "no console: an orderly end" orderly
finish
