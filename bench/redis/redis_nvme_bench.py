#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
SET with `appendfsync always` on an NVMe drive: Redis on PDPIX (catnap+cattree, our driver) beside
Debian's redis-server, whose file is on ext4 on a drive alike, of the kernel's. Both serve the kernel's
sockets, the same client asks both over loopback. They alternate, round by round.

usage: redis_nvme_bench.py BUILD NATIVE [--rounds N] [--seconds S] [--connections N] [--json FILE]

In a guest of its own (scripts/vm.sh), with two emulated drives, each a file in a temporary folder in BUILD. The
guest's processors are emulated: only the ratios say something, and they are of code that is emulated, too.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

import servers
from servers import programs

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../block"))
import nvme_bench as drives  # noqa: E402, it stands there

SIZES = (64, 4096, 65536)
DRIVE_BYTES = 1 << 30
KINDS = ("kernel", "native")
MOUNT = "/run/demi-redis"


class Guest(servers.Place):
    """As outside, but both on the kernel's sockets."""

    def command(self, link, kind, data, log, under):
        words, _ = super().command("memory", "kernel", data, log, under)
        if kind == "kernel":
            return words, {}
        return [self.native, *words[1:]], {
            "LIBOS": "catnap+cattree", "DEMI_BLK_DEV": f"nvme:{drives.OURS}",
            "DEMI_STORE_FORMAT": "overwrite", "DEMI_RUNTIME_IDLE": "sleep"}


def measure(place, options):
    for size in SIZES:
        runs = {kind: [] for kind in KINDS}
        for turn in range(options.rounds):
            for kind in KINDS[::-1] if turn % 2 else KINDS:
                with place.running("memory", kind, True):
                    runs[kind].append(place.ask_over_memory("kernel", "set", size, True, options))
        yield size, runs


def report(place, options):
    rows = []
    print("SET, appendfsync always   file, SET/s      log    rate x   p99 x  (medians of the rounds)")
    for size, runs in measure(place, options):
        rates = {kind: statistics.median(run["rate"] for run in runs[kind]) for kind in KINDS}
        ratios = {figure: statistics.median(ours[figure] / kernels[figure] for ours, kernels in
                                            zip(runs["native"], runs["kernel"]))
                  for figure in ("rate", "p99")}
        print(f"  {size:6} bytes             {rates['kernel']:9,.0f} {rates['native']:9,.0f}"
              f" {ratios['rate']:8.2f} {ratios['p99']:7.2f}", flush=True)
        rows.append({"name": f"nvme set {size}", "ratios": ratios, "rounds": runs})
    return rows


def start_guest(folder):
    arguments = []
    for at, address in enumerate((drives.OURS, drives.KERNELS)):
        path = os.path.join(folder, f"drive{at}")
        with open(path, "wb") as file:
            for _ in range(DRIVE_BYTES >> 20):
                file.write(bytes(1 << 20))
        arguments += ["-blockdev", f"driver=file,filename={path},node-name=disk{at}",
                      "-device", f"nvme,drive=disk{at},serial=REDIS{at},addr={address[8:]}"]
    return subprocess.run([
        f"{drives.SCRIPTS}/vm.sh", "--memory", "2048", "--huge-pages", "256", "--timeout", "900",
        "--qemu", " ".join(arguments), "--", "env", "DEMI_GUEST=1", sys.executable,
        *sys.argv], check=False).returncode


def prepare():
    """The drives: one for our driver, one with a file system."""
    drives.run("ip", "link", "set", "lo", "up")
    drives.run("modprobe", "nvme")
    drives.disk_of(drives.OURS)
    disk = drives.disk_of(drives.KERNELS)
    drives.run(f"{drives.SCRIPTS}/nvme.sh", "bind", drives.OURS)
    drives.run("modprobe", "ext4")
    drives.run("mkfs.ext4", "-q", disk)
    os.makedirs(MOUNT, exist_ok=True)
    drives.run("mount", disk, MOUNT)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("native")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--keys", type=int, default=100)
    parser.add_argument("--json")
    options = parser.parse_args()
    if "DEMI_GUEST" not in os.environ:
        with tempfile.TemporaryDirectory(dir=options.build) as folder:
            sys.exit(start_guest(folder))
    prepare()
    programs.CLIENT_S = 120
    place = Guest(options.build, options.native, MOUNT)
    try:
        rows = report(place, options)
    finally:
        place.close()
    if options.json:
        with open(options.json, "w", encoding="ascii") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
