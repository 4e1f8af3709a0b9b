#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
A store of three replicas whose messages go over RDMA: Catmint, over Soft-RoCE in a guest.

    txnstore_test.py DEMI_TXNSTORE
"""

import os
import subprocess
import tempfile
import time
import unittest

import guest
import roce
from guest import lab

REPLICAS, PORT = 3, 7100
ENVIRONMENT = {"LIBOS": "catmint", "DEMI_CATMINT_DEVICE": roce.DEVICE, "DEMI_HEAP_MAX_BYTES": "96M",
               "DEMI_RUNTIME_IDLE": "sleep"}
SECONDS = 10
LARGE = "x" * 100000


def setUpModule():
    roce.set_up()


class Store(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.config = os.path.join(folder.name, "store.yaml")
        addresses = ", ".join(f"{roce.address(4)}:{PORT + i}" for i in range(REPLICAS))
        with open(self.config, "w", encoding="ascii") as file:
            # Processors are emulated, and there are four programs on them.
            file.write(f"shards:\n  - [{addresses}]\n")
        self.servers = [self.server(i, folder.name) for i in range(REPLICAS)]

    def server(self, replica, folder):
        said = open(os.path.join(folder, f"{replica}.out"), "w+", encoding="utf-8")
        server = subprocess.Popen(
            [lab.DEMI_ECHO, "server", "--config", self.config, "--shard", "0", "--replica",
             str(replica), "--election-ms", "3000", "--memory-mib", "48", "--new"],
            env=os.environ | ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        self.addCleanup(said.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        until = time.monotonic() + guest.DEADLINE_S
        while "normal" not in self.said(said) and time.monotonic() < until:
            self.assertIsNone(server.poll(), self.said(said))
            time.sleep(0.05)
        return server

    @staticmethod
    def said(file):
        file.seek(0)
        return file.read()

    def run_client(self, *words, lines=None):
        return subprocess.run([lab.DEMI_ECHO, *words], env=os.environ | ENVIRONMENT, text=True,
                              capture_output=True, timeout=guest.DEADLINE_S, input=lines)

    def test_values(self):
        completed = self.run_client("client", "--config", self.config, "--timeout", "60",
                                    lines=f"put key {LARGE}\nget key\n")
        self.assertEqual(completed.stdout.splitlines()[:2], ["committed", LARGE], completed.stderr)

    def test_what_clients_see(self):
        completed = self.run_client("check", "--config", self.config, "--check", "bank",
                                    "--seconds", str(SECONDS))
        self.assertEqual(completed.returncode, 0, completed.stdout + completed.stderr)
        self.assertIn("nothing is wrong", completed.stdout)


if __name__ == "__main__":
    roce.require()
    guest.main("--memory", "1024", "--timeout", "300")
