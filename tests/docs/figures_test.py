#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Check that demi_stats(3) explains what demi_stats tells: every layer and every reason of a drop, and
none that there is not. Speaks TAP.

    tests/docs/figures_test.py [TOP]
"""
import pathlib
import re
import sys

from tap import finish, outcome

TOP = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2])
PAGE = (TOP / "man/demi_stats.3.scd").read_text()
COUNTERS = (TOP / "src/net/counters.h").read_text()
DEVICE = (TOP / "src/netdev/netdev.c").read_text()
BLKDEV = (TOP / "src/blkdev/blkdev.c").read_text()
CATMINT = (TOP / "src/libos/catmint/catmint.h").read_text()
LOG = "".join(path.read_text() for path in sorted((TOP / "src/log").glob("*.c")))


def entries(text, macro):
    """NAME of each X(NAME, ...) of a list."""
    body = re.search(rf"#define {macro}\(X\)((?:.*\\\n)*.*)", text)[1]
    return re.findall(r"\bX\((\w+), \"([^\"]+)\"", body)


def terms(heading):
    """What a part of the page explains: the words that stand at the start of a line."""
    part = re.search(rf"^## {heading}\n(.*?)(?=^#)", PAGE, re.M | re.S)[1]
    return [word.strip("_") for line in re.findall(r"^_.*", part, re.M) for word in line.split(", ")]


def check(name, expected, found):
    wrong = [f"{'missing' if word in expected else 'is not there'}: {word}"
             for word in sorted(set(expected) ^ set(found))]
    if not wrong and expected != found:
        wrong = [f"in another order: {' '.join(found)}"]
    outcome(name, wrong if expected else ["nothing was found in the code"])


reasons = [name.lower() for name, _ in entries((TOP / "src/wire/error.h").read_text(), "WIRE_ERRORS")]
reasons += [name.lower() for name, _ in entries(COUNTERS, "NET_DROPS")]
layers = sorted(text for _, text in entries(COUNTERS, "NET_LAYERS"))


def told(part, text):
    return sorted(f"{part}.{name}" for name in re.findall(rf'tell\(context, "{part}", "(\w+)"', text))



def listed(part, text, macro):
    """Those that a list of X(NAME) tells."""
    body = re.search(rf"#define {macro}\(X\)((?:.*\\\n)*.*)", text)[1]
    return sorted(f"{part}.{name}" for name in re.findall(r"\bX\((\w+)\)", body))


explained = terms("The layers")
said_layers = re.search(r"^For each of (.*?):$", PAGE, re.M | re.S)[1]
check("reasons of drops", reasons, [word for word in explained if "." not in word])
check("layers", layers, sorted(re.findall(r"_(\w+?)_", said_layers)))
check("figures of the device", told("device", DEVICE), sorted(terms("The device")))
check("figures of the block device", told("blkdev", BLKDEV), sorted(terms("The block device")))
check("figures of the log", told("log", LOG), sorted(terms("The log")))
check("figures of RDMA", listed("rdma", CATMINT, "CATMINT_COUNTERS"), sorted(terms("RDMA")))
check("figures of a layer", ["LAYER.drops.REASON", "LAYER.rx_bytes", "LAYER.rx_packets",
                             "LAYER.tx_bytes", "LAYER.tx_packets"],
      sorted(word for word in explained if "." in word))
finish()
