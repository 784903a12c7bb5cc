# tests/e2e/lib/bundle.bash - sourced behind e2e.bash: bundles of a busybox
# shellcheck shell=bash

# A root file system with busybox and a link for each of its commands.
make_rootfs() { # DIR
	mkdir -p "$1"/{bin,dev,proc,sys,tmp,etc,root} || return
	chmod 1777 "$1/tmp"
	cp -L "$LIB/guest/busybox" "$1/bin/busybox" || return
	local applet
	for applet in $("$1/bin/busybox" --list); do
		[ "$applet" = busybox ] || ln -sf busybox "$1/bin/$applet"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1001::/tmp:/bin/sh\n' \
		>"$1/etc/passwd"
	printf 'root:x:0:\nstaff:x:1001:\nextra:x:1002:user\n' >"$1/etc/group"
}

# make_bundle DIR [MEMBER...]: DIR/config.json for DIR/rootfs; further members
# of process come in PROCESS, of the whole in the arguments
make_bundle() {
	local dir=$1
	shift
	mkdir -p "$dir"
	cat >"$dir/config.json" <<-JSON
		{"ociVersion":"1.0.2",
		"process":{"user":{"uid":0,"gid":0},"args":["/bin/sh","-c","exit 7"],
		  "env":["PATH=/bin","COLOR=red"],"cwd":"/",
		  "capabilities":{"bounding":["CAP_KILL","CAP_CHOWN"],
		    "effective":["CAP_KILL","CAP_CHOWN"],
		    "permitted":["CAP_KILL","CAP_CHOWN"]}${PROCESS:+,$PROCESS}},
		"root":{"path":"rootfs","readonly":${READONLY:-false}},
		"hostname":"box",
		"mounts":[
		  {"destination":"/proc","type":"proc","source":"proc"},
		  {"destination":"/dev","type":"tmpfs","source":"tmpfs",
		    "options":["nosuid","strictatime","mode=755","size=65536k"]},
		  {"destination":"/dev/pts","type":"devpts","source":"devpts",
		    "options":["nosuid","noexec","newinstance","ptmxmode=0666","mode=0620"]},
		  {"destination":"/sys","type":"sysfs","source":"sysfs",
		    "options":["nosuid","noexec","nodev","ro"]}],
		"linux":{"namespaces":[{"type":"pid"},{"type":"network"},
		  {"type":"ipc"},{"type":"uts"},{"type":"mount"}]}$*}
	JSON
}
