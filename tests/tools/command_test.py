#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
`demi` itself, its help and its completion; that both and the manual pages know the same options; and
`demi lab`, which is scripts/lab.sh. Speaks TAP.

    tests/tools/command_test.py DEMI TOP VERSION
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from command import start
from tap import finish, outcome

DEMI, TOP, VERSION = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2]).resolve(), sys.argv[3]
COMMANDS = ("run", "doctor", "log", "nvme", "lab")
COMPLETION = TOP / "tools/demi.bash-completion"


def demi(*words, **options):
    return start([DEMI, *words], **options)


def expect(name, good, result):
    outcome(name, [] if good else [f"status {result.returncode}", *result.stderr.splitlines(),
                                   *result.stdout.splitlines()])


def test_demi():
    result = demi("--version")
    expect("--version", result.stdout == f"demi {VERSION}\n" and result.returncode == 0, result)
    result = demi("--help")
    expect("--help names every command", result.returncode == 0
           and all(re.search(rf"^  {name} ", result.stdout, re.M) for name in COMMANDS), result)
    text = result.stdout
    for words in (("help",), ("help", "help")):
        result = demi(*words)
        expect(" ".join(words), result.stdout == text and result.returncode == 0, result)
    result = demi()
    expect("no command: the help, as an error", result.stderr == text and result.returncode == 2, result)
    for name in COMMANDS:
        result, other = demi("help", name), demi(name, "--help")
        expect(f"help {name}", result.returncode == 0 and result.stdout == other.stdout
               and f"demi {name}" in result.stdout, result)


REFUSED = (
    (("rnu",), "did you mean run?"),
    (("doc",), "did you mean doctor?"),
    (("Lab",), "did you mean lab?"),
    (("help", "docter"), "did you mean doctor?"),
    (("x" * 5000,), "allowed: run, doctor, log, nvme, lab, help"),
    (("",), "allowed: run, doctor, log, nvme, lab, help"),
    (("--verbose",), "unknown option '--verbose'"),
    (("help", "run", "lab"), "one word too many"),
    (("doctor", "eth0"), "one word too many"),
    (("doctor", "--jso=1"), "takes no value"),
    (("doctor", "--yaml"), "unknown option '--yaml'"),
)


def test_refused():
    for words, text in REFUSED:
        result = demi(*words)
        expect(f"refused: {' '.join(words)[:40]}", result.returncode == 2 and result.stdout == ""
               and len(result.stderr.splitlines()) == 1 and text in result.stderr, result)


# ---- The same options everywhere ----

def options_of(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def test_documents():
    offered = COMPLETION.read_text()
    for name in COMMANDS:
        # The last part of the laboratory's is an example.
        helped = options_of(demi(name, "--help").stdout.partition("In the variables")[0]) | {"--help"}
        page = (TOP / f"man/demi-{name}.1.scd").read_text()
        documented = options_of(page[page.index("# OPTIONS"):page.index("# EXIT STATUS")])
        outcome(f"{name}: help and manual page have the same options", sorted(helped ^ documented))
        outcome(f"{name}: its options are completed", sorted(helped - options_of(offered)))


def complete(*words):
    return subprocess.run([TOP / "tests/tools/completion.sh", COMPLETION, *words], text=True,
                          capture_output=True, timeout=60)


COMPLETIONS = (
    (("demi", ""), {"run", "doctor", "log", "nvme", "lab", "help"}),
    (("demi", "do"), {"doctor"}),
    (("demi", "help", "r"), {"run"}),
    (("demi", "doctor", "--j"), {"--json"}),
    (("demi", "run", "--li"), {"--libos"}),
    (("demi", "run", "--libos", "catn"), {"catnip", "catnap"}),
    (("demi", "run", "--libos", "catm"), {"catmint"}),
    (("demi", "run", "--idle", "sp"), {"spin"}),
    (("demi", "run", "--dev", "ta"), {"tap:demi0"}),
    (("demi", "run", "--dev", "tap", ":"), {"tap:demi0"}),
    (("demi", "run", "--dev", "tap", ":", "de"), {"tap:demi0"}),
    (("demi", "run", "--dev", "tap", ":", "demi0", "--tr"), {"--trace"}),
    (("demi", "run", "--trace", "--", "slee"), {"sleep"}),
    (("demi", "run", "--ip", "10.0.0.2/24", "slee"), {"sleep"}),
    (("demi", "run", "--blk", "ur"), {"uring:"}),
    (("demi", "log", ""), {"list", "cat", "dump", "check", "format"}),
    (("demi", "log", "cat", "--fr"), {"--from"}),
    (("demi", "log", "format", "--o"), {"--overwrite"}),
    (("demi", "log", "list", "--blk", "nv"), {"nvme:"}),
    (("demi", "nvme", "u"), {"unbind"}),
    (("demi", "nvme", "bind", "--s"), {"--serial"}),
    (("demi", "nvme", "smart", "--j"), {"--json"}),
    (("demi", "lab", "u"), {"up"}),
    (("demi", "lab", "run", "--rou"), {"--router"}),
    (("demi", "lab", "run", "--", "slee"), {"sleep"}),
)


def test_completion():
    for words, wanted in COMPLETIONS:
        result = complete(*words)
        expect(f"completion: {' '.join(words)}", wanted <= set(result.stdout.split()) and not result.stderr,
               result)


# ---- Drives ----

NO_DRIVE = "0000:ff:1f.7"
NVME_REFUSED = (
    ((), 2, "usage: demi nvme list"),
    (("fly",), 2, "demi nvme: unknown: fly; demi nvme --help tells more"),
    (("list", "x"), 2, "list takes no arguments"),
    (("bind",), 2, "an address is missing"),
    (("bind", "05.0"), 2, "is not the address of a PCI device"),
    (("bind", NO_DRIVE, NO_DRIVE), 2, "one address"),
    (("bind", NO_DRIVE, "--serial"), 2, "--serial, of bind, needs a number"),
    (("unbind", NO_DRIVE, "--serial", "X"), 2, "--serial, of bind, needs a number"),
    (("bind", NO_DRIVE, "--force"), 2, "unknown: --force"),
    (("bind", NO_DRIVE), 1, f"{NO_DRIVE}: this machine has no such PCI device"),
    (("unbind", NO_DRIVE), 1, f"{NO_DRIVE}: this machine has no such PCI device"),
    (("smart",), 2, "usage: demi nvme smart [--json] ADDRESS"),
    (("smart", "--json"), 2, "usage: demi nvme smart [--json] ADDRESS"),
    (("smart", NO_DRIVE, NO_DRIVE), 2, "usage: demi nvme smart [--json] ADDRESS"),
    (("smart", NO_DRIVE), 1, f"this machine has no PCI device {NO_DRIVE}"),
    (("smart", "--json", NO_DRIVE), 1, f"this machine has no PCI device {NO_DRIVE}"),
    (("smart", "05.0"), 1, "is not the address of a PCI device"),
)


def test_nvme():
    for words in (("--help",), ("bind", "--help"), ("unbind", NO_DRIVE, "--help"), ("smart", "--help")):
        result = demi("nvme", *words)
        expect(f"nvme {' '.join(words)}", result.returncode == 0 and result.stdout.startswith("usage: demi nvme")
               and result.stderr == "", result)
    for words, status, text in NVME_REFUSED:
        result = demi("nvme", *words)
        expect(f"nvme {' '.join(words)}: refused", result.returncode == status and result.stdout == ""
               and text in result.stderr, result)


# ---- The laboratory ----

def test_lab():
    result = demi("lab", "fly")
    expect("lab: its messages name the command", result.returncode == 2
           and result.stderr.startswith("demi lab: unknown: fly") and "lab.sh" not in result.stderr, result)
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder) / "lab.sh"
        script.write_text('#!/bin/sh\nprintf "<%s>" "$LAB_CALLED" "$@"\nexit 3\n')
        script.chmod(0o755)
        result = demi("lab", "run", "--mtu", "1400", "--", "a b", environment={"DEMI_LAB": str(script)})
        expect("lab: arguments and exit status are the script's",
               result.returncode == 3 and result.stdout == "<demi lab><run><--mtu><1400><--><a b>", result)
        script.chmod(0o644)
        result = demi("lab", "up", environment={"DEMI_LAB": str(script)})
        expect("lab: a script that does not start", result.returncode == 1 and "needs bash" in result.stderr,
               result)
    result = demi("lab", "up", environment={"DEMI_LAB": "/nonexistent/lab.sh"})
    expect("lab: no script", result.returncode == 1 and "DEMI_LAB=/path" in result.stderr, result)
    if os.geteuid() != 0:
        outcome("lab: a laboratory # SKIP only root can make one", [])
        return
    result = demi("lab", "run", "--", "sh", "-c", "ip netns exec $LAB_DEMI ip link show $LAB_DEV; exit 9")
    expect("lab: a laboratory", result.returncode == 9 and "demi0" in result.stdout, result)


def main():
    for test in (test_demi, test_refused, test_documents, test_completion, test_nvme, test_lab):
        test()
    finish()


main()
