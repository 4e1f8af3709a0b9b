#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Logs: what a synchronous append takes beside a durable write of io_uring; what is written for one byte
with many appends under way; and echo into a log beside the same program on the kernel's sockets and
files, over loopback on Catnap and, in a laboratory (scripts/lab.sh run), over a veth on Catnip.

    log_bench.py BUILD [--rounds N] [--count N] [--only TITLE] [--folder FOLDER] [--json FILE]

The files are made in FOLDER, the working one unless it is given: its file system and its disk are
what is measured. Ours and the others alternate, append by append and round by round. There are two
others: who looks until the write is done, and who sleeps until then. Which one is faster depends on
what else the machine does, and the ratio is to that one.
"""

import argparse
import itertools
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../programs"))
import programs  # pylint: disable=wrong-import-position

SIZES = (64, 512, 4096, 16384, 65536)
FILE_BYTES = 64 << 20
BLOCK = 512
ECHO_SIZES = (64, 1024, 16384)
# As a store of 1 GiB has them: in small ones more than every fourth append of 64 KiB is cut in two.
SEGMENTS = "4M"
# Another one each time: the one before is in TIME_WAIT.
PORTS = itertools.count(7001)


def run(*command, **environment):
    completed = subprocess.run(command, text=True, stdout=subprocess.PIPE, env=os.environ | environment)
    if completed.returncode != 0:
        sys.exit(f"{' '.join(command)}: {completed.returncode}\n{completed.stdout}")
    return completed.stdout


def preallocated(path):
    """A file all of whose blocks have been written, so that no write has to find them a place."""
    with open(path, "wb") as file:
        for _ in range(FILE_BYTES >> 20):
            file.write(bytes(1 << 20))
        os.fsync(file.fileno())


def appends(arguments, folder):
    program = os.path.join(arguments.build, "bench/demi-bench-append")
    log, raw = os.path.join(folder, "log.img"), os.path.join(folder, "raw.img")
    where = {"LIBOS": "cattree", "DEMI_BLK_DEV": f"uring:{log}", "DEMI_STORE_FORMAT": "overwrite",
             "DEMI_STORE_SEGMENT_BYTES": SEGMENTS}
    preallocated(log)
    preallocated(raw)
    figures = {size: [] for size in SIZES}
    for _ in range(arguments.rounds):
        for size in SIZES:
            said = run(program, "beside", raw, str(BLOCK), "bench", str(size), str(arguments.count), **where)
            figures[size].append(tuple(int(figure) for figure in said.split()))
    amplification = float(run(program, "log", "bench", "4096", "4000", "32", **where).split()[1])
    return figures, amplification


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Loopback:
    """Where the two ends are, and what the server of ours runs on."""
    title, libos = "echo, into a log", "catnap"

    def server(self, _is_ours):
        """Words before the program, its address, variables."""
        return [], f"127.0.0.1:{free_port()}", {}

    def client(self):
        return []


class Network:
    """A veth, with Demi's end of it and the kernel's in one namespace, as in bench/programs."""
    title, libos = "echo on Catnip, into a log", "catnip"

    def __init__(self):
        programs.enter()

    @staticmethod
    def inside(namespace, cpu):
        return ["taskset", "-c", str(programs.cpus()[cpu]), "nsenter",
                f"--net=/run/netns/{os.environ[namespace]}", "--"]

    def server(self, is_ours):
        ip = programs.CATNIP_IP if is_ours else programs.KERNEL_IP
        device = {"DEMI_NET_DEV": f"afxdp:{os.environ['LAB_DEV']}", "DEMI_NET_IP": f"{ip}/24"}
        return self.inside("LAB_DEMI", 1), f"{ip}:{next(PORTS)}", device if is_ours else {}

    def client(self):
        return self.inside("LAB_LINUX", 0)


def echo(arguments, place, size, log, is_ours, **where):
    """Microseconds of a round trip: the median that demi-echo's client tells."""
    program = os.path.join(os.path.abspath(arguments.build), "apps/echo/demi-echo")
    before, address, device = place.server(is_ours)
    server = subprocess.Popen([*before, program, "server", "--proto", "tcp", "--addr", address, "--log", log],
                              stdout=subprocess.PIPE, text=True, env=os.environ | device | where)
    server.stdout.readline()
    try:
        with tempfile.NamedTemporaryFile(suffix=".json") as said:
            run(*place.client(), program, "client", "--proto", "tcp", "--addr", address, "--size", str(size),
                "--count", str(arguments.count), "--json", said.name, LIBOS="catnap")
            return json.load(said)["latency_us"]["p50"]
    finally:
        server.terminate()
        server.communicate()


def echoes(arguments, place, folder):
    image, file = os.path.join(folder, f"{place.libos}.img"), os.path.join(folder, "echo.log")
    preallocated(image)
    figures = {size: [] for size in ECHO_SIZES}
    for turn in range(arguments.rounds):
        for size in ECHO_SIZES:
            ours = echo(arguments, place, size, f"echo{turn}-{size}", True, LIBOS=f"{place.libos}+cattree",
                        DEMI_BLK_DEV=f"uring:{image}", DEMI_STORE_FORMAT="overwrite")
            other = echo(arguments, place, size, file, False, LIBOS="catnap")
            os.unlink(file)
            figures[size].append((ours, other))
    return figures


def report(title, unit, other_names, figures, results):
    """@figures: for each size the rounds, each a tuple of the log's figure and those of the others."""
    print(f"{title:26} {'log':>9}", *(f"{name:>9}" for name in other_names),
          f" ratio   ({unit}; medians of the rounds)")
    for size, rounds in figures.items():
        medians = [statistics.median(column) for column in zip(*rounds)]
        ratio = statistics.median(ours / min(others) for ours, *others in rounds)
        print(f"  {size:6} bytes            ", *(f"{median:9.1f}" for median in medians), f"{ratio:6.2f}")
        results.append({"name": f"{title}/{size}", "log": medians[0], "other": min(medians[1:]),
                        "ratio": ratio, "rounds": rounds})


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--only", default="", help="a regular expression of the titles")
    parser.add_argument("--folder", default=os.getcwd())
    parser.add_argument("--json")
    arguments = parser.parse_args()
    results = []
    wanted = re.compile(arguments.only)
    places = [Loopback] + ([Network] if "LAB_DEMI" in os.environ else [])
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if wanted.search("append"):
            figures, amplification = appends(arguments, folder)
            report("append", "ns", ("looks", "sleeps"), figures, results)
            print(f"  4096 bytes, 32 at once: the device is given {amplification:.3f} bytes for one")
            results.append({"name": "amplification/4096/32", "log": amplification})
        for place in filter(lambda place: wanted.search(place.title), places):
            report(place.title, "us", ("files",), echoes(arguments, place(), folder), results)
    if arguments.json:
        with open(arguments.json, "w", encoding="ascii") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
