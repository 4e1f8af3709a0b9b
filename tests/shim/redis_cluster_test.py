#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""redis-servers that speak to each other, each on a stack in a namespace of its own."""

import os

import stack
from resp import PORT, Redis
from stack import lab

NODES = 6


def connect(end, **keywords):
    return Redis(stack.address(end), **keywords)


class Several(stack.Test):
    tools = ("redis-server", "redis-cli")

    def node(self, end, *options):
        folder = os.path.join(self.folder, f"{self.id()}-{end}")
        os.makedirs(folder, exist_ok=True)
        return self.start(stack.NATIVE_REDIS or "redis-server", "--protected-mode", "no", *options, port=PORT,
                          folder=folder, end=end)


class Replication(Several):
    @staticmethod
    def is_in_step(redis):
        return redis.info("replication").get("master_link_status") == "up"

    def follow(self, end):
        """A replica of the first."""
        replica = self.node(end, "--replicaof", stack.address(1), str(PORT),
                            "--repl-diskless-sync-delay", "0")
        redis = connect(end)
        self.addCleanup(redis.close)
        stack.wait_until(lambda: self.is_in_step(redis), "the replica is in step")
        return replica, redis

    def test_replication(self):
        value = b"".join(bytes(block) for block in lab.stream_blocks(5 << 20))
        self.node(1, "--repl-diskless-sync-delay", "0")
        with connect(1) as master:
            master("SET", "before", value)
            replica, redis = self.follow(2)
            self.assertEqual(redis("GET", "before"), value)
            for i in range(1000):
                master("SET", f"key{i}", f"value{i}")
            self.assertEqual(master("WAIT", "1", "5000"), 1)
            self.assertEqual(redis("GET", "key999"), b"value999")
            self.assertIn(f"ip={stack.address(2)}", master.info("replication")["slave0"])
            self.killed_and_back(master, replica)

    def killed_and_back(self, master, replica):
        """The stack ends with its program, and takes no leave of its peers when it is killed."""
        replica.kill()
        master("SET", "while", "away")
        _, redis = self.follow(2)
        stack.wait_until(lambda: redis("GET", "while") == b"away", "what was written meanwhile is there")
        self.assertEqual(redis("GET", "key999"), b"value999")
        self.assertEqual(redis("REPLICAOF", "NO", "ONE"), "OK")
        self.assertEqual(redis("SET", "own", "mind"), "OK")


class Cluster(Several):
    def test_cluster(self):
        """Of three masters and three replicas; one master is killed, and its replica takes over."""
        nodes = [self.node(end, "--cluster-enabled", "yes", "--cluster-node-timeout", "3000",
                           "--save", "", "--repl-diskless-sync-delay", "0")
                 for end in range(1, NODES + 1)]
        said = stack.here("redis-cli", "--cluster", "create",
                          *(f"{stack.address(end)}:{PORT}" for end in range(1, NODES + 1)),
                          "--cluster-replicas", "1", "--cluster-yes", timeout=60)
        self.assertIn("[OK] All 16384 slots covered", said)
        self.wait_for(range(1, NODES + 1), "ok")
        self.fill("before")
        with connect(1) as redis:
            stack.wait_until(lambda: redis.info("replication")["connected_slaves"] == "1",
                             "the first has its replica")
            self.assertEqual(redis("WAIT", "1", "5000"), 1)
        nodes[0].kill()
        self.wait_for([2], "fail")
        self.wait_for(range(2, NODES + 1), "ok")
        self.check("before")
        self.fill("after")
        self.check("after")
        for node in nodes[1:]:
            node.process.terminate()  # together: each waits for the others' last word

    def wait_for(self, ends, state):
        for end in ends:
            with connect(end) as redis:
                stack.wait_until(
                    lambda: f"cluster_state:{state}" in redis("CLUSTER", "INFO").decode(),
                    f"the cluster's state is {state} at {end}", timeout=30)

    def each(self, *commands):
        """redis-cli follows from node to node; what it replied, a line each."""
        return stack.here("redis-cli", "-c", "-h", stack.address(2),
                          input="\n".join(commands)).splitlines()

    def fill(self, name):
        said = self.each(*(f"SET {name}{i} value{i}" for i in range(300)))
        self.assertEqual(said.count("OK"), 300, said[:20])

    def check(self, name):
        said = self.each(*(f"GET {name}{i}" for i in range(300)))
        self.assertEqual([line for line in said if line.startswith("value")],
                         [f"value{i}" for i in range(300)])


if __name__ == "__main__":
    stack.main(["--ends", str(NODES)])
