#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the first inputs of the targets of the relay: corpus/stun, corpus/turn and corpus/relay."""

import os
import struct

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
COOKIE = 0x2112A442
TRANSACTION = bytes(range(1, 13))
RAW, SIGNED, CHANNEL, PEER, TIME, GONE, BUSY, STEPS = range(8)
ALLOCATE, REFRESH, PERMIT, BIND = range(4)
UDP = 0x08  # of a signed step: REQUESTED-TRANSPORT goes first


def attribute(kind, value):
    return struct.pack(">HH", kind, len(value)) + value + bytes(-len(value) % 4)


def message(kind, *attributes):
    body = b"".join(attributes)
    return struct.pack(">HHI", kind, len(body), COOKIE) + TRANSACTION + body


def address(text, port, transaction=TRANSACTION):
    ip = bytes(int(part) for part in text.split("."))
    key = struct.pack(">I", COOKIE) + transaction
    return struct.pack(">BBH", 0, 1, port ^ COOKIE >> 16) + bytes(a ^ b for a, b in zip(ip, key))


def peer(text, port):
    return attribute(0x12, address(text, port))


def step(kind, client, data):
    return bytes([kind + STEPS * client, len(data)]) + data


def signed(method, *attributes, client=0, flags=0):
    return step(SIGNED, client, bytes([method | flags]) + b"".join(attributes) + b"\0")


def write(folder, name, data):
    os.makedirs(os.path.join(HERE, folder), exist_ok=True)
    with open(os.path.join(HERE, folder, name), "wb") as file:
        file.write(data)


def stun():
    write("stun", "binding", message(1))
    write("stun", "allocate", message(3, attribute(0x19, b"\x11\0\0\0"), attribute(0x18, b"\x80"),
                                      attribute(0x6, b"user"), attribute(0x14, b"realm"),
                                      attribute(0x15, b"nonce"), attribute(0x8, bytes(20)),
                                      attribute(0x1c, bytes(32)), attribute(0x8028, bytes(4))))
    write("stun", "send", message(0x16, peer("203.0.113.5", 9000), attribute(0x13, b"hello")))
    write("stun", "permissions", message(8, peer("203.0.113.5", 1), attribute(
        0x12, struct.pack(">BBH", 0, 2, 5) + bytes(16))))
    write("stun", "unknown", message(1, attribute(0x7777, b"x"), attribute(0x7777, b"y"),
                                     attribute(0xF777, b"z")))


def turn():
    transport = UDP
    channel = attribute(0xC, b"\x40\1\0\0")
    data = step(CHANNEL, 0, b"\x40\1\0\4data")
    datagram = step(PEER, 0, b"\0" + bytes([203, 0, 113, 5]) + struct.pack(">HB", 9000, 1))

    # The transaction of a signed request is that of its number, from 5 on: after the greetings.
    def peer_of(number, text="203.0.113.5", port=9000):
        return attribute(0x12, address(text, port, struct.pack(">I", number) + bytes(8)))

    start = signed(ALLOCATE, flags=transport)
    write("turn", "channel", start + signed(BIND, channel, peer_of(6)) + data + datagram +
          step(TIME, 1, b"\xff") + data + step(TIME, 1, b"\x40") + data + datagram)
    write("turn", "permission", start + signed(PERMIT, peer_of(6)) + datagram + step(
        RAW, 0, message(0x16, peer("203.0.113.5", 9000), attribute(0x13, b"hello"))) +
          step(TIME, 0, b"\xff") + step(TIME, 0, b"\x60") + datagram)
    write("turn", "refresh", start + signed(REFRESH, attribute(0xD, bytes(4))) + start)
    write("turn", "pair", signed(ALLOCATE, attribute(0x18, b"\x80"), flags=transport) +
          step(TIME, 1, b"\x20") + step(GONE, 0, b""))
    write("turn", "both", signed(ALLOCATE, attribute(0x8000, b"\2\0\0\0"), flags=transport) +
          signed(REFRESH, attribute(0xD, bytes(4)), attribute(0x17, b"\2\0\0\0")))
    write("turn", "many", b"".join(signed(ALLOCATE, client=client, flags=transport)
                                   for client in range(4)) + step(BUSY, 0, b"\x0f") + start)
    write("turn", "denied", start + signed(PERMIT, peer_of(6, "127.0.0.1")))
    write("turn", "binding", step(RAW, 2, message(1)))


def relay():
    """Steps of relay_fuzz.c: its own numbers, and the peer is named by a flag."""
    raw, from_peer, time, connect, close, steps = 0, 2, 3, 4, 5, 6
    with_peer, with_channel = 0x10, 0x20

    def do(kind, number, data=b""):
        return bytes([kind + steps * number, len(data)]) + data

    def ask(method, *attributes, end=0, flags=0):
        return do(1, end, bytes([method | flags]) + b"".join(attributes))

    def send(data, end=0, port=4005):
        return do(raw, end, message(0x16, peer("10.0.0.1", port), attribute(0x13, data)))

    start = ask(ALLOCATE, flags=UDP)
    permit = ask(PERMIT, flags=with_peer)
    bind = ask(BIND, flags=with_peer | with_channel)
    data = do(raw, 0, b"\x40\1\0\4data")
    write("relay", "permission", start + send(b"early") + permit + send(b"hello") + do(
        from_peer, 0, b"back") + do(time, 0, b"\xff") + do(time, 0, b"\x60") + send(b"late"))
    write("relay", "channel", start + data + bind + data + do(from_peer, 0, b"back") +
          ask(REFRESH, attribute(0xD, bytes(4))) + data)
    # Nobody is at that port: an error of ICMP comes back.
    write("relay", "refused", start + permit + send(b"anybody?", port=5000) + send(b"hello"))
    write("relay", "stream", do(connect, 0) + do(raw, 3, message(3)) + ask(
        ALLOCATE, end=3, flags=UDP) + ask(BIND, end=3, flags=with_peer | with_channel) +
          do(raw, 3, b"\x40\1\0\5data.\0\0\0\x40\1") + do(raw, 3, b"\0\4data") +
          do(from_peer, 0, b"back") + do(close, 0))
    write("relay", "rubbish", do(connect, 1) + do(raw, 4, b"GET / HTTP/1.1\r\n\r\n") +
          do(connect, 1) + do(raw, 4, b"\0\1\0\3abc") + do(raw, 1, b"\xff" * 50))
    write("relay", "many", b"".join(ask(ALLOCATE, end=end, flags=UDP) for end in range(3)) + ask(
        ALLOCATE, attribute(0x18, b"\x80"), flags=UDP) + start)


if __name__ == "__main__":
    stun()
    turn()
    relay()
