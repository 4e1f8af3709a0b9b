/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "log/format.h"
#include "log/log_testing.h"

#define LARGE (300u << 10)

static struct world *world;
static struct log *log_;

static int set_up(void **state)
{
	(void)state;
	world = world_make(4u << 20, 512, 11);
	world_format(world);
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log_, world->store, "a", LOG_CREATE), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	log_close(log_);
	log_store_close(world->store);
	world_free(world);
	return 0;
}

static int push_record(struct log *log, uint32_t bytes, uint64_t number)
{
	uint8_t *data = heap_alloc(world->heap, bytes + 1);
	int error;

	record_fill(data, bytes, number);
	error = push_wait(world, log, data, bytes);
	heap_free(world->heap, data);
	return error;
}

static void expect_record(struct log_cursor *cursor, uint32_t bytes, uint64_t number)
{
	struct buf *buf;

	assert_int_equal(pop_wait(world, cursor, &buf), 0);
	assert_non_null(buf);
	assert_int_equal(buf->length, bytes);
	assert_true(record_is(buf->data, bytes, number));
	assert_int_equal(buf_free(world->heap, buf), 0);
}

static void reopen(void)
{
	log_close(log_);
	log_store_close(world->store);
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log_, world->store, "a", 0), 0);
}

/* Pieces that begin at each place within a block, of each small length; some of them empty. */
static void append__takes_pieces_that_lie_anywhere(void **state)
{
	uint8_t *data = heap_alloc_aligned(world->heap, 4096, 64u << 10), *flat = malloc(64u << 10);
	demi_sgaseg_t segments[DEMI_SGARRAY_MAXSIZE];
	struct log_cursor *cursor;
	struct buf *buf;

	(void)state;
	record_fill(data, 64u << 10, 1);
	assert_int_equal(log_cursor_create(&cursor, log_), 0);
	for (uint32_t round = 0; round < 600; round++) {
		struct push push = {.outcome = -EINPROGRESS};
		uint32_t total = 0;

		for (uint32_t i = 0; i < DEMI_SGARRAY_MAXSIZE; i++) {
			uint32_t bytes = i == round % DEMI_SGARRAY_MAXSIZE
						 ? round * 7
						 : (round * 31 + i * 17) % 97 * (i % 3);

			segments[i] = (demi_sgaseg_t){data + (round + i) % 513, bytes};
			memcpy(flat + total, segments[i].sgaseg_buf, bytes);
			total += bytes;
		}
		push.append = (struct log_append){.segments = segments,
						  .segment_count = DEMI_SGARRAY_MAXSIZE,
						  .done = push_done};
		assert_int_equal(log_append(log_, &push.append), 0);
		while (push.outcome == -EINPROGRESS)
			world_run(world);
		assert_int_equal(push.outcome, 0);
		assert_int_equal(pop_wait(world, cursor, &buf), 0);
		assert_int_equal(buf->length, total);
		assert_memory_equal(buf->data, flat, total);
		buf_free(world->heap, buf);
		if (round % 50 == 0)
			assert_int_equal(log_truncate(log_, log_cursor_record(cursor)), 0);
	}
	log_cursor_destroy(cursor);
	heap_free(world->heap, data);
	free(flat);
}

/* More large pieces than a request has segments: those that find none are copied. */
static void append__takes_more_runs_than_a_request_has_segments(void **state)
{
	uint32_t count = 2 * BLK_SEGMENTS_MAX;
	uint8_t *data = heap_alloc_aligned(world->heap, 4096, 2048);
	demi_sgaseg_t segments[2 * BLK_SEGMENTS_MAX];
	struct push push = {.outcome = -EINPROGRESS};
	struct log_cursor *cursor;
	struct buf *buf;

	(void)state;
	record_fill(data, 2048, 5);
	for (uint32_t i = 0; i < count; i++)
		segments[i] = (demi_sgaseg_t){data, 2048};
	push.append = (struct log_append){
		.segments = segments, .segment_count = count, .done = push_done};
	assert_int_equal(log_append(log_, &push.append), 0);
	while (push.outcome == -EINPROGRESS)
		world_run(world);
	assert_int_equal(push.outcome, 0);
	assert_int_equal(log_cursor_create(&cursor, log_), 0);
	assert_int_equal(pop_wait(world, cursor, &buf), 0);
	assert_int_equal(buf->length, count * 2048);
	for (uint32_t i = 0; i < count; i++)
		assert_memory_equal(buf->data + (size_t)2048 * i, data, 2048);
	buf_free(world->heap, buf);
	log_cursor_destroy(cursor);
	heap_free(world->heap, data);
}

/* Two that each would fit, and not both: what is left of them takes no room for ever. */
static void append__that_found_no_room_gives_it_back(void **state)
{
	struct log_store_status status;
	struct log_status log_now;
	uint32_t bytes = 2200u << 10;
	uint8_t *data = heap_alloc(world->heap, bytes);
	struct push first, second;
	struct log_cursor *cursor;
	struct log *other;

	(void)state;
	record_fill(data, bytes, 0);
	assert_int_equal(log_open(&other, world->store, "b", LOG_CREATE), 0);
	push_begin(world, log_, &first, data, bytes);
	push_begin(world, other, &second, data, bytes);
	while (first.outcome == -EINPROGRESS || second.outcome == -EINPROGRESS)
		world_run(world);
	assert_true(first.outcome == -ENOSPC || second.outcome == -ENOSPC);
	for (int i = 0; i < 2; i++) {
		struct log *log = i ? other : log_;

		log_status(log, &log_now);
		assert_int_equal(log_truncate(log, log_now.end), 0);
		log_status(log, &log_now);
		assert_true(log_now.segments <= 2);
	}
	log_store_status(world->store, &status);
	assert_true(status.segments_free + 4 >= status.segments);
	log_status(log_, &log_now);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(push_record(log_, 100000, log_now.end + i), 0);
	log_close(other);
	reopen();
	assert_int_equal(log_cursor_create(&cursor, log_), 0);
	for (uint64_t i = 0; i < 3; i++)
		expect_record(cursor, 100000, log_now.end + i);
	log_cursor_destroy(cursor);
	heap_free(world->heap, data);
}

/* A record is being read while it is dropped and its segments are written anew. */
static void read__while_its_record_is_dropped(void **state)
{
	struct log_cursor *cursor;

	(void)state;
	for (uint32_t steps = 0; steps < 12; steps++) {
		struct pop pop = {.read.done = pop_done, .outcome = -EINPROGRESS};
		struct log_status status;
		uint64_t number;

		log_status(log_, &status);
		number = status.end;
		for (uint64_t i = 0; i < 3; i++)
			assert_int_equal(push_record(log_, LARGE, number + i), 0);
		assert_int_equal(log_truncate(log_, number), 0);
		assert_int_equal(log_cursor_create(&cursor, log_), 0);
		assert_int_equal(log_read(cursor, &pop.read), 0);
		for (uint32_t i = 0; i < steps && pop.outcome == -EINPROGRESS; i++)
			world_step(world);
		assert_int_equal(log_truncate(log_, number + 2), 0);
		while (pop.outcome == -EINPROGRESS)
			world_run(world);
		assert_int_equal(pop.outcome, 0);
		assert_int_equal(pop.buf->length, LARGE);
		assert_true(record_is(pop.buf->data, LARGE, number) ||
			    record_is(pop.buf->data, LARGE, number + 2));
		buf_free(world->heap, pop.buf);
		log_cursor_destroy(cursor);
	}
}

/* Where the segments of a log lie is where its batches' headers are. */
static uint64_t find_batch(uint64_t sequence)
{
	uint8_t head[24];

	for (uint64_t at = (64u + 2 * 128) << 10; at < sim_medium_bytes(world->medium); at += 512) {
		sim_medium_read(world->medium, at, head, sizeof(head));
		if (memcmp(head, "DBAT", 4) == 0 && load_le64(head + 16) == sequence)
			return at;
	}
	fail_msg("no batch %llu", (unsigned long long)sequence);
	return 0;
}

/* Records of a segment each; one segment is lost in all of its headers. */
static void read__goes_on_behind_a_segment_that_is_lost(void **state)
{
	struct log_cursor *cursor;
	struct buf *buf;

	(void)state;
	for (uint64_t i = 0; i < 6; i++)
		assert_int_equal(push_record(log_, 65000, i), 0);
	log_close(log_);
	log_store_close(world->store);
	for (uint64_t sequence = 3; sequence <= 3; sequence++)
		sim_medium_flip(world->medium, 8 * (find_batch(sequence) + 20));
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log_, world->store, "a", 0), 0);
	assert_int_equal(log_cursor_create(&cursor, log_), 0);
	for (uint64_t i = 0; i < 6; i++) {
		assert_int_equal(log_cursor_record(cursor), i);
		if (i != 2) {
			expect_record(cursor, 65000, i);
			continue;
		}
		assert_int_equal(pop_wait(world, cursor, &buf), -EUCLEAN);
		assert_int_equal(log_cursor_seek(cursor, i + 1), 0);
	}
	log_cursor_destroy(cursor);
}

/* A batch's blocks where another batch of the log was: it is not taken for it. */
static void read__takes_no_batch_that_was_written_elsewhere(void **state)
{
	struct log_cursor *cursor;
	struct log_status status;
	uint8_t block[512];
	struct buf *buf;

	(void)state;
	for (uint64_t i = 0; i < 6; i++)
		assert_int_equal(push_record(log_, 100, i), 0);
	log_close(log_);
	log_store_close(world->store);
	sim_medium_read(world->medium, find_batch(5), block, sizeof(block));
	sim_medium_write(world->medium, find_batch(2), block, sizeof(block));
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log_, world->store, "a", 0), 0);
	log_status(log_, &status);
	assert_true(status.is_damaged);
	assert_int_equal(status.end, 6);
	assert_int_equal(log_cursor_create(&cursor, log_), 0);
	expect_record(cursor, 100, 0);
	assert_int_equal(pop_wait(world, cursor, &buf), -EUCLEAN);
	for (uint64_t i = 2; i < 6; i++) {
		assert_int_equal(log_cursor_seek(cursor, i), 0);
		expect_record(cursor, 100, i);
	}
	log_cursor_destroy(cursor);
}

struct chain {
	struct log_read read;
	struct log_cursor *cursor;
	uint64_t count;
	bool is_over;
};

static void read_next(struct log_read *read, struct buf *buf, int error)
{
	struct chain *chain = container_of(read, struct chain, read);

	assert_int_equal(error, 0);
	chain->is_over = !buf;
	if (!buf)
		return;
	chain->count++;
	buf_free(world->heap, buf);
	assert_int_equal(log_read(chain->cursor, &chain->read), 0);
}

/* Who reads on when told of a record: as many as a window holds. */
static void read__from_done(void **state)
{
	struct chain chain = {.read.done = read_next};
	struct push pushes[5000];

	(void)state;
	for (uint32_t i = 0; i < 5000; i++)
		push_begin(world, log_, &pushes[i], world, 0);
	while (pushes[4999].outcome == -EINPROGRESS)
		world_run(world);
	assert_int_equal(log_cursor_create(&chain.cursor, log_), 0);
	assert_int_equal(log_read(chain.cursor, &chain.read), 0);
	while (!chain.is_over)
		world_run(world);
	assert_int_equal(chain.count, 5000);
	log_cursor_destroy(chain.cursor);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(append__takes_pieces_that_lie_anywhere),
		CASE(append__takes_more_runs_than_a_request_has_segments),
		CASE(append__that_found_no_room_gives_it_back),
		CASE(read__while_its_record_is_dropped),
		CASE(read__goes_on_behind_a_segment_that_is_lost),
		CASE(read__takes_no_batch_that_was_written_elsewhere),
		CASE(read__from_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
