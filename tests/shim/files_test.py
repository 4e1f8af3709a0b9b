#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What calls about files do on a log of the block device is what they do on a file of the kernel's: the same
program is run over both, and its output compared line by line. And what cannot be the same, as
demi-shim(7) says it.

    FILES=PROGRAM PUSH_RECORDS=PROGRAM files_test.py SHIM
"""

import difflib
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest

FILES = os.environ.get("FILES", "")
PUSH_RECORDS = os.environ.get("PUSH_RECORDS", "")
SHIM = ""
DEADLINE_S = 120


def variables(folder, **more):
    """The environment of a program whose files below FOLDER/logs are logs."""
    return dict(os.environ) | {
        "LIBOS": "cattree", "DEMI_BLK_DEV": f"uring:{folder}/disk.img,size=512M",
        "DEMI_RUNTIME_IDLE": "sleep", "LD_PRELOAD": SHIM, "DEMI_SHIM_LOG_FILES": f"{folder}/logs/",
    } | more


def checks_of(text):
    """What the program said, by check: {name: [line, ...]}"""
    checks, lines = {}, []
    for line in text.splitlines():
        if line.startswith("begin "):
            lines = checks[line[len("begin "):]] = []
        else:
            lines.append(line)
    return checks


class Case(unittest.TestCase):
    """One with a folder, and a device in it."""

    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = temporary.name
        os.mkdir(f"{cls.folder}/kernel")
        os.mkdir(f"{cls.folder}/logs")

    def run_program(self, *words, status=0, **more):
        """What it said on both streams."""
        done = subprocess.run(words, env=variables(self.folder, **more), text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.folder,
                              timeout=DEADLINE_S)
        self.assertEqual(done.returncode, status, done.stdout)
        return done.stdout

    def python(self, text, status=0, **more):
        text = "import ctypes, errno, fcntl, mmap, os, sys\n" + textwrap.dedent(text)
        return self.run_program(sys.executable, "-c", text, status=status, **more)

    def push(self, name, *records):
        """Past the shim."""
        self.run_program(PUSH_RECORDS, f"{self.folder}/logs/{name}", *records, LD_PRELOAD="")


class Semantics(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        names = check_names()
        cls.kernel = checks_of(subprocess.run(
            [FILES, "run", f"{cls.folder}/kernel", *names], text=True, check=True,
            stdout=subprocess.PIPE, timeout=DEADLINE_S).stdout)
        done = subprocess.run([FILES, "run", f"{cls.folder}/logs", *names], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=DEADLINE_S, env=variables(cls.folder))
        cls.logs = checks_of(done.stdout)

    def test_none_of_them_is_the_kernels(self):
        self.assertEqual(os.listdir(f"{self.folder}/logs"), [])
        self.assertNotEqual(os.listdir(f"{self.folder}/kernel"), [])


def check_names():
    return subprocess.run([FILES, "list"], capture_output=True, text=True,
                          check=True).stdout.splitlines()


def make_test(name):
    def test(self):
        self.assertIn(name, self.kernel, "the kernel did not come so far")
        seen = self.logs.get(name, ["the shim did not come so far"])
        if self.kernel[name] != seen:
            self.fail("\n" + "\n".join(difflib.unified_diff(
                self.kernel[name], seen, "the kernel", "the shim", lineterm="", n=2)))
    return test


class Different(Case):
    def test_what_a_log_cannot(self):
        said = self.python("""
            def name(call, *arguments):
                try:
                    return call(*arguments)
                except OSError as error:
                    return errno.errorcode[error.errno]
            fd = os.open("logs/a", os.O_CREAT | os.O_RDWR)
            print(os.write(fd, b"0123456789"), name(os.pwrite, fd, b"x", 5))
            os.lseek(fd, 2, os.SEEK_SET)
            print(name(os.write, fd, b"x"), os.fstat(fd).st_size)
            print(name(mmap.mmap, fd, 10))
            print(name(os.link, "logs/a", "logs/b"), name(os.link, "logs/a", "kernel/b"))
            print(name(os.rename, "logs/a", "kernel/a"), name(os.rename, "kernel/a", "logs/a"))
            print(name(os.open, "logs/" + "x" * (256 - len(os.getcwd() + "/logs/")), os.O_CREAT))
            print(os.listdir("logs"), os.path.exists("logs/a"))
            os.mkdir("logs/folder")
            print(os.path.isdir("logs/folder"), name(os.stat, "logs/none"))
            print(name(os.copy_file_range, fd, fd, 1))
            """)
        self.assertEqual(said.splitlines(), [
            "10 ENOTSUP", "ENOTSUP 10", "ENODEV", "EPERM EXDEV", "EXDEV EXDEV", "ENAMETOOLONG",
            "[] True", "True ENOENT", "EXDEV"])

    def test_the_child_of_a_fork_has_no_logs(self):
        said = self.python("""
            fd = os.open("logs/f", os.O_CREAT | os.O_RDWR)
            os.write(fd, b"parent")
            if os.fork() == 0:
                for call in (lambda: os.write(fd, b"x"), lambda: os.fsync(fd),
                             lambda: os.read(fd, 1), lambda: os.fstat(fd),
                             lambda: os.open("logs/f", os.O_RDONLY), lambda: os.stat("logs/f"),
                             lambda: os.unlink("logs/f"), lambda: os.lseek(fd, 0, 0)):
                    try:
                        print(call())
                    except OSError as error:
                        print(errno.errorcode[error.errno], flush=True)
                os.close(fd)
                open("kernel/child", "w").write("as ever")
                os._exit(0)
            os.wait()
            os.write(fd, b" goes on")
            os.fsync(fd)
            print(os.pread(fd, 100, 0))
            """)
        lines = said.splitlines()
        self.assertEqual(lines.count("EIO"), 8, said)
        self.assertEqual(lines[-1], "b'parent goes on'")
        self.assertEqual(said.count("the child of a fork cannot use logs"), 1, said)
        with open(f"{self.folder}/kernel/child", encoding="ascii") as file:
            self.assertEqual(file.read(), "as ever")

    def test_what_goes_past_the_shim_fails(self):
        said = self.python("""
            libc = ctypes.CDLL(None, use_errno=True)
            fd = os.open("logs/p", os.O_CREAT | os.O_WRONLY)
            print(libc.syscall(1, fd, b"text", 4), errno.errorcode[ctypes.get_errno()])
            fd = os.open("logs/p", os.O_RDWR)
            print(libc.syscall(1, fd, b"text", 4), errno.errorcode[ctypes.get_errno()])
            print(os.stat("logs/p").st_size)
            """)
        self.assertEqual(said.splitlines(), ["-1 EPERM", "-1 EBADF", "0"])

    def test_a_redirected_shell(self):
        self.assertIn("Operation not permitted", self.run_program(
            "bash", "-c", "echo text > logs/s", status=1))
        self.assertIn("Operation not permitted", self.run_program(
            "bash", "-c", "cat /etc/passwd > logs/s", status=1))

    def test_programs_for_files(self):
        with open("/etc/passwd", encoding="utf-8") as file:
            text = file.read()
        self.run_program("cp", "/etc/passwd", "logs/c")
        self.assertEqual(self.run_program("cat", "logs/c"), text)
        self.run_program("mv", "logs/c", "logs/m")
        self.run_program("dd", "if=logs/m", "of=logs/d", "bs=100", "conv=fsync", "status=none")
        self.assertEqual(self.run_program("cat", "logs/d"), text)
        self.run_program("truncate", "-s", "50", "logs/d")
        self.assertEqual(self.run_program("stat", "-c", "%s", "logs/d"), "50\n")
        self.run_program("mv", "logs/d", "kernel/d")
        with open(f"{self.folder}/kernel/d", encoding="utf-8") as file:
            self.assertEqual(file.read(), text[:50])
        self.run_program("rm", "logs/m")
        self.run_program("cat", "logs/m", status=1)


class Restart(Case):
    """What the next program finds."""

    def test_bytes_and_sizes(self):
        self.python("""
            fd = os.open("logs/r", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            for i in range(1000):
                os.write(fd, b"%d," % i)
            os.ftruncate(fd, 100)
            os.write(fd, b"end")
            """)
        said = self.python("""
            print(os.stat("logs/r").st_size, open("logs/r").read())
            fd = os.open("logs/r", os.O_WRONLY | os.O_APPEND)
            os.write(fd, b"!")
            print(os.lseek(fd, 0, os.SEEK_CUR), os.fstat(fd).st_size)
            """)
        expected = "".join(f"{i}," for i in range(1000))[:100] + "end"
        self.assertEqual(said, f"103 {expected}\n104 104\n")

    def test_a_killed_program_keeps_what_it_synced(self):
        self.python("""
            fd = os.open("logs/k", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            os.write(fd, b"synced")
            os.fsync(fd)
            os.kill(os.getpid(), 9)
            """, status=-9)
        self.assertEqual(self.python("print(open('logs/k').read())"), "synced\n")
        # More than a device can have under way at a time.
        self.python("""
            fd = os.open("logs/k2", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            os.write(fd, b"x" * 40000000)
            os.fdatasync(fd)
            os.kill(os.getpid(), 9)
            """, status=-9)
        self.assertEqual(self.python("print(os.stat('logs/k2').st_size)"), "40000000\n")

    def test_an_exit_keeps_all(self):
        self.python("""
            fd = os.open("logs/e", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            for i in range(100):
                os.write(fd, b"x" * 100000)
            os._exit(0)
            """)
        self.assertEqual(self.python("print(os.stat('logs/e').st_size)"), "10000000\n")

    def test_an_exit_writes_what_streams_hold(self):
        self.python("""
            libc = ctypes.CDLL(None)
            libc.fopen.restype = ctypes.c_void_p
            stream = ctypes.c_void_p(libc.fopen(b"logs/x", b"w"))
            libc.fputs(b"not closed", stream)
            libc.exit(0)
            """)
        self.assertEqual(self.python("print(open('logs/x').read())"), "not closed\n")

    def test_threads(self):
        self.python("""
            import threading
            def write(name):
                fd = os.open("logs/t", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
                for i in range(300):
                    os.write(fd, f"{name} {i}\\n".encode())
                    os.fsync(fd)
                os.close(fd)
            threads = [threading.Thread(target=write, args=(name,)) for name in "abcdefgh"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            """)
        lines = self.python("print(open('logs/t').read(), end='')").splitlines()
        for name in "abcdefgh":
            self.assertEqual([line for line in lines if line.startswith(name)],
                             [f"{name} {i}" for i in range(300)])
        self.assertEqual(len(lines), 8 * 300)

    def test_an_escape_whose_words_were_lost(self):
        for read_first in ("", "os.stat('logs/lost1')"):
            name = "lost1" if read_first else "lost0"
            self.push(name, "before", "")
            self.python(f"""
                {read_first}
                fd = os.open("logs/{name}", os.O_WRONLY | os.O_APPEND)
                os.write(fd, b" truncate 0")
                os.write(fd, b" after")
                """)
            self.assertEqual(self.python(f"print(open('logs/{name}').read())"),
                             "before truncate 0 after\n")

    def test_words(self):
        self.push("words", "0123456789", "", "truncate 4", "ab", "", "keep", "c")
        self.assertEqual(self.python("print(open('logs/words').read())"), "0123abc\n")

    def test_words_that_nobody_wrote(self):
        for number, word in enumerate(("", "frobnicate", "truncate 11", "truncate -1", "truncate 1x",
                                       "truncate " + "1" * 40)):
            self.push(f"wrong{number}", "0123456789", "", word)
            said = self.python(f"""
                try:
                    print(open("logs/wrong{number}").read())
                except OSError as error:
                    print(errno.errorcode[error.errno])
                """)
            self.assertIn("cannot be read as a file", said)
            self.assertTrue(said.endswith("EIO\n"), said)


class Full(Case):
    """A device of few bytes."""

    def test_no_room_and_room_again(self):
        said = self.python("""
            block = b"x" * 100000
            fd = os.open("logs/full", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            other = os.open("logs/other", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            os.write(other, b"small")
            written = 0
            try:
                while True:
                    written += os.write(fd, block)
                    if written % 1000000 == 0:
                        os.fsync(fd)
            except OSError as error:
                print(errno.errorcode[error.errno])
            size = os.fstat(fd).st_size
            print(size == written, written > 1 << 20)
            for call in (lambda: os.write(fd, block), lambda: os.fsync(fd)):
                try:
                    call()
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
            os.unlink("logs/full")
            os.close(fd)
            fd = os.open("logs/again", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            for i in range(10):
                os.write(fd, block)
            os.fsync(fd)
            os.write(other, b" goes on")
            os.fsync(other)
            """, DEMI_BLK_DEV=f"uring:{self.folder}/small.img,size=16M")
        self.assertEqual(said, "ENOSPC\nTrue True\n")
        said = self.python("print(os.stat('logs/again').st_size, open('logs/other').read())",
                           DEMI_BLK_DEV=f"uring:{self.folder}/small.img")
        self.assertEqual(said, "1000000 small goes on\n")


    def test_what_found_no_room_is_not_lost(self):
        """Writes were accepted, the device had no room for them, and then it has."""
        device = f"uring:{self.folder}/kept.img"
        expected = 'b"".join(b"%07d" % i * 10000 for i in range(count)) + b"end"'
        said = self.python(f"""
            old = os.open("logs/old", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            os.write(old, b"o" * 5000000)
            os.fsync(old)
            fd = os.open("logs/kept", os.O_CREAT | os.O_RDWR | os.O_APPEND)
            count = 0
            try:
                while True:
                    os.write(fd, b"%07d" % count * 10000)
                    count += 1
            except OSError as error:
                print(errno.errorcode[error.errno])
            try:
                os.fsync(fd)
            except OSError as error:
                print("fsync", errno.errorcode[error.errno])
            os.unlink("logs/old")
            os.close(old)
            os.fsync(fd)
            os.write(fd, b"end")
            os.fsync(fd)
            print(os.pread(fd, 1 << 27, 0) == {expected})
            """, DEMI_BLK_DEV=device + ",size=16M")
        self.assertEqual(said, "ENOSPC\nfsync ENOSPC\nTrue\n")
        self.assertEqual(self.python(f"""
            text = open("logs/kept", "rb").read()
            count = len(text) // 70000
            print(text == {expected}, count > 100)
            """, DEMI_BLK_DEV=device), "True True\n")


class Refused(Case):
    """Settings that are wrong stop the program before it writes anywhere."""

    def refused(self, words, **more):
        said = self.python("print('runs')", status=125, **more)
        self.assertIn(words, said)
        self.assertNotIn("runs", said)

    def test_settings(self):
        self.refused("needs a libOS with logs", LIBOS="catnap")
        self.refused("needs a block device", DEMI_BLK_DEV="")
        self.refused("absolute path", DEMI_SHIM_LOG_FILES="logs/*.log")

    def test_a_device_that_is_not_there(self):
        said = self.python("""
            try:
                os.open("logs/a", os.O_CREAT | os.O_WRONLY)
            except OSError as error:
                print(errno.errorcode[error.errno])
            """, DEMI_BLK_DEV=f"uring:{self.folder}/none/disk.img")
        self.assertIn("EIO", said)
        self.assertIn("none/disk.img", said)


def main():
    """usage: files_test.py SHIM [-- TEST...]"""
    global SHIM  # pylint: disable=global-statement
    SHIM = os.path.abspath(sys.argv[1])
    for number, check in enumerate(check_names()):
        setattr(Semantics, f"test_{number:03}_{check}", make_test(check))
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)


if __name__ == "__main__":
    main()
