#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
demi-txnstore on Demi beside itself on plain sockets of the kernel (kernel_sockets.c: one epoll, TCP and UDP).
They alternate, round by round; a ratio is the median of the ratios within the rounds, to the kernel's TCP.

usage: txnstore_bench.py BUILD [--only NAME,...] [--rounds N] [--seconds S] [--json FILE]     (as root)

    pair          a shard of one replica on CPU 1, and clients on CPU 0; both spin, whatever the stack
    replicas      a shard of three replicas, which share CPU 1, and clients on CPU 0, in namespaces of
                  their own at one bridge; servers sleep when there is nothing to do
    log           what a commit takes longer with a log, beside a durable write of as many bytes
    instructions  of a server for a transaction, in user space (valgrind)

The load is YCSB-t, workload F in a transaction: a read-modify-write of keys of 64 bytes and values of 700.
"""

import argparse
import contextlib
import json
import mmap
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PARTS = ("pair", "replicas", "log", "instructions")
RECORDS = 10000
PORT = 7100
START_S, RUN_S, VALGRIND_S = 20, 60, 300
LAB_SH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/lab.sh")
SKIPPED = 77

# Name: how it is called, transport, LIBOS ("" is the kernel's sockets alone), device.
STACKS = {
    "kernel-tcp": ("kernel, epoll, TCP", "tcp", "", None),
    "kernel-udp": ("kernel, epoll, UDP", "udp", "", None),
    "catnap-tcp": ("Catnap, TCP", "tcp", "catnap", None),
    "catnap-udp": ("Catnap, UDP", "udp", "catnap", None),
    "afxdp-tcp": ("Catnip over AF_XDP, TCP", "tcp", "catnip", "afxdp"),
    "afxdp-udp": ("Catnip over AF_XDP, UDP", "udp", "catnip", "afxdp"),
    "memif-tcp": ("Catnip over memif, TCP", "tcp", "catnip", "memif"),
    "memif-udp": ("Catnip over memif, UDP", "udp", "catnip", "memif"),
}


def command(*words):
    return subprocess.run(words, check=True, text=True, capture_output=True).stdout


class Lab:
    """A bridge and so many namespaces at it; the last is the clients'."""

    def __init__(self, ends):
        self.ends, self.name = ends, f"txnstore{os.getpid()}"
        said = command(LAB_SH, "up", "--ends", str(ends), self.name)
        self.words = dict(re.findall(r"export (\w+)=(\S+)", said))
        for end in range(ends):
            namespace, device = self.end(end)
            command("ip", "-n", namespace, "address", "replace", f"{self.address(end, None)}/24",
                    "dev", device)

    def end(self, number):
        suffix = str(number + 1) if number else ""
        return self.words[f"LAB_DEMI{suffix}"], self.words["LAB_DEV"]

    @staticmethod
    def address(number, device):
        """Of an end: Catnip's, or the kernel's in the same namespace."""
        return f"10.77.0.{2 + number}" if device else f"10.77.0.{102 + number}"

    def inside(self, number, cpu, words):
        namespace = self.end(number)[0]
        return ["nsenter", f"--net=/run/netns/{namespace}", "--", "taskset", "-c", str(cpu), *words]

    def close(self):
        subprocess.run([LAB_SH, "down", self.name], check=False)


class Store:
    """Servers of one shard, on one stack."""

    def __init__(self, bench, stack, replicas=1, mode="serializable", environment=None, log=None,
                 wrapper=()):
        self.bench, self.processes = bench, []
        self.title, transport, self.libos, self.device = STACKS[stack]
        self.ends = replicas
        self.folder = tempfile.mkdtemp()
        self.config = os.path.join(self.folder, "store.yaml")
        self.environment = dict(environment or {})
        addresses = [bench.lab.address(i, self.device) for i in range(replicas)]
        with open(self.config, "w", encoding="ascii") as file:
            file.write(f"mode: {mode}\ntransport: {transport}\nshards:\n  - ["
                       + ", ".join(f"{address}:{PORT}" for address in addresses) + "]\n")
        for replica in range(replicas):
            self.start(replica, log, wrapper)

    def program(self):
        return os.path.join(self.bench.build, "apps/txnstore/demi-txnstore" if self.libos
                            else "bench/demi-bench-txnstore-kernel")

    def place(self, end):
        """An end's number; both of memif are in one namespace, as its socket is."""
        return 0 if self.device == "memif" else end

    def environment_of(self, end, role):
        found = dict(os.environ) | self.environment
        if not self.libos:
            return found
        found["LIBOS"] = self.libos
        if self.device:
            found["DEMI_NET_IP"] = f"{self.bench.lab.address(end, self.device)}/24"
            if self.device == "memif":  # a neighbour with another is asked for at length
                found["DEMI_NET_MAC"] = f"02:00:00:00:77:{end:02x}"
            found["DEMI_NET_DEV"] = (f"afxdp:{self.bench.lab.end(end)[1]}" if self.device == "afxdp" else
                                     f"dpdk:net_memif0,role={role},id=0,socket=txnstore{os.getpid()},"
                                     "socket-abstract=yes")
        return found

    def start(self, replica, log, wrapper):
        environment = self.environment_of(replica, "server")
        words = ["server", "--config", self.config, "--shard", "0", "--replica", str(replica), "--new"]
        if log:
            environment |= {"LIBOS": f"{self.libos}+cattree", "DEMI_BLK_DEV": log}
            words += ["--log", "txnstore"]
        said = open(os.path.join(self.folder, f"{replica}.out"), "w+", encoding="utf-8")
        process = subprocess.Popen(
            self.bench.lab.inside(self.place(replica), 1, [*wrapper, self.program(), *words]), stdout=said,
            stderr=said, stdin=subprocess.DEVNULL, env=environment)
        self.processes.append((process, said))
        until = time.monotonic() + (VALGRIND_S if wrapper else START_S)
        while "listening" not in self.said(replica):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self.title} does not start:\n{self.said(replica)}")
            time.sleep(0.02)

    def said(self, replica):
        self.processes[replica][1].seek(0)
        return self.processes[replica][1].read()

    def load(self, clients, *options, environment=None, timeout=RUN_S):
        words = self.bench.lab.inside(self.place(self.bench.lab.ends - 1), 0, [
            self.program(), "bench", "--config", self.config, "--workload", "ycsb-t", "--records",
            str(RECORDS), "--clients", str(clients), "--json", "-", "--seed", "1", *options])
        completed = subprocess.run(
            words, text=True, capture_output=True, timeout=timeout, check=False,
            env=self.environment_of(self.bench.lab.ends - 1, "client") | (environment or {}))
        if completed.returncode != 0:
            raise RuntimeError(f"{self.title}: {completed.stderr}")
        return json.loads(completed.stdout)

    def close(self):
        for process, said in self.processes:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            said.close()
        shutil.rmtree(self.folder)


class Bench:
    def __init__(self, build, seconds):
        self.build, self.seconds = os.path.abspath(build), seconds
        self.lab = Lab(4)

    @contextlib.contextmanager
    def store(self, *arguments, **keywords):
        store = Store(self, *arguments, **keywords)
        try:
            yield store
        finally:
            store.close()

    def figures(self, stack, latency_clients, rate_clients, loads="--load", **keywords):
        """Of one at a time, and of many."""
        with self.store(stack, **keywords) as store:
            timing = ("--seconds", str(self.seconds), "--warm-up", "0.2")
            one = store.load(latency_clients, loads, *timing)
            many = store.load(rate_clients, *timing)
        return {"average": one["latency_us"]["average"], "p50": one["latency_us"]["p50"],
                "p99": one["latency_us"]["p99"], "rate": many["transactions_per_second"],
                "p99_loaded": many["latency_us"]["p99"]}

    def pair(self, stack):
        return self.figures(stack, 1, 64, environment={"TXNSTORE_SPIN": "1"})

    def replicas(self, stack, mode):
        """A server that spins would keep its processor from the others."""
        return self.figures(stack, 1, 32, replicas=3, mode=mode,
                            environment={"DEMI_RUNTIME_IDLE": "sleep",
                                         "DEMI_RUNTIME_IDLE_AFTER_US": "0"})

    def logged(self, stack, log):
        with self.store(stack, log=log) as store:
            return store.load(1, "--load", "--seconds", str(self.seconds), "--warm-up",
                              "0.2")["latency_us"]["p50"]

    def counted(self, stack, seconds):
        """Instructions, and transactions, of a run that is never idle."""
        wrapper = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        sleep = {"DEMI_RUNTIME_IDLE": "sleep", "DEMI_RUNTIME_IDLE_AFTER_US": "0"}
        with self.store(stack, environment=sleep, wrapper=wrapper) as store:
            said = store.load(32, "--load", "--warm-up", "0", "--seconds", str(seconds),
                              timeout=VALGRIND_S)
            process = store.processes[0][0]
            process.terminate()
            process.wait(VALGRIND_S)
            found = re.search(r"Collected : (\d+)", store.said(0))
        if not found:
            raise RuntimeError("callgrind counted nothing")
        return int(found[1]), said["committed"] + said["aborted"]


def rounds_of(function, stacks, rounds):
    """{stack: [what function gave in each round]}; without those that do not work here."""
    runs = {stack: [] for stack in stacks}
    for turn in range(rounds):
        for stack in list(runs) if turn % 2 == 0 else list(reversed(runs)):
            try:
                runs[stack].append(function(stack))
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                print(f"  {STACKS[stack][0]} is left out: {error}", file=sys.stderr)
                del runs[stack]
    return runs


def report(title, runs, rows):
    print(f"\n{title}\n  {'':28}{'average us':>12}{'p50':>8}{'p99':>8}{'x':>7}{'txn/s':>11}{'p99':>8}"
          f"{'x':>7}")
    base = runs.get("kernel-tcp")
    for stack, found in runs.items():
        row = {name: statistics.median(run[name] for run in found) for name in found[0]}
        if base:
            row["latency_ratio"] = statistics.median(
                ours["average"] / theirs["average"] for ours, theirs in zip(found, base))
            row["p99_ratio"] = statistics.median(
                ours["p99"] / theirs["p99"] for ours, theirs in zip(found, base))
            row["rate_ratio"] = statistics.median(
                ours["rate"] / theirs["rate"] for ours, theirs in zip(found, base))
        print(f"  {STACKS[stack][0]:28}{row['average']:12.1f}{row['p50']:8.1f}{row['p99']:8.1f}"
              f"{row.get('latency_ratio', 0):7.2f}{row['rate']:11,.0f}{row['p99_loaded']:8.0f}"
              f"{row.get('rate_ratio', 0):7.2f}", flush=True)
        rows.append({"part": title, "stack": stack} | row)


def durable_write_us(folder, size, seconds):
    """Median of durable writes of so many bytes, past the page cache, one after the other."""
    buffer = mmap.mmap(-1, (size + 4095) // 4096 * 4096)
    fd = os.open(os.path.join(folder, "raw"), os.O_CREAT | os.O_RDWR | os.O_DIRECT | os.O_DSYNC)
    os.posix_fallocate(fd, 0, 64 << 20)
    taken, until, at = [], time.monotonic() + seconds, 0
    while time.monotonic() < until:
        start = time.perf_counter_ns()
        os.pwrite(fd, buffer, at)
        taken.append(time.perf_counter_ns() - start)
        at = (at + len(buffer)) % (64 << 20)
    os.close(fd)
    return statistics.median(taken) / 1000


def report_log(bench, options, rows):
    print("\na commit with a log beside one without, one client, Catnap, us (p50)")
    found = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for turn in range(options.rounds):
            plain = bench.logged("catnap-tcp", None)
            logged = bench.logged("catnap-tcp", f"uring:{folder}/{turn}.img,size=256M")
            raw = durable_write_us(folder, 4096, bench.seconds)
            found.append((plain, logged, raw, (logged - plain) / raw))
    plain, logged, raw, ratio = (statistics.median(column) for column in zip(*found))
    print(f"  without {plain:.1f}, with {logged:.1f}; a durable write of 4 KiB {raw:.1f}; "
          f"what is added is {ratio:.2f} of it")
    rows.append({"part": "log", "plain": plain, "logged": logged, "write": raw, "ratio": ratio})


def report_instructions(bench, rows):
    print("\ninstructions of a server for a transaction of YCSB-t, in user space")
    if not shutil.which("valgrind"):
        print("  not counted, there is no valgrind")
        return
    for stack in ("kernel-tcp", "kernel-udp", "catnap-tcp", "afxdp-tcp", "afxdp-udp"):
        short, few = bench.counted(stack, 2)
        long, many = bench.counted(stack, 6)
        count = (long - short) / (many - few)
        print(f"  {STACKS[stack][0]:28}{count:10,.0f}, {count / 4:,.0f} for each of 4 messages",
              flush=True)
        rows.append({"part": "instructions", "stack": stack, "count": count})


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--only", default=",".join(PARTS), help=",".join(PARTS))
    parser.add_argument("--stacks", default=",".join(STACKS), help=",".join(STACKS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1, help="of each measurement")
    parser.add_argument("--folder", default="/var/tmp", help="on a disk, for logs")
    parser.add_argument("--json", help="a file for the figures")
    options = parser.parse_args()
    options.only, options.stacks = options.only.split(","), options.stacks.split(",")
    for given, known in ((options.only, PARTS), (options.stacks, STACKS)):
        if unknown := set(given) - set(known):
            parser.error(f"unknown: {', '.join(unknown)}; allowed are {', '.join(known)}")
    return options


def main():
    options = parse()
    if not os.access(os.path.join(options.build, "bench/demi-bench-txnstore-kernel"), os.X_OK):
        print("skipped: this build has no demi-txnstore")
        sys.exit(SKIPPED)
    bench, rows = Bench(options.build, options.seconds), []
    try:
        if "pair" in options.only:
            report("one replica, both ends spin; one client, then 64",
                   rounds_of(bench.pair, options.stacks, options.rounds), rows)
        if "replicas" in options.only:
            stacks = [stack for stack in options.stacks if STACKS[stack][3] != "memif"]
            for mode in "quorum", "serializable":
                report(f"three replicas on one processor, {mode}; one client, then 32",
                       rounds_of(lambda stack, mode=mode: bench.replicas(stack, mode), stacks,
                                 options.rounds), rows)
        if "log" in options.only:
            report_log(bench, options, rows)
        if "instructions" in options.only:
            report_instructions(bench, rows)
    finally:
        bench.lab.close()
    if options.json:
        with open(options.json, "w", encoding="ascii") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
