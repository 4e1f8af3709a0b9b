#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is counted, read through the public API (demi_stats, as demi-echo prints it): good and
malformed traffic, each drop once and by its reason, and nothing lost between two layers."""

import random
import struct
import unittest

import lab

LAYERS = ("eth", "ipv4", "ipv6", "icmp", "icmp6", "udp", "tcp")


class Count(lab.FramesTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # From here on each knows where the other is.
        lab.know_demi()
        assert lab.echo_works(cls.version)

    @classmethod
    def tearDownClass(cls):
        lab.know_demi(False)
        super().tearDownClass()

    # The names of this version.

    @property
    def ip_layer(self):
        return f"ipv{self.version}"

    @property
    def icmp_layer(self):
        return "icmp" if self.version == 4 else "icmp6"

    def settle(self):
        """A good datagram comes back: what was sent before has been looked at."""
        self.sock.send(b"good")
        self.assertEqual(self.sock.recv(100), b"good")

    def growth(self, *frames):
        """By what the figures of the layers grow on account of these frames."""
        before = lab.figures(self.server)
        for frame in frames:
            self.frames.send(frame)
        self.settle()
        after = lab.figures(self.server)
        return {name: value - before.get(name, 0) for name, value in after.items()
                if name.split(".")[0] in LAYERS and value != before.get(name, 0)}

    def dropped(self, *frames):
        return {name: value for name, value in self.growth(*frames).items() if ".drops." in name}

    def ip(self, protocol, payload, **changes):
        return (lab.ipv4 if self.version == 4 else lab.ipv6)(protocol, payload, **changes)

    def frame(self, packet):
        return lab.ethernet(0x0800 if self.version == 4 else 0x86DD, packet)

    def datagram(self, payload=b"to be dropped", **changes):
        return lab.udp(payload, self.version, self.port, **changes)

    def growth_alone(self):
        """As growth, while the link is quiet: questions of neighbours and reports come when they come."""
        for _ in range(10):
            growth = self.growth()
            others = {name.split(".")[0] for name in growth} - {"eth", self.ip_layer, "udp"}
            if not others and all(
                    growth[f"{self.ip_layer}.{way}_packets"] == growth[f"udp.{way}_packets"]
                    for way in ("rx", "tx")):
                break
        return growth

    def test_good_datagrams(self):
        growth = self.growth_alone()
        ip_bytes = 20 if self.version == 4 else 40
        self.assertEqual(growth.pop("udp.rx_packets"), 1)
        self.assertEqual(growth.pop("udp.tx_packets"), 1)
        self.assertEqual(growth.pop("udp.rx_bytes"), 8 + len("good"))
        self.assertEqual(growth.pop("udp.tx_bytes"), 8 + len("good"))
        self.assertEqual(growth.pop(f"{self.ip_layer}.rx_packets"), 1)
        self.assertEqual(growth.pop(f"{self.ip_layer}.tx_packets"), 1)
        self.assertEqual(growth.pop(f"{self.ip_layer}.rx_bytes"), ip_bytes + 8 + len("good"))
        self.assertEqual(growth.pop(f"{self.ip_layer}.tx_bytes"), ip_bytes + 8 + len("good"))
        self.assertEqual([name for name in growth if not name.startswith("eth.")], [])

    def test_echo_requests(self):
        before = lab.figures(self.server)
        lab.ping(lab.DEMI_IP[self.version], 3)
        after = lab.figures(self.server)
        for direction in ("rx", "tx"):
            name = f"{self.icmp_layer}.{direction}_packets"
            self.assertGreaterEqual(after[name] - before.get(name, 0), 3)

    def test_wrong_checksum_of_udp(self):
        datagram = self.datagram()
        bad = datagram[:-1] + bytes([datagram[-1] ^ 1])
        self.assertEqual(self.dropped(*[self.frame(self.ip(17, bad))] * 3),
                         {"udp.drops.bad_checksum": 3})

    def test_datagram_that_says_it_is_longer(self):
        datagram = self.datagram()
        bad = datagram[:4] + struct.pack("!H", len(datagram) + 100) + datagram[6:]
        self.assertEqual(self.dropped(self.frame(self.ip(17, bad))), {"udp.drops.truncated": 1})

    def test_closed_port(self):
        self.assertEqual(self.dropped(self.frame(self.ip(17, self.datagram(port=9)))),
                         {"udp.drops.no_port": 1})

    def test_unknown_protocol(self):
        self.assertEqual(self.dropped(self.frame(self.ip(253, b"an experiment"))),
                         {f"{self.ip_layer}.drops.unknown_protocol": 1})

    def test_packet_that_says_it_is_longer(self):
        packet = bytearray(self.ip(17, self.datagram()))
        at = 2 if self.version == 4 else 4
        packet[at:at + 2] = struct.pack("!H", 1400)
        if self.version == 4:
            packet[10:12] = b"\0\0"
            packet[10:12] = struct.pack("!H", lab.checksum(bytes(packet[:20])))
        self.assertEqual(self.dropped(self.frame(bytes(packet))),
                         {f"{self.ip_layer}.drops.truncated": 1})

    def test_wrong_version(self):
        packet = bytearray(self.ip(17, self.datagram()))
        packet[0] ^= 0x90
        self.assertEqual(self.dropped(self.frame(bytes(packet))),
                         {f"{self.ip_layer}.drops.bad_version": 1})

    def test_source_that_nobody_has(self):
        source = {4: "224.0.0.5", 6: "ff02::5"}[self.version]
        packet = self.ip(17, self.datagram(source=source), source=source)
        self.assertEqual(self.dropped(self.frame(packet)),
                         {f"{self.ip_layer}.drops.bad_source": 1})

    def test_wrong_checksum_of_icmp(self):
        if self.version == 4:
            message, protocol = struct.pack("!BBHHH", 8, 0, 1, 1, 1) + b"ping", 1
        else:
            message = bytearray(lab.icmpv6(128, 0, struct.pack("!HH", 1, 1), lab.LINUX_IP[6],
                                           lab.DEMI_IP[6]))
            message[2] ^= 1
            message, protocol = bytes(message), 58
        self.assertEqual(self.dropped(self.frame(self.ip(protocol, message))),
                         {f"{self.icmp_layer}.drops.bad_checksum": 1})

    def test_fragments_that_overlap(self):
        data = self.datagram(bytes(1200))

        def fragment(offset, more, part):
            if self.version == 4:
                return self.frame(lab.ipv4(17, part, identification=77,
                                           fragment=offset >> 3 | more << 13))
            return self.frame(lab.ipv6(44, struct.pack("!BBHI", 17, 0, offset | more, 77) + part))

        lab.needs_fragments(self.version)
        growth = self.growth(fragment(0, 1, data[:800]), fragment(400, 0, data[400:]))
        # Each packet that came is counted where it was received, and of the two one was dropped,
        # which took the other with it.
        self.assertEqual(growth[f"{self.ip_layer}.rx_packets"], 3)
        self.assertGreaterEqual(growth[f"{self.ip_layer}.drops.overlap"], 1)
        self.assertEqual(growth["udp.rx_packets"], 1)

    def test_segment_to_a_closed_port(self):
        header = struct.pack("!HHIIBBHHH", 5000, 9, 1, 0, 5 << 4, 2, 1000, 0, 0)
        pair = lab.LINUX_IP[self.version], lab.DEMI_IP[self.version]
        value = lab.checksum(header, lab.pseudo_sum(*pair, 6, len(header)))
        header = header[:16] + struct.pack("!H", value) + header[18:]
        self.assertEqual(self.dropped(self.frame(self.ip(6, header))), {"tcp.drops.no_port": 1})

    def test_nothing_is_lost_between_layers(self):
        # All kinds of damage, but no fragments: each packet that a layer got it has dropped, or
        # given to the one above, where it is counted again.
        generator = random.Random(7)
        good = [self.frame(self.ip(17, self.datagram())), self.frame(self.ip(17, self.datagram(port=9)))]
        before = lab.figures(self.server)
        for turn in range(2000):
            frame = bytearray(generator.choice(good))
            for _ in range(generator.randint(0, 3)):
                # Ethernet's type and addresses stay; so do the bits that make a fragment.
                at = generator.choice([i for i in range(14, len(frame)) if i not in (20, 21)])
                frame[at] = generator.randrange(256)
            if generator.random() < 0.3:
                frame = frame[:generator.randint(14, len(frame))]
            # Next header 44 is a fragment.
            if self.version == 6 and len(frame) > 20 and frame[20] == 44:
                continue
            self.frames.send(frame)
            if turn % 64 == 63:
                self.drain()
        self.drain()
        after = lab.figures(self.server)
        self.check_balance({name: value - before.get(name, 0) for name, value in after.items()})

    def drain(self):
        """Until the answer to this very datagram: some of the damaged ones are good all the same."""
        type(self).serial = getattr(self, "serial", 0) + 1
        message = b"drain %d" % self.serial
        for _ in range(10):
            try:
                self.sock.send(message)
                break
            except OSError:
                pass  # told of an ICMP message about one before
        while True:
            try:
                if self.sock.recv(70000) == message:
                    return
            except ConnectionRefusedError:
                pass

    def check_balance(self, growth):
        def packets(layer):
            return growth.get(f"{layer}.rx_packets", 0)

        def drops(layer):
            return sum(value for name, value in growth.items() if name.startswith(f"{layer}.drops."))

        ip = self.ip_layer
        self.assertGreater(drops(ip), 100)
        self.assertEqual(growth["device.rx_frames"], packets("eth"))
        self.assertEqual(packets("eth") - drops("eth"),
                         packets("ipv4") + packets("ipv6") + packets("arp"))
        # The kernel's own packets of the other version come with it.
        above = sum(packets(layer) for layer in ("udp", "tcp", "icmp", "icmp6"))
        if self.version == 4:
            above += packets("group")
        self.assertEqual(packets("ipv4") + packets("ipv6") - drops("ipv4") - drops("ipv6"), above)
        # One whose damaged source nobody has is not answered, once it is known that nobody has it.
        self.assertIn(packets("udp") - drops("udp") - growth["udp.tx_packets"], range(3))
        self.assertEqual(growth.get("device.rx_no_frame", 0), 0)


class Count4(Count):
    def test_wrong_checksum_of_the_header(self):
        packet = bytearray(self.ip(17, self.datagram()))
        packet[10] ^= 1
        self.assertEqual(self.dropped(self.frame(bytes(packet))), {"ipv4.drops.bad_checksum": 1})


class Count6(Count):
    version = 6

    def test_no_checksum(self):
        datagram = self.datagram()
        self.assertEqual(
            self.dropped(self.frame(self.ip(17, datagram[:6] + b"\0\0" + datagram[8:]))),
            {"udp.drops.no_checksum": 1})


class AtTheEnd(unittest.TestCase):
    def test_log_at_level_info(self):
        with lab.server(environment={"DEMI_LOG_LEVEL": "info"}) as server:
            self.assertTrue(lab.echo_works(4))
            with lab.udp_socket(4, (lab.DEMI_IP[4], lab.PORT + 1)) as sock:
                sock.send(b"nobody is there")
                with self.assertRaises(ConnectionRefusedError):
                    sock.recv(10)
        self.assertRegex(server.errors_text, r"info: udp: 2 packets \(\d+ bytes\) in, 1 \(108\) out; "
                                             r"dropped: 1 no such port\n")

    def test_option_prints_at_the_end(self):
        with lab.server(extra=["--stats"]) as server:
            self.assertTrue(lab.echo_works(4))
        figures = lab.parse_figures(server.errors_text)
        self.assertEqual((figures["udp.rx_packets"], figures["udp.tx_packets"]), (1, 1))

    def test_nothing_is_printed_unasked(self):
        with lab.server() as server:
            self.assertTrue(lab.echo_works(4))
        self.assertEqual(server.errors_text, "")


del Count

if __name__ == "__main__":
    lab.main()
