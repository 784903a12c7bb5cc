#!/bin/bash
# tests/e2e/shares.sh - folders of the host over 9p, and file systems in pmem
#
# The kernel of the other tests has no 9p, so Debian's general one is booted,
# with an image of its own. The 9p server is diod, behind a port of the host as
# the reference's server is: the guest dials, and its kernel speaks on the
# connection. A share's name is the folder here; the reference's are numbers.
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
# shellcheck source=tests/e2e/lib/diskdrive.bash
. "$(dirname "$0")/lib/diskdrive.bash"
PATH=$PATH:/usr/sbin:/sbin
need qemu-system-x86_64 mkfs.ext4 mkfifo diod
generic=build/deps/generic
if ! [ -s $generic/vmlinuz ]; then
	skip "all of shares.sh" "no $generic, see tools/setup.sh"
	finish
fi

# --- the UVM -----------------------------------------------------------------------
# Two file systems in one pmem: the first is the whole device's, the second a
# region of it.

mkdir "$WORK"/{share,one,two,bin}
echo from-host >"$WORK/share/file"
echo one >"$WORK/one/file"
echo two >"$WORK/two/file"
mib=$((1 << 20))
truncate -s 32M "$WORK/pmem" && truncate -s 8M "$WORK/two.img" &&
	mkfs.ext4 -q -d "$WORK/one" "$WORK/pmem" 16M &&
	mkfs.ext4 -q -d "$WORK/two" "$WORK/two.img" &&
	dd if="$WORK/two.img" of="$WORK/pmem" bs=1M seek=16 conv=notrunc \
		status=none
check "a pmem's file was made" [ "$?" -eq 0 ]
sum=$(sha256sum "$WORK/pmem")

# What ferry's own UVMs do not have: a machine with an NVDIMM.
real=$(command -v qemu-system-x86_64)
cat >"$WORK/bin/qemu-system-x86_64" <<END
#!/bin/bash
exec -a qemu-system-x86_64 $real "\$@" -machine nvdimm=on \\
	-m size=512M,slots=2,maxmem=2G -device nvdimm,memdev=pmem \\
	-object memory-backend-file,id=pmem,mem-path=$WORK/pmem,size=32M,share=on
END
chmod +x "$WORK/bin/qemu-system-x86_64"
build/ferry image vmlinux $generic/vmlinuz -o "$WORK/vmlinux" >"$WORK/out" 2>&1 &&
	build/ferry image build --kernel-modules $generic/modules \
		--module 9p --module 9pnet_fd --module ext4 \
		--module crc32c_generic --module nfit --module nd_pmem \
		--module dm_mod -o "$WORK/image" >>"$WORK/out" 2>&1
check "an image for the general kernel" [ "$?" -eq 0 ]
PATH=$WORK/bin:$PATH drive_start "$WORK/vmlinux" "$WORK/image"

# --- a folder of the host ------------------------------------------------------------

port=50564
at=/run/mounts/plan9/0
share() { # MOREJSON
	echo "MappedDirectory {\"MountPath\":\"$at\",\"Port\":$port,\"ShareName\":\"$WORK/share\"${1:-}}"
}
check "a server on the host" gives ok serve $port \
	"exec diod -f -n -S -U $(id -un) -c /dev/null -L stderr -e $WORK/share -r 0 -w 1"
check "its folder is mounted" gives ok add "$(share)"
check "as 9p" gives 'exit 0' run "grep -q ' $at 9p rw' /proc/mounts"
check "a file is read" tells from-host cat $at/file
check "a file is written" gives 'exit 0' run "echo from-guest >$at/new"
check "and is there" [ "$(cat "$WORK/share/new")" = from-guest ]
head -c $((3 * mib)) /dev/urandom >"$WORK/share/large"
check "one of 3 MiB is the same" tells \
	"$(sha256sum <"$WORK/share/large")" "sha256sum <$at/large"
check "DumpStacks knows the share" gives ok dump "volume plan9"
check "it is unmounted" gives ok remove "$(share)"
check "and its folder is gone" gives 'exit 1' run "test -e $at"
check "once more is fine" gives ok remove "$(share)"

check "read-only" gives ok add "$(share ',"ReadOnly":true')"
check "it is read" tells from-host cat $at/file
check "and not written" gives 'exit 1' run "touch $at/x 2>/dev/null"
check "nor there" [ ! -e "$WORK/share/x" ]
check "it goes" gives ok remove "$(share)"

check "a share that is not exported is refused" gives 'error *' add \
	"MappedDirectory {\"MountPath\":\"$at\",\"Port\":$port,\"ShareName\":\"/etc\"}"
check "and leaves no folder" gives 'exit 1' run "test -e $at"

# --- without a server ----------------------------------------------------------------

check "a share once more" gives ok add "$(share)"
check "its server is killed" gives ok end $port
check "a read is an error, and comes back" gives 'exit 1' run \
	"cat $at/file 2>/dev/null"
check "the agent answers" gives 'exit 0' run true
check "it is unmounted all the same" gives ok remove "$(share)"
check "nobody listens: an error" gives 'error *' add "$(share)"
check "and no folder" gives 'exit 1' run "test -e $at"

# --- pmem ----------------------------------------------------------------------------

pmem() { # PATH MOREJSON
	echo "VPMemDevice {\"DeviceNumber\":0,\"MountPath\":\"$1\"${2:-}}"
}
region=",\"MappingInfo\":{\"DeviceOffsetInBytes\":$((16 * mib)),\"DeviceSizeInBytes\":$((8 * mib))}"
check "a file system in pmem is mounted" gives ok add "$(pmem /run/layers/p0)"
check "its file is read" tells one cat /run/layers/p0/file
check "read-only, with noload" gives 'exit 0' run \
	"grep ' /run/layers/p0 ext4 ro' /proc/mounts | grep -q norecovery"
check "it is unmounted" gives ok remove "$(pmem /run/layers/p0)"
check "a region of it" gives ok add "$(pmem /run/layers/r "$region")"
check "is another one" tells two cat /run/layers/r/file
check "behind a device of its own" tells \
	"dm-linear-pmem0-$((16 * mib))-$((8 * mib))" cat /sys/block/dm-0/dm/name
check "which goes with it" gives ok remove "$(pmem /run/layers/r "$region")"
check "and is gone" gives 'exit 1' run "test -e /sys/block/dm-0"
no_job() { gives ok dump "jobs" && out_has "work=0 wait=0 queued=0 stuck=0"; }
check "no job is left" wait_for 20 no_job

drive_end
check "the UVM powers off" status_is 0
check "the pmem is what it was" [ "$(sha256sum "$WORK/pmem")" = "$sum" ]
check "nothing is left" nothing_left
finish
