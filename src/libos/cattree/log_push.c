/* SPDX-License-Identifier: MIT */
/* Pushes of queues over logs: records on their way, which hold their memory until they are durable. */
#include <errno.h>
#include <fcntl.h>

#include "libos/catnap/push_request.h"
#include "libos/cattree/log_queue.h"
#include "queue/sga.h"

struct log_push {
	struct log_append append;
	struct push_request request; /* its segments are the append's */
	struct log_queue *queue;
	struct op *op;                    /* NULL: completed before the log gave the memory back */
	struct log_push *next, *previous; /* in the queue's pushes */
};

static void list_push(struct log_queue *queue, struct log_push *push)
{
	push->next = NULL;
	push->previous = queue->newest;
	if (queue->newest)
		queue->newest->next = push;
	else
		queue->pushes = push;
	queue->newest = push;
}

static void unlist_push(struct log_queue *queue, struct log_push *push)
{
	if (push->previous)
		push->previous->next = push->next;
	else
		queue->pushes = push->next;
	if (push->next)
		push->next->previous = push->previous;
	else
		queue->newest = push->previous;
}

static void free_push(struct log_queue *queue, struct log_push *push)
{
	struct heap *heap = queue->cattree->context->heap;

	push_request_fini(&push->request, heap);
	heap_free(heap, push);
}

static void append_done(struct log_append *append, int error)
{
	struct log_push *push = container_of(append, struct log_push, append);
	struct log_queue *queue = push->queue;

	unlist_push(queue, push);
	if (error && error != -ECANCELED)
		queue->write_error = -error;
	if (push->op)
		log_queue_complete(queue, push->op, -error);
	free_push(queue, push);
	log_queue_stir_if_over(queue);
}

/* A record of the array's bytes, which are held, or copied when they are not the heap's. */
static int make_push(struct log_push **push_out, struct log_queue *queue, const demi_sgarray_t *sga)
{
	struct heap *heap = queue->cattree->context->heap;
	struct log_push *push = heap_alloc(heap, sizeof(*push));
	int error;

	if (!push)
		return -ENOMEM;
	error = push_request_init(&push->request, heap, sga);
	if (error) {
		heap_free(heap, push);
		return error;
	}
	error = push_request_copy(&push->request, sga);
	if (error) {
		free_push(queue, push);
		return error;
	}
	push->append = (struct log_append){
		.segments = push->request.sga.sga_segs,
		.segment_count = push->request.sga.sga_numsegs,
		.done = append_done,
	};
	push->queue = queue;
	*push_out = push;
	return 0;
}

int log_queue_push(struct queue *base, struct op *op, const demi_sgarray_t *sga,
		   const struct sockaddr *address, socklen_t length)
{
	struct log_queue *queue = log_queue_of(base);
	struct log_push *push;
	int error;

	(void)length;
	if (address)
		return -EOPNOTSUPP;
	if (queue->access == O_RDONLY)
		return -EBADF;
	if (sga_length(sga) > LOG_RECORD_BYTES_MAX)
		return -EMSGSIZE;
	error = make_push(&push, queue, sga);
	if (error)
		return error;
	push->op = op;
	op->request = push;
	error = log_append(queue->log, &push->append);
	if (error) {
		free_push(queue, push);
		return error;
	}
	list_push(queue, push);
	return 0;
}

int log_queue_cancel_push(struct log_queue *queue, struct op *op)
{
	struct log_push *push = op->request;

	return log_append_cancel(queue->log, &push->append);
}

void log_queue_abandon_pushes(struct log_queue *queue)
{
	struct log_push *next;

	for (struct log_push *push = queue->pushes; push; push = next) {
		next = push->next;
		if (push->op)
			log_queue_complete(queue, push->op, ECANCELED);
		push->op = NULL;
		/* Its done may be called at once: it is not looked at any more. */
		log_append_cancel(queue->log, &push->append);
	}
}
