# SPDX-License-Identifier: MIT
"""
Instructions that a redis-server takes for a request, in user space, by whose they are: callgrind
counts a server in the laboratory while redis-benchmark asks it on 50 connections.

`python3 callgrind.py FILE REQUESTS` splits what callgrind has written, and names the functions that take
most.
"""

import collections
import os
import re
import signal
import subprocess
import sys

KINDS = ("kernel", "native")
# Of a file on disk: whose the code in it is. Redis's own is what is left of the server's.
OURS = re.compile(r"/(ae_demi|client_(read|write)|endpoint\w*|journal\w*)\.[ch]$")
OWNERS = ("redis", "apps/redis", "libdemi", "libc", "other")
LINE = "  {:<32} {:>9}" + " {:>11}" * len(OWNERS)
HEADER = LINE.format("instructions of a request", "all", *OWNERS)
END_S = 60
COST = re.compile(r"(?:[+-]?\d+|\*) (\d+)$")


def line(title, shares):
    return LINE.format(title, f"{shares['all']:,.0f}",
                       *(f"{shares[owner]:,.0f}" for owner in OWNERS))


def owner_of(binary, source):
    name = os.path.basename(binary)
    if name.startswith("libdemi"):
        return "libdemi"
    if name.startswith("libc."):
        return "libc"
    if "redis" in name:
        return "apps/redis" if OURS.search(source) else "redis"
    return "other"


def costs(path):
    """(binary, source, function): instructions of its own, of a file in callgrind's format."""
    names = {"ob": {}, "f": {}, "fn": {}}
    now = {"ob": "", "f": "", "fn": ""}
    total = collections.Counter()
    is_call = False
    with open(path, encoding="utf-8", errors="replace") as file:
        for text in file:
            text = text.rstrip()
            key, _, value = text.partition("=")
            if key in ("ob", "fl", "fi", "fe", "fn"):
                kind = "f" if key in ("fl", "fi", "fe") else key
                number, _, name = value.partition(" ")
                if name:
                    names[kind][number] = name
                now[kind] = names[kind][number]
            elif key in ("cob", "cfi", "cfl", "cfn"):
                kind = {"cob": "ob", "cfn": "fn"}.get(key, "f")
                number, _, name = value.partition(" ")
                if name:
                    names[kind][number] = name
            elif key == "calls":
                is_call = True  # the next line has what the callee took
            elif match := COST.match(text):
                if not is_call:
                    total[now["ob"], now["f"], now["fn"]] += int(match[1])
                is_call = False
    return total


def split(path, requests):
    shares = dict.fromkeys(("all", *OWNERS), 0)
    for (binary, source, _), cost in costs(path).items():
        shares["all"] += cost / requests
        shares[owner_of(binary, source)] += cost / requests
    return shares


def count(place, kind, command, size, connections=50, keys=100):
    """{owner: instructions of a request}; connections are made once, and are among it"""
    requests = 20000 if size < 16384 else 4000
    path = os.path.join(place.folder, "callgrind.out")
    under = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={path}"]
    more = {"DEMI_RUNTIME_IDLE": "sleep", "DEMI_HEAP_LOCK": "off"}
    # A client that waits for its CPU would have the server count its looks at nothing.
    realtime, place.realtime = place.realtime, True
    try:
        with place.running("veth", kind, under=under, more=more) as process:
            place.benchmark(kind, "set", size, connections, keys, 40 * connections)
            instrument(process, "on")
            place.benchmark(kind, command, size, connections, keys, requests)
            instrument(process, "off")
            process.send_signal(signal.SIGTERM)
            process.wait(END_S)
    finally:
        place.realtime = realtime
    return split(path, requests)


def instrument(process, state):
    subprocess.run(["callgrind_control", "-i", state, str(process.pid)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    path, requests = sys.argv[1], int(sys.argv[2])
    print(HEADER)
    print(line(os.path.basename(path), split(path, requests)))
    functions = collections.Counter()
    for (binary, source, function), cost in costs(path).items():
        functions[owner_of(binary, source), function] += cost
    for (owner, function), cost in functions.most_common(60):
        print(f"  {cost / requests:9.1f}  {owner:<11} {function}")


if __name__ == "__main__":
    main()
