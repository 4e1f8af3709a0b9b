#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No system call on the path of an I/O: two demi-echos over DPDK's memif, watched by strace."""

import collections
import contextlib
import functools
import os
import re
import signal
import subprocess
import tempfile
import time
import unittest

import lab
from memif_test import IP, Memif

WATCHED_S = 3.0
# What a wait may do for signals when it has nothing to do, and how often (src/api/wait.c): to hold
# them back and let them in again, or to ask for them, once in 10 ms.
FOR_SIGNALS = {"rt_sigprocmask", "rt_sigpending"}
FOR_SIGNALS_A_SECOND = 3 * 100
# A thread of DPDK that waits for events of devices: strace says what it was waiting in.
OTHERS_WAIT_IN = {"epoll_wait", "restart_syscall", "recvmsg", "futex", "ppoll", "poll"}

CALL = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?:\(| resumed)")


def calls_of(path):
    """By thread, how often it made each call."""
    calls = collections.defaultdict(collections.Counter)
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            match = CALL.match(line)
            # The second half of a call is not a call.
            if match and " resumed" not in line:
                calls[int(match[1])][match[2]] += 1
    return calls


def take_cpu(number):
    os.sched_setaffinity(0, lab.ALL_CPUS)
    lab.pin(number)


class Quiet(Memif):
    # Those of the base class run in memif_test.py.
    test_echo = test_many_in_flight = test_closed_port_is_refused = None

    def setUp(self):
        super().setUp()
        if not self.strace_works():
            self.skipTest("strace may not look at processes here")

    @staticmethod
    def strace_works():
        return lab.run("strace", "-o", os.devnull, "true", check=False).returncode == 0

    def start(self, role, *options, ready=None):
        """Each on a CPU of its own, where there are two."""
        program = lab.Program(
            self.command(lab.DEMI_ECHO, role, "--addr",
                         f"{lab.host(4, IP['server'][4])}:{lab.PORT}", "--quiet", *options),
            self.environment(role), ready=ready,
            prepare=functools.partial(take_cpu, 0 if role == "server" else 1))
        self.addCleanup(self.kill, program)
        return program

    @staticmethod
    def kill(program):
        # See Memif.server: how DPDK's driver ends is not asked.
        program.process.kill()
        program.process.communicate()
        with contextlib.suppress(ValueError):
            program.errors_file.close()

    def wait_for_load(self, program, proto):
        end = time.monotonic() + lab.DEADLINE_S
        while time.monotonic() < end:
            if lab.figures(program).get(f"{proto}.rx_packets", 0) > 200:
                return
            time.sleep(0.1)
        self.fail("no load")

    def watch(self, *programs):
        """The calls of the programs' threads while strace looks on, and for how long that was."""
        path = os.path.join(self.folder, "calls")
        words = ["strace", "-f", "-q", "-o", path]
        for program in programs:
            words += ["-p", str(program.process.pid)]
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as strace:
            began = time.monotonic()
            time.sleep(WATCHED_S)
            strace.send_signal(signal.SIGINT)
            _, said = strace.communicate(timeout=lab.DEADLINE_S)
        if "not permitted" in said:
            self.skipTest(f"strace: {said.strip()}")
        return calls_of(path), time.monotonic() - began

    def check_calls(self, calls, seconds, program, for_signals=FOR_SIGNALS_A_SECOND):
        """Of a program's own thread and of those that DPDK has started."""
        threads = {int(name) for name in os.listdir(f"/proc/{program.process.pid}/task")}
        own = calls.pop(program.process.pid, collections.Counter())
        self.assertEqual(set(own) - FOR_SIGNALS, set(), dict(own))
        self.assertLessEqual(sum(own.values()), for_signals * seconds + 10, dict(own))
        for thread in threads & set(calls):
            other = calls.pop(thread)
            self.assertEqual(set(other) - OTHERS_WAIT_IN, set(), dict(other))
            self.assertLessEqual(sum(other.values()), 4, dict(other))
        print(f"# {' '.join(program.command[-6:])}: {sum(own.values())} calls in "
              f"{seconds:.1f} s {dict(own)}")

    def check_load(self, proto, size):
        server = self.start("server", "--proto", proto, ready=r"listening on ")
        client = self.start("client", "--proto", proto, "--size", str(size), "--duration", "120",
                            "--inflight", "4")
        self.wait_for_load(server, proto)
        before = lab.figures(server)
        calls, seconds = self.watch(server, client)
        after = lab.figures(server)
        self.check_calls(calls, seconds, server)
        self.check_calls(calls, seconds, client)
        # It was under load meanwhile; and what is longer than net.copy_max was not copied.
        count = after[f"{proto}.rx_packets"] - before[f"{proto}.rx_packets"]
        self.assertGreater(count, 1000)
        self.assertEqual(after.get("net.copied_bytes", 0), before.get("net.copied_bytes", 0))
        print(f"# {proto}, {size} bytes: {count} packets meanwhile")

    @lab.needs("strace")
    def test_datagrams(self):
        self.check_load("udp", 64)

    @lab.needs("strace")
    def test_large_datagrams(self):
        self.check_load("udp", 1400)

    @lab.needs("strace")
    def test_streams(self):
        self.check_load("tcp", 64)

    @lab.needs("strace")
    def test_streams_of_large_messages(self):
        self.check_load("tcp", 1400)

    @lab.needs("strace")
    def test_idle(self):
        # A server that nobody talks to asks for signals, at a low rate, and for nothing else.
        server = self.start("server", "--proto", "udp", ready=r"listening on ")
        calls, seconds = self.watch(server)
        self.check_calls(calls, seconds, server)


del Memif

if __name__ == "__main__":
    lab.main(needs_lab=False)
