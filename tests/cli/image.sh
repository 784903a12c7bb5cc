#!/bin/bash
# ferry image: builds, lists and checks images; every bad input is refused with
# its name; a disk that is full leaves no file.
# shellcheck source=tests/cli/lib/cli.bash
. "$(dirname "$0")/lib/cli.bash"
ferry=$PWD/build/ferry
unset SOURCE_DATE_EPOCH

# expect NAME STATUS TEXT COMMAND...: its status, and TEXT in what it prints
expect() {
	local name=$1 want=$2 text=$3 out status
	shift 3
	out=$("$@" 2>&1)
	status=$?
	[ "$status" -eq "$want" ] && grep -qF -e "$text" <<<"$out"
	result "$name" $? "status $status, said: $out"
}

same() { # NAME EXPECTED ACTUAL
	[ "$2" = "$3" ]
	result "$1" $? "expected '$2', actual '$3'"
}

build() { "$ferry" image build --agent build/guest/bin/init "$@"; }
cat_of() { cpio --quiet -i --to-stdout "$2" <"$1"; }
listing() { "$ferry" image list "$1"; }
boot_modules() {
	cat_of "$1" lib/modules/ferry.list | grep -v ' ' | sed 's|.*/||; s|\.ko$||' |
		tr - _ | tr '\n' ' '
}
device_modules() { # IMAGE DEVICES
	cat_of "$1" lib/modules/ferry.list | sed -n "s| $2\$||p" |
		sed 's|.*/||; s|\.ko$||' | tr - _ | tr '\n' ' '
}

# --- a whole image ---
expect 'build' 0 '' build -o "$WORK/a"
expect 'check' 0 'problems: 0' "$ferry" image check "$WORK/a"
build -o "$WORK/b" && cmp "$WORK/a" "$WORK/b"
result 'the same input gives the same bytes' $?
SOURCE_DATE_EPOCH=86400 build -o "$WORK/b" && ! cmp -s "$WORK/a" "$WORK/b" &&
	[ "$(cpio --quiet -itv <"$WORK/b" | grep -c 'Jan  2  1970')" -gt 10 ]
result 'SOURCE_DATE_EPOCH is the time of every entry' $?
SOURCE_DATE_EPOCH=yes expect 'bad SOURCE_DATE_EPOCH' 2 'SOURCE_DATE_EPOCH' \
	build -o "$WORK/c"
same 'GNU cpio reads the same names' \
	"$(cpio --quiet -it <"$WORK/a")" \
	"$(listing "$WORK/a" | sed -E 's/^.{10} +([0-9]+, *)?[0-9]+ //; s/ -> .*//')"
expect 'the root has an entry of its own' 0 'drwxr-xr-x          0 .' listing "$WORK/a"
expect 'sh is a link to busybox' 0 'bin/sh -> /bin/busybox' listing "$WORK/a"
same 'modules are in load order' \
	'virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci vsock vmw_vsock_virtio_transport_common vmw_vsock_virtio_transport ' \
	"$(boot_modules "$WORK/a")"
same 'modules of disks and networks load for their devices' \
	'scsi_common scsi_mod virtio_scsi sd_mod libcrc32c erofs overlay : failover net_failover virtio_net ' \
	"$(device_modules "$WORK/a" 1af41004,1af41048): $(device_modules "$WORK/a" 1b36000c,1af41000,1af41041)"
"$ferry" image list "$WORK/a" --json >"$WORK/json" &&
	grep -qF '{"name":"init","type":"file","mode":"0755","size":' "$WORK/json" &&
	grep -qF '"target":"/bin/busybox"}' "$WORK/json" &&
	grep -qF '"major":5,"minor":1}' "$WORK/json" &&
	[ "$(head -c 1 "$WORK/json")$(tail -c 2 "$WORK/json")" = '[]' ]
result 'list --json' $?
cat "$WORK/a" "$WORK/a" >"$WORK/b"
expect 'archives may follow each other' 0 'archives: 2' "$ferry" image check "$WORK/b"

# --- options ---
build --module overlay --module virtio-blk -o "$WORK/b"
same 'further modules load after the others' 'overlay virtio_blk ' \
	"$(boot_modules "$WORK/b" | sed 's/.*vmw_vsock_virtio_transport //')"
expect 'no such module' 1 'module hv_sockets: the kernel has none' \
	build --module hv_sockets -o "$WORK/c"
expect 'no kernel modules' 1 "$WORK/modules.dep: No such file" \
	build --kernel-modules "$WORK" -o "$WORK/c"
echo mine >"$WORK/passwd"
build --add "$WORK/passwd:/etc/passwd" --add "$WORK/passwd:/opt/x/y" -o "$WORK/b"
same 'an added file takes the place of another' mine "$(cat_of "$WORK/b" etc/passwd)"
same 'an added file gets its folders' mine "$(cat_of "$WORK/b" opt/x/y)"
expect 'add without a place' 2 'want SOURCE:PATH' build --add "$WORK/passwd" -o "$WORK/c"
expect 'add what is not there' 1 "$WORK/gone" build --add "$WORK/gone:/x" -o "$WORK/c"
expect 'add to a place outside' 2 'not a name for an image' \
	build --add "$WORK/passwd:/../x" -o "$WORK/c"
build --no-busybox -o "$WORK/b"
! listing "$WORK/b" | grep -q busybox
result 'no busybox' $?

# --- the runtime ---
mkdir "$WORK/tree" && (cd "$WORK/tree" && cpio --quiet -id --no-absolute-filenames 2>/dev/null) <"$WORK/a"
loader=$(readelf -lW build/lib/ferry/guest/crun | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
libs=$(echo "$WORK"/tree/lib/*-linux-gnu)
"$WORK/tree$loader" --library-path "$libs" "$WORK/tree/usr/bin/crun" --version 2>&1 | grep -q '^crun version'
result 'the image has all that its crun loads' $?
! "$WORK/tree$loader" --library-path "$libs" --list "$WORK/tree/usr/bin/crun" |
	grep '=> /' | grep -qvF "=> $WORK/tree/"
result 'and takes nothing from elsewhere' $?
build --no-runtime -o "$WORK/b"
! listing "$WORK/b" | grep -qE 'crun|linux-gnu|lib64'
result 'no runtime' $?
expect 'a runtime that is no program' 2 'not an ELF file' \
	build --runtime "$WORK/passwd" -o "$WORK/c"
expect 'busybox that lists nothing' 2 '/bin/true: lists no applets' build --busybox /bin/true -o "$WORK/c"
expect 'no such program' 1 "$WORK/gone: No such file" build --init "$WORK/gone" -o "$WORK/c"
printf 'dir /x 0755\nfile /y 0755\n' >"$WORK/manifest"
expect 'bad manifest' 2 "$WORK/manifest line 2: want" build --manifest "$WORK/manifest" -o "$WORK/c"
printf 'dir /x 0755\nfile /y 0755 @nothing\n' >"$WORK/manifest"
expect 'unknown program' 2 "$WORK/manifest line 2: no program is called @nothing" \
	build --manifest "$WORK/manifest" -o "$WORK/c"
printf 'text /x 0644 1\ntext /x 0644 2\n' >"$WORK/manifest"
expect 'one name twice' 1 '/x: twice in the image' \
	build --manifest "$WORK/manifest" -o "$WORK/c"
"$ferry" image manifest >"$WORK/manifest" && build --manifest "$WORK/manifest" -o "$WORK/b" &&
	cmp "$WORK/a" "$WORK/b"
result 'the printed manifest is the default' $?
[ ! -e "$WORK/c" ]
result 'a failed build leaves no file' $?

# --- check finds what is missing ---
printf 'dir /dev 0755\nfile /init 0644 @init\nfile /bin/gcs 0755 /bin/sh\n' >"$WORK/manifest"
build --manifest "$WORK/manifest" -o "$WORK/b"
expect 'not executable' 1 '/init: not executable' "$ferry" image check "$WORK/b"
expect 'not static' 1 '/bin/gcs: wants a loader: not static' "$ferry" image check "$WORK/b"
expect 'no folder' 1 '/proc: missing' "$ferry" image check "$WORK/b"
printf 'text /lib/modules/ferry.list 0644 /x.ko\\nrel\\n\nslink /init init\n' >"$WORK/manifest"
printf 'text /lib/modules/r/x 0644 y\n' >>"$WORK/manifest"
sed -i 's|/lib/modules/ferry.list|/lib/modules/other|' "$WORK/manifest"
build --manifest "$WORK/manifest" -o "$WORK/b"
expect 'a link to itself' 1 '/init: missing' "$ferry" image check "$WORK/b"
printf '/gone.ko\n' >"$WORK/list"
build --add "$WORK/list:/lib/modules/ferry.list" -o "$WORK/b"
expect 'a listed module is not there' 1 '/gone.ko: in ferry.list, but not a file' \
	"$ferry" image check "$WORK/b"

# --- hostile images ---
head -c 100000 "$WORK/a" >"$WORK/b"
expect 'cut image' 2 'the image ends inside an entry' "$ferry" image check "$WORK/b"
expect 'no image' 2 'no newc header' "$ferry" image list build/ferry
gzip -c "$WORK/list" >"$WORK/b"
expect 'compressed image' 2 'no newc header (compressed' "$ferry" image check "$WORK/b"
: >"$WORK/b"
expect 'empty image' 2 'no archive' "$ferry" image check "$WORK/b"
expect 'no such image' 1 'No such file' "$ferry" image list "$WORK/gone"
expect 'a folder as image' 2 'not a regular file' "$ferry" image list "$WORK"
expect 'listing to a full disk' 1 'No space left on device' \
	sh -c "'$ferry' image list '$WORK/a' >/dev/full"

# --- output ---
expect 'full device' 1 '/dev/full: No space left on device' build -o /dev/full
expect 'no such folder' 1 "$WORK/gone/x: No such file" build -o "$WORK/gone/x"
expect 'output is a folder' 1 "$WORK: is a folder" build -o "$WORK"
expect 'output without a name' 2 'no name' build -o ''
mkdir "$WORK/small"
cat >"$WORK/full" <<-SCRIPT
	mount -t tmpfs -o size=1m tmpfs '$WORK/small' || exit 77
	echo old >'$WORK/small/image'
	'$ferry' image build --agent build/guest/bin/init -o '$WORK/small/image'
	echo "status \$?, \$(ls -A '$WORK/small'), \$(cat '$WORK/small/image')"
SCRIPT
alone=(unshare -m)
[ "$(id -u)" -eq 0 ] || alone=(unshare -rm)
expect 'a full disk keeps the old image and leaves no other file' 0 \
	'status 1, image, old' "${alone[@]}" sh "$WORK/full"
expect 'and says so' 0 'image: No space left on device' "${alone[@]}" sh "$WORK/full"

# --- kernel ---
"$ferry" image vmlinux build/deps/kernel/vmlinuz -o "$WORK/vmlinux" &&
	cmp "$WORK/vmlinux" build/lib/ferry/vmlinux &&
	[ "$(head -c 4 "$WORK/vmlinux" | tail -c 3)" = ELF ]
result 'the kernel of the bzImage' $?
head -c 1000000 build/deps/kernel/vmlinuz >"$WORK/b"
expect 'cut bzImage' 2 'payload outside of the bzImage' \
	"$ferry" image vmlinux "$WORK/b" -o "$WORK/c"
expect 'no bzImage' 2 'not a Linux bzImage' "$ferry" image vmlinux build/ferry -o "$WORK/c"
[ ! -e "$WORK/c" ]
result 'a failed unpacking leaves no file' $?

# --- usage ---
expect 'help' 0 'usage: ferry image build' "$ferry" image --help
expect 'help of a verb' 0 'usage: ferry image build' "$ferry" image build --help
expect 'no verb' 2 "Try 'ferry image --help'" "$ferry" image
expect 'no such verb' 2 "'burn'" "$ferry" image burn
expect 'no such option' 2 'no option --burn' build --burn -o "$WORK/c"
expect 'no value' 2 'wants a value' build -o
expect 'no output' 2 'wants -o' build
expect 'option of another verb' 2 'only build' "$ferry" image list --module x "$WORK/a"
expect 'no file' 2 'wants a file' "$ferry" image check
expect 'two files' 2 'too many files' "$ferry" image check "$WORK/a" "$WORK/a"

finish
