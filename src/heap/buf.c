/* SPDX-License-Identifier: MIT */
#include "heap/buf.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

#include "heap/fast.h"
#include "heap/heaps.h"

static void buf_init(struct buf *buf, unsigned char *data)
{
	*buf = (struct buf){.data = data};
	buf->source.any.sa_family = AF_UNSPEC;
}

struct buf *buf_alloc(struct heap *heap, uint32_t capacity)
{
	/* At least one byte of room, so that data lies in this object and not in the next one. */
	struct buf *buf = heap_alloc_buf(heap, sizeof(*buf) + (capacity ? (size_t)capacity : 1));

	if (!buf)
		return NULL;
	buf_init(buf, (unsigned char *)(buf + 1));
	buf->capacity = capacity;
	return buf;
}

struct buf *buf_reference(struct heap *heap, void *object, void *data, uint32_t length)
{
	struct buf *buf = heap_alloc_buf(heap, sizeof(*buf));

	if (!buf)
		return NULL;
	buf_init(buf, data);
	buf->length = length;
	buf->object = object;
	heap_hold(heap, object);
	return buf;
}

struct buf *buf_from_pointer(const struct heap *heap, const void *ptr)
{
	struct buf *buf = (struct buf *)(uintptr_t)ptr;

	return heap_is_buf(heap, ptr) ? buf : NULL;
}

bool buf_keeps_lent(const struct heap *heap)
{
	return heap->lent_count > 0;
}

void buf_give_back_all(struct heap *heap)
{
	struct heap *other;

	for (uint32_t i = 0; i < heap->lent_count; i++)
		heaps_free(heap->lent[i], &other);
	heap->lent_count = 0;
}

static __attribute__((noinline)) void give_back_one(struct heap *heap, struct buf *lent)
{
	if (heap_owns(heap, lent)) {
		buf_free_lent(heap, lent);
		return;
	}
	heap->lent[heap->lent_count++] = lent;
	if (heap->lent_count == BUF_GIVE_BACK_MAX)
		buf_give_back_all(heap);
}

int buf_free(struct heap *heap, struct buf *buf)
{
	while (buf) {
		struct buf *next;
		void *object;
		uint32_t flags;

		if (!buf_from_pointer(heap, buf))
			return -EINVAL;
		next = buf->next;
		object = buf->object;
		flags = buf->flags;
		/* The fields stay for the operations that hold the buf; only the owner is gone. */
		if (heap_free_buf(heap, buf) != 0)
			return -EINVAL;
		if (object && unlikely(flags & BUF_BORROWED))
			give_back_one(heap, object);
		else if (object)
			heap_release(heap, object);
		buf = next;
	}
	return 0;
}

bool buf_free_fast(struct heap *heap, struct buf *buf)
{
	const struct unit *unit;
	uint32_t *state = heap_find_fast(heap, buf, &unit);

	/* Nothing of it is read before it is known to be a live buf. */
	return state && *state == (STATE_NEW | STATE_BUF) && !buf->next && !buf->object &&
	       heap_give_fast(heap, unit, state, buf, STATE_NEW | STATE_BUF);
}

static void free_if_buf(struct heap *heap, void *object)
{
	struct buf *buf = buf_from_pointer(heap, object);

	if (!buf || (buf->flags & BUF_LENT))
		return;
	/* Not what follows in its chain: each is visited. */
	buf->next = NULL;
	buf_free(heap, buf);
}

void buf_free_all(struct heap *heap)
{
	heap_each(heap, free_if_buf);
}

void buf_hold(struct heap *heap, struct buf *buf)
{
	heap_hold(heap, buf);
	if (buf->object)
		heap_hold(heap, buf->object);
}

void buf_release(struct heap *heap, struct buf *buf)
{
	void *object = buf->object;

	heap_release(heap, buf);
	if (object)
		heap_release(heap, object);
}

/* ---- From one thread's heap to another thread ---- */

void buf_lend(struct buf *chain)
{
	for (; chain; chain = chain->next)
		chain->flags |= BUF_LENT;
}

/* What a borrowing that failed had made: it gives nothing back. */
static void free_unborrowed(struct heap *heap, struct buf *chain)
{
	for (struct buf *buf = chain; buf; buf = buf->next)
		buf->object = NULL;
	buf_free(heap, chain);
}

struct buf *buf_borrow(struct heap *heap, struct buf *lent)
{
	struct buf *chain = NULL;
	struct buf **link = &chain;

	for (struct buf *from = lent; from; from = from->next) {
		struct buf *buf = heap_alloc_buf(heap, sizeof(*buf));

		if (!buf) {
			free_unborrowed(heap, chain);
			return NULL;
		}
		buf_init(buf, from->data);
		buf->length = from->length;
		buf->object = from;
		buf->flags = BUF_BORROWED;
		*link = buf;
		link = &buf->next;
	}
	return chain;
}

void buf_give_back(struct heap *heap, struct buf *lent)
{
	while (lent) {
		/* Another thread's, once it is given back. */
		struct buf *next = lent->next;

		give_back_one(heap, lent);
		lent = next;
	}
}

bool buf_is_lent(const struct heap *heap, const void *ptr)
{
	const struct buf *buf = buf_from_pointer(heap, ptr);

	return buf && (buf->flags & BUF_LENT);
}

int buf_free_lent(struct heap *heap, struct buf *buf)
{
	void *object = buf->object;
	int error;

	/* It was the owner's, and its object is held by its reference. */
	error = heap_free_buf(heap, buf);
	if (!error && object)
		heap_release(heap, object);
	return error;
}
