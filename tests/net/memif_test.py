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
    def server(self, version):
        """
        For one client: when that leaves, DPDK's driver (22.11) unmaps in a thread of its own what
        the server is reading, which may crash it. So it is killed, and not asked how it ended.
        """
        server = lab.Program(
            self.command(lab.DEMI_ECHO, "server", "--proto", "udp", "--addr",
                         f"{lab.host(version, IP['server'][version])}:{lab.PORT}"),
            self.environment("server"), ready=r"listening on ")
        try:
            yield server
        finally:
            server.process.kill()
            server.process.communicate()
            server.errors_file.close()

    def client(self, version, *options):
        completed = subprocess.run(
            self.command(lab.DEMI_ECHO, "client", "--proto", "udp", "--addr",
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

    def test_many_in_flight(self):
        with self.server(4):
            result = self.client(4, "--size", "200", "--count", "20000", "--inflight", "16",
                                 "--connections", "8")
            self.assertEqual(result["verified"], 20000)

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
