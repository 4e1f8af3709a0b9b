#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Debian's redis-server on the stack, and redis-cli."""

import os
import shutil
import time

import stack
from resp import PORT, Redis, Refused
from stack import lab

CLIENTS = 500
BIG = 10 << 20


def redis_server(*options):
    return (stack.NATIVE_REDIS or "redis-server", "--protected-mode", "no", *options)


def connect(**keywords):
    return Redis(stack.address(), **keywords)


class Default(stack.Test):
    """As it is started without a word, but that clients from elsewhere are welcome."""
    tools = ("redis-server", "redis-cli", "redis-benchmark")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.start_for_all(*redis_server("--save", ""), port=PORT, folder=cls.folder)

    def test_pipeline(self):
        count = 20000
        with connect() as redis:
            sender = lab.Thread(redis.sock.sendall, b"".join(
                Redis.encode("SET", f"pipe{i}", f"value{i}") + Redis.encode("GET", f"pipe{i}")
                for i in range(count)))
            for i in range(count):
                self.assertEqual(redis.reply(), "OK")
                self.assertEqual(redis.reply(), f"value{i}".encode())
            sender.end()

    def test_big_value(self):
        value = b"".join(bytes(block) for block in lab.stream_blocks(BIG))
        with connect() as redis:
            for _ in range(3):
                self.assertEqual(redis("SET", "big", value), "OK")
                self.assertEqual(redis("STRLEN", "big"), BIG)
                self.assertEqual(redis("GET", "big"), value)

    def test_over_ipv6(self):
        with Redis(stack.address(version=6)) as redis:
            self.assertEqual(redis("ECHO", "six"), b"six")
            self.assertIn(lab.LINUX_IP[6], redis("CLIENT", "LIST").decode())

    def test_publish_and_subscribe(self):
        subscribers = [connect() for _ in range(20)]
        for subscriber in subscribers:
            self.assertEqual(subscriber("SUBSCRIBE", "news"), [b"subscribe", b"news", 1])
        with connect() as publisher:
            for i in range(200):
                self.assertEqual(publisher("PUBLISH", "news", i), len(subscribers))
        for subscriber in subscribers:
            for i in range(200):
                self.assertEqual(subscriber.reply(), [b"message", b"news", str(i).encode()])
            subscriber.close()

    def test_blocking_pop(self):
        with connect() as waiting, connect() as pushing:
            self.assertIsNone(waiting("BLPOP", "nothing", "0.1"))
            waiting.send("BLPOP", "queue", "0")
            stack.wait_until(lambda: pushing.info("clients")["blocked_clients"] == "1",
                             "the client waits")
            pushing("RPUSH", "queue", "item")
            self.assertEqual(waiting.reply(), [b"queue", b"item"])

    def test_client_kill(self):
        with connect() as victim, connect() as other:
            number = victim("CLIENT", "ID")
            self.assertEqual(other("CLIENT", "KILL", "ID", number), 1)
            with self.assertRaises((EOFError, ConnectionResetError)):
                victim("PING")
            self.assertEqual(other("PING"), "PONG")

    def test_many_clients(self):
        clients = [connect() for _ in range(CLIENTS)]
        for turn in range(3):
            for i, redis in enumerate(clients):
                redis.send("SET", f"many{i}", f"{turn}-{i}")
            for redis in clients:
                self.assertEqual(redis.reply(), "OK")
        for i, redis in enumerate(clients):
            self.assertEqual(redis("GET", f"many{i}"), f"2-{i}".encode())
        with connect() as redis:
            self.assertEqual(int(redis.info("clients")["connected_clients"]), CLIENTS + 1)
            for client in clients:
                client.close()
            stack.wait_until(lambda: redis.info("clients")["connected_clients"] == "1",
                             "the server knows that they are gone")

    def test_a_wrong_command_is_refused(self):
        with connect() as redis:
            with self.assertRaises(Refused):
                redis("FROBNICATE")
            redis.sock.sendall(b"*1\r\n$-5\r\n")
            with self.assertRaises((Refused, EOFError)):
                redis.reply()
                redis.reply()

    def test_benchmark(self):
        said = stack.here("redis-benchmark", "-h", stack.address(), "-n", "20000", "-c", "50", "-P",
                          "16", "-t", "set,get,lrange_100", "-q", "-r", "1000", timeout=60)
        self.assertEqual(said.count("requests per second"), 4, said)

    def test_idle_is_asleep(self):
        """Under 1 % of a core, in one of several attempts since others may have work to do."""
        seconds, tries = 5, 3
        with connect() as redis:
            redis("PING")
            for _ in range(tries):
                before = self.server.ticks()
                time.sleep(seconds)
                used = self.server.ticks() - before
                if used <= seconds * stack.HZ // 100:
                    return
        self.fail(f"{used} ticks of {seconds * stack.HZ}")


class Client(stack.Test):
    """redis-cli and redis-benchmark on the stack, redis-server on the kernel's."""
    tools = ("redis-server", "redis-cli", "redis-benchmark")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.start_for_all(*redis_server("--save", ""), port=PORT, folder=cls.folder,
                                       end=None)

    def peers(self, words):
        """Who spoke to the server while the program ran, and what it said."""
        with Redis(stack.LOOPBACK) as redis:
            redis("CONFIG", "RESETSTAT")
            said = stack.client(*words)
            self.assertGreaterEqual(int(redis.info("stats")["total_connections_received"]), 1)
        return said

    def test_cli(self):
        said = self.peers(("redis-cli", "-h", lab.LINUX_IP[4], "SET", "key", "value"))
        self.assertEqual(said, "OK\n")
        self.assertEqual(self.peers(("redis-cli", "-h", lab.LINUX_IP[6], "GET", "key")), "value\n")

    def test_it_comes_from_the_stack(self):
        said = self.peers(("redis-cli", "-h", lab.LINUX_IP[4], "CLIENT", "LIST"))
        self.assertIn(f"addr={stack.address()}:", said)

    def test_cli_pipe(self):
        path = os.path.join(self.folder, "commands")
        with open(path, "wb") as file:
            for i in range(20000):
                file.write(Redis.encode("SET", f"key{i}", f"value{i}"))
        said = self.peers(("sh", "-c", f"redis-cli -h {lab.LINUX_IP[4]} --pipe <{path}"))
        self.assertIn("errors: 0, replies: 20000", said)
        with Redis(stack.LOOPBACK) as redis:
            self.assertEqual(redis("GET", "key19999"), b"value19999")

    def test_refused(self):
        said = stack.client("redis-cli", "-h", lab.LINUX_IP[4], "-p", "6999", "PING", statuses=(1,))
        self.assertIn("Connection refused", said)

    def test_benchmark(self):
        said = self.peers(("redis-benchmark", "-h", lab.LINUX_IP[4], "-n", "20000", "-c", "50",
                           "-P", "16", "-t", "set,get", "-q"))
        self.assertEqual(said.count("requests per second"), 2, said)


class Persistence(stack.Test):
    tools = ("redis-server",)

    def fill(self, name, count):
        with connect() as redis:
            for i in range(count):
                redis("SET", f"{name}{i}", f"value {name} {i}")

    def check(self, redis, name, count):
        for i in range(count):
            self.assertEqual(redis("GET", f"{name}{i}"), f"value {name} {i}".encode())

    def test_append_only_always(self):
        """What was answered is there after the server has been killed."""
        folder = os.path.join(self.folder, "always")
        os.mkdir(folder)
        options = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
        server = self.start(*redis_server(*options), port=PORT, folder=folder)
        for writer in [lab.Thread(self.fill, f"w{i}-", 100) for i in range(8)]:
            writer.end()
        server.kill()
        again = self.start(*redis_server(*options), port=PORT, folder=folder)
        with connect() as redis:
            for i in range(8):
                self.check(redis, f"w{i}-", 100)
            redis("SET", "more", "yes")
        again.end()
        self.start(*redis_server(*options), port=PORT, folder=folder)
        with connect() as redis:
            self.assertEqual(redis("GET", "more"), b"yes")

    def write_while(self, stop, name):
        """Increments until stop is set: how often the server has answered."""
        count = 0
        with connect() as redis:
            while not stop:
                count += 1
                assert redis("INCR", name) == count
        return count

    def test_bgsave_under_load(self):
        folder = os.path.join(self.folder, "bgsave")
        os.mkdir(folder)
        self.start(*redis_server("--save", "", "--rdb-key-save-delay", "50"), port=PORT,
                   folder=folder)
        self.fill("fixed", 5000)
        stop = []
        writers = [lab.Thread(self.write_while, stop, f"counter{i}") for i in range(4)]
        with connect() as redis:
            self.assertEqual(redis("BGSAVE"), "Background saving started")
            start = int(redis("GET", "counter0") or 0)
            saving = lambda: redis.info("persistence")["rdb_bgsave_in_progress"] == "1"
            self.assertTrue(saving())
            stack.wait_until(lambda: int(redis("GET", "counter0") or 0) > start + 20,
                             "the clients go on")
            self.assertTrue(saving(), "the child was too quick for this test")
            stack.wait_until(lambda: not saving(), "the child has saved")
            self.assertEqual(redis.info("persistence")["rdb_last_bgsave_status"], "ok")
            stack.wait_until(lambda: redis("INCR", "after") > 20, "the clients go on")
        stop.append(True)
        self.assertTrue(all(writer.end() > 20 for writer in writers))
        self.check_dump(os.path.join(folder, "dump.rdb"), start)

    def check_dump(self, path, most):
        """By another redis-server, on the kernel's stack; what was written after the fork is not in it."""
        folder = os.path.join(self.folder, "dump")
        os.mkdir(folder)
        shutil.copy(path, folder)
        self.start("redis-server", "--save", "", "--port", "6380", port=6380, folder=folder,
                   end=None)
        with Redis(stack.LOOPBACK, 6380) as redis:
            self.check(redis, "fixed", 5000)
            self.assertLessEqual(int(redis("GET", "counter0") or 0), most)

    def test_shutdown_saves(self):
        folder = os.path.join(self.folder, "shutdown")
        os.mkdir(folder)
        server = self.start(*redis_server(), port=PORT, folder=folder)
        self.fill("kept", 100)
        with connect() as redis:
            redis.send("SHUTDOWN", "SAVE")
            server.wait()
        self.start(*redis_server(), port=PORT, folder=folder)
        with connect() as redis:
            self.check(redis, "kept", 100)


if __name__ == "__main__":
    stack.main()
