/* SPDX-License-Identifier: MIT */
#include "txnstore/sim/world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "txnstore/sim/world_parts.h"

static void *take(void *context, size_t size)
{
	(void)context;
	return malloc(size);
}

static void give(void *context, void *memory)
{
	(void)context;
	free(memory);
}

const struct memory world_memory = {.alloc = take, .free = give};

uint64_t node_now(const struct node *node)
{
	return node->world->now_ns + node->clock_ns;
}

/* ---- Ticks ---- */

static uint64_t deadline_of(const struct node *node)
{
	uint64_t deadline_ns, resolver_ns;

	if (node->index >= node->world->replica_count)
		return txn_client_deadline(&node->client);
	if (node->world->config.is_weak)
		return UINT64_MAX;
	deadline_ns = replica_deadline(&node->replica);
	resolver_ns = resolver_deadline(&node->resolver);
	return deadline_ns < resolver_ns ? deadline_ns : resolver_ns;
}

static void tick(void *context, struct event *event)
{
	struct world *world = context;
	struct node *node = &world->nodes[event->node];

	if (event->life != node->life || event->at_ns != node->wake_ns)
		return;
	node->wake_ns = 0;
	if (!node->is_up)
		return;
	if (node->index >= world->replica_count) {
		txn_client_tick(&node->client, node_now(node));
	} else {
		replica_tick(&node->replica, node_now(node));
		resolver_tick(&node->resolver, node_now(node));
	}
	node_wake(node);
}

void node_wake(struct node *node)
{
	struct world *world = node->world;
	uint64_t deadline_ns = deadline_of(node), now_ns = node_now(node);
	struct event event = {.happen = tick, .node = node->index, .life = node->life};

	if (!node->is_up || deadline_ns == UINT64_MAX)
		return;
	event.at_ns = world->now_ns + (deadline_ns > now_ns ? deadline_ns - now_ns : 1);
	if (node->wake_ns && node->wake_ns <= event.at_ns)
		return;
	node->wake_ns = event.at_ns;
	(void)events_add(&world->events, &event);
}

/* ---- Clients ---- */

struct txn_client *world_client(struct world *world, uint32_t client)
{
	return &world->nodes[world->replica_count + client].client;
}

uint64_t world_clock(const struct world *world, uint32_t client)
{
	return node_now(&world->nodes[world->replica_count + client]);
}

void world_wake(struct world *world, uint32_t client)
{
	node_wake(&world->nodes[world->replica_count + client]);
}

void world_after(struct world *world, uint32_t client, uint64_t ns,
		 void (*happen)(void *context, struct event *event), uint64_t number)
{
	struct node *node = &world->nodes[world->replica_count + client];
	struct event event = {.at_ns = world->now_ns + ns,
			      .happen = happen,
			      .node = client,
			      .life = node->life,
			      .number = number};

	(void)events_add(&world->events, &event);
}

/* ---- The whole ---- */

int world_init(struct world *world, const struct world_config *config)
{
	*world = (struct world){.config = *config, .random = {.state = config->seed}};
	if (config->shards == 0 || config->shards > SIM_SHARDS_MAX || config->replicas % 2 == 0 ||
	    config->replicas > REPLICAS_MAX || config->clients > SIM_CLIENTS_MAX)
		return -EINVAL;
	world->replica_count = config->shards * config->replicas;
	world->node_count = world->replica_count + config->clients;
	for (uint32_t i = 0; i < world->node_count; i++) {
		world->nodes[i].world = world;
		world->nodes[i].index = i;
	}
	for (uint32_t i = 0; i < world->replica_count; i++) {
		int error = node_start(&world->nodes[i], REPLICA_START_NEW);

		if (error)
			return error;
	}
	for (uint32_t i = world->replica_count; i < world->node_count; i++)
		node_start_client(&world->nodes[i]);
	faults_begin(world);
	return 0;
}

void world_destroy(struct world *world)
{
	for (uint32_t i = 0; i < world->node_count; i++) {
		node_stop(&world->nodes[i]);
		disk_destroy(&world->nodes[i].disk);
	}
	events_destroy(&world->events);
}

void world_run(struct world *world, uint64_t until_ns)
{
	struct event event;

	while (events_take(&world->events, until_ns, &event)) {
		world->now_ns = event.at_ns;
		event.happen(world, &event);
		free(event.bytes);
	}
	world->now_ns = until_ns;
}

/* ---- After all was healed ---- */

static uint64_t shard_sum(const struct shard *shard)
{
	uint64_t sum = shard->applied;

	/* In any order. */
	for (size_t i = 0; i < shard->store.slot_count; i++) {
		const struct item *item = shard->store.slots[i];
		uint64_t own = item->hash;

		if (!item_version(item))
			continue;
		for (uint32_t j = 0; j < item->newest->len; j++)
			own = random_mix(own ^ item->newest->value[j]);
		sum += random_mix(own ^ item_version(item));
	}
	return sum;
}

const char *world_settled(struct world *world)
{
	if (world->config.is_weak)
		return NULL; /* nothing is promised */
	if (world->is_overfull)
		return "a log has taken more than its room";
	for (uint32_t i = 0; i < world->replica_count; i++) {
		const struct replica *replica = &world->nodes[i].replica;
		const struct replica *first = &world->nodes[i - i % world->config.replicas].replica;

		if (!world->nodes[i].is_up || replica->status != REPLICA_NORMAL)
			return "a replica takes no part, long after all was healed";
		if (replica->shard.prepared)
			return "a transaction is in doubt, long after all was healed";
		if (replica->shard.applied != first->shard.applied ||
		    shard_sum(&replica->shard) != shard_sum(&first->shard))
			return "replicas of a shard differ, long after all was healed";
	}
	return NULL;
}
