#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Debian's nginx on the stack: a master with a worker that is not root's, and alone."""

import hashlib
import http.client
import http.server
import os
import signal
import threading

import stack
from stack import lab

PORT = 8080
UPSTREAM_PORT = 8081
SIZES = {"empty": 0, "one": 1, "small": 1 << 10, "middle": 64 << 10, "large": 1 << 20,
         "huge": 100_000_000}
CLIENTS = 100

# What Debian's own says, without the parts that need folders of root's.
CONFIGURATION = """
pid {folder}/nginx.pid;
error_log stderr notice;
daemon off;
{processes}
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    client_max_body_size 64m;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream peer {{ server {peer}:{upstream_port}; keepalive 8; }}
    server {{
        listen {port};
        listen [::]:{port};
        root {folder}/files;
        location /peer/ {{
            proxy_pass http://peer/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


class Upstream(http.server.BaseHTTPRequestHandler):
    """Sends as many bytes as its path says, or back what is posted; and says who asked."""
    protocol_version = "HTTP/1.1"
    callers = set()

    def answer(self, body):
        self.callers.add(self.client_address[0])
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(b"".join(bytes(block) for block in lab.stream_blocks(int(self.path[1:]))))

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, *_):
        pass


class MasterAndWorker(stack.Test):
    tools = ("nginx",)
    processes = "worker_processes 1;"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.chmod(cls.folder, 0o755)
        os.mkdir(os.path.join(cls.folder, "files"))
        for name, size in SIZES.items():
            with open(os.path.join(cls.folder, "files", name), "wb") as file:
                file.writelines(lab.stream_blocks(size))
        configuration = os.path.join(cls.folder, "nginx.conf")
        with open(configuration, "w", encoding="ascii") as file:
            file.write(CONFIGURATION.format(
                folder=cls.folder, processes=cls.processes, port=PORT, peer=lab.LINUX_IP[4],
                upstream_port=UPSTREAM_PORT))
        cls.server = cls.start_for_all("nginx", "-c", configuration, port=PORT)
        cls.upstream = http.server.ThreadingHTTPServer((lab.LINUX_IP[4], UPSTREAM_PORT), Upstream)
        cls.addClassCleanup(cls.upstream.server_close)
        cls.addClassCleanup(cls.upstream.shutdown)
        threading.Thread(target=cls.upstream.serve_forever, daemon=True).start()

    @staticmethod
    def connect(version=4):
        return http.client.HTTPConnection(stack.address(version=version), PORT,
                                          timeout=lab.DEADLINE_S)

    @staticmethod
    def digest(response):
        digest, size = hashlib.sha256(), 0
        while data := response.read(1 << 18):
            digest.update(data)
            size += len(data)
        return size, digest.hexdigest()

    def get(self, connection, path, size):
        connection.request("GET", path)
        response = connection.getresponse()
        self.assertEqual(response.status, 200)
        self.assertEqual(self.digest(response), (size, lab.stream_digest(size)))

    def test_files(self):
        for name, size in SIZES.items():
            for version in (4, 6) if size < 100_000_000 else (4,):
                with self.subTest(name=name, version=version):
                    connection = self.connect(version)
                    self.get(connection, f"/{name}", size)
                    connection.close()

    def test_keepalive(self):
        connection = self.connect()
        connection.connect()
        source = connection.sock.getsockname()
        for _ in range(300):
            for name in ("empty", "small", "middle"):
                self.get(connection, f"/{name}", SIZES[name])
        self.assertEqual(connection.sock.getsockname(), source, "one connection for all")
        connection.close()

    def test_pipelined_requests(self):
        request = f"GET /small HTTP/1.1\r\nHost: {stack.address()}\r\n\r\n".encode()
        with lab.tcp_socket(4, (stack.address(), PORT)) as sock:
            sock.sendall(request * 50 + request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            data = b"".join(iter(lambda: sock.recv(1 << 16), b""))
        self.assertEqual(data.count(b"HTTP/1.1 200 OK"), 51)
        self.assertEqual(data.count(bytes(next(lab.stream_blocks(SIZES["small"])))), 51)

    def test_head(self):
        connection = self.connect()
        connection.request("HEAD", "/large")
        response = connection.getresponse()
        self.assertEqual(response.headers["Content-Length"], str(SIZES["large"]))
        self.assertEqual(response.read(), b"")
        self.get(connection, "/one", 1)
        connection.close()

    def test_ranges(self):
        whole = b"".join(bytes(block) for block in lab.stream_blocks(SIZES["large"]))
        connection = self.connect()
        for first, last in ((0, 0), (1, 70000), (SIZES["large"] - 5, SIZES["large"] - 1)):
            connection.request("GET", "/large", headers={"Range": f"bytes={first}-{last}"})
            response = connection.getresponse()
            self.assertEqual(response.status, 206)
            self.assertEqual(response.read(), whole[first:last + 1])
        connection.request("GET", "/one", headers={"Range": "bytes=7-8"})
        response = connection.getresponse()
        self.assertEqual(response.status, 416)
        response.read()
        connection.close()

    def test_what_is_not_there(self):
        connection = self.connect()
        connection.request("GET", "/nothing")
        response = connection.getresponse()
        self.assertEqual(response.status, 404)
        response.read()
        connection.close()

    def test_many_connections(self):
        connections = [self.connect() for _ in range(CLIENTS)]
        for _ in range(3):
            for connection in connections:
                connection.request("GET", "/middle")
            for connection in connections:
                response = connection.getresponse()
                self.assertEqual(self.digest(response),
                                 (SIZES["middle"], lab.stream_digest(SIZES["middle"])))
        for connection in connections:
            connection.close()

    def test_a_client_that_leaves(self):
        """In the middle of a file; and the next one is served."""
        for _ in range(20):
            connection = self.connect()
            connection.request("GET", "/huge")
            response = connection.getresponse()
            self.assertEqual(len(response.read(100000)), 100000)
            connection.sock.close()
            response.close()
        connection = self.connect()
        self.get(connection, "/large", SIZES["large"])
        connection.close()

    def test_proxy(self):
        connection = self.connect()
        for size in (0, 1, 1000, 100_000, 5_000_000):
            self.get(connection, f"/peer/{size}", size)
        for size in (1, 1000, 3_000_000):
            body = b"".join(bytes(block) for block in lab.stream_blocks(size))
            connection.request("POST", "/peer/echo", body)
            self.assertEqual(connection.getresponse().read(), body)
        connection.close()
        self.assertEqual(Upstream.callers, {stack.address()})

    def test_worker_is_not_root(self):
        with open(f"/proc/{self.server.pid}/task/{self.server.pid}/children",
                  encoding="ascii") as file:
            children = file.read().split()
        self.assertEqual(len(children), 1)
        with open(f"/proc/{children[0]}/status", encoding="ascii") as file:
            user = next(line for line in file if line.startswith("Uid:")).split()[1:]
        self.assertNotIn("0", user)

    def serves(self):
        connection = self.connect()
        try:
            self.get(connection, "/small", SIZES["small"])
            return True
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def workers(self):
        path = f"/proc/{self.server.pid}/task/{self.server.pid}/children"
        with open(path, encoding="ascii") as file:
            return {int(pid) for pid in file.read().split()}

    def test_worker_that_is_killed(self):
        """The master starts another, which listens where the first did."""
        self.assertTrue(self.serves())
        before = self.workers()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        stack.wait_until(lambda: self.workers() - before, "another worker")
        stack.wait_until(self.serves, "it serves")


class Alone(MasterAndWorker):
    processes = "master_process off;"
    test_worker_is_not_root = test_worker_that_is_killed = None


if __name__ == "__main__":
    stack.main()
