#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What the other scripts share: build directories, and steps that are timed and counted.
# It is sourced, and leaves the caller in the top folder of the source.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

passed=0
failed=0
skipped=0

die() {
	printf '%s\n' "$*" >&2
	exit 1
}

# c_files: the C sources, each ended by a NUL.
c_files() {
	find include src apps tools bench tests -name '*.[ch]' -print0 | sort -z
}

# locked NAME COMMAND...: while nobody else is at build/NAME. In a shell of its own.
locked() (
	mkdir -p build
	exec {lock}>"build/$1.lock"
	flock "$lock"
	shift
	"$@"
)

set_up() {
	local dir=build/$1
	shift
	local options="CC=${CC:-} $*"

	if [[ -f $dir/build.ninja && $(cat "$dir/demi-options" 2>/dev/null) == "$options" ]]; then
		return
	fi
	rm -rf "$dir"
	meson setup "$dir" "$@" &&
		printf '%s\n' "$options" >"$dir/demi-options"
}

# configure NAME OPTION...: the build directory build/NAME, with these Meson options and no others.
configure() {
	locked "$1" set_up "$@"
}

# compile NAME: build all of build/NAME.
compile() {
	locked "$1" ninja -C "build/$1"
}

# run_logged LOG COMMAND...: run it under set -e and store its exit status in $status.
# Neither this nor what calls it may stand where set -e is off (if, &&, ||).
run_logged() {
	local log=$1
	shift
	mkdir -p "$(dirname "$log")"
	set +e
	(
		set -e
		"$@"
	) >"$log" 2>&1
	status=$?
	set -e
}

# quietly NAME COMMAND...: a line that says what goes on; the command's output only if it fails.
quietly() {
	local name=$1 log=build/logs/${1//[^a-z0-9]/-}.log status
	shift
	printf '%s\n' "$name"
	run_logged "$log" "$@"
	[[ $status != 0 ]] || return 0
	cat "$log" >&2
	die "failed: $name (its output is above)"
}

# build_release: what users run and install: optimised, link-time optimised, without tests.
build_release() {
	quietly 'configure build/release' configure release \
		--buildtype=release -Db_lto=true -Dtests=disabled -Dapps=enabled
	quietly 'build build/release' compile release
}

# seconds_since MICROSECONDS: the time since then, as 12.3.
seconds_since() {
	local us=$((${EPOCHREALTIME/[.,]/} - $1))
	printf '%d.%d' $((us / 1000000)) $((us / 100000 % 10))
}

# report VERDICT NAME START: a step's line.
report() {
	printf '  %-4s  %-28s %6s s\n' "$1" "$2" "$(seconds_since "$3")"
}

# step NAME COMMAND...: one counted step; its output only if it fails.
step() {
	local name=$1 log=build/logs/${1//[^a-z0-9]/-}.log start=${EPOCHREALTIME/[.,]/} status
	shift
	run_logged "$log" "$@"
	if [[ $status == 0 ]]; then
		passed=$((passed + 1))
		report ok "$name" "$start"
		return
	fi
	failed=$((failed + 1))
	report FAIL "$name" "$start"
	sed 's/^/        /' "$log"
}

# finish: the counts; fails when a step failed.
finish() {
	printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
	[[ $failed == 0 ]]
}
