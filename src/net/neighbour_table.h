/* SPDX-License-Identifier: MIT */
/*
 * The memory of the neighbour cache: entries by address and by age, and what waits for them. For
 * neighbour*.c alone.
 */
#ifndef DEMI_NET_NEIGHBOUR_TABLE_H
#define DEMI_NET_NEIGHBOUR_TABLE_H

#include "net/neighbour.h"

/** Entries that nobody has used for so long go. */
#define NEIGHBOUR_UNUSED_NS UINT64_C(600000000000)

/** A frame that waits for an answer. */
struct pending {
	struct buf *buf;
	struct neighbour *neighbour;
	struct pending *next;          /* of the same neighbour, or free */
	struct pending *older, *newer; /* of all */
};

/** Entries by age: at the old end who is to go first. */
struct neighbour_list {
	struct neighbour *oldest, *newest;
	uint32_t count;
};

struct neighbour_table {
	struct neighbour *entries;
	uint32_t entry_count;
	uint32_t unresolved_max;
	struct neighbour *free; /* through hash_next */
	struct neighbour **buckets;
	uint32_t bucket_mask;
	struct neighbour_list unresolved; /* NEW, INCOMPLETE, FAILED */
	struct neighbour_list resolved;

	struct pending *pendings;
	struct pending *pending_free;
	struct pending *pending_oldest, *pending_newest;
	uint32_t pending_max; /* for one neighbour */

	/* RFC 4861, section 10 and 6.3.2. */
	uint64_t retransmit_ns;
	uint64_t reachable_base_ns;
	uint64_t reachable_ns;       /* the random one that is used */
	uint64_t reachable_drawn_ns; /* when it was drawn */
};

/** neighbour_set_state - and make it the newest of its list, when it is another or we ask anew */
void neighbour_set_state(struct neighbour *neighbour, enum neighbour_state state);

/** neighbour_free - drop what waits for it, as NO_NEIGHBOUR, and forget it */
void neighbour_free(struct neighbour *neighbour);

/** neighbour_fired - the timer of an entry */
void neighbour_fired(struct timer *timer, uint64_t now_ns);

/** neighbour_layer - who counts what happens to it */
static inline enum net_layer neighbour_layer(const struct neighbour *neighbour)
{
	return neighbour->type == ETH_TYPE_IPV4 ? NET_LAYER_ARP : NET_LAYER_NDP;
}

/* ---- neighbour_pending.c ---- */

int pending_create(struct net *net); /* 0 or -ENOMEM */
void pending_destroy(struct neighbour_table *table);

/** pending_add - let a frame wait; ownership passes. 0 or -ENOBUFS, when it was dropped */
int pending_add(struct neighbour *neighbour, struct buf *buf);

/** pending_send - send what waits, in its order, to the link address */
void pending_send(struct neighbour *neighbour);

/** pending_drop - drop it for @reason */
void pending_drop(struct neighbour *neighbour, enum net_drop reason);

/** pending_refuse - drop it since the neighbour did not answer, and tell the sockets that sent it */
void pending_refuse(struct neighbour *neighbour);

#endif /* DEMI_NET_NEIGHBOUR_TABLE_H */
