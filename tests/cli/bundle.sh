#!/bin/bash
# ferry run --bundle and --pod before there is a guest: what they refuse, and
# what becomes of disks that cannot be made.
# shellcheck source=tests/cli/lib/cli.bash
. "$(dirname "$0")/lib/cli.bash"
export TMPDIR=$WORK/tmp
mkdir "$TMPDIR"

# A QEMU that never says a word, and is not missed.
printf '#!/bin/sh\nexec sleep 60\n' >"$WORK/qemu"
chmod +x "$WORK/qemu"
run=("$PWD/build/ferry" run --qemu "$WORK/qemu" --kernel /dev/null
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

bundle "$WORK/good" ''
refused 'both kinds' 2 'not both' --bundle "$WORK/good" --pod x
refused 'a pod and a command' 2 'from FILE' --pod x -- /bin/true
refused 'a pod and a terminal' 2 'from FILE' --pod x -t
refused 'scratch of a command' 2 'are for --bundle' --scratch 9 -- /bin/true
refused 'too little scratch' 2 'not in 8..' --bundle "$WORK/good" --scratch 7
refused 'unknown disk format' 2 'not auto, erofs or ext4' \
	--bundle "$WORK/good" --disk-format xfs
refused 'unknown network' 2 'not none or user' --bundle "$WORK/good" --network tap

refused 'a pod that goes on by itself' 2 'no --pod' --detach --pod x
for option in '--scratch 9' '--network user' '--disk-format ext4' '--env A=b' \
	'--workdir /' '-- /bin/true'; do
	# shellcheck disable=SC2086 # words
	refused "a bundle that goes on by itself, with $option" 2 \
		'as its config.json says' --detach --bundle "$WORK/good" $option
done

# --- bundles and files that are wrong ----------------------------------------------

refused 'no bundle' 2 "$WORK/gone/config.json: No such file" --bundle "$WORK/gone"
refused 'no bundle, by itself' 2 "$WORK/gone/config.json: No such file" \
	--detach --bundle "$WORK/gone"
bundle "$WORK/bad" ',"mounts":[{"destination":"/data","type":"bind","source":"/x"}]'
refused 'a folder of the host' 2 'mounts[0]: /data is bound from the host' \
	--bundle "$WORK/bad"
echo '{' >"$WORK/bad/config.json"
refused 'no JSON' 2 "ferry: $WORK/bad/config.json" --bundle "$WORK/bad"
bundle "$WORK/empty" ''
rmdir "$WORK/empty/rootfs"
refused 'no root file system' 2 'root.path: ' --bundle "$WORK/empty"
echo '{"containers":[{"name":"a","bundle":"gone"}]}' >"$WORK/pod.json"
refused 'a pod of a bundle that is not there' 2 \
	"container a: $WORK/gone/config.json" --pod "$WORK/pod.json"
echo '{"containers":[{"name":"a"}]}' >"$WORK/pod.json"
refused 'a pod file that is wrong' 2 "$WORK/pod.json: " --pod "$WORK/pod.json"

# --- disks that cannot be made -------------------------------------------------------

head -c 3000000 /dev/urandom >"$WORK/good/rootfs/big"
alone=(unshare -m)
[ "$(id -u)" -eq 0 ] || alone=(unshare -rm)
if "${alone[@]}" true 2>/dev/null; then
	mkdir "$WORK/small"
	for format in erofs ext4; do
		said=$("${alone[@]}" bash -c "mount -t tmpfs -o size=2m tmpfs '$WORK/small' &&
			TMPDIR='$WORK/small' timeout 60 ${run[*]@Q} \
			--bundle '$WORK/good' --disk-format $format; echo \"status \$?\";
			find '$WORK/small' -type f" 2>&1 </dev/null)
		[[ $said == *"no space left in $WORK/small"*'status 125' ]]
		result "no room for a disk of $format, and no file is left" $? "$said"
	done
	# Less than half of what is needed is seen at once.
	head -c 6000000 /dev/zero >"$WORK/good/rootfs/bigger"
	said=$("${alone[@]}" bash -c "mount -t tmpfs -o size=2m tmpfs '$WORK/small' &&
		TMPDIR='$WORK/small' timeout 60 ${run[*]@Q} --bundle '$WORK/good';
		echo \"status \$?\"" 2>&1 </dev/null)
	[[ $said == *'takes 8 MiB, '*' has '*'free'*'status 125' ]]
	result 'too little room is seen before' $? "$said"
	mkfs=$(PATH=$PATH:/usr/sbin command -v mkfs.erofs)
	said=$("${alone[@]}" bash -c "mount --bind /dev/null '${mkfs:-/dev/null}' &&
		timeout 60 ${run[*]@Q} --bundle '$WORK/good' --disk-format erofs;
		echo \"status \$?\"" 2>&1 </dev/null)
	[[ $said == *'mkfs.erofs'*'status 125' ]]
	result 'a program that is missing is named' $? "$said"
else
	echo "ok - full disks # SKIP no namespaces"
fi
if [ "$(id -u)" -ne 0 ]; then
	chmod 0 "$WORK/good/rootfs/big"
	refused 'a file that cannot be read' 125 'big: Permission denied' \
		--bundle "$WORK/good"
fi

finish
