# SPDX-License-Identifier: MIT
"""
Unmodified programs on Demi's stack, in the laboratory of tests/net: how they are started, and what
their tests share.

A test is called with the path of libdemi-shim.so and runs itself again in a laboratory, in Linux's
namespace. So its sockets, and the programs that it starts with `here`, are the kernel's, and what
it starts with `Program` has Demi's stack. There the kernel has no address on the interface, which
`Program` checks: whatever comes from 10.77.0.2, the stack has sent.

With `--device kernel` the same programs use the kernel's stack: shows that a test expects what Linux
does, and is for whoever writes one.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../net"))
import lab  # pylint: disable=wrong-import-position

DEADLINE_S = 20
SHIM = ""
HZ = os.sysconf("SC_CLK_TCK")
LOOPBACK = "127.0.0.1"
# A redis-server that needs no shim; instead of Debian's, if it is given.
NATIVE_REDIS = os.environ.get("NATIVE_REDIS", "")


def address(end=1, version=4):
    """Of the stack at one of the laboratory's ends."""
    return f"10.77.0.{end + 1}" if version == 4 else f"fd77::{end + 1:x}"


def namespace(end=1):
    return os.environ["LAB_DEMI" if end == 1 else f"LAB_DEMI{end}"]


def on_stack(words, end=1, idle="sleep", more=None):
    """The one place that knows how a program is given the stack: its command, and environment."""
    variables = dict(os.environ)
    if lab.DEVICE != "kernel":
        if words[0] != NATIVE_REDIS:
            variables["LD_PRELOAD"] = SHIM
        variables |= {
            "LIBOS": "catnip", "DEMI_NET_DEV": "afxdp:demi0",
            "DEMI_NET_IP": f"{address(end)}/24,{address(end, 6)}/64",
            "DEMI_RUNTIME_IDLE": idle, "DEMI_SHIM_TRACE": "1"} | (more or {})
    # Not nsenter, whose own calls would go through the shim, too.
    inner = [f"{name}={variables[name]}" for name in variables
             if variables[name] != os.environ.get(name)]
    return lab.in_namespace(namespace(end), "env", *inner, *words)


def kernel_addresses(end=1):
    """Those that the kernel has on the stack's interface."""
    said = lab.run("ip", "-n", namespace(end), "-json", "address", "show", "demi0").stdout
    return [entry["local"] for entry in json.loads(said)[0]["addr_info"]]


def xdp_program(end=1):
    """The XDP program on the stack's interface, or None."""
    said = lab.run("ip", "-n", namespace(end), "-json", "link", "show", "demi0").stdout
    return json.loads(said)[0].get("xdp")


def can_connect(host, port):
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def wait_until(condition, what, timeout=DEADLINE_S, interval=0.02):
    """Until condition() is true, and what it returned."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(interval)


class Program:
    """
    A program on the stack of one of the laboratory's ends; or with end=None on the kernel's, here.
    What it says of both streams goes into a file. It must end by SIGTERM, with one of `statuses`.
    """

    def __init__(self, *words, end=1, port=None, idle="sleep", statuses=(0,), folder=None,
                 stdin=subprocess.DEVNULL, more=None):
        """port: of TCP, on which it listens; more: variables of its environment"""
        self.words, self.statuses, self.stack = words, statuses, end
        self.said_file = tempfile.TemporaryFile()
        if end is not None and lab.DEVICE != "kernel":
            assert kernel_addresses(end) == [], "the kernel has an address at Demi's end"
        self.process = subprocess.Popen(
            on_stack(words, end, idle, more) if end is not None else words, stdin=stdin, cwd=folder,
            stdout=self.said_file, stderr=subprocess.STDOUT, start_new_session=True,
            env=dict(os.environ) | (more or {}) if end is None else None)
        if port:
            host = address(end) if end is not None else LOOPBACK
            try:
                wait_until(lambda: can_connect(host, port) or not self.alive(),
                           f"{' '.join(words)} listens")
                assert self.alive(), f"{' '.join(words)}: has ended"
            except AssertionError:
                self.kill()
                self.show()
                raise

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def said(self):
        # Not by seek and read: the program's descriptor and ours have one offset.
        descriptor = self.said_file.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")

    def show(self, lines=12):
        print("".join(f"# {line}\n" for line in self.said().splitlines()[-lines:]), end="")

    def ticks(self):
        """Of the processor's time that it has had."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def kill(self, which=signal.SIGKILL):
        """Every process of it."""
        try:
            os.killpg(self.pid, which)
        except ProcessLookupError:
            pass
        self.process.wait()

    def end(self):
        """By SIGTERM; what it said."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, timeout=DEADLINE_S):
        """Until it ends of itself; what it said."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{' '.join(self.words)}: does not end\n{self.said()[-1000:]}"
                                 ) from None
        if status not in self.statuses:
            self.kill()
            raise AssertionError(f"{' '.join(self.words)}: {status}\n{self.said()[-1000:]}")
        return self.said()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.end()
            return
        self.kill()
        self.show()


def here(*words, check=True, timeout=DEADLINE_S, **keywords):
    """A program on the kernel's stack: what it said."""
    return lab.run(*words, check=check, timeout=timeout, **keywords).stdout


def client(*words, end=1, statuses=(0,), timeout=DEADLINE_S, folder=None):
    """A program on the stack that ends of itself: what it said, without the shim's lines."""
    said = Program(*words, end=end, statuses=statuses, folder=folder).wait(timeout)
    return re.sub(r"demi shim\[.*\n", "", said)


class Test(unittest.TestCase):
    """One whose programs end with it, and which has a folder."""
    tools = ()

    @classmethod
    def setUpClass(cls):
        missing = [tool for tool in cls.tools if not shutil.which(tool)]
        if missing:
            raise unittest.SkipTest(f"no {', '.join(missing)} here")
        temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = temporary.name

    def start(self, *words, **keywords):
        """A program that is ended after the test, and must end well."""
        program = Program(*words, **keywords)
        self.addCleanup(self.finish, program)
        return program

    def finish(self, program):
        if not program.alive() and program.process.returncode == -signal.SIGKILL:
            return  # by the test
        if self._outcome.result.wrong:
            program.show()
        program.end()

    @classmethod
    def start_for_all(cls, *words, **keywords):
        """The same, after the last test of the class."""
        program = Program(*words, **keywords)
        cls.addClassCleanup(program.end)
        return program


def main(lab_options=()):
    """usage: FILE [--device kernel] SHIM [-- TEST...]"""
    global SHIM
    arguments = sys.argv[1:]
    chosen = []
    if "--" in arguments:
        at = arguments.index("--")
        chosen = arguments[at + 1:]
        arguments = arguments[:at]
    if arguments[:1] == ["--device"]:
        arguments = arguments[2:]
    SHIM = os.path.abspath(arguments[0])
    assert os.access(SHIM, os.R_OK), SHIM
    lab.enter_lab(lab_options)
    lab.run("ip", "link", "set", "lo", "up")
    for end in range(2, 100):
        if lab.DEVICE == "kernel" and f"LAB_DEMI{end}" in os.environ:
            lab.run("ip", "-n", namespace(end), "address", "add", f"{address(end)}/24", "dev",
                    "demi0")
    sys.exit(lab.run_tests(chosen))
