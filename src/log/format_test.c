/* SPDX-License-Identifier: MIT */
#include "log/format.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "log/crc32c.h"

#define SALT UINT64_C(0x1234567890abcdef)
#define BLOCK 512u
#define ROOM 100u

/* ---- The superblock ---- */

static struct superblock some_superblock(void)
{
	struct superblock superblock;

	assert_int_equal(superblock_plan(&superblock, 4096, 4096, 0), 0);
	superblock.salt = SALT;
	return superblock;
}

static void seal(uint8_t bytes[SUPERBLOCK_BYTES])
{
	store_le32(bytes + 508, crc32c(0, bytes, 508));
}

static void superblock__comes_back_as_it_was(void **state)
{
	struct superblock superblock = some_superblock(), parsed;
	uint8_t bytes[SUPERBLOCK_BYTES];

	(void)state;
	superblock_emit(&superblock, bytes);
	assert_int_equal(superblock_parse(&parsed, bytes), 0);
	assert_int_equal(parsed.block_bytes, superblock.block_bytes);
	assert_int_equal(parsed.block_count, superblock.block_count);
	assert_int_equal(parsed.salt, superblock.salt);
	assert_int_equal(parsed.catalogue_block, superblock.catalogue_block);
	assert_int_equal(parsed.catalogue_blocks, superblock.catalogue_blocks);
	assert_int_equal(parsed.segments_block, superblock.segments_block);
	assert_int_equal(parsed.segment_blocks, superblock.segment_blocks);
	assert_int_equal(parsed.segment_count, superblock.segment_count);
}

static void superblock__with_any_bit_changed_is_refused(void **state)
{
	struct superblock superblock = some_superblock();
	uint8_t bytes[SUPERBLOCK_BYTES];

	(void)state;
	superblock_emit(&superblock, bytes);
	for (uint32_t bit = 0; bit < 8 * SUPERBLOCK_BYTES; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(superblock_parse(&superblock, bytes),
				 bit < 64 ? -EMEDIUMTYPE : -EUCLEAN);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(superblock_parse(&superblock, bytes), -ENODATA);
}

static void superblock__of_a_newer_format_is_told_apart(void **state)
{
	struct superblock superblock = some_superblock();
	uint8_t bytes[SUPERBLOCK_BYTES];

	(void)state;
	superblock.version = FORMAT_VERSION + 1;
	superblock_emit(&superblock, bytes);
	assert_int_equal(superblock_parse(&superblock, bytes), -EPROTONOSUPPORT);
	assert_int_equal(superblock.version, FORMAT_VERSION + 1);
}

/* Each word in turn 0, 1, huge, a little more and a little less, with a right checksum. */
static void superblock__that_lies_is_refused_or_sound(void **state)
{
	static const uint64_t lies[] = {0, 1, UINT32_MAX, UINT64_MAX, UINT64_MAX / 4096 + 1};
	struct superblock superblock = some_superblock(), parsed;
	uint8_t bytes[SUPERBLOCK_BYTES];

	(void)state;
	for (uint32_t at = 12; at < 60; at += 4) {
		for (uint32_t lie = 0; lie < 7; lie++) {
			superblock_emit(&superblock, bytes);
			if (lie < 5)
				store_le32(bytes + at, (uint32_t)lies[lie]);
			if (lie < 5 && at >= 16 && at < 48 && at % 8 == 0)
				store_le64(bytes + at, lies[lie]);
			if (lie >= 5)
				store_le32(bytes + at, load_le32(bytes + at) + (lie == 5 ? 1 : -1));
			seal(bytes);
			if (superblock_parse(&parsed, bytes) != 0)
				continue;
			assert_true(parsed.segments_block + (uint64_t)parsed.segment_blocks *
								    parsed.segment_count <=
				    parsed.block_count);
			assert_true(parsed.catalogue_block +
					    (uint64_t)2 * parsed.catalogue_blocks <=
				    parsed.segments_block);
		}
	}
}

static void superblock__is_laid_out_within_the_device(void **state)
{
	struct superblock superblock;

	(void)state;
	for (uint32_t block_bytes = 512; block_bytes <= 4096; block_bytes *= 8) {
		uint64_t least = superblock_bytes_min(block_bytes) / block_bytes;

		assert_int_equal(superblock_plan(&superblock, block_bytes, least - 1, 0), -ENOSPC);
		for (uint64_t blocks = least; blocks < UINT64_C(1) << 40; blocks = blocks * 3 / 2) {
			uint8_t bytes[SUPERBLOCK_BYTES];

			assert_int_equal(superblock_plan(&superblock, block_bytes, blocks, 0), 0);
			superblock_emit(&superblock, bytes);
			assert_int_equal(superblock_parse(&superblock, bytes), 0);
		}
		assert_int_equal(superblock_plan(&superblock, block_bytes, 1 << 20, 65537),
				 -EINVAL);
		assert_int_equal(superblock_plan(&superblock, block_bytes, 1 << 20, 32768),
				 -EINVAL);
		assert_int_equal(superblock_plan(&superblock, block_bytes, 1 << 20, 128 << 20),
				 -EINVAL);
	}
}

/* ---- The header of a region ---- */

static void region__is_refused_when_any_bit_changed(void **state)
{
	const struct region region = {7, 0xfedcba9876543210};
	uint8_t bytes[REGION_HEADER_BYTES];
	struct region parsed;

	(void)state;
	region_emit(&region, SALT, bytes);
	assert_int_equal(region_parse(&parsed, SALT, bytes), 0);
	assert_int_equal(parsed.generation, region.generation);
	assert_int_equal(parsed.salt, region.salt);
	assert_int_equal(region_parse(&parsed, SALT + 1, bytes), -EUCLEAN);
	for (uint32_t bit = 0; bit < 8 * REGION_HEADER_BYTES; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(region_parse(&parsed, SALT, bytes), -EUCLEAN);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* ---- Batches ---- */

/* Two pieces: one of 10 bytes, and one of 3, a run of a block, and 2. */
#define DESCRIPTOR (BATCH_HEADER_BYTES + PIECE_BYTES + 4 + PIECE_BYTES + 12)

static const struct batch_place place = {
	.block = 77, .room_blocks = ROOM, .salt = SALT, .log = 5, .block_bytes = BLOCK};

static struct batch some_batch(uint8_t head[BLOCK])
{
	static const uint32_t table[] = {10, 1, 1, 10, 5 + BLOCK, 2, 3, 3, BLOCK | EXTENT_RUN, 2};
	struct batch batch = {
		.log = 5,
		.sequence = 9,
		.first_record = 21,
		.previous = 0xabcdef,
		.flags = BATCH_CONTINUES,
		.piece_count = 2,
		.descriptor_bytes = DESCRIPTOR,
		.inline_bytes = 15,
		.run_blocks = 1,
	};

	memset(head, 0xee, BLOCK);
	for (uint32_t i = 0; i < 10; i++)
		store_le32(head + BATCH_HEADER_BYTES + (size_t)4 * i, table[i]);
	batch.crc = batch_emit(&batch, SALT, place.block, head);
	return batch;
}

static int parse(struct batch *batch, const uint8_t *head, size_t bytes)
{
	uint32_t need = 0;

	return batch_parse(batch, head, bytes, &place, &need);
}

static void batch__comes_back_as_it_was(void **state)
{
	uint8_t head[BLOCK];
	struct batch batch = some_batch(head), parsed;
	struct piece piece;
	uint32_t offset;

	(void)state;
	assert_int_equal(parse(&parsed, head, BLOCK), 0);
	assert_memory_equal(&parsed, &batch, sizeof(batch));
	assert_int_equal(batch_blocks(&parsed, BLOCK), 2);
	offset = piece_parse(&piece, head, BATCH_HEADER_BYTES);
	assert_int_equal(piece.bytes, 10);
	offset = piece_parse(&piece, head, offset);
	assert_int_equal(offset, DESCRIPTOR);
	assert_int_equal(piece.bytes, 5 + BLOCK);
	assert_int_equal(piece.extent_count, 3);
	assert_true(extent_is_run(extent_at(&piece, 1)));
}

static void batch__with_any_bit_changed_is_refused(void **state)
{
	uint8_t head[BLOCK];
	struct batch batch;

	(void)state;
	some_batch(head);
	for (uint32_t bit = 0; bit < 8 * DESCRIPTOR; bit++) {
		int error;

		head[bit / 8] ^= (uint8_t)(1u << bit % 8);
		error = parse(&batch, head, BLOCK);
		/* Sizes that reach further are looked at only then. */
		assert_true(error == -EUCLEAN || error == -EAGAIN);
		head[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void batch__of_another_place_log_or_salt_is_refused(void **state)
{
	struct batch_place other;
	uint8_t head[BLOCK];
	struct batch batch;
	uint32_t need;

	(void)state;
	some_batch(head);
	other = place;
	other.block++;
	assert_int_equal(batch_parse(&batch, head, BLOCK, &other, &need), -EUCLEAN);
	other = place;
	other.salt ^= UINT64_C(1) << 63;
	assert_int_equal(batch_parse(&batch, head, BLOCK, &other, &need), -EUCLEAN);
	other = place;
	other.log++;
	assert_int_equal(batch_parse(&batch, head, BLOCK, &other, &need), -EUCLEAN);
	other = place;
	other.room_blocks = 1;
	assert_int_equal(batch_parse(&batch, head, BLOCK, &other, &need), -EUCLEAN);
	other.room_blocks = 0;
	assert_int_equal(batch_parse(&batch, head, BLOCK, &other, &need), -EUCLEAN);
}

static void batch__asks_for_what_is_not_at_hand(void **state)
{
	uint8_t head[BLOCK];
	struct batch batch;
	uint32_t need;

	(void)state;
	some_batch(head);
	for (uint32_t bytes = 0; bytes < DESCRIPTOR + 15; bytes++) {
		int error = batch_parse(&batch, head, bytes, &place, &need);

		assert_int_equal(error, bytes < BATCH_HEADER_BYTES ? -EUCLEAN : -EAGAIN);
		if (error == -EAGAIN)
			assert_int_equal(need, DESCRIPTOR + 15);
	}
	assert_int_equal(batch_parse(&batch, head, DESCRIPTOR + 15, &place, &need), 0);
}

static void seal_batch(uint8_t *head, uint32_t descriptor_bytes)
{
	uint8_t seed[16];

	store_le64(seed, SALT);
	store_le64(seed + 8, place.block);
	store_le32(head + 4, crc32c(crc32c(0, seed, 16), head + 8, descriptor_bytes - 8));
}

/* Each word of header and table in turn, with a right checksum: nothing that does not add up. */
static void batch__that_lies_is_refused(void **state)
{
	static const uint32_t lies[] = {0, 1, 4, BLOCK, UINT32_MAX, EXTENT_RUN, EXTENT_RUN | 1};
	uint8_t head[BLOCK], before[BLOCK];
	struct batch batch;

	(void)state;
	some_batch(before);
	for (uint32_t at = 36; at < DESCRIPTOR; at += 4) {
		/* Those that are any number: the length of what goes on, room, checksums. */
		if (at == 52 || at == 56 || at == 60 || at == BATCH_HEADER_BYTES + 4 ||
		    at == BATCH_HEADER_BYTES + 20)
			continue;
		for (uint32_t lie = 0; lie < 9; lie++) {
			memcpy(head, before, BLOCK);
			store_le32(head + at, lie < 7 ? lies[lie]
						      : load_le32(head + at) + (lie == 7 ? 1 : -1));
			if (memcmp(head, before, BLOCK) == 0)
				continue;
			seal_batch(head, DESCRIPTOR);
			assert_int_not_equal(parse(&batch, head, BLOCK), 0);
		}
	}
	/* A sequence of 0, and one that nobody comes to; a record that is continued and has no number. */
	memcpy(head, before, BLOCK);
	store_le64(head + 16, 0);
	seal_batch(head, DESCRIPTOR);
	assert_int_equal(parse(&batch, head, BLOCK), -EUCLEAN);
	store_le64(head + 16, SEQUENCE_END);
	seal_batch(head, DESCRIPTOR);
	assert_int_equal(parse(&batch, head, BLOCK), -EUCLEAN);
	store_le64(head + 16, 9);
	store_le64(head + 24, 0);
	seal_batch(head, DESCRIPTOR);
	assert_int_equal(parse(&batch, head, BLOCK), -EUCLEAN);
	store_le64(head + 24, RECORDS_MAX + 1);
	seal_batch(head, DESCRIPTOR);
	assert_int_equal(parse(&batch, head, BLOCK), -EUCLEAN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(superblock__comes_back_as_it_was),
		cmocka_unit_test(superblock__with_any_bit_changed_is_refused),
		cmocka_unit_test(superblock__of_a_newer_format_is_told_apart),
		cmocka_unit_test(superblock__that_lies_is_refused_or_sound),
		cmocka_unit_test(superblock__is_laid_out_within_the_device),
		cmocka_unit_test(region__is_refused_when_any_bit_changed),
		cmocka_unit_test(batch__comes_back_as_it_was),
		cmocka_unit_test(batch__with_any_bit_changed_is_refused),
		cmocka_unit_test(batch__of_another_place_log_or_salt_is_refused),
		cmocka_unit_test(batch__asks_for_what_is_not_at_hand),
		cmocka_unit_test(batch__that_lies_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
