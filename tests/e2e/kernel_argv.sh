#!/bin/bash
# tests/e2e/kernel_argv.sh [BUDGET_S [FILE]] - the kernel's cutting of lines
#
# Each vector is the command line of a real boot, whose PID 1 shows what it
# was given. Those that find no time in the budget are counted as skipped.
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 cpio

vectors=${2:-}
for file in tests/golden/cmdline/kernel_argv.jsonl \
	../shared/vectors/cmdline/kernel_argv.jsonl; do
	[ -z "$vectors" ] && [ -f "$file" ] && vectors=$file
done
if [ -z "$vectors" ]; then
	skip "kernel_argv" "no kernel_argv.jsonl"
	finish
fi
tiny_image build/tests/guest/probe_init "$WORK/probe.img" || exit 1
# Two at a time: each boot keeps one processor busy.
split -n r/2 "$vectors" "$WORK/part."
for part in "$WORK"/part.a?; do
	mkdir "$part.work"
	build/tests/argvboot "$LIB/vmlinux" "$WORK/probe.img" "$part.work" \
		"${1:-$(count 600 3600)}" "$part" >"$part.out" 2>&1 &
done
wait
grep -vhE '^[0-9]+ passed' "$WORK"/part.*.out
passed=$(cat "$WORK"/part.*.out | grep -cE '^ok ')
failed=$(cat "$WORK"/part.*.out | grep -cE '^not ok ')
skipped=$(cat "$WORK"/part.*.out | grep -cE '^ok .*# SKIP')
passed=$((passed - skipped))
for part in "$WORK"/part.a?.out; do
	grep -qE '^[0-9]+ passed' "$part" || not_ok "$part came to its end" "$part"
done
finish
