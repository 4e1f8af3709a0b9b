#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
`demi log` over an image of a store, of which it is known what is in it, and over what is none.

    tests/tools/log_test.py DEMI WRITER

WRITER is log-image, which makes the image and tells what it has.
"""
import fcntl
import hashlib
import json
import os
import pathlib
import re
import struct
import sys
import tempfile
import unittest

from command import start

DEMI, WRITER = (str(pathlib.Path(word).resolve()) for word in sys.argv[1:3])
BLOCKS_OF_4096 = "1"  # a variant that was closed
RECORD = re.compile(r"(\S+) record (\d+), (\d+) bytes")


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def read_dump(text):
    """{log: {number: bytes}} of what dump printed."""
    logs, record = {}, None
    for line in text.splitlines():
        head = RECORD.fullmatch(line)
        if head:
            record = logs.setdefault(head[1], {})[int(head[2])] = bytearray()
        else:
            record += bytes.fromhex(line[10:58])
    return logs


class Store(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(dir=".")
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, "log.img")
        said = start([WRITER, self.path, BLOCKS_OF_4096])
        self.assertEqual(said.returncode, 0, said.stderr)
        self.told = {}  # {log: {number: (bytes, crc)}}
        for line in said.stdout.splitlines()[:-1]:
            words = line.split()
            if words[0] == "log":
                log = self.told.setdefault(words[1], {})
            else:
                log[int(words[0])] = int(words[1]), int(words[2], 16)

    def log(self, *words, status=0, keys="", **environment):
        """What it says on standard output; on the other one if it fails."""
        said = start([DEMI, "log", words[0], "--blk", f"uring:{self.path}{keys}", *words[1:]], environment)
        self.assertEqual(said.returncode, status, said.stdout + said.stderr)
        return said.stdout if status == 0 else said.stdout + said.stderr

    def refused(self, why, *words, status=1, **more):
        self.assertIn(why, self.log(*words, status=status, **more))

    def contents(self):
        return pathlib.Path(self.path).read_bytes()

    def patch(self, at, data):
        with open(self.path, "r+b") as file:
            file.seek(at)
            file.write(data)


class Looks(Store):
    def test_list(self):
        lines = self.log("list").splitlines()
        self.assertEqual(lines[0].split(), ["FIRST", "END", "SPACE", "NAME"])
        self.assertEqual({line.split()[3]: tuple(map(int, line.split()[:2])) for line in lines[1:]},
                         {name: (min(log), max(log) + 1) for name, log in self.told.items()})

    def test_list_as_json(self):
        logs = json.loads(self.log("list", "--json"))
        self.assertEqual({log["name"]: (log["first"], log["end"]) for log in logs},
                         {name: (min(log), max(log) + 1) for name, log in self.told.items()})
        for log in logs:
            self.assertEqual(set(log), {"name", "first", "end", "bytes", "damaged"})
            self.assertGreater(log["bytes"], sum(size for size, _ in self.told[log["name"]].values()))
            self.assertFalse(log["damaged"])

    def test_dump_and_cat_are_the_records(self):
        dumped = read_dump(self.log("dump"))
        self.assertEqual({name: {number: (len(data), crc32c(data)) for number, data in log.items()}
                          for name, log in dumped.items()}, self.told)
        self.assertEqual(read_dump(self.log("dump", "second")), {"second": dumped["second"]})
        for words, end in (((), b"\n"), (("--raw",), b"")):
            said = b"".join(bytes(data) + end for data in dumped["x"].values())
            self.assertEqual(self.log("cat", *words, "x"), said.decode(errors="backslashreplace")
                             .replace("\r\n", "\n").replace("\r", "\n"))

    def test_from_and_count(self):
        first, end = min(self.told["second"]), max(self.told["second"]) + 1
        for words, numbers in (((), range(first, end)), (("--from", "0"), range(first, end)),
                               (("--from", str(first + 3), "--count", "2"), range(first + 3, first + 5)),
                               (("--from", str(end - 1), "--count", "9"), range(end - 1, end)),
                               (("--from", str(end)), ()), (("--count", "0"), ())):
            dumped = read_dump(self.log("dump", "second", *words)).get("second", {})
            self.assertEqual(list(dumped), list(numbers), words)

    def test_check_of_what_is_whole(self):
        self.assertEqual(self.log("check"), "".join(
            f"{name}: ok, records up to {max(log) + 1}\n" for name, log in self.told.items()))

    def test_nothing_is_written(self):
        before = hashlib.sha256(self.contents()).digest()
        for words in (("list",), ("dump",), ("check",), ("cat", "first")):
            self.log(*words)
            self.assertEqual(hashlib.sha256(self.contents()).digest(), before, words)

    def test_one_that_may_not_be_written_to(self):
        os.chmod(self.path, 0o444)
        self.assertIn("second", self.log("list"))
        self.refused("it can only be read", "format", "--overwrite")
        self.log("check", keys=",read_only=on")


class Damage(Store):
    def rot(self, name):
        """Changes a byte of a record that lies by itself in blocks of its own; its number."""
        dumped = read_dump(self.log("dump", name))[name]
        number = next(number for number, data in dumped.items() if len(data) == 90000)
        at = self.contents().find(bytes(dumped[number][40000:41000]))
        self.assertGreater(at, 0)
        self.patch(at, bytes([dumped[number][40000] ^ 1]))
        return number

    def test_record(self):
        number = self.rot("first")
        said = self.log("check", status=1)
        self.assertRegex(said, rf"(?m)^first: record {number} ")
        self.assertIn("1 problems", said)
        self.assertIn("second: ok", said)
        said = self.log("dump", "first", status=1)
        self.assertIn(f"first: record {number} cannot be read: it is not what was written", said)
        self.assertNotIn(f"first record {number},", said)
        self.assertEqual(said.count("first record "), len(self.told["first"]) - 1)
        self.log("cat", "first", status=1)
        self.log("dump", "second")

    def test_superblock(self):
        self.patch(100, b"x")
        self.assertIn("second", self.log("list"))  # by its copy
        self.patch(4096 + 100, b"x")
        self.refused("superblock and the copy of it are damaged", "list")
        self.refused("superblock and the copy of it are damaged", "format")


class BadUse(Store):
    def test_words(self):
        for words in (("frobnicate",), ("cat",), ("cat", "a", "b"), ("list", "a"), ("list", "--colour"),
                      ("dump", "--from", "x"), ("dump", "--count", "-1"), ("dump", "--from")):
            self.refused("see demi log --help", *words, status=2)
        self.refused("there is no log \"nonesuch\"", "cat", "nonesuch")
        self.refused("allowed", "format", "--segment", "5")

    def test_no_device(self):
        said = start([DEMI, "log", "list"])
        self.assertEqual(said.returncode, 1)
        self.assertIn("needs a block device", said.stderr)
        for device in ("nonesuch:x", "nvme:0000:ff:1f.7", "nvme:x", f"uring:{self.path}.none"):
            said = start([DEMI, "log", "list", "--blk", device])
            self.assertEqual(said.returncode, 1, device)
            self.assertIn("demi: error: ", said.stderr)

    def test_device_by_the_environment_and_the_file(self):
        said = start([DEMI, "log", "list"], {"DEMI_BLK_DEV": f"uring:{self.path}"})
        self.assertIn("second", said.stdout)
        config = os.path.join(self.folder.name, "demi.yaml")
        pathlib.Path(config).write_text(f"blk:\n  dev: uring:{self.path}\n", encoding="ascii")
        self.assertEqual(start([DEMI, "log", "list"], {"CONFIG_PATH": config}).stdout, said.stdout)

    def test_one_that_another_process_has(self):
        with open(self.path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.refused("another process uses it, or another runtime", "list")

    def test_newer_format(self):
        head = bytearray(self.contents()[:512])
        head[8:12] = struct.pack("<I", 2)
        head[508:512] = struct.pack("<I", crc32c(head[:508]))
        for at in (0, 4096):
            self.patch(at, head)
        self.refused("format 2", "list")
        self.refused("format 2", "format")

    def test_other_blocks(self):
        self.refused("blocks of 512 bytes, the store of logs on it was made for 4096", "list", keys=",block=512")

    def test_too_small(self):
        for size in (0, 100 << 10):
            os.truncate(self.path, size)
            self.refused("too small", "format", "--overwrite")
        os.truncate(self.path, 256 << 10)
        self.refused("small", "format", "--overwrite")

    def test_shorter_than_it_was(self):
        os.truncate(self.path, 3 << 20)
        self.refused("a part is missing", "list")


class Format(Store):
    def test_only_over_what_is_blank_or_given_up(self):
        before = self.contents()
        self.refused("there is a store of logs already, with 3 in it", "format")
        self.patch(0, b"\x7fELF" + bytes(8192))
        self.refused("something else on it than a store", "format")
        self.patch(0, before[:65536])
        self.assertEqual(self.log("check").count("ok"), 3)
        self.log("format", "--overwrite", "--segment", "64K")
        self.assertEqual(json.loads(self.log("list", "--json")), [])
        self.assertEqual(self.log("check"), "")
        self.patch(0, bytes(65536))
        self.refused("blank", "list")
        self.log("format")
        self.assertEqual(len(self.log("list").splitlines()), 1)

    def test_makes_the_file(self):
        os.unlink(self.path)
        self.refused("size=", "list")
        self.refused("No such file", "list", keys=",size=2M")
        self.log("format", keys=",size=2M")
        self.assertEqual(os.path.getsize(self.path), 2 << 20)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
