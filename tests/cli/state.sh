#!/bin/bash
# ferry state: what it says of files, sealed and bare.
# shellcheck source=tests/cli/lib/cli.bash
. "$(dirname "$0")/lib/cli.bash"
vectors=tests/golden/state

head -c 32 /dev/zero >"$WORK/key"
printf 'another key, as long as needed..' >"$WORK/other"
printf 'short' >"$WORK/short"

check seal 0 '' build/ferry state seal $vectors/01-plain.bin "$WORK/sealed"
check seal-with-a-key 0 '' build/ferry state seal --key-file "$WORK/key" \
	$vectors/01-plain.bin "$WORK/keyed"
check seal-overwrites-nothing 1 'File exists' build/ferry state seal \
	$vectors/01-plain.bin "$WORK/sealed"
check short-key 2 'want 16 to 4096 bytes' build/ferry state seal \
	--key-file "$WORK/short" $vectors/01-plain.bin "$WORK/none"
check show 0 'pod q, in the guest g' build/ferry state show "$WORK/sealed"
check show-bare 0 'disk 0:2 /scratch.img writable, 2 mounts' build/ferry state show $vectors/01-plain.bin
check show-devices 0 'share /srv at /g, 2 holders' build/ferry state show \
	$vectors/02-with-extensions.bin
check show-json 0 '"schemaVersion"' build/ferry state show --json "$WORK/sealed"
check check 0 'accepted, seal intact, 2 pods' build/ferry state check "$WORK/sealed"
check check-json 0 '"verdict":"accept"' build/ferry state check --json "$WORK/sealed"
check stdin 0 'accepted' bash -c "build/ferry state check - <$WORK/sealed"
check keyed 0 'seal intact' build/ferry state check --key-file "$WORK/key" "$WORK/keyed"
check keyed-without 2 'sealed with a key' build/ferry state check "$WORK/keyed"
check keyed-otherwise 2 'not of this key' build/ferry state check \
	--key-file "$WORK/other" "$WORK/keyed"
check key-for-a-sum 2 'sealed without a key' build/ferry state check \
	--key-file "$WORK/key" "$WORK/sealed"
check key-for-bare 2 'has no seal' build/ferry state check \
	--key-file "$WORK/key" $vectors/01-plain.bin

cp "$WORK/sealed" "$WORK/flipped"
printf '\001' | dd of="$WORK/flipped" bs=1 seek=700 conv=notrunc 2>/dev/null
check flipped 2 'damaged' build/ferry state check "$WORK/flipped"
head -c -1 "$WORK/sealed" >"$WORK/cut"
check cut 2 'shorter than it says' build/ferry state check "$WORK/cut"
check refused-by-rule 2 'process' build/ferry state check $vectors/03-exec.bin
check refused-by-rule-json 2 '"rule":"S55"' build/ferry state check --json \
	$vectors/03-exec.bin

check same 0 '' build/ferry state diff "$WORK/sealed" $vectors/01-plain.bin
check differs 1 '+ ' build/ferry state diff "$WORK/sealed" \
	$vectors/02-with-extensions.bin
check differs-json 1 '"added": [' build/ferry state diff --json "$WORK/sealed" \
	$vectors/02-with-extensions.bin
check full-disk 1 'cannot write' bash -c "build/ferry state show $WORK/sealed >/dev/full"
check no-file 1 'No such file' build/ferry state show "$WORK/none"
check no-verb 2 'want show, check, diff or seal' build/ferry state
check bad-option 2 'ferry state --help' build/ferry state --nope
finish
