/* SPDX-License-Identifier: MIT */
/* Allocations, relayed addresses, permissions and channels: made, found, and ended. For turn*.c. */
#ifndef RELAY_TURN_STATE_H
#define RELAY_TURN_STATE_H

#include "turn.h"

#define TURN_NS_PER_S UINT64_C(1000000000)

/** What a timer is a part of. */
enum turn_timer { TURN_TIMER_RELAY, TURN_TIMER_PERMISSION, TURN_TIMER_CHANNEL };

/** turn_random - the next number of the generator that @turn was seeded with */
uint64_t turn_random(struct turn *turn);

struct turn_allocation *turn_find(const struct turn *turn, const struct turn_client *client);

/**
 * turn_allocation_new - for a client that has none, without a relayed address yet
 *
 * Return: it; NULL: out of memory.
 */
struct turn_allocation *turn_allocation_new(struct turn *turn, const struct turn_client *client,
					    struct stun_text person, uint64_t now_ns);

/** turn_allocation_end - close and free all of it */
void turn_allocation_end(struct turn *turn, struct turn_allocation *allocation);

/**
 * turn_relay_open - open a port that is free, chosen at random
 * @even:    only an even one
 * @pair_out: with NULL one port; else the next one too, which is stored there
 *
 * Return: it, of no allocation, its timer not running; NULL: no port is free.
 */
struct turn_relay *turn_relay_open(struct turn *turn, uint8_t family, bool even,
				   struct turn_relay **pair_out);

/** turn_relay_close - close and free it; the allocation stays, without it */
void turn_relay_close(struct turn *turn, struct turn_relay *relay);

/** turn_relay_give - make it the allocation's, until the deadline */
void turn_relay_give(struct turn *turn, struct turn_relay *relay,
		     struct turn_allocation *allocation, uint64_t deadline_ns);

/**
 * turn_relay_reserve - keep it under a token of its own, until the deadline
 *
 * Return: the token, which lives as long as the reservation; NULL: out of memory, it stays the caller's.
 */
const uint8_t *turn_relay_reserve(struct turn *turn, struct turn_relay *relay,
				  uint64_t deadline_ns);

/** turn_relay_take - the one that is reserved under a token, no longer reserved; NULL: there is none */
struct turn_relay *turn_relay_take(struct turn *turn, const uint8_t token[TURN_TOKEN_BYTES]);

/** turn_relay_release - close one that is reserved */
void turn_relay_release(struct turn *turn, struct turn_relay *relay);

/** turn_permission_find - NULL: there is none, or its time is over */
struct turn_permission *turn_permission_find(const struct turn *turn,
					     const struct turn_allocation *allocation,
					     const struct net_address *peer, uint64_t now_ns);

/** turn_permission_set - made, or made to last longer. Return: 0, -ENOSPC, -ENOMEM. */
int turn_permission_set(struct turn *turn, struct turn_allocation *allocation,
			const struct net_address *peer, uint64_t now_ns);

/** turn_permission_end, turn_channel_end - take it from its allocation and free it */
void turn_permission_end(struct turn *turn, struct turn_permission *permission);
void turn_channel_end(struct turn *turn, struct turn_channel *channel);

/** turn_channel_by_number, turn_channel_by_peer - NULL: there is none, or its time is over */
struct turn_channel *turn_channel_by_number(const struct turn *turn,
					    const struct turn_allocation *allocation,
					    uint16_t number, uint64_t now_ns);
struct turn_channel *turn_channel_by_peer(const struct turn *turn,
					  const struct turn_allocation *allocation,
					  const struct net_address *peer, uint64_t now_ns);

/**
 * turn_channel_set - made, or made to last longer; neither number nor peer may be bound otherwise
 *
 * Return: 0, -ENOSPC, -ENOMEM.
 */
int turn_channel_set(struct turn *turn, struct turn_allocation *allocation,
		     const struct net_address *peer, uint16_t number, uint64_t now_ns);

#endif /* RELAY_TURN_STATE_H */
