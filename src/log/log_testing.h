/* SPDX-License-Identifier: MIT */
/* A store on a simulated disk, for the tests of this folder. */
#ifndef DEMI_LOG_LOG_TESTING_H
#define DEMI_LOG_LOG_TESTING_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/container.h"
#include "blkdev/sim.h"
#include "log/log.h"

struct world {
	struct heap *heap;
	struct sched sched;
	uint64_t now_ns;
	struct sim_medium *medium;
	struct blkdev *disk;
	struct log_store *store;
	struct sim_disk_options disk_options;
};

/* Time goes on to the next thing that happens, and everybody has a turn. */
static inline void world_step(struct world *world)
{
	uint64_t next_ns = world->disk ? world->disk->ops->next_ns(world->disk) : UINT64_MAX;

	if (next_ns != UINT64_MAX && next_ns > world->now_ns)
		world->now_ns = next_ns;
	else
		world->now_ns += 1000;
	if (world->disk)
		blkdev_poll(world->disk, world->now_ns);
}

static inline void world_wait(void *context)
{
	world_step(context);
}

static inline void world_run(struct world *world)
{
	world_step(world);
	sched_poll(&world->sched, world->now_ns);
}

static inline struct log_store_options world_options(struct world *world)
{
	return (struct log_store_options){
		.device = world->disk,
		.heap = world->heap,
		.sched = &world->sched,
		.now_ns = &world->now_ns,
		.seed = world->disk_options.seed + 1,
		.wait = world_wait,
		.wait_context = world,
		.copy_max = 1024,
	};
}

static inline void world_plug(struct world *world)
{
	assert_int_equal(
		sim_disk_create(&world->disk, world->medium, world->heap, &world->disk_options), 0);
}

static inline struct world *world_make(uint64_t bytes, uint32_t block_bytes, uint64_t seed)
{
	struct world *world = calloc(1, sizeof(*world));
	const struct heap_options options = {.bytes_max = 256u << 20,
					     .huge_pages = HEAP_HUGE_PAGES_OFF};

	assert_non_null(world);
	assert_int_equal(heap_create(&world->heap, &options), 0);
	assert_int_equal(sched_init(&world->sched, 0), 0);
	assert_int_equal(sim_medium_create(&world->medium, bytes, block_bytes), 0);
	world->disk_options = (struct sim_disk_options){
		.seed = seed, .latency_ns = 10000, .spread_ns = 5000};
	world_plug(world);
	return world;
}

static inline void world_free(struct world *world)
{
	blkdev_close(world->disk);
	sim_medium_destroy(world->medium);
	sched_fini(&world->sched);
	assert_true(heap_is_empty(world->heap));
	heap_destroy(world->heap);
	free(world);
}

static inline void world_format(struct world *world)
{
	struct log_store_options options = world_options(world);
	struct log_format_options format = {.seed = world->disk_options.seed};

	assert_int_equal(log_store_format(&options, &format), 0);
}

static inline int world_open(struct world *world)
{
	struct log_store_options options = world_options(world);

	return log_store_open(&world->store, &options);
}

static inline void world_replug(struct world *world)
{
	blkdev_close(world->disk);
	world_plug(world);
}

/* Without the end that log_store_close would have noted. */
static inline void world_lose_power(struct world *world, struct log *log)
{
	sim_disk_cut(world->disk, &(struct sim_disk_cut){.kept = NULL});
	log_close(log);
	log_store_close(world->store);
	world_replug(world);
	assert_int_equal(world_open(world), 0);
}

/* ---- One record at a time ---- */

struct push {
	struct log_append append;
	demi_sgaseg_t segment;
	int outcome;
};

static inline void push_done(struct log_append *append, int error)
{
	container_of(append, struct push, append)->outcome = error;
}

static inline void push_begin(struct world *world, struct log *log, struct push *push, void *data,
			      uint32_t bytes)
{
	(void)world;
	*push = (struct push){
		.segment = {data, bytes},
		.append = {.segment_count = 1, .done = push_done},
		.outcome = -EINPROGRESS,
	};
	push->append.segments = &push->segment;
	assert_int_equal(log_append(log, &push->append), 0);
}

static inline int push_wait(struct world *world, struct log *log, void *data, uint32_t bytes)
{
	struct push push;

	push_begin(world, log, &push, data, bytes);
	while (push.outcome == -EINPROGRESS)
		world_run(world);
	return push.outcome;
}

struct pop {
	struct log_read read;
	struct buf *buf;
	int outcome;
};

static inline void pop_done(struct log_read *read, struct buf *buf, int error)
{
	struct pop *pop = container_of(read, struct pop, read);

	pop->buf = buf;
	pop->outcome = error;
}

/* NULL with 0: the end. */
static inline int pop_wait(struct world *world, struct log_cursor *cursor, struct buf **buf_out)
{
	struct pop pop = {.read.done = pop_done, .outcome = -EINPROGRESS};

	assert_int_equal(log_read(cursor, &pop.read), 0);
	while (pop.outcome == -EINPROGRESS)
		world_run(world);
	*buf_out = pop.buf;
	return pop.outcome;
}

/* ---- Records that can be told apart ---- */

static inline void record_fill(uint8_t *data, uint32_t bytes, uint64_t number)
{
	uint64_t state = number * 0x9e3779b97f4a7c15 + bytes;

	for (uint32_t i = 0; i < bytes; i++) {
		if (i % 8 == 0)
			state = state * 6364136223846793005 + 1442695040888963407;
		data[i] = (uint8_t)(state >> (8 + i % 8 * 6));
	}
}

static inline bool record_is(const uint8_t *data, uint32_t bytes, uint64_t number)
{
	uint8_t *wanted = malloc(bytes + 1);
	bool is_right;

	record_fill(wanted, bytes, number);
	is_right = memcmp(wanted, data, bytes) == 0;
	free(wanted);
	return is_right;
}

#endif /* DEMI_LOG_LOG_TESTING_H */
