/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>

#include "log/log_testing.h"

static const uint32_t sizes[] = {0,    1,    64,    500,   512,    1024,   1025,    4096,
				 4097, 9000, 65536, 70001, 131072, 262145, 3000000, 16u << 20};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void write_sizes(struct world *world, struct log *log)
{
	for (uint32_t i = 0; i < SIZES; i++) {
		uint8_t *data = heap_alloc(world->heap, sizes[i] + 1);

		assert_non_null(data);
		record_fill(data, sizes[i], i);
		assert_int_equal(push_wait(world, log, data, sizes[i]), 0);
		heap_free(world->heap, data);
	}
}

static void read_sizes(struct world *world, struct log *log)
{
	struct log_cursor *cursor;
	struct buf *buf;

	assert_int_equal(log_cursor_create(&cursor, log), 0);
	for (uint32_t i = 0; i < SIZES; i++) {
		assert_int_equal(log_cursor_record(cursor), i);
		assert_int_equal(pop_wait(world, cursor, &buf), 0);
		assert_non_null(buf);
		assert_int_equal(buf->length, sizes[i]);
		assert_true(record_is(buf->data, buf->length, i));
		buf_free(world->heap, buf);
	}
	assert_int_equal(pop_wait(world, cursor, &buf), 0);
	assert_null(buf);
	for (uint32_t i = SIZES; i-- > 0;) {
		assert_int_equal(log_cursor_seek(cursor, i), 0);
		assert_int_equal(pop_wait(world, cursor, &buf), 0);
		assert_int_equal(buf->length, sizes[i]);
		assert_true(record_is(buf->data, buf->length, i));
		buf_free(world->heap, buf);
	}
	log_cursor_destroy(cursor);
}

static void check_sizes(uint32_t block_bytes, uint32_t memory_alignment)
{
	struct world *world = world_make(128u << 20, block_bytes, 1);
	struct log_status status;
	struct log *log;

	blkdev_close(world->disk);
	world->disk_options.memory_alignment = memory_alignment;
	world_plug(world);
	assert_int_equal(world_open(world), -ENODATA);
	world_format(world);
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log, world->store, "a", 0), -ENOENT);
	assert_int_equal(log_open(&log, world->store, "a", LOG_CREATE), 0);
	write_sizes(world, log);
	read_sizes(world, log);
	log_close(log);
	log_store_close(world->store);
	/* Again, from the medium. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(world_open(world), 0);
		assert_int_equal(log_open(&log, world->store, "a", 0), 0);
		log_status(log, &status);
		assert_int_equal(status.end, SIZES);
		assert_false(status.is_damaged);
		read_sizes(world, log);
		log_close(log);
		log_store_close(world->store);
	}
	world_free(world);
}

static void log__keeps_records_of_all_sizes(void **state)
{
	(void)state;
	check_sizes(512, 4);
	check_sizes(4096, 4);
	check_sizes(512, 512);
	check_sizes(4096, 4096);
}

/* Small records of which many are written together, far more than there is room for at a time. */
static void log__reuses_segments_that_were_cut(void **state)
{
	struct world *world = world_make(4u << 20, 512, 2);
	struct log_store_status before, after;
	uint8_t *data = heap_alloc(world->heap, 2000);
	struct push pushes[32];
	uint64_t number = 0;
	struct log *log;

	(void)state;
	world_format(world);
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log, world->store, "b", LOG_CREATE), 0);
	log_store_status(world->store, &before);
	for (int round = 0; round < 400; round++) {
		for (int i = 0; i < 32; i++)
			push_begin(world, log, &pushes[i], data, (uint32_t)(number + i) % 2000);
		for (int i = 0; i < 32; i++) {
			while (pushes[i].outcome == -EINPROGRESS)
				world_run(world);
			assert_int_equal(pushes[i].outcome, 0);
			assert_int_equal(pushes[i].append.record, number + i);
		}
		number += 32;
		if (number > 200)
			assert_int_equal(log_truncate(log, number - 100), 0);
	}
	log_store_status(world->store, &after);
	assert_true(after.segments_free + 4 >= before.segments_free);
	log_close(log);
	log_store_close(world->store);
	assert_int_equal(world_open(world), 0);
	log_store_status(world->store, &after);
	assert_true(after.was_clean);
	log_store_close(world->store);
	heap_free(world->heap, data);
	world_free(world);
}

static void log__full_is_enospc_and_nothing_is_lost(void **state)
{
	struct world *world = world_make(4u << 20, 512, 3);
	uint8_t *data = heap_alloc(world->heap, 10000);
	struct log_cursor *cursor;
	uint64_t number = 0;
	struct log *log;
	struct buf *buf;
	int error = 0;

	(void)state;
	world_format(world);
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log, world->store, "c", LOG_CREATE), 0);
	for (int rounds = 0; rounds < 3; rounds++) {
		struct push push = {.append = {.segment_count = 1, .done = push_done}};

		push.append.segments = &push.segment;
		for (error = 0; !error;) {
			push.segment = (demi_sgaseg_t){data, 10000};
			push.outcome = -EINPROGRESS;
			record_fill(data, 10000, number);
			error = log_append(log, &push.append);
			while (!error && push.outcome == -EINPROGRESS)
				world_run(world);
			if (!error)
				error = push.outcome;
			number += !error;
		}
		assert_int_equal(error, -ENOSPC);
		assert_true(number > 300);
		assert_int_equal(log_cursor_create(&cursor, log), 0);
		for (uint64_t i = log_cursor_record(cursor); i < number; i++) {
			assert_int_equal(pop_wait(world, cursor, &buf), 0);
			assert_true(record_is(buf->data, buf->length, i));
			buf_free(world->heap, buf);
		}
		log_cursor_destroy(cursor);
		assert_int_equal(log_truncate(log, number - 10), 0);
	}
	log_close(log);
	log_store_close(world->store);
	heap_free(world->heap, data);
	world_free(world);
}

static void log__names_are_durable(void **state)
{
	struct world *world = world_make(8u << 20, 4096, 4);
	char name[300];
	struct log *log, *other;

	(void)state;
	world_format(world);
	assert_int_equal(world_open(world), 0);
	memset(name, 'x', sizeof(name));
	name[255] = '\0';
	assert_int_equal(log_open(&log, world->store, name, LOG_CREATE), 0);
	log_close(log);
	name[255] = 'x';
	name[256] = '\0';
	assert_int_equal(log_open(&log, world->store, name, LOG_CREATE), -ENAMETOOLONG);
	assert_int_equal(log_open(&log, world->store, "", LOG_CREATE), -EINVAL);
	assert_int_equal(log_open(&log, world->store, "one", LOG_CREATE), 0);
	assert_int_equal(push_wait(world, log, world, 0), 0);
	assert_int_equal(log_open(&other, world->store, "two", LOG_CREATE | LOG_EXCLUSIVE), 0);
	assert_int_equal(log_open(&log, world->store, "two", LOG_CREATE | LOG_EXCLUSIVE), -EEXIST);
	assert_int_equal(log_rename(world->store, "one", "two"), 0);
	assert_int_equal(log_rename(world->store, "one", "three"), -ENOENT);
	/* Without a name it still works. */
	assert_int_equal(push_wait(world, other, world, 0), 0);
	log_close(other);
	log_close(log);
	log_store_close(world->store);
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log, world->store, "one", 0), -ENOENT);
	assert_int_equal(log_open(&log, world->store, "two", 0), 0);
	log_close(log);
	assert_int_equal(log_remove(world->store, "two"), 0);
	assert_int_equal(log_remove(world->store, "two"), -ENOENT);
	log_store_close(world->store);
	world_free(world);
}

/* More changes of the catalogue than its two regions have room for. */
static void log__catalogue_moves_to_its_other_region(void **state)
{
	struct world *world = world_make(8u << 20, 512, 5);
	struct log_store_status status;
	char name[32];
	struct log *log;

	(void)state;
	world_format(world);
	for (int round = 0; round < 20; round++) {
		assert_int_equal(world_open(world), 0);
		for (int i = 0; i < 100; i++) {
			snprintf(name, sizeof(name), "log-%d-%d", round, i);
			assert_int_equal(log_open(&log, world->store, name, LOG_CREATE), 0);
			log_close(log);
			if (i >= 10)
				assert_int_equal(log_remove(world->store, name), 0);
		}
		log_store_status(world->store, &status);
		assert_int_equal(status.logs, 10 * (round + 1));
		log_store_close(world->store);
	}
	world_free(world);
}

/* A record that takes more than one batch, and small ones that would find room beside its parts. */
static void log__small_records_wait_for_a_large_one_before_them(void **state)
{
	static const uint32_t bytes[] = {3000000, 64, 0, 1500000, 10};
	struct world *world = world_make(16u << 20, 512, 6);
	struct push pushes[5];
	uint8_t *data[5];
	struct log_cursor *cursor;
	struct log *log;
	struct buf *buf;

	(void)state;
	world_format(world);
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log, world->store, "d", LOG_CREATE), 0);
	for (uint32_t i = 0; i < 5; i++) {
		data[i] = heap_alloc(world->heap, bytes[i] + 1);
		record_fill(data[i], bytes[i], i);
		push_begin(world, log, &pushes[i], data[i], bytes[i]);
	}
	for (uint32_t i = 0; i < 5; i++) {
		while (pushes[i].outcome == -EINPROGRESS)
			world_run(world);
		assert_int_equal(pushes[i].outcome, 0);
		assert_int_equal(pushes[i].append.record, i);
		heap_free(world->heap, data[i]);
	}
	assert_int_equal(log_cursor_create(&cursor, log), 0);
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(pop_wait(world, cursor, &buf), 0);
		assert_int_equal(buf->length, bytes[i]);
		assert_true(record_is(buf->data, buf->length, i));
		buf_free(world->heap, buf);
	}
	log_cursor_destroy(cursor);
	log_close(log);
	log_store_close(world->store);
	world_free(world);
}

static void log__cut_and_not_closed_is_not_damaged(void **state)
{
	struct world *world = world_make(4u << 20, 512, 7);
	struct log_status status;
	struct log *log;

	(void)state;
	world_format(world);
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log, world->store, "e", LOG_CREATE), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(push_wait(world, log, world, 0), 0);
	assert_int_equal(log_truncate(log, 5), 0);
	world_lose_power(world, log);
	assert_int_equal(log_open(&log, world->store, "e", 0), 0);
	log_status(log, &status);
	assert_int_equal(status.first, 5);
	assert_int_equal(status.end, 10);
	assert_false(status.is_damaged);
	log_close(log);
	log_store_close(world->store);
	world_free(world);
}

/* The blocks that hold the segments of a store on @world, all of them. */
static void wipe_segments(struct world *world)
{
	static const uint8_t zeroes[4096];

	for (uint64_t at = (64u + 2 * 128) << 10; at < sim_medium_bytes(world->medium);
	     at += sizeof(zeroes))
		sim_medium_write(world->medium, at, zeroes, sizeof(zeroes));
}

static void log__numbers_go_on_when_everything_is_lost(void **state)
{
	struct world *world = world_make(4u << 20, 512, 8);
	struct log_status status;
	struct log *log;

	(void)state;
	world_format(world);
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log, world->store, "e", LOG_CREATE), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(push_wait(world, log, world, 0), 0);
	assert_int_equal(log_truncate(log, 5), 0);
	log_close(log);
	log_store_close(world->store);
	wipe_segments(world);
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log, world->store, "e", 0), 0);
	log_status(log, &status);
	assert_true(status.is_damaged);
	assert_int_equal(status.end, 10);
	log_close(log);
	log_store_close(world->store);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log__keeps_records_of_all_sizes),
		cmocka_unit_test(log__reuses_segments_that_were_cut),
		cmocka_unit_test(log__full_is_enospc_and_nothing_is_lost),
		cmocka_unit_test(log__names_are_durable),
		cmocka_unit_test(log__small_records_wait_for_a_large_one_before_them),
		cmocka_unit_test(log__cut_and_not_closed_is_not_damaged),
		cmocka_unit_test(log__numbers_go_on_when_everything_is_lost),
		cmocka_unit_test(log__catalogue_moves_to_its_other_region),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
