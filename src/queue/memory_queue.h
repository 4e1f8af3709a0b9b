/* SPDX-License-Identifier: MIT */
/*
 * In-memory queues: elements are chains of bufs, handed over by reference. Pushes beyond the
 * bound wait for room, pops for elements; both first come, first served.
 */
#ifndef DEMI_QUEUE_MEMORY_QUEUE_H
#define DEMI_QUEUE_MEMORY_QUEUE_H

#include "queue/queue.h"

/**
 * memory_queue_create - make a queue without a descriptor
 * @elements_max: elements that it holds before pushes wait, 1 or more
 *
 * Return: 0 or -ENOMEM.
 */
int memory_queue_create(struct queue **queue_out, struct queue_context *context,
			uint32_t elements_max);

#endif /* DEMI_QUEUE_MEMORY_QUEUE_H */
