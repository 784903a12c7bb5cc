#!/bin/bash
# ferry save and ferry restore: what they say of what is not there or is damaged.
# What they do is in tests/e2e/save.sh.
# shellcheck source=tests/cli/lib/cli.bash
. "$(dirname "$0")/lib/cli.bash"

build/ferry state seal tests/golden/state/01-plain.bin "$WORK/f" || exit 1
cp "$WORK/f" "$WORK/g"
cp "$WORK/f" "$WORK/g.more"
check save-nobody 1 'nobody' build/ferry save nobody "$WORK/new"
check save-no-file 2 'want a sandbox and a file' build/ferry save nobody
check save-bad-option 2 'ferry save --help' build/ferry save --nope
check restore-nothing 1 'No such file' build/ferry restore "$WORK/none"
check restore-no-folder 1 'No such file' build/ferry restore "$WORK/none/f"
check restore-a-part 1 'f.more: No such file' build/ferry restore "$WORK/f"
check restore-no-save 2 'g.more' build/ferry restore "$WORK/g"
check restore-no-file 2 'want one file' build/ferry restore
check restore-bad-option 2 'ferry restore --help' build/ferry restore --nope
head -c -1 "$WORK/f" >"$WORK/cut"
check restore-cut 2 'shorter than it says' build/ferry restore "$WORK/cut"
check nothing-was-begun 0 '' test -z "$(ls "$WORK"/ferry-* 2>/dev/null)"
finish
