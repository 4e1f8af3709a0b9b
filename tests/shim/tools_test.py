#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Debian's iperf3, sockperf, curl, wrk and python3, as servers and as clients on the stack."""

import hashlib
import http.server
import json
import os
import re
import threading

import stack
from stack import lab

ECHO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "asyncio_echo.py")
PYTHON = "/usr/bin/python3"
PORT = 7000
IPERF_SECONDS = os.environ.get("IPERF_SECONDS", "1")  # each of iperf3's runs
CONNECTIONS = 300
LARGE = 20_000_000


class Iperf(stack.Test):
    tools = ("iperf3",)
    ways = ((), ("-R",), ("-P", "4"), ("--bidir",))

    def check(self, said, *options):
        report = json.loads(said[said.index("{"):])
        self.assertNotIn("error", report)
        end = report["end"]
        if "-u" in options:
            self.assertGreater(end["sum"]["packets"], 100)
            self.assertLess(end["sum"]["lost_percent"], 20, end["sum"])
        else:
            self.assertGreater(end["sum_received"]["bytes"], 1_000_000)
            self.assertEqual(end["sum_sent"]["bytes"] > 0, True)

    def ask(self, run, server, *options):
        """It opens its port anew for each client; one more has been served than it waits for."""
        asked = self.asked
        stack.wait_until(lambda: server.said().count("Server listening") > asked, "iperf3 listens again")
        self.asked += 1
        return run("iperf3", "-J", "-t", IPERF_SECONDS, *options,
                   timeout=stack.DEADLINE_S + int(IPERF_SECONDS))

    def run_all(self, run, peer, server):
        for options in (*self.ways, ("-u", "-b", "20M"), ("-u", "-b", "20M", "-R")):
            with self.subTest(options=options):
                self.check(self.ask(run, server, "-c", peer, *options), *options)
        with self.subTest("over IPv6"):
            self.check(self.ask(run, server, "-6", "-c", peer.replace("10.77.0.", "fd77::")))

    def start_server(self, end):
        """It takes the look at its port for a client."""
        self.asked = 1
        return self.start("iperf3", "-s", "--forceflush", end=end, port=5201, statuses=(0, 1))

    def test_server(self):
        self.run_all(stack.here, stack.address(), self.start_server(1))

    def test_client(self):
        self.run_all(stack.client, lab.LINUX_IP[4], self.start_server(None))


class Sockperf(stack.Test):
    tools = ("sockperf",)

    def check(self, said):
        self.assertRegex(said, r"Summary: (Latency|Round trip) is \d+\.\d+ usec|"
                               r"Summary: Message Rate is \d+")
        self.assertIn("# dropped messages = 0; # duplicated messages = 0; "
                      "# out-of-order messages = 0", said)

    def clients(self, run, peer):
        """One run takes three seconds: each way over one protocol."""
        for options in (("ping-pong", "--tcp"), ("under-load", "--mps", "2000")):
            with self.subTest(options=options):
                self.check(run("sockperf", *options, "-i", peer, "-p", str(PORT), "-t", "1"))

    def wait_for_server(self, server):
        stack.wait_until(lambda: "[tid" in server.said() or not server.alive(), "sockperf is ready")
        self.assertTrue(server.alive(), server.said())

    def test_server_of_each_kind(self):
        """How it waits for its sockets: recvfrom, select, poll, epoll."""
        with open(os.path.join(self.folder, "feed"), "w", encoding="ascii") as file:
            file.write(f"U:{stack.address()}:{PORT}\nT:{stack.address()}:{PORT}\n")
        for kind in ("select", "poll", "epoll"):
            server = self.start("sockperf", "server", "-f", file.name, "-F", kind,
                                statuses=(0, -15))
            self.wait_for_server(server)
            with self.subTest(kind=kind):
                self.clients(stack.here, stack.address())
            server.kill()

    def test_server_that_blocks(self):
        server = self.start("sockperf", "server", "-i", stack.address(), "-p", str(PORT),
                            statuses=(0, -15))
        self.wait_for_server(server)
        self.check(stack.here("sockperf", "ping-pong", "-i", stack.address(), "-p", str(PORT), "-t",
                              "1"))

    def test_client(self):
        for protocol in ((), ("--tcp",)):
            server = self.start("sockperf", "server", "-i", lab.LINUX_IP[4], "-p", str(PORT),
                                *protocol, statuses=(0, -15), end=None)
            self.wait_for_server(server)
        self.clients(stack.client, lab.LINUX_IP[4])


class Files(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        size = int(self.path[1:])
        self.send_header("Content-Length", str(size))
        self.end_headers()
        for block in lab.stream_blocks(size):
            self.wfile.write(block)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        answer = f"{self.client_address[0]} {hashlib.sha256(body).hexdigest()}".encode()
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class WebClients(stack.Test):
    """On the stack, against a server on the kernel's."""
    tools = ("curl", "wrk")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.web = http.server.ThreadingHTTPServer((lab.LINUX_IP[4], PORT), Files)
        cls.addClassCleanup(cls.web.server_close)
        cls.addClassCleanup(cls.web.shutdown)
        threading.Thread(target=cls.web.serve_forever, daemon=True).start()
        cls.url = f"http://{lab.LINUX_IP[4]}:{PORT}"

    def test_curl(self):
        path = os.path.join(self.folder, "got")
        for size in (0, 1, 100_000, LARGE):
            stack.client("curl", "-sS", "-f", "-o", path, f"{self.url}/{size}")
            with open(path, "rb") as file:
                self.assertEqual(hashlib.sha256(file.read()).hexdigest(), lab.stream_digest(size))
        said = stack.client("curl", "-sS", "-f", "-T", path, self.url + "/")
        self.assertEqual(said, f"{stack.address()} {lab.stream_digest(LARGE)}")

    def test_curl_refused(self):
        said = stack.client("curl", "-sS", f"http://{lab.LINUX_IP[4]}:6999/", statuses=(7,))
        self.assertRegex(said, r"Failed to connect|Connection refused|Could not connect")

    def test_curl_times_out(self):
        said = stack.client("curl", "-sS", "--connect-timeout", "1", "http://10.77.0.99/",
                            statuses=(7, 28))
        self.assertRegex(said, r"[Tt]imed? ?out|Failed to connect")

    def test_curl_in_parallel(self):
        said = stack.client("curl", "-sS", "-f", "-Z", "--parallel-max", "20", "-o", "/dev/null",
                            "-w", "got=%{size_download} ", f"{self.url}/50000#[1-60]")
        self.assertEqual(said.count("got=50000 "), 60, said)

    def test_wrk(self):
        """Of a few connections: it has a table of its descriptors for as many as it opens."""
        for threads, connections in ((1, 1), (1, 4), (2, 20)):
            said = stack.client("wrk", "-t", str(threads), "-c", str(connections), "-d", "1",
                                f"{self.url}/1000")
            self.assertGreater(int(re.search(r"(\d+) requests in", said)[1]), 50)
            self.assertNotIn("Socket errors", said)
            self.assertNotIn("Non-2xx", said)


class Python(stack.Test):
    def echo(self, run, peer):
        said = run(PYTHON, ECHO, "client", peer, str(PORT), str(CONNECTIONS), timeout=60)
        self.assertRegex(said, rf"echoed \d+ bytes over {CONNECTIONS} connections")

    def test_asyncio_server(self):
        for address in (stack.address(), "0.0.0.0"):
            server = self.start(PYTHON, ECHO, "server", address, str(PORT), port=PORT)
            self.echo(stack.here, stack.address())
            server.kill()

    def test_asyncio_client(self):
        self.start(PYTHON, ECHO, "server", lab.LINUX_IP[4], str(PORT), end=None,
                   statuses=(-15,))
        stack.wait_until(lambda: stack.can_connect(lab.LINUX_IP[4], PORT), "the echo listens")
        self.echo(stack.client, lab.LINUX_IP[4])

    @lab.needs("curl")
    def test_http_server(self):
        with open(os.path.join(self.folder, "large"), "wb") as file:
            file.writelines(lab.stream_blocks(LARGE))
        self.start(PYTHON, "-m", "http.server", "8000", "--directory", self.folder, port=8000,
                   statuses=(-15,))
        path = os.path.join(self.folder, "copy")
        url = f"http://{stack.address()}:8000/"
        for _ in range(3):
            stack.here("curl", "-sS", "-f", "-o", path, url + "large")
            with open(path, "rb") as copy:
                self.assertEqual(hashlib.sha256(copy.read()).hexdigest(), lab.stream_digest(LARGE))
        self.assertIn("Directory listing", stack.here("curl", "-sS", url))


if __name__ == "__main__":
    stack.main()
