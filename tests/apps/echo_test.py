#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs demi-echo and echo-plain as a user does, against each other and against bad peers.

usage: echo_test.py DEMI_ECHO ECHO_PLAIN [unittest's arguments]
"""

import contextlib
import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock

SKIPPED = 77
DEADLINE_S = 60
DEMI = PLAIN = ""


def message(connection, sequence, size):
    """What the client sends, written down a second time; sizes from 16 on."""
    mask = (1 << 64) - 1
    golden = 0x9E3779B97F4A7C15

    def mix(value):
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & mask
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB & mask
        return value ^ (value >> 31)

    if not hasattr(message, "table"):
        message.table = bytes(mix((i + 1) * golden & mask) & 0xFF for i in range(8191))
    place = mix((sequence + connection * golden) & mask) % 8191
    window = message.table[place:] + message.table * (size // 8191 + 1)
    return struct.pack("<QII", sequence, connection, size) + window[16:size]


class Server:
    """A server on a free port of its own; ends with SIGTERM and must end well."""

    def __init__(self, program, *options, host="127.0.0.1", files=None):
        limit = None
        if files:
            def limit():
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        self.process = subprocess.Popen(
            [program, "server", "--addr", f"{host}:0", *options], text=True, preexec_fn=limit,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.process.stdout.readline()
        found = re.fullmatch(r"listening on (.+):(\d+)\n", line)
        if not found:
            self.process.kill()
            raise AssertionError(f"{line!r} {self.process.communicate()[1]}")
        self.address = f"{found[1]}:{found[2]}"
        self.endpoint = (found[1].strip("[]"), int(found[2]))

    def end(self, number=signal.SIGTERM):
        """Returns connections, messages, bytes."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self):
        out, self.errors = self.process.communicate(timeout=DEADLINE_S)
        found = re.search(r"served (\d+) connections, (\d+) messages, (\d+) bytes\n", out)
        assert self.process.returncode == 0, (self.process.returncode, out, self.errors)
        assert found, out
        return tuple(int(number) for number in found.groups())


@contextlib.contextmanager
def serving(program, *options, **keywords):
    server = Server(program, *options, **keywords)
    try:
        yield server
        if server.process.poll() is None:
            server.totals = server.end()
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()


def client(program, address, *options):
    return subprocess.run([program, "client", "--addr", address, *options], text=True,
                          capture_output=True, timeout=DEADLINE_S)


@contextlib.contextmanager
def bad_peer(protocol, serve):
    """A socket served by serve(socket) in a thread; yields its address."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(DEADLINE_S)
        port = listener.getsockname()[1]

        def run():
            with contextlib.suppress(OSError):
                if protocol == "tcp":
                    listener.listen()
                    connection = listener.accept()[0]
                    with connection:
                        serve(connection)
                else:
                    serve(listener)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        if protocol == "tcp":
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"


class Results:
    """What the tests of both classes ask for."""

    def results(self, completed):
        """The JSON of a client that was told `--json - --quiet`, after checking what must hold."""
        self.assertEqual(completed.returncode, 0, completed.stderr)
        result = json.loads(completed.stdout)
        self.assertEqual(result["errors"], 0)
        self.assertIsNone(result["error"])
        self.assertGreater(result["verified"], 0)
        self.assertGreaterEqual(result["sent"], result["verified"])
        self.assertLessEqual(result["measured"], result["verified"])
        parameters = result["parameters"]
        if parameters["count"]:
            self.assertLessEqual(result["verified"], parameters["count"])
            warmup = min(parameters["count"] // 20, 1000)
            self.assertGreaterEqual(result["measured"], result["verified"] - warmup)
        if result["latency_us"]:
            latency = [result["latency_us"][key] for key in ("min", "p50", "p99", "p99.9", "max")]
            self.assertEqual(latency, sorted(latency))
            throughput = result["throughput"]
            self.assertAlmostEqual(throughput["messages_per_s"] * throughput["seconds"],
                                   result["measured"], delta=result["measured"] * 1e-3 + 1)
            self.assertAlmostEqual(throughput["mib_per_s"] * (1 << 20),
                                   throughput["messages_per_s"] * parameters["size"],
                                   delta=throughput["messages_per_s"])
        return result

    def echo(self, server_program, client_program, protocol, *options, host="127.0.0.1", count=2000):
        with serving(server_program, "--proto", protocol, host=host) as server:
            completed = client(client_program, server.address, "--proto", protocol, "--count",
                               str(count), "--json", "-", "--quiet", *options)
            result = self.results(completed)
            self.assertEqual(result["verified"], count)
        size = result["parameters"]["size"]
        self.assertEqual(result["parameters"]["protocol"], protocol)
        if protocol == "tcp":
            self.assertEqual(server.totals[0], result["parameters"]["connections"])
            self.assertEqual(server.totals[2], count * size)
        else:
            self.assertGreaterEqual(server.totals[2], count * size)
        return result


class Threads(Results, unittest.TestCase):
    """Several runtimes in one program. They sleep, since there are more of them than processors."""

    def setUp(self):
        patch = unittest.mock.patch.dict(os.environ, DEMI_RUNTIME_IDLE="sleep")
        patch.start()
        self.addCleanup(patch.stop)

    def test_threads(self):
        for protocol in ("tcp", "udp"):
            with self.subTest(protocol=protocol), tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "server.json")
                with serving(DEMI, "--proto", protocol, "--threads", "3", "--json", path,
                             "--stats") as server:
                    result = self.results(client(
                        DEMI, server.address, "--proto", protocol, "--threads", "3",
                        "--connections", "40", "--inflight", "4", "--size", "300", "--count",
                        "9001", "--json", "-", "--quiet"))
                with open(path, encoding="utf-8") as file:
                    served = json.load(file)
                self.assertEqual(result["verified"], 9001)
                self.assertEqual(result["parameters"]["threads"], 3)
                asked = result["runtimes"]
                self.assertEqual([runtime["connections"] for runtime in asked], [14, 13, 13])
                self.assertEqual([runtime["verified"] for runtime in asked], [3001, 3000, 3000])
                for key in ("sent", "verified", "measured", "lost", "duplicates"):
                    self.assertEqual(sum(runtime[key] for runtime in asked), result[key])
                self.assertEqual((served["role"], served["threads"]), ("server", 3))
                self.assertEqual(tuple(sum(runtime[key] for runtime in served["runtimes"])
                                       for key in ("connections", "messages", "bytes")),
                                 server.totals)
                self.assertEqual(server.totals[2], result["sent"] * 300)
                # 40 flows that a hash spreads: not one of three gets none.
                for runtime in served["runtimes"]:
                    self.assertGreater(runtime["messages"], 0)
                for number in range(3):
                    self.assertIn(f"runtime {number}: statistics: ", server.errors)

    def test_threads_over_plain_sockets(self):
        with serving(PLAIN) as server:
            result = self.results(client(DEMI, server.address, "--threads", "3", "--count", "3000",
                                         "--json", "-", "--quiet"))
        self.assertEqual(result["parameters"]["connections"], 3)
        self.assertEqual(server.totals[:2], (3, 3000))

    def test_count_ends_all_threads_of_a_server(self):
        server = Server(DEMI, "--threads", "3", "--count", "1000")
        completed = client(DEMI, server.address, "--connections", "12", "--quiet")
        self.assertEqual(completed.returncode, 1)
        self.assertIn("server gone", completed.stderr)
        self.assertGreaterEqual(server.wait()[1], 1000)

    def test_threads_end_together_when_one_fails(self):
        with bad_peer("tcp", lambda connection: connection.close()) as address:
            began = time.monotonic()
            completed = client(DEMI, address, "--threads", "3", "--connections", "3", "--duration",
                               "20", "--quiet")
            self.assertEqual(completed.returncode, 1, completed.stdout)
            self.assertLess(time.monotonic() - began, 8)
            self.assertIn("server gone", completed.stderr)


class Test(Results, unittest.TestCase):
    # What works.

    def test_sizes(self):
        for protocol in ("tcp", "udp"):
            for size in (1, 2, 15, 16, 64, 4096, 65507, 100000):
                if protocol == "udp" and size > 65507:
                    continue
                for inflight in ("1", "8"):
                    with self.subTest(protocol=protocol, size=size, inflight=inflight):
                        self.echo(DEMI, DEMI, protocol, "--size", str(size), "--inflight",
                                  inflight, count=500)

    def test_64_connections(self):
        for protocol in ("tcp", "udp"):
            for size in ("64", "4096"):
                with self.subTest(protocol=protocol, size=size):
                    self.echo(DEMI, DEMI, protocol, "--connections", "64", "--size", size,
                              "--inflight", "8" if protocol == "tcp" else "1", count=10000)

    def test_large_messages_on_many_connections(self):
        self.echo(DEMI, DEMI, "tcp", "--connections", "16", "--size", "1000000", "--inflight", "2",
                  count=200)

    def test_ipv6(self):
        if not socket.has_ipv6 or not can_bind("::1"):
            self.skipTest("no IPv6 loopback")
        for protocol in ("tcp", "udp"):
            with self.subTest(protocol=protocol):
                self.echo(DEMI, DEMI, protocol, host="[::1]")

    def test_name(self):
        self.echo(DEMI, DEMI, "tcp", host="localhost", count=100)

    def test_with_and_against_plain_sockets(self):
        for protocol in ("tcp", "udp"):
            for pair in ((DEMI, PLAIN), (PLAIN, DEMI), (PLAIN, PLAIN)):
                for size in ("64", "4096", "60000"):
                    with self.subTest(protocol=protocol, size=size, pair=pair):
                        self.echo(*pair, protocol, "--size", size, "--inflight", "4",
                                  "--connections", "4" if protocol == "tcp" else "1")

    def test_count_one(self):
        self.assertEqual(self.echo(DEMI, DEMI, "tcp", count=1)["measured"], 1)

    def test_duration(self):
        for protocol in ("tcp", "udp"):
            with self.subTest(protocol=protocol), serving(DEMI, "--proto", protocol) as server:
                began = time.monotonic()
                result = self.results(client(DEMI, server.address, "--proto", protocol,
                                             "--duration", "0.5", "--json", "-", "--quiet"))
                self.assertLess(time.monotonic() - began, 5)
                self.assertAlmostEqual(result["throughput"]["seconds"], 0.5, delta=0.2)

    def test_runtimes_of_one_thread(self):
        with serving(DEMI, "--json", "/dev/null") as server:
            result = self.results(client(DEMI, server.address, "--count", "500", "--json", "-",
                                         "--quiet"))
        self.assertEqual(len(result["runtimes"]), 1)
        self.assertEqual(result["runtimes"][0]["verified"], 500)

    def test_table(self):
        with serving(DEMI) as server:
            completed = client(DEMI, server.address, "--count", "100", "--size", "10")
        self.assertEqual(completed.returncode, 0, completed.stderr)
        self.assertIn("verified    100 messages, every byte; 0 lost, 0 duplicates",
                      completed.stdout)
        self.assertRegex(completed.stdout, r"throughput  \d+ messages/s, \d+\.\d\d MiB/s")
        self.assertRegex(completed.stdout, r"min +p50 +p99 +p99\.9 +max\n( +\d+\.\d\d){5}\n")

    def test_progress(self):
        with serving(DEMI) as server:
            completed = client(DEMI, server.address, "--duration", "2.5")
        self.assertRegex(completed.stderr, r"\A2 s: \d+ messages/s, .* verified, 0 lost\n\Z")

    def test_json_file(self):
        with serving(DEMI) as server, tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "results.json")
            completed = client(DEMI, server.address, "--count", "100", "--json", path)
            self.assertEqual(completed.returncode, 0, completed.stderr)
            with open(path, encoding="utf-8") as file:
                self.assertEqual(json.load(file)["verified"], 100)
            self.assertIn("throughput", completed.stdout)
            completed = client(DEMI, server.address, "--count", "100", "--json",
                               os.path.join(folder, "no", "such", "folder"))
            self.assertEqual(completed.returncode, 1)
            self.assertIn("No such file or directory", completed.stderr)

    # The log.

    def logged(self, program, protocol, connections, count, size):
        """The log's records, after a run whose messages arrive whole."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "log")
            with serving(program, "--proto", protocol, "--log", path) as server:
                self.results(client(DEMI, server.address, "--proto", protocol, "--connections",
                                    str(connections), "--count", str(count), "--size", str(size),
                                    "--json", "-", "--quiet"))
                # Durable before it was answered: complete while the server still runs.
                with open(path, "rb") as file:
                    log = file.read()
        self.assertEqual(len(log), count * size)
        return [log[i:i + size] for i in range(0, len(log), size)]

    def test_log(self):
        for program in (DEMI, PLAIN):
            for protocol in ("tcp", "udp"):
                with self.subTest(program=program, protocol=protocol):
                    records = self.logged(program, protocol, 1, 300, 200)
                    self.assertEqual(records, [message(0, i, 200) for i in range(300)])

    def test_log_of_many_connections(self):
        records = self.logged(DEMI, "tcp", 8, 400, 64)
        sequences = [0] * 8
        for record in records:
            connection = struct.unpack_from("<QI", record)[1]
            self.assertEqual(record, message(connection, sequences[connection], 64))
            sequences[connection] += 1
        self.assertEqual(sum(sequences), 400)

    def test_log_of_a_stream_in_flight(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "log")
            with serving(DEMI, "--log", path) as server:
                self.results(client(DEMI, server.address, "--count", "500", "--size", "10000",
                                    "--inflight", "8", "--json", "-", "--quiet"))
            with open(path, "rb") as file:
                self.assertEqual(file.read(),
                                 b"".join(message(0, i, 10000) for i in range(500)))

    def test_log_is_continued(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "log")
            for run in (1, 2):
                with serving(DEMI, "--log", path) as server:
                    client(DEMI, server.address, "--count", "10", "--size", "100")
                self.assertEqual(os.path.getsize(path), run * 1000)

    def test_log_that_cannot_be_opened(self):
        for program in (DEMI, PLAIN):
            completed = subprocess.run([program, "server", "--addr", "127.0.0.1:0", "--log",
                                        "/no/such/folder/log"], text=True, capture_output=True,
                                       timeout=DEADLINE_S)
            self.assertEqual(completed.returncode, 1)
            self.assertIn("/no/such/folder/log: No such file or directory", completed.stderr)

    # The end.

    def start_client(self, server, protocol="tcp"):
        process = subprocess.Popen([DEMI, "client", "--addr", server.address, "--proto", protocol,
                                    "--duration", "50", "--json", "-", "--quiet"], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        time.sleep(0.5)
        return process

    def test_sigint_ends_the_client(self):
        for protocol in ("tcp", "udp"):
            with self.subTest(protocol=protocol), serving(DEMI, "--proto", protocol) as server:
                process = self.start_client(server, protocol)
                process.send_signal(signal.SIGINT)
                out, errors = process.communicate(timeout=5)
                self.assertEqual(process.returncode, 0, errors)
                result = json.loads(out)
                self.assertTrue(result["interrupted"])
                self.assertGreater(result["verified"], 0)

    def test_signal_ends_the_server_with_open_connections(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number=number), serving(DEMI) as server:
                process = self.start_client(server)
                totals = server.end(number)
                out, errors = process.communicate(timeout=20)
                self.assertEqual(totals[0], 1)
                self.assertEqual(process.returncode, 1)
                self.assertIn("server gone", errors)
                result = json.loads(out)
                self.assertEqual(result["errors"], 1)
                self.assertGreater(result["verified"], 0)
                self.assertGreaterEqual(totals[1], result["verified"])

    def test_killed_server(self):
        with serving(DEMI) as server:
            process = self.start_client(server)
            server.process.kill()
            server.process.communicate()
            out, errors = process.communicate(timeout=20)
            self.assertEqual(process.returncode, 1)
            self.assertIn("server gone", errors)
            self.assertGreater(json.loads(out)["verified"], 0)

    def test_count_ends_the_server(self):
        for protocol in ("tcp", "udp"):
            for program in (DEMI, PLAIN):
                with self.subTest(protocol=protocol, program=program):
                    server = Server(program, "--proto", protocol, "--count", "50")
                    completed = client(DEMI, server.address, "--proto", protocol, "--count", "50")
                    self.assertEqual(completed.returncode, 0, completed.stderr)
                    self.assertEqual(server.wait()[1:], (50, 50 * 64))

    def test_duration_ends_the_server(self):
        server = Server(DEMI, "--duration", "0.3")
        self.assertEqual(server.wait(), (0, 0, 0))

    def test_no_server(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{unused.getsockname()[1]}"
            for program in (DEMI, PLAIN):
                for protocol in ("tcp", "udp"):
                    with self.subTest(program=program, protocol=protocol):
                        completed = client(program, address, "--proto", protocol)
                        self.assertEqual(completed.returncode, 1)
                        self.assertIn("Connection refused", completed.stderr)

    def test_port_in_use(self):
        with serving(DEMI) as server:
            for program in (DEMI, PLAIN):
                completed = subprocess.run([program, "server", "--addr", server.address], text=True,
                                           capture_output=True, timeout=DEADLINE_S)
                self.assertEqual(completed.returncode, 1)
                self.assertIn("Address already in use", completed.stderr)

    # Servers that do wrong.

    def test_wrong_byte_on_a_stream(self):
        def serve(connection):
            position = 0
            while data := bytearray(connection.recv(65536)):
                if position <= 12345 < position + len(data):
                    data[12345 - position] ^= 0x20
                position += len(data)
                connection.sendall(data)

        right = message(0, 123, 100)[45]
        for program in (DEMI, PLAIN):
            with self.subTest(program=program), bad_peer("tcp", serve) as address:
                completed = client(program, address, "--size", "100", "--inflight", "8")
                self.assertEqual(completed.returncode, 1)
                self.assertIn("wrong byte: connection 0, message 123, offset 45 (byte 12345 of the "
                              f"connection): expected 0x{right:02x}, got 0x{right ^ 0x20:02x}",
                              completed.stderr)
                self.assertIn("verified    123 messages", completed.stdout)

    def test_swapped_messages_on_a_stream(self):
        def serve(connection):
            data = b""
            while len(data) < 80:
                data += connection.recv(80)
            connection.sendall(data[10:20] + data[:10] + data[20:])
            connection.recv(1)

        with bad_peer("tcp", serve) as address:
            completed = client(DEMI, address, "--size", "10", "--inflight", "8")
            self.assertEqual(completed.returncode, 1)
            self.assertIn("wrong byte: connection 0, message 0,", completed.stderr)

    def test_too_many_bytes_on_a_stream(self):
        def serve(connection):
            connection.sendall(connection.recv(64) + b"x")
            connection.recv(1)

        with bad_peer("tcp", serve) as address:
            completed = client(DEMI, address, "--count", "2", "--size", "64")
            self.assertEqual(completed.returncode, 1)

    def test_split_and_merged_stream(self):
        def serve(connection):
            held = b""
            while data := connection.recv(777):
                held += data
                while len(held) >= 13:
                    connection.sendall(held[:13])
                    held = held[13:]
                connection.sendall(held)
                held = b""

        for program in (DEMI, PLAIN):
            with self.subTest(program=program), bad_peer("tcp", serve) as address:
                result = self.results(client(program, address, "--size", "100", "--inflight", "8",
                                             "--count", "500", "--json", "-", "--quiet"))
                self.assertEqual(result["verified"], 500)

    def test_closed_and_reset_streams(self):
        def close(connection):
            connection.sendall(connection.recv(64))
            connection.recv(64)

        def reset(connection):
            connection.sendall(connection.recv(64))
            connection.recv(64)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        for program in (DEMI, PLAIN):
            for serve in (close, reset):
                with self.subTest(program=program, serve=serve), \
                        bad_peer("tcp", serve) as address:
                    completed = client(program, address)
                    self.assertEqual(completed.returncode, 1)
                    self.assertIn("server gone: connection 0", completed.stderr)
                    self.assertIn("verified    1 messages", completed.stdout)

    def test_lost_late_and_doubled_datagrams(self):
        def answer_late(listener, data, source):
            with contextlib.suppress(OSError):  # the run may be over
                listener.sendto(data, source)

        def serve(listener):
            for number in range(1 << 30):
                data, source = listener.recvfrom(65536)
                if number % 40 == 17:
                    if number < 100:
                        threading.Timer(1.3, answer_late, (listener, data, source)).start()
                    continue
                for _ in range(2 if number % 10 == 3 else 1):
                    listener.sendto(data, source)

        for program in (DEMI, PLAIN):
            for size in ("1", "3", "64"):
                with self.subTest(program=program, size=size), bad_peer("udp", serve) as address:
                    result = self.results(client(program, address, "--proto", "udp", "--size", size,
                                                 "--inflight", "8", "--count", "300", "--json", "-",
                                                 "--quiet"))
                    self.assertEqual(result["verified"], 300)
                    self.assertGreaterEqual(result["lost"], 300 // 40)
                    self.assertGreaterEqual(result["duplicates"], 20)
                    self.assertEqual(result["sent"] - result["lost"], 300)

    def test_wrong_datagrams(self):
        def flip(listener):
            data, source = listener.recvfrom(65536)
            listener.sendto(data[:-1] + bytes([data[-1] ^ 1]), source)

        def invent(listener):
            data, source = listener.recvfrom(65536)
            listener.sendto(b"\xee" * len(data), source)

        def cut(listener):
            data, source = listener.recvfrom(65536)
            listener.sendto(data[:-1], source)

        for program in (DEMI, PLAIN):
            for serve, words in ((flip, "wrong byte: connection 0, message 0, offset 63"),
                                 (invent, "which was not sent"), (cut, "63 bytes came")):
                with self.subTest(program=program, words=words), bad_peer("udp", serve) as address:
                    completed = client(program, address, "--proto", "udp")
                    self.assertEqual(completed.returncode, 1)
                    self.assertIn(words, completed.stderr)

    # Clients that do wrong, and a server that goes on.

    def test_half_closed_client_gets_everything(self):
        for program in (DEMI, PLAIN):
            with self.subTest(program=program), serving(program) as server:
                data = os.urandom(3000000)
                with socket.create_connection(server.endpoint, timeout=DEADLINE_S) as connection:
                    def send():
                        connection.sendall(data)
                        connection.shutdown(socket.SHUT_WR)
                    sender = threading.Thread(target=send)
                    sender.start()
                    came = bytearray()
                    while part := connection.recv(1 << 20):
                        came += part
                    sender.join()
                    self.assertEqual(came, data)

    def test_client_that_does_not_read(self):
        with serving(DEMI) as server:
            with socket.create_connection(server.endpoint, timeout=DEADLINE_S) as connection:
                connection.setblocking(False)
                idle_since = time.monotonic()
                sent = 0
                while time.monotonic() - idle_since < 0.5:
                    try:
                        sent += connection.send(b"y" * 65536)
                        idle_since = time.monotonic()
                        self.assertLess(sent, 1 << 30, "the server reads without bound")
                    except BlockingIOError:
                        time.sleep(0.01)
                completed = client(DEMI, server.address, "--count", "100")
                self.assertEqual(completed.returncode, 0, completed.stderr)

    def test_reset_connections(self):
        for program in (DEMI, PLAIN):
            with self.subTest(program=program), serving(program) as server:
                for _ in range(20):
                    with socket.create_connection(server.endpoint) as connection:
                        connection.sendall(b"x" * 100000)
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                              struct.pack("ii", 1, 0))
                completed = client(DEMI, server.address, "--count", "100")
                self.assertEqual(completed.returncode, 0, completed.stderr)

    def test_descriptors_run_out(self):
        for program in (DEMI, PLAIN):
            with self.subTest(program=program), serving(program, files=40) as server:
                with contextlib.ExitStack() as stack:
                    for _ in range(60):
                        stack.enter_context(socket.create_connection(server.endpoint))
                    time.sleep(0.3)
                time.sleep(0.1)
                completed = client(DEMI, server.address, "--count", "100")
                self.assertEqual(completed.returncode, 0, completed.stderr)
            self.assertIn("accept: Too many open files", server.errors)
            self.assertGreater(server.totals[0], 60)

    def test_empty_datagram(self):
        for program in (DEMI, PLAIN):
            with self.subTest(program=program), serving(program, "--proto", "udp") as server:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                    sender.sendto(b"", server.endpoint)
                completed = client(DEMI, server.address, "--proto", "udp", "--count", "100")
                self.assertEqual(completed.returncode, 0, completed.stderr)

    # The command line.

    def test_bad_options(self):
        address = ("--addr", "127.0.0.1:7")
        table = (
            (("client", *address, "--size", "abc"), "--size 'abc' is not a whole number"),
            (("client", *address, "--size", ""), "--size '' is not a whole number"),
            (("client", *address, "--size", "-1"), "--size '-1' is not a whole number"),
            (("client", *address, "--size", "1k"), "--size '1k' is not a whole number"),
            (("client", *address, "--size", "0"), "--size 0 is out of range; allowed: 1 to"),
            (("client", *address, "--size", "16777217"), "allowed: 1 to 16777216"),
            (("client", *address, "--size", "99999999999999999999999"), "out of range"),
            (("client", *address, "--count", "0"), "--count 0 is out of range"),
            (("client", *address, "--inflight", "0"), "allowed: 1 to 4096"),
            (("client", *address, "--inflight", "4097"), "allowed: 1 to 4096"),
            (("client", *address, "--connections", "10001"), "allowed: 1 to 10000"),
            (("client", *address, "--duration", "0"), "--duration '0'; allowed: seconds from"),
            (("client", *address, "--duration", "nan"), "--duration 'nan'"),
            (("client", *address, "--duration", "1s"), "--duration '1s'"),
            (("client", *address, "--proto", "sctp"), "allowed: tcp, udp"),
            (("client", *address, "--proto", "udp", "--size", "65508"), "allowed: 1 to 65507"),
            (("client", *address, "--size", "65508", "--proto", "udp"), "allowed: 1 to 65507"),
            (("client", *address, "--proto", "udp", "--size", "1", "--inflight", "129"),
             "allowed: 1 to 128"),
            (("client", *address, "--size", "1000000", "--inflight", "4000"), "allowed: up to"),
            (("client", *address, "--inflight", "4096", "--connections", "10000"),
             "allowed: up to"),
            (("client", *address, "--log", "x"), "--log is for the server"),
            (("client", *address, "--json", ""), "--json is empty"),
            (("client", "--addr", "127.0.0.1:0"), "port 0 is for the server"),
            (("client", "--addr", "127.0.0.1"), "no :PORT"),
            (("client", "--addr", "127.0.0.1:"), "PORT is a number from 0 to 65535"),
            (("client", "--addr", "127.0.0.1:65536"), "PORT is a number from 0 to 65535"),
            (("client", "--addr", "127.0.0.1:7x"), "PORT is a number from 0 to 65535"),
            (("client", "--addr", ":7"), "no HOST"),
            (("client", "--addr", "[]:7"), "no HOST"),
            (("client", "--addr", "["), "no :PORT"),
            (("client", "--addr", "[:7"), "no :PORT after the bracket"),
            (("client", "--addr", ""), "no :PORT"),
            (("client", "--addr", "::1:7"), "in brackets"),
            (("client", "--addr", "[::1]"), "no :PORT after the bracket"),
            (("client", "--addr", "[127.0.0.1]:7"), "--addr '[127.0.0.1]:7': "),
            (("client", "--addr", "h" * 300 + ":7"), "longer than 255"),
            (("client",), "--addr is missing"),
            (("server",), "--addr is missing"),
            (("server", *address, "--size", "64"), "--size is for the client"),
            (("server", *address, "--inflight", "1"), "--inflight is for the client"),
            (("server", *address, "--connections", "1"), "--connections is for the client"),
            (("server", *address, "--log"), "option '--log' needs a value"),
            (("server", *address, "--quiet=1"), "option '--quiet=1' takes no value"),
            (("server", *address, "--frobnicate"), "unknown option '--frobnicate'"),
            (("server", *address, "-x"), "unknown option '-x'"),
            (("server", "client", *address), "'client' is one word too many"),
            (("peer", *address), "'peer' is neither server nor client"),
            ((), "first say what to be: server or client"),
        )
        demi_table = table + (
            (("client", *address, "--reply", "sockperf"), "--reply is for the server"),
            (("server", *address, "--reply", "other"), "allowed: same, sockperf"),
            (("server", *address, "--threads", "0"), "allowed: 1 to 256"),
            (("client", *address, "--threads", "257"), "allowed: 1 to 256"),
            (("server", *address, "--threads", "2", "--log", "x"), "--log has one writer"),
            (("client", *address, "--threads", "3", "--connections", "2"),
             "give --connections 3 or more"),
            (("client", *address, "--threads", "3", "--count", "2"), "give --count 3 or more"),
            (("server", *address, "--threads", "2", "--libos", "cattree"),
             "on cattree a device and its addresses have one runtime"),
            (("server", *address, "--threads", "65", "--dev", "loop:a", "--ip", "10.0.0.1/8"),
             "on catnip at most 64 runtimes share a device"),
        )
        plain_table = table + (
            (("server", *address, "--json", "-"), "--json is for the client"),
            (("server", *address, "--threads", "2"), "unknown option '--threads'"),
        )
        for program, its_table in ((DEMI, demi_table), (PLAIN, plain_table)):
            for arguments, words in its_table:
                with self.subTest(program=program, arguments=arguments):
                    completed = subprocess.run([program, *arguments], text=True,
                                               capture_output=True, timeout=DEADLINE_S)
                    self.assertEqual(completed.returncode, 2, completed.stderr)
                    self.assertIn(words, completed.stderr)
                    self.assertEqual(completed.stderr.count("\n"), 1)
                    self.assertEqual(completed.stdout, "")

    def test_libos(self):
        arguments = ["client", "--addr", "127.0.0.1:7", "--libos", "nonesuch"]
        completed = subprocess.run([DEMI, *arguments], text=True, capture_output=True)
        self.assertEqual(completed.returncode, 1)
        self.assertIn("nonesuch", completed.stderr)
        completed = subprocess.run([PLAIN, *arguments], text=True, capture_output=True)
        self.assertEqual(completed.returncode, 2)
        self.assertIn("unknown option '--libos'", completed.stderr)

    def over_device(self, *options, addr="10.0.0.1:7", **environment):
        """A server that would run for a moment, on Catnip if the options say so."""
        inherited = {name: value for name, value in os.environ.items()
                     if not name.startswith("DEMI_NET_") and name != "LIBOS"}
        return subprocess.run([DEMI, "server", "--proto", "udp", "--addr", addr, "--duration",
                               "0.1", *options], text=True, capture_output=True,
                              timeout=DEADLINE_S, env=inherited | environment)

    def refuses(self, words, *options, status=1, **keywords):
        """With one message, behind which demi-echo may say that nothing starts; nothing else."""
        completed = self.over_device(*options, **keywords)
        self.assertEqual(completed.returncode, status, completed.stderr)
        self.assertIn(words, completed.stderr)
        lines = completed.stderr.splitlines()
        self.assertTrue(len(lines) == 1 or
                        (len(lines) == 2 and "the library OS does not start" in lines[1]), lines)
        self.assertEqual(completed.stdout, "")

    def test_a_device_means_catnip(self):
        # An address that the kernel has not.
        device = ("--dev", "loop", "--ip", "10.0.0.1/24")
        for environment in ({}, {"LIBOS": "catnap"}, {"LIBOS": "catnip"}):
            with self.subTest(environment=environment):
                completed = self.over_device(*device, **environment)
                self.assertEqual(completed.returncode, 0, completed.stderr)
                self.assertIn("listening on 10.0.0.1:7", completed.stdout)
        self.refuses("net.dev (DEMI_NET_DEV): Catnip needs a device", "--ip", "10.0.0.1/24")
        for option in (("--dev", "loop"), ("--ip", "10.0.0.1/24"), ("--gw", "10.0.0.9"),
                       ("--mac", "02:00:00:00:00:01")):
            self.refuses(f"{option[0]} is for catnip; leave it out, or --libos catnap", *option,
                         "--libos", "catnap", status=2)

    def test_a_block_device_is_for_any_libos(self):
        for libos in ("catnap", "catnip"):
            self.refuses("DEMI_BLK_DEV: ", "--blk", "uring:" + "x" * 250, "--libos", libos)
        self.refuses("--blk is empty; it needs a value", "--blk", "", status=2)

    def test_addresses_that_are_there_are_named(self):
        self.refuses("10.0.0.7:7: Cannot assign requested address; give one of --ip (net.ip), "
                     "which are 10.0.0.1/24,10.0.0.2/24", "--dev", "loop", "--ip", "10.0.0.1/24",
                     "--ip", "10.0.0.2/24", addr="10.0.0.7:7")
        self.refuses("Cannot assign requested address; give one of the host's", "--libos",
                     "catnap", addr="192.0.2.1:7")

    def test_log_without_files(self):
        self.refuses("--log /dev/null: this library OS has no files; leave --log out", "--dev",
                     "loop", "--ip", "10.0.0.1/24", "--log", "/dev/null")

    def test_gateway_that_is_none(self):
        for gateway in ("10.0.0.255", "10.0.0.0"):
            self.refuses(f"net.gw: gateway {gateway} is not the address of one host", "--dev",
                         "loop", "--ip", "10.0.0.1/24", "--gw", gateway)

    def needs_dpdk(self):
        completed = self.over_device("--dev", "dpdk:net_null0", "--ip", "10.0.0.1/24")
        if completed.returncode:
            self.skipTest(completed.stderr)

    def test_arguments_of_dpdk(self):
        self.needs_dpdk()
        table = (
            ("--bogus", "Invalid 'command line' arguments"),
            ("-l 99", "lcore 99 unavailable"),
            ("-l", '"-l" lacks its value'),
            ("--help", '"--help" would end the program'),
            ("--he", '"--he" would end the program'),
            ("-vh", '"-vh" would end the program'),
            ("foo bar", '"foo" is no option'),
            ("--no-huge foo", '"foo" is no option'),
            ("-m abc", '"-m" has a value that is no whole number'),
            ("-mabc", '"-mabc" has a value that is no whole number'),
            ("--vdev=x", 'failed to parse device "x"'),
            ("--proc-type=secondary", "Cannot open"),
        )
        for arguments, words in table:
            with self.subTest(arguments=arguments):
                self.refuses(words, "--dev", "dpdk:net_null0", "--ip", "10.0.0.1/24",
                             DEMI_DPDK_ARGS=arguments)
        for arguments in ("--no-huge -m 96", "--no-huge -m96", "--vdev net_null5", "-v",
                          "--vdev=net_null5 --no-pci"):
            with self.subTest(arguments=arguments):
                completed = self.over_device("--dev", "dpdk:net_null0", "--ip", "10.0.0.1/24",
                                             DEMI_DPDK_ARGS=arguments)
                self.assertEqual((completed.returncode, completed.stderr), (0, ""))

    def test_keys_of_dpdks_devices(self):
        self.needs_dpdk()
        table = (
            ("net_memif0,role=client,bogus=1", '"bogus=1" is not known; this driver knows role,'),
            ("net_memif0,role=server,id=abc", '"id=abc" is not a whole number'),
            ("net_memif0,role=king", "Unknown role: king"),
            ("net_memif0,role", '"role" lacks its value'),
            ("net_null0,size=abc", '"size=abc" is not a whole number; this driver knows size,'),
            ("net_null0,foo=1", '"foo=1" is not known'),
            ("net_af_packet0,iface=lo,foo=1", '"foo=1" is not known'),
        )
        for device, words in table:
            with self.subTest(device=device):
                self.refuses(words, "--dev", f"dpdk:{device}", "--ip", "10.0.0.1/24")
        self.refuses("net.mtu: 60000 is more than dpdk:net_null0 can carry", "--dev",
                     "dpdk:net_null0", "--ip", "10.0.0.1/24", DEMI_NET_MTU="60000")

    def test_help_and_version(self):
        for program in (DEMI, PLAIN):
            for option, words in (("--help", "usage: "), ("--version", " 0.")):
                completed = subprocess.run([program, option], text=True, capture_output=True)
                self.assertEqual(completed.returncode, 0)
                self.assertIn(words, completed.stdout)


def can_bind(host):
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as attempt:
        attempt.bind((host, 0))
        return True
    return False


def main():
    global DEMI, PLAIN
    if len(sys.argv) < 3 or not all(os.access(path, os.X_OK) for path in sys.argv[1:3]):
        print("skipped: needs demi-echo and echo-plain, which need jansson")
        sys.exit(SKIPPED)
    DEMI, PLAIN = sys.argv[1:3]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)


if __name__ == "__main__":
    main()
