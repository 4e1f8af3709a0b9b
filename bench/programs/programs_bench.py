#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Debian's programs, unmodified, on Catnip beside the same on the kernel, and both ends on Catnip over
memif. What is compared alternates, round by round; figures are medians over the rounds, a ratio is
the median of the ratios within the rounds. Both ends of Catnip spin.

usage: programs_bench.py BUILD [--only NAME,...] [--rounds N] [--seconds S] [--full] [--realtime]
                               [--json FILE] (in scripts/lab.sh run)

With --realtime servers and clients run before all other programs (SCHED_RR): for a machine on which
others are at work.
"""

import argparse
import json
import os
import shutil
import statistics

import programs

TOOLS = {"redis": ("redis-server", "redis-benchmark"), "memcached": ("memcached",),
         "nginx": ("nginx", "wrk")}
KINDS = ("kernel", "catnip", "memif")
LINE = "  {:<30} {:>11} {:>8} {:>8}   {:>7} {:>7}"


def redis_cells(full):
    """Clients, pipelined requests, bytes of a value."""
    if full:
        return [(c, p, d) for d in (64, 4096) for p in (1, 16) for c in (1, 50)]
    return [(1, 1, 64), (50, 1, 64), (50, 16, 64), (50, 1, 4096)]


def redis(options, kind, clients, pipeline, size):
    results = programs.redis_benchmark(options.machine, kind, clients, pipeline, size,
                                       options.seconds)
    return {f"{command} ": figures for command, figures in results.items()}


def memcached(options, kind, connections, size, threads):
    load = os.path.abspath(os.path.join(options.build, "bench/memcached-load"))
    return {"": programs.memcached(options.machine, load, kind, connections, size,
                                   options.seconds, threads)}


def nginx(options, kind, connections, size):
    seconds = max(1, round(options.seconds))  # wrk counts whole ones
    return {"": programs.nginx(options.machine, kind, connections, size, seconds)}


def cells(options):
    """What is measured: group, title, function (of options and kind), and its further arguments."""
    for cell in redis_cells(options.full):
        yield "redis", "-c {} -P {} -d {}".format(*cell), redis, cell
    for size in (64, 4096) if options.full else (64,):
        for threads in (1, 4):
            for connections in (1, 50):
                yield ("memcached", f"-t {threads}, {connections} connections, {size} B", memcached,
                       (connections, size, threads))
    for size in (1024, 65536) if options.full else (1024,):
        for connections in (1, 50):
            yield ("nginx", f"{connections} connections, {size} B", nginx, (connections, size))


def measure(function, rounds, broken):
    """{name: {kind: [figures of each round]}}; a kind that fails is told, and left out from then on."""
    runs = {}
    for turn in range(rounds):
        for kind in KINDS if turn % 2 == 0 else reversed(KINDS):
            if kind in broken:
                continue
            try:
                results = function(kind)
            except (RuntimeError, OSError) as error:
                print(f"  {programs.TITLES[kind]}: left out: {str(error).strip()}")
                broken.add(kind)
                continue
            for name, figures in results.items():
                runs.setdefault(name, {}).setdefault(kind, []).append(figures)
    return runs


def ratio(ours, kernels, name):
    return statistics.median(a[name] / b[name] for a, b in zip(ours, kernels))


def report(title, runs, broken):
    """Prints a line a kind; what it printed as a list."""
    rows = []
    for name, kinds in runs.items():
        print(f"  {name}{title}")
        for kind in KINDS:
            if kind in broken or kind not in kinds:
                continue
            figures = programs.medians(kinds[kind])
            row = {"what": name + title, "kind": kind, **figures}
            ratios = ("", "")
            if kind != "kernel" and "kernel" not in broken:
                row["rate_ratio"] = ratio(kinds[kind], kinds["kernel"], "rate")
                row["p99_ratio"] = ratio(kinds[kind], kinds["kernel"], "p99")
                ratios = f"{row['rate_ratio']:.2f}", f"{row['p99_ratio']:.2f}"
            print(LINE.format("  " + programs.TITLES[kind], f"{figures['rate']:,.0f}",
                              f"{figures['p50']:,.0f}", f"{figures['p99']:,.0f}", *ratios),
                  flush=True)
            rows.append(row)
    return rows


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--only", default=",".join(TOOLS), help="redis,memcached,nginx")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement")
    parser.add_argument("--full", action="store_true", help="every size and pipelining")
    parser.add_argument("--realtime", action="store_true", help="before all other programs")
    parser.add_argument("--json", help="a file for the figures")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(TOOLS):
        parser.error(f"unknown: {', '.join(unknown)}; allowed are {', '.join(TOOLS)}")
    return options


def main():
    options = parse()
    options.machine = programs.Machine(options.build, options.realtime)
    rows, group, broken = [], None, set()
    try:
        programs.enter()
        for name, title, function, arguments in cells(options):
            missing = [tool for tool in TOOLS[name] if not shutil.which(tool)]
            if name not in options.only:
                continue
            if missing:
                print(f"{name}: left out, there is no {' and no '.join(missing)} here")
                options.only.remove(name)
                continue
            if name != group:
                print("\n" + LINE.format(name, "requests/s", "p50 us", "p99 us", "rate x", "p99 x"))
                group = name
                broken.clear()
            rows += report(title, measure(lambda kind, f=function, a=arguments: f(options, kind, *a),
                                          options.rounds, broken), broken)
    finally:
        options.machine.close()
    print("\nrate x, p99 x: of the kernel's in the same round; a rate above 1 is faster than the "
          "kernel, a p99 below 1 sooner.")
    if options.json:
        with open(options.json, "w", encoding="ascii") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
