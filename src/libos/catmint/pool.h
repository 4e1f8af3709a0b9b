/* SPDX-License-Identifier: MIT */
/*
 * The pool of receive buffers: frames of the heap (heap/frames.h), each a struct buf with its bytes behind
 * it, that go back to the pool when nobody has them any more. It grows, each time by as many as there
 * are already.
 */
#ifndef DEMI_LIBOS_CATMINT_POOL_H
#define DEMI_LIBOS_CATMINT_POOL_H

#include "heap/buf.h"
#include "heap/frames.h"

#define POOL_PARTS_MAX HEAP_FRAME_POOLS_MAX
#define POOL_FRAMES_FIRST 512u

/** Of a buf: the device has it. */
#define BUF_POSTED 32u

struct pool {
	struct heap *heap;
	struct heap_frames *parts[POOL_PARTS_MAX];
	uint32_t part_count;
	uint32_t at;    /* the part that had one last */
	uint32_t bytes; /* of a buffer */
	uint32_t total;
	uint32_t most; /* it does not grow beyond */
};

/** pool_create - @bytes: of each buffer; 0 or -ENOMEM */
int pool_create(struct pool *pool, struct heap *heap, uint32_t bytes, uint32_t most);

/** pool_destroy - the device has none any more, whatever it says */
void pool_destroy(struct pool *pool);

/** pool_take_elsewhere - what pool_take does when the part that had one last has none */
struct buf *pool_take_elsewhere(struct pool *pool);

/** pool_take - a buffer, held; NULL: out of memory, or of what it may grow to */
static inline struct buf *pool_take(struct pool *pool)
{
	uint32_t *state;
	struct buf *buf = frame_take_at(pool->parts[pool->at], &state);

	if (unlikely(!buf))
		return pool_take_elsewhere(pool);
	buf->state = state;
	return buf;
}

/** pool_give - the application becomes its owner */
static inline void pool_give(struct buf *buf)
{
	frame_give_at(buf->state);
	buf->object = NULL;
}

/** pool_put - nobody needs what is in it */
static inline void pool_put(struct pool *pool, struct buf *buf)
{
	frame_release(pool->heap, buf);
}

#endif /* DEMI_LIBOS_CATMINT_POOL_H */
