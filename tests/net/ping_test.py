#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What Linux's own tools say of Demi's end of a link: ping, arping, ndisc6, traceroute; and what
demi-ping says of Linux."""

import os
import re
import unittest

import lab


class Ping(unittest.TestCase):
    """While a server runs; an echo request is answered by the stack, whatever the program does."""

    version = 4

    @classmethod
    def setUpClass(cls):
        cls.server = lab.server(cls.version)
        cls.server.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def flood(self, *options):
        said = lab.run("ping", "-n", "-q", "-f", "-c", "1000", *options,
                       lab.DEMI_IP[self.version]).stdout
        # See lab.ping: the last one's answer may come when ping has ended.
        received = int(re.search(r"1000 packets transmitted, (\d+) received", said)[1])
        self.assertGreaterEqual(received, 999, said)
        self.assertNotIn("errors", said)

    @lab.needs("ping")
    def test_ping(self):
        lab.ping(lab.DEMI_IP[self.version])

    @lab.needs("ping")
    def test_ping_of_all_kinds_of_sizes(self):
        # The answer is compared by ping, whole. 1472 and 1452 fill a packet.
        for size in (0, 1, 7, 8, 55, 56, 1000, 1451, 1452, 1453, 1471, 1472, 1473, 1500, 2000, 2961,
                     4000, 8000, 10000, 16384, 32768, 40000, 60000, 65000, 65506, 65507):
            if size > lab.whole_bytes_max(self.version) - 8:
                break
            with self.subTest(size=size):
                lab.ping(lab.DEMI_IP[self.version], 1, "-s", str(size))

    @lab.needs("ping")
    def test_flood_of_1000(self):
        self.flood()

    @lab.needs("ping")
    def test_flood_of_1000_in_fragments(self):
        lab.needs_fragments(self.version)
        self.flood("-s", "5000")

    @lab.needs("ping")
    def test_ping_of_another_address_is_not_answered(self):
        other = {4: "10.77.0.99", 6: "fd77::99"}[self.version]
        completed = lab.run("ping", "-n", "-q", "-c", "1", "-W", "1", other, check=False)
        self.assertIn(" 0 received", completed.stdout)

    @lab.needs("traceroute")
    def test_traceroute(self):
        # One hop, which says of itself that the port is unreachable.
        said = lab.run("traceroute", f"-{self.version}", "-n", "-q", "3", "-w", "2",
                       lab.DEMI_IP[self.version]).stdout
        hops = said.splitlines()[1:]
        self.assertEqual(len(hops), 1, said)
        self.assertRegex(hops[0], rf"^ *1  {re.escape(lab.DEMI_IP[self.version])}"
                                  r"(  \d+\.\d+ ms){3}$")

    def test_server_still_answers(self):
        self.assertTrue(lab.echo_works(self.version))


class Ping4(Ping):
    @lab.needs("arping")
    def test_arping(self):
        said = lab.run("arping", "-c", "3", "-w", "5", "-I", lab.interface(), lab.DEMI_IP[4]).stdout
        self.assertIn("Received 3 response(s)", said)
        self.assertEqual(set(re.findall(r"\[([0-9A-F:]{17})\]", said)), {lab.DEMI_MAC.upper()})

    @lab.needs("arping")
    def test_duplicate_address_is_noticed(self):
        # RFC 5227: a probe (sender 0.0.0.0) for an address in use is answered.
        completed = lab.run("arping", "-D", "-c", "1", "-w", "2", "-I", lab.interface(),
                            lab.DEMI_IP[4], check=False)
        self.assertEqual(completed.returncode, 1, completed.stdout)
        self.assertIn("Received 1 response(s)", completed.stdout)

    @lab.needs("arping")
    def test_arping_of_another_address_is_not_answered(self):
        completed = lab.run("arping", "-c", "1", "-w", "1", "-I", lab.interface(), "10.77.0.99",
                            check=False)
        self.assertIn("Received 0 response(s)", completed.stdout)


class Ping6(Ping):
    version = 6

    @lab.needs("ndisc6")
    def test_ndisc6(self):
        said = lab.run("ndisc6", "-n", "-1", lab.DEMI_IP[6], lab.interface()).stdout
        self.assertIn(f"Target link-layer address: {lab.DEMI_MAC.upper()}", said)

    @lab.needs("ping")
    @unittest.skipIf(lab.DEVICE == "kernel", "the laboratory gives the kernel no such address")
    def test_all_nodes_group(self):
        # RFC 4443, 4.2: an echo request to ff02::1 is answered from an address of one's own.
        # It has to find the kernel first, and to see that nobody else has its own address.
        for _ in range(30):
            said = lab.run("ping", "-n", "-c", "2", "-i", "0.2",
                           f"ff02::1%{lab.interface()}").stdout
            answered = set(re.findall(r"from ([0-9a-f:]+)", said))
            if answered & {lab.DEMI_IP[6], lab.DEMI_LINK_LOCAL}:
                return
        self.fail(said)


class ToLinux(unittest.TestCase):
    """Echo requests of ours, which the kernel answers."""

    version = 4

    @classmethod
    def setUpClass(cls):
        lab.know_demi()
        if lab.DEVICE == "kernel":
            # Else the kernel lets nobody send echo requests in a new namespace.
            lab.run(*lab.in_namespace(os.environ["LAB_DEMI"], "sh", "-c",
                                      "echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range"))

    @classmethod
    def tearDownClass(cls):
        lab.know_demi(False)

    def ping(self, *options, address=None, status=0):
        completed = lab.run(*lab.demi_command(lab.DEMI_PING, *options,
                                              address or lab.LINUX_IP[self.version]),
                            env=lab.device_environment(), check=False)
        self.assertEqual(completed.returncode, status, completed.stdout)
        return completed.stdout

    def test_ping(self):
        said = self.ping("-c", "3", "-i", "0.1")
        for sequence in (1, 2, 3):
            self.assertRegex(said, rf"(?m)^64 bytes from {re.escape(lab.LINUX_IP[self.version])}: "
                                   rf"sequence {sequence}, \d+\.\d+ ms$")
        self.assertIn("3 sent, 3 received, 0 lost\n", said)

    def test_first_ping_to_a_host_that_is_not_known_yet(self):
        lab.know_demi(False)
        try:
            self.assertIn("1 sent, 1 received", self.ping("-c", "1", "-W", "5"))
        finally:
            lab.know_demi()

    def test_all_kinds_of_sizes(self):
        for size in (0, 1, 7, 8, 56, 1000, 1451, 1452, 1453, 1471, 1472, 1473, 2961, 9000, 32768,
                     65507):
            if size > lab.whole_bytes_max(self.version) - 8:
                break
            with self.subTest(size=size):
                self.ping("-c", "2", "-i", "0", "-s", str(size), "-q", "-W", "5")

    def test_flood_of_1000(self):
        self.assertIn("1000 sent, 1000 received", self.ping("-c", "1000", "-i", "0", "-q", "-W", "5"))

    def test_nobody_answers(self):
        other = {4: "10.77.0.99", 6: "fd77::99"}[self.version]
        said = self.ping("-c", "1", "-W", "0.5", address=other, status=1)
        self.assertIn("1 sent, 0 received, 1 lost", said)

    @lab.needs("tcpdump", "tshark")
    def test_requests_on_the_wire(self):
        with lab.Capture() as capture:
            self.ping("-c", "2", "-i", "0.1", "-s", "1000")
        name, kind = ("icmp", 8) if self.version == 4 else ("icmpv6", 128)
        ident = f"{name}.ident" if self.version == 4 else "icmpv6.echo.identifier"
        seq = f"{name}.seq" if self.version == 4 else "icmpv6.echo.sequence_number"
        requests = capture.packets(f"{name}.type == {kind}", ident, seq)
        self.assertEqual([int(request[1], 0) for request in requests], [1, 2])
        self.assertEqual(len({request[0] for request in requests}), 1)
        self.assertEqual(capture.bad_checksums(), [])


class ToLinux6(ToLinux):
    version = 6


del Ping

if __name__ == "__main__":
    lab.main()
