#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Builds the release and runs its benchmarks: bench.sh [OPTION of demi-bench]...
# bench.sh --instructions only counts instructions, which needs valgrind.
# bench.sh --programs [OPTION]... only measures Debian's programs on Catnip beside the kernel, which
# needs root; it comes last in a call without options. --programs --help lists its options.
# bench.sh --log [OPTION]... only measures appends to a log beside durable writes of io_uring, and echo
# into a log; its options are those of bench/block/log_bench.py.
# bench.sh --nvme [OPTION]... only measures the NVMe driver beside fio on the kernel's, in a guest; its
# options are those of bench/block/nvme_bench.py.

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

# programs OPTION...: in a laboratory of its own; it says why when it cannot.
programs() {
	local status=0
	if [[ ${1:-} == --help ]]; then
		exec python3 bench/programs/programs_bench.py --help
	elif [[ $(id -u) != 0 ]]; then
		printf "Debian's programs are left out: only root can make their laboratory\n" >&2
		return
	fi
	scripts/lab.sh run -- python3 bench/programs/programs_bench.py build/release "$@" || status=$?
	[[ $status == 0 || $status == 2 ]] || exit "$status"
}

scripts/deps.sh bench
build_release
if [[ ${1:-} == --programs ]]; then
	shift
	programs "$@"
	exit
fi
if [[ ${1:-} == --log ]]; then
	shift
	exec python3 bench/block/log_bench.py build/release "$@"
fi
if [[ ${1:-} == --nvme ]]; then
	shift
	scripts/deps.sh vm
	exec python3 bench/block/nvme_bench.py build/release "$@"
fi
if scripts/lwip.sh build/lwip; then
	quietly 'build with lwIP' add_lwip
else
	printf 'lwIP is left out of the comparison\n' >&2
fi
[[ $# == 0 ]] || exec build/release/bench/demi-bench "$@"
build/release/bench/demi-bench
programs
python3 bench/block/log_bench.py build/release
scripts/deps.sh vm
python3 bench/block/nvme_bench.py build/release
