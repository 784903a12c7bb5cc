#!/bin/bash
# ferry save and ferry restore: what they say of what is not there or is damaged.
# What they do is in tests/e2e/save.sh.
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TMPDIR=$dir
unset XDG_RUNTIME_DIR
n=0 failed=0

check() { # NAME STATUS WANTED-TEXT COMMAND...
	local name=$1 want=$2 text=$3 out status
	shift 3
	out=$(timeout 20 "$@" 2>&1)
	status=$?
	n=$((n + 1))
	if [ "$status" -eq "$want" ] && [[ $out == *"$text"* ]]; then
		echo "ok $n - $name"
	else
		failed=$((failed + 1))
		echo "not ok $n - $name (status $status): $out"
	fi
}

build/ferry state seal tests/golden/state/01-plain.bin "$dir/f" || exit 1
cp "$dir/f" "$dir/g"
cp "$dir/f" "$dir/g.more"
check save-nobody 1 'nobody' build/ferry save nobody "$dir/new"
check save-no-file 2 'want a sandbox and a file' build/ferry save nobody
check save-bad-option 2 'ferry save --help' build/ferry save --nope
check restore-nothing 1 'No such file' build/ferry restore "$dir/none"
check restore-no-folder 1 'No such file' build/ferry restore "$dir/none/f"
check restore-a-part 1 'f.more: No such file' build/ferry restore "$dir/f"
check restore-no-save 2 'g.more' build/ferry restore "$dir/g"
check restore-no-file 2 'want one file' build/ferry restore
check restore-bad-option 2 'ferry restore --help' build/ferry restore --nope
head -c -1 "$dir/f" >"$dir/cut"
check restore-cut 2 'shorter than it says' build/ferry restore "$dir/cut"
check nothing-was-begun 0 '' test -z "$(ls "$dir"/ferry-* 2>/dev/null)"
echo "1..$n"
[ "$failed" -eq 0 ]
