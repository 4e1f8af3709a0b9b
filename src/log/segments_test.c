/* SPDX-License-Identifier: MIT */
/* Which segments are used, as the device sees it. */
#include "log/segments.h"

#include "log/log_testing.h"
#include "log/store.h"

#define COUNTED_MAX 128u
#define RECORD_BYTES 60000u /* one fills a segment of 64 KiB */
#define COLD_RECORDS 10u

static struct world *world;
static struct blkdev_ops counting_ops;
static const struct blkdev_ops *true_ops;
static unsigned int uses[COUNTED_MAX]; /* writes to the first block of each */

static int count_and_submit(struct blkdev *device, struct blk_request *request, uint64_t now_ns)
{
	uint32_t blocks = world->store ? world->store->superblock.segment_blocks : 0;
	uint64_t first = world->store ? world->store->superblock.segments_block : UINT64_MAX;

	if (request->operation == BLK_WRITE && request->block >= first &&
	    (request->block - first) % blocks == 0)
		uses[(request->block - first) / blocks]++;
	return true_ops->submit(device, request, now_ns);
}

static void start(void)
{
	memset(uses, 0, sizeof(uses));
	world = world_make(4u << 20, 4096, 5);
	world_format(world);
	true_ops = world->disk->ops;
	counting_ops = *true_ops;
	counting_ops.submit = count_and_submit;
	world->disk->ops = &counting_ops;
	assert_int_equal(world_open(world), 0);
	assert_in_range(world->store->superblock.segment_count, 40, COUNTED_MAX);
}

static struct log *open_log(const char *name)
{
	struct log *log;

	assert_int_equal(log_open(&log, world->store, name, LOG_CREATE), 0);
	return log;
}

/* Records that go on where @number stands, of which few are kept. */
static void push_and_drop(struct log *log, uint8_t *data, uint64_t *number, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		assert_int_equal(push_wait(world, log, data, RECORD_BYTES), 0);
		if (++*number > 3)
			assert_int_equal(log_truncate(log, *number - 2), 0);
	}
}

/* Of the segments that were used more than once the least and the most, and how many others are. */
static void measure(unsigned int *least, unsigned int *most, unsigned int *cold)
{
	*least = UINT32_MAX;
	*most = *cold = 0;
	for (uint32_t i = 0; i < world->store->superblock.segment_count; i++) {
		if (uses[i] <= 1) {
			(*cold)++;
			continue;
		}
		*least = uses[i] < *least ? uses[i] : *least;
		*most = uses[i] > *most ? uses[i] : *most;
	}
}

static void segments__wear_alike(void **state)
{
	unsigned int least, most, cold;
	struct log *keeper, *log;
	uint64_t number = 0;
	uint8_t *data;

	(void)state;
	start();
	data = heap_alloc(world->heap, RECORD_BYTES);
	memset(data, 'w', RECORD_BYTES);
	keeper = open_log("cold");
	for (unsigned int i = 0; i < COLD_RECORDS; i++)
		assert_int_equal(push_wait(world, keeper, data, RECORD_BYTES), 0);
	log = open_log("hot");
	push_and_drop(log, data, &number, 2000);
	measure(&least, &most, &cold);
	/* And what either log was given ahead of need. */
	assert_in_range(cold, COLD_RECORDS, COLD_RECORDS + 2);
	assert_in_range(most - least, 0, 2);
	log_close(log);
	log_close(keeper);
	log_store_close(world->store);
	heap_free(world->heap, data);
	world->disk->ops = true_ops;
	world_free(world);
}

/* Each start draws where it begins; no segment is worn by starts that are followed by little. */
static void segments__wear_alike_over_many_starts(void **state)
{
	unsigned int least, most, cold;
	uint64_t number = 0;
	uint8_t *data;

	(void)state;
	start();
	data = heap_alloc(world->heap, RECORD_BYTES);
	memset(data, 'w', RECORD_BYTES);
	for (unsigned int i = 0; i < 1000; i++) {
		struct log *log = open_log("hot");

		push_and_drop(log, data, &number, 2);
		log_close(log);
		log_store_close(world->store);
		world->store = NULL;
		world->disk_options.seed++;
		assert_int_equal(world_open(world), 0);
	}
	measure(&least, &most, &cold);
	assert_int_equal(cold, 0);
	assert_true(most <= 3 * least);
	log_store_close(world->store);
	heap_free(world->heap, data);
	world->disk->ops = true_ops;
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments__wear_alike),
		cmocka_unit_test(segments__wear_alike_over_many_starts),
	};

	return cmocka_run_group_tests_name("log/segments", tests, NULL, NULL);
}
