/* SPDX-License-Identifier: MIT */
/*
 * Write protection, for development (heap.protect: on): from its push to its completion an
 * operation's memory must not be written to. A write to pages that hold nothing else of the
 * application's faults at once; the rest is compared with a copy at the end. Either way a report
 * names the address, the operation, its qtoken and where it was pushed, and the program stops.
 */
#ifndef DEMI_QUEUE_GUARD_H
#define DEMI_QUEUE_GUARD_H

#include <demi/types.h>

#include "heap/heap.h"
#include "queue/op.h"

struct guard;

/**
 * guard_create - guard the operations of one runtime
 * @heap: made with heap_options.protect
 * @operations_max: as of the operation table
 *
 * Return: 0 or -ENOMEM.
 */
int guard_create(struct guard **guard_out, struct heap *heap, uint32_t operations_max);

/** guard_destroy - let go of everything; NULL is allowed */
void guard_destroy(struct guard *guard);

/**
 * guard_push - watch the memory of a pending push
 * @sga: what was pushed; its segments in our heap are held until guard_complete
 *
 * Out of memory: it is not watched.
 */
void guard_push(struct guard *guard, struct op *op, const demi_sgarray_t *sga);

/** guard_complete - end the watch; stops the program when the memory was written to */
void guard_complete(struct guard *guard, struct op *op);

/** guard_forget_all - in the child of a fork: let everything be written, watch nothing any more */
void guard_forget_all(void);

#endif /* DEMI_QUEUE_GUARD_H */
