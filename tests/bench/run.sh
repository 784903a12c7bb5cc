#!/bin/bash
# tests/bench/run.sh - the rows of the table of figures that can be measured.
#
# Sizes need the build alone. The rest is measured by the bench programs, which
# come with the specification and not with ferry: FERRY_BENCH_DIR, by default
# ../shared/bench. Rows marked "instr" count guest instructions and repeat to
# about 1 %; the others depend on what else the machine does, and are medians
# of FERRY_BENCH_ROUNDS rounds. All single results: build/bench/results.jsonl.
set -u
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C
src=${FERRY_BENCH_DIR:-../shared/bench}
rounds=${FERRY_BENCH_ROUNDS:-3}
dir=build/bench
bin=build/guest/bin
modules=build/deps/kernel/modules/kernel/net/vmw_vsock
results=$dir/results.jsonl
mkdir -p "$dir"
: >"$results"
: >"$dir/log"

row() { # FIGURE VALUE BAR AIM
	printf '%-44s %14s %12s %12s\n' "$1" "${2:--}" "$3" "$4"
}
note() { printf '  (%s)\n' "$*"; }

# median PATTERN FIELD [DIVISOR [FORMAT]] - over the matching result lines
median() {
	grep -E -e "$1" "$results" | grep -oE "\"$2\":-?[0-9.]+" | cut -d: -f2 |
		sort -g | awk -v by="${3:-1}" -v fmt="${4:-%.1f}" '
			{ v[NR] = $1 }
			END { if (NR) printf fmt, v[int((NR + 1) / 2)] / by }'
}

# take SUITE COMMAND... - its JSON lines into the results, marked with SUITE
take() {
	local suite=$1
	shift
	timeout --kill-after=5 300 "$@" 2>>"$dir/log" </dev/null | tr -d '\r' |
		sed -n "s/^{/{\"suite\":\"$suite\",/p" >>"$results"
}

compile() {
	musl-gcc -O2 -w -static -s -isystem build/uapi -o "$dir/gcsbench" "$src/gcsbench.c" &&
		musl-gcc -O2 -w -static -s -o "$dir/echoagent" "$src/echoagent.c" &&
		gcc -O2 -w -o "$dir/vsockunix" "$src/vsockunix.c" &&
		gcc -O2 -w -o "$dir/spawntime" "$src/spawntime.c" &&
		echo 'int main(void) { return 0; }' | gcc -O2 -x c -o "$dir/empty" -
}

# --- images: the layout that the boot bench wants ----------------------------

plain_manifest() {
	echo 'file /init 0755 @init'
	echo 'file /bin/vsockexec 0755 @vsockexec'
	echo 'file /bin/gcs 0755 @gcs'
}

bench_manifest() { # ARG...: of the simulator in the guest
	local m name
	for name in dev proc sys run etc var root bproc; do
		echo "dir /$name 0755"
	done
	echo 'dir /tmp 1777'
	echo 'nod /dev/console 0600 c 5 1'
	plain_manifest
	echo 'busybox /bin/busybox 0755 @busybox'
	echo "file /bench0 0755 $dir/gcsbench"
	echo "file /probe 0755 $dir/gcsbench"
	for m in vsock vmw_vsock_virtio_transport_common vsock_loopback; do
		echo "file /mods/$m.ko 0644 $modules/$m.ko"
	done
	printf '%s\n' 'text /bench.mods 0644 /mods/vsock.ko\n/mods/vmw_vsock_virtio_transport_common.ko\n/mods/vsock_loopback.ko\n'
	printf 'text /bench.cmd 0644 '
	printf '%s\\n' "$@"
	echo
}

boot() { # SUITE "INIT ARGS" SIMULATOR-ARG...: under the instruction clock
	local suite=$1 args=$2
	shift 2
	bench_manifest "$@" >"$dir/manifest"
	build/ferry image build --manifest "$dir/manifest" -o "$dir/image" || return
	take "$suite" env ICOUNT=1 KERNEL=build/deps/kernel/vmlinuz TMO=120 \
		"$src/qemuboot.sh" "$dir/image" '' "$args"
}

# What this machine does in a second when nobody asks for it.
two_starters() {
	local from to
	from=$(date +%s%N)
	"$dir/spawntime" -n 500 -w 0 -- /bin/true >>"$dir/log" &
	"$dir/spawntime" -n 500 -w 0 -- /bin/true >>"$dir/log"
	wait
	to=$(date +%s%N)
	echo "{\"suite\":\"starts\",\"label\":\"two\",\"per_s\":$((1000 * 1000000000 / (to - from)))}" >>"$results"
}

# --- groups of rows -------------------------------------------------------------

sizes() {
	local f size
	for f in gcs:'400 KiB':'256 KiB' init:'80 KiB':'48 KiB' vsockexec:'48 KiB':'24 KiB'; do
		IFS=: read -r f bar aim <<<"$f"
		row "$f, bytes" "$(stat -c %s "$bin/$f")" "$bar" "$aim"
	done
	plain_manifest >"$dir/manifest"
	build/ferry image build --manifest "$dir/manifest" -o "$dir/image" &&
		size=$(stat -c %s "$dir/image")
	row 'the three as cpio, bytes' "$size" '600 KB' '350 KB'
	row 'the three as cpio, zstd -19, bytes' "$(zstd -q -19 -c "$dir/image" | wc -c)" \
		'250 KB' '150 KB'
	row 'default image, bytes' "$(stat -c %s build/lib/ferry/initramfs.img)" '' ''
}

guest() {
	local agent='/bin/vsockexec -e 109 /bin/gcs -v4 -loglevel info'
	boot icount "-e 1 $agent" --label ferry --comm gcs --self /bench0 --warm 50 \
		rpc=start:1:300 rpc=start:64:2000 exec=1:40
	boot pid1 /probe probe ferry
	local b='"suite":"icount".*"metric":"boot"'
	row '/init to bridge connect, cgroup v2, ms instr' \
		"$(median "$b" init_exec_to_connect_us 1000 %.2f)" 4 2.5
	row '/init to negotiated, cgroup v2, ms instr' \
		"$(median "$b" init_exec_to_negotiated_us 1000 %.2f)" '' ''
	row '/init to main of its child, ms instr' \
		"$(median '"suite":"pid1".*"metric":"pid1_exec_to_child_main"' us 1000 %.2f)" 2.0 1.4
	row 'PID 1 memory with an idle child, kB' \
		"$(median '"suite":"pid1".*"metric":"mem"' rss_kb 1 %.0f)" 120 100
	row 'RPC round trip in the guest, k instr' \
		"$(median '"suite":"icount".*"metric":"rpc".*"inflight":1,' p50_us)" 90 65
}

native() {
	local i agent=("$bin/gcs" -v4 -loglevel error)
	export CG=v2
	for ((i = 0; i < rounds; i++)); do
		take floor "$src/nsrun.sh" "$dir/gcsbench" --label floor \
			rpc=start:1:20000 rpc=start:64:60000 -- "$dir/echoagent"
		take native "$src/nsrun.sh" "$dir/gcsbench" --label ferry startup=20 mem \
			rpc=start:1:20000 rpc=start:64:60000 exec=1:400 exec=64:1500 \
			-- "${agent[@]}" -use-inouterr
		take starts "$dir/spawntime" -l one -- /bin/true
		two_starters
		# shellcheck disable=SC2016 # expanded by the inner shell
		take relay "$src/nsrun.sh" sh -c 'mkdir -p /run/vs; exec "$@"' sh \
			"$dir/gcsbench" --label ferry --transport unix:/run/vs \
			--self "$PWD/$dir/gcsbench" relay=uvm-stdout:2000000000 \
			relay=uvm-stdin:2000000000 relay=uvm-tty:100000000 \
			reconnect=20 reconnect=20:250 -- "$dir/vsockunix" /run/vs "${agent[@]}"
	done
	local n='"suite":"native".*' r='"suite":"relay".*'
	local one='"metric":"rpc".*"inflight":1,' many='"metric":"rpc".*"inflight":64,'
	row 'agent memory negotiated, kB' "$(median "$n\"stage\":\"negotiated\"" rss_kb 1 %.0f)" 1500 800
	row 'agent memory with 100 processes, kB' \
		"$(median "$n\"stage\":\"100-live-waited\"" rss_kb 1 %.0f)" 2000 1000
	row 'agent threads' "$(median "$n\"stage\":\"100-live-waited\"" threads 1 %.0f)" 1 1
	row 'RPC native, one in flight, p50 us' "$(median "$n$one" p50_us)" '1.3 x floor' '1.1 x floor'
	row '  the floor of the harness, us' "$(median "\"suite\":\"floor\".*$one" p50_us)" '' ''
	row 'RPC native, 64 in flight, k/s' "$(median "$n$many" rps 1000)" 250 500
	row 'agent CPU per request at 64, us' \
		"$(median "$n$many" agent_cpu_us_per_req 1 %.2f)" 3 1.5
	local e="$n\"part\":\"Execute.Wait\"" s='"suite":"starts".*'
	row 'exec and wait of /bin/true, p50 ms' \
		"$(median "$e.*\"inflight\":1," p50_us 1000 %.2f)" 0.60 0.52
	row '  a start without an agent, ms' "$(median "$s\"one\"" p50_us 1000 %.2f)" '' ''
	row 'exec and wait, 64 in flight, 1/s' "$(median "$e.*\"inflight\":64," per_s 1 %.0f)" 3500 5000
	row '  starts without an agent, two at a time, 1/s' \
		"$(median "$s\"two\"" per_s 1 %.0f)" '' ''
	row 'stdout relay, GB/s' "$(median "$r\"uvm-stdout\"" MBps 1000 %.2f)" 3 5
	row 'stdout relay, agent CPU s per GB' \
		"$(median "$r\"uvm-stdout\"" agent_cpu_ms_per_GB 1000 %.3f)" 0.25 0.1
	row 'stdin relay, GB/s' "$(median "$r\"uvm-stdin\"" MBps 1000 %.2f)" '' ''
	row 'tty relay, MB/s' "$(median "$r\"uvm-tty\"" MBps 1 %.0f)" 150 'the pty'
	local back="$r\"part\":\"negotiated\",\"down_ms\""
	row 'bridge lost, host there: to negotiated, ms' "$(median "$back:-1" p50_us 1000 %.2f)" 2 0.5
	row 'bridge lost, host back later: p99 ms' "$(median "$back:250" p99_us 1000 %.1f)" 12 5
}

# Containers: in a UVM with the runtime of the image, and, for what a request
# costs with 500 of them, in an agent of this machine with a runtime that only
# pretends (tests/unit/fake_runtime.h).
containers() {
	local base=$dir/uvm lib=build/lib/ferry line uvm
	line=$(build/ferry cmdline build --processors 2 --annotation \
		io.microsoft.migration.support-enabled=true 2>>"$dir/log") &&
		mkdir -p "$base" || return
	build/tests/hostdrive boot "$base/v" "$lib/vmlinux" "$lib/initramfs.img" \
		"$lib/vhost-vsock.so" "$line" >>"$dir/log" 2>&1 </dev/null &
	uvm=$!
	take ct build/tests/containerbench "$base/v"
	timeout 60 build/tests/hostdrive off "$base/v" >>"$dir/log" 2>&1 ||
		kill "$uvm"
	wait "$uvm"
	rm -rf "$base"
	local c='"suite":"ct".*"metric"'
	row 'agent memory idle in a UVM, kB' "$(median "$c:\"idle\"" rss_kb 1 %.0f)" 1500 800
	row 'memory of a process, bytes' "$(median "$c:\"process\"" bytes 1 %.0f)" 2048 ''
	row 'memory of a container, bytes' "$(median "$c:\"container\"" bytes 1 %.0f)" '' ''
	row 'RPC in a UVM, one in flight, p50 us' "$(median "$c:\"rpc\"" p50_us 1 %.0f)" '' ''
	row '  p99 us' "$(median "$c:\"rpc\"" p99_us 1 %.0f)" '' ''
	row 'RPC in a UVM, 64 in flight, 1/s' "$(median "$c:\"rate\"" per_s 1 %.0f)" '' ''
	row 'create to running, mean ms' "$(median "$c:\"create\"" mean_ms 1 %.0f)" '' ''
	row '  bare crun in the same UVM, ms' "$(median "$c:\"bare\"" mean_ms 1 %.0f)" '' ''
	row 'stdout of a container, MB/s' "$(median "$c:\"stdout\"" MBps 1 %.0f)" '' ''
	FERRY_SOAK=1 timeout --kill-after=5 300 \
		build/tests/unit/test_guest_container_many 2>&1 </dev/null |
		sed -nE 's/^# (one container|all of them): a request takes ([0-9.]+) us of the agent.*/{"suite":"many","when":"\1","us":\2}/p' \
			>>"$results"
	row 'agent CPU of a request, 1 container, us' "$(median '"when":"one container"' us)" '' ''
	row '  with 500 and 5000 processes, us' "$(median '"when":"all of them"' us)" '' ''
}

line() {
	local i
	echo '{"io.microsoft.migration.support-enabled":"true"}' >"$dir/annotations"
	build/ferry cmdline build --annotations "$dir/annotations" >/dev/null 2>>"$dir/log" || {
		row 'line builder as a process, ms' '' 0.9 0.6
		return
	}
	for ((i = 0; i < rounds; i++)); do
		take line "$dir/spawntime" -l build -- build/ferry cmdline build \
			--annotations "$dir/annotations"
		take line "$dir/spawntime" -l empty -- "$dir/empty"
	done
	row 'line builder as a process, p50 ms' \
		"$(median '"suite":"line".*"label":"build"' p50_us 1000 %.2f)" 0.9 0.6
	row '  an empty program, ms' \
		"$(median '"suite":"line".*"label":"empty"' p50_us 1000 %.2f)" '' ''
}

run() { # from enter to the prompt
	local i t0 t1
	for ((i = 0; i < rounds; i++)); do
		t0=$(date +%s%N)
		timeout 60 build/ferry run -- /bin/true >>"$dir/log" 2>&1 </dev/null || break
		t1=$(date +%s%N)
		echo "{\"suite\":\"run\",\"ms\":$(((t1 - t0) / 1000000))}" >>"$results"
	done
	row 'ferry run -- /bin/true, s' "$(median '"suite":"run"' ms 1000 %.2f)" '' 3
}

row figure measured bar aim
sizes
run
containers
if [ ! -f "$src/gcsbench.c" ]; then
	note "no bench programs in $src: sizes only"
	exit 0
fi
compile 2>>"$dir/log" || {
	note "the bench programs do not compile, see $dir/log"
	exit 1
}
line
guest
if [ "$(id -u)" -eq 0 ]; then
	native
else
	note 'the native rows want root: they make namespaces'
fi
