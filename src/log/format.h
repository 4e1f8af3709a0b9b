/* SPDX-License-Identifier: MIT */
/*
 * The bytes on the device, version 1: docs/log-format.md draws them. Numbers are little endian.
 * Pure functions: they check everything before they hand it out.
 */
#ifndef DEMI_LOG_FORMAT_H
#define DEMI_LOG_FORMAT_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "log/log.h"

#define FORMAT_VERSION 1u
/** The superblock and its copy stand at bytes 0 and 4096, the catalogue from byte 65536 on. */
#define SUPERBLOCK_BYTES 512u
#define SUPERBLOCK_COPY_OFFSET 4096u
#define SUPERBLOCK_AREA_BYTES 65536u

#define SEGMENT_BYTES_MIN (64u << 10)
#define SEGMENT_BYTES_MAX (64u << 20)
#define SEGMENTS_MIN 4u
#define SEGMENTS_MAX (1u << 30)

/** Nobody comes so far; beyond it sums might wrap. */
#define SEQUENCE_END (UINT64_C(1) << 62)
#define RECORDS_MAX (UINT64_C(1) << 50)

/** A batch's header, table and small pieces together, at most. */
#define BATCH_HEAD_BYTES_MAX (128u << 10)
/** All of a batch, at most: where one cannot be read, the next one begins within so many bytes. */
#define BATCH_BYTES_MAX (1u << 20)

static inline uint32_t load_le32(const uint8_t *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return le32toh(value);
}

static inline uint64_t load_le64(const uint8_t *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return le64toh(value);
}

static inline void store_le32(uint8_t *to, uint32_t value)
{
	value = htole32(value);
	memcpy(to, &value, sizeof(value));
}

static inline void store_le64(uint8_t *to, uint64_t value)
{
	value = htole64(value);
	memcpy(to, &value, sizeof(value));
}

/* ---- The superblock ---- */

struct superblock {
	uint32_t version;
	uint32_t block_bytes;
	uint64_t block_count; /* of the device when it was formatted */
	uint64_t salt;
	uint32_t
		catalogue_blocks; /* of each of the two regions, which stand one behind the other */
	uint32_t segment_blocks;
	uint32_t segment_count;
	uint64_t catalogue_block; /* the first one's */
	uint64_t segments_block;
};

void superblock_emit(const struct superblock *superblock, uint8_t bytes[SUPERBLOCK_BYTES]);

/**
 * superblock_parse - check a superblock
 *
 * Return: 0; -ENODATA (it is blank), -EMEDIUMTYPE (something else), -EPROTONOSUPPORT (a newer
 * version, which is given), -EUCLEAN (damaged).
 */
int superblock_parse(struct superblock *superblock, const uint8_t bytes[SUPERBLOCK_BYTES]);

/**
 * superblock_plan - lay out a store
 * @segment_bytes: 0: what suits
 *
 * Return: 0, -EINVAL (segment_bytes), -ENOSPC.
 */
int superblock_plan(struct superblock *superblock, uint32_t block_bytes, uint64_t block_count,
		    uint32_t segment_bytes);

/** superblock_bytes_min - the smallest device that superblock_plan serves with these blocks */
uint64_t superblock_bytes_min(uint32_t block_bytes);

/* ---- The header of a region of the catalogue ---- */

#define REGION_HEADER_BYTES 512u

struct region {
	uint64_t generation; /* counts up with each change of region */
	uint64_t salt; /* of the batches behind it, random: no older ones are taken for them */
};

/** region_emit, region_parse - @store_salt: the superblock's; 0 or -EUCLEAN */
void region_emit(const struct region *region, uint64_t store_salt,
		 uint8_t bytes[REGION_HEADER_BYTES]);
int region_parse(struct region *region, uint64_t store_salt,
		 const uint8_t bytes[REGION_HEADER_BYTES]);

/* ---- Batches ---- */

/*
 * A batch is one write: header, table of pieces, the small pieces' bytes, zeroes up to a whole
 * block; then the runs, whole blocks of large pieces.
 */
#define BATCH_HEADER_BYTES 64u
#define BATCH_CONTINUES \
	1u            /* its first piece goes on with the record that the one before left open */
#define BATCH_OPEN 2u /* its last piece's record goes on in the next one */

struct batch {
	uint32_t crc; /* of header and table, with salt and block */
	uint32_t log;
	uint64_t sequence;     /* in its log, from 1 on */
	uint64_t first_record; /* number of the first one that starts here, or would */
	uint32_t previous;     /* crc of the batch before */
	uint32_t flags;
	uint32_t piece_count;
	uint32_t descriptor_bytes; /* header and table */
	uint32_t inline_bytes;
	uint32_t run_blocks;
	uint32_t open_bytes; /* BATCH_OPEN: of the whole record that goes on */
};

/** An entry of the table: a part of one record, or all of it. */
#define PIECE_BYTES 12u /* and four for each extent */
#define EXTENT_RUN 0x80000000u

struct piece {
	uint32_t bytes;
	uint32_t crc;
	uint32_t extent_count;
	const uint8_t *extents; /* see extent_bytes */
};

static inline uint32_t extent_at(const struct piece *piece, uint32_t index)
{
	return load_le32(piece->extents + (size_t)4 * index);
}

static inline uint32_t extent_bytes(uint32_t extent)
{
	return extent & ~EXTENT_RUN;
}

static inline bool extent_is_run(uint32_t extent)
{
	return extent & EXTENT_RUN;
}

/** Where a batch may be, and whose. One that was written for another place is none. */
struct batch_place {
	uint64_t block;       /* of the device */
	uint64_t room_blocks; /* that it may take */
	uint64_t salt;
	uint32_t log;
	uint32_t block_bytes;
};

/** batch_emit - fill in the header in front of a table that is complete; returns its crc */
uint32_t batch_emit(const struct batch *batch, uint64_t salt, uint64_t block, uint8_t *head);

/**
 * batch_parse - check header and table
 * @bytes: at hand from @head on
 * @need_out: with -EAGAIN: bytes that must be at hand
 *
 * Return: 0, everything in the table adds up; -EAGAIN; -EUCLEAN: there is no batch of this stream.
 */
int batch_parse(struct batch *batch, const uint8_t *head, size_t bytes,
		const struct batch_place *place, uint32_t *need_out);

/** batch_head_blocks - blocks in front of the runs */
static inline uint32_t batch_head_blocks(const struct batch *batch, uint32_t block_bytes)
{
	return (batch->descriptor_bytes + batch->inline_bytes + block_bytes - 1) / block_bytes;
}

static inline uint32_t batch_blocks(const struct batch *batch, uint32_t block_bytes)
{
	return batch_head_blocks(batch, block_bytes) + batch->run_blocks;
}

/** piece_parse - the entry at @offset of a table that batch_parse has checked; returns the next one's */
uint32_t piece_parse(struct piece *piece, const uint8_t *head, uint32_t offset);

/** piece_seed - what the crc of a piece's bytes starts from: it is right in its place only */
uint32_t piece_seed(uint64_t salt, uint64_t sequence, uint32_t index);

#endif /* DEMI_LOG_FORMAT_H */
