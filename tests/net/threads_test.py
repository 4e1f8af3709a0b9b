#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Several runtimes of one program on one device: who gets what, and that nobody answers twice."""

import contextlib
import json
import os
import socket
import tempfile
import unittest

import lab
import udp_test

THREADS = 3
# There may be more of them than processors.
ENVIRONMENT = {"DEMI_RUNTIME_IDLE": "sleep"}
UNUSED = 9999


class Threads(unittest.TestCase):
    version = 4

    @contextlib.contextmanager
    def serving(self, proto):
        """A server; yields a dictionary, which has what each runtime did when the server has ended."""
        told = {}
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "server.json")
            with lab.server(self.version, environment=ENVIRONMENT, proto=proto, extra=[
                    "--threads", str(THREADS), "--json", path, "--stats"]) as server:
                yield told
            with open(path, encoding="utf-8") as file:
                told["runtimes"] = json.load(file)["runtimes"]
            told["errors"] = server.errors_text

    def test_streams_to_all(self):
        with self.serving("tcp") as told, contextlib.ExitStack() as stack:
            socks = [stack.enter_context(lab.tcp_socket(
                self.version, (lab.DEMI_IP[self.version], lab.PORT))) for _ in range(30)]
            for sock in socks:
                lab.exchange_stream(sock, 100)
            for sock in socks[::10]:
                lab.exchange_stream(sock, 300000)
        counts = [runtime["connections"] for runtime in told["runtimes"]]
        self.assertEqual(sum(counts), 30)
        # Of 30 flows that a hash spreads one of three gets none once in 60,000 times.
        self.assertTrue(all(counts), counts)
        self.assertNotIn("drops.bad_checksum", told["errors"])

    def test_datagrams_to_all(self):
        with self.serving("udp") as told, contextlib.ExitStack() as stack:
            socks = [stack.enter_context(lab.udp_socket(
                self.version, (lab.DEMI_IP[self.version], lab.PORT))) for _ in range(30)]
            for number in range(5):
                for sock in socks:
                    sock.send(lab.pattern(200 + number, number))
                    self.assertEqual(sock.recv(1000), lab.pattern(200 + number, number))
        counts = [runtime["messages"] for runtime in told["runtimes"]]
        self.assertEqual(sum(counts), 150)
        self.assertTrue(all(counts), counts)

    def test_fragments_find_their_socket(self):
        lab.needs_fragments(self.version)
        with self.serving("udp") as told, contextlib.ExitStack() as stack:
            for _ in range(10):
                sock = stack.enter_context(lab.udp_socket(
                    self.version, (lab.DEMI_IP[self.version], lab.PORT)))
                sock.send(lab.pattern(9000, 3))
                self.assertEqual(sock.recv(70000), lab.pattern(9000, 3))
        self.assertEqual(sum(runtime["messages"] for runtime in told["runtimes"]), 10)

    def test_one_answers(self):
        address = lab.DEMI_IP[self.version]
        with self.serving("tcp"), lab.Capture() as capture:
            lab.run("ip", "neighbour", "flush", "dev", lab.interface())
            lab.ping(address, 3)
            with lab.udp_socket(self.version, (address, UNUSED)) as sock:
                sock.send(b"nobody")
                with self.assertRaises(ConnectionRefusedError):
                    sock.recv(100)
            with self.assertRaises(ConnectionRefusedError):
                lab.tcp_socket(self.version, (address, UNUSED))
            with lab.tcp_socket(self.version, (address, lab.PORT)) as sock:
                lab.exchange_stream(sock, 10)
        replies, unreachable = (("icmp.type == 0", "icmp.type == 3") if self.version == 4 else
                                ("icmpv6.type == 129", "icmpv6.type == 1"))
        self.assertEqual(len(capture.packets(replies)), 3)
        self.assertEqual(len(capture.packets(unreachable)), 1)
        self.assertEqual(len(capture.packets(f"tcp.flags.reset == 1 && tcp.port == {UNUSED}")), 1)
        # Nobody resets another's connection.
        self.assertEqual(capture.packets(f"tcp.flags.reset == 1 && tcp.port == {lab.PORT}"), [])
        asked = "arp.opcode == 1 && eth.src" if self.version == 4 else "icmpv6.type == 135 && eth.src"
        said = "arp.opcode == 2 && eth.src" if self.version == 4 else "icmpv6.type == 136 && eth.src"
        self.assertEqual(len(capture.packets(f"{said} == {lab.DEMI_MAC}")),
                         len(capture.packets(f"{asked} == {lab.LINUX_MAC}")))
        self.assertEqual(capture.bad_checksums(), [])

    def ask(self, address, proto):
        result = lab.client(address, "--threads", str(THREADS), "--connections", "24", "--inflight",
                            "2", "--size", "700", "--count", "3000", environment=ENVIRONMENT,
                            proto=proto)
        # The first datagrams may be lost while nobody knows the other yet.
        self.assertEqual(result["verified"], 3000)
        self.assertLessEqual(result["lost"], 48 if proto == "udp" else 0)
        self.assertEqual([runtime["verified"] for runtime in result["runtimes"]], [1000] * 3)

    def test_clients_of_datagrams(self):
        with udp_test.kernel_echo(self.version) as (address, count):
            self.ask(address, "udp")
            self.assertGreaterEqual(count[0], 3000)

    def test_clients_of_streams(self):
        listener, address = lab.tcp_listener(self.version)
        with listener, contextlib.ExitStack() as stack:
            threads = [lab.Thread(self.serve_one, listener, stack) for _ in range(24)]
            self.ask(address, "tcp")
            for thread in threads:
                thread.end()

    @staticmethod
    def serve_one(listener, stack):
        sock = stack.enter_context(listener.accept()[0])
        sock.settimeout(lab.DEADLINE_S)
        with contextlib.suppress(ConnectionResetError):
            while data := sock.recv(65536):
                sock.sendall(data)

    def test_more_than_may_share(self):
        completed = lab.client(f"{lab.host(self.version, lab.LINUX_IP[self.version])}:9",
                               "--threads", "3", check=False,
                               environment=ENVIRONMENT | {"DEMI_NET_RUNTIMES_MAX": "2"})
        self.assertEqual(completed.returncode, 1)
        self.assertIn("2 runtimes share it already; raise net.runtimes_max", completed.stderr)


class Threads6(Threads):
    version = 6


if __name__ == "__main__":
    lab.main()
