#!/bin/bash
# tests/cli/upgrade.sh - what ferry upgrade-agent does not begin with, and why.
# What it does is in tests/e2e/upgrade.sh.
set -u
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
WORK=$(mktemp -d) || exit 1
trap 'rm -rf "$WORK"' EXIT
export TMPDIR=$WORK
unset XDG_RUNTIME_DIR
agent=build/guest/bin/gcs

# refuse NAME STATUS LINE ARG...: that line, and no other
refuse() {
	local name=$1 want=$2 line=$3 out status
	shift 3
	out=$(timeout 20 build/ferry upgrade-agent "$@" 2>&1 </dev/null)
	status=$?
	if [ "$status" -eq "$want" ] && [ "$out" = "$line" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $name: $status $out"
	fi
}

# The bytes of the ELF header from OFFSET on.
patched() { # OFFSET BYTES
	cp "$agent" "$WORK/patched"
	printf '%b' "$2" | dd of="$WORK/patched" bs=1 seek="$1" conv=notrunc status=none
}

refuse "a sandbox that is not there" 1 'ferry: no sandbox a' a
refuse "nor with a file" 1 'ferry: no sandbox a' a "$agent"
refuse "a file that is not there" 1 "ferry: $WORK/none: No such file or directory" a "$WORK/none"
refuse "a folder" 2 "ferry: $WORK: no file of at most 64 MiB" a "$WORK"
truncate -s 65M "$WORK/large"
refuse "a file that is too large" 2 "ferry: $WORK/large: no file of at most 64 MiB" a "$WORK/large"
: >"$WORK/empty"
refuse "an empty file" 2 "ferry: $WORK/empty is no program" a "$WORK/empty"
echo '#!/bin/sh' >"$WORK/script"
refuse "a script" 2 "ferry: $WORK/script is no program" a "$WORK/script"
patched 4 '\001'
refuse "a program of 32 bits" 2 "ferry: $WORK/patched is of another machine" a "$WORK/patched"
patched 18 '\050'
refuse "a program of another machine" 2 "ferry: $WORK/patched is of another machine" a "$WORK/patched"
head -c 40 "$agent" >"$WORK/cut"
refuse "the beginning of one" 2 "ferry: $WORK/cut is of another machine" a "$WORK/cut"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
