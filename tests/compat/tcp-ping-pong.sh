#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the program in $1 as a server and, once that listens, as its client.
set -u
program=$1
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT

port=$((20000 + $$ % 10000))
for attempt in 1 2 3 4 5; do
	mkfifo "$folder/said.$attempt" || exit 1
	"$program" --server 127.0.0.1 "$port" >"$folder/said.$attempt" &
	server=$!
	read -r line <"$folder/said.$attempt" || line=
	if [ "$line" = listening ]; then
		"$program" --client 127.0.0.1 "$port" || {
			echo "the client failed"
			kill "$server"
			wait "$server"
			exit 1
		}
		wait "$server"
		exit
	fi
	wait "$server"
	status=$?
	[ "$status" -eq 2 ] || { echo "the server failed: $status"; exit 1; }
	port=$((port + 1))
done
echo "no free port"
exit 1
