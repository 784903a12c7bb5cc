#!/bin/bash
# tests/e2e/stdio.sh - streams, exit codes and terminals of a command
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 sha256sum
run=("${RUN[@]}" --annotation "$MIGRATABLE")

# --- streams and exit codes ------------------------------------------------------

ferry "${run[@]}" -- /bin/sh -c 'echo out; echo err >&2; exit 42' </dev/null
check "exit code 42" status_is 42
check "stdout is stdout" out_is out
check "stderr is stderr" err_is err

ferry "${run[@]}" -- /bin/true </dev/null
check "exit code 0, and not a word" status_is 0
check "stdout is empty" out_is ''
check "stderr is empty" err_is ''

ferry "${run[@]}" -- /bin/false </dev/null
check "exit code 1" status_is 1

ferry "${run[@]}" --env A='b c' --env FERRY=1 --workdir /tmp \
	-- /bin/sh -c 'echo "$A $FERRY"; pwd; exit 255' </dev/null
check "exit code 255" status_is 255
check "environment and working directory" out_is $'b c 1\n/tmp'

# The shell of the UVM dies of the signal itself.
ferry "${run[@]}" -- /bin/sh -c 'kill -9 $$' </dev/null
check "a command killed by SIGKILL is 137" status_is 137

# Something outlives the command and keeps its output: that is no failure.
ferry "${run[@]}" -- /bin/sh -c 'sleep 60 & echo out; exit 4' </dev/null
check "a process left behind does not cost the exit code" status_is 4
check "nor the output" out_is out
check "and is told" err_has 'keeps its output open'

# The first files that ferry opens must not become its standard streams.
timeout --kill-after=10 "$LIMIT_S" build/ferry "${run[@]}" \
	-- /bin/sh -c 'echo lost; exit 5' <&- >&- 2>&-
status=$?
check "standard descriptors that are closed" status_is 5

printf 'a\nb' | ferry "${run[@]}" -- /bin/sh -c 'cat; echo; echo end'
check "stdin arrives, then its end" out_is $'a\nb\nend'

ferry "${run[@]}" -- /bin/no-such-program </dev/null
check "a program that is missing is 127" status_is 127
check "and named" err_has /bin/no-such-program
ferry "${run[@]}" -- /etc </dev/null
check "what cannot be executed is 126" status_is 126
ferry "${run[@]}" --workdir /nowhere -- /bin/true </dev/null
check "a working directory that is missing is 125" status_is 125
check "and told so" err_has 'working directory: No such file or directory'

timeout --kill-after=10 "$LIMIT_S" build/ferry "${run[@]}" -- /bin/echo hello \
	>/dev/full 2>"$WORK/err" </dev/null
status=$?
check "a full disk behind stdout is told" status_is 125
check "in words" err_has 'could not all be written'

# --- much in and out --------------------------------------------------------------

head -c 4194304 /dev/urandom >"$WORK/block"
mib=$(count 256 8192)
much() {
	local i
	for ((i = 0; i < mib / 4; i++)); do
		echo "block $i"
		cat "$WORK/block"
	done
}
much | tee >(sha256sum >"$WORK/sent") |
	timeout --kill-after=10 $((300 + mib)) build/ferry "${run[@]}" -- /bin/cat \
		2>"$WORK/err" | sha256sum >"$WORK/received"
status=${PIPESTATUS[2]}
check "$mib MiB through cat: ends with 0" status_is 0
wait_for 60 test -s "$WORK/sent"
check "$mib MiB through cat: the same bytes" cmp "$WORK/sent" "$WORK/received"

# --- terminals ---------------------------------------------------------------------------

timeout --kill-after=10 "$LIMIT_S" build/tests/ptydrive 33 101 raw \
	'send=stty size; tty; echo READY\r' 'expect=33 101' 'expect=READY' \
	'resize=20x70' \
	'send=c=70; until [ "$(stty size)" = "20 $c" ]; do sleep 0.1; done; stty size; echo AGAIN\r' \
	'expect=20 70' expect=AGAIN \
	'send=echo G""O; cat\r' expect=GO 'send=ping\r' expect=ping expect=ping \
	'send=\x03' 'expect=# ' \
	'send=exit 9\r' \
	-- build/ferry "${run[@]}" -t -- /bin/sh -i >"$WORK/out" 2>"$WORK/err"
status=$?
check "a terminal: sizes, Ctrl-C for the command, exit code" status_is 9
check "a terminal: as it was before" out_has 'terminal: as before'

timeout --kill-after=10 "$LIMIT_S" build/tests/ptydrive 24 80 raw \
	signal=15 cooked \
	-- build/ferry "${run[@]}" -t -- /bin/sleep 1000 >"$WORK/out" 2>"$WORK/err"
status=$?
check "a terminal: SIGTERM reaches the command" status_is 143
check "a terminal: restored after a signal" out_has 'terminal: as before'

# A shell on a terminal ignores SIGTERM; ferry waits for it, but not for ever.
timeout --kill-after=10 "$LIMIT_S" build/tests/ptydrive 24 80 raw \
	'send=echo READ""Y\r' expect=READY signal=15 cooked \
	-- build/ferry "${run[@]}" -t -- /bin/sh -i >"$WORK/out" 2>"$WORK/err"
status=$?
check "a terminal: one SIGTERM ends a shell that ignores it" status_is 143
check "a terminal: restored after that" out_has 'terminal: as before'
check "nothing is left" nothing_left
finish
