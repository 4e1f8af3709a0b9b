#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Debian's memcached on the stack, with one thread and with four, over TCP and UDP."""

import os
import socket
import struct
import time

import stack
from stack import lab

PORT = 11211
CLIENTS = 300
BIG = 8 << 20


class Memcached:
    """A client of the text protocol."""

    def __init__(self, version=4):
        self.sock = socket.create_connection((stack.address(version=version), PORT),
                                             timeout=lab.DEADLINE_S)
        self.file = self.sock.makefile("rb")

    def line(self):
        return self.file.readline().rstrip(b"\r\n").decode()

    def send_set(self, key, value):
        self.sock.sendall(f"set {key} 0 0 {len(value)}\r\n".encode() + value + b"\r\n")

    def set(self, key, value):
        self.send_set(key, value)
        return self.line()

    def send_get(self, *keys):
        self.sock.sendall(f"get {' '.join(keys)}\r\n".encode())

    def values(self):
        """Those of a get, by key."""
        result = {}
        while (line := self.line()) != "END":
            _, key, _, length = line.split()
            result[key] = self.file.read(int(length) + 2)[:-2]
        return result

    def get(self, key):
        self.send_get(key)
        return self.values().get(key)

    def command(self, text):
        self.sock.sendall(text.encode() + b"\r\n")
        return self.line()

    def stats(self):
        self.sock.sendall(b"stats\r\n")
        result = {}
        while (line := self.line()) != "END":
            _, name, value = line.split(" ", 2)
            result[name] = value
        return result

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class OneThread(stack.Test):
    tools = ("memcached",)
    threads = "1"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.start_for_all("memcached", "-u", "root", "-t", cls.threads, "-U", str(PORT),
                                       "-I", "16m", "-m", "256", "-c", "1024", port=PORT)

    def test_commands(self):
        for version in (4, 6):
            with Memcached(version) as client:
                self.assertEqual(client.set("key", b"value"), "STORED")
                self.assertEqual(client.get("key"), b"value")
                self.assertEqual(client.command("delete key"), "DELETED")
                self.assertIsNone(client.get("key"))
                self.assertEqual(client.set("number", b"41"), "STORED")
                self.assertEqual(client.command("incr number 1"), "42")
                self.assertEqual(client.command("frobnicate"), "ERROR")
                self.assertEqual(client.stats()["threads"], self.threads)

    def test_big_values(self):
        value = b"".join(bytes(block) for block in lab.stream_blocks(BIG))
        with Memcached() as client:
            for size in (0, 1, 1460, 1461, 65536, 1 << 20, BIG):
                self.assertEqual(client.set("big", value[:size]), "STORED")
                self.assertEqual(client.get("big"), value[:size])

    def test_pipeline(self):
        count = 5000
        with Memcached() as client:
            sender = lab.Thread(client.sock.sendall, b"".join(
                f"set p{i} 0 0 6\r\nv{i:05}\r\nget p{i}\r\n".encode() for i in range(count)))
            for i in range(count):
                self.assertEqual(client.line(), "STORED")
                self.assertEqual(client.values(), {f"p{i}": f"v{i:05}".encode()})
            sender.end()

    def test_many_connections(self):
        clients = [Memcached() for _ in range(CLIENTS)]
        for turn in range(3):
            for i, client in enumerate(clients):
                client.send_set(f"many{i}", f"{turn}-{i}".encode())
            for client in clients:
                self.assertEqual(client.line(), "STORED")
        for i, client in enumerate(clients):
            client.send_get(f"many{(i + 1) % CLIENTS}")
        for i, client in enumerate(clients):
            key = (i + 1) % CLIENTS
            self.assertEqual(client.values(), {f"many{key}": f"2-{key}".encode()})
        with Memcached() as other:
            self.assertGreaterEqual(int(other.stats()["curr_connections"]), CLIENTS)
            for client in clients:
                client.close()
            stack.wait_until(lambda: int(other.stats()["curr_connections"]) < 20,
                             "the server knows that they are gone")

    def ask(self, sock, number, text):
        """Over UDP: the answer's text, of as many datagrams as it comes in."""
        sock.send(struct.pack("!HHHH", number, 0, 1, 0) + text.encode() + b"\r\n")
        parts = {}
        while True:
            data = sock.recv(65536)
            got, sequence, count, _ = struct.unpack("!HHHH", data[:8])
            self.assertEqual(got, number)
            parts[sequence] = data[8:]
            if len(parts) == count:
                return b"".join(parts[i] for i in range(count))

    def test_udp(self):
        value = bytes(lab.pattern(20000))
        for version in (4, 6):
            with self.subTest(version=version), Memcached() as client, \
                    lab.udp_socket(version, (stack.address(version=version), PORT)) as sock:
                client.set("small", b"value")
                client.set("several", value)
                for number in range(500):
                    self.assertEqual(self.ask(sock, number, "get small"),
                                     b"VALUE small 0 5\r\nvalue\r\nEND\r\n")
                self.assertEqual(self.ask(sock, 501, "get several"),
                                 b"VALUE several 0 20000\r\n" + value + b"\r\nEND\r\n")


class FourThreads(OneThread):
    threads = "4"

    def hammer(self, name):
        with Memcached() as client:
            for i in range(400):
                value = f"{name} {i} ".encode() * 200
                assert client.set(name, value) == "STORED"
                assert client.get(name) == value

    def test_clients_at_once(self):
        for thread in [lab.Thread(self.hammer, f"thread{i}") for i in range(8)]:
            thread.end(60)


class Spinning(stack.Test):
    """Waits do not sleep, and there are more threads than processors."""
    tools = ("memcached",)

    def ticks(self):
        """Of the processors' time, that of each thread."""
        result = {}
        for task in os.listdir(f"/proc/{self.server.pid}/task"):
            with open(f"/proc/{self.server.pid}/task/{task}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
            result[task] = int(fields[11]) + int(fields[12])
        return result

    def test_one_thread_polls_for_all(self):
        """That which has work; the others leave it the processor."""
        self.server = self.start("memcached", "-u", "root", "-t", "4", port=PORT, idle="spin")
        with Memcached() as client:
            client.set("key", b"value")
            before, end = self.ticks(), time.monotonic() + 2
            while time.monotonic() < end:
                self.assertEqual(client.get("key"), b"value")
            passed = [count - before.get(task, 0) for task, count in self.ticks().items()]
        self.assertGreater(sum(passed), 0.2 * stack.HZ)
        self.assertGreater(max(passed), 0.7 * sum(passed), passed)


if __name__ == "__main__":
    stack.main()
