/* SPDX-License-Identifier: MIT */
#include "log/format.h"

#include <errno.h>

#include "log/crc32c.h"

static const uint8_t superblock_magic[8] = {'D', 'E', 'M', 'I', 'L', 'O', 'G', '\n'};
static const uint8_t region_magic[8] = {'D', 'E', 'M', 'I', 'C', 'A', 'T', '\n'};
static const uint8_t batch_magic[4] = {'D', 'B', 'A', 'T'};

/* The last four bytes of a sector are the checksum of those before. */
#define SECTOR_CRC (SUPERBLOCK_BYTES - 4)

static bool is_blank(const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bytes[i])
			return false;
	return true;
}

/* ---- The superblock ---- */

void superblock_emit(const struct superblock *superblock, uint8_t bytes[SUPERBLOCK_BYTES])
{
	memset(bytes, 0, SUPERBLOCK_BYTES);
	memcpy(bytes, superblock_magic, sizeof(superblock_magic));
	store_le32(bytes + 8, superblock->version);
	store_le32(bytes + 12, superblock->block_bytes);
	store_le64(bytes + 16, superblock->block_count);
	store_le64(bytes + 24, superblock->salt);
	store_le64(bytes + 32, superblock->catalogue_block);
	store_le64(bytes + 40, superblock->segments_block);
	store_le32(bytes + 48, superblock->catalogue_blocks);
	store_le32(bytes + 52, superblock->segment_blocks);
	store_le32(bytes + 56, superblock->segment_count);
	store_le32(bytes + SECTOR_CRC, crc32c(0, bytes, SECTOR_CRC));
}

/* Right checksums prove nothing of a disk that somebody else has written. */
static bool superblock_is_sound(const struct superblock *superblock)
{
	uint64_t catalogue_end, segment_bytes;

	if (superblock->block_bytes != 512 && superblock->block_bytes != 4096)
		return false;
	segment_bytes = (uint64_t)superblock->segment_blocks * superblock->block_bytes;
	catalogue_end = superblock->catalogue_block + (uint64_t)2 * superblock->catalogue_blocks;
	return superblock->block_count <= UINT64_MAX / 4096 &&
	       superblock->catalogue_block == SUPERBLOCK_AREA_BYTES / superblock->block_bytes &&
	       superblock->catalogue_blocks >= 2 && catalogue_end <= superblock->segments_block &&
	       segment_bytes >= SEGMENT_BYTES_MIN && segment_bytes <= SEGMENT_BYTES_MAX &&
	       superblock->segment_count > 0 && superblock->segment_count <= SEGMENTS_MAX &&
	       superblock->segments_block <= superblock->block_count &&
	       (uint64_t)superblock->segment_blocks * superblock->segment_count <=
		       superblock->block_count - superblock->segments_block;
}

int superblock_parse(struct superblock *superblock, const uint8_t bytes[SUPERBLOCK_BYTES])
{
	if (is_blank(bytes, SUPERBLOCK_BYTES))
		return -ENODATA;
	if (memcmp(bytes, superblock_magic, sizeof(superblock_magic)) != 0)
		return -EMEDIUMTYPE;
	*superblock = (struct superblock){
		.version = load_le32(bytes + 8),
		.block_bytes = load_le32(bytes + 12),
		.block_count = load_le64(bytes + 16),
		.salt = load_le64(bytes + 24),
		.catalogue_block = load_le64(bytes + 32),
		.segments_block = load_le64(bytes + 40),
		.catalogue_blocks = load_le32(bytes + 48),
		.segment_blocks = load_le32(bytes + 52),
		.segment_count = load_le32(bytes + 56),
	};
	if (load_le32(bytes + SECTOR_CRC) != crc32c(0, bytes, SECTOR_CRC))
		return -EUCLEAN;
	if (superblock->version != FORMAT_VERSION)
		return -EPROTONOSUPPORT;
	return superblock_is_sound(superblock) ? 0 : -EUCLEAN;
}

/* A region has room for a snapshot of everything, and for as many changes again. */
#define REGION_BYTES_MIN (128u << 10)
#define REGION_BYTES_MAX (32u << 20)
#define REGION_SHARE 256u /* one in so many bytes of the device */
#define SEGMENT_BYTES_LARGE (4u << 20)
#define SEGMENTS_WANTED 256u

static uint64_t region_bytes_for(uint64_t device_bytes)
{
	uint64_t bytes = device_bytes / REGION_SHARE & ~UINT64_C(4095);

	if (bytes < REGION_BYTES_MIN)
		return REGION_BYTES_MIN;
	return bytes < REGION_BYTES_MAX ? bytes : REGION_BYTES_MAX;
}

static uint32_t segment_bytes_for(uint64_t device_bytes)
{
	uint32_t bytes = SEGMENT_BYTES_LARGE;

	while (bytes > SEGMENT_BYTES_MIN && device_bytes / bytes < SEGMENTS_WANTED)
		bytes /= 2;
	return bytes;
}

int superblock_plan(struct superblock *superblock, uint32_t block_bytes, uint64_t block_count,
		    uint32_t segment_bytes)
{
	uint64_t device_bytes = block_count * block_bytes, region_bytes, start, count;

	if (segment_bytes == 0)
		segment_bytes = segment_bytes_for(device_bytes);
	if (segment_bytes < SEGMENT_BYTES_MIN || segment_bytes > SEGMENT_BYTES_MAX ||
	    (segment_bytes & (segment_bytes - 1)))
		return -EINVAL;
	region_bytes = region_bytes_for(device_bytes);
	start = SUPERBLOCK_AREA_BYTES + 2 * region_bytes;
	/* Segments start at multiples of 64 KiB: pages and erase blocks of flash like that. */
	start = (start + SEGMENT_BYTES_MIN - 1) & ~(uint64_t)(SEGMENT_BYTES_MIN - 1);
	if (device_bytes < start + (uint64_t)SEGMENTS_MIN * segment_bytes)
		return -ENOSPC;
	count = (device_bytes - start) / segment_bytes;
	*superblock = (struct superblock){
		.version = FORMAT_VERSION,
		.block_bytes = block_bytes,
		.block_count = block_count,
		.catalogue_block = SUPERBLOCK_AREA_BYTES / block_bytes,
		.catalogue_blocks = (uint32_t)(region_bytes / block_bytes),
		.segments_block = start / block_bytes,
		.segment_blocks = segment_bytes / block_bytes,
		.segment_count = count < SEGMENTS_MAX ? (uint32_t)count : SEGMENTS_MAX,
	};
	return 0;
}

uint64_t superblock_bytes_min(uint32_t block_bytes)
{
	(void)block_bytes;
	return SUPERBLOCK_AREA_BYTES + 2 * REGION_BYTES_MIN +
	       (uint64_t)SEGMENTS_MIN * SEGMENT_BYTES_MIN;
}

/* ---- The header of a region of the catalogue ---- */

static uint32_t salted(uint64_t salt)
{
	uint8_t bytes[8];

	store_le64(bytes, salt);
	return crc32c(0, bytes, sizeof(bytes));
}

void region_emit(const struct region *region, uint64_t store_salt,
		 uint8_t bytes[REGION_HEADER_BYTES])
{
	memset(bytes, 0, REGION_HEADER_BYTES);
	memcpy(bytes, region_magic, sizeof(region_magic));
	store_le64(bytes + 8, region->generation);
	store_le64(bytes + 16, region->salt);
	store_le32(bytes + SECTOR_CRC, crc32c(salted(store_salt), bytes, SECTOR_CRC));
}

int region_parse(struct region *region, uint64_t store_salt,
		 const uint8_t bytes[REGION_HEADER_BYTES])
{
	if (memcmp(bytes, region_magic, sizeof(region_magic)) != 0 ||
	    load_le32(bytes + SECTOR_CRC) != crc32c(salted(store_salt), bytes, SECTOR_CRC))
		return -EUCLEAN;
	*region = (struct region){load_le64(bytes + 8), load_le64(bytes + 16)};
	return 0;
}

/* ---- Batches ---- */

#define CRC_END 8u /* the checksum covers what stands behind itself */

static uint32_t descriptor_crc(uint64_t salt, uint64_t block, const uint8_t *head,
			       uint32_t descriptor_bytes)
{
	uint8_t place[16];

	store_le64(place, salt);
	store_le64(place + 8, block);
	return crc32c(crc32c(0, place, sizeof(place)), head + CRC_END, descriptor_bytes - CRC_END);
}

uint32_t batch_emit(const struct batch *batch, uint64_t salt, uint64_t block, uint8_t *head)
{
	uint32_t crc;

	memcpy(head, batch_magic, sizeof(batch_magic));
	store_le32(head + 8, batch->log);
	store_le32(head + 12, batch->flags);
	store_le64(head + 16, batch->sequence);
	store_le64(head + 24, batch->first_record);
	store_le32(head + 32, batch->previous);
	store_le32(head + 36, batch->piece_count);
	store_le32(head + 40, batch->descriptor_bytes);
	store_le32(head + 44, batch->inline_bytes);
	store_le32(head + 48, batch->run_blocks);
	store_le32(head + 52, batch->open_bytes);
	store_le64(head + 56, 0);
	crc = descriptor_crc(salt, block, head, batch->descriptor_bytes);
	store_le32(head + 4, crc);
	return crc;
}

uint32_t piece_parse(struct piece *piece, const uint8_t *head, uint32_t offset)
{
	*piece = (struct piece){
		.bytes = load_le32(head + offset),
		.crc = load_le32(head + offset + 4),
		.extent_count = load_le32(head + offset + 8),
		.extents = head + offset + PIECE_BYTES,
	};
	return offset + PIECE_BYTES + 4 * piece->extent_count;
}

uint32_t piece_seed(uint64_t salt, uint64_t sequence, uint32_t index)
{
	uint8_t bytes[20];

	store_le64(bytes, salt);
	store_le64(bytes + 8, sequence);
	store_le32(bytes + 16, index);
	return crc32c(0, bytes, sizeof(bytes));
}

/* What the extents of a piece add to the sums; false: they are not what it says. */
static bool add_extents(const struct piece *piece, uint32_t block_bytes, uint64_t *inline_bytes,
			uint64_t *run_bytes)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < piece->extent_count; i++) {
		uint32_t extent = extent_at(piece, i), length = extent_bytes(extent);

		if (length == 0 || (extent_is_run(extent) && length % block_bytes != 0))
			return false;
		bytes += length;
		if (extent_is_run(extent))
			*run_bytes += length;
		else
			*inline_bytes += length;
	}
	return bytes == piece->bytes;
}

static bool table_is_sound(const struct batch *batch, const uint8_t *head, uint32_t block_bytes)
{
	uint64_t inline_bytes = 0, run_bytes = 0;
	uint32_t offset = BATCH_HEADER_BYTES, left;
	struct piece piece;

	for (uint32_t i = 0; i < batch->piece_count; i++) {
		left = batch->descriptor_bytes - offset;
		if (left < PIECE_BYTES ||
		    load_le32(head + offset + 8) > (left - PIECE_BYTES) / sizeof(uint32_t))
			return false;
		offset = piece_parse(&piece, head, offset);
		if (piece.bytes > LOG_RECORD_BYTES_MAX ||
		    !add_extents(&piece, block_bytes, &inline_bytes, &run_bytes))
			return false;
	}
	return offset == batch->descriptor_bytes && inline_bytes == batch->inline_bytes &&
	       run_bytes == (uint64_t)batch->run_blocks * block_bytes;
}

static bool sizes_are_sound(const struct batch *batch, uint32_t block_bytes, uint64_t room_blocks)
{
	return batch->descriptor_bytes >= BATCH_HEADER_BYTES &&
	       batch->descriptor_bytes <= BATCH_HEAD_BYTES_MAX &&
	       batch->inline_bytes <= BATCH_HEAD_BYTES_MAX - batch->descriptor_bytes &&
	       batch->sequence > 0 && batch->sequence < SEQUENCE_END &&
	       batch->first_record <= RECORDS_MAX &&
	       (batch->first_record > 0 || !(batch->flags & BATCH_CONTINUES)) &&
	       batch->piece_count > 0 && batch->open_bytes <= LOG_RECORD_BYTES_MAX &&
	       (uint64_t)batch_head_blocks(batch, block_bytes) + batch->run_blocks <= room_blocks;
}

int batch_parse(struct batch *batch, const uint8_t *head, size_t bytes,
		const struct batch_place *place, uint32_t *need_out)
{
	if (bytes < BATCH_HEADER_BYTES)
		return -EUCLEAN;
	if (memcmp(head, batch_magic, sizeof(batch_magic)) != 0)
		return -EUCLEAN;
	*batch = (struct batch){
		.crc = load_le32(head + 4),
		.log = load_le32(head + 8),
		.flags = load_le32(head + 12),
		.sequence = load_le64(head + 16),
		.first_record = load_le64(head + 24),
		.previous = load_le32(head + 32),
		.piece_count = load_le32(head + 36),
		.descriptor_bytes = load_le32(head + 40),
		.inline_bytes = load_le32(head + 44),
		.run_blocks = load_le32(head + 48),
		.open_bytes = load_le32(head + 52),
	};
	if (batch->log != place->log ||
	    !sizes_are_sound(batch, place->block_bytes, place->room_blocks))
		return -EUCLEAN;
	/* Who looks at the table looks at the small pieces next. */
	*need_out = batch->descriptor_bytes + batch->inline_bytes;
	if (*need_out > bytes)
		return -EAGAIN;
	if (descriptor_crc(place->salt, place->block, head, batch->descriptor_bytes) != batch->crc)
		return -EUCLEAN;
	return table_is_sound(batch, head, place->block_bytes) ? 0 : -EUCLEAN;
}
