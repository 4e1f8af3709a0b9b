#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Programs on the stack that are killed, fork, run out of descriptors, or ask for too much."""

import os
import random
import signal
import subprocess
import time

import stack
from resp import PORT as REDIS_PORT
from resp import Redis
from stack import lab

SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "busy_server.py")
PYTHON = "/usr/bin/python3"
PORT = 7000
NOT_CARRIED = """import errno, fcntl, os, socket, struct, sys
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind((sys.argv[1], 0))
both = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
both.bind(('', 0))
early = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
early.setsockopt(socket.SOL_SOCKET, 29, 1)  # SO_TIMESTAMP
early.bind((sys.argv[1], 0))
local = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
there = (sys.argv[2], 9)
control = [(socket.IPPROTO_IP, socket.IP_TOS, struct.pack('i', 4))]
for name, call in (('control', lambda: udp.sendmsg([b'x'], control, 0, there)),
                   ('urgent', lambda: udp.sendto(b'x', socket.MSG_OOB, there)),
                   ('option', lambda: udp.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 1)),
                   ('both', lambda: both.sendmsg([b'x'], control, 0, there)),
                   ('fresh', lambda: socket.socket().setsockopt(socket.SOL_SOCKET, 60, 1)),
                   ('early', lambda: early.sendto(b'x', there)),
                   ('local', lambda: local.sendto(b'x', ('127.0.0.1', 9))),
                   ('async', lambda: fcntl.fcntl(udp, fcntl.F_SETFL, os.O_ASYNC))):
    try:
        call()
    except OSError as error:
        print(name, errno.errorcode[error.errno])
"""
SEED = int(os.environ.get("SHIM_SEED", "1"))


class Killed(stack.Test):
    tools = ("redis-server", "redis-benchmark")

    def load(self):
        process = subprocess.Popen(
            ["redis-benchmark", "-h", stack.address(), "-l", "-c", "50", "-P", "4", "-t",
             "set,get", "-q"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def end():
            process.kill()
            process.wait()
        self.addCleanup(end)
        return end

    def start_redis(self):
        return self.start("redis-server", "--protected-mode", "no", "--save", "", port=REDIS_PORT)

    def test_sigkill_under_load(self):
        """At random moments; nothing is left, and the next one starts at once."""
        print(f"# SHIM_SEED={SEED}")
        moments = random.Random(SEED)
        for _ in range(6):
            server = self.start_redis()
            end_load = self.load()
            time.sleep(moments.uniform(0, 0.6))
            server.kill()
            end_load()
            stack.wait_until(lambda: stack.xdp_program() is None, "the XDP program goes", 2)
        server = self.start_redis()
        with Redis(stack.address()) as redis:
            self.assertEqual(redis("ECHO", "here"), b"here")
        server.end()
        self.assertIsNone(stack.xdp_program())

    def test_sigkill_while_it_starts(self):
        moments = random.Random(SEED)
        for _ in range(6):
            server = self.start("redis-server", "--protected-mode", "no", "--save", "")
            time.sleep(moments.uniform(0, 0.3))
            server.kill()
            stack.wait_until(lambda: stack.xdp_program() is None, "the XDP program goes", 2)
        self.start_redis()

    def test_sigterm_ends_an_idle_program(self):
        """One that sleeps in accept, without a handler; and one that has never spoken to anybody."""
        for words in ((PYTHON, SERVER, stack.address(), str(PORT), "plain"),
                      (PYTHON, "-c", "import time; time.sleep(100)")):
            with self.subTest(words=words):
                server = self.start(*words, statuses=(-signal.SIGTERM,),
                                    port=PORT if SERVER in words else None)
                time.sleep(0.3)
                begin = time.monotonic()
                server.end()
                self.assertLess(time.monotonic() - begin, 5)


class Misuse(stack.Test):
    def connect(self):
        sock = lab.tcp_socket(4, (stack.address(), PORT))
        sock.settimeout(lab.DEADLINE_S)
        self.addCleanup(sock.close)
        return sock

    def start_server(self, what):
        return self.start(PYTHON, SERVER, stack.address(), str(PORT), what, port=PORT,
                          statuses=(-signal.SIGTERM,))

    def talk(self, sock, rounds, name):
        with sock.makefile("rb") as file:
            for i in range(rounds):
                line = f"{name} {i} {'x' * 3000}\n".encode()
                sock.sendall(line)
                assert file.readline() == line

    def test_forks_while_connections_are_busy(self):
        server = self.start_server("fork")
        talkers = [lab.Thread(self.talk, self.connect(), 20, f"talker{i}") for i in range(8)]
        for talker in talkers:
            talker.end(60)
        self.assertTrue(server.alive())
        self.talk(self.connect(), 4, "last")

    def test_descriptors_run_out(self):
        server = self.start_server("limit")
        socks = [self.connect() for _ in range(90)]
        stack.wait_until(lambda: "EMFILE" in server.said(), "accept has no descriptor left")
        self.talk(socks[0], 3, "served")
        for sock in socks[:60]:
            sock.close()
        for sock in socks[60:]:
            self.talk(sock, 3, "served in the end")
        self.talk(self.connect(), 3, "new")

    @lab.unittest.skipIf(lab.DEVICE == "kernel", "what the kernel carries")
    def test_what_is_not_carried_is_told(self):
        server = self.start_server("splice")
        self.talk(self.connect(), 1, "goes on")
        said = server.said()
        self.assertRegex(said, r"TCP_ULP: ENO(PROTOOPT|ENT)")
        self.assertRegex(said, r"splice: E(INVAL|OPNOTSUPP|NOTCONN|BADF|PIPE)")
        with self.subTest("the trace names the option"):
            self.assertRegex(said, r"demi shim\[\d+\]: .*option")

    @lab.unittest.skipIf(lab.DEVICE == "kernel", "what the kernel carries")
    def test_what_is_not_carried_is_counted(self):
        said = self.start(PYTHON, "-c", NOT_CARRIED, stack.address(), lab.LINUX_IP[4]).wait()
        for answer, line in (
                ("control E(OP)?NOTSUPP?", r"sendmsg on descriptor \d+ is refused: its control messages"),
                ("urgent E(OP)?NOTSUPP?", r"urgent data on descriptor \d+ is refused"),
                ("option ENOPROTOOPT", r"option 36 of level 1 is refused: the stack has none such"),
                # SO_ZEROCOPY, whose reports would not come
                ("fresh ENOPROTOOPT", r"option 60 of level 1 is refused: the stack has none such"),
                ("", r"sendmsg on descriptor \d+ goes without its control messages"),
                # taken before it was known whose the socket is
                ("", r"option 29 of level 1 has no effect: "),
                ("", r"udp descriptor \d+ is the kernel's so far: it sends to a peer"),
                ("", r"O_ASYNC on descriptor \d+: no signals are sent for it")):
            with self.subTest(line):
                self.assertRegex(said, f"{answer}\n")
                self.assertRegex(said, rf"demi shim\[\d+\]: {line}")
        self.assertRegex(said, r"demi shim\[\d+\]: 4 calls not carried\n")
        self.assertRegex(said, r"demi shim\[\d+\]: 3 socket options refused\n")


if __name__ == "__main__":
    stack.main()
