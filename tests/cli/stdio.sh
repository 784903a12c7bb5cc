#!/bin/bash
# ferry and its own standard descriptors: closed ones, and full ones.
set -u
cd "$(dirname "$0")/../.." || exit 1
n=0 failed=0

check() { # NAME STATUS COMMAND...
	local name=$1 want=$2 status
	shift 2
	"$@" >/dev/null 2>&1
	status=$?
	n=$((n + 1))
	if [ "$status" -eq "$want" ]; then
		echo "ok $n - $name"
	else
		failed=$((failed + 1))
		echo "not ok $n - $name: status $status, wanted $want"
	fi
}

check 'full stdout of version' 1 bash -c 'build/ferry version >/dev/full'
check 'full stdout of help' 1 bash -c 'build/ferry --help >/dev/full'
check 'full stdout of cmdline build' 1 bash -c 'build/ferry cmdline build >/dev/full'
check 'closed stderr' 0 bash -c 'build/ferry version 2>&-'
check 'closed stdin' 0 bash -c 'build/ferry version <&-'
# With 0 to 2 closed, the first file opened must not become one of them.
check 'closed descriptors are not given away' 2 bash -c '
	printf "[sandbox]\nprocessors = x\n" >build/closed.conf
	build/ferry config check --config build/closed.conf <&- >&- 2>&-
	status=$?
	grep -q "processors = x" build/closed.conf || status=99
	rm -f build/closed.conf
	exit $status'
echo "1..$n"
[ "$failed" -eq 0 ]
