#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two Catnips, joined by shared memory (DPDK's memif): no root, no huge pages, no interface."""

import contextlib
import json
import os
import re
import subprocess
import tempfile
import unittest

import lab

NOBODY = 65534
IP = {"server": {4: "10.76.0.1", 6: "fd76::1"}, "client": {4: "10.76.0.2", 6: "fd76::2"}}


class Memif(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.chmod(self.folder, 0o755)

    def command(self, *words):
        if os.geteuid() != 0:
            return list(words)
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--", *words]

    def environment(self, role):
        runtime = os.path.join(self.folder, role)
        if not os.path.isdir(runtime):
            os.mkdir(runtime, 0o700)
            if os.geteuid() == 0:
                os.chown(runtime, NOBODY, NOBODY)
        # An abstract name, which is gone with who has it.
        name = f"demi-{os.getpid()}-{os.path.basename(self.folder)[-8:]}"
        return dict(os.environ) | {
            "LIBOS": "catnip", "XDG_RUNTIME_DIR": runtime,
            "DEMI_NET_DEV": f"dpdk:net_memif0,role={role},id=0,socket={name}",
            "DEMI_NET_IP": ",".join(f"{IP[role][version]}/{lab.PREFIX[version]}"
                                    for version in (4, 6))}

    @contextlib.contextmanager
    def server(self, version, proto="udp"):
        with lab.Program(
                self.command(lab.DEMI_ECHO, "server", "--proto", proto, "--addr",
                             f"{lab.host(version, IP['server'][version])}:{lab.PORT}"),
                self.environment("server"), ready=r"listening on ") as server:
            yield server

    @contextlib.contextmanager
    def same_client(self):
        """With one address of its link: a neighbour that has another is asked for at length."""
        os.environ["DEMI_NET_MAC"] = "02:00:00:00:76:02"
        try:
            yield
        finally:
            del os.environ["DEMI_NET_MAC"]

    def client(self, version, *options, proto="udp"):
        completed = subprocess.run(
            self.command(lab.DEMI_ECHO, "client", "--proto", proto, "--addr",
                         f"{lab.host(version, IP['server'][version])}:{lab.PORT}", "--quiet",
                         "--json", "-", *options),
            env=self.environment("client"), capture_output=True, text=True,
            timeout=lab.DEADLINE_S)
        self.assertEqual(completed.returncode, 0, completed.stdout + completed.stderr)
        return json.loads(re.search(r"^\{.*", completed.stdout, re.M | re.S)[0])

    def test_echo(self):
        for version in (4, 6):
            for size in (1, 1472, 65507):
                with self.subTest(version=version, size=size), self.server(version):
                    result = self.client(version, "--size", str(size), "--count", "1000")
                    self.assertEqual(result["verified"], 1000)

    def test_stream(self):
        for version in (4, 6):
            for size in (1, 100000):
                with self.subTest(version=version, size=size), self.server(version, "tcp"):
                    result = self.client(version, "--size", str(size), "--count", "200",
                                         "--connections", "2", "--inflight", "2", proto="tcp")
                    self.assertEqual(result["verified"], 200)

    def test_many_in_flight(self):
        with self.server(4):
            result = self.client(4, "--size", "200", "--count", "20000", "--inflight", "16",
                                 "--connections", "8")
            self.assertEqual(result["verified"], 20000)

    def test_both_start_at_once(self):
        """A server listens before it knows its interface, and sends clients away until it does."""
        address = f"{IP['server'][4]}:{lab.PORT}"
        for _ in range(20):
            with subprocess.Popen(
                    self.command(lab.DEMI_ECHO, "server", "--addr", address, "--quiet"),
                    env=self.environment("server"), stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL) as server:
                try:
                    completed = subprocess.run(
                        self.command(lab.DEMI_ECHO, "client", "--addr", address, "--quiet",
                                     "--count", "10"),
                        env=self.environment("client"), capture_output=True, text=True,
                        timeout=lab.DEADLINE_S)
                finally:
                    server.kill()
            # It may have been there, and not have listened.
            if "Connection refused" not in completed.stderr:
                self.assertEqual(completed.returncode, 0, completed.stderr)

    def test_clients_that_come_and_go(self):
        """
        DPDK's driver unmaps in a thread of its own what the server is polling; that shares a
        processor with others here, so that it is often interrupted.
        """
        with self.server(4), self.same_client():
            for _ in range(30):
                result = self.client(4, "--size", "200", "--count", "50")
                self.assertEqual(result["verified"], 50)

    def test_closed_port_is_refused(self):
        with self.server(4):
            completed = subprocess.run(
                self.command(lab.DEMI_ECHO, "client", "--proto", "udp", "--addr",
                             f"{IP['server'][4]}:{lab.PORT + 1}", "--count", "2"),
                env=self.environment("client"), capture_output=True, text=True,
                timeout=lab.DEADLINE_S)
            self.assertEqual(completed.returncode, 1)
            self.assertIn("Connection refused", completed.stderr)


if __name__ == "__main__":
    lab.main(needs_lab=False)
