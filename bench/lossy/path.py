#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What Linux's TCP and Catnip's make of the same path that loses packets.

usage: path.py NET_PROBE                        1 MiB where packets are lost, by filters of BPF
       scripts/vm.sh --count --timeout 3000 -- bench/lossy/path.py NET_PROBE
                                               and with delay: the guest's kernel has netem, and where its
                                               clocks count instructions a delay is what it is meant to be

A kernel's client, CUBIC, behind a router (scripts/lab.sh) gets bytes from a server and puts bytes to
it; the server is net-probe over the kernel's sockets, or over Catnip and AF_XDP. The router loses
and delays packets both ways. Runs of all alternate; a figure is the median of ROUNDS (environment, 5).
"""

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../tests/net"))

import lab  # noqa: E402, it stands beside the tests

ROUNDS = int(os.environ.get("ROUNDS", "5"))
GATEWAY = {"DEMI_NET_GW": lab.LINUX_IP[4]}
# What the server runs on: a name, a device, more of its environment.
SERVERS = (("Linux, CUBIC", "kernel", {}),
           ("Catnip, CUBIC", "afxdp", GATEWAY | {"DEMI_TCP_CONGESTION": "cubic"}),
           ("Catnip, NewReno", "afxdp", GATEWAY | {"DEMI_TCP_CONGESTION": "reno"}))
PATIENCE_S = 300
lab.DEADLINE_S = 120  # an emulated processor starts a program slowly
lab.run.__kwdefaults__["timeout"] = lab.DEADLINE_S
MIB = 1 << 20
BODY = b"".join(lab.stream_blocks(8 * MIB))  # which the server checks


def tc(*words):
    lab.run("tc", *words)


@contextlib.contextmanager
def netem(loss, delay):
    """Both ways through the router; @delay: of a round trip."""
    for name in ("linux0", "hop0"):
        tc("qdisc", "replace", "dev", name, "root", "netem", "limit", "20000",
           "delay", f"{delay / 2 * 1000:g}ms", "loss", f"{loss * 100:g}%")
    try:
        yield
    finally:
        for name in ("linux0", "hop0"):
            tc("qdisc", "delete", "dev", name, "root")


@contextlib.contextmanager
def filters(loss):
    """The same without netem, and without delay: ld rand; jge; ret TC_ACT_SHOT, ret TC_ACT_OK."""
    code = f"4,32 0 0 {0xFFFFF038},53 0 1 {int((1 - loss) * (1 << 32))},6 0 0 2,6 0 0 0"
    tc("qdisc", "add", "dev", "linux0", "clsact")
    for direction in ("egress", "ingress"):
        tc("filter", "add", "dev", "linux0", direction, "bpf", "bytecode", code, "direct-action")
    try:
        yield
    finally:
        tc("qdisc", "delete", "dev", "linux0", "clsact")


def has_netem():
    subprocess.run(["modprobe", "-q", "sch_netem"], check=False)
    try:
        with netem(0.01, 0.001):
            return True
    except AssertionError:
        return False


def use_cubic(namespace, gateway):
    """Whatever the kernel's default is."""
    lab.run("ip", "-n", os.environ[namespace], "route", "replace", "default", "via", gateway,
            "congctl", "lock", "cubic")


# ---- A transfer ----

@contextlib.contextmanager
def kernel_addresses(device):
    """Demi's end has its address in the kernel, or not."""
    namespace = os.environ["LAB_DEMI"]
    if device != "kernel":
        yield
        return
    lab.DEVICE = "kernel"
    lab.prepare_device()
    use_cubic("LAB_DEMI", lab.LINUX_IP[4])
    try:
        yield
    finally:
        lab.DEVICE = "afxdp"
        lab.run("ip", "-n", namespace, "address", "flush", "dev", "demi0")
        for version in ("-4", "-6"):
            lab.run("ip", version, "-n", namespace, "route", "flush", "dev", "demi0", check=False)
        lab.run("ip", "-n", namespace, "neighbour", "flush", "dev", "demi0", check=False)


def connect(method, number, length):
    with lab.in_far():
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(PATIENCE_S)
    sock.connect((lab.DEMI_IP[4], 80))
    sock.sendall(f"{method} /{number} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n".encode())
    return sock


def head(sock):
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        part = sock.recv(1)
        assert part, text
        text += part


def get(size):
    with connect("GET", size, 0) as sock:
        head(sock)
        left = size
        while left > 0:
            part = sock.recv(1 << 18)
            assert part, f"{left} bytes are missing"
            left -= len(part)


def put(size):
    with connect("PUT", 0, size) as sock:
        sock.sendall(BODY[:size])
        head(sock)


def timed(transfer, size):
    began = time.monotonic()
    transfer(size)
    return time.monotonic() - began


def measure(server, path, size):
    """Seconds of a get and of a put."""
    _, device, environment = server
    with kernel_addresses(device):
        # Its own connections are made before the path gets worse, so that ARP is not measured.
        with lab.Program(lab.demi_command(lab.PROBE, "http", lab.DEMI_IP[4], "80"),
                         lab.device_environment(device, versions=(4,)) | environment,
                         ready="ready\n"):
            get(1000)
            with path:
                return timed(get, size), timed(put, size)


# ---- Tables ----

def compare(title, make_path, size, unit):
    times = {server[0]: [] for server in SERVERS}
    for _ in range(ROUNDS):
        for server in SERVERS:
            times[server[0]].append(measure(server, make_path(), size))
    print(f"\n{title}: {ROUNDS} rounds, median ({unit}; best and worst)")
    for name, pairs in times.items():
        columns = []
        for transfer in zip(*pairs):
            values = [seconds if unit == "s" else size * 8 / seconds / 1e6 for seconds in transfer]
            columns.append(f"{statistics.median(values):8.2f} ({min(values):.2f} to "
                           f"{max(values):.2f})")
        print(f"  {name:18} from the server {columns[0]:28} to the server {columns[1]}", flush=True)


def main():
    if "LAB_NAME" not in os.environ:
        os.execv(lab.LAB_SH, [lab.LAB_SH, "run", "--router", "--", sys.executable, *sys.argv])
    lab.PROBE = os.path.abspath(sys.argv[1])
    lab.enter_namespace(os.environ["LAB_LINUX"])
    lab.know_demi()
    use_cubic("LAB_FAR", "10.78.0.1")
    print(f"load {os.getloadavg()[0]:.1f}", flush=True)
    compare("1 MiB, 10 % lost both ways, no delay", lambda: filters(0.1), MIB, "s")
    if not has_netem():
        print("\nwithout netem, which this kernel does not have: try it in a guest (scripts/vm.sh)")
        return
    compare("8 MiB, 1 % lost both ways, 10 ms", lambda: netem(0.01, 0.01), 8 * MIB, "Mbit/s")
    compare("1 MiB, 10 % lost both ways, 10 ms", lambda: netem(0.1, 0.01), MIB, "s")


if __name__ == "__main__":
    main()
