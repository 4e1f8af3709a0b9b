# SPDX-License-Identifier: MIT
"""
Three redis-servers and the two ways to ask them.

Servers: Debian's on the kernel's sockets (kernel), the same on Catnip by the shim (shim), and the one
that is built on PDPIX (native). Links: "memory", on which the client is demi-redis-load, over memif to
Catnip and over loopback to the kernel; and "veth", in the laboratory (scripts/lab.sh), on which it is
redis-benchmark on the kernel, and Catnip is on AF_XDP.
"""

import contextlib
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../programs"))
import programs  # pylint: disable=wrong-import-position

KINDS = ("kernel", "shim", "native")
TITLES = {"kernel": "Debian's, kernel", "shim": "Debian's, shim", "native": "on PDPIX"}
LINKS = ("memory", "veth")
PORT = 6379
START_S = 60  # under valgrind
MIB = 1 << 20
IMAGE_BYTES = 2048 * MIB
READY = "Ready to accept connections"
REALTIME_PRIORITY = 5


def on_cpu(number, realtime):
    """For subprocess: pinned, and if asked before all programs that are not."""
    def start():
        programs.pinned(number)()
        if realtime:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(REALTIME_PRIORITY))
    return start


class Failed(RuntimeError):
    """A server or a client that did not do its part; says which."""


def preallocated(path):
    """A file all of whose blocks have been written, so that no write has to find them a place."""
    with open(path, "wb") as file:
        for _ in range(IMAGE_BYTES // MIB):
            file.write(bytes(MIB))
        os.fsync(file.fileno())
    return path


class Place:
    """Where servers and clients run, and their files are."""

    def __init__(self, build, native, folder, realtime=False):
        """folder: its file system and disk are what logs are measured on; realtime: see on_cpu"""
        self.demi = os.path.abspath(os.path.join(build, "tools/demi"))
        self.load = os.path.abspath(os.path.join(build, "apps/redis/load/demi-redis-load"))
        self.native = os.path.abspath(native)
        self.folder = tempfile.mkdtemp(prefix="demi-redis.", dir=os.path.abspath(folder))
        self.realtime = realtime
        self.image = None

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def inside(namespace, words):
        return ["nsenter", f"--net=/run/netns/{os.environ[namespace]}", "--", *words]

    def memif(self, role):
        """Variables of one end."""
        runtime = os.path.join(self.folder, f"runtime-{role}")
        os.makedirs(runtime, mode=0o700, exist_ok=True)
        return {"XDG_RUNTIME_DIR": runtime, "DEMI_NET_IP": f"{programs.MEMIF_IP[role]}/24",
                "DEMI_NET_DEV": f"dpdk:net_memif0,role={role},id=0,socket=demi-redis-{os.getpid()}"}

    @staticmethod
    def host(link, kind):
        if link == "memory":
            return "127.0.0.1" if kind == "kernel" else programs.MEMIF_IP["server"]
        return programs.KERNEL_IP if kind == "kernel" else programs.CATNIP_IP

    def stack(self, link):
        """Variables that give a server its stack."""
        if link == "memory":
            return self.memif("server")
        return {"DEMI_NET_DEV": f"afxdp:{os.environ['LAB_DEV']}",
                "DEMI_NET_IP": f"{programs.CATNIP_IP}/24"}

    def command(self, link, kind, data, log, under):
        """Words and variables. data: the server's folder; log: whether it has one; under: before it."""
        words = [self.native if kind == "native" else "redis-server", "--port", str(PORT),
                 "--bind", "127.0.0.1" if (link, kind) == ("memory", "kernel") else "0.0.0.0",
                 "--protected-mode", "no", "--save", "", "--dir", data]
        if log:
            words += ["--appendonly", "yes", "--appendfsync", "always",
                      "--auto-aof-rewrite-percentage", "0"]
        variables = {}
        if kind != "kernel":
            variables = self.stack(link) | {"LIBOS": "catnip", "DEMI_RUNTIME_IDLE": "spin"}
        if kind != "kernel" and log:
            self.image = self.image or preallocated(os.path.join(self.folder, "log.img"))
            variables |= {"LIBOS": "catnip+cattree", "DEMI_BLK_DEV": f"uring:{self.image}",
                          "DEMI_STORE_FORMAT": "overwrite"}
        if kind == "shim":
            of_log = ["--log-files", f"{data}/appendonlydir/*.incr.aof"] if log else []
            words = [self.demi, "run", "--dev", variables["DEMI_NET_DEV"], "--ip",
                     variables["DEMI_NET_IP"], "--idle", "spin", *of_log, "--", *words]
        words = [*under, *words]
        return self.inside("LAB_DEMI", words) if link == "veth" else words, variables

    @contextlib.contextmanager
    def running(self, link, kind, log=False, under=(), more=None):
        """A server, from when it is ready until it is killed; what it says is shown if it fails."""
        data = tempfile.mkdtemp(dir=self.folder)
        words, variables = self.command(link, kind, data, log, list(under))
        with open(os.path.join(data, "said"), "w+", encoding="utf-8", errors="replace") as said:
            process = subprocess.Popen(words, stdout=said, stderr=said, stdin=subprocess.DEVNULL,
                                       cwd=data, env=os.environ | variables | (more or {}),
                                       preexec_fn=on_cpu(1, self.realtime), start_new_session=True)
            try:
                self.wait_for(process, said)
                yield process
            except Failed as failed:
                said.seek(0)
                raise Failed(f"{failed}\n{''.join(said.readlines()[-8:])}") from None
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, 9)
                process.wait()
                shutil.rmtree(data, ignore_errors=True)

    @staticmethod
    def wait_for(process, said):
        end = time.monotonic() + START_S
        while process.poll() is None and time.monotonic() < end:
            said.seek(0)
            if READY in said.read():
                return
            time.sleep(0.02)
        raise Failed("the server is not ready")

    def ask(self, words, variables=None):
        """A client, on the other CPU: what it said."""
        try:
            completed = subprocess.run(words, text=True, timeout=programs.CLIENT_S, check=False,
                                       capture_output=True, preexec_fn=on_cpu(0, self.realtime),
                                       env=os.environ | (variables or {}))
        except subprocess.TimeoutExpired:
            raise Failed(f"{words[0]} does not end within {programs.CLIENT_S} s") from None
        if completed.returncode != 0:
            raise Failed(f"{' '.join(words)}: {completed.stdout}{completed.stderr}")
        return completed.stdout

    def ask_over_memory(self, kind, command, size, log, options):
        """{"rate": requests/s, "p50": us, "p99": us}"""
        variables = {"LIBOS": "catnap"} if kind == "kernel" else (
            self.memif("client") | {"LIBOS": "catnip"})
        said = json.loads(self.ask(
            [self.load, "--addr", f"{self.host('memory', kind)}:{PORT}", "--command", command,
             "--size", str(size), "--connections", str(options.connections), "--keys",
             str(options.keys), "--prefill", "--warmup", str(options.seconds / 4), "--duration",
             str(options.seconds), "--quiet", "--json", "-"],
            # Threads of the kernel write the log: they need a CPU.
            variables | {"DEMI_RUNTIME_IDLE": "sleep" if log else "spin"}))
        latency = said["latency_us"]
        return {"rate": said["throughput"]["requests_per_s"], "p50": latency["p50"],
                "p99": latency["p99"]}

    def benchmark(self, kind, command, size, connections, keys, requests):
        """What redis-benchmark says of so many requests, as above."""
        said = self.ask(self.inside("LAB_LINUX", [
            "redis-benchmark", "-h", self.host("veth", kind), "-p", str(PORT), "-t", command, "-c",
            str(connections), "-n", str(requests), "-r", str(keys), "-d", str(size), "--csv"]))
        for row in csv.DictReader(line for line in said.splitlines() if line.startswith('"')):
            if row["test"] == command.upper():
                return {"rate": float(row["rps"]), "p50": 1000 * float(row["p50_latency_ms"]),
                        "p99": 1000 * float(row["p99_latency_ms"])}
        raise Failed(f"redis-benchmark measured nothing:\n{said}")

    def ask_over_veth(self, kind, command, size, options):
        """Each key is there: redis-benchmark sets more often than there are keys, first."""
        connections, keys = options.connections, options.keys
        first = self.benchmark(kind, "set", size, connections, keys, 40 * connections)
        if command != "set":
            first = self.benchmark(kind, command, size, connections, keys, 40 * connections)
        requests = max(int(first["rate"] * options.seconds), 40 * connections)
        return self.benchmark(kind, command, size, connections, keys, requests)

    def measure(self, link, kind, command, size, log, options):
        with self.running(link, kind, log):
            if link == "memory":
                return self.ask_over_memory(kind, command, size, log, options)
            return self.ask_over_veth(kind, command, size, options)
