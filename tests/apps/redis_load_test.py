#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs demi-redis-load as a user does, against Debian's redis-server and against bad servers.

usage: redis_load_test.py DEMI_REDIS_LOAD [unittest's arguments]
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SKIPPED = 77
DEADLINE_S = 60
LOAD = ""
PASSWORD = "the secret"


def free_port():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


class RedisServer:
    """redis-server on a free port of its own, without files; answers when it is made."""

    def __init__(self, *options):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.folder = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir",
             self.folder.name, *options], stdout=subprocess.DEVNULL)
        until = time.monotonic() + DEADLINE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    self.end()
                    raise
                time.sleep(0.02)

    def cli(self, *words, value=None):
        """redis-cli, which says what the server has replied; @value becomes the last word."""
        options = ["-x"] if value is not None else []
        completed = subprocess.run(["redis-cli", "-p", str(self.port), *options, *words],
                                   input=value, capture_output=True, timeout=DEADLINE_S, check=True)
        return completed.stdout.removesuffix(b"\n")

    def end(self):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def command(address, *options):
    return [LOAD, "--addr", address, "--json", "-", "--quiet", *(str(word) for word in options)]


def load(address, *options, **keywords):
    return subprocess.run(command(address, *options), text=True, capture_output=True,
                          timeout=DEADLINE_S, **keywords)


def load_plainly(*options, **keywords):
    return subprocess.run([LOAD, *options], text=True, capture_output=True, timeout=DEADLINE_S,
                          **keywords)


@contextlib.contextmanager
def bad_server(replies):
    """A server that answers what it receives with each of @replies in turn, then waits for the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE_S)

        def serve():
            with contextlib.suppress(OSError):
                connection = listener.accept()[0]
                with connection:
                    connection.settimeout(DEADLINE_S)
                    for reply in replies:
                        connection.recv(65536)
                        connection.sendall(reply)
                    while connection.recv(65536):
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(DEADLINE_S)


class Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = RedisServer()
        cls.addClassCleanup(cls.server.end)

    def setUp(self):
        self.server.cli("FLUSHALL")

    def succeed(self, *options, server=None, **keywords):
        """The JSON of a run that must end well, after checking what must hold."""
        completed = load((server or self.server).address, *options, **keywords)
        self.assertEqual(completed.returncode, 0, completed.stderr)
        self.assertEqual(completed.stderr, "")
        result = json.loads(completed.stdout)
        self.assertIsNone(result["error"])
        self.assertEqual(result["errors"], 0)
        self.assertGreater(result["measured"], 0)
        latency = [result["latency_us"][key] for key in ("min", "p50", "p99", "p99.9", "max")]
        self.assertEqual(latency, sorted(latency))
        throughput = result["throughput"]
        self.assertAlmostEqual(throughput["requests_per_s"] * throughput["seconds"],
                               result["measured"], delta=result["measured"] * 1e-3 + 1)
        self.assertEqual(result["verified"], result["gets"] if result["parameters"]["verify"] else 0)
        return result

    def must_fail(self, message, *options, address=None, **keywords):
        """The JSON of a run that must fail with these words."""
        completed = load(address or self.server.address, *options, **keywords)
        self.assertEqual(completed.returncode, 1, completed.stderr)
        self.assertIn(message, completed.stderr)
        self.assertEqual(completed.stderr.count("\n"), 1)
        result = json.loads(completed.stdout)
        self.assertIn(message, result["error"])
        self.assertEqual(result["errors"], 1)
        return result

    # What works.

    def test_sizes(self):
        for size, keys, requests, connections in ((64, 500, 3000, 50), (4096, 200, 2000, 50),
                                                  (65536, 50, 600, 20), (1 << 20, 8, 60, 4)):
            for kind in ("get", "set", "mixed"):
                with self.subTest(size=size, command=kind):
                    self.server.cli("FLUSHALL")
                    result = self.succeed(
                        "--command", kind, "--ratio" if kind == "mixed" else "--seed",
                        "1:1" if kind == "mixed" else "7", "--size", size, "--keys", keys,
                        "--requests", requests, "--connections", connections, "--pipeline",
                        16 if size < 1 << 20 else 4, "--prefill", "--verify")
                    gets, sets = result["gets"], result["sets"] - keys
                    self.assertEqual(result["measured"], requests)
                    self.assertEqual(gets + sets, requests)
                    if kind == "mixed":
                        self.assertAlmostEqual(gets / requests, 0.5, delta=0.25)
                    else:
                        self.assertEqual(sets if kind == "get" else gets, 0)
                    self.assertEqual(self.server.cli("DBSIZE"), b"%d" % keys)
                    self.assertEqual(self.server.cli("STRLEN", f"key:{keys - 1:012}"), b"%d" % size)

    def test_small_sizes_copied_and_by_reference(self):
        for size in (1, 15, 16, 17, 1000):
            for most in (0, 1 << 20):
                with self.subTest(size=size, copy_max=most):
                    self.succeed("--command", "mixed", "--ratio", "1:2", "--size", size,
                                 "--copy-max", most, "--keys", 20, "--requests", 500,
                                 "--connections", 3, "--pipeline", 16, "--prefill", "--verify")

    def test_what_one_run_has_set_another_verifies(self):
        self.succeed("--prefill", "--command", "set", "--keys", 100, "--requests", 1000)
        self.assertEqual(self.succeed("--verify", "--keys", 100, "--requests", 500)["verified"], 500)

    def test_pipeline_of_more_than_one_push(self):
        result = self.succeed("--command", "mixed", "--connections", 1, "--pipeline", 4096, "--keys",
                              1000, "--requests", 20000, "--prefill", "--verify")
        self.assertEqual(result["measured"], 20000)

    def test_duration_and_warmup(self):
        result = self.succeed("--command", "set", "--duration", "0.4", "--warmup", "0.2", "--keys", 10)
        self.assertAlmostEqual(result["throughput"]["seconds"], 0.4, delta=0.2)
        self.assertGreater(result["sets"], result["measured"])

    def test_rate(self):
        result = self.succeed("--command", "set", "--duration", "0.5", "--rate", 2000)
        self.assertAlmostEqual(result["measured"], 1000, delta=50)
        self.assertEqual(self.succeed("--command", "set", "--requests", 7, "--rate", 1000)["measured"], 7)

    def test_keys_are_uniform_and_follow_from_the_seed(self):
        def keys(seed):
            self.server.cli("FLUSHALL")
            self.succeed("--command", "set", "--keys", 1000, "--requests", 700, "--seed", seed,
                         "--prefix", "{load}", "--size", 1)
            found = set(self.server.cli("KEYS", "*").split())
            self.assertTrue(all(key.startswith(b"{load}000000000") for key in found))
            return found

        first = keys(1)
        self.assertAlmostEqual(len(first), 1000 * (1 - 0.999 ** 700), delta=60)
        self.assertEqual(keys(1), first)
        self.assertNotEqual(keys(2), first)

    def test_table_and_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "results.json")
            completed = load_plainly("--addr", self.server.address, "--command", "set", "--requests",
                                     "100", "--json", path)
            self.assertEqual(completed.returncode, 0, completed.stderr)
            with open(path, encoding="utf-8") as file:
                self.assertEqual(json.load(file)["sets"], 100)
        self.assertIn("answered    0 GET, 100 SET, 0 nil, 0 errors; 0 values verified",
                      completed.stdout)
        self.assertRegex(completed.stdout, r"throughput  \d+ requests/s over \d+\.\d{3} s\n")
        self.assertRegex(completed.stdout, r"min +mean +p50 +p99 +p99\.9 +max\n( +\d+\.\d\d){6}\n")

    # Values that are wrong.

    def change(self, change, size=100, key=3):
        """Changes a value that a run has set, by redis-cli; returns it as it was."""
        self.succeed("--prefill", "--command", "set", "--keys", 5, "--requests", 10, "--size", size)
        name = f"key:{key:012}"
        before = self.server.cli("GET", name)
        self.assertEqual(len(before), size)
        self.server.cli("SET", name, value=change(before))
        return before

    def test_wrong_byte(self):
        before = self.change(lambda value: value[:77] + bytes([value[77] ^ 0x20]) + value[78:])
        self.must_fail(f"key:000000000003: offset 77: expected 0x{before[77]:02x}, "
                       f"got 0x{before[77] ^ 0x20:02x}", "--verify", "--keys", 5, "--size", 100)
        # It is for --verify alone to find.
        self.succeed("--keys", 5, "--size", 100, "--requests", 100)

    def test_wrong_byte_of_a_large_value(self):
        place = 1 << 19
        self.change(lambda value: value[:place] + bytes([value[place] ^ 1]) + value[place + 1:],
                    size=1 << 20)
        self.must_fail("wrong byte: ", "--verify", "--keys", 5, "--size", 1 << 20, "--pipeline", 2)

    def test_value_of_another_key(self):
        other = []

        def swap(_):
            other.append(self.server.cli("GET", "key:000000000004"))
            return other[0]

        self.change(swap)
        self.must_fail("wrong byte: connection", "--verify", "--keys", 5, "--size", 100)

    def test_value_of_another_size(self):
        self.change(lambda value: value + b"x")
        self.must_fail("wrong value: connection", "--verify", "--keys", 5, "--size", 100)

    def test_old_value(self):
        """A server that forgets a SET that it has answered, and has an older value again."""
        run = subprocess.Popen(command(self.server.address, "--command", "mixed", "--keys", 1, "--size",
                                       100, "--connections", 1, "--prefill", "--verify", "--duration",
                                       50), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.3)
        old = self.server.cli("GET", "key:000000000000")
        time.sleep(0.3)
        # Again and again, since the next SET heals it.
        for _ in range(100):
            if run.poll() is not None:
                break
            self.server.cli("SET", "key:000000000000", value=old)
        out, errors = run.communicate(timeout=DEADLINE_S)
        self.assertEqual(run.returncode, 1)
        self.assertIn("old value: connection 0, GET key:000000000000: version ", errors)
        self.assertGreater(json.loads(out)["verified"], 0)

    def test_no_value(self):
        result = self.must_fail("no such key: connection", "--keys", 5)
        self.assertEqual(result["nils"], 1)
        self.assertEqual(self.succeed("--keys", 5, "--requests", 100, "--allow-nil")["nils"], 100)

    def test_error_reply(self):
        self.server.cli("LPUSH", "key:000000000000", "a list")
        result = self.must_fail("error reply: connection", "--keys", 1)
        self.assertIn("WRONGTYPE", result["error"])
        self.assertEqual(result["error_replies"], 1)
        result = self.succeed("--keys", 1, "--requests", 100, "--allow-errors")
        self.assertEqual((result["error_replies"], result["gets"]), (100, 0))

    # The password.

    def test_password(self):
        server = RedisServer("--requirepass", PASSWORD)
        self.addCleanup(server.end)
        options = ("--command", "set", "--requests", 100, "--connections", 5)
        for more in (("--password", PASSWORD), ("--user", "default", "--password", PASSWORD)):
            self.assertEqual(self.succeed(*options, *more, server=server)["sets"], 100)
        self.succeed(*options, server=server, env={**os.environ, "REDISCLI_AUTH": PASSWORD})
        self.must_fail("NOAUTH Authentication required. (give it with --password)", *options,
                       address=server.address)
        self.must_fail("AUTH: WRONGPASS", *options, "--password", "wrong", address=server.address)
        self.must_fail("AUTH: ERR", *options, "--password", "wrong")

    # The end.

    def start(self, server):
        run = subprocess.Popen(command(server.address, "--command", "set", "--duration", 50), text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(run.stderr.close)
        self.addCleanup(run.stdout.close)
        self.addCleanup(run.kill)
        time.sleep(0.4)
        return run

    def test_killed_server(self):
        server = RedisServer()
        self.addCleanup(server.end)
        run = self.start(server)
        server.process.kill()
        out, errors = run.communicate(timeout=DEADLINE_S)
        self.assertEqual(run.returncode, 1)
        self.assertIn("server gone: connection ", errors)
        self.assertGreater(json.loads(out)["sets"], 0)

    def test_interrupt(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            run = self.start(self.server)
            run.send_signal(number)
            out, errors = run.communicate(timeout=DEADLINE_S)
            self.assertEqual((run.returncode, errors), (0, ""))
            self.assertTrue(json.loads(out)["interrupted"])

    def test_no_server(self):
        address = f"127.0.0.1:{free_port()}"
        self.must_fail(f"cannot connect to {address}: Connection refused", address=address)

    def test_more_connections_than_the_server_takes(self):
        server = RedisServer("--maxclients", "5")
        self.addCleanup(server.end)
        completed = load(server.address, "--command", "set", "--connections", 20)
        self.assertEqual(completed.returncode, 1)
        self.assertRegex(completed.stderr, "max number of clients reached|server gone")

    def test_bad_servers(self):
        cases = (
            ((b"HTTP/1.1 400 Bad Request\r\n",), "this is no Redis server's reply: connection 0, GET "),
            ((b"$64\r\n" + 66 * b"x",), "wrong byte"),
            ((b"+OK\r\n",), "wrong reply: connection 0, GET key:000000000000: +OK"),
            ((b":5\r\n",), "wrong reply: connection 0, GET key:000000000000: the number 5"),
            ((b"*1\r\n",), "wrong reply: connection 0, GET key:000000000000: an array of 1"),
            ((b"$-1\r\n$-1\r\n",), "wrong reply: connection 0, no request: one that was not asked for"),
            ((b"-NO \x1b[1m\r\n",), "error reply: connection 0, GET key:000000000000: NO ?[1m"),
        )
        for replies, message in cases:
            with self.subTest(message=message), bad_server(replies) as address:
                options = ("--allow-nil",) if replies[0].startswith(b"$-1") else ()
                self.must_fail(message, "--connections", 1, "--keys", 1, "--verify", *options,
                               address=address)

    # The command line.

    def test_refusals(self):
        for options, message in (
                ((), "--addr is missing"),
                (("--addr", "127.0.0.1:0"), "port 0; allowed: 1 to 65535"),
                (("--addr", "1.2.3.4", "--size", "0"), "--size 0 is out of range; allowed: 1 to"),
                (("--addr", "1.2.3.4", "--command", "del"), "allowed: get, set, mixed"),
                (("--addr", "1.2.3.4", "--command", "mixed", "--ratio", "9"), "allowed: GETS:SETS"),
                (("--addr", "1.2.3.4", "--ratio", "-1:2"), "allowed: GETS:SETS"),
                (("--addr", "1.2.3.4", "--ratio", "1:2x"), "allowed: GETS:SETS"),
                (("--addr", "1.2.3.4", "--ratio", "9:1"), "--ratio is for --command mixed"),
                (("--addr", "1.2.3.4", "--connections", "10000", "--pipeline", "4096"), "too many"),
                (("--addr", "1.2.3.4", "--user", "me"), "--user needs a --password"),
                (("--addr", "1.2.3.4", "--duration", "0"), "allowed: seconds from 0.1"),
                (("--addr", "1.2.3.4", "--nonsense"), "unknown option '--nonsense'"),
                (("--addr", "1.2.3.4", "word"), "'word' is one word too many")):
            with self.subTest(message=message):
                completed = load_plainly(*options)
                self.assertEqual(completed.returncode, 2)
                self.assertIn(message, completed.stderr)
                self.assertEqual(completed.stderr.count("\n"), 1)

    def test_help_names_every_option(self):
        completed = load_plainly("--help")
        self.assertEqual(completed.returncode, 0)
        page = os.path.join(os.path.dirname(__file__), "..", "..", "man", "demi-redis-load.1.scd")
        with open(page, encoding="utf-8") as file:
            manual = file.read()
        for word in set(completed.stdout.split()):
            if word.startswith("--"):
                self.assertIn(f"*{word.rstrip(',')}*", manual)


if __name__ == "__main__":
    LOAD = sys.argv.pop(1)
    for tool in ("redis-server", "redis-cli"):
        if not shutil.which(tool):
            print(f"SKIPPED: there is no {tool}")
            sys.exit(SKIPPED)
    unittest.main(verbosity=2)
