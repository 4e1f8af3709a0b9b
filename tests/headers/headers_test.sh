#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# headers_test.sh TOP: compiles each header alone, as C, and the public ones as C++ too. Speaks
# TAP. CC and CXX name the compilers; without CXX the C++ cases are skipped, and without
# DPDK_CFLAGS, where DPDK's own headers are, those that include them.

set -euo pipefail
cd "$1"

number=0
bad=0
read -r -a cc <<<"${CC:-cc}"
read -r -a cxx <<<"${CXX:-}"
read -r -a dpdk <<<"${DPDK_CFLAGS:-}"
readonly warnings=(-Wall -Wextra -Werror)

# outcome NAME OUTPUT STATUS: one line of TAP.
outcome() {
	number=$((number + 1))
	if [[ $3 == 0 ]]; then
		printf 'ok %d - %s\n' "$number" "$1"
		return
	fi
	bad=1
	printf 'not ok %d - %s\n' "$number" "$1"
	printf '# %s\n' "${2//$'\n'/$'\n'# }"
}

# alone NAME COMMAND...: the compiler reads the header and nothing else that matters.
alone() {
	local name=$1 output status=0
	shift
	output=$("$1" "${warnings[@]}" "${@:2}" -fsyntax-only - 2>&1 <<<'typedef int nothing;') || status=$?
	outcome "$name" "$output" "$status"
}

# skip NAME WHY
skip() {
	number=$((number + 1))
	printf 'ok %d - %s # SKIP %s\n' "$number" "$1" "$2"
}

as_c() {
	local of_others=()
	if grep -q '#include <rte_' "$1"; then
		if [[ ${#dpdk[@]} == 0 ]]; then
			skip "C $1" 'no DPDK'
			return
		fi
		of_others=("${dpdk[@]}")
	fi
	# What tests include has functions of which each test calls some.
	[[ $1 != *testing.h ]] || of_others+=(-Wno-unused-function)
	alone "C $1" "${cc[@]}" -std=gnu17 -D_GNU_SOURCE -I src -I include -x c -include "$1" "${of_others[@]}"
}

# A user's program: no _GNU_SOURCE, no folder of ours but include/, strict C.
as_public_c() {
	alone "strict C $1" "${cc[@]}" -std=c11 -pedantic -I include -x c -include "$1"
}

as_cxx() {
	if [[ ${#cxx[@]} == 0 ]]; then
		skip "C++ $1" 'no C++ compiler'
		return
	fi
	alone "C++ $1" "${cxx[@]}" -std=c++17 -I include -x c++ -include "$1"
}

while IFS= read -r header; do
	as_c "$header"
done < <(find src -name '*.h' | sort)

while IFS= read -r header; do
	alone "C $header" "${cc[@]}" -std=gnu17 -D_GNU_SOURCE -I include -x c -include "$header"
done < <(find shim -name '*.h' | sort)

for header in include/demi/*.h; do
	as_public_c "$header"
	as_cxx "$header"
done

printf '1..%d\n' "$number"
exit "$bad"
