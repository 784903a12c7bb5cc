#!/bin/bash
# tests/e2e/pod.sh - several containers in one UVM, with real crun: what they
# share, what they do not, and whose end is the end
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
# shellcheck source=tests/e2e/lib/bundle.bash
. "$(dirname "$0")/lib/bundle.bash"
need qemu-system-x86_64 mke2fs
run=("${RUN[@]}" --annotation "$MIGRATABLE")
make_rootfs "$WORK/b/rootfs"
make_bundle "$WORK/b"

pod() { # CONTAINERS: the JSON objects
	echo "{\"containers\":[$1]}" >"$WORK/pod.json"
	ferry "${run[@]}" --pod "$WORK/pod.json" </dev/null
}
one() { # NAME SCRIPT [MEMBERS]: one object
	printf '{"name":"%s","bundle":"b","args":["/bin/sh","-c","%s"]%s}' "$1" "$2" "${3-}"
}

pod "$(one web 'echo web-file >/only; nc -l -p 8080 -e /bin/cat /only; sleep 100' \
	',"output":"web.log"'),$(one test \
	'until nc 127.0.0.1 8080 </dev/null; do sleep 0.2; done; hostname; ls /only; exit 9' \
	',"main":true')"
check "the main container's code" status_is 9
check "they see each other's ports, and one host name" out_is $'web-file\npod'
check "but not each other's files" err_has '/only: No such file'
check "the output of one goes to its file" test -e "$WORK/web.log"

pod "$(one a 'echo $NAME; exit 0' ',"env":{"NAME":"first"}'),$(one b 'sleep 1; exit 3'),$(one c 'exit 0')"
check "without a main one the first failure is the code" status_is 3
check "variables of the file" out_is first

pod "$(one a 'sleep 1000'),$(one b 'nothing' | sed 's|/bin/sh|/bin/none|')"
check "a container that cannot start ends all" status_is 127
check "and is named" err_has 'container b'

# --- a network outward -----------------------------------------------------------------

ferry "${run[@]}" --bundle "$WORK/b" --network user -- /bin/sh -c \
	'ip -4 addr show eth0; ip route; cat /etc/resolv.conf' </dev/null
check "a card that was plugged in" status_is 0
check "has its address" out_has 'inet 10.0.2.15/24'
check "a way outward" out_has 'default via 10.0.2.2'
check "and a name server" out_has 'nameserver 10.0.2.3'
check "nothing is left" nothing_left
finish
