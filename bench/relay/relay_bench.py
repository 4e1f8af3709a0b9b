#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
demi-relay beside coturn's turnserver: on Catnip over AF_XDP, on Catnap, and the other on the kernel's
stack, at the same end of the same veth. The load (relay/load.h) is the same for all, at the other end.
They alternate, round by round, each relay on CPU 1 and the load on CPU 0; a ratio is the median of the
ratios within the rounds.

usage: relay_bench.py BUILD [--only NAME,...] [--kinds NAME,...] [--rounds N] [--seconds S] [--full]
                            [--json FILE]                                   (as root)

    rate          packets relayed in a second of the relay's time on its processor
    wire          the same where what the load's host receives is not received in the relay's time;
                  only when it is named: it needs the two processors for itself
    latency       to the peer and back, one after the other, beyond what it takes without a relay
    instructions  of the relay's process for a packet, in user space (valgrind)
    memory        of 100,000 allocations, for each, without its socket
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PARTS = ("rate", "wire", "latency", "instructions", "memory")
KINDS = ("turnserver", "catnip", "catnap")
TITLES = {"turnserver": "turnserver", "catnip": "demi-relay, Catnip over AF_XDP",
          "catnap": "demi-relay, Catnap"}
SESSIONS, SIZES, METHODS = (1, 100, 1000), (100, 1200), ("channels", "indications")
PORT = 3478
CATNIP_IP, CATNIP_IP6, KERNEL_IP, LINUX_IP = "10.77.0.2", "fd77::2", "10.77.0.3", "10.77.0.1"
LINUX_IP6 = "fd77::1"
CLIENTS = "10.80.0.0/15"
START_S, RUN_S, VALGRIND_S = 15, 60, 240
COUNTED = 20000  # packets, and twice as many
ALLOCATIONS = 100000
WARM_S = 0.2
ATTEMPTS = 3
LAB_SH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/lab.sh")
SKIPPED = 77


def command(*words):
    return subprocess.run(words, check=True, text=True, capture_output=True).stdout


class Lab:
    """
    Two namespaces and a veth. Not in a namespace of processes, as `lab.sh run` makes it, since from
    there the kernel's threads, which get their processor here, are not to be seen.
    """

    def __init__(self):
        self.name = f"relay{os.getpid()}"
        said = command(LAB_SH, "up", self.name)
        self.words = dict(re.findall(r"export (\w+)=(\S+)", said))
        try:
            self.set_up()
        except BaseException:
            self.close()
            raise

    def set_up(self):
        demi, linux = self.words["LAB_DEMI"], self.words["LAB_LINUX"]
        command("ip", "-n", linux, "route", "add", "local", CLIENTS, "dev", "linux0")
        command("ip", "-n", demi, "address", "replace", f"{KERNEL_IP}/24", "dev", "demi0")
        command("ip", "-n", demi, "route", "add", CLIENTS, "via", LINUX_IP)

    def close(self):
        subprocess.run([LAB_SH, "down", self.name], check=False)

    def inside(self, end, cpu, words):
        return ["nsenter", f"--net=/run/netns/{self.words[end]}", "--", "taskset", "-c", str(cpu),
                *words]

    @contextlib.contextmanager
    def receiving_in_thread(self, really=True):
        """
        The load's host receives in a thread of its own, on the load's processor. At first a veth
        receives in the sender's time, which is the relay's.
        """
        if not really:
            yield
            return
        linux = ("ip", "netns", "exec", self.words["LAB_LINUX"])
        command(*linux, "ethtool", "-K", "linux0", "gro", "on")
        command(*linux, "sh", "-c", "echo 1 >/sys/class/net/linux0/threaded")
        # The thread names itself once it runs.
        threads = []
        end_time = time.monotonic() + 5
        while not threads and time.monotonic() < end_time:
            threads = subprocess.run(("pgrep", "^napi/linux0"), text=True, check=False,
                                     stdout=subprocess.PIPE).stdout.split()
        for thread in threads:
            command("taskset", "-cp", "0", thread)
        yield
        command(*linux, "sh", "-c", "echo 0 >/sys/class/net/linux0/threaded")
        command(*linux, "ethtool", "-K", "linux0", "gro", "off")


class Relay:
    """A relay that is running; pid is its process."""

    def __init__(self, bench, kind, environment=None, options=(), wrapper=()):
        self.kind = kind
        self.ip = CATNIP_IP if kind == "catnip" else KERNEL_IP
        self.said = tempfile.TemporaryFile("w+", encoding="utf-8")
        words = bench.lab.inside("LAB_DEMI", 1, [*wrapper, *self.words(bench, kind), *options])
        self.process = subprocess.Popen(
            words, stdout=self.said, stderr=self.said, stdin=subprocess.DEVNULL,
            env=os.environ | {"LIBOS": kind if kind != "turnserver" else ""} | (environment or {}))
        self.pid = self.process.pid
        self.await_start(VALGRIND_S if wrapper else START_S)

    def words(self, bench, kind):
        if kind == "turnserver":
            return ["turnserver", "-n", "--no-cli", "-L", self.ip, "-E", self.ip, "-m", "1", "-a",
                    "-u", "user:secret", "-r", "example.org", "--no-tls", "--no-dtls",
                    "-l", "stdout", "--simple-log"]
        device = ["--dev", f"afxdp:{bench.lab.words['LAB_DEV']}", "--ip", f"{CATNIP_IP}/24", "--ip",
                  f"{CATNIP_IP6}/64", "--gw", LINUX_IP] if kind == "catnip" else []
        return [os.path.join(bench.build, "apps/relay/demi-relay"), *device, "--listen",
                f"{self.ip}:{PORT}", "--relay-ip", self.ip, "--user", "user:secret", "--realm",
                "example.org", "--allow-private-peers", "--quiet"]

    def output(self):
        self.said.seek(0)
        return self.said.read()

    def await_start(self, seconds):
        ready = r"Relay ports initialization done|UDP listener opened|listening on \S+ over tcp"
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            if re.search(ready, self.output()):
                time.sleep(0.3)  # turnserver opens its listeners one by one
                return
            time.sleep(0.05)
        self.end()
        sys.exit(f"{TITLES[self.kind]} does not start:\n{self.output()}")

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Bench:
    def __init__(self, build, seconds):
        self.build, self.seconds = os.path.abspath(build), seconds
        self.lab = Lab()

    @contextlib.contextmanager
    def relay(self, kind, *arguments, **keywords):
        relay = Relay(self, kind, *arguments, **keywords)
        try:
            yield relay
        finally:
            relay.end()

    def load_words(self, relay, *options):
        return self.lab.inside("LAB_LINUX", 0, [
            os.path.join(self.build, "bench/demi-bench-relay-load"), "--server",
            f"{relay.ip if relay else KERNEL_IP}:{PORT}", "--peer", f"{LINUX_IP}:3480", *options])

    def load(self, relay, sessions, size, method, *options, timeout=RUN_S):
        words = self.load_words(relay, "--sessions", str(sessions), "--bytes", str(size),
                                "--method", method, *options)
        completed = subprocess.run(words, text=True, capture_output=True, timeout=timeout)
        if completed.returncode != 0:
            raise RuntimeError(completed.stderr)
        return json.loads(completed.stdout)

    # ---- what is measured ----

    def rate(self, kind, cell):
        """
        As many at once as keep the relay busy. Demi sleeps when there is nothing to do, so that its time
        on the processor is work, as turnserver's is: neither what the load cannot keep up with nor
        what others on this machine take is in the figure.
        """
        sleep = {"DEMI_RUNTIME_IDLE": "sleep", "DEMI_RUNTIME_IDLE_AFTER_US": "0"}
        with self.relay(kind, sleep) as relay:
            said = self.load(relay, *cell, "--window", "64", "--warm", str(WARM_S), "--seconds",
                             str(self.seconds), "--pid", str(relay.pid))
        return {"rate": said["relayed"] / said["server_s"], "wall": said["rate"],
                "busy": said["server_s"] / said["seconds"]}

    def latency(self, kind, cell):
        with contextlib.nullcontext() if kind == "direct" else self.relay(kind) as relay:
            sessions, size, method = cell
            said = self.load(relay, sessions, size, "direct" if kind == "direct" else method,
                             "--window", "1", "--warm", str(WARM_S), "--seconds",
                             str(self.seconds))
        return {name: said[name] for name in ("p50", "p99", "min")}

    def counted(self, kind, cell, packets):
        """Instructions of a run with so many packets."""
        wrapper = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        sleep = {"DEMI_RUNTIME_IDLE": "sleep", "DEMI_RUNTIME_IDLE_AFTER_US": "0"}
        with self.relay(kind, sleep, wrapper=wrapper) as relay:
            relayed = self.load(relay, *cell, "--window", "64", "--warm", "0", "--packets",
                                str(packets), timeout=VALGRIND_S)["relayed"]
            relay.end()
            found = re.search(r"Collected : (\d+)", relay.output())
        if not found:
            raise RuntimeError(f"callgrind counted nothing:\n{relay.output()}")
        return int(found[1]), relayed

    def instructions(self, kind, cell):
        once, few = self.counted(kind, cell, COUNTED)
        twice, many = self.counted(kind, cell, 2 * COUNTED)
        return (twice - once) / (many - few)

    def memory(self, channels):
        """Bytes of a process for each allocation, and for each socket alone."""
        room = {"DEMI_RUNTIME_QUEUES_MAX": str(2 * ALLOCATIONS),
                "DEMI_RUNTIME_OPERATIONS_MAX": str(2 * ALLOCATIONS), "DEMI_RUNTIME_IDLE": "sleep"}
        options = ["--relay-ip", CATNIP_IP6, "--ports", "5000-65535", "--max-allocations",
                   str(ALLOCATIONS), "--lifetime", "3600"]
        with self.relay("catnip", room, options=options) as relay:
            before = resident(relay.pid)
            words = self.load_words(relay, "--sessions", str(ALLOCATIONS), "--method",
                                    "channels" if channels else "none", "--peer6",
                                    f"[{LINUX_IP6}]:3480", "--hold")
            load = subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
            said = load.stdout.readline()
            after = resident(relay.pid)
            load.kill()
            load.wait()
            if said != "ready\n":
                raise RuntimeError("the allocations were not made")
        return (after - before) / ALLOCATIONS

    def sockets(self):
        device = {"LIBOS": "catnip", "DEMI_NET_DEV": f"afxdp:{self.lab.words['LAB_DEV']}",
                  "DEMI_NET_IP": f"{CATNIP_IP}/24,{CATNIP_IP6}/64",
                  "DEMI_RUNTIME_QUEUES_MAX": str(2 * ALLOCATIONS),
                  "DEMI_RUNTIME_OPERATIONS_MAX": str(2 * ALLOCATIONS)}
        words = self.lab.inside("LAB_DEMI", 1, [
            os.path.join(self.build, "bench/demi-bench-relay-sockets"), str(ALLOCATIONS),
            CATNIP_IP, CATNIP_IP6, "5000"])
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True,
                                   env=os.environ | device)
        found = []
        for _ in range(2):
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("the sockets could not be opened")
            found.append(resident(process.pid))
            process.stdin.write("\n")
            process.stdin.flush()
        process.wait()
        return (found[1] - found[0]) / ALLOCATIONS


def resident(pid):
    """Bytes in memory, huge pages included."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        found = dict(re.findall(r"^(\w+): +(\d+) kB", file.read(), re.M))
    return 1024 * sum(int(found[name]) for name in ("Rss", "Private_Hugetlb", "Shared_Hugetlb"))


# ---- rounds, and what comes of them ----

def cells(full, methods=METHODS):
    found = [(sessions, size, method) for method in methods for sessions in SESSIONS
             for size in SIZES]
    # Indications at both ends of the loads, unless all are asked for.
    return [cell for cell in found
            if full or cell[2] == "channels" or cell in ((1, 100, "indications"),
                                                         (1000, 1200, "indications"))]


def title_of(cell):
    return "{:5,} sessions, {:4} B, {}".format(*cell)


def persistently(function, kind, cell):
    """Where others take the processors, nothing may come back in time: then once more, from the start."""
    for attempt in range(ATTEMPTS):
        try:
            return function(kind, cell)
        except RuntimeError as error:
            if attempt + 1 == ATTEMPTS:
                sys.exit(f"{title_of(cell)}, {kind}: {error}")


def rounds_of(function, kinds, cell, rounds):
    """{kind: [what function gave in each round]}"""
    runs = {kind: [] for kind in kinds}
    for turn in range(rounds):
        for kind in kinds if turn % 2 == 0 else tuple(reversed(kinds)):
            runs[kind].append(persistently(function, kind, cell))
    return runs


def median(runs, name):
    return statistics.median(run[name] for run in runs)


def rate_row(part, cell, kind, found, turnservers):
    """Printed, and what was printed."""
    row = {"part": part, "cell": cell, "kind": kind, "rate": median(found, "rate"),
           "most": max(run["rate"] for run in found), "wall": median(found, "wall"),
           "busy": median(found, "busy")}
    if kind != "turnserver" and turnservers:
        row["ratio"] = statistics.median(
            ours["rate"] / theirs["rate"] for ours, theirs in zip(found, turnservers))
    ratio = f"{row['ratio']:7.2f}" if "ratio" in row else ""
    print(f"  {title_of(cell):36}{TITLES[kind]:32}{row['rate']:10,.0f}{row['most']:10,.0f}"
          f"{row['wall']:10,.0f}{ratio}", flush=True)
    return row


def report_rates(bench, options, part, rows):
    where = ("what the load's host receives is received by it" if part == "wire"
             else "a veth as it is: the load's host receives in the relay's time")
    print(f"\npackets relayed in a second of the relay's processor; {where}\n"
          f"  {'':36}{'':32}{'packets/s':>10}{'most':>10}{'passed':>10}{'x':>7}")
    with bench.lab.receiving_in_thread(part == "wire"):
        for cell in cells(options.full):
            runs = rounds_of(bench.rate, options.kinds, cell, options.rounds)
            for kind, found in runs.items():
                rows.append(rate_row(part, cell, kind, found, runs.get("turnserver")))


def report_latencies(bench, options, rows):
    print(f"\nto the peer and back through the relay, us beyond the way without it\n"
          f"  {'':36}{'':32}{'p50':>10}{'p99':>10}{'least':>10}")
    for cell in cells(options.full, METHODS if options.full else METHODS[:1]):
        runs = rounds_of(bench.latency, ("direct", *options.kinds), cell, options.rounds)
        for kind, found in runs.items():
            row = {"part": "latency", "cell": cell, "kind": kind}
            for name in ("p50", "p99", "min"):
                row[name] = statistics.median(
                    run[name] - (direct[name] if kind != "direct" else 0)
                    for run, direct in zip(found, runs["direct"]))
            print(f"  {title_of(cell):36}{TITLES.get(kind, 'without a relay, in all'):32}"
                  f"{row['p50']:10.1f}{row['p99']:10.1f}{row['min']:10.1f}", flush=True)
            rows.append(row)


def report_instructions(bench, options, rows):
    print("\ninstructions of the relay for a packet, in user space")
    if not shutil.which("valgrind"):
        print("  not counted, there is no valgrind")
        return
    for method in METHODS:
        cell = (100, 100, method)
        for kind in options.kinds:
            count = bench.instructions(kind, cell)
            print(f"  {title_of(cell):36}{TITLES[kind]:32}{count:10,.0f}", flush=True)
            rows.append({"part": "instructions", "cell": cell, "kind": kind, "count": count})


def report_memory(bench, rows):
    print(f"\nbytes of memory for each of {ALLOCATIONS:,} allocations, on Catnip")
    sockets = bench.sockets()
    print(f"  {'a socket with a pop':34}{sockets:10,.0f}")
    rows.append({"part": "memory", "what": "socket", "bytes": sockets})
    for channels, what in ((False, "an allocation"), (True, "with a permission and a channel")):
        whole = bench.memory(channels)
        print(f"  {what:34}{whole:10,.0f}, without its socket {whole - sockets:,.0f}", flush=True)
        rows.append({"part": "memory", "what": what, "bytes": whole, "beyond": whole - sockets})


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--only", default=",".join(part for part in PARTS if part != "wire"),
                        help=",".join(PARTS))
    parser.add_argument("--kinds", default=",".join(KINDS), help=",".join(KINDS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement")
    parser.add_argument("--full", action="store_true", help="indications with every load, too")
    parser.add_argument("--json", help="a file for the figures")
    options = parser.parse_args()
    options.only, options.kinds = options.only.split(","), tuple(options.kinds.split(","))
    for given, known in ((options.only, PARTS), (options.kinds, KINDS)):
        if unknown := set(given) - set(known):
            parser.error(f"unknown: {', '.join(unknown)}; allowed are {', '.join(known)}")
    return options


def main():
    options = parse()
    if not shutil.which("turnserver") and "turnserver" in options.kinds:
        print("the relay is measured alone: there is no turnserver here (Debian's coturn)")
        options.kinds = tuple(kind for kind in options.kinds if kind != "turnserver")
    if not os.access(os.path.join(options.build, "bench/demi-bench-relay-load"), os.X_OK):
        print("skipped: this build has no relay (nettle-dev is missing, or -Drelay=disabled)")
        sys.exit(SKIPPED)
    bench, rows = Bench(options.build, options.seconds), []
    try:
        for part in ("rate", "wire"):
            if part in options.only:
                report_rates(bench, options, part, rows)
        if "latency" in options.only:
            report_latencies(bench, options, rows)
        if "instructions" in options.only:
            report_instructions(bench, options, rows)
        if "memory" in options.only:
            report_memory(bench, rows)
    finally:
        bench.lab.close()
    if options.json:
        with open(options.json, "w", encoding="ascii") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
