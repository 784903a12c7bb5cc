#!/bin/bash
# ferry run --bundle and --pod before there is a guest: what they refuse, and
# what becomes of disks that cannot be made.
set -u
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
work=$(mktemp -d /tmp/ferry-cli-XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work/tmp
mkdir "$TMPDIR"
unset XDG_RUNTIME_DIR

result() { # NAME STATUS [DETAIL]
	if [ "$2" -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "not ok - $1: ${3-}"
	fi
}

# A QEMU that never says a word, and is not missed.
printf '#!/bin/sh\nexec sleep 60\n' >"$work/qemu"
chmod +x "$work/qemu"
run=("$PWD/build/ferry" run --qemu "$work/qemu" --kernel /dev/null
	--image /dev/null --accel tcg --vsock user)

# refused NAME STATUS MESSAGE ARG...
refused() {
	local name=$1 want=$2 message=$3 said status
	shift 3
	said=$(timeout 60 "${run[@]}" "$@" 2>&1 </dev/null)
	status=$?
	[ "$status" -eq "$want" ] && [[ $said == *"$message"* ]] &&
		[ -z "$(find "$TMPDIR" -type f)" ]
	result "$name" $? "status $status: $said; $(find "$TMPDIR" -type f)"
}

bundle() { # DIR MEMBERS: a bundle with these after its process
	mkdir -p "$1/rootfs"
	echo "{\"process\":{\"args\":[\"/x\"]},\"root\":{\"path\":\"rootfs\"}$2}" \
		>"$1/config.json"
}

# --- usage -----------------------------------------------------------------------

bundle "$work/good" ''
refused 'both kinds' 2 'not both' --bundle "$work/good" --pod x
refused 'a pod and a command' 2 'from FILE' --pod x -- /bin/true
refused 'a pod and a terminal' 2 'from FILE' --pod x -t
refused 'scratch of a command' 2 'are for --bundle' --scratch 9 -- /bin/true
refused 'too little scratch' 2 'not in 8..' --bundle "$work/good" --scratch 7
refused 'unknown disk format' 2 'not auto, erofs or ext4' \
	--bundle "$work/good" --disk-format xfs
refused 'unknown network' 2 'not none or user' --bundle "$work/good" --network tap

refused 'a pod that goes on by itself' 2 'no --pod' --detach --pod x
for option in '--scratch 9' '--network user' '--disk-format ext4' '--env A=b' \
	'--workdir /' '-- /bin/true'; do
	# shellcheck disable=SC2086 # words
	refused "a bundle that goes on by itself, with $option" 2 \
		'as its config.json says' --detach --bundle "$work/good" $option
done

# --- bundles and files that are wrong ----------------------------------------------

refused 'no bundle' 2 "$work/gone/config.json: No such file" --bundle "$work/gone"
refused 'no bundle, by itself' 2 "$work/gone/config.json: No such file" \
	--detach --bundle "$work/gone"
bundle "$work/bad" ',"mounts":[{"destination":"/data","type":"bind","source":"/x"}]'
refused 'a folder of the host' 2 'mounts[0]: /data is bound from the host' \
	--bundle "$work/bad"
echo '{' >"$work/bad/config.json"
refused 'no JSON' 2 "ferry: $work/bad/config.json" --bundle "$work/bad"
bundle "$work/empty" ''
rmdir "$work/empty/rootfs"
refused 'no root file system' 2 'root.path: ' --bundle "$work/empty"
echo '{"containers":[{"name":"a","bundle":"gone"}]}' >"$work/pod.json"
refused 'a pod of a bundle that is not there' 2 \
	"container a: $work/gone/config.json" --pod "$work/pod.json"
echo '{"containers":[{"name":"a"}]}' >"$work/pod.json"
refused 'a pod file that is wrong' 2 "$work/pod.json: " --pod "$work/pod.json"

# --- disks that cannot be made -------------------------------------------------------

head -c 3000000 /dev/urandom >"$work/good/rootfs/big"
alone=(unshare -m)
[ "$(id -u)" -eq 0 ] || alone=(unshare -rm)
if "${alone[@]}" true 2>/dev/null; then
	mkdir "$work/small"
	for format in erofs ext4; do
		said=$("${alone[@]}" bash -c "mount -t tmpfs -o size=2m tmpfs '$work/small' &&
			TMPDIR='$work/small' timeout 60 ${run[*]@Q} \
			--bundle '$work/good' --disk-format $format; echo \"status \$?\";
			find '$work/small' -type f" 2>&1 </dev/null)
		[[ $said == *"no space left in $work/small"*'status 125' ]]
		result "no room for a disk of $format, and no file is left" $? "$said"
	done
	# Less than half of what is needed is seen at once.
	head -c 6000000 /dev/zero >"$work/good/rootfs/bigger"
	said=$("${alone[@]}" bash -c "mount -t tmpfs -o size=2m tmpfs '$work/small' &&
		TMPDIR='$work/small' timeout 60 ${run[*]@Q} --bundle '$work/good';
		echo \"status \$?\"" 2>&1 </dev/null)
	[[ $said == *'takes 8 MiB, '*' has '*'free'*'status 125' ]]
	result 'too little room is seen before' $? "$said"
	mkfs=$(PATH=$PATH:/usr/sbin command -v mkfs.erofs)
	said=$("${alone[@]}" bash -c "mount --bind /dev/null '${mkfs:-/dev/null}' &&
		timeout 60 ${run[*]@Q} --bundle '$work/good' --disk-format erofs;
		echo \"status \$?\"" 2>&1 </dev/null)
	[[ $said == *'mkfs.erofs'*'status 125' ]]
	result 'a program that is missing is named' $? "$said"
else
	echo "ok - full disks # SKIP no namespaces"
fi
if [ "$(id -u)" -ne 0 ]; then
	chmod 0 "$work/good/rootfs/big"
	refused 'a file that cannot be read' 125 'big: Permission denied' \
		--bundle "$work/good"
fi

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
