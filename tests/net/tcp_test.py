#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
TCP between Demi and plain kernel sockets or unmodified programs, in both roles.

TCP_BULK_MIB is how much the bulk transfers carry: 32, or 1024 and more for a thorough run.
"""

import contextlib
import errno
import hashlib
import os
import select
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest

import lab

FULL = os.environ.get("LAB_SWEEP", "full") == "full"
BULK_BYTES = int(os.environ.get("TCP_BULK_MIB", "32" if FULL else "4")) << 20
BULK_S = 60 + BULK_BYTES // (2 << 20)
MSS = {4: 1460, 6: 1440}

TCP_INFO = {"retransmits": (2, "B"), "snd_mss": (16, "I"), "rtt_us": (68, "I"), "total_retrans": (100, "I"),
            "segs_out": (136, "I")}


def tcp_info(sock):
    """Of Linux's struct tcp_info."""
    data = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    return {name: struct.unpack_from("=" + kind, data, at)[0]
            for name, (at, kind) in TCP_INFO.items()}


OPTIONS = ("tcp.options.mss_val", "tcp.options.sack_perm", "tcp.options.timestamp.tsval",
           "tcp.options.wscale.shift")


def check_capture(test, capture, syns):
    """No checksum is wrong, and Demi's SYNs, of so many connections, have all options."""
    source = {4: "ip.src", 6: "ipv6.src"}[test.version]
    rows = capture.packets(f"tcp.flags.syn == 1 || {lab.BAD_CHECKSUM}", "tcp.flags.syn",
                           "tcp.checksum.status", source, "tcp.srcport", "tcp.dstport", *OPTIONS)
    test.assertEqual([row for row in rows if row[0] not in ("1", "True") or row[1] != "1"], [])
    ours = [row[3:] for row in rows if row[2] == lab.DEMI_IP[test.version]]
    # Where the machine is slow one may come twice.
    test.assertEqual(len({tuple(row[:2]) for row in ours}), syns)
    for row in ours:
        test.assertEqual(row[2], str(MSS[test.version]))
        test.assertTrue(all(row), row)


def abort(sock):
    """Closes it with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def figures(**values):
    print("# " + ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in values.items()))


def rate(size, seconds):
    return f"{size / seconds / (1 << 20):.0f} MiB/s"


def probe(*arguments, environment=None, ready=None):
    return lab.Program(lab.demi_command(lab.PROBE, *arguments),
                       lab.device_environment() | (environment or {}), ready=ready)


def demi_server(version, **keywords):
    return lab.server(version, proto="tcp", **keywords)


def demi_client(address, *options, **keywords):
    return lab.client(address, *options, proto="tcp", **keywords)


@contextlib.contextmanager
def kernel_server(version, serve, **keywords):
    """Calls serve(connection) for one connection to the kernel; yields the address and a thread."""
    listener, address = lab.tcp_listener(version, **keywords)

    def accept():
        with listener.accept()[0] as connection:
            connection.settimeout(lab.DEADLINE_S)
            return serve(connection)

    with listener:
        thread = lab.Thread(accept)
        yield address, thread
        thread.end(BULK_S)


@contextlib.contextmanager
def kernel_echo(version):
    """demi-echo on the kernel's sockets, for any number of connections."""
    command = [lab.DEMI_ECHO, "server", "--addr", f"{lab.host(version, lab.LINUX_IP[version])}:0",
               "--libos", "catnap", "--quiet"]
    with lab.Program(command, ready=r"listening on .*:\d+\n", prepare=None) as program:
        yield program.first_line.split()[-1]


class WithServer(unittest.TestCase):
    """Has an echo server on Demi's end that all tests use, which lives through them."""
    version = 4

    @classmethod
    def setUpClass(cls):
        cls.peer = (lab.DEMI_IP[cls.version], lab.PORT)
        cls.server = demi_server(cls.version)
        cls.server.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def connect(self, **keywords):
        return lab.tcp_socket(self.version, self.peer, **keywords)

    def echo(self, sock, message):
        sock.sendall(message)
        self.assertEqual(self.take(sock, len(message)), message)

    def take(self, sock, size):
        data = b""
        while len(data) < size:
            part = sock.recv(size - len(data))
            self.assertTrue(part, f"the end after {len(data)} of {size} bytes")
            data += part
        return data


class Server(WithServer):
    def test_sizes(self):
        mss = MSS[self.version]
        around = {base + d for base in (mss - 12, mss, 2 * (mss - 12), 10 * (mss - 12), 65536)
                  for d in (-1, 0, 1)}
        with self.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for size in (*range(1, 300 if FULL else 50), *sorted(around), 100000):
                with self.subTest(size=size):
                    if size > 20000:
                        lab.exchange_stream(sock, size)
                    else:
                        self.echo(sock, lab.pattern(size, size))

    def test_bulk_in_both_directions_at_once(self):
        with self.connect() as sock:
            began = time.monotonic()
            lab.exchange_stream(sock, BULK_BYTES)
            info = tcp_info(sock)
            figures(echo=rate(BULK_BYTES, time.monotonic() - began), **info)
        # The round trip is sane, and what was lost on the way is little.
        self.assertEqual(info["retransmits"], 0)
        self.assertLess(info["rtt_us"], 1000000)
        self.assertLess(info["total_retrans"], 20 + info["segs_out"] // 20)

    def test_64_connections_at_once(self):
        with contextlib.ExitStack() as stack:
            socks = [stack.enter_context(self.connect()) for _ in range(64)]
            for turn in (1, 2, 3):
                for number, sock in enumerate(socks):
                    sock.sendall(lab.pattern(turn * 1000 + number, number))
                for number, sock in enumerate(socks):
                    size = turn * 1000 + number
                    self.assertEqual(self.take(sock, size), lab.pattern(size, number))

    def test_half_close(self):
        for size in (0, 1, 300000):
            with self.subTest(size=size), self.connect() as sock:
                thread = lab.Thread(lab.receive_stream, sock)
                lab.send_stream(sock, size)
                sock.shutdown(socket.SHUT_WR)
                self.assertEqual(thread.end(), (size, lab.stream_digest(size)))

    def test_closed_port_is_refused(self):
        with lab.tcp_socket(self.version) as sock, self.assertRaises(ConnectionRefusedError):
            sock.connect((self.peer[0], lab.PORT + 1))

    @lab.needs("tcpdump", "tshark")
    def test_checksums_and_options(self):
        with lab.Capture() as capture:
            with self.connect() as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for size in (*range(1, 40), 1447, 1448, 1449, 5000):
                    self.echo(sock, lab.pattern(size, size))
                sock.shutdown(socket.SHUT_WR)
                self.assertEqual(sock.recv(1), b"")
            with self.connect() as sock:
                self.echo(sock, b"reset")
                abort(sock)
            with lab.tcp_socket(self.version) as sock, self.assertRaises(ConnectionRefusedError):
                sock.connect((self.peer[0], lab.PORT + 1))
        check_capture(self, capture, 2)


class Server6(Server):
    version = 6


class ServerStack(WithServer):
    """More of it, which no device changes."""

    def test_1000_connections_of_a_client(self):
        address = f"{lab.host(self.version)}:{lab.PORT}"
        said = lab.run(lab.DEMI_ECHO, "client", "--addr", address, "--libos", "catnap",
                       "--connections", "1000", "--count", "10000", "--quiet").stdout
        self.assertRegex(said, r"verified +10000 messages, every byte; 0 lost, 0 duplicates")

    def test_connections_one_after_the_other(self):
        for number in range(300 if FULL else 50):
            with self.connect() as sock:
                self.echo(sock, lab.pattern(100, number))

    def test_one_who_does_not_read_for_a_while(self):
        # Both windows close, the server stops to read; then all of it comes.
        size = 24 << 20
        with lab.tcp_socket(self.version) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.connect(self.peer)
            sender = lab.Thread(lab.send_stream, sock, size)
            time.sleep(1)
            stopped = sender.is_alive()
            self.assertEqual(lab.receive_stream(sock, size), (size, lab.stream_digest(size)))
            sender.end()
            self.assertTrue(stopped, "everything was taken though nobody read")

    def test_small_windows(self):
        size = 1 << 20
        with lab.tcp_socket(self.version) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            sock.connect(self.peer)
            lab.exchange_stream(sock, size if FULL else size // 8)

    def test_small_writes_with_nagle(self):
        # What waits at the sender for an acknowledgment gets one.
        with self.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
            for number in range(30):
                for part in range(3):
                    sock.sendall(lab.pattern(100, number + part))
                for part in range(3):
                    self.assertEqual(self.take(sock, 100), lab.pattern(100, number + part))

    def test_keepalive_is_answered(self):
        # Two probes without an answer would end it after three seconds.
        with self.connect() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1),
                                  (socket.TCP_KEEPCNT, 2)):
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
            self.echo(sock, b"before")
            sock.settimeout(4)
            with self.assertRaises(socket.timeout):
                sock.recv(1)
            sock.settimeout(lab.ANSWER_S)
            self.echo(sock, b"after")

    @lab.needs("nc")
    def test_netcat(self):
        self.filter(["nc", "-N", self.peer[0], str(self.peer[1])], 3000000)

    @lab.needs("socat")
    def test_socat(self):
        self.filter(["socat", "-t", "10", "-",
                     f"TCP{self.version}:{lab.host(self.version)}:{self.peer[1]}"], 3000000)

    def filter(self, command, size):
        """A program from whose input to whose output everything goes by way of Demi."""
        with tempfile.TemporaryFile() as file:
            for block in lab.stream_blocks(size):
                file.write(block)
            file.seek(0)
            out = subprocess.run(command, stdin=file, stdout=subprocess.PIPE, check=True,
                                 timeout=lab.DEADLINE_S).stdout
        self.assertEqual(len(out), size)
        self.assertEqual(hashlib.sha256(out).hexdigest(), lab.stream_digest(size))


class ServerOfItsOwn(unittest.TestCase):
    """What would disturb others, or needs its own settings."""

    def test_reset_by_the_client(self):
        with demi_server(4) as program:
            for _ in range(2):
                sock = lab.tcp_socket(4, (lab.DEMI_IP[4], lab.PORT))
                sock.sendall(b"x")
                self.assertEqual(sock.recv(1), b"x")
                abort(sock)
            with lab.tcp_socket(4, (lab.DEMI_IP[4], lab.PORT)) as sock:
                lab.exchange_stream(sock, 1000)
        self.assertIn("receive: Connection reset by peer", program.errors_text)

    def test_reset_in_the_middle(self):
        # With pushes under way that the peer does not take.
        with demi_server(4) as program:
            sock = lab.tcp_socket(4, (lab.DEMI_IP[4], lab.PORT))
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    sock.send(lab.pattern(60000))
            select.select([sock], [], [], lab.ANSWER_S)
            abort(sock)
            with lab.tcp_socket(4, (lab.DEMI_IP[4], lab.PORT)) as other:
                lab.exchange_stream(other, 100000)
        self.assertIn("Connection reset by peer", program.errors_text)

    def test_one_server_for_both_versions(self):
        with demi_server(6, address="::"):
            for version in (4, 6):
                with lab.tcp_socket(version, (lab.DEMI_IP[version], lab.PORT)) as sock:
                    lab.exchange_stream(sock, 10000)

    @unittest.skipIf(lab.DEVICE == "kernel", "Linux ends the connections of who is killed")
    def test_connections_of_one_that_was_killed_are_reset(self):
        with lab.tcp_socket(4) as sock:
            program = demi_server(4)
            sock.connect((lab.DEMI_IP[4], lab.PORT))
            lab.exchange_stream(sock, 1000)
            program.process.send_signal(signal.SIGKILL)
            program.process.communicate()
            with demi_server(4):
                sock.settimeout(lab.DEADLINE_S)
                with self.assertRaises(ConnectionResetError):
                    sock.sendall(b"are you there?")
                    sock.recv(1)

    @unittest.skipIf(lab.DEVICE == "kernel", "Linux has one secret from boot on")
    def test_initial_numbers_of_each_run_are_its_own(self):
        # RFC 6528, 4: the same four numbers, but for the clock, have others in the next run.
        ports = range(5001, 5007)
        with lab.Capture(f"tcp and src port {lab.PORT}") as capture:
            for _ in range(2):
                with demi_server(4):
                    for port in ports:
                        sock = socket.create_connection((lab.DEMI_IP[4], lab.PORT), lab.DEADLINE_S,
                                                        (lab.LINUX_IP[4], port))
                        abort(sock)
            rows = capture.packets("tcp.flags.syn == 1", "tcp.dstport", "tcp.seq_raw", "frame.time_epoch")
        near = 0
        for port in ports:
            seen = [(int(number), float(at)) for to, number, at in rows if int(to) == port]
            (first, then), (second, now) = seen[0], seen[-1]
            ticks = (now - then) / 4.096e-6
            near += (second - first - int(ticks) + (1 << 24)) % (1 << 32) < 1 << 25
        # One in 128 is by chance.
        self.assertLess(near, 3)

    def test_cookies(self):
        # Of connections that begin with a cookie, options included, Linux notices nothing.
        with demi_server(4, environment={"DEMI_TCP_SYN_BACKLOG_MAX": "0"}):
            with contextlib.ExitStack() as stack:
                socks = [stack.enter_context(lab.tcp_socket(4, (lab.DEMI_IP[4], lab.PORT)))
                         for _ in range(32)]
                for sock in socks:
                    lab.exchange_stream(sock, 2000)
                lab.exchange_stream(socks[0], 4 << 20)

    def test_backlog(self):
        # Those beyond it are let in when others have been accepted, since they ask again.
        backlog = 4
        peer = (lab.DEMI_IP[4], lab.PORT)
        with probe("backlog", peer[0], str(peer[1]), str(backlog), ready="ready\n") as program, \
                contextlib.ExitStack() as stack:
            socks = [stack.enter_context(lab.tcp_socket(4, peer)) for _ in range(backlog)]
            more = [stack.enter_context(lab.tcp_socket(4)) for _ in range(backlog)]
            for sock in more:
                sock.setblocking(False)
                self.assertEqual(sock.connect_ex(peer), errno.EINPROGRESS)
            time.sleep(0.5)
            # Linux takes one more than its backlog.
            connected = select.select([], more, [], 0)[1]
            self.assertLessEqual(len(connected), 1 if lab.DEVICE == "kernel" else 0)
            program.process.send_signal(signal.SIGUSR1)
            for sock in socks + more:
                sock.settimeout(lab.DEADLINE_S)
                if sock in more:
                    select.select([], [sock], [], lab.DEADLINE_S)
                self.assertEqual(lab.receive_stream(sock),
                                 (7, hashlib.sha256(b"welcome").hexdigest()))

class Http(unittest.TestCase):
    """A little server of files, to curl; bulk each way by itself, and its rate."""
    version = 4

    @classmethod
    def setUpClass(cls):
        cls.url = f"http://{lab.host(cls.version)}:80/"
        cls.server = probe("http", lab.DEMI_IP[cls.version], "80", ready="ready\n")
        cls.server.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def request(self, method, number, length=0):
        sock = lab.tcp_socket(self.version, (lab.DEMI_IP[self.version], 80))
        sock.settimeout(lab.DEADLINE_S)
        sock.sendall(f"{method} /{number} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n".encode())
        return sock

    def head(self, sock):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            part = sock.recv(1)
            self.assertTrue(part, head)
            head += part
        self.assertTrue(head.startswith(b"HTTP/1.0 200 "), head)

    def test_bulk_to_us(self):
        with self.request("GET", BULK_BYTES) as sock:
            self.head(sock)
            began = time.monotonic()
            received = lab.receive_stream(sock)
            figures(from_demi=rate(BULK_BYTES, time.monotonic() - began))
        self.assertEqual(received, (BULK_BYTES, lab.stream_digest(BULK_BYTES)))

    def put(self, size, wait_ms=0):
        with self.request("PUT", wait_ms, size) as sock:
            began = time.monotonic()
            lab.send_stream(sock, size)
            self.head(sock)
            seconds = time.monotonic() - began
            self.assertEqual(sock.recv(100), f"received {size}\n".encode())
            return seconds, tcp_info(sock)

    def test_bulk_from_us(self):
        seconds, info = self.put(BULK_BYTES)
        figures(to_demi=rate(BULK_BYTES, seconds), **info)
        self.assertLess(info["total_retrans"], 20 + info["segs_out"] // 20)

    def test_one_who_takes_late(self):
        # Demi's window closes for as long, and opens.
        seconds, _ = self.put(16 << 20, 1000)
        self.assertGreater(seconds, 0.9)

    def test_reset_in_the_middle(self):
        with self.request("GET", 100 << 20) as sock:
            self.head(sock)
            sock.recv(100000, socket.MSG_WAITALL)
            abort(sock)
        with self.request("GET", 1000) as sock:
            self.head(sock)
            self.assertEqual(lab.receive_stream(sock), (1000, lab.stream_digest(1000)))

    @lab.needs("curl")
    def test_curl(self):
        for size in (0, 1, 1460, 100000, 5000000):
            with self.subTest(size=size):
                out = subprocess.run(["curl", "-s", "-S", "-f", "-g", f"{self.url}{size}"],
                                     stdout=subprocess.PIPE, check=True,
                                     timeout=lab.DEADLINE_S).stdout
                self.assertEqual((len(out), hashlib.sha256(out).hexdigest()),
                                 (size, lab.stream_digest(size)))

    @lab.needs("curl")
    def test_curl_uploads(self):
        with tempfile.NamedTemporaryFile() as file:
            size = 5000000
            for block in lab.stream_blocks(size):
                file.write(block)
            file.flush()
            said = lab.run("curl", "-s", "-S", "-f", "-g", "-H", "Expect:", "-T", file.name,
                           f"{self.url}0").stdout
        self.assertEqual(said, f"received {size}\n")

    @lab.needs("curl")
    def test_curl_in_parallel(self):
        url = self.url.replace("[", r"\[").replace("]", r"\]")
        said = lab.run("curl", "-s", "-S", "-f", "-Z", "--no-progress-meter", "-o",
                       "/dev/null", "-w", "%{size_download}\n",
                       f"{url}[100000-100199]", check=False)
        self.assertEqual(said.returncode, 0, said.stdout)
        self.assertEqual(sorted(map(int, said.stdout.split())), list(range(100000, 100200)))


class Http6(Http):
    version = 6


class Mtu(unittest.TestCase):
    """Of the link; both ends offer what it is good for."""

    def setUp(self):
        self.addCleanup(self.set_mtu, 1500)

    @staticmethod
    def set_mtu(mtu):
        lab.run("ip", "link", "set", lab.interface(), "mtu", str(mtu))
        if lab.DEVICE != "tap":
            lab.run("ip", "-n", os.environ["LAB_DEMI"], "link", "set", "demi0", "mtu", str(mtu))

    def transfer(self, mtu):
        self.set_mtu(mtu)
        with demi_server(6, address="::"):
            for version, headers in ((4, 52), (6, 72)):
                with lab.tcp_socket(version, (lab.DEMI_IP[version], lab.PORT)) as sock:
                    lab.exchange_stream(sock, 3000000)
                    self.assertEqual(tcp_info(sock)["snd_mss"], mtu - headers)

    def test_1280(self):
        self.transfer(1280)

    @unittest.skipIf(lab.DEVICE == "af_packet", "net_af_packet can do 1500")
    def test_1700(self):
        self.transfer(1700)

    @unittest.skipIf(lab.DEVICE in ("afxdp", "af_packet"), "AF_XDP can do 1710, net_af_packet 1500")
    def test_9000(self):
        self.transfer(9000)


class WithClient(unittest.TestCase):
    version = 4

    def setUp(self):
        lab.know_demi()
        self.addCleanup(lab.know_demi, False)

    def send(self, address, size, **keywords):
        """net-probe that sends a stream, and takes what comes back: how much that was."""
        host, _, port = address.rpartition(":")
        with probe("send", host.strip("[]"), port, str(size), ready="connected\n", **keywords) \
                as program:
            said = program.line(BULK_S)
            self.assertRegex(said, rf"sent {size} received \d+\n")
        return int(said.split()[-1])


class Client(WithClient):
    def test_sizes(self):
        with kernel_echo(self.version) as address:
            for size in (1, 64, 1448, 1449, 4096, 100000):
                with self.subTest(size=size):
                    result = demi_client(address, "--size", str(size), "--count", "100")
                    self.assertEqual((result["verified"], result["lost"]), (100, 0))

    def test_64_connections(self):
        with kernel_echo(self.version) as address:
            result = demi_client(address, "--connections", "64", "--count", "5000")
            self.assertEqual(result["verified"], 5000)

    def test_bulk_to_the_kernel(self):
        def serve(connection):
            began = time.monotonic()
            return lab.receive_stream(connection), time.monotonic() - began

        with kernel_server(self.version, serve) as (address, thread):
            self.assertEqual(self.send(address, BULK_BYTES), 0)
            received, seconds = thread.end(BULK_S)
        self.assertEqual(received, (BULK_BYTES, lab.stream_digest(BULK_BYTES)))
        figures(from_demi=rate(BULK_BYTES, seconds))

    def test_bulk_in_both_directions_at_once(self):
        def serve(connection):
            sender = lab.Thread(lab.send_stream, connection, BULK_BYTES)
            received = lab.receive_stream(connection)
            sender.end(BULK_S)
            return received

        with kernel_server(self.version, serve) as (address, thread):
            self.assertEqual(self.send(address, BULK_BYTES), BULK_BYTES)
            self.assertEqual(thread.end(BULK_S), (BULK_BYTES, lab.stream_digest(BULK_BYTES)))

    def test_half_close(self):
        # Everything comes back after the end of what was sent.
        def serve(connection):
            received = lab.receive_stream(connection)
            lab.send_stream(connection, size)
            return received

        for size in (1, 300000):
            with self.subTest(size=size), kernel_server(self.version, serve) as (address, thread):
                self.assertEqual(self.send(address, size), size)
                self.assertEqual(thread.end(), (size, lab.stream_digest(size)))

    def test_closed_port_is_refused(self):
        with lab.tcp_socket(self.version) as sock:
            port = sock.getsockname()[1]
        address = f"{lab.host(self.version, lab.LINUX_IP[self.version])}:{port}"
        completed = demi_client(address, "--count", "1", check=False)
        self.assertEqual(completed.returncode, 1, completed.stdout)
        self.assertIn("Connection refused", completed.stderr)

    @lab.needs("tcpdump", "tshark")
    def test_checksums_and_options(self):
        with lab.Capture() as capture, kernel_echo(self.version) as address:
            for size in (1, 63, 1449, 20001):
                demi_client(address, "--size", str(size), "--count", "20")
        check_capture(self, capture, 4)


class Client6(Client):
    version = 6


class ClientStack(WithClient):
    """More of it, which no device changes."""

    def test_many_in_flight(self):
        with kernel_echo(self.version) as address:
            result = demi_client(address, "--size", "1000", "--count", "5000", "--inflight", "16",
                                 "--connections", "4")
            self.assertEqual((result["verified"], result["lost"]), (5000, 0))

    def test_1000_connections(self):
        with kernel_echo(self.version) as address:
            result = demi_client(address, "--connections", "1000", "--count", "10000")
            self.assertEqual((result["verified"], result["lost"]), (10000, 0))

    @lab.needs("socat")
    def test_echo_of_socat(self):
        with lab.tcp_socket(self.version) as sock:
            port = sock.getsockname()[1]
        program = subprocess.Popen(
            ["socat", "-d", "-d",
             f"TCP{self.version}-LISTEN:{port},bind={lab.host(self.version, lab.LINUX_IP[self.version])},"
             "reuseaddr,fork", "PIPE"], stderr=subprocess.PIPE, text=True)
        try:
            self.assertIn("listening on", program.stderr.readline())
            address = f"{lab.host(self.version, lab.LINUX_IP[self.version])}:{port}"
            result = demi_client(address, "--size", "3000", "--count", "200", "--connections", "2")
            self.assertEqual((result["verified"], result["lost"]), (200, 0))
        finally:
            program.terminate()
            program.communicate()

    def test_half_close_of_the_kernel(self):
        # Linux sends no more, and takes what comes.
        def serve(connection):
            lab.send_stream(connection, 1000)
            connection.shutdown(socket.SHUT_WR)
            time.sleep(0.3)
            return lab.receive_stream(connection)

        with kernel_server(self.version, serve, receive_buffer=20000) as (address, thread):
            self.assertEqual(self.send(address, 300000), 1000)
            self.assertEqual(thread.end(), (300000, lab.stream_digest(300000)))

    def test_one_who_does_not_read_for_a_while(self):
        def serve(connection):
            time.sleep(1)
            return lab.receive_stream(connection)

        with kernel_server(self.version, serve, receive_buffer=10000) as (address, thread):
            self.send(address, 4 << 20)
            self.assertEqual(thread.end(), (4 << 20, lab.stream_digest(4 << 20)))

    def test_nobody_there(self):
        for address in ("10.77.0.99", "[fd77::99]"):
            completed = demi_client(f"{address}:9", "--count", "1", check=False)
            self.assertEqual(completed.returncode, 1, completed.stdout)
            self.assertIn("No route to host", completed.stderr)

    def test_reset_by_the_server(self):
        def serve(connection):
            connection.recv(100)
            abort(connection)

        with kernel_server(self.version, serve) as (address, _):
            completed = demi_client(address, "--count", "1000", check=False)
        self.assertEqual(completed.returncode, 1, completed.stdout)
        self.assertIn("Connection reset by peer", completed.stderr)

    def test_end_by_the_server(self):
        def serve(connection):
            connection.recv(100)

        with kernel_server(self.version, serve) as (address, _):
            completed = demi_client(address, "--count", "1000", check=False)
        self.assertEqual(completed.returncode, 1, completed.stdout)
        self.assertIn("was closed", completed.stderr)


class Sockperf(unittest.TestCase):
    """An unmodified client of others, which has its own idea of a reply."""

    version = 4

    def server(self):
        return lab.server(self.version, proto="tcp", extra=["--reply", "sockperf"])

    @lab.needs("sockperf")
    def test_ping_pong(self):
        with self.server():
            lab.check_sockperf(self.version, "ping-pong", "--tcp", "-m", "64")
            lab.check_sockperf(self.version, "ping-pong", "--tcp", "-m", "20000")

    def test_messages_in_any_pieces(self):
        messages = b"".join(struct.pack("!QHI", number, 3, 14 + number) + bytes(number)
                            for number in range(40))
        replies = b"".join(struct.pack("!QHI", number, 2, 14 + number) + bytes(number)
                           for number in range(40))
        with self.server():
            for step in (1, 7, 13, len(messages)):
                with lab.tcp_socket(self.version, (lab.DEMI_IP[self.version], lab.PORT)) as sock:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    received = b""
                    for start in range(0, len(messages), step):
                        sock.sendall(messages[start:start + step])
                    while len(received) < len(replies):
                        received += sock.recv(65536)
                    self.assertEqual(received, replies)

    def test_message_that_wants_no_reply_ends_the_connection(self):
        with self.server() as server:
            with lab.tcp_socket(self.version, (lab.DEMI_IP[self.version], lab.PORT)) as sock:
                sock.sendall(struct.pack("!QHI", 1, 1, 14))
                self.assertIn(self.end_of(sock), (b"", "reset"))
        self.assertIn("not a sockperf client", server.errors_text)

    @staticmethod
    def end_of(sock):
        try:
            return sock.recv(100)
        except ConnectionResetError:
            return "reset"


class Sockperf6(Sockperf):
    version = 6


class Latency(unittest.TestCase):
    """Prints, and judges nothing."""

    def test_round_trips(self):
        with demi_server(4):
            said = lab.run(lab.DEMI_ECHO, "client", "--addr", f"{lab.DEMI_IP[4]}:{lab.PORT}",
                           "--libos", "catnap", "--duration", "1", "--quiet", "--json", "-",
                           "--inflight", "1").stdout
        result = lab.json.loads(said)
        self.assertEqual(result["lost"], 0)
        figures(p50_us=result["latency_us"]["p50"], p99_us=result["latency_us"]["p99"])


del WithServer, WithClient
if lab.DEVICE not in ("afxdp", "kernel"):
    del Server6, ServerStack, ServerOfItsOwn, Http, Http6, Client6, ClientStack, Sockperf, \
        Sockperf6, Latency

if __name__ == "__main__":
    lab.main()
