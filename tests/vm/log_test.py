#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Logs that end at any moment: the guest is killed while log-writer appends to a log on its NVMe drive,
and what it had been told was durable must be there, as it was, when the drive is looked at from
outside; then the next guest goes on with it. KILLS says how often, 3 unless it is set. Likewise where
the drive cannot write one of its blocks.
"""

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import guest
from guest import lab

KILLS = int(os.environ.get("KILLS", "3"))
DRIVE = "0000:00:10.0"
DRIVE_BYTES = 32 << 20
BOOT_S = 120
BUSY_S = 1.5  # at most, from the first durable record to the end
BAD_SECTOR = (4 << 20) // 512  # in a segment

LOG_WRITER = ""


def environment(device):
    return os.environ | {"LIBOS": "cattree", "DEMI_BLK_DEV": device}


def in_guest():
    """In the guest: becomes the writer."""
    lab.run("modprobe", "vfio-pci")
    guest.bind(DRIVE, "vfio-pci")
    os.execve(sys.argv[1], [sys.argv[1], "write", "log"], environment(f"nvme:{DRIVE}"))


def guest_command(image, disk="driver=raw,file=file"):
    # It is the drive's cache that must not be lost, as it is not when QEMU alone is.
    drive = (f"-blockdev driver=file,filename={image},locking=off,node-name=file "
             f"-blockdev {disk},node-name=disk "
             f"-device nvme,drive=disk,serial=DEMILOG,addr={DRIVE[8:10]}")
    return [guest.VM_SH, "--memory", "768", "--huge-pages", "96", "--timeout", str(BOOT_S),
            "--qemu", drive, "--", "env", "DEMI_GUEST=1", sys.executable, *sys.argv]


def killed_run(image, busy_s):
    """How many records were durable when the guest was killed."""
    process = subprocess.Popen(guest_command(image), text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    line = process.stdout.readline()
    if not line:
        raise AssertionError(f"no record became durable: {process.communicate()[1]}")
    os.set_blocking(process.stdout.fileno(), False)
    deadline = time.monotonic() + busy_s
    said = line.encode()
    while time.monotonic() < deadline:
        said += os.read(process.stdout.fileno(), 1 << 16) if lab.select.select(
            [process.stdout], [], [], 0.01)[0] else b""
    # QEMU goes with it.
    process.send_signal(signal.SIGKILL)
    process.wait()
    os.set_blocking(process.stdout.fileno(), True)
    while more := os.read(process.stdout.fileno(), 1 << 16):
        said += more
    process.stdout.close()
    process.stderr.close()
    return int(said[:said.rindex(b"\n")].split()[-1])


def check(device, durable):
    completed = subprocess.run([LOG_WRITER, "check", "log", str(durable)], text=True,
                               capture_output=True, timeout=lab.DEADLINE_S,
                               env=environment(device))
    if completed.returncode != 0:
        raise AssertionError(f"after {durable} records: {completed.stdout}{completed.stderr}")


class Killed(unittest.TestCase):
    def test_guest(self):
        """The emulator is killed while it writes: nothing acknowledged is lost"""
        draw = random.Random(1)
        before = 0
        with tempfile.TemporaryDirectory(dir=os.getcwd()) as folder:
            image = os.path.join(folder, "drive.img")
            with open(image, "wb") as file:
                os.truncate(file.fileno(), DRIVE_BYTES)
            for _ in range(KILLS):
                durable = killed_run(image, draw.random() * BUSY_S)
                self.assertGreater(durable, before)
                check(f"uring:{image},block=512", durable)
                before = durable

    def test_drive_that_cannot_write_a_block(self):
        """A write fails: the log takes no more, and nothing acknowledged is lost"""
        disk = ("driver=blkdebug,image=file,inject-error.0.event=none,inject-error.0.errno=5,"
                f"inject-error.0.iotype=write,inject-error.0.sector={BAD_SECTOR}")
        with tempfile.TemporaryDirectory(dir=os.getcwd()) as folder:
            image = os.path.join(folder, "drive.img")
            with open(image, "wb") as file:
                os.truncate(file.fileno(), DRIVE_BYTES)
            completed = subprocess.run(guest_command(image, disk), text=True, capture_output=True,
                                       timeout=2 * BOOT_S, stdin=subprocess.DEVNULL)
            said = completed.stdout + completed.stderr
            self.assertNotEqual(completed.returncode, 0, said)
            self.assertRegex(said, "log-writer: record [0-9]+: Input/output error")
            durable = int(re.findall("^([0-9]+)$", completed.stdout, re.M)[-1])
            self.assertGreater(durable, 0)
            check(f"uring:{image},block=512", durable)

    def test_process(self):
        """The writer itself is killed, over io_uring: nothing acknowledged is lost"""
        draw = random.Random(2)
        with tempfile.TemporaryDirectory(dir=os.getcwd()) as folder:
            image = os.path.join(folder, "file.img")
            device = f"uring:{image},size=16M"
            for _ in range(KILLS * 10):
                process = subprocess.Popen([LOG_WRITER, "write", "log"], stdout=subprocess.PIPE,
                                           env=environment(device), stdin=subprocess.DEVNULL)
                self.assertTrue(process.stdout.readline())
                time.sleep(draw.random() / 5)
                process.kill()
                said = process.communicate()[0]
                lines = said[:said.rfind(b"\n") + 1].split()
                check(device, int(lines[-1]) if lines else 0)


if __name__ == "__main__":
    if "DEMI_GUEST" in os.environ:
        in_guest()
    guest.require_guest()
    LOG_WRITER = os.path.abspath(sys.argv[1])
    sys.exit(lab.run_tests(sys.argv[2:]))
