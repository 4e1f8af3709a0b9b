#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Block devices over NVMe drives: emulated ones that our driver reaches through VFIO and an IOMMU.

    nvme_test.py BLK_PROBE [DEMI [DEMI_ECHO]]

    DRIVE         512-byte blocks, as large commands as QEMU takes
    LARGE         4096-byte blocks
    SHORT         512-byte blocks, commands of 8 KiB at most
    BROKEN        what is from BROKEN_BLOCK on can neither be read nor written
    KERNELS       whose driver is the kernel's, for what has a mounted file system, and the like
    SLOW          lets SLOW_IOPS commands a second be done
    TWIN, OTHER   two functions of one device, which are one IOMMU group; the kernel has OTHER
"""

import fcntl
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import time
import unittest

import guest
from guest import lab

DRIVE, LARGE, SHORT = "0000:00:10.0", "0000:00:11.0", "0000:00:12.0"
BROKEN, KERNELS = "0000:00:13.0", "0000:00:14.0"
TWIN, OTHER = "0000:00:15.0", "0000:00:15.1"
SLOW = "0000:00:16.0"
DRIVES = (DRIVE, LARGE, SHORT, BROKEN, KERNELS, TWIN, OTHER, SLOW)
NO_DRIVE, NO_NVME = "0000:00:1d.7", "0000:00:00.0"

OPTIONS = {LARGE: ",logical_block_size=4096,physical_block_size=4096", SHORT: ",mdts=1",
           TWIN: ",multifunction=on"}
DRIVE_BYTES = 32 << 20
BROKEN_BLOCK = 2048
SLOW_IOPS = 4
PCI_COMMAND = 4  # offset in the configuration space

NVME_SH = os.path.join(guest.HERE, "../../scripts/nvme.sh")
NOBODY = 65534


def serial(address):
    return f"DEMI{address[8:].replace('.', '')}"


def qemu_arguments(drives=DRIVES):
    """The drives' contents are in memory that ends with QEMU, which gets it as descriptors."""
    arguments = []
    for at, address in enumerate(drives if "DEMI_GUEST" not in os.environ else ()):
        memory = os.memfd_create(f"drive{at}")
        os.truncate(memory, DRIVE_BYTES)
        # Above those that vm.sh makes for itself.
        inherited = fcntl.fcntl(memory, fcntl.F_DUPFD, 200)
        file = (f"driver=file,filename=/dev/fd/{inherited},locking=off,"
                f"node-name=file{at}")
        if address == BROKEN:
            arguments += ["-blockdev", file, "-blockdev",
                          f"driver=blkdebug,image=file{at},node-name=disk{at}," + ",".join(
                              f"inject-error.{number}.event=none,inject-error.{number}.errno=5,"
                              f"inject-error.{number}.iotype={kind},"
                              f"inject-error.{number}.sector={BROKEN_BLOCK}"
                              for number, kind in enumerate(("read", "write")))]
        elif address == SLOW:
            arguments += ["-object", f"throttle-group,id=slow,x-iops-total={SLOW_IOPS}",
                          "-blockdev", file, "-blockdev",
                          f"driver=throttle,throttle-group=slow,file=file{at},node-name=disk{at}"]
        else:
            arguments += ["-blockdev", file, "-blockdev",
                          f"driver=raw,file=file{at},node-name=disk{at}"]
        arguments += ["-device", f"nvme,drive=disk{at},serial={serial(address)},"
                                 f"addr={address[8:]}{OPTIONS.get(address, '')}"]
    return " ".join(arguments)


# ---- what is done with the drives ----

def probe(address, *arguments, words="", prepare=None, user=None):
    return subprocess.run([lab.DEMI_ECHO, f"nvme:{address}{words}", *map(str, arguments)],
                          text=True, capture_output=True, timeout=guest.DEADLINE_S,
                          preexec_fn=prepare, user=user, stdin=subprocess.DEVNULL)


def figures(completed):
    return dict(line.rsplit(" ", 1) for line in completed.stdout.splitlines() if " " in line)


def used(address, *arguments, words=""):
    """What a use that goes well says."""
    completed = probe(address, *arguments, words=words)
    if completed.returncode != 0:
        raise AssertionError(completed.stdout + completed.stderr)
    return figures(completed)


def nvme_sh(*arguments, user=None):
    return subprocess.run([NVME_SH, *arguments], text=True, capture_output=True,
                          timeout=guest.DEADLINE_S, user=user)


def bound(address, *arguments):
    completed = nvme_sh("bind", address, *arguments)
    if completed.returncode != 0:
        raise AssertionError(completed.stdout + completed.stderr)


def given_back(address):
    completed = nvme_sh("unbind", address)
    if completed.returncode != 0:
        raise AssertionError(completed.stdout + completed.stderr)


def disk(address):
    """The kernel's name for its namespace, once it is there."""
    deadline = time.monotonic() + guest.DEADLINE_S
    while time.monotonic() < deadline:
        folder = f"{guest.PCI}/{address}/nvme"
        for controller in os.listdir(folder) if os.path.isdir(folder) else ():
            name = f"/dev/{controller}n1"
            if os.path.exists(name):
                return name
        time.sleep(0.05)
    raise AssertionError(f"the kernel has no disk of {address}")


def pattern(block, version, block_bytes):
    """What blk-probe writes to a block."""
    return b"".join(struct.pack("<Q", (block << 40 ^ version << 12 ^ at) * 0x9e3779b97f4a7c15
                                % (1 << 64)) for at in range(block_bytes // 8))


def group_file(address):
    return f"/dev/vfio/{os.path.basename(os.readlink(f'{guest.PCI}/{address}/iommu_group'))}"


def setUpModule():
    lab.run("modprobe", "nvme")
    for address in DRIVES:
        disk(address)
    lab.run("modprobe", "vfio-pci")
    lab.run("modprobe", "vfio_iommu_type1")
    for address in DRIVES:
        if address not in (KERNELS, TWIN, OTHER):
            guest.bind(address, "vfio-pci")


# ---- the tests ----

class Refused(unittest.TestCase):
    def says(self, completed, error, pattern_):
        self.assertEqual(completed.returncode, 1, completed.stderr)
        self.assertEqual(completed.stdout, f"open {error}\n")
        self.assertEqual(completed.stderr.count("\n"), 1, completed.stderr)
        self.assertRegex(completed.stderr, f"^demi: error: nvme:0000.*: {pattern_}")

    def test_words(self):
        # There is one, and nothing else to be refused.
        used(DRIVE, "info", words=",noiommu")
        for words, error, said in (
                (",depth=1", "EINVAL", "\"depth=1\" is not a number from 16 to 255"),
                (",namespace=x", "EINVAL", "\"namespace=x\" is not a number from 1 to"),
                (",fast", "EINVAL", "\"fast\": behind the address there may be"),
                (",namespace=2", "ENOENT", "namespace 2 is not active"),
                (",namespace=999", "ENOENT", "there is no namespace 999")):
            with self.subTest(words=words):
                self.says(probe(DRIVE, "info", words=words), error, said)

    def test_address_of_nothing(self):
        self.says(probe(NO_DRIVE, "info"), "ENODEV", f"this machine has no PCI device {NO_DRIVE}")

    def test_other_device(self):
        self.says(probe(NO_NVME, "info"), "ENODEV", "the device is no NVMe controller")

    def test_drive_that_the_kernel_has(self):
        self.says(probe(KERNELS, "info"), "EBUSY",
                  rf"the kernel has the device, for its driver nvme: .*bind {KERNELS}\)")
        self.assertEqual(guest.driver_of(KERNELS), "nvme")

    def test_drive_without_a_driver(self):
        guest.bind(BROKEN, None)
        try:
            self.says(probe(BROKEN, "info"), "ENODEV", "no driver has the device: give it to vfio")
        finally:
            guest.bind(BROKEN, "vfio-pci")

    def test_drive_that_another_process_has(self):
        holder = subprocess.Popen([lab.DEMI_ECHO, f"nvme:{DRIVE}", "hold"], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
        self.assertEqual(holder.stdout.readline(), "ready\n")
        self.says(probe(DRIVE, "info"), "EBUSY", "another process has the device")
        completed = nvme_sh("unbind", DRIVE)
        self.assertEqual(completed.returncode, 1)
        self.assertIn("a program uses it", completed.stderr)
        holder.communicate()
        self.assertEqual(holder.returncode, 0)
        used(DRIVE, "info")

    def test_drive_of_a_group_that_the_kernel_uses(self):
        completed = nvme_sh("bind", TWIN)
        self.assertEqual(completed.returncode, 0, completed.stderr)
        self.assertRegex(completed.stderr, f"{TWIN}: it shares IOMMU group [0-9]+ with {OTHER}, "
                                           "which nvme has: give that to vfio-pci too")
        self.says(probe(TWIN, "info"), "EPERM", "the device shares its IOMMU group [0-9]+ with "
                                                rf"others that the kernel uses: {OTHER} \(nvme\)")
        guest.bind(OTHER, "vfio-pci")
        used(TWIN, "info")
        guest.bind(OTHER, "nvme")
        guest.bind(TWIN, "nvme")

    def test_user_who_may_not(self):
        os.chmod("/dev/vfio/vfio", 0o666)
        self.says(probe(DRIVE, "info", user=NOBODY), "EACCES",
                  f"this user may not open {group_file(DRIVE)}: make it the user's")

    def test_limit_of_locked_memory(self):
        os.chmod("/dev/vfio/vfio", 0o666)
        os.chown(group_file(DRIVE), NOBODY, NOBODY)
        try:
            completed = probe(DRIVE, "info", user=NOBODY, prepare=lambda: resource.setrlimit(
                resource.RLIMIT_MEMLOCK, (65536, 65536)))
            self.says(completed, "ENOMEM", "cannot lock 2048 KiB more in memory for the device, "
                                           "beyond the limit of 64 KiB: raise it")
        finally:
            os.chown(group_file(DRIVE), 0, 0)


class Used(unittest.TestCase):
    def test_what_it_is(self):
        said = used(DRIVE, "info")
        self.assertEqual(int(said["block_count"]), DRIVE_BYTES // 512)
        self.assertEqual((said["block_bytes"], said["memory_alignment"], said["trim"],
                          said["volatile_cache"], said["read_only"]), ("512", "4", "1", "1", "0"))
        self.assertEqual(used(LARGE, "info")["block_bytes"], "4096")

    def test_as_many_requests_as_it_takes(self):
        for words, depth in (("", "255"), (",depth=16", "16")):
            said = used(DRIVE, "full", words=words)
            self.assertEqual((said["taken"], said["depth"]), (depth, depth))

    def test_health(self):
        said = used(DRIVE, "health")
        self.assertEqual(said["serial"], serial(DRIVE))
        self.assertGreater(int(said["temperature_c"]), 0)

    def random(self, address, count):
        said = used(address, "random", 7, count)
        self.assertGreaterEqual(int(said["requests"]), count)
        self.assertEqual(said["mismatches"], "0")
        for name in ("reads", "writes", "flushes", "trims"):
            self.assertGreater(int(said[f"blkdev.{name}"]), 0)
        return said

    def test_random_512(self):
        self.random(DRIVE, 3000)

    def test_random_4096(self):
        self.random(LARGE, 2000)

    def test_random_in_short_commands(self):
        said = self.random(SHORT, 1000)
        self.assertGreater(int(said["blkdev.commands"]), 3 * int(said["blkdev.reads"]))

    def test_after_one_that_was_killed(self):
        killed = subprocess.Popen([lab.DEMI_ECHO, f"nvme:{DRIVE}", "last", "60"], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.assertEqual(killed.stdout.readline(), "ready\n")
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        self.random(DRIVE, 200)

    def test_kernel_reads_what_was_written(self):
        used(SHORT, "write", 1234, 1)
        guest.bind(SHORT, "nvme")
        try:
            with open(disk(SHORT), "rb") as file:
                file.seek(1234 * 512)
                self.assertEqual(file.read(512), pattern(1234, 1, 512))
        finally:
            guest.bind(SHORT, "vfio-pci")


class Broken(unittest.TestCase):
    def test_blocks_that_cannot_be_read(self):
        for operation in ("read", "write"):
            completed = probe(BROKEN, operation, BROKEN_BLOCK, 2)
            self.assertEqual(completed.stdout.splitlines()[:2], ["EIO"] * 2)
            self.assertRegex(completed.stderr,
                             f"warning: .* a {operation} at block {BROKEN_BLOCK} has failed")
            self.assertEqual(figures(completed)["blkdev.errors"], "2")
            # Others can.
            used(BROKEN, operation, BROKEN_BLOCK - 8, 3)

    def test_drive_that_does_not_answer_in_time(self):
        """What is under way fails, the controller is reset, and serves again."""
        completed = probe(SLOW, "stall", words=",timeout_ms=100,depth=16")
        said = figures(completed)
        self.assertEqual(completed.returncode, 0, completed.stdout + completed.stderr)
        self.assertEqual(completed.stdout.splitlines()[4:5], ["error ETIMEDOUT"])
        self.assertEqual(said["depth"], "16")
        self.assertGreaterEqual(int(said["blkdev.timeouts"]), 1)
        self.assertGreaterEqual(int(said["blkdev.resets"]), 1)
        self.assertIn("\nok\n", completed.stdout)

    def test_drive_that_loses_its_registers(self):
        """As one does that is pulled out: nothing can be read of it any more."""
        process = subprocess.Popen([lab.DEMI_ECHO, f"nvme:{LARGE}", "last", "60"], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), "ready\n")
        with open(f"{guest.PCI}/{LARGE}/config", "r+b", buffering=0) as file:
            file.seek(PCI_COMMAND)
            file.write(b"\0\0")
        output, errors = process.communicate(timeout=guest.DEADLINE_S)
        self.assertIn("failure ENODEV", output, errors)
        self.assertEqual(process.returncode, 1)
        used(LARGE, "info")


class Script(unittest.TestCase):
    """What nvme.sh refuses."""

    def setUp(self):
        self.disk = disk(KERNELS)
        self.wipe()
        self.addCleanup(self.wipe)

    def wipe(self):
        with open(self.disk, "wb") as file:
            file.write(bytes(1 << 20))
        lab.run("blockdev", "--rereadpt", self.disk)

    def refused(self, said, *arguments):
        completed = nvme_sh("bind", KERNELS, *arguments)
        self.assertEqual(completed.returncode, 1, completed.stdout)
        self.assertRegex(completed.stderr, f"^nvme.sh: {KERNELS}: {said}")
        self.assertEqual(guest.driver_of(KERNELS), "nvme")

    def bound_and_back(self, *arguments):
        bound(KERNELS, *arguments)
        self.assertEqual(guest.driver_of(KERNELS), "vfio-pci")
        used(KERNELS, "info")
        given_back(KERNELS)
        self.disk = disk(KERNELS)

    def test_empty_drive(self):
        self.bound_and_back()

    def test_other_serial_number(self):
        self.refused(f"its serial number is {serial(KERNELS)}, not X", "--serial", "X")

    def make_partition(self):
        entry = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0x83, b"\0\2\0", 2048, 8192)
        with open(self.disk, "r+b") as file:
            file.write(bytes(446) + entry + bytes(48) + b"\x55\xaa")
        lab.run("blockdev", "--rereadpt", self.disk)

    def test_partition_table(self):
        self.make_partition()
        self.refused(r"there is something on the drive: .* has a partition table \(dos\).*"
                     f"--serial {serial(KERNELS)}")
        self.bound_and_back("--serial", serial(KERNELS))

    def test_file_system(self):
        if not shutil.which("mkfs.ext4"):
            self.skipTest("needs mkfs.ext4")
        lab.run("mkfs.ext4", "-q", self.disk)
        self.refused("there is something on the drive: .* has ext4")
        lab.run("modprobe", "ext4")
        lab.run("mount", self.disk, "/mnt")
        try:
            self.refused(f"the drive is in use: {self.disk} has a file system that is mounted",
                         "--serial", serial(KERNELS))
            self.assertIn("mounted", nvme_sh("list").stdout)
        finally:
            lab.run("umount", "/mnt")
        self.bound_and_back("--serial", serial(KERNELS))

    def test_file_system_of_a_partition(self):
        if not shutil.which("mkfs.ext4"):
            self.skipTest("needs mkfs.ext4")
        self.make_partition()
        part = f"{self.disk}p1"
        lab.run("mkfs.ext4", "-q", part)
        lab.run("modprobe", "ext4")
        lab.run("mount", part, "/mnt")
        try:
            self.refused(f"the drive is in use: {part} has a file system that is mounted",
                         "--serial", serial(KERNELS))
        finally:
            lab.run("umount", "/mnt")

    def test_part_of_another_device(self):
        if not shutil.which("dmsetup"):
            self.skipTest("needs dmsetup")
        lab.run("modprobe", "dm_mod")
        lab.run("dmsetup", "--noudevsync", "create", "held", "--table",
                f"0 8192 linear {self.disk} 0")
        try:
            self.refused(f"the drive is in use: {self.disk} is part of dm-0", "--serial",
                         serial(KERNELS))
        finally:
            lab.run("dmsetup", "--noudevsync", "remove", "held")

    def test_disk_that_a_program_has_open(self):
        with open(self.disk, "rb"):
            self.refused(f"the drive is in use: process {os.getpid()} has {self.disk} open",
                         "--serial", serial(KERNELS))
        self.bound_and_back()

    def test_drive_of_which_nobody_knows_what_is_on_it(self):
        guest.bind(KERNELS, None)
        try:
            completed = nvme_sh("bind", KERNELS)
            self.assertEqual(completed.returncode, 1)
            self.assertIn("nobody can see what is on it", completed.stderr)
            self.assertIsNone(guest.driver_of(KERNELS))
        finally:
            given_back(KERNELS)
            self.disk = disk(KERNELS)

    def test_user_who_is_not_root(self):
        for command in ("bind", "unbind"):
            completed = nvme_sh(command, KERNELS, user=NOBODY)
            self.assertEqual(completed.returncode, 1)
            self.assertIn("only root may give devices to drivers", completed.stderr)
        self.assertEqual(guest.driver_of(KERNELS), "nvme")

    def test_swap(self):
        lab.run("mkswap", self.disk)
        lab.run("swapon", self.disk)
        try:
            self.refused(f"the drive is in use: {self.disk} is swap", "--serial", serial(KERNELS))
        finally:
            lab.run("swapoff", self.disk)
        self.refused("there is something on the drive: .* has swap")

    def test_other_device(self):
        completed = nvme_sh("bind", NO_NVME)
        self.assertEqual(completed.returncode, 1)
        self.assertIn("the device is no NVMe controller", completed.stderr)

    def test_list(self):
        lines = nvme_sh("list").stdout.splitlines()
        self.assertEqual(len(lines), len(DRIVES))
        self.assertRegex(lines[0], f"^{DRIVE}  driver vfio-pci  group [0-9]+$")
        self.assertRegex(lines[4], f"^{KERNELS}  driver nvme  group [0-9]+  serial "
                                   f"{serial(KERNELS)}$")


class Smart(unittest.TestCase):
    """What `demi nvme smart` tells; lab.PROBE is demi."""
    NAMES = {"model", "serial", "firmware", "warning", "temperature", "spare", "life used", "read",
             "written", "powered on", "unsafe shutdowns", "media errors", "errors logged"}

    def setUp(self):
        if not lab.PROBE:
            self.skipTest("this build has no demi")

    @staticmethod
    def smart(*words):
        return subprocess.run([lab.PROBE, "nvme", "smart", *words], text=True,
                              capture_output=True, timeout=guest.DEADLINE_S)

    def well(self, said):
        self.assertEqual(set(said), self.NAMES)
        self.assertEqual((said["serial"], said["warning"], said["media errors"]),
                         (serial(DRIVE), "none", "0"))
        self.assertRegex(said["temperature"], "^[0-9]+ C$")
        self.assertRegex(said["read"], "^[0-9]+ MB in [0-9]+ commands$")

    def test_words(self):
        completed = self.smart(DRIVE)
        self.assertEqual(completed.returncode, 0, completed.stderr)
        self.well({line[:17].strip(): line[18:] for line in completed.stdout.splitlines()})

    def test_json(self):
        completed = self.smart("--json", DRIVE)
        self.assertEqual(completed.returncode, 0, completed.stderr)
        self.well(json.loads(completed.stdout))

    def refused(self, address, said):
        for words in ((address,), ("--json", address)):
            completed = self.smart(*words)
            self.assertEqual((completed.returncode, completed.stdout), (1, ""))
            self.assertIn(said, completed.stderr)

    def test_drive_that_the_kernel_has(self):
        self.refused(KERNELS, "the kernel has the device, for its driver nvme")

    def test_drive_that_a_program_has(self):
        holder = subprocess.Popen([lab.DEMI_ECHO, f"nvme:{DRIVE}", "hold"], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
        self.assertEqual(holder.stdout.readline(), "ready\n")
        self.refused(DRIVE, "another process has the device")
        holder.communicate()


class Programs(unittest.TestCase):
    """Those that choose their drive by --blk; lab.PROBE is demi, lab.DEMI_PING is demi-echo."""

    def setUp(self):
        if not lab.DEMI_PING:
            self.skipTest("this build has no demi-echo")
        lab.run("ip", "link", "set", "lo", "up")

    def log(self, *words, status=0):
        completed = subprocess.run(
            [lab.PROBE, "log", words[0], "--blk", f"nvme:{DRIVE}", *words[1:]], text=True,
            capture_output=True, timeout=guest.DEADLINE_S)
        self.assertEqual(completed.returncode, status, completed.stdout + completed.stderr)
        return completed.stdout

    def test_network_and_log(self):
        """What is received is written to the drive before it is answered; demi log finds it there."""
        self.log("format", "--overwrite")
        server = subprocess.Popen(
            [lab.DEMI_PING, "server", "--addr", "127.0.0.1:0", "--proto", "udp", "--libos",
             "catnap+cattree", "--log", "messages", "--blk", f"nvme:{DRIVE}", "--stats"],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            at = server.stdout.readline().rpartition(" ")[2].strip()
            client = subprocess.run(
                [lab.DEMI_PING, "client", "--addr", at, "--proto", "udp", "--libos", "catnap",
                 "--quiet", "--size", "9000", "--count", "50"], text=True, capture_output=True,
                timeout=guest.DEADLINE_S)
            self.assertEqual(client.returncode, 0, client.stdout + client.stderr)
            server.send_signal(signal.SIGTERM)
            said = server.communicate(timeout=guest.DEADLINE_S)[1]
        finally:
            server.kill()
            server.communicate()
        self.assertEqual(server.returncode, 0, said)
        # From where it was received: a drive takes any memory that begins at four bytes.
        self.assertNotIn("copied_bytes", said)
        self.assertEqual([(log["name"], log["first"], log["end"], log["damaged"])
                          for log in json.loads(self.log("list", "--json"))],
                         [("messages", 0, 50, False)])
        self.assertEqual(self.log("check"), "messages: ok, records up to 50\n")
        self.assertEqual(self.log("dump", "messages").count(", 9000 bytes\n"), 50)
        self.assertEqual(self.log("cat", "--count", "0", "messages"), "")
        self.log("cat", "none", status=1)


if __name__ == "__main__":
    guest.main("--huge-pages", "64", "--timeout", "300", "--qemu", qemu_arguments())
