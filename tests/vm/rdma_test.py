#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
RDMA in a guest, over Soft-RoCE: that the device is in order, what `demi doctor` says of it, and the
conformance programs on it.

    rdma_test.py DEMI_ECHO DEMI RDMA_END [CONFORMANCE_PROGRAM...] [-- TEST...]

PROGRAMS says what each of the programs runs with.
"""

import json
import os
import subprocess
import sys
import time
import unittest

import cases
import guest
import roce
from guest import lab

# LibOS -> (the conformance programs on it, by the ends of their names; what else of the environment),
# as {"catmint": (("tcp", "udp"), {"DEMI_CATMINT_DEVICE": roce.DEVICE})}.
PROGRAMS = {"catmint": (("tcp", "udp", "wait", "hold", "errors", "runtime"),
                       {"DEMI_CATMINT_DEVICE": roce.DEVICE, "DEMI_HEAP_MAX_BYTES": "256M"})}
PROGRAM_S = 120
STEPS_MAX = 8
ECHO_PORT = 7
ENVIRONMENT = {"LIBOS": "catmint", "DEMI_CATMINT_DEVICE": roce.DEVICE,
               "DEMI_HEAP_MAX_BYTES": "256M"}
NOBODY = 65534
IDLE_S = 2
UNDER_WAY = 100  # packets, the connection's set-up among them


def setUpModule():
    lab.run("ip", "link", "add", "wire0", "type", "veth", "peer", "name", "wire1")


def doctor(user=None):
    """What it says of Catmint, and of the machine."""
    completed = subprocess.run([lab.PROBE, "doctor", "--json"], text=True, capture_output=True,
                               timeout=guest.DEADLINE_S, user=user)
    said = json.loads(completed.stdout)
    return next(one for one in said["liboses"] if one["libos"] == "catmint"), said


class Doctor(unittest.TestCase):
    """Before there is any device: what it proposes is done, step by step."""

    def test_its_commands_lead_to_a_device(self):
        done = []
        verdict, said = doctor()
        if verdict["state"] == "not in this build":
            self.skipTest("no Catmint in this build")
        self.addCleanup(lab.run, "rdma", "link", "delete", roce.DEVICE)
        self.assertEqual((said["rdma"], said["rdma_ports"]), ([], []))
        while verdict["state"] != "can run" and len(done) < STEPS_MAX:
            self.assertNotIn(verdict["command"], done, verdict)
            done.append(verdict["command"])
            subprocess.run(["sh", "-c", verdict["command"]], check=True, stdin=subprocess.DEVNULL)
            if "set dev wire" in verdict["command"]:
                # The other end of the veth is up too, as a switch would be.
                lab.run("ip", "link", "set", "wire0", "up")
                lab.run("ip", "link", "set", "wire1", "up")
            verdict, said = doctor()
        self.assertEqual(verdict["state"], "can run", (done, verdict))
        self.assertEqual(len(done), 4, done)
        self.assertEqual(len(said["rdma_ports"]), 1)
        port = said["rdma_ports"][0]
        self.assertEqual((port["device"], port["port"], port["state"], port["active_mtu"]),
                         (roce.DEVICE, 1, "ACTIVE", 1024), port)


class Device(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        roce.set_up()

    def test_is_listed(self):
        self.assertIn(f" {roce.DEVICE} ", lab.run("ibv_devices").stdout)

    def test_whole_packets(self):
        said = lab.run("ibv_devinfo", "-d", roce.DEVICE).stdout
        self.assertRegex(said, "state:\\s+PORT_ACTIVE")
        self.assertRegex(said, f"active_mtu:\\s+{roce.PACKET_BYTES} ")

    def test_file_that_is_closed(self):
        os.chmod("/dev/infiniband/rdma_cm", 0o600)
        try:
            self.assertTrue(doctor()[1]["rdma_cm"])
            verdict, said = doctor(user=NOBODY)
            self.assertFalse(said["rdma_cm"])
            if verdict["state"] != "not in this build":
                self.assertEqual(verdict["command"],
                                 "sudo chmod 666 /dev/infiniband/rdma_cm")
        finally:
            os.chmod("/dev/infiniband/rdma_cm", 0o666)

    def test_gid_of_each_address(self):
        found = roce.gids()
        self.assertEqual(found[1], (roce.address(4), "RoCE v2", roce.INTERFACE))
        for version in (4, 6):
            for which in (0, 1):
                self.assertIn((roce.address(version, which), "RoCE v2", roce.INTERFACE),
                              found.values())


class Traffic(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        roce.set_up()

    def test_rping(self):
        for version in (4, 6):
            for which in (0, 1):
                with self.subTest(version=version, which=which):
                    self.assertEqual(len(roce.rping(10, version, which)), 10)

    def moved(self, program, size, count, *options, **keywords):
        """Its counts, when it has said that it moved as much with whole packets."""
        said, grown = roce.perftest(program, size, count, *options, **keywords)
        self.assertEqual((said["#bytes"], said["#iterations"]), (str(size), str(count)), said)
        self.assertEqual(said["Mtu"], f"{roce.PACKET_BYTES}[B]")
        self.assertEqual(grown["retry_exceeded_err"], 0)
        return grown

    def test_send(self):
        # Both ends are ours.
        self.assertGreaterEqual(self.moved("ib_send_lat", 64, 200)["rdma_sends"], 400)

    def test_send_over_ipv6(self):
        grown = self.moved("ib_send_lat", 64, 200, version=6)
        self.assertGreaterEqual(grown["rdma_sends"], 400)

    def test_send_by_address(self):
        grown = self.moved("ib_send_lat", 64, 200, "-R")
        self.assertGreaterEqual(grown["rdma_sends"], 400)

    def test_read(self):
        self.assertGreaterEqual(self.moved("ib_read_bw", 65536, 20)["rcvd_pkts"], 20 * 16)


class Catmint(unittest.TestCase):
    """demi-echo, two processes on one device."""

    @classmethod
    def setUpClass(cls):
        if doctor()[0]["state"] == "not in this build":
            raise unittest.SkipTest("no Catmint in this build")
        roce.set_up()

    def server(self, at, *options, **environment):
        server = roce.Server([DEMI_ECHO, "server", "--addr", at, *options], "listening on ",
                             ENVIRONMENT | environment)
        self.addCleanup(lambda: server.process.poll() is None and server.end(terminate=True))
        return server

    def client(self, at, *options, **environment):
        return subprocess.run([DEMI_ECHO, "client", "--addr", at, "--quiet", "--json", "-", *options],
                              text=True, capture_output=True, timeout=guest.DEADLINE_S,
                              env=os.environ | ENVIRONMENT | environment)

    def echo(self, count, *options, version=4, server=()):
        """That all comes back, and that it went over the device, which was never out of buffers."""
        at = f"{roce.address(version)}:{ECHO_PORT}" if version == 4 else \
            f"[{roce.address(version)}]:{ECHO_PORT}"
        running = self.server(at, *server)
        before = roce.counts()
        said = self.client(at, "--count", str(count), *options)
        self.assertEqual(said.returncode, 0, said.stderr)
        grown = {name: value - before[name] for name, value in roce.counts().items()}
        self.assertEqual(json.loads(said.stdout)["verified"], count)
        self.assertGreaterEqual(grown["sent_pkts"], 2 * count)
        for name in ("rcvd_rnr_err", "send_rnr_err", "retry_rnr_exceeded_err",
                     "retry_exceeded_err"):
            self.assertEqual(grown.get(name, 0), 0, grown)
        self.assertEqual(running.end(terminate=True)[0], 0)
        return grown

    def test_echo(self):
        for version in (4, 6):
            with self.subTest(version=version):
                self.echo(500, version=version)

    def test_many_connections(self):
        self.echo(600, "--connections", "20", "--inflight", "4")

    def test_large_messages_are_read(self):
        self.assertGreaterEqual(self.echo(20, "--size", "300000")["rdma_sends"], 2 * 20)

    def test_datagrams(self):
        for version in (4, 6):
            with self.subTest(version=version):
                self.echo(200, "--proto", "udp", version=version, server=("--proto", "udp"))

    def test_log(self):
        # The guest's file system has no O_DIRECT.
        self.echo(50, "--size", "1000",
                  server=("--libos", "catmint+cattree", "--blk", "sim:64M", "--log", "messages"))

    def test_idle_processes_sleep(self):
        at = f"{roce.address(4)}:{ECHO_PORT}"
        running = self.server(at, DEMI_RUNTIME_IDLE="sleep")
        said = self.client(at, "--count", "200", DEMI_RUNTIME_IDLE="sleep")
        self.assertEqual(said.returncode, 0, said.stderr)
        before = cpu_s(running.process.pid)
        # Nothing is waited for: what it uses in this time is measured.
        time.sleep(IDLE_S)
        self.assertLess(cpu_s(running.process.pid) - before, IDLE_S / 4)
        running.end(terminate=True)

    def test_peer_that_is_killed(self):
        at = f"{roce.address(4)}:{ECHO_PORT}"
        running = self.server(at)
        before = roce.counts()["sent_pkts"]
        client = subprocess.Popen([DEMI_ECHO, "client", "--addr", at, "--duration", "60", "--quiet"],
                                  text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env=os.environ | ENVIRONMENT)
        roce.await_condition(lambda: roce.counts()["sent_pkts"] > before + UNDER_WAY,
                             "traffic between the two", client)
        running.process.kill()
        _, said = client.communicate(timeout=guest.DEADLINE_S)
        self.assertNotEqual(client.returncode, 0)
        self.assertRegex(said, "ECONNRESET|ETIMEDOUT|reset|timed out", said)
        running.end()

    def test_nobody_listens(self):
        said = self.client(f"{roce.address(4)}:1", "--count", "1")
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("refused", said.stderr)

    def test_address_that_is_not_there(self):
        said = self.client("203.0.113.9:7", "--count", "1")
        self.assertNotEqual(said.returncode, 0)
        self.assertRegex(said.stderr, "unreachable|No route|timed out")

    def test_device_that_is_not_there(self):
        said = self.client(f"{roce.address(4)}:1", "--count", "1", DEMI_CATMINT_DEVICE="nosuch0")
        self.assertNotEqual(said.returncode, 0)
        self.assertIn('no RDMA device "nosuch0"', said.stderr)
        self.assertIn("ibv_devices", said.stderr)

    def test_files_that_are_closed(self):
        """One line says what to do."""
        for file, says in (("uverbs0", "this user may not open it"),
                           ("rdma_cm", "may /dev/infiniband/rdma_cm be opened?")):
            with self.subTest(file=file):
                os.chmod(f"/dev/infiniband/{file}", 0o600)
                try:
                    said = subprocess.run(
                        [DEMI_ECHO, "client", "--addr", f"{roce.address(4)}:1", "--count", "1"],
                        text=True, capture_output=True, timeout=guest.DEADLINE_S, user=NOBODY,
                        env=os.environ | ENVIRONMENT)
                finally:
                    os.chmod(f"/dev/infiniband/{file}", 0o666)
                self.assertNotEqual(said.returncode, 0)
                self.assertIn(says, said.stderr)
                self.assertEqual(said.stderr.count("demi: error:"), 1, said.stderr)

    def test_memory_that_may_not_be_locked(self):
        completed = subprocess.run(
            ["prlimit", "--memlock=65536:65536", "setpriv", f"--reuid={NOBODY}", "--clear-groups",
             DEMI_ECHO, "client", "--addr", f"{roce.address(4)}:1", "--count", "1"], text=True,
            capture_output=True, timeout=guest.DEADLINE_S, env=os.environ | ENVIRONMENT)
        self.assertNotEqual(completed.returncode, 0)
        self.assertIn("ulimit -l", completed.stderr)


class DeviceThatGoes(unittest.TestCase):
    """And the link below it: each test makes it anew."""

    def setUp(self):
        if doctor()[0]["state"] == "not in this build":
            self.skipTest("no Catmint in this build")
        roce.set_up()
        self.addCleanup(lab.run, "ip", "link", "delete", roce.INTERFACE)
        # With the interface alone it would go some time later.
        self.addCleanup(lab.run, "rdma", "link", "delete", roce.DEVICE, check=False)

    def begin(self, *others, **environment):
        """The echo server, and who has operations there."""
        at = roce.address(4)
        server = roce.Server([DEMI_ECHO, "server", "--addr", f"{at}:{ECHO_PORT}"], "listening on ",
                             ENVIRONMENT)
        return server, roce.Server([RDMA_END, at, *others], "under way", ENVIRONMENT | environment)

    def test_link_that_goes_down(self):
        server, ours = self.begin(DEMI_CATMINT_KEEPALIVE_MS="1000")
        lab.run("ip", "link", "set", roce.INTERFACE, "down")
        status, output = ours.end()
        self.assertEqual(status, 0, output)
        for what in ("idle pop", "busy pop", "busy push"):
            # A request may fail before the device tells of its link.
            self.assertRegex(output, f"(?m)^{what}: (Connection timed out|Input/output error)$")
        self.assertIn(f"port 1 of {roce.DEVICE} is down", output)
        server.end(terminate=True)

    def test_removal_ends_everything(self):
        server, ours = self.begin(roce.address(4, 1))
        # Which takes until both have closed it.
        removal = subprocess.Popen(["rdma", "link", "delete", roce.DEVICE])
        status, output = ours.end()
        self.assertEqual(status, 0, output)
        for what in ("accept", "datagram pop", "idle pop", "busy pop", "busy push", "socket"):
            self.assertIn(f"{what}: No such device\n", output)
        roce.await_condition(lambda: "is gone: No such device" in server.output(),
                             "a server that sees it", server.process)
        server.end(terminate=True)
        self.assertEqual(removal.wait(timeout=guest.DEADLINE_S), 0)


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def prepare():
    """The addresses that the conformance programs use (tests/conformance/profile.c)."""
    roce.set_up()
    for address in ("10.0.0.1/24", "fd00::1/64"):
        lab.run("ip", "address", "replace", address, "dev", roce.INTERFACE, "nodad" if ":" in address
                else "noprefixroute")


def programs():
    """The cases of all conformance programs."""
    suite = unittest.TestSuite()
    for path in ARGUMENTS[3:]:
        area = os.path.basename(path).removeprefix("conformance-")
        for libos, (areas, environment) in PROGRAMS.items():
            if area in areas:
                suite.addTest(cases.Cases(f"{libos} {area}", [path],
                                          {"LIBOS": libos} | environment, PROGRAM_S,
                                          prepare=prepare))
    return suite


def load_tests(loader, _tests, _pattern):
    """In this order: the first wants a guest that has no device yet."""
    return unittest.TestSuite([*map(loader.loadTestsFromTestCase,
                                    (Doctor, Device, Traffic, Catmint, DeviceThatGoes)),
                               programs()])


DEMI_ECHO = sys.argv[1] if len(sys.argv) > 1 else ""
RDMA_END = sys.argv[3] if len(sys.argv) > 3 else ""
ARGUMENTS = sys.argv[1:sys.argv.index("--") if "--" in sys.argv else len(sys.argv)]

if __name__ == "__main__":
    roce.require()
    guest.main("--memory", "1024", "--timeout", "540")
