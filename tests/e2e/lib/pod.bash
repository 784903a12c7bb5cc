# tests/e2e/lib/pod.bash - sourced by scripts that make containers through the
# task service of a sandbox that runs by itself: bundles, taskdrive
# shellcheck shell=bash

# A bundle in $WORK/NAME with busybox. TYPE is the CRI's container-type in the
# pod "p", or '' for a container by itself; TTY true or false; SCRIPT has no
# double quotes; MORE: members of the annotations that come first, each with its
# comma.
bundle() { # NAME TYPE TTY SCRIPT [MORE]
	local applet root=$WORK/$1/rootfs annotations=${5:-}
	mkdir -p "$root"/{bin,proc,dev,tmp,sys,etc} || return
	cp "$(command -v busybox)" "$root/bin/busybox"
	for applet in sh sleep echo cat test tty mv nc ip; do
		ln -s busybox "$root/bin/$applet"
	done
	if [ -n "$2" ]; then
		annotations+="\"io.kubernetes.cri.container-type\": \"$2\", "
		annotations+='"io.kubernetes.cri.sandbox-id": "p",'
	fi
	cat >"$WORK/$1/config.json" <<-END
		{"ociVersion": "1.0.2", "root": {"path": "rootfs"},
		 "process": {"terminal": $3, "user": {"uid": 0, "gid": 0}, "cwd": "/",
		  "args": ["/bin/sh", "-c", "$4"], "env": ["PATH=/bin"]},
		 "annotations": {${annotations%,}},
		 "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
		  {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
		  {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
		   "options": ["newinstance", "ptmxmode=0666"]}],
		 "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"},
		  {"type": "ipc"}, {"type": "uts"}]}}
	END
}

# taskdrive's output and error output are OUT.out and OUT.err.
taskdrive() { # SOCKET OUT WORDS...
	timeout 120 build/tests/taskdrive "$1" "${@:3}" >"$2.out" 2>"$2.err" </dev/null
}

# How often the numbers of FILE, a line each, do not go on by one.
breaks() { # FILE
	head -n "$(wc -l <"$1")" "$1" |
		awk '$1 != want { n++ } { want = $1 + 1 } END { print n + 0 }'
}
