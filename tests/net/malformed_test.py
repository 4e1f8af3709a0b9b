#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Packets that no honest sender makes. None is answered as if it were good, none stops Demi.

What a packet would be echoed to is a socket of ours. Demi handles frames in order, so that when a
good datagram that was sent last is the first that comes back, no bad one was taken.
"""

import contextlib
import random
import socket
import struct
import unittest

import lab


class Malformed(lab.FramesTest):
    serial = 0

    def setUp(self):
        self.settle()

    def tearDown(self):
        if not self.server.alive():
            self.fail(self.server.errors())

    def good_datagram_comes_back(self, *before):
        """The answers on our socket are @before, in this order, and then that to this one."""
        type(self).serial += 1
        message = b"good datagram %d" % self.serial
        self.send_in_spite_of_errors(message)
        for expected in (*before, message):
            self.assertEqual(self.receive(), expected)

    def receive(self):
        """The next datagram on our socket, which may be told of errors in between."""
        while True:
            try:
                return self.sock.recv(70000)
            except socket.timeout:
                self.fail("the server answers no more")
            except OSError:
                pass  # an ICMP message about what was bad

    def send(self, frames):
        """In bursts that fit in the device, each followed by a good datagram."""
        frames = [frame for frame in frames if len(frame) >= 14]
        for start in range(0, len(frames), 64):
            for frame in frames[start:start + 64]:
                self.frames.send(frame)
            self.good_datagram_comes_back()
        return len(frames)

    # What is sent: whole frames, and their parts.

    def ip(self, protocol, payload, **changes):
        return (lab.ipv4 if self.version == 4 else lab.ipv6)(protocol, payload, **changes)

    def frame(self, packet):
        return lab.ethernet(0x0800 if self.version == 4 else 0x86DD, packet)

    def datagram(self, payload=b"must not come back"):
        return lab.udp(payload, self.version, self.port)

    def examples(self):
        """A good frame of each kind, and where what its checksums cover ends (padding is free)."""
        yield self.frame(self.ip(17, self.datagram()))
        if self.version == 4:
            echo = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + b"ping"
            echo = echo[:2] + struct.pack("!H", lab.checksum(echo)) + echo[4:]
            yield self.frame(self.ip(1, echo))
            arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + lab.mac_bytes(lab.LINUX_MAC)
            arp += lab.address_bytes(lab.LINUX_IP[4]) + bytes(6) + lab.address_bytes(lab.DEMI_IP[4])
            yield lab.ethernet(0x0806, arp, destination="ff:ff:ff:ff:ff:ff")
            yield self.frame(self.ip(2, bytes.fromhex("1100eeff00000000")))
            quoted = lab.ipv4(17, lab.udp(b"q", 4, lab.PORT, 9, lab.DEMI_IP[4], lab.LINUX_IP[4]),
                              lab.DEMI_IP[4], lab.LINUX_IP[4])
            error = struct.pack("!BBHI", 3, 4, 0, 576) + quoted
            error = error[:2] + struct.pack("!H", lab.checksum(error)) + error[4:]
            yield self.frame(self.ip(1, error))
        else:
            pair = (lab.LINUX_IP[6], lab.DEMI_IP[6])
            yield self.frame(self.ip(58, lab.icmpv6(128, 0, struct.pack("!HH", 1, 1), *pair)))
            solicitation = bytes(4) + lab.address_bytes(lab.DEMI_IP[6]) + b"\1\1" + \
                lab.mac_bytes(lab.LINUX_MAC)
            yield self.frame(self.ip(58, lab.icmpv6(135, 0, solicitation, *pair), hop_limit=255))
            quoted = lab.ipv6(17, lab.udp(b"q", 6, lab.PORT, 9, lab.DEMI_IP[6], lab.LINUX_IP[6]),
                              lab.DEMI_IP[6], lab.LINUX_IP[6])
            yield self.frame(self.ip(58, lab.icmpv6(2, 0, struct.pack("!I", 1280) + quoted, *pair)))
            destination_options = struct.pack("!BB", 17, 0) + b"\1\4\0\0\0\0"
            yield self.frame(self.ip(60, destination_options + self.datagram()))

    # The tests.

    def test_the_examples_are_good(self):
        # Else the others would show nothing: the echo of the first one does come back.
        self.frames.send(next(self.examples()))
        self.good_datagram_comes_back(b"must not come back")

    def test_cut_off_at_each_byte(self):
        count = 0
        for example in self.examples():
            count += self.send(example[:length] for length in range(14, len(example)))
        self.assertGreater(count, 150)

    def test_wrong_checksums(self):
        good = self.frame(self.ip(17, self.datagram()))
        header = 14 + (20 if self.version == 4 else 40)
        bad = []
        for at in [header + 6, header + 7] + ([24, 25] if self.version == 4 else []):
            for bit in range(8):
                frame = bytearray(good)
                frame[at] ^= 1 << bit
                # No checksum at all is good over IPv4, and a negative zero is a zero.
                if frame[header + 6:header + 8] != b"\0\0":
                    bad.append(bytes(frame))
        self.send(bad)

    def test_one_changed_bit_of_the_payload(self):
        good = self.frame(self.ip(17, self.datagram()))
        self.send(good[:-9] + bytes([good[-9] ^ 1 << bit]) + good[-8:] for bit in range(8))

    def test_lengths_that_lie(self):
        frames = []
        datagram = self.datagram()
        for length in [*range(0, 8), *range(len(datagram) + 1, len(datagram) + 40), 0x7FFF, 0x8000,
                       0xFFFE, 0xFFFF]:
            lying = datagram[:4] + struct.pack("!HH", length, 0) + datagram[8:]
            value = lab.checksum(lying, lab.pseudo_sum(lab.LINUX_IP[self.version],
                                                       lab.DEMI_IP[self.version], 17, length))
            lying = lying[:6] + struct.pack("!H", value or 0xFFFF) + lying[8:]
            frames.append(self.frame(self.ip(17, lying)))
        packet = self.ip(17, datagram)
        at = 2 if self.version == 4 else 4
        for length in [*range(0, 28), *range(len(packet) - at + 1, len(packet) + 30), 0xFFFF]:
            lying = bytearray(packet)
            lying[at:at + 2] = struct.pack("!H", length)
            if self.version == 4:
                lying[10:12] = b"\0\0"
                lying[10:12] = struct.pack("!H", lab.checksum(bytes(lying[:20])))
            if length not in (len(packet) - 40 if self.version == 6 else len(packet),):
                frames.append(self.frame(bytes(lying)))
        self.send(frames)

    def test_each_byte_of_the_headers(self):
        # 0, all ones, and one bit off: whatever they do to us, the next datagram is answered.
        for example in self.examples():
            end = min(len(example), 14 + 40 + 8 + 24)
            for start in range(12, end):
                for value in (0, 0xFF, example[start] ^ 1, example[start] ^ 0x80):
                    if value == example[start]:
                        continue
                    self.frames.send(example[:start] + bytes([value]) + example[start + 1:])
            self.settle()

    def settle(self):
        """A good datagram is answered, whatever else is."""
        type(self).serial += 1
        message = b"settle %d" % self.serial
        self.send_in_spite_of_errors(message)
        while self.receive() != message:
            pass

    def send_in_spite_of_errors(self, message):
        """A socket tells of an ICMP message about what was sent before, and then sends nothing."""
        for _ in range(100):
            with contextlib.suppress(OSError):
                self.sock.send(message)
                return
        self.fail("the socket cannot send any more")

    def test_random_damage(self):
        generator = random.Random(77)
        examples = list(self.examples())
        for turn in range(3000):
            frame = bytearray(generator.choice(examples))
            for _ in range(generator.randint(1, 6)):
                frame[generator.randrange(12, len(frame))] = generator.randrange(256)
            if generator.random() < 0.3:
                frame = frame[:generator.randint(14, len(frame))]
            elif generator.random() < 0.1:
                frame += generator.randbytes(generator.randint(1, 1000))
            self.frames.send(frame[:1514])
            if turn % 64 == 63:
                self.settle()
        self.settle()

    # Fragments.

    def fragment(self, offset, more, data, identification):
        """@data: what stands at @offset, in units of 8 bytes, of a datagram."""
        if self.version == 4:
            return lab.ethernet(0x0800, lab.ipv4(17, data, identification=identification,
                                                 fragment=offset | more << 13))
        header = struct.pack("!BBHI", 17, 0, offset << 3 | more, identification)
        return lab.ethernet(0x86DD, lab.ipv6(44, header + data))

    def whole(self, serial, size=992):
        """A datagram whose header is 8 of the bytes, so that fragments are cut as one likes."""
        payload = lab.pattern(size, serial)
        return payload, lab.udp(payload, self.version, self.port)

    def test_fragments_in_all_orders(self):
        for serial, order in enumerate(((0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 0, 4, 1, 3),
                                        (1, 4, 0, 3, 2))):
            payload, data = self.whole(serial)
            for part in order:
                self.frames.send(self.fragment(part * 25, part < 4,
                                               data[part * 200:part * 200 + 200], 1000 + serial))
            self.good_datagram_comes_back(payload)

    def test_fragments_that_overlap(self):
        # RFC 5722 and RFC 8200, 4.5: the whole datagram is thrown away, so that it does not
        # matter whose bytes would win.
        for serial, (start, length) in enumerate(((24, 200), (10, 16), (20, 600), (1, 8))):
            _, data = self.whole(serial + 10)
            other = bytes(byte ^ 0xFF for byte in data)
            identification = 2000 + serial
            self.frames.send(self.fragment(0, 1, data[:400], identification))
            self.frames.send(self.fragment(start, 1, other[start * 8:start * 8 + length],
                                           identification))
            self.frames.send(self.fragment(50, 0, data[400:], identification))
            # Linux takes one that lies within another for a duplicate, whatever is in it.
            if lab.DEVICE == "kernel" and start + length // 8 <= 50:
                self.settle()
                continue
            with self.subTest(start=start):
                self.good_datagram_comes_back()

    def test_fragments_beyond_65535_bytes(self):
        # The ping of death.
        for serial, offset in enumerate((8191, 8190, 8180)):
            self.frames.send(self.fragment(0, 1, bytes(800), 3000 + serial))
            self.frames.send(self.fragment(offset, 0, bytes(1400), 3000 + serial))
        self.good_datagram_comes_back()

    def test_fragments_with_odd_lengths(self):
        # Only the last one may have a length that is no multiple of 8.
        payload, data = self.whole(20)
        self.frames.send(self.fragment(0, 1, data[:403], 4000))
        self.frames.send(self.fragment(50, 0, data[400:], 4000))
        if self.version == 6:
            self.good_datagram_comes_back()  # RFC 8200, 4.5
            return
        # Over IPv4 one may leave out the bytes too many, or the whole.
        self.send_in_spite_of_errors(b"after")
        answers = [self.receive()]
        if answers[0] != b"after":
            answers.append(self.receive())
        self.assertIn(answers, ([b"after"], [payload, b"after"]))

    def test_empty_fragments(self):
        for more in (0, 1):
            for offset in (0, 1, 8191):
                self.frames.send(self.fragment(offset, more, b"", 5000 + offset))
        self.good_datagram_comes_back()

    def test_two_ends(self):
        _, data = self.whole(21)
        self.frames.send(self.fragment(100, 0, data[800:1000], 5500))
        self.frames.send(self.fragment(50, 0, data[400:800], 5500))
        self.frames.send(self.fragment(0, 1, data[:400], 5500))
        self.good_datagram_comes_back()

    def test_many_datagrams_that_never_become_whole(self):
        for serial in range(4000):
            self.frames.send(self.fragment(serial % 100, 1, bytes(1200), 10000 + serial))
            if serial % 64 == 63:
                self.good_datagram_comes_back()
        if lab.DEVICE == "kernel":
            return  # Linux takes new ones again only after its timeout
        # There is room again for one that does: an old one had to go.
        payload, data = self.whole(22)
        self.frames.send(self.fragment(0, 1, data[:496], 60000))
        self.frames.send(self.fragment(62, 0, data[496:], 60000))
        self.good_datagram_comes_back(payload)


class Malformed4(Malformed):
    def test_header_lengths(self):
        frames = []
        for words in (0, 1, 4, 6, 15):
            packet = bytearray(self.ip(17, self.datagram()))
            packet[0] = 0x40 | words
            packet[10:12] = b"\0\0"
            packet[10:12] = struct.pack("!H", lab.checksum(bytes(packet[:max(words, 5) * 4])))
            frames.append(self.frame(bytes(packet)))
        self.send(frames)

    def test_options(self):
        # Ones we do not know are skipped, source routes are not followed (RFC 7126).
        self.frames.send(self.frame(self.ip(17, self.datagram(b"with options"),
                                            options=b"\x01\x01\x88\x04\0\0\0\0")))
        self.good_datagram_comes_back(b"with options")
        broken = [b"\x88\0\0\0", b"\x88\xff\0\0", b"\x07\x03\0\0", b"\x83\xff\4\0", b"\x83\1\0\0",
                  b"\x44\xff\0\0"]
        for options in broken:
            self.frames.send(self.frame(self.ip(17, self.datagram(b"odd options"),
                                                options=options)))
        self.settle()

    def test_sources_that_nobody_has(self):
        frames = []
        for source in ("0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", lab.DEMI_IP[4]):
            frames.append(self.frame(lab.ipv4(17, lab.udp(b"x", 4, self.port, source=source),
                                              source=source)))
        self.send(frames)

    def test_arp_that_lies(self):
        arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + lab.mac_bytes("02:00:00:00:66:66")
        arp += lab.address_bytes(lab.LINUX_IP[4]) + lab.mac_bytes(lab.DEMI_MAC)
        arp += lab.address_bytes(lab.DEMI_IP[4])
        # The frame comes from another station than the sender in it.
        self.send([lab.ethernet(0x0806, arp)])


class Malformed6(Malformed):
    version = 6

    def test_no_checksum(self):
        # RFC 8200, 8.1
        datagram = self.datagram()
        self.send([self.frame(self.ip(17, datagram[:6] + b"\0\0" + datagram[8:]))])

    def test_long_chains_of_headers(self):
        chain = b"".join(struct.pack("!BB", 60, 0) + b"\1\4\0\0\0\0" for _ in range(150))
        last = struct.pack("!BB", 17, 0) + b"\1\4\0\0\0\0"
        self.frames.send(self.frame(self.ip(60, chain + last + self.datagram())))
        self.settle()

    def test_extension_headers_that_lie(self):
        frames = []
        for kind in (0, 43, 44, 60, 51, 135):
            for length in (0, 1, 2, 31, 255):
                header = struct.pack("!BB", 17, length) + b"\1\4\0\0\0\0"
                frames.append(self.frame(self.ip(kind, header)))
            frames.append(self.frame(self.ip(kind, b"")))
            frames.append(self.frame(self.ip(kind, b"\x11")))
        for option in (b"\x05", b"\xc2\xff\0\0", b"\xc2\x04\0\0\0\0", b"\x80\0", b"\x01\xff"):
            header = struct.pack("!BB", 17, 1) + option.ljust(14, b"\0")
            for kind in (0, 60):
                self.frames.send(self.frame(self.ip(kind, header + self.datagram())))
        self.settle()
        self.send(frames)

    def test_neighbour_discovery_from_afar(self):
        # RFC 4861, 7.1: a hop limit below 255 was forwarded by somebody.
        body = bytes.fromhex("60000000") + lab.address_bytes(lab.LINUX_IP[6]) + b"\2\1" + \
            lab.mac_bytes("02:00:00:00:66:66")
        message = lab.icmpv6(136, 0, body, lab.LINUX_IP[6], lab.DEMI_IP[6])
        self.send([self.frame(self.ip(58, message, hop_limit=254))])
        message = lab.icmpv6(136, 0, body[:-8] + b"\2\0" + body[-6:], lab.LINUX_IP[6],
                             lab.DEMI_IP[6])  # an option of length 0
        self.send([self.frame(self.ip(58, message, hop_limit=255))])

    def test_sources_that_nobody_has(self):
        frames = []
        for source in ("::", "::1", "ff02::1", lab.DEMI_IP[6]):
            frames.append(self.frame(lab.ipv6(17, lab.udp(b"x", 6, self.port, source=source),
                                              source=source)))
        self.send(frames)

    def test_atomic_fragment(self):
        # RFC 6946: one that is the whole packet is that packet.
        payload, data = self.whole(23, 100)
        self.frames.send(self.fragment(0, 0, data, 7000))
        self.good_datagram_comes_back(payload)


del Malformed

if __name__ == "__main__":
    lab.main()
