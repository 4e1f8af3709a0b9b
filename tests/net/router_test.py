#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A router on the link: Demi asks for it, makes itself an address, and takes its routes."""

import contextlib
import socket
import struct
import unittest

import lab

NET = "fd99:0:0:1"


def link_local():
    """The kernel's own address of the link."""
    said = lab.run("ip", "-6", "-o", "address", "show", "dev", lab.interface(), "scope", "link")
    return said.stdout.split("inet6 ")[1].partition("/")[0]


def advertisement(prefix, valid_s=3600, preferred_s=1800, flags=0xC0, prefix_bits=64,
                  lifetime_s=1800, mtu=None):
    """RFC 4861, 4.2, as a whole frame; flags of the prefix: 0x80 on link, 0x40 for addresses."""
    body = struct.pack("!BBHII", 64, 0, lifetime_s, 0, 0)
    body += b"\1\1" + lab.mac_bytes(lab.LINUX_MAC)
    if mtu:
        body += struct.pack("!BBHI", 5, 1, 0, mtu)
    body += struct.pack("!BBBBIII16s", 3, 4, prefix_bits, flags, valid_s, preferred_s, 0,
                        lab.address_bytes(prefix))
    message = lab.icmpv6(134, 0, body, link_local(), "ff02::1")
    packet = lab.ipv6(58, message, source=link_local(), destination="ff02::1", hop_limit=255)
    return lab.ethernet(0x86DD, packet, "33:33:00:00:00:01")


def next_packet(frames, wanted):
    """The next IPv6 packet of Demi's for which wanted(packet) holds."""
    while True:
        frame = frames.recv(2000)
        if (frame[6:12] == lab.mac_bytes(lab.DEMI_MAC) and frame[12:14] == b"\x86\xdd"
                and wanted(frame[14:])):
            return frame[14:]


class Router(unittest.TestCase):
    def setUp(self):
        run = lab.run("ip", "-6", "address", "add", f"{NET}::1/64", "dev", lab.interface(),
                      "nodad", check=False)
        self.assertIn(run.returncode, (0, 2))
        lab.run("ip", "neighbour", "flush", "all")

    @contextlib.contextmanager
    def started(self, environment=None):
        """A server on all addresses, with a socket for frames, which was there first."""
        with lab.packet_socket() as frames, \
                lab.server(6, address="::", environment=environment) as server:
            yield server, frames

    def tentative(self, frames, prefix=NET):
        """The address whose duplicates Demi looks for, of those that begin with @prefix."""
        start = lab.address_bytes(f"{prefix}::")[:8]
        # RFC 4862, 5.4.2: a solicitation from ::, whose target is the address.
        packet = next_packet(frames, lambda packet: packet[6] == 58 and packet[40] == 135 and
                             packet[8:24] == bytes(16) and packet[48:56] == start)
        return socket.inet_ntop(socket.AF_INET6, packet[48:64])

    def test_asks_for_routers(self):
        with self.started() as (_, frames):
            packet = next_packet(frames, lambda packet: packet[6] == 58 and packet[40] == 133)
            self.assertEqual(packet[24:40], lab.address_bytes("ff02::2"))
            self.assertEqual(packet[7], 255)

    def test_address_of_an_advertised_prefix_answers(self):
        with self.started() as (_, frames):
            frames.send(advertisement(f"{NET}::"))
            address = self.tentative(frames)
            lab.ping(address, 3)
            self.assertTrue(lab.echo_works(6, address=address, source=f"{NET}::1"))

    def test_router_becomes_the_gateway(self):
        # An address behind the router, which has been given to Demi by nobody else.
        lab.run("ip", "-6", "address", "replace", "fd55::5/128", "dev", "lo")
        with self.started() as (_, frames):
            frames.send(advertisement(f"{NET}::"))
            address = self.tentative(frames)
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
                sock.settimeout(1)
                sock.bind(("fd55::5", 0))
                # The address may still be looked for duplicates of.
                for _ in range(5):
                    sock.sendto(b"from afar", (address, lab.PORT))
                    with contextlib.suppress(socket.timeout):
                        self.assertEqual(sock.recv(100), b"from afar")
                        return
                self.fail("no answer through the router")

    def test_duplicate_is_not_used(self):
        # RFC 4862, 5.4.4: somebody says that he has it.
        with self.started() as (_, frames):
            frames.send(advertisement(f"{NET}::"))
            address = self.tentative(frames)
            body = b"\x20\0\0\0" + lab.address_bytes(address) + b"\2\1" + \
                lab.mac_bytes(lab.LINUX_MAC)
            message = lab.icmpv6(136, 0, body, address, "ff02::1")
            frames.send(lab.ethernet(0x86DD, lab.ipv6(58, message, source=address,
                                                      destination="ff02::1", hop_limit=255),
                                     "33:33:00:00:00:01"))
            self.assertTrue(lab.echo_works(6))  # by when it has been seen
            completed = lab.run("ping", "-n", "-q", "-c", "1", "-W", "1", address, check=False)
            self.assertIn(" 0 received", completed.stdout)

    def test_what_is_no_use(self):
        # Without its flag, of another length, too short, link-local (RFC 4862, 5.5.3).
        with self.started() as (_, frames):
            for wrong in (advertisement("fd99:0:0:2::", flags=0x80),
                          advertisement("fd99:0:0:3::", prefix_bits=60),
                          advertisement("fd99:0:0:4::", valid_s=10, preferred_s=20),
                          advertisement("fe80::"),
                          advertisement("ff05::"),
                          advertisement("fd99:0:0:5::")[:-20],
                          advertisement("fd99:0:0:6::")[:21] + b"\1" +
                          advertisement("fd99:0:0:6::")[22:]):
                frames.send(wrong)
            frames.send(advertisement(f"{NET}::"))
            # The first one looked for is that of the good one.
            packet = next_packet(frames, lambda packet: packet[6] == 58 and packet[40] == 135 and
                                 packet[8:24] == bytes(16) and packet[48:50] == b"\xfd\x99")
            self.assertEqual(packet[48:56], lab.address_bytes(f"{NET}::")[:8])

    def test_off(self):
        with self.started(environment={"DEMI_NET_AUTOCONF": "off"}) as (_, frames):
            frames.send(advertisement(f"{NET}::"))
            self.assertTrue(lab.echo_works(6))
            frames.settimeout(0.2)
            with self.assertRaises(socket.timeout):
                self.tentative(frames)


if __name__ == "__main__":
    if lab.DEVICE == "kernel":
        lab.skip_all("the laboratory gives the kernel's end no address by itself")
    lab.main()
