/* SPDX-License-Identifier: MIT */
/*
 * What a client has left in doubt, settled by the primary of a shard that is held up by it: the other
 * shards are asked for their votes, which makes those that have none vote no, and are told the decision.
 */
#ifndef TXNSTORE_RESOLVER_H
#define TXNSTORE_RESOLVER_H

#include "coordinator.h"

struct resolver {
	struct caller caller;
	const struct memory *memory;
	struct coordinator *coordinators;
	uint16_t shard;    /* its own, whose vote is known */
	uint64_t resolved; /* counted */
};

void resolver_init(struct resolver *resolver, uint16_t shard, const struct caller_config *config,
		   const struct memory *memory,
		   void (*send)(void *context, uint16_t shard, uint32_t replica,
				const struct message *message),
		   void *context, uint64_t seed);
void resolver_destroy(struct resolver *resolver);

/** resolver_start - settle the transaction of @operation, a PREPARE that its shard has voted yes to */
void resolver_start(struct resolver *resolver, uint64_t now_ns, const struct operation *operation);

void resolver_receive(struct resolver *resolver, uint64_t now_ns, const struct message *message);
void resolver_tick(struct resolver *resolver, uint64_t now_ns);
uint64_t resolver_deadline(const struct resolver *resolver);

#endif /* TXNSTORE_RESOLVER_H */
