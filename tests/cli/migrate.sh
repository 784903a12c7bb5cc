#!/bin/bash
# tests/cli/migrate.sh - words of ferry migrate that cannot be carried out
# shellcheck source=tests/cli/lib/cli.bash
. "$(dirname "$0")/lib/cli.bash"

refuse() { # NAME STATUS WORDS ARG...
	check "$1" "$2" "$3" build/ferry migrate "${@:4}" </dev/null
}

refuse "no sandbox" 2 'want one sandbox' --to /x
refuse "two sandboxes" 2 'want one sandbox' a b --to /x
refuse "no endpoint" 2 'want --to or --cancel' a
refuse "endpoint and cancel" 2 'want --to or --cancel' a --to /x --cancel
refuse "downtime 0" 2 'not in 1..2000000' a --to /x --max-downtime 0
refuse "throttle 100" 2 '--throttle-step: 100 is not in 1..99' a --to /x --throttle-step 100
refuse "no throttle, and how much" 2 'and how much' a --to /x --no-throttle --throttle-start 5
refuse "passes that do not fit" 2 'fewer than the target' a --to /x --target-passes 9 --max-passes 8 --cancel-downtime 5
refuse "passes without a limit" 2 'want --cancel-downtime' a --to /x --target-passes 9
refuse "compression" 2 'not in 1..255' a --to /x --compress 256
refuse "a lease that is no path" 2 'absolute path or none' a --to /x --lease x
refuse "a timeout that is no number" 2 'not a decimal number' a --to /x --timeout 1s
refuse "what on timeout" 2 'cancel or force' a --to /x --on-timeout stop
refuse "a sandbox that is not there" 1 'no sandbox a' a --to /x
refuse "receive without endpoint" 2 '--listen is wanted' receive
refuse "receive at no endpoint" 2 "want a path with '/', or HOST:PORT" receive --listen x
refuse "receive in no folder" 1 /no/such/folder receive --listen /no/such/folder/s
finish
