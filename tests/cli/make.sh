#!/bin/bash
# make does nothing the second time, and enough after a change.
# shellcheck source=tests/cli/lib/cli.bash
. "$(dirname "$0")/lib/cli.bash"
unset MAKEFLAGS MAKELEVEL

# would WHAT-CHANGED GOAL... - the steps that make would take
would() {
	local changed=$1
	shift
	make -n V=1 ${changed:+-W "$changed"} "$@" 2>&1
}

out=$(make all 2>&1)
[ "$out" = "make: Nothing to be done for 'all'." ]
result 'the second make does nothing' $? "$out"

would config/err.h build/ferry | grep -q -- '-o build/host/config/num.o'
result 'a header changes what includes it' $?
! would bridge/wire.h build/ferry | grep -q -- '-o build/host/config/num.o'
result 'and nothing else' $?
would init/main.c build/lib/ferry/initramfs.img | grep -q 'image build'
result 'a guest program changes the image' $?
would build/deps/stamp/kernel all | grep -q 'image vmlinux'
result 'a new kernel is unpacked again' $?
for program in build/guest/bin/*; do
	! readelf -lW "$program" | grep -q INTERP && ! readelf -SW "$program" | grep -q debug
	result "$program is static and stripped" $?
done
fits() { # PROGRAM KIB: the bars that users of small UVMs were promised
	local size
	size=$(stat -c %s "build/guest/bin/$1")
	[ "$size" -le $(($2 * 1024)) ]
	result "$1 has at most $2 KiB" $? "$size bytes"
}
fits gcs 400
fits init 80
fits vsockexec 48

dest=$(mktemp -d)
trap 'rm -rf "$dest"' EXIT
make -s install DESTDIR="$dest" prefix=/usr >"$dest/log" 2>&1
result 'make install' $? "$(cat "$dest/log")"
"$dest/usr/bin/ferry" image build -o "$dest/image" &&
	cmp "$dest/image" build/lib/ferry/initramfs.img
result 'the installed tree builds the same image' $?
! grep -rqlF "$PWD" "$dest/usr/bin" "$dest/usr/lib/ferry/guest"
result 'no installed program knows where it was built' $?

finish
