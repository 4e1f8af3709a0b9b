#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Check that demi-relay(1) has every option of demi-relay --help and no other, with the same default, and
that docs/relay.md names none that there is not. Speaks TAP.

    tests/docs/relay_options_test.py TOP DEMI_RELAY
"""
import pathlib
import re
import subprocess
import sys

from tap import finish, outcome

TOP, DEMI_RELAY = pathlib.Path(sys.argv[1]), sys.argv[2]


def main():
    told = subprocess.run([DEMI_RELAY, "--help"], text=True, capture_output=True, check=True).stdout
    lines = dict(re.findall(r"^  --([\w-]+)(.*)$", told, re.M))
    options = set(lines) | {"help", "version"}
    page = (TOP / "man/demi-relay.1.scd").read_text()
    section = page[page.index("# OPTIONS"):page.index("# SIGNALS")]
    paged = set(re.findall(r"^\*--([\w-]+)\*|, \*--([\w-]+)\*", section, re.M))
    paged = {first or second for first, second in paged}
    outcome("the manual page has every option", sorted(options - paged))
    outcome("the manual page has no other", sorted(paged - options))

    wrong = []
    for name, rest in lines.items():
        default = re.search(r"default: (\S+)$", rest)
        entry = re.search(rf"^\*--[^\n]*{name}\*[^\n]*\n((?:\t[^\n]*\n)+)", section, re.M)
        if default and entry and default[1] not in entry[1]:
            wrong.append(f"--{name}: {default[1]} in --help, not in the page")
    outcome("defaults are the same", wrong)

    named = set(re.findall(r"`--([\w-]+)", (TOP / "docs/relay.md").read_text()))
    outcome("docs/relay.md names options that there are", sorted(named - options))
    finish()


main()
