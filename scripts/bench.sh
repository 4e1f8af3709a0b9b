#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Builds the release and runs its benchmarks: bench.sh [OPTION of demi-bench]...
# bench.sh --instructions only counts instructions, which needs valgrind.

# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

for option; do
	if [[ $option == --instructions ]] && ! command -v valgrind >/dev/null; then
		die "--instructions counts with valgrind: install it (scripts/deps.sh test does)"
	fi
done
# add_lwip: builds it for the comparison too.
add_lwip() {
	meson configure build/release -Dlwip="$PWD/build/lwip"
	compile release
}

scripts/deps.sh bench
build_release
if scripts/lwip.sh build/lwip; then
	quietly 'build with lwIP' add_lwip
else
	printf 'lwIP is left out of the comparison\n' >&2
fi
exec build/release/bench/demi-bench "$@"
