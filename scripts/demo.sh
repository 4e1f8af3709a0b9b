#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Shows what Demi does in half a minute: the echo server and its verifying client on Catnap over
# loopback, TCP and UDP, with and without a durable log, and beside each run the same over plain
# epoll sockets. Ends with one table. Called by `make demo`.
#
# usage: scripts/demo.sh BUILD_DIRECTORY
# DEMO_SECONDS sets the length of each run (default 2).

set -u

build=${1:?usage: scripts/demo.sh BUILD_DIRECTORY}
seconds=${DEMO_SECONDS:-2}
demi="$build/apps/echo/demi-echo"
plain="$build/apps/echo/echo-plain"
size=64

for program in "$demi" "$plain"; do
	if [ ! -x "$program" ]; then
		echo "demo: $program is missing: the applications need jansson" >&2
		exit 1
	fi
done
if ! command -v python3 >/dev/null; then
	echo "demo: python3 is missing; it reads the results" >&2
	exit 1
fi

# On a disk, where a durable append costs what it costs, rather than in a memory file system.
work=$(mktemp -d "${DEMO_TMPDIR:-/var/tmp}/demi-demo.XXXXXX") || exit 1
server=

clean_up() {
	if [ -n "$server" ]; then
		kill "$server" 2>/dev/null
		wait "$server" 2>/dev/null
	fi
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM

# Both ends spin: each gets a CPU of its own where there are two.
server_cpu=
client_cpu=
if command -v taskset >/dev/null; then
	cpus=$(python3 -c 'import os; print(*sorted(os.sched_getaffinity(0))[:2])')
	case $cpus in
	*' '*)
		server_cpu="taskset -c ${cpus% *}"
		client_cpu="taskset -c ${cpus#* }"
		;;
	esac
fi

# run NAME PROGRAM PROTOCOL LOG(yes|no) OPTION...: server, client, results in $work/NAME.json
run() {
	name=$1
	program=$2
	protocol=$3
	log=$4
	shift 4
	set -- --proto "$protocol" "$@"

	echo "  $name"
	if [ "$log" = yes ]; then
		$server_cpu "$program" server --addr 127.0.0.1:0 "$@" --log "$work/log" \
			>"$work/server" 2>"$work/server.errors" &
	else
		$server_cpu "$program" server --addr 127.0.0.1:0 "$@" \
			>"$work/server" 2>"$work/server.errors" &
	fi
	server=$!
	address=
	tries=0
	while [ -z "$address" ] && [ $tries -lt 100 ] && kill -0 "$server" 2>/dev/null; do
		sleep 0.05
		address=$(sed -n 's/^listening on //p' "$work/server")
		tries=$((tries + 1))
	done
	if [ -z "$address" ]; then
		echo "demo: the server of '$name' did not start:" >&2
		cat "$work/server.errors" >&2
		exit 1
	fi
	if ! $client_cpu "$program" client --addr "$address" "$@" --size $size \
		--duration "$seconds" --quiet --json "$work/$name.json" >"$work/client" 2>&1; then
		echo "demo: the client of '$name' failed:" >&2
		cat "$work/client" "$work/server.errors" >&2
		exit 1
	fi
	kill -TERM "$server"
	if ! wait "$server"; then
		echo "demo: the server of '$name' did not end well:" >&2
		cat "$work/server.errors" >&2
		exit 1
	fi
	server=
	if [ "$log" = yes ] && [ ! -s "$work/log" ]; then
		echo "demo: the log of '$name' is empty" >&2
		exit 1
	fi
	rm -f "$work/log"
}

echo "Echo of $size-byte messages over loopback, one at a time, $seconds s each:"
for protocol in tcp udp; do
	for log in no yes; do
		suffix=
		[ "$log" = yes ] && suffix='+log'
		run "$protocol$suffix demi" "$demi" "$protocol" "$log" --libos catnap
		run "$protocol$suffix plain" "$plain" "$protocol" "$log"
	done
done
echo

python3 - "$work" <<'PYTHON' || exit 1
import json, os, sys

work = sys.argv[1]
rows = [("tcp", "TCP echo"), ("tcp+log", "TCP echo, logged durably"),
        ("udp", "UDP echo"), ("udp+log", "UDP echo, logged durably")]
line = "{:<26} {:>9} {:>9} {:>11}   {:>9} {:>9} {:>11}   {:>7}"
print(line.format("", "Demi p50", "p99 us", "messages/s", "epoll p50", "p99 us", "messages/s",
                  "ratio"))
verified = 0
for name, title in rows:
    cells = []
    medians = []
    for program in ("demi", "plain"):
        with open(os.path.join(work, f"{name} {program}.json")) as file:
            result = json.load(file)
        if result["errors"] or not result["latency_us"] or not result["verified"]:
            sys.exit(f"demo: the run '{name} {program}' verified nothing")
        verified += result["verified"]
        latency = result["latency_us"]
        medians.append(latency["p50"])
        cells += [f"{latency['p50']:.1f}", f"{latency['p99']:.1f}",
                  f"{result['throughput']['messages_per_s']:,.0f}"]
    print(line.format(title, *cells, f"{medians[1] / medians[0]:.2f}"))
print("\nratio: plain epoll's p50 over Demi's; above 1, Demi is faster. On a busy machine or disk\n"
      "the numbers of two runs differ.")
print(f"Shown: {verified:,} messages echoed through Demi's library OS Catnap and through plain\n"
      "sockets, every byte verified; the logged ones were on disk before they were answered.")
PYTHON

[ -z "$server_cpu" ] && echo "There is one CPU only: server and client took turns on it."
echo
echo "Go on: $demi server --addr 127.0.0.1:7000"
echo "       $demi client --addr 127.0.0.1:7000 --size 1024 --connections 64 --inflight 8"
echo "       and apps/echo/demi_server.c shows how such a server is written."
