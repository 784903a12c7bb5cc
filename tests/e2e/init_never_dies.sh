#!/bin/bash
# tests/e2e/init_never_dies.sh - whatever happens in the UVM, it ends in a
# power-off with a reason or goes on; it never ends in a kernel panic
# shellcheck source=tests/e2e/lib/e2e.bash
. "$(dirname "$0")/lib/e2e.bash"
need qemu-system-x86_64 cpio
# shellcheck source=tests/e2e/lib/boot.bash
. tests/e2e/lib/boot.bash
prepare

# --- ends of the agent ----------------------------------------------------------

BOOT_S=300
boot '-- /bin/gcs codes'
check "the agent ended with all codes and by all fatal signals" orderly
check "each end was told" out_has '255 codes and 56 signals'

# --- too many, too much ------------------------------------------------------------

orphans=$(count 100000 1000000)
BOOT_S=$(count 600 3000)
boot "-- /bin/gcs orphans $orphans"
check "orphans by the 100000" orderly
check "there were as many" out_has "agent says: orphans $orphans"
check "none is left as a zombie" out_has 'zombies 0'
BOOT_S=300
boot '-- /bin/gcs bomb'
check "a fork bomb" not_orderly '/bin/gcs ended with status 5'
boot '-- /bin/gcs starve'
check "a full /run, then no memory: the agent runs again" \
	out_has 'a second life with a full /run'
check "a full root: a power-off, for want of memory" \
	not_orderly '/bin/gcs was killed by signal 9, and there is no memory'

# --- nobody listens --------------------------------------------------------------

boot 'printk.devkmsg=off -- /bin/gcs exit 3'
check "/dev/kmsg refuses from the start: the console has the reason" \
	not_orderly '/bin/gcs ended with status 3'
boot '-- /bin/sh -c "echo off >/proc/sys/kernel/printk_devkmsg; exit 9"'
check "/dev/kmsg refuses later: the console has the reason" \
	not_orderly '/bin/sh ended with status 9'
peer 109 silent
boot '-- /bin/vsockexec -r -e 109 /bin/gcs noise'
check "W-C22: relay to a host that reads nothing: the agent is not held up" \
	not_orderly '/bin/vsockexec ended with status 4'
no_peer
peer 109 silent
boot '-- /bin/vsockexec -e 109 /bin/gcs noise'
check "classic to a host that reads nothing: the agent is not held up" \
	not_orderly '/bin/vsockexec ended with status 4'
no_peer
finish
