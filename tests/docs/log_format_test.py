#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Read the image of a store of logs as docs/log-format.md describes it, and compare.

log_format_test.py WRITER: have WRITER (log_image.c) write an image and what it is to have, and see whether
that is what is read here. Written from the document, not from the code.
"""

import pathlib
import struct
import subprocess
import sys
import tempfile

OPEN, CONTINUES, RUN, CATALOGUE = 2, 1, 0x80000000, 0xFFFFFFFF
MIB = 1 << 20

TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    TABLE.append(byte)


def crc32c(seed, data):
    crc = seed ^ 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def u64(*values):
    return struct.pack("<%dQ" % len(values), *values)


def demand(condition, what):
    if not condition:
        sys.exit("log_format_test.py: " + what)


class Batch:
    """A batch at a block of an image; None of the fields when there is none: see `is_there`."""

    def __init__(self, store, block, end, log, salt):
        self.is_there = False
        head = store.read(block, 1)
        if head[:4] != b"DBAT":
            return
        (self.crc, self.log, self.flags, self.sequence, self.first_record, self.previous,
         self.count, descriptor, inline, run_blocks, self.open_bytes,
         zero) = struct.unpack("<IIIQQIIIIIIQ", head[4:64])
        head_blocks = -(-(descriptor + inline) // store.block_bytes)
        self.blocks = head_blocks + run_blocks
        if self.log != log or descriptor < 64 or descriptor + inline > 128 << 10:
            return
        if self.blocks > end - block:
            return
        head = store.read(block, head_blocks)
        seed = crc32c(0, u64(salt, block))
        if crc32c(seed, head[8:descriptor]) != self.crc:
            return
        demand(zero == 0 and self.count > 0 and self.sequence > 0, "a header that is not right")
        self.is_there = True
        self.pieces = []
        self.is_whole = True
        self.read_pieces(store, head, descriptor, block + head_blocks, salt)

    def read_pieces(self, store, head, descriptor, run, salt):
        at, small = 64, descriptor
        for index in range(self.count):
            size, crc, extents = struct.unpack("<III", head[at:at + 12])
            at += 12
            data = b""
            for (extent,) in struct.iter_unpack("<I", head[at:at + 4 * extents]):
                length = extent & ~RUN
                if extent & RUN:
                    data += store.read(run, length // store.block_bytes)
                    run += length // store.block_bytes
                else:
                    data += head[small:small + length]
                    small += length
            at += 4 * extents
            demand(len(data) == size, "a piece that is not its extents")
            seed = crc32c(0, u64(salt, self.sequence) + struct.pack("<I", index))
            self.is_whole &= crc32c(seed, data) == crc
            self.pieces.append(data)
        demand(at == descriptor, "a table that is not its pieces")


class Store:
    def __init__(self, image):
        self.image = image
        self.block_bytes = 512
        superblock = image[:512]
        if superblock[:8] != b"DEMILOG\n" or not self.is_right(superblock, 0):
            superblock = image[4096:4608]
        demand(superblock[:8] == b"DEMILOG\n" and self.is_right(superblock, 0), "no superblock")
        (version, self.block_bytes, _, self.salt, self.catalogue, self.segments,
         self.region_blocks, self.segment_blocks,
         self.segment_count) = struct.unpack("<IIQQQQIII", superblock[8:60])
        demand(version == 1, "another version")
        self.logs = {}
        self.is_clean = False
        self.read_catalogue()

    def read(self, block, count):
        return self.image[block * self.block_bytes:(block + count) * self.block_bytes]

    @staticmethod
    def is_right(sector, seed):
        return struct.unpack("<I", sector[508:512])[0] == crc32c(seed, sector[:508])

    def read_catalogue(self):
        newest = (0, 0, 0)
        for number in (1, 2):
            block = self.catalogue + (number - 1) * self.region_blocks
            header = self.read(block, 1)[:512]
            generation, salt = struct.unpack("<QQ", header[8:24])
            if header[:8] == b"DEMICAT\n" and self.is_right(header, crc32c(0, u64(self.salt))):
                newest = max(newest, (generation, salt, block))
        demand(newest[0] > 0, "no catalogue")
        _, salt, block = newest
        end, sequence, previous = block + self.region_blocks, 1, 0
        block += 1
        while block < end:
            batch = Batch(self, block, end, CATALOGUE, salt)
            if not batch.is_there or not batch.is_whole or batch.sequence != sequence:
                break
            demand(batch.previous == previous and batch.flags == 0, "a chain that is broken")
            for change in batch.pieces:
                self.apply(change)
            block, sequence, previous = block + batch.blocks, sequence + 1, batch.crc

    def apply(self, change):
        kind, number, rest = change[0], *struct.unpack("<I", change[1:5]), change[5:]
        self.is_clean = kind == 7
        log = self.logs.get(number)
        if kind == 1:
            salt, first = struct.unpack("<QQ", rest[:16])
            self.logs[number] = {"salt": salt, "first": first, "name": rest[16:], "segments": []}
        elif kind == 2:
            for other in [n for n, l in self.logs.items() if l["name"] == rest and n != number]:
                del self.logs[other]
            log["name"] = rest
        elif kind == 3:
            del self.logs[number]
        elif kind == 4:
            log["segments"] += struct.unpack("<%dI" % (len(rest) // 4), rest)
        elif kind == 5:
            log["first"], dropped = struct.unpack("<QI", rest)
            del log["segments"][:dropped]
        elif kind == 6:
            log["closed"] = struct.unpack("<QQI", rest)
        else:
            demand(kind == 7, "a change that is not described")

    def batches(self, number):
        """Those of a log from its first segment on, to the end; the starts say where it goes on."""
        log = self.logs[number]
        starts = [self.segments + s * self.segment_blocks for s in log["segments"]]
        firsts, last = [], 0
        for start in starts:
            batch = Batch(self, start, start + self.segment_blocks, number, log["salt"])
            is_used = batch.is_there and batch.sequence > last
            firsts.append(batch.sequence if is_used else 0)
            last = firsts[-1] or last
        sequence = firsts[0] if firsts else 0
        for index, start in enumerate(starts):
            block, end = start, start + self.segment_blocks
            if firsts[index] != sequence:
                return
            following = firsts[index + 1] if index + 1 < len(firsts) else 0
            while block < end:
                batch = Batch(self, block, end, number, log["salt"])
                if not batch.is_there or batch.sequence != sequence:
                    break
                if not batch.is_whole:
                    break
                yield batch
                block, sequence = block + batch.blocks, sequence + 1
            if following != sequence:
                return

    def records(self, number):
        open_record = None
        for batch in self.batches(number):
            record, pieces = batch.first_record, list(batch.pieces)
            if batch.flags & CONTINUES:
                piece = pieces.pop(0)
                if open_record is not None:
                    open_record += piece
                if pieces or not batch.flags & OPEN:
                    if open_record is not None:
                        yield record - 1, open_record
                    open_record = None
            else:
                open_record = None
            if batch.flags & OPEN and pieces:
                *pieces, open_record = pieces
            for piece in pieces:
                yield record, piece
                record += 1


def main():
    with tempfile.TemporaryDirectory() as folder:
        for variant in range(6):
            image = pathlib.Path(folder) / "image"
            wanted = subprocess.run([sys.argv[1], image, str(variant)], check=True,
                                    capture_output=True, text=True).stdout.splitlines()
            store = Store(image.read_bytes())
            found = []
            for number, log in sorted(store.logs.items(), key=lambda item: item[1]["name"]):
                found.append("log %s" % log["name"].decode())
                for record, data in store.records(number):
                    if record >= log["first"]:
                        found.append("%d %d %08x" % (record, len(data), crc32c(0, data)))
            found.append("clean" if store.is_clean else "not clean")
            for one, other in zip(wanted, found):
                demand(one == other, "variant %d: wanted %r, read %r" % (variant, one, other))
            demand(len(wanted) == len(found), "variant %d: %d lines are wanted, %d are read" %
                   (variant, len(wanted), len(found)))
            demand(len(wanted) > 60, "variant %d: too little to compare" % variant)
            print("variant %d: %d records of %d logs" %
                  (variant, len(found) - len(store.logs) - 1, len(store.logs)))


main()
