#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the first corpora of the targets that are not about one packet alone, and of the newest.

net_corpus.py DIRECTORY: one file for each, in DIRECTORY/net_input and so on. What it makes is
checked in; run it again when a target's form of input changes.
"""

import ipaddress
import pathlib
import struct
import sys

HOST, PEER, ROUTER, OTHER = (bytes([2, 0, 0, 0, 0, n]) for n in (1, 2, 3, 4))
ALL = b"\xff" * 6
MEND, VLAN, AUTOCONF, LATER, FULL, CHECKSUM, SPLIT, QUEUE = (1 << n for n in range(8))
ECHO, WITHOUT_CHAIN, DF = 1, 2, 4
PORT, PEER_PORT = 7, 9


def ip(text):
    return ipaddress.ip_address(text).packed


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def mended(data, at, pseudo=b""):
    value = checksum(pseudo + data)
    return data[:at] + struct.pack("!H", value) + data[at + 2:]


def pseudo(source, destination, protocol, length):
    if len(source) == 4:
        return source + destination + struct.pack("!BBH", 0, protocol, length)
    return source + destination + struct.pack("!IHBB", length, 0, 0, protocol)


def eth(to, source, kind, payload, tag=None):
    middle = struct.pack("!HH", 0x8100, tag) if tag is not None else b""
    return (to + source + middle + struct.pack("!H", kind) + payload).ljust(60, b"\0")


def ipv4(source, destination, protocol, payload, fragment=0, identification=7, ttl=64, options=b""):
    words = 5 + len(options) // 4
    header = struct.pack("!BBHHHBBH", 0x40 | words, 0, words * 4 + len(payload), identification,
                         fragment, ttl, protocol, 0) + ip(source) + ip(destination) + options
    return mended(header, 10) + payload


def ipv6(source, destination, next_header, payload, hops=64):
    return struct.pack("!IHBB", 6 << 28, len(payload), next_header, hops) + \
        ip(source) + ip(destination) + payload


def udp(source, destination, source_port, port, payload):
    length = 8 + len(payload)
    data = struct.pack("!HHHH", source_port, port, length, 0) + payload
    return mended(data, 6, pseudo(ip(source), ip(destination), 17, length))


def tcp(source, destination, flags, payload=b"", options=b"", port=PORT):
    data = struct.pack("!HHIIBBHHH", PEER_PORT, port, 1000, 2000, 5 + len(options) // 4 << 4, flags,
                       1000, 0, 0) + options + payload
    return mended(data, 16, pseudo(ip(source), ip(destination), 6, len(data)))


def segment(flags, payload=b"", options=b""):
    return v4(ipv4("10.0.0.1", "10.0.0.2", 6, tcp("10.0.0.1", "10.0.0.2", flags, payload, options)))


def segment6(flags, payload=b"", options=b""):
    return v6(ipv6("fd00::1", "fd00::2", 6, tcp("fd00::1", "fd00::2", flags, payload, options)))


def icmp6(source, destination, data):
    return mended(data, 2, pseudo(ip(source), ip(destination), 58, len(data)))


def icmp(data):
    return mended(data, 2)


def arp(operation, sender, sender_ip, target, target_ip, to, source=None):
    return eth(to, source or sender, 0x0806, struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) +
               sender + ip(sender_ip) + target + ip(target_ip))


def group_mac(group):
    packed = ip(group)
    if len(packed) == 4:
        return bytes([1, 0, 0x5E, packed[1] & 0x7F]) + packed[2:]
    return b"\x33\x33" + packed[12:]


def v4(packet, to=HOST, tag=None):
    return eth(to, PEER, 0x0800, packet, tag)


def v6(packet, to=HOST):
    return eth(to, PEER, 0x86DD, packet)


def frame(data, ms=0):
    return struct.pack("<HH", len(data), step(ms)) + data


def step(ms):
    shift = 0
    while ms > 0xFFF:
        ms, shift = ms >> 1, shift + 1
    return ms | shift << 12


def action(peer, size, ms=0):
    """From both sockets, @size rounded up to what an action can say."""
    shift = max((size - 1).bit_length() - 8, 0)
    word = 0x8000 | min(shift, 7) << 12 | (size - 1 >> shift) << 4 | peer
    return struct.pack("<HHHH", word, step(ms), word | 8, 0)


def start(choice=MEND, more=ECHO):
    return bytes([choice, more])


def datagram(payload, destination="10.0.0.2", source="10.0.0.1", port=PORT, to=HOST, tag=None):
    return v4(ipv4(source, destination, 17, udp(source, destination, PEER_PORT, port, payload)),
              to, tag)


def datagram6(payload, destination="fd00::2", source="fd00::1", to=HOST):
    return v6(ipv6(source, destination, 17, udp(source, destination, PEER_PORT, PORT, payload)), to)


def fragments(payload, size, v6_too=False):
    whole = udp("fd00::1", "fd00::2", 9, PORT, payload) if v6_too else \
        udp("10.0.0.1", "10.0.0.2", 9, PORT, payload)
    for at in range(0, len(whole), size):
        piece, more = whole[at:at + size], at + size < len(whole)
        if v6_too:
            yield v6(ipv6("fd00::1", "fd00::2", 44,
                          struct.pack("!BBHI", 17, 0, at | more, 1) + piece))
        else:
            yield v4(ipv4("10.0.0.1", "10.0.0.2", 17, piece, at // 8 | more << 13))


ARP_REPLY = arp(2, PEER, "10.0.0.1", HOST, "10.0.0.2", HOST)
ARP_REQUEST = arp(1, PEER, "10.0.0.1", bytes(6), "10.0.0.2", ALL)


def ndp(kind, body, source, destination, to, hops=255):
    message = icmp6(source, destination, bytes([kind, 0, 0, 0]) + body)
    return v6(ipv6(source, destination, 58, message, hops), to)


def advertisement(flags=0x60, target="fd00::1", link=PEER):
    return ndp(136, struct.pack("!I", flags << 24) + ip(target) + b"\2\1" + link,
               target, "fd00::2", HOST)


def solicitation(source="fd00::1", target="fd00::2"):
    group = "ff02::1:ff00:2"
    link = b"" if source == "::" else b"\1\1" + PEER
    return ndp(135, bytes(4) + ip(target) + link, source, group, group_mac(group))


def router(prefix="2001:db8::", lifetime=1800, valid=7200, preferred=3600, mtu=1400):
    body = struct.pack("!BBHII", 64, 0, lifetime, 30000, 1000) + b"\1\1" + ROUTER + \
        struct.pack("!BBBBIII", 3, 4, 64, 0xC0, valid, preferred, 0) + ip(prefix) + \
        struct.pack("!BBHI", 5, 1, 0, mtu)
    return ndp(134, body, "fe80::3", "ff02::1", group_mac("ff02::1"))


def echo4(size, destination="10.0.0.2", kind=8, to=HOST):
    return v4(ipv4("10.0.0.1", destination, 1,
                   icmp(struct.pack("!BBHHH", kind, 0, 0, 1, 1) + bytes(size))), to)


def echo6(size, destination="fd00::2", kind=128, to=HOST):
    return v6(ipv6("fd00::1", destination, 58, icmp6(
        "fd00::1", destination, struct.pack("!BBHHH", kind, 0, 0, 1, 1) + bytes(size))), to)


def unreachable(code, mtu=0, port=PORT):
    quoted = ipv4("10.0.0.2", "10.0.0.1", 17,
                  struct.pack("!HHHH", port, port, 1480, 0) + bytes(24))
    return v4(ipv4("10.0.0.1", "10.0.0.2", 1,
                   icmp(struct.pack("!BBHHH", 3, code, 0, 0, mtu) + quoted)))


def too_big6(mtu):
    quoted = ipv6("fd00::2", "fd00::1", 17, struct.pack("!HHHH", PORT, PORT, 32, 1) + bytes(24))
    return v6(ipv6("fd00::1", "fd00::2", 58, icmp6(
        "fd00::1", "fd00::2", struct.pack("!BBHI", 2, 0, 0, mtu) + quoted)))


def igmp_query(group="0.0.0.0", time=100, version=3):
    data = bytes([0x11, time, 0, 0]) + ip(group) + (bytes([2, 125, 0, 0]) if version == 3 else b"")
    to = group if group != "0.0.0.0" else "224.0.0.1"
    return v4(ipv4("10.0.0.1", to, 2, mended(data, 2), ttl=1, options=b"\x94\4\0\0"), group_mac(to))


def mld_query(group="::", time=1000, version=2):
    body = struct.pack("!HH", time, 0) + ip(group) + (bytes([2, 125, 0, 0]) if version == 2 else b"")
    to = group if group != "::" else "ff02::1"
    message = icmp6("fe80::1", to, bytes([130, 0, 0, 0]) + body)
    return v6(ipv6("fe80::1", to, 0, b"\x3a\0\5\2\0\0\1\0" + message, 1), group_mac(to))


def net_input():
    yield "arp", start() + frame(ARP_REQUEST) + frame(ARP_REPLY, 10) + \
        frame(arp(1, OTHER, "0.0.0.0", bytes(6), "10.0.0.2", ALL), 9000) + \
        frame(arp(1, OTHER, "10.0.0.2", bytes(6), "10.0.0.2", ALL), 500)
    yield "talk", start() + action(0, 100) + frame(ARP_REPLY, 1) + frame(datagram(b"hello"), 5) + \
        frame(datagram(b"x" * 1000), 5) + action(0, 3000, 100) + action(0, 65536)
    yield "talk6", start() + action(1, 100) + frame(advertisement(), 1) + \
        frame(datagram6(b"hello"), 5) + action(1, 3000, 100) + frame(datagram6(b"x" * 1200))
    yield "queued", start(MEND | QUEUE) + frame(ARP_REQUEST) + \
        b"".join(frame(datagram(bytes([n]) * (n * 40))) for n in range(1, 20))
    yield "later", start(MEND | LATER) + action(0, 2000) + frame(ARP_REPLY, 1) + \
        frame(datagram(b"y" * 900)) + action(0, 5000, 10) + action(1, 900)
    yield "full", start(MEND | FULL) + action(0, 2000) + frame(ARP_REPLY, 1) + \
        b"".join(frame(echo4(100)) for _ in range(20)) + action(0, 60000, 50)
    yield "vlan", start(MEND | VLAN) + frame(datagram(b"hello", tag=5)) + \
        frame(datagram(b"hello", tag=6)) + frame(datagram(b"hello"))
    yield "split", start(MEND | SPLIT, ECHO | WITHOUT_CHAIN) + frame(ARP_REQUEST) + \
        frame(datagram(b"z" * 1000)) + action(0, 4000, 3) + frame(ARP_REPLY, 3) + frame(echo6(500))
    yield "offload", start(MEND | CHECKSUM) + action(0, 100) + frame(ARP_REPLY) + \
        action(0, 4000) + frame(datagram(b"hello")) + action(7, 500)
    yield "ping", start() + action(0, 10) + frame(ARP_REPLY) + frame(echo4(56)) + \
        frame(echo4(1472)) + frame(echo4(56, kind=0)) + frame(echo4(56, "10.0.0.255", to=ALL))
    yield "ping6", start() + action(1, 10) + frame(advertisement()) + frame(echo6(56)) + \
        frame(echo6(56, "ff02::1", to=group_mac("ff02::1"))) + frame(echo6(56, kind=129))
    yield "fragments", start() + action(0, 10) + frame(ARP_REPLY) + \
        b"".join(map(frame, fragments(bytes(range(256)) * 16, 1480)))
    yield "fragments6", start() + action(1, 10) + frame(advertisement()) + \
        b"".join(map(frame, reversed(list(fragments(bytes(range(256)) * 16, 1440, True)))))
    yield "incomplete", start() + b"".join(map(frame, list(fragments(bytes(3000), 1480))[:1])) + \
        frame(ARP_REPLY, 40000) + frame(list(fragments(bytes(3000), 1440, True))[0]) + \
        action(2, 17, 70000)
    yield "neighbour", start() + action(1, 10) + frame(advertisement()) + \
        action(1, 10, 60000) + frame(solicitation(), 6000) + \
        frame(advertisement(0x20, link=OTHER), 1000) + action(1, 10) + \
        frame(advertisement(0x60, link=OTHER), 5000)
    yield "duplicate", start(MEND | AUTOCONF) + frame(solicitation("::")) + \
        frame(solicitation("::"), 3000)
    yield "router", start(MEND | AUTOCONF) + frame(router(), 100) + action(6, 100, 2000) + \
        frame(router(lifetime=0, valid=0, preferred=0), 5000) + \
        frame(router("2001:db8:1::", 9000, 100, 50, 1280)) + action(1, 3000, 200000)
    yield "errors", start(MEND, ECHO | DF) + action(0, 1000) + frame(ARP_REPLY) + \
        action(0, 1400) + frame(unreachable(4, 1000)) + frame(unreachable(3, port=PEER_PORT)) + \
        frame(unreachable(4)) + frame(too_big6(1300)) + action(0, 1400) + action(1, 1400)
    yield "groups", start() + frame(igmp_query()) + frame(mld_query(), 2000) + \
        frame(igmp_query("239.1.2.3", 10, 2), 3000) + frame(mld_query("ff02::1234", 500, 1), 100) + \
        frame(datagram(b"all", "239.1.2.3", to=group_mac("239.1.2.3")), 20000) + \
        frame(datagram6(b"all", "ff02::1234", to=group_mac("ff02::1234")))
    yield "refused", start() + action(0, 10) + frame(ARP_REPLY) + \
        frame(datagram(b"?", port=99)) + frame(v4(ipv4("10.0.0.1", "10.0.0.2", 99, b"12345678"))) + \
        frame(v6(ipv6("fd00::1", "fd00::2", 60, b"\x11\0\xc2\4\0\0\0\0" + bytes(8)))) + \
        frame(v6(ipv6("fd00::1", "fd00::2", 99, bytes(8))))
    yield "segments", start() + action(0, 10) + frame(ARP_REPLY) + action(1, 10) + \
        frame(advertisement()) + frame(segment(2, options=b"\2\4\5\xb4")) + \
        frame(segment(16, b"hello")) + frame(segment(4)) + frame(segment(3)) + frame(segment6(2)) + \
        frame(segment6(17, b"hello", b"\1\1\5\x0a" + bytes(8)))
    yield "scan", start() + b"".join(action(2 + n % 2, 17 * n, 100) for n in range(4, 60))


def reassembly():
    def record(packet, offset, length, last=False, flags=0, time=0):
        return bytes([packet | (4 if last else 0) | flags, offset, length, time])

    for packet, name in enumerate(("v4", "v4_again", "v6", "v6_again")):
        yield name, b"".join(record(packet, at, 20, at == 60) for at in (0, 20, 40, 60))
    yield "backwards", b"".join(record(0, at, 20, at == 60) for at in (60, 40, 20, 0))
    yield "far", b"".join(record(1, at, 32 * 5, at == 250, 64) for at in range(0, 255, 5))
    yield "overlap", record(0, 0, 20) + record(0, 10, 20) + record(0, 30, 20, True) + \
        record(0, 0, 20, time=0x80 | 40) + record(0, 20, 20, True)
    yield "duplicate", record(2, 0, 20) + record(2, 0, 20) + record(2, 20, 10, True, 16)
    yield "other", record(3, 0, 20, flags=128) + record(3, 0, 20, flags=8) + record(3, 20, 9, True, 32)
    yield "ends", record(0, 20, 20, True) + record(0, 40, 20) + record(1, 20, 20, True) + \
        record(1, 10, 10, True)
    yield "late", record(0, 0, 20) + record(0, 20, 20, True, time=0x80 | 30) + \
        record(2, 0, 20) + record(2, 20, 20, True, time=0x80 | 59)
    yield "many", b"".join(record(0, at, 1) for at in range(0, 255, 2)) + record(0, 255, 1, True) * 2


def group():
    def message(action, time, data):
        return bytes([action, time, len(data)]) + data

    def igmp(version, target="0.0.0.0", time=20):
        return bytes([0x11, 0 if version == 1 else time, 0, 0]) + ip(target) + \
            (bytes([2, 125, 0, 0]) if version == 3 else b"")

    def mld(version, target="::", time=2000):
        return bytes([130, 0, 0, 0]) + struct.pack("!HH", time, 0) + ip(target) + \
            (bytes([2, 125, 0, 0]) if version == 2 else b"")

    joins = b"".join(bytes([0x40 | n, 1, 0]) for n in range(8))
    yield "join_leave", joins + joins
    for version in (1, 2, 3):
        yield "igmp%d" % version, joins + message(0x80, 30, igmp(version)) + \
            message(0x80, 50, igmp(version, "239.1.2.1"))
    for version in (1, 2):
        yield "mld%d" % version, joins + message(0x81, 30, mld(version)) + \
            message(0x81, 50, mld(version, "ff05::5"))
    yield "flood", joins + b"".join(message(0, 10, igmp(3, time=1)) for _ in range(50)) + \
        b"".join(message(1, 10, mld(2, time=0)) for _ in range(50))
    yield "changing", joins + message(0x80, 30, igmp(3)) + message(0, 10, igmp(2)) + \
        message(0, 10, igmp(1)) + joins + message(0x80, 255, igmp(3)) + message(0x81, 255, mld(1))


def options():
    yield "both", b"10.0.0.2/24, fd00::2/64\n10.0.0.1,fd00::1\n" \
        b"10.1.0.0/16 via 10.0.0.9,2001:db8::/32 via fd00::9\n02:00:00:00:00:01"
    yield "many", ",".join("10.0.%d.2/24" % n for n in range(16)).encode() + b"\n10.0.3.1\n\n"
    yield "strange", b"0.0.0.0/0,255.255.255.255/32\n::\n0.0.0.0/0 via 0.0.0.0\nff:ff:ff:ff:ff:ff"
    yield "edges", b"10.0.0.2/32,fd00::2/128,10.0.1.1/31\n10.0.0.2\n10.2.0.0/15 via 10.0.0.2\n"
    yield "words", b",\n,,\n10.0.0.0/8 via\n02:00"
    yield "mapped", b"::ffff:10.0.0.2/120\n::ffff:10.0.0.1\n::/0 via fe80::1\n"


def headers():
    yield "ipv4", HOST + PEER + b"\x08\0"
    yield "tagged", HOST + PEER + b"\x81\0\x20\x05\x86\xdd"
    yield "twice_tagged", HOST + PEER + b"\x81\0\0\5\x81\0\0\6\x08\0"
    yield "provider", HOST + PEER + b"\x88\xa8\0\5\x81\0\0\6\x08\0"
    yield "length", ALL + PEER + b"\0\x2e\x42\x42\3" + bytes(43)
    yield "from_group", HOST + ALL + b"\x08\6"


def datagrams():
    yield "v4", udp("10.0.0.1", "10.0.0.2", PEER_PORT, PORT, b"hello")
    yield "v6", udp("fe80::1", "fe80::2", PEER_PORT, PORT, b"hello!")
    yield "empty", udp("10.0.0.1", "10.0.0.2", PEER_PORT, PORT, b"")
    yield "padded", udp("10.0.0.1", "10.0.0.2", PEER_PORT, PORT, b"hello") + bytes(13)
    yield "without_checksum", struct.pack("!HHHH", PEER_PORT, PORT, 12, 0) + b"four"
    yield "too_long", struct.pack("!HHHH", PEER_PORT, PORT, 1000, 0) + bytes(100)


def query():
    for name, code, group, more in (("v1", 0, "0.0.0.0", b""), ("v2", 100, "239.1.2.3", b""),
                                    ("v3", 20, "0.0.0.0", bytes([2, 125, 0, 0])),
                                    ("v3_sources", 0xFF, "239.1.2.3",
                                     bytes([10, 125, 0, 2]) + ip("10.0.0.3") + ip("10.0.0.4"))):
        yield "igmp_" + name, icmp(bytes([0x11, code, 0, 0]) + ip(group) + more)
    for name, code, group, more in (("v1", 1000, "ff02::1234", b""),
                                    ("v2", 0x8FFF, "::", bytes([2, 125, 0, 0])),
                                    ("v2_sources", 100, "ff05::5",
                                     bytes([10, 125, 0, 1]) + ip("fd00::3"))):
        yield "mld_" + name, bytes([130, 0, 0, 0]) + struct.pack("!HH", code, 0) + ip(group) + more


def device():
    for number, text in enumerate((
            "dpdk:net_memif0,role=client,id=0,socket=/run/memif.sock\n--no-huge -m 64",
            "dpdk:net_memif0,zero-copy=yes", "dpdk:0000:01:00.0\n--log-level=*:debug",
            "dpdk:net_ring0\n-l 0 --proc-type=primary --file-prefix x\t--telemetry -a 01:00.0",
            "afxdp:veth0", "afxdp:veth0,queue=1,queues=2,mode=copy", "afxdp:veth0,mode=zero-copy",
            "afxdp:a-name-that-is-too-long", "tap:demi0", "tap:demi%d", "loop:", "loop:pair",
            "sim:", "sim:link,loss=1000,seed=7,delay_ns=50000", "null:", "null:port=7,bytes=64",
            "sim:link,bandwidth=1000000000,queue_frames=8,queue_bytes=9000,reorder=1,reorder_ns=2",
            "sim:jitter_ns=1,duplicate=1000000,corrupt=3,truncate=4,flight_max=65536,checksum=1",
            "sim:asynchronous_tx=1,refuses=1", "sim:seed=18446744073709551616", "pci:", "")):
        yield "%02d" % number, text.encode()


def pmtu():
    def record(number, word, flags=0, place=0, change=0):
        return struct.pack("!BHBB", number | flags, word, place, change)

    six, time, forged, other = 4, 8, 16, 32
    yield "lower", b"".join(record(0, mtu) for mtu in (1492, 1400, 1450, 576, 68, 0, 9000))
    yield "lower6", b"".join(record(1, mtu, six) for mtu in (1492, 1400, 1450, 1280, 1279, 0))
    yield "expire", record(0, 1000) + record(1, 1300, six) + record(0, 599, time) + \
        record(0, 900) + record(0, 1, time) + record(0, 599, time) + record(2, 0)
    yield "others", b"".join(record(n % 4, 1500 - n, six * (n // 4)) for n in range(8))
    yield "forged", b"".join(record(2, 1400 - n, forged, n, 0xFF) for n in range(32))
    yield "forged6", b"".join(record(2, 1400 - n, forged | six, n, 0xFF) for n in range(52))
    yield "unreachable", record(3, 1000, other) + record(3, 1300, other | six)


DELIVER, DROP, DUPLICATE, REORDER, MUTATE, INJECT, TIME, PUSH, TAKE, SHUTDOWN, CLOSE, ABORT, \
    CONNECT, EXCHANGE, SETTING, ICMP = range(16)
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
V6, NO_TIMESTAMPS, NO_SACK, NO_SCALING, ECN, OFFLOAD, COOKIES, SILENT = (1 << n for n in range(8))
COPY, NAGLE, KEEP_ALIVE, RENO, DCTCP, TELL = 4, 8, 16, 32, 64, 128
CLIENT, SERVER = 0, 1


def tcp_pair():
    def do(operation, how=0, *values):
        return bytes([operation | how << 4, *values])

    def program(*steps, choice=0, more=0):
        return bytes([choice, more]) + b"".join(steps)

    def difference(value):
        return bytes([128, value & 0xFF, value >> 8 & 0xFF])

    def mutate(side, field, *values):
        return bytes([MUTATE | (side | (field + 1) << 1) << 4, *values])

    def inject(side, flags, seq=0, ack=0, window=1000, length=0, options=1, pair=0, more=b""):
        return bytes([INJECT | (side | pair << 1) << 4, flags]) + difference(seq) + \
            difference(ack) + struct.pack("<H", window) + \
            bytes([options | (64 if length else 0)]) + difference(0) + more + \
            (struct.pack("<H", length) if length else b"")

    def sack(*blocks):
        return b"".join(difference(left) + difference(size) for left, size in blocks)

    established = do(CONNECT) + do(EXCHANGE, 3)
    talk = do(PUSH, CLIENT, 255) + do(PUSH, SERVER, 200) + do(EXCHANGE, 15)
    closing = do(SHUTDOWN, CLIENT, 1) + do(EXCHANGE, 1) + do(SHUTDOWN, SERVER, 1) + do(EXCHANGE, 3)
    for name, choice in (("plain", 0), ("v6", V6), ("bare", NO_TIMESTAMPS | NO_SACK | NO_SCALING),
                         ("ecn", ECN), ("offload", OFFLOAD), ("cookies", COOKIES),
                         ("silent", SILENT)):
        for more in (0, 1 | COPY | TELL, 3 | NAGLE | KEEP_ALIVE | RENO, TELL | DCTCP):
            yield "%s_%d" % (name, more), program(established, talk, closing, choice=choice, more=more)
    loss = do(DROP, SERVER) + do(EXCHANGE, 15) + do(TIME, 10)
    for more in (2 | TELL, 2 | RENO, 2 | DCTCP):
        for choice in (0, NO_SACK):
            yield "loss_%d_%d" % (choice, more), program(
                established, do(PUSH, SERVER, 255) * 3, loss, do(PUSH, SERVER, 250), loss, loss,
                closing, choice=choice, more=more)
    yield "lost_syn", program(do(CONNECT), do(DROP, CLIENT), do(TIME, 11), do(DELIVER, CLIENT),
                              do(DROP, SERVER), do(TIME, 12), do(EXCHANGE, 9), talk)
    yield "tail", program(established, do(PUSH, CLIENT, 10), do(EXCHANGE, 8), do(PUSH, CLIENT, 10),
                          do(DROP, CLIENT), do(TIME, 9), do(EXCHANGE, 9), closing)
    yield "reorder", program(established, do(PUSH, SERVER, 255), do(REORDER, SERVER) * 3,
                             do(DELIVER, SERVER | 2), do(DUPLICATE, SERVER), do(EXCHANGE, 12), closing,
                             more=2)
    yield "zero_window", program(
        established, do(TAKE, CLIENT, 1), do(PUSH, SERVER, 255) * 4, do(EXCHANGE, 15), do(TIME, 12),
        do(EXCHANGE, 8), do(TAKE, CLIENT, 0), do(EXCHANGE, 15), closing)
    yield "shrinks", program(established, do(PUSH, SERVER, 255),
                             mutate(CLIENT, 3, 0, 0), do(EXCHANGE, 1), do(PUSH, SERVER, 255),
                             inject(CLIENT, ACK, window=0), inject(CLIENT, ACK, window=1),
                             do(TIME, 11), inject(CLIENT, ACK, window=60000), do(EXCHANGE, 15))
    yield "reset", program(established, talk, inject(CLIENT, RST), do(PUSH, CLIENT, 5),
                           do(EXCHANGE, 3))
    yield "blind", program(established, inject(CLIENT, RST, 5), inject(SERVER, SYN, 100),
                           inject(CLIENT, ACK, 30000, 30000), inject(SERVER, RST | ACK, -1, 3),
                           inject(CLIENT, ACK, 0, 1000), inject(CLIENT, ACK | FIN, 50, 0, length=20),
                           talk, closing)
    yield "early", program(established, do(PUSH, CLIENT, 200),
                           *(inject(CLIENT, ACK, n, 0, length=100)
                             for n in (1000, 3000, 2950, 1000, 900, 0, 500)),
                           do(EXCHANGE, 10), closing)
    yield "after_fin", program(established, inject(CLIENT, ACK, 10, length=30),
                               inject(CLIENT, ACK | FIN, 0, length=10),
                               inject(CLIENT, ACK, 40, length=5), talk)
    yield "sacks", program(
        established, do(PUSH, SERVER, 255) * 2,
        *(inject(CLIENT, ACK, options=1 | count << 4, more=sack(*blocks)) for count, blocks in (
            (1, [(1448, 1448)]), (2, [(1448, 2896), (0, 7000)]), (1, [(0, -5)]),
            (3, [(-100, 50), (2896, 1448), (20000, 30000)]), (1, [(0, 30000)]))),
        do(TIME, 10), do(EXCHANGE, 15), closing, more=2)
    yield "both_close", program(established, do(SHUTDOWN, CLIENT, 1), do(SHUTDOWN, SERVER, 1),
                                do(EXCHANGE, 3), do(TIME, 12))
    yield "close", program(established, talk, do(CLOSE, CLIENT | 8), do(EXCHANGE, 2),
                           do(CLOSE, SERVER), do(EXCHANGE, 2), do(CONNECT), do(EXCHANGE, 3),
                           do(CLOSE, SERVER | 2), do(TIME, 13))
    yield "abort", program(established, talk, do(PUSH, CLIENT, 100), do(ABORT, CLIENT),
                           do(EXCHANGE, 2), do(CONNECT), do(EXCHANGE, 3), do(ABORT, SERVER | 2))
    yield "many", program(do(CONNECT) * 6, do(EXCHANGE, 15), do(PUSH, 0, 100), do(PUSH, 3, 250),
                          do(PUSH, 4, 90), do(PUSH, 6, 255), do(EXCHANGE, 15))
    yield "path", program(established, do(PUSH, SERVER, 255), do(ICMP, SERVER, 1, 0x90, 3),
                          do(EXCHANGE, 4), do(PUSH, SERVER, 255), do(ICMP, SERVER, 1, 0x40, 2),
                          do(ICMP, SERVER, 2, 0, 0), do(EXCHANGE, 15), more=2)
    yield "settings", program(established, *(do(SETTING, n % 2, n * 7 + n) for n in range(12)),
                              talk, do(TIME, 13), closing)
    yield "mutated", program(do(CONNECT), mutate(CLIENT, 4, 2, 1), do(DELIVER, CLIENT),
                             mutate(SERVER, 4, 19, 255), do(EXCHANGE, 3),
                             do(PUSH, CLIENT, 200), mutate(CLIENT, 0, 60), mutate(CLIENT, 1, 70),
                             mutate(CLIENT, 2, FIN), do(EXCHANGE, 3), do(PUSH, SERVER, 200),
                             mutate(SERVER, 5, 9, 0, 3), mutate(SERVER, 2, 32), do(EXCHANGE, 9))


def main():
    makers = {make.__name__: make
              for make in (device, group, net_input, options, pmtu, query, reassembly, tcp_pair)}
    makers.update(eth=headers, udp=datagrams)
    for name, make in makers.items():
        directory = pathlib.Path(sys.argv[1]) / name
        directory.mkdir(parents=True, exist_ok=True)
        for name, data in make():
            (directory / name).write_bytes(data)


if __name__ == "__main__":
    main()
