# SPDX-License-Identifier: MIT
"""Two browsers that exchange messages over WebRTC, and the server that tells them how.

Each is a Chromium of its own with one page, browser.html. The two find each other, their tasks and
what they are to send here, and give here what they received.
"""

import contextlib
import http.server
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

ENDS = ("offering", "answering")
WAIT_S = 60
PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "browser.html")
# Small ones, ends of what a packet holds, and such as SCTP sends in pieces.
SIZES = [*range(1, 200), 1100, 1150, 1200, 1250, 1300, 4096, 16384, 16385, 30000, 65535, 65536] * 2
DELETED = (r"allocation deleted: client (udp|tcp) \S+ user user relayed (\S+):(\d+) after \d+ s: "
           r"to peers \d+ packets (\d+) bytes, to client \d+ packets (\d+) bytes\n")


def program():
    """The name of a Chromium in the PATH, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


class Post:
    """What is left for someone: by its name, taken once, waited for."""

    def __init__(self):
        self.items = {}
        self.changed = threading.Condition()

    def put(self, name, data):
        with self.changed:
            self.items[name] = data
            self.changed.notify_all()

    def take(self, name, seconds=WAIT_S):
        """None: it did not come."""
        with self.changed:
            self.changed.wait_for(lambda: name in self.items, seconds)
            return self.items.pop(name, None)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", kind="application/octet-stream"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        action, _, name = self.path[1:].partition("/")
        if action == "take":
            body = self.server.to_pages.take(name)
            self.answer(404 if body is None else 200, body or b"")
        elif action.startswith("page?"):
            with open(PAGE, "rb") as file:
                self.answer(200, file.read(), "text/html")
        else:
            self.answer(404)

    def do_POST(self):
        action, _, name = self.path[1:].partition("/")
        if action == "put":
            self.server.from_pages.put(name, self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(200 if action == "put" else 404)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Browsers that end break their connections."""


@contextlib.contextmanager
def chromium(url, errors):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [program(), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--disable-dev-shm-usage", "--allow-loopback-in-peer-connection",
             f"--user-data-dir={folder}", url],
            stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True,
            env=os.environ | {"HOME": folder})
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Browsers:
    """Both ends; exchange() may be called again and again."""

    def __init__(self, server):
        self.server = server

    def from_page(self, end, name):
        end_time = time.monotonic() + WAIT_S
        while time.monotonic() < end_time:
            data = self.server.from_pages.take(f"{end}/{name}", 0.2)
            if data is not None:
                return data
            for other in ENDS:
                error = self.server.from_pages.take(f"{other}/error", 0)
                assert error is None, f"the {other} page: {error.decode()}"
        notes = [self.server.from_pages.take(f"{end}/note", 0) for end in ENDS]
        raise AssertionError(f"the {end} page did not say {name}; last errors of ICE: {notes}")

    def exchange(self, host, port, proto, relay_ip):
        """
        Sends messages of SIZES both ways through a relay that listens there, and compares them.
        Returns for each end the local and the remote candidate of the pair that ICE chose.
        """
        host = f"[{host}]" if ":" in host else host
        server = {"urls": f"turn:{host}:{port}?transport={proto}", "username": "user",
                  "credential": "secret"}
        sent = {end: random.randbytes(sum(SIZES)) for end in ENDS}
        for end in ENDS:
            task = {"server": server, "sizes": SIZES, "offers": end == ENDS[0]}
            self.server.to_pages.put(f"{end}/task", json.dumps(task).encode())
            self.server.to_pages.put(f"{end}/bytes", sent[end])
        for end, other in (ENDS, ENDS[::-1]):
            self.server.to_pages.put(f"{other}/other", self.from_page(end, "description"))
        chosen = {}
        for end, other in (ENDS, ENDS[::-1]):
            assert json.loads(self.from_page(end, "sizes")) == SIZES, "messages are missing"
            assert self.from_page(end, "received") == sent[other], "what arrived is not what was sent"
            chosen[end] = json.loads(self.from_page(end, "chosen"))
        for end in ENDS:
            self.server.to_pages.put(f"{end}/leave", b"")
            self.from_page(end, "left")
        check_chosen(chosen, proto, relay_ip)
        return chosen


def check_chosen(chosen, proto, relay_ip):
    """Both ends speak through their own relayed address with that of the other."""
    for end, other in (ENDS, ENDS[::-1]):
        local, remote = chosen[end]["local"], chosen[end]["remote"]
        assert local["candidateType"] == remote["candidateType"] == "relay", chosen
        assert local["relayProtocol"] == proto, chosen
        assert local["address"] == remote["address"] == relay_ip, chosen
        assert remote["port"] == chosen[other]["local"]["port"] != local["port"], chosen


def check_allocations(errors, chosen, proto):
    """
    What demi-relay says of the two allocations when the pages have left: each carried at least all
    messages, both ways. errors() is what it has said so far.
    """
    wanted = {(chosen[end]["local"]["address"], chosen[end]["local"]["port"]) for end in ENDS}
    end_time = time.monotonic() + WAIT_S
    while True:
        ended = {(ip, int(port)): (kind, int(out), int(back))
                 for kind, ip, port, out, back in re.findall(DELETED, errors())}
        if wanted <= set(ended):
            break
        assert time.monotonic() < end_time, f"{wanted} are not deleted: {errors()}"
        time.sleep(0.05)
    for place in wanted:
        kind, out, back = ended[place]
        assert kind == proto and min(out, back) >= sum(SIZES), (place, kind, out, back)


@contextlib.contextmanager
def browsers(host):
    """Two of them, with their server at this address of the machine."""
    with Server((host, 0), Handler) as server, tempfile.TemporaryFile("w+") as errors:
        server.to_pages, server.from_pages = Post(), Post()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with contextlib.ExitStack() as stack:
                for end in ENDS:
                    stack.enter_context(chromium(
                        f"http://{host}:{server.server_port}/page?end={end}", errors))
                yield Browsers(server)
        except BaseException:
            errors.seek(0)
            print(errors.read()[-3000:])
            raise
        finally:
            server.shutdown()
