#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Demi beside others: the kernel's own traffic on the same interface, and a VLAN."""

import contextlib
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import unittest

import lab

# The kernel's own addresses on the interface that Demi's device is on.
KERNEL_IP = {4: "10.77.0.3", 6: "fd77::3"}
VLAN_IP = {4: ("10.75.0.1", "10.75.0.2"), 6: ("fd75::1", "fd75::2")}

TCP_ECHO = """
import socket, sys
listener = socket.create_server((sys.argv[1], 2222), family=int(sys.argv[2]))
print("ready", flush=True)
connection = listener.accept()[0]
while data := connection.recv(65536):
    connection.sendall(data)
"""


# Of mDNS, and one of somebody's.
GROUPS = {4: ("224.0.0.251", "239.1.2.3"), 6: ("ff02::fb", "ff15::77:1")}

KERNEL_MEMBER = """
import socket, struct, sys
group, family = sys.argv[1], int(sys.argv[2])
index = socket.if_nametoindex("demi0")
sock = socket.socket(family, socket.SOCK_DGRAM)
sock.bind(("", 7000))
if family == socket.AF_INET:
    request = socket.inet_aton(group) + struct.pack("@4si", bytes(4), index)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
else:
    request = socket.inet_pton(family, group) + struct.pack("@i", index)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
print("ready", flush=True)
while data := sock.recv(9000):
    print(f"received {len(data)} bytes", flush=True)
"""


@unittest.skipIf(lab.DEVICE == "tap", "a tap is Demi's alone")
class Shared(unittest.TestCase):
    version = 4

    @classmethod
    def setUpClass(cls):
        cls.address = KERNEL_IP[cls.version]
        lab.run("ip", "-n", os.environ["LAB_DEMI"], "address", "add",
                f"{cls.address}/{lab.PREFIX[cls.version]}", "dev", "demi0",
                *(["nodad"] if cls.version == 6 else []))

    @classmethod
    def tearDownClass(cls):
        lab.run("ip", "-n", os.environ["LAB_DEMI"], "address", "delete",
                f"{cls.address}/{lab.PREFIX[cls.version]}", "dev", "demi0")

    @contextlib.contextmanager
    def kernel_connection(self):
        """A connection of the kernel's through the interface; yields a function that uses it."""
        program = subprocess.Popen(
            lab.in_namespace(os.environ["LAB_DEMI"], sys.executable, "-c", TCP_ECHO, self.address,
                             str(int(lab.FAMILY[self.version]))), stdout=subprocess.PIPE, text=True)
        try:
            self.assertEqual(program.stdout.readline(), "ready\n")
            with socket.socket(lab.FAMILY[self.version]) as sock:
                sock.settimeout(lab.ANSWER_S)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind((lab.LINUX_IP[self.version], 0))
                sock.connect((self.address, 2222))
                self.peer_port = sock.getsockname()[1]

                def exchange(size):
                    sender = threading.Thread(target=sock.sendall, args=(lab.pattern(size),))
                    sender.start()
                    received = b""
                    while len(received) < size:
                        data = sock.recv(65536)
                        self.assertTrue(data)
                        received += data
                    sender.join()
                    self.assertEqual(received, lab.pattern(size))
                yield exchange
        finally:
            program.kill()
            program.communicate()

    def test_connection_of_the_kernel_lives_on(self):
        with self.kernel_connection() as exchange:
            exchange(1000)
            with lab.server(self.version):
                for size in (1, 1000, 60000):
                    exchange(size)
                    self.assertTrue(lab.echo_works(self.version, 1000))
            exchange(60000)

    def test_connection_made_while_demi_runs(self):
        with lab.server(self.version):
            with self.kernel_connection() as exchange:
                exchange(60000)
                self.assertTrue(lab.echo_works(self.version))

    def test_streams_of_both(self):
        # The kernel's connections and Demi's at the same time, and from the same port of the peer.
        with lab.server(self.version, proto="tcp"), self.kernel_connection() as exchange, \
                socket.socket(lab.FAMILY[self.version]) as sock:
            sock.settimeout(lab.ANSWER_S)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((lab.LINUX_IP[self.version], self.peer_port))
            sock.connect((lab.DEMI_IP[self.version], lab.PORT))
            for size in (1, 1000, 3000000):
                thread = lab.Thread(exchange, min(size, 60000))
                lab.exchange_stream(sock, size)
                thread.end()
            # Neither has the other's ports.
            for address, port in ((self.address, lab.PORT), (lab.DEMI_IP[self.version], 2222)):
                with lab.tcp_socket(self.version) as other, \
                        self.assertRaises(ConnectionRefusedError):
                    other.connect((address, port))

    @lab.needs("ping")
    def test_both_addresses_answer(self):
        lab.run("ip", "neighbour", "flush", "all")
        with lab.server(self.version):
            for address in (self.address, lab.DEMI_IP[self.version]):
                lab.ping(address, 5)

    def test_ports_of_the_kernels_address_are_the_kernels(self):
        # The kernel's port of the same number, on its own address.
        code = ("import socket, sys; s = socket.socket(int(sys.argv[2]), socket.SOCK_DGRAM);"
                "s.bind((sys.argv[1], 7000)); print('ready', flush=True);"
                "d, p = s.recvfrom(9000); s.sendto(b'kernel: ' + d, p)")
        program = subprocess.Popen(
            lab.in_namespace(os.environ["LAB_DEMI"], sys.executable, "-c", code, self.address,
                             str(int(lab.FAMILY[self.version]))), stdout=subprocess.PIPE, text=True)
        try:
            self.assertEqual(program.stdout.readline(), "ready\n")
            with lab.server(self.version), lab.udp_socket(self.version) as sock:
                sock.sendto(b"whose?", (self.address, lab.PORT))
                self.assertEqual(sock.recv(100), b"kernel: whose?")
                self.assertTrue(lab.echo_works(self.version))
        finally:
            program.kill()
            program.communicate()

    @contextlib.contextmanager
    def kernel_member(self, group):
        """A socket of the kernel's that is in a group on the interface; yields what reads it."""
        program = subprocess.Popen(
            lab.in_namespace(os.environ["LAB_DEMI"], sys.executable, "-c", KERNEL_MEMBER, group,
                             str(int(lab.FAMILY[self.version]))), stdout=subprocess.PIPE, text=True)

        def line():
            if not select.select([program.stdout], [], [], lab.ANSWER_S)[0]:
                return "nothing"
            return program.stdout.readline()
        try:
            self.assertEqual(line(), "ready\n")
            yield line
        finally:
            program.kill()
            program.communicate()

    def demi_member(self, group):
        if not lab.PROBE:
            self.skipTest("net-probe was not built")
        return lab.Program(lab.demi_command(lab.PROBE, "group", group, str(lab.PORT)),
                           lab.device_environment(), ready="ready\n")

    def send_to_group(self, sock, group, size):
        sock.sendto(lab.pattern(size), (group, lab.PORT))
        return f"received {size} bytes\n"

    def group_sender(self):
        sock = lab.udp_socket(self.version)
        index = socket.if_nametoindex(lab.interface())
        if self.version == 4:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                            struct.pack("@4s4si", bytes(4), bytes(4), index))
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        return sock

    def test_groups_are_of_both(self):
        for group in GROUPS[self.version]:
            with self.subTest(group=group), self.group_sender() as sock, \
                    self.kernel_member(group) as kernels_line:
                wanted = self.send_to_group(sock, group, 10)
                self.assertEqual(kernels_line(), wanted)
                with self.demi_member(group) as demi:
                    # A whole datagram, and one in pieces.
                    for size in (11, 1000, 5000):
                        wanted = self.send_to_group(sock, group, size)
                        self.assertEqual(kernels_line(), wanted)
                        self.assertEqual(demi.line(), wanted)
                wanted = self.send_to_group(sock, group, 12)
                self.assertEqual(kernels_line(), wanted)

    def test_group_that_the_kernel_joins_later(self):
        group = GROUPS[self.version][1]
        with self.group_sender() as sock, self.demi_member(group) as demi:
            for size in (10, 11):
                wanted = self.send_to_group(sock, group, size)
                self.assertEqual(demi.line(), wanted)
                with self.kernel_member(group) as kernels_line:
                    wanted = self.send_to_group(sock, group, 100 + size)
                    self.assertEqual(kernels_line(), wanted)
                    self.assertEqual(demi.line(), wanted)
            # And the kernel's leaving takes nothing away.
            wanted = self.send_to_group(sock, group, 13)
            self.assertEqual(demi.line(), wanted)


class Shared6(Shared):
    version = 6


class VlanInterface:
    """
    vlan5, the kernel's sub-interface for VLAN 5. Where the kernel has none of the kind, a tap of
    that name takes its place, between which and the link we carry the frames and their tags.
    """

    TAG = b"\x81\x00\x00\x05"

    def __init__(self):
        name = lab.interface()
        self.thread = None
        made = lab.run("ip", "link", "add", "link", name, "name", "vlan5", "type", "vlan", "id",
                       "5", check=False)
        if made.returncode != 0:
            self.carry(name)
        lab.without_dad("vlan5")
        lab.run("ip", "link", "set", "vlan5", "up")
        for version in (4, 6):
            lab.run("ip", "address", "add", f"{VLAN_IP[version][0]}/{lab.PREFIX[version]}", "dev",
                    "vlan5")

    def carry(self, name):
        self.tap = os.open("/dev/net/tun", os.O_RDWR)
        request = struct.pack("16sH22x", b"vlan5", 0x1002)  # IFF_TAP | IFF_NO_PI
        fcntl.ioctl(self.tap, 0x400454CA, request)  # TUNSETIFF
        self.link = lab.packet_socket(name)
        self.link.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA: the tags, which are cut out
        # Replies go to the link's own address.
        lab.run("ip", "link", "set", "vlan5", "address", lab.LINUX_MAC)
        self.stop, self.stopped = os.pipe()
        self.thread = threading.Thread(target=self.carry_on)
        self.thread.start()

    def carry_on(self):
        while True:
            ready = select.select([self.tap, self.link, self.stop], [], [])[0]
            if self.stop in ready:
                return
            if self.tap in ready:
                frame = os.read(self.tap, 2000)
                with contextlib.suppress(OSError):
                    self.link.send(frame[:12] + self.TAG + frame[12:])
            if self.link in ready:
                frame, auxiliary, _, source = self.link.recvmsg(2000, 100)
                if source[2] == 4:  # PACKET_OUTGOING
                    continue
                # struct tpacket_auxdata: status, ..., tci at 16; TP_STATUS_VLAN_VALID
                for _, _, data in auxiliary:
                    if struct.unpack_from("=I", data)[0] & 0x10 and \
                            struct.unpack_from("=H", data, 16)[0] & 0xFFF == 5:
                        os.write(self.tap, frame)

    def close(self):
        if not self.thread:
            lab.run("ip", "link", "delete", "vlan5")
            return
        os.write(self.stopped, b"x")
        self.thread.join()
        for descriptor in (self.tap, self.stop, self.stopped):
            os.close(descriptor)
        self.link.close()


@unittest.skipIf(lab.DEVICE == "kernel", "is for Demi's own VLAN")
class Vlan(unittest.TestCase):
    """IEEE 802.1Q tags of our own, to the kernel's sub-interface."""

    @classmethod
    def setUpClass(cls):
        cls.vlan = VlanInterface()

    @classmethod
    def tearDownClass(cls):
        cls.vlan.close()

    def environment(self):
        return {"DEMI_NET_VLAN": "5",
                "DEMI_NET_IP": ",".join(f"{VLAN_IP[version][1]}/{lab.PREFIX[version]}"
                                        for version in (4, 6))}

    def echo(self, version, size):
        with socket.socket(lab.FAMILY[version], socket.SOCK_DGRAM) as sock:
            sock.settimeout(lab.ANSWER_S)
            sock.connect((VLAN_IP[version][1], lab.PORT))
            sock.send(lab.pattern(size))
            self.assertEqual(sock.recv(70000), lab.pattern(size))

    def test_echo(self):
        for version in (4, 6):
            with self.subTest(version=version), \
                    lab.server(version, VLAN_IP[version][1], environment=self.environment()):
                for size in (1, 1000, 1472, 1473, 20000):
                    self.echo(version, size)

    def test_untagged_frames_are_not_taken(self):
        environment = self.environment()
        environment["DEMI_NET_IP"] += f",{lab.DEMI_IP[4]}/24"
        with lab.server(4, "0.0.0.0", environment=environment):
            self.echo(4, 100)
            with lab.packet_socket() as frames, lab.udp_socket(4) as sock:
                port = sock.getsockname()[1]
                datagram = lab.ipv4(17, lab.udp(b"untagged", 4, port))
                frames.send(lab.ethernet(0x0800, datagram))
                frames.send(lab.ethernet(0x8100, b"\0\6\x08\0" + datagram))  # of VLAN 6
                self.echo(4, 100)
                sock.settimeout(0)
                with self.assertRaises(BlockingIOError):
                    sock.recv(100)


if __name__ == "__main__":
    lab.main()
