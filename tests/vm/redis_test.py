#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
redis-server on queues of Demi's over RDMA: Catmint on Soft-RoCE in a guest, with its append-only file
on Cattree. demi-redis-load asks, over Catmint too, and compares every byte.

    redis_test.py REDIS_SERVER DEMI_REDIS_LOAD [-- TEST...]
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

import guest
import roce
from guest import lab

ENVIRONMENT = {"LIBOS": "catmint", "DEMI_CATMINT_DEVICE": roce.DEVICE, "DEMI_HEAP_MAX_BYTES": "256M"}
SERVER, LOAD = (sys.argv + ["", ""])[1:3]
PORT = 6379


def setUpModule():
    roce.set_up()


def block_device(folder):
    """Over a file: the guest's file systems are in memory, and know no writes past the page cache."""
    path = os.path.join(folder, "disk.img")
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    lab.run("modprobe", "loop")
    return lab.run("losetup", "--find", "--show", path).stdout.strip()


class Redis(unittest.TestCase):
    def serve(self, folder, *options, **environment):
        at = roce.address(4)
        server = roce.Server([SERVER, "--protected-mode", "no", "--save", "", "--port", str(PORT), "--bind",
                              at, "--dir", folder, "--logfile", os.path.join(folder, "log"), *options],
                             "cm", ENVIRONMENT | environment)
        self.addCleanup(lambda: server.process.poll() is None and server.process.kill())
        return server

    def load(self, *options):
        completed = subprocess.run(
            [LOAD, "--addr", f"{roce.address(4)}:{PORT}", "--connections", "4", "--keys", "20", "--verify",
             "--quiet", "--json", "-", *map(str, options)], text=True, capture_output=True,
            timeout=2 * guest.DEADLINE_S, env=os.environ | ENVIRONMENT, check=False)
        self.assertEqual(completed.returncode, 0, completed.stderr + completed.stdout)
        return json.loads(completed.stdout)

    def test_values_of_many_sizes(self):
        with tempfile.TemporaryDirectory() as folder:
            self.serve(folder)
            before = roce.counts()
            for size in (64, 4096, 65536):
                said = self.load("--command", "mixed", "--size", size, "--pipeline", 4, "--requests", 300,
                                 "--prefill")
                self.assertGreater(said["verified"], 50)
            grown = {name: value - before[name] for name, value in roce.counts().items()}
            self.assertGreater(grown["sent_pkts"], 1800)
            self.assertEqual(grown.get("retry_exceeded_err", 0), 0)

    def test_log_of_a_server_that_is_killed(self):
        with tempfile.TemporaryDirectory() as folder:
            more = {"LIBOS": "catmint+cattree", "DEMI_BLK_DEV": f"uring:{block_device(folder)}"}
            options = ("--appendonly", "yes", "--appendfsync", "always")
            server = self.serve(folder, *options, **more)
            self.load("--command", "set", "--size", 3000, "--requests", 100, "--prefill")
            server.process.kill()
            server.process.wait()
            self.assertEqual([name for name in os.listdir(f"{folder}/appendonlydir") if ".incr" in name], [])
            self.serve(folder, *options, **more)
            self.assertEqual(self.load("--command", "get", "--size", 3000, "--requests", 100)["verified"], 100)


if __name__ == "__main__":
    if not (os.access(SERVER, os.X_OK) and os.access(LOAD, os.X_OK)):
        lab.skip_all("redis_test.py needs a server of `make redis`, and demi-redis-load")
    roce.require()
    guest.main("--memory", "1024", "--timeout", "400")
