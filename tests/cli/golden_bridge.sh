#!/bin/bash
# tests/cli/golden_bridge.sh - golden-bridge says no where it should.
set -u
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

# refused NAME CONTENT WORDS: a file that must fail, with these words.
refused() {
	local out status
	printf '%b' "$2" >"$dir/$1"
	out=$(timeout 20 build/tests/golden-bridge "$dir/$1" 2>&1)
	status=$?
	if [ $status -eq 1 ] && grep -qF -- "$3" <<<"$out" &&
		[ "$(tail -n 1 <<<"$out")" = "0 passed, 1 failed" ]; then
		echo "ok - $1"
		passed=$((passed + 1))
	else
		printf 'not ok - %s (status %d), want: %s\n%s\n' "$1" $status "$3" "$out"
		failed=$((failed + 1))
	fi
}

vector() { # TYPE DIRECTION PAYLOAD
	printf '{"type": %s, "id": 1, "direction": "%s", "payload": %s}' "$1" "$2" "$3"
}

refused empty.json '' 'neither a vector'
refused readme.txt 'hello' 'neither a vector'
refused half.json '{"type": 1' 'not a vector'
refused other.json '{"type": "x", "id": 1}' 'not a vector'
refused type.json "$(vector 269488385 host-to-guest '{}')" 'no codec for type word 0x10101101'
refused way.json "$(vector 269485569 guest-to-host '{}')" 'do not fit together'
refused wrong.json "$(vector 269485569 host-to-guest '{"ProcessId":-1}')" 'refused: $.ProcessId: number out of range'
refused member.json "$(vector 269484545 host-to-guest '{"ContainerId":"","Other":1}')" 'differs at $.Other'
refused number.json "$(vector 269485569 host-to-guest '{"ContainerId":"","ProcessId":1,"TimeoutInMs":0,"otsc":{"a":"b"},"OTSC":{}}')" 'expected {'
refused resource.json "$(vector 269486593 host-to-guest '{"Request":{"ResourceType":"HvSocket","Settings":{}}}')" "no codec for the settings of 'HvSocket'"
refused setting.json "$(vector 269486593 host-to-guest '{"Request":{"ResourceType":"Network","Settings":{"Routes":[{"Metric":65536}]}}}')" '$.Routes[0].Metric: number out of range'
refused short.bin '\001\014\020\020' 'not whole frames: 4 bytes left'
refused none.bin '' 'not whole frames'
refused size.bin '\001\014\020\020\017\000\000\000\011\000\000\000\000\000\000\000' "below the header's"
refused kind.bin '\001\021\020\020\020\000\000\000\011\000\000\000\000\000\000\000' 'no codec for type word 0x10101101'
refused bytes.bin '\001\014\020\020\023\000\000\000\011\000\000\000\000\000\000\000{ }' 'the frame made again differs'

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
