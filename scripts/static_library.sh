#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# static_library.sh OUTPUT INPUT MAP COMPILER...: one object of all that INPUT, an archive, has, in
# an archive OUTPUT. Only the names of MAP, the shared library's version script, stay global, so
# that a program which links statically may have a heap_create of its own; objects for link-time
# optimisation become code.

set -euo pipefail

output=$1
input=$2
map=$3
shift 3
object=$output.o
flags=()

# gcc compiles what is meant for link-time optimisation; ld alone would pass it on.
if "$@" --version | grep -q 'Free Software Foundation'; then
	flags=(-flinker-output=nolto-rel)
fi
"$@" -r -nostdlib "${flags[@]}" -Wl,--whole-archive "$input" -Wl,--no-whole-archive -o "$object"
grep -oE '\bdemi_[a-z0-9_]+' "$map" >"$output.names"
objcopy --keep-global-symbols="$output.names" "$object"
rm -f "$output"
ar rcs "$output" "$object"
rm -f "$object" "$output.names"
