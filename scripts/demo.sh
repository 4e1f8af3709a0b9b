#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Shows what Demi does in half a minute: the echo server and its verifying client on Catnap over
# loopback, TCP and UDP, with and without a durable log, and beside each run the same over plain
# epoll sockets. Then past the kernel: as root a plain client of Linux's to Catnip over AF_XDP, TCP
# and UDP, beside the same to the kernel's own stack; otherwise two Catnips over shared memory.
# Then, as root, Debian's unmodified redis-server on Catnip beside the same on the kernel, with a
# picture. Each ends with a table. Called by `make demo`.
#
# usage: scripts/demo.sh BUILD_DIRECTORY
# DEMO_SECONDS sets the length of each run (default 2), DEMO_PICTURE where the picture goes (default
# build/demo/redis.svg).
#        scripts/demo.sh --in-lab BUILD_DIRECTORY WORK_DIRECTORY     the part within scripts/lab.sh

set -u

in_lab=no
if [ "${1:-}" = --in-lab ]; then
	in_lab=yes
	shift
fi
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
if [ $in_lab = yes ]; then
	work=${2:?usage: scripts/demo.sh --in-lab BUILD_DIRECTORY WORK_DIRECTORY}
else
	work=$(mktemp -d "${DEMO_TMPDIR:-/var/tmp}/demi-demo.XXXXXX") || exit 1
fi
server=

clean_up() {
	if [ -n "$server" ]; then
		kill "$server" 2>/dev/null
		wait "$server" 2>/dev/null
	fi
	[ $in_lab = yes ] || rm -rf "$work"
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

# wait_for_server: until it listens; sets $address
wait_for_server() {
	address=
	tries=0
	while [ -z "$address" ] && [ $tries -lt 100 ] && kill -0 "$server" 2>/dev/null; do
		sleep 0.05
		address=$(sed -n 's/^listening on //p' "$work/server")
		tries=$((tries + 1))
	done
	[ -n "$address" ]
}

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
	if ! wait_for_server; then
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

# skip REASON: exit status 2 says that a part could not be shown here.
skip() {
	echo "  skipped: $1"
	return 2
}

# serve NAME IN PROTOCOL ADDRESS OPTION...: a server of demi-echo, started with the words of IN in
# front (one string, may be empty). Fails with 2, having said why, when this machine cannot run it.
serve() {
	name=$1
	in=$2
	protocol=$3
	listen=$4
	shift 4
	# shellcheck disable=SC2086 # the words of $in and $server_cpu
	$in $server_cpu "$demi" server --proto "$protocol" --addr "$listen" "$@" \
		>"$work/server" 2>"$work/server.errors" &
	server=$!
	wait_for_server && return
	wait "$server" 2>/dev/null
	server=
	skip "$name: $(grep -m 1 -o 'error: .*' "$work/server.errors" || tail -n 1 "$work/server.errors")"
}

# measure NAME IN OPTION...: a client of that server, of its protocol
measure() {
	name=$1
	in=$2
	shift 2
	# shellcheck disable=SC2086 # the words of $in and $client_cpu
	if ! $in $client_cpu "$demi" client --proto "$protocol" --addr "$address" --size $size --quiet \
		--duration "$seconds" --json "$work/$name.json" "$@" >"$work/client" 2>&1; then
		echo "demo: the client of '$name' failed:" >&2
		cat "$work/client" "$work/server.errors" >&2
		exit 1
	fi
}

# In the laboratory, by turns: the client is the same, what it asks lies on the same link.
show_afxdp() {
	in_demi="ip netns exec $LAB_DEMI"
	in_linux="ip netns exec $LAB_LINUX"
	kernel_ip=10.77.0.3

	ip -n "$LAB_DEMI" address add $kernel_ip/24 dev "$LAB_DEV"
	for turn in 1 2 3; do
		for protocol in tcp udp; do
			serve 'Catnip over AF_XDP' "$in_demi" "$protocol" "$LAB_DEMI_IP:7000" --libos catnip \
				--dev "afxdp:$LAB_DEV" --ip "$LAB_DEMI_IP/$LAB_PREFIX" || return
			measure "catnip $protocol $turn" "$in_linux" --libos catnap
			end_server
			serve 'the kernel' "$in_demi" "$protocol" "$kernel_ip:7000" --libos catnap || return
			measure "kernel $protocol $turn" "$in_linux" --libos catnap
			end_server
		done
	done
	for protocol in tcp udp; do
		network_table "$protocol" "catnip $protocol" 'Catnip over AF_XDP' \
			"kernel $protocol" "the kernel's sockets"
	done
	cat <<-'END'

		Both servers spin and the client is the same: kernel sockets that spin, at the other end of
		a veth. So only the server's stack differs, the client's kernel is in both figures, and
		AF_XDP copies here, since on a veth it has to.
	END
}

end_server() {
	kill -TERM "$server"
	wait "$server"
	server=
}

# Two processes of this user, which share memory. The server is ended for good: DPDK's driver may
# crash it when its client has left.
show_memif() {
	socket=demi-demo-$$
	for role in server client; do
		mkdir -m 700 "$work/memif-$role"
	done
	serve 'Catnip over memif' "env XDG_RUNTIME_DIR=$work/memif-server" udp 10.76.0.1:7000 --libos catnip \
		--dev "dpdk:net_memif0,role=server,id=0,socket=$socket" --ip 10.76.0.1/24 || return
	measure 'memif 1' "env XDG_RUNTIME_DIR=$work/memif-client" --libos catnip \
		--dev "dpdk:net_memif0,role=client,id=0,socket=$socket" --ip 10.76.0.2/24 \
		--duration 2 # the first second may go by until the two have found each other
	kill -KILL "$server"
	wait "$server" 2>/dev/null
	server=
	network_table udp memif 'two Catnips over memif'
}

# network_table PROTOCOL NAME TITLE...: medians of the runs "NAME 1", "NAME 2", ...
network_table() {
	python3 - "$work" "$@" <<'PYTHON'
import glob, json, os, statistics, sys

work, protocol, pairs = sys.argv[1], sys.argv[2].upper(), sys.argv[3:]
line = "{:<26} {:>9} {:>9} {:>11}"
print()
print(line.format(f"{protocol} echo, round trip", "p50 us", "p99 us", "messages/s"))
verified = 0
medians = []
for name, title in zip(pairs[::2], pairs[1::2]):
    runs = []
    for path in glob.glob(os.path.join(work, f"{name} [0-9].json")):
        with open(path) as file:
            runs.append(json.load(file))
    if not runs or any(run["errors"] or not run["latency_us"] for run in runs):
        sys.exit(f"demo: the runs of '{name}' verified nothing")
    verified += sum(run["verified"] for run in runs)
    medians.append(statistics.median(run["latency_us"]["p50"] for run in runs))
    p99 = statistics.median(run["latency_us"]["p99"] for run in runs)
    rate = statistics.median(run["throughput"]["messages_per_s"] for run in runs)
    print(line.format(title, f"{medians[-1]:.1f}", f"{p99:.1f}", f"{rate:,.0f}"))
if len(medians) == 2:
    print(f"\nratio of the medians: {medians[1] / medians[0]:.2f}; above 1, Catnip is faster.")
print(f"Shown: {verified:,} messages echoed, every byte verified.")
PYTHON
}

if [ $in_lab = yes ]; then
	seconds=$(python3 -c "print(max(0.1, $seconds / 4))")
	show_afxdp
	exit
fi

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

echo
echo "Echo of $size-byte messages past the kernel:"
shown=no
if [ "$(id -u)" != 0 ]; then
	skip 'Catnip over AF_XDP beside the kernel: only root can make its network namespaces'
else
	"$(dirname "$0")/lab.sh" run -- "$0" --in-lab "$build" "$work"
	case $? in
	0) shown=yes ;;
	1) exit 1 ;;
	*) skip 'Catnip over AF_XDP beside the kernel: see above' ;;
	esac
fi
if [ $shown = no ]; then
	show_memif
	case $? in
	0 | 2) ;;
	*) exit 1 ;;
	esac
fi

if [ $shown = yes ]; then
	echo
	echo "Debian's redis-server, unmodified, asked by redis-benchmark on the kernel:"
	"$(dirname "$0")/lab.sh" run -- python3 "$(dirname "$0")/../bench/programs/redis_demo.py" \
		"$build" "${DEMO_PICTURE:-build/demo/redis.svg}"
	case $? in
	0 | 2) ;;
	*) exit 1 ;;
	esac
fi

[ -z "$server_cpu" ] && echo "There is one CPU only: server and client took turns on it."
echo
echo "Go on: $demi server --addr 127.0.0.1:7000"
echo "       $demi client --addr 127.0.0.1:7000 --size 1024 --connections 64 --inflight 8"
echo "       scripts/lab.sh shell   a link of its own to try Catnip on (docs/lab.md)"
echo "       and apps/echo/demi_server.c shows how such a server is written."
