#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
redis-server on Catnip over AF_XDP beside the same on the kernel, over the same veth, by turns; asked
by redis-benchmark on the kernel at the other end. A table, and a chart by gnuplot.

usage: redis_demo.py BUILD CHART.svg     (in scripts/lab.sh run)
DEMO_ROUNDS sets how often each is measured (default 3), DEMO_SECONDS for how long two of them (default 2).
"""

import os
import shutil
import subprocess
import sys

import programs

ROUNDS = int(os.environ.get("DEMO_ROUNDS", "3"))
KINDS = ("catnip", "kernel")
CLIENTS = (50, 1)
SECONDS = float(os.environ.get("DEMO_SECONDS", "2")) / 2

CHART = """
set terminal svg noenhanced size 900,420 font 'sans-serif,12' background 'white'
set output '{path}'
set multiplot layout 1,3 title "redis-server on Catnip (AF_XDP) and on the kernel, same veth, same client"
set style data histograms
set style histogram clustered gap 1
set style fill solid border -1
set boxwidth 0.9
set xtics rotate by -35 nomirror
set grid ytics
set yrange [0:*]
set datafile separator ','
set key below
set linetype 1 lc rgb '#1b6ca8'
set linetype 2 lc rgb '#c9c9c9'
$figures << END
{rows}
END
set title 'thousand requests/s'
plot $figures using 2:xtic(1) title 'Catnip', '' using 3 title 'kernel'
set title 'p50, us'
plot $figures using 4:xtic(1) title 'Catnip', '' using 5 title 'kernel'
set title 'p99, us'
plot $figures using 6:xtic(1) title 'Catnip', '' using 7 title 'kernel'
"""


def measure(machine):
    """Results by clients, command and kind."""
    runs = {}
    for turn in range(ROUNDS):
        for kind in KINDS if turn % 2 == 0 else reversed(KINDS):
            for clients in CLIENTS:
                result = programs.redis_benchmark(machine, kind, clients, seconds=SECONDS)
                for command, figures in result.items():
                    runs.setdefault((command, clients, kind), []).append(figures)
    return {key: programs.medians(value) for key, value in runs.items()}


def table(figures):
    line = "{:<17} {:>10} {:>8} {:>8}   {:>10} {:>8} {:>8}   {:>7}"
    print()
    print(line.format("redis-benchmark", "Catnip /s", "p50 us", "p99 us", "kernel /s", "p50 us",
                      "p99 us", "ratio"))
    for clients in CLIENTS:
        for command in ("GET", "SET"):
            ours, kernels = (figures[command, clients, kind] for kind in KINDS)
            print(line.format(
                f"{command}, {clients} client{'s' if clients > 1 else ''}",
                *(f"{of[name]:,.0f}" for of in (ours, kernels) for name in ("rate", "p50", "p99")),
                f"{ours['rate'] / kernels['rate']:.2f}"))
    print("\nratio: Catnip's requests per second over the kernel's; above 1, Catnip is faster.")


def chart(figures, path):
    """By gnuplot; False where there is none."""
    if not shutil.which("gnuplot"):
        return False
    rows = []
    for clients in CLIENTS:
        for command in ("GET", "SET"):
            values = [figures[command, clients, kind][name] / (1000 if name == "rate" else 1)
                      for name in ("rate", "p50", "p99") for kind in KINDS]
            rows.append(",".join([f"{command} -c {clients}", *map(str, values)]))
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    subprocess.run(["gnuplot"], input=CHART.format(path=path, rows="\n".join(rows)), text=True,
                   check=True)
    return True


def main():
    build, path = sys.argv[1:3]
    missing = [tool for tool in ("redis-server", "redis-benchmark") if not shutil.which(tool)]
    if missing:
        print(f"  skipped: no {' and no '.join(missing)} here (scripts/deps.sh demo installs them)")
        sys.exit(2)
    machine = programs.Machine(build)
    try:
        programs.enter()
        figures = measure(machine)
    finally:
        machine.close()
    table(figures)
    if chart(figures, path):
        print(f"The same as a picture: {path}")


if __name__ == "__main__":
    main()
