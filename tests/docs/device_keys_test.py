#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Check what demi.conf(5) says of the keys of devices, "afxdp:eth1,queue=1": those and no others are in
the parsers, the values at the ends of the ranges are taken, and those beyond them are not. Speaks TAP.

    tests/docs/device_keys_test.py TOP DEMI_ECHO
"""
import os
import pathlib
import re
import subprocess
import sys

from tap import finish, outcome

TOP, DEMI_ECHO = pathlib.Path(sys.argv[1]), sys.argv[2]

# How a kind's source names its keys.
PARSERS = {
    "afxdp": ("afxdp.c", r'strncmp\(word, "(\w+)=", \d'),
    "sim": ("sim_open.c", r"^\s(?:LINK|DEVICE)_KEY\((\w+)"),
    "null": ("null.c", r'parse_number\(&at, "(\w+)="'),
}
HOUR_NS = 3600000000000
MILLION = 1000000
# Of each key: values that are taken, and that are not.
VALUES = {
    "afxdp": {"queue": ((0, 1023), (-1, "x")), "queues": ((1, 64), (0, 65)),
              "mode": (("auto", "copy", "zero-copy"), ("fast",))},
    "sim": {"seed": ((0, 2**64 - 1), (2**64,)), "bandwidth": ((0, 10**12), (10**12 + 1,)),
            "queue_frames": ((0, 1024), (1025,)), "queue_bytes": ((0, 2**32 - 1), (2**32,)),
            "flight_max": ((0, 65536), (65537,))}
    | {key: ((0, HOUR_NS), (HOUR_NS + 1,)) for key in ("delay_ns", "jitter_ns", "reorder_ns")}
    | {key: ((0, MILLION), (MILLION + 1,))
       for key in ("loss", "duplicate", "reorder", "corrupt", "truncate")}
    | {key: ((0, 1), (2,)) for key in ("checksum", "asynchronous_tx", "refuses")},
    "null": {"port": ((1, 65535), (0, 65536)), "bytes": ((0, 1472), (1473,)),
             "burst": ((1, 32), (0, 33))},
    "tap": {}, "loop": {},
}
# Without the interface; whoever opens it has parsed the keys.
START = {"afxdp": "afxdp:nonesuch0,", "sim": "sim:", "null": "null:"}
REFUSES = re.compile(r"net\.dev: |is not understood")


def sections():
    """Kind -> what stands of it in the page."""
    text = (TOP / "man/demi.conf.5.scd").read_text()
    text = text[text.index("# NETWORK"):text.index("# WRITE PROTECTION")]
    parts = re.split(r"^_(\w+):.*$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def documented(section):
    return set(re.findall(r"\*(\w+)=\*_", section))


def parsed(kind):
    file, pattern = PARSERS[kind]
    return set(re.findall(pattern, (TOP / "src/netdev" / file).read_text(), re.M))


def open_device(name):
    """What is said; an address that is not ours ends it, at the latest."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DEMI_")}
    environment |= {"LIBOS": "catnip", "DEMI_NET_DEV": name, "DEMI_NET_IP": "10.77.0.2/24"}
    return subprocess.run([DEMI_ECHO, "server", "--proto", "udp", "--addr", "10.99.0.1:7000"],
                          env=environment, text=True, capture_output=True, timeout=20).stderr


def try_values(kind):
    wrong = []
    for key, (good, bad) in VALUES[kind].items():
        for value in good + bad:
            said = open_device(f"{START[kind]}{key}={value}")
            if bool(REFUSES.search(said)) != (value in bad):
                wrong.append(f"{key}={value}: {said}")
    return wrong


kinds = re.search(r"give one of (.*), as in", open_device("pigeon:0")).group(1).split(", ")
pages = sections()
outcome("every kind has its place in the page", [kind for kind in kinds if kind not in pages])
for kind, values in VALUES.items():
    outcome(f"{kind}: the page has the keys", documented(pages[kind]) ^ set(values))
for kind in PARSERS:
    outcome(f"{kind}: so has the parser", parsed(kind) ^ set(VALUES[kind]))
    if kind in kinds:
        outcome(f"{kind}: values", try_values(kind))
finish()
