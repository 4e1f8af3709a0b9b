#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
An NVMe drive of a machine without an IOMMU, which is given physical addresses: where the guest's
kernel has CONFIG_VFIO_NOIOMMU. Debian's has not.

    nvme_physical_test.py BLK_PROBE
"""

import os
import subprocess
import unittest

import guest
import nvme_test
from guest import lab

DRIVE = "0000:00:10.0"
PARAMETER = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"


def setUpModule():
    lab.run("modprobe", "nvme")
    nvme_test.disk(DRIVE)
    lab.run("modprobe", "vfio-pci")


class Bind(unittest.TestCase):
    def refused(self, said, *arguments):
        completed = nvme_test.nvme_sh("bind", DRIVE, *arguments)
        self.assertEqual(completed.returncode, 1)
        self.assertIn(said, completed.stderr)
        self.assertEqual(guest.driver_of(DRIVE), "nvme")

    def test_asks_for_it(self):
        self.refused("it is behind no IOMMU: switch on VT-d")

    def test_kernel_that_cannot(self):
        if os.path.exists(PARAMETER):
            self.skipTest("this kernel can")
        self.refused("it was built without CONFIG_VFIO_NOIOMMU", "--no-iommu")


class WithoutIommu(unittest.TestCase):
    WORDS = ",noiommu"

    @classmethod
    def setUpClass(cls):
        if not os.path.exists(PARAMETER):
            raise unittest.SkipTest("this kernel has no CONFIG_VFIO_NOIOMMU")

    @classmethod
    def tearDownClass(cls):
        nvme_test.given_back(DRIVE)

    def setUp(self):
        if guest.driver_of(DRIVE) != "vfio-pci":
            nvme_test.bound(DRIVE, "--no-iommu")

    says = nvme_test.Refused.says

    def test_bind(self):
        nvme_test.given_back(DRIVE)
        completed = nvme_test.nvme_sh("bind", DRIVE, "--no-iommu")
        self.assertEqual(completed.returncode, 0, completed.stderr)
        self.assertIn(f"without an IOMMU: root may use it, as nvme:{DRIVE},noiommu",
                      completed.stdout)

    def test_program_asks_for_it(self):
        self.says(nvme_test.probe(DRIVE, "info"), "EOPNOTSUPP",
                  f"the device is behind no IOMMU, .* say so: nvme:{DRIVE},noiommu")

    def test_vfio_that_is_not_allowed_any_more(self):
        guest.write(PARAMETER, "N")
        try:
            self.says(nvme_test.probe(DRIVE, "info", words=self.WORDS), "EOPNOTSUPP",
                      "the kernel's VFIO is not allowed to do without an IOMMU any more: write Y")
        finally:
            guest.write(PARAMETER, "Y")
        nvme_test.used(DRIVE, "info", words=self.WORDS)

    def test_user_who_may_not(self):
        os.chmod("/dev/vfio/vfio", 0o666)
        completed = nvme_test.probe(DRIVE, "info", words=self.WORDS, user=nvme_test.NOBODY)
        self.says(completed, "EACCES", "only root may have a device that is behind no IOMMU")

    def test_drive_that_another_process_has(self):
        holder = subprocess.Popen([lab.DEMI_ECHO, f"nvme:{DRIVE}{self.WORDS}", "hold"], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
        self.assertEqual(holder.stdout.readline(), "ready\n")
        self.says(nvme_test.probe(DRIVE, "info", words=self.WORDS), "EBUSY", "another process has the device")
        completed = nvme_test.nvme_sh("unbind", DRIVE)
        self.assertEqual(completed.returncode, 1)
        self.assertRegex(completed.stderr, r"a program uses it \(/dev/vfio/noiommu-[0-9]+\)")
        holder.communicate()
        self.assertEqual(holder.returncode, 0)

    def test_without_huge_pages(self):
        reserved = "/proc/sys/vm/nr_hugepages"
        with open(reserved, encoding="ascii") as file:
            before = file.read()
        try:
            for count, prepare, error, said in (
                    ("0", None, "ENOMEM", "no memory for queues: .* a reserved huge page of 2 MiB"),
                    ("1", lambda: os.environ.update(SMALL_PAGES="1"), "EOPNOTSUPP",
                     "the device's memory has to be of reserved huge pages")):
                with self.subTest(count):
                    guest.write(reserved, count)
                    completed = nvme_test.probe(DRIVE, "info", words=self.WORDS, prepare=prepare)
                    self.assertEqual((completed.returncode, completed.stdout),
                                     (1, f"open {error}\n"), completed.stderr)
                    self.assertRegex(completed.stderr, said)
        finally:
            guest.write(reserved, before)

    def test_random(self):
        said = nvme_test.used(DRIVE, "random", 7, 3000, words=self.WORDS)
        self.assertGreaterEqual(int(said["requests"]), 3000)
        self.assertEqual(said["mismatches"], "0")

    def test_kernel_reads_what_was_written(self):
        nvme_test.used(DRIVE, "write", 1234, 1, words=self.WORDS)
        nvme_test.given_back(DRIVE)
        with open(nvme_test.disk(DRIVE), "rb") as file:
            file.seek(1234 * 512)
            self.assertEqual(file.read(512), nvme_test.pattern(1234, 1, 512))


if __name__ == "__main__":
    guest.main("--no-iommu", "--huge-pages", "64", "--timeout", "300", "--qemu",
               nvme_test.qemu_arguments((DRIVE,)))
