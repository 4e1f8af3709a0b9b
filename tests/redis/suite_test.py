#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Redis's own tests, from its source package, with the server of apps/redis.

    suite_test.py FOLDER [--far SHIM] [UNIT...]

FOLDER is the patched source, with src/redis-server built. Without --far the tests start servers
themselves, over Catnap; with it they ask one server that is on Catnip, from the other end of the
laboratory, those of them that can. A line of TAP for each of their tests. Without UNIT: all of them.
"""

import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

# What cannot pass, and why: docs/redis.md has the same list.
SKIPPED = {
    # Of Debian's additions, made for later versions: they fail with Debian's own server as well.
    "RESTORE fail with invalid payload size": "expects an error of a later RDB version",
    "Fullsync should not free scripting engine on a replica while a script is running":
        "sets repl-diskless-load to a value of a later version",
    "Fullsync should not free scripting engine on a replica while a function is running":
        "sets repl-diskless-load to a value of a later version",
    "corrupt payload: stream - duplicated consumer PEL entry":
        "expects a line of the log of a later version",
    # They ask for the query buffer, which commands that arrive whole do not go through.
    "query buffer resized correctly": "commands are not gathered in a query buffer",
    "query buffer resized correctly when not idle": "commands are not gathered in a query buffer",
    # It asks for the reply buffer, by a value of 32 KiB, which goes by reference.
    "verify reply buffer limits": "large values are not gathered in a reply buffer",
}
# Of servers that the tests start.
SKIPPED_NEAR = {
    "client evicted due to percentage of maxmemory":
        "takes all that a client has sent to be read before another is served",
    "avoid client eviction when client is freed by output buffer limit":
        "counts large buffers to the byte; the heap gives them multiples of 256 KiB",
    "decrease maxmemory-clients causes client eviction":
        "counts large buffers to the byte; the heap gives them multiples of 256 KiB",
}
# Of one that is asked from afar.
SKIPPED_FAR = {
    "CONFIG SET rollback on apply error": "takes a port of the tests' machine to be the server's",
}
LINE = re.compile(r"\[(ok|err|ignore|exception)\]: (.*)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
PATIENCE_S = 3000


def tap_of(text):
    """The tests that the output tells of, as (verdict, name, what follows)."""
    lines = COLOUR.sub("", text).splitlines() + [""]
    for line, following in zip(lines, lines[1:]):
        match = LINE.match(line)
        if match:
            name = re.sub(r" \(\d+ ms\)$", "", match[2]).replace("#", "No. ")
            yield match[1], name, following


def run(folder, words, environment, skipped):
    words = ["tclsh", "tests/test_helper.tcl", *words]
    for name in skipped:
        words += ["--skiptest", name]
    with tempfile.TemporaryFile() as said:
        status = subprocess.run(words, cwd=folder, env=dict(os.environ) | environment, stdout=said,
                                stderr=subprocess.STDOUT, timeout=PATIENCE_S, check=False).returncode
        said.seek(0)
        text = said.read().decode(errors="replace")
    number, bad = 0, status != 0
    for verdict, name, following in tap_of(text):
        number += 1
        if verdict in ("err", "exception"):
            bad = True
            print(f"not ok {number} - {name}\n# {following}")
        else:
            print(f"ok {number} - {name}" + (" # SKIP ignored" if verdict == "ignore" else ""))
    for name, why in skipped.items():
        number += 1
        print(f"ok {number} - {name} # SKIP {why}")
    if bad or number == len(skipped):
        print("".join(f"# {line}\n" for line in COLOUR.sub("", text).splitlines()[-30:]), end="")
        bad = True
    if bad and status != 0:
        number += 1
        print(f"not ok {number} - the tests end well")
    print(f"1..{number}")
    return 1 if bad else 0


def near(folder, units):
    words = ["--clients", str(len(os.sched_getaffinity(0)))]
    for unit in units:
        words += ["--single", unit]
    return run(folder, words, {"LIBOS": "catnap", "DEMI_RUNTIME_IDLE": "sleep"}, SKIPPED | SKIPPED_NEAR)


def far(folder, shim, units):
    """In the laboratory."""
    sys.path.insert(0, os.path.join(HERE, "../shim"))
    import stack  # pylint: disable=import-outside-toplevel
    stack.NATIVE_REDIS = os.path.join(folder, "src/redis-server")
    stack.SHIM = shim
    with tempfile.TemporaryDirectory() as data:
        with stack.Program(stack.NATIVE_REDIS, "--protected-mode", "no", "--save", "", port=6379,
                           folder=data):
            words = ["--host", stack.address(), "--port", "6379", "--tags",
                     "-needs:repl -needs:debug -external:skip"]
            for unit in units:
                words += ["--single", unit]
            return run(folder, words, {}, SKIPPED | SKIPPED_FAR)


def main():
    arguments = sys.argv[1:]
    folder = os.path.abspath(arguments.pop(0))
    if not os.access(os.path.join(folder, "src/redis-server"), os.X_OK):
        print("1..0 # SKIP `make redis` builds the server")
        return 0
    if arguments[:1] != ["--far"]:
        return near(folder, arguments)
    shim = os.path.abspath(arguments[1])
    sys.path.insert(0, os.path.join(HERE, "../net"))
    import lab  # pylint: disable=import-outside-toplevel
    lab.enter_lab(())
    lab.run("ip", "link", "set", "lo", "up")
    return far(folder, shim, arguments[2:])


if __name__ == "__main__":
    sys.exit(main())
