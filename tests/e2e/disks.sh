#!/bin/bash
# tests/e2e/disks.sh - disks of a UVM: plugged, mounted, combined, unplugged;
# and network cards that come and go
#
# build/tests/diskdrive is the host side: a line a command, a line an answer.
# Longer with FERRY_SOAK=1: ROUNDS.
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
# shellcheck source=tests/e2e/lib/diskdrive.bash
. "$(dirname "$0")/lib/diskdrive.bash"
need qemu-system-x86_64 mkfs.ext4 mkfs.erofs mkfifo
rounds=$(count 20 1000)

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
sums=$(sha256sum "$WORK/low.img" "$WORK/top.img" "$WORK/ro.img")

# --- the UVM -----------------------------------------------------------------------

drive_start "$LIB/vmlinux" "$LIB/initramfs.img"

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
check "the bundle's bind goes with it, for no container has it" \
	gives 'exit 1' run "grep -q ' $bundle ' /proc/mounts"
for lun in 1 2 3; do
	check "disk $lun is unmounted" gives ok remove "$(disk $lun)"
	check "disk $lun is pulled" gives ok unplug $lun
done

# A disk that goes while it is in use: what was made of it can be taken away.
check "lower layer" gives ok plug 1 ro "$WORK/low.img"
check "scratch" gives ok plug 3 rw "$WORK/scratch.img"
check "lower layer mounted" gives ok add "$(disk 1 ',"ReadOnly":true')"
check "scratch mounted" gives ok add "$(disk 3)"
check "they are combined" gives ok add "${layers/"{\"Path\":\"$at/0_2_0\"},"/}"
check "written to, and forgotten" gives 'exit 0' run \
	"echo new >$bundle/rootfs/same; sync; echo 3 >/proc/sys/vm/drop_caches"
check "the scratch is pulled" gives ok unplug 3
check "which is noticed by who writes" gives 'exit *' run \
	"echo more >$bundle/rootfs/more; sync"
check "the root goes all the same" gives ok remove \
	"CombinedLayers {\"ContainerRootPath\":\"$bundle/rootfs\"}"
check "and so does the bundle" gives 'exit 1' run \
	"grep ' $bundle' /proc/mounts || test -e $bundle"
check "and the mount of the disk" gives ok remove "$(disk 3)"
check "disk 1 is unmounted" gives ok remove "$(disk 1)"
check "disk 1 is pulled" gives ok unplug 1
if [ "${FERRY_SOAK:-0}" = 1 ]; then # it takes half a minute
	check "a disk that was never there is an error in time" gives \
		'error *no disk at controller 0, LUN 9*' add "$(disk 9)"
fi

# --- many times --------------------------------------------------------------------

# Mounts, descriptors of the agent, disks, network namespaces, cards.
state_line() {
	# The parent of what the agent runs is the agent; pidof names its jobs as well.
	# shellcheck disable=SC2016
	ask run 'grep -c . /proc/mounts; ls /proc/$PPID/fd | wc -l; grep -c . /proc/partitions; stat -L -c %i /proc/[0-9]*/ns/net 2>/dev/null | sort -u | wc -l; ls /sys/class/net'
	tr '\n' ' ' <"$WORK/out"
}
state_is() { # STATE-LINE
	local now
	now=$(state_line)
	[ "$now" = "$1" ] || { echo "$now instead of $1"; false; }
}
no_job() { gives ok dump "jobs" && out_has "work=0 wait=0 queued=0 stuck=0"; }
memory() {
	# shellcheck disable=SC2016
	ask run 'grep ^Rss /proc/$PPID/smaps_rollup | tr -dc "0-9\n"'
	cat "$WORK/out"
}
all_rounds() { # ROUND
	local i
	for ((i = 0; i < rounds; i++)); do
		"$1" || { echo "round $i"; return 1; }
	done
}
# Of what is over the agent keeps the exit codes that were told, 256 of them
# (PROCESS_TOLD_MAX): with that table full, a further process adds nothing.
fill_told() {
	local i
	for ((i = 0; i < 256; i++)); do
		gives 'exit 0' run true || return
	done
}
many() { # ROUND WORDS
	local was kib now
	"$1" >"$WORK/check" 2>&1
	was=$(state_line)
	kib=$(memory)
	check "$rounds times $2" all_rounds "$1"
	check "nothing is left of it" wait_for 20 state_is "$was"
	now=$(memory)
	check "the agent is no larger: $kib KiB, then $now KiB" \
		[ "$((now - kib))" -le 64 ]
}

disk_round() {
	gives ok plug 1 ro "$WORK/ro.img" &&
		gives ok add "$(disk 1 ',"ReadOnly":true')" &&
		gives ok remove "$(disk 1)" &&
		gives ok remove 'SCSIDevice {"Lun":1}' && gives ok unplug 1
}
many disk_round "a disk plugged, mounted, unmounted, unplugged"

# Cards come to a pod that is there, and go.
ns=0bad0bad-0000-0000-0000-000000000001
adapter() { # MOREJSON
	echo "Network {\"NamespaceID\":\"$ns\",\"ID\":\"one\",\"MacAddress\":\"00-15-5D-00-00-02\"${1:-}}"
}
# A card that is plugged is there when the kernel has seen it; the agent waits for
# 5 s only, and a busy machine may take longer.
plugged() {
	gives ok card 0 00:15:5d:00:00:02 && gives 'exit 0' run \
		"i=0; until grep -qs 00:15:5d:00:00:02 /sys/class/net/*/address; do i=\$((i + 1)); [ \$i -lt 600 ] || exit 1; sleep 0.1; done"
}
in_pod() { # TEXT: what cards of the pod there are, with their addresses
	tells "$1" "nsenter -t $init -n ip -4 -o addr show | awk '\$2 != \"lo\" { print \$2, \$4 }'"
}
address=',"IPConfigs":[{"IPAddress":"10.7.0.1","PrefixLength":24}]'
card_round() {
	plugged && gives ok add "$(adapter "$address")" &&
		in_pod "eth0 10.7.0.1/24" &&
		gives ok remove "$(adapter)" && gives ok pull 0 && in_pod ""
}
cat >"$WORK/pod.json" <<END
{ "ociVersion": "1.0.2",
  "process": { "user": { "uid": 0, "gid": 0 }, "cwd": "/",
    "args": ["/bin/busybox", "sleep", "100000"] },
  "root": { "path": "/run/gcs/c/pod/rootfs" },
  "annotations": { "io.kubernetes.cri.container-type": "sandbox",
    "io.kubernetes.cri.sandbox-id": "pod" },
  "windows": { "network": { "networkNamespace": "$ns" } },
  "mounts": [ { "destination": "/proc", "type": "proc", "source": "proc" } ],
  "linux": { "namespaces": [ { "type": "pid" }, { "type": "network" },
    { "type": "ipc" }, { "type": "uts" }, { "type": "mount" } ] } }
END
rounds=$(count 5 1000)
before=$(state_line)
root=/run/gcs/c/pod/rootfs
check "a pod's root" gives 'exit 0' run "mkdir -p $root && mount -t tmpfs tmpfs $root && mkdir $root/bin $root/dev $root/proc && cp /bin/busybox $root/bin"
check "its card is plugged" plugged
check "and told" gives ok add "$(adapter "$address")"
check "the pod is there" gives ok create pod "$WORK/pod.json"
init=$(cat "$WORK/out")
check "with its card" gives ok remove "$(adapter)"
check "which goes" gives ok pull 0
[ "$rounds" -lt 100 ] || check "the agent has told of many exits" fill_told
many card_round "a card plugged into the pod, given an address, unplugged"
check "its namespace is known" gives ok dump network
check "without a card" out_has "network $ns assigned=1 adapters=0"
check "the pod ends" gives ok kill pod
check "and its root" gives 'exit 0' run "umount $root"
check "it goes" gives ok delete pod
check "with its namespace" gives ok dump network
check "which nobody knows" out_is "networks n=0"
check "nothing is left of the pod" wait_for 20 state_is "$before"
check "no job is left" wait_for 20 no_job

drive_end
check "the UVM powers off" status_is 0
check "read-only disks are what they were" \
	[ "$(sha256sum "$WORK/low.img" "$WORK/top.img" "$WORK/ro.img")" = "$sums" ]
finish
