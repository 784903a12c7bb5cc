#!/bin/bash
# tests/e2e/pod_network.sh - two sandboxes on one wire, with real crun and real
# cards: addresses, routes, names, DHCP, talk between containers; and the end of
# a container that takes too much memory
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 crun
# Two UVMs boot side by side.
LIMIT_S=300
run=("${RUN[@]}" --annotation "$MIGRATABLE" --verbose)

# --- a bundle: busybox ----------------------------------------------------------

rootfs=$WORK/bundle/rootfs
mkdir -p "$rootfs"/{bin,proc,sys,dev,etc,tmp}
cp -L "$LIB/guest/busybox" "$rootfs/bin/busybox"
for applet in sh ip nc ping cat sleep seq head tail dd grep ls; do
	ln -s busybox "$rootfs/bin/$applet"
done
cat >"$WORK/bundle/config.json" <<'END'
{ "ociVersion": "1.0.2",
  "process": { "user": { "uid": 0, "gid": 0 }, "args": ["/bin/sh"],
    "env": ["PATH=/bin"], "cwd": "/",
    "capabilities": { "bounding": ["CAP_NET_RAW"],
      "effective": ["CAP_NET_RAW"], "permitted": ["CAP_NET_RAW"] } },
  "root": { "path": "rootfs" }, "hostname": "one",
  "mounts": [
    { "destination": "/proc", "type": "proc", "source": "proc" },
    { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
    { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
      "options": ["ro"] } ],
  "linux": {
    "resources": { "memory": { "limit": 33554432, "swap": 33554432 } },
    "namespaces": [ { "type": "pid" }, { "type": "network" },
      { "type": "ipc" }, { "type": "uts" }, { "type": "mount" },
      { "type": "cgroup" } ] } }
END

pod() { # FILE LOCAL REMOTE MAC SETTINGS MORE-ADAPTERS SCRIPT
	cat >"$1" <<END
{ "adapters": [ { "endpoint": "dgram:$WORK/$2:$WORK/$3",
    "mac": "$4", "settings": $5 } $6 ],
  "containers": [ { "name": "main", "bundle": "$WORK/bundle", "main": true,
    "args": ["/bin/sh", "-c", "$7"] } ] }
END
}

pod "$WORK/a.json" wire-a wire-b 00-15-5D-00-00-01 '{
  "IPConfigs": [ { "IPAddress": "10.7.0.1", "PrefixLength": 24 },
    { "IPAddress": "fd07::1", "PrefixLength": 64 } ],
  "Routes": [ { "NextHop": "10.7.0.2", "DestinationPrefix": "172.16.0.0/12",
    "Metric": 9 } ],
  "EncapOverhead": 50, "DNSSuffix": "Pod.Test,lan",
  "DNSServerList": "10.7.0.53" }' \
	', { "endpoint": "user", "mac": "00-15-5D-00-00-02" }' \
	'ip addr; ip route; cat /etc/resolv.conf; echo from-a | nc -l -p 8080 -w 120; ping -c 2 -W 20 fd07::2; for i in $(seq 30); do echo go | nc -w 5 10.7.0.2 8081 && break; sleep 1; done'
pod "$WORK/b.json" wire-b wire-a 00-15-5D-00-00-03 '{
  "IPConfigs": [ { "IPAddress": "10.7.0.2", "PrefixLength": 24 },
    { "IPAddress": "fd07::2", "PrefixLength": 64 } ] }' '' \
	'for i in $(seq 100); do echo from-b | nc -w 30 10.7.0.1 8080 && break; sleep 1; done; nc -l -p 8081 -w 120 >/dev/null; sleep 2'

build/ferry "${run[@]}" --timeout "$LIMIT_S" --pod "$WORK/b.json" \
	>"$WORK/b.out" 2>"$WORK/b.err" </dev/null &
second=$!
ferry "${run[@]}" --pod "$WORK/a.json" </dev/null
check "the first sandbox ends well" status_is 0
check "the first adapter is eth0" grep -A3 -E '^[0-9]+: eth0:' "$WORK/out"
check "with the MTU of the encapsulation" grep -E 'eth0:.*mtu 1450' "$WORK/out"
check "and its IPv4 address" grep -F '10.7.0.1/24' "$WORK/out"
check "and its IPv6 address" grep -F 'fd07::1/64' "$WORK/out"
check "and its route with a metric" grep -E \
	'172.16.0.0/12 via 10.7.0.2 dev eth0 +metric 9' "$WORK/out"
check "an adapter without addresses asked by DHCP" grep -F \
	'10.0.2.15/24' "$WORK/out"
check "and has the default route" grep -F \
	'default via 10.0.2.2 dev eth1' "$WORK/out"
check "resolv.conf has the search list" grep -F 'search pod.test lan' \
	"$WORK/out"
check "and the server" grep -F 'nameserver 10.7.0.53' "$WORK/out"
check "the other sandbox came over TCP" grep -F 'from-b' "$WORK/out"
check "and is reached by IPv6" grep -F ' 0% packet loss' "$WORK/out"
wait "$second"
check "the other sandbox heard the first" grep -F 'from-a' "$WORK/b.out"
check "nothing is left" nothing_left

# --- memory -----------------------------------------------------------------------

# Classic, so that the agent's log comes to the host.
ferry "${RUN[@]}" --verbose --bundle "$WORK/bundle" -- /bin/sh -c \
	'cat /sys/fs/cgroup/memory.max
	(dd if=/dev/zero of=/dev/null bs=200M count=1; true)
	sleep 1; echo survived; exec dd if=/dev/zero of=/dev/null bs=200M' \
	</dev/null
check "the limit of the document is the cgroup's" grep -xF 33554432 "$WORK/out"
check "the container outlives a child that is killed" grep -xF survived \
	"$WORK/out"
check "its own kill is its end" status_is 137
check "hazard 25: a kill is told while the container lives" err_has \
	'is out of memory, processes killed so far: 1'
told_first() {
	awk '/killed so far: 2/ { told = 1 } /has ended/ { exit !told }
		END { exit !told }' "$WORK/err"
}
check "hazard 25: the last kill is told before the exit" told_first

# --- a container that goes on by itself, and what is left when its owner dies ----------

# With all that a sandbox has on the host: disks, sockets, and a tap where one may
# be made, which the kernel takes away with its last holder.
tap=ferry$$
endpoint=tap:$tap
ip tuntap add "$tap" mode tap 2>"$WORK/err" && ip tuntap del "$tap" mode tap ||
	endpoint=user
adapters='[{\"endpoint\": \"'$endpoint'\", \"mac\": \"00-15-5D-00-00-07\", \"settings\":
	{\"IPConfigs\": [{\"IPAddress\": \"10.8.0.1\", \"PrefixLength\": 24}]}}]'
mkdir "$WORK/own"
cat >"$WORK/own/config.json" <<END
{ "ociVersion": "1.0.2",
  "process": { "user": { "uid": 0, "gid": 0 }, "env": ["PATH=/bin"], "cwd": "/",
    "args": ["/bin/sh", "-c", "echo up; ip addr; exec sleep 1000"] },
  "root": { "path": "$rootfs" },
  "annotations": { "io.ferry.network.adapters": "${adapters//[$'\n\t']/ }" },
  "mounts": [
    { "destination": "/proc", "type": "proc", "source": "proc" } ],
  "linux": { "namespaces": [ { "type": "pid" }, { "type": "network" },
    { "type": "mount" } ] } }
END
own() {
	ferry "${RUN[@]}" --detach --name e2epod --bundle "$WORK/own" </dev/null
}
field() { # FIELD
	build/ferry list --json | grep -oE "\"$1\":[0-9]+" | grep -oE '[0-9]+$'
}
# Disks have no names: those who have them open are who holds them.
disks() { find /proc/[0-9]*/fd -lname "$TMPDIR/ferry-disk-*" 2>/dev/null | wc -l; }
on_host() { # is there anything of it?
	[ -n "$(qemus)" ] || [ "$(disks)" -gt 0 ] || [ -e "/sys/class/net/$tap" ] ||
		grep -q "$TMPDIR/" /proc/net/unix
}
nobody() { ! on_host; }
inits_end() { ferry ps e2epod/container; grep -qE "^container .* stopped +137" "$WORK/out"; }

own
check "run --detach --bundle ends when the container runs" status_is 0
check "and says its name, no more" out_is e2epod
check "it has disks, and its tap" eval \
	'[ "$(disks)" -ge 2 ] && { [ "$endpoint" = user ] || [ -e "/sys/class/net/$tap" ]; }'
ferry exec e2epod/container -- ip addr
check "exec in it" out_has '10.8.0.1/24'
ferry kill -s KILL e2epod/container
check "its end does not end the sandbox" wait_for 60 inits_end
ferry attach --no-stdin e2epod/container </dev/null
check "attach: the code of its first process" status_is 137
check "and what it wrote" out_has up
kill -9 "$(field shim_pid)"
check "a shim that is killed takes QEMU, disks, sockets and tap along" \
	wait_for 30 nobody
own
check "the next start cleans up, and takes the name" status_is 0
kill -9 "$(field qemu_pid)"
check "so does a shim whose QEMU is killed, by itself" wait_for 60 nothing_left
check "with all of it" wait_for 30 nobody
if [ "${FERRY_SOAK:-0}" = 1 ]; then # for the boots that they take
	sed -i 's,"/bin/sh","/bin/none",' "$WORK/own/config.json"
	own
	check "a container that cannot be started is told" status_is 127
	check "and ends its sandbox" nothing_left
fi
finish
