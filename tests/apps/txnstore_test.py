#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs stores of several servers as an operator does, with clients, and with servers that are killed.

usage: txnstore_test.py DEMI_TXNSTORE [unittest's arguments]

LIBOS is that of clients, and of servers without a log; DURABLE that of servers with one, if there is one.
"""

import contextlib
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PROGRAM = sys.argv.pop(1)
DEADLINE_S = 60
MASK = (1 << 64) - 1
COMMITTED, ABORTED, UNKNOWN, FULL = 0, 3, 4, 5


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]


def mix(number):
    """random_mix of apps/txnstore/random.h."""
    number = ((number ^ number >> 30) * 0xBF58476D1CE4E5B9) & MASK
    number = ((number ^ number >> 27) * 0x94D049BB133111EB) & MASK
    return number ^ number >> 31


def record_head(kind):
    return bytes([kind]) + bytes(24)


def framed(record):
    """As a record stands in a file."""
    total = len(record)
    for word in range(0, len(record) // 8 * 8 + 1, 8):
        total = mix(total ^ int.from_bytes(record[word:word + 8], "little"))
    return struct.pack("<IIQ", len(record), len(record) ^ 0x464C5844, total) + record


class Store:
    """Servers of all shards, each a process of its own."""

    def __init__(self, folder, shards=2, replicas=3, mode="serializable", log=False,
                 transport="tcp", size="128M", options=()):
        """@log: True: on a device; "file": in a file. @options: of all servers, at each start."""
        self.folder, self.log, self.size, self.servers = folder, log, size, {}
        self.options = options
        self.ports = [free_ports(replicas) for _ in range(shards)]
        self.config = os.path.join(folder, "store.yaml")
        with open(self.config, "w", encoding="ascii") as file:
            file.write(f"mode: {mode}\ntransport: {transport}\nf: {replicas // 2}\nshards:\n")
            for ports in self.ports:
                file.write("  - [" + ", ".join(f"127.0.0.1:{port}" for port in ports) + "]\n")
        self.start_all("--new")

    def start(self, shard, replica, *options):
        environment = dict(os.environ, DEMI_RUNTIME_IDLE="sleep")
        options = (*self.options, *options)
        if self.log == "file":
            options = ("--log", os.path.join(self.folder, f"{shard}.{replica}.log"), *options)
        elif self.log:
            image = os.path.join(self.folder, f"{shard}.{replica}.img")
            environment.update(LIBOS=os.environ["DURABLE"], DEMI_BLK_DEV=f"uring:{image},size={self.size}")
            options = ("--log", "txnstore", *options)
        output = os.path.join(self.folder, f"{shard}.{replica}.out")
        with open(output, "a", encoding="utf-8") as file:
            self.servers[shard, replica] = subprocess.Popen(
                [PROGRAM, "server", "--config", self.config, "--shard", str(shard),
                 "--replica", str(replica), *options],
                stdout=file, stderr=subprocess.STDOUT, env=environment)

    def start_all(self, *options):
        for shard, ports in enumerate(self.ports):
            for replica in range(len(ports)):
                self.start(shard, replica, *options)

    def said(self, shard, replica):
        with open(os.path.join(self.folder, f"{shard}.{replica}.out"), encoding="utf-8") as file:
            return file.read()

    def kill(self, shard, replica):
        server = self.servers.pop((shard, replica))
        server.kill()
        server.wait()

    def kill_all(self):
        for server in self.servers.values():
            server.kill()
        for server in self.servers.values():
            server.wait()
        self.servers.clear()

    def stop(self):
        """The exit statuses of servers that are told to end."""
        for server in self.servers.values():
            server.terminate()
        return [server.wait(DEADLINE_S) for server in self.servers.values()]

    def client(self, *words, config=None, timeout=20, lines=None):
        return subprocess.run(
            [PROGRAM, "client", "--config", config or self.config, "--timeout", str(timeout), *words],
            input=lines, capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    def primary_of(self, shard):
        """The replica that has said last that it leads."""
        views = {}
        for replica in range(len(self.ports[shard])):
            for line in self.said(shard, replica).splitlines():
                if line.endswith(", primary") and (shard, replica) in self.servers:
                    views[int(line.split("view ")[1].split(",")[0])] = replica
        return views[max(views)] if views else None

    def restart(self, shard, replica):
        """Until it takes part again."""
        before = len(self.said(shard, replica))
        self.start(shard, replica)
        self.wait_for_line(shard, replica, "normal", before)

    def wait_for_line(self, shard, replica, start, behind=0):
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            said = self.said(shard, replica)[behind:]
            if any(line.startswith(start) for line in said.splitlines()):
                return
            time.sleep(0.05)
        raise AssertionError(f"{shard}.{replica} did not say '{start}':\n{self.said(shard, replica)}")


class Shell:
    """A client that is told one command after the other."""

    def __init__(self, store, timeout=20):
        self.process = subprocess.Popen(
            [PROGRAM, "client", "--config", store.config, "--timeout", str(timeout)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(DEADLINE_S)
        self.process.stdout.close()

    def tell(self, line):
        self.process.stdin.write(line + "\n")

    def ask(self, line):
        self.tell(line)
        return self.process.stdout.readline().rstrip("\n")


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def store(self, **options):
        store = Store(self.folder, **options)
        self.addCleanup(store.kill_all)
        return store

    def assert_client(self, done, status, lines):
        self.assertEqual((done.returncode, done.stdout.splitlines()), (status, lines), done.stderr)


    def wait_for_more(self, committed, more=5):
        until, enough = time.monotonic() + DEADLINE_S, len(committed) + more
        while len(committed) < enough and time.monotonic() < until:
            time.sleep(0.005)
        self.assertGreaterEqual(len(committed), enough)


class Transactions(Case):
    TRANSPORT = "tcp"

    def store(self, **options):
        return super().store(transport=self.TRANSPORT, **options)

    def test_values_are_written_read_and_deleted_in_all_shards(self):
        store = self.store()
        keys = [f"key{i}" for i in range(20)]
        self.assert_client(store.client(*sum((["put", key, f"of-{key}"] for key in keys), [])),
                           COMMITTED, ["committed"])
        self.assert_client(store.client(*sum((["get", key] for key in keys), [])),
                           COMMITTED, [f"of-{key}" for key in keys] + ["committed"])
        self.assert_client(store.client("delete", "key3", "get", "key3"), COMMITTED,
                           ["(none)", "committed"])
        self.assert_client(store.client("get", "key3", "get", "key4"), COMMITTED,
                           ["(none)", "of-key4", "committed"])
        self.assertEqual(set(store.stop()), {0})

    def test_one_that_read_what_has_changed_is_aborted(self):
        store = self.store()
        with Shell(store) as one, Shell(store) as other:
            one.tell("begin")
            self.assertEqual(one.ask("get key"), "(none)")
            self.assertEqual(other.ask("put key theirs"), "committed")
            one.tell("put key mine")
            self.assertEqual(one.ask("commit"), "aborted")
            self.assertEqual(one.ask("get key"), "theirs")

    def test_one_given_up_leaves_nothing(self):
        store = self.store(shards=1)
        with Shell(store) as one:
            one.tell("begin")
            one.tell("put key mine")
            one.tell("abort")
            self.assertEqual(one.ask("get key"), "(none)")

    def test_what_is_refused_is_no_part_of_a_transaction(self):
        store = self.store(shards=1)
        large, long_key = "x" * ((1 << 20) + 1), "k" * 1025
        for lines, said, told in (
                (["begin", "put a 1", f"put b {large}", "commit"], ["aborted"], "a value at most"),
                (["begin", "put a 1", "pot b 2", "commit"], ["aborted"], "'pot': no such command"),
                (["begin", "put a 1", f"get {long_key}", "commit"], ["aborted"], "1 to 1024 bytes"),
                (["begin", "put a 1", "begin", "put b 1", "commit"], ["aborted"], "'begin': there is"),
                (["begin", "put a 1"], [], "there is no commit behind it"),
                (["commit"], [], "'commit': no transaction"),
                (["abort"], [], "'abort': no transaction"),
                ([f"put {long_key} 1"], [], "a key has 1 to 1024 bytes")):
            with self.subTest(lines[-2:]):
                done = store.client(lines="\n".join(lines) + "\n")
                self.assertEqual((done.returncode, done.stdout.splitlines()), (1, said))
                self.assertIn(told, done.stderr)
        for words in (("get", long_key), ("put", "a", "1", "put", "b", "2", "get", long_key)):
            self.assertEqual(store.client(*words).returncode, 1)
        self.assert_client(store.client("get", "a", "get", "b"), COMMITTED,
                           ["(none)", "(none)", "committed"])

    def test_large_values(self):
        store = self.store(shards=1)
        large = "x" * (1 << 20)
        with Shell(store) as one:
            self.assertEqual(one.ask(f"put key {large}"), "committed")
            self.assertEqual(one.ask("get key"), large)
            one.process.stdout.readline()
            one.tell(f"put key {large}x")
            self.assertEqual(one.ask("get key"), large)

    def test_the_largest_transaction(self):
        store = self.store(shards=1)
        # Of 8,388,588 bytes 38 are its own, and 8 of each of the keys.
        sizes = [1 << 20] * 7 + [8388588 - 38 - 8 * 8 - 7 * (1 << 20)]
        lines = [f"put k{number} {'v' * size}" for number, size in enumerate(sizes)]
        done = store.client(lines="\n".join(["begin", *lines, "commit", "begin", *lines, "delete x",
                                            "commit", "put other value"]) + "\n")
        self.assertEqual((done.returncode, done.stdout), (0, "committed\n" * 2), done.stderr)
        self.assertIn("at most 8388588 bytes", done.stderr)
        self.assert_client(store.client("get", "other", "get", "x"), COMMITTED,
                           ["value", "(none)", "committed"])

    def test_weak_mode(self):
        store = self.store(mode="quorum")
        self.assert_client(store.client("put", "key", "value"), COMMITTED, ["committed"])
        store.kill(0, 1)
        store.kill(1, 2)
        self.assert_client(store.client("put", "key", "other", "put", "a", "b"), COMMITTED,
                           ["committed"])


class TransactionsOverDatagrams(Transactions):
    TRANSPORT = "udp"

    def test_what_is_no_message_is_dropped(self):
        store = self.store(shards=1)
        store.wait_for_line(0, 0, "normal")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for size in (0, 1, 23, 24, 112, 1400, 60000):
                sock.sendto(bytes(size), ("127.0.0.1", store.ports[0][0]))
                sock.sendto(b"DXU1" + os.urandom(size), ("127.0.0.1", store.ports[0][0]))
        self.assert_client(store.client("put", "key", "value", "get", "key"), COMMITTED,
                           ["value", "committed"])
        store.wait_for_line(0, 0, "demi-txnstore server: a connection was closed, or a datagram "
                                  "dropped: what came from 127.0.0.1:")
        self.assertIn(" is no message", store.said(0, 0))


class Check(Case):
    def check(self, store, *words):
        return subprocess.run([PROGRAM, "check", "--config", store.config, "--seconds", "1", *words],
                              capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    def test_nothing_is_wrong(self):
        store = self.store()
        for kind in "bank", "graph", "register":
            with self.subTest(kind):
                done = self.check(store, "--check", kind)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertRegex(done.stdout, f"^{kind}, seed [0-9]+: [1-9][0-9]* committed, .*\n"
                                              "nothing is wrong\n$")

    def test_without_servers(self):
        store = self.store(shards=1)
        store.kill_all()
        done = self.check(store, "--check", "register")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nothing was committed", done.stderr)

    def test_wrong_command_lines_are_refused(self):
        for words, told in (((), "--config is missing"),
                            (("--config", "x", "--check", "x"), "allowed: bank, graph, register"),
                            (("--config", "x", "--clients", "17"), "out of range"),
                            (("--config", "x", "more"), "'more' is not an option")):
            with self.subTest(words):
                done = subprocess.run([PROGRAM, "check", *words], capture_output=True, text=True,
                                      timeout=DEADLINE_S, check=False)
                self.assertEqual(done.returncode, 2)
                self.assertIn(told, done.stderr)


class Bench(Case):
    def bench(self, store, *words):
        path = os.path.join(self.folder, "results.json")
        done = subprocess.run(
            [PROGRAM, "bench", "--config", store.config, "--json", path, "--seconds", "0.5",
             "--warm-up", "0.1", "--clients", "8", *words],
            capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    def test_loads(self):
        store = self.store()
        for words in (("--load", "--records", "200"), ("--workload", "retwis", "--records", "200"),
                      ("--workload", "ycsb-e", "--key-bytes", "64", "--value-bytes", "700",
                       "--records", "200"),
                      ("--records", "200", "--rate", "200", "--pace", "even")):
            with self.subTest(words):
                results = self.bench(store, *words)
                self.assertGreater(results["committed"], 0)
                self.assertGreater(results["reads"], 0)
                self.assertEqual((results["wrong"], results["unknown"]), (0, 0))
                if words[0] == "--load":
                    self.assertEqual(results["absent"], 0)
                self.assertEqual([results[name] for name in ("libos", "mode", "transport", "seed",
                                                             "warm_up_seconds", "operations")],
                                 [os.environ["LIBOS"], "serializable", "tcp", 1, 0.1, 1])
                self.assertIn(results["distribution"], ("uniform", "zipfian", "scrambled", "latest"))
                latency = results["latency_us"]
                self.assertTrue(0 < latency["p50"] <= latency["p99"] <= latency["p99.9"])

    def test_without_servers(self):
        store = self.store(shards=1)
        store.kill_all()
        for words in (("--load",), ()):
            with self.subTest(words):
                done = subprocess.run(
                    [PROGRAM, "bench", "--config", store.config, "--seconds", "0.2", "--warm-up", "0",
                     *words], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn("no answer came", done.stderr)

    def test_values_of_somebody_else_are_wrong(self):
        store = self.store(shards=1, replicas=1)
        self.bench(store, "--load", "--records", "20")
        done = subprocess.run(
            [PROGRAM, "bench", "--config", store.config, "--seconds", "0.2", "--records", "20",
             "--value-bytes", "100"],
            capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(done.returncode, 1, done.stdout)

    def test_wrong_command_lines_are_refused(self):
        for words, told in (((), "--config is missing"),
                            (("--config", "x", "--workload", "ycsb-z"), "allowed: ycsb-a"),
                            (("--config", "x", "--clients", "0"), "out of range"),
                            (("--config", "x", "--value-bytes", "2000000"), "value"),
                            (("--config", "x", "--pace", "slow"), "allowed: even, poisson")):
            with self.subTest(words):
                done = subprocess.run([PROGRAM, "bench", *words], capture_output=True, text=True,
                                      timeout=DEADLINE_S, check=False)
                self.assertEqual(done.returncode, 2)
                self.assertIn(told, done.stderr)


class Failures(Case):
    def test_store_goes_on_without_its_primary_and_takes_it_back(self):
        store = self.store(shards=1)
        self.assert_client(store.client("put", "key", "before"), COMMITTED, ["committed"])
        first = store.primary_of(0)
        store.kill(0, first)
        self.assert_client(store.client("get", "key", "put", "other", "after"), COMMITTED,
                           ["before", "committed"])
        store.restart(0, first)
        second = store.primary_of(0)
        self.assertNotEqual(first, second)
        store.kill(0, second)
        self.assert_client(store.client("get", "key", "get", "other"), COMMITTED,
                           ["before", "after", "committed"])

    def test_without_a_majority_nothing_is_said_to_be_done(self):
        store = self.store(shards=1)
        self.assert_client(store.client("put", "key", "before"), COMMITTED, ["committed"])
        store.kill(0, 0)
        store.kill(0, 1)
        done = store.client("put", "key", "after", timeout=2)
        self.assert_client(done, UNKNOWN, ["unknown"])

    @unittest.skipUnless(os.environ.get("DURABLE"), "there are no logs here")
    def test_what_was_acknowledged_is_there_after_all_were_killed(self):
        self.kill_all_again_and_again(True)

    @unittest.skipUnless(os.environ.get("LIBOS") == "catnap", "there are no files here")
    def test_what_was_acknowledged_is_in_files_after_all_were_killed(self):
        self.kill_all_again_and_again("file")

    @unittest.skipUnless(os.environ.get("LIBOS") == "catnap", "there are no files here")
    def test_end_of_a_file_may_be_torn(self):
        store = self.store(shards=1, replicas=1, log="file")
        for number in range(5):
            self.assert_client(store.client("put", f"key{number}", "value"), COMMITTED, ["committed"])
        store.kill_all()
        path = os.path.join(self.folder, "0.0.log")
        with open(path, "r+b") as file:
            file.truncate(os.path.getsize(path) - 1)
        store.start(0, 0)
        self.assert_client(store.client("get", "key3", "put", "key4", "again"), COMMITTED,
                           ["value", "committed"])
        self.assertIn("its end was not whole", store.said(0, 0))
        store.kill_all()
        store.start(0, 0)
        self.assert_client(store.client("get", "key0", "get", "key4"), COMMITTED,
                           ["value", "again", "committed"])
        store.kill_all()
        with open(path, "r+b") as file:
            file.seek(100)
            file.write(b"damage")
        store.start(0, 0)
        self.assertEqual(store.servers[0, 0].wait(DEADLINE_S), 1)
        self.assertRegex(store.said(0, 0), "record [0-9]+ is damaged")

    def kill_all_again_and_again(self, log):
        store = self.store(log=log)
        acknowledged, count = {}, [0]
        stop = threading.Event()

        def write():
            with Shell(store) as shell:
                for number in range(100000):
                    if stop.is_set():
                        break
                    key = f"key{number % 50}"
                    if shell.ask(f"put {key} {number}") == "committed":
                        acknowledged[key] = number
                        count[0] += 1

        writer = threading.Thread(target=write)
        writer.start()
        for _ in range(3):
            until, enough = time.monotonic() + DEADLINE_S, count[0] + random.randint(5, 100)
            while count[0] < enough and time.monotonic() < until:
                time.sleep(0.005)
            self.assertGreaterEqual(count[0], enough)
            store.kill_all()
            store.start_all()
        stop.set()
        writer.join(DEADLINE_S)
        self.assertGreater(len(acknowledged), 0)
        for key, number in acknowledged.items():
            done = store.client("get", key)
            self.assertEqual(done.returncode, COMMITTED, done.stderr)
            # One of no known outcome may have come behind it.
            self.assertGreaterEqual(int(done.stdout.splitlines()[0]), number)

    @unittest.skipUnless(os.environ.get("DURABLE"), "there are no logs here")
    def test_full_disk(self):
        store = self.store(shards=1, replicas=1, log=True, size="16M")
        count, value = 0, "v" * 100000
        with Shell(store, timeout=2) as shell:
            while shell.ask(f"put key{count} {value}") == "committed":
                count += 1
                self.assertLess(count, 400)
            self.assertEqual(store.servers[0, 0].wait(DEADLINE_S), 1)
        self.assertIn("txnstore: No space left on device", store.said(0, 0))
        self.assertIn("--log-mib", store.said(0, 0))
        self.assertGreater(count, 20)
        store.restart(0, 0)
        done = store.client(lines="".join(f"get key{number}\n" for number in range(count)))
        self.assertTrue(done.stdout == f"{value}\ncommitted\n" * count, done.stderr)

    def fill(self, store, value):
        """Return: how many keys there are, when there is no more room."""
        count = 0
        with Shell(store) as shell:
            while (said := shell.ask(f"put key{count} {value}")) == "committed":
                count += 1
                self.assertLess(count, 1000)
            self.assertEqual(said, "full")
        return count

    def assert_filled(self, store, value, first, count):
        done = store.client(lines="".join(f"get key{number}\n" for number in range(first, count)))
        self.assertTrue(done.stdout == f"{value}\ncommitted\n" * (count - first), done.stderr)

    @unittest.skipUnless(os.environ.get("DURABLE"), "there are no logs here")
    def test_store_whose_logs_are_full_goes_on(self):
        store = self.store(shards=1, log=True, size="16M", options=("--log-mib", "14"))
        value = "v" * 100000
        count = self.fill(store, value)
        self.assertGreater(count, 15)
        self.assertIn("--log-mib", "".join(store.said(0, replica) for replica in range(3)))
        for _ in range(3):
            store.kill_all()
            store.start_all()
            self.assert_filled(store, value, 0, count)
            self.assert_client(store.client("put", "more", value), FULL, ["full"])
        # What has room again can be written, and be written over many times.
        self.assert_client(store.client("delete", "key0", "delete", "key1"), COMMITTED, ["committed"])
        with Shell(store) as shell:
            for number in range(100):
                self.assertEqual(shell.ask(f"put key0 {number}{value}"), "committed")
        self.assert_filled(store, value, 2, count)
        self.assertEqual(store.stop(), [0, 0, 0])

    def test_full_memory(self):
        for mode in "serializable", "quorum":
            with self.subTest(mode):
                store = self.store(shards=1, mode=mode, options=("--memory-mib", "1"))
                value = "v" * 50000
                count = self.fill(store, value)
                self.assertIn("its memory has no more room, --memory-mib",
                              "".join(store.said(0, replica) for replica in range(3)))
                self.assert_client(store.client("put", "more", value), FULL, ["full"])
                for number in range(count - 1):
                    self.assert_client(store.client("delete", f"key{number}"), COMMITTED,
                                       ["committed"])
                self.assert_client(store.client("put", "more", value), COMMITTED, ["committed"])
                self.assert_filled(store, value, count - 1, count)
                store.kill_all()

    def test_transfers_keep_their_sum_while_primaries_are_killed(self):
        store = self.store()
        accounts = [f"account{i}" for i in range(6)]
        self.assert_client(store.client(*sum((["put", name, "100"] for name in accounts), [])),
                           COMMITTED, ["committed"])
        stop, committed = threading.Event(), []

        def transfer(seed):
            chance = random.Random(seed)
            with Shell(store) as shell:
                while not stop.is_set():
                    one, other = chance.sample(accounts, 2)
                    shell.tell("begin")
                    balances = [shell.ask(f"get {one}"), shell.ask(f"get {other}")]
                    if not all(text.lstrip("-").isdigit() for text in balances):
                        shell.tell("abort")
                        continue
                    shell.tell(f"put {one} {int(balances[0]) - 1}")
                    shell.tell(f"put {other} {int(balances[1]) + 1}")
                    if shell.ask("commit") == "committed":
                        committed.append(seed)

        clients = [threading.Thread(target=transfer, args=(seed,)) for seed in range(3)]
        for client in clients:
            client.start()
        for shard in 0, 1:
            self.wait_for_more(committed)
            gone = store.primary_of(shard)
            store.kill(shard, gone)
            self.wait_for_more(committed)
            store.restart(shard, gone)
        stop.set()
        for client in clients:
            client.join(DEADLINE_S)
        self.assertGreater(len(committed), 0)
        done = store.client(*sum((["get", name] for name in accounts), []))
        self.assertEqual(done.returncode, COMMITTED, done.stderr)
        self.assertEqual(sum(int(line) for line in done.stdout.splitlines()[:-1]), 600)


class BadUse(Case):
    def server(self, *words):
        return subprocess.run([PROGRAM, "server", *words], capture_output=True, text=True,
                              timeout=DEADLINE_S, check=False)

    def config(self, text):
        path = os.path.join(self.folder, "bad.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_wrong_files_are_refused_with_the_line(self):
        for text, told in (
                ("mode: strict\n", "line 1: mode is serializable or quorum"),
                ("mode: quorum\n", "there are no shards"),
                ("transport: pigeon\n", "line 1: transport is tcp or udp"),
                ("shards:\n  - [127.0.0.1:1, 127.0.0.1:2]\n", "line 2: a shard has an odd number"),
                ("shards:\n  - [127.0.0.1:1]\n  - [127.0.0.1:1]\n", "line 3: this address stands"),
                ("shards:\n  - [127.0.0.1]\n", "line 2: "),
                ("shards: 5\n", "line 1: shards: a list"),
                ("replicas: 5\n", "line 1: the keys of this file"),
                ("mode: quorum\nmode: serializable\n", "line 2: mode stands here twice"),
                ("transport: tcp\ntransport: tcp\n", "line 2: transport stands here twice"),
                ("f: 0\nf: 0\n", "line 2: f stands here twice"),
                ("f: 2\nshards:\n  - [127.0.0.1:1, 127.0.0.1:2, 127.0.0.1:3]\n",
                 "line 1: f is 1 where a shard has 3 replicas"),
                ("shards:\n  - [127.0.0.1:1]\n  - [127.0.0.1:2, 127.0.0.1:3, 127.0.0.1:4]\n",
                 "line 3: all shards have as many"),
                ("shards: [\n", "line 2: "),
                ("", "the file is a mapping")):
            with self.subTest(text):
                done = self.server("--config", self.config(text), "--shard", "0", "--replica", "0")
                self.assertEqual(done.returncode, 1)
                self.assertIn(told, done.stderr)

    def test_wrong_command_lines_are_refused(self):
        path = self.config("shards:\n  - [127.0.0.1:1]\n")
        for words, status, told in (
                ((), 2, "--config, --shard and --replica are needed"),
                (("--config", path, "--shard", "1", "--replica", "0"), 1, "1 shards of 1 replicas"),
                (("--config", path, "--shard", "0", "--replica", "x"), 2, "not a whole number"),
                (("--config", "/nowhere", "--shard", "0", "--replica", "0"), 1, "No such file"),
                (("--config", path, "--shard", "0", "--replica", "0", "more"), 2, "'more'")):
            with self.subTest(words):
                done = self.server(*words)
                self.assertEqual(done.returncode, status)
                self.assertIn(told, done.stderr)

    def test_single_replica_that_has_lost_all_serves_nobody(self):
        store = self.store(shards=1, replicas=1)
        self.assert_client(store.client("put", "key", "value"), COMMITTED, ["committed"])
        store.kill_all()
        store.start(0, 0)
        store.wait_for_line(0, 0, "recovering")
        self.assert_client(store.client("put", "key", "value", timeout=1), UNKNOWN, ["unknown"])
        self.assertIn("there is no other replica to get it from", store.said(0, 0))

    def test_more_memory_than_there_is_is_refused(self):
        path = self.config("shards:\n  - [127.0.0.1:1]\n")
        done = subprocess.run(
            [PROGRAM, "server", "--config", path, "--shard", "0", "--replica", "0", "--memory-mib",
             "100", "--new"], capture_output=True, text=True, timeout=DEADLINE_S, check=False,
            env=dict(os.environ, DEMI_HEAP_MAX_BYTES="64M"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("--memory-mib: it is 100, but Demi's heap has 64 MiB", done.stderr)

    def test_client_of_another_configuration_is_not_served(self):
        store = self.store(shards=1, replicas=1)
        with open(store.config, encoding="ascii") as file:
            path = self.config(file.read() + f"  - [127.0.0.1:{free_ports(1)[0]}]\n")
        # Of so many keys some are of the shard that is there.
        done = store.client(*sum((["put", f"key{i}", "value"] for i in range(20)), []), config=path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another configuration than this file", done.stderr)
        self.assertRegex(store.said(0, 0), "127.0.0.1:[0-9]+ has another configuration")
        self.assert_client(store.client("get", "key"), COMMITTED, ["(none)", "committed"])

    def test_what_is_no_message_ends_its_connection_alone(self):
        store = self.store(shards=1, replicas=1)
        self.assert_client(store.client("put", "key", "value"), COMMITTED, ["committed"])
        for bytes_sent in b"\0" * 100, b"GET / HTTP/1.0\r\n\r\n" + b"x" * 100, os.urandom(1000):
            with socket.create_connection(("127.0.0.1", store.ports[0][0]), DEADLINE_S) as sock:
                sock.sendall(bytes_sent)
                self.assertEqual(sock.recv(1), b"")
        self.assertRegex(store.said(0, 0), "what came from 127.0.0.1:[0-9]+ is no message")
        # What is of another version is told as that, and nothing else is because of it.
        for bytes_sent, times, told in ((b"DTX2" + bytes(100), 20, "of another version"),
                                        (bytes(100), 200, "no message")):
            before = len(store.said(0, 0))
            for _ in range(times):
                with socket.create_connection(("127.0.0.1", store.ports[0][0]), DEADLINE_S) as sock:
                    sock.sendall(bytes_sent)
                    self.assertEqual(sock.recv(1), b"")
            self.assertIn(f" is {told}", store.said(0, 0)[before:].splitlines()[-1])
        self.assert_client(store.client("get", "key"), COMMITTED, ["value", "committed"])

    @unittest.skipUnless(os.environ.get("LIBOS") == "catnap", "there are no files here")
    def test_log_of_another_is_refused(self):
        store = self.store(shards=2, replicas=1, log="file")
        self.assert_client(store.client("put", "key", "value"), COMMITTED, ["committed"])
        self.assertEqual(store.stop(), [0, 0])
        paths = [os.path.join(self.folder, f"{shard}.0.log") for shard in range(2)]
        with open(paths[0], "rb") as file:
            content = file.read()
        for bytes_there, told in (
                (content, "it is the log of replica 0 of 1 of shard 0 of 2; this one is replica 0 of 1 "
                          "of shard 1 of 2"),
                (framed(record_head(16) + b"DTXL" + b"\2\0" + bytes(30)), "of another version"),
                (framed(record_head(8)), "of another version"),
                (b"[store]\nname = x\n" * 20, "record 0 is damaged")):
            with self.subTest(told), open(paths[1], "wb") as file:
                file.write(bytes_there)
                file.flush()
                store.start(1, 0)
                self.assertEqual(store.servers[1, 0].wait(DEADLINE_S), 1)
                self.assertIn(told, store.said(1, 0))

    @unittest.skipUnless(os.environ.get("DURABLE"), "there are no logs here")
    def test_new_store_over_a_log_that_has_one_is_refused(self):
        store = self.store(shards=1, replicas=1, log=True)
        self.assert_client(store.client("put", "key", "value"), COMMITTED, ["committed"])
        self.assertEqual(store.stop(), [0])
        store.start(0, 0, "--new")
        self.assertEqual(store.servers[0, 0].wait(DEADLINE_S), 1)
        self.assertIn("this log has a replica in it", store.said(0, 0))
        store.start(0, 0)
        self.assert_client(store.client("get", "key"), COMMITTED, ["value", "committed"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
