#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
scripts/vm.sh itself: what comes out of a guest, what it says, and that nothing stays behind. And what
the tests in guests share: two guests on one wire, and programs of cmocka whose cases are told.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import cases
import guest
from guest import lab


def vm_sh(*arguments, **keywords):
    return subprocess.run([guest.VM_SH, *arguments], text=True, capture_output=True,
                          timeout=guest.DEADLINE_S, **keywords)


def processes(word):
    listed = subprocess.run(["ps", "-eo", "args"], text=True, capture_output=True).stdout
    return [line for line in listed.splitlines() if line.startswith("qemu") and word in line]


class Usage(unittest.TestCase):
    def test_help(self):
        completed = vm_sh("--help")
        self.assertEqual(completed.returncode, 0)
        for option in ("--memory", "--huge-pages", "--timeout", "--count", "--qemu", "--prepare"):
            self.assertIn(option, completed.stdout)

    def test_what_is_wrong(self):
        for arguments, words in (((), "a command is missing"), (("--",), "a command is missing"),
                                 (("true",), "unknown: true"),
                                 (("--memory", "x", "--", "true"), "--memory needs a number"),
                                 (("--qemu",), "--qemu needs arguments")):
            with self.subTest(arguments=arguments):
                completed = vm_sh(*arguments)
                self.assertEqual(completed.returncode, 2, completed.stderr)
                self.assertIn(words, completed.stderr)
                self.assertEqual(completed.stderr.count("\n"), 1)

    def test_missing_program(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("bash", "env", "realpath", "dirname", "uname"):
                os.symlink(shutil.which(name), f"{folder}/{name}")
            completed = vm_sh("--prepare", env={"PATH": folder})
        self.assertEqual(completed.returncode, 1)
        self.assertEqual(completed.stderr, "vm.sh: qemu-system-x86_64 is missing; scripts/deps.sh "
                                           "vm installs it\n")

    def test_cache_that_cannot_be_written(self):
        completed = vm_sh("--prepare", env=dict(os.environ) | {"DEMI_VM_CACHE": "/proc/nowhere"})
        self.assertEqual(completed.returncode, 1)
        self.assertIn("cannot write to /proc/nowhere", completed.stderr)


class Guest(unittest.TestCase):
    def test_command(self):
        completed = vm_sh("--huge-pages", "4", "--", "bash", "-c", """
            echo "$1"; pwd; id -u; echo wrong >&2; head -c 300000 /dev/zero | tr '\\0' x
            grep HugePages_Total /proc/meminfo; touch /usr/mine && exit 7""", "name", "a 'b' $c\\n",
                          cwd="/usr")
        lines = completed.stdout.splitlines()
        self.assertEqual(completed.returncode, 7, completed.stderr)
        self.assertEqual(lines[:3], ["a 'b' $c\\n", "/usr", "0"])
        self.assertRegex(lines[3], "^x{300000}HugePages_Total: +4$")
        self.assertEqual(completed.stderr, "wrong\n")
        # What it has changed was its own.
        self.assertFalse(os.path.exists("/usr/mine"))

    def test_clock_that_counts(self):
        completed = vm_sh("--count", "--", "bash", "-c", """
            nproc
            for turn in 1 2 3; do
                before=${EPOCHREALTIME/./}
                for ((i = 0; i < 100000; i++)); do :; done
                echo $((${EPOCHREALTIME/./} - before))
            done""")
        self.assertEqual(completed.returncode, 0, completed.stderr)
        processors, first, *times = map(int, completed.stdout.split())
        self.assertEqual(processors, 1)
        # However busy this machine is meanwhile; the first turn finds its pages missing.
        self.assertLess(max(times), 1.05 * min(times), first)

    def test_death(self):
        completed = vm_sh("--", "sh", "-c", "echo 1 >/proc/sys/kernel/sysrq; echo alive; "
                                            "echo c >/proc/sysrq-trigger")
        self.assertEqual(completed.returncode, 125)
        self.assertEqual(completed.stdout, "alive\n")
        self.assertIn("sysrq", completed.stderr)
        self.assertIn("the guest has died", completed.stderr)

    def test_wrong_device(self):
        completed = vm_sh("--qemu", "-device nonesuch", "--", "true")
        self.assertEqual(completed.returncode, 125)
        self.assertIn("'nonesuch'", completed.stderr)

    def test_time_is_up(self):
        began = time.monotonic()
        completed = vm_sh("--timeout", "1", "--memory", "337", "--", "sleep", "1000")
        self.assertEqual(completed.returncode, 124)
        self.assertIn("stopped after 1 s", completed.stderr)
        self.assertLess(time.monotonic() - began, guest.DEADLINE_S / 2)
        self.assertEqual(processes("-m 337 "), [])

    def left_behind(self, number):
        """Of a guest whose vm.sh ends by a signal."""
        process = subprocess.Popen([guest.VM_SH, "--memory", "339", "--", "sleep", "1000"])
        deadline = time.monotonic() + guest.DEADLINE_S
        while not processes("-m 339 ") and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(len(processes("-m 339 ")), 1)
        process.send_signal(number)
        process.wait(timeout=guest.DEADLINE_S)
        while processes("-m 339 ") and time.monotonic() < deadline:
            time.sleep(0.05)
        return processes("-m 339 ")

    def test_nothing_is_left_when_it_is_killed(self):
        self.assertEqual(self.left_behind(signal.SIGKILL), [])

    def test_nothing_is_left_when_it_is_terminated(self):
        self.assertEqual(self.left_behind(signal.SIGTERM), [])

    def test_reader_that_goes_away(self):
        process = subprocess.Popen([guest.VM_SH, "--", "yes"], stdout=subprocess.PIPE)
        self.assertEqual(process.stdout.read(2), b"y\n")
        process.stdout.close()
        self.assertEqual(process.wait(timeout=guest.DEADLINE_S), -signal.SIGPIPE)


class Pair(unittest.TestCase):
    ADDRESS = "0000:00:10.0"
    # The link is up where both ends are, and each hears what the other sends. A driver may give its
    # interface a name after modprobe has ended; what is sent before the other is there is lost.
    INSIDE = ("modprobe virtio_net; "
              "until name=$(ls /sys/bus/pci/devices/0000:00:10.0/virtio*/net); do sleep 0.1; done; "
              "ip address add 10.73.0.$0/24 dev $name; ip link set $name up; "
              "until ping -q -c 1 -W 2 10.73.0.$1 >/dev/null; do sleep 0.1; done; "
              "echo $0 hears $1; ")

    def test_each_hears_the_other(self):
        commands = [["sh", "-c", self.INSIDE + "sleep 1000", "2", "1"],
                    ["sh", "-c", self.INSIDE, "1", "2"]]
        options = ["--memory", "341", "--timeout", str(2 * guest.DEADLINE_S)]
        with tempfile.TemporaryFile("w+") as said:
            with guest.pair((options, commands[1]), (options, commands[0]), "virtio-net-pci",
                            self.ADDRESS, output=said) as (first, second):
                status = first.wait(timeout=2 * guest.DEADLINE_S + 10)
                self.assertIsNone(second.poll())
            said.seek(0)
            self.assertEqual((status, said.read()), (0, "1 hears 2\n"))
        deadline = time.monotonic() + guest.DEADLINE_S
        while processes("-m 341 ") and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(processes("-m 341 "), [])


class Cases(unittest.TestCase):
    def outcomes(self, script, timeout=guest.DEADLINE_S):
        """{case: what becomes of it} of a program."""
        result = unittest.TestResult()
        told = cases.Cases("catnap x", ["sh", "-c", script], {"LIBOS": "catnap"}, timeout)
        told.run(result)
        bad = {case.id(): text for case, text in result.failures + result.errors}
        skipped = {case.id() for case, _ in result.skipped}
        self.assertEqual(result.testsRun, len(bad) + len(skipped) + self.good(result))
        self.texts = bad
        return bad.keys(), skipped, self.good(result)

    @staticmethod
    def good(result):
        return result.testsRun - len(result.failures + result.errors + result.skipped)

    def test_verdicts(self):
        bad, skipped, good = self.outcomes("""
            echo "[ RUN      ] a__works"; echo "[       OK ] a__works"
            echo "[ RUN      ] [ipv6] b__bad"; echo "why, on $LIBOS"; echo "[  FAILED  ] [ipv6] b__bad"
            echo "[ RUN      ] c__not_here"; echo "[  SKIPPED ] c__not_here"; exit 1""")
        self.assertEqual((set(bad), skipped, good), (
            {"catnap x.test_[ipv6] b__bad"}, {"catnap x.test_c__not_here"}, 1))
        text = self.texts["catnap x.test_[ipv6] b__bad"]
        self.assertIn("why, on catnap", text)
        self.assertNotRegex(text, r"\[ RUN")

    def test_case_that_does_not_end(self):
        begun = 'echo "[ RUN      ] a__hangs"; '
        for script in (begun + "exec sleep 1000", begun + "kill -SEGV $$"):
            bad, _, good = self.outcomes(script, timeout=1)
            self.assertEqual((set(bad), good), ({"catnap x.test_a__hangs"}, 0))

    def test_program_that_ends_as_no_case_tells(self):
        done = 'echo "[ RUN      ] a__works"; echo "[       OK ] a__works"; '
        for script, good in ((done + "exit 3", 1), ("exit 0", 0), ("exit 1", 0)):
            bad, _, well = self.outcomes(script)
            self.assertEqual((set(bad), well), ({"catnap x.test_ends_well"}, good))
        self.assertEqual(self.outcomes("exit 77")[1:], ({"catnap x.test_ends_well"}, 0))


if __name__ == "__main__":
    guest.require_guest()
    lab.sys.exit(lab.run_tests(lab.sys.argv[1:]))
