#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What calls of sockets and of waiting do on the stack is what they do on Linux: the same program, with
the same peer, is run over both, and its output compared line by line.

    SEMANTICS=PROGRAM semantics_test.py SHIM
"""

import os
import subprocess
import tempfile
import unittest

import stack
from stack import lab

PROGRAM = os.environ.get("SEMANTICS", "")

# Differences that are meant, by the check and the start of the line, with their reason.
MEANT = {
    # Marks are for the kernel's routes and filters, which datagrams of ours do not see.
    ("options of all sockets", "SO_MARK"),
    # A port may be listened on again although connections of before are in TIME_WAIT.
    ("restarting a server", "bind"),
    ("restarting a server", "listen"),
}


def run_checks(names, socket_path, on_shim):
    words = [PROGRAM, "run", socket_path, stack.address(), stack.address(version=6),
             lab.LINUX_IP[4], lab.LINUX_IP[6], *names]
    command = stack.on_stack(words) if on_shim else lab.in_namespace(stack.namespace(), *words)
    done = subprocess.run(command, capture_output=True, text=True, timeout=110,
                          env=dict(os.environ), check=False)
    return done.stdout + (f"ended with {done.returncode}: {done.stderr[-300:]}\n"
                          if done.returncode else "")


def by_check(output):
    """{name: [line, ...]}"""
    checks, lines = {}, []
    for line in output.splitlines():
        if line.startswith("begin "):
            lines = checks[line[len("begin "):]] = []
        else:
            lines.append(line)
    return checks


def is_meant(check, line):
    return any(check.startswith(name) and line.startswith(start) for name, start in MEANT)


class Semantics(stack.Test):
    """One run of each, in an order that is always the same."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.path = os.path.join(cls.folder, "peer")
        cls.names = subprocess.run([PROGRAM, "list"], capture_output=True, text=True,
                                   check=True).stdout.splitlines()
        cls.shim, cls.kernel = cls.both_outputs()

    @classmethod
    def with_peer(cls, on_shim):
        if os.path.exists(cls.path):
            os.unlink(cls.path)
        peer = subprocess.Popen(
            [PROGRAM, "peer", cls.path, lab.LINUX_IP[4], lab.LINUX_IP[6], stack.address(),
             stack.address(version=6)], stdout=subprocess.DEVNULL)
        try:
            stack.wait_until(lambda: os.path.exists(cls.path), "the peer listens")
            return by_check(run_checks(cls.names, cls.path, on_shim))
        finally:
            peer.kill()
            peer.wait()

    @classmethod
    def both_outputs(cls):
        """The shim first: for the kernel its interface gets the addresses."""
        shim = cls.with_peer(True)
        for version, length in ((4, 24), (6, 64)):
            lab.run("ip", "-n", stack.namespace(), "address", "add",
                    f"{stack.address(version=version)}/{length}", "dev", "demi0",
                    *(["nodad"] if version == 6 else []))
        return shim, cls.with_peer(False)

    def test_the_kernel_goes_through_all(self):
        self.assertEqual([name for name in self.names if name not in self.kernel], [])

    def test_the_stack_does_what_linux_does(self):
        wrong = []
        for name in self.names:
            expected = [line for line in self.kernel[name] if not is_meant(name, line)]
            seen = [line for line in self.shim.get(name, ["does not begin"])
                    if not is_meant(name, line)]
            if expected != seen:
                wrong.append(name)
                for sign, lines, others in ("-", expected, seen), ("+", seen, expected):
                    for line in lines:
                        if line not in others:
                            print(f"# {name} {sign} {line}")
        self.assertEqual(wrong, [])
        print(f"# {len(self.names)} checks, {sum(map(len, self.kernel.values()))} outcomes")


if __name__ == "__main__":
    stack.main()
