#!/bin/bash
# ferry state: what it says of files, sealed and bare.
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0 failed=0
vectors=tests/golden/state

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

head -c 32 /dev/zero >"$dir/key"
printf 'another key, as long as needed..' >"$dir/other"
printf 'short' >"$dir/short"

check seal 0 '' build/ferry state seal $vectors/01-plain.bin "$dir/sealed"
check seal-with-a-key 0 '' build/ferry state seal --key-file "$dir/key" \
	$vectors/01-plain.bin "$dir/keyed"
check seal-overwrites-nothing 1 'File exists' build/ferry state seal \
	$vectors/01-plain.bin "$dir/sealed"
check short-key 2 'want 16 to 4096 bytes' build/ferry state seal \
	--key-file "$dir/short" $vectors/01-plain.bin "$dir/none"
check show 0 'pod q, in the guest g' build/ferry state show "$dir/sealed"
check show-bare 0 'disk 0:2 /scratch.img writable, 2 mounts' build/ferry state show $vectors/01-plain.bin
check show-devices 0 'share /srv at /g, 2 holders' build/ferry state show \
	$vectors/02-with-extensions.bin
check show-json 0 '"schemaVersion"' build/ferry state show --json "$dir/sealed"
check check 0 'accepted, seal intact, 2 pods' build/ferry state check "$dir/sealed"
check check-json 0 '"verdict":"accept"' build/ferry state check --json "$dir/sealed"
check stdin 0 'accepted' bash -c "build/ferry state check - <$dir/sealed"
check keyed 0 'seal intact' build/ferry state check --key-file "$dir/key" "$dir/keyed"
check keyed-without 2 'sealed with a key' build/ferry state check "$dir/keyed"
check keyed-otherwise 2 'not of this key' build/ferry state check \
	--key-file "$dir/other" "$dir/keyed"
check key-for-a-sum 2 'sealed without a key' build/ferry state check \
	--key-file "$dir/key" "$dir/sealed"
check key-for-bare 2 'has no seal' build/ferry state check \
	--key-file "$dir/key" $vectors/01-plain.bin

cp "$dir/sealed" "$dir/flipped"
printf '\001' | dd of="$dir/flipped" bs=1 seek=700 conv=notrunc 2>/dev/null
check flipped 2 'damaged' build/ferry state check "$dir/flipped"
head -c -1 "$dir/sealed" >"$dir/cut"
check cut 2 'shorter than it says' build/ferry state check "$dir/cut"
check refused-by-rule 2 'process' build/ferry state check $vectors/03-exec.bin
check refused-by-rule-json 2 '"rule":"S55"' build/ferry state check --json \
	$vectors/03-exec.bin

check same 0 '' build/ferry state diff "$dir/sealed" $vectors/01-plain.bin
check differs 1 '+ ' build/ferry state diff "$dir/sealed" \
	$vectors/02-with-extensions.bin
check differs-json 1 '"added": [' build/ferry state diff --json "$dir/sealed" \
	$vectors/02-with-extensions.bin
check full-disk 1 'cannot write' bash -c "build/ferry state show $dir/sealed >/dev/full"
check no-file 1 'No such file' build/ferry state show "$dir/none"
check no-verb 2 'want show, check, diff or seal' build/ferry state
check bad-option 2 'ferry state --help' build/ferry state --nope
echo "1..$n"
[ "$failed" -eq 0 ]
