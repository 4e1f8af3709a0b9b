#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An interface with several receive queues, over which flows are spread: all of them arrive."""

import contextlib
import os
import re
import time
import unittest

import lab

QUEUES = 4
FLOWS = 64


def ethtool(*arguments):
    return lab.run(*lab.in_namespace(os.environ["LAB_DEMI"], "ethtool", *arguments)).stdout


def received():
    """Packets that demi0's XDP program has seen, of each queue."""
    counts = re.findall(r"rx_queue_\d+_xdp_packets: (\d+)", ethtool("-S", "demi0"))
    return [int(count) for count in counts]


@contextlib.contextmanager
def queues_of_the_interface(number):
    lab.run("ethtool", "-L", "linux0", "rx", str(number), "tx", str(number))
    ethtool("-L", "demi0", "rx", str(number), "tx", str(number))
    try:
        yield
    finally:
        lab.run("ethtool", "-L", "linux0", "rx", str(QUEUES), "tx", str(QUEUES))
        ethtool("-L", "demi0", "rx", str(QUEUES), "tx", str(QUEUES))


class Queues(unittest.TestCase):
    version = 4

    def device(self, arguments=""):
        return {"DEMI_NET_DEV": "afxdp:demi0" + arguments}

    def answered_flows(self, answer_s=lab.ANSWER_S):
        """Of datagrams from as many ports, how many are answered."""
        with contextlib.ExitStack() as stack:
            socks = [stack.enter_context(lab.udp_socket(self.version, (
                lab.DEMI_IP[self.version], lab.PORT))) for _ in range(FLOWS)]
            count = 0
            for sock in socks:
                sock.send(lab.pattern(100, sock.getsockname()[1]))
            end = time.monotonic() + answer_s
            for sock in socks:
                sock.settimeout(max(0.001, end - time.monotonic()))
                with contextlib.suppress(TimeoutError):
                    answer = sock.recv(1000)
                    self.assertEqual(answer, lab.pattern(100, sock.getsockname()[1]))
                    count += 1
            return count

    def assert_spread(self, before, queues):
        """Since then something has come by each of these queues, and by no other."""
        for queue, (old, new) in enumerate(zip(before, received())):
            self.assertEqual(new > old, queue in queues, f"queue {queue}: {new - old}")

    def test_datagrams(self):
        with lab.server(self.version, environment=self.device()) as server:
            before = received()
            self.assertEqual(self.answered_flows(), FLOWS)
            self.assert_spread(before, range(QUEUES))
        self.assertEqual(server.errors_text, "")

    def test_streams(self):
        with lab.server(self.version, environment=self.device(), proto="tcp"):
            before = received()
            with contextlib.ExitStack() as stack:
                socks = [stack.enter_context(lab.tcp_socket(self.version))
                         for _ in range(FLOWS // 2)]
                for sock in socks:
                    sock.connect((lab.DEMI_IP[self.version], lab.PORT))
                for sock in socks:
                    lab.exchange_stream(sock, 20000)
            self.assert_spread(before, range(QUEUES))

    def test_client(self):
        # Its answers come by any queue.
        sock, address = lab.tcp_listener(self.version)

        def serve():
            for _ in range(16):
                connection = sock.accept()[0]
                with connection:
                    while data := connection.recv(65536):
                        connection.sendall(data)
        with sock:
            thread = lab.Thread(serve)
            for _ in range(16):
                lab.client(address, "--count", "3", environment=self.device(), proto="tcp")
            thread.end()

    def test_as_many_as_the_interface_has(self):
        with queues_of_the_interface(2), \
                lab.server(self.version, environment=self.device()) as server:
            before = received()
            self.assertEqual(self.answered_flows(), FLOWS)
            self.assert_spread(before, range(2))
        self.assertEqual(server.errors_text, "")

    def test_some_of_them(self):
        # What comes by the others is lost, and a line says what to do, the best first.
        for chosen, said in ((",queues=2", "4 receive queues we serve only queues 0 to 1"),
                             (",queue=1", "only queues 1 to 3"),
                             (",queue=1,queues=1", "only queue 1,")):
            with self.subTest(chosen=chosen):
                with lab.server(self.version, environment=self.device(chosen)) as server:
                    count = self.answered_flows(1)
                self.assertLess(count, FLOWS)
                self.assertIn(said, server.errors_text)
                self.assertRegex(server.errors_text, r"leave out .*ethtool -L.*ethtool -N")

    def test_more_than_there_are(self):
        for chosen in (",queues=5", ",queue=4", ",queue=3,queues=2"):
            with self.subTest(chosen=chosen):
                address = f"{lab.host(self.version, lab.LINUX_IP[self.version])}:9"
                said = lab.client(address, check=False, environment=self.device(chosen))
                self.assertEqual(said.returncode, 1)
                self.assertIn("has 4 receive queues", said.stderr)

    def test_few_frames(self):
        environment = self.device() | {"DEMI_NET_FRAMES": "256"}
        with lab.server(self.version, environment=environment):
            self.assertEqual(self.answered_flows(), FLOWS)


class Queues6(Queues):
    version = 6


if __name__ == "__main__":
    if lab.DEVICE != "afxdp":
        lab.skip_all("is about queues of AF_XDP")
    lab.main(["--queues", str(QUEUES)])
