#!/bin/bash
# tests/nodes/move.sh - a pod moves from one host to another and back: two virtual
# machines, each with the kernel's vhost_vsock, ferry and QEMU, a network between
# them, and disks over NBD
#
# The UVM is a translated guest in a translated guest: it boots twenty times slower
# than elsewhere. Minutes, on a machine that does nothing else; NODE_LIMIT_S is for
# one step of it.
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/../e2e/lib/e2e.bash"
# shellcheck source=tests/nodes/nodes.bash
. tests/nodes/nodes.bash
need qemu-system-x86_64 qemu-nbd mkfs.ext4 cpio
limit=${NODE_LIMIT_S:-900}
door=7700

cleanup_nodes() {
	local pid
	for pid in "${NODE_PID[@]}" "${nbd[@]}"; do
		kill -9 "$pid" 2>/dev/null
	done
	cleanup
}
nbd=()
trap cleanup_nodes EXIT

# --- disks, one store for both nodes --------------------------------------------

store() { # NAME PORT QEMU-NBD-OPTION...: serves $WORK/NAME.img
	qemu-nbd --persistent --shared=8 --format=raw --export-name="$1" \
		--bind=127.0.0.1 --port="$2" "${@:3}" "$WORK/$1.img" \
		>"$WORK/nbd-$1" 2>&1 </dev/null &
	nbd+=($!)
	wait_for 10 listens "$2"
}
listens() { # PORT: somebody does; nobody is disturbed
	grep -qi "$(printf ' 0100007F:%04X 00000000:0000 0A' "$1")" /proc/net/tcp
}
free_port() { # prints one that nobody has now, not given before
	local port
	while :; do
		port=$((20000 + RANDOM % 20000))
		[[ " ${ports[*]} " = *" $port "* ]] && continue
		listens "$port" || break
	done
	ports+=("$port")
}
ports=()
for _ in 1 2 3 4 5; do free_port; done
# shellcheck disable=SC2034 # of nodes.bash
NODE_PORT=(0 "${ports[0]}" "${ports[1]}")
NODE_PID=()

mkdir -p "$WORK/root"/{bin,proc,dev,tmp,sys,etc}
applets "$WORK/root/bin"
truncate -s 8M "$WORK/rootfs.img"
truncate -s 16M "$WORK/scratch.img"
mkfs.ext4 -q -O ^has_journal -d "$WORK/root" "$WORK/rootfs.img"
mkfs.ext4 -q "$WORK/scratch.img"
check "the store has a root file system" store rootfs "${ports[3]}" --read-only
check "and a disk to write to" store scratch "${ports[4]}"

# --- nodes ----------------------------------------------------------------------------

bundle() { # FOLDER: a container that counts, on its disk and to its output
	mkdir -p "$1/rootfs"
	cat >"$1/config.json" <<-'END'
		{"ociVersion": "1.0.2", "root": {"path": "rootfs"},
		 "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/",
		  "args": ["/bin/sh", "-c", "i=0; while :; do echo $i; echo $i >>/log; i=$((i+1)); usleep 200000; done"],
		  "env": ["PATH=/bin"]},
		 "annotations": {"ferry.disk.rootfs": "/ferry/rootfs.nbd",
		  "ferry.disk.scratch": "/ferry/scratch.nbd"},
		 "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
		  {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}],
		 "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"},
		  {"type": "ipc"}, {"type": "uts"}]}}
	END
}
node_tree() { # FOLDER: what this test adds to the disk of the nodes
	bundle "$1/ferry/bundle"
	echo "nbd://10.0.2.2:${ports[3]}/rootfs" >"$1/ferry/rootfs.nbd"
	echo "nbd://10.0.2.2:${ports[4]}/scratch" >"$1/ferry/scratch.nbd"
}
check "the disk of the nodes" node_disk "$WORK/node.disk" node_tree
check "their image" node_image "$WORK/node.img"
start=$SECONDS
node_start 1 "listen=127.0.0.1:${ports[2]}"
check "the link has one end" wait_for 60 listens "${ports[2]}"
node_start 2 "connect=127.0.0.1:${ports[2]}"
answers() { node "$1" 10 'ping -c 1 -w 5 10.0.0.'$((3 - $1)) && status_is 0; }
for n in 1 2; do
	check "node $n is up, and reaches the other" wait_for "$limit" answers "$n"
	[ "$failed" -eq 0 ] || { cat "$WORK/node-$n" "$WORK/qemu-$n"; finish; }
done

# --- two sandboxes, which boot side by side ---------------------------------------------

boot() { # NODE NAME
	node "$1" "$limit" "build/ferry run --vsock kernel --detach --name $2 \
		--memory 128 --processors 1 --boot-timeout $limit \
		--annotation $MIGRATABLE"
	echo "$status" >"$WORK/status-$1"
}
NODE_OUT=$WORK/other boot 2 other &
other=$!
boot 1 pod
check "a sandbox on node 1, by the kernel's vhost_vsock" status_is 0
wait "$other"
status=$(cat "$WORK/status-2")
[ "$status" = 0 ] || cat "$WORK/other"
check "another one on node 2" status_is 0
echo "# both run after $((SECONDS - start)) s"

node 1 "$limit" 'build/tests/taskdrive /tmp/ferry-0/shim-pod/s create w /ferry/bundle "" file:///tmp/lines ""'
check "a container that counts, its disks over NBD" status_is 0
[ "$failed" -eq 0 ] || finish

# --- there and back ------------------------------------------------------------------------

counts() { # NODE: its output grows there
	# shellcheck disable=SC2016 # the node's
	node "$1" 60 'a=$(wc -l </tmp/lines); n=0
		while [ "$(wc -l </tmp/lines)" -le "$a" ] && [ $n -lt 50 ]; do sleep 1; n=$((n + 1)); done
		[ "$(wc -l </tmp/lines)" -gt "$a" ]'
	status_is 0
}
# Every number once and in order on the disk, which only one guest may write to.
whole() { # NODE
	node "$1" "$limit" "build/ferry exec pod/w /bin/awk '\$1 != want { bad++ }
		{ want = \$1 + 1 } END { print NR \" numbers, \" bad + 0 \" wrong\" }' /log"
	status_is 0 && out_has ', 0 wrong' && tail -n 1 "$WORK/out" >>"$WORK/numbers"
}
gone() { # NODE: nothing of the pod is there
	node "$1" 60 'build/ferry list --json; ls -d /tmp/ferry-0/shim-pod'
	out_has 'shim-pod: No such file' && out_lacks '"pod"'
}
check "it counts" counts 1

here=1
for there in 2 1; do
	node "$there" 30 "(setsid build/ferry migrate receive --listen 10.0.0.$there:$door \
		--once >/tmp/door 2>&1 </dev/null &); n=0
		until netstat -ltn | grep -q :$door || [ \$n -gt 200 ]; do usleep 100000; n=\$((n + 1)); done"
	node "$here" "$limit" "build/ferry migrate pod --to 10.0.0.$there:$door --lease none --timeout $limit --json"
	check "from node $here to node $there" status_is 0
	[ "$status" -eq 0 ] || { node "$there" 20 'cat /tmp/door'; cat "$WORK/out"; break; }
	grep -oE '"(total_ms|blackout_ms|reconnect_ms|bytes)":[0-9]+' "$WORK/out" |
		tail -n 4 | tr '\n' ' ' | sed 's/^/# /; s/$/\n/'
	check "it counts on node $there" counts "$there"
	check "no number is lost or written twice" whole "$there"
	check "node $here has nothing of it" wait_for 60 gone "$here"
	if [ "$there" = 2 ]; then
		node 2 "$limit" 'build/ferry exec other /bin/echo there'
		check "the other sandbox of node 2 is served as well" out_has there
		# Whoever listens asks again, another one is started.
		# shellcheck disable=SC2016 # the node's
		node 2 "$limit" 'kill -9 "$(cat /run/ferry/acceptor.lock)"
			build/ferry exec pod/w /bin/echo first && build/ferry exec other /bin/echo second'
		check "the acceptor is killed: both are served" status_is 0
	fi
	here=$there
done
sed 's/^/# /' "$WORK/numbers" 2>/dev/null
node "$here" "$limit" 'build/ferry stop pod'
check "stop" status_is 0
echo "# $((SECONDS - start)) s in all"
finish
