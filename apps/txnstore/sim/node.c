/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "txnstore/sim/world_parts.h"

#define CONFIGURATION 0x5eed

static struct caller_config caller_config(const struct world *world)
{
	return (struct caller_config){
		.shards = world->config.shards,
		.replicas = world->config.replicas,
		.configuration = CONFIGURATION,
		.retry_ns = 20 * NS_PER_MS,
		.pause_ns = 2 * NS_PER_MS,
	};
}

static void send_to_shard(void *context, uint16_t shard, uint32_t replica,
			  const struct message *message)
{
	struct node *node = context;

	(void)network_send(node, shard * node->world->config.replicas + replica, message);
}

/* ---- A replica ---- */

static void hold(struct node *node, uint32_t to, const struct message *message)
{
	struct held *held = malloc(sizeof(*held) + message_size(message));

	if (!held)
		return;
	*held = (struct held){
		.record = disk_last(&node->disk), .to = to, .len = message_size(message)};
	message_write(message, held->bytes);
	*node->held_end = held;
	node->held_end = &held->next;
}

static bool send_to_replica(void *context, uint32_t to, const struct message *message, bool is_held)
{
	struct node *node = context;
	uint32_t first = node->index - node->index % node->world->config.replicas;

	if (!is_held || disk_is_idle(&node->disk))
		return network_send(node, first + to, message);
	hold(node, first + to, message);
	return true;
}

static void answer_client(void *context, uint64_t peer, const struct message *message,
			  struct blob *blob)
{
	(void)blob;
	(void)network_send(context, (uint32_t)peer, message);
}

static void write_record(void *context, const void *record, size_t len)
{
	disk_write(context, record, len);
}

static void rewrite(void *context, bool begins)
{
	disk_rewrite(context, begins);
}

static void in_doubt(void *context, const struct operation *operation)
{
	struct node *node = context;

	resolver_start(&node->resolver, node_now(node), operation);
}

static const struct replica_ops ops_with_log = {send_to_replica, answer_client, write_record,
						rewrite, in_doubt};
static const struct replica_ops ops_without_log = {send_to_replica, answer_client, NULL, NULL,
						   in_doubt};

static struct replica_config replica_config(const struct node *node)
{
	return (struct replica_config){
		.index = node->index % node->world->config.replicas,
		.count = node->world->config.replicas,
		.shard = (uint16_t)(node->index / node->world->config.replicas),
		.shards = node->world->config.shards,
		.configuration = CONFIGURATION,
		.heartbeat_ns = 5 * NS_PER_MS,
		.election_ns = 30 * NS_PER_MS,
		.retry_ns = 10 * NS_PER_MS,
		.doubt_ns = 100 * NS_PER_MS,
		.batch_bytes = 2048,
		.window = 64,
		/* So few that those who were away need snapshots. */
		.log_keep = 64,
		.versions_keep = 64,
		.bytes_max = UINT64_MAX,
		.rewrite_bytes = node->world->config.log_room ? 0 : 4096,
		.log_room = node->world->config.log_room,
		.limits = {.clients_max = 1000, .session_idle_ns = 1000 * NS_PER_MS},
	};
}

static int start_weak(struct node *node)
{
	struct world *world = node->world;

	node->life++;
	node->is_up = true;
	node->quorum = (struct quorum){
		.memory = &world_memory,
		.index = node->index % world->config.replicas,
		.shard = (uint16_t)(node->index / world->config.replicas),
		.configuration = CONFIGURATION,
		.bytes_max = UINT64_MAX,
		.answer = answer_client,
		.context = node,
	};
	return quorum_init(&node->quorum);
}

static int start_replica(struct node *node, enum replica_start how)
{
	struct world *world = node->world;
	struct replica_config config = replica_config(node);
	struct caller_config others = caller_config(world);
	int error = replica_init(&node->replica, &config,
				 world->config.has_log ? &ops_with_log : &ops_without_log, node,
				 &world_memory, random_next(&world->random));

	node->life++;
	if (error)
		return error;
	node->held_end = &node->held;
	for (size_t i = 0; i < node->disk.now.count && !error; i++)
		error = replica_restore(&node->replica, node->disk.now.list[i].bytes,
					node->disk.now.list[i].len);
	node->replica.written = node->replica.durable = node->disk.now.count;
	resolver_init(&node->resolver, config.shard, &others, &world_memory, send_to_shard, node,
		      random_next(&world->random));
	node->is_up = true;
	node->wake_ns = 0;
	if (error)
		return error;
	replica_start(&node->replica, node_now(node), how);
	node_wake(node);
	return 0;
}

int node_start(struct node *node, enum replica_start how)
{
	return node->world->config.is_weak ? start_weak(node) : start_replica(node, how);
}

void node_start_client(struct node *node)
{
	struct world *world = node->world;
	struct client_config config = {
		.id = ++world->clients_made,
		.caller = caller_config(world),
		.timeout_ns = 200 * NS_PER_MS,
		.is_weak = world->config.is_weak,
		.confirms_reads = random_chance(&world->random, 0.5),
	};

	node->life++;
	node->is_up = true;
	node->wake_ns = 0;
	txn_client_init(&node->client, &config, &world_memory, send_to_shard, node,
			random_next(&world->random));
	if (world->client_up)
		world->client_up(world->context, node->index - world->replica_count);
}

void node_stop(struct node *node)
{
	struct world *world = node->world;

	if (!node->is_up)
		return;
	node->is_up = false;
	if (node->index >= world->replica_count) {
		if (world->client_down)
			world->client_down(world->context, node->index - world->replica_count);
		txn_client_destroy(&node->client);
		return;
	}
	if (world->config.is_weak) {
		quorum_destroy(&node->quorum);
		return;
	}
	world->resolved += node->resolver.resolved;
	resolver_destroy(&node->resolver);
	replica_destroy(&node->replica);
	disk_crash(node);
	if (!world->config.has_log)
		disk_destroy(&node->disk);
}
