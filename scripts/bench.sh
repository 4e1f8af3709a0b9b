#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Builds the release and runs its benchmarks: bench.sh [OPTION of demi-bench]...
# bench.sh --instructions only counts instructions, which needs valgrind.
# bench.sh --programs [OPTION]... only measures Debian's programs on Catnip beside the kernel, which
# needs root; it comes last in a call without options. --programs --help lists its options.
# bench.sh --relay [OPTION]... only measures demi-relay beside coturn's turnserver, which needs root; its
# options are those of bench/relay/relay_bench.py.
# bench.sh --redis [OPTION]... only measures Redis on PDPIX beside Debian's redis-server on the kernel and
# under the shim, which needs root; its options are those of bench/redis/redis_bench.py.
# bench.sh --redis-nvme [OPTION]... only measures its log on an NVMe drive, in a guest; its options are those
# of bench/redis/redis_nvme_bench.py.
# bench.sh --log [OPTION]... only measures appends to a log beside durable writes of io_uring, and echo
# into a log; its options are those of bench/block/log_bench.py.
# bench.sh --nvme [OPTION]... only measures the NVMe driver beside fio on the kernel's, in a guest; its
# options are those of bench/block/nvme_bench.py.
# bench.sh --txnstore [OPTION]... only measures demi-txnstore beside itself on plain sockets, which needs
# root; its options are those of bench/txnstore/txnstore_bench.py.
# bench.sh --rdma [OPTION]... only measures RDMA, echo on Catmint and on the kernel's TCP, in a guest; its
# options are those of bench/rdma/rdma_bench.py.

# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [[ ${1:-} == --help ]]; then
	sed -n '4,/^$/s/^# \{0,1\}//p' scripts/bench.sh
	exit
fi
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

# unless_skipped COMMAND...: 77 says that something is missing here, which the command has said.
unless_skipped() {
	local status=0
	"$@" || status=$?
	[[ $status == 0 || $status == 77 ]] || exit "$status"
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

# relay OPTION...: likewise; the laboratory is made by the program.
relay() {
	if [[ ${1:-} == --help ]]; then
		exec python3 bench/relay/relay_bench.py --help
	elif [[ $(id -u) != 0 ]]; then
		printf 'the relay is left out: only root can make its laboratory\n' >&2
		return
	fi
	unless_skipped python3 bench/relay/relay_bench.py build/release "$@"
}

# txnstore OPTION...: likewise.
txnstore() {
	if [[ $(id -u) != 0 ]]; then
		printf 'TxnStore is left out: only root can make its laboratory\n' >&2
		return
	fi
	unless_skipped python3 bench/txnstore/txnstore_bench.py build/release "$@"
}

# have_redis: whether there is a source to build the server on PDPIX from.
have_redis() {
	scripts/debian_source.sh redis build/redis/source || {
		printf 'Redis is left out of the comparison\n' >&2
		return 1
	}
}

# redis OPTION...: in a laboratory of its own.
redis() {
	local status=0
	quietly 'build redis on PDPIX' scripts/redis.sh
	if [[ $(id -u) != 0 ]]; then
		printf 'Redis is left out: only root can make its laboratory\n' >&2
		return
	fi
	scripts/lab.sh run -- python3 bench/redis/redis_bench.py build/release build/redis/redis-server "$@" ||
		status=$?
	[[ $status == 0 || $status == 2 ]] || exit "$status"
}

# redis_nvme OPTION...: in a guest.
redis_nvme() {
	quietly 'build redis on PDPIX' scripts/redis.sh
	scripts/deps.sh vm
	unless_skipped python3 bench/redis/redis_nvme_bench.py build/release build/redis/redis-server "$@"
}

# log OPTION...: what goes over a network needs a laboratory.
log() {
	local laboratory=()
	if [[ $(id -u) == 0 ]]; then
		laboratory=(scripts/lab.sh run --)
	else
		printf 'echo over Catnip into a log is left out: only root can make its laboratory\n' >&2
	fi
	unless_skipped "${laboratory[@]}" python3 bench/block/log_bench.py build/release "$@"
}

# nvme OPTION..., rdma OPTION...: in a guest.
nvme() {
	scripts/deps.sh vm
	unless_skipped python3 bench/block/nvme_bench.py build/release "$@"
}

rdma() {
	scripts/deps.sh vm
	unless_skipped python3 bench/rdma/rdma_bench.py build/release "$@"
}

scripts/deps.sh bench
build_release
if [[ ${1:-} == --programs ]]; then
	shift
	programs "$@"
	exit
fi
if [[ ${1:-} == --relay ]]; then
	shift
	relay "$@"
	exit
fi
if [[ ${1:-} == --txnstore ]]; then
	shift
	txnstore "$@"
	exit
fi
if [[ ${1:-} == --redis ]]; then
	shift
	have_redis || exit 0
	redis "$@"
	exit
fi
if [[ ${1:-} == --redis-nvme ]]; then
	shift
	have_redis || exit 0
	redis_nvme "$@"
	exit
fi
if [[ ${1:-} == --log ]]; then
	shift
	log "$@"
	exit
fi
if [[ ${1:-} == --nvme ]]; then
	shift
	nvme "$@"
	exit
fi
if [[ ${1:-} == --rdma ]]; then
	shift
	rdma "$@"
	exit
fi
if scripts/debian_source.sh lwip build/lwip; then
	quietly 'build with lwIP' add_lwip
else
	printf 'lwIP is left out of the comparison\n' >&2
fi
[[ $# == 0 ]] || exec build/release/bench/demi-bench "$@"
build/release/bench/demi-bench
programs
relay
txnstore
if have_redis; then
	redis
	redis_nvme
fi
log
nvme
rdma
