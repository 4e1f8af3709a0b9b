#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# lwip.sh FOLDER: lwIP's source as Debian has it, which the benchmarks compare with, into FOLDER.
# It changes nothing of the system's: the package lists are its own, made from the machine's sources.

set -euo pipefail

# die LINE...
die() {
	printf 'lwip.sh: %s\n' "$@" >&2
	exit 1
}

# source_lists FOLDER: the machine's sources of packages, as sources of source packages.
source_lists() {
	local file
	for file in /etc/apt/sources.list.d/*.sources; do
		[[ ! -e $file ]] || sed 's/^Types:.*/Types: deb-src/' "$file" >"$1/$(basename "$file")"
	done
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[[ ! -e $file ]] || sed -n 's/^deb /deb-src /p' "$file" >"$1/$(basename "$file" .list).list"
	done
}

# fetch FOLDER: the package's files.
fetch() {
	local options
	mkdir -p "$1"/{sources,lists/partial,cache/archives/partial}
	source_lists "$1/sources"
	options=(-o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$1/sources"
		-o "Dir::State::Lists=$1/lists" -o "Dir::Cache=$1/cache" -o "APT::Sandbox::User=root"
		-o "Acquire::Languages=none")
	(cd "$1" && apt-get "${options[@]}" update && apt-get "${options[@]}" source --download-only lwip)
}

main() {
	local folder=${1:-} work
	[[ -n $folder ]] || die 'usage: lwip.sh FOLDER'
	[[ ! -e $folder/src/core/tcp.c ]] || return 0
	for tool in apt-get dpkg-source; do
		command -v "$tool" >/dev/null || die "$tool is missing; scripts/deps.sh bench installs it"
	done
	work=$(mktemp -d)
	# shellcheck disable=SC2064 # the folder as it is now
	trap "rm -rf '$work'" EXIT
	fetch "$work" >"$work/log" 2>&1 || { cat "$work/log" >&2; die 'the source of lwip cannot be had'; }
	mkdir -p "$(dirname "$folder")"
	rm -rf "$folder"
	dpkg-source -x "$work"/lwip_*.dsc "$folder" >"$work/log" 2>&1 ||
		{ cat "$work/log" >&2; die 'the source of lwip cannot be unpacked'; }
}

main "$@"
