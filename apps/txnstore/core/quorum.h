/* SPDX-License-Identifier: MIT */
/*
 * The weak mode, of one replica: the newest value of each key by the stamp of its writer. A read asks one
 * replica, a write goes to all and is done when a majority has it. No isolation is promised: a
 * transaction's writes come one by one, a read may miss what was written before it, and what a replica
 * has missed it does not get later.
 */
#ifndef TXNSTORE_QUORUM_H
#define TXNSTORE_QUORUM_H

#include <stdbool.h>

#include "message.h"
#include "store.h"

struct quorum {
	struct store store;
	const struct memory *memory;
	uint32_t index;
	uint16_t shard;
	uint64_t configuration;
	uint64_t bytes_max; /* of keys and values; more are not taken */
	uint64_t full;      /* so many were not: counted */
	void (*answer)(void *context, uint64_t peer, const struct message *message,
		       struct blob *blob);
	void *context;
};

/** quorum_init - the other members but the store are set. Return: 0, -ENOMEM. */
int quorum_init(struct quorum *quorum);
void quorum_destroy(struct quorum *quorum);
void quorum_receive(struct quorum *quorum, uint64_t peer, const struct message *message);

#endif /* TXNSTORE_QUORUM_H */
