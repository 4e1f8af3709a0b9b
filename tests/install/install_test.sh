#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# install_test.sh [BUILD]: installs into an empty folder, as a packager does, and uses what lies
# there. With BUILD, a directory below build/ without DPDK, that is what it installs, and programs
# without any shared library are what it makes. Speaks TAP.
# shellcheck disable=SC2317 # the functions are called through check

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

dest=$(mktemp -d)
work=$(mktemp -d)
trap 'rm -rf "$dest" "$work"' EXIT

number=0
bad=0

# check NAME COMMAND...: one line of TAP; the command's output only if it fails.
check() {
	local name=$1 status
	shift
	number=$((number + 1))
	set +e
	(
		set -e
		"$@"
	) >"$work/output" 2>&1
	status=$?
	set -e
	if [[ $status == 0 ]]; then
		printf 'ok %d - %s\n' "$number" "$name"
		return
	fi
	bad=1
	printf 'not ok %d - %s\n' "$number" "$name"
	sed 's/^/# /' "$work/output"
}

# prints TEXT COMMAND...: the command succeeds and TEXT is in its output.
prints() {
	local text=$1 output
	shift
	output=$("$@")
	printf '%s\n' "$output"
	[[ $output == *"$text"* ]]
}

# demi_pkg_config ARGUMENT...: pkg-config that sees the installed demi.pc, at its new place.
demi_pkg_config() {
	PKG_CONFIG_SYSROOT_DIR=$dest PKG_CONFIG_PATH=$libdir/pkgconfig pkg-config "$@"
}

# flags ARGUMENT...: sets $flags, one element a flag.
flags() {
	read -r -a flags < <(demi_pkg_config "$@" demi)
}

# api_functions: what the public headers declare, one name a line.
api_functions() {
	gcc -E -P -I include include/demi/demi.h | grep -oE '\bdemi_[a-z0-9_]+ *\(' |
		tr -d ' (' | sort -u
}

# exported: the dynamic symbols of the installed library, without the names of versions.
exported() {
	nm -D --defined-only "$libdir/libdemi.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
		sort -u
}

install_all() {
	make install DESTDIR="$dest" PREFIX=/usr
}

# install_build BUILD
install_build() {
	meson install -C "build/$1" --no-rebuild --destdir "$dest"
}

nothing_outside() {
	local outside
	outside=$(find "$dest" -not -type d -not -path "$dest/usr/*")
	printf '%s\n' "$outside"
	[[ -z $outside ]]
}

has_libraries() {
	ls "$libdir/libdemi.a" "$libdir/libdemi.so" "$libdir/libdemi.so.0"
}

has_soname() {
	prints 'soname: [libdemi.so.0]' readelf -d "$libdir/libdemi.so"
}

has_headers() {
	diff -r include/demi "$dest/usr/include/demi" -x meson.build
}

has_manual() {
	local pages
	pages=$(find "$dest/usr/share/man" -name 'demi*.[1-9]*' | wc -l)
	echo "$pages pages"
	[[ $pages -gt 0 ]]
}

has_version() {
	local version
	version=$(meson introspect --projectinfo build/release |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["version"])')
	prints "$version" demi_pkg_config --modversion demi
}

# demi_command ARGUMENT...: the installed command, which finds its parts from where it lies.
demi_command() {
	"$dest/usr/bin/demi" "$@"
}

has_command() {
	local version
	version=$(demi_pkg_config --modversion demi)
	prints "demi $version" demi_command --version
	[[ -e $dest/usr/share/bash-completion/completions/demi ]]
}

command_finds_shim() {
	prints "LD_PRELOAD=$libdir/demi/libdemi-shim.so" env -u LD_PRELOAD -u DEMI_SHIM "$dest/usr/bin/demi" \
		run --libos catnap --ip 192.0.2.1/32 -- env
}

command_finds_lab() {
	prints 'demi lab up' demi_command lab --help
}

command_looks_around() {
	local status=0
	demi_command doctor --json >"$work/doctor.json" || status=$?
	[[ $status == 0 || $status == 1 ]]
	python3 -m json.tool "$work/doctor.json"
}

# What is packed is unpacked elsewhere: no file may know the folder it was staged in.
no_trace_of_dest() {
	! grep -rlF "$dest" "$dest"
}

only_api_exported() {
	diff <(api_functions) <(exported)
}

# program_runs PROGRAM: with the installed library, and prints what it should.
program_runs() {
	prints hello env LD_LIBRARY_PATH="$libdir" "$1"
}

builds_shared() {
	flags --cflags --libs
	"$@" -Wall -Wextra -Werror -o "$work/shared" tests/install/program.c "${flags[@]}"
	prints '[libdemi.so.0]' readelf -d "$work/shared"
	program_runs "$work/shared"
}

# Our library is in the program, those of others are shared: the drivers of DPDK, which it loads
# by itself, exist only so.
builds_static() {
	flags --static --cflags --libs
	"$@" -Wall -Wextra -Werror -o "$work/static" tests/install/program.c \
		"${flags[@]/#-ldemi/-l:libdemi.a}"
	if readelf -d "$work/static" | grep libdemi; then
		return 1
	fi
	program_runs "$work/static"
}

# No library is shared.
builds_all_static() {
	flags --static --cflags --libs
	"$@" -Wall -Wextra -Werror -static -o "$work/static" tests/install/program.c "${flags[@]}"
	program_runs "$work/static"
}

if [[ $# == 0 ]]; then
	check 'make install DESTDIR=... PREFIX=/usr' install_all
else
	check "meson install -C build/$1" install_build "$1"
fi
pc=$(find "$dest" -name demi.pc)
if [[ -z $pc ]]; then
	printf 'not ok %d - demi.pc is installed\n1..%d\n' $((number + 1)) $((number + 1))
	exit 1
fi
libdir=$(dirname "$(dirname "$pc")")

if [[ $# == 0 ]]; then
	check 'everything lies below PREFIX' nothing_outside
	check 'no file names DESTDIR' no_trace_of_dest
	check 'libdemi.so and libdemi.a' has_libraries
	check 'soname libdemi.so.0' has_soname
	check 'all public headers' has_headers
	check 'manual pages' has_manual
	check 'pkg-config knows the version' has_version
	check 'demi and its completion' has_command
	check 'demi run finds what it preloads' command_finds_shim
	check 'demi lab finds its script' command_finds_lab
	check 'demi doctor' command_looks_around
	check 'exports exactly the functions of the headers' only_api_exported
	check 'a program links the shared library, gcc' builds_shared gcc
	check 'a program links the static library, gcc' builds_static gcc
	check 'a program links the shared library, clang' builds_shared clang
	check 'a program links the static library, clang' builds_static clang
	check 'a C++ program links the shared library' builds_shared g++ -x c++
else
	check 'a program without shared libraries, gcc' builds_all_static gcc
	check 'a program without shared libraries, clang' builds_all_static clang
fi
printf '1..%d\n' "$number"
exit "$bad"
