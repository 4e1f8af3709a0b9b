#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Multicast: joining is told by IGMP and MLD, what is sent to the group is received."""

import socket
import struct
import unittest

import lab

GROUP = {4: "239.1.2.3", 6: "ff15::77:1"}
GROUP_MAC = {4: "01:00:5e:01:02:03", 6: "33:33:00:77:00:01"}


class Group(unittest.TestCase):
    version = 4

    def setUp(self):
        if not lab.PROBE:
            self.skipTest("net-probe was not built")

    def member(self):
        return lab.Program(lab.demi_command(lab.PROBE, "group", GROUP[self.version], str(lab.PORT)),
                           lab.device_environment(), ready="ready\n")

    def sender(self):
        sock = lab.udp_socket(self.version)
        index = socket.if_nametoindex(lab.interface())
        if self.version == 4:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                            struct.pack("!4s4si", bytes(4), bytes(4), index)[:8]
                            + struct.pack("@i", index))
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        return sock

    def test_receive(self):
        with self.member() as member, self.sender() as sock:
            for size in (1, 100, 1400, 5000):
                sock.sendto(lab.pattern(size), (GROUP[self.version], lab.PORT))
                self.assertEqual(member.line(), f"received {size} bytes\n")
                answer, peer = sock.recvfrom(70000)
                self.assertEqual(answer, lab.pattern(size))
                self.assertEqual(peer[:2], (lab.DEMI_IP[self.version], lab.PORT))

    def test_other_groups_are_not_received(self):
        other = {4: "239.2.2.3", 6: "ff15::77:2"}[self.version]
        # This one has the Ethernet address of the group that was joined.
        alias = {4: "224.129.2.3", 6: "ff18::77:1"}[self.version]
        with self.member() as member, self.sender() as sock:
            for group in (other, alias, GROUP[self.version]):
                sock.sendto(group.encode(), (group, lab.PORT))
            self.assertEqual(member.line(), f"received {len(GROUP[self.version])} bytes\n")

    @lab.needs("tcpdump", "tshark")
    def test_reports(self):
        with lab.Capture() as capture:
            with self.member() as member:
                pass
            self.assertIn("left\n", member.out)
        if self.version == 4:
            # RFC 3376, 4.2: a version 3 report, to 224.0.0.22; 4 is TO_EX: join; 3 TO_IN: leave.
            reports = capture.packets(
                f"igmp.type == 0x22 && igmp.maddr == {GROUP[4]} && ip.src == {lab.DEMI_IP[4]}",
                "igmp.record_type", "ip.dst", "ip.ttl", "ip.opt.ra")
            joined, left = "4", "3"
            destination, ttl = "224.0.0.22", "1"
        else:
            # RFC 3810, 5.2: to ff02::16, from a link-local address, with a router alert.
            reports = capture.packets(
                f"icmpv6.type == 143 && icmpv6.mldr.mar.multicast_address == {GROUP[6]}",
                "icmpv6.mldr.mar.record_type", "ipv6.dst", "ipv6.hlim", "ipv6.opt.router_alert")
            joined, left = "4", "3"
            destination, ttl = "ff02::16", "1"
        self.assertGreaterEqual(len(reports), 2, reports)
        kinds = [set(report[0].split(",")) for report in reports]
        self.assertIn(joined, kinds[0])
        self.assertIn(left, kinds[-1])
        for report in reports:
            self.assertEqual(report[1:3], [destination, ttl])
            self.assertIn(report[3], ("0", "True", "0x0000"))
        self.assertEqual(capture.bad_checksums(), [])

    @lab.needs("tcpdump", "tshark")
    def test_query_is_answered(self):
        with self.member(), lab.Capture() as capture, lab.packet_socket() as frames:
            if self.version == 4:
                # RFC 3376, 4.1: a general query, to be answered within 0.1 s.
                query = struct.pack("!BBH4sBBH", 0x11, 1, 0, bytes(4), 2, 10, 0)
                query = query[:2] + struct.pack("!H", lab.checksum(query)) + query[4:]
                packet = lab.ipv4(2, query, destination="224.0.0.1", ttl=1,
                                  options=b"\x94\x04\0\0")
                frames.send(lab.ethernet(0x0800, packet, "01:00:5e:00:00:01"))
                wanted = lab.address_bytes(GROUP[4])
            else:
                own = next(line.split()[1].partition("/")[0] for line in lab.run(
                    "ip", "-6", "-o", "address", "show", "dev", lab.interface(), "scope",
                    "link").stdout.replace("inet6", "\ninet6").splitlines() if "inet6" in line)
                body = struct.pack("!HH16sBBH", 100, 0, bytes(16), 2, 10, 0)
                message = lab.icmpv6(130, 0, body, own, "ff02::1")
                packet = lab.ipv6(0, struct.pack("!BB", 58, 0) + b"\5\2\0\0\1\0" + message,
                                  source=own, destination="ff02::1", hop_limit=1)
                frames.send(lab.ethernet(0x86DD, packet, "33:33:00:00:00:01"))
                wanted = lab.address_bytes(GROUP[6])
            frames.settimeout(lab.ANSWER_S)
            while True:
                frame = frames.recv(2000)
                if frame[6:12] == lab.mac_bytes(lab.DEMI_MAC) and wanted in frame[14 + 20:]:
                    break
        self.assertEqual(capture.bad_checksums(), [])

    def test_broken_queries(self):
        with self.member() as member, lab.packet_socket() as frames, self.sender() as sock:
            for length in range(0, 40):
                body = (b"\x11\x01\0\0" if self.version == 4 else b"\x82\0\0\0") + bytes(60)
                body = body[:length]
                if length >= 4 and self.version == 4:
                    body = body[:2] + struct.pack("!H", lab.checksum(body)) + body[4:]
                packet = (lab.ipv4(2, body, destination="224.0.0.1", ttl=1) if self.version == 4
                          else lab.ipv6(58, body, destination="ff02::1", hop_limit=1))
                frames.send(lab.ethernet(0x0800 if self.version == 4 else 0x86DD, packet,
                                         GROUP_MAC[self.version]))
            sock.sendto(b"still there", (GROUP[self.version], lab.PORT))
            self.assertEqual(member.line(), "received 11 bytes\n")


class Group6(Group):
    version = 6


if __name__ == "__main__":
    if lab.DEVICE == "kernel":
        lab.skip_all("Catnap has no groups")
    lab.main()
