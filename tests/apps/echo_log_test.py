#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""demi-echo --log over Catnap and Cattree: what is answered is in the log, on a disk that is a file.

usage: echo_log_test.py DEMI_ECHO LOG_RECORDS [unittest's arguments]
"""

import json
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import echo_test
from echo_test import DEADLINE_S, Server, client, message

SKIPPED = 77
DEMI = RECORDS = ""
DISK_BYTES = 64 << 20


def figures(said):
    """What --stats has printed: the figures that are not 0."""
    return {name: int(value) for name, value in re.findall(r"^  (\S+) +(\d+)$", said, re.M)}


class EchoLog(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.disk(folder.name, DISK_BYTES)

    def disk(self, folder, size):
        self.path = os.path.join(folder, "disk")
        with open(self.path, "wb") as file:
            file.truncate(size)
        self.set("DEMI_BLK_DEV", f"uring:{self.path}")

    def set(self, name, value):
        before = os.environ.get(name)
        os.environ[name] = value

        def restore():
            if before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = before
        self.addCleanup(restore)

    def server(self, *options):
        server = Server(DEMI, "--libos", "catnap+cattree", "--log", "messages", *options)
        self.addCleanup(self.stop, server)
        return server

    @staticmethod
    def stop(server):
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()

    def client(self, server, *options):
        completed = client(DEMI, server.address, "--libos", "catnap", "--quiet", "--json", "-",
                           *options)
        self.assertEqual(completed.returncode, 0, completed.stderr)
        return json.loads(completed.stdout)

    def records(self, name="messages", device=None):
        environment = {"LIBOS": "cattree"}
        if device:
            environment["DEMI_BLK_DEV"] = f"uring:{device}"
        end = time.monotonic() + DEADLINE_S
        while True:
            completed = subprocess.run([RECORDS, name], env=os.environ | environment,
                                       capture_output=True, timeout=DEADLINE_S)
            # The kernel lets go of what a killed process had in its rings when it comes to it.
            if b"another process" not in completed.stderr or time.monotonic() > end:
                break
        self.assertEqual(completed.returncode, 0, completed.stderr)
        data, records = completed.stdout, []
        while data:
            size = struct.unpack_from("<I", data)[0]
            records.append(data[4:4 + size])
            data = data[4 + size:]
        return records

    def test_each_datagram_is_a_record(self):
        server = self.server("--proto", "udp", "--stats")
        # Behind whole blocks of either size there is a small end.
        sizes = (16, 200, 4700, 21000, 62000)
        for size in sizes:
            self.client(server, "--proto", "udp", "--size", str(size), "--count", "20")
        server.end()
        records = self.records()
        self.assertEqual(len(records), 100)
        for place, size in enumerate(sizes):
            for i in range(20):
                self.assertEqual(records[place * 20 + i], message(0, i, size))
        # It was written from where it was received, but for what is shorter than that is worth.
        said = figures(server.errors)
        self.assertGreaterEqual(said["log.appends"], 100)
        self.assertNotIn("log.copied_bytes", said)
        self.assertNotIn("blkdev.copied_bytes", said)
        self.assertLess(said["log.inline_bytes"], said["log.append_bytes"] // 10)

    def test_a_stream_is_there_in_its_order(self):
        server = self.server()
        self.client(server, "--size", "5000", "--count", "300", "--inflight", "8")
        server.end()
        self.assertEqual(b"".join(self.records()),
                         b"".join(message(0, i, 5000) for i in range(300)))

    def test_many_connections(self):
        server = self.server("--stats")
        self.client(server, "--size", "64", "--count", "2000", "--connections", "16",
                    "--inflight", "1")
        server.end()
        records = self.records()
        self.assertEqual(len(records), 2000)
        seen = {struct.unpack_from("<QI", record)[::-1] for record in records}
        self.assertEqual(len(seen), 2000)
        for record in records:
            sequence, connection = struct.unpack_from("<QI", record)
            self.assertEqual(record, message(connection, sequence, 64))
        # Those that came together were written together.
        said = figures(server.errors)
        self.assertLess(said["log.batches"], said["log.appends"])

    def test_what_was_answered_outlives_a_kill(self):
        for _ in range(3):
            server = self.server()
            before = len(self.records_after_kill(server))
            self.assertGreater(before, 0)

    def records_after_kill(self, server):
        before = getattr(self, "before", 0)
        process = subprocess.Popen(
            [DEMI, "client", "--addr", server.address, "--libos", "catnap", "--quiet", "--json",
             "-", "--size", "1000", "--duration", "30"], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        try:
            process.wait(0.7)
        except subprocess.TimeoutExpired:
            pass
        server.process.send_signal(signal.SIGKILL)
        server.process.communicate()
        out, errors = process.communicate(timeout=DEADLINE_S)
        self.assertEqual(process.returncode, 1, errors)
        verified = json.loads(out)["verified"]
        self.assertGreater(verified, 0)
        records = self.records()
        self.assertGreaterEqual(len(records) - before, verified)
        for i, record in enumerate(records[before:]):
            self.assertEqual(record, message(0, i, 1000))
        self.before = len(records)
        return records

    def test_full_disk(self):
        self.disk(os.path.dirname(self.path), 4 << 20)
        server = self.server()
        completed = client(DEMI, server.address, "--libos", "catnap", "--size", "65536", "--count",
                           "1000")
        self.assertEqual(completed.returncode, 1)
        self.assertIn("server gone", completed.stderr)
        server.end()
        self.assertIn("log: No space left on device", server.errors)

    def test_block_device_means_cattree(self):
        os.environ.pop("DEMI_BLK_DEV")
        for environment, options, works in (
                ({}, (), True), ({"LIBOS": "catnap"}, (), True), ({}, ("--libos", "catnap"), True),
                ({"LIBOS": "catnap+cattree"}, (), True), ({"LIBOS": "catnip"}, (), False),
                ({}, ("--libos", "catnip"), False), ({}, ("--dev", "loop"), True)):
            with self.subTest(environment=environment, options=options):
                inherited = {name: value for name, value in os.environ.items() if name != "LIBOS"}
                completed = subprocess.run(
                    [DEMI, "server", "--addr", "127.0.0.1:0", "--duration", "0.1", "--log",
                     "messages", "--blk", f"uring:{self.path}", *options], text=True,
                    capture_output=True, timeout=DEADLINE_S, env=inherited | environment)
                if works:
                    self.assertEqual(completed.returncode, 0, completed.stderr)
                else:
                    # The network of Catnip, which has no device or no such address.
                    self.assertEqual(completed.returncode, 1)
                    self.assertRegex(completed.stderr, "Catnip needs a device|net.ip")
        self.assertEqual(self.records(device=self.path), [])
        completed = client(DEMI, "127.0.0.1:7", "--blk", f"uring:{self.path}")
        self.assertEqual(completed.returncode, 2)
        self.assertIn("--blk is for the server", completed.stderr)

    def refused(self, words, *options):
        completed = subprocess.run(
            [DEMI, "server", "--addr", "127.0.0.1:0", "--log", "messages", *options], text=True,
            capture_output=True, timeout=DEADLINE_S)
        self.assertEqual(completed.returncode, 1, completed.stderr)
        self.assertIn(words, completed.stderr)

    def test_refusals(self):
        self.server()
        self.refused("another process", "--libos", "catnap+cattree")
        self.refused("allowed: catnap, catnip, ",
                     "--libos", "cattree+catnap")
        with open(self.path + ".foreign", "wb") as file:
            file.write(b"something" * 1000)
            file.truncate(DISK_BYTES)
        self.set("DEMI_BLK_DEV", f"uring:{self.path}.foreign")
        self.refused("something else on it", "--libos", "catnap+cattree")
        self.set("DEMI_BLK_DEV", "")
        self.refused("blk.dev (DEMI_BLK_DEV): a log needs a block device", "--libos",
                     "catnap+cattree")


def runs(folder):
    """Whether a runtime starts over a file here; else why not."""
    path = os.path.join(folder, "disk")
    with open(path, "wb") as file:
        file.truncate(DISK_BYTES)
    completed = subprocess.run(
        [DEMI, "server", "--addr", "127.0.0.1:0", "--duration", "0.1"], text=True,
        capture_output=True, env=os.environ | {"LIBOS": "catnap+cattree",
                                               "DEMI_BLK_DEV": f"uring:{path}"})
    return completed.returncode == 0, completed.stderr


if __name__ == "__main__":
    DEMI, RECORDS = sys.argv[1:3]
    echo_test.DEMI = DEMI
    with tempfile.TemporaryDirectory() as there:
        can, reason = runs(there)
    if not can and ("io_uring" in reason or "kinds" in reason):
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
