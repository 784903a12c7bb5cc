#!/bin/bash
# ferry config: files, their order, and what is said of a bad one.
# shellcheck source=tests/cli/lib/cli.bash
. "$(dirname "$0")/lib/cli.bash"

printf '[sandbox]\nprocessors = 3\n' >"$WORK/good"
printf '[sandbox]\nprocessors = many\n' >"$WORK/bad"
check good 0 '' build/ferry config check --config "$WORK/good"
check dump 0 "processors = 3 ; $WORK/good:2" build/ferry config dump --config "$WORK/good"
check bad 2 "$WORK/bad:2: processors: 'many' is not a decimal number" \
	build/ferry config check --config "$WORK/bad"
check missing 1 "$WORK/none: No such file" build/ferry config check --config "$WORK/none"
check folder 2 'not a regular file' build/ferry config check --config "$WORK"
check fifo-does-not-hang 2 'not a regular file' bash -c \
	"mkfifo $WORK/fifo && timeout 10 build/ferry config check --config $WORK/fifo"
check no-verb 2 'want check or dump' build/ferry config
check bad-option 2 'ferry config --help' build/ferry config --nope check
check full-disk 1 'cannot write' bash -c "build/ferry config dump --config $WORK/good >/dev/full"
finish
