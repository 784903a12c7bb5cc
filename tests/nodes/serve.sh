#!/bin/sh
# tests/nodes/serve.sh - of a node: one connection is one script. Its first line
# is the number of bytes that follow; the answer is what it says, then its status
read -r size
script=$(mktemp /tmp/script-XXXXXX)
head -c "$size" >"$script"
sh "$script" </dev/null 2>&1
echo "status $?"
rm -f "$script"
