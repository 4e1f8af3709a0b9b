#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# debian_source.sh PACKAGE FOLDER: the source of a package as Debian has it, its patches applied, into
# FOLDER. It changes nothing of the system's: the package lists are its own, made from the machine's
# sources. A FOLDER that is there already is left as it is.

set -euo pipefail

# die LINE...
die() {
	printf 'debian_source.sh: %s\n' "$@" >&2
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

# fetch PACKAGE FOLDER: the package's files.
fetch() {
	local options
	mkdir -p "$2"/{sources,lists/partial,cache/archives/partial}
	source_lists "$2/sources"
	options=(-o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$2/sources"
		-o "Dir::State::Lists=$2/lists" -o "Dir::Cache=$2/cache" -o "APT::Sandbox::User=root"
		-o "Acquire::Languages=none")
	(cd "$2" && apt-get "${options[@]}" update && apt-get "${options[@]}" source --download-only "$1")
}

main() {
	local package=${1:-} folder=${2:-} work tool
	[[ -n $folder ]] || die 'usage: debian_source.sh PACKAGE FOLDER'
	[[ ! -e $folder/debian/control ]] || return 0
	for tool in apt-get dpkg-source; do
		command -v "$tool" >/dev/null || die "$tool is missing; scripts/deps.sh all installs it"
	done
	work=$(mktemp -d)
	# shellcheck disable=SC2064 # the folder as it is now
	trap "rm -rf '$work'" EXIT
	fetch "$package" "$work" >"$work/log" 2>&1 ||
		{ cat "$work/log" >&2; die "the source of $package cannot be had"; }
	mkdir -p "$(dirname "$folder")"
	rm -rf "$folder" "$folder.new"
	dpkg-source -x "$work/${package}"_*.dsc "$folder.new" >"$work/log" 2>&1 ||
		{ cat "$work/log" >&2; die "the source of $package cannot be unpacked"; }
	mv "$folder.new" "$folder"
}

main "$@"
