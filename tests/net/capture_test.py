#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""DEMI_PCAP: Wireshark's programs read the file, and it says why a packet was dropped."""

import os
import tempfile
import unittest

import lab


class Pcap(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "demi.pcapng")

    def record(self):
        """What a server sees of an echo, of one to a port that nobody has, and of a bad sum."""
        with lab.server(4, environment={"DEMI_PCAP": self.path}):
            self.assertTrue(lab.echo_works(4, 333))
            with lab.packet_socket() as frames:
                datagram = bytearray(lab.udp(b"wrong checksum", 4))
                datagram[6] ^= 1
                frames.send(lab.ethernet(0x0800, lab.ipv4(17, bytes(datagram))))
            with lab.udp_socket(4, (lab.DEMI_IP[4], lab.PORT + 1)) as sock:
                sock.send(b"nobody")
                with self.assertRaises(ConnectionRefusedError):
                    sock.recv(10)
            self.assertTrue(lab.echo_works(4, 4444))

    @lab.needs("tshark")
    def test_packets_and_their_fate(self):
        self.record()
        rows = lab.tshark(self.path, "udp || icmp", "ip.src", "udp.length", "udp.dstport",
                          "icmp.type", "frame.comment")
        self.assertIn([lab.LINUX_IP[4], "341", str(lab.PORT), "", ""], rows)
        echoed = [row for row in rows if row[0] == lab.DEMI_IP[4] and row[1] == "341"]
        self.assertEqual(len(echoed), 1)
        dropped = [row for row in rows if row[4]]
        self.assertEqual(len(dropped), 2, rows)
        self.assertRegex(dropped[0][4], "checksum")
        self.assertRegex(dropped[1][4], "no such port")
        refused = [row for row in rows if row[0].startswith(lab.DEMI_IP[4]) and "3" in row[3]]
        self.assertEqual(len(refused), 1)
        # What was received and sent otherwise is right; the whole datagrams are in it.
        self.assertEqual(len(lab.bad_checksums(self.path)), 1)
        lengths = [row[0] for row in lab.tshark(self.path, "udp.length == 4452", "udp.length")]
        self.assertEqual(len(lengths), 2)

    @lab.needs("tshark")
    def test_directions_and_times(self):
        self.record()
        rows = lab.tshark(self.path, "udp.length == 341", "ip.src", "frame.time_epoch",
                          "frame.interface_name", "frame.packet_flags_direction")
        self.assertEqual([row[0] for row in rows], [lab.LINUX_IP[4], lab.DEMI_IP[4]])
        self.assertLess(abs(float(rows[0][1]) - os.stat(self.path).st_mtime), 60)
        self.assertLessEqual(float(rows[0][1]), float(rows[1][1]))
        self.assertIn(lab.device_environment()["DEMI_NET_DEV"].partition(":")[0], rows[0][2])
        self.assertEqual([int(row[3], 0) for row in rows], [1, 2])

    def test_file_that_cannot_be_made(self):
        environment = lab.device_environment() | {"DEMI_PCAP": "/no/such/folder/x.pcapng"}
        completed = lab.run(*lab.demi_command(lab.DEMI_ECHO, "server", "--proto", "udp", "--addr",
                                              f"{lab.DEMI_IP[4]}:7"), check=False, env=environment)
        self.assertEqual(completed.returncode, 1)
        self.assertIn("/no/such/folder/x.pcapng", completed.stdout)
        self.assertIn("No such file or directory", completed.stdout)


if __name__ == "__main__":
    if lab.DEVICE == "kernel":
        lab.skip_all("is about Demi's own stack")
    lab.main()
