/* SPDX-License-Identifier: MIT */
#include "queue/joined_queue.h"

#include <errno.h>
#include <stdlib.h>

#include "base/container.h"
#include "queue/joint.h"
#include "queue/sga.h"

/* What was popped and freed is given back many at a time, or at a poll so long after the first one's. */
#define GIVE_BACK_NS UINT64_C(100000)

/* Of one runtime. */
struct joined_queues {
	struct queue_context *context;
	struct coroutine poll;
	struct bell *bell;
	bool is_prepared; /* to sleep */
	uint64_t
		give_back_at_ns; /* when what was popped and freed goes back at the latest; 0: nothing does */
	struct joined_queue *waiting;
	/* Counted. */
	uint64_t open;
	uint64_t pushed;
	uint64_t popped;
	uint64_t sleeps;
};

struct joined_queue {
	struct queue queue;
	struct joined_queues *all;
	struct joint *joint;
	unsigned int side;
	bool waits; /* is in the list of those */
	struct joined_queue *next;
	struct joined_queue *previous;
	struct op_list pops;
	struct op_list pushes; /* op->request: the element, which is not lent yet */
	struct op *close;      /* an aclose that waits until the other side has all */
};

static struct joined_queue *joined_queue_of(struct queue *queue)
{
	return container_of(queue, struct joined_queue, queue);
}

/* ---- Those that wait for the other side ---- */

static void wait_for_other(struct joined_queue *jq)
{
	struct joined_queues *all = jq->all;

	if (jq->waits)
		return;
	jq->waits = true;
	jq->previous = NULL;
	jq->next = all->waiting;
	if (all->waiting)
		all->waiting->previous = jq;
	all->waiting = jq;
}

static void wait_no_more(struct joined_queue *jq)
{
	if (!jq->waits)
		return;
	jq->waits = false;
	if (jq->previous)
		jq->previous->next = jq->next;
	else
		jq->all->waiting = jq->next;
	if (jq->next)
		jq->next->previous = jq->previous;
}

/* ---- Popping ---- */

/*
 * The next element, or the end of what there will be. Return: 0 with it; -EAGAIN: there is none
 * yet; -ENOMEM: it stays where it is.
 */
static int take(struct joined_queue *jq, struct buf **element_out)
{
	struct heap *heap = jq->all->context->heap;
	struct spsc_ring *ring = &jq->joint->sides[1 - jq->side].ring;
	struct buf *lent = spsc_ring_peek(ring);

	if (!lent && joint_is_left(jq->joint, jq->side)) {
		/* Its last push came before it left. */
		lent = spsc_ring_peek(ring);
		if (!lent) {
			*element_out = buf_alloc(heap, 0);
			return *element_out ? 0 : -ENOMEM;
		}
	}
	if (!lent)
		return -EAGAIN;
	*element_out = buf_borrow(heap, lent);
	if (!*element_out)
		return -ENOMEM;
	joint_take(jq->joint, jq->side);
	jq->all->popped++;
	return 0;
}

static int joined_queue_pop(struct queue *queue, struct op *op)
{
	struct joined_queue *jq = joined_queue_of(queue);
	struct buf *element;
	int error = -EAGAIN;

	if (!jq->pops.head)
		error = take(jq, &element);
	if (error == -EAGAIN) {
		op_list_append(&jq->pops, op);
		wait_for_other(jq);
		return 0;
	}
	if (error)
		return error;
	op->result.buf = element;
	op_complete(&jq->all->context->ops, op, 0);
	return 0;
}

static void serve_pops(struct joined_queue *jq)
{
	struct op_table *ops = &jq->all->context->ops;

	while (jq->pops.head) {
		struct buf *element = NULL;
		int error = take(jq, &element);
		struct op *pop;

		if (error == -EAGAIN)
			return;
		pop = op_list_take(&jq->pops);
		pop->result.buf = element;
		op_complete(ops, pop, -error);
	}
}

/* ---- Pushing ---- */

/* false: there is no room. */
static bool give(struct joined_queue *jq, struct buf *element)
{
	struct spsc_ring *ring = &jq->joint->sides[jq->side].ring;

	if (!spsc_ring_has_room(ring))
		return false;
	buf_lend(element);
	spsc_ring_put(ring, element);
	joint_ring_bell(jq->joint, jq->side);
	jq->all->pushed++;
	return true;
}

static int joined_queue_push(struct queue *queue, struct op *op, const demi_sgarray_t *sga,
			     const struct sockaddr *address, socklen_t length)
{
	struct joined_queue *jq = joined_queue_of(queue);
	struct buf *element;

	(void)length;
	if (address)
		return -EOPNOTSUPP;
	if (joint_is_deaf(jq->joint, jq->side))
		return -EPIPE;
	element = sga_to_bufs(jq->all->context->heap, sga);
	if (!element)
		return -ENOMEM;
	if (!jq->pushes.head && give(jq, element)) {
		op_complete(&jq->all->context->ops, op, 0);
		return 0;
	}
	op->request = element;
	op_list_append(&jq->pushes, op);
	wait_for_other(jq);
	return 0;
}

static void drop_push(struct joined_queue *jq, struct op *op, int error)
{
	buf_free(jq->all->context->heap, op->request);
	op_complete(&jq->all->context->ops, op, error);
}

static void serve_pushes(struct joined_queue *jq)
{
	while (jq->pushes.head) {
		if (joint_is_deaf(jq->joint, jq->side)) {
			/* A close that waits behind them ends them, and fails as they do. */
			if (jq->close)
				return;
			drop_push(jq, op_list_take(&jq->pushes), EPIPE);
		} else if (give(jq, jq->pushes.head->request)) {
			op_complete(&jq->all->context->ops, op_list_take(&jq->pushes), 0);
		} else {
			return;
		}
	}
}

/* ---- The end ---- */

static void leave(struct joined_queue *jq)
{
	wait_no_more(jq);
	joint_leave(jq->joint, jq->side, jq->all->context->heap);
	buf_give_back_all(jq->all->context->heap);
	jq->all->open--;
	free(jq);
}

static void drop_all(struct joined_queue *jq, int error)
{
	struct op *op;

	op_cancel_all(&jq->all->context->ops, &jq->pops);
	while ((op = op_list_take(&jq->pushes)))
		drop_push(jq, op, error);
}

static void joined_queue_close(struct queue *queue)
{
	struct joined_queue *jq = joined_queue_of(queue);

	drop_all(jq, ECANCELED);
	leave(jq);
}

static void end_close(struct joined_queue *jq, int error)
{
	struct op_table *ops = &jq->all->context->ops;
	struct op *op = jq->close;

	drop_all(jq, error ? error : ECANCELED);
	leave(jq);
	op_complete(ops, op, error);
}

/* The close is over when the other side has popped all, or will not. The queue is gone then. */
static bool try_close(struct joined_queue *jq)
{
	/* Before the other question: who pops no more takes the rest out of the ring, too. */
	bool is_drained = spsc_ring_is_drained(&jq->joint->sides[jq->side].ring);
	bool is_lost;

	if (joint_is_deaf(jq->joint, jq->side)) {
		is_lost = jq->pushes.head || joint_has_lost(jq->joint, jq->side);
		end_close(jq, is_lost ? EPIPE : 0);
		return true;
	}
	if (jq->pushes.head || !is_drained)
		return false;
	end_close(jq, 0);
	return true;
}

/* Pushes that wait for room are still let in. */
static void joined_queue_aclose(struct queue *queue, struct op *op)
{
	struct joined_queue *jq = joined_queue_of(queue);

	jq->close = op;
	op_cancel_all(&jq->all->context->ops, &jq->pops);
	joint_stop_popping(jq->joint, jq->side, jq->all->context->heap);
	if (!try_close(jq))
		wait_for_other(jq);
}

static int joined_queue_cancel(struct queue *queue, struct op *op)
{
	struct joined_queue *jq = joined_queue_of(queue);

	switch (op->opcode) {
	case DEMI_OPC_PUSH:
		op_list_remove(&jq->pushes, op);
		drop_push(jq, op, ECANCELED);
		break;
	case DEMI_OPC_CLOSE:
		end_close(jq, ECANCELED);
		break;
	default:
		op_list_remove(&jq->pops, op);
		op_complete(&jq->all->context->ops, op, ECANCELED);
	}
	return 0;
}

static const struct queue_ops joined_queue_ops = {
	.close = joined_queue_close,
	.aclose = joined_queue_aclose,
	.push = joined_queue_push,
	.pop = joined_queue_pop,
	.cancel = joined_queue_cancel,
};

/* ---- All of a runtime ---- */

/* What the other side has made possible. The queue may be gone afterwards. */
static void serve(struct joined_queue *jq)
{
	serve_pops(jq);
	serve_pushes(jq);
	if (jq->close) {
		(void)try_close(jq);
	} else if (!jq->pops.head && !jq->pushes.head) {
		wait_no_more(jq);
	}
}

static void serve_all(struct joined_queues *all)
{
	struct joined_queue *next;

	for (struct joined_queue *jq = all->waiting; jq; jq = next) {
		next = jq->next;
		serve(jq);
	}
}

static __attribute__((noinline)) void give_back(struct joined_queues *all, uint64_t now_ns)
{
	if (all->give_back_at_ns == 0) {
		all->give_back_at_ns = now_ns + GIVE_BACK_NS;
	} else if (now_ns >= all->give_back_at_ns) {
		all->give_back_at_ns = 0;
		buf_give_back_all(all->context->heap);
	}
}

static enum coroutine_step poll_joined(struct coroutine *self, uint64_t now_ns)
{
	struct joined_queues *all = container_of(self, struct joined_queues, poll);

	if (__builtin_expect(all->is_prepared, 0)) {
		all->is_prepared = false;
		bell_wake(all->bell);
	}
	serve_all(all);
	if (buf_keeps_lent(all->context->heap))
		give_back(all, now_ns);
	else
		all->give_back_at_ns = 0;
	return COROUTINE_STEP_YIELD;
}

int joined_queues_prepare_sleep(struct joined_queues *all)
{
	all->is_prepared = true;
	all->sleeps++;
	buf_give_back_all(all->context->heap);
	bell_await(all->bell);
	for (struct joined_queue *jq = all->waiting; jq; jq = jq->next) {
		if (jq->pushes.head || jq->close)
			__atomic_store_n(&jq->joint->sides[jq->side].wants_to_know, true,
					 __ATOMIC_SEQ_CST);
	}
	serve_all(all);
	return all->bell->fd;
}

void joined_queues_destroy(struct joined_queues *all)
{
	if (!all)
		return;
	sched_remove_fast_path(&all->context->sched, &all->poll);
	bell_drop(all->bell);
	free(all);
}

void joined_queues_tell(const struct joined_queues *all, figure_fn *tell, void *context)
{
	static const struct joined_queues none;

	if (!all)
		all = &none;
	tell(context, "queue", "joined", "open", all->open);
	tell(context, "queue", "joined", "pushed", all->pushed);
	tell(context, "queue", "joined", "popped", all->popped);
	tell(context, "queue", "joined", "sleeps", all->sleeps);
}

/* Those of the context, made when the first is wanted. NULL with *@error_out. */
static struct joined_queues *joined_queues_get(struct queue_context *context, int *error_out)
{
	struct joined_queues *all = context->joined;

	if (all)
		return all;
	*error_out = -ENOMEM;
	all = calloc(1, sizeof(*all));
	if (!all)
		return NULL;
	all->context = context;
	*error_out = bell_create(&all->bell);
	if (!*error_out) {
		*error_out = sched_add_fast_path(&context->sched, &all->poll, poll_joined);
		if (*error_out)
			bell_drop(all->bell);
	}
	if (*error_out) {
		free(all);
		return NULL;
	}
	context->joined = all;
	return all;
}

/* @elements_max 0: open what is there. */
static int create_or_open(struct queue **queue_out, struct queue_context *context, const char *name,
			  uint32_t elements_max)
{
	int error = 0;
	struct joined_queues *all = joined_queues_get(context, &error);
	struct joined_queue *jq;

	if (!all)
		return error;
	jq = calloc(1, sizeof(*jq));
	if (!jq)
		return -ENOMEM;
	jq->side = elements_max ? 0 : 1;
	error = elements_max ? joint_create(&jq->joint, name, elements_max, all->bell)
			     : joint_open(&jq->joint, name, all->bell);
	if (error) {
		free(jq);
		return error;
	}
	jq->queue.ops = &joined_queue_ops;
	jq->queue.qd = -1;
	jq->all = all;
	all->open++;
	*queue_out = &jq->queue;
	return 0;
}

int joined_queue_create(struct queue **queue_out, struct queue_context *context, const char *name,
			uint32_t elements_max)
{
	return create_or_open(queue_out, context, name, elements_max);
}

int joined_queue_open(struct queue **queue_out, struct queue_context *context, const char *name)
{
	return create_or_open(queue_out, context, name, 0);
}
