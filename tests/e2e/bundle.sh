#!/bin/bash
# tests/e2e/bundle.sh - the container of an OCI bundle, with real crun: exit
# codes, streams, terminals, users, root file systems of every kind of file
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
# shellcheck source=tests/e2e/lib/bundle.bash
. "$(dirname "$0")/lib/bundle.bash"
need qemu-system-x86_64 mke2fs sha256sum
run=("${RUN[@]}" --annotation "$MIGRATABLE")
b=$WORK/bundle
make_rootfs "$b/rootfs"
make_bundle "$b"

# What is in a folder, for comparing: names, kinds, owners, times, contents.
listing() { # DIR
	(cd "$1" && find . -printf '%p %y %m %U %G %n %T@ %l\n' | LC_ALL=C sort &&
		find . -type f -exec sha256sum {} + | LC_ALL=C sort)
}

# --- codes and streams ----------------------------------------------------------------

listing "$b/rootfs" >"$WORK/before"
ferry "${run[@]}" --bundle "$b" </dev/null
check "the bundle's own process, code 7" status_is 7
check "not a word of ferry's" err_is ''

ferry "${run[@]}" --bundle "$b" -- /bin/sh -c \
	'echo out; echo err >&2; echo gone >/etc/passwd; rm /bin/busybox; exit 42' \
	</dev/null
check "a command in place of it, code 42" status_is 42
check "stdout" out_is out
check "stderr" err_is err
listing "$b/rootfs" >"$WORK/after"
check "what a container does to its files stays there" \
	cmp "$WORK/before" "$WORK/after"

# As process 1 of its own namespace it could not kill itself.
sed -i 's/{"type":"pid"},//' "$b/config.json"
printf 'a\nb' >"$WORK/in"
ferry "${run[@]}" --bundle "$b" -- /bin/sh -c 'cat; echo; kill -9 $$' <"$WORK/in"
check "a process that a signal killed" status_is 137
check "input, and its end" out_is $'a\nb'
make_bundle "$b"

ferry "${run[@]}" --bundle "$b" --env COLOR='b c' --env X=1 --workdir /tmp -- \
	/bin/sh -c 'echo "$COLOR $X $PATH"; pwd; hostname; id -u; cat /proc/1/comm
	grep -c . /etc/hosts; readlink /proc/self/ns/pid >&2; exit 255' </dev/null
check "code 255" status_is 255
check "environment, folder, host name, its own process 1" \
	out_is $'b c 1 /bin\n/tmp\nbox\n0\nsh\n8'

ferry "${run[@]}" --bundle "$b" -- /bin/nothing </dev/null
check "a program that is missing is 127" status_is 127
check "and named" err_has /bin/nothing
ferry "${run[@]}" --bundle "$b" -- /etc/passwd </dev/null
check "what cannot be executed is 126" status_is 126

head -c 20000000 /dev/urandom >"$WORK/data"
ferry "${run[@]}" --bundle "$b" -- /bin/sh -c 'tee /copy | sha256sum; sha256sum /copy' \
	<"$WORK/data"
sum=$(sha256sum <"$WORK/data")
check "twenty megabytes in, and written to its disk" \
	out_is "$sum"$'\n'"${sum%-}/copy"

# --- the end from outside ---------------------------------------------------------------

build/ferry "${run[@]}" --bundle "$b" -- /bin/sh -c \
	'trap "echo caught; exit 5" TERM; echo up; while :; do sleep 0.1; done' \
	</dev/null >"$WORK/out" 2>"$WORK/err" &
pid=$!
wait_for 60 grep -q up "$WORK/out"
kill -TERM $pid
wait $pid
status=$?
check "SIGTERM is the container's" status_is 5
check "which heard it" out_has caught

# --- terminals ----------------------------------------------------------------------------

timeout --kill-after=10 "$LIMIT_S" build/tests/ptydrive 33 101 raw \
	'send=stty size; tty; echo READY\r' 'expect=33 101' 'expect=READY' \
	'resize=20x70' \
	'send=sleep 1; stty size; echo AGAIN\r' 'expect=20 70' expect=AGAIN \
	'send=echo G""O; cat\r' expect=GO 'send=ping\r' expect=ping expect=ping \
	'send=\x03' 'expect=# ' \
	'send=exit 9\r' \
	-- build/ferry "${run[@]}" -t --bundle "$b" -- /bin/sh -i \
	>"$WORK/out" 2>"$WORK/err"
status=$?
check "a terminal: sizes, Ctrl-C, exit code" status_is 9
check "a terminal: as it was before" out_has 'terminal: as before'

# --- users and read-only root ----------------------------------------------------------------

PROCESS='"user":{"uid":1000,"gid":1001,"additionalGids":[1002]}' make_bundle "$b"
ferry "${run[@]}" --bundle "$b" -- /bin/sh -c 'id; echo x >/x' </dev/null
check "another user, who may not write" status_is 1
check "his groups" out_is 'uid=1000(user) gid=1001(staff) groups=1002(extra)'
READONLY=true make_bundle "$b"
ferry "${run[@]}" --bundle "$b" -- /bin/sh -c 'echo x >/x' </dev/null
check "a read-only root" status_is 1
check "says so" err_has 'Read-only file system'
make_bundle "$b"

# --- files of every kind ---------------------------------------------------------------------

r=$b/rootfs/kinds
mkdir -p "$r/deep/deeper" "$r/opaque"
ln "$b/rootfs/etc/passwd" "$r/hard"
ln -s ../etc/passwd "$r/link"
ln -s /nowhere "$r/dangling"
mkfifo "$r/fifo"
: >"$r/empty"
: >"$r/name with  blanks, commas and \"quotes\" ä"
head -c 3000000 /dev/urandom >"$r/big"
truncate -s 200M "$r/sparse"
printf end >>"$r/sparse"
chmod 4711 "$r/big"
chmod 0000 "$r/empty"
touch -d '2001-02-03 04:05:06.789' "$r/deep"
if [ "$(id -u)" -eq 0 ]; then
	mknod "$r/null" c 1 3
	chown 12345:54321 "$r/deep/deeper"
fi
for format in erofs ext4; do
	if [ $format = erofs ] && ! PATH=$PATH:/usr/sbin command -v mkfs.erofs >/dev/null; then
		skip "files of every kind on erofs" "no mkfs.erofs"
		continue
	fi
	ferry "${run[@]}" --bundle "$b" --disk-format $format -- /bin/sh -c \
		'cd /kinds; find . | sort; stat -c "%n %F %a %h %s" hard big sparse empty fifo
		stat -c "%n %u %g" deep/deeper; stat -c %Y deep; readlink link; readlink dangling
		cat link; sha256sum big; tail -c 3 sparse; echo; ls -l null; echo x >>hard' \
		</dev/null
	cp "$WORK/out" "$WORK/guest"
	(cd "$r" && find . | LC_ALL=C sort
		stat -c "%n %F %a %h %s" hard big sparse empty fifo
		stat -c "%n %u %g" deep/deeper; stat -c %Y deep
		readlink link dangling; cat link; sha256sum big; tail -c 3 sparse; echo) \
		>"$WORK/host"
	check "files of every kind on $format: as on the host" \
		cmp -n "$(stat -c %s "$WORK/host")" "$WORK/guest" "$WORK/host"
	[ "$(id -u)" -ne 0 ] ||
		check "a device node on $format" grep -q '^c.* 1, *3 ' "$WORK/guest"
done

# --- progress and events ----------------------------------------------------------------------

ferry "${run[@]}" --json --bundle "$b" </dev/null
check "events" err_has '"event":"phase","ms":'
check "of the container" err_has '"name":"container-created"'
check "and the code" err_has '"event":"exit","code":7'
check "nothing is left" nothing_left
finish
