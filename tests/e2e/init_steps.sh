#!/bin/bash
# tests/e2e/init_steps.sh - what the command finds, row by row of the shared
# specification cmdline.md 8.2: what the reference's init leaves behind
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 cpio
# shellcheck source=tests/e2e/lib/boot.bash
. tests/e2e/lib/boot.bash

# Every line begins with what it is about.
mkdir -p "$WORK/tree/bin"
cat >"$WORK/tree/bin/steps" <<'EOF'
while read -r id parent device root at options rest; do
	echo "mount $at $options ${rest#*- }"
done </proc/self/mountinfo
for link in fd stdin stdout stderr; do
	echo "link $link $(readlink /dev/$link)"
done
for dir in /run /tmp /dev/shm /dev/pts; do
	echo "mode $dir $(stat -c %a $dir)"
done
echo "files $(ulimit -Sn) $(ulimit -Hn) own $(grep 'open files' /proc/$$/limits)"
echo "env $(tr '\0' '|' </proc/$$/environ)"
set -- $(cat /proc/$$/stat)
echo "ids parent $4 own $(($5 == $$)) $(($6 == $$)) terminal $7"
echo "signals $(grep SigBlk /proc/$$/status) $(grep SigIgn /proc/1/status)"
echo "umask $(umask) cwd $(pwd) oom $(cat /proc/$$/oom_score_adj)"
for n in $(ls /proc/$$/fd); do
	echo "fd $n $(readlink /proc/$$/fd/$n)"
done
echo "cgroup has $(cat /sys/fs/cgroup/cgroup.controllers)"
echo "cgroup gives $(cat /sys/fs/cgroup/cgroup.subtree_control)"
while read -r name hierarchy number enabled; do
	[ "$enabled" = 1 ] && echo "controller $name"
done </proc/cgroups
echo "lo $(cat /sys/class/net/lo/flags) $(grep -c 127.0.0.1 /proc/net/fib_trie) $(grep ' lo$' /proc/net/if_inet6)"
ping -c 1 -w 5 127.0.0.1 >/dev/null && echo "ping 4"
ping6 -c 1 -w 5 ::1 >/dev/null && echo "ping 6"
echo over >/etc/probe && echo "etc $(cat /etc/probe)"
printf '#!/bin/sh\necho may run\n' | tee /etc/run >/var/run-probe
chmod +x /etc/run /var/run-probe
/etc/run 2>/dev/null || echo "etc may not run"
echo "var $(/var/run-probe)"
while read -r name size rest; do
	echo "module $name"
done </proc/modules
EOF
prepare
facts() {
	boot "$@"
	grep -vE '^\[' "$WORK/out" >"$WORK/facts"
}
fact() { grep -qxE -- "$1" "$WORK/facts" || { echo "not found: $1"; false; }; }
no_fact() { ! grep -qE -- "$1" "$WORK/facts"; }
same() { # PREFIX PREFIX: the rest of both lines is equal, and not empty
	local one
	one=$(sed -n "s/^$1 //p" "$WORK/facts")
	[ -n "$one" ] && [ "$one" = "$(sed -n "s/^$2 //p" "$WORK/facts")" ]
}

NDSE=rw,nosuid,nodev,noexec,relatime
facts 'LEAK=1 hcsshim.other="x hcsshim.cgroup=v1 y" -- sh /bin/steps'
check "step 3: /dev" fact 'mount /dev rw,nosuid,noexec,relatime devtmpfs devtmpfs .*'
check "step 4: /proc" fact "mount /proc $NDSE proc proc rw"
for name in fd= stdin=/0 stdout=/1 stderr=/2; do
	check "step 4: /dev/${name%=*}" \
		fact "link ${name%=*} /proc/self/fd${name#*=}"
done
check "step 4: /run" fact "mount /run $NDSE tmpfs tmpfs rw,mode=755.*"
check "step 4: /run's mode" fact 'mode /run 755'
check "step 4: /tmp" fact "mount /tmp $NDSE tmpfs tmpfs rw(,inode64)?"
check "step 4: /tmp's mode" fact 'mode /tmp 1777'
check "step 4: /dev/shm" fact "mount /dev/shm $NDSE tmpfs shm rw(,inode64)?"
check "step 4: /dev/shm's mode" fact 'mode /dev/shm 1777'
check "step 4: /dev/pts" \
	fact 'mount /dev/pts rw,nosuid,noexec,relatime devpts devpts rw,.*'
check "step 4: /dev/pts' mode" fact 'mode /dev/pts 755'
check "step 4: /sys" fact "mount /sys $NDSE sysfs sysfs rw"
check "step 5: no overlay without -w" no_fact '^mount /(etc|var) '
check "W-C25: step 6: cgroup 2, whatever a value says" fact "mount /sys/fs/cgroup $NDSE cgroup2 cgroup2 rw"
check "W-C26: step 6: all controllers are given on" same 'cgroup has' 'cgroup gives'
check "step 6: nothing else is mounted" \
	test "$(grep -c '^mount ' "$WORK/facts")" = 9
check "step 7: lo is up with both addresses" \
	fact 'lo 0x9 [1-9].* 0{31}1 .*lo'
check "step 7: 127.0.0.1 answers" fact 'ping 4'
check "step 7: ::1 answers" fact 'ping 6'
check "step 8: vsock is there" fact 'module vmw_vsock_virtio_transport'
check "steps 2, 11: limits of the command" \
	fact 'files 1024 1048576 own Max open files +1024 +1048576 .*'
check "step 11: its environment" \
	fact 'env PATH=/sbin:/usr/sbin:/bin:/usr/bin\|'
check "step 11: a session and a group of its own, no terminal" \
	fact 'ids parent 1 own 1 1 terminal 0'
check "step 11: no signal is blocked" fact 'signals SigBlk:.0{16} SigIgn:.*'
check "step 11: mask, folder, standing with the OOM killer" \
	fact 'umask 0022 cwd / oom 0'
for n in 0 1 2; do
	check "step 11: descriptor $n" fact "fd $n /dev/console"
done
# The shell has its script open, and for a moment a pipe for what it reads.
check "step 11: no other that is not the shell's own" \
	test "$(grep '^fd ' "$WORK/facts" | grep -vcE ' (/bin/steps|pipe:.*|)$')" = 3

build/ferry image build --module overlay -o "$WORK/with" >"$WORK/err" 2>&1 &&
	cat "$WORK/with" "$WORK/extra.cpio" >"$IMAGE"
facts 'hcsshim.cgroup=v1 -- -w sh /bin/steps'
check "step 6: cgroup 1" \
	fact "mount /sys/fs/cgroup $NDSE tmpfs tmpfs rw,mode=755.*"
# shellcheck disable=SC2013
for name in $(sed -n 's/^controller //p' "$WORK/facts"); do
	check "step 6: controller $name" fact \
		"mount /sys/fs/cgroup/$name $NDSE cgroup cgroup rw,([a-z_]+,)*$name(,.*)?"
done
check "step 5: the room for overlays" \
	fact "mount /run/over $NDSE tmpfs tmpfs rw,size=[0-9]+k,mode=755.*"
check "W-C27: an overlay whose module is loaded first: /etc" fact \
	"mount /etc $NDSE overlay overlay rw,lowerdir=/etc,upperdir=/run/over/etc/upper,workdir=/run/over/etc/work.*"
check "W-C27: and /var, where programs may run" fact \
	'mount /var rw,nosuid,nodev,relatime overlay overlay rw,lowerdir=/var,upperdir=/run/over/var/upper,workdir=/run/over/var/work.*'
check "step 5: /etc can be written" fact 'etc over'
check "step 5: its files are not run" fact 'etc may not run'
check "step 5: those of /var are" fact 'var may run'
finish
