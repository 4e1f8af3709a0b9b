/* SPDX-License-Identifier: MIT */
/* What the two halves of a queue over a log share: log_queue.c, and log_push.c for its pushes. */
#ifndef DEMI_LIBOS_CATTREE_LOG_QUEUE_H
#define DEMI_LIBOS_CATTREE_LOG_QUEUE_H

#include "base/container.h"
#include "libos/cattree/cattree.h"

struct log_push;

struct log_queue {
	struct queue queue;
	struct cattree *cattree;
	struct log *log;
	struct log_cursor *cursor;
	int access; /* O_RDONLY, O_WRONLY or O_RDWR */
	struct op_list pops;
	struct log_read read;
	uint64_t read_record;             /* while reading: the one that is read */
	uint64_t seek_record;             /* with seeks */
	struct log_push *pushes, *newest; /* oldest first */
	struct op *close_op;
	int write_error;        /* errno of the last push that failed */
	bool reading;           /* a read is under way */
	bool seeks;             /* the cursor is to stand at seek_record when it is next used */
	bool closing;           /* has no descriptor: goes when nothing is under way */
	bool stirred;           /* is in cattree->stirred */
	struct log_queue *next; /* there */
};

static inline struct log_queue *log_queue_of(struct queue *queue)
{
	return container_of(queue, struct log_queue, queue);
}

static inline void log_queue_complete(struct log_queue *queue, struct op *op, int error)
{
	op_complete(&queue->cattree->context->ops, op, error);
}

/** log_queue_stir_if_over - something has ended: does the queue go now? */
void log_queue_stir_if_over(struct log_queue *queue);

/** log_queue_push - as queue_ops.push */
int log_queue_push(struct queue *base, struct op *op, const demi_sgarray_t *sga,
		   const struct sockaddr *address, socklen_t length);

/** log_queue_cancel_push - as queue_ops.cancel, of a push */
int log_queue_cancel_push(struct log_queue *queue, struct op *op);

/** log_queue_abandon_pushes - give up what is not being written; the rest ends without operations */
void log_queue_abandon_pushes(struct log_queue *queue);

#endif /* DEMI_LIBOS_CATTREE_LOG_QUEUE_H */
