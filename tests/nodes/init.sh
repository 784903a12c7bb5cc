#!/bin/sh
# tests/nodes/init.sh - PID 1 of a node: a virtual machine that is a host of
# ferry's. Loads its modules, makes a root file system of the read-only disk and
# a tmpfs over it, and then runs what is sent to it.
#
# Kernel words: node.address=A.B.C.D of the card to the other node.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
fail() {
	echo "node: $*"
	poweroff -f
}

mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in /modules/*.ko; do
	insmod "$module" || fail "$module"
done
n=0
until [ -b /dev/vda ]; do
	n=$((n + 1))
	[ $n -lt 500 ] || fail "no disk"
	usleep 20000
done
mkdir -p /low /high /root
mount -t ext4 -o ro /dev/vda /low || fail "its disk"
mount -t tmpfs -o mode=0755 high /high || fail "tmpfs"
mkdir /high/up /high/work
mount -t overlay -o lowerdir=/low,upperdir=/high/up,workdir=/high/work over /root ||
	fail "overlay"
for d in dev proc sys; do
	mount --move /$d /root/$d
done
mkdir -p /root/tmp /root/run /root/dev/shm
mount -t tmpfs tmp /root/tmp
mount -t tmpfs run /root/run

# eth0 leads to the machine that the nodes run on, eth1 to the other node.
address=$(sed -n 's/.*node\.address=\([0-9.]*\).*/\1/p' /root/proc/cmdline)
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0 && ip link set eth0 up
ip addr add "$address/24" dev eth1 && ip link set eth1 up
[ -c /root/dev/vhost-vsock ] || fail "no /dev/vhost-vsock"

echo "node: up"
exec chroot /root /bin/sh -c 'cd /ferry; nc -ll -p 2222 -e /bin/sh /serve; poweroff -f'
