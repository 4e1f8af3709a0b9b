#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How programs on the stack end: all they have sent arrives, nothing is left, and others follow."""

import os
import random
import signal
import socket
import struct
import time

import stack
from resp import PORT as REDIS_PORT
from resp import Redis
from stack import lab

PYTHON = "/usr/bin/python3"
PORT = 7000
SEED = int(os.environ.get("SHIM_SEED", "1"))
SIZES = (1, 1000, 300_000)
LICENCES = "/usr/share/common-licenses"

SEND = """import os, socket, sys
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
sock.sendall(b'x' * int(sys.argv[3]))
"""

THREADS = """import socket, sys, threading
def work(number):
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as sock:
        sock.sendall(b'%8d' % number)
        assert sock.recv(8, socket.MSG_WAITALL) == b'%8d' % number
        print('done', flush=True)
threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""

TEN_TIMES = """import socket, sys, threading
server = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=100)
def serve(sock):
    try:
        while data := sock.recv(1 << 16):
            sock.sendall(data * 10)
    except OSError:
        pass
    sock.close()
while True:
    threading.Thread(target=serve, args=(server.accept()[0],)).start()
"""


def is_free():
    return stack.xdp_program() is None


def listens_to_kernel():
    """Whether the kernel's socket of a redis-server, which listens at all addresses, is there."""
    said = lab.run(*lab.in_namespace(stack.namespace(1), "ss", "-Hltn", f"sport = :{REDIS_PORT}"))
    return bool(said.stdout.strip())


def receive_all(connection):
    received = 0
    while data := connection.recv(1 << 18):
        received += len(data)
    return received


class Sent(stack.Test):
    """What a program has sent before it ends arrives, and then the end."""

    def check(self, size, end, pause_s=0):
        listener, _ = lab.tcp_listener(4)
        with listener:
            program = self.start(PYTHON, "-c", SEND + end, lab.LINUX_IP[4],
                                 str(listener.getsockname()[1]), str(size))
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(lab.DEADLINE_S)
                time.sleep(pause_s)
                self.assertEqual(receive_all(connection), size)
            program.wait()
        stack.wait_until(is_free, "the XDP program goes", 2)

    def test_at_the_end_of_the_program(self):
        for size in SIZES:
            self.check(size, "")

    def test_and_closed(self):
        for size in SIZES:
            self.check(size, "sock.close()")

    def test_and_ended_without_more_ado(self):
        for size in SIZES:
            self.check(size, "os._exit(0)")

    def test_while_the_peer_is_slow(self):
        """It starts to read when the window has long been full."""
        self.check(3_000_000, "sock.close()", pause_s=1)


class Redises(stack.Test):
    tools = ("redis-server",)

    def redis(self, *statuses):
        return self.start("redis-server", "--protected-mode", "no", "--save", "", port=REDIS_PORT,
                          folder=self.folder, statuses=statuses or (0,))

    def test_by_each_signal(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGSEGV, signal.SIGABRT):
            with self.subTest(signal=number.name):
                server = self.redis(0, -number)
                server.process.send_signal(number)
                server.wait()
                stack.wait_until(is_free, "the XDP program goes", 2)

    def test_stopped_for_a_while(self):
        server = self.redis()
        with Redis(stack.address()) as redis:
            for _ in range(3):
                server.process.send_signal(signal.SIGSTOP)
                redis.send("ECHO", "hello")
                time.sleep(0.5)
                server.process.send_signal(signal.SIGCONT)
                self.assertEqual(redis.reply(), b"hello")

    def test_killed_while_it_saves(self):
        """The child that saves goes on, and keeps nothing of the stack's."""
        server = self.redis()
        with Redis(stack.address()) as redis:
            redis("CONFIG", "SET", "rdb-key-save-delay", "1000")
            for number in range(5000):
                redis("SET", number, "value")
            self.assertEqual(redis("BGSAVE"), "Background saving started")
        os.kill(server.pid, signal.SIGKILL)
        server.process.wait()
        stack.wait_until(is_free, "the XDP program goes", 2)
        # Redis closes what its child has of that, soon after the fork.
        stack.wait_until(lambda: not listens_to_kernel(), "the child closes its listeners", 2)
        again = self.redis()
        with Redis(stack.address()) as redis:
            self.assertEqual(redis("PING"), "PONG")
        again.end()
        server.kill()


class Others(stack.Test):
    @lab.needs("curl")
    def test_one_after_another(self):
        """Children of a shell, each with the stack while it runs."""
        self.start(PYTHON, "-m", "http.server", "8000", "--bind", lab.LINUX_IP[4], "--directory",
                   LICENCES, end=None, statuses=(-signal.SIGTERM,))
        stack.wait_until(lambda: stack.can_connect(lab.LINUX_IP[4], 8000), "the server listens")
        url = f"http://{lab.LINUX_IP[4]}:8000/GPL-2"
        with open(os.path.join(LICENCES, "GPL-2"), encoding="utf-8") as file:
            whole = file.read()
        said = stack.client("sh", "-c", f"curl -sS {url} && curl -sS {url}")
        self.assertEqual(said, whole + whole)
        stack.wait_until(is_free, "the XDP program goes", 2)

    def test_threads_that_start_together(self):
        """All their first calls are at once, and one of them starts the stack."""
        listener, _ = lab.tcp_listener(4)

        def serve():
            for _ in range(50):
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(connection.recv(8, socket.MSG_WAITALL))
        with listener:
            server = lab.Thread(serve)
            said = stack.client(PYTHON, "-c", THREADS, lab.LINUX_IP[4],
                                str(listener.getsockname()[1]))
            server.end()
        self.assertEqual(said.count("done"), 50, said)

    @lab.unittest.skipIf(lab.DEVICE == "kernel", "the kernel needs no device")
    def test_an_interface_that_is_not_there(self):
        program = self.start("env", "DEMI_NET_DEV=afxdp:nonesuch0", PYTHON, "-c", TEN_TIMES,
                             stack.address(), str(PORT), statuses=tuple(range(1, 256)))
        self.assertIn("nonesuch0", program.wait())

    def test_connections_that_are_cut(self):
        """By resets, at any moment: the server goes on."""
        print(f"# SHIM_SEED={SEED}")
        chance = random.Random(SEED)
        server = self.start(PYTHON, "-c", TEN_TIMES, stack.address(), str(PORT), port=PORT,
                            statuses=(-signal.SIGTERM,))
        for _ in range(200):
            sock = socket.create_connection((stack.address(), PORT), lab.DEADLINE_S)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.send(b"x" * chance.randrange(1, 60000))
            if chance.random() < 0.5:
                sock.recv(chance.randrange(1, 5000))
            sock.close()
        with socket.create_connection((stack.address(), PORT), lab.DEADLINE_S) as sock:
            sock.send(b"x")
            self.assertEqual(sock.recv(10, socket.MSG_WAITALL), b"x" * 10)
        self.assertTrue(server.alive())


if __name__ == "__main__":
    stack.main()
