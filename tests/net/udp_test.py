#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""UDP between Demi and plain kernel sockets: every size, both directions, errors, checksums."""

import collections
import contextlib
import os
import re
import socket
import struct
import threading
import unittest

import lab

# How many of the sizes: "full" is all of IPv4's and a seventh of IPv6's large ones, "all" is all, and
# takes minutes.
SWEEP = os.environ.get("LAB_SWEEP", "full")
FULL = SWEEP in ("full", "all")


def sizes(version):
    """Always 1 to 2000 and around every size that fills one more fragment; an empty one has a test."""
    largest = min(lab.whole_bytes_max(version) - 8, lab.UDP_BYTES_MAX[version])
    if SWEEP == "all" or (FULL and version == 4):
        return range(1, largest + 1)
    edges = {1480 * n - 8 + d for n in range(1, 46) for d in (-1, 0, 1)}
    edges |= {1448 * n - 8 + d for n in range(1, 46) for d in (-1, 0, 1)}
    chosen = edges | set(range(1, 9001 if FULL else 2001)) | set(range(largest - 20, largest + 1))
    chosen |= set(range(2000, largest, 7 if FULL else 997))
    return sorted(size for size in chosen if 0 < size <= largest)


@contextlib.contextmanager
def kernel_echo(version):
    """A plain echo on a kernel socket; yields its address as demi-echo wants it, and its counts."""
    count = [0, 0]
    with lab.udp_socket(version) as sock:
        sock.settimeout(0.2)
        ended = threading.Event()

        def serve():
            while not ended.is_set():
                with contextlib.suppress(socket.timeout):
                    data, peer = sock.recvfrom(70000)
                    count[0] += 1
                    count[1] += len(data)
                    sock.sendto(data, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"{lab.host(version, lab.LINUX_IP[version])}:{sock.getsockname()[1]}", count
        finally:
            ended.set()
            thread.join()


class Server(unittest.TestCase):
    version = 4

    @classmethod
    def setUpClass(cls):
        cls.server = lab.server(cls.version)
        cls.server.__enter__()
        # From here on each knows where the other is.
        assert lab.echo_works(cls.version)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def test_every_size(self):
        with lab.udp_socket(self.version, (lab.DEMI_IP[self.version], lab.PORT)) as sock:
            view = memoryview(lab.pattern(lab.UDP_BYTES_MAX[self.version] + 4093))

            def message(size):
                return view[size % 4093:size % 4093 + size]

            # Some are on the way at a time: both ends work. Linux would lose some.
            window = 1 if lab.DEVICE == "kernel" else 4
            under_way = collections.deque()
            for size in sizes(self.version):
                sock.send(message(size))
                under_way.append(size)
                if len(under_way) == window:
                    self.take(sock, message(under_way.popleft()))
            while under_way:
                self.take(sock, message(under_way.popleft()))

    def take(self, sock, message):
        try:
            answer = sock.recv(70000)
        except socket.timeout:
            self.fail(f"no answer to {len(message)} bytes")
        if answer != message:
            self.fail(f"{len(message)} bytes came back as {len(answer)}, or changed")

    def test_empty_datagram_is_not_answered(self):
        # An empty array cannot be pushed, so that the program has no answer.
        with lab.udp_socket(self.version, (lab.DEMI_IP[self.version], lab.PORT)) as sock:
            sock.send(b"")
            sock.send(b"next")
            self.assertEqual(sock.recv(100), b"next")

    def test_many_clients(self):
        peer = (lab.DEMI_IP[self.version], lab.PORT)
        with contextlib.ExitStack() as stack:
            socks = [stack.enter_context(lab.udp_socket(self.version, peer)) for _ in range(200)]
            for turn in range(3):
                for number, sock in enumerate(socks):
                    sock.send(lab.pattern(1 + number + turn, number))
                for number, sock in enumerate(socks):
                    self.assertEqual(sock.recv(2000), lab.pattern(1 + number + turn, number))

    def test_burst_in_order(self):
        with lab.udp_socket(self.version, (lab.DEMI_IP[self.version], lab.PORT)) as sock:
            for turn in range(50):
                messages = [lab.pattern(40 + number, turn * 32 + number) for number in range(32)]
                for message in messages:
                    sock.send(message)
                self.assertEqual([sock.recv(2000) for _ in messages], messages)

    def test_closed_port_is_refused(self):
        with lab.udp_socket(self.version, (lab.DEMI_IP[self.version], lab.PORT + 1)) as sock:
            sock.send(b"is anybody there?")
            with self.assertRaises(ConnectionRefusedError):
                sock.recv(100)

    def test_closed_port_is_refused_to_a_datagram_in_fragments(self):
        lab.needs_fragments(self.version)
        with lab.udp_socket(self.version, (lab.DEMI_IP[self.version], lab.PORT + 1)) as sock:
            sock.send(lab.pattern(5000))
            with self.assertRaises(ConnectionRefusedError):
                sock.recv(100)

    @lab.needs("tcpdump", "tshark")
    def test_checksums_are_right(self):
        peer = (lab.DEMI_IP[self.version], lab.PORT)
        with lab.Capture() as capture:
            with lab.udp_socket(self.version, peer) as sock:
                for size in (*range(1, 65), 1471, 1472, 1473, 3000, 9001, 65507):
                    if size > lab.whole_bytes_max(self.version) - 8:
                        break
                    sock.send(lab.pattern(size, size))
                    self.assertEqual(len(sock.recv(70000)), size)
            with lab.udp_socket(self.version, (peer[0], lab.PORT + 1)) as sock:
                sock.send(b"refused")
                with self.assertRaises(ConnectionRefusedError):
                    sock.recv(100)
            lab.ping(peer[0], 2, "-s", "1000")
        source = f"ip.src == {peer[0]}" if self.version == 4 else f"ipv6.src == {peer[0]}"
        self.assertGreater(len(capture.packets(source, "frame.number")), 64)
        self.assertEqual(capture.bad_checksums(), [])

    def test_checksum_of_zero_is_sent_as_ones(self):
        # RFC 768: a sum that comes to zero is 0xffff on the wire; 0 is none, and IPv6 forbids it.
        with lab.packet_socket() as sniffer, \
                lab.udp_socket(self.version, (lab.DEMI_IP[self.version], lab.PORT)) as sock:
            port = sock.getsockname()[1]
            base = lab.udp(b"\0\0", self.version, lab.PORT, port, lab.DEMI_IP[self.version],
                           lab.LINUX_IP[self.version])
            # What makes the sum all ones is the checksum itself, as payload.
            payload = base[6:8]
            sock.send(payload)
            self.assertEqual(sock.recv(100), payload)
            at = 14 + (20 if self.version == 4 else 40)
            while True:
                frame = sniffer.recv(2000)
                if frame[6:12] == lab.mac_bytes(lab.DEMI_MAC) and frame[at + 8:at + 10] == payload:
                    break
            self.assertEqual(frame[at + 6:at + 8], b"\xff\xff")


class Server4(Server):
    def test_without_a_checksum(self):
        # RFC 768: an all zero checksum means that the sender made none.
        with lab.udp_socket(4, (lab.DEMI_IP[4], lab.PORT)) as sock:
            sock.setsockopt(socket.SOL_SOCKET, 11, 1)  # SO_NO_CHECK
            sock.send(lab.pattern(100))
            self.assertEqual(sock.recv(2000), lab.pattern(100))


class Server6(Server):
    version = 6

    @unittest.skipIf(lab.DEVICE == "kernel", "the laboratory gives the kernel no such address")
    def test_link_local(self):
        # The server is bound to another address: nobody is there, and we are told.
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.settimeout(lab.ANSWER_S)
            sock.connect((lab.DEMI_LINK_LOCAL, lab.PORT, 0,
                          socket.if_nametoindex(lab.interface())))
            sock.send(b"hello")
            with self.assertRaises(ConnectionRefusedError):
                sock.recv(100)


class Wildcard(unittest.TestCase):
    def test_one_server_for_both_versions(self):
        with lab.server(6, address="::"):
            self.assertTrue(lab.echo_works(6))
            self.assertTrue(lab.echo_works(4))

    def test_one_server_for_ipv4_alone(self):
        with lab.server(4, address="0.0.0.0"):
            self.assertTrue(lab.echo_works(4, 1400))
            with lab.udp_socket(6, (lab.DEMI_IP[6], lab.PORT)) as sock:
                sock.send(b"x")
                with self.assertRaises(ConnectionRefusedError):
                    sock.recv(10)


class Client(unittest.TestCase):
    version = 4

    @classmethod
    def setUpClass(cls):
        lab.know_demi()

    @classmethod
    def tearDownClass(cls):
        lab.know_demi(False)

    def test_sizes(self):
        with kernel_echo(self.version) as (address, count):
            for size in (1, 16, 64, 1024, 1452, 1453, 1472, 1473, 4096, 9000, 40000, 65507):
                if size > lab.whole_bytes_max(self.version) - 8:
                    break
                with self.subTest(size=size):
                    before = count[0]
                    result = lab.client(address, "--size", str(size), "--count", "200")
                    self.assertEqual((result["verified"], result["lost"]), (200, 0))
                    self.assertEqual(count[0] - before, 200)

    def test_many_in_flight(self):
        with kernel_echo(self.version) as (address, _):
            result = lab.client(address, "--size", "200", "--count", "5000", "--inflight", "16",
                                "--connections", "4")
            self.assertEqual((result["verified"], result["lost"]), (5000, 0))

    def test_closed_port_is_refused(self):
        with lab.udp_socket(self.version) as sock:
            port = sock.getsockname()[1]
        address = f"{lab.host(self.version, lab.LINUX_IP[self.version])}:{port}"
        completed = lab.client(address, "--count", "3", check=False)
        self.assertEqual(completed.returncode, 1, completed.stdout)
        self.assertIn("Connection refused", completed.stderr)

    @lab.needs("tcpdump", "tshark")
    def test_checksums_are_right(self):
        with lab.Capture() as capture, kernel_echo(self.version) as (address, _):
            for size in (1, 63, 1473, 20001):
                if size > lab.whole_bytes_max(self.version) - 8:
                    break
                lab.client(address, "--size", str(size), "--count", "20")
        udp = capture.packets("udp", "frame.number")
        self.assertGreaterEqual(len(udp), 2 * 40)
        self.assertEqual(capture.bad_checksums(), [])


class Client6(Client):
    version = 6


class Sockperf(unittest.TestCase):
    """An unmodified client of others, which has its own idea of a reply."""

    version = 4

    def sockperf(self, *options):
        with lab.server(self.version, extra=["--reply", "sockperf"]) as server:
            lab.check_sockperf(self.version, *options)
        return int(re.search(r"(\d+) messages", server.out)[1]), server.errors_text

    @lab.needs("sockperf")
    def test_ping_pong(self):
        self.assertGreater(self.sockperf("ping-pong", "-m", "1400")[0], 100)

    @lab.needs("sockperf")
    def test_under_load(self):
        # Nine of ten messages want no reply.
        self.assertGreater(self.sockperf("under-load", "--mps", "5000", "--reply-every", "10")[0], 1000)

    def test_others_get_no_reply(self):
        header = struct.pack("!QHI", 1, 3, 14 + 6)
        with lab.server(self.version, extra=["--reply", "sockperf"]) as server, \
                lab.udp_socket(self.version, (lab.DEMI_IP[self.version], lab.PORT)) as sock:
            for bad in (b"x", header, header + b"short", header + b"too long",
                        struct.pack("!QHI", 1, 2, 20) + b"server",   # it is no client's
                        struct.pack("!QHI", 1, 1, 20) + b"silent",   # it wants no reply
                        struct.pack("!QHI", 1, 3, 13) + b"length"):
                sock.send(bad)
            sock.send(header + b"answer")
            self.assertEqual(sock.recv(100), struct.pack("!QHI", 1, 2, 20) + b"answer")
        self.assertIn("not a sockperf client", server.errors_text)


class Sockperf6(Sockperf):
    version = 6


del Server
if lab.DEVICE not in ("afxdp", "kernel"):
    del Sockperf, Sockperf6  # takes its time, and shows the same

if __name__ == "__main__":
    lab.main()
