#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs demi-relay as an operator does, with coturn's clients and peers, and with bad ones.

usage: relay_test.py DEMI_RELAY [unittest's arguments]
"""

import base64
import concurrent.futures
import contextlib
import hashlib
import hmac
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import relay_server
import turn
from relay_server import (DEADLINE_S, LOOPBACK, USER, Server, reference, serving, turnutils_peer,
                          udp_peer)


def is_quiet(sock, seconds=0.2):
    return not select.select([sock], [], [], seconds)[0]


@unittest.skipUnless(shutil.which("turnutils_uclient"), "no coturn here")
class Coturn(unittest.TestCase):
    """coturn's own client and peer, in all of their modes; they wait most of the time."""

    def exchange(self, *runs, version=4, sessions=3, auth=USER,
                 credentials=("-u", "user", "-w", "secret"), count=10):
        """
        Runs of the client, all at the same time, with demi-relay, and with turnserver, which shows
        what can be asked. Of each: the transport, whether to a peer or to each other, options.
        """
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(serving(version=version, auth=auth))
            control = stack.enter_context(reference(version, auth))
            peer = stack.enter_context(turnutils_peer(version))
            pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(2 * len(runs)))
            clients = []
            for proto, to_peer, *options in runs:
                words = ["-n", str(count), "-m", str(sessions), "-l", "200", *credentials, *options]
                words += ["-t"] if proto == "tcp" else []
                words += ["-e", LOOPBACK[version], "-r", str(peer)] if to_peer else ["-y"]
                for port in (control, server.ports[proto]):
                    clients.append(pool.submit(turn.uclient, *words, server=LOOPBACK[version],
                                               port=port))
            for client in clients:
                client.result()
        figures = server.figures()
        packets = len(runs) * sessions * count
        self.assertGreaterEqual(figures["to_peer_packets"], packets)
        self.assertGreaterEqual(figures["to_client_packets"], packets)
        self.assertEqual(figures.get("drop_malformed", 0), 0)
        self.assertEqual(figures.get("drop_no_permission", 0), 0)
        self.assertEqual("connections_made" in figures, any(run[0] == "tcp" for run in runs))
        self.assertEqual("channel_requests" in figures, not all("-s" in run for run in runs))
        return figures

    def test_channels(self):
        self.exchange(("udp", True), ("udp", False), ("tcp", True), ("tcp", False))

    def test_indications(self):
        self.exchange(("udp", True, "-s"), ("udp", False, "-s"), ("tcp", True, "-s"),
                      ("tcp", False, "-s"))

    def test_ipv6(self):
        self.exchange(("udp", True, "-x"), ("tcp", True, "-x"), version=6)
        self.exchange(("udp", True, "-x", "-s"), ("tcp", True, "-x", "-s"), version=6)

    def test_without_credentials(self):
        figures = self.exchange(("udp", True), ("tcp", True), auth=("--no-auth",), credentials=())
        self.assertNotIn("challenges", figures)

    def test_other_options(self):
        """Not to be fragmented; a session without a second one for RTCP."""
        self.exchange(("udp", True, "-g"), ("udp", True, "-g", "-s"), ("udp", True, "-c"))

    def test_many_sessions(self):
        figures = self.exchange(("udp", True), ("tcp", True), sessions=60, count=5)
        self.assertGreaterEqual(figures["allocations_made"], 120)

    def test_secret(self):
        """Credentials of limited time, made by coturn's client."""
        self.exchange(("udp", True), auth=("--secret", "north", "--realm", "example.org"),
                      credentials=("-u", "user", "-W", "north"))

    def test_wrong_password(self):
        with serving() as server:
            said = turn.uclient("-n", "1", "-y", "-u", "user", "-w", "wrong", server="127.0.0.1",
                                port=server.ports["udp"], check=False)
        self.assertIn("Cannot complete Allocation", said)
        self.assertNotIn("allocations_made", server.figures())

    def test_stunclient(self):
        with serving("--stun-only", auth=(), peers=()) as server:
            said = subprocess.run(["turnutils_stunclient", "-p", str(server.ports["udp"]),
                                   "127.0.0.1"], text=True, capture_output=True, timeout=20).stdout
        self.assertRegex(said, r"UDP reflexive addr: 127\.0\.0\.1:\d+")


class Relay(unittest.TestCase):
    """What a client of our own sees, byte by byte."""

    def test_both_ways(self):
        for version in (4, 6):
            for proto in ("udp", "tcp"):
                with self.subTest(version=version, proto=proto):
                    self.both_ways(version, proto)

    def both_ways(self, version, proto):
        family = (turn.FAMILY, b"\2\0\0\0") if version == 6 else (turn.FAMILY, b"\1\0\0\0")
        with serving(version=version) as server, server.client(proto) as client, \
                udp_peer(version) as peer:
            client.allocate(family)
            where = peer.getsockname()[:2]
            client.permit(where)
            for size in (0, 1, 2, 3, 4, 5, 1200, 1500, 9000, 60000):
                data = os.urandom(size)
                client.send_to(where, data)
                self.assertEqual(peer.recvfrom(70000)[0], data)
                peer.sendto(data, client.relayed)
                self.assertEqual(client.next_data(), (where, data))
            client.bind(where, 0x4abc)
            for size in (0, 1, 2, 3, 4, 5, 1200, 1500, 9000, 60000):
                data = os.urandom(size)
                client.send_channel(0x4abc, data)
                got, source = peer.recvfrom(70000)
                self.assertEqual(got, data)
                self.assertEqual(source[:2], client.relayed)
                peer.sendto(data, client.relayed)
                self.assertEqual(client.next_data(), (0x4abc, data))

    def test_stream_in_single_bytes(self):
        with serving() as server, server.client("tcp") as client, udp_peer() as peer:
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.allocate()
            where = peer.getsockname()
            client.bind(where, 0x4000)
            whole = b"".join(turn.padded(struct.pack(">HH", 0x4000, size) + bytes([size]) * size)
                             for size in range(1, 9))
            whole += client.message(turn.SEND, (turn.PEER, where), (turn.DATA_VALUE, b"last"),
                                    kind=1)
            for at in range(len(whole)):
                client.send(whole[at:at + 1])
                time.sleep(0.001)
            for size in range(1, 9):
                self.assertEqual(peer.recv(100), bytes([size]) * size)
            self.assertEqual(peer.recv(100), b"last")

    def test_stream_of_many_messages(self):
        """More than one receive holds: messages lie across its ends."""
        with serving() as server, server.client("tcp") as client, udp_peer() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            client.allocate()
            client.bind(peer.getsockname(), 0x4000)
            for turn_number in range(20):
                parts = [struct.pack(">I", number) + bytes(997) for number in range(100)]
                client.send(b"".join(turn.padded(struct.pack(">HH", 0x4000, len(part)) + part)
                                     for part in parts))
                for part in parts:
                    self.assertEqual(peer.recv(2000), part, turn_number)

    def live_figures(self, server, client):
        """What SIGUSR1 tells; @client's answer comes after it."""
        before = server.errors().count(" statistics: ")
        server.process.send_signal(signal.SIGUSR1)
        end = time.monotonic() + DEADLINE_S
        while server.errors().count(" statistics: ") == before and time.monotonic() < end:
            client.ask(turn.REFRESH)
        words = server.errors().rpartition(" statistics: ")[2].splitlines()[0].split()
        return dict(zip(words[::2], map(int, words[1::2])))

    def test_bursts(self):
        """What waits for the relay goes on in order; a port that is busy has several pops meanwhile."""
        with serving() as server, server.client() as client, udp_peer() as peer:
            client.allocate()
            client.bind(peer.getsockname(), 0x4000)
            for sock in (client.socket, peer):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            payloads = [struct.pack(">I", number) * (1 + number % 40) for number in range(120)]
            server.process.send_signal(signal.SIGSTOP)
            for payload in payloads:
                peer.sendto(payload, client.relayed)
                client.send_channel(0x4000, payload)
            server.process.send_signal(signal.SIGCONT)
            for payload in payloads:
                self.assertEqual(peer.recv(2000), payload)
                self.assertEqual(client.next_data(), (0x4000, payload))
            self.assertEqual(self.live_figures(server, client)["busy_ports"], 1)
            for _ in range(60):  # quiet again
                client.ask(turn.REFRESH)
                peer.sendto(b"one", client.relayed)
                self.assertEqual(client.next_data(), (0x4000, b"one"))
            self.assertNotIn("busy_ports", self.live_figures(server, client))
            peer.sendto(b"last", client.relayed)
            self.assertEqual(client.next_data(), (0x4000, b"last"))

    def test_no_permission_no_data(self):
        with serving() as server, server.client() as client, udp_peer() as peer:
            client.allocate()
            where = peer.getsockname()
            client.send_to(where, b"no")
            client.send_channel(0x4000, b"no")
            peer.sendto(b"no", client.relayed)
            self.assertTrue(is_quiet(peer) and is_quiet(client.socket))
            client.permit(where)
            client.send_to(where, b"yes")
            self.assertEqual(peer.recv(100), b"yes")
        figures = server.figures()
        self.assertEqual(figures["drop_no_permission"], 2)
        self.assertEqual(figures["drop_no_channel"], 1)

    def test_own_network_is_denied(self):
        with serving(peers=()) as server, server.client() as client:
            client.allocate()
            for peer in (("127.0.0.1", 22), ("10.0.0.1", 22), ("192.168.1.1", 80),
                         ("169.254.169.254", 80), ("224.0.0.1", 5353)):
                client.permit(peer, expect=403)
                client.bind(peer, 0x4000, expect=403)

    def test_time_is_over(self):
        with serving("--permission-lifetime", "1", "--channel-lifetime", "2", "--lifetime", "4",
                     "--nonce-lifetime", "1") as server, \
                server.client() as client, udp_peer() as peer:
            client.allocate()
            where = peer.getsockname()
            client.bind(where, 0x4000)
            client.send_channel(0x4000, b"now")
            self.assertEqual(peer.recv(100), b"now")
            time.sleep(1.3)
            client.send_channel(0x4000, b"late")
            peer.sendto(b"late", client.relayed)
            self.assertTrue(is_quiet(peer) and is_quiet(client.socket))
            client.permit(where)  # with a nonce that is stale
            client.send_channel(0x4000, b"again")
            self.assertEqual(peer.recv(100), b"again")
            time.sleep(4)
            client.ask(turn.REFRESH, expect=437)
        self.assertIn("allocation expired: ", server.said)

    def test_peers_that_refuse(self):
        """ICMP errors are told to the client whose they are, in channels too, and end nothing."""
        for version, unreachable, proto in ((4, (3, 3), "udp"), (6, (1, 4), "tcp")):
            with self.subTest(version=version), serving(version=version) as server, \
                    server.client(proto) as client, server.client() as other, \
                    udp_peer(version) as peer:
                family = (turn.FAMILY, b"\2\0\0\0" if version == 6 else b"\1\0\0\0")
                client.allocate(family)
                other.allocate(family)
                where = peer.getsockname()[:2]
                with udp_peer(version) as gone:
                    closed = gone.getsockname()[:2]
                client.permit(closed, where)
                other.permit(where)
                client.bind(closed, 0x4000)
                for _ in range(100):
                    client.send_channel(0x4000, b"anybody?")
                    client.send_to(where, b"here")
                    self.assertEqual(peer.recv(100), b"here")
                    self.assertEqual(client.next_error(), (closed, *unreachable, 0))
                other.send_to(where, b"too")
                self.assertEqual(peer.recv(100), b"too")
                self.assertTrue(is_quiet(other.socket))
            figures = server.figures()
            self.assertEqual(figures["peer_errors"], 100)
            self.assertEqual(figures["to_peer_packets"], 201)
            self.assertNotIn("drop_send_failed", figures)

    def test_clients_that_refuse(self):
        with serving() as server, udp_peer() as peer, server.client() as other:
            with server.client() as client:
                client.allocate()
                client.permit(peer.getsockname())
                relayed = client.relayed
            for _ in range(100):
                peer.sendto(b"anybody?", relayed)
            other.allocate()
            other.permit(peer.getsockname())
            peer.sendto(b"here", other.relayed)
            self.assertEqual(other.next_data()[1], b"here")

    def test_rubbish(self):
        """Messages cut at every byte, with every byte changed, and noise: the relay goes on."""
        with serving() as server, server.client() as client:
            client.allocate()
            request = client.signed(turn.REFRESH)
            for cut in range(len(request)):
                client.send(request[:cut])
            for at in range(len(request)):
                client.send(request[:at] + bytes([request[at] ^ 0xFF]) + request[at + 1:])
            for size in range(1, 400):
                client.send(os.urandom(size))
            client.data.clear()
            self.assertEqual(client.answer(client.signed(turn.REFRESH)).error, 0)
            self.assertIsNone(server.process.poll())

    def test_rubbish_on_streams(self):
        with serving() as server:
            for rubbish in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, b"\0\1\0\3abc", b"\x16\3\1"):
                with server.client("tcp") as client:
                    client.send(rubbish)
                    client.socket.shutdown(socket.SHUT_WR)
                    self.assertEqual(client.socket.recv(100), b"")
            with server.client("tcp") as client:
                client.allocate()

    def test_connection_takes_its_allocation_with_it(self):
        with serving() as server, udp_peer() as peer:
            with server.client("tcp") as client:
                client.allocate()
                client.permit(peer.getsockname())
            with server.client() as other:
                other.allocate()
                for _ in range(100):
                    if "allocation disconnected: " in server.errors():
                        break
                    time.sleep(0.05)
        self.assertIn("allocation disconnected: client tcp", server.said)

    def test_idle_connections_are_closed(self):
        with serving("--connection-idle", "1") as server, server.client("tcp") as busy, \
                server.client("tcp") as idle:
            busy.allocate()
            self.assertEqual(idle.socket.recv(100), b"")
            busy.ask(turn.REFRESH)

    def test_client_that_does_not_read(self):
        """What waits for it is bounded; others are served."""
        with serving("--max-stream-bytes", "65536") as server, server.client("tcp") as slow, \
                server.client() as other, udp_peer() as peer:
            slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.allocate()
            slow.bind(peer.getsockname(), 0x4000)
            other.allocate()
            end = time.monotonic() + DEADLINE_S
            while "drop_send_queue" not in server.errors() and time.monotonic() < end:
                for _ in range(200):
                    for _ in range(5):
                        peer.sendto(bytes(1400), slow.relayed)
                    other.ask(turn.REFRESH)  # so that they are taken in
                server.process.send_signal(signal.SIGUSR1)
                other.ask(turn.REFRESH)
            other.permit(peer.getsockname())
            peer.sendto(b"here", other.relayed)
            self.assertEqual(other.next_data()[1], b"here")
        self.assertGreater(server.figures()["drop_send_queue"], 0)

    def test_rate(self):
        with serving("--max-rate", "10000") as server, server.client() as client, \
                udp_peer() as peer:
            client.allocate()
            client.bind(peer.getsockname(), 0x4000)
            for _ in range(100):
                client.send_channel(0x4000, bytes(1000))
            client.ask(turn.REFRESH)  # all before it have been seen
            received = 0
            while not is_quiet(peer):
                received += len(peer.recv(2000))
        self.assertGreaterEqual(received, 10000)
        self.assertLessEqual(received, 40000)  # of 100,000; time goes on meanwhile
        self.assertGreater(server.figures()["drop_rate"], 0)

    def test_quotas(self):
        with serving("--max-user-allocations", "2", "--max-allocations", "3", "--user",
                     "other:secret") as server, contextlib.ExitStack() as stack:
            for user, expect in (("user", 0), ("user", 0), ("user", 486), ("other", 0),
                                 ("other", 486)):
                client = stack.enter_context(server.client(user=user))
                client.allocate(expect=expect)

    def test_even_port(self):
        with serving() as server, server.client() as first, server.client() as second:
            token = first.allocate((turn.EVEN_PORT, b"\x80")).attributes[turn.TOKEN]
            self.assertEqual(first.relayed[1] % 2, 0)
            second.allocate((turn.TOKEN, token))
            self.assertEqual(second.relayed[1], first.relayed[1] + 1)

    def test_limited_time(self):
        name = f"{int(time.time()) + 600}:alice"
        digest = hmac.new(b"north", name.encode(), hashlib.sha1).digest()
        password = base64.b64encode(digest).decode()
        with serving(auth=("--secret", "north", "--realm", "example.org")) as server, \
                server.client(user=name, password=password) as client, \
                server.client(user="1:alice", password=password) as late:
            client.allocate()
            late.allocate(expect=401)
        self.assertIn("user alice", server.said)


class Forward(unittest.TestCase):
    def test_both_ways(self):
        with udp_peer() as target, contextlib.ExitStack() as stack:
            port = target.getsockname()[1]
            server = Server("--forward", f"127.0.0.1:0=127.0.0.1:{port}", lines=1)
            front = ("127.0.0.1", server.ports["forward"])
            clients = [stack.enter_context(udp_peer()) for _ in range(20)]
            for number, client in enumerate(clients):
                client.sendto(b"%d" % number, front)
                data, source = target.recvfrom(100)
                self.assertEqual(data, b"%d" % number)
                target.sendto(b"to %d" % number, source)
                self.assertEqual(client.recvfrom(100), (b"to %d" % number, front))
            # Who is not the target does not get through.
            clients[1].sendto(b"stranger", source)
            self.assertTrue(is_quiet(clients[-1]))
            server.end()
        figures = server.figures()
        self.assertEqual(figures["forward_packets"], 40)
        self.assertEqual(figures["drop_no_permission"], 1)

    def test_clients_are_limited_and_forgotten(self):
        with udp_peer() as target, contextlib.ExitStack() as stack:
            port = target.getsockname()[1]
            server = Server("--forward", f"127.0.0.1:0=127.0.0.1:{port}", "--max-forward-clients",
                            "3", "--forward-idle", "1", lines=1)
            front = ("127.0.0.1", server.ports["forward"])
            clients = [stack.enter_context(udp_peer()) for _ in range(5)]
            for client in clients:
                client.sendto(b"hello", front)
            for _ in range(3):
                target.recv(100)
            self.assertTrue(is_quiet(target))
            time.sleep(1.3)
            clients[4].sendto(b"now", front)
            self.assertEqual(target.recv(100), b"now")
            server.end()


class Operator(unittest.TestCase):
    def run_relay(self, *options):
        return subprocess.run([relay_server.RELAY, *options], text=True, capture_output=True, timeout=DEADLINE_S)

    def test_statistics(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "statistics.json")
            with serving("--json", path) as server, server.client() as client:
                client.allocate()
                server.process.send_signal(signal.SIGUSR1)
                for _ in range(100):
                    if os.path.exists(path) and os.path.getsize(path):
                        break
                    time.sleep(0.05)
            with open(path, encoding="ascii") as file:
                lines = [json.loads(line) for line in file]
        self.assertEqual(len(lines), 2)
        for line in lines:
            self.assertEqual((line["program"], line["allocations"], line["allocations_made"]),
                             ("demi-relay", 1, 1))

    def test_interval(self):
        with serving("--interval", "1") as server:
            time.sleep(2.5)
        self.assertGreaterEqual(server.said.count(" statistics: "), 3)

    def test_lines(self):
        with serving("--verbose") as server, server.client() as client:
            client.allocate()
            client.permit(("224.0.0.1", 1), expect=403)
            client.ask(turn.REFRESH, (turn.LIFETIME, bytes(4)))
        said = server.said
        self.assertRegex(said, r"T\d\d:\d\d:\d\dZ allocation made: client udp 127\.0\.0\.1:\d+ "
                               r"user user relayed 127\.0\.0\.1:\d+ lifetime 600 s\n")
        self.assertRegex(said, r"refused: client udp \S+ user user: create permission: 403\n")
        self.assertRegex(said, r"allocation deleted: .* after \d+ s: to peers 0 packets")

    def test_quiet(self):
        with serving("--quiet") as server, server.client() as client:
            client.allocate()
        self.assertEqual(len(server.said.splitlines()), 1)

    def test_file(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("listen: 127.0.0.1:0\nrelay-ip: 127.0.0.1\nrealm: example.org\n"
                       "user: [user:secret, other:word]\nno-tcp: yes\n")
            file.flush()
            server = Server("--config", file.name, lines=1)
            with server.client() as client:
                client.allocate()
            server.end()

    def test_file_of_every_option(self):
        """Each that --help names has its key, and what it says there holds."""
        with tempfile.TemporaryDirectory() as folder, udp_peer() as target:
            values = {
                "listen": "['127.0.0.1:0']", "no-udp": "no", "no-tcp": "yes",
                "relay-ip": "[127.0.0.1, '::1']", "external-ip": "[192.0.2.7]",
                "ports": "50000-50009", "user": "['user:secret']", "realm": "example.org",
                "secret": "[north, south]", "no-auth": "no", "stun-only": "no",
                "no-sha256": "yes", "allow-loopback-peers": "yes", "allow-private-peers": "yes",
                "allow-peer": "[10.0.0.0/8]", "deny-peer": "[10.1.0.1-10.1.0.9, '2001:db8::/32']",
                "software": "'test 1'", "forward":
                f"['127.0.0.1:0=127.0.0.1:{target.getsockname()[1]}']", "max-rate": "1000000",
                "json": os.path.join(folder, "json"), "quiet": "no", "verbose": "yes",
                "libos": "catnap", "stats": "yes", "max-stream-bytes": "65536",
                "lifetime": "700", "max-lifetime": "701", "nonce-lifetime": "9",
                "permission-lifetime": "9", "channel-lifetime": "9", "reservation-lifetime": "9",
                "max-allocations": "2", "max-user-allocations": "1", "max-permissions": "1",
                "max-channels": "1", "max-reservations": "1", "max-connections": "1",
                "connection-idle": "9", "challenge-rate": "9", "max-forward-clients": "1",
                "forward-idle": "9", "interval": "1", "duration": "3000"}
            names = set(re.findall(r"^  --([a-z0-9-]+)", self.run_relay("--help").stdout, re.M))
            device = {"dev", "ip", "gw", "mac"}  # of catnip, which the tests in the laboratory use
            self.assertEqual(names - device - {"config", "help", "version"}, set(values))
            path = os.path.join(folder, "yaml")
            with open(path, "w", encoding="ascii") as file:
                file.writelines(f"{name}: {value}\n" for name, value in values.items())
            server = Server("--config", path)
            with server.client() as client, server.client() as other:
                answer = client.allocate()
                self.assertEqual(struct.unpack(">I", answer.attributes[turn.LIFETIME]), (700,))
                self.assertEqual(answer.attributes[turn.SOFTWARE], b"test 1")
                self.assertEqual(client.relayed[0], "192.0.2.7")
                self.assertIn(client.relayed[1], range(50000, 50010))
                client.permit(("10.1.0.5", 9), expect=0)  # what is allowed comes first
                client.permit(("10.2.0.5", 9), expect=508)
                client.permit(("2001:db8::1", 9), expect=443)
                other.allocate(expect=486)
            server.end()
        self.assertIn("refused: client udp", server.said)

    def test_bad_words(self):
        for options, said in (
                (("--listen", "127.0.0.1"), "write IP:PORT"),
                (("--listen", "127.0.0.1:0"), "--relay-ip is missing"),
                (("--listen", "127.0.0.1:0", "--relay-ip", "127.0.0.1"), "nobody may use"),
                (("--listen", "127.0.0.1:0", "--relay-ip", "127.0.0.1", "--user", "a:b"),
                 "--realm is missing"),
                (("--nonsense",), "unknown option '--nonsense'"),
                (("--ports", "9-1"), "write MIN-MAX"),
                (("--config", "/nonexistent"), "/nonexistent: No such file")):
            with self.subTest(options=options):
                completed = self.run_relay(*options)
                self.assertEqual(completed.returncode, 2)
                self.assertIn(said, completed.stderr)
                self.assertEqual(completed.stderr.count("\n"), 1)

    def test_address_that_is_not_ours(self):
        completed = self.run_relay("--listen", "192.0.2.1:3478", "--stun-only")
        self.assertEqual(completed.returncode, 1)
        self.assertIn("192.0.2.1:3478: Cannot assign requested address; it has to be an address",
                      completed.stderr)

    @unittest.skipUnless(shutil.which("turnserver"), "no coturn here")
    def test_options_of_turnserver_are_in_the_document(self):
        """Each has a counterpart there, or stands among those without."""
        version, said = (subprocess.run(["turnserver", option], text=True, timeout=DEADLINE_S,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
                         for option in ("--version", "-h"))
        if version.split()[-1] != "4.6.1":
            self.skipTest("the document is about another version")
        names = {name for words in re.findall(r"^ *(-[^\t\n]*)", said, re.M)
                 for name in re.findall(r"--(\w[\w-]+)", words)}
        self.assertGreater(len(names), 105)
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/relay.md")
        with open(path, encoding="utf-8") as file:
            known = set(re.findall(r"`([\w-]+)`", file.read()))
        self.assertEqual(names - known - {"help", "version"}, set())

    def test_help_and_version(self):
        completed = self.run_relay("--help")
        self.assertEqual(completed.returncode, 0)
        self.assertIn("--allow-loopback-peers", completed.stdout)
        self.assertRegex(self.run_relay("--version").stdout, r"demi-relay \d+\.\d+")


if __name__ == "__main__":
    relay_server.RELAY = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
