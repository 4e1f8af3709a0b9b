/* SPDX-License-Identifier: MIT */
/*
 * Queues that join two runtimes of a process: what one pushes, the other pops, by reference and in
 * order. A queue is one side of a joint (queue/joint.h).
 *
 * Sides whose operations wait for the other runtime are in a list; a fast path looks at these, at
 * each one's own cache lines, and at nothing while none waits.
 */
#ifndef DEMI_QUEUE_JOINED_QUEUE_H
#define DEMI_QUEUE_JOINED_QUEUE_H

#include "base/figure.h"
#include "queue/queue.h"

struct joined_queues;

/**
 * joined_queue_create - make one side, without a descriptor, under a name
 * @elements_max: elements that wait in each direction before pushes do, 1 or more
 *
 * Return: 0, -EEXIST (the name is taken), -ENOMEM, or what bell_create returns.
 */
int joined_queue_create(struct queue **queue_out, struct queue_context *context, const char *name,
			uint32_t elements_max);

/** joined_queue_open - the other side; also -ENOENT: nobody has made it, or somebody has opened it */
int joined_queue_open(struct queue **queue_out, struct queue_context *context, const char *name);

/** joined_queues_destroy - when the runtime ends, after its queues; NULL is allowed */
void joined_queues_destroy(struct joined_queues *all);

/**
 * joined_queues_prepare_sleep - from now on until the next poll the other runtimes wake us
 *
 * Looks once more at what they have done; operations may complete.
 * Return: the descriptor that becomes readable then.
 */
int joined_queues_prepare_sleep(struct joined_queues *all);

/** joined_queues_tell - what is counted; @all may be NULL, and all figures 0 */
void joined_queues_tell(const struct joined_queues *all, figure_fn *tell, void *context);

#endif /* DEMI_QUEUE_JOINED_QUEUE_H */
