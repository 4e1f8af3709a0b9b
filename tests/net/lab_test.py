#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""scripts/lab.sh itself: what it makes, what it says, and that it leaves nothing behind."""

import os
import signal
import subprocess
import time
import unittest

import lab

OWN = {4: f"{lab.DEMI_IP[4]}/24", 6: f"{lab.DEMI_IP[6]}/64 nodad"}


def lab_sh(*arguments, **keywords):
    return subprocess.run([lab.LAB_SH, *arguments], text=True, capture_output=True, timeout=30,
                          **keywords)


class Usage(unittest.TestCase):
    def test_help(self):
        completed = lab_sh("--help")
        self.assertEqual(completed.returncode, 0)
        for verb in ("up", "down", "run", "shell", "env"):
            self.assertIn(f"lab.sh {verb}", completed.stdout)

    def test_what_is_wrong(self):
        for arguments, words in (((), "say what to do"), (("fly",), "unknown: fly"),
                                 (("run",), "run needs a command"),
                                 (("run", "--"), "run needs a command"),
                                 (("run", "--mtu", "x", "--", "true"), "--mtu needs a number"),
                                 (("run", "--queues", "0", "--", "true"),
                                  "--queues needs a number"),
                                 (("run", "--ends", "100", "--", "true"),
                                  "--ends needs a number"),
                                 (("run", "--frob", "--", "true"), "unknown option --frob"),
                                 (("up", "a/b"), "has other characters"),
                                 (("up", "a", "b"), "one name is enough")):
            with self.subTest(arguments=arguments):
                completed = lab_sh(*arguments)
                self.assertEqual(completed.returncode, 2, completed.stderr)
                self.assertIn(words, completed.stderr)
                self.assertEqual(completed.stderr.count("\n"), 1)

    def test_not_root(self):
        completed = subprocess.run(
            [*(["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []),
             lab.LAB_SH, "run", "--", "true"], text=True, capture_output=True, timeout=30)
        self.assertEqual(completed.returncode, 1)
        self.assertIn("only root", completed.stderr)
        self.assertIn("sudo", completed.stderr)


@unittest.skipIf(os.geteuid() != 0, "only root can make network namespaces")
class Lab(unittest.TestCase):
    name = f"t{os.getpid()}"

    def tearDown(self):
        lab_sh("down", self.name)

    def test_status_of_the_command(self):
        self.assertEqual(lab_sh("run", "--", "sh", "-c", "exit 7").returncode, 7)
        self.assertEqual(lab_sh("run", "--", "true").returncode, 0)

    def test_link(self):
        for version in (4, 6):
            completed = lab_sh("run", "--mtu", "1400", "--", "sh", "-c", f"""
                ip -n $LAB_DEMI address add {OWN[version]} dev $LAB_DEV &&
                ip netns exec $LAB_DEMI ping -n -q -c 1 -W 5 {lab.LINUX_IP[version]} &&
                ip -n $LAB_DEMI link show $LAB_DEV""")
            self.assertEqual(completed.returncode, 0, completed.stderr)
            self.assertIn(" 1 received", completed.stdout)
            self.assertIn("mtu 1400", completed.stdout)

    def test_ends(self):
        completed = lab_sh("run", "--ends", "3", "--", "sh", "-c", """
            ip -n $LAB_DEMI address add $LAB_DEMI_IP/24 dev $LAB_DEV
            ip -n $LAB_DEMI2 address add $LAB_DEMI2_IP/24 dev $LAB_DEV
            ip -n $LAB_DEMI3 address add $LAB_DEMI3_IP6/64 dev $LAB_DEV nodad
            ip netns exec $LAB_DEMI ping -n -q -c 1 -W 5 $LAB_DEMI2_IP
            ip netns exec $LAB_DEMI2 ping -n -q -c 1 -W 5 $LAB_LINUX_IP
            ip netns exec $LAB_DEMI3 ping -n -q -c 1 -W 5 $LAB_LINUX_IP6
            ip -n $LAB_DEMI3 link show $LAB_DEV""")
        self.assertEqual(completed.returncode, 0, completed.stderr)
        self.assertEqual(completed.stdout.count(" 1 received"), 3, completed.stdout)
        self.assertIn("02:00:00:00:77:04", completed.stdout)

    def test_ends_of_a_named_one_are_removed(self):
        self.assertEqual(lab_sh("up", "--ends", "2", self.name).returncode, 0)
        self.assertIn(f"LAB_DEMI2={self.name}-demi2", lab_sh("env", self.name).stdout)
        self.assertEqual(lab_sh("down", self.name).returncode, 0)
        spaces = subprocess.run(["ip", "netns", "list"], text=True, capture_output=True).stdout
        self.assertNotIn(self.name, spaces)

    def test_router(self):
        for version in (4, 6):
            completed = lab_sh("run", "--router", "--hop-mtu", "1300", "--", "sh", "-c", f"""
                ip -n $LAB_DEMI address add {OWN[version]} dev $LAB_DEV
                ip -n $LAB_DEMI route add default via {lab.LINUX_IP[version]}
                ip netns exec $LAB_DEMI ping -n -c 1 -W 5 -M do -s 1400 {lab.FAR_IP[version]}
                ip netns exec $LAB_DEMI ping -n -q -c 1 -W 5 {lab.FAR_IP[version]}""")
            self.assertEqual(completed.returncode, 0, completed.stderr + completed.stdout)
            self.assertRegex(completed.stdout, r"mtu ?= ?1300")

    def test_up_env_down(self):
        up = lab_sh("up", self.name)
        self.assertEqual(up.returncode, 0, up.stderr)
        self.assertIn(f"export LAB_DEMI={self.name}-demi\n", up.stdout)
        self.assertEqual(lab_sh("env", self.name).stdout, up.stdout)
        again = lab_sh("up", self.name)
        self.assertEqual(again.returncode, 1)
        self.assertIn("is up already", again.stderr)
        # What runs in it goes with it.
        sleeper = subprocess.Popen(["ip", "netns", "exec", f"{self.name}-demi", "sleep", "1000"])
        while not subprocess.run(["ip", "netns", "pids", f"{self.name}-demi"],
                                 capture_output=True).stdout:
            time.sleep(0.01)
        self.assertEqual(lab_sh("down", self.name).returncode, 0)
        self.assertEqual(sleeper.wait(timeout=10), -signal.SIGTERM)
        self.assertFalse(os.path.exists(f"/run/netns/{self.name}-demi"))
        self.assertFalse(os.path.exists(f"/run/netns/{self.name}-linux"))
        gone = lab_sh("down", self.name)
        self.assertEqual(gone.returncode, 1)
        self.assertIn("there is no laboratory", gone.stderr)

    def test_nothing_is_left_of_one_that_cannot_be_made(self):
        for verb in (("up", "--mtu", "5", self.name), ("run", "--mtu", "5", "--", "true")):
            completed = lab_sh(*verb)
            self.assertEqual(completed.returncode, 1)
            self.assertIn("could not be made", completed.stderr)
        self.assertFalse(os.path.exists(f"/run/netns/{self.name}-demi"))

    def test_keep(self):
        completed = lab_sh("run", "--keep", "--", "sh", "-c", "echo $LAB_NAME")
        name = completed.stdout.strip()
        try:
            self.assertIn(f"lab.sh down {name}", completed.stderr)
            self.assertTrue(os.path.exists(f"/run/netns/{name}-demi"))
        finally:
            self.assertEqual(lab_sh("down", name).returncode, 0)

    def test_two_at_a_time(self):
        # Each has a link of the same name and addresses.
        script = "ip netns exec $LAB_LINUX ping -q -c 2 -i 0.2 10.77.0.1; sleep 0.3"
        both = [subprocess.Popen([lab.LAB_SH, "run", "--", "sh", "-c", script],
                                 stdout=subprocess.DEVNULL) for _ in range(2)]
        self.assertEqual([one.wait(timeout=30) for one in both], [0, 0])

    def left_behind(self, number):
        """Ends lab.sh by a signal while much runs in it; what is there afterwards."""
        probe = f"lab{os.getpid() % 10000}p"
        marker = f"{98765000 + os.getpid() % 1000}"
        before = set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else set()
        # A veth from the laboratory to here shows when the namespace of its other end ends; a
        # process that has left its session, and one in a namespace, must end too.
        script = f"""
            ip link add {probe} type veth peer name inside netns $LAB_DEMI
            setsid sh -c 'trap "" TERM HUP INT; sleep {marker}' &
            ip netns exec $LAB_LINUX setsid sleep {marker} &
            echo ready; sleep {marker}"""
        process = subprocess.Popen([lab.LAB_SH, "run", "--router", "--", "sh", "-c", script],
                                   stdout=subprocess.PIPE, text=True)
        self.assertEqual(process.stdout.readline(), "ready\n")
        self.assertTrue(os.path.exists(f"/sys/class/net/{probe}"))
        process.send_signal(number)
        process.wait(timeout=10)
        process.stdout.close()
        left = None
        deadline = time.monotonic() + 10
        while left != [] and time.monotonic() < deadline:
            left = [line for line in subprocess.run(["ps", "-eo", "pid,args"], text=True,
                                                    capture_output=True).stdout.splitlines()
                    if f"sleep {marker}" in line]
            if os.path.exists(f"/sys/class/net/{probe}"):
                left.append(probe)
            left += sorted(set(os.listdir("/run/netns")) - before)
            time.sleep(0.02)
        return left

    def test_nothing_is_left_when_it_is_killed(self):
        self.assertEqual(self.left_behind(signal.SIGKILL), [])

    def test_nothing_is_left_when_it_is_terminated(self):
        self.assertEqual(self.left_behind(signal.SIGTERM), [])

    def test_nothing_is_left_when_the_terminal_goes(self):
        self.assertEqual(self.left_behind(signal.SIGHUP), [])

    def test_nothing_is_left_by_a_command_that_leaves_processes(self):
        marker = f"{97765000 + os.getpid() % 1000}"
        lab_sh("run", "--", "sh", "-c", f"setsid sleep {marker} >/dev/null 2>&1 & exit 0")
        listed = subprocess.run(["ps", "-eo", "args"], text=True, capture_output=True).stdout
        self.assertNotIn(f"sleep {marker}", listed)


if __name__ == "__main__":
    lab.sys.exit(lab.run_tests(lab.sys.argv[1:]))
