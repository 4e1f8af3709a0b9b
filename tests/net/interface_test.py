#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The interface that AF_XDP is on goes down, comes up, is removed; or Demi is killed."""

import contextlib
import os
import signal
import socket
import time
import unittest

import lab

DEMI_IP, LINUX_IP = "10.79.0.2", "10.79.0.1"
DOWN, REMOVED = "the interface is down", "the interface has been removed"


def demi_ip(*arguments):
    return lab.run("ip", "-n", os.environ["LAB_DEMI"], *arguments).stdout


def cpu_s(pid):
    """Processor time that a process has used."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Interface(unittest.TestCase):
    """On a link of its own, pair0 to pair1, which each test may break."""

    def setUp(self):
        lab.run("ip", "link", "add", "pair1", "type", "veth", "peer", "name", "pair0", "netns",
                os.environ["LAB_DEMI"])
        lab.run("ip", "address", "add", f"{LINUX_IP}/24", "dev", "pair1")
        lab.run("ip", "link", "set", "pair1", "up")
        lab.run("ethtool", "-K", "pair1", "tx", "off", "tso", "off", "gso", "off", "gro", "off")
        demi_ip("link", "set", "pair0", "up")

    def tearDown(self):
        lab.run("ip", "link", "delete", "pair1", check=False)

    def environment(self, idle="spin"):
        return lab.device_environment() | {
            "DEMI_NET_DEV": "afxdp:pair0", "DEMI_NET_IP": f"{DEMI_IP}/24",
            "DEMI_RUNTIME_IDLE": idle, "DEMI_LOG_LEVEL": "info"}

    def server(self, idle="spin", proto="udp"):
        return lab.server(4, DEMI_IP, environment=self.environment(idle), proto=proto)

    def echo_works(self):
        return lab.echo_works(4, address=DEMI_IP, source=LINUX_IP)

    def wait_for(self, condition, what):
        end = time.monotonic() + lab.ANSWER_S
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)

    def assert_said(self, program, text, times=1):
        self.wait_for(lambda: text in program.errors(), text)
        self.assertEqual(program.errors().count(text), times, program.errors())

    def assert_idle(self, program):
        """It does not spin: it uses a small part of a processor."""
        time.sleep(0.2)
        before = cpu_s(program.process.pid)
        time.sleep(1)
        self.assertLess(cpu_s(program.process.pid) - before, 0.3)

    def test_down_at_the_start(self):
        demi_ip("link", "set", "pair0", "down")
        for idle in ("spin", "sleep"):
            with self.subTest(idle=idle), self.server(idle) as server:
                self.assert_said(server, DOWN)
                self.assert_said(server, "ip link set dev pair0 up")
                demi_ip("link", "set", "pair0", "up")
                self.assertTrue(self.echo_works())
                demi_ip("link", "set", "pair0", "down")

    def test_down_for_a_while(self):
        for idle in ("spin", "sleep"):
            with self.subTest(idle=idle), self.server(idle) as server:
                self.assertTrue(self.echo_works())
                demi_ip("link", "set", "pair0", "down")
                self.assert_said(server, DOWN)
                if idle == "sleep":
                    self.assert_idle(server)
                demi_ip("link", "set", "pair0", "up")
                self.assertTrue(self.echo_works())
                self.assert_said(server, DOWN)

    def test_down_below_a_stream(self):
        with self.server(proto="tcp") as server, \
                lab.tcp_socket(4, (DEMI_IP, lab.PORT), source=LINUX_IP) as sock:
            lab.exchange_stream(sock, 10000)
            demi_ip("link", "set", "pair0", "down")
            self.assert_said(server, DOWN)
            demi_ip("link", "set", "pair0", "up")
            sock.settimeout(lab.DEADLINE_S)
            lab.exchange_stream(sock, 100000)

    def test_removed(self):
        for proto in ("udp", "tcp"):
            for idle in ("spin", "sleep"):
                with self.subTest(proto=proto, idle=idle):
                    with self.server(idle, proto) as server:
                        self.remove_below(server, proto)
                        if idle == "sleep":
                            self.assert_idle(server)
                    self.assertEqual(server.errors_text.count(REMOVED), 1, server.errors_text)
                    self.setUp()

    def remove_below(self, server, proto):
        with socket.socket() as sock, contextlib.ExitStack() as stack:
            if proto == "tcp":
                sock.settimeout(lab.ANSWER_S)
                sock.connect((DEMI_IP, lab.PORT))
                lab.exchange_stream(sock, 10000)
            else:
                self.assertTrue(self.echo_works())
            stack.callback(sock.close)
            demi_ip("link", "delete", "pair0")
            self.assert_said(server, REMOVED)
            # A pop or an accept that was waiting, and what the program tries from then on.
            self.wait_for(lambda: os.strerror(100) in server.errors(), "ENETDOWN")

    def test_removed_below_a_listener(self):
        with self.server(proto="tcp") as server:
            demi_ip("link", "delete", "pair0")
            self.assert_said(server, f"accept: {os.strerror(100)}")

    def test_removed_below_a_client(self):
        # Whose connection ends at once, and not when the peer has not answered for minutes.
        listener, address = lab.tcp_listener(4, LINUX_IP)
        with listener:
            program = lab.Program(lab.demi_command(
                lab.DEMI_ECHO, "client", "--proto", "tcp", "--addr", address, "--quiet"),
                self.environment())
            with program.process, listener.accept()[0]:
                demi_ip("link", "delete", "pair0")
                self.assertEqual(program.process.wait(lab.ANSWER_S), 1)
                self.assertIn(os.strerror(100), program.errors())
                self.assertEqual(program.errors().count(REMOVED), 1)

    def test_removed_below_a_ping(self):
        program = lab.Program(lab.demi_command(
            lab.DEMI_PING, "-c", "2", "-i", "60", LINUX_IP), self.environment())
        with program.process:
            self.assertIn("sequence 1", program.line())
            demi_ip("link", "delete", "pair0")
            self.assertEqual(program.process.wait(lab.ANSWER_S), 1)
            self.assertIn(os.strerror(100), program.errors())

    def test_killed(self):
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                server = self.server()
                stack.callback(server.process.stdout.close)
                self.assertTrue(self.echo_works())
                self.assertIn("xdp", demi_ip("link", "show", "pair0"))
                server.process.send_signal(signal.SIGKILL)
                server.process.wait()
                self.assertNotIn("xdp", demi_ip("link", "show", "pair0"))


if __name__ == "__main__":
    if lab.DEVICE != "afxdp":
        lab.skip_all("is about AF_XDP")
    lab.main()
