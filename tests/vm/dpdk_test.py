#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Catnip over network cards: PCI devices that DPDK's driver reaches through VFIO and an IOMMU.

                        one wire, which all hear
          +------------------+----------------+------------------+
          |                  |                |                  |
     SERVER_NIC         CLIENT_NIC       KERNEL_NIC        NOBODYS_NIC
     vfio-pci           vfio-pci         e1000e            no driver
     Demi: .1           Demi: .2         Linux: .3, which also looks on
"""

import contextlib
import json
import os
import socket
import struct
import subprocess
import unittest

import guest
from guest import lab

SERVER_NIC, CLIENT_NIC, KERNEL_NIC = "0000:00:10.0", "0000:00:11.0", "0000:00:12.0"
NOBODYS_NIC, NO_NIC = "0000:00:13.0", "0000:00:1d.7"
NICS = (SERVER_NIC, CLIENT_NIC, KERNEL_NIC, NOBODYS_NIC)

SERVER_IP = {4: "10.75.0.1", 6: "fd75::1"}
CLIENT_IP = {4: "10.75.0.2", 6: "fd75::2"}
KERNEL_IP = {4: "10.75.0.3", 6: "fd75::3"}
SERVER_MAC, CLIENT_MAC = "02:00:00:00:75:01", "02:00:00:00:75:02"

ETH_P_ALL = 3
ETH_HEADER = 14
UDP = 17
IP_BYTES = {4: 20, 6: 40}


def environment(nic, addresses, **changes):
    return dict(os.environ) | {
        "LIBOS": "catnip", "DEMI_NET_DEV": f"dpdk:{nic}", "DEMI_LOG_LEVEL": "info",
        "DEMI_NET_IP": ",".join(f"{addresses[version]}/{lab.PREFIX[version]}"
                                for version in (4, 6))} | changes


def server_environment(**changes):
    return environment(SERVER_NIC, SERVER_IP, DEMI_NET_MAC=SERVER_MAC, **changes)


def client_environment(**changes):
    return environment(CLIENT_NIC, CLIENT_IP, DEMI_NET_MAC=CLIENT_MAC, **changes)


def echo(role, version, *options, proto="udp"):
    return [lab.DEMI_ECHO, role, "--proto", proto, "--addr",
            f"{lab.host(version, SERVER_IP[version])}:{lab.PORT}", *options]


def server(version, proto="udp", **changes):
    return lab.Program(echo("server", version, proto=proto), server_environment(**changes),
                       ready=r"listening on ")


def client(version, size, count, proto="udp", **changes):
    """What demi-echo says of itself, and its errors."""
    completed = subprocess.run(
        echo("client", version, "--size", str(size), "--count", str(count), "--inflight", "4",
             "--quiet", "--json", "-", proto=proto),
        env=client_environment(**changes), text=True, capture_output=True,
        timeout=guest.DEADLINE_S)
    if completed.returncode != 0:
        raise AssertionError(completed.stdout + completed.stderr)
    return json.loads(completed.stdout), completed.stderr


def refused(nic):
    """What is said when Catnip cannot have this device, but for the program's own line."""
    completed = subprocess.run(
        echo("server", 4, "--duration", "1"), env=environment(nic, SERVER_IP), text=True,
        capture_output=True, timeout=guest.DEADLINE_S)
    if completed.returncode != 1:
        raise AssertionError(f"{completed.returncode}\n{completed.stdout}{completed.stderr}")
    return [line for line in completed.stderr.splitlines()
            if line.startswith(("demi: error", "demi: warning", "EAL"))]


# ---- what is on the wire ----

def checksum(data):
    """The sum of 16-bit words with its carries; 0xffff over what has a right checksum."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return total


def datagram_of(frame):
    """(source, whether the checksum is there and right) of a frame; None: it has no whole UDP."""
    kind = struct.unpack("!H", frame[12:14])[0]
    packet = frame[ETH_HEADER:]
    if kind == 0x0800 and packet[9] == UDP and struct.unpack("!H", packet[6:8])[0] & 0x3fff == 0:
        packet = packet[:struct.unpack("!H", packet[2:4])[0]]
        version, source, addresses = 4, packet[12:16], packet[12:20]
    elif kind == 0x86dd and packet[6] == UDP:
        packet = packet[:40 + struct.unpack("!H", packet[4:6])[0]]
        version, source, addresses = 6, packet[8:24], packet[8:40]
    else:
        return None
    udp = packet[IP_BYTES[version]:]
    pseudo = addresses + struct.pack("!HH", UDP, len(udp))
    right = udp[6:8] != b"\0\0" and checksum(pseudo + udp) == 0xffff
    return socket.inet_ntop(lab.FAMILY[version], source), right


class Witness:
    """What the kernel's card hears, from now on."""

    def __enter__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, lab.SO_RCVBUFFORCE, 8 << 20)
        self.socket.bind((guest.interface_of(KERNEL_NIC), 0))
        return self

    def __exit__(self, *_):
        self.socket.close()

    def frames(self):
        """All that have come so far."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                yield self.socket.recv(65536)

    def datagrams(self):
        """By source, of each whether its checksum is right."""
        heard = {}
        for source, right in filter(None, map(datagram_of, self.frames())):
            heard.setdefault(source, []).append(right)
        return heard

    def await_datagram_from(self, address):
        self.socket.settimeout(guest.DEADLINE_S)
        while (datagram_of(self.socket.recv(65536)) or ("", False))[0] != address:
            pass


def set_up_kernel():
    interface = guest.interface_of(KERNEL_NIC)
    lab.without_dad(interface)
    for version in (4, 6):
        lab.run("ip", "address", "add", f"{KERNEL_IP[version]}/{lab.PREFIX[version]}", "dev",
                interface)
    lab.run("ip", "link", "set", interface, "up", "promisc", "on")
    guest.await_carrier(interface)


def setUpModule():
    guest.keep_dpdk_drivers("net_e1000", "bus_pci", "bus_vdev", "mempool_ring")
    lab.run("modprobe", "vfio-pci")
    lab.run("modprobe", "e1000e")
    for nic in (SERVER_NIC, CLIENT_NIC):
        guest.bind(nic, "vfio-pci")
    guest.bind(NOBODYS_NIC, None)
    set_up_kernel()


# ---- the tests ----

class Refused(unittest.TestCase):
    def says(self, nic, pattern):
        said = refused(nic)
        self.assertEqual(len(said), 1, said)
        self.assertRegex(said[0], f"^demi: error: dpdk:{nic}: {pattern}")

    def test_address_of_nothing(self):
        self.says(NO_NIC, f"this machine has no PCI device {NO_NIC}; lspci -D lists")

    def test_card_that_the_kernel_has(self):
        self.says(KERNEL_NIC, "the kernel has the device, for its driver e1000e: bind it to "
                              f"vfio-pci.*dpdk-devbind.py -b vfio-pci {KERNEL_NIC}")
        # It has it still.
        self.assertEqual(guest.driver_of(KERNEL_NIC), "e1000e")

    def test_card_without_a_driver(self):
        self.says(NOBODYS_NIC, "no driver has the device: bind it to vfio-pci")


class Echo:
    """With one server for all of them."""

    @classmethod
    def setUpClass(cls):
        cls.server = server(cls.version)
        cls.addClassCleanup(cls.server.process.kill)

    @classmethod
    def tearDownClass(cls):
        cls.server.end()

    def echoes(self, size, count=200):
        result, errors = client(self.version, size, count)
        self.assertEqual(result["verified"], count, result)
        self.assertEqual(result["errors"], 0, result)
        return errors

    def test_1400_bytes(self):
        self.echoes(1400)

    def test_9000_bytes_in_fragments(self):
        self.echoes(9000)

    def test_64_bytes_with_checksums_of_the_card(self):
        with Witness() as witness:
            errors = self.echoes(64)
            heard = witness.datagrams()
        for said in (errors, self.server.errors()):
            self.assertRegex(said, "driver net_e1000_em, checksums are the port's, frames of up "
                                   "to 8 segments, payloads are copied")
        for address in (CLIENT_IP[self.version], SERVER_IP[self.version]):
            self.assertGreaterEqual(len(heard[address]), 200)
            self.assertTrue(all(heard[address]))

    def test_station_address(self):
        with Witness() as witness:
            lab.ping(SERVER_IP[self.version])
            self.assertIn(SERVER_MAC, {":".join(f"{byte:02x}" for byte in frame[6:12])
                                       for frame in witness.frames()})

    def test_kernel_as_client(self):
        with lab.udp_socket(self.version, (SERVER_IP[self.version], lab.PORT),
                            source=KERNEL_IP[self.version]) as sock:
            sock.settimeout(guest.DEADLINE_S / 9)
            for size in (1, 17, 18, 1472, 1473, 9000, 30000):
                with self.subTest(size=size):
                    sock.send(lab.pattern(size, size))
                    self.assertEqual(sock.recv(65536), lab.pattern(size, size))


class Ipv4(Echo, unittest.TestCase):
    version = 4

    def test_card_that_another_program_has(self):
        said = refused(SERVER_NIC)
        self.assertEqual(len(said), 1, said)
        self.assertRegex(said[0], "vfio-pci has the device, but DPDK does not get it: .*busy.*"
                                  "see that no other program uses it")

    def test_client_after_one_that_was_killed(self):
        with Witness() as witness:
            killed = lab.Program(echo("client", self.version, "--duration", "100"),
                                 client_environment())
            witness.await_datagram_from(CLIENT_IP[self.version])
            killed.process.kill()
            killed.process.communicate()
            killed.errors_file.close()
        self.echoes(64)


class Ipv6(Echo, unittest.TestCase):
    version = 6


class Tcp(unittest.TestCase):
    """Whose shortest segments are padded, and whose longer ones no fragment helps."""

    @classmethod
    def setUpClass(cls):
        cls.server = server(4, "tcp")
        cls.addClassCleanup(cls.server.process.kill)

    @classmethod
    def tearDownClass(cls):
        cls.server.end()

    def test_echo(self):
        result, _ = client(4, 3000, 200, "tcp")
        self.assertEqual(result["verified"], 200, result)

    def test_kernel_as_client(self):
        address = (SERVER_IP[4], lab.PORT)
        with socket.create_connection(address, guest.DEADLINE_S, (KERNEL_IP[4], 0)) as sock:
            for size in (1, 7, 1460, 1461, 30000):
                sock.sendall(lab.pattern(size, size))
                echoed = b""
                while len(echoed) < size and (more := sock.recv(65536)):
                    echoed += more
                self.assertEqual(echoed, lab.pattern(size, size))


class Jumbo(unittest.TestCase):
    def test_large_frames(self):
        """What is in fragments otherwise is one frame."""
        changes = {"DEMI_NET_MTU": "9000", "DEMI_NET_FRAMES": "1024"}
        with server(4, **changes):
            result, errors = client(4, 8900, 100, **changes)
        self.assertEqual(result["verified"], 100, result)
        self.assertIn("packets of up to 9000 bytes", errors)


if __name__ == "__main__":
    guest.main("--huge-pages", "128", "--timeout", "400", "--qemu", " ".join(
        f"-netdev hubport,id=n{at},hubid=1 -device e1000e,netdev=n{at},addr={nic[-4:-2]}"
        for at, nic in enumerate(NICS)))
