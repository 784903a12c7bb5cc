#!/bin/bash
# tests/e2e/valgrind.sh - ferry run under valgrind: no error, nothing lost
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 valgrind

# The accelerator is named: valgrind shows a processor of its own.
grind() { # NAME STATUS ARGUMENT-OF-RUN...
	local name=$1 want=$2
	shift 2
	timeout --kill-after=10 "$LIMIT_S" valgrind -q --leak-check=full \
		--errors-for-leak-kinds=definite --error-exitcode=99 \
		--log-file="$WORK/grind" build/ferry run --accel tcg "$@" \
		</dev/null >"$WORK/out" 2>"$WORK/err"
	status=$?
	check "$name" status_is "$want"
	if [ "$status" -ne "$want" ]; then
		sed 's/^/# /' "$WORK/grind" "$WORK/err"
	fi
}

grind "a command that ends" 3 -- /bin/sh -c 'echo out; exit 3'
grind "a command that is missing" 127 -- /bin/no-such-program
grind "a UVM that ends under its command" 125 -- /bin/sh -c 'poweroff -f; sleep 9'
grind "a time limit" 124 --timeout 8 -- /bin/sleep 60
finish
