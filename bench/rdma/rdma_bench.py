#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
RDMA: what the device gives programs of verbs (perftest, rping), echo on Catmint over it, and echo over
the kernel's TCP on the same interface.

    rdma_bench.py BUILD [--rounds N] [--only REGEX] [--json FILE]
    rdma_bench.py BUILD --here DEVICE GID_INDEX ADDRESS [...]

In a guest of its own (scripts/vm.sh), over Soft-RoCE on an interface that leads nowhere; or here, with
--here: on an RDMA device, by one of its GIDs, whose IP address is ADDRESS. Both ends are on this
machine. All alternate, round by round, and the figures are medians. Processors of the guest are
emulated: only the ratios say something, and they are of code that is emulated, too.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../tests/vm"))

import roce  # noqa: E402, it stands there
from roce import guest, lab  # noqa: E402

KIB = 1024
# Of each size, messages one after the other, and at once.
SIZES = {64: (1000, None), 4 * KIB: (500, 1000), 64 * KIB: (100, 200), 1024 * KIB: (20, 30)}
RPINGS = (10, 410)
ECHOES = {64: 1000, 4 * KIB: 500, 64 * KIB: 100, 1024 * KIB: 20}
ECHO_PORT = 7000
SKIPPED = 77
ATTEMPTS = 3
NO_LIBOS = "is no libOS of this build"


def name_of(size):
    return f"{size} B" if size < KIB else f"{size // KIB} KiB"


# ---- what is measured; each gives one figure ----

class Bench:
    def __init__(self, build, device, gid_index, address):
        self.build, self.device, self.gid_index, self.address = build, device, gid_index, address

    def perftest(self, program, size, count):
        command = [program, "-d", self.device, "-x", str(self.gid_index), "-F", "-n", str(count),
                   "-s", str(size)]
        server = roce.Server(command, roce.PERFTEST_PORT)
        with roce.ended_well(server):
            said = roce.parse_perftest(lab.run(*command, self.address).stdout)
        assert (said["#bytes"], said["#iterations"]) == (str(size), str(count)), said
        return said

    def one(self, kind, size):
        """Microseconds of one message: of a read until its data is here, of the others until it has
        arrived there, for which perftest halves the way to and fro."""
        return float(self.perftest(f"ib_{kind}_lat", size, SIZES[size][0])["t_typical[usec]"])

    def many(self, kind, size):
        """MiB a second, 128 messages at a time."""
        return float(self.perftest(f"ib_{kind}_bw", size, SIZES[size][1])["BW average[MB/sec]"])

    def rping(self, count):
        """Seconds of so many pings with their connection."""
        server = roce.Server(["rping", "-s", "-a", self.address, "-C", str(count)], "cm")
        began = time.monotonic()
        with roce.ended_well(server):
            said = lab.run("rping", "-c", "-a", self.address, "-C", str(count), "-v").stdout
            took = time.monotonic() - began
        assert said.count("ping data: ") == count, said
        return took

    def rpings(self):
        """Microseconds of one: a message, a read, a message, a write and a message back."""
        few, many = RPINGS
        return (self.rping(many) - self.rping(few)) / (many - few) * 1e6

    def echo(self, program, size, **environment):
        """Microseconds to and fro: the median that the client tells."""
        program = os.path.join(self.build, f"apps/echo/{program}")
        at = f"{self.address}:{ECHO_PORT}"
        server = roce.Server([program, "server", "--addr", at], "listening on ", environment)
        try:
            completed = subprocess.run(
                [program, "client", "--addr", at, "--size", str(size), "--count",
                 str(ECHOES[size]), "--quiet", "--json", "-"], text=True, capture_output=True,
                env=os.environ | environment, timeout=lab.DEADLINE_S)
        finally:
            said = server.end(terminate=True)[1]
        if completed.returncode != 0:
            sys.exit(f"{program}: {completed.stdout}{completed.stderr}{said}")
        said = json.loads(completed.stdout)
        assert said["verified"] == ECHOES[size], said
        return said["latency_us"]["p50"]

    def stream(self, size, libos, **environment):
        """MiB a second, one way, 16 messages at a time."""
        program = os.path.join(self.build, "bench/demi-bench-send")
        environment = {"LIBOS": libos} | environment
        server = roce.Server([program, "server", self.address, str(ECHO_PORT)], "listening",
                             environment)
        with roce.ended_well(server):
            completed = subprocess.run(
                [program, "client", self.address, str(ECHO_PORT), str(size), str(SIZES[size][1])],
                text=True, capture_output=True, env=os.environ | environment,
                timeout=lab.DEADLINE_S)
            assert completed.returncode == 0, completed.stderr
        return float(completed.stdout)

    def has_catmint(self):
        completed = subprocess.run(
            [os.path.join(self.build, "apps/echo/demi-echo"), "client", "--addr", "127.0.0.1:1",
             "--count", "1"], text=True, capture_output=True, timeout=lab.DEADLINE_S,
            env=os.environ | {"LIBOS": "catmint"})
        return NO_LIBOS not in completed.stderr

    def cases(self):
        """{(title, size): what gives a figure}"""
        found = {(f"{kind}, one by one, us", size): lambda kind=kind, size=size: self.one(kind, size)
                 for size in SIZES for kind in ("send", "write", "read")}
        found |= {(f"{kind}, many, MiB/s", size): lambda kind=kind, size=size: self.many(kind, size)
                  for size, (_, count) in SIZES.items() if count
                  for kind in ("send", "write", "read")}
        found["rping, us", 64] = self.rpings
        found |= {("echo, kernel TCP, us", size): lambda size=size: self.echo("echo-plain", size)
                  for size in ECHOES}
        if self.has_catmint():
            found |= {("echo, Catmint, us", size): lambda size=size: self.echo(
                "demi-echo", size, LIBOS="catmint", DEMI_CATMINT_DEVICE=self.device)
                      for size in ECHOES}
            found |= {("Catmint, many, MiB/s", size): lambda size=size: self.stream(
                size, "catmint", DEMI_CATMINT_DEVICE=self.device)
                      for size, (_, count) in SIZES.items() if count}
        else:
            print("echo on Catmint is skipped: this build has no catmint (libibverbs-dev and "
                  "librdmacm-dev are missing, or -Drdma=disabled)")
        return found


# ---- rounds, and what comes of them ----

# Of the medians within a round: what is divided by what.
RATIOS = [("read / write, one by one", "read, one by one, us", "write, one by one, us"),
          ("read / write, many", "read, many, MiB/s", "write, many, MiB/s"),
          ("read / send, many", "read, many, MiB/s", "send, many, MiB/s"),
          ("Catmint / twice send", "echo, Catmint, us", "send, one by one, us"),
          ("Catmint / send, many", "Catmint, many, MiB/s", "send, many, MiB/s"),
          ("Catmint / kernel TCP", "echo, Catmint, us", "echo, kernel TCP, us")]


def report(figures, json_file):
    results = []
    print(f"{'':28}{'median':>10}{'least':>10}{'most':>10}")
    for (title, size), found in figures.items():
        print(f"{title:20} {name_of(size):>7}{statistics.median(found):10.1f}{min(found):10.1f}"
              f"{max(found):10.1f}")
        results.append({"name": f"{title}/{size}", "median": statistics.median(found),
                        "rounds": found})
    print("\nratios, medians of the rounds'")
    for title, above, below in RATIOS:
        for size in SIZES:
            if (above, size) in figures and (below, size) in figures:
                # A way to and fro is two messages.
                times = 2 if above.startswith("echo") and not below.startswith("echo") else 1
                found = [a / b / times for a, b in zip(figures[above, size], figures[below, size])]
                print(f"{title:24} {name_of(size):>7}{statistics.median(found):10.2f}")
                results.append({"name": f"{title}/{size}", "ratio": statistics.median(found)})
    if json_file:
        with open(json_file, "w", encoding="ascii") as file:
            json.dump(results, file, indent=1)


def figure(key, case):
    """perftest may end well and tell 0: that is no figure, and it is tried again."""
    for _ in range(ATTEMPTS):
        found = case()
        if found > 0:
            return found
    sys.exit(f"{key[0]}, {name_of(key[1])}: {found} {ATTEMPTS} times; nothing was measured")


def measure(arguments, bench):
    cases = {key: case for key, case in bench.cases().items() if re.search(arguments.only or "", key[0])}
    figures = {key: [] for key in cases}
    for _ in range(arguments.rounds):
        for key, case in cases.items():
            figures[key].append(figure(key, case))
    return figures


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only")
    parser.add_argument("--json")
    parser.add_argument("--here", nargs=3)
    arguments = parser.parse_args()
    if missing := roce.missing():
        print(f"skipped: {', '.join(missing)} missing; scripts/deps.sh vm installs them")
        sys.exit(SKIPPED)
    if not arguments.here and "DEMI_GUEST" not in os.environ:
        os.execv(guest.VM_SH, guest.command("1", "--timeout", str(120 + 120 * arguments.rounds)))
    if not arguments.here:
        roce.set_up()
    device, index, address = arguments.here or (
        roce.DEVICE, roce.gid_index(4), roce.address(4))
    lab.pin(0)
    report(measure(arguments, Bench(arguments.build, device, index, address)), arguments.json)


if __name__ == "__main__":
    main()
