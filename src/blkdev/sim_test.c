/* SPDX-License-Identifier: MIT */
#include "blkdev/sim.h"

#include <errno.h>

#include "blkdev/request_testing.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define BLOCKS 256u
#define ALWAYS SIM_DISK_MILLION

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
	assert_int_equal(sim_medium_create(&medium, BLOCKS * 512, 512), 0);
	assert_int_equal(sim_disk_create(&disk, medium, heap, options), 0);
	test_ended = 0;
}

static void end(void)
{
	blkdev_close(disk);
	sim_medium_destroy(medium);
}

/* Submits @test at @now_ns and lets it end, whenever that is; how it did. */
static int finish(struct test_request *test, uint64_t now_ns)
{
	assert_int_equal(blkdev_submit(disk, &test->request, now_ns), 0);
	assert_int_equal(test->error, NOT_DONE);
	while (test->error == NOT_DONE)
		blkdev_poll(disk, disk->ops->next_ns(disk));
	return test->error;
}

static int do_write(uint64_t block, uint32_t blocks, int fill, bool durable)
{
	struct test_request write;
	int error;

	request_make(&write, disk, BLK_WRITE, block, blocks);
	memset(write.memory, fill, write.segment.iov_len);
	write.request.durable = durable;
	error = finish(&write, 0);
	request_end(&write);
	return error;
}

static int do_flush(void)
{
	struct test_request flush;

	request_make(&flush, disk, BLK_FLUSH, 0, 0);
	return finish(&flush, 0);
}

/* Reads one block whose bytes are all the same; that byte, or the error; -1: they are not. */
static int do_read(uint64_t block)
{
	struct test_request read;
	int found;

	request_make(&read, disk, BLK_READ, block, 1);
	found = finish(&read, 0);
	if (!found) {
		found = read.memory[0];
		for (uint32_t i = 1; i < read.segment.iov_len; i++)
			found = read.memory[i] == read.memory[0] ? found : -1;
	}
	request_end(&read);
	return found;
}

/* What the medium has, likewise. */
static int on_medium(uint64_t block)
{
	unsigned char bytes[512];

	sim_medium_read(medium, block * 512, bytes, sizeof(bytes));
	for (size_t i = 1; i < sizeof(bytes); i++) {
		if (bytes[i] != bytes[0])
			return -1;
	}
	return bytes[0];
}

static const struct sim_disk_options plain;

/* ---- Without mishaps ---- */

static void sim__reads_what_was_written_in_any_pieces(void **state)
{
	struct test_request write, read;
	struct iovec to[3];

	(void)state;
	start(&plain);
	request_make(&write, disk, BLK_WRITE, 10, 6);
	for (size_t i = 0; i < write.segment.iov_len; i++)
		write.memory[i] = (unsigned char)(i * 7 + i / 512);
	assert_int_equal(finish(&write, 0), 0);
	request_make(&read, disk, BLK_READ, 10, 6);
	to[0] = (struct iovec){read.memory + 3 * 512, 512};
	to[1] = (struct iovec){read.memory, 3 * 512};
	to[2] = (struct iovec){read.memory + 4 * 512, 2 * 512};
	read.request.segments = to;
	read.request.segment_count = 3;
	assert_int_equal(finish(&read, 0), 0);
	assert_memory_equal(read.memory + 3 * 512, write.memory, 512);
	assert_memory_equal(read.memory, write.memory + 512, 3 * 512);
	assert_memory_equal(read.memory + 4 * 512, write.memory + 4 * 512, 2 * 512);
	assert_int_equal(do_read(9), 0);
	assert_int_equal(do_read(16), 0);
	assert_int_equal(disk->counters.reads, 3);
	assert_int_equal(disk->counters.read_bytes, 8 * 512);
	assert_int_equal(disk->counters.writes, 1);
	assert_int_equal(disk->counters.write_bytes, 6 * 512);
	assert_int_equal(disk->counters.commands, 4);
	assert_int_equal(disk->counters.errors, 0);
	request_end(&write);
	request_end(&read);
	end();
}

static void sim__keeps_writes_back_until_a_flush(void **state)
{
	(void)state;
	start(&plain);
	assert_true(disk->caps.volatile_cache);
	assert_int_equal(do_write(1, 1, 'a', false), 0);
	assert_int_equal(do_write(2, 1, 'b', true), 0);
	assert_int_equal(on_medium(1), 0);
	assert_int_equal(on_medium(2), 'b');
	assert_int_equal(do_read(1), 'a');
	assert_int_equal(sim_disk_pending(disk, NULL, 0), 1);
	assert_int_equal(do_flush(), 0);
	assert_int_equal(on_medium(1), 'a');
	assert_int_equal(sim_disk_pending(disk, NULL, 0), 0);
	end();
}

static void sim__a_flush_is_for_what_was_done_before_it(void **state)
{
	const struct sim_disk_options slow_flush = {.flush_ns = 10 * US};
	struct test_request flush;

	(void)state;
	start(&slow_flush);
	assert_int_equal(do_write(1, 1, 'a', false), 0);
	request_make(&flush, disk, BLK_FLUSH, 0, 0);
	assert_int_equal(blkdev_submit(disk, &flush.request, 0), 0);
	/* Both blocks are written while it is under way. */
	assert_int_equal(do_write(1, 2, 'b', false), 0);
	assert_int_equal(flush.error, NOT_DONE);
	blkdev_poll(disk, 10 * US);
	assert_int_equal(flush.error, 0);
	assert_int_equal(on_medium(1), 'a');
	assert_int_equal(on_medium(2), 0);
	assert_int_equal(do_read(1), 'b');
	assert_int_equal(sim_disk_pending(disk, NULL, 0), 2);
	end();
}

static void sim__without_a_cache_done_is_on_the_medium(void **state)
{
	(void)state;
	start(&(struct sim_disk_options){.no_cache = true, .no_trim = true});
	assert_false(disk->caps.volatile_cache);
	assert_false(disk->caps.trim);
	assert_int_equal(do_write(1, 2, 'a', false), 0);
	assert_int_equal(on_medium(2), 'a');
	assert_int_equal(sim_disk_pending(disk, NULL, 0), 0);
	end();
}

static void sim__a_full_cache_makes_room(void **state)
{
	(void)state;
	start(&(struct sim_disk_options){.cache_blocks = 8, .seed = 1});
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(do_write(i % 20, 1, (int)i, false), 0);
	assert_int_equal(sim_disk_pending(disk, NULL, 0), 8);
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(do_read(i), 80 + i);
	assert_int_equal(do_flush(), 0);
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(on_medium(i), 80 + i);
	end();
}

static void sim__what_was_trimmed_reads_as_before_or_as_zeroes(void **state)
{
	unsigned int zeroes = 0;
	struct test_request trim;

	(void)state;
	start(&plain);
	assert_int_equal(do_write(0, 64, 't', true), 0);
	request_make(&trim, disk, BLK_TRIM, 0, 63);
	assert_int_equal(finish(&trim, 0), 0);
	for (unsigned int i = 0; i < 63; i++) {
		int found = do_read(i);

		assert_true(found == 't' || found == 0);
		zeroes += found == 0;
	}
	assert_in_range(zeroes, 10, 53);
	assert_int_equal(do_read(63), 't');
	assert_int_equal(disk->counters.trims, 1);
	end();
}

/* ---- Time ---- */

static void sim__ends_requests_when_their_time_has_come(void **state)
{
	struct test_request read;

	(void)state;
	start(&(struct sim_disk_options){.latency_ns = 10 * US});
	assert_int_equal(disk->ops->next_ns(disk), UINT64_MAX);
	request_make(&read, disk, BLK_READ, 0, 1);
	assert_int_equal(blkdev_submit(disk, &read.request, 5 * US), 0);
	assert_int_equal(disk->ops->next_ns(disk), 15 * US);
	assert_int_equal(disk->under_way, 1);
	assert_int_equal(blkdev_poll(disk, 15 * US - 1), 0);
	assert_int_equal(read.error, NOT_DONE);
	assert_int_equal(blkdev_poll(disk, 15 * US), 1);
	assert_int_equal(read.error, 0);
	assert_int_equal(disk->under_way, 0);
	request_end(&read);
	end();
}

static void sim__ends_requests_in_another_order(void **state)
{
	struct test_request reads[32];
	unsigned int moved = 0;

	(void)state;
	start(&(struct sim_disk_options){.seed = 3, .latency_ns = 10 * US, .spread_ns = 100 * US});
	for (unsigned int i = 0; i < 32; i++) {
		request_make(&reads[i], disk, BLK_READ, i, 1);
		assert_int_equal(blkdev_submit(disk, &reads[i].request, 0), 0);
	}
	assert_int_equal(blkdev_poll(disk, 10 * US - 1), 0);
	assert_int_equal(blkdev_poll(disk, 110 * US), 32);
	for (unsigned int i = 0; i < 32; i++) {
		moved += reads[i].order != i;
		request_end(&reads[i]);
	}
	assert_in_range(moved, 16, 32);
	end();
}

static void sim__takes_depth_requests_at_a_time(void **state)
{
	struct test_request reads[17];

	(void)state;
	start(&(struct sim_disk_options){.depth = 16, .latency_ns = US});
	for (unsigned int i = 0; i < 17; i++) {
		request_make(&reads[i], disk, BLK_READ, i, 1);
		assert_int_equal(blkdev_submit(disk, &reads[i].request, i), i < 16 ? 0 : -EAGAIN);
	}
	assert_int_equal(blkdev_poll(disk, US), 1);
	assert_int_equal(blkdev_submit(disk, &reads[16].request, US), 0);
	assert_int_equal(blkdev_poll(disk, 2 * US), 16);
	for (unsigned int i = 0; i < 17; i++) {
		assert_int_equal(reads[i].error, 0);
		request_end(&reads[i]);
	}
	end();
}

static unsigned int resubmitted;

static void submit_again(struct blk_request *request, int error)
{
	assert_int_equal(error, 0);
	resubmitted++;
	assert_int_equal(blkdev_submit(disk, request, 7), 0);
}

static void cancelled(struct blk_request *request, int error)
{
	assert_int_equal(error, -ECANCELED);
	assert_int_equal(blkdev_submit(disk, request, 7), -ENODEV);
	resubmitted = 0;
}

static void sim__done_may_submit_again(void **state)
{
	struct test_request read;

	(void)state;
	start(&plain);
	request_make(&read, disk, BLK_READ, 0, 1);
	read.request.done = submit_again;
	assert_int_equal(blkdev_submit(disk, &read.request, 7), 0);
	for (unsigned int i = 1; i < 5; i++) {
		assert_int_equal(blkdev_poll(disk, 7), 1);
		assert_int_equal(resubmitted, i);
	}
	read.request.done = cancelled;
	end();
	assert_int_equal(resubmitted, 0);
	request_end(&read);
}

/* ---- Mishaps ---- */

static void sim__fails_requests_at_their_rates(void **state)
{
	struct test_request trim;

	(void)state;
	start(&plain);
	assert_int_equal(do_write(0, 32, 'a', true), 0);
	*sim_disk_options(disk) = (struct sim_disk_options){.read_error = ALWAYS,
							    .tear_bytes = 512};
	assert_int_equal(do_read(0), -EIO);
	assert_int_equal(do_flush(), 0);
	sim_disk_options(disk)->read_error = 0;
	sim_disk_options(disk)->trim_error = ALWAYS;
	request_make(&trim, disk, BLK_TRIM, 0, 1);
	assert_int_equal(finish(&trim, 0), -EIO);
	sim_disk_options(disk)->trim_error = 0;
	sim_disk_options(disk)->read_error = ALWAYS / 2;
	for (unsigned int i = 0; i < 200; i++)
		do_read(1);
	assert_in_range(disk->counters.errors, 2 + 60, 2 + 140);
	assert_int_equal(sim_disk_counters(disk)->failed, disk->counters.errors);
	end();
}

static void sim__a_write_that_fails_has_changed_any_blocks(void **state)
{
	unsigned int changed = 0;

	(void)state;
	start(&plain);
	assert_int_equal(do_write(0, 64, 'a', true), 0);
	sim_disk_options(disk)->write_error = ALWAYS;
	assert_int_equal(do_write(0, 64, 'b', true), -EIO);
	for (unsigned int i = 0; i < 64; i++) {
		int found = do_read(i);

		assert_true(found == 'a' || found == 'b');
		changed += found == 'b';
		/* Not even those are durable. */
		assert_int_equal(on_medium(i), 'a');
	}
	assert_in_range(changed, 10, 54);
	end();
}

static void sim__a_flush_that_fails_has_flushed_any_blocks(void **state)
{
	unsigned int flushed = 0;

	(void)state;
	start(&plain);
	assert_int_equal(do_write(0, 64, 'a', false), 0);
	sim_disk_options(disk)->flush_error = ALWAYS;
	assert_int_equal(do_flush(), -EIO);
	for (unsigned int i = 0; i < 64; i++)
		flushed += on_medium(i) == 'a';
	assert_in_range(flushed, 10, 54);
	assert_int_equal(sim_disk_pending(disk, NULL, 0), 64 - flushed);
	sim_disk_options(disk)->flush_error = 0;
	assert_int_equal(do_flush(), 0);
	assert_int_equal(on_medium(63), 'a');
	end();
}

static void sim__a_request_may_time_out(void **state)
{
	struct test_request read;

	(void)state;
	start(&(struct sim_disk_options){
		.timeout = ALWAYS, .timeout_ns = 3 * MS, .latency_ns = 50 * MS});
	request_make(&read, disk, BLK_READ, 0, 1);
	assert_int_equal(blkdev_submit(disk, &read.request, 0), 0);
	assert_int_equal(blkdev_poll(disk, 3 * MS - 1), 0);
	assert_int_equal(blkdev_poll(disk, 3 * MS), 1);
	assert_int_equal(read.error, -ETIMEDOUT);
	assert_int_equal(disk->counters.timeouts, 1);
	assert_int_equal(disk->counters.resets, 1);
	assert_int_equal(disk->counters.errors, 1);
	request_end(&read);
	end();
}

static void sim__is_gone_from_a_moment_on(void **state)
{
	struct test_request read, late;

	(void)state;
	start(&(struct sim_disk_options){.gone_ns = 3 * MS, .latency_ns = 5 * MS});
	request_make(&read, disk, BLK_READ, 0, 1);
	request_make(&late, disk, BLK_READ, 0, 1);
	assert_int_equal(blkdev_submit(disk, &read.request, 0), 0);
	assert_int_equal(disk->ops->next_ns(disk), 3 * MS);
	assert_int_equal(blkdev_poll(disk, 3 * MS - 1), 0);
	assert_int_equal(disk->failure, 0);
	assert_int_equal(blkdev_poll(disk, 3 * MS), 1);
	assert_int_equal(read.error, -ENODEV);
	assert_int_equal(disk->failure, -ENODEV);
	assert_int_equal(blkdev_submit(disk, &late.request, 3 * MS), -ENODEV);
	assert_int_equal(late.error, NOT_DONE);
	request_end(&read);
	request_end(&late);
	end();
}

static void sim__rot_changes_a_bit_for_good(void **state)
{
	unsigned char before[512], after[512];
	unsigned int bits = 0;

	(void)state;
	start(&(struct sim_disk_options){.rot = ALWAYS});
	assert_int_equal(do_write(5, 1, 'a', false), 0);
	/* What lies in the cache does not rot. */
	assert_int_equal(do_read(5), 'a');
	assert_int_equal(do_flush(), 0);
	sim_medium_read(medium, 5 * 512, before, 512);
	assert_int_equal(do_read(5), -1);
	assert_int_equal(sim_disk_counters(disk)->rotted, 1);
	sim_medium_read(medium, 5 * 512, after, 512);
	for (unsigned int i = 0; i < 512; i++)
		bits += (unsigned int)__builtin_popcount((unsigned int)before[i] ^ after[i]);
	assert_int_equal(bits, 1);
	sim_disk_options(disk)->rot = 0;
	assert_int_equal(do_read(5), -1);
	end();
}

static void sim__a_write_may_go_elsewhere(void **state)
{
	unsigned int found = 0;

	(void)state;
	start(&(struct sim_disk_options){.misdirect_write = ALWAYS, .seed = 4});
	assert_int_equal(do_write(5, 2, 'a', true), 0);
	assert_int_equal(sim_disk_counters(disk)->misdirected, 1);
	for (unsigned int i = 0; i < BLOCKS; i++)
		found += on_medium(i) == 'a';
	assert_int_equal(found, 2);
	assert_int_equal(on_medium(5), 0);
	end();
}

static void sim__a_read_may_come_from_elsewhere(void **state)
{
	unsigned int found = 0;

	(void)state;
	start(&plain);
	assert_int_equal(do_write(0, BLOCKS / 2, 'a', true), 0);
	sim_disk_options(disk)->misdirect_read = ALWAYS;
	for (unsigned int i = 0; i < 50; i++)
		found += do_read(0) == 0;
	assert_in_range(found, 10, 40);
	end();
}

static void sim__a_bad_block_fails_until_it_is_written(void **state)
{
	struct test_request read;

	(void)state;
	start(&plain);
	assert_int_equal(sim_medium_fail_block(medium, 7), 0);
	assert_int_equal(sim_medium_fail_block(medium, 7), 0);
	request_make(&read, disk, BLK_READ, 0, 16);
	assert_int_equal(finish(&read, 0), -EIO);
	request_end(&read);
	assert_int_equal(do_read(6), 0);
	assert_int_equal(do_read(7), -EIO);
	assert_int_equal(do_write(7, 1, 'a', true), 0);
	assert_int_equal(do_read(7), 'a');
	for (unsigned int i = 0; i < SIM_MEDIUM_BAD_MAX; i++)
		assert_int_equal(sim_medium_fail_block(medium, i), 0);
	assert_int_equal(sim_medium_fail_block(medium, SIM_MEDIUM_BAD_MAX), -ENOSPC);
	end();
}

static void choose_fate(void *context, uint64_t number, const struct blk_request *request,
			struct sim_disk_fate *fate)
{
	unsigned int *told = context;

	assert_int_equal(number, (*told)++);
	assert_int_equal(fate->block, request->block);
	assert_int_equal(fate->latency_ns, 5);
	switch (number) {
	case 1:
		fate->error = -ENOSPC;
		break;
	case 2:
		fate->block = 9;
		break;
	case 3:
		fate->latency_ns = 100;
		break;
	}
}

static void sim__a_hook_chooses(void **state)
{
	unsigned int told = 0;
	struct test_request read;

	(void)state;
	start(&(struct sim_disk_options){
		.hook = choose_fate, .hook_context = &told, .latency_ns = 5});
	assert_int_equal(do_write(1, 1, 'a', true), 0);
	assert_int_equal(do_write(1, 1, 'b', true), -ENOSPC);
	assert_int_equal(do_write(1, 1, 'c', true), 0);
	assert_int_equal(on_medium(1), 'a');
	assert_int_equal(on_medium(9), 'c');
	request_make(&read, disk, BLK_READ, 1, 1);
	assert_int_equal(blkdev_submit(disk, &read.request, 0), 0);
	assert_int_equal(disk->ops->next_ns(disk), 100);
	blkdev_poll(disk, 100);
	request_end(&read);
	assert_int_equal(told, 4);
	end();
}

/* ---- Two at a time ---- */

/* @seed: which of the blocks of a write and of a read beside it were in which order. */
static unsigned int mix(uint64_t seed)
{
	struct test_request write, read;
	unsigned int found = 0;

	start(&(struct sim_disk_options){.seed = seed, .latency_ns = US});
	request_make(&read, disk, BLK_READ, 0, 8);
	request_make(&write, disk, BLK_WRITE, 0, 8);
	memset(write.memory, 'w', write.segment.iov_len);
	assert_int_equal(blkdev_submit(disk, &read.request, 0), 0);
	assert_int_equal(blkdev_submit(disk, &write.request, 0), 0);
	assert_int_equal(blkdev_poll(disk, US), 2);
	for (unsigned int i = 0; i < 8; i++) {
		assert_true(read.memory[512 * i] == 'w' || read.memory[512 * i] == 0);
		found |= (unsigned int)(read.memory[512 * i] == 'w') << i;
		assert_int_equal(do_read(i), 'w');
	}
	request_end(&write);
	request_end(&read);
	end();
	return found;
}

static void sim__a_read_beside_a_write_finds_any_of_its_blocks(void **state)
{
	unsigned int all = 0, common = 0xff, first = mix(0), others = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 40; seed++) {
		unsigned int found = mix(seed);

		all |= found;
		common &= found;
		others += found != first;
	}
	assert_int_equal(all, 0xff);
	assert_int_equal(common, 0);
	assert_in_range(others, 30, 39);
}

static void sim__two_writes_beside_each_other_win_by_block(void **state)
{
	unsigned int wins[2] = {0, 0};

	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		struct test_request write[2];

		start(&(struct sim_disk_options){.seed = seed, .latency_ns = US});
		for (unsigned int i = 0; i < 2; i++) {
			request_make(&write[i], disk, BLK_WRITE, 4 * i, 8);
			memset(write[i].memory, 'a' + (int)i, write[i].segment.iov_len);
			write[i].request.durable = i == 0;
			assert_int_equal(blkdev_submit(disk, &write[i].request, 0), 0);
		}
		assert_int_equal(blkdev_poll(disk, US), 2);
		for (unsigned int i = 0; i < 12; i++) {
			int found = do_read(i);

			assert_true(i < 4   ? found == 'a'
				    : i < 8 ? found == 'a' || found == 'b'
					    : found == 'b');
			if (i >= 4 && i < 8)
				wins[found - 'a']++;
			/* The durable one is on the medium, or the other over it. */
			if (i < 8)
				assert_true(on_medium(i) == 'a' || (i >= 4 && on_medium(i) == 'b'));
		}
		request_end(&write[0]);
		request_end(&write[1]);
		end();
	}
	assert_in_range(wins[0], 10, 30);
	assert_in_range(wins[1], 10, 30);
}

/* ---- Replay ---- */

/* Everything at once; a sum over all that can be seen. */
static uint64_t run(uint64_t seed)
{
	struct test_request requests[16];
	uint64_t sum = seed ? 1 : 2, random = 88172645463325252;
	unsigned char image[BLOCKS * 512];

	start(&(struct sim_disk_options){.seed = seed,
					 .latency_ns = 10 * US,
					 .spread_ns = 50 * US,
					 .cache_blocks = 32,
					 .read_error = 50000,
					 .write_error = 50000,
					 .timeout = 20000,
					 .timeout_ns = MS,
					 .misdirect_write = 20000,
					 .rot = 10000,
					 .tear = 200000,
					 .tear_bytes = 8});
	for (unsigned int i = 0; i < 16; i++)
		requests[i].error = 0, requests[i].memory = NULL;
	for (unsigned int step = 0; step < 500; step++) {
		struct test_request *request = &requests[step % 16];

		random ^= random << 13, random ^= random >> 7, random ^= random << 17;
		while (request->error == NOT_DONE)
			blkdev_poll(disk, disk->ops->next_ns(disk));
		if (request->memory)
			sum = sum * 31 + request->memory[random % 512] + request->order +
			      (uint64_t)request->error;
		request_end(request);
		request_make(request, disk, step % 7 == 6 ? BLK_FLUSH : (random >> 8) % 2,
			     step % 7 == 6 ? 0 : (random >> 9) % 200,
			     step % 7 == 6 ? 0 : 1 + (uint32_t)(random >> 20) % 8);
		if (request->memory)
			memset(request->memory, (int)step, request->segment.iov_len);
		assert_int_equal(blkdev_submit(disk, &request->request, step * US), 0);
	}
	sim_disk_cut(disk, &(struct sim_disk_cut){.kept = NULL});
	assert_true(disk->counters.timeouts > 0 && sim_disk_counters(disk)->rotted > 0 &&
		    sim_disk_counters(disk)->misdirected > 0 && sim_disk_counters(disk)->torn > 0);
	sim_medium_read(medium, 0, image, sizeof(image));
	for (unsigned int i = 0; i < sizeof(image); i++)
		sum = sum * 31 + image[i];
	blkdev_close(disk);
	for (unsigned int i = 0; i < 16; i++)
		request_end(&requests[i]);
	sim_medium_destroy(medium);
	return sum;
}

static void sim__a_seed_replays(void **state)
{
	uint64_t first = run(11);

	(void)state;
	assert_true(run(11) == first);
	assert_true(run(12) != first);
	assert_true(run(11) == first);
}

/* ---- Options and names ---- */

static void sim__refuses_options_that_are_not_possible(void **state)
{
	const struct sim_disk_options wrong[] = {
		{.depth = 15},        {.depth = 4097},
		{.bytes_max = 65536}, {.memory_alignment = 3},
		{.tear_bytes = 16},   {.cache_blocks = SIM_DISK_CACHE_MAX + 1},
		{.rot = ALWAYS + 1},  {.latency_ns = UINT64_MAX},
	};

	(void)state;
	assert_int_equal(sim_medium_create(&medium, 512, 1024), -EINVAL);
	assert_int_equal(sim_medium_create(&medium, 513, 512), -EINVAL);
	assert_int_equal(sim_medium_create(&medium, 0, 512), -EINVAL);
	assert_int_equal(sim_medium_create(&medium, 8192, 4096), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(sim_disk_create(&disk, medium, heap, &wrong[i]), -EINVAL);
	assert_int_equal(
		sim_disk_create(&disk, medium, heap, &(struct sim_disk_options){.read_only = true}),
		0);
	assert_true(disk->caps.read_only);
	assert_int_equal(disk->caps.block_bytes, 4096);
	assert_int_equal(disk->caps.block_count, 2);
	assert_int_equal(sim_disk_create(&disk, medium, heap, &plain), -EBUSY);
	end();
}

static int open_name(const char *name)
{
	return blkdev_open(&disk, name, &(struct blkdev_options){.heap = heap, .seed = 9});
}

static void sim_open__takes_a_name(void **state)
{
	static const char *const wrong[] = {
		"sim:",
		"sim",
		"sim:64X",
		"sim:64MM",
		"sim:,block=512",
		"sim:64M,block",
		"sim:64M,block=",
		"sim:64M,block=1024",
		"sim:64M,",
		"sim:64M,,",
		"sim:64M,colour=1",
		"sim:64M,read_only=2",
		"sim:1025G",
		"sim:64M,depth=4294967296",
		"sim:64M,latency_us=3600000001",
		"sim:64M,name=",
		"sim:100,block=512",
		"sim:99999999999999999999",
	};

	(void)state;
	assert_non_null(strstr(blkdev_kinds(), "sim"));
	assert_int_equal(open_name("sim:1024G,block=512,latency_us=10,depth=32,no_cache=1"), 0);
	assert_string_equal(disk->name, "sim:1024G,block=512,latency_us=10,depth=32,no_cache=1");
	assert_int_equal(disk->caps.block_count, UINT64_C(2) << 30);
	assert_int_equal(disk->caps.block_bytes, 512);
	assert_int_equal(disk->caps.depth, 32);
	assert_false(disk->caps.volatile_cache);
	assert_int_equal(sim_disk_options(disk)->latency_ns, 10 * US);
	assert_int_equal(sim_disk_options(disk)->seed, 9);
	assert_int_equal(do_write((UINT64_C(2) << 30) - 1, 1, 'z', true), 0);
	assert_int_equal(do_read((UINT64_C(2) << 30) - 1), 'z');
	blkdev_close(disk);
	assert_int_equal(open_name("sim:64K"), 0);
	assert_int_equal(disk->caps.block_bytes, 4096);
	assert_int_equal(disk->caps.block_count, 16);
	blkdev_close(disk);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(open_name(wrong[i]), -EINVAL);
}

static void sim_open__a_named_medium_stays(void **state)
{
	struct blkdev *second;

	(void)state;
	assert_int_equal(open_name("sim:64K,name=kept"), 0);
	assert_int_equal(do_write(3, 1, 'k', false), 0);
	second = disk;
	assert_int_equal(open_name("sim:64K,name=kept"), -EBUSY);
	assert_int_equal(open_name("sim:64K,name=other"), 0);
	assert_int_equal(do_read(3), 0);
	blkdev_close(disk);
	blkdev_close(second);
	assert_int_equal(open_name("sim:32K,name=kept"), -EINVAL);
	assert_int_equal(open_name("sim:64K,name=kept"), 0);
	assert_int_equal(do_read(3), 'k');
	blkdev_close(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sim__reads_what_was_written_in_any_pieces),
		cmocka_unit_test(sim__keeps_writes_back_until_a_flush),
		cmocka_unit_test(sim__a_flush_is_for_what_was_done_before_it),
		cmocka_unit_test(sim__without_a_cache_done_is_on_the_medium),
		cmocka_unit_test(sim__a_full_cache_makes_room),
		cmocka_unit_test(sim__what_was_trimmed_reads_as_before_or_as_zeroes),
		cmocka_unit_test(sim__ends_requests_when_their_time_has_come),
		cmocka_unit_test(sim__ends_requests_in_another_order),
		cmocka_unit_test(sim__takes_depth_requests_at_a_time),
		cmocka_unit_test(sim__done_may_submit_again),
		cmocka_unit_test(sim__fails_requests_at_their_rates),
		cmocka_unit_test(sim__a_write_that_fails_has_changed_any_blocks),
		cmocka_unit_test(sim__a_flush_that_fails_has_flushed_any_blocks),
		cmocka_unit_test(sim__a_request_may_time_out),
		cmocka_unit_test(sim__is_gone_from_a_moment_on),
		cmocka_unit_test(sim__rot_changes_a_bit_for_good),
		cmocka_unit_test(sim__a_write_may_go_elsewhere),
		cmocka_unit_test(sim__a_read_may_come_from_elsewhere),
		cmocka_unit_test(sim__a_bad_block_fails_until_it_is_written),
		cmocka_unit_test(sim__a_hook_chooses),
		cmocka_unit_test(sim__a_read_beside_a_write_finds_any_of_its_blocks),
		cmocka_unit_test(sim__two_writes_beside_each_other_win_by_block),
		cmocka_unit_test(sim__a_seed_replays),
		cmocka_unit_test(sim__refuses_options_that_are_not_possible),
		cmocka_unit_test(sim_open__takes_a_name),
		cmocka_unit_test(sim_open__a_named_medium_stays),
	};

	return cmocka_run_group_tests_name("blkdev/sim", tests, heap_setup, heap_teardown);
}
