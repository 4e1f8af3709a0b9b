#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# run.sh PROGRAM FOUND CORPUS: try the corpus, then what the fuzzer makes of it, for FUZZ_SECONDS (60).
# It makes the same every time, as far as it gets, so that a failure is of what has changed: to look
# for more, FUZZ_SEED=0 draws a seed, and another number is one.
# What is worth keeping goes to the directory FOUND; an input that fails is kept beside it, and how to
# try it again is said. The exit status is 1 then: libFuzzer's own, 77, would say "skipped".

set -euo pipefail
program=$1 found=$2 corpus=$3 seconds=${FUZZ_SECONDS:-60} seed=${FUZZ_SEED:-1}

mkdir -p "$found"
# What the library logs is not shown. Weighing inputs by their rarest features would take it longer
# than to try them.
status=0
"$program" -seed="$seed" -max_total_time="$seconds" -timeout=120 -entropic=0 -close_fd_mask=2 \
	-artifact_prefix="$found-" "$found" "$corpus" 2>&1 | tee "$found.log" || status=$?
[[ $status != 0 ]] || exit 0

input=$(sed -n 's/.*Test unit written to //p' "$found.log" | tail -n 1)
if [[ -n $input ]]; then
	# Once more, with what the target itself says.
	"$program" -timeout=60 "$input" || true
	printf 'To try it again: %q %q\n' "$program" "$input"
fi
exit 1
