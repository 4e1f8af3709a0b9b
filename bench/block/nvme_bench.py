#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Random I/O of 4 KiB on an NVMe drive, by our driver and by fio on the kernel's (io_uring, O_DIRECT).

    nvme_bench.py BUILD [--rounds N] [--seconds S] [--json FILE]
    nvme_bench.py BUILD --drives OURS KERNELS [...]

In a guest of its own (scripts/vm.sh), with two emulated drives alike that store nothing, one for
each; or here, with --drives: the addresses of two PCI devices, which must be alike, and whose
contents are destroyed. The two alternate, round by round. Processors of the guest are emulated: only
the ratios say something, and they are of code that is emulated, too.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.join(HERE, "../../scripts")
OURS, KERNELS = "0000:00:10.0", "0000:00:11.0"
CASES = [(operation, depth) for operation in ("read", "write") for depth in (1, 32)]
SKIPPED = 77
DISK_WAIT_S = 60


def run(*command):
    completed = subprocess.run(command, text=True, stdout=subprocess.PIPE)
    if completed.returncode != 0:
        sys.exit(f"{' '.join(command)}: {completed.returncode}\n{completed.stdout}")
    return completed.stdout


def ours(program, address, operation, depth, seconds):
    return float(run(program, f"nvme:{address}", operation, str(depth), str(seconds)))


def fio(disk, operation, depth, seconds):
    said = run("fio", "--name=load", f"--filename={disk}", "--ioengine=io_uring", "--direct=1",
               f"--rw=rand{operation}", "--bs=4k", f"--iodepth={depth}", f"--runtime={seconds}",
               "--time_based", "--norandommap", "--output-format=json")
    # Notes may stand before it.
    return json.loads(said[said.index("{"):])["jobs"][0][operation]["iops"]


def disk_of(address):
    folder = f"/sys/bus/pci/devices/{address}/nvme"
    deadline = time.monotonic() + DISK_WAIT_S
    while time.monotonic() < deadline:
        for controller in os.listdir(folder) if os.path.isdir(folder) else ():
            if os.path.exists(f"/dev/{controller}n1"):
                return f"/dev/{controller}n1"
        time.sleep(0.1)
    sys.exit(f"{address}: the kernel has no disk of it")


def measure(arguments, own, kernels):
    program = os.path.join(arguments.build, "bench/demi-bench-block")
    disk = disk_of(kernels)
    figures = {case: [] for case in CASES}
    for _ in range(arguments.rounds):
        for operation, depth in CASES:
            figures[operation, depth].append(
                (ours(program, own, operation, depth, arguments.seconds),
                 fio(disk, operation, depth, arguments.seconds)))
    return figures


def report(figures, json_file):
    print("                     ours, IOPS   fio, IOPS   ratio (median of the rounds')")
    results = []
    for (operation, depth), rounds in figures.items():
        own, other = (statistics.median(pair[at] for pair in rounds) for at in (0, 1))
        ratio = statistics.median(a / b for a, b in rounds)
        print(f"4 KiB {operation:5}, {depth:2} at once {own:10.0f}  {other:10.0f}  {ratio:6.2f}")
        results.append({"name": f"nvme/{operation}/{depth}", "ours": own, "fio": other,
                        "ratio": ratio, "rounds": rounds})
    if json_file:
        with open(json_file, "w", encoding="ascii") as file:
            json.dump(results, file, indent=1)


def start_guest():
    arguments = []
    for at, address in enumerate((OURS, KERNELS)):
        arguments += ["-blockdev", f"driver=null-co,size=67108864,read-zeroes=on,node-name=disk{at}",
                      "-device", f"nvme,drive=disk{at},serial=BENCH{at},addr={address[8:]}"]
    os.execv(f"{SCRIPTS}/vm.sh", [
        f"{SCRIPTS}/vm.sh", "--huge-pages", "64", "--timeout", "600", "--qemu", " ".join(arguments),
        "--", "env", "DEMI_GUEST=1", sys.executable, *sys.argv])


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--json")
    parser.add_argument("--drives", nargs=2)
    arguments = parser.parse_args()
    if not shutil.which("fio"):
        print("skipped: fio is missing; scripts/deps.sh bench installs it")
        sys.exit(SKIPPED)
    if not arguments.drives and "DEMI_GUEST" not in os.environ:
        start_guest()
    own, kernels = arguments.drives or (OURS, KERNELS)
    run("modprobe", "nvme")
    if not arguments.drives:
        disk_of(own)
        run(f"{SCRIPTS}/nvme.sh", "bind", own)
    report(measure(arguments, own, kernels), arguments.json)


if __name__ == "__main__":
    main()
