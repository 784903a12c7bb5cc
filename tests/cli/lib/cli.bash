# tests/cli/lib/cli.bash - what the scripts of tests/cli begin and end with:
# a folder of their own, with no sandbox in it, and a count of what they checked
# shellcheck shell=bash
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../../.." || exit 1
passed=0 failed=0
WORK=$(mktemp -d /tmp/ferry-cli-XXXXXX) || exit 1
trap 'rm -rf "$WORK"' EXIT
export TMPDIR=$WORK
unset XDG_RUNTIME_DIR

result() { # NAME STATUS [DETAIL]
	if [ "$2" -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "not ok - $1: ${3-}"
	fi
}

check() { # NAME STATUS TEXT COMMAND...: its status, and TEXT in what it says
	local name=$1 want=$2 text=$3 out status
	shift 3
	out=$(timeout 20 "$@" 2>&1)
	status=$?
	[ "$status" -eq "$want" ] && [[ $out == *"$text"* ]]
	result "$name" $? "status $status, said: $out"
}

exactly() { # NAME STATUS TEXT COMMAND...: its status, TEXT and nothing else
	local name=$1 want=$2 text=$3 out status
	shift 3
	out=$(timeout 20 "$@" 2>&1 </dev/null)
	status=$?
	[ "$status" -eq "$want" ] && [ "$out" = "$text" ]
	result "$name" $? "status $status, said: $out"
}

finish() {
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
