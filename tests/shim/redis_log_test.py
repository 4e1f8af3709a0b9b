#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Debian's redis-server on the stack, with its append-only file on the block device: what it has
acknowledged survives that it is killed, at any moment.

    [REDIS_KILLS=N] redis_log_test.py SHIM
"""

import hashlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

import stack
from resp import PORT, Redis, Refused
from stack import lab

KILLS = int(os.environ.get("REDIS_KILLS", "20"))
WRITERS = 4


def value_of(key):
    """One value for each key, of many lengths."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    return (digest * (1 + int(digest[:2], 16) // 4)).encode()


class Writer(threading.Thread):
    """Writes keys one after the other until the server is gone; knows which were acknowledged."""

    def __init__(self, host, name):
        super().__init__()
        self.redis, self.name, self.count = Redis(host), name, 0
        self.refused = None
        self.start()

    def run(self):
        try:
            while True:
                key = f"{self.name}:{self.count}"
                if self.redis("SET", key, value_of(key)) != "OK":
                    return
                self.count += 1
        except Refused as refused:
            self.refused = refused
        except OSError:
            pass
        except EOFError:
            pass
        finally:
            self.redis.close()

    def end(self):
        """The server is gone, and nobody there to say so; the keys that were acknowledged."""
        try:
            self.redis.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.join()
        return self.keys()

    def keys(self):
        return [f"{self.name}:{i}" for i in range(self.count)]


class Reader(Writer):
    """Asks for each key of a writer until it is there; knows of which it has heard."""

    def run(self):
        try:
            while True:
                key = f"{self.name}:{self.count}"
                if self.redis("GET", key) == value_of(key):
                    self.count += 1
        except (OSError, EOFError):
            pass
        finally:
            self.redis.close()


class Server(stack.Test):
    """A server that a test starts, ends and starts again in one folder."""
    tools = ("redis-server", "redis-check-aof")
    size = "256M"
    host = stack.address()
    end = 1

    def setUp(self):
        self.data = os.path.join(self.folder, self.id().rpartition(".")[2])
        os.makedirs(self.data)

    def variables(self):
        aof = f"{self.data}/appendonlydir"
        return {"LIBOS": "catnip+cattree",
                "DEMI_BLK_DEV": f"uring:{self.data}/disk.img,size={self.size}",
                "DEMI_SHIM_LOG_FILES": f"{aof}/*.incr.aof,{aof}/temp-*.incr"}

    def serve(self, fsync="always", *options, **more):  # pylint: disable=keyword-arg-before-vararg
        # It exits with 1 when it is told to end while it may not write.
        server = self.start(stack.NATIVE_REDIS or "redis-server", "--protected-mode", "no", "--save", "", "--appendonly",
                          "yes", "--appendfsync", fsync, "--dir", self.data,
                          "--auto-aof-rewrite-percentage", "0", *options, port=PORT,
                          folder=self.data, end=self.end, more=self.variables() | more)
        with self.connect() as redis:
            stack.wait_until(lambda: redis.info("persistence")["loading"] == "0", "it has loaded")
        return server

    def connect(self):
        return Redis(self.host)

    def check(self, keys):
        """Each has its value."""
        with self.connect() as redis:
            for start in range(0, len(keys), 500):
                some = keys[start:start + 500]
                for key in some:
                    redis.send("GET", key)
                for key in some:
                    self.assertEqual(redis.reply(), value_of(key), key)

    def check_all(self, keys):
        """And there is nothing with another."""
        self.check(keys)
        with self.connect() as redis:
            there = [key.decode() for key in redis("KEYS", "*")]
        self.check(there)
        return there

    def logs(self):
        return [name for name in os.listdir(f"{self.data}/appendonlydir")
                if name.endswith((".incr.aof", ".incr"))]

    def write_for(self, seconds, name):
        writers = [Writer(self.host, f"{name}-{i}") for i in range(WRITERS)]
        time.sleep(seconds)
        return writers

    def said_of_log(self, *words):
        """What demi-log says of the device, which no server has."""
        program = os.path.join(os.path.dirname(stack.SHIM), "../tools/log/demi-log")
        return subprocess.run([program, *words, "--blk", self.variables()["DEMI_BLK_DEV"]],
                              stdout=subprocess.PIPE, check=True, timeout=stack.DEADLINE_S).stdout

    @staticmethod
    def rewrite(redis):
        redis("BGREWRITEAOF")
        stack.wait_until(
            lambda: redis.info("persistence")["aof_rewrite_in_progress"] == "0" and
            redis.info("persistence")["aof_rewrite_scheduled"] == "0", "the rewrite is over")
        return redis.info("persistence")["aof_last_bgrewrite_status"]


class Always(Server):
    def test_killed_under_load(self):
        chance = random.Random(os.environ.get("REDIS_SEED", "killed"))
        acknowledged, seen = [], []
        for turn in range(KILLS):
            server = self.serve()
            there = self.check_all(acknowledged)
            self.check(seen)
            writers = self.write_for(0.01, f"turn{turn}")
            readers = [Reader(self.host, writer.name) for writer in writers]
            time.sleep(chance.uniform(0.02, 0.5))
            rewrites = turn % 4 == 3
            if rewrites:
                with self.connect() as redis:
                    redis("BGREWRITEAOF")
                    time.sleep(chance.uniform(0, 0.3))
            server.kill(signal.SIGKILL)
            for writer in writers:
                acknowledged += writer.end()
                self.assertIsNone(writer.refused)
            for reader in readers:
                seen += reader.end()
            self.assertGreaterEqual(len(there), turn)
        self.serve()
        there = self.check_all(acknowledged)
        self.check(seen)
        self.assertGreater(len(acknowledged), 20 * KILLS)
        self.assertGreater(len(seen), 5 * KILLS)
        # At most one of each writer's was under way at each end.
        self.assertLessEqual(len(there) - len(acknowledged), KILLS * WRITERS)
        self.assertEqual(self.logs(), [])

    def test_restart(self):
        server = self.serve()
        keys = [f"key{i}" for i in range(1000)]
        with self.connect() as redis:
            for key in keys:
                redis("SET", key, value_of(key))
            big = b"".join(bytes(block) for block in lab.stream_blocks(20 << 20))
            redis("SET", "big", big)
        server.end()
        self.assertEqual(self.logs(), [])
        server = self.serve()
        self.check(keys)
        with self.connect() as redis:
            self.assertEqual(redis("GET", "big"), big)
            self.assertEqual(redis("DEL", "big", keys[0]), 2)
            self.assertEqual(self.rewrite(redis), "ok")
        server.end()
        self.serve()
        self.check(keys[1:])
        with self.connect() as redis:
            self.assertEqual(redis("DBSIZE"), len(keys) - 1)

    def test_rewrite_under_load(self):
        server = self.serve()
        writers = self.write_for(0.2, "rewritten")
        with self.connect() as redis:
            for _ in range(4):
                self.assertEqual(self.rewrite(redis), "ok")
                time.sleep(0.1)
            redis("CONFIG", "SET", "appendonly", "no")
            # From now on, until the first rewrite ends, it is only in memory, and in temp-*.incr.
            redis("CONFIG", "SET", "appendonly", "yes")
            stack.wait_until(lambda: redis.info("persistence")["aof_rewrite_in_progress"] == "0",
                             "the first rewrite is over")
            time.sleep(0.2)
        server.kill(signal.SIGKILL)
        keys = []
        for writer in writers:
            keys += writer.end()
        self.serve()
        self.check_all(keys)

    @unittest.skipIf(stack.NATIVE_REDIS, "redis-check-aof is Debian's, and knows the logs by the shim")
    def test_check_aof(self):
        server = self.serve()
        with self.connect() as redis:
            redis("SET", "whole", "1")
            redis("SET", "cut", "2")
        server.kill(signal.SIGKILL)
        manifest = f"{self.data}/appendonlydir/appendonly.aof.manifest"
        more = self.variables() | {"LIBOS": "cattree"}
        if lab.DEVICE != "kernel":
            more["LD_PRELOAD"] = stack.SHIM
        said = stack.Program("redis-check-aof", manifest, end=None, more=more).wait()
        self.assertIn("All AOF files and manifest are valid", said)
        said = stack.Program(
            "python3", "-c", "import os, sys; name = sys.argv[1]; "
            "os.truncate(name, os.stat(name).st_size - 3)",
            f"{self.data}/appendonlydir/appendonly.aof.1.incr.aof", end=None, more=more).wait()
        said = stack.Program("redis-check-aof", manifest, end=None, more=more, statuses=(1,)).wait()
        self.assertIn("is not valid", said)
        yes = os.memfd_create("yes")
        os.write(yes, b"y\n")
        os.lseek(yes, 0, os.SEEK_SET)
        said = stack.Program("redis-check-aof", "--fix", manifest, end=None, more=more,
                             stdin=yes).wait()
        self.assertIn("Successfully truncated AOF", said)
        self.serve()
        with self.connect() as redis:
            self.assertEqual(redis("KEYS", "*"), [b"whole"])


    def test_log_is_an_append_only_file(self):
        """What demi-log reads out of the device is one."""
        server = self.serve()
        keys = [f"key{i}" for i in range(300)]
        with self.connect() as redis:
            for key in keys:
                redis("SET", key, value_of(key))
            redis("SET", "big", b"b" * (3 << 20))
        server.end()
        log, = (log["name"] for log in json.loads(self.said_of_log("list", "--json")))
        path = f"{self.data}/copy.aof"
        with open(path, "wb") as file:
            file.write(self.said_of_log("cat", "--raw", log))
        self.assertRegex(stack.here("redis-check-aof", path), r"AOF \S* ?is valid")
        self.assertGreater(os.path.getsize(path), 3 << 20)

    @unittest.skipUnless(stack.NATIVE_REDIS, "by the shim a file is a log from the start on, or none")
    def test_file_of_a_server_without_logs(self):
        """It is read and gone on with; a rewrite makes a log of it."""
        server = self.serve("always", LIBOS="catnip")
        with self.connect() as redis:
            redis("SET", "first", value_of("first"))
        server.end()
        files = self.logs()
        self.assertEqual(len(files), 1)
        for key in ("second", "third"):
            server = self.serve()
            with self.connect() as redis:
                redis("SET", key, value_of(key))
            server.kill(signal.SIGKILL)
            self.assertEqual(self.logs(), files)
        server = self.serve()
        self.assertEqual(len(self.check_all(["first", "second", "third"])), 3)
        with self.connect() as redis:
            self.assertEqual(self.rewrite(redis), "ok")
            redis("SET", "fourth", value_of("fourth"))
            stack.wait_until(lambda: self.logs() == [], "the file is gone")
        server.kill(signal.SIGKILL)
        self.serve()
        self.assertEqual(len(self.check_all(["first", "second", "third", "fourth"])), 4)


class EverySecond(Server):
    def test_killed(self):
        server = self.serve("everysec")
        writers = self.write_for(0.5, "early")
        with self.connect() as redis:
            redis("SET", "mark", value_of("mark"))
        early = {writer: writer.count for writer in writers}
        time.sleep(2.2)
        server.kill(signal.SIGKILL)
        keys = ["mark"]
        for writer in writers:
            keys += writer.end()[:early[writer]]
        self.serve("everysec")
        self.check_all(keys)


class Full(Server):
    size = "16M"

    def test_writes_are_refused_until_a_rewrite(self):
        def is_written(redis):
            said = redis.info("persistence")
            return said["aof_last_write_status"] != "ok" or int(said["aof_buffer_length"]) < 4 << 20

        server = self.serve("everysec")
        value = os.urandom(50000)
        count = 0
        with self.connect() as redis:
            with self.assertRaises(Refused) as refused:
                while count < 2000:
                    redis("SET", f"key{count % 10}", value)
                    count += 1
                    # Redis gathers for seconds while a slow fsync is under way; it has to find room later.
                    stack.wait_until(lambda: count % 10 != 0 or is_written(redis), "it is written")
            self.assertIn("MISCONF", str(refused.exception))
            self.assertGreater(count, 20)
            self.assertEqual(redis("GET", "key0"), value)
            # Until the old file is gone there is no room for the new one either.
            self.assertEqual(self.rewrite(redis), "ok")

            def takes():
                try:
                    return redis("SET", "after", "rewrite") == "OK"
                except Refused:
                    return False
            stack.wait_until(takes, "it takes writes again")
            time.sleep(2.2)
        server.kill(signal.SIGKILL)
        self.serve("everysec")
        with self.connect() as redis:
            self.assertEqual(redis("GET", "after"), b"rewrite")
            for i in range(10):
                self.assertEqual(redis("GET", f"key{i}"), value)

    def test_who_must_not_lose_a_write_ends(self):
        """With `always`: nobody is told of a write that has no place, and the rest is there again."""
        server = self.serve()
        server.statuses = (1,)
        writers = self.write_for(0.1, "kept")
        with self.connect() as redis, self.assertRaises((EOFError, ConnectionError)):
            for number in range(2000):
                redis("SET", f"big{number % 10}", os.urandom(50000))
        said = server.wait()
        self.assertRegex(said, "Can't (persist AOF|recover from AOF write error).*Exiting")
        keys = []
        for writer in writers:
            keys += writer.end()
            self.assertIsNone(writer.refused)
        self.assertGreater(len(keys), 0)
        self.serve("no").statuses = (0, 1)
        self.check(keys)


class OnCatnap(Server):
    """Its sockets are the kernel's, through Catnap."""
    host = stack.LOOPBACK
    end = None

    def variables(self):
        more = super().variables() | {
            "LIBOS": "catnap+cattree", "DEMI_NET_IP": f"{stack.LOOPBACK}/8",
            "DEMI_CATNAP_ENGINE": "epoll", "DEMI_RUNTIME_IDLE": "sleep", "DEMI_SHIM_TRACE": "1"}
        shimmed = lab.DEVICE != "kernel" and not stack.NATIVE_REDIS
        return more | ({"LD_PRELOAD": stack.SHIM} if shimmed else {})

    def test_killed_under_load(self):
        keys = []
        for turn in range(3):
            server = self.serve("always", "--bind", self.host)
            self.check_all(keys)
            writers = self.write_for(0.3, f"turn{turn}")
            server.kill(signal.SIGKILL)
            for writer in writers:
                keys += writer.end()
            said = "Ready to accept" if stack.NATIVE_REDIS else "files opened|is log"
            self.assertTrue(re.search(said, server.said()), server.said()[-500:])
        self.serve("always", "--bind", self.host)
        self.check_all(keys)


if __name__ == "__main__":
    stack.main()
