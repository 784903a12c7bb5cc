#!/bin/bash
# tools/setup.sh [--update] - everything that make and the tests need, once
#
# Installs Debian packages, and fetches below build/deps what is used but not
# installed: the sources of json-c and protobuf-c (compiled for the guest with
# musl, json-c for the host too), the guest's kernel with its modules, a static
# busybox, crun with the libraries that it loads, and for one test Debian's
# general kernel, which has what the guest's lacks (9p). All of it comes through
# apt from the mirrors that this machine's own apt uses, checked against their
# signed indexes; /etc/apt, apt's lists and /boot stay as they are. What is there
# already is left alone, so that a second run does nothing; --update fetches anew.
# A run that breaks off leaves only whole items.
set -u
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin DEBIAN_FRONTEND=noninteractive
cd "$(dirname "$0")/.." || exit 1

# Of all that goes below build/deps: to be raised when its layout changes.
layout=1
# Waits for other programs' locks, and for a mirror that does not answer.
lock_s=300
net_s=30
# Free space that the unpacked items and the download need together.
need_mib=1200

arch=$(dpkg --print-architecture 2>/dev/null) || arch=unknown
case $arch in
amd64) qemu=qemu-system-x86 flavour=cloud-amd64 ;;
arm64) qemu=qemu-system-arm flavour=cloud-arm64 ;;
*)
	echo "setup: this machine's architecture ($arch) or system is not known;" \
		"ferry wants Debian 12 on amd64" >&2
	exit 1
	;;
esac

packages=(
	# build: host programs, guest programs, the kernel's headers
	gcc libc6-dev make binutils pkg-config
	musl-tools linux-libc-dev
	libjson-c-dev libprotobuf-c-dev protobuf-c-compiler libinih-dev
	liblz4-dev liblzma-dev
	# set-up: unpacking sources, and modules.dep, which the kernel lacks
	ca-certificates dpkg-dev xz-utils kmod
	# run: the machine
	"$qemu"
	# run: disks from a folder
	e2fsprogs erofs-utils
	# tests and bench
	libcmocka-dev valgrind containerd cpio procps zstd diod
	# tests of moves between nodes: the NBD server of their disks
	qemu-utils
	# tests of networks: namespaces, taps, bridges
	iproute2 util-linux
	# soak (the library of Debian 12's clang), lint
	libclang-rt-14-dev
	clang clang-tidy clang-format cppcheck shellcheck
)

deps=build/deps
say() { echo "setup: $*"; }
die() {
	echo "setup: $*" >&2
	exit 1
}
# explain WHAT LOG - the end of a failed step's output, then what is missing
explain() {
	grep -aE '^(E|Err|W):|rror|failed|No space' "$2" | tail -n 6 | sed 's/^/    /' >&2
	die "$1 (all output: $2)"
}

case ${1-} in
'') update= ;;
--update) update=1 ;;
*)
	echo "usage: tools/setup.sh [--update]" >&2
	exit 2
	;;
esac

if ! mkdir -p "$deps" || ! [ -w "$deps" ]; then
	die "cannot write to $PWD/$deps"
fi
deps=$(cd "$deps" && pwd -P)
apt=$deps/apt log=$deps/log
mkdir -p "$log" "$deps/stamp" || die "cannot write to $deps"
exec 9>"$deps/.lock" || die "cannot write to $deps"
flock -w "$lock_s" 9 || die "another set-up works in $deps, still after $lock_s s"

# --- what is missing ---------------------------------------------------------

have_item() { # NAME FILE...
	local name=$1 file
	shift
	[ -z "$update" ] && [ "$(cat "$deps/stamp/$name" 2>/dev/null)" = "$layout" ] ||
		return 1
	for file; do
		[ -s "$deps/$file" ] || return 1
	done
}

declare -A proof=(
	[json-c]="src/json-c/json_tokener.c"
	[protobuf-c]="src/protobuf-c/protobuf-c/protobuf-c.c"
	[kernel]="kernel/vmlinuz kernel/release kernel/modules/modules.dep"
	[busybox]="busybox"
	[crun]="crun/usr/bin/crun"
	[generic]="generic/vmlinuz generic/modules/modules.dep"
)
missing_items=()
for item in json-c protobuf-c kernel busybox crun generic; do
	# shellcheck disable=SC2086 # a list of files
	have_item "$item" ${proof[$item]} || missing_items+=("$item")
done

missing_packages=()
for package in "${packages[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
		missing_packages+=("$package")
done

next() {
	say "done; now: make"
	exit 0
}
if [ ${#missing_packages[@]} -eq 0 ] && [ ${#missing_items[@]} -eq 0 ]; then
	say "nothing to do"
	next
fi

as_root=()
if [ ${#missing_packages[@]} -ne 0 ] && [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null ||
		die "not root and no sudo, cannot install: ${missing_packages[*]}"
	as_root=(sudo --)
fi

free_kib=$(df -Pk "$deps" | awk 'NR == 2 { print $4 }')
[ "$free_kib" -ge $((need_mib * 1024)) ] ||
	die "$deps has $((free_kib / 1024)) MiB free, $need_mib are needed"

# --- a private apt -----------------------------------------------------------
# Debian's entries of the user's own sources, with the sources' index added;
# entries of others (another suite) have nothing that is needed here.

# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
suites="(${codename:-stable}|stable|oldstable)(-updates|-security|/updates)?/?"

one_line_sources() { # FILE...: deb [options] URI SUITE COMPONENT...
	awk -v want="^$suites\$" '
	$1 == "deb" {
		i = 2
		if ($i ~ /^\[/) {
			while (i < NF && $i !~ /\]$/)
				i++
			i++
		}
		if ($i ~ /^cdrom:/ || $(i + 1) !~ want)
			next
		print
		$1 = "deb-src"
		print
	}' "$@"
}

deb822_sources() { # FILE...: stanzas, one Debian suite or more in each
	awk -v want="^$suites\$" '
	function flush(    i, n, s, keep) {
		n = split(suites, s, " ")
		for (i = 1; i <= n; i++)
			if (s[i] ~ want)
				keep = 1
		if (deb && keep && !off)
			printf "Types: deb deb-src\n%s\n", text
		text = suites = ""
		deb = off = 0
	}
	/^[ \t]*$/ || FNR == 1 { flush() }
	/^#/ || /^[ \t]*$/ { next }
	tolower($1) == "types:" { deb = / deb( |$)/; next }
	tolower($1) == "enabled:" { off = tolower($2) ~ /^(no|false|0)$/ }
	tolower($1) == "suites:" { suites = $0; sub(/^[^:]*:/, "", suites) }
	{ text = text $0 "\n" }
	END { flush() }' "$@"
}

prepare_apt() {
	local lists=() stanzas=() file
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ -r "$file" ] && lists+=("$file")
	done
	for file in /etc/apt/sources.list.d/*.sources; do
		[ -r "$file" ] && stanzas+=("$file")
	done
	mkdir -p "$apt"/{lists/partial,cache/archives/partial,parts}
	: >"$apt/sources.list"
	: >"$apt/parts/debian.sources"
	[ ${#lists[@]} -eq 0 ] || one_line_sources "${lists[@]}" >"$apt/sources.list"
	[ ${#stanzas[@]} -eq 0 ] || deb822_sources "${stanzas[@]}" >"$apt/parts/debian.sources"
	[ -s "$apt/sources.list" ] || [ -s "$apt/parts/debian.sources" ] ||
		die "no Debian suite (${codename:-stable}) in /etc/apt/sources.list" \
			"or /etc/apt/sources.list.d"
	# Read after the system's own configuration, whose proxies and keys stay
	# in force. Not as user _apt, who may not enter a home directory.
	cat >"$apt/apt.conf" <<-CONF
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		Dir::Etc::sourcelist "$apt/sources.list";
		Dir::Etc::sourceparts "$apt/parts";
		Dir::State::lists "$apt/lists";
		Dir::Cache "$apt/cache";
		Dir::Cache::archives "$apt/cache/archives";
		APT::Sandbox::User "root";
		APT::Get::Assume-Yes "true";
		APT::Install-Recommends "false";
		Acquire::Languages "none";
		Acquire::Retries "3";
		Acquire::http::Timeout "$net_s";
		Acquire::https::Timeout "$net_s";
		DPkg::Lock::Timeout "$lock_s";
	CONF
}
apt_get() { "${as_root[@]}" apt-get -q -c "$apt/apt.conf" "$@" </dev/null; }

prepare_apt
say "reading the package indexes"
apt_get -o APT::Update::Error-Mode=any update >"$log/update.log" 2>&1 ||
	explain "cannot read the package indexes of this machine's mirrors" "$log/update.log"

if [ ${#missing_packages[@]} -ne 0 ]; then
	say "installing ${missing_packages[*]}"
	apt_get install "${missing_packages[@]}" >"$log/install.log" 2>&1 ||
		explain "cannot install ${missing_packages[*]}" "$log/install.log"
fi
as_root=()

# --- items -------------------------------------------------------------------
# Each is made in a folder of its own and moved to its place when whole.

work=$deps/work
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP

place() { # FROM TO
	rm -rf "$deps/$2.old" && mkdir -p "$(dirname "$deps/$2")" || return 1
	[ ! -e "$deps/$2" ] || mv -T "$deps/$2" "$deps/$2.old" || return 1
	mv -T "$1" "$deps/$2" && rm -rf "$deps/$2.old"
}

# The index checks what apt fetches; the .dsc, once more, what we unpack.
check_dsc() { # FILE
	awk '/^Checksums-Sha256:/ { on = 1; next }
	     /^[^ ]/ { on = 0 }
	     on { print $1 "  " $3 }' "$1" >sums && [ -s sums ] &&
		sha256sum --strict -c sums
}

source_package() { # NAME
	apt_get source --download-only "$1" && check_dsc "$1"_*.dsc &&
		dpkg-source --no-copy -x "$1"_*.dsc tree && place tree "src/$1"
}

fetch() { # PACKAGE...: unpacked into ./root, not installed
	local deb
	apt_get download "$@" || return 1
	for deb in ./*.deb; do
		dpkg-deb -x "$deb" root || return 1
	done
}

kernel_image() { # FLAVOUR: prints the package's name
	apt-cache -c "$apt/apt.conf" depends "linux-image-$1" |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; n++; exit }
		     END { exit !n }'
}

get_kernel() {
	local image release
	image=$(kernel_image "$flavour") || return
	release=${image#linux-image-}
	fetch "$image" && depmod -b "$PWD/root" "$release" && mkdir kernel &&
		mv "root/boot/vmlinuz-$release" kernel/vmlinuz &&
		mv "root/lib/modules/$release" kernel/modules &&
		echo "$release" >kernel/release && place kernel kernel
}

# Of its modules those that a UVM may want: the rest is 300 MiB.
get_generic() {
	local image release
	image=$(kernel_image "$arch") || return
	release=${image#linux-image-}
	apt_get download "$image" && mkdir root &&
		dpkg-deb --fsys-tarfile ./*.deb | tar -x -C root --wildcards \
			'./boot/vmlinuz-*' './lib/modules/*/modules.*' \
			'./lib/modules/*/kernel/'{arch,crypto,fs,lib}'/*' \
			'./lib/modules/*/kernel/net/'{9p,core,vmw_vsock}'/*' \
			'./lib/modules/*/kernel/drivers/net/'{virtio_net,net_failover}.ko \
			'./lib/modules/*/kernel/drivers/'{acpi,block,char,dax,md,nvdimm,scsi,virtio}'/*' &&
		depmod -b "$PWD/root" "$release" && mkdir generic &&
		mv "root/boot/vmlinuz-$release" generic/vmlinuz &&
		mv "root/lib/modules/$release" generic/modules &&
		place generic generic
}

# What crun loads. What is missing here comes from this machine's folders when
# an image is built.
crun_libs=(libc6 libcap2 libgcrypt20 libgpg-error0 liblz4-1 liblzma5 libseccomp2
	libsystemd0 libyajl2 libzstd1)

get_item() {
	case $1 in
	json-c | protobuf-c) source_package "$1" ;;
	kernel) get_kernel ;;
	generic) get_generic ;;
	busybox) fetch busybox-static && place root/bin/busybox busybox ;;
	crun) fetch crun "${crun_libs[@]}" && place root crun ;;
	esac
}

for item in "${missing_items[@]}"; do
	say "fetching $item"
	rm -rf "$work" "$deps/stamp/$item"
	mkdir -p "$work"
	cd "$work" || die "cannot write to $work"
	get_item "$item" >"$log/$item.log" 2>&1 ||
		explain "cannot get $item" "$log/$item.log"
	echo "$layout" >"$deps/stamp/$item" || die "cannot write to $deps/stamp"
	cd "$deps" || exit 1
done
rm -rf "$apt/cache"
next
