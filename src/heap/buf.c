/* SPDX-License-Identifier: MIT */
#include "heap/buf.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

#include "heap/fast.h"

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

int buf_free(struct heap *heap, struct buf *buf)
{
	while (buf) {
		struct buf *next;
		void *object;

		if (!buf_from_pointer(heap, buf))
			return -EINVAL;
		next = buf->next;
		object = buf->object;
		/* The fields stay for the operations that hold the buf; only the owner is gone. */
		if (heap_free_buf(heap, buf) != 0)
			return -EINVAL;
		if (object)
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

	if (!buf)
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
