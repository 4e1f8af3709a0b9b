/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>

#include "log/format.h"
#include "log/log_testing.h"

#define CATALOGUE (64u << 10)
#define REGION (128u << 10)
#define SEGMENTS (CATALOGUE + 2 * REGION)

static struct world *begin(uint32_t block_bytes, uint64_t bytes)
{
	struct world *world = world_make(bytes, block_bytes, 21);

	world_format(world);
	assert_int_equal(world_open(world), 0);
	return world;
}

static int push_record(struct world *world, struct log *log, uint32_t bytes, uint64_t number)
{
	uint8_t *data = heap_alloc(world->heap, bytes + 1);
	int error;

	record_fill(data, bytes, number);
	error = push_wait(world, log, data, bytes);
	heap_free(world->heap, data);
	return error;
}

static void flip(struct world *world, uint64_t at)
{
	sim_medium_flip(world->medium, 8 * at);
}

/* Two batches of the catalogue, of which the headers or what they say is changed. */
static void catalogue__that_is_damaged_is_refused(void **state)
{
	(void)state;
	for (uint32_t first = 1; first < 6; first++) {
		for (uint32_t place = 16; place <= 90; place += 74) {
			struct world *world = begin(512, 4u << 20);
			struct log *log;

			for (char name[2] = "a"; name[0] < 'h'; name[0]++) {
				assert_int_equal(log_open(&log, world->store, name, LOG_CREATE), 0);
				log_close(log);
			}
			log_store_close(world->store);
			flip(world, CATALOGUE + 512 * first + place);
			flip(world, CATALOGUE + 512 * (first + 1) + place);
			assert_int_equal(world_open(world), -EUCLEAN);
			world_free(world);
		}
	}
}

/* Fails all writes from some number on: a power cut in the middle of what the catalogue does. */
struct stop {
	uint64_t writes;
	uint64_t after;
};

static void count_writes(void *context, uint64_t number, const struct blk_request *request,
			 struct sim_disk_fate *fate)
{
	struct stop *stop = context;

	(void)number;
	stop->writes += request->operation == BLK_WRITE;
	if (request->operation == BLK_WRITE && stop->writes > stop->after)
		fate->error = -EIO;
}

/*
 * The power failed when the new region had its header and the old one had still its own. The old
 * one is out of date as soon as something changes: when the new header rots it is not used.
 */
static void catalogue__does_not_go_back_to_an_old_region(void **state)
{
	struct world *world = begin(4096, 4u << 20);
	struct stop stop = {0, UINT64_MAX};
	struct log *log;
	bool has_both = false;
	uint8_t old[512], header[8];

	(void)state;
	assert_int_equal(log_open(&log, world->store, "a", LOG_CREATE), 0);
	log_close(log);
	/* 31 blocks behind the header: the next change but so many moves. */
	for (int i = 0; i < 15; i++) {
		assert_int_equal(log_rename(world->store, "a", "b"), 0);
		assert_int_equal(log_rename(world->store, "b", "a"), 0);
	}
	sim_medium_read(world->medium, CATALOGUE, old, sizeof(old));
	sim_disk_options(world->disk)->hook = count_writes;
	sim_disk_options(world->disk)->hook_context = &stop;
	/* The snapshot, its header, and not the removal of the old one. */
	stop.after = 2;
	assert_int_equal(log_rename(world->store, "a", "lost"), -EIO);
	log_store_close(world->store);
	world_replug(world);
	/* A write that failed may have been done. */
	sim_medium_write(world->medium, CATALOGUE, old, sizeof(old));
	sim_medium_read(world->medium, CATALOGUE + REGION, header, sizeof(header));
	has_both = memcmp(header, "DEMICAT\n", 8) == 0;
	assert_true(has_both);
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_rename(world->store, "a", "new"), 0);
	log_store_close(world->store);
	flip(world, CATALOGUE + REGION + 8);
	assert_int_equal(world_open(world), -EUCLEAN);
	flip(world, CATALOGUE + REGION + 8);
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log, world->store, "new", 0), 0);
	log_close(log);
	log_store_close(world->store);
	world_free(world);
}

/* The noted ends go with the catalogue to its other region. */
static void catalogue__takes_the_noted_ends_along(void **state)
{
	struct world *world = begin(4096, 4u << 20);
	struct log_status status;
	struct log *log;

	(void)state;
	assert_int_equal(log_open(&log, world->store, "a", LOG_CREATE), 0);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(push_record(world, log, 100, i), 0);
	log_close(log);
	log_store_close(world->store);
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log, world->store, "b", LOG_CREATE), 0);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(log_rename(world->store, "b", "c"), 0);
		assert_int_equal(log_rename(world->store, "c", "b"), 0);
	}
	world_lose_power(world, log);
	log_store_close(world->store);
	/* The last record of "a" rots. */
	for (uint64_t at = SEGMENTS; at < sim_medium_bytes(world->medium); at += 4096) {
		uint8_t head[24];

		sim_medium_read(world->medium, at, head, sizeof(head));
		if (memcmp(head, "DBAT", 4) == 0 && load_le64(head + 16) == 5)
			flip(world, at + 100);
	}
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log, world->store, "a", 0), 0);
	log_status(log, &status);
	assert_true(status.is_damaged);
	assert_int_equal(status.end, 5);
	log_close(log);
	log_store_close(world->store);
	world_free(world);
}

/* As many logs as there is room for, then with the longest names that there is room for. */
static void catalogue__that_is_full_of_names_still_changes(void **state)
{
	struct world *world = begin(512, 2u << 20);
	char name[256], new_name[256];
	struct log_store_status status;
	struct log *log;
	int count = 0, error = 0;

	(void)state;
	for (; !error; count++) {
		snprintf(name, sizeof(name), "%d", count);
		error = log_open(&log, world->store, name, LOG_CREATE);
		if (!error)
			log_close(log);
	}
	assert_int_equal(error, -ENOSPC);
	assert_true(--count > 300);
	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%d", i);
		snprintf(new_name, sizeof(new_name), "%0200d", i);
		error = log_rename(world->store, name, new_name);
		assert_true(error == 0 || error == -ENOSPC);
	}
	assert_int_equal(error, -ENOSPC);
	/* Again and again: so that it moves to its other region. */
	for (int i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), i % 2 ? "x" : "%d", count - 1);
		snprintf(new_name, sizeof(new_name), i % 2 ? "%d" : "x", count - 1);
		error = log_rename(world->store, name, new_name);
		assert_true(error == 0 || (error == -ENOSPC && i % 2) ||
			    (error == -ENOENT && !(i % 2)));
	}
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "%d", count - 2 - i);
		error = log_remove(world->store, name);
		assert_true(error == 0 || error == -ENOENT);
	}
	assert_int_equal(log_open(&log, world->store, "one more", LOG_CREATE), 0);
	assert_int_equal(push_record(world, log, 100, 0), 0);
	log_close(log);
	log_store_close(world->store);
	assert_int_equal(world_open(world), 0);
	log_store_status(world->store, &status);
	assert_true(status.was_clean);
	log_store_close(world->store);
	world_free(world);
}

/* A batch of all the bytes that one may have is lost, and one follows. */
static void log__finds_what_follows_the_largest_batch(void **state)
{
	struct world *world = begin(512, 32u << 20);
	struct log_status status;
	struct log *log;
	uint64_t at = SEGMENTS;
	uint8_t head[64];

	(void)state;
	log_store_close(world->store);
	{
		struct log_store_options options = world_options(world);
		struct log_format_options format = {.segment_bytes = 4u << 20, .overwrite = true};

		assert_int_equal(log_store_format(&options, &format), 0);
	}
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log, world->store, "a", LOG_CREATE), 0);
	assert_int_equal(push_record(world, log, 2500000, 0), 0);
	for (uint64_t i = 1; i < 3; i++)
		assert_int_equal(push_record(world, log, 10, i), 0);
	world_lose_power(world, log);
	log_store_close(world->store);
	for (;; at += 512) {
		struct batch batch = {.run_blocks = 0};

		sim_medium_read(world->medium, at, head, sizeof(head));
		if (memcmp(head, "DBAT", 4) != 0 || load_le64(head + 16) != 2)
			continue;
		batch.run_blocks = load_le32(head + 48);
		batch.descriptor_bytes = load_le32(head + 40);
		batch.inline_bytes = load_le32(head + 44);
		assert_int_equal(batch_blocks(&batch, 512) * 512, BATCH_BYTES_MAX);
		break;
	}
	flip(world, at + 16);
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log, world->store, "a", 0), 0);
	log_status(log, &status);
	assert_true(status.is_damaged);
	assert_int_equal(status.end, 3);
	log_close(log);
	log_store_close(world->store);
	world_free(world);
}

/* What recovery reads depends on the logs there are and their last segments, not on what they have. */
static void recovery__reads_little_of_long_logs(void **state)
{
	uint64_t read[2] = {0, 0};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct world *world = begin(4096, 64u << 20);
		struct log *log;

		assert_int_equal(log_open(&log, world->store, "a", LOG_CREATE), 0);
		for (uint64_t number = 0; number < (i ? 400 : 40); number++)
			assert_int_equal(push_record(world, log, 100000, number), 0);
		world_lose_power(world, log);
		read[i] = world->disk->counters.read_bytes;
		log_store_close(world->store);
		world_free(world);
	}
	print_message("%llu KiB of 4 MB, %llu KiB of 40 MB\n", (unsigned long long)read[0] >> 10,
		      (unsigned long long)read[1] >> 10);
	/* A page of each segment of 256 KiB more, which has two of them at least. */
	assert_true(read[1] - read[0] < UINT64_C(200) * 4096);
}

/* As many records as there are, each of them right. */
static uint64_t read_all(struct world *world, const char *name)
{
	struct log_cursor *cursor;
	struct log *log;
	struct buf *buf;
	uint64_t count = 0;

	assert_int_equal(log_open(&log, world->store, name, 0), 0);
	assert_int_equal(log_cursor_create(&cursor, log), 0);
	for (;; count++) {
		assert_int_equal(pop_wait(world, cursor, &buf), 0);
		if (!buf)
			break;
		assert_true(record_is(buf->data, buf->length, count));
		buf_free(world->heap, buf);
	}
	log_cursor_destroy(cursor);
	log_close(log);
	return count;
}

/*
 * However the power failed, and however often it fails again while the store is opened: that leaves
 * the bytes as they were. Of the last batch any blocks but not all are there.
 */
static void recovery__writes_nothing(void **state)
{
	(void)state;
	for (uint64_t kept = 0; kept < 128; kept++) {
		struct world *world = begin(512, 4u << 20);
		struct push push;
		uint8_t *data = heap_alloc(world->heap, 3000);
		struct log *log;

		assert_int_equal(log_open(&log, world->store, "a", LOG_CREATE), 0);
		for (uint64_t i = 0; i < 6; i++)
			assert_int_equal(push_record(world, log, 3000, i), 0);
		record_fill(data, 3000, 6);
		push_begin(world, log, &push, data, 3000);
		sched_poll(&world->sched, world->now_ns);
		assert_in_range(sim_disk_pending(world->disk, NULL, 0), 1, 7);
		sim_disk_cut(world->disk, &(struct sim_disk_cut){.kept = &kept});
		log_close(log);
		log_store_close(world->store);
		heap_free(world->heap, data);
		for (int again = 0; again < 2; again++) {
			const struct blkdev_counters *counters;

			world_replug(world);
			counters = &world->disk->counters;
			assert_int_equal(world_open(world), 0);
			assert_in_range(read_all(world, "a"), 6, 7);
			assert_int_equal(counters->writes + counters->trims, 0);
			sim_disk_cut(world->disk, &(struct sim_disk_cut){.kept = NULL});
			log_store_close(world->store);
		}
		world_free(world);
	}
}

static void store__opens_by_the_copy_of_its_superblock(void **state)
{
	struct world *world = begin(512, 4u << 20);

	(void)state;
	log_store_close(world->store);
	flip(world, 30);
	assert_int_equal(world_open(world), 0);
	log_store_close(world->store);
	assert_int_equal(sim_medium_fail_block(world->medium, 0), 0);
	assert_int_equal(world_open(world), 0);
	log_store_close(world->store);
	flip(world, 4096 + 30);
	assert_int_not_equal(world_open(world), 0);
	world_free(world);
}

/* Blocks that the device cannot read: of one batch in the middle, or of the last one. */
static void log__with_bad_blocks_leaves_the_others_whole(void **state)
{
	(void)state;
	for (uint64_t bad = 2; bad <= 6; bad += 2) {
		struct world *world = begin(512, 4u << 20);
		struct log *log, *other;
		struct log_status status;
		struct log_cursor *cursor;
		struct buf *buf;
		uint64_t lost = 0;

		assert_int_equal(log_open(&log, world->store, "a", LOG_CREATE), 0);
		assert_int_equal(log_open(&other, world->store, "b", LOG_CREATE), 0);
		for (uint64_t i = 0; i < 6; i++)
			assert_int_equal(push_record(world, log, 3000, i), 0);
		assert_int_equal(push_record(world, other, 100, 0), 0);
		log_close(other);
		log_close(log);
		log_store_close(world->store);
		for (uint64_t at = SEGMENTS; at < sim_medium_bytes(world->medium); at += 512) {
			uint8_t head[24];

			sim_medium_read(world->medium, at, head, sizeof(head));
			if (memcmp(head, "DBAT", 4) == 0 && load_le64(head + 16) == bad)
				assert_int_equal(sim_medium_fail_block(world->medium, at / 512), 0);
		}
		assert_int_equal(world_open(world), 0);
		assert_int_equal(log_open(&other, world->store, "b", 0), 0);
		log_status(other, &status);
		assert_false(status.is_damaged);
		assert_int_equal(log_open(&log, world->store, "a", 0), 0);
		log_status(log, &status);
		assert_true(status.is_damaged);
		assert_int_equal(status.end, 6);
		assert_int_equal(push_record(world, log, 3000, 6), 0);
		assert_int_equal(log_cursor_create(&cursor, log), 0);
		for (uint64_t i = 0; i < 7; i++) {
			int error;

			assert_int_equal(log_cursor_seek(cursor, i), 0);
			error = pop_wait(world, cursor, &buf);
			lost += error != 0;
			if (error) {
				assert_true(error == -EIO || error == -EUCLEAN);
				continue;
			}
			assert_true(record_is(buf->data, buf->length, i));
			buf_free(world->heap, buf);
		}
		assert_int_equal(lost, 1);
		log_cursor_destroy(cursor);
		log_close(other);
		log_close(log);
		log_store_close(world->store);
		world_free(world);
	}
}

/*
 * The first batch of the only segment is lost, and the one behind it is torn: the segment begins anew,
 * at its start.
 */
static void log__begins_its_segment_anew(void **state)
{
	struct world *world = begin(512, 4u << 20);
	struct log_cursor *cursor;
	struct log_status status;
	struct log *log;
	struct buf *buf;
	uint8_t head[24];

	(void)state;
	assert_int_equal(log_open(&log, world->store, "a", LOG_CREATE), 0);
	assert_int_equal(push_record(world, log, 700, 0), 0);
	assert_int_equal(push_record(world, log, 100, 1), 0);
	sim_disk_cut(world->disk, &(struct sim_disk_cut){.kept = NULL});
	log_close(log);
	log_store_close(world->store);
	world_replug(world);
	for (uint64_t at = SEGMENTS; at < 4u << 20; at += 512) {
		sim_medium_read(world->medium, at, head, sizeof(head));
		if (memcmp(head, "DBAT", 4) == 0)
			flip(world, at + (load_le64(head + 16) == 1 ? 16 : 100));
	}
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log, world->store, "a", 0), 0);
	log_status(log, &status);
	assert_int_equal(status.end, 0);
	assert_int_equal(log_cursor_create(&cursor, log), 0);
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(push_record(world, log, 300, 20 + i), 0);
		assert_int_equal(pop_wait(world, cursor, &buf), 0);
		assert_true(buf->length == 300 && record_is(buf->data, buf->length, 20 + i));
		buf_free(world->heap, buf);
	}
	log_cursor_destroy(cursor);
	log_close(log);
	log_store_close(world->store);
	world_free(world);
}

/* The device goes while appends are under way: the store waits for them, and only then goes. */
static void store__closes_on_a_device_that_is_gone(void **state)
{
	struct world *world = begin(512, 4u << 20);
	struct push pushes[8];
	struct log *log;

	(void)state;
	assert_int_equal(log_open(&log, world->store, "a", LOG_CREATE), 0);
	for (int i = 0; i < 8; i++)
		push_begin(world, log, &pushes[i], world, 0);
	sched_poll(&world->sched, world->now_ns);
	sim_disk_cut(world->disk, &(struct sim_disk_cut){.kept = NULL});
	log_close(log);
	log_store_close(world->store);
	for (int i = 0; i < 8; i++)
		assert_int_equal(pushes[i].outcome, -ENODEV);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(catalogue__that_is_damaged_is_refused),
		cmocka_unit_test(catalogue__does_not_go_back_to_an_old_region),
		cmocka_unit_test(catalogue__takes_the_noted_ends_along),
		cmocka_unit_test(catalogue__that_is_full_of_names_still_changes),
		cmocka_unit_test(log__finds_what_follows_the_largest_batch),
		cmocka_unit_test(recovery__reads_little_of_long_logs),
		cmocka_unit_test(recovery__writes_nothing),
		cmocka_unit_test(store__opens_by_the_copy_of_its_superblock),
		cmocka_unit_test(log__with_bad_blocks_leaves_the_others_whole),
		cmocka_unit_test(log__begins_its_segment_anew),
		cmocka_unit_test(store__closes_on_a_device_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
