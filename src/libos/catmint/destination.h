/* SPDX-License-Identifier: MIT */
/*
 * Where datagrams go: the queue pair that has an address and a port, and how the device gets there.
 * All sockets of a runtime share the table; an entry is for those that are bound to one address of
 * ours, or to none. The one that was not used for longest makes room.
 */
#ifndef DEMI_LIBOS_CATMINT_DESTINATION_H
#define DEMI_LIBOS_CATMINT_DESTINATION_H

#include "libos/catmint/catmint.h"
#include "libos/catmint/send.h"
#include "sched/timer_wheel.h"
#include "wire/address.h"

struct destination_key {
	struct ip_address local; /* that the socket is bound to; all zero: any */
	struct ip_address remote;
	uint16_t port;
};

struct destination {
	struct destination_key key;
	struct destination *hash_next; /* of free ones too */
	struct destination *older, *newer;

	/* What is known. */
	struct address_handle *handle; /* NULL: it is being looked for */
	struct ip_address source;      /* of what goes there */
	uint32_t qpn, qkey;
	uint32_t takes;        /* bytes of one packet, both sides considered */
	uint64_t confirmed_ns; /* when it was found, or heard of, last */

	/* Looking for it; see datagram_seek.c. */
	struct cm_target target;
	struct rdma_cm_id *id;                            /* NULL: nobody does */
	struct destination *seeking_next, **seeking_link; /* NULL: it is not on the list */
	struct dgrams *dgrams;
	struct timer timer;
	uint32_t tries;
	bool is_reachable;        /* the address leads somewhere */
	struct send_list waiting; /* whole datagrams */
	uint32_t waiting_count;
	struct op_list connects; /* that wait for source */
};

struct destination_table {
	struct destination *entries;
	struct destination **buckets;
	struct destination *free, *oldest, *newest;
	uint32_t mask; /* buckets - 1; a power of two */
	uint32_t used; /* entries from here on were never used */
	uint32_t most;
	uint64_t seed;
};

/** destination_table_init - @most: a power of two; @seed: a secret. 0 or -ENOMEM */
int destination_table_init(struct destination_table *table, uint32_t most, uint64_t seed);

/** destination_table_fini - the caller has let go of what entries have */
void destination_table_fini(struct destination_table *table);

static inline bool destination_has_key(const struct destination *destination,
				       const struct destination_key *key)
{
	return destination->key.port == key->port &&
	       ip_address_equal(&destination->key.remote, &key->remote) &&
	       ip_address_equal(&destination->key.local, &key->local);
}

/** destination_find - NULL: there is none */
struct destination *destination_find(const struct destination_table *table,
				     const struct destination_key *key);

/** destination_use - it is the one that was used last */
void destination_use(struct destination_table *table, struct destination *destination);

/** destination_add - an empty entry; NULL: the table is full, remove the oldest */
struct destination *destination_add(struct destination_table *table,
				    const struct destination_key *key);

/** destination_remove - the entry's memory stays, with a key that nobody asks for */
void destination_remove(struct destination_table *table, struct destination *destination);

#endif /* DEMI_LIBOS_CATMINT_DESTINATION_H */
