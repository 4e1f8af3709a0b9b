# SPDX-License-Identifier: MIT
"""What the tests of documents say of each check, in TAP."""

import sys

number = failures = 0


def outcome(name, wrong):
    """One check, with what is wrong, a line each."""
    global number, failures
    number += 1
    failures += bool(wrong)
    print(f"{'not ok' if wrong else 'ok'} {number} - {name}")
    for line in wrong:
        print(f"# {line}")


def finish():
    """Ends the program."""
    print(f"1..{number}")
    sys.exit(failures != 0)
