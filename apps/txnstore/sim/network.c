/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "txnstore/sim/world_parts.h"

/* So often a message takes so many times as long as others. */
#define STRAGGLERS 0.01
#define STRAGGLER_TIMES 40
/* More are not taken on the way from one to another. */
#define UNDER_WAY_MAX 32

uint8_t *network_bytes(const struct message *message, size_t *len)
{
	uint8_t *bytes = malloc(message_size(message));

	if (!bytes)
		return NULL;
	message_write(message, bytes);
	*len = message_size(message);
	return bytes;
}

static void deliver_to_replica(struct node *node, uint32_t from, const struct message *message)
{
	if (node->world->config.is_weak)
		quorum_receive(&node->quorum, from, message);
	/* What answers a question of its own is the resolver's. */
	else if (message->type == MESSAGE_REPLY || message->type == MESSAGE_NOT_PRIMARY)
		resolver_receive(&node->resolver, node_now(node), message);
	else
		replica_receive(&node->replica, node_now(node), from, message);
}

static void arrive(void *context, struct event *event)
{
	struct world *world = context;
	struct node *node = &world->nodes[event->node];
	struct message message;

	world->nodes[event->number].under_way[event->node]--;
	if (!node->is_up || message_parse(&message, event->bytes, event->len) != 0)
		return;
	if (node->index < world->replica_count)
		deliver_to_replica(node, (uint32_t)event->number, &message);
	else
		txn_client_receive(&node->client, node_now(node), &message);
	node_wake(node);
}

static uint64_t draw_delay(struct world *world)
{
	uint64_t delay_ns = world->config.delay_ns;

	delay_ns = delay_ns / 2 + random_below(&world->random, delay_ns + 1);
	if (random_chance(&world->random, STRAGGLERS))
		delay_ns *= 1 + random_below(&world->random, STRAGGLER_TIMES);
	return delay_ns;
}

static void send_one(struct node *node, uint32_t to, const uint8_t *bytes, size_t len)
{
	struct world *world = node->world;
	struct event event = {.at_ns = world->now_ns + draw_delay(world),
			      .happen = arrive,
			      .node = to,
			      .number = node->index,
			      .len = len};

	event.bytes = malloc(len);
	if (!event.bytes)
		return;
	memcpy(event.bytes, bytes, len);
	if (events_add(&world->events, &event) == 0)
		node->under_way[to]++;
}

bool network_send_bytes(struct node *node, uint32_t to, const uint8_t *bytes, size_t len)
{
	struct world *world = node->world;
	bool faults = world->now_ns < world->config.faults_until_ns;

	if (to >= world->node_count || node->under_way[to] >= UNDER_WAY_MAX)
		return false;
	/* A connection that has ended is known to have; one that stands still is not. */
	if ((world->is_parted && world->nodes[to].side != node->side) ||
	    (faults && random_chance(&world->random, world->config.lost)))
		return random_chance(&world->random, 0.5);
	send_one(node, to, bytes, len);
	if (faults && random_chance(&world->random, world->config.doubled))
		send_one(node, to, bytes, len);
	return true;
}

bool network_send(struct node *node, uint32_t to, const struct message *message)
{
	size_t len;
	uint8_t *bytes = network_bytes(message, &len);
	bool is_sent = bytes && network_send_bytes(node, to, bytes, len);

	free(bytes);
	return is_sent;
}
