#!/bin/bash
# tests/e2e/disks.sh - disks of a UVM: plugged, mounted, combined, unplugged
#
# build/tests/diskdrive is the host side: a line a command, a line an answer.
# Longer with FERRY_SOAK=1: ROUNDS.
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 mkfs.ext4 mkfs.erofs mkfifo
rounds=$(count 20 1000)
base=$WORK/v

# --- disks -------------------------------------------------------------------------
# Layers as an image's unpacker leaves them: whiteouts are devices 0:0, opaque
# folders have an attribute that mkfs.erofs takes over.

# Two Linux partitions in an MBR: sectors 2048 to 10239, and 10240 to 26623.
partitions() {
	{
		printf '\0\0\0\0\203\0\0\0\0\10\0\0\0\40\0\0'
		printf '\0\0\0\0\203\0\0\0\0\50\0\0\0\100\0\0'
	} | dd of="$1" bs=1 seek=446 conv=notrunc status=none
	printf '\125\252' | dd of="$1" bs=1 seek=510 conv=notrunc status=none
}

mkdir -p "$WORK"/{low,top}/dir "$WORK/low/gone" "$WORK/ro"
echo low >"$WORK/low/same"
echo hidden >"$WORK/low/dir/hidden"
echo low >"$WORK/low/only-low"
echo x >"$WORK/low/gone/x"
echo top >"$WORK/top/same"
echo seen >"$WORK/top/dir/seen"
echo content >"$WORK/ro/file"
special=1
mknod "$WORK/top/gone" c 0 0 2>"$WORK/err" &&
	python3 - "$WORK/top/dir" <<'END' 2>>"$WORK/err" || special=0
import os, sys
os.setxattr(sys.argv[1], "trusted.overlay.opaque", b"y")
END
mkfs.erofs -x1 "$WORK/low.img" "$WORK/low" >"$WORK/out" 2>&1 &&
	mkfs.erofs -x1 "$WORK/top.img" "$WORK/top" >>"$WORK/out" 2>&1 &&
	truncate -s 16M "$WORK/ro.img" "$WORK/scratch.img" "$WORK/part.img" \
		"$WORK/empty.img" &&
	mkfs.ext4 -q -d "$WORK/ro" "$WORK/ro.img" &&
	mkfs.ext4 -q "$WORK/scratch.img" &&
	partitions "$WORK/part.img" &&
	truncate -s 8M "$WORK/one.img" &&
	mkfs.ext4 -q -d "$WORK/ro" "$WORK/one.img" &&
	dd if="$WORK/one.img" of="$WORK/part.img" bs=1M seek=5 conv=notrunc \
		status=none
check "disks were made" [ "$?" -eq 0 ]
before=$(sha256sum "$WORK/low.img" "$WORK/top.img" "$WORK/ro.img")

# --- the UVM -----------------------------------------------------------------------

line=$(build/ferry cmdline build --processors 2 --annotation "$MIGRATABLE")
mkfifo "$WORK/in"
: >"$WORK/answers"
timeout --kill-after=10 "$(count 300 3600)" build/tests/diskdrive "$base" \
	"$LIB/vmlinux" "$LIB/initramfs.img" "$LIB/vhost-vsock.so" "$line" \
	<"$WORK/in" >"$WORK/answers" 2>"$WORK/err" &
drive=$!
exec 4>"$WORK/in" 5<"$WORK/answers"

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
disk() { # LUN MOREJSON
	echo "MappedVirtualDisk {\"Lun\":$1,\"MountPath\":\"/run/mounts/scsi/0_$1_0\"${2:-}}"
}
at=/run/mounts/scsi

check "a disk is plugged" gives ok plug 1 ro "$WORK/ro.img"
check "and mounted" gives ok add "$(disk 1 ',"ReadOnly":true')"
check "its file is read" tells content cat $at/0_1_0/file
check "it is read-only" gives 'exit 1' run "touch $at/0_1_0/x"
check "with ext4's noload" gives 'exit 0' run \
	"grep ' $at/0_1_0 ext4 ro' /proc/mounts | grep -q norecovery"
check "DumpStacks knows it" gives ok dump "volume disk"
check "with place, device and type" out_has \
	'at=0:1:0 encrypted=0 device=sda type=ext4'
check "it is unmounted" gives ok remove "$(disk 1)"
check "once more is fine" gives ok remove "$(disk 1)"
check "and its folder is gone" gives 'exit 1' run "test -e $at/0_1_0"
check "it is taken from the kernel" gives ok remove 'SCSIDevice {"Lun":1}'
check "once more is fine, too" gives ok remove 'SCSIDevice {"Lun":1}'
check "and pulled" gives ok unplug 1

check "a disk with partitions" gives ok plug 2 rw "$WORK/part.img"
check "the second one is mounted" gives ok add "$(disk 2 ',"Partition":2')"
check "and read" tells content cat $at/0_2_0/file
check "and written" gives 'exit 0' run "echo new >$at/0_2_0/new"
check "and gone" gives ok remove "$(disk 2)"
check "a link to a disk" gives ok add "$(disk 2 ',"BlockDev":true')"
check "leads to its device" gives 'exit 0' run "test -b $at/0_2_0"
check "and goes" gives ok remove "$(disk 2 ',"BlockDev":true')"
check "a partition that is not there: no answer is waited for in vain" \
	gives ok remove 'SCSIDevice {"Lun":2}'
check "the disk goes" gives ok unplug 2

check "an empty disk" gives ok plug 3 rw "$WORK/empty.img"
check "without a file system is refused" gives 'error *no known file system*' \
	add "$(disk 3)"
check "cannot be formatted by this image, in words" gives \
	'error *the image has no mkfs.ext4*' \
	add "$(disk 3 ',"EnsureFilesystem":true,"Filesystem":"ext4"')"
check "nor encrypted" gives 'error *the image has no cryptsetup*' \
	add "$(disk 3 ',"Encrypted":true,"Filesystem":"ext4"')"
check "nothing is left of it" gives 'exit 1' run "test -e $at/0_3_0"
check "it goes" gives ok unplug 3

# --- layers ------------------------------------------------------------------------

check "lower layer" gives ok plug 1 ro "$WORK/low.img"
check "upper layer" gives ok plug 2 ro "$WORK/top.img"
check "scratch" gives ok plug 3 rw "$WORK/scratch.img"
check "lower layer mounted" gives ok add "$(disk 1 ',"ReadOnly":true')"
check "upper layer mounted" gives ok add "$(disk 2 ',"ReadOnly":true')"
check "scratch mounted" gives ok add "$(disk 3)"
bundle=/run/gcs/pods/p/c
layers="CombinedLayers {\"ContainerRootPath\":\"$bundle/rootfs\",
\"Layers\":[{\"Path\":\"$at/0_2_0\"},{\"Path\":\"$at/0_1_0\"}],
\"ScratchPath\":\"$at/0_3_0/scratch/c\"}"
layers=${layers//$'\n'/}
check "they are combined" gives ok add "$layers"
check "the upper one wins" tells top cat $bundle/rootfs/same
check "the lower one shows" tells low cat $bundle/rootfs/only-low
if [ "$special" = 1 ]; then
	check "a whiteout hides" gives 'exit 1' run "test -e $bundle/rootfs/gone"
	check "an opaque folder hides" tells seen ls $bundle/rootfs/dir
else
	skip "whiteouts and opaque folders" "they need root"
fi
check "it is written to" gives 'exit 0' run \
	"echo new >$bundle/rootfs/same && rm $bundle/rootfs/only-low"
check "on the scratch" tells new cat $at/0_3_0/scratch/c/upper/same
check "where the bundle is, too" gives 'exit 0' run \
	"touch $bundle/x && test -e $at/0_3_0/scratch/c/bundle/x"
check "the root goes" gives ok remove \
	"CombinedLayers {\"ContainerRootPath\":\"$bundle/rootfs\"}"
check "the bundle's bind goes" gives 'exit 0' run "umount $bundle"
for lun in 1 2 3; do
	check "disk $lun is unmounted" gives ok remove "$(disk $lun)"
	check "disk $lun is pulled" gives ok unplug $lun
done
if [ "${FERRY_SOAK:-0}" = 1 ]; then # it takes half a minute
	check "a disk that was never there is an error in time" gives \
		'error *no disk at controller 0, LUN 9*' add "$(disk 9)"
fi

# --- many times --------------------------------------------------------------------

state_line() { # mounts, descriptors of the agent, disks
	# shellcheck disable=SC2016
	ask run 'p=$(pidof gcs); grep -c . /proc/mounts; ls /proc/$p/fd | wc -l; grep -c . /proc/partitions'
	tr '\n' ' ' <"$WORK/out"
}
memory() {
	# shellcheck disable=SC2016
	ask run 'grep -E "VmRSS" /proc/$(pidof gcs)/status | tr -dc "0-9\n"'
	cat "$WORK/out"
}
round() {
	gives ok plug 1 ro "$WORK/ro.img" &&
		gives ok add "$(disk 1 ',"ReadOnly":true')" &&
		gives ok remove "$(disk 1)" &&
		gives ok remove 'SCSIDevice {"Lun":1}' && gives ok unplug 1
}
all_rounds() {
	local i
	for ((i = 0; i < rounds; i++)); do
		round || { echo "round $i"; return 1; }
	done
}
round >"$WORK/check" 2>&1
was=$(state_line)
kib=$(memory)
check "$rounds times plugged, mounted, unmounted, unplugged" all_rounds
check "no mount, descriptor or disk is left" [ "$(state_line)" = "$was" ]
now=$(memory)
check "the agent is no larger: $kib KiB, then $now KiB" \
	[ "$((now - kib))" -le 64 ]
check "no job is left" gives ok dump "jobs"
check "not one" out_has "work=0 wait=0 queued=0 stuck=0"

exec 4>&-
wait "$drive"
status=$?
check "the UVM powers off" status_is 0
check "read-only disks are what they were" \
	[ "$(sha256sum "$WORK/low.img" "$WORK/top.img" "$WORK/ro.img")" = "$before" ]
finish
