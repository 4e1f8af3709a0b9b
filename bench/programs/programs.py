# SPDX-License-Identifier: MIT
"""
Debian's unmodified programs on Catnip beside the same on the kernel's stack: how both are started, in
the laboratory (scripts/lab.sh) or joined by memif, and what redis-benchmark and wrk say of them.
"""

import contextlib
import csv
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

START_S = 10
CLIENT_S = 40  # no run is asked to take half as long
REALTIME_PRIORITY = 1
CATNIP_IP, KERNEL_IP, LINUX_IP = "10.77.0.2", "10.77.0.3", "10.77.0.1"
MEMIF_IP = {"server": "10.76.0.1", "client": "10.76.0.2"}
TITLES = {"catnip": "Catnip over AF_XDP", "kernel": "the kernel's stack",
          "memif": "Catnip at both ends, over memif"}


def cpus():
    """Both ends may spin: a CPU for each, where there are two."""
    every = sorted(os.sched_getaffinity(0))
    return (every[0], every[1]) if len(every) > 1 else (every[0], every[0])


def pinned(number, realtime=False):
    """A process starts there; realtime: before all other programs."""
    def place():
        os.sched_setaffinity(0, {cpus()[number]})
        if realtime:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(REALTIME_PRIORITY))
    return place


class Machine:
    """The places where servers and clients of a kind run."""

    def __init__(self, build, realtime=False):
        self.realtime = realtime
        self.demi = os.path.abspath(os.path.join(build, "tools/demi"))
        if not os.access(self.demi, os.X_OK):
            print(f"  skipped: {self.demi} is missing")
            sys.exit(2)
        self.folder = tempfile.mkdtemp(prefix="demi-programs.")
        os.chmod(self.folder, 0o755)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def on_stack(self, device, ip, words):
        return [self.demi, "run", "--dev", device, "--ip", f"{ip}/24", "--idle", "spin", "--",
                *words]

    def memif(self, role, words):
        runtime = os.path.join(self.folder, f"runtime-{role}")
        os.makedirs(runtime, mode=0o700, exist_ok=True)
        device = f"dpdk:net_memif0,role={role},id=0,socket=demi-programs-{os.getpid()}"
        return ["env", f"XDG_RUNTIME_DIR={runtime}", *self.on_stack(device, MEMIF_IP[role], words)]

    def server(self, kind, words):
        if kind == "memif":
            return self.memif("server", words)
        inside = ["nsenter", f"--net=/run/netns/{os.environ['LAB_DEMI']}", "--"]
        if kind == "kernel":
            return inside + words
        return inside + self.on_stack(f"afxdp:{os.environ['LAB_DEV']}", CATNIP_IP, words)

    def client(self, kind, words):
        if kind == "memif":
            return self.memif("client", words)
        return ["nsenter", f"--net=/run/netns/{os.environ['LAB_LINUX']}", "--", *words]

    @staticmethod
    def address(kind):
        return {"catnip": CATNIP_IP, "kernel": KERNEL_IP, "memif": MEMIF_IP["server"]}[kind]

    @contextlib.contextmanager
    def running(self, kind, port, *words):
        """A server, from when it answers until it is killed; what it says is shown if it fails."""
        with open(os.path.join(self.folder, "server"), "w+", encoding="utf-8") as said:
            process = subprocess.Popen(self.server(kind, list(words)), stdout=said, stderr=said,
                                       stdin=subprocess.DEVNULL, cwd=self.folder,
                                       preexec_fn=pinned(1, self.realtime), start_new_session=True)
            try:
                self.wait_for(kind, port, process)
                yield
            except BaseException:
                said.seek(0)
                sys.stderr.write("".join(said.readlines()[-20:]))
                raise
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, 9)
                process.wait()

    def wait_for(self, kind, port, process):
        if kind == "memif":
            time.sleep(2)  # only its one client may try it
            return
        probe = ("import socket, sys\n"
                 "socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1)")
        end = time.monotonic() + START_S
        while process.poll() is None and time.monotonic() < end:
            words = [sys.executable, "-c", probe, self.address(kind), str(port)]
            if subprocess.run(self.client(kind, words), stderr=subprocess.DEVNULL).returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError(f"the server on {TITLES[kind]} does not answer")

    def ask(self, kind, *words):
        """A client, on the other CPU: what it said."""
        try:
            completed = subprocess.run(self.client(kind, list(words)), text=True, timeout=CLIENT_S,
                                       capture_output=True, preexec_fn=pinned(0, self.realtime))
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{words[0]} does not end within {CLIENT_S} s") from None
        if completed.returncode != 0:
            raise RuntimeError(f"{' '.join(words)}: {completed.stdout}{completed.stderr}")
        return completed.stdout


def enter():
    """In the laboratory: the kernel's end of the same veth has an address of its own."""
    subprocess.run(["ip", "-n", os.environ["LAB_DEMI"], "address", "replace", f"{KERNEL_IP}/24",
                    "dev", os.environ["LAB_DEV"]], check=True)


def redis_server(machine, kind, port=6379):
    return machine.running(kind, port, "redis-server", "--protected-mode", "no", "--save", "",
                           "--port", str(port))


def redis_benchmark_once(machine, kind, clients, requests, pipeline, size):
    said = machine.ask(kind, "redis-benchmark", "-h", machine.address(kind), "-t", "set,get", "-c",
                       str(clients), "-n", str(requests), "-P", str(pipeline), "-d", str(size),
                       "--csv")
    lines = [line for line in said.splitlines() if line.startswith('"')]
    result = {}
    for row in csv.DictReader(lines):
        result[row["test"]] = {"rate": float(row["rps"]),
                               "p50": 1000 * float(row["p50_latency_ms"]),
                               "p99": 1000 * float(row["p99_latency_ms"])}
    if set(result) != {"SET", "GET"}:
        raise RuntimeError(f"redis-benchmark measured nothing:\n{said}")
    return result


def redis_benchmark(machine, kind, clients, pipeline=1, size=64, seconds=1.0):
    """
    Asks a redis-server of its own. For SET and GET, measured for about as long: {"rate": requests/s,
    "p50": us, "p99": us}. redis-benchmark can only be told how many requests, so that a short run
    goes first; each has a server to itself, since over memif a server has but one client.
    """
    least = 40 * clients * pipeline
    with redis_server(machine, kind):
        first = redis_benchmark_once(machine, kind, clients, least, pipeline, size)
    slower = min(figures["rate"] for figures in first.values())
    with redis_server(machine, kind):
        return redis_benchmark_once(machine, kind, clients, max(int(slower * seconds), least),
                                    pipeline, size)


def memcached(machine, load, kind, connections, size, seconds, threads=1):
    """What memcached-load says of a server of its own: {"rate": requests/s, "p50": us, "p99": us}"""
    with machine.running(kind, 11211, "memcached", "-u", "root", "-t", str(threads)):
        return json.loads(machine.ask(kind, load, machine.address(kind), "11211",
                                      str(connections), str(seconds), str(size)))


NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 512; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 100000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 8080; root {folder}; }}
}}
"""


def nginx(machine, kind, connections, size, seconds):
    """What wrk says of a file of so many bytes."""
    path = os.path.join(machine.folder, "nginx.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write(NGINX.format(folder=machine.folder))
    with open(os.path.join(machine.folder, "file"), "wb") as file:
        file.write(bytes(size))
    with machine.running(kind, 8080, "nginx", "-c", path):
        return wrk(machine, kind, "file", connections, seconds)


def wrk(machine, kind, path, connections, seconds):
    """{"rate": requests/s, "p50": us, "p99": us}"""
    said = machine.ask(kind, "wrk", "--latency", "-t", "1", "-c", str(connections), "-d",
                       str(seconds), f"http://{machine.address(kind)}:8080/{path}")
    if "Socket errors" in said or "Non-2xx" in said:
        raise RuntimeError(said)
    units = {"us": 1, "ms": 1000, "s": 1_000_000}
    result = {"rate": float(re.search(r"Requests/sec: +([\d.]+)", said)[1])}
    for name in ("50", "99"):
        number, unit = re.search(rf"{name}% +([\d.]+)(us|ms|s)", said).groups()
        result[f"p{name}"] = float(number) * units[unit]
    return result


def medians(runs):
    """Of several results of one thing."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}
