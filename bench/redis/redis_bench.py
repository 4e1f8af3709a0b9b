#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Redis on PDPIX beside Debian's redis-server on the kernel and under the shim. What is compared
alternates, round by round; figures are medians over the rounds, a ratio is the median of the ratios to
the kernel's within the rounds. Server and client have a CPU each; Catnip spins.

usage: redis_bench.py BUILD NATIVE [--rounds N] [--only REGEX] [--seconds S] [--connections N]
                      [--keys N] [--folder FOLDER] [--kinds NAME,...] [--realtime] [--no-instructions]
                      [--json FILE]
                      (in scripts/lab.sh run)

BUILD is the library's build, NATIVE the redis-server on PDPIX. REGEX chooses by the names that stand
before each group of three lines, such as `memory get 64 B`. Logs are made in FOLDER, BUILD
unless it is given: its file system and its disk are what is measured. With --realtime servers and clients
run before all other programs (SCHED_RR): for a machine on which others are at work. Threads of the kernel
are among those, and logs need them.
"""

import argparse
import json
import os
import re
import statistics
import sys

import callgrind
import servers
from servers import programs

KIB = 1024
SIZES = (64, 4 * KIB, 64 * KIB)
LINE = "  {:<18} {:>11} {:>9} {:>9}   {:>7} {:>7}  {}"


def name_of(size):
    return f"{size} B" if size < KIB else f"{size // KIB} KiB"


def cells():
    """Name, link, command, size, whether there is a log."""
    for link in servers.LINKS:
        for size in SIZES:
            for command, log in (("get", False), ("set", False), ("set", True), ("get", True)):
                if log and command == "get" and size != SIZES[0]:
                    continue  # it writes nothing: one shows it
                name = f"{link} {command} {name_of(size)}{', log' if log else ''}"
                yield name, link, command, size, log


def asked_of(link, command, size, log):
    """What is asked of the native one: least rate, most p99, as multiples of the kernel's."""
    if log and command == "set":
        return 3, None
    if link == "memory" and not log:
        return {64: 2, 64 * KIB: 3}.get(size), 1
    return None, None


def measure(cell, options):
    """{kind: [figures of each round]}; a kind that fails is told, and left out from then on."""
    _, link, command, size, log = cell
    runs, kinds = {}, options.kinds.split(",")
    for turn in range(options.rounds):
        for kind in kinds[::-1] if turn % 2 else kinds[:]:
            try:
                figures = options.place.measure(link, kind, command, size, log, options)
            except servers.Failed as failed:
                print(f"  {servers.TITLES[kind]}: left out: {str(failed).strip()}")
                kinds.remove(kind)
                runs.pop(kind, None)
                continue
            runs.setdefault(kind, []).append(figures)
    return runs


def ratio(ours, kernels, name):
    return statistics.median(a[name] / b[name] for a, b in zip(ours, kernels))


def verdict(row, asked):
    """What was asked, and whether it was met."""
    rate, p99 = asked
    words = []
    if rate is not None:
        words.append(f"rate x >= {rate}" + ("" if row["rate_ratio"] >= rate else ": missed"))
    if p99 is not None:
        words.append(f"p99 x <= {p99}" + ("" if row["p99_ratio"] <= p99 else ": missed"))
    return ", ".join(words)


def report(cell, runs):
    """Prints a line a kind; what it printed as a list."""
    rows = []
    print(f"{cell[0]}")
    for kind in servers.KINDS:
        if kind not in runs:
            continue
        row = {"name": cell[0], "kind": kind, **programs.medians(runs[kind]), "rounds": runs[kind]}
        ratios, said = ("", ""), ""
        if kind != "kernel" and "kernel" in runs:
            for figure in ("rate", "p99"):
                row[f"{figure}_ratio"] = ratio(runs[kind], runs["kernel"], figure)
            ratios = f"{row['rate_ratio']:.2f}", f"{row['p99_ratio']:.2f}"
            if kind == "native":
                row["asked"] = asked_of(*cell[1:])
                said = verdict(row, row["asked"])
        print(LINE.format(servers.TITLES[kind], f"{row['rate']:,.0f}", f"{row['p50']:,.0f}",
                          f"{row['p99']:,.0f}", *ratios, said).rstrip(), flush=True)
        rows.append(row)
    return rows


def instructions(options):
    """Of a request, by whose they are."""
    rows = []
    for size in SIZES:
        for command in ("get", "set"):
            name = f"instructions {command} {name_of(size)}"
            if not re.search(options.only, name):
                continue
            if not rows:
                print("\n" + callgrind.HEADER)
            for kind in callgrind.KINDS:
                shares = callgrind.count(options.place, kind, command, size)
                rows.append({"name": name, "kind": kind, **shares})
                print(callgrind.line(f"{command} {name_of(size)}, {servers.TITLES[kind]}", shares),
                      flush=True)
    return rows


def parse():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("native")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="a regular expression of names")
    parser.add_argument("--seconds", type=float, default=1, help="of each measurement")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--keys", type=int, default=100)
    parser.add_argument("--folder")
    parser.add_argument("--kinds", default=",".join(servers.KINDS))
    parser.add_argument("--realtime", action="store_true")
    parser.add_argument("--no-instructions", action="store_true")
    parser.add_argument("--json")
    return parser.parse_args()


def main():
    options = parse()
    if not os.access(options.native, os.X_OK):
        sys.exit(f"{options.native} is missing; scripts/redis.sh builds it")
    rows = []
    options.place = servers.Place(options.build, options.native,
                                   options.folder or options.build, options.realtime)
    try:
        programs.enter()
        print(LINE.format("", "requests/s", "p50 us", "p99 us", "rate x", "p99 x", "asked").rstrip())
        for cell in cells():
            if re.search(options.only, cell[0]):
                rows += report(cell, measure(cell, options))
        if not options.no_instructions:
            rows += instructions(options)
    finally:
        options.place.close()
    if options.json:
        with open(options.json, "w", encoding="ascii") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
