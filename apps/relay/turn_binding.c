/* SPDX-License-Identifier: MIT */
/* Permissions (RFC 8656, 9) and channels (12) of allocations. */
#include <errno.h>
#include <stdlib.h>

#include "turn_state.h"

/* What hashes and comparisons are made of; no hidden padding. */
struct key {
	uint64_t allocation;
	struct net_address peer;
	uint32_t number;
};

_Static_assert(sizeof(struct key) == 32, "no hidden padding: it is hashed as bytes");

static uint64_t permission_hash(const struct turn *turn, const struct turn_allocation *allocation,
				const struct net_address *peer)
{
	struct key key = {.allocation = (uintptr_t)allocation, .peer = *peer};

	key.peer.port = 0;
	return table_hash(turn->seed, &key, sizeof(key));
}

static uint64_t peer_hash(const struct turn *turn, const struct turn_allocation *allocation,
			  const struct net_address *peer)
{
	const struct key key = {.allocation = (uintptr_t)allocation, .peer = *peer};

	return table_hash(turn->seed, &key, sizeof(key));
}

static uint64_t number_hash(const struct turn *turn, const struct turn_allocation *allocation,
			    uint16_t number)
{
	const struct key key = {.allocation = (uintptr_t)allocation, .number = number};

	return table_hash(turn->seed, &key, sizeof(key));
}

static uint64_t deadline(uint64_t now_ns, uint32_t seconds)
{
	return now_ns + seconds * TURN_NS_PER_S;
}

/* --- permissions --- */

static struct turn_permission *of_permission_node(struct table_node *node)
{
	return (struct turn_permission *)((char *)node - offsetof(struct turn_permission, node));
}

/* Also one whose time is over, but which is not freed yet. */
static struct turn_permission *find_permission(const struct turn *turn,
					       const struct turn_allocation *allocation,
					       const struct net_address *peer)
{
	struct table_node *node = table_first(&turn->permissions,
					      permission_hash(turn, allocation, peer));

	for (; node; node = table_next(node)) {
		struct turn_permission *permission = of_permission_node(node);

		if (permission->allocation == allocation && permission->family == peer->family &&
		    memcmp(permission->ip, peer->ip, NET_IP_BYTES) == 0)
			return permission;
	}
	return NULL;
}

struct turn_permission *turn_permission_find(const struct turn *turn,
					     const struct turn_allocation *allocation,
					     const struct net_address *peer, uint64_t now_ns)
{
	struct turn_permission *permission = find_permission(turn, allocation, peer);

	return permission && permission->timer.deadline_ns > now_ns ? permission : NULL;
}

int turn_permission_set(struct turn *turn, struct turn_allocation *allocation,
			const struct net_address *peer, uint64_t now_ns)
{
	struct turn_permission *permission = find_permission(turn, allocation, peer);

	if (!permission) {
		if (allocation->permission_count >= turn->settings->permissions_max)
			return -ENOSPC;
		/* Relays that are reserved or opened count on their room. */
		if (timers_reserve(&turn->timers, 1 + turn->relay_count) != 0)
			return -ENOMEM;
		permission = calloc(1, sizeof(*permission));
		if (!permission)
			return -ENOMEM;
		permission->timer.kind = TURN_TIMER_PERMISSION;
		permission->allocation = allocation;
		permission->family = peer->family;
		memcpy(permission->ip, peer->ip, NET_IP_BYTES);
		permission->next = allocation->permissions;
		allocation->permissions = permission;
		allocation->permission_count++;
		table_add(&turn->permissions, &permission->node,
			  permission_hash(turn, allocation, peer));
	}
	timer_start(&turn->timers, &permission->timer,
		    deadline(now_ns, turn->settings->permission_s));
	return 0;
}

void turn_permission_end(struct turn *turn, struct turn_permission *permission)
{
	struct turn_permission **at = &permission->allocation->permissions;

	while (*at != permission)
		at = &(*at)->next;
	*at = permission->next;
	permission->allocation->permission_count--;
	table_remove(&turn->permissions, &permission->node);
	timer_stop(&turn->timers, &permission->timer);
	free(permission);
}

/* --- channels --- */

static struct turn_channel *of_number_node(struct table_node *node)
{
	return (struct turn_channel *)((char *)node - offsetof(struct turn_channel, by_number));
}

static struct turn_channel *of_peer_node(struct table_node *node)
{
	return (struct turn_channel *)((char *)node - offsetof(struct turn_channel, by_peer));
}

struct turn_channel *turn_channel_by_number(const struct turn *turn,
					    const struct turn_allocation *allocation,
					    uint16_t number, uint64_t now_ns)
{
	struct table_node *node = table_first(&turn->channels_by_number,
					      number_hash(turn, allocation, number));

	for (; node; node = table_next(node)) {
		struct turn_channel *channel = of_number_node(node);

		if (channel->allocation == allocation && channel->number == number)
			return channel->timer.deadline_ns > now_ns ? channel : NULL;
	}
	return NULL;
}

struct turn_channel *turn_channel_by_peer(const struct turn *turn,
					  const struct turn_allocation *allocation,
					  const struct net_address *peer, uint64_t now_ns)
{
	struct table_node *node = table_first(&turn->channels_by_peer,
					      peer_hash(turn, allocation, peer));

	for (; node; node = table_next(node)) {
		struct turn_channel *channel = of_peer_node(node);

		if (channel->allocation == allocation && net_address_equal(&channel->peer, peer))
			return channel->timer.deadline_ns > now_ns ? channel : NULL;
	}
	return NULL;
}

int turn_channel_set(struct turn *turn, struct turn_allocation *allocation,
		     const struct net_address *peer, uint16_t number, uint64_t now_ns)
{
	struct turn_channel *channel = turn_channel_by_number(turn, allocation, number, now_ns);

	if (!channel) {
		if (allocation->channel_count >= turn->settings->channels_max)
			return -ENOSPC;
		if (timers_reserve(&turn->timers, 1 + turn->relay_count) != 0)
			return -ENOMEM;
		channel = calloc(1, sizeof(*channel));
		if (!channel)
			return -ENOMEM;
		channel->timer.kind = TURN_TIMER_CHANNEL;
		channel->allocation = allocation;
		channel->peer = *peer;
		channel->number = number;
		channel->next = allocation->channels;
		allocation->channels = channel;
		allocation->channel_count++;
		table_add(&turn->channels_by_number, &channel->by_number,
			  number_hash(turn, allocation, number));
		table_add(&turn->channels_by_peer, &channel->by_peer,
			  peer_hash(turn, allocation, peer));
	}
	timer_start(&turn->timers, &channel->timer, deadline(now_ns, turn->settings->channel_s));
	return 0;
}

void turn_channel_end(struct turn *turn, struct turn_channel *channel)
{
	struct turn_channel **at = &channel->allocation->channels;

	while (*at != channel)
		at = &(*at)->next;
	*at = channel->next;
	channel->allocation->channel_count--;
	table_remove(&turn->channels_by_number, &channel->by_number);
	table_remove(&turn->channels_by_peer, &channel->by_peer);
	timer_stop(&turn->timers, &channel->timer);
	free(channel);
}
