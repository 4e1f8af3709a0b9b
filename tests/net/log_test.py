#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A network and a log past the kernel in one program (Catnip and Cattree), against its sockets: what
is answered was written before, from where it was received."""

import hashlib
import os
import struct
import subprocess
import tempfile
import threading
import unittest

import lab

DISK_BYTES = 256 << 20
STREAM_BYTES = 8 << 20


class Log(unittest.TestCase):
    version = 4

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "disk")
        with open(path, "wb") as file:
            file.truncate(DISK_BYTES)
        self.environment = {
            "LIBOS": "catnap+cattree" if lab.DEVICE == "kernel" else "catnip+cattree",
            "DEMI_BLK_DEV": f"uring:{path},block=512"}

    def server(self, proto, **environment):
        return lab.server(self.version, proto=proto, environment=self.environment | environment,
                          extra=("--log", "messages", "--stats"))

    def records(self):
        completed = subprocess.run(
            [os.environ["LOG_RECORDS"], "messages"], capture_output=True, timeout=lab.DEADLINE_S,
            env=os.environ | self.environment | {"LIBOS": "cattree"})
        self.assertEqual(completed.returncode, 0, completed.stderr)
        data, records, at = completed.stdout, [], 0
        while at < len(data):
            size = struct.unpack_from("<I", data, at)[0]
            records.append(data[at + 4:at + 4 + size])
            at += 4 + size
        return records

    def figures_of(self, server):
        figures = lab.parse_figures(server.errors_text)
        self.assertNotIn("blkdev.copied_bytes", figures)
        return figures

    def send_datagrams(self, sizes):
        sent = []
        for size in sizes:
            self.assertTrue(lab.echo_works(self.version, size), size)
            sent.append(lab.pattern(size, 77))
        return sent

    def test_each_datagram_is_a_record(self):
        largest = min(lab.whole_bytes_max(self.version) - 8, lab.UDP_BYTES_MAX[self.version])
        sizes = [size for size in (1, 511, 512, 513, 1000, 4096, 5000, 20000, 60000)
                 if size <= largest] * 5
        with self.server("udp") as server:
            sent = self.send_datagrams(sizes)
        self.assertEqual(self.records(), sent)
        self.assertNotIn("log.copied_bytes", self.figures_of(server))

    def test_answers_are_not_copied(self):
        """From one frame to the log and back to the network, with headers in place of the received ones"""
        with self.server("udp", DEMI_NET_COPY_MAX="256") as server:
            sent = self.send_datagrams([1400] * 50)
        self.assertEqual(self.records(), sent)
        figures = self.figures_of(server)
        self.assertGreaterEqual(figures["log.appends"], 50)
        for name in ("log.copied_bytes", "net.copied_bytes", "device.tx_copied_bytes"):
            self.assertNotIn(name, figures)

    def test_sleeping(self):
        with self.server("udp", DEMI_RUNTIME_IDLE="sleep", DEMI_RUNTIME_IDLE_AFTER_US="0"):
            sent = self.send_datagrams([1000] * 50)
        self.assertEqual(self.records(), sent)

    def test_stream(self):
        with self.server("tcp") as server:
            with lab.tcp_socket(self.version, (lab.DEMI_IP[self.version], lab.PORT)) as sock:
                sock.settimeout(lab.DEADLINE_S)
                sender = threading.Thread(target=lab.send_stream, args=(sock, STREAM_BYTES))
                sender.start()
                answer = lab.receive_stream(sock, STREAM_BYTES)
                sender.join()
        self.assertEqual(answer, (STREAM_BYTES, lab.stream_digest(STREAM_BYTES)))
        digest = hashlib.sha256()
        for record in self.records():
            digest.update(record)
        self.assertEqual(digest.hexdigest(), lab.stream_digest(STREAM_BYTES))
        # Of each piece only the ends were copied, less than two blocks.
        figures = self.figures_of(server)
        self.assertLess(figures["log.inline_bytes"], figures["log.append_bytes"])
        # But for what has no run long enough that lies as the device asks: rests of what was trimmed.
        self.assertLess(figures.get("log.copied_bytes", 0), figures["log.append_bytes"] // 50)
        print(f"# {figures['log.appends']} records in {figures['log.batches']} writes, "
              f"{figures['log.inline_bytes'] * 100 // figures['log.append_bytes']} % as ends")


class Log6(Log):
    version = 6


if __name__ == "__main__":
    lab.main()
