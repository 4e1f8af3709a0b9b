/* SPDX-License-Identifier: MIT */
#include "libos/catmint/pool.h"

#include <errno.h>

static void init_frame(void *context, void *frame)
{
	const struct pool *pool = context;
	struct buf *buf = frame;

	*buf = (struct buf){.capacity = pool->bytes};
}

static bool grow(struct pool *pool)
{
	uint32_t count = pool->total ? pool->total : POOL_FRAMES_FIRST;
	struct heap_frames **part = &pool->parts[pool->part_count];

	if (count > pool->most - pool->total)
		count = pool->most - pool->total;
	if (count == 0 || pool->part_count == POOL_PARTS_MAX)
		return false;
	if (heap_frames_create(part, pool->heap, (uint32_t)sizeof(struct buf) + pool->bytes, count))
		return false;
	heap_frames_each(*part, init_frame, pool);
	pool->at = pool->part_count++;
	pool->total += count;
	return true;
}

int pool_create(struct pool *pool, struct heap *heap, uint32_t bytes, uint32_t most)
{
	*pool = (struct pool){.heap = heap, .bytes = bytes, .most = most};
	return grow(pool) ? 0 : -ENOMEM;
}

static void take_back(void *context, void *frame)
{
	struct pool *pool = context;
	struct buf *buf = frame;

	if (!(buf->flags & BUF_POSTED))
		return;
	buf->flags = 0;
	pool_put(pool, buf);
}

void pool_destroy(struct pool *pool)
{
	while (pool->part_count > 0) {
		struct heap_frames *part = pool->parts[--pool->part_count];

		heap_frames_each(part, take_back, pool);
		heap_frames_destroy(pool->heap, part);
	}
}

struct buf *pool_take_elsewhere(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->part_count; i++) {
		if (heap_frames_free(pool->parts[i]) > 0) {
			pool->at = i;
			return pool_take(pool);
		}
	}
	return grow(pool) ? pool_take(pool) : NULL;
}
