#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Check docs/tcp.md against the tree: every function, constant and test that it names is there, every
requirement of RFC 9293 has its row, and each row says how and by which test. Speaks TAP.

    tests/docs/tcp_table_test.py [TOP]

`file.c:name` is a definition in src/net/tcp/file.c, or with a folder in src/; `area__what_is_so` is a
test.
"""
import pathlib
import re
import sys

from tap import finish, outcome

TOP = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2])
LABELS = [f"MUST-{i}" for i in range(1, 70)] + [f"SHLD-{i}" for i in range(1, 32)] + ["REC-1"]
LEVEL = re.compile(r"MUST|SHOULD|RECOMMENDED|MAY|rule")
REFERENCE = re.compile(r"`([\w./]+\.[ch]):(\w+)`")
TEST = re.compile(r"`([a-z0-9_]+__[a-z0-9_]+)`")
FILE = re.compile(r"`((?:[\w-]+/)*[\w-]+\.(?:c|h|py|sh|md|scd))`")


def registered_tests():
    """Names of test functions that their file's list has as well."""
    names = set()
    for folder in "src", "tests":
        for path in (TOP / folder).rglob("*.c"):
            text = path.read_text()
            for name in re.findall(r"^static void (\w+)\(void \*\*state\)", text, re.M):
                if len(re.findall(rf"\b{name}\b", text)) > 1:
                    names.add(name)
    return names


def defines(text, name):
    """Whether @text defines a macro, function, variable or type at the beginning of a line."""
    return re.search(rf"^#define\s+{name}\b|^\w[^\n;]*\b{name}\s*[\[({{=]", text, re.M)


def missing_references(text):
    wrong = []
    for file, name in sorted(set(REFERENCE.findall(text))):
        path = TOP / "src" / (file if "/" in file else f"net/tcp/{file}")
        if not path.is_file():
            wrong.append(f"{file}: there is no such file")
        elif not defines(path.read_text(), name):
            wrong.append(f"{file}: does not define {name}")
    return wrong


def missing_files(text):
    folders = "", "src", "src/net/tcp", "docs"
    return [f"{name}: there is no such file" for name in sorted(set(FILE.findall(text)))
            if not any((TOP / folder / name).is_file() for folder in folders)]


def rows_of(text):
    """The cells of each row of a table that has the five columns."""
    rows = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) == 5 and not set(cells[0]) <= set("-:"):
            rows.append(cells)
    return [cells for cells in rows if cells[0] != "where"]


def wrong_rows(rows):
    wrong = []
    for where, requirement, level, how, tests in rows:
        if not requirement or not how:
            wrong.append(f"{where}: a cell is empty")
        if not LEVEL.match(level):
            wrong.append(f"{where}: what level is {level}?")
        if tests != "-" and not TEST.search(tests):
            wrong.append(f"{where}: neither a test nor -")
    return wrong


def main():
    text = (TOP / "docs" / "tcp.md").read_text()
    rows = rows_of(text)
    known = registered_tests()
    labels = [where.split()[0] for where, *_ in rows]
    outcome("functions", missing_references(text))
    outcome("files", missing_files(text))
    outcome("tests", [f"{name}: there is no such test"
                      for name in sorted(set(TEST.findall(text)) - known)])
    outcome("requirements of RFC 9293", [f"{label}: {labels.count(label)} rows" for label in LABELS
                                         if labels.count(label) != 1])
    outcome(f"{len(rows)} rows", wrong_rows(rows) or ([] if rows else ["there is no table"]))
    finish()


if __name__ == "__main__":
    main()
