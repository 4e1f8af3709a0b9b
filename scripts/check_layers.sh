#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Fails when a file includes a header of a folder that it must not know. The arrows between the
# folders are those of ARCHITECTURE.md; check_layers.sh [TOP FOLDER]

set -euo pipefail
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/..}"

# folder: the folders below src/ whose headers it may include, besides its own
readonly layers='
base:
heap:   base
sched:  base
wire:   base
netdev: heap wire base
blkdev: heap base
rdma:   base
queue:  heap sched base
net:    netdev wire queue heap sched base
log:    blkdev queue heap sched base
libos:  net netdev wire log blkdev rdma queue heap sched base
api:    libos queue heap sched base
'

# These see what a user sees: <demi/...>, and headers of their own folder.
readonly outside='shim apps tools tests/conformance tests/compat tests/shim'

# Who writes rules down for the shim checks them by the shim's own parser, which knows nothing else.
readonly exceptions='tools/settings.c:../shim/rule.h'

# include_lines FOLDER...: file:line:#include ...
include_lines() {
	local folder
	for folder in "$@"; do
		[[ -d $folder ]] || continue
		grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]' \
			--include='*.c' --include='*.h' --include='*.cc' "$folder" || true
	done
}

# Splits "file:line:#include <x>" into file, line, quote (< or ") and header.
# shellcheck disable=SC2016 # awk's own variables
readonly split_awk='
function split_line(   parts, text, at) {
	at = match($0, /:[0-9]+:/)
	file = substr($0, 1, at - 1)
	line = substr($0, at + 1, RLENGTH - 2)
	text = substr($0, at + RLENGTH)
	match(text, /["<][^">]*[">]/)
	quote = substr(text, RSTART, 1)
	header = substr(text, RSTART + 1, RLENGTH - 2)
}
function exists(path,   text, found) {
	found = (getline text < path) >= 0
	close(path)
	return found
}
function complain(why) {
	printf "%s:%s: includes %s: %s\n", file, line, header, why
	bad = 1
}
'

# Files below src/: headers by their path from src/, and only of folders further left.
check_source() {
	# shellcheck disable=SC2016 # awk's own variables
	include_lines src | awk -v layers="$layers" "$split_awk"'
	BEGIN {
		n = split(layers, rows, "\n")
		for (i = 1; i <= n; i++) {
			if (split(rows[i], half, ":") < 2)
				continue
			known[half[1]] = 1
			may[half[1], half[1]] = 1
			m = split(half[2], names, " ")
			for (j = 1; j <= m; j++)
				may[half[1], names[j]] = 1
		}
	}
	{
		split_line()
		split(file, at, "/")
		own = at[2]
		depth = split(header, to, "/")
		if (to[1] == "demi") {
			if (quote != "<")
				complain("write public headers as <demi/...>")
		} else if (!(own in known)) {
			complain("src/" own " is not in the table of check_layers.sh")
		} else if (quote == "<") {
			# The system has a <net/if.h> too.
			if (to[1] in known && exists("src/" header))
				complain("write it in quotes, it is ours")
		} else if (depth < 2) {
			complain("write its path from src/")
		} else if (!(to[1] in known)) {
			complain("there is no folder src/" to[1] " in the table of check_layers.sh")
		} else if (!((own, to[1]) in may)) {
			complain("src/" own " must not know src/" to[1])
		}
	}
	END { exit bad }'
}

# Applications and tests of the public API: whatever is in quotes lies beside the file itself.
check_outside() {
	# shellcheck disable=SC2016,SC2086 # awk's own variables; one argument a folder
	include_lines $outside | awk -v layers="$layers" -v exceptions=" $exceptions " "$split_awk"'
	{
		split_line()
		if (index(exceptions, " " file ":" header " "))
			next
		top = file
		sub(/^tests\//, "tests:", top)
		sub(/\/.*/, "", top)
		sub(/^tests:/, "tests/", top)
		dir = file
		sub(/[^\/]*$/, "", dir)
		folder = header
		sub(/\/.*/, "", folder)
		if (folder == "demi" && quote != "<")
			complain("write public headers as <demi/...>")
		else if (quote == "<" && index(layers, "\n" folder ":") && exists("src/" header))
			complain(top " may only know <demi/...>")
		else if (quote == "\"" && folder != "demi" &&
			 (header ~ /\.\./ || !(exists(dir header) || exists(top "/" header))))
			complain(top " may only know <demi/...> and headers of its own")
	}
	END { exit bad }'
}

# The public headers know only one another.
check_public() {
	# shellcheck disable=SC2016 # awk's own variables
	include_lines include | awk "$split_awk"'
	{
		split_line()
		if (quote != "<")
			complain("write public headers as <demi/...>")
	}
	END { exit bad }'
}

status=0
check_public || status=1
check_source || status=1
check_outside || status=1
exit "$status"
