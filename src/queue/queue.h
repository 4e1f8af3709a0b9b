/* SPDX-License-Identifier: MIT */
/*
 * I/O queues behind one ops table, and the table of descriptors. What serves a descriptor
 * (in-memory queue, kernel socket, file, TCP connection) embeds struct queue.
 */
#ifndef DEMI_QUEUE_QUEUE_H
#define DEMI_QUEUE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <demi/types.h>

#include "heap/heap.h"
#include "queue/op.h"
#include "sched/sched.h"

/** Descriptors start here, so that one is never mistaken for a small one of the kernel's. */
#define QUEUE_DESCRIPTOR_FIRST 500

struct queue;

/*
 * What a queue can do. Every function runs on the runtime's thread, never blocks, and returns 0
 * or a negative errno. One that is given an operation and returns 0 completes it exactly once,
 * now or later; on an error it has not kept it. A NULL entry means EOPNOTSUPP; only close is
 * required.
 */
struct queue_ops {
	/* Complete what is pending with ECANCELED and free the queue; buffers in a device's hands
	 * are released when it gives them back. */
	void (*close)(struct queue *queue);
	/* As close, but complete @op when the peer has all that was pushed, or cannot get it. */
	void (*aclose)(struct queue *queue, struct op *op);
	/* In the child of a fork, which does not use the queue: close its descriptors, so that they do
	 * not outlive the parent's, and touch nothing that the two share. Optional. */
	void (*forget)(struct queue *queue);

	int (*bind)(struct queue *queue, const struct sockaddr *address, socklen_t length);
	int (*listen)(struct queue *queue, int backlog);
	int (*accept)(struct queue *queue, struct op *op);
	int (*connect)(struct queue *queue, struct op *op, const struct sockaddr *address,
		       socklen_t length);
	int (*shutdown)(struct queue *queue, int how);

	/* @sga has been checked (sga_check); it is the caller's and not valid after the return.
	 * @address: destination, or NULL. */
	int (*push)(struct queue *queue, struct op *op, const demi_sgarray_t *sga,
		    const struct sockaddr *address, socklen_t length);
	int (*pop)(struct queue *queue, struct op *op);
	/* Complete a pending operation with ECANCELED; -EBUSY when a part is done for good. */
	int (*cancel)(struct queue *queue, struct op *op);

	int (*seek)(struct queue *queue, int64_t offset, int whence, int64_t *position_out);
	int (*truncate)(struct queue *queue, int64_t offset);

	int (*set_option)(struct queue *queue, int level, int name, const void *value,
			  socklen_t length);
	int (*get_option)(struct queue *queue, int level, int name, void *value, socklen_t *length);
	/* @length in: room; out: the true length. */
	int (*get_local_address)(struct queue *queue, struct sockaddr *address, socklen_t *length);
	int (*get_peer_address)(struct queue *queue, struct sockaddr *address, socklen_t *length);
};

struct queue {
	const struct queue_ops *ops;
	int32_t qd;       /* -1: has no descriptor any more */
	bool takes_empty; /* a push of no bytes is a message: of datagrams */
};

struct queue_table {
	struct queue **queues; /* by descriptor - QUEUE_DESCRIPTOR_FIRST; NULL: free */
	uint32_t *free;        /* stack of slots that were used before */
	uint32_t free_count;
	uint32_t used; /* slots from here on were never used */
	uint32_t capacity;
};

/** What every queue of a runtime works with. */
struct queue_context {
	struct heap *heap;
	struct sched sched;
	struct op_table ops;
	struct queue_table queues;
	struct joined_queues *joined; /* those with other runtimes; NULL: there was none yet */
	uint64_t now_ns;              /* time of the current poll round */
	/* What now_ns comes from: for calls that wait for a device, and nobody else. */
	uint64_t (*clock)(void);
};

/** queue_table_init - room for @capacity descriptors; 0, -EINVAL (0) or -ENOMEM */
int queue_table_init(struct queue_table *table, uint32_t capacity);

/** queue_table_fini - free the table; the queues must have been closed */
void queue_table_fini(struct queue_table *table);

/** queue_table_add - give @queue a descriptor; 0 or -EMFILE */
int queue_table_add(struct queue_table *table, struct queue *queue);

/** queue_table_is_full - whether queue_table_add would fail */
bool queue_table_is_full(const struct queue_table *table);

/** queue_table_remove - take the descriptor away from @queue, which lives on without one */
void queue_table_remove(struct queue_table *table, struct queue *queue);

/** queue_lookup - the queue that a descriptor names; NULL when there is none */
static inline struct queue *queue_lookup(const struct queue_table *table, int qd)
{
	uint32_t slot = (uint32_t)qd - QUEUE_DESCRIPTOR_FIRST;

	return slot < table->used ? table->queues[slot] : NULL;
}

#endif /* DEMI_QUEUE_QUEUE_H */
