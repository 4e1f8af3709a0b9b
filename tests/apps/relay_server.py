# SPDX-License-Identifier: MIT
"""demi-relay as an operator starts it, peers for it, and coturn's server, which is the reference."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

import turn

DEADLINE_S = 30
RELAY = ""  # its path, which the test sets
USER = ("--user", "user:secret", "--realm", "example.org")
LOOPBACK = {4: "127.0.0.1", 6: "::1"}


def address(version, port=0):
    return f"[::1]:{port}" if version == 6 else f"127.0.0.1:{port}"


class Server:
    """A demi-relay on free ports; it ends by SIGTERM and must end well."""

    def __init__(self, *options, version=4, lines=2):
        self.errors_file = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([RELAY, *options], text=True, stdout=subprocess.PIPE,
                                        stderr=self.errors_file)
        self.ports = {}
        for _ in range(lines):
            line = self.process.stdout.readline()
            found = re.fullmatch(r"(?:listening on|forwarding) \S+:(\d+) (?:over (\w+)|to .*)\n",
                                 line)
            if not found:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"{line!r} {self.errors()}")
            self.ports[found[2] or "forward"] = int(found[1])
        self.host = LOOPBACK[version]

    def errors(self):
        descriptor = self.errors_file.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()

    def client(self, proto="udp", **keywords):
        return turn.Client((self.host, self.ports[proto]), proto=proto, **keywords)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=DEADLINE_S)
        assert self.process.returncode == 0, (self.process.returncode, out, self.errors())
        self.said = self.errors()
        return out

    def figures(self):
        """The last line of statistics, once it has ended."""
        line = [line for line in self.said.splitlines() if " statistics: " in line][-1]
        words = line.partition(" statistics: ")[2].split()
        return dict(zip(words[::2], (int(word) for word in words[1::2])))


@contextlib.contextmanager
def serving(*options, version=4, auth=USER, peers=("--allow-loopback-peers",), lines=2):
    server = Server("--listen", address(version), "--relay-ip", LOOPBACK[version], *auth, *peers,
                    *options, version=version, lines=lines)
    try:
        yield server
        server.end()
    except BaseException:
        print(server.errors()[-3000:], file=sys.stderr)
        raise
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()


def udp_peer(version=4):
    peer = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM)
    peer.settimeout(turn.ANSWER_S)
    peer.bind((LOOPBACK[version], 0))
    return peer


@contextlib.contextmanager
def turnutils_peer(version=4):
    with udp_peer(version) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(["turnutils_peer", "-L", LOOPBACK[version], "-p", str(port)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with udp_peer(version) as probe:
            probe.settimeout(0.2)
            for _ in range(50):
                probe.sendto(b"are you there?" * 5, (LOOPBACK[version], port))
                with contextlib.suppress(OSError):
                    probe.recv(1000)
                    break
        yield port
    finally:
        process.terminate()
        process.wait()


# ---- the reference ----

def free_port(host, kind):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as free:
        free.bind((host, 0))
        return free.getsockname()[1]


def reference_words(auth):
    """What turnserver calls demi-relay's options of who may use it."""
    words = []
    for name, value in zip(auth, [*auth[1:], ""]):
        words += {"--user": ["--lt-cred-mech", "--user", value], "--realm": ["--realm", value],
                  "--secret": ["--use-auth-secret", "--static-auth-secret", value],
                  "--no-auth": ["--no-auth"]}.get(name, [])
    return words


@contextlib.contextmanager
def reference(version=4, auth=USER, host=None, peers=("--allow-loopback-peers",), prepare=None):
    """coturn's turnserver; its port, of both transports."""
    host = host or LOOPBACK[version]
    port = free_port(host, socket.SOCK_STREAM)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            ["turnserver", "-n", "--listening-ip", host, "--relay-ip", host, "--listening-port",
             str(port), "--no-cli", "--no-tls", "--no-dtls", "--relay-threads", "1", "--log-file",
             "stdout", "--pidfile", os.path.join(folder, "pid"), "--userdb",
             os.path.join(folder, "users"), *peers, *reference_words(auth)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=prepare)
        try:
            end = time.monotonic() + DEADLINE_S
            while True:
                with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
                    break
                assert process.poll() is None and time.monotonic() < end, "turnserver is not there"
                time.sleep(0.02)
            yield port
        except BaseException:
            log.seek(0)
            print(log.read()[-3000:], file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait()
