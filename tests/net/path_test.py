#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Beyond the link: a gateway, routes, a narrow hop (path MTU), traceroute through a router."""

import contextlib
import re
import socket
import threading
import unittest

import lab

HOP_MTU = 1300
UDP_HEADERS = {4: 28, 6: 48}


@contextlib.contextmanager
def far_socket(version, connect_to=None):
    with lab.in_far():
        sock = socket.socket(lab.FAMILY[version], socket.SOCK_DGRAM)
        sock.bind((lab.FAR_IP[version], 0))
    sock.settimeout(lab.ANSWER_S)
    with sock:
        if connect_to:
            sock.connect(connect_to)
        yield sock


@contextlib.contextmanager
def far_echo(version):
    """An echo on the host behind the router; yields its address."""
    with far_socket(version) as sock:
        sock.settimeout(0.2)
        ended = threading.Event()

        def serve():
            while not ended.is_set():
                with contextlib.suppress(socket.timeout):
                    data, peer = sock.recvfrom(70000)
                    sock.sendto(data, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"{lab.host(version, lab.FAR_IP[version])}:{sock.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()


GATEWAY = {"DEMI_NET_GW": f"{lab.LINUX_IP[4]},{lab.LINUX_IP[6]}"}
ROUTES = {"DEMI_NET_ROUTES": f"10.78.0.0/16 via {lab.LINUX_IP[4]},fd78::/32 via {lab.LINUX_IP[6]}"}


class Path(unittest.TestCase):
    version = 4

    def setUp(self):
        # Each test starts at a neighbour that knows nothing.
        lab.run("ip", "neighbour", "flush", "all")

    def far_echo_works(self, environment, size=200):
        with lab.server(self.version, environment=environment), \
                far_socket(self.version, (lab.DEMI_IP[self.version], lab.PORT)) as sock:
            sock.send(lab.pattern(size))
            self.assertEqual(sock.recv(70000), lab.pattern(size))

    def test_gateway(self):
        self.far_echo_works(GATEWAY)

    def test_route(self):
        self.far_echo_works(ROUTES)

    def test_large_answers_through_the_narrow_hop(self):
        # What comes in are the far host's fragments; the answer has to find the path's MTU.
        with lab.server(self.version, environment=GATEWAY), \
                far_socket(self.version, (lab.DEMI_IP[self.version], lab.PORT)) as sock:
            for size in (HOP_MTU - UDP_HEADERS[self.version], 1400, 4000, 30000):
                with self.subTest(size=size):
                    # The answer that tells us of the narrow hop is lost, the next one is not.
                    sock.settimeout(1)
                    for attempt in range(3):
                        sock.send(lab.pattern(size))
                        with contextlib.suppress(socket.timeout):
                            self.assertEqual(sock.recv(70000), lab.pattern(size))
                            break
                    else:
                        self.fail(f"no answer of {size} bytes")

    def test_client_learns_the_path_mtu(self):
        # RFC 1191, RFC 8201: one message is lost, its successors are cut to what passes.
        if lab.DEVICE == "kernel":
            self.skipTest("Linux tells the program of it")
        lab.know_demi()
        self.addCleanup(lab.know_demi, False)
        with far_echo(self.version) as address, lab.Capture() as capture:
            result = lab.client(address, "--size", "1450", "--count", "50", environment=GATEWAY)
        self.assertEqual(result["verified"], 50)
        self.assertLessEqual(result["lost"], 1)
        if not lab.shutil.which("tshark"):
            return
        kinds = {4: "icmp.type == 3 && icmp.code == 4", 6: "icmpv6.type == 2"}
        told = capture.packets(kinds[self.version], "frame.number")
        self.assertEqual(len(told), result["lost"])
        length = {4: "ip.len", 6: "ipv6.plen"}[self.version]
        source = {4: "ip.src", 6: "ipv6.src"}[self.version]
        over = {4: HOP_MTU, 6: HOP_MTU - 40}[self.version]
        large = capture.packets(f"{source} == {lab.DEMI_IP[self.version]} && {length} > {over} && "
                                "!icmp && !icmpv6", "frame.number")
        self.assertLessEqual(len(large), 1)

    def test_no_route(self):
        if lab.DEVICE == "kernel":
            self.skipTest("the kernel's end has a route already")
        address = f"{lab.host(self.version, lab.FAR_IP[self.version])}:9"
        completed = lab.client(address, "--count", "1", check=False)
        self.assertEqual(completed.returncode, 1)
        self.assertIn("Network is unreachable", completed.stderr)

    def test_port_that_is_closed_far_away(self):
        with far_socket(self.version) as sock:
            port = sock.getsockname()[1]
        address = f"{lab.host(self.version, lab.FAR_IP[self.version])}:{port}"
        completed = lab.client(address, "--count", "1", check=False, environment=GATEWAY)
        self.assertEqual(completed.returncode, 1)
        self.assertIn("Connection refused", completed.stderr)

    @lab.needs("ping")
    def test_ping_from_afar(self):
        with lab.server(self.version, environment=GATEWAY), lab.in_far():
            lab.ping(lab.DEMI_IP[self.version], 5, "-s", "1000")

    @lab.needs("traceroute")
    def test_traceroute_through_the_router(self):
        with lab.server(self.version, environment=GATEWAY), lab.in_far():
            said = lab.run("traceroute", f"-{self.version}", "-n", "-q", "2", "-w", "2",
                           lab.DEMI_IP[self.version]).stdout
        hops = [re.search(r"[0-9a-f]+[.:][0-9a-f.:]+(?= )", line)[0]
                for line in said.splitlines()[1:]]
        self.assertEqual(hops, [{4: "10.78.0.1", 6: "fd78::1"}[self.version],
                                lab.DEMI_IP[self.version]], said)


class Path6(Path):
    version = 6


if __name__ == "__main__":
    lab.main(["--router", "--hop-mtu", str(HOP_MTU)])
