#!/bin/bash
# tests/e2e/save.sh - a sandbox with a container that counts is saved to files
# and goes on from them
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 mkfs.erofs busybox

do_ferry() {
	timeout --kill-after=10 "$LIMIT_S" build/ferry "$@" \
		>"$WORK/out" 2>"$WORK/err" </dev/null
	status=$?
}
task() { # WORDS...: of taskdrive
	timeout 60 build/tests/taskdrive "$TMPDIR"/ferry-*/shim-e2esave/s "$@" \
		>"$WORK/out" 2>"$WORK/err" </dev/null
	status=$?
}
count_is() { # the container's own word of how far it is
	do_ferry exec e2esave/c /bin/sh -c 'cat /tmp/n'
	cat "$WORK/out"
}
counted() { # it begins to when its shell has come so far
	before=$(count_is)
	[ -n "$before" ]
}
counts() {
	local before
	wait_for 60 counted && wait_for 60 eval "[ \"\$(count_is)\" -gt $before ]"
}
gone() { ! build/ferry list | grep -q e2esave; }
# It was right at some time between the question and the answer.
clock_is_right() {
	local from to is
	from=$(date +%s%N)
	do_ferry exec e2esave /fresh clock
	to=$(date +%s%N)
	is=$(cat "$WORK/out")
	echo "$(((is - from) / 1000000)) ms behind the question," \
		"$(((to - is) / 1000000)) ms before the answer"
	[ "$is" -gt $((from - 100000000)) ] && [ "$is" -lt $((to + 100000000)) ]
}
values() { # FILE
	do_ferry exec e2esave /fresh values
	grep -E '^(uuid|bytes) ' "$WORK/out" >"$1"
	[ "$(wc -l <"$1")" -eq 400 ]
}
none_twice() { ! sort "$@" | uniq -d | grep .; }

root=$WORK/c/rootfs
mkdir -p "$root"/{bin,proc,dev,tmp,sys,etc}
cp "$(command -v busybox)" "$root/bin/busybox"
for applet in sh sleep cat mv; do ln -s busybox "$root/bin/$applet"; done
cat >"$WORK/c/config.json" <<-'END'
	{"ociVersion": "1.0.2", "root": {"path": "rootfs"},
	 "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/",
	  "args": ["/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo $i >/tmp/m; mv /tmp/m /tmp/n; sleep 0.1; done"],
	  "env": ["PATH=/bin"]},
	 "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
	 "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]}}
END

do_ferry run --vsock "${FERRY_E2E_VSOCK:-auto}" --detach --name e2esave \
	--memory 512 --annotation "$MIGRATABLE"
check "a sandbox" status_is 0
task create c "$WORK/c" '' '' ''
check "a container that counts" status_is 0
check "it counts" counts
head -c 32 /dev/urandom >"$WORK/key"

# A line of PID 1's log, to be found again.
do_ferry exec -d e2esave -- /bin/sh -c 'kill -9 $(pidof gcs)'
killed() { do_ferry logs e2esave; out_has 'was killed by signal 9'; }
check "the log has that an agent was killed, and the next one gives it" wait_for 60 killed
head_of_log() { sed -n '/log of PID 1/,$p' "$WORK/out" | sed -n '2,6p'; }
log_before=$(head_of_log)

# --- saved ------------------------------------------------------------------

do_ferry save --key-file "$WORK/key" e2esave "$WORK/no/where"
check "a folder that is not there is told" status_is 1
check "and the container counts on" counts
# From here on the kernel's generator keeps its key for half of the UVM's age: two
# restores draw the same values if nothing is done about it.
timeout "$LIMIT_S" build/ferry exec -i e2esave /bin/sh -c \
	'cat >/fresh && chmod +x /fresh && exec /fresh old 10' \
	<build/tests/guest/fresh >"$WORK/out" 2>"$WORK/err"
status=$?
check "its random generator has a new key" status_is 0
before=$(count_is)
do_ferry save --json --key-file "$WORK/key" e2esave "$WORK/file"
check "saved" status_is 0
phases() { grep -oE '"phase":"[a-z]+"' "$WORK/out" | uniq | tr -dc 'a-z\n' | sed 's/^phase//' | tr '\n' ' '; }
check "its steps are told" test "$(phases)" = 'state memory disks files '
check "and where it is" out_has '"event":"done"'
check "the sandbox has ended" wait_for 60 gone
check "no QEMU is left" wait_for 60 eval '[ -z "$(qemus)" ]'
do_ferry state check --key-file "$WORK/key" "$WORK/file"
check "its state is one that could be imported" status_is 0
do_ferry state show --json --key-file "$WORK/key" "$WORK/file"
check "and names its disks by the saved files" out_has "$WORK/file.disk-"
check "and who wrote it" out_has "\"producer\":\"$(build/ferry --version)\""

# --- refused ----------------------------------------------------------------

do_ferry restore "$WORK/file"
check "without the key it is refused" err_has 'sealed with a key'
cp "$WORK/file.memory" "$WORK/memory"
printf '\001' | dd of="$WORK/file.memory" bs=1 seek=100000 conv=notrunc 2>/dev/null
do_ferry restore --key-file "$WORK/key" "$WORK/file"
check "damaged memory is refused" err_has 'file.memory is damaged'
mv "$WORK/memory" "$WORK/file.memory"
check "and no sandbox was begun" gone

# --- restored ---------------------------------------------------------------

mkdir "$WORK/copies"
cp --sparse=always "$WORK"/file* "$WORK/copies"
do_ferry restore --key-file "$WORK/key" "$WORK/file"
check "restored" status_is 0
check "its clock is right" clock_is_right
check "it draws random values" values "$WORK/values-1"
after=$(count_is)
echo "# it had counted to $before, and is at $after"
check "the count went on where it was" test "${after:-0}" -ge "$before"
check "the container counts" counts
check "the files are gone, but for who may run it" \
	eval '[ "$(ls "$WORK"/file*)" = "$WORK/file.lease" ]'
check "the log survived" wait_for 20 killed
check "from its beginning on" test "$(head_of_log)" = "$log_before"
do_ferry exec e2esave/c /bin/sh -c 'exit 9'
check "new processes run" status_is 9
restore_copies() { # --name NAME: another one, from copies that somebody kept
	find "$WORK/copies" -type f ! -name '*.lease' -exec cp --sparse=always {} "$WORK" \;
	do_ferry restore --key-file "$WORK/key" "$@" "$WORK/file"
}
restore_copies --name e2esave2
check "a second restore of it is refused while it runs" \
	err_has 'went on in epoch 1'
check "and it counts on" counts
do_ferry stop --force e2esave
check "and it ends as others do" status_is 0
restore_copies
check "and when it has ended" err_has 'went on in epoch 1'
check "no sandbox is left" wait_for 60 gone

# --- what makes two of one -----------------------------------------------------------

# By hand, for the lease forbids it.
cp --sparse=always "$WORK"/copies/* "$WORK"
do_ferry restore --key-file "$WORK/key" "$WORK/file"
check "the same state, with its lease put back" status_is 0
check "the clock of a twin is right" clock_is_right
check "it draws random values too" values "$WORK/values-2"
check "none of them is the other's" none_twice "$WORK"/values-[12]

# An agent that cannot reseed the generator: the barrier stays closed.
do_ferry exec e2esave /bin/rm /dev/random /dev/urandom
do_ferry save --key-file "$WORK/key" e2esave "$WORK/file"
check "a guest without its random devices is saved" status_is 0
check "it has ended" wait_for 60 gone
do_ferry restore --key-file "$WORK/key" "$WORK/file"
check "and is not restored" status_is 1
check "for that reason" err_has 'random'
check "nothing of it runs" wait_for 60 eval 'gone && [ -z "$(qemus)" ]'
check "its files are kept" test -s "$WORK/file.memory"
finish
