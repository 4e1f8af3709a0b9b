/* SPDX-License-Identifier: MIT */
/*
 * log_image FILE VARIANT: write the image of a store of logs to FILE, and what it has to standard
 * output, a line for each log and record, for log_format_test.py to compare. Variants are blocks of 512
 * and 4096 bytes, closed and not, with little and with many changes of the catalogue.
 */
#include <stdio.h>

#include "log/crc32c.h"
#include "log/log_testing.h"

#define BYTES (4u << 20)

static struct world *world;

static void push_some(struct log *log, uint64_t number)
{
	static const uint32_t sizes[] = {0, 1, 100, 512, 3000, 4096, 20000, 90000};
	demi_sgaseg_t segments[3];
	struct push push = {.outcome = -EINPROGRESS};
	uint32_t bytes = sizes[number % 8];
	uint8_t *data = heap_alloc_aligned(world->heap, 4096, bytes + 8);

	record_fill(data + number % 5, bytes, number);
	segments[0] = (demi_sgaseg_t){data + number % 5, bytes / 3};
	segments[1] = (demi_sgaseg_t){data + number % 5 + bytes / 3, 0};
	segments[2] = (demi_sgaseg_t){data + number % 5 + bytes / 3, bytes - bytes / 3};
	push.append = (struct log_append){
		.segments = segments, .segment_count = 3, .done = push_done};
	assert_int_equal(log_append(log, &push.append), 0);
	while (push.outcome == -EINPROGRESS)
		world_run(world);
	assert_int_equal(push.outcome, 0);
	heap_free(world->heap, data);
}

static void push_group(struct log *log)
{
	struct push pushes[10];

	for (uint32_t i = 0; i < 10; i++)
		push_begin(world, log, &pushes[i], world, 10 * i);
	for (uint32_t i = 0; i < 10; i++)
		while (pushes[i].outcome == -EINPROGRESS)
			world_run(world);
}

static void tell(struct log *log)
{
	struct log_cursor *cursor;
	struct log_status status;
	struct buf *buf;

	log_status(log, &status);
	printf("log %s\n", status.name);
	assert_int_equal(log_cursor_create(&cursor, log), 0);
	for (;;) {
		uint64_t record = log_cursor_record(cursor);

		assert_int_equal(pop_wait(world, cursor, &buf), 0);
		if (!buf)
			break;
		printf("%llu %u %08x\n", (unsigned long long)record, buf->length,
		       crc32c(0, buf->data, buf->length));
		buf_free(world->heap, buf);
	}
	log_cursor_destroy(cursor);
}

static void change_names(int count)
{
	for (int i = 0; i < count; i++) {
		assert_int_equal(log_rename(world->store, i % 2 ? "y" : "x", i % 2 ? "x" : "y"), 0);
	}
}

static void write_file(const char *path)
{
	uint8_t *image = malloc(BYTES);
	FILE *file = fopen(path, "wb");

	assert_true(file && image);
	sim_medium_read(world->medium, 0, image, BYTES);
	assert_int_equal(fwrite(image, 1, BYTES, file), BYTES);
	assert_int_equal(fclose(file), 0);
	free(image);
}

int main(int argc, char **argv)
{
	int variant = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
	struct log *logs[3], *other;
	bool is_clean = variant / 2 != 1;

	world = world_make(BYTES, variant % 2 ? 4096 : 512, (uint64_t)variant);
	world_format(world);
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&logs[0], world->store, "first", LOG_CREATE), 0);
	assert_int_equal(log_open(&logs[1], world->store, "second", LOG_CREATE), 0);
	assert_int_equal(log_open(&other, world->store, "gone", LOG_CREATE), 0);
	log_close(other);
	assert_int_equal(log_remove(world->store, "gone"), 0);
	assert_int_equal(log_open(&logs[2], world->store, "x", LOG_CREATE), 0);
	for (uint64_t i = 0; i < 40; i++) {
		push_some(logs[i % 3], i);
		if (i % 4 == 0)
			push_group(logs[i % 3]);
	}
	for (int i = 0; i < 12; i++) {
		push_some(logs[1], 7);
		assert_int_equal(log_truncate(logs[1], 20 + (uint64_t)i), 0);
	}
	if (variant / 2 == 2)
		change_names(300);
	for (int i = 0; i < 3; i++)
		tell(logs[i]);
	puts(is_clean ? "clean" : "not clean");
	if (!is_clean)
		sim_disk_cut(world->disk, &(struct sim_disk_cut){.kept = NULL});
	for (int i = 0; i < 3; i++)
		log_close(logs[i]);
	log_store_close(world->store);
	write_file(argv[1]);
	world_free(world);
	return 0;
}
