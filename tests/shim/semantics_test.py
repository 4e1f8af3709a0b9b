#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What calls of sockets and of waiting do on the stack is what they do on Linux: the same program, with
the same peer, is run over both, and its output compared line by line.

    SEMANTICS=PROGRAM semantics_test.py SHIM
"""

import difflib
import os
import subprocess

import stack
from stack import lab

PROGRAM = os.environ.get("SEMANTICS", "")

# Checks of what the shim does not do: demi-shim(7) says so.
LEFT_OUT = (
    "datagrams, where to",  # control messages
    "datagrams, hops and class",
    "fork, child serves",  # a child on connections of its parent, whose stack it has not
    "fork, child accepts",
    "fork, child connects",
)

# Lines that may differ, by the check's name and their starts.
DIFFERENT = (
    # Marks are for the kernel's routes and filters, which what we send does not meet.
    ("options of all sockets", "SO_MARK"),
    # A port may be listened on again although connections of before are in TIME_WAIT.
    ("restarting a server", "bind"),
    ("restarting a server", "listen"),
)


def run_checks(names, socket_path, on_shim):
    """What the program said of these, by check: {name: [line, ...]}"""
    words = [PROGRAM, "run", socket_path, stack.address(), stack.address(version=6),
             lab.LINUX_IP[4], lab.LINUX_IP[6], *names]
    command = stack.on_stack(words) if on_shim else lab.in_namespace(stack.namespace(), *words)
    done = subprocess.run(command, capture_output=True, text=True, timeout=140, check=False)
    checks, lines = {}, []
    for line in done.stdout.splitlines():
        if line.startswith("begin "):
            lines = checks[line[len("begin "):]] = []
        else:
            lines.append(line)
    if done.returncode:
        lines.append(f"ended with {done.returncode}: {done.stderr[-300:]}")
    return checks


def with_peer(names, folder, on_shim):
    path = os.path.join(folder, "shim" if on_shim else "kernel")
    with subprocess.Popen([PROGRAM, "peer", path, lab.LINUX_IP[4], lab.LINUX_IP[6],
                           stack.address(), stack.address(version=6)],
                          stdout=subprocess.DEVNULL) as peer:
        try:
            stack.wait_until(lambda: os.path.exists(path), "the peer listens")
            return run_checks(names, path, on_shim)
        finally:
            peer.kill()


def give_kernel_addresses():
    for version, length in ((4, 24), (6, 64)):
        lab.run("ip", "-n", stack.namespace(), "address", "add",
                f"{stack.address(version=version)}/{length}", "dev", "demi0",
                *(["nodad"] if version == 6 else []))


class Semantics(stack.Test):
    """One run of each, the shim's first: then its interface gets the kernel's addresses."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        names = check_names()
        cls.shim = with_peer(names, cls.folder, True)
        give_kernel_addresses()
        cls.kernel = with_peer(names, cls.folder, False)


def check_names():
    said = subprocess.run([PROGRAM, "list"], capture_output=True, text=True, check=True).stdout
    return [name for name in said.splitlines() if not name.startswith(LEFT_OUT)]


def without_different(name, lines):
    return [line for line in lines
            if not any(name.startswith(check) and line.startswith(start)
                       for check, start in DIFFERENT)]


def make_test(name):
    def test(self):
        self.assertIn(name, self.kernel, "the kernel did not come so far")
        expected = without_different(name, self.kernel[name])
        seen = without_different(name, self.shim.get(name, ["the shim did not come so far"]))
        if expected != seen:
            self.fail("\n" + "\n".join(difflib.unified_diff(expected, seen, "the kernel",
                                                            "the shim", lineterm="", n=2)))
    return test


if __name__ == "__main__":
    for number, check in enumerate(check_names()):
        setattr(Semantics, f"test_{number:03}_{check}", make_test(check))
    stack.main()
