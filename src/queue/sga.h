/* SPDX-License-Identifier: MIT */
/* Between the public scatter-gather array and the buffers behind it. */
#ifndef DEMI_QUEUE_SGA_H
#define DEMI_QUEUE_SGA_H

#include <stdbool.h>

#include <demi/types.h>

#include "heap/buf.h"
#include "heap/fast.h"

/**
 * sga_check - check an array that an application wants to push
 * @refuse_foreign: memory that is not our heap's is an error
 * @allow_empty: one segment of length 0 is an array
 *
 * With sga_buf set, every segment must lie inside one of its buffers; without, a segment that
 * starts in our heap must lie inside one live object, and one outside is the application's.
 * Return: 0; -EINVAL (number of segments, an empty one, one that reaches out of its buffer or
 * object); -EFAULT (sga_buf is not ours, NULL segment, a segment that is refused).
 */
int sga_check(const struct heap *heap, const demi_sgarray_t *sga, bool refuse_foreign,
	      bool allow_empty);

/**
 * sga_is_plain - whether an array is surely in order: one segment inside the first buf, as the
 * library has handed it out
 *
 * false: ask sga_check.
 */
static inline bool sga_is_plain(const struct heap *heap, const demi_sgarray_t *sga)
{
	const struct buf *buf = sga->sga_buf;
	uint32_t length = sga->sga_segs[0].sgaseg_len;
	uintptr_t offset;

	if (sga->sga_numsegs != 1 || !heap_is_buf_fast(heap, buf) || buf->object)
		return false;
	/* No bytes are refused: length - 1 is more than any room then. */
	offset = (uintptr_t)sga->sga_segs[0].sgaseg_buf - (uintptr_t)(buf + 1);
	return length - 1 < buf->capacity && offset <= buf->capacity - length;
}

/** sga_has_foreign - whether a part of a checked array lies outside of our heap */
bool sga_has_foreign(const struct heap *heap, const demi_sgarray_t *sga);

/** sga_length - bytes in all segments of a checked array */
size_t sga_length(const demi_sgarray_t *sga);

/**
 * sga_to_bufs - a chain of bufs over the segments of a checked array
 *
 * Segments in our heap by reference, others copied. Return: the chain, NULL when out of memory.
 */
struct buf *sga_to_bufs(struct heap *heap, const demi_sgarray_t *sga);

/** sga_from_bufs - the array that hands a chain of 1..DEMI_SGARRAY_MAXSIZE bufs to the application */
void sga_from_bufs(demi_sgarray_t *sga, struct buf *chain);

/** sga_hold, sga_release - keep what lies in our heap of a checked array alive for an operation */
void sga_hold(struct heap *heap, const demi_sgarray_t *sga);
void sga_release(struct heap *heap, const demi_sgarray_t *sga);

/** qresult_from_op - fill the public result of a complete operation */
struct queue_context;
struct op;
void qresult_from_op(demi_qresult_t *qr, const struct queue_context *context, const struct op *op);

#endif /* DEMI_QUEUE_SGA_H */
