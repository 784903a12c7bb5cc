#!/bin/bash
# tools/setup.sh: does nothing when all is there; what cannot be had is named,
# and nothing half done is left. The tools that it calls are played here.
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

tree=$dir/tree fake=$dir/fake
mkdir -p "$tree/tools" "$fake"
cp tools/setup.sh "$tree/tools/"

play() { # TOOL BODY
	printf '#!/bin/bash\n%s\n' "$2" >"$fake/$1"
	chmod +x "$fake/$1"
}

# expect NAME STATUS TEXT [ARG...]
expect() {
	local name=$1 want=$2 text=$3 out status
	shift 3
	out=$(PATH=$fake:$PATH timeout 60 "$tree/tools/setup.sh" "$@" 2>&1)
	status=$?
	if [ "$status" -eq "$want" ] && grep -qF -e "$text" <<<"$out" &&
		[ ! -e "$tree/build/deps/work" ] &&
		[ -z "$(ls "$tree/build/deps/stamp" 2>/dev/null)" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "not ok - $name: status $status, said: $out"
	fi
}

out=$(tools/setup.sh 2>&1; echo "status $?")
if [ "$out" = $'setup: nothing to do\nsetup: done; now: make\nstatus 0' ]; then
	passed=$((passed + 1))
else
	failed=$((failed + 1))
	echo "not ok - the second run does nothing: $out"
fi

play dpkg-query 'echo installed'
expect usage 2 'usage: tools/setup.sh [--update]' --all
play apt-get 'echo "E: Could not resolve the mirror"; exit 100'
expect 'no network' 1 'cannot read the package indexes'
expect 'and the reason' 1 'E: Could not resolve the mirror'
play apt-get 'case "$*" in *" update"*) exit 0 ;; esac; echo "E: Unable to find it"; exit 100'
expect 'no source' 1 'cannot get json-c'
expect 'and where to look' 1 'log/json-c.log'
play apt-get 'case "$*" in *" update"*) exit 0 ;; esac
printf "Checksums-Sha256:\n %064d 4 x.tar\nFiles:\n" 0 >json-c_1.dsc; echo abc >x.tar'
expect 'a source that is not the one of its .dsc' 1 'cannot get json-c'
play df 'printf "a\nfs 1 1 2048 1%% /\n"'
expect 'no space' 1 'has 2 MiB free'
rm "$fake/df"
play dpkg-query '[[ $* == *valgrind ]] && exit 1; echo installed'
play apt-get 'case "$*" in *" update"*) exit 0 ;; esac; echo "E: Unable to locate package"; exit 100'
expect 'a package that cannot be had' 1 'cannot install valgrind'
play id 'echo 1000'
play sudo 'echo "E: sudo: a password is required"; exit 1'
expect 'sudo that refuses' 1 'a password is required'
play dpkg 'echo riscv64'
expect 'another architecture' 1 'riscv64'

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
