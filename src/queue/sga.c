/* SPDX-License-Identifier: MIT */
#include "queue/sga.h"

#include <errno.h>
#include <string.h>

#include "queue/queue.h"

static bool segment_in_buf(const struct buf *buf, const unsigned char *start, uint32_t length)
{
	/* The room behind the header; for a buf by reference the run that it describes. */
	const unsigned char *low = buf->object ? buf->data : (const unsigned char *)(buf + 1);
	uint32_t room = buf->object ? buf->length : buf->capacity;

	return start >= low && length <= room && (size_t)(start - low) <= room - length;
}

static bool segment_in_chain(const struct buf *chain, const demi_sgaseg_t *segment)
{
	for (const struct buf *buf = chain; buf; buf = buf->next) {
		if (segment_in_buf(buf, segment->sgaseg_buf, segment->sgaseg_len))
			return true;
	}
	return false;
}

static bool segment_in_object(const struct heap *heap, const demi_sgaseg_t *segment)
{
	const unsigned char *start = segment->sgaseg_buf;
	const unsigned char *object;
	size_t offset, size;

	if (!heap_owns(heap, start))
		return true;
	object = heap_object(heap, start);
	if (!object)
		return false;
	offset = (size_t)(start - object);
	size = heap_usable_size(heap, object);
	return offset < size && segment->sgaseg_len <= size - offset;
}

int sga_check(const struct heap *heap, const demi_sgarray_t *sga, bool refuse_foreign,
	      bool allow_empty)
{
	const struct buf *chain = NULL;

	if (sga->sga_numsegs == 0 || sga->sga_numsegs > DEMI_SGARRAY_MAXSIZE)
		return -EINVAL;
	if (sga->sga_buf) {
		chain = buf_from_pointer(heap, sga->sga_buf);
		if (!chain)
			return -EFAULT;
	}
	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		const demi_sgaseg_t *segment = &sga->sga_segs[i];

		if (!segment->sgaseg_buf)
			return -EFAULT;
		if (segment->sgaseg_len == 0 && !(allow_empty && sga->sga_numsegs == 1))
			return -EINVAL;
		if (refuse_foreign && !heap_owns(heap, segment->sgaseg_buf))
			return -EFAULT;
		if (chain ? !segment_in_chain(chain, segment) : !segment_in_object(heap, segment))
			return -EINVAL;
	}
	return 0;
}

bool sga_has_foreign(const struct heap *heap, const demi_sgarray_t *sga)
{
	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		if (!heap_owns(heap, sga->sga_segs[i].sgaseg_buf))
			return true;
	}
	return false;
}

size_t sga_length(const demi_sgarray_t *sga)
{
	size_t length = 0;

	for (uint32_t i = 0; i < sga->sga_numsegs; i++)
		length += sga->sga_segs[i].sgaseg_len;
	return length;
}

static struct buf *segment_to_buf(struct heap *heap, const demi_sgaseg_t *segment)
{
	void *start = segment->sgaseg_buf;
	struct buf *buf;

	if (heap_owns(heap, start))
		return buf_reference(heap, heap_object(heap, start), start, segment->sgaseg_len);
	buf = buf_alloc(heap, segment->sgaseg_len);
	if (!buf)
		return NULL;
	memcpy(buf->data, start, segment->sgaseg_len);
	buf->length = segment->sgaseg_len;
	return buf;
}

struct buf *sga_to_bufs(struct heap *heap, const demi_sgarray_t *sga)
{
	struct buf *chain = NULL;
	struct buf **link = &chain;

	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		*link = segment_to_buf(heap, &sga->sga_segs[i]);
		if (!*link) {
			if (chain)
				buf_free(heap, chain);
			return NULL;
		}
		link = &(*link)->next;
	}
	return chain;
}

void sga_from_bufs(demi_sgarray_t *sga, struct buf *chain)
{
	const struct buf *buf = chain;
	uint32_t count = 0;

	sga->sga_buf = chain;
	do {
		sga->sga_segs[count].sgaseg_buf = buf->data;
		sga->sga_segs[count].sgaseg_len = buf->length;
		count++;
		buf = buf->next;
	} while (buf);
	sga->sga_numsegs = count;
	sga->sga_addr = chain->source.ipv4;
}

void sga_hold(struct heap *heap, const demi_sgarray_t *sga)
{
	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		void *start = sga->sga_segs[i].sgaseg_buf;

		if (heap_owns(heap, start))
			heap_hold(heap, start);
	}
}

void sga_release(struct heap *heap, const demi_sgarray_t *sga)
{
	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		void *start = sga->sga_segs[i].sgaseg_buf;

		if (heap_owns(heap, start))
			heap_release(heap, start);
	}
}

static __attribute__((noinline)) void
accept_result(demi_accept_result_t *ares, const struct queue_context *context, const struct op *op)
{
	struct queue *queue = queue_lookup(&context->queues, op->result.accepted_qd);
	struct sockaddr_in address = {0};
	socklen_t length = sizeof(address);

	ares->qd = op->result.accepted_qd;
	if (queue && queue->ops->get_peer_address)
		queue->ops->get_peer_address(queue, (struct sockaddr *)&address, &length);
	ares->addr = address;
}

void qresult_from_op(demi_qresult_t *qr, const struct queue_context *context, const struct op *op)
{
	/* Read before the first store: for all that the compiler knows, @qr may lie over the operation. */
	const enum demi_opcode opcode = op->error ? DEMI_OPC_FAILED : (enum demi_opcode)op->opcode;
	const bool is_pop = op->opcode == DEMI_OPC_POP;
	struct buf *chain = op->result.buf;
	const demi_qtoken_t token = op_token(op);

	qr->qr_qd = op->qd;
	qr->qr_ret = op->error;
	qr->qr_qt = token;
	qr->qr_opcode = opcode;
	if (opcode == DEMI_OPC_POP) {
		sga_from_bufs(&qr->qr_value.sga, chain);
	} else if (__builtin_expect(opcode == DEMI_OPC_ACCEPT, 0)) {
		accept_result(&qr->qr_value.ares, context, op);
	} else {
		qr->qr_value.sga.sga_buf = NULL;
		qr->qr_value.sga.sga_numsegs = 0;
		/* What is known of the error, for who has asked for that. */
		if (__builtin_expect(opcode == DEMI_OPC_FAILED && is_pop && chain, 0))
			sga_from_bufs(&qr->qr_value.sga, chain);
	}
}
