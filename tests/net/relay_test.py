#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""demi-relay on Catnip: coturn's clients and peers, and a client of our own, are the kernel's."""

import concurrent.futures
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import unittest

import lab

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../apps"))
import browser  # pylint: disable=wrong-import-position
import turn  # pylint: disable=wrong-import-position

RELAY = os.environ["RELAY"]
PORT = 3478
PEER_PORT = 3480
SIZES = (0, 1, 3, 4, 100, 1200, 1400, 1472, 1473, 1500, 4000)


@contextlib.contextmanager
def relay(version, *options, peers=("--allow-private-peers",), idle="spin"):
    """
    idle: what demi-relay does when it waits. One that sleeps is soon let in when something comes, on a
    machine that is busy too; one that spins has used up its share by then. So it sleeps where a client
    makes some hundred requests one after the other, in a time of its own.
    """
    listen = f"{lab.host(version)}:{PORT}"
    program = lab.Program(
        lab.demi_command(RELAY, "--listen", listen, "--relay-ip", lab.DEMI_IP[version], "--user",
                         "user:secret", "--realm", "example.org", "--stats", *peers, *options),
        lab.device_environment() | {"DEMI_RUNTIME_IDLE": idle},
        ready=r"listening on \S+ over udp\n")
    with program:
        # Not program.line(): what was read together with the first line is not to be waited for.
        said = program.process.stdout.readline()
        assert re.match(r"listening on \S+ over tcp\n", said), said
        yield program


def figures(program):
    line = [line for line in program.errors_text.splitlines() if " statistics: " in line][-1]
    words = line.partition(" statistics: ")[2].split()
    return dict(zip(words[::2], (int(word) for word in words[1::2])))


@contextlib.contextmanager
def turnutils_peer(version):
    process = subprocess.Popen(["turnutils_peer", "-L", lab.LINUX_IP[version], "-p",
                                str(PEER_PORT)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        with lab.udp_socket(version, (lab.LINUX_IP[version], PEER_PORT)) as probe:
            probe.settimeout(0.2)
            for _ in range(50):
                with contextlib.suppress(OSError):
                    probe.send(b"are you there?" * 5)
                    probe.recv(1000)
                    break
        yield
    finally:
        process.terminate()
        process.wait()


class Relay(unittest.TestCase):
    version = 4

    def client(self, proto="udp"):
        return turn.Client((lab.DEMI_IP[self.version], PORT), proto=proto)

    def allocate(self, client):
        client.allocate((turn.FAMILY, b"\2\0\0\0" if self.version == 6 else b"\1\0\0\0"))
        self.assertEqual(client.relayed[0], lab.DEMI_IP[self.version])

    def test_both_ways(self):
        for proto in ("udp", "tcp"):
            with self.subTest(proto=proto), relay(self.version) as program, \
                    self.client(proto) as client, lab.udp_socket(self.version) as peer:
                self.allocate(client)
                where = peer.getsockname()[:2]
                client.permit(where)
                self.exchange(lambda data: client.send_to(where, data), where, client, peer)
                client.bind(where, 0x4abc)
                self.exchange(lambda data: client.send_channel(0x4abc, data), 0x4abc, client, peer)
            counted = figures(program)
            self.assertEqual(counted["to_peer_packets"], 2 * len(self.sizes()))
            self.assertNotIn("drop_send_failed", counted)

    def sizes(self):
        most = lab.whole_bytes_max(self.version) - 200
        return [size for size in SIZES if size <= most]

    def exchange(self, send, name, client, peer):
        for size in self.sizes():
            data = lab.pattern(size, size)
            send(data)
            got, source = peer.recvfrom(70000)
            self.assertEqual(got, data)
            self.assertEqual(source[:2], client.relayed)
            peer.sendto(data, client.relayed)
            self.assertEqual(client.next_data(), (name, data))

    def test_stream_of_many_messages(self):
        with relay(self.version), self.client("tcp") as client, \
                lab.udp_socket(self.version) as peer:
            self.allocate(client)
            client.bind(peer.getsockname()[:2], 0x4000)
            for number in range(20):
                parts = [lab.pattern(997, 20 * number + part) for part in range(50)]
                client.send(b"".join(turn.padded(b"\x40\0\x03\xe5" + part) for part in parts))
                for part in parts:
                    self.assertEqual(peer.recv(2000), part)

    def test_payloads_are_not_copied(self):
        """The library counts what it copied though it was long; of an answer none is that long."""
        for proto in ("udp", "tcp"):
            with relay(self.version) as program, self.client(proto) as client, \
                    lab.udp_socket(self.version) as peer:
                self.allocate(client)
                client.bind(peer.getsockname()[:2], 0x4000)
                for size in range(1000, 1400, 7):
                    client.send_channel(0x4000, lab.pattern(size))
                    self.assertEqual(peer.recv(2000), lab.pattern(size))
                    peer.sendto(lab.pattern(size), client.relayed)
                    self.assertEqual(client.next_data()[1], lab.pattern(size))
            said = dict(re.findall(r"^  (\S+) +(\d+)$", program.errors_text, re.M))
            self.assertIn("device.tx_frames", said)
            self.assertNotIn("net.copied_bytes", said)

    def test_no_permission_no_data(self):
        with relay(self.version) as program, self.client() as client, \
                lab.udp_socket(self.version) as peer:
            self.allocate(client)
            client.send_to(peer.getsockname()[:2], b"no")
            peer.sendto(b"no", client.relayed)
            client.ask(turn.REFRESH)
        self.assertEqual(figures(program)["drop_no_permission"], 2)

    def test_private_networks_are_denied(self):
        with relay(self.version, peers=()), self.client() as client:
            self.allocate(client)
            client.permit((lab.LINUX_IP[self.version], 9), expect=403)

    def test_peers_that_refuse(self):
        """ICMP errors are told to the client, and end nothing; also of who is not there at all."""
        refused, absent = ((1, 4), (1, 3)) if self.version == 6 else ((3, 3), (3, 1))
        with relay(self.version) as program, self.client() as client, \
                lab.udp_socket(self.version) as peer:
            self.allocate(client)
            where = peer.getsockname()[:2]
            with lab.udp_socket(self.version) as gone:
                closed = gone.getsockname()[:2]
            nobody = ("10.77.0.99" if self.version == 4 else "fd77::99", 9)
            client.permit(where, closed, nobody)
            told = []
            client.send_to(nobody, b"anybody?")
            for _ in range(5):  # Linux tells no more at once
                client.send_to(closed, b"anybody?")
                client.send_to(where, b"here")
                self.assertEqual(peer.recv(100), b"here")
                told.append(client.next_error())
            # That nobody answers for an address is known when it has been asked for a few times.
            told.append(client.next_error())
            self.assertEqual(sorted(told), sorted([(closed, *refused, 0)] * 5 +
                                                  [(nobody, *absent, 0)]))
            client.ask(turn.REFRESH)
        counted = figures(program)
        self.assertEqual(counted["peer_errors"], 6)
        self.assertNotIn("drop_send_failed", counted)

    def test_dont_fragment(self):
        """A datagram that is to stay whole and is too large is not sent; the next one is."""
        with relay(self.version), self.client() as client, lab.udp_socket(self.version) as peer:
            lab.needs_fragments(self.version)
            self.allocate(client)
            where = peer.getsockname()[:2]
            client.permit(where)
            client.send_to(where, lab.pattern(1600), (turn.DONT_FRAGMENT, b""))
            client.send_to(where, lab.pattern(1700))
            self.assertEqual(peer.recv(2000), lab.pattern(1700))
            client.send_to(where, lab.pattern(1000), (turn.DONT_FRAGMENT, b""))
            self.assertEqual(peer.recv(2000), lab.pattern(1000))


class Relay6(Relay):
    version = 6


@unittest.skipUnless(shutil.which("turnutils_uclient"), "no coturn here")
class Coturn(unittest.TestCase):
    def exchange(self, version, *runs, sessions=3, count=10):
        """Runs of the client, all at the same time: they wait most of it. Of each: transport, options."""
        with relay(version, idle="sleep") as program, turnutils_peer(version), \
                concurrent.futures.ThreadPoolExecutor(len(runs)) as pool:
            clients = [pool.submit(
                turn.uclient, "-e", lab.LINUX_IP[version], "-r", str(PEER_PORT), "-n", str(count),
                "-m", str(sessions), "-l", "200", "-u", "user", "-w", "secret", "-L",
                lab.LINUX_IP[version], *(["-t"] if proto == "tcp" else []),
                *(["-x"] if version == 6 else []), *options, server=lab.DEMI_IP[version], port=PORT)
                       for proto, *options in runs]
            for client in clients:
                client.result()
        counted = figures(program)
        self.assertGreaterEqual(counted["to_peer_packets"], len(runs) * sessions * count)
        self.assertGreaterEqual(counted["to_client_packets"], len(runs) * sessions * count)
        self.assertEqual(counted.get("drop_malformed", 0), 0)

    def test_modes(self):
        for version in (4, 6):
            with self.subTest(version=version):
                self.exchange(version, ("udp",), ("tcp",), ("udp", "-s"), ("tcp", "-s"))

    def test_dont_fragment(self):
        self.exchange(4, ("udp", "-g", "-s"))

    def test_client_to_client(self):
        """The relay is its own peer."""
        for options in ((), ("-s",), ("-t",)):
            with self.subTest(options=options), relay(4, idle="sleep") as program:
                turn.uclient("-y", "-n", "10", "-m", "2", "-l", "200", "-u", "user", "-w",
                             "secret", "-L", lab.LINUX_IP[4], *options, server=lab.DEMI_IP[4],
                             port=PORT)
            self.assertGreaterEqual(figures(program)["to_client_packets"], 40)

    def test_many_sessions(self):
        self.exchange(4, ("udp",), sessions=40, count=5)

    def test_stunclient(self):
        with relay(4):
            said = subprocess.run(["turnutils_stunclient", "-p", str(PORT), lab.DEMI_IP[4]],
                                  text=True, capture_output=True, timeout=20).stdout
        self.assertRegex(said, r"UDP reflexive addr: 10\.77\.0\.1:\d+")


@unittest.skipUnless(browser.program(), "no chromium here")
class Browser(unittest.TestCase):
    """Two browsers of the kernel's end; their relayed addresses are both Demi's."""

    def test_data_channel(self):
        with browser.browsers(lab.LINUX_IP[4]) as browsers:
            for proto in ("udp", "tcp"):
                with self.subTest(proto=proto), relay(4, idle="sleep") as program:
                    ends = browsers.exchange(lab.DEMI_IP[4], PORT, proto, lab.DEMI_IP[4])
                    browser.check_allocations(program.errors, ends, proto)
                counted = figures(program)
                self.assertGreaterEqual(counted["to_peer_bytes"], 2 * sum(browser.SIZES))
                self.assertGreaterEqual(counted["to_client_bytes"], 2 * sum(browser.SIZES))
                self.assertEqual(counted["allocations_ended"], 2)


class Forward(unittest.TestCase):
    def test_both_ways(self):
        with lab.udp_socket(4) as target, contextlib.ExitStack() as stack:
            port = target.getsockname()[1]
            with lab.Program(
                    lab.demi_command(RELAY, "--forward",
                                     f"{lab.DEMI_IP[4]}:{PORT}={lab.LINUX_IP[4]}:{port}"),
                    lab.device_environment(), ready=r"forwarding \S+ to \S+\n"):
                clients = [stack.enter_context(lab.udp_socket(4)) for _ in range(10)]
                for number, client in enumerate(clients):
                    client.sendto(lab.pattern(1000, number), (lab.DEMI_IP[4], PORT))
                    data, source = target.recvfrom(2000)
                    self.assertEqual(data, lab.pattern(1000, number))
                    target.sendto(lab.pattern(100, number), source)
                    self.assertEqual(client.recv(2000), lab.pattern(100, number))


if __name__ == "__main__":
    lab.main()
