/* SPDX-License-Identifier: MIT */
#include "blkdev/sim.h"

#include <errno.h>

#include "blkdev/request_testing.h"

#define BLOCK_BYTES 512u
#define BLOCKS 64u

static struct heap *heap;
static struct sim_medium *medium;
static struct blkdev *disk;

static int heap_setup(void **state)
{
	(void)state;
	return heap_create(&heap, &(struct heap_options){.bytes_max = (uint64_t)64 << 20});
}

static int heap_teardown(void **state)
{
	(void)state;
	assert_true(heap_is_empty(heap));
	heap_destroy(heap);
	return 0;
}

static void start(const struct sim_disk_options *options)
{
	assert_int_equal(sim_medium_create(&medium, BLOCKS * BLOCK_BYTES, BLOCK_BYTES), 0);
	assert_int_equal(sim_disk_create(&disk, medium, heap, options), 0);
}

static void end(void)
{
	blkdev_close(disk);
	sim_medium_destroy(medium);
}

static void submit_write(struct test_request *write, uint64_t block, uint32_t blocks, int fill,
			 bool durable)
{
	request_make(write, disk, BLK_WRITE, block, blocks);
	memset(write->memory, fill, write->segment.iov_len);
	write->request.durable = durable;
	assert_int_equal(blkdev_submit(disk, &write->request, 0), 0);
}

/* At once; the disk has no latency, or this one only in what is under way. */
static void do_write(uint64_t block, uint32_t blocks, int fill, bool durable)
{
	struct test_request write;

	submit_write(&write, block, blocks, fill, durable);
	blkdev_poll(disk, 0);
	assert_int_equal(write.error, 0);
	request_end(&write);
}

static void do_flush(void)
{
	struct test_request flush;

	request_make(&flush, disk, BLK_FLUSH, 0, 0);
	assert_int_equal(blkdev_submit(disk, &flush.request, 0), 0);
	blkdev_poll(disk, 0);
	assert_int_equal(flush.error, 0);
}

static void cut_mask(uint64_t kept)
{
	sim_disk_cut(disk, &(struct sim_disk_cut){.kept = &kept});
}

/* The byte that a block consists of, or -1. */
static int on_medium(uint64_t block)
{
	unsigned char bytes[BLOCK_BYTES];

	sim_medium_read(medium, block * BLOCK_BYTES, bytes, sizeof(bytes));
	for (size_t i = 1; i < sizeof(bytes); i++) {
		if (bytes[i] != bytes[0])
			return -1;
	}
	return bytes[0];
}

static const struct sim_disk_options plain;

static void sim_disk_cut__reaches_each_subset(void **state)
{
	(void)state;
	for (uint64_t kept = 0; kept < 16; kept++) {
		uint64_t blocks[5] = {0};
		int newest = kept & 8 ? 'd' : kept & 1 ? 'a' : 0;

		start(&plain);
		do_write(10, 3, 'a', false);
		do_write(10, 1, 'd', false);
		assert_int_equal(sim_disk_pending(disk, blocks, 5), 4);
		assert_int_equal(blocks[0], 10);
		assert_int_equal(blocks[1], 11);
		assert_int_equal(blocks[2], 12);
		assert_int_equal(blocks[3], 10);
		cut_mask(kept);
		assert_int_equal(on_medium(10), newest);
		assert_int_equal(on_medium(11), kept & 2 ? 'a' : 0);
		assert_int_equal(on_medium(12), kept & 4 ? 'a' : 0);
		assert_int_equal(sim_disk_counters(disk)->kept, __builtin_popcountll(kept));
		assert_int_equal(sim_disk_counters(disk)->lost, 4 - __builtin_popcountll(kept));
		assert_int_equal(sim_disk_pending(disk, NULL, 0), 0);
		end();
	}
}

static void sim_disk_cut__never_loses_what_was_flushed_or_durable(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		start(&(struct sim_disk_options){.seed = seed,
						 .tear = SIM_DISK_MILLION,
						 .cache_blocks = (uint32_t)(1 + seed % 9)});
		do_write(0, 8, 'o', false);
		do_write(0, 8, 'f', false);
		do_flush();
		do_write(8, 8, 'o', false);
		do_write(8, 8, 'd', true);
		do_write(20, 8, 'l', false);
		sim_disk_cut(disk, &(struct sim_disk_cut){.kept = NULL});
		for (unsigned int i = 0; i < 8; i++) {
			assert_int_equal(on_medium(i), 'f');
			assert_int_equal(on_medium(8 + i), 'd');
		}
		end();
	}
}

static void sim_disk_cut__an_older_version_may_survive(void **state)
{
	unsigned int found[4] = {0, 0, 0, 0};

	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		start(&(struct sim_disk_options){.seed = seed});
		for (unsigned int i = 1; i < 4; i++)
			do_write(0, 1, (int)i, false);
		sim_disk_cut(disk, &(struct sim_disk_cut){.kept = NULL});
		found[on_medium(0)]++;
		end();
	}
	for (unsigned int i = 0; i < 4; i++)
		assert_true(found[i] > 2);
}

static void sim_disk_cut__splits_what_is_under_way(void **state)
{
	(void)state;
	for (uint64_t kept = 0; kept < 32; kept++) {
		struct test_request write, durable;
		uint64_t blocks[5];

		start(&(struct sim_disk_options){.latency_ns = 5});
		submit_write(&write, 3, 3, 'w', false);
		submit_write(&durable, 30, 2, 'd', true);
		assert_int_equal(sim_disk_pending(disk, blocks, 5), 5);
		assert_int_equal(blocks[2], 5);
		assert_int_equal(blocks[3], 30);
		cut_mask(kept);
		for (unsigned int i = 0; i < 3; i++)
			assert_int_equal(on_medium(3 + i), kept >> i & 1 ? 'w' : 0);
		for (unsigned int i = 0; i < 2; i++)
			assert_int_equal(on_medium(30 + i), kept >> (3 + i) & 1 ? 'd' : 0);
		/* The machine is off: what was under way ends and changes nothing. */
		assert_int_equal(blkdev_poll(disk, 0), 2);
		assert_int_equal(write.error, -ENODEV);
		assert_int_equal(durable.error, -ENODEV);
		assert_int_equal(blkdev_submit(disk, &write.request, 9), -ENODEV);
		assert_int_equal(on_medium(3), kept & 1 ? 'w' : 0);
		request_end(&write);
		request_end(&durable);
		end();
	}
}

static void sim_disk_cut__close_cancels_what_is_under_way(void **state)
{
	struct test_request write;

	(void)state;
	start(&(struct sim_disk_options){.latency_ns = 5});
	submit_write(&write, 3, 3, 'w', true);
	cut_mask(0);
	blkdev_close(disk);
	assert_int_equal(write.error, -ECANCELED);
	assert_int_equal(on_medium(3), 0);
	request_end(&write);
	sim_medium_destroy(medium);
}

static void sim_disk_cut__tears_blocks_into_pieces(void **state)
{
	const uint64_t both = 3, second = 2;
	unsigned char bytes[BLOCK_BYTES];

	(void)state;
	start(&(struct sim_disk_options){.tear_bytes = 8});
	do_write(0, 2, 'o', true);
	do_write(0, 2, 'n', false);
	sim_disk_cut(disk, &(struct sim_disk_cut){.kept = &both,
						  .torn = &second,
						  .torn_pieces = 0x8000000000000005});
	assert_int_equal(on_medium(0), 'n');
	sim_medium_read(medium, BLOCK_BYTES, bytes, sizeof(bytes));
	for (unsigned int i = 0; i < BLOCK_BYTES; i++) {
		unsigned int piece = i / 8;

		assert_int_equal(bytes[i], piece == 0 || piece == 2 || piece == 63 ? 'n' : 'o');
	}
	assert_int_equal(sim_disk_counters(disk)->torn, 1);
	end();
}

static void sim_disk_cut__tears_at_random(void **state)
{
	unsigned int mixed = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		start(&(struct sim_disk_options){
			.seed = seed, .tear = SIM_DISK_MILLION, .tear_bytes = 8});
		do_write(0, 1, 'n', false);
		sim_disk_cut(disk, &(struct sim_disk_cut){.kept = NULL});
		mixed += on_medium(0) == -1;
		end();
	}
	assert_int_equal(mixed, 20);
}

static void sim_disk_cut__random_ones_differ_by_seed(void **state)
{
	unsigned int all = 0, none = 0, some = 0, by_block[16] = {0};

	(void)state;
	for (uint64_t seed = 0; seed < 400; seed++) {
		unsigned int kept = 0;

		start(&(struct sim_disk_options){.seed = seed});
		do_write(0, 16, 'n', false);
		sim_disk_cut(disk, &(struct sim_disk_cut){.kept = NULL});
		for (unsigned int i = 0; i < 16; i++) {
			kept += on_medium(i) == 'n';
			by_block[i] += on_medium(i) == 'n';
		}
		all += kept == 16;
		none += kept == 0;
		some += kept > 0 && kept < 16;
		end();
	}
	assert_true(all > 5 && none > 5 && some > 200);
	for (unsigned int i = 0; i < 16; i++)
		assert_in_range(by_block[i], 100, 300);
}

static void sim__a_disk_that_is_gone_loses_its_cache(void **state)
{
	unsigned int kept = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		start(&(struct sim_disk_options){.seed = seed, .gone_ns = 100});
		do_write(0, 16, 'n', false);
		blkdev_poll(disk, 100);
		blkdev_close(disk);
		for (unsigned int i = 0; i < 16; i++)
			kept += on_medium(i) == 'n';
		sim_medium_destroy(medium);
	}
	assert_in_range(kept, 16, 144);
}

static void sim__a_clean_close_keeps_everything(void **state)
{
	(void)state;
	start(&plain);
	do_write(0, 16, 'o', false);
	do_write(0, 16, 'n', false);
	blkdev_close(disk);
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(on_medium(i), 'n');
	/* And another disk finds it. */
	assert_int_equal(sim_disk_create(&disk, medium, heap, &plain), 0);
	end();
}

/* ---- The medium ---- */

static void sim_medium__holds_any_bytes(void **state)
{
	static const unsigned char bytes[] = "anything that somebody makes up";
	unsigned char found[sizeof(bytes)];
	struct test_request read;

	(void)state;
	start(&plain);
	sim_medium_write(medium, 3 * BLOCK_BYTES - 5, bytes, sizeof(bytes));
	sim_medium_read(medium, 3 * BLOCK_BYTES - 5, found, sizeof(found));
	assert_memory_equal(found, bytes, sizeof(bytes));
	request_make(&read, disk, BLK_READ, 2, 2);
	assert_int_equal(blkdev_submit(disk, &read.request, 0), 0);
	blkdev_poll(disk, 0);
	assert_memory_equal(read.memory + BLOCK_BYTES - 5, bytes, sizeof(bytes));
	request_end(&read);
	sim_medium_flip(medium, (3 * BLOCK_BYTES - 5) * 8 + 1);
	sim_medium_read(medium, 3 * BLOCK_BYTES - 5, found, 1);
	assert_int_equal(found[0], 'a' ^ 2);
	end();
}

static void sim_medium_copy__makes_them_equal(void **state)
{
	const uint64_t bytes = (UINT64_C(1) << 34) + 512;
	struct sim_medium *one, *two;

	(void)state;
	assert_int_equal(sim_medium_create(&one, bytes, 512), 0);
	assert_int_equal(sim_medium_create(&two, bytes, 512), 0);
	assert_true(sim_medium_differs(one, two) == UINT64_MAX);
	sim_medium_write(one, bytes - 2, "xy", 2);
	sim_medium_write(two, 70000, "z", 1);
	assert_int_equal(sim_medium_differs(one, two), 70000);
	assert_int_equal(sim_medium_fail_block(one, 1), 0);
	sim_medium_copy(two, one);
	assert_true(sim_medium_differs(one, two) == UINT64_MAX);
	sim_medium_flip(two, (bytes - 1) * 8);
	assert_true(sim_medium_differs(one, two) == bytes - 1);
	sim_medium_copy(two, one);
	assert_int_equal(sim_disk_create(&disk, two, heap, &plain), 0);
	for (unsigned int i = 0; i < 2; i++) {
		struct test_request read;

		request_make(&read, disk, BLK_READ, 1, 1);
		assert_int_equal(blkdev_submit(disk, &read.request, 0), 0);
		blkdev_poll(disk, 0);
		assert_int_equal(read.error, i == 0 ? -EIO : 0);
		request_end(&read);
		sim_medium_clear(two);
	}
	blkdev_close(disk);
	assert_true(sim_medium_differs(one, two) == bytes - 2);
	sim_medium_destroy(one);
	sim_medium_destroy(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sim_disk_cut__reaches_each_subset),
		cmocka_unit_test(sim_disk_cut__never_loses_what_was_flushed_or_durable),
		cmocka_unit_test(sim_disk_cut__an_older_version_may_survive),
		cmocka_unit_test(sim_disk_cut__splits_what_is_under_way),
		cmocka_unit_test(sim_disk_cut__close_cancels_what_is_under_way),
		cmocka_unit_test(sim_disk_cut__tears_blocks_into_pieces),
		cmocka_unit_test(sim_disk_cut__tears_at_random),
		cmocka_unit_test(sim_disk_cut__random_ones_differ_by_seed),
		cmocka_unit_test(sim__a_disk_that_is_gone_loses_its_cache),
		cmocka_unit_test(sim__a_clean_close_keeps_everything),
		cmocka_unit_test(sim_medium__holds_any_bytes),
		cmocka_unit_test(sim_medium_copy__makes_them_equal),
	};

	return cmocka_run_group_tests_name("blkdev/sim_cut", tests, heap_setup, heap_teardown);
}
