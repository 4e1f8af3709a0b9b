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
scripts/deps.sh bench
build_release
exec build/release/bench/demi-bench "$@"
