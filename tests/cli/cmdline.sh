#!/bin/bash
# tests/cli/cmdline.sh - ferry cmdline as a user meets it: output, exit codes,
# hostile annotations, files and standard input.
set -u
cd "$(dirname "$0")/../.." || exit 1
ferry=$PWD/build/ferry
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

VM=io.microsoft.virtualmachine
LCOW=$VM.lcow
MIGRATION=io.microsoft.migration.support-enabled

verdict() { # NAME CONDITION-STATUS
	if [ "$2" -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $1"
		echo "actual: status $status, stdout: $out, stderr: $(cat "$dir/err")"
	fi
}

run() { # ARG... : sets $out, $status, $dir/err
	out=$(timeout 20 "$ferry" cmdline "$@" 2>"$dir/err")
	status=$?
}

gives() { # NAME EXPECTED ARG...
	local name=$1 want=$2
	shift 2
	run "$@"
	[ "$status" -eq 0 ] && [ "$out" = "$want" ]
	verdict "$name" $?
}

refuses() { # NAME CLASS ARG... : exit 2, one error line, nothing on stdout
	local name=$1 class=$2
	shift 2
	run "$@"
	[ "$status" -eq 2 ] && [ -z "$out" ] &&
		[ "$(grep -c '^error: ' "$dir/err")" -eq 1 ] &&
		grep -q "^error: $class: " "$dir/err"
	verdict "$name" $?
}

says() { # NAME STATUS PATTERN ARG... : PATTERN on stderr
	local name=$1 want=$2 pattern=$3
	shift 3
	run "$@"
	[ "$status" -eq "$want" ] && grep -q -- "$pattern" "$dir/err"
	verdict "$name" $?
}

agent="/bin/gcs -v4 -log-format json -loglevel info"
head="8250.nr_uarts=0 panic=-1 quiet nr_cpus=2 brd.rd_nr=0 pmtmr=0 -- -e 1"

# --- lines
gives "defaults" "$head /bin/vsockexec -e 109 $agent" build
gives "migration on" "$head $agent" build --annotation "$MIGRATION=true"
gives "migration on, older key" "$head $agent" build \
	--annotation io.microsoft.migration.allowed=true
gives "relay" "$head /bin/vsockexec -r -e 109 $agent" build --forwarder relay \
	--annotation "$MIGRATION=1"
gives "hyperv, compat" \
	"initrd=/initrd.img initcall_blacklist=virtio_vsock_init 8250_core.nr_uarts=0 panic=-1 quiet pci=off nr_cpus=4 brd.rd_nr=0 pmtmr=0 -- -e 1 /bin/vsockexec -e 109 /bin/gcs -v4 -log-format json -loglevel debug -scrub-logs=true" \
	build --profile hyperv --compat --boot uefi --rootfs initrd \
	--processors 4 --log-level debug --scrub-logs true
gives "disk" "root=/dev/sda ro rootwait init=/init $head /bin/vsockexec -e 109 $agent" \
	build --rootfs vhd
gives "console" \
	"console=ttyS0,115200 nr_cpus=2 brd.rd_nr=0 pmtmr=0 -- -e 1 sh -c \"/bin/vsockexec -e 109 $agent& exec sh\"" \
	build --console
gives "annotation over option" "${head/nr_cpus=2/nr_cpus=3} /bin/vsockexec -e 109 $agent" \
	build --processors 5 --annotation $VM.computetopology.processor.count=3
gives "the later annotation wins" "${head/nr_cpus=2/nr_cpus=4} /bin/vsockexec -e 109 $agent" \
	build --annotation $VM.computetopology.processor.count=3 \
	--annotation $VM.computetopology.processor.count=4

# --- input that is refused
refuses "migratable and classic" migration-incompatible build \
	--forwarder classic --annotation "$MIGRATION=true"
refuses "two migration keys" annotation-conflict build \
	--annotation "$MIGRATION=true" --annotation io.microsoft.migration.allowed=false
refuses "malformed" annotation-malformed build --annotation "$MIGRATION=yes"
refuses "range" annotation-range build \
	--annotation $VM.computetopology.processor.count=0
refuses "no processors" annotation-range build --processors 0
refuses "unknown, as an error" annotation-unknown build --unknown-error \
	--annotation $LCOW.VPCIEnabled=true
refuses "log level" text-invalid build --log-level loud
refuses "no table" dmverity-args-missing build --rootfs vhd \
	--annotation $LCOW.dmverity-mode=true
refuses "too long" cmdline-too-long build \
	--annotation "io.microsoft.container.processdumplocation=/$(printf 'x%.0s' {1..2000})"

# --- hostile texts: each must be refused, in each place that takes raw text
for text in '-- /bin/sh' '"' 'a"b' 'init=/bin/sh' 'stray' 'LD_PRELOAD=/x' \
	'printk.time=bogus' $'a\tb' $'a\nb' $'\xc3\xa0' 'console=ttyS0' \
	'hcsshim.cgroup=v1' 'ferry.x=1' '"--" x' 'quiet -- x'; do
	run build --annotation "$LCOW.kernelbootoptions=$text"
	[ "$status" -eq 2 ] && [ -z "$out" ]
	verdict "kernelbootoptions: $text" $?
	run build --annotation "io.microsoft.container.processdumplocation=$text"
	[ "$status" -eq 2 ] && [ -z "$out" ]
	verdict "processdumplocation: $text" $?
done
refuses "separator in the agent's arguments" text-separator build \
	--annotation "$LCOW.extra-exec-command-args=-scrub-logs -- -y"
refuses "a shell would read it" text-invalid build --console \
	--annotation "$LCOW.extra-exec-command-args=-core-dump-location=/;reboot"
refuses "a program for core dumps" text-invalid build \
	--annotation "$LCOW.extra-exec-command-args=-core-dump-location |/bin/sh"
refuses "the agent's other way to the host" text-reserved build \
	--annotation "$LCOW.extra-exec-command-args=-transport unix:/x"
refuses "a word that is no flag" text-stray-word build \
	--annotation "$LCOW.extra-exec-command-args=-scrub-logs false"
gives "flags of the agent" \
	"$head /bin/vsockexec -e 109 $agent -scrub-logs=false --kmsgLogLevel 7" \
	build --annotation \
	"$LCOW.extra-exec-command-args= -scrub-logs=false  --kmsgLogLevel 7"

# --- compat takes them, and warns
says "compat warns" 0 '^warning: text-separator: strict mode refuses' build \
	--compat --annotation "$LCOW.kernelbootoptions=-- x"
says "compat warns of the agent's flags" 0 '^warning: text-reserved: strict' \
	build --compat --annotation "$LCOW.extra-exec-command-args=-bogus x"
gives "compat writes the agent's flags" \
	"$head /bin/vsockexec -e 109 $agent -bogus  |x" build --compat \
	--annotation "$LCOW.extra-exec-command-args=-bogus  |x"
says "compat tells of a default" 0 "^warning: annotation-malformed: $MIGRATION" \
	build --compat --annotation "$MIGRATION=yes"
says "unknown is a warning" 0 '^warning: annotation-unknown: ' build \
	--annotation $LCOW.VPCIEnabled=true

# --- files
echo "{\"$MIGRATION\": \"true\"}" >"$dir/map.json"
echo "{\"ociVersion\": \"1.0.2\", \"process\": {\"args\": [\"x\"]}, \"annotations\": {\"$MIGRATION\": \"true\"}}" \
	>"$dir/config.json"
echo '{"ociVersion": "1.0.2"}' >"$dir/bare.json"
gives "map" "$head $agent" build --annotations "$dir/map.json"
gives "config.json" "$head $agent" build --annotations "$dir/config.json"
gives "config.json without annotations" "$head /bin/vsockexec -e 109 $agent" \
	build --annotations "$dir/bare.json"
gives "stdin" "$head $agent" build --annotations - <"$dir/map.json"
says "no such file" 1 'No such file' build --annotations "$dir/none"
bad=0
while read -r text; do
	printf '%b' "$text" >"$dir/bad.json"
	bad=$((bad + 1))
	says "bad JSON $bad" 2 'bad.json' build --annotations "$dir/bad.json"
done <<'BAD'

{
[]
"x"
{"a": "b"} x
{"a": "b",}
{"a": 1}
{"a": "b", "a": "c"}
{"annotations": {"a": "b", "\\u0061": "c"}}
{"a\\u0000b": "c"}
{"a": "b\\u0000c"}
{"a": "\xff"}
{"": "x"}
{"ociVersion": "1", "annotations": []}
{"annotations": {"a": null}}
BAD
{ printf '{"a": "'; head -c 17000000 /dev/zero | tr '\0' x; printf '"}'; } >"$dir/big.json"
says "too big" 2 'big.json' build --annotations "$dir/big.json"
{ head -c 100000 /dev/zero | tr '\0' '['; } >"$dir/deep.json"
says "too deep" 2 'deep.json' build --annotations "$dir/deep.json"

# --- configuration file
printf '[sandbox]\nprocessors = 3\n[migration]\nenabled = true\n' >"$dir/ferry.conf"
gives "conf" "${head/nr_cpus=2/nr_cpus=3} $agent" build --config "$dir/ferry.conf"
gives "an annotation is stronger" "${head/nr_cpus=2/nr_cpus=3} /bin/vsockexec -e 109 $agent" \
	build --config "$dir/ferry.conf" --annotation "$MIGRATION=false"
gives "an option is stronger" "${head/nr_cpus=2/nr_cpus=7} $agent" \
	build --processors 7 --config "$dir/ferry.conf"
says "no such conf" 1 'No such file' build --config "$dir/none"

# --- JSON
run build --json --annotation "$MIGRATION=true"
[ "$status" -eq 0 ] && grep -q '"args":"8250.nr_uarts=0 ' <<<"$out" &&
	grep -q '"forwarder":"migratable"' <<<"$out" &&
	[ "$(wc -l <<<"$out")" -eq 1 ]
verdict "json" $?

# --- explain
run build --explain --annotation "$MIGRATION=true" --console \
	--annotation "$LCOW.kernelbootoptions=debug loglevel=7" \
	--annotation com.example.x=y
[ "$status" -eq 0 ] &&
	grep -q "^ *11  loglevel=7 .*annotation $LCOW.kernelbootoptions=debug loglevel=7\$" <<<"$out" &&
	grep -q 'console=ttyS0,115200 .*option --console$' <<<"$out" &&
	grep -q "^used  *$MIGRATION=true$" <<<"$out" &&
	grep -q '^passed  *com.example.x=y$' <<<"$out"
verdict "explain" $?
line=$("$ferry" cmdline build)
run build --explain
[ "$status" -eq 0 ] && grep -q "^ *${#line}  of 2047 bytes" <<<"$out"
verdict "explain counts the bytes of the line" $?

becomes() { # NAME VERDICT KEY=VALUE WHY ARG... : what --explain says of it
	local name=$1 judged=$2 pair=$3 why=$4
	shift 4
	run build --explain "$@" --annotation "$pair"
	grep -A 1 "^$judged  *$pair" <<<"$out" | grep -q "$why"
	verdict "$name" $?
}
becomes "explain: unread" ignored "$LCOW.amd-certificate=x" "nothing reads"
becomes "explain: without effect" ignored "$LCOW.dmverity-mode=true" "no effect: the root file"
becomes "explain: misspelt" warning "$LCOW.VPCI=1" "annotation-unknown"
becomes "explain: clamped" clamped "$VM.computetopology.processor.count=9" \
	"9 processors lowered to the 2" --host-processors 2
becomes "explain: defaulted" defaulted "$LCOW.timesync.disable=yes" \
	"default stands" --compat
becomes "explain: refused by strict mode" refused "$LCOW.kernelbootoptions=-- x" \
	"text-separator" --compat
becomes "explain: refused" refused "$LCOW.timesync.disable=yes" "annotation-malformed" \
	--annotation "$LCOW.kernelbootoptions=stray"
[ "$status" -eq 2 ] && grep -q "^refused  *$LCOW.kernelbootoptions=stray" <<<"$out" &&
	grep -q '^no line: ' <<<"$out" && [ "$(grep -c '^error: ' "$dir/err")" -eq 1 ]
verdict "explain tells of every annotation that is wrong by itself" $?
becomes "explain: misspelt, in a sandbox that is refused" warning "$LCOW.VPCI=1" \
	"annotation-unknown" --annotation "$LCOW.timesync.disable=yes"
becomes "explain: unread, in a sandbox that is refused" ignored "$LCOW.amd-certificate=x" \
	"nothing reads" --annotation "$LCOW.timesync.disable=yes"
run build --explain --annotation io.microsoft.disable-unsafe-operations=true
grep -A 1 "^expanded  *$VM.fileshares.disablewritable" <<<"$out" |
	grep -q "written by io.microsoft.disable-unsafe-operations"
verdict "explain: expanded" $?
run build --explain --json --annotation "$LCOW.kernelbootoptions=debug"
[ "$(wc -l <<<"$out")" -eq 1 ] && grep -q '"args":"8250' <<<"$out" &&
	grep -qF "{\"word\":\"debug\",\"bytes\":6,\"rule\":\"boot options\",\"from\":{\"kind\":\"annotation\",\"name\":\"$LCOW.kernelbootoptions\",\"value\":\"debug\"}}" <<<"$out" &&
	grep -qF '"limit":2047' <<<"$out"
verdict "explain for programs" $?
run build --explain --json --annotation "$LCOW.timesync.disable=yes"
[ "$status" -eq 2 ] && grep -q '^{"error":{"class":"annotation-malformed"' <<<"$out" &&
	grep -q '"verdict":"refused"' <<<"$out"
verdict "explain of a refusal for programs" $?

# --- default < file < option < annotation (ferry.conf(5))
COUNT=$VM.computetopology.processor.count
printf '[log]\nlevel = warn\n[boot]\nconsole = true\n[sandbox]\nprocessors = 3\n[annotations]\n%s = debug\n' \
	"$LCOW.kernelbootoptions" >"$dir/levels.conf"
comes() { # NAME WORD FROM ARG... : the last column of WORD's row
	local name=$1 word=$2 from=$3
	shift 3
	run build --explain "$@"
	[ "$status" -eq 0 ] && grep -qE "^ *[0-9]+  $word .*  $from\$" <<<"$out"
	verdict "$name" $?
}
conf=$dir/levels.conf
comes "level 1: default" nr_cpus=2 default
comes "level 2: file" nr_cpus=3 "$conf:6: processors=3" --config "$conf"
comes "level 3: option" nr_cpus=4 "option --processors" --config "$conf" --processors 4
comes "level 4: annotation" nr_cpus=5 "annotation $COUNT=5" --config "$conf" \
	--processors 4 --annotation "$COUNT=5"
printf '[annotations]\n%s = 6\n' "$COUNT" >"$dir/more.conf"
comes "a file's annotation is an annotation" nr_cpus=6 "$dir/more.conf:2: $COUNT=6" \
	--config "$dir/more.conf" --processors 4
comes "and weaker than the sandbox's" nr_cpus=7 "annotation $COUNT=7" \
	--config "$dir/more.conf" --annotation "$COUNT=7"
comes "log level of the file" "warn&" "$conf:2: level=warn" --config "$conf"
comes "log level of the option" "error&" "option --log-level" --config "$conf" --log-level error
comes "console of the file" console=ttyS0,115200 "$conf:4: console=true" --config "$conf"
comes "boot options of the file" debug "$conf:8: $LCOW.kernelbootoptions=debug" --config "$conf"
printf '[migration]\nenabled = true\n' >"$dir/move.conf"
for mode in --strict --compat; do
	line=$("$ferry" cmdline build $mode --console --log-level warn 2>/dev/null)
	run build --explain $mode --console --log-level warn
	[ "$status" -eq 0 ] && grep -q "^ *${#line}  of 2047 bytes" <<<"$out" &&
		grep -q '^ *5  warn.*option --log-level$\|^ *6  warn&.*option --log-level$' <<<"$out"
	verdict "explain takes the console form apart $mode" $?
done
gives "the older key is stronger than a file" "$head /bin/vsockexec -e 109 $agent" build \
	--config "$dir/move.conf" --annotation io.microsoft.migration.allowed=false
PIPE='\\.\pipe\x'
refuses "a console ends on the source host" migration-incompatible build \
	--config "$dir/move.conf" --annotation "$VM.console.pipe=$PIPE"
run build --config "$dir/move.conf" --annotation "$VM.console.pipe=$PIPE" --console-may-stay
[ "$status" -eq 0 ]
verdict "unless it may stay" $?
echo 'console_may_stay = true' >>"$dir/move.conf"
run build --config "$dir/move.conf" --annotation "$VM.console.pipe=$PIPE"
[ "$status" -eq 0 ]
verdict "or a file says so" $?

# --- parse and diff
run parse "$head $agent"
[ "$status" -eq 0 ] && grep -q '^mode: migratable ' <<<"$out" &&
	grep -q '^problem: none$' <<<"$out" && grep -q '^entropy: vsock port 1$' <<<"$out"
verdict "parse a good line" $?
run parse "quiet stray a=b -- -e x"
[ "$status" -eq 0 ] && [ "$(grep -c '^problem: ' <<<"$out")" -ge 2 ]
verdict "parse a bad line" $?
run parse - <<<"quiet -- -e 1 /bin/vsockexec -r -e 109 /bin/gcs"
[ "$status" -eq 0 ] && grep -q '^mode: relay ' <<<"$out" &&
	grep -q '^length: 47 of 2047' <<<"$out"
verdict "parse standard input" $?
run parse --json $'quiet -- sh \xa0x\xff'
[ "$status" -eq 0 ] && grep -q '"argv_hex":\["2f696e6974","7368","78ff"\]' <<<"$out"
verdict "parse bytes that are not UTF-8" $?
run parse $'a\033[31m -- /bin/gcs'
[ "$status" -eq 0 ] && ! grep -q $'\033' <<<"$out"
verdict "parse keeps the terminal safe" $?
run parse "-- $(printf 'a%.0s ' {1..33})"
[ "$status" -eq 2 ] && grep -q '^error: init-args-overflow: ' "$dir/err"
verdict "parse a line that panics" $?
run parse "$(printf 'x%.0s' {1..2048})"
[ "$status" -eq 2 ] && grep -q '^error: cmdline-too-long: ' "$dir/err"
verdict "parse a line that is too long" $?
run parse - < <(head -c 70000 /dev/zero | tr '\0' x)
[ "$status" -eq 2 ]
verdict "parse far too much" $?
run diff "a  b c" "a \"b\" c"
[ "$status" -eq 0 ] && [ -z "$out" ]
verdict "diff of equal lines" $?
run diff "a b c" "a c d"
[ "$status" -eq 1 ] && [ "$out" = $'- b\n+ d' ]
verdict "diff" $?

# --- usage
for words in "" "frob" "build --frob" "build x" "build --profile x" \
	"build --boot bios" "build --scrub-logs maybe" "build --forwarder x" \
	"build --annotation" "build --annotation x" "build --annotation =x" \
	"build --processors x" "build --host-processors 0" "build --processors 4294967296" "parse" \
	"parse a b" "diff a"; do
	# shellcheck disable=SC2086 # words are meant to be split
	run $words
	[ "$status" -eq 2 ] && [ -s "$dir/err" ] && [ -z "$out" ]
	verdict "usage: $words" $?
done
run --help
[ "$status" -eq 0 ] && grep -q '^usage: ferry cmdline build' <<<"$out"
verdict "help" $?
timeout 20 "$ferry" cmdline build >/dev/full 2>"$dir/err"
status=$? out=
[ "$status" -eq 1 ]
verdict "a full disk is told" $?

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
