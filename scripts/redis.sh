#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# redis.sh [LIBRARY [FOLDER]]: Debian's redis with our event loop, connections, replies and allocator, into
# FOLDER/redis-server, build/redis unless told otherwise. LIBRARY is the build directory of the library that
# it is linked with, build/release unless told otherwise. CC, REDIS_CFLAGS and REDIS_LDFLAGS as they are.
# With SANITIZE=1 by clang with ASan, and UBSan for what is ours of it; LIBRARY has to be built likewise.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What the patches were made for.
readonly upstream=7.0.15
readonly objects='endpoint.o endpoint_hold.o endpoint_socket.o endpoint_stream.o endpoint_wait.o client_read.o client_start.o client_values.o client_write.o journal.o journal_read.o'

# die LINE...
die() {
	printf 'redis.sh: %s\n' "$@" >&2
	exit 1
}

# version FOLDER: the upstream version of an unpacked source package.
version() {
	sed -n '1s/.*(\([0-9]*:\)\{0,1\}\([^-)]*\).*/\2/p' "$1/debian/changelog"
}

# patched SOURCE FOLDER: a copy of it with our changes and our files; made anew when one of them changed.
patched() {
	local patch sum
	sum=$(cat apps/redis/patches/*.patch "$1/debian/changelog" | sha256sum)
	if [[ $(cat "$2/demi-patches" 2>/dev/null) != "$sum" ]]; then
		rm -rf "$2"
		cp -r "$1" "$2"
		for patch in apps/redis/patches/*.patch; do
			patch --quiet --directory="$2" -p1 <"$patch" ||
				die "$patch does not fit redis $(version "$1"): it was made for $upstream"
		done
		printf '%s' "$sum" >"$2/demi-patches"
	fi
	cp --update apps/redis/*.[ch] "$2/src/"
}

# beside FOLDER: the other programs, by which Redis's own tests ask.
beside() {
	local name
	for name in redis-sentinel redis-check-aof redis-check-rdb; do
		ln -sf redis-server "$1/$name"
	done
	for name in redis-cli redis-benchmark; do
		ln -sf "$(command -v "$name" || echo "/usr/bin/$name")" "$1/$name"
	done
}

# sanitize FOLDER: the flags, for what make is told. Redis's own files have their own notion of behaviour
# that is undefined (unaligned words, to begin with), and are checked for wrong accesses alone.
sanitize() {
	local flags="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer" name
	{
		printf '[undefined]\n'
		for name in build/redis/source/src/*.[ch]; do
			printf 'src:%s\n' "${name##*/}"
		done
	} >"$1/ignored"
	CC=clang
	REDIS_CFLAGS="$flags -fsanitize-ignorelist=$PWD/$1/ignored ${REDIS_CFLAGS:-}"
	REDIS_LDFLAGS="$flags ${REDIS_LDFLAGS:-}"
}

main() {
	local library=${1:-build/release} into=${2:-build/redis} folder
	library=$(realpath "$library")
	folder=$library/src/api
	[[ -e $folder/libdemi.so ]] || die "there is no library in $library; \`make redis\` builds it"
	scripts/debian_source.sh redis build/redis/source
	[[ $(version build/redis/source) == "$upstream" ]] ||
		printf 'redis.sh: Debian has redis %s, the patches were made for %s\n' \
			"$(version build/redis/source)" "$upstream" >&2
	mkdir -p "$into"
	[[ ${SANITIZE:-0} == 0 ]] || sanitize "$into"
	patched build/redis/source "$into/patched"
	make -C "$into/patched/src" redis-server MALLOC=libc OPTIMIZATION=-O2 CC="${CC:-gcc}" \
		DEMI_OBJ="$objects" \
		REDIS_CFLAGS="-DUSE_DEMI -D_GNU_SOURCE= -I. -I$PWD/include ${REDIS_CFLAGS:-}" \
		REDIS_LDFLAGS="-L$folder -Wl,-rpath,$folder -Wl,--no-as-needed -ldemi ${REDIS_LDFLAGS:-}"
	beside "$into/patched/src"
	cp --update "$into/patched/src/redis-server" "$into/redis-server"
}

main "$@"
