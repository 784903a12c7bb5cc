#!/bin/bash
# tests/cli/upgrade.sh - what ferry upgrade-agent does not begin with, and why.
# What it does is in tests/e2e/upgrade.sh.
# shellcheck source=tests/cli/lib/cli.bash
. "$(dirname "$0")/lib/cli.bash"
agent=build/guest/bin/gcs

refuse() { # NAME STATUS LINE ARG...: that line, and no other
	exactly "$1" "$2" "$3" build/ferry upgrade-agent "${@:4}"
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
finish
