#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Builds the release and runs its benchmarks: bench.sh [ARGUMENT of demi-bench]...

# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

scripts/deps.sh bench
build_release
exec build/release/bench/demi-bench "$@"
