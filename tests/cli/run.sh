#!/bin/bash
# ferry run before there is a guest: what it refuses, which signals it obeys.
# shellcheck source=tests/cli/lib/cli.bash
. "$(dirname "$0")/lib/cli.bash"

# A QEMU that never says a word, and is not missed.
printf '#!/bin/sh\n: >"%s/up"\nexec sleep 100\n' "$WORK" >"$WORK/qemu"
chmod +x "$WORK/qemu"
run=(build/ferry run --qemu "$WORK/qemu" --kernel /dev/null --image /dev/null
	--accel tcg --vsock user)

# --- text that is not UTF-8 -----------------------------------------------------

refused() { # NAME MESSAGE ARG...
	local name=$1 message=$2 said status
	shift 2
	said=$(timeout 60 "${run[@]}" "$@" 2>&1 </dev/null)
	status=$?
	[ "$status" -eq 2 ] && [[ $said == *"$message"* ]]
	result "$name" $? "status $status: $said"
}

refused 'a word that is not UTF-8' "word 2 of COMMAND, 'caf\\xe9', is not" \
	-- echo $'caf\xe9'
refused 'a variable that is not UTF-8' "--env: 'A' is not UTF-8" \
	--env $'A=\xff' -- true
refused 'a working directory that is not UTF-8' "--workdir: '/\\xc0" \
	--workdir $'/\xc0\xaf' -- true

# --- signals ---------------------------------------------------------------------

# begin PREFIX...: ferry in the background, started so, and its QEMU up. The
# prefix stands behind timeout, which takes all signals back.
begin() {
	rm -f "$WORK/up"
	timeout --foreground --kill-after=5 100 "$@" "${run[@]}" -- true \
		>"$WORK/out" 2>&1 </dev/null &
	running=$!
	for _ in $(seq 1200); do
		[ -e "$WORK/up" ] && break
		sleep 0.05
	done
	ferry=$(pgrep -P "$running")
}
# Whatever this script is started with.
plain=(env "--default-signal=INT,QUIT,HUP,TERM")

# ends NAME STATUS: within the time that timeout gives
ends() {
	wait "$running"
	status=$?
	[ "$status" -eq "$2" ]
	result "$1" $? "status $status"
}

begin "${plain[@]}"
kill -HUP "$ferry"
ends 'SIGHUP ends it' 129

for name in HUP INT QUIT TERM; do
	last=TERM code=143
	[ "$name" != TERM ] || last=INT code=130
	begin "${plain[@]}" --ignore-signal="$name"
	kill -"$name" "$ferry"
	sleep 0.2
	kill -"$last" "$ferry"
	ends "SIG$name that the caller ignores" "$code"
done

begin "${plain[@]}" nohup
kill -HUP "$ferry"
sleep 0.2
kill -TERM "$ferry"
ends 'nohup and SIGHUP' 143

finish
