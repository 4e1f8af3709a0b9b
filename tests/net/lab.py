# SPDX-License-Identifier: MIT
"""What the tests against the Linux kernel share: the laboratory, Demi's programs in it, TAP.

A test file is called with the path of demi-echo and, where it needs it, of net-probe, and runs
itself again in a laboratory (scripts/lab.sh), in Linux's namespace. So sockets and programs of a
test are the kernel's end of the link, and what it starts through Demi is the other end.

The device is the test's parameter (--device KIND):
    afxdp      Demi on the veth, through AF_XDP
    af_packet  the same, through DPDK's net_af_packet
    tap        Demi on a tap interface in the kernel's own namespace, which takes the place of its
               end of the veth
    kernel     Catnap and the kernel's own stack at Demi's end: shows that a test expects what
               Linux does, and is for whoever writes one
"""

import contextlib
import ctypes
import hashlib
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SKIPPED = 77
DEADLINE_S = 20
ANSWER_S = 5
PORT = 7000
UDP_BYTES_MAX = {4: 65507, 6: 65527}
SO_RCVBUFFORCE = 33
LAB_SH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/lab.sh")

DEMI_ECHO = PROBE = DEMI_PING = ""
DEVICE = sys.argv[2] if sys.argv[1:2] == ["--device"] else "afxdp"

DEMI_MAC = "02:00:00:00:77:02"
LINUX_MAC = "02:00:00:00:77:01"
DEMI_IP = {4: "10.77.0.2", 6: "fd77::2"}
LINUX_IP = {4: "10.77.0.1", 6: "fd77::1"}
FAR_IP = {4: "10.78.0.2", 6: "fd78::2"}
DEMI_LINK_LOCAL = "fe80::ff:fe00:7702"  # of DEMI_MAC: RFC 4291, appendix A
PREFIX = {4: 24, 6: 64}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


# ---- the kernel's end ----

def run(*command, check=True, timeout=DEADLINE_S, **keywords):
    """A program, here; its output is that of both streams."""
    completed = subprocess.run(command, text=True, stdout=subprocess.PIPE, timeout=timeout,
                               stderr=subprocess.STDOUT, **keywords)
    if check and completed.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {completed.returncode}\n{completed.stdout}")
    return completed


def in_namespace(namespace, *command):
    return ["nsenter", f"--net=/run/netns/{namespace}", "--", *command]


def enter_namespace(namespace):
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{namespace}", encoding="ascii") as file:
        if libc.setns(file.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")


@contextlib.contextmanager
def in_far():
    """Sockets that are made meanwhile are those of the host behind the router."""
    enter_namespace(os.environ["LAB_FAR"])
    try:
        yield
    finally:
        enter_namespace(os.environ["LAB_LINUX"])


def interface():
    """The kernel's interface to Demi."""
    return "demitap" if DEVICE == "tap" else "linux0"


def needs(*tools):
    """Decorator: skip where a program is missing."""
    missing = [tool for tool in tools if not shutil.which(tool)]
    return unittest.skipIf(missing, f"no {', '.join(missing)} here")


def udp_socket(version, connect_to=None, port=0, source=None):
    result = socket.socket(FAMILY[version], socket.SOCK_DGRAM)
    result.settimeout(ANSWER_S)
    result.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    result.bind((source or LINUX_IP[version], port))
    if connect_to:
        result.connect(connect_to)
    return result


def without_dad(name):
    """Addresses of an interface of the kernel's can be used at once."""
    with open(f"/proc/sys/net/ipv6/conf/{name}/accept_dad", "w", encoding="ascii") as file:
        file.write("0")


def know_demi(known=True):
    """The kernel needs not ask where Demi is, however long it has been away."""
    for version in (4, 6):
        if known:
            run("ip", "neighbour", "replace", DEMI_IP[version], "lladdr", DEMI_MAC, "dev",
                interface(), "nud", "permanent")
        else:
            run("ip", "neighbour", "delete", DEMI_IP[version], "dev", interface())


def pattern(size, seed=0):
    """Bytes of which no two runs look alike."""
    if not hasattr(pattern, "table"):
        value, table = 1, bytearray()
        for _ in range(65536 + 4096):
            value = (value * 6364136223846793005 + 1442695040888963407) & (1 << 64) - 1
            table.append(value >> 56)
        pattern.table = bytes(table)
    start = seed % 4093
    return pattern.table[start:start + size]


def echo_works(version, size=100, port=PORT, address=None, source=None):
    """Whether the server answers one datagram; raises if it answers with anything else."""
    peer = (address or DEMI_IP[version], port)
    with udp_socket(version, peer, source=source) as sock:
        sock.send(pattern(size, 77))
        try:
            answer = sock.recv(70000)
        except socket.timeout:
            return False
        assert answer == pattern(size, 77), "the echo differs"
        return True


def ping(address, count=1, *options):
    """
    Pings that are all answered. One at a time: of several, ping waits for the last one's answer
    only as long as the others have taken twice, which is nothing on a busy machine.
    """
    for _ in range(count):
        said = run("ping", "-n", "-c", "1", "-W", str(ANSWER_S), *options, address,
                   check=False).stdout
        if "1 packets transmitted, 1 received, 0% packet loss" not in said or "DUP" in said:
            raise AssertionError(said)


# ---- Demi's end ----

def whole_bytes_max(version):
    """
    Of an IP packet's payload, to Demi. DPDK's net_af_packet has the kernel put the fragments of
    IPv4 together (PACKET_FANOUT_FLAG_DEFRAG), and then has no room for the whole.
    """
    if version == 6:
        return 65535  # its length is without the header
    return 1480 if DEVICE == "af_packet" else 65515


def needs_fragments(version):
    if whole_bytes_max(version) < 65515:
        raise unittest.SkipTest("net_af_packet receives no fragments of IPv4")


def device_environment(device=None, versions=(4, 6)):
    """The environment of a program that is Demi's end of the link."""
    device = device or DEVICE
    names = {"afxdp": "afxdp:demi0", "tap": "tap:demitap",
             "af_packet": "dpdk:net_af_packet0,iface=demi0"}
    result = dict(os.environ)
    if device == "kernel":
        return result | {"LIBOS": "catnap"}
    result |= {"LIBOS": "catnip", "DEMI_NET_DEV": names[device],
               "DEMI_NET_IP": ",".join(f"{DEMI_IP[v]}/{PREFIX[v]}" for v in versions)}
    if device == "tap":
        result["DEMI_NET_MAC"] = DEMI_MAC
    return result


def prepare_device():
    """What a device needs beside the laboratory."""
    if DEVICE == "kernel":
        for version in (4, 6):
            run("ip", "-n", os.environ["LAB_DEMI"], "address", "add",
                f"{DEMI_IP[version]}/{PREFIX[version]}", "dev", "demi0",
                *(["nodad"] if version == 6 else []))
            # Linux believes who answers for another station, which the tests also try.
            run("ip", "-n", os.environ["LAB_DEMI"], "neighbour", "replace", LINUX_IP[version],
                "lladdr", LINUX_MAC, "dev", "demi0", "nud", "permanent")
            if "LAB_FAR" in os.environ:
                run("ip", "-n", os.environ["LAB_DEMI"], "route", "add", "default", "via",
                    LINUX_IP[version])
    elif DEVICE == "tap":
        run("ip", "link", "delete", "linux0")
        run("ip", "tuntap", "add", "demitap", "mode", "tap")
        run("ip", "link", "set", "demitap", "address", LINUX_MAC)
        without_dad("demitap")
        for version in (4, 6):
            run("ip", "address", "add", f"{LINUX_IP[version]}/{PREFIX[version]}", "dev", "demitap",
                *(["nodad"] if version == 6 else []))
        run("ip", "link", "set", "demitap", "up")


def demi_command(*command):
    """@command as Demi's end: a tap is in the kernel's namespace, the others have their own."""
    if DEVICE == "tap":
        return list(command)
    return in_namespace(os.environ["LAB_DEMI"], *command)


def pin(number):
    """Both ends spin: each on a CPU of its own where there are two."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) > 1:
        os.sched_setaffinity(0, {cpus[number]})


def all_cpus():
    os.sched_setaffinity(0, ALL_CPUS)
    pin(1)


ALL_CPUS = os.sched_getaffinity(0)


class Program:
    """A program of Demi's that runs until it is ended, which must succeed."""

    def __init__(self, command, environment=None, ready=None, prepare=all_cpus):
        self.errors_file = tempfile.TemporaryFile("w+")
        self.command = command
        self.process = subprocess.Popen(command, text=True, env=environment, preexec_fn=prepare,
                                        stdout=subprocess.PIPE, stderr=self.errors_file)
        if ready:
            self.first_line = self.line()
            if not re.match(ready, self.first_line):
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"{' '.join(command)}: said {self.first_line!r}, "
                                     f"not {ready!r}\n{self.errors()}")

    def line(self, timeout=DEADLINE_S):
        """The next line of its output, "" at the end."""
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            return ""
        return self.process.stdout.readline()

    def errors(self):
        # Not by seek and read: the program's descriptor and ours have one offset.
        descriptor = self.errors_file.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()

    def alive(self):
        return self.process.poll() is None

    def end(self):
        """Ends it with SIGTERM; its output since the last line."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            out, _ = self.process.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise AssertionError(f"{' '.join(self.command)}: does not end") from None
        if self.process.returncode != 0:
            raise AssertionError(f"{' '.join(self.command)}: {self.process.returncode}\n{out}\n"
                                 f"{self.errors()}")
        self.errors_text = self.errors()
        self.errors_file.close()
        return out

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.out = self.end()
            return
        self.process.kill()
        self.process.communicate()
        sys.stdout.write("".join(f"# {line}\n" for line in self.errors().splitlines()))


def host(version, address=None):
    address = address or DEMI_IP[version]
    return f"[{address}]" if version == 6 else address


def server(version=4, address=None, port=PORT, environment=None, extra=(), proto="udp"):
    """demi-echo as a server on Demi's end."""
    return Program(
        demi_command(DEMI_ECHO, "server", "--proto", proto, "--addr",
                     f"{host(version, address)}:{port}", *extra),
        device_environment() | (environment or {}), ready=r"listening on .*:\d+\n")


def client(address, *options, environment=None, check=True, proto="udp"):
    """demi-echo as a client on Demi's end: its results, or what it said when check is off."""
    completed = subprocess.run(
        demi_command(DEMI_ECHO, "client", "--proto", proto, "--addr", address, "--quiet", "--json",
                     "-", *options),
        text=True, capture_output=True, timeout=DEADLINE_S, preexec_fn=all_cpus,
        env=device_environment() | (environment or {}))
    if not check:
        return completed
    if completed.returncode != 0:
        raise AssertionError(f"client of {address}: {completed.returncode}\n{completed.stdout}\n"
                             f"{completed.stderr}")
    return json.loads(completed.stdout)


def parse_figures(said):
    """What demi-echo has counted, by name, of the last whole report in what it said; or None."""
    for report in reversed(said.split("statistics: ")[1:]):
        figures = dict(re.findall(r"^  (\S+) +(\d+)$", report, re.M))
        if len(figures) == int(report.split(" ", 1)[0]):
            return {name: int(value) for name, value in figures.items()}
    return None


def figures(program):
    """Ask a demi-echo that runs what it has counted so far: those that are not 0, by name."""
    before = program.errors().count("statistics: ")
    program.process.send_signal(signal.SIGUSR1)
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        said = program.errors()
        last = "statistics: " + said.rpartition("statistics: ")[2]
        result = parse_figures(last) if said.count("statistics: ") > before else None
        if result is not None:
            return result
        time.sleep(0.01)
    raise AssertionError(f"no statistics: {program.errors()[-2000:]}")


def check_sockperf(version, *options, port=PORT):
    """An unmodified sockperf's client against Demi's end: what it says of itself must be good."""
    said = run("sockperf", *options, "-i", DEMI_IP[version], "-p", str(port), "-t", "1",
               check=version == 4).stdout
    if version == 6 and "nvalid" in said.partition("Usage")[0]:
        raise unittest.SkipTest("this sockperf, older than 3.8, speaks IPv4 alone")
    if ("# dropped messages = 0; # duplicated messages = 0; # out-of-order messages = 0" not in said
            or not re.search(r"Summary: Latency is \d+\.\d+ usec", said)):
        raise AssertionError(said)


# ---- streams ----

STREAM_PERIOD = 65521  # a prime, so that no round size falls on it


def stream_blocks(size):
    """The first bytes of a stream that net-probe knows too (probe.h:probe_stream), in blocks."""
    if not hasattr(stream_blocks, "block"):
        stream_blocks.block = memoryview(pattern(STREAM_PERIOD) * 4)
    while size > 0:
        yield stream_blocks.block[:size]
        size -= len(stream_blocks.block)


def stream_digest(size):
    digest = hashlib.sha256()
    for block in stream_blocks(size):
        digest.update(block)
    return digest.hexdigest()


def tcp_socket(version, connect_to=None, source=None):
    result = socket.socket(FAMILY[version], socket.SOCK_STREAM)
    result.settimeout(ANSWER_S)
    result.bind((source or LINUX_IP[version], 0))
    if connect_to:
        result.connect(connect_to)
    return result


def tcp_listener(version, address=None, backlog=128, receive_buffer=None):
    """A socket that listens on some port, and its address as demi-echo wants it."""
    result = socket.socket(FAMILY[version], socket.SOCK_STREAM)
    result.settimeout(DEADLINE_S)
    if receive_buffer:
        result.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    address = address or LINUX_IP[version]
    result.bind((address, 0))
    result.listen(backlog)
    return result, f"{host(version, address)}:{result.getsockname()[1]}"


def send_stream(sock, size):
    for block in stream_blocks(size):
        sock.sendall(block)


def receive_stream(sock, size=None):
    """Of as many bytes, or of all until the end: their number and digest."""
    digest = hashlib.sha256()
    received = 0
    while size is None or received < size:
        data = sock.recv(min(1 << 18, size - received) if size else 1 << 18)
        if not data:
            break
        digest.update(data)
        received += len(data)
    return received, digest.hexdigest()


class Thread(threading.Thread):
    """One whose exception is raised where it is joined."""

    def __init__(self, function, *arguments):
        super().__init__(daemon=True)
        self.work = function, arguments
        self.error = self.result = None
        self.start()

    def run(self):
        function, arguments = self.work
        try:
            self.result = function(*arguments)
        except BaseException as error:  # pylint: disable=broad-except
            self.error = error

    def end(self, timeout=DEADLINE_S):
        self.join(timeout)
        if self.is_alive():
            raise AssertionError("does not end")
        if self.error:
            raise self.error
        return self.result


def exchange_stream(sock, size):
    """As much to an echo and back at the same time; raises if it differs."""
    sender = Thread(send_stream, sock, size)
    received = receive_stream(sock, size)
    sender.end()
    assert received == (size, stream_digest(size)), f"{received[0]} bytes came back, or changed"


# ---- packets by hand ----

def checksum(data, value=0):
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    value += sum(struct.unpack(f"!{len(data) // 2}H", data))
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value ^ 0xFFFF


def address_bytes(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def mac_bytes(mac):
    return bytes.fromhex(mac.replace(":", ""))


def ethernet(kind, payload, destination=DEMI_MAC, source=LINUX_MAC):
    return mac_bytes(destination) + mac_bytes(source) + struct.pack("!H", kind) + payload


def ipv4(protocol, payload, source=LINUX_IP[4], destination=DEMI_IP[4], identification=1,
         fragment=0, ttl=64, options=b""):
    """fragment: the 16 bits of flags and offset."""
    words = 5 + len(options) // 4
    header = struct.pack("!BBHHHBBH4s4s", 0x40 | words, 0, 4 * words + len(payload) & 0xFFFF,
                         identification, fragment, ttl, protocol, 0, address_bytes(source),
                         address_bytes(destination)) + options
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def ipv6(next_header, payload, source=LINUX_IP[6], destination=DEMI_IP[6], hop_limit=64):
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload) & 0xFFFF, next_header, hop_limit,
                       address_bytes(source), address_bytes(destination)) + payload


def pseudo_sum(source, destination, protocol, length):
    data = address_bytes(source) + address_bytes(destination) + struct.pack("!II", length, protocol)
    return checksum(data) ^ 0xFFFF


def udp(payload, version=4, source_port=5000, port=PORT, source=None, destination=None):
    source = source or LINUX_IP[version]
    destination = destination or DEMI_IP[version]
    length = 8 + len(payload)
    datagram = struct.pack("!HHHH", source_port, port, length & 0xFFFF, 0) + payload
    value = checksum(datagram, pseudo_sum(source, destination, 17, length)) or 0xFFFF
    return datagram[:6] + struct.pack("!H", value) + payload


def icmpv6(kind, code, body, source, destination):
    message = struct.pack("!BBH", kind, code, 0) + body
    value = checksum(message, pseudo_sum(source, destination, 58, len(message)))
    return message[:2] + struct.pack("!H", value) + body


def packet_socket(name=None):
    """Sends and receives whole frames on the kernel's interface."""
    result = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    result.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    result.bind((name or interface(), 0))
    result.settimeout(ANSWER_S)
    return result


class FramesTest(unittest.TestCase):
    """Sends frames made by hand to a server, `server`, beside datagrams from an honest socket, `sock`."""
    version = 4

    @classmethod
    def setUpClass(cls):
        cls.server = server(cls.version)
        cls.server.__enter__()
        cls.frames = packet_socket()
        cls.sock = udp_socket(cls.version, (DEMI_IP[cls.version], PORT))
        cls.port = cls.sock.getsockname()[1]

    @classmethod
    def tearDownClass(cls):
        cls.frames.close()
        cls.sock.close()
        cls.server.__exit__(None, None, None)


# ---- captures ----

class Capture:
    """tcpdump on the kernel's interface, and tshark over what it saw."""

    def __init__(self, expression="", name=None):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "packets.pcap")
        self.process = subprocess.Popen(
            ["tcpdump", "-i", name or interface(), "-U", "--immediate-mode", "-B", "32768",
             "-s", "0", "-Z", "root", "-w", self.path, *expression.split()],
            text=True, stderr=subprocess.PIPE)
        said = self.process.stderr.readline()
        while said and "listening on" not in said:
            said = self.process.stderr.readline()
        assert said, "tcpdump did not start"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        if self.process.poll() is None:
            time.sleep(0.1)  # for what lies in its ring and has not been looked at
            self.process.send_signal(signal.SIGINT)
            self.process.communicate(timeout=DEADLINE_S)

    def packets(self, display_filter, *fields):
        """Of each packet that matches a list of the fields' texts."""
        self.end()
        return tshark(self.path, display_filter, *fields)

    def bad_checksums(self):
        return bad_checksums(self.path)


CHECKED = ("ip", "udp", "tcp", "icmp", "icmpv6", "igmp")


def tshark(path, display_filter, *fields):
    command = ["tshark", "-n", "-r", path, "-o", "ip.check_checksum:TRUE",
               "-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"]
    if display_filter:
        command += ["-Y", display_filter]
    if fields:
        command += ["-T", "fields", "-E", "separator=|"]
        for field in fields:
            command += ["-e", field]
    completed = subprocess.run(command, text=True, capture_output=True, timeout=60)
    if completed.returncode != 0:
        raise AssertionError(f"{' '.join(command)}\n{completed.stderr}")
    return [line.split("|") for line in completed.stdout.splitlines()]


# What those quoted by errors have is cut off.
BAD_CHECKSUM = ("((" + " || ".join(f"{name}.checksum.status == 0" for name in CHECKED) + ") && "
                "!(icmp.type == 3 || icmp.type == 11 || icmpv6.type < 128))")


def bad_checksums(path):
    """tshark's words for the packets with a wrong checksum."""
    return tshark(path, BAD_CHECKSUM)


# ---- TAP ----

class TapResult(unittest.TestResult):
    """One line for each test, with what was wrong behind it, in comments."""

    def __init__(self):
        super().__init__()
        self.count = 0
        self.passed = 0
        self.current = None

    def startTest(self, test):
        super().startTest(test)
        self.wrong = []
        self.skip = None
        self.began = time.monotonic()

    def say(self, name, good, skip=None):
        self.count += 1
        self.passed += good and skip is None
        print(f"{'ok' if good else 'not ok'} {self.count} - {name}"
              f"{' # SKIP ' + skip if skip is not None else ''}")

    def stopTest(self, test):
        super().stopTest(test)
        self.say(name_of(test), not self.wrong, self.skip)
        for text in self.wrong:
            print("".join(f"# {line}\n" for line in text.splitlines()), end="")
        if os.environ.get("LAB_TIMES"):
            print(f"# {time.monotonic() - self.began:.2f} s")
        sys.stdout.flush()

    def note(self, test, error):
        text = self._exc_info_to_string(error, test)
        if hasattr(self, "wrong") and isinstance(test, unittest.TestCase):
            self.wrong.append(text)
            return
        self.say(str(test), False)  # setUpClass and the like
        print("".join(f"# {line}\n" for line in text.splitlines()), end="", flush=True)

    def addError(self, test, err):
        super().addError(test, err)
        self.note(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.wrong.append(f"{subtest}\n{self._exc_info_to_string(err, test)}")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        if isinstance(test, unittest.TestCase):
            self.skip = reason
        else:
            self.say(str(test), True, reason)


def name_of(test):
    """Ping.test_sizes_of_ipv4 as "ping: sizes of ipv4"."""
    group, _, name = test.id().rpartition(".")
    return f"{group.rpartition('.')[2]}: {name.removeprefix('test_').replace('_', ' ')}"


def skip_all(reason):
    print(f"1..0 # SKIP {reason}")
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def make_executable_paths(paths):
    global DEMI_ECHO, PROBE, DEMI_PING
    paths = [os.path.abspath(path) for path in paths]
    if not paths or not all(os.access(path, os.X_OK) for path in paths):
        skip_all("needs demi-echo, which needs jansson")
    DEMI_ECHO = paths[0]
    PROBE = paths[1] if len(paths) > 1 else ""
    DEMI_PING = paths[2] if len(paths) > 2 else ""


def main(lab_options=(), needs_lab=True):
    """usage: FILE [--device KIND] DEMI_ECHO [NET_PROBE [DEMI_PING]] [-- TEST...]"""
    arguments = sys.argv[1:]
    chosen = []
    if "--" in arguments:
        at = arguments.index("--")
        chosen = arguments[at + 1:]
        arguments = arguments[:at]
    if arguments[:1] == ["--device"]:
        arguments = arguments[2:]
    make_executable_paths(arguments)
    if needs_lab:
        enter_lab(lab_options)
    pin(0)
    sys.exit(run_tests(chosen))


def enter_lab(lab_options):
    if os.geteuid() != 0:
        skip_all("only root can make network namespaces")
    if "LAB_NAME" not in os.environ:
        # Root of a container may not make one. That lab.sh works where it can is lab_test's.
        tried = run(LAB_SH, "run", "--", "true", check=False)
        if tried.returncode != 0:
            skip_all(f"no laboratory here: {tried.stdout.splitlines()[0]}")
        if DEVICE == "tap" and not os.path.exists("/dev/net/tun"):
            skip_all("no /dev/net/tun")
        os.execv(LAB_SH, [LAB_SH, "run", *lab_options, "--", sys.executable, *sys.argv])
    enter_namespace(os.environ["LAB_LINUX"])
    prepare_device()


def run_tests(chosen):
    loader = unittest.TestLoader()
    module = sys.modules["__main__"]
    suite = (loader.loadTestsFromNames(chosen, module) if chosen
             else loader.loadTestsFromModule(module))
    result = TapResult()
    suite.run(result)
    print(f"1..{result.count}")
    if not result.wasSuccessful() or result.count == 0:
        return 1
    return 0 if result.passed else SKIPPED
