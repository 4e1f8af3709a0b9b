#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
redis-server on queues of Demi's (apps/redis), over Catnip: what its own reading, parsing and replying
by reference could do wrong. Clients are the kernel's.

    NATIVE_REDIS=FILE native_test.py SHIM
"""

import contextlib
import os
import random
import socket
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../shim"))
sys.path.insert(0, os.path.join(HERE, "../net"))

import stack  # noqa: E402
import tcp_path_test  # noqa: E402
from resp import PORT, Redis, Refused  # noqa: E402
from stack import lab  # noqa: E402

SECONDS = float(os.environ.get("REDIS_SECONDS", "6"))
BYTES = 64 << 10
KEYS = 8


def server_words(*options):
    return (stack.NATIVE_REDIS, "--protected-mode", "no", "--save", "", *options)


def connect(**keywords):
    return Redis(stack.address(), **keywords)


def value_of(key, version, size):
    """Each byte tells whose it is: a piece of another version, or of another key, differs."""
    block = b"%s:%d:" % (key.encode(), version)
    return (block * (size // len(block) + 1))[:size]


def used_memory(redis):
    return int(redis.info("memory")["used_memory"])


class Served(stack.Test):
    options = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.start_for_all(*server_words(*cls.options), port=PORT, folder=cls.folder)


class InFlight(Served):
    """
    Values of which replies are under way, or lost and to be sent again, are replaced, deleted and
    written into meanwhile: a reply is one version, whole.
    """

    def whole(self, key, value):
        if value is None:
            return
        added = len(value) - len(value.rstrip(b"+"))
        value = value[:len(value) - added]
        if not value:
            return  # appended to nothing
        name, version = value.split(b":")[:2]
        self.assertEqual(name, key.encode())
        self.assertEqual(value, value_of(key, int(version), len(value)), f"{key}, {version}")
        self.assertIn(len(value), (BYTES, BYTES // 8))

    def change(self, end, number):
        chance = random.Random(number)
        version = number << 32
        with connect(timeout=60) as redis:
            while not end.is_set():
                key, version = f"key{chance.randrange(KEYS)}", version + 1
                size = chance.choice((BYTES, BYTES // 8))
                value = value_of(key, version, size)
                how = chance.randrange(6)
                if how == 0:
                    redis("APPEND", key, "+")
                elif how == 1:
                    # Written into, as far as it reaches: in one step for those who look.
                    redis("EVAL", "redis.call('DEL', KEYS[2]) redis.call('SET', KEYS[2], ARGV[1]) "
                          "redis.call('SETRANGE', KEYS[2], 0, ARGV[1]) "
                          "return redis.call('RENAME', KEYS[2], KEYS[1])", 2, key, f"other{number}",
                          value)
                elif how == 2:
                    redis("DEL", key)
                elif how == 3:
                    redis("EVAL", "if redis.call('STRLEN', KEYS[1]) == #ARGV[1] then "
                          "redis.call('SETRANGE', KEYS[1], 0, ARGV[1]) end", 1, key, value)
                elif how == 4:
                    self.whole(key, redis("GETSET", key, value))
                else:
                    redis("SET", key, value)

    def look(self, end, number, replies):
        chance = random.Random(-number - 1)
        with connect(timeout=60) as redis:
            while not end.is_set():
                keys = [f"key{chance.randrange(KEYS)}" for _ in range(chance.randrange(1, 9))]
                for key in keys:
                    redis.send(*(("GET", key) if chance.randrange(4) else ("MGET", key)))
                for key in keys:
                    value = redis.reply()
                    self.whole(key, value[0] if isinstance(value, list) else value)
                    replies[number] += 1

    def churn(self):
        end, replies = threading.Event(), [0] * 6
        threads = [lab.Thread(self.change, end, i) for i in range(3)] + \
            [lab.Thread(self.look, end, i, replies) for i in range(6)]
        time.sleep(SECONDS)
        end.set()
        for thread in threads:
            thread.end()
        print(f"# {sum(replies)} replies")
        self.assertGreater(sum(replies), 100)

    def test_without_loss(self):
        self.churn()

    def test_with_loss(self):
        with tcp_path_test.Lossy(0.02):
            self.churn()

    def test_nothing_is_kept(self):
        """Memory is what it was, when the values are gone."""
        with connect() as redis:
            redis("FLUSHALL")
            before = used_memory(redis)
            for i in range(200):
                redis("SET", "key", value_of("key", i, BYTES))
                redis.send("GET", "key")
                redis.send("DEL", "key")
                self.whole("key", redis.reply())
                self.assertEqual(redis.reply(), 1)
            stack.wait_until(lambda: used_memory(redis) < before + 4 * BYTES, "the values' memory is free")


    def test_databases_that_another_thread_frees(self):
        """Redis's own, that of FLUSHALL ASYNC, and replies let go of the same values: once each."""
        keys = [f"key{i}" for i in range(300)]
        size = 4096
        with connect() as redis, contextlib.ExitStack() as clients:
            redis("FLUSHALL")
            looking = [clients.enter_context(connect(timeout=60)) for _ in range(8)]
            before = used_memory(redis)
            for version in range(20):
                for key in keys:
                    redis.send("SET", key, value_of(key, version, size))
                for key in keys:
                    self.assertEqual(redis.reply(), "OK")
                for client in looking:
                    client.sock.sendall(b"".join(client.encode("GET", key) for key in keys))
                self.assertEqual(redis("FLUSHALL", "ASYNC"), "OK")
                for client in looking:
                    for key in keys:
                        self.assertIn(client.reply(), (None, value_of(key, version, size)))
            stack.wait_until(lambda: used_memory(redis) < before + 50 * size, "the values' memory is free")
            self.assertEqual(redis.info("memory")["lazyfree_pending_objects"], "0")


class Memory(Served):
    def test_it_is_of_the_heap(self):
        with connect() as redis:
            self.assertEqual(redis.info("memory")["mem_allocator"], "demi")
            # What is larger than the largest class takes whole units of it.
            redis("SET", "large", b"v" * 140000)
            self.assertIn(redis("MEMORY", "USAGE", "large"), range(262144, 262144 + 1024))

    def test_replies_refer_to_the_value(self):
        """However many are under way, and when it was replaced, they are not copies."""
        value = value_of("referred", 1, 2 << 20)
        with connect() as redis, contextlib.ExitStack() as clients:
            redis("SET", "referred", value)
            slow = [clients.enter_context(connect(timeout=60)) for _ in range(20)]
            before = used_memory(redis)
            for client in slow:
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.send("GET", "referred")
            stack.wait_until(lambda: redis.info("commandstats")["cmdstat_get"].startswith("calls=20,"),
                             "all have been answered")
            self.assertLess(used_memory(redis), before + 2 * len(value))
            redis("SET", "referred", "another")
            self.assertGreater(used_memory(redis), before - len(value))
            for client in slow:
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                self.assertEqual(client.reply(), value)
            stack.wait_until(lambda: used_memory(redis) < before - len(value) // 2, "the value is gone")


class Guarded(Served):
    options = ("--requirepass", "word")

    def test_commands_before_and_behind_the_password(self):
        value = value_of("guarded", 1, BYTES)
        text = (Redis.encode("GET", "guarded") + Redis.encode("AUTH", "wrong") + Redis.encode("AUTH", "word") +
                Redis.encode("SET", "guarded", value) + Redis.encode("GET", "guarded"))
        for cut in (1, 30, len(text) // 2, len(text)):
            with connect() as redis:
                redis.sock.sendall(text[:cut])
                time.sleep(0.01)
                redis.sock.sendall(text[cut:])
                for said in ("NOAUTH", "WRONGPASS"):
                    with self.assertRaises(Refused) as refused:
                        redis.reply()
                    self.assertIn(said, str(refused.exception))
                self.assertEqual([redis.reply() for _ in range(3)], ["OK", "OK", value])


class Reading(Served):
    def test_cut_at_every_byte(self):
        """Commands of every kind, in two segments of TCP."""
        text = (Redis.encode("SET", "cut", "v" * 100) + Redis.encode("GET", "cut") + b"PING\r\n" +
                Redis.encode("DEL", "cut") + Redis.encode("ECHO", ""))
        with connect() as redis:
            redis.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(1, len(text)):
                redis.sock.sendall(text[:at])
                time.sleep(0.001)
                redis.sock.sendall(text[at:])
                self.assertEqual([redis.reply() for _ in range(5)],
                                 ["OK", b"v" * 100, "PONG", 1, b""], at)

    def test_byte_by_byte(self):
        with connect() as redis:
            redis.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # The second is in more pieces than are parsed where they lie, or kept.
            for value in (b"value", value_of("slow", 1, 1500)):
                for byte in Redis.encode("SET", "slow", value) + Redis.encode("GET", "slow"):
                    redis.sock.sendall(bytes((byte,)))
                    time.sleep(0.001)
                self.assertEqual([redis.reply(), redis.reply()], ["OK", value])

    def test_sizes(self):
        """About where segments, buffers and limits end."""
        with connect() as redis:
            for size in (0, 1, 43, 44, 45, 1023, 1024, 1025, 1447, 1448, 1449, 16383, 16384, 32767,
                         32768, 65535, 65536, 262143, 262144, 262145, 1 << 20, 5 << 20):
                value = value_of("sizes", size, size)
                redis.send("SET", "sizes", value)
                redis.send("GET", "sizes")
                self.assertEqual([redis.reply(), redis.reply()], ["OK", value], size)

    def test_many_arguments(self):
        words = [f"{i}" for i in range(3000)]
        with connect() as redis:
            self.assertEqual(redis("RPUSH", "many", *words), 3000)
            self.assertEqual(redis("LRANGE", "many", 0, -1), [word.encode() for word in words])
            self.assertEqual(redis("DEL", "many"), 1)

    def test_what_is_wrong_is_said(self):
        for text, said in ((b"*1\r\n$x\r\n", "invalid bulk length"),
                           (b"*x\r\n", "invalid multibulk length"),
                           (b"*1\r\n+PING\r\n", "expected '$', got '+'"),
                           (b"*1\r\n$99999999999\r\n", "invalid bulk length"),
                           (b"*1048577000000\r\n", "invalid multibulk length"),
                           (b"SET \"unbalanced\r\n", "unbalanced quotes")):
            with self.subTest(text), connect() as redis:
                redis.sock.sendall(Redis.encode("PING") + text)
                self.assertEqual(redis.reply(), "PONG")
                with self.assertRaises(Refused) as refused:
                    redis.reply()
                self.assertIn(said, str(refused.exception))
                with self.assertRaises((EOFError, ConnectionResetError)):
                    redis.reply()

    def test_blocked_in_the_middle_of_a_pipeline(self):
        with connect() as waiting, connect() as other:
            waiting.sock.sendall(Redis.encode("BLPOP", "queue", "0") + Redis.encode("ECHO", "behind"))
            stack.wait_until(lambda: other.info("clients")["blocked_clients"] == "1", "it waits")
            other("RPUSH", "queue", "item")
            self.assertEqual([waiting.reply(), waiting.reply()], [[b"queue", b"item"], b"behind"])

    def test_the_last_reply_arrives(self):
        value = value_of("last", 1, 8 << 20)
        with connect() as redis:
            redis("SET", "last", value)
            redis.sock.sendall(Redis.encode("GET", "last") + Redis.encode("QUIT"))
            self.assertEqual([redis.reply(), redis.reply()], [value, "OK"])
            with self.assertRaises(EOFError):
                redis.reply()


class SlowReader(Served):
    options = ("--client-output-buffer-limit", "normal 4mb 0 0")

    def test_limit_counts_what_is_sent_by_reference(self):
        with connect() as redis, connect() as other:
            redis("SET", "big", value_of("big", 1, BYTES))
            with self.assertRaises((EOFError, ConnectionError)):
                for _ in range(400):
                    redis.send("GET", "big")
                for _ in range(100):
                    time.sleep(0.1)
                    redis.send("PING")
                while True:
                    redis.reply()
            self.assertEqual(other("PING"), "PONG")
            stack.wait_until(lambda: other.info("clients")["connected_clients"] == "1", "it is gone")


class Beside(stack.Test):
    def test_kernel_addresses_and_unix_sockets(self):
        path = os.path.join(self.folder, "socket")
        server = self.start(*server_words("--bind", stack.address(), stack.LOOPBACK, "--unixsocket",
                                          path), port=PORT, folder=self.folder)
        with connect() as redis:
            self.assertEqual(redis("SET", "from", "outside"), "OK")
        inside = lab.in_namespace(stack.namespace(), "redis-cli", "-h", stack.LOOPBACK, "GET", "from")
        self.assertEqual(lab.run(*inside).stdout, "outside\n")
        self.assertEqual(lab.run("redis-cli", "-s", path, "GET", "from").stdout, "outside\n")
        self.assertIn("127.0.0.1 is no address of the datapath", server.said())

    def test_io_threads_are_refused(self):
        server = self.start(*server_words("--io-threads", "4"), port=PORT, folder=self.folder)
        self.assertIn("io-threads is 1", server.said())
        with connect() as redis:
            self.assertEqual(redis("PING"), "PONG")

    def test_more_than_the_heap_has(self):
        server = self.start(*server_words("--maxmemory", "1gb"), port=PORT, folder=self.folder,
                            more={"DEMI_HEAP_MAX_BYTES": "128M"})
        self.assertIn("set heap.max_bytes", server.said())

    def test_heap_that_is_full(self):
        """It ends, at once and by itself, and says why; clients hear of it."""
        server = self.start(*server_words(), port=PORT, folder=self.folder, more={"DEMI_HEAP_MAX_BYTES": "128M"},
                            statuses=(1,))
        with connect() as redis, self.assertRaises((EOFError, ConnectionError)):
            for number in range(200):
                redis("SET", f"key{number}", bytes(1 << 20))
        self.assertIn("Out of memory: Demi's heap has no room", server.wait())

    def test_wrong_libos(self):
        said = stack.Program(*server_words(), more={"LIBOS": "catfish"}, statuses=(1,)).wait()
        self.assertIn("Demi cannot start", said)
        self.assertIn("demi doctor", said)

    def test_second_server_on_one_device(self):
        self.start(*server_words(), port=PORT, folder=self.folder)
        said = stack.Program(*server_words(), statuses=(1,)).wait()
        self.assertIn("Demi cannot start", said)


if __name__ == "__main__":
    if not os.access(stack.NATIVE_REDIS, os.X_OK):
        lab.skip_all("NATIVE_REDIS names no program: `make redis` builds it")
    stack.main()
