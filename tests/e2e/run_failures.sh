#!/bin/bash
# tests/e2e/run_failures.sh - what goes wrong gets a message, leaves nothing
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 cpio
run=("${RUN[@]}" --annotation "$MIGRATABLE")

# --- before anything runs -----------------------------------------------------

ferry "${run[@]}" --kernel /nowhere/vmlinux -- /bin/true </dev/null
check "a missing kernel is 125" status_is 125
check "and named" err_has 'kernel: /nowhere/vmlinux: No such file'

ferry "${run[@]}" --image /nowhere/image -- /bin/true </dev/null
check "a missing image is 125" status_is 125
check "and named" err_has 'image: /nowhere/image: No such file'

ferry "${run[@]}" --qemu /nowhere/qemu -- /bin/true </dev/null
check "a missing QEMU is 125" status_is 125
check "and named" err_has '/nowhere/qemu'

printf '#!/bin/sh\necho "machine q35 is unknown" >&2\nexit 1\n' >"$WORK/qemu"
chmod +x "$WORK/qemu"
ferry "${run[@]}" --qemu "$WORK/qemu" -- /bin/true </dev/null
check "a QEMU that refuses is 125" status_is 125
check "with its own words" err_has \
	'QEMU ended with status 1: machine q35 is unknown'

ferry "${RUN[@]}" --annotation io.microsoft.migration.support-enabled=perhaps \
	-- /bin/true </dev/null
check "a malformed annotation is 2" status_is 2
check "with its class" err_has 'error: annotation-malformed: '
ferry "${RUN[@]}" --annotation nonsense -- /bin/true </dev/null
check "an annotation without a value is 2" status_is 2
ferry "${RUN[@]}" </dev/null
check "no command is 2" status_is 2
printf '{"io.microsoft.virtualmachine.lcow.kernelbootoptions": "init=/bin/sh"}' |
	ferry "${RUN[@]}" --annotations - -- /bin/true
check "a dangerous kernel option is 2" status_is 2

# --- a guest that is not well ---------------------------------------------------

sleeper=$WORK/sleeper.img
tiny_image build/tests/guest/sleep_init "$sleeper"
ferry "${run[@]}" --image "$sleeper" --boot-timeout 4 -- /bin/true </dev/null
check "a guest that never calls is 125" status_is 125
check "and told so" err_has 'did not call'
check "nothing is left" nothing_left

: >"$WORK/no.img"
ferry "${run[@]}" --image "$WORK/no.img" -- /bin/true </dev/null
check "a guest that panics is 125" status_is 125
check "and told so" err_has 'kernel panicked'
check "nothing is left" nothing_left

# An agent that does not start says why; where nobody hears it, the console has
# it. A later archive wins.
mkdir -p "$WORK/tree/bin"
cat >"$WORK/tree/bin/gcs" <<'EOF'
#!/bin/sh
echo '{"level":"info","msg":"a good day"}' >&2
printf 'gcs: an \033[31mabsurd flag\n' >&2
echo '{"level":"info","msg":"and a good night"}' >&2
exit 2
EOF
chmod +x "$WORK/tree/bin/gcs"
(cd "$WORK/tree" && find bin | LC_ALL=C sort |
	cpio --quiet -o -H newc --owner 0:0) >"$WORK/extra.cpio"
cat "$LIB/initramfs.img" "$WORK/extra.cpio" >"$WORK/bad.img"
ferry "${RUN[@]}" --image "$WORK/bad.img" -- /bin/true </dev/null
check "classic: an agent that does not start is 125" status_is 125
check "and told with its own words" err_has \
	'powered off: gcs: an \x1b[31mabsurd flag'
ferry "${run[@]}" --image "$WORK/bad.img" -- /bin/true </dev/null
check "migratable: an agent that does not start is 125" status_is 125
check "and a hint tells where to look" err_has 'powered off (--console shows why)'
check "nothing is left" nothing_left

# --- things that die in the middle ------------------------------------------------

has_qemu() { [ -n "$(qemus)" ]; }
# The command tells that it runs by a file of ours: its output.
says_go() { grep -q go "$WORK/out"; }
no_qemu() { [ -z "$(qemus)" ]; }

# begin ARG...: ferry in the background, until the command runs. A shell has
# the background ignore SIGINT, and ferry respects that.
begin() {
	timeout --kill-after=10 "$LIMIT_S" \
		env --default-signal=INT,QUIT build/ferry "$@" \
		>"$WORK/out" 2>"$WORK/err" </dev/null &
	running=$!
	wait_for 60 says_go
}
end() {
	wait "$running"
	status=$?
}
ferry_pid() { pgrep -P "$running"; }

begin "${run[@]}" -- /bin/sh -c 'echo go; sleep 1000'
kill -9 "$(qemus)"
end
check "QEMU killed in the middle is 125" status_is 125
check "and told so" err_has 'QEMU was ended by signal 9'
check "nothing is left" nothing_left

begin "${run[@]}" -- /bin/sh -c 'echo go; sleep 1000'
kill -9 "$(ferry_pid)"
end
check "ferry killed: QEMU goes too" wait_for 20 no_qemu
ferry "${run[@]}" --kernel "$LIB/vmlinux" -- /bin/true </dev/null
check "the next run cleans its folder up" nothing_left
check "and works" status_is 0

begin "${run[@]}" -- /bin/sh -c 'trap "exit 7" INT; echo go; while :; do sleep 1; done'
kill -INT "$(ferry_pid)"
end
check "SIGINT is the command's" status_is 7
check "nothing is left" nothing_left

begin "${run[@]}" -- /bin/sh -c 'trap "" INT TERM; echo go; while :; do sleep 1; done'
kill -INT "$(ferry_pid)"
# Two of them before ferry looks would be one.
taken() { # is none of them pending?
	[ -z "$(sed -n 's/^ShdPnd:.*[2367abef]$/&/p' "/proc/$(ferry_pid)/status")" ]
}
wait_for 60 taken
kill -INT "$(ferry_pid)"
end
check "a second SIGINT ends it all" status_is 130
check "nothing is left" nothing_left

begin "${run[@]}" -- /bin/sh -c 'echo go; sleep 1000'
kill -TERM "$(ferry_pid)"
end
check "SIGTERM ends the command" status_is 143

ferry "${run[@]}" --timeout 3 -- /bin/sleep 1000 </dev/null
check "a time limit that passes is 124" status_is 124
check "nothing is left" nothing_left

ferry "${run[@]}" -- /bin/sh -c 'echo o >/proc/sysrq-trigger; sleep 100' </dev/null
check "a UVM that powers off under its command is 125" status_is 125
ferry "${run[@]}" -- /bin/sh -c 'echo c >/proc/sysrq-trigger; sleep 100' </dev/null
check "a kernel that panics under its command is 125" status_is 125
check "and told so" err_has 'kernel panicked'
check "memory is not blamed" eval '! err_has "too little"'
check "nothing is left" nothing_left
ferry run --memory 64 -- /bin/true </dev/null
check "too little memory is 125" status_is 125
check "and suspected" err_has '64 MiB of memory may be too little'

# --- no room ------------------------------------------------------------------------

if [ "$(id -u)" -eq 0 ] && mkdir "$WORK/full" &&
	mount -t tmpfs -o size=4k,nr_inodes=2 tmpfs "$WORK/full" 2>/dev/null; then
	TMPDIR=$WORK/full/ ferry "${run[@]}" -- /bin/true </dev/null
	umount "$WORK/full"
	check "a full disk is 125" status_is 125
	check "and told so" err_has 'No space left on device'
else
	skip "a full disk" "cannot mount a tmpfs here"
fi
finish
