/* SPDX-License-Identifier: MIT */
#include "resolver.h"

void resolver_init(struct resolver *resolver, uint16_t shard, const struct caller_config *config,
		   const struct memory *memory,
		   void (*send)(void *context, uint16_t shard, uint32_t replica,
				const struct message *message),
		   void *context, uint64_t seed)
{
	*resolver = (struct resolver){.shard = shard, .memory = memory};
	caller_init(&resolver->caller, config, send, context, seed);
}

void resolver_destroy(struct resolver *resolver)
{
	while (resolver->coordinators)
		coordinator_drop(resolver->coordinators);
}

static void decided(struct coordinator *coordinator)
{
	struct resolver *resolver = coordinator->context;

	resolver->resolved++;
}

static bool is_under_way(const struct resolver *resolver, const struct operation *operation)
{
	const struct coordinator *coordinator = resolver->coordinators;

	while (coordinator && (coordinator->client != operation->client ||
			       coordinator->number != operation->number))
		coordinator = coordinator->next;
	return coordinator;
}

void resolver_start(struct resolver *resolver, uint64_t now_ns, const struct operation *operation)
{
	struct coordinator *coordinator;

	resolver->caller.now_ns = now_ns;
	if (is_under_way(resolver, operation))
		return;
	coordinator = coordinator_new(&resolver->caller, resolver->memory, operation->shards,
				      operation->client, operation->number);
	if (!coordinator)
		return; /* it will be asked for again */
	coordinator_list(coordinator, &resolver->coordinators);
	coordinator->context = resolver;
	coordinator->decided = decided;
	coordinator->finished = coordinator_drop;
	for (uint16_t i = 0; i < operation->shards; i++) {
		uint16_t shard = operation_shard(operation, i);

		if (shard == resolver->shard) {
			coordinator_knows_vote(coordinator, i, shard);
		} else if (coordinator_ask(coordinator, i, shard, NULL, 0) != 0) {
			coordinator_drop(coordinator);
			return;
		}
	}
}

void resolver_receive(struct resolver *resolver, uint64_t now_ns, const struct message *message)
{
	(void)caller_receive(&resolver->caller, now_ns, message);
}

void resolver_tick(struct resolver *resolver, uint64_t now_ns)
{
	caller_tick(&resolver->caller, now_ns);
}

uint64_t resolver_deadline(const struct resolver *resolver)
{
	return caller_deadline(&resolver->caller);
}
