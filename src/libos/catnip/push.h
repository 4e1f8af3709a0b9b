/* SPDX-License-Identifier: MIT */
/*
 * Requests of pushes that complete when the device is done with their memory. Each needs a frame or a
 * shell of the device at least, so that there are never more of them than of both: a pool of that
 * size, made at the start.
 */
#ifndef DEMI_LIBOS_CATNIP_PUSH_H
#define DEMI_LIBOS_CATNIP_PUSH_H

#include "libos/catnip/catnip.h"

struct push_owner;

struct push {
	struct buf_done done;
	struct catnip *catnip;
	struct push *next;        /* in the pool */
	struct push_owner *owner; /* NULL: not waiting, or the queue is gone */
	struct op *op;
	bool waits; /* done is to come */
};

/** Embedded by a queue: its pushes that wait. */
struct push_owner {
	struct op_list ops;                        /* op->request: struct push */
	void (*drained)(struct push_owner *owner); /* the last of them is complete */
};

/** push_pool_create - room for @count; 0 or -ENOMEM */
int push_pool_create(struct catnip *catnip, uint32_t count);

/** push_pool_destroy - the device is closed: nothing is to come any more */
void push_pool_destroy(struct catnip *catnip);

/** push_take - a request whose done may be told from now on, without effect; NULL: all are in use */
struct push *push_take(struct catnip *catnip);

/** push_put - give one back for which nothing is to come */
void push_put(struct push *push);

/** push_wait - done is to come: it completes @op */
void push_wait(struct push *push, struct push_owner *owner, struct op *op);

/** push_abandon_all - complete what waits with ECANCELED; the requests live on until done comes */
void push_abandon_all(struct push_owner *owner, struct op_table *ops);

#endif /* DEMI_LIBOS_CATNIP_PUSH_H */
