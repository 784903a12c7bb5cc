# tests/nodes/nodes.bash - two virtual machines that are hosts of ferry's
#
# A node is a QEMU with the kernel that ferry's UVMs have, whose vhost_vsock
# serves the UVMs in it. Its disk holds QEMU with what that loads, ferry and its
# library, and a busybox; what it writes is in memory. It has two cards: eth0
# leads to this machine (10.0.2.2 in the node), eth1 to the other node. Commands
# come over eth0.
# shellcheck shell=bash
# shellcheck disable=SC2034 # for those that source this

NODE_MIB=${NODE_MIB:-1024}
# Where QEMU finds its firmware and the module of its translator.
QEMU_DATA=(/usr/share/qemu/qboot.rom /usr/share/qemu/pvh.bin /usr/share/qemu/kvmvapic.bin
	/usr/share/qemu/linuxboot_dma.bin)

copy() { # FILE...: with all that it loads, to the same paths in the tree
	local file
	for file; do
		mkdir -p "$TREE/${file%/*}"
		cp -L "$file" "$TREE/$file"
	done
}
libraries() { # PROGRAM...: what it loads, the loader too
	ldd "$@" | grep -oE '/[^ ]+' | grep -v ':$' | sort -u
}

applets() { # FOLDER: a busybox under all its names
	local name
	cp "$LIB/guest/busybox" "$1/busybox"
	for name in $("$1/busybox" --list); do
		[ "$name" = busybox ] || ln -s busybox "$1/$name"
	done
}

# node_disk FILE COMMAND: the disk of both nodes; COMMAND adds to its folder
node_disk() {
	local qemu
	TREE=$WORK/tree
	qemu=$(command -v qemu-system-x86_64)
	rm -rf "$TREE"
	mkdir -p "$TREE"/{bin,dev,proc,sys,tmp,run,ferry/build/tests,etc}
	applets "$TREE/bin"
	cp tests/nodes/serve.sh "$TREE/serve"
	cp tests/nodes/qemu.sh "$TREE/bin/qemu-system-x86_64"
	chmod +x "$TREE/serve" "$TREE/bin/qemu-system-x86_64"
	echo 'root:x:0:0:root:/:/bin/sh' >"$TREE/etc/passwd"
	copy "$qemu" "${QEMU_DATA[@]}" \
		/usr/lib/*/qemu/accel-tcg-x86_64.so
	# shellcheck disable=SC2046
	copy $(libraries "$qemu" build/ferry build/tests/taskdrive)
	cp build/ferry "$TREE/ferry/build/"
	cp build/tests/taskdrive "$TREE/ferry/build/tests/"
	mkdir -p "$TREE/ferry/build/lib/ferry"
	cp -L "$LIB"/{vmlinux,initramfs.img,vhost-vsock.so} "$TREE/ferry/build/lib/ferry/"
	"$2" "$TREE"
	truncate -s 400M "$1"
	mkfs.ext4 -q -O ^has_journal -d "$TREE" "$1"
	rm -rf "$TREE"
}

# modules NAME...: the files of these and of all they need, in load order
modules() {
	local dep=$LIB/modules/modules.dep name
	for name; do
		awk -v want="${name//-/_}" '
			{ file = $1; sub(/:$/, "", file); key = file
			  gsub(/.*\/|\.ko$/, "", key); gsub(/-/, "_", key)
			  if (key != want) next
			  for (i = NF; i >= 1; i--) {
				sub(/:$/, "", $i); print $i } }' "$dep"
	done | awk '!seen[$0]++'
}

# node_image FILE: the initramfs of both nodes
node_image() {
	local n=10 file
	rm -rf "$WORK/tree"
	mkdir -p "$WORK/tree"/{bin,sbin,dev,proc,sys,modules}
	applets "$WORK/tree/bin"
	cp tests/nodes/init.sh "$WORK/tree/init"
	chmod +x "$WORK/tree/init"
	for file in $(modules virtio_pci virtio_blk virtio_net vhost_vsock overlay); do
		cp "$LIB/modules/$file" "$WORK/tree/modules/$n-${file##*/}"
		n=$((n + 1))
	done
	(cd "$WORK/tree" && find . | LC_ALL=C sort |
		cpio --quiet -o -H newc --owner 0:0) >"$1"
	rm -rf "$WORK/tree"
}

# node_start NODE LINK-OPTION: 1 or 2; the console is $WORK/node-NODE
node_start() {
	local node=$1 link=$2
	qemu-system-x86_64 -name "node-$node" -M q35 -accel tcg,thread=single -m "$NODE_MIB" -smp 1 \
		-nodefaults -no-user-config -display none -no-reboot \
		-bios qboot.rom -serial "file:$WORK/node-$node" \
		-kernel "$LIB/vmlinux" -initrd "$WORK/node.img" -append \
		"console=ttyS0 panic=-1 quiet cryptomgr.notests mitigations=off node.address=10.0.0.$node" \
		-drive "file=$WORK/node.disk,if=none,id=d,format=raw,readonly=on" \
		-device virtio-blk-pci,drive=d \
		-netdev "user,id=up,hostfwd=tcp:127.0.0.1:${NODE_PORT[$node]}-:2222" \
		-device "virtio-net-pci,netdev=up,romfile=,mac=52:54:00:00:01:0$node" \
		-netdev "socket,id=link,$link" \
		-device "virtio-net-pci,netdev=link,romfile=,mac=52:54:00:00:02:0$node" \
		>"$WORK/qemu-$node" 2>&1 </dev/null &
	NODE_PID[node]=$!
}
node_up() { grep -q '^node: up' "$WORK/node-$1"; }

# node NODE SECONDS SCRIPT: runs it there; output in $NODE_OUT, $status is set
node() {
	local n=$1 script=$3 out=${NODE_OUT:-$WORK/out} fd
	status=124
	: >"$out"
	exec {fd}<>"/dev/tcp/127.0.0.1/${NODE_PORT[$n]}" || return
	printf '%s\n%s' "${#script}" "$script" >&"$fd"
	timeout "$2" cat <&"$fd" >"$out"
	exec {fd}>&-
	[[ $(tail -n 1 "$out") =~ ^status\ ([0-9]+)$ ]] || return
	status=${BASH_REMATCH[1]}
	sed -i '$d' "$out"
}
