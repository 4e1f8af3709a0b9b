# SPDX-License-Identifier: MIT
"""A client of redis-server's, on a socket of this process's, that shows each reply as it came."""

import socket

from stack import lab

PORT = 6379


class Refused(Exception):
    """An error that the server replied."""


class Redis:
    def __init__(self, host, port=PORT, timeout=lab.DEADLINE_S):
        self.sock = socket.create_connection((host, port), timeout=timeout)
        self.file = self.sock.makefile("rb")

    @staticmethod
    def encode(*words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word)
                                                  for word in words)

    def send(self, *words):
        self.sock.sendall(self.encode(*words))

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("the server has closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise Refused(rest.decode())
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        length = int(rest)
        if kind == b"$":
            return None if length < 0 else self.file.read(length + 2)[:-2]
        assert kind == b"*", line
        return None if length < 0 else [self.reply() for _ in range(length)]

    def __call__(self, *words):
        self.send(*words)
        return self.reply()

    def info(self, section):
        """INFO's lines, by name."""
        lines = self("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
