# SPDX-License-Identifier: MIT
"""
Programs of cmocka, of which a guest runs some that the build has made: each of their cases becomes a
test here, and so a line of TAP.
"""

import os
import re
import subprocess
import unittest

MARK = re.compile(r"^\[( RUN      |       OK |  FAILED  |  SKIPPED )\] (.+)", re.M)


def verdicts(output):
    """{case: "OK", "FAILED" or "SKIPPED"}; of one that was begun and not ended, FAILED."""
    found = {}
    for mark, name in MARK.findall(output):
        if mark.strip() == "RUN":
            found[name] = "FAILED"
        elif name in found:
            found[name] = mark.strip()
    return found


class Case(unittest.TestCase):
    def __init__(self, program, name, verdict, output):
        super().__init__()
        self.program, self.name, self.verdict, self.output = program, name, verdict, output

    def id(self):
        return f"{self.program}.test_{self.name}"

    def runTest(self):
        if self.verdict == "SKIPPED":
            self.skipTest("the program skips it")
        if self.verdict != "OK":
            # Who counts cases counts those of TAP, and is not to see cmocka's among them.
            self.fail(MARK.sub(r"(\1) \2", self.output))


class Cases(unittest.TestSuite):
    """The cases of one program, which is run when they are; @prepare is called before."""

    def __init__(self, label, command, environment, timeout, prepare=lambda: None):
        super().__init__()
        self.label, self.command, self.timeout, self.prepare = label, command, timeout, prepare
        self.environment = os.environ | environment

    def run(self, result, debug=False):
        self.prepare()
        for case in self.outcomes():
            case.run(result)
        return result

    def outcomes(self):
        """Besides the cases one for the whole program, where it ends as none of them tells."""
        try:
            completed = subprocess.run(self.command, text=True, errors="replace",
                                       env=self.environment, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       timeout=self.timeout)
            output, status = completed.stdout, completed.returncode
        except subprocess.TimeoutExpired as stopped:
            output = (stopped.stdout or b"").decode(errors="replace")
            output, status = f"{output}\nstopped after {self.timeout} s", None
        found = verdicts(output)
        cases = [Case(self.label, name, verdict, output) for name, verdict in found.items()]
        if (status != 0 or not found) and "FAILED" not in found.values():
            # It may skip itself as a whole (77), or have died between its cases.
            verdict = "SKIPPED" if status == 77 and not found else "FAILED"
            cases.append(Case(self.label, "ends_well", verdict, f"{output}\nstatus {status}"))
        return cases
