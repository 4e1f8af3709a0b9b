#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""TCP over worse paths: packets lost, late or too many at once, a narrow hop behind a router.

Where the kernel has no netem, loss and reordering are made of what it has: filters of the old BPF that
draw random numbers, and tbf on an ifb.
"""

import contextlib
import os
import socket
import time
import unittest

import lab

HOP_MTU = 1300
FULL = os.environ.get("LAB_SWEEP", "full") == "full"
BYTES = int(os.environ.get("TCP_BULK_MIB", "8" if FULL else "2")) << 20
PATIENCE_S = 60 + BYTES // (1 << 19)
GATEWAY = {"DEMI_NET_GW": f"{lab.LINUX_IP[4]},{lab.LINUX_IP[6]}"}

EVERY_PACKET = "1,6 0 0 4294967295"


def some_packets(share, verdict=0xFFFFFFFF):
    """Of the old BPF: ld rand; jge; ret @verdict (all ones: it is one), ret 0 (it is not)."""
    other = 0xFFFFFFFF if verdict != 0xFFFFFFFF else 0
    return (f"4,32 0 0 {0xFFFFF038},53 0 1 {int((1 - share) * (1 << 32))},"
            f"6 0 0 {verdict},6 0 0 {other}")


def tc(*words):
    lab.run("tc", *words)


class Path:
    """What is done to the packets of both directions meanwhile; skips where the kernel cannot."""

    def __init__(self):
        self.ifbs = []

    def __enter__(self):
        try:
            tc("qdisc", "add", "dev", lab.interface(), "clsact")
            self.make()
        except AssertionError as error:
            self.__exit__()
            raise unittest.SkipTest(f"this kernel cannot: {str(error).splitlines()[0]}") from error
        return self

    def __exit__(self, *_):
        lab.run("tc", "qdisc", "delete", "dev", lab.interface(), "clsact", check=False)
        for name in self.ifbs:
            lab.run("ip", "link", "delete", name, check=False)

    def filter(self, bytecode, *action):
        for direction in ("egress", "ingress"):
            tc("filter", "add", "dev", lab.interface(), direction, "bpf", "bytecode", bytecode,
               *action)

    def divert(self, bytecode, *qdisc):
        """These packets of each direction go through a queue of their own."""
        for direction in ("egress", "ingress"):
            name = f"ifb-{direction}"
            lab.run("ip", "link", "add", name, "mtu", "9000", "type", "ifb")
            self.ifbs.append(name)
            lab.run("ip", "link", "set", name, "up")
            tc("qdisc", "add", "dev", name, "root", *qdisc)
            tc("filter", "add", "dev", lab.interface(), direction, "bpf", "bytecode", bytecode,
               "action", "mirred", "egress", "redirect", "dev", name)


class Lossy(Path):
    def __init__(self, share):
        super().__init__()
        self.share = share

    def make(self):
        self.filter(some_packets(self.share, verdict=2), "direct-action")  # TC_ACT_SHOT


class Reordering(Path):
    """A fifth of the packets is late."""

    def make(self):
        self.divert(some_packets(0.2), "tbf", "rate", "400mbit", "burst", "1600", "limit", "300000")


class Slow(Path):
    """A link of 200 Mbit/s, in front of which a queue of 20 packets overflows."""

    def make(self):
        self.divert(EVERY_PACKET, "tbf", "rate", "200mbit", "burst", "9000", "limit", "30000")


class Netem(Path):
    def make(self):
        self.divert(EVERY_PACKET, "netem", "limit", "10000", "delay", "10ms", "3ms", "loss", "0.5%",
                    "duplicate", "1%")


def request(version, method, number, length=0):
    sock = lab.tcp_socket(version, (lab.DEMI_IP[version], 80))
    sock.settimeout(PATIENCE_S)
    sock.sendall(f"{method} /{number} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n".encode())
    return sock


def head(sock):
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        part = sock.recv(1)
        assert part, text
        text += part
    assert text.startswith(b"HTTP/1.0 200 "), text


def get(version, size):
    """From Demi."""
    with request(version, "GET", size) as sock:
        head(sock)
        received = lab.receive_stream(sock)
        assert received == (size, lab.stream_digest(size)), f"{received[0]} bytes of {size}, changed"


def put(version, size):
    """To Demi."""
    with request(version, "PUT", 0, size) as sock:
        lab.send_stream(sock, size)
        head(sock)
        assert sock.recv(100) == f"received {size}\n".encode()


def http(version, environment=None):
    return lab.Program(lab.demi_command(lab.PROBE, "http", lab.DEMI_IP[version], "80"),
                       lab.device_environment() | (environment or {}), ready="ready\n")


class Impaired(unittest.TestCase):
    version = 4

    def both_ways(self, path, size=BYTES):
        with http(self.version), path:
            for name, transfer in (("from", get), ("to", put)):
                began = time.monotonic()
                transfer(self.version, size)
                rate = size / (time.monotonic() - began) / (1 << 20)
                print(f"# {name} demi: {rate:.1f} MiB/s")

    def test_loss_of_one_percent(self):
        self.both_ways(Lossy(0.01))

    def test_loss_of_ten_percent(self):
        # Windows are of two segments then, and what is lost twice waits for the timer.
        self.both_ways(Lossy(0.1), BYTES // 32)

    def test_reordering(self):
        self.both_ways(Reordering())

    def test_queue_that_overflows(self):
        self.both_ways(Slow())

    def test_netem(self):
        self.both_ways(Netem(), BYTES // 4)

    def test_many_connections_with_loss(self):
        with lab.server(self.version, proto="tcp"), Lossy(0.02):
            said = lab.run(lab.DEMI_ECHO, "client", "--addr",
                           f"{lab.host(self.version)}:{lab.PORT}", "--libos", "catnap",
                           "--connections", "50", "--size", "3000", "--count", "1000",
                           "--quiet").stdout
        self.assertRegex(said, r"verified +1000 messages, every byte; 0 lost, 0 duplicates")


class Narrow(unittest.TestCase):
    """The host behind the router believes that its path has the MTU of an Ethernet."""
    version = 4

    @classmethod
    def setUpClass(cls):
        for version, advmss in ((4, "1460"), (6, "1440")):
            lab.run("ip", "-n", os.environ["LAB_FAR"], f"-{version}", "route", "replace", "default",
                    "via", {4: "10.78.0.1", 6: "fd78::1"}[version], "advmss", advmss)

    def setUp(self):
        self.server = http(self.version, GATEWAY)
        self.server.__enter__()
        self.addCleanup(self.server.end)

    @contextlib.contextmanager
    def far(self):
        """lab.tcp_socket makes sockets of the far host's meanwhile."""
        with lab.in_far():
            before = lab.LINUX_IP[self.version]
            lab.LINUX_IP[self.version] = lab.FAR_IP[self.version]
            try:
                yield
            finally:
                lab.LINUX_IP[self.version] = before

    @lab.needs("tcpdump", "tshark")
    def test_path_mtu_is_learned(self):
        # RFC 1191, RFC 8201: what was too big is sent again, smaller; what follows fits.
        with lab.Capture() as capture:
            with self.far():
                get(self.version, 1000000)
                get(self.version, 100000)
        told = {4: "icmp.type == 3 && icmp.code == 4", 6: "icmpv6.type == 2"}[self.version]
        length = {4: "ip.len", 6: "ipv6.plen"}[self.version]
        source = {4: "ip.src", 6: "ipv6.src"}[self.version]
        over = {4: HOP_MTU, 6: HOP_MTU - 40}[self.version]
        rows = capture.packets(f"({told}) || {source} == {lab.DEMI_IP[self.version]} && "
                               f"{length} > {over} || {lab.BAD_CHECKSUM}",
                               "tcp.checksum.status", "icmp.type", "icmpv6.type")
        words = [row for row in rows if row[1] or row[2]]
        large = [row for row in rows if row == ["1", "", ""]]
        self.assertGreater(len(words), 0)
        # No more than what was under way when the first word came: the first window, or a bit more.
        self.assertLessEqual(len(large), 16)
        self.assertEqual(len(words) + len(large), len(rows), "a checksum is wrong")

    def test_to_demi(self):
        with self.far():
            put(self.version, BYTES)

    def test_refused_from_afar(self):
        with self.far(), lab.tcp_socket(self.version) as sock, \
                self.assertRaises(ConnectionRefusedError):
            sock.connect((lab.DEMI_IP[self.version], 81))


class Narrow6(Narrow):
    version = 6


class FarAway(unittest.TestCase):
    """Demi's connects to what is not there, behind the router."""

    def setUp(self):
        lab.know_demi()
        self.addCleanup(lab.know_demi, False)

    def fails(self, address, environment=GATEWAY):
        completed = lab.client(address, "--count", "1", check=False, environment=environment,
                               proto="tcp")
        self.assertEqual(completed.returncode, 1, completed.stdout)
        return completed.stderr

    def test_no_route(self):
        if lab.DEVICE == "kernel":
            self.skipTest("the kernel's end has a route already")
        for version in (4, 6):
            address = f"{lab.host(version, lab.FAR_IP[version])}:9"
            self.assertIn("Network is unreachable", self.fails(address, {}))

    def test_closed_port(self):
        for version in (4, 6):
            address = f"{lab.host(version, lab.FAR_IP[version])}:9"
            self.assertIn("Connection refused", self.fails(address))

    def test_nobody_behind_the_router(self):
        # The router says so, by ICMP, which ends no connect (RFC 9293, 3.9.2.2), but is the reason for
        # which it fails when its time is up.
        address = {4: "10.78.0.99", 6: "fd78::99"}
        for version in (4, 6):
            said = self.fails(f"{lab.host(version, address[version])}:9",
                              GATEWAY | {"DEMI_TCP_CONNECT_TIMEOUT_S": "5"})
            self.assertIn("No route to host", said)


if __name__ == "__main__":
    lab.main(["--router", "--hop-mtu", str(HOP_MTU)])
