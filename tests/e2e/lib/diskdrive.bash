# tests/e2e/lib/diskdrive.bash - a UVM behind build/tests/diskdrive
#
# A line a command, a line an answer; see tests/e2e/diskdrive.c for both.
# shellcheck shell=bash disable=SC2034

# drive_start KERNEL IMAGE: boots it
drive_start() {
	local line
	line=$(build/ferry cmdline build --processors 2 \
		--annotation "$MIGRATABLE") || return
	mkfifo "$WORK/in" || return
	: >"$WORK/answers"
	timeout --kill-after=10 "$(count 850 3600)" build/tests/diskdrive \
		"$WORK/v" "$1" "$2" "$LIB/vhost-vsock.so" "$line" \
		<"$WORK/in" >"$WORK/answers" 2>"$WORK/err" &
	drive=$!
	exec 4>"$WORK/in" 5<"$WORK/answers"
}

# drive_end: it powers off; its exit code is in $status
drive_end() {
	exec 4>&-
	wait "$drive"
	status=$?
}

# ask COMMAND...: its output is in $WORK/out, its last line in $answer
ask() {
	local text
	echo "$*" >&4
	: >"$WORK/out"
	while :; do
		while ! IFS= read -r -t 1 text <&5; do
			kill -0 "$drive" 2>/dev/null || { answer=gone; return; }
			sleep 0.02
		done
		case $text in
		ok | "exit "* | "error "*)
			answer=$text
			return
			;;
		esac
		echo "$text" >>"$WORK/out"
	done
}
gives() { # ANSWER COMMAND...
	local want=$1
	shift
	ask "$@"
	# shellcheck disable=SC2053 # a pattern
	[[ $answer == $want ]] || { echo "$answer"; false; }
}
tells() { # TEXT COMMAND...: in the UVM
	local want=$1
	shift
	ask run "$@"
	[ "$(cat "$WORK/out")" = "$want" ] || { cat "$WORK/out"; false; }
}
