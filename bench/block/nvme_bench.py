#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What an NVMe drive does by our driver, and by fio on the kernel's (io_uring, O_DIRECT): random I/O of
4 KiB, and synchronous appends, to a log and by durable writes of the same bytes in whole blocks,
which fio checksums or does not.

    nvme_bench.py BUILD [--rounds N] [--seconds S] [--count N]
    nvme_bench.py BUILD --instructions [--rounds N] [--count N]
    nvme_bench.py BUILD --drives OURS KERNELS [--json FILE] [...]

In guests of its own (scripts/vm.sh), with emulated drives alike, one for each: for random I/O they
store nothing, for appends they are files; or here, with --drives: the addresses of two PCI devices,
which must be alike, and whose contents are destroyed. The two alternate, round by round. Processors
of the guest are emulated: only the ratios say something, and they are of code that is emulated, too.

--instructions counts, in a guest whose clock does, what a command of 4 KiB takes: of ours without
the looking while nothing has ended; of fio's all that the processor does until it halts again, in
the program, the kernel and its interrupts.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.join(HERE, "../../scripts")
OURS, KERNELS = "0000:00:10.0", "0000:00:11.0"
APPEND_SIZES = (64, 512, 4096, 16384, 65536)
BLOCK = 512
HEADER_BYTES = 80  # what a log writes beside a record
DRIVE_BYTES = 64 << 20
HUGE_PAGES = "64"
# fio with CRC32C over what it writes, as a log has: its instruction is emulated here, and slow.
CHECKSUMS = ("--verify=crc32c", "--do_verify=0", "--verify_pattern=97")
APPENDS_COUNT = 500
INSTRUCTIONS_COUNT = 20000
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


def fio(disk, *options):
    said = run("fio", "--name=load", f"--filename={disk}", "--ioengine=io_uring", "--direct=1",
               "--output-format=json", *options)
    # Notes may stand before it.
    return json.loads(said[said.index("{"):])["jobs"][0]


def fio_random(disk, operation, depth, *options):
    return fio(disk, f"--rw=rand{operation}", "--bs=4k", f"--iodepth={depth}", "--norandommap",
               *options)[operation]


def append(program, address, size, count):
    """Of a log: the median, microseconds."""
    os.environ.update(LIBOS="cattree", DEMI_BLK_DEV=f"nvme:{address}", DEMI_STORE_FORMAT="overwrite")
    return int(run(program, "log", "bench", str(size), str(count))) / 1000


def fio_append(disk, size, count, *options):
    whole = -(-(size + HEADER_BYTES) // BLOCK) * BLOCK
    said = fio(disk, "--rw=write", f"--bs={whole}", "--sync=dsync", f"--number_ios={count}",
               f"--size={DRIVE_BYTES // 2 // whole * whole}", "--lat_percentiles=1", *options)
    return said["write"]["lat_ns"]["percentile"]["50.000000"] / 1000


def busy_ns():
    """How long the only processor did not halt since it was started, to a hundredth of a second."""
    with open("/proc/stat", encoding="ascii") as file:
        idle, waiting = map(int, file.readline().split()[4:6])
    return time.monotonic() * 1e9 - (idle + waiting) * 1e9 / os.sysconf("SC_CLK_TCK")


def fio_instructions(disk, operation, depth, count):
    """Of a command: what more of them take."""
    took = []
    for commands in (depth, count + depth):
        before = busy_ns()
        fio_random(disk, operation, depth, f"--number_ios={commands}")
        took.append(busy_ns() - before)
    return (took[1] - took[0]) / count


def disk_of(address):
    folder = f"/sys/bus/pci/devices/{address}/nvme"
    deadline = time.monotonic() + DISK_WAIT_S
    while time.monotonic() < deadline:
        for controller in os.listdir(folder) if os.path.isdir(folder) else ():
            if os.path.exists(f"/dev/{controller}n1"):
                return f"/dev/{controller}n1"
        time.sleep(0.1)
    sys.exit(f"{address}: the kernel has no disk of it")


def measure_random(arguments, own, kernels):
    program = os.path.join(arguments.build, "bench/demi-bench-block")
    disk = disk_of(kernels)
    figures = {case: [] for case in CASES}
    for _ in range(arguments.rounds):
        for operation, depth in CASES:
            figures[operation, depth].append(
                (ours(program, own, operation, depth, arguments.seconds),
                 fio_random(disk, operation, depth, f"--runtime={arguments.seconds}",
                            "--time_based")["iops"]))
    return figures


def measure_instructions(arguments, own, kernels):
    program = os.path.join(arguments.build, "bench/demi-bench-block")
    disk = disk_of(kernels)
    figures = {case: [] for case in CASES}
    for _ in range(arguments.rounds):
        for operation, depth in CASES:
            figures[operation, depth].append(
                (float(run(program, f"nvme:{own}", operation, str(depth), str(arguments.count), "work")),
                 fio_instructions(disk, operation, depth, arguments.count)))
    return figures


def measure_appends(arguments, own, kernels):
    program = os.path.join(arguments.build, "bench/demi-bench-append")
    disk = disk_of(kernels)
    figures = {size: [] for size in APPEND_SIZES}
    for _ in range(arguments.rounds):
        for size in APPEND_SIZES:
            figures[size].append((append(program, own, size, arguments.count),
                                  fio_append(disk, size, arguments.count),
                                  fio_append(disk, size, arguments.count, *CHECKSUMS)))
    return figures


def report(title, unit, label, figures, names=("fio",)):
    """
    Prints a table; @label makes the first column of a case, @names are those of whom ours is compared
    with. Returns the same for JSON.
    """
    print(f"{title:24} {'ours':>10}", *(f"{name:>10}  ratio" for name in names),
          f"  ({unit}; medians of the rounds)")
    results = []
    for case, rounds in figures.items():
        own, *others = (statistics.median(column) for column in zip(*rounds))
        ratios = [statistics.median(figures[0] / figures[at] for figures in rounds)
                  for at in range(1, len(names) + 1)]
        print(f"  {label(case):22} {own:10.0f}",
              *(f"{other:10.0f} {ratio:6.2f}" for other, ratio in zip(others, ratios)))
        results += [{"name": f"nvme/{title}/{label(case)}", "ours": own, name: other, "ratio": ratio,
                     "rounds": rounds} for name, other, ratio in zip(names, others, ratios)]
    return results


def label_random(case):
    return f"{case[0]:5}, {case[1]:2} at once"


def label_append(size):
    return f"{size} bytes"


def start_guest(kind, *options):
    """Runs this in a guest with two drives of its own."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = []
        for at, address in enumerate((OURS, KERNELS)):
            backend = f"driver=null-co,size={DRIVE_BYTES},read-zeroes=on"
            if kind == "append":
                path = os.path.join(folder, f"drive{at}")
                with open(path, "wb") as file:
                    file.truncate(DRIVE_BYTES)
                # What the host's disk takes for a flush is not the question.
                backend = f"driver=file,filename={path},cache.no-flush=on"
            arguments += ["-blockdev", f"{backend},node-name=disk{at}",
                          "-device", f"nvme,drive=disk{at},serial=BENCH{at},addr={address[8:]}"]
        return subprocess.run([
            f"{SCRIPTS}/vm.sh", "--huge-pages", HUGE_PAGES, "--timeout", "900", *options, "--qemu",
            " ".join(arguments), "--", "env", f"DEMI_GUEST={kind}", sys.executable,
            *sys.argv]).returncode


def measure(kind, arguments, own, kernels):
    if kind == "append":
        return report("append", "us", label_append, measure_appends(arguments, own, kernels),
                      ("fio", "checksums"))
    if kind == "instructions":
        return report("4 KiB random", "instructions a command", label_random,
                      measure_instructions(arguments, own, kernels))
    return report("4 KiB random", "IOPS", label_random, measure_random(arguments, own, kernels))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--count", type=int)
    parser.add_argument("--instructions", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--drives", nargs=2)
    arguments = parser.parse_args()
    arguments.count = arguments.count or (INSTRUCTIONS_COUNT if arguments.instructions else APPENDS_COUNT)
    if not arguments.drives and arguments.json:
        parser.error("--json: the guest's files go with it; it needs --drives")
    if arguments.drives and arguments.instructions:
        parser.error("--instructions: only the guest's clock counts them")
    if not shutil.which("fio"):
        print("skipped: fio is missing; scripts/deps.sh bench installs it")
        sys.exit(SKIPPED)
    kinds = ["random", "append"] if not arguments.instructions else ["instructions"]
    if not arguments.drives and "DEMI_GUEST" not in os.environ:
        sys.exit(max(start_guest(kind, *(["--count"] if arguments.instructions else [])) for kind in kinds))
    own, kernels = arguments.drives or (OURS, KERNELS)
    run("modprobe", "nvme")
    if not arguments.drives:
        kinds = [os.environ["DEMI_GUEST"]]
        disk_of(own)
        run(f"{SCRIPTS}/nvme.sh", "bind", own)
    results = [result for kind in kinds for result in measure(kind, arguments, own, kernels)]
    if arguments.json:
        with open(arguments.json, "w", encoding="ascii") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
