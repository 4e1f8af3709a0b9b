# SPDX-License-Identifier: MIT
"""
Soft-RoCE, RDMA in software, for tests in a guest: a device on an interface of the kernel's, the
counts of what it has moved, and the programs that others use to try such devices.

    programs of this guest                               programs of the other one
              |                                                    |
            rxe0, a GID for each address                         rxe0
              |                                                    |
    dummy interface, whose packets come back     or      a network card on one wire

On the interface lo the device has connections of verbs alone, none by address; so there is a dummy,
of which a program reaches every address, its own too. Processors are emulated: what a program says
of time is worth nothing, and one may end well that has moved nothing, so that what counts is counts.
"""

import contextlib
import ipaddress
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

import guest
from guest import lab

MODULES = ("rdma_rxe", "rdma_ucm", "ib_uverbs", "ib_umad")
DEVICE, INTERFACE = "rxe0", "roce0"
PORT = f"/sys/class/infiniband/{DEVICE}/ports/1"
# Two of each, for two runtimes; those of another guest have HOST 2.
IP = {4: ("10.74.{0}.1", "10.74.{0}.2"), 6: ("fd74::{0}:1", "fd74::{0}:2")}
PREFIX = {4: 16, 6: 64}
# With what stands before and behind it, 4096 bytes fit, which is the most that a packet may have.
MTU, PACKET_BYTES = 4200, 4096
PERFTEST_PORT = 18515
GATE_PORT = 7400
NEEDED = {"rdma": "iproute2", "ibv_devices": "ibverbs-utils", "rping": "rdmacm-utils",
          "ib_send_lat": "perftest"}
ATTEMPT_S = 0.05


def address(version, which=0, host=1):
    return IP[version][which].format(host)


def missing():
    """The packages of what the programs here start, and is not there."""
    return [package for tool, package in NEEDED.items() if not shutil.which(tool)]


def require():
    """Skips all where they are missing."""
    if missing():
        lab.skip_all(f"{', '.join(missing())} missing here; scripts/deps.sh vm installs them")


def load_modules():
    for module in MODULES:
        lab.run("modprobe", module)


def set_up(interface=None, host=1):
    """The device, where it is not there yet, over an interface, which gets this host's addresses;
    None: a dummy."""
    if os.path.exists(PORT):
        return
    load_modules()
    if not interface:
        interface = INTERFACE
        lab.run("modprobe", "dummy")
        lab.run("ip", "link", "add", interface, "type", "dummy")
    lab.without_dad(interface)
    lab.run("ip", "link", "set", interface, "mtu", str(MTU), "up")
    for version in (4, 6):
        for which in (0, 1):
            lab.run("ip", "address", "add", f"{address(version, which, host)}/{PREFIX[version]}",
                    "dev", interface)
    lab.run("rdma", "link", "add", DEVICE, "type", "rxe", "netdev", interface)
    await_condition(lambda: content(f"{PORT}/state").endswith("ACTIVE"), "an active port")


def content(path):
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def await_condition(is_so, what, process=None):
    """@process: must not end before."""
    deadline = time.monotonic() + guest.DEADLINE_S
    while not is_so():
        if time.monotonic() > deadline or (process and process.poll() is not None):
            raise AssertionError(f"there is not {what}")
        time.sleep(ATTEMPT_S)


def gids():
    """{index: (address, kind, interface)} of those that are in use."""
    found = {}
    for index in sorted(map(int, os.listdir(f"{PORT}/gids"))):
        interface = content(f"{PORT}/gid_attrs/ndevs/{index}")
        if interface:
            value = ipaddress.IPv6Address(content(f"{PORT}/gids/{index}"))
            found[index] = (str(value.ipv4_mapped or value),
                            content(f"{PORT}/gid_attrs/types/{index}"), interface)
    return found


def counts():
    """What the device has counted: rdma_sends, rcvd_pkts, ..."""
    folder = f"{PORT}/hw_counters"
    return {name: int(content(f"{folder}/{name}")) for name in os.listdir(folder)
            if content(f"{folder}/{name}").isdigit()}


# ---- servers, in this guest or in the other one ----

def is_listening(port):
    """Whether somebody waits for connections of the kernel's TCP there."""
    lines = [line.split() for table in ("tcp", "tcp6")
             for line in content(f"/proc/net/{table}").splitlines()[1:]]
    return any(int(line[1].rpartition(":")[2], 16) == port and line[3] == "0A" for line in lines)


def is_listening_by_address():
    """Whether somebody waits for RDMA connections."""
    return "LISTEN" in lab.run("rdma", "resource", "show", "cm_id").stdout


class Server:
    """A program that somebody else will connect to, once it is made."""

    def __init__(self, command, ready, environment=None):
        """@ready: the port of TCP that it listens at, "cm", or what begins its first line"""
        self.command = command
        self.said = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.said,
                                        stderr=subprocess.STDOUT, preexec_fn=lab.all_cpus,
                                        env=os.environ | (environment or {}))
        try:
            await_condition(lambda: self.is_ready(ready), "a server that listens", self.process)
        except AssertionError as error:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{' '.join(command)}: {error}\n{self.output()}") from None

    def is_ready(self, ready):
        if isinstance(ready, int):
            return is_listening(ready)
        if ready == "cm":
            return is_listening_by_address()
        return re.search(f"^{ready}", self.output(), re.M) is not None

    def output(self):
        descriptor = self.said.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")

    def end(self, terminate=False):
        """(its exit status, all that it has said); it is killed where it goes on."""
        if terminate:
            self.process.terminate()
        try:
            self.process.wait(timeout=guest.DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with self.said:
            return self.process.returncode, self.output()


class RemoteServer:
    """The same in the other guest, whose gate is open."""

    def __init__(self, command, ready, environment=None, gate=address(4, host=2)):
        self.gate = connect_to_gate(gate)
        self.lines = self.gate.makefile("rw", encoding="utf-8")
        self.ask({"command": command, "ready": ready, "environment": environment or {}})

    def ask(self, request):
        self.lines.write(json.dumps(request) + "\n")
        self.lines.flush()
        answer = json.loads(self.lines.readline() or '{"error": "the other guest has gone"}')
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer

    def leave(self):
        """Terminates it, and waits for no answer: it takes its guest with it."""
        with self.gate, self.lines:
            self.lines.write(json.dumps({"terminate": True}) + "\n")

    def end(self, terminate=False):
        with self.gate, self.lines:
            answer = self.ask({"terminate": terminate})
            return answer["status"], answer["output"]


def connect_to_gate(gate):
    """Who starts first waits for the other."""
    deadline = time.monotonic() + guest.DEADLINE_S
    while True:
        try:
            return socket.create_connection((gate, GATE_PORT), timeout=guest.DEADLINE_S)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(ATTEMPT_S)


def serve_gate():
    """
    Starts what the other guest asks for (RemoteServer), one after the other, and never ends: who has
    started this guest ends it.
    """
    listener = socket.create_server(("", GATE_PORT))
    while True:
        connection = listener.accept()[0]
        with connection, connection.makefile("rw", encoding="utf-8") as lines:
            serve_one(lines)


def serve_one(lines):
    server = None
    for line in lines:
        request = json.loads(line)
        try:
            if "command" in request:
                server = Server(**request)
                answer = {}
            else:
                status, output = server.end(request["terminate"])
                server = None
                answer = {"status": status, "output": output}
        except (AssertionError, OSError) as error:
            answer = {"error": str(error)}
        lines.write(json.dumps(answer) + "\n")
        lines.flush()
    if server:
        server.end(terminate=True)


# ---- the programs of others ----

def rping(count, version=4, which=0, host=1, server=Server):
    """Sends @count messages to and fro, and compares them; the client's lines, one for each."""
    at = address(version, which, host)
    ours = server(["rping", "-s", "-a", at, "-C", str(count)], "cm")
    with ended_well(ours):
        said = lab.run("rping", "-c", "-a", at, "-C", str(count), "-V", "-v",
                       timeout=guest.DEADLINE_S).stdout
    return [line for line in said.splitlines() if line.startswith("ping data: ")]


def perftest(program, size, count, *options, version=4, host=1, server=Server):
    """
    What the client says in its table and above it, and by how much our device's counts grew.
    @version: of the GIDs; the two find each other over IPv4, or by -R with RDMA's own connections
    """
    command = [program, "-d", DEVICE, "-x", str(gid_index(version)), "-F", "-n", str(count), "-s",
               str(size), *options]
    ours = server(command, "cm" if "-R" in options else PERFTEST_PORT)
    before = counts()
    with ended_well(ours):
        said = lab.run(*command, address(4, 0, host), timeout=guest.DEADLINE_S).stdout
    grown = {name: value - before[name] for name, value in counts().items()}
    return parse_perftest(said), grown


def gid_index(version):
    """Of the first GID here that is a global address of this version."""
    return next(index for index, (value, _, _) in gids().items()
                if not value.startswith("fe80") and (":" in value) == (version == 6))


@contextlib.contextmanager
def ended_well(server):
    try:
        yield
    except BaseException:
        _, output = server.end(terminate=True)
        print("".join(f"# {line}\n" for line in output.splitlines()), end="")
        raise
    status, output = server.end()
    if status != 0:
        raise AssertionError(f"the server has ended with {status}\n{output}")


def parse_perftest(said):
    """{"Mtu": "4096[B]", "#bytes": "64", "t_typical[usec]": "22.1", ...}"""
    found = dict(re.findall(r"^ ?(\w[\w .]*?) +: (\S+)", said, re.M))
    lines = said.splitlines()
    at = next((at for at, line in enumerate(lines) if line.startswith(" #bytes")), None)
    if at is None:
        raise AssertionError(f"no table: {said}")
    names = re.split(r" {2,}|\t+| (?=#)", lines[at].strip())
    return found | dict(zip(names, lines[at + 1].split()))
