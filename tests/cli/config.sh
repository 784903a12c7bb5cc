#!/bin/bash
# ferry config: files, their order, and what is said of a bad one.
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0 failed=0

check() { # NAME STATUS WANTED-TEXT COMMAND...
	local name=$1 want=$2 text=$3 out status
	shift 3
	out=$("$@" 2>&1)
	status=$?
	n=$((n + 1))
	if [ "$status" -eq "$want" ] && [[ $out == *"$text"* ]]; then
		echo "ok $n - $name"
	else
		failed=$((failed + 1))
		echo "not ok $n - $name (status $status): $out"
	fi
}

printf '[sandbox]\nprocessors = 3\n' >"$dir/good"
printf '[sandbox]\nprocessors = many\n' >"$dir/bad"
check good 0 '' build/ferry config check --config "$dir/good"
check dump 0 "processors = 3 ; $dir/good:2" build/ferry config dump --config "$dir/good"
check bad 2 "$dir/bad:2: processors: 'many' is not a decimal number" \
	build/ferry config check --config "$dir/bad"
check missing 1 "$dir/none: No such file" build/ferry config check --config "$dir/none"
check folder 2 'not a regular file' build/ferry config check --config "$dir"
check fifo-does-not-hang 2 'not a regular file' bash -c \
	"mkfifo $dir/fifo && timeout 10 build/ferry config check --config $dir/fifo"
check no-verb 2 'want check or dump' build/ferry config
check bad-option 2 'ferry config --help' build/ferry config --nope check
check full-disk 1 'cannot write' bash -c "build/ferry config dump --config $dir/good >/dev/full"
echo "1..$n"
[ "$failed" -eq 0 ]
