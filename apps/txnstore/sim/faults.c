/* SPDX-License-Identifier: MIT */
/* What happens to hosts and to the network, at times that the seed tells. */
#include "txnstore/sim/world_parts.h"

/* A fault lasts about so many times as long as it takes until the next one. */
#define LASTS 0.5
#define JUMP_NS (2000 * NS_PER_MS)

static bool faults_are_over(const struct world *world)
{
	return world->now_ns >= world->config.faults_until_ns;
}

static uint64_t draw(struct world *world, uint64_t mean_ns)
{
	return 1 + random_below(&world->random, 2 * mean_ns);
}

static void later(struct world *world, uint64_t ns, uint32_t node,
		  void (*happen)(void *context, struct event *event))
{
	struct event event = {.at_ns = world->now_ns + ns, .happen = happen, .node = node};

	(void)events_add(&world->events, &event);
}

/* ---- Replicas ---- */

/* Whether what it has is in its memory alone, or nowhere. */
static bool is_lost(struct node *node)
{
	if (node->is_lost && node->is_up && node->replica.status == REPLICA_NORMAL &&
	    disk_is_idle(&node->disk))
		node->is_lost = false;
	return node->is_lost;
}

static uint32_t down_of_shard(struct world *world, uint32_t node)
{
	uint32_t first = node - node % world->config.replicas, down = 0;

	for (uint32_t i = 0; i < world->config.replicas; i++) {
		struct node *other = &world->nodes[first + i];

		if (world->config.has_log)
			down += is_lost(other);
		else
			down += !other->is_up || (!world->config.is_weak &&
						  other->replica.status == REPLICA_RECOVERING);
	}
	return down;
}

static uint64_t draw_clock(struct world *world)
{
	return random_chance(&world->random, 0.5) ? 0 : random_below(&world->random, JUMP_NS);
}

static void restart(void *context, struct event *event)
{
	struct world *world = context;
	struct node *node = &world->nodes[event->node];

	if (node->is_up)
		return;
	if (world->config.jump_ns && !faults_are_over(world))
		node->clock_ns = draw_clock(world);
	/* Of a disk that has nothing, and was not lost, nobody has heard anything. */
	if (!world->config.has_log || node->is_lost)
		(void)node_start(node, node->disk.now.count ? REPLICA_START_RESTORED
							    : REPLICA_START_LOST);
	else
		(void)node_start(node,
				 node->disk.now.count ? REPLICA_START_RESTORED : REPLICA_START_NEW);
}

static void crash_one(struct world *world, uint32_t index)
{
	if (!world->nodes[index].is_up)
		return;
	node_stop(&world->nodes[index]);
	world->crashes++;
	later(world, draw(world, (uint64_t)(LASTS * (double)world->config.crash_ns)), index,
	      restart);
}

/* Those of fewer than a majority: what they had, the others have. */
static void lose_disk(struct world *world, uint32_t index)
{
	struct node *node = &world->nodes[index];

	if (!node->is_up || down_of_shard(world, index) >= world->config.replicas / 2)
		return;
	crash_one(world, index);
	disk_destroy(&node->disk);
	node->is_lost = true;
	world->lost_disks++;
}

static void crash(void *context, struct event *event)
{
	struct world *world = context;
	uint32_t index = (uint32_t)random_below(&world->random, world->replica_count);

	(void)event;
	if (faults_are_over(world))
		return;
	if (world->config.has_log && random_chance(&world->random, 0.3)) {
		for (uint32_t i = 0; i < world->replica_count; i++)
			crash_one(world, i);
	} else if (world->config.has_log && random_chance(&world->random, 0.1)) {
		lose_disk(world, index);
	} else if (world->config.has_log ||
		   down_of_shard(world, index) < world->config.replicas / 2) {
		/* What is in memory alone is lost with more than so many. */
		crash_one(world, index);
	}
	later(world, draw(world, world->config.crash_ns), 0, crash);
}

/* ---- Clients ---- */

static void restart_client(void *context, struct event *event)
{
	struct world *world = context;

	if (!world->nodes[event->node].is_up)
		node_start_client(&world->nodes[event->node]);
}

static void crash_client(void *context, struct event *event)
{
	struct world *world = context;
	uint32_t index = world->replica_count +
			 (uint32_t)random_below(&world->random, world->config.clients);

	(void)event;
	if (faults_are_over(world))
		return;
	node_stop(&world->nodes[index]);
	later(world, draw(world, world->config.client_crash_ns / 4), index, restart_client);
	later(world, draw(world, world->config.client_crash_ns), 0, crash_client);
}

/* ---- The network, and clocks ---- */

static void heal(void *context, struct event *event)
{
	struct world *world = context;

	(void)event;
	world->is_parted = false;
}

static void part(void *context, struct event *event)
{
	struct world *world = context;

	(void)event;
	if (faults_are_over(world))
		return;
	for (uint32_t i = 0; i < world->node_count; i++)
		world->nodes[i].side = (uint32_t)random_below(&world->random, 2);
	world->is_parted = true;
	world->partitions++;
	later(world, draw(world, (uint64_t)(LASTS * (double)world->config.partition_ns)), 0, heal);
	later(world, draw(world, world->config.partition_ns), 0, part);
}

static void jump(void *context, struct event *event)
{
	struct world *world = context;
	struct node *node = &world->nodes[random_below(&world->random, world->node_count)];

	(void)event;
	if (faults_are_over(world))
		return;
	/* Forward or back to where it was. */
	node->clock_ns = draw_clock(world);
	node_wake(node);
	later(world, draw(world, world->config.jump_ns), 0, jump);
}

static void heal_all(void *context, struct event *event)
{
	struct world *world = context;

	(void)event;
	world->is_parted = false;
	for (uint32_t i = 0; i < world->node_count; i++) {
		world->nodes[i].clock_ns = JUMP_NS;
		node_wake(&world->nodes[i]);
	}
}

static void begin(struct world *world, uint64_t mean_ns,
		  void (*happen)(void *context, struct event *event))
{
	if (mean_ns)
		later(world, draw(world, mean_ns), 0, happen);
}

void faults_begin(struct world *world)
{
	begin(world, world->config.crash_ns, crash);
	begin(world, world->config.partition_ns, part);
	begin(world, world->config.jump_ns, jump);
	begin(world, world->config.client_crash_ns, crash_client);
	later(world, world->config.faults_until_ns, 0, heal_all);
}
