/* SPDX-License-Identifier: MIT */
#include "queue/memory_queue.h"

#include <errno.h>
#include <stdlib.h>

#include "base/container.h"
#include "heap/buf.h"
#include "queue/sga.h"

#define ELEMENTS_INITIAL 16u

/* Either elements or waiting pops, never both; pushes wait only while the ring is full. */
struct memory_queue {
	struct queue queue;
	struct queue_context *context;
	struct buf **ring; /* ring[ring_size], a power of two */
	uint32_t ring_size;
	uint32_t head; /* next to pop; free-running */
	uint32_t count;
	uint32_t elements_max;
	struct op_list pops;
	struct op_list pushes; /* op->request: the element */
};

static struct memory_queue *memory_queue_of(struct queue *queue)
{
	return container_of(queue, struct memory_queue, queue);
}

static int ring_grow(struct memory_queue *mq)
{
	uint32_t size = mq->ring_size ? 2 * mq->ring_size : ELEMENTS_INITIAL;
	struct buf **ring = calloc(size, sizeof(struct buf *));

	if (!ring)
		return -ENOMEM;
	for (uint32_t i = 0; i < mq->count; i++)
		ring[i] = mq->ring[(mq->head + i) & (mq->ring_size - 1)];
	free(mq->ring);
	mq->ring = ring;
	mq->ring_size = size;
	mq->head = 0;
	return 0;
}

static inline void ring_append(struct memory_queue *mq, struct buf *element)
{
	mq->ring[(mq->head + mq->count++) & (mq->ring_size - 1)] = element;
}

static inline struct buf *ring_take(struct memory_queue *mq)
{
	mq->count--;
	return mq->ring[mq->head++ & (mq->ring_size - 1)];
}

static void complete_pop(struct memory_queue *mq, struct op *pop, struct buf *element)
{
	pop->result.buf = element;
	op_complete(&mq->context->ops, pop, 0);
}

static int memory_queue_push(struct queue *queue, struct op *op, const demi_sgarray_t *sga,
			     const struct sockaddr *address, socklen_t length)
{
	struct memory_queue *mq = memory_queue_of(queue);
	struct buf *element;
	struct op *pop;

	(void)length;
	if (address)
		return -EOPNOTSUPP;
	if (mq->count == mq->ring_size && mq->count < mq->elements_max && ring_grow(mq) < 0)
		return -ENOMEM;
	element = sga_to_bufs(mq->context->heap, sga);
	if (!element)
		return -ENOMEM;
	if (mq->count >= mq->elements_max) {
		op->request = element;
		op_list_append(&mq->pushes, op);
		return 0;
	}
	pop = op_list_take(&mq->pops);
	if (pop)
		complete_pop(mq, pop, element);
	else
		ring_append(mq, element);
	op_complete(&mq->context->ops, op, 0);
	return 0;
}

/* There is room for one element more: let the first waiting push in. */
static void admit_push(struct memory_queue *mq)
{
	struct op *push = op_list_take(&mq->pushes);

	if (!push)
		return;
	ring_append(mq, push->request);
	op_complete(&mq->context->ops, push, 0);
}

static int memory_queue_pop(struct queue *queue, struct op *op)
{
	struct memory_queue *mq = memory_queue_of(queue);

	if (mq->count == 0) {
		op_list_append(&mq->pops, op);
		return 0;
	}
	complete_pop(mq, op, ring_take(mq));
	admit_push(mq);
	return 0;
}

static void drop_push(struct memory_queue *mq, struct op *op)
{
	buf_free(mq->context->heap, op->request);
	op_complete(&mq->context->ops, op, ECANCELED);
}

static int memory_queue_cancel(struct queue *queue, struct op *op)
{
	struct memory_queue *mq = memory_queue_of(queue);

	if (op->opcode == DEMI_OPC_PUSH) {
		op_list_remove(&mq->pushes, op);
		drop_push(mq, op);
	} else {
		op_list_remove(&mq->pops, op);
		op_complete(&mq->context->ops, op, ECANCELED);
	}
	return 0;
}

static void memory_queue_close(struct queue *queue)
{
	struct memory_queue *mq = memory_queue_of(queue);
	struct op *op;

	op_cancel_all(&mq->context->ops, &mq->pops);
	while ((op = op_list_take(&mq->pushes)))
		drop_push(mq, op);
	while (mq->count)
		buf_free(mq->context->heap, ring_take(mq));
	free(mq->ring);
	free(mq);
}

/* There is no peer behind the queue: closing it is all there is to wait for. */
static void memory_queue_aclose(struct queue *queue, struct op *op)
{
	struct queue_context *context = memory_queue_of(queue)->context;

	memory_queue_close(queue);
	op_complete(&context->ops, op, 0);
}

static const struct queue_ops memory_queue_ops = {
	.close = memory_queue_close,
	.aclose = memory_queue_aclose,
	.push = memory_queue_push,
	.pop = memory_queue_pop,
	.cancel = memory_queue_cancel,
};

int memory_queue_create(struct queue **queue_out, struct queue_context *context,
			uint32_t elements_max)
{
	struct memory_queue *mq = calloc(1, sizeof(*mq));

	if (!mq)
		return -ENOMEM;
	mq->queue.ops = &memory_queue_ops;
	mq->queue.qd = -1;
	mq->context = context;
	mq->elements_max = elements_max;
	*queue_out = &mq->queue;
	return 0;
}
