#!/bin/bash
# Two builds in different folders give bit-identical guest programs and images:
# this tree's, and one of a copy elsewhere, with another umask, time zone,
# locale, and all files' times changed. build/deps is shared by a link.
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

result() { # NAME STATUS
	if [ "$2" -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "not ok - $1"
	fi
}

copy=$dir/a/rather/longer/way/to/the/tree
mkdir -p "$copy"
tar -cf - --exclude=./build --exclude=./.git . | tar -xf - -C "$copy" --touch

# Without what was prepared, make stops at once and says what to do.
said=$(env -u MAKEFLAGS -u MAKELEVEL make -C "$copy" 2>&1)
[ $? -eq 2 ] && grep -q 'run tools/setup.sh first' <<<"$said" && [ ! -e "$copy/build" ]
result 'make asks for the set-up' $?

mkdir "$copy/build"
ln -s "$(realpath build/deps)" "$copy/build/deps"
programs=()
for program in build/guest/bin/*; do
	programs+=("$program")
done
(
	umask 077
	env -u MAKEFLAGS -u MAKELEVEL TZ=Asia/Tokyo LANG=C.UTF-8 \
		make -s -C "$copy" "${programs[@]}"
) >"$dir/log" 2>&1 || {
	tail -n 20 "$dir/log"
	result 'the copy builds' 1
}
for program in "${programs[@]}"; do
	cmp "$program" "$copy/$program"
	result "$program" $?
done

image() { # TREE -> image on stdout
	build/ferry image build --init "$1/build/guest/bin/init" \
		--vsockexec "$1/build/guest/bin/vsockexec" \
		--agent "$1/build/guest/bin/gcs" -o "$dir/image" && cat "$dir/image"
}
image . >"$dir/one" && image "$copy" >"$dir/two" && cmp "$dir/one" "$dir/two" &&
	cmp "$dir/one" build/lib/ferry/initramfs.img
result 'the image' $?

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
