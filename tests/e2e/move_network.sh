#!/bin/bash
# tests/e2e/move_network.sh - a pod with a network card moves between two hosts;
# somebody else's TCP connection to it stays, and neighbours are told
#
# The hosts are network namespaces with a tap and a bridge each, behind one
# switch with a third party.
# Longer with FERRY_SOAK=1: how often it goes there and back.
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 mkfs.erofs busybox ip nsenter
rounds=$(count 1 25)
mkdir -p "$WORK"/tmp/{1,2}
top=$TMPDIR
far=$WORK/endpoint
ns=ferry$$
MAC=00:15:5d:09:00:02

cleanup_all() {
	local name
	cleanup
	for name in sw peer h1 h2; do ip netns del "$ns$name" 2>/dev/null; done
}
trap cleanup_all EXIT

# --- the wires ------------------------------------------------------------------------

in_ns() { nsenter --net="/run/netns/$ns$1" "${@:2}"; }
add_bridge() { # NAMESPACE
	ip -n "$ns$1" link add br0 type bridge &&
		ip -n "$ns$1" link set br0 type bridge mcast_snooping 0 &&
		ip -n "$ns$1" link set br0 up
}
plug_into_switch() { # NAMESPACE: its end is eth0
	ip -n "${ns}sw" link add "to-$1" type veth peer name eth0 netns "$ns$1" &&
		ip -n "${ns}sw" link set "to-$1" master br0 up &&
		ip -n "$ns$1" link set eth0 up
}
wires() {
	local name
	for name in sw peer h1 h2; do ip netns add "$ns$name" || return; done
	add_bridge sw && add_bridge h1 && add_bridge h2 || return
	for name in peer h1 h2; do plug_into_switch "$name" || return; done
	for name in h1 h2; do
		ip -n "$ns$name" link set eth0 master br0 &&
			ip -n "$ns$name" tuntap add dev vm0 mode tap &&
			ip -n "$ns$name" link set vm0 master br0 up || return
	done
	ip -n "${ns}peer" addr add 10.9.0.1/24 dev eth0 &&
		ip -n "${ns}peer" addr add fd09::1/64 dev eth0 nodad
}
if ! wires >"$WORK/wires" 2>&1; then
	skip "all of $(basename "$0")" "no network namespaces here: $(head -n 1 "$WORK/wires")"
	finish
fi
in_ns peer build/tests/sniff eth0 >"$WORK/seen" &

on() { # HOST COMMAND...: of ferry, on that host
	TMPDIR=$top/$1 in_ns "h$1" timeout --kill-after=10 "$LIMIT_S" \
		build/ferry "${@:2}" >"$WORK/out" 2>"$WORK/err" </dev/null
	status=$?
}
task() { # HOST WORDS...: of taskdrive
	timeout 60 build/tests/taskdrive "$(echo "$top/$1"/ferry-*/shim-e2ewire)/s" \
		"${@:2}" >"$WORK/out" 2>"$WORK/err" </dev/null
	status=$?
}
open_door() { # HOST
	rm -f "$far"
	TMPDIR=$top/$1 in_ns "h$1" build/ferry migrate receive --listen "$far" \
		--once >"$WORK/door" 2>&1 </dev/null &
	door=$!
	wait_for 60 in_ns "h$1" grep -qE " 00010000 .* $far\$" /proc/net/unix
}
close_door() {
	wait_for 20 eval "! kill -0 $door 2>/dev/null" || kill -9 "$door"
	wait "$door" 2>/dev/null
}
tap_is_free() { ip -n "${ns}h$1" link show vm0 | grep -q NO-CARRIER; }
log_has() { # HOST TEXT
	grep -qF "$2" "$top/$1"/ferry-*/shim-e2ewire/log
}
empty() { [ -z "$(find "$top/$1" -mindepth 2)" ]; }

# --- a pod with a card -----------------------------------------------------------------

bundle() { # NAME TYPE SCRIPT ANNOTATION
	local applet root=$WORK/$1/rootfs
	mkdir -p "$root"/{bin,proc,dev,tmp,sys,etc}
	cp "$(command -v busybox)" "$root/bin/busybox"
	for applet in sh sleep cat nc ip; do ln -s busybox "$root/bin/$applet"; done
	cat >"$WORK/$1/config.json" <<-END
		{"ociVersion": "1.0.2", "root": {"path": "rootfs"},
		 "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/",
		  "args": ["/bin/sh", "-c", "$3"], "env": ["PATH=/bin"]},
		 "annotations": {"io.kubernetes.cri.container-type": "$2",
		  "io.kubernetes.cri.sandbox-id": "p"$4},
		 "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
		  {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}],
		 "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"},
		  {"type": "network"}, {"type": "ipc"}, {"type": "uts"}]}}
	END
}
# Three cards: a state has them in an order of its own, QEMU knows them by ports.
bundle p sandbox 'sleep 100000' ', "io.ferry.network.adapters":
	"[{\"endpoint\": \"tap:vm0\", \"mac\": \"00-15-5D-09-00-02\", \"settings\":
	{\"IPConfigs\": [{\"IPAddress\": \"10.9.0.2\", \"PrefixLength\": 24},
	{\"IPAddress\": \"fd09::2\", \"PrefixLength\": 64}]}},
	{\"endpoint\": \"user\", \"mac\": \"00-15-5D-09-00-03\", \"settings\":
	{\"IPConfigs\": [{\"IPAddress\": \"10.0.2.15\", \"PrefixLength\": 24}]}},
	{\"endpoint\": \"user\", \"mac\": \"00-15-5D-09-00-04\", \"settings\":
	{\"IPConfigs\": [{\"IPAddress\": \"10.0.9.15\", \"PrefixLength\": 24}]}}]"'
sed -i -z 's/\n\t/ /g' "$WORK/p/config.json"
bundle w container 'nc -l -p 8080 -e cat; sleep 100000' ''

on 1 run --vsock "${FERRY_E2E_VSOCK:-auto}" --detach --name e2ewire \
	--memory 512 --annotation "$MIGRATABLE"
check "a sandbox" status_is 0
task 1 create p "$WORK/p" '' '' ''
check "a pod with cards" status_is 0
on 1 exec e2ewire/p /bin/ip addr
check "its address is there" out_has 10.9.0.2/24
task 1 create w "$WORK/w" '' '' ''
check "a container of the pod" status_is 0
on 1 exec e2ewire/w /bin/ip addr
check "the same address is there" out_has 10.9.0.2/24

# --- a connection of somebody else --------------------------------------------------------

: >"$WORK/echoed"
reached() { in_ns peer busybox ping -c 1 -W 1 10.9.0.2; }
reached6() { in_ns peer busybox ping -6 -c 1 -W 1 fd09::2; }
check "a third party reaches it" wait_for 60 reached
listening() { # its address in hexadecimal, its state last
	on 1 exec e2ewire/w /bin/busybox grep -qE ':1F90 0+:0000 0A' /proc/net/tcp /proc/net/tcp6
	status_is 0
}
check "and the container listens" wait_for 60 listening
mkfifo "$WORK/numbers"
in_ns peer busybox nc 10.9.0.2 8080 <"$WORK/numbers" \
	>"$WORK/echoed" 2>"$WORK/nc" &
(
	i=0
	while echo $i; do
		i=$((i + 1))
		sleep 0.05
	done
) >"$WORK/numbers" &
lines() { wc -l <"$WORK/echoed"; }
more_than() { [ "$(lines)" -gt "$1" ]; }
grows() {
	wait_for 60 more_than "$(($(lines) + 20))" && return
	tail -n 2 "$WORK/echoed" "$WORK/nc"
	in_ns peer ss -tino
	in_ns peer ip neigh
	false
}
in_order() {
	head -n "$(lines)" "$WORK/echoed" |
		awk '$1 != NR - 1 { print "line " NR ": " $1; bad = 1 } END { exit bad }'
}
check "its connection to the container is answered" grows
seen() { [ "$(grep -cxF "$1" "$WORK/seen")" -gt "$2" ]; }

here=1
for i in $(seq $((2 * rounds))); do
	there=$((3 - here))
	arps=$(grep -cxF "arp $MAC 10.9.0.2" "$WORK/seen")
	nas=$(grep -cxF "na $MAC fd09::2" "$WORK/seen")
	open_door "$there"
	to=$far
	if [ "$i" -eq 2 ]; then # the last card has another address there
		to=$WORK/between
		build/tests/movehold "$to" "$far" swap:10.0.9.15:10.0.9.16 &
		wait_for 60 listens "$to"
	fi
	on "$here" migrate e2ewire --to "$to"
	close_door
	check "move $i" status_is 0
	[ "$status" -eq 0 ] || break
	check "move $i: the source has let its tap go" wait_for 20 tap_is_free "$here"
	here=$there
	check "move $i: the connection lives" grows
	check "move $i: not a byte is lost" in_order
	check "move $i: ARP tells the neighbours" wait_for 60 seen "arp $MAC 10.9.0.2" "$arps"
	check "move $i: a neighbour advertisement too" wait_for 60 seen "na $MAC fd09::2" "$nas"
	check "move $i: and it was the barrier" wait_for 20 log_has "$here" '4 addresses announced'
	check "move $i: by IPv6 it is reached" wait_for 60 reached6
done
on "$here" exec e2ewire/w /bin/ip addr
check "a card with another address there has that" out_has 10.0.9.16/24
check "and not the old one" out_lacks 10.0.9.15
check "under its old name" out_has 'global eth2'
echo "# $(lines) lines echoed in $((2 * rounds)) moves"
on "$here" stop e2ewire
check "stop" status_is 0
check "nothing is left" wait_for 60 empty "$here"
finish
