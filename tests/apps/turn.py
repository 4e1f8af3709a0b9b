# SPDX-License-Identifier: MIT
"""A client of TURN for the tests, and coturn's: RFC 8489 and RFC 8656, written down a second time."""

import contextlib
import hashlib
import hmac
import os
import re
import socket
import struct
import subprocess

COOKIE = 0x2112A442
ANSWER_S = 5
UCLIENT_S = 90

BINDING, ALLOCATE, REFRESH, SEND, DATA, CREATE_PERMISSION, CHANNEL_BIND = 1, 3, 4, 6, 7, 8, 9
USERNAME, INTEGRITY, ERROR_CODE, CHANNEL_NUMBER, LIFETIME = 0x6, 0x8, 0x9, 0xC, 0xD
PEER, DATA_VALUE, REALM, NONCE, RELAYED, FAMILY = 0x12, 0x13, 0x14, 0x15, 0x16, 0x17
EVEN_PORT, TRANSPORT, DONT_FRAGMENT, MAPPED, TOKEN = 0x18, 0x19, 0x1A, 0x20, 0x22
SOFTWARE, ICMP = 0x8022, 0x8004


def padded(data):
    return data + bytes(-len(data) % 4)


def attribute(kind, value):
    return struct.pack(">HH", kind, len(value)) + padded(value)


def xor_address(address, transaction):
    host, port = address[:2]
    version = socket.AF_INET6 if ":" in host else socket.AF_INET
    ip = socket.inet_pton(version, host)
    key = struct.pack(">I", COOKIE) + transaction
    return (struct.pack(">BBH", 0, 2 if len(ip) == 16 else 1, port ^ COOKIE >> 16) +
            bytes(a ^ b for a, b in zip(ip, key)))


def read_address(value, transaction):
    key = struct.pack(">I", COOKIE) + transaction
    ip = bytes(a ^ b for a, b in zip(value[4:], key))
    version = socket.AF_INET6 if value[1] == 2 else socket.AF_INET
    return socket.inet_ntop(version, ip), struct.unpack(">H", value[2:4])[0] ^ COOKIE >> 16


def is_answer(data):
    """Whether a message is the success or the error of a request."""
    return data[0] >> 6 == 0 and data[0] & 1 == 1


class Message:
    """One that was received."""

    def __init__(self, data):
        kind, length, cookie = struct.unpack(">HHI", data[:8])
        assert cookie == COOKIE and length + 20 == len(data), data
        self.data, self.transaction = data, data[8:20]
        self.method = kind & 0xF | kind >> 1 & 0x70 | kind >> 2 & 0xF80
        self.kind = (kind >> 4 & 1) | (kind >> 7 & 2)  # request, indication, success, error
        self.attributes = {}
        at = 20
        while at < len(data):
            name, size = struct.unpack(">HH", data[at:at + 4])
            assert at + 4 + size <= len(data)
            self.attributes.setdefault(name, data[at + 4:at + 4 + size])
            at += 4 + size + -size % 4

    @property
    def error(self):
        value = self.attributes.get(ERROR_CODE)
        return value[2] * 100 + value[3] if value else 0

    def address(self, kind):
        return read_address(self.attributes[kind], self.transaction)


class Client:
    """One 5-tuple. It raises what a request fails with, unless it is told what to expect."""

    def __init__(self, server, user="user", password="secret", realm="example.org", proto="udp"):
        version = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self.proto = proto
        self.socket = socket.socket(version, socket.SOCK_DGRAM if proto == "udp"
                                    else socket.SOCK_STREAM)
        self.socket.settimeout(ANSWER_S)
        self.socket.connect(server)
        self.user, self.realm, self.nonce = user, realm, None
        self.key = hashlib.md5(f"{user}:{realm}:{password}".encode()).digest()
        self.waiting = b""  # of a stream
        self.data = []      # messages that came in between

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def exactly(self, count):
        while len(self.waiting) < count:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("the server has closed the connection")
            self.waiting += more
        result, self.waiting = self.waiting[:count], self.waiting[count:]
        return result

    def receive(self):
        """The next message: bytes, without the padding of ChannelData."""
        if self.proto == "udp":
            return self.socket.recv(70000)
        head = self.exactly(4)
        length = struct.unpack(">H", head[2:])[0]
        if head[0] >> 6 == 0:
            return head + self.exactly(16 + length)
        return (head + self.exactly(length + -length % 4))[:4 + length]

    def message(self, method, *attributes, kind=0, transaction=None):
        """kind: 0 a request, 1 an indication; an attribute is (kind, value) or (kind, address)."""
        transaction = transaction or os.urandom(12)
        body = b"".join(attribute(name, xor_address(value, transaction)
                                  if isinstance(value, tuple) else value)
                        for name, value in attributes)
        method = method & 0xF | (method & 0x70) << 1 | kind << 4
        return struct.pack(">HHI", method, len(body), COOKIE) + transaction + body

    def signed(self, method, *attributes, transaction=None):
        data = self.message(method, *attributes, (USERNAME, self.user.encode()),
                            (REALM, self.realm.encode()), (NONCE, self.nonce or b"none"),
                            transaction=transaction)
        length = struct.pack(">H", len(data) - 20 + 24)
        digest = hmac.new(self.key, data[:2] + length + data[4:], "sha1").digest()
        return data[:2] + length + data[4:] + attribute(INTEGRITY, digest)

    def answer(self, request):
        """Sends it, as a client of UDP does several times; the answer. Data that comes first is kept."""
        for _ in range(ANSWER_S if self.proto == "udp" else 1):
            self.send(request)
            self.socket.settimeout(1 if self.proto == "udp" else ANSWER_S)
            with contextlib.suppress(socket.timeout):
                return self.await_answer(request)
            self.socket.settimeout(ANSWER_S)
        raise AssertionError("no answer")

    def await_answer(self, request):
        while True:
            data = self.receive()
            if not is_answer(data):
                self.data.append(data)
            elif data[8:20] == request[8:20]:
                self.socket.settimeout(ANSWER_S)
                return Message(data)

    def receive_data(self):
        """What is not an answer. What was asked twice may be answered once more at any time."""
        while not self.data:
            data = self.receive()
            if not is_answer(data):
                self.data.append(data)
        return self.data.pop(0)

    def ask(self, method, *attributes, expect=0):
        answer = self.answer(self.signed(method, *attributes))
        if answer.error == 438 or (answer.error == 401 and not self.nonce):
            self.nonce = answer.attributes[NONCE]
            answer = self.answer(self.signed(method, *attributes))
        assert answer.error == expect, f"{method}: {answer.error}, not {expect}"
        return answer

    def allocate(self, *attributes, expect=0):
        answer = self.ask(ALLOCATE, (TRANSPORT, b"\x11\0\0\0"), *attributes, expect=expect)
        self.relayed = None if expect else answer.address(RELAYED)
        return answer

    def permit(self, *peers, expect=0):
        return self.ask(CREATE_PERMISSION, *((PEER, peer) for peer in peers), expect=expect)

    def bind(self, peer, number, expect=0):
        return self.ask(CHANNEL_BIND, (CHANNEL_NUMBER, struct.pack(">HH", number, 0)),
                        (PEER, peer), expect=expect)

    def send_to(self, peer, data, *attributes):
        self.send(self.message(SEND, (PEER, peer), *attributes, (DATA_VALUE, data), kind=1))

    def send_channel(self, number, data):
        frame = struct.pack(">HH", number, len(data)) + data
        self.send(frame if self.proto == "udp" else padded(frame))

    def next_data(self):
        """What a peer has sent: (peer or number, bytes)."""
        data = self.receive_data()
        if data[0] >> 6 == 1:
            number, length = struct.unpack(">HH", data[:4])
            assert len(data) == 4 + length, "ChannelData of a wrong length"
            return number, data[4:]
        message = Message(data)
        assert (message.method, message.kind) == (DATA, 1)
        return message.address(PEER), message.attributes[DATA_VALUE]

    def next_error(self):
        """What ICMP has said of something for a peer: (peer, type, code, data)."""
        message = Message(self.receive_data())
        assert (message.method, message.kind) == (DATA, 1) and DATA_VALUE not in message.attributes
        reserved, number, data = struct.unpack(">HHI", message.attributes[ICMP])
        assert reserved == 0
        return message.address(PEER), number >> 9, number & 0x1FF, data


# ---- coturn's ----

def uclient(*options, server, port, check=True):
    """turnutils_uclient to its end; its messages have all come back."""
    completed = subprocess.run(
        ["turnutils_uclient", "-p", str(port), *options, server], text=True, timeout=UCLIENT_S,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = completed.stdout
    if check:
        lost = re.search(r"Total lost packets (\d+) .*total send dropped (\d+)", said)
        sent = re.search(r"tot_send_msgs=(\d+)", said[said.rfind("start_mclient: tot_send_msgs"):])
        received = re.search(r"tot_recv_msgs=(\d+)",
                             said[said.rfind("start_mclient: tot_send_msgs"):])
        if completed.returncode != 0 or not lost or lost.groups() != ("0", "0"):
            raise AssertionError(f"{options}: {completed.returncode}\n{said[-3000:]}")
        if sent and received and sent[1] != received[1]:
            raise AssertionError(f"{options}: {sent[1]} sent, {received[1]} received")
    return said
