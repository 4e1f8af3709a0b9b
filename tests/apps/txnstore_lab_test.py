#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Five replicas, each in a network namespace of its own, which are killed and cut off while clients are
checked.

usage: txnstore_lab_test.py DEMI_TXNSTORE [unittest's arguments]

LIBOS is that of all; DURABLE that of servers with a log, if there is one.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = sys.argv.pop(1) if "LAB" in os.environ else os.path.abspath(sys.argv[1])
DEADLINE_S = 60
REPLICAS = 5
FAULTS_S = 10
QUIET_S = 4
PORT = 7100
LOST, DOUBLED = 0.02, 0.02
SKIPPED = 77


def run(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True, timeout=DEADLINE_S)


def address(replica):
    return f"10.79.0.{replica + 1}"


def some_packets(share, verdict=0xFFFFFFFF):
    """Of the old BPF: ld rand; jge; ret @verdict (all ones: it is one), ret 0 (it is not)."""
    other = 0xFFFFFFFF if verdict != 0xFFFFFFFF else 0
    return (f"4,32 0 0 {0xFFFFF038},53 0 1 {int((1 - share) * (1 << 32))},"
            f"6 0 0 {verdict},6 0 0 {other}")


class Lab:
    """A bridge, here, and a namespace at each of its ports."""

    def __init__(self, stack):
        self.holders = []
        stack.callback(self.close)
        run("ip", "link", "add", "bridge", "type", "bridge")
        run("ip", "address", "add", "10.79.0.100/24", "dev", "bridge")
        run("ip", "link", "set", "bridge", "up")
        run("ip", "link", "set", "lo", "up")
        for number in range(REPLICAS):
            self.add(number)

    def add(self, number):
        holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo ready; exec sleep infinity"],
                                  stdout=subprocess.PIPE, text=True)
        self.holders.append(holder)
        assert holder.stdout.readline() == "ready\n"
        port = f"port{number}"
        run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns",
            str(holder.pid))
        run("ip", "link", "set", port, "master", "bridge", "up")
        for words in (("address", "add", f"{address(number)}/24", "dev", "eth0"),
                      ("link", "set", "eth0", "up"), ("link", "set", "lo", "up")):
            run(*self.inside(number), "ip", *words)

    def inside(self, number):
        return ["nsenter", "--target", str(self.holders[number].pid), "--net", "--"]

    @staticmethod
    def cut(number):
        run("ip", "link", "set", f"port{number}", "down")

    @staticmethod
    def join(number):
        run("ip", "link", "set", f"port{number}", "up")

    @staticmethod
    def disturb():
        """Of what goes to a replica, and comes from it, some is lost and some doubled from now on."""
        for number in range(REPLICAS):
            port = f"port{number}"
            for words in (("qdisc", "add", "dev", port, "clsact"),
                          *(("filter", "add", "dev", port, direction, "bpf", "bytecode",
                             some_packets(LOST, verdict=2), "direct-action")  # TC_ACT_SHOT
                            for direction in ("egress", "ingress")),
                          ("filter", "add", "dev", port, "egress", "bpf", "bytecode",
                           some_packets(DOUBLED), "action", "mirred", "egress", "mirror", "dev", port)):
                done = run("tc", *words, check=False)
                if done.returncode != 0:
                    print(f"# this kernel cannot: tc {' '.join(words)}: {done.stderr.strip()}")

    @staticmethod
    def calm():
        for number in range(REPLICAS):
            run("tc", "qdisc", "delete", "dev", f"port{number}", "clsact", check=False)

    def close(self):
        for number, holder in enumerate(self.holders):
            run("ip", "link", "delete", f"port{number}", check=False)
            holder.kill()
            holder.wait()
            holder.stdout.close()
        run("ip", "link", "delete", "bridge", check=False)


class Store:
    def __init__(self, lab, folder, transport, log):
        self.lab, self.folder, self.log, self.servers = lab, folder, log, {}
        self.config = os.path.join(folder, "store.yaml")
        with open(self.config, "w", encoding="ascii") as file:
            file.write(f"transport: {transport}\nshards:\n  - ["
                       + ", ".join(f"{address(i)}:{PORT}" for i in range(REPLICAS)) + "]\n")
        for replica in range(REPLICAS):
            self.start(replica, "--new")
        # If all are gone before their logs say that they are new, none can tell the others.
        for replica in range(REPLICAS):
            self.await_normal(replica, 0)

    def path(self, replica, end):
        return os.path.join(self.folder, f"{replica}.{end}")

    def start(self, replica, *options):
        environment = dict(os.environ, DEMI_RUNTIME_IDLE="sleep")
        if self.log:
            environment.update(LIBOS=os.environ["DURABLE"],
                               DEMI_BLK_DEV=f"uring:{self.path(replica, 'img')},size=128M")
            options = ("--log", "txnstore", *options)
        with open(self.path(replica, "out"), "a", encoding="utf-8") as file:
            self.servers[replica] = subprocess.Popen(
                [*self.lab.inside(replica), PROGRAM, "server", "--config", self.config, "--shard",
                 "0", "--replica", str(replica), *options],
                stdout=file, stderr=subprocess.STDOUT, env=environment)

    def said(self, replica):
        with open(self.path(replica, "out"), encoding="utf-8") as file:
            return file.read()

    def kill(self, replica):
        self.servers[replica].kill()
        self.servers.pop(replica).wait()

    def restart(self, replica, wait=True):
        before = len(self.said(replica))
        self.start(replica)
        if wait:
            self.await_normal(replica, before)

    def await_normal(self, replica, before):
        """Until it has said so, behind what it had said before."""
        until = time.monotonic() + DEADLINE_S
        while "normal" not in self.said(replica)[before:]:
            assert time.monotonic() < until, self.said(replica)
            time.sleep(0.05)

    def kill_all(self):
        for replica in list(self.servers):
            self.kill(replica)


class Faults(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.lab = Lab(self.stack)
        self.seed = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
        self.chance = random.Random(self.seed)

    def store(self, transport, log=False):
        store = Store(self.lab, self.folder, transport, log)
        self.stack.callback(store.kill_all)
        return store

    def cut_one(self, _):
        gone = self.chance.randrange(REPLICAS)
        self.lab.cut(gone)
        time.sleep(self.chance.uniform(0.2, 1))
        self.lab.join(gone)

    def cut_minority(self, _):
        gone = self.chance.sample(range(REPLICAS), 2)
        for one in gone:
            self.lab.cut(one)
        time.sleep(self.chance.uniform(0.2, 1.5))
        for one in gone:
            self.lab.join(one)

    def kill_one(self, store):
        gone = self.chance.randrange(REPLICAS)
        store.kill(gone)
        time.sleep(self.chance.uniform(0, 0.5))
        # One that has lost all is not one of a majority before the others have told it.
        store.restart(gone)

    @staticmethod
    def kill_all(store):
        store.kill_all()
        for replica in range(REPLICAS):
            store.restart(replica, wait=False)

    def under_faults(self, store, check, *kinds):
        """What a check says while all this happens, and when it has ended."""
        self.lab.disturb()
        checker = subprocess.Popen(
            [PROGRAM, "check", "--config", store.config, "--check", check, "--seconds",
             str(FAULTS_S + QUIET_S), "--seed", str(self.seed)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        until = time.monotonic() + FAULTS_S
        time.sleep(1)
        while time.monotonic() < until:
            self.chance.choice(kinds)(store)
            time.sleep(self.chance.uniform(0.1, 0.5))
        self.lab.calm()
        try:
            said = checker.communicate(timeout=DEADLINE_S)[0]
        finally:
            checker.kill()
            checker.wait()
        told = f"SEED={self.seed}\n{said}" + "".join(map(store.said, range(REPLICAS)))
        self.assertEqual(checker.returncode, 0, told)
        self.assertIn("nothing is wrong", said)
        self.assertGreater(int(said.split(" committed")[0].rsplit(" ", 1)[1]), 50, told)

    def test_lists(self):
        self.under_faults(self.store("tcp"), "graph", self.cut_one, self.cut_minority, self.kill_one)

    def test_lists_over_datagrams(self):
        self.under_faults(self.store("udp"), "graph", self.cut_one, self.cut_minority, self.kill_one)

    def test_bank_over_datagrams(self):
        self.under_faults(self.store("udp"), "bank", self.cut_one, self.cut_minority, self.kill_one)

    @unittest.skipUnless(os.environ.get("DURABLE"), "there are no logs here")
    def test_registers_with_logs(self):
        self.under_faults(self.store("tcp", log=True), "register", self.cut_one, self.cut_minority,
                          self.kill_one, self.kill_all)


def main():
    if "LAB" in os.environ:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        unittest.main()
    unshare = ["unshare", "--user", "--map-root-user", "--net", "--"]
    missing = [tool for tool in ("unshare", "nsenter", "ip", "tc") if not shutil.which(tool)]
    if missing or run(*unshare, "true", check=False).returncode != 0:
        print("skipped: " + (f"no {', '.join(missing)} here" if missing
                             else "no network namespaces for this user"))
        sys.exit(SKIPPED)
    os.execvpe("unshare", [*unshare, sys.executable, os.path.abspath(__file__), PROGRAM,
                           *sys.argv[2:]], dict(os.environ, LAB="1"))


if __name__ == "__main__":
    main()
