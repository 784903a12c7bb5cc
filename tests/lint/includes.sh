#!/bin/bash
# tests/lint/includes.sh - who may include whom (docs/architecture.md, rooms).
# Every #include "..." is repository-relative, so a room is a path's beginning.
set -u
cd "$(dirname "$0")/../.." || exit 1

allowed() { # ROOM -> rooms it may include, besides itself
	case $1 in
	config) echo "" ;;
	cmdline) echo "config" ;;
	bridge) echo "config" ;;
	bridge/io) echo "config" ;;
	bridge/guest) echo "config bridge bridge/io" ;;
	bridge/host) echo "config bridge bridge/io" ;;
	init) echo "config cmdline bridge/io" ;;
	migration) echo "config cmdline bridge" ;;
	initramfs) echo "config" ;;
	tools/vsock) echo "config bridge/io" ;;
	tools) echo "config cmdline bridge bridge/io bridge/host migration initramfs tools/vsock" ;;
	tests) echo "config cmdline bridge bridge/io bridge/guest bridge/host init migration initramfs tools tools/vsock" ;;
	*) return 1 ;;
	esac
}

room() { # PATH -> ROOM
	case $1 in
	bridge/io/* | bridge/guest/* | bridge/host/* | tools/vsock/*) cut -d/ -f1,2 <<<"$1" ;;
	*/*) cut -d/ -f1 <<<"$1" ;;
	*) echo "?" ;;
	esac
}

bad=0
while IFS=: read -r file line text; do
	to=$(sed -E 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"([^"]*)".*/\1/' <<<"$text")
	from=$(room "$file") into=$(room "$to")
	[ "$from" = "$into" ] && continue
	[ "${to#build/}" != "$to" ] && continue # generated, included by its own room
	if ! rooms=$(allowed "$from") || [[ " $rooms " != *" $into "* ]]; then
		echo "$file:$line: $from may not include $to"
		bad=1
	fi
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' --include='*.[ch]' \
	config cmdline bridge init migration initramfs tools tests 2>/dev/null)
exit $bad
