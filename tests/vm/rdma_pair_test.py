#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
RDMA between two guests, whose network cards are on one wire: Soft-RoCE over each. The tests run in
one of them, the servers that they want in the other.

    rdma_pair_test.py DEMI_ECHO RDMA_END [-- TEST...]
"""

import json
import os
import subprocess
import sys
import unittest

import guest
import roce
from guest import lab

NIC = "0000:00:10.0"
# A packet of it less cannot be lost: what is counted twice was sent twice.
ROUND_TRIPS = 100
ECHO_PORT = 7
ENVIRONMENT = {"LIBOS": "catmint", "DEMI_CATMINT_DEVICE": roce.DEVICE, "DEMI_HEAP_MAX_BYTES": "128M"}
DEMI_ECHO = sys.argv[1] if len(sys.argv) > 1 else ""
RDMA_END = sys.argv[2] if len(sys.argv) > 2 else ""
# Serves until it is terminated, and then its machine loses its power.
SERVE_AND_DIE = "trap 'echo o > /proc/sysrq-trigger' TERM; \"$@\" & wait; wait"


def set_up(host):
    lab.run("modprobe", "virtio_net")
    interface = guest.interface_of(NIC)
    roce.set_up(interface, host)
    guest.await_carrier(interface)


def setUpModule():
    set_up(1)


class Traffic(unittest.TestCase):
    def test_rping(self):
        for version in (4, 6):
            with self.subTest(version=version):
                self.assertEqual(
                    len(roce.rping(10, version, host=2, server=roce.RemoteServer)), 10)

    def moved(self, program, size, count, *options, **keywords):
        said, grown = roce.perftest(program, size, count, *options, host=2,
                                    server=roce.RemoteServer, **keywords)
        self.assertEqual((said["#bytes"], said["#iterations"]), (str(size), str(count)), said)
        self.assertEqual(said["Mtu"], f"{roce.PACKET_BYTES}[B]")
        self.assertEqual(grown["retry_exceeded_err"], 0)
        return grown

    def test_send(self):
        grown = self.moved("ib_send_lat", 64, ROUND_TRIPS)
        self.assertGreaterEqual(grown["rdma_sends"], ROUND_TRIPS)
        self.assertGreaterEqual(grown["rcvd_pkts"], ROUND_TRIPS)

    def test_send_by_address(self):
        grown = self.moved("ib_send_lat", 64, ROUND_TRIPS, "-R")
        self.assertGreaterEqual(grown["rdma_sends"], ROUND_TRIPS)

    def test_read(self):
        grown = self.moved("ib_read_bw", 65536, 10)
        self.assertGreaterEqual(grown["rcvd_pkts"], 10 * 65536 // roce.PACKET_BYTES)


class Catmint(unittest.TestCase):
    """demi-echo: its server in the other guest."""

    def echo(self, count, *options, version=4, proto="tcp", idle="spin"):
        host = roce.address(version, host=2)
        at = f"[{host}]:{ECHO_PORT}" if version == 6 else f"{host}:{ECHO_PORT}"
        environment = ENVIRONMENT | {"DEMI_RUNTIME_IDLE": idle}
        server = roce.RemoteServer([DEMI_ECHO, "server", "--addr", at, "--proto", proto],
                                   "listening on ", environment)
        try:
            said = subprocess.run(
                [DEMI_ECHO, "client", "--addr", at, "--proto", proto, "--quiet", "--json", "-",
                 "--count", str(count), *options], text=True, capture_output=True,
                timeout=guest.DEADLINE_S, env=os.environ | environment)
        finally:
            status, output = server.end(terminate=True)
        if "no libOS of this build" in said.stderr:
            self.skipTest("no Catmint in this build")
        self.assertEqual((said.returncode, status), (0, 0), said.stderr + output)
        self.assertEqual(json.loads(said.stdout)["verified"], count)

    def test_streams(self):
        for version in (4, 6):
            with self.subTest(version=version):
                self.echo(ROUND_TRIPS, version=version)

    def test_processes_that_sleep(self):
        self.echo(ROUND_TRIPS, idle="sleep")

    def test_large_messages(self):
        self.echo(10, "--size", "200000", "--inflight", "2")

    def test_many_connections(self):
        self.echo(ROUND_TRIPS, "--connections", "10")

    def test_datagrams(self):
        self.echo(ROUND_TRIPS, "--size", "1000", proto="udp")


class MachineThatDies(unittest.TestCase):
    """The other guest; hence the last test of all."""

    def test_is_noticed(self):
        host = roce.address(4, host=2)
        server = roce.RemoteServer(
            ["sh", "-c", SERVE_AND_DIE, "sh", DEMI_ECHO, "server", "--addr", f"{host}:{ECHO_PORT}"],
            "listening on ", ENVIRONMENT)
        ours = roce.Server([RDMA_END, host], "under way",
                           ENVIRONMENT | {"DEMI_CATMINT_KEEPALIVE_MS": "1000"})
        server.leave()
        status, output = ours.end()
        self.assertEqual(status, 0, output)
        for what in ("idle pop", "busy pop", "busy push"):
            self.assertIn(f"{what}: Connection timed out\n", output)
        # The device is there all the same.
        self.assertIn("socket: Success\n", output)


def load_tests(loader, _tests, _pattern):
    return unittest.TestSuite(map(loader.loadTestsFromTestCase, (Traffic, Catmint, MachineThatDies)))


if __name__ == "__main__":
    if os.environ.get("DEMI_GUEST") == "second":
        set_up(2)
        roce.serve_gate()
    roce.require()
    guest.main_of_pair("virtio-net-pci", NIC, "--memory", "512", "--timeout", "400")
