# tests/e2e/lib/e2e.bash - sourced by the end-to-end scripts
#
# Every script works in a folder of its own, with TMPDIR below it, so that what
# ferry leaves behind can be seen; every QEMU has a deadline that belongs to
# the script. Results are TAP, the last line is the sum.
#
# FERRY_E2E_VSOCK=kernel|user	who serves the vsock device; by default the
#	kernel where it can, as ferry run has it. What boots without ferry run is
#	bound to ferry's own backend: lib/boot.bash (init_*.sh) and hostdrive
#	(many.sh, the last part of relay in modes.sh) because their host side
#	listens on its unix sockets, vsock_backend.sh because that is its subject.
#	kernel_argv.sh has no vsock.
# FERRY_SOAK=1	larger counts where a script has any, see count
# shellcheck shell=bash
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../../.." || exit 1

passed=0 failed=0 skipped=0
WORK=$(mktemp -d /tmp/ferry-e2e-XXXXXX) || exit 1
mkdir "$WORK/tmp"
export TMPDIR=$WORK/tmp
unset XDG_RUNTIME_DIR
# Used by those that source this.
# shellcheck disable=SC2034
LIB=$PWD/build/lib/ferry
# shellcheck disable=SC2034
MIGRATABLE='io.microsoft.migration.support-enabled=true'
# Every `ferry run` of a script begins so.
# shellcheck disable=SC2034
RUN=(run --vsock "${FERRY_E2E_VSOCK:-auto}")
# One run of ferry; a boot takes 2 s on a quiet machine.
LIMIT_S=${LIMIT_S:-120}

cleanup() {
	local pid
	for pid in $(of_ours '^build/ferry ') $(qemus) $(jobs -p); do
		kill -9 "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	rm -rf "$WORK"
}
trap cleanup EXIT

# Process ids of the QEMUs that work in our folder.
qemus() {
	pgrep -f "^qemu-system-x86_64 .*$WORK" || true
}

# of_ours PATTERN: processes with such a command line that work in our folder,
# and not those of another checkout whose tests run beside these.
of_ours() {
	local pid
	for pid in $(pgrep -f -- "$1"); do
		if grep -qzF "TMPDIR=$WORK/" "/proc/$pid/environ" 2>/dev/null; then
			echo "$pid"
		fi
	done
}

ok() { # NAME
	passed=$((passed + 1))
	echo "ok $((passed + failed + skipped)) - $1"
}

not_ok() { # NAME [FILE...]: the files are shown
	failed=$((failed + 1))
	echo "not ok $((passed + failed + skipped)) - $1"
	shift
	local file
	for file in "$@"; do
		echo "# ${file##*/}:"
		head -c 4000 "$file" | sed 's/^/#   /'
	done
}

skip() { # NAME REASON
	skipped=$((skipped + 1))
	echo "ok $((passed + failed + skipped)) - $1 # SKIP $2"
}

# check NAME COMMAND...: ok when the command succeeds
check() {
	local name=$1
	shift
	if "$@" >"$WORK/check" 2>&1; then
		ok "$name"
	else
		not_ok "$name" "$WORK/check" "$WORK/out" "$WORK/err"
	fi
}

# The last run's exit code, output and error output.
status_is() { [ "$status" -eq "$1" ] || { echo "status $status"; false; }; }
out_is() { [ "$(cat "$WORK/out")" = "$1" ]; }
out_has() { grep -qF -- "$1" "$WORK/out"; }
out_lacks() { ! grep -qF -- "$1" "$WORK/out"; }
err_is() { [ "$(cat "$WORK/err")" = "$1" ]; }
err_has() { grep -qF -- "$1" "$WORK/err"; }
err_lacks() { ! grep -qF -- "$1" "$WORK/err"; }

# ferry ARG...: build/ferry with a deadline; stdin is the caller's
ferry() {
	timeout --kill-after=10 "$LIMIT_S" build/ferry "$@" \
		>"$WORK/out" 2>"$WORK/err"
	status=$?
	return 0
}

# No process and no folder of a sandbox is left; diagnostics are meant to stay.
nothing_left() {
	local left
	left=$(qemus)
	[ -z "$left" ] || { echo "QEMU is left: $left"; return 1; }
	left=$(find "$TMPDIR" -mindepth 2 -path '*/ferry-*/debug*' -prune -o \
		-mindepth 2 -print)
	[ -z "$left" ] || { echo "left: $left"; return 1; }
}

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# listens PATH: somebody accepts connections there; a path alone may be bound only.
listens() { grep -qE " 00010000 .* $1\$" /proc/net/unix; }

# An initramfs of one program; prints nothing.
tiny_image() { # PROGRAM IMAGE
	rm -rf "$WORK/tree"
	mkdir -p "$WORK/tree/dev" || return
	cp "$1" "$WORK/tree/init" || return
	(cd "$WORK/tree" && find . | LC_ALL=C sort |
		cpio --quiet -o -H newc --owner 0:0) >"$2"
}

# What sandboxes of this script left behind that ended in no order: the only
# witness of a failure that is seen once in a thousand runs.
show_remains() {
	local file
	find "$TMPDIR" -path '*/debug/*' -type f \
		\( -name why -o -name states -o -name qmp -o -name log \) |
		sort | tail -n 16 | while read -r file; do
		echo "# ${file#"$TMPDIR"/}:"
		tail -c 3000 "$file" | sed 's/^/#   /'
	done
}

finish() {
	[ "$failed" -eq 0 ] || show_remains
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ] && [ $((passed + skipped)) -gt 0 ]
	exit
}

count() { # USUAL LONG: prints the one that is asked for
	[ "${FERRY_SOAK:-0}" = 1 ] && shift
	echo "$1"
}

need() { # PROGRAM...: all tests are skipped without them
	local program
	for program in "$@"; do
		if ! command -v "$program" >/dev/null; then
			skip "all of $(basename "$0")" "no $program"
			finish
		fi
	done
}
