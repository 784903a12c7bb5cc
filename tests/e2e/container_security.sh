#!/bin/bash
# tests/e2e/container_security.sh - what hostile containers and hosts have tried
# before: one part for each advisory, with the real runtime in a real UVM
#
# The UVM is kept by hostdrive; each step is a host side of its own (ctrdrive).
# Bundles are made in the UVM, on a tmpfs. Containers have CAP_MKNOD and their
# own pid namespace. A link is swapped with a folder by the container itself
# (escape swap) while others are created; FERRY_SOAK=1 does that more often.
# What documents may rightly ask for is tried here, too.
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 sha256sum
drive=build/tests/ctrdrive
base=$WORK/v
races=$(count 8 200)

# --- a UVM with a read-only disk ----------------------------------------------------

# hostdrive takes QEMU from PATH: one that adds the disk.
head -c 1048576 /dev/urandom >"$WORK/layer"
layer=$(sha256sum <"$WORK/layer")
mkdir "$WORK/bin"
printf '%s\n' '#!/bin/bash' "exec -a qemu-system-x86_64 \
$(command -v qemu-system-x86_64) \"\$@\" \
-drive file=$WORK/layer,if=none,id=layer,format=raw,readonly=on \
-device virtio-blk-pci,drive=layer" >"$WORK/bin/qemu-system-x86_64"
chmod +x "$WORK/bin/qemu-system-x86_64"

build/ferry image build --add build/tests/guest/escape:/bin/escape \
	-o "$WORK/image" || exit 1
line=$(build/ferry cmdline build --annotation "$MIGRATABLE" --processors 2) ||
	exit 1
PATH=$WORK/bin:$PATH build/tests/hostdrive boot "$base" "$LIB/vmlinux" \
	"$WORK/image" "$LIB/vhost-vsock.so" "$line" >"$WORK/boot" 2>&1 &
boot=$!

step() { # ARG...: of ctrdrive, BASE left out
	local verb=$1
	shift
	timeout --kill-after=5 "$LIMIT_S" "$drive" "$verb" "$base" "$@" \
		>"$WORK/out" 2>"$WORK/err" </dev/null
	status=$?
	return 0
}
uvm() { step uvm /bin/sh -c "$1"; }

# --- documents -------------------------------------------------------------------------

CAPS='["CAP_CHOWN","CAP_MKNOD","CAP_NET_BIND_SERVICE","CAP_DAC_OVERRIDE"]'
process() { # COMMAND [MEMBERS]: a process of the shell
	local words=${1//\\/\\\\}
	words=${words//$'\n'/\\n}
	words=${words//$'\t'/ }
	printf '{"args":["/bin/sh","-c","%s"],"env":["PATH=/bin"],%s
		"capabilities":{"bounding":%s,"effective":%s,"permitted":%s}}' \
		"${words//\"/\\\"}" "${2-\"cwd\":\"/\",\"user\":{\"uid\":0,\"gid\":0\},}" \
		"$CAPS" "$CAPS" "$CAPS"
}
proc='{"destination":"/proc","type":"proc","source":"proc"}'
dev='{"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["mode=755"]}'
spaces='"namespaces":[{"type":"pid"},{"type":"mount"},{"type":"network"}]'

# document PROCESS MOUNTS ANNOTATIONS [LINUX]: into $WORK/doc
document() {
	printf '{"ociVersion":"1.0.2","process":%s,"root":{"path":"rootfs"},
		"mounts":[%s],"annotations":{%s},"linux":{%s}}' \
		"$1" "$2" "$3" "${4:-$spaces}" >"$WORK/doc"
}
kind() { # KIND [POD]
	printf '"io.kubernetes.cri.container-type":"%s",
		"io.kubernetes.cri.sandbox-id":"%s",
		"io.microsoft.cri.skip-pod-networking":"true"' "$1" "${2:-}"
}
alone='"x":"y"'

# rootfs ID [COMMAND]: a bundle with busybox, then COMMAND in its root
rootfs() {
	uvm "set -e; rm -rf /run/gcs/c/$1; mkdir -p /run/gcs/c/$1/rootfs/bin
		cd /run/gcs/c/$1/rootfs; cp /bin/busybox /bin/escape bin
		for i in sh sleep cat ls id grep true mkdir ln stat dd rm; do
			ln -s busybox bin/\$i; done; ${2:-true}"
}
create() { step create "$1" "$WORK/doc"; } # ID
run() { step init "$1"; }                  # ID: its init process to the end
# in ID COMMAND [MEMBERS]: an exec of the shell
in_ctr() {
	process "${@:2}" >"$WORK/process"
	step exec "$1" "$WORK/process"
}
begin() { # ID: create and let go
	create "$1"
	[ "$status" -eq 0 ] && step go "$1"
}
deleted() { # ID: or never was
	step delete "$1"
	[ "$status" -eq 0 ] || out_has 'system not found'
}
away() { # ID: kill and delete, however it stands
	step kill "$1"
	wait_for 60 deleted "$1"
}
refused() { status_is 125 && out_has 'refused: ' && out_has "$1"; }
uvm_says() { uvm "$1" && out_is "$2"; }

uvm 'set -e; insmod $(find /lib/modules -name virtio_blk.ko)
	mkdir -p /run/gcs /run/keep; mount -t tmpfs none /run/gcs
	mount -t tmpfs none /run/keep; echo kept >/run/keep/file
	mkdir /run/keep/mnt; mount -t tmpfs none /run/keep/mnt
	echo uvm >/UVM; cat /proc/sys/kernel/core_pattern >/tmp/pattern'
check "the UVM is up" status_is 0
programs='sha256sum /usr/bin/crun /bin/gcs /init /bin/busybox'
uvm "$programs"
cp "$WORK/out" "$WORK/programs"

# --- a pod to be hostile in ----------------------------------------------------------------

rootfs pod
document "$(process 'sleep 1000')" "$proc,$dev" "$(kind sandbox)"
begin pod
check "a pod" status_is 0
volume='{"destination":"/vol","type":"bind","source":"sandbox://vol","options":["rbind"]}'
rootfs bad 'mkdir vol etc; echo "web:x:33:34::/:" >etc/passwd
	echo "web:x:35:" >etc/group
	printf "#!/proc/self/exe\n" >bin/evil; chmod +x bin/evil
	mkdir lib64; cp bin/escape lib64/ld-linux-x86-64.so.2'
document "$(process 'escape fds >/fds 2>&1; cat /proc/self/status >/status
	sleep 1000')" \
	"$proc,$dev,$volume" "$(kind container pod)"
begin bad
check "and a container of it" status_is 0

# --- what documents may ask for, with the real runtime ----------------------------------

uvm 'mkdir -p /run/mounts/scsi/d /run/share && ln -s /dev/vda /run/mounts/scsi/d/blk &&
	echo shared >/run/share/file'
bind() { # DESTINATION SOURCE
	printf ',{"destination":"%s","type":"bind","source":"%s","options":["rbind","ro"]}' \
		"$1" "$2"
}
lcow=io.microsoft.container.lcow
rootfs asks
document "$(process 'grep core /proc/self/limits; grep -c "/dev/shm .*size=2048k" /proc/mounts
	cat /uvm/file; dd if=/blk bs=512 count=1 2>/dev/null | cat >/x; stat -c %s /x
	grep -o "^none /huge hugetlbfs" /proc/mounts; ls /logs/sub
	echo one >/tmpv/file')" \
	"$proc,$dev,${volume/vol\",\"type/tmpv\",\"type}$(
		bind /dev/shm /none
		bind /uvm uvm:///run/share
		bind blockdev:///blk /run/mounts/scsi/d/blk
		bind /huge hugepages://2M/a
	)" "$(kind container pod), \"io.microsoft.lcow.shm.size-kb\":\"2048\",
	\"io.microsoft.lcow.rlimitcore\":\"7;9\",
	\"$lcow.tee-log-path\":\"sub/log\", \"$lcow.tee-log-dir-mount\":\"/logs\""
sed -i 's,sandbox://vol,sandbox-tmp://t,' "$WORK/doc"
create asks
run asks
want=$'Max core file size        7                    9                    bytes     \n1\nshared\n512\nnone /huge hugetlbfs\nlog'
check "limits, shm, folders and disks of the UVM, huge pages, a log" out_is "$want"
check "the log has what was written" uvm_says 'cat /run/gcs/c/pod/logs/sub/log' "$want"
away asks
check "a pod's memory outlives its containers" uvm_says \
	'cat /run/gcs/c/pod/sandboxTmpfsMounts/t/file' one
rootfs vp
virtual='"io.microsoft.cri.virtual-pod-id":"vp"'
document "$(process 'sleep 1000')" "$proc,$dev" "$(kind container pod),$virtual,
	\"io.microsoft.virtualmachine.lcow.hostnetwork\":\"true\""
begin vp
rootfs asks
document "$(process 'stat -Lc %i /proc/self/ns/net')" "$proc,$dev" \
	"$(kind container pod),$virtual"
create asks
run asks
check "a virtual pod, and one more of it in the UVM's network" \
	uvm_says 'stat -Lc %i /proc/self/ns/net
		ls -d /sys/fs/cgroup/pods/vp/* | grep -c -e /vp$ -e /asks$' "$(cat "$WORK/out")"$'\n2'
away asks
away vp
check "of which nothing is left" uvm_says \
	'ls -d /sys/fs/cgroup/pods/vp /run/gcs/c/vp 2>/dev/null; grep -c /vp /proc/mounts' 0

# --- CVE-2024-21626: descriptors and working folders ----------------------------------------

in_ctr bad 'while ! grep -q Seccomp_ /status; do sleep 0.1; done
	cat /fds; grep ^Cap /status'
want=$'CapInh:\t0000000000000000\nCapPrm:\t0000000008000403\nCapEff:\t0000000008000403\nCapBnd:\t0000000008000403\nCapAmb:\t0000000000000000'
check "init has no descriptor but its streams, and its capabilities" \
	out_is "$want"
in_ctr bad 'escape fds'
check "nor has an exec" status_is 0
check "of which nothing is said" out_is ''
for cwd in /proc/self/fd/7 //proc/1/fd/8 /proc/self/fd/7/../..; do
	in_ctr bad true "\"cwd\":\"$cwd\","
	check "an exec in $cwd is refused" refused descriptor
	rootfs cwd
	document "$(process true "\"cwd\":\"$cwd\",")" "$proc,$dev" "$alone"
	create cwd
	check "a container in $cwd too" refused descriptor
done
# The same by a link of the rootfs, for which the runtime answers.
rootfs cwd 'for i in 3 4 5 6 7 8 9 10; do ln -s /proc/self/fd/$i l$i; done'
for n in 3 5 7 9; do
	document "$(process 'ls; test ! -e UVM && test ! -e ../UVM && test ! -e ../../../UVM' \
		"\"cwd\":\"/l$n\",")" "$proc,$dev" "$alone"
	create cwd
	[ "$status" -eq 0 ] && run cwd
	check "a link to descriptor $n leads nowhere" out_lacks UVM
	away cwd
done

# --- CVE-2022-27650: capabilities of an exec ---------------------------------------------

in_ctr bad 'grep ^Cap /proc/self/status'
check "an exec's are its own document's" out_is "$want"

# --- CVE-2026-30892: user strings ---------------------------------------------------------------

for user in 0x0 +0 -1 root web: :web 4294967295 4294967296 '0:+0' 0:0:0 web:none; do
	in_ctr bad 'id -u' "\"cwd\":\"/\",\"user\":{\"username\":\"$user\"},"
	check "user '$user' is nobody" refused user
done
for row in web=33:34 33=33:34 web:web=33:35 7=7:0 33:0=33:0; do
	in_ctr bad 'echo $(id -u):$(id -g)' \
		"\"cwd\":\"/\",\"user\":{\"username\":\"${row%=*}\"},"
	check "user '${row%=*}' is ${row#*=}" out_is "${row#*=}"
done

# --- CVE-2019-5736: the runtime's own file -----------------------------------------------------

evil=$(process x)
echo "${evil/\"\/bin\/sh\",\"-c\",\"x\"/\"\/bin\/evil\"}" >"$WORK/evil"
step exec bad "$WORK/evil"
in_ctr bad 'while ! grep -q end /watch; do sleep 0.2; done; cat /watch'
check "a container becomes the runtime" out_has 'we are '
check "and cannot overwrite it" out_has 'in vain'
uvm "$programs"
check "the UVM's programs are what they were" cmp "$WORK/out" "$WORK/programs"

# --- P1: a container that dials before the agent does ------------------------------------------

in_ctr bad 'escape dial'
check "a container has no vsock" status_is 0
check "as if there were none" out_has 'socket: Address family not supported'
rootfs vsock
document "$(process 'escape dial')" "$proc,$dev" '"io.ferry.vsock":"true"'
create vsock
run vsock
check "unless it is meant to" out_has 'a socket'
away vsock

# --- CVE-2020-2023, CVE-2026-24834: disks of the UVM ----------------------------------------------

in_ctr bad 'escape mknod'
check "no block device can be opened by a node of one's own" status_is 0
check "and there were some to try" grep -qE '^[1-9][0-9]* tried' "$WORK/out"
rootfs disk
document "$(process 'dd if=/dev/vda bs=512 count=1 2>/dev/null | cat >/x; ls -l /x
	dd if=/bin/sh of=/dev/vda bs=512 count=8 conv=fsync; echo $?')" \
	"$proc,$dev" "$(kind container pod),
	\"io.microsoft.virtualmachine.lcow.privileged\":\"true\""
create disk
run disk
check "a privileged container reads the disk" out_has ' 512 '
check "but cannot write to a layer" \
	test "$(tail -n 1 "$WORK/out")" = 1
away disk
check "which is bit for bit what it was" \
	test "$(sha256sum <"$WORK/layer")" = "$layer"

# --- CVE-2021-30465, CVE-2019-19921: links that come and go --------------------------------------------

in_ctr bad 'cd /vol && mkdir d && ln -s ../../../../../../.. l && mkdir d/x'
rootfs victim 'mkdir s'
document "$(process 'test ! -e /s/UVM')" "$proc,$dev,
	{\"destination\":\"/s\",\"type\":\"bind\",
	\"source\":\"sandbox://vol/l\",\"options\":[\"rbind\"]}" "$(kind container pod)"
create victim
check "a link out of a shared folder is no source of a mount" refused vol/l
in_ctr bad 'cd /vol && escape swap d l >/dev/null 2>&1 &'
tmpfs='"type":"tmpfs","source":"tmpfs"'
seen=0 made=0 lost=''
for ((i = 0; i < races; i++)); do
	rootfs victim 'mkdir vol s'
	document "$(process 'test ! -e /s/UVM')" "$proc,$dev,$volume,
		{\"destination\":\"/vol/d/x\",$tmpfs},
		{\"destination\":\"/s\",\"type\":\"bind\",
		\"source\":\"sandbox://vol/d\",\"options\":[\"rbind\"]}" \
		"$(kind container pod)"
	create victim
	if [ "$status" -eq 0 ]; then
		made=$((made + 1))
		run victim
		[ "$status" -eq 0 ] || seen=$((seen + 1))
		away victim
		[ "$status" -eq 0 ] || lost=$(cat "$WORK/out")
	else
		tail -n 1 "$WORK/out" >>"$WORK/races"
	fi
	uvm_says 'cat /UVM /run/keep/file; ls -d /x 2>/dev/null' $'uvm\nkept' ||
		seen=$((seen + 1))
done
echo "# $races races, $made containers"
sort "$WORK/races" 2>/dev/null | uniq -c | sed 's/^/#   /'
check "no race shows a container the UVM" test "$seen" -eq 0
check "and no container is stuck by one" test -z "$lost"
uvm 'grep -vE " /(run|proc|sys|dev|tmp|cgroup)[/ ]| / " /proc/self/mountinfo'
check "nothing is mounted where it should not be" out_is ''

# --- CVE-2025-31133, -52565, -52881: masks, the console, /proc -----------------------------------------------

masks='"maskedPaths":["/proc/keys","/proc/timer_list"],"readonlyPaths":["/proc/sys"]'
uvm 'echo mine >/run/keep/target'
rootfs masks 'mkdir dev; ln -s /proc/sys/kernel/core_pattern dev/null
	ln -s ../../../../../../run/keep/target dev/console'
document "$(process 'stat -c %t:%T /proc/keys; cat /proc/keys | grep -c .
	echo x >/proc/sys/kernel/core_pattern; echo $?')" "$proc,$dev" "$alone" \
	"$spaces,$masks"
create masks
run masks
check "a masked file is the null device" \
	test "$(head -n 2 "$WORK/out" | tr '\n' ' ')" = '1:3 0 '
check "and /proc/sys cannot be written" \
	test "$(tail -n 1 "$WORK/out")" = 1
away masks
# Without a /dev of its own the rootfs' links are what the runtime meets.
document "$(process 'echo x >/proc/sys/kernel/core_pattern; true' \
	'"terminal":true,"cwd":"/",')" "$proc" "$alone" "$spaces,$masks"
begin masks
in_ctr masks 'cat /proc/keys /proc/timer_list; sleep 1'
away masks
uvm_says 'cat /run/keep/target /proc/sys/kernel/core_pattern' \
	"mine"$'\n'"$(uvm 'cat /tmp/pattern' && cat "$WORK/out")"
uvm 'cat /run/keep/target; cmp /proc/sys/kernel/core_pattern /tmp/pattern;
	grep -c /run/keep/target /proc/self/mountinfo'
check "links in the place of null and console change nothing outside" \
	out_is $'mine\n0'

# --- CVE-2026-47766: /dev is a link -----------------------------------------------------------------------

rootfs link 'ln -s / dev'
document "$(process true)" "$proc,$dev" "$alone"
create link
check "a rootfs whose /dev is a link is refused" refused '/dev is a link'
away link

# --- absolute links of the rootfs ------------------------------------------------------------------------------

rootfs abs 'ln -s /run/keep etc; ln -s ../../../../../../../run/keep var'
document "$(process 'cat /etc/hosts' '"cwd":"/var/new","user":{"uid":0,"gid":0},')" \
	"$proc,$dev" "$alone"
create abs
[ "$status" -eq 0 ] && run abs
away abs
check "links out of the rootfs end inside it" \
	uvm_says 'ls /run/keep' $'file\nmnt\ntarget'

# --- CVE-2020-2024: teardown -----------------------------------------------------------------------------------

in_ctr bad 'cd /vol && ln -s /run/keep m && ln -s ../../../../../../run/keep n'
away bad
check "the container is gone" status_is 0
uvm 'cd /run/gcs/c/pod && ln -s /run/keep sources'
away pod
check "the pod is gone" status_is 0
check "and what links pointed to is there" \
	uvm_says 'cat /run/keep/file; grep -c " /run/keep" /proc/mounts' $'kept\n2'
check "no folder, mount or cgroup of them is left" \
	uvm_says 'ls /run/gcs/c /sys/fs/cgroup/pods | grep -E "^(bad|pod|victim|masks|disk)$"
	grep -c /run/gcs/c/ /proc/mounts' 0

# --- ids and paths that are none -----------------------------------------------------------------------------------

document "$(process true)" "$proc,$dev" "$alone"
for id in ../keep a/b -x .. 'a b'; do
	create "$id"
	check "id '$id' is refused" refused 'container id'
done
for bundles in /run/gcs/c/../../keep/ /run/ / /run/gcs/c// relative/; do
	BUNDLES=$bundles create x
	check "a bundle below '$bundles' is refused" refused OciBundlePath
done
rootfs scratch
for scratches in / /run/ /run/gcs/c/../../keep/; do
	SCRATCHES=$scratches create scratch
	[ "$status" -eq 0 ] && away scratch
	check "scratch below '$scratches' deletes nothing" \
		uvm_says 'cat /run/keep/file; ls /UVM' $'kept\n/UVM'
done
away scratch

step uvm /bin/sh -c "$programs"
check "the UVM's programs are still what they were" \
	cmp "$WORK/out" "$WORK/programs"
build/tests/hostdrive off "$base" >/dev/null 2>&1
wait "$boot"
check "nothing is left" nothing_left
finish
