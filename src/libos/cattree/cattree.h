/* SPDX-License-Identifier: MIT */
/*
 * Cattree: the libOS over a log of records (src/log) and a block device that it alone has
 * (src/blkdev). It has no sockets: what it opens are logs by name, in which a push appends one
 * record and a pop reads one.
 *
 * Records are written from where they lie and read into the heap. The device is polled by one
 * coroutine; the log's own write what has been pushed since the last round together. Nothing is
 * started between two rounds, so that whatever the device is given has the time of its round.
 *
 * Source: Zhang et al., "The Demikernel Datapath OS", SOSP 2021, section 6.4.
 */
#ifndef DEMI_LIBOS_CATTREE_CATTREE_H
#define DEMI_LIBOS_CATTREE_CATTREE_H

#include "blkdev/blkdev.h"
#include "libos/give_way.h"
#include "libos/libos.h"
#include "log/log.h"

struct log_queue;

struct cattree {
	struct libos libos;
	struct queue_context *context;
	struct coroutine fast_path;
	struct blkdev *device;
	struct log_store *store;
	struct log_queue *stirred; /* queues that the next turn has something to do for */
	uint32_t queues;           /* that there are, those that wait for their end too */
	struct give_way give_way;  /* of calls that change the store */
	struct giving giving;      /* of the one that waits */
};

extern const struct libos_ops cattree_ops;

static inline struct cattree *cattree_of(struct libos *libos)
{
	return (struct cattree *)libos;
}

/** cattree_begin_call - a call that may wait for the device begins: read the clock */
void cattree_begin_call(struct cattree *cattree);

/** cattree_open - the libOS's open: a queue over the log of a name */
int cattree_open(struct libos *libos, struct queue **queue_out, const char *path, int flags,
		 mode_t mode);

/** cattree_run_stirred - start the reads of pops, and end the queues that are over */
void cattree_run_stirred(struct cattree *cattree);

#endif /* DEMI_LIBOS_CATTREE_CATTREE_H */
