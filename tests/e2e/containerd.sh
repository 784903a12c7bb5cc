#!/bin/bash
# tests/e2e/containerd.sh - ferry as a runtime of a real containerd, with
# folders and a socket of its own, an image made here, and no registry
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 containerd ctr mkfs.erofs
[ "$(id -u)" -eq 0 ] || { skip "all of containerd.sh" "not root"; finish; }
mkdir "$WORK/mnt"
if ! mount -t tmpfs none "$WORK/mnt" 2>/dev/null; then
	skip "all of containerd.sh" "no right to mount"
	finish
fi
umount "$WORK/mnt"

runtime=io.containerd.ferry.v1
image=local/busybox:1
daemon=

stop_all() {
	local pid
	for pid in $(pgrep -f "^$WORK/bin/containerd-shim") $daemon; do
		kill -9 "$pid" 2>/dev/null
	done
	grep -oE "${WORK}[^ ]*" /proc/mounts | sort -u | while read -r m; do umount -l "$m"; done
	cleanup
}
trap stop_all EXIT

# --- a containerd and an image --------------------------------------------------

mkdir -p "$WORK/bin"
ln -s "$PWD/build/ferry" "$WORK/bin/containerd-shim-ferry-v1"
cat >"$WORK/config.toml" <<-END
	version = 2
	root = "$WORK/root"
	state = "$WORK/state"
	disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt",
	  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
	  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
	[grpc]
	  address = "$WORK/c.sock"
	[debug]
	  level = "debug"
	[timeouts]
	  "io.containerd.timeout.shim.cleanup" = "60s"
	  "io.containerd.timeout.shim.load" = "60s"
	  "io.containerd.timeout.shim.shutdown" = "30s"
	  "io.containerd.timeout.task.state" = "30s"
END

containerd_up() {
	PATH=$WORK/bin:$PATH containerd --config "$WORK/config.toml" >>"$WORK/containerd.log" 2>&1 &
	daemon=$!
	wait_for 60 ctr -a "$WORK/c.sock" version >/dev/null 2>&1
}

blob() { # FILE: into the image; prints its digest
	local sum
	sum=$(sha256sum <"$1" | cut -d' ' -f1)
	cp "$1" "$WORK/oci/blobs/sha256/$sum"
	echo "sha256:$sum"
}

make_image() {
	local tree=$WORK/tree applet layer config
	mkdir -p "$tree/bin" "$tree/tmp" "$tree/etc" "$WORK/oci/blobs/sha256"
	cp build/deps/busybox "$tree/bin/busybox" || return
	for applet in sh cat echo sleep id ps hostname; do
		ln -s busybox "$tree/bin/$applet"
	done
	echo 'root:x:0:0:root:/:/bin/sh' >"$tree/etc/passwd"
	tar -C "$tree" --owner 0 --group 0 -cf "$WORK/layer" . || return
	layer=$(blob "$WORK/layer")
	printf '{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":["%s"]}}' \
		"$layer" >"$WORK/config"
	config=$(blob "$WORK/config")
	printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%d},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"%s","size":%d}]}' \
		"$config" "$(stat -c %s "$WORK/config")" "$layer" "$(stat -c %s "$WORK/layer")" >"$WORK/manifest"
	printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s","size":%d,"annotations":{"io.containerd.image.name":"%s"}}]}' \
		"$(blob "$WORK/manifest")" "$(stat -c %s "$WORK/manifest")" "$image" >"$WORK/oci/index.json"
	echo '{"imageLayoutVersion":"1.0.0"}' >"$WORK/oci/oci-layout"
	tar -C "$WORK/oci" -cf "$WORK/image" .
}

# ct ARG...: ctr with a deadline
ct() {
	timeout --kill-after=10 "$LIMIT_S" ctr -a "$WORK/c.sock" "$@" \
		>"$WORK/out" 2>"$WORK/err"
	status=$?
	return 0
}
run=(run --snapshotter native --runtime "$runtime")

containerd_up
make_image
ct image import --snapshotter native "$WORK/image"
check "an image of our own" status_is 0

shims() { build/ferry list --json; }
no_shim() { [ -z "$(shims)" ]; }
shim_of() { # FIELD
	shims | grep -oE "\"$1\":\"?[^,\"}]*" | sed -E 's/.*:"?//' | head -n 1
}
events() { grep -oE 'topic=/tasks/[a-z-]+' "$WORK/containerd.log" | cut -d/ -f3 | tr '\n' ' '; }

# --- one container from its start to its end -------------------------------------------

ct "${run[@]}" --rm "$image" c1 /bin/sh -c 'echo out; echo err >&2; id -u; exit 5' </dev/null
check "ctr run: exit code" status_is 5
check "ctr run: stdout" out_is $'out\n0'
check "ctr run: stderr" err_has err
check "its shim has gone" wait_for 60 no_shim
events_are() { [ "$(events)" = "$1 " ] || { events; false; }; }
check "events, in their order" wait_for 30 events_are "create start exit delete"

ct "${run[@]}" --rm --memory-limit 16777216 "$image" c6 /bin/sh -c \
	'x=x; while :; do x=$x$x; done' </dev/null
check "a container that runs out of memory is killed" status_is 137
last_events() { events | grep -q " $1 \$"; }
check "and containerd is told why" wait_for 30 last_events \
	"start oom exit delete"

echo 'to and fro' | ct "${run[@]}" --rm "$image" c2 /bin/cat
check "ctr run: stdin and its end" out_is 'to and fro'
ct "${run[@]}" --rm "$image" c3 /bin/no-such-program </dev/null
check "a program that is missing" status_is 1
check "is named" err_has no-such-program
check "and leaves no shim" wait_for 60 no_shim

# --- a container that stays ---------------------------------------------------------------

ct "${run[@]}" -d "$image" c4 /bin/sh -c 'echo $$ >/tmp/mark; while :; do sleep 1; done' </dev/null
check "ctr run -d" status_is 0
ct task ls
check "task ls: it runs" grep -qE 'c4 .*RUNNING' "$WORK/out"
name=$(shim_of name)
check "ferry list has the sandbox" test "${#name}" -eq 32
ct task exec --exec-id e1 c4 /bin/sh -c 'cat /tmp/mark; exit 3' </dev/null
check "task exec: exit code" status_is 3
check "task exec: in that container" out_is 1
ct task metrics c4
check "task metrics" out_has memory.usage_in_bytes
ct task ps c4
check "task ps" test "$(wc -l <"$WORK/out")" -ge 2
ferry exec "$name/c4" -- /bin/sh -c 'cat /tmp/mark; exit 4' </dev/null
check "ferry exec in the container: exit code" status_is 4
check "ferry exec: output" out_is 1
ferry exec "$name" -- /bin/sh -c 'test -d /run/gcs && echo uvm' </dev/null
check "ferry exec beside it, in the UVM" out_is uvm
ferry stats "$name"
check "ferry stats of the container" grep -qE '^c4 .* s .* MiB +[1-9]' "$WORK/out"
ferry stats --json "$name/c4"
check "ferry stats --json" grep -qE '"container":"c4","cpu_ns":[1-9]' "$WORK/out"
ferry ps "$name"
check "ferry ps has the container" out_has c4

# containerd comes and goes, the container stays.
kill -9 "$daemon"
wait "$daemon" 2>/dev/null
containerd_up
ct task ls
check "after a restart of containerd it runs" grep -qE 'c4 .*RUNNING' "$WORK/out"
ct task exec --exec-id e2 c4 /bin/echo again </dev/null
check "and can be worked with" out_is again

ct "${run[@]}" -d "$image" c5 /bin/sleep 1000 </dev/null
check "a second container is a second sandbox" test "$(shims | wc -l)" -eq 2

ct task kill -s KILL c4
check "task kill" status_is 0
stopped() { ct task ls; grep -qE "$1 .*STOPPED" "$WORK/out"; }
check "task ls: it has stopped" wait_for 60 stopped c4
ct task rm c4
check "task rm says how" err_has 'exit code 137'
check "its sandbox goes with it" wait_for 60 eval '[ "$(shims | wc -l)" -eq 1 ]'

# --- a shim that is killed -------------------------------------------------------------------

qemu=$(shim_of qemu_pid)
kill -9 "$(shim_of shim_pid)"
gone() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }
check "QEMU goes with its shim" wait_for 30 gone "$qemu"
no_task() { ct task ls; ! grep -q "$1" "$WORK/out"; }
check "containerd notices" wait_for 60 no_task c5
check "and delete leaves nothing behind" wait_for 60 no_shim
ct container rm c4
ct container rm c5
check "containers can be removed" status_is 0

# --- a sandbox of several, with annotations ------------------------------------------------------

pod=(--annotation "$MIGRATABLE" --annotation io.kubernetes.cri.sandbox-id=p1)
ct "${run[@]}" -d "${pod[@]}" --annotation io.kubernetes.cri.container-type=sandbox \
	"$image" p1 /bin/sleep 1000 </dev/null
check "the first container of a pod" status_is 0
ct "${run[@]}" --rm "${pod[@]}" --annotation io.kubernetes.cri.container-type=container \
	"$image" p2 /bin/sh -c 'echo in the pod; exit 6' </dev/null
check "another one in it" status_is 6
check "with its output" out_is 'in the pod'
check "in the same sandbox" test "$(shims | wc -l)" -eq 1
ct "${run[@]}" --rm "${pod[@]}" --annotation io.kubernetes.cri.container-type=container \
	--annotation io.microsoft.virtualmachine.computetopology.processor.count=1 \
	"$image" p3 /bin/echo no </dev/null
check "an annotation of the sandbox that differs is refused" status_is 1
check "by name" err_has 'processor.count'
ct "${run[@]}" --rm "${pod[@]}" --annotation io.kubernetes.cri.container-type=container \
	--mount type=bind,src=/etc,dst=/host,options=rbind:ro "$image" p4 /bin/echo no </dev/null
check "so is a folder of the host in a sandbox that may move" status_is 1
check "by its place" err_has /host
ct task kill -s KILL p1
check "the pod ends" wait_for 60 stopped p1
ct task rm p1
check "and its sandbox with it" wait_for 60 no_shim
no_mount() { ! grep "$WORK/state" /proc/mounts; }
check "nothing is mounted any more" wait_for 30 no_mount
check "nothing is left" wait_for 30 nothing_left
kill "$daemon"
wait "$daemon"
finish
