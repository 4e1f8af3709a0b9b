#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The tests in simulated time alone, optimised: whole stacks (tests/sim) and TCP by script
# (tests/tcp). SEEDS and GUESSES come from the environment, see `make help`; they are not timed.

# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

build_sim() {
	configure sim --buildtype=release -Db_lto=false -Db_ndebug=false -Dtests=enabled \
		-During=disabled -Ddpdk=disabled -Dxdp=disabled -Drdma=disabled -Dapps=disabled -Dman=disabled
	local targets
	mapfile -t targets < <(meson introspect --tests build/sim | python3 -c '
import json, os, sys
for test in json.load(sys.stdin):
    if {suite.rpartition(":")[2] for suite in test["suite"]} & {"sim", "tcp"}:
        print(os.path.relpath(test["cmd"][0], "build/sim"))' | sort -u)
	ninja -C build/sim "${targets[@]}"
}

quietly 'build build/sim' build_sim
meson test -C build/sim --no-rebuild --suite sim --suite tcp --timeout-multiplier 0 \
	--print-errorlogs
