/* SPDX-License-Identifier: MIT */
#include "turn_state.h"

#include <errno.h>
#include <stdlib.h>

/* Ports that are taken by others than us are passed over; so many in a row, and none is free. */
#define PORT_TRIES_MAX 64u

/* SplitMix64: equal in every bit, and its start is a secret. What must not be foretold is hashed. */
uint64_t turn_random(struct turn *turn)
{
	uint64_t value = turn->random += UINT64_C(0x9e3779b97f4a7c15);

	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	value ^= value >> 31;
	/* Without the seed nobody finds the state behind the ports and tokens that he sees. */
	return table_hash(turn->seed, &value, sizeof(value));
}

/* --- allocations --- */

static uint64_t client_hash(const struct turn *turn, const struct turn_client *client)
{
	uint8_t key[sizeof(client->address) + sizeof(client->endpoint)];

	memcpy(key, &client->address, sizeof(client->address));
	memcpy(key + sizeof(client->address), &client->endpoint, sizeof(client->endpoint));
	return table_hash(turn->seed, key, sizeof(key));
}

struct turn_allocation *turn_find(const struct turn *turn, const struct turn_client *client)
{
	struct table_node *node = table_first(&turn->allocations, client_hash(turn, client));

	for (; node; node = table_next(node)) {
		struct turn_allocation *allocation = (struct turn_allocation *)node;

		if (allocation->client.endpoint == client->endpoint &&
		    net_address_equal(&allocation->client.address, &client->address))
			return allocation;
	}
	return NULL;
}

struct turn_allocation *turn_allocation_new(struct turn *turn, const struct turn_client *client,
					    struct stun_text person, uint64_t now_ns)
{
	struct turn_allocation *allocation = calloc(1, sizeof(*allocation));

	if (!allocation)
		return NULL;
	allocation->quota = quota_add(&turn->quotas, person);
	if (!allocation->quota) {
		free(allocation);
		return NULL;
	}
	allocation->client = *client;
	allocation->made_ns = now_ns;
	table_add(&turn->allocations, &allocation->node, client_hash(turn, client));
	return allocation;
}

void turn_allocation_end(struct turn *turn, struct turn_allocation *allocation)
{
	for (size_t i = 0; i < TURN_FAMILIES; i++) {
		if (allocation->relays[i])
			turn_relay_close(turn, allocation->relays[i]);
	}
	while (allocation->permissions)
		turn_permission_end(turn, allocation->permissions);
	while (allocation->channels)
		turn_channel_end(turn, allocation->channels);
	table_remove(&turn->allocations, &allocation->node);
	quota_drop(&turn->quotas, allocation->quota);
	free(allocation);
}

/* --- relayed addresses --- */

static uint64_t *port_word(struct turn *turn, uint8_t family, uint32_t port)
{
	return &turn->used_ports[TURN_FAMILY_INDEX(family)][port / 64];
}

static bool port_is_used(struct turn *turn, uint8_t family, uint32_t port)
{
	return *port_word(turn, family, port) >> port % 64 & 1;
}

static struct turn_relay *open_port(struct turn *turn, uint8_t family, uint32_t port, int *error)
{
	struct turn_relay *relay = calloc(1, sizeof(*relay));

	*error = -ENOMEM;
	if (!relay)
		return NULL;
	relay->timer.kind = TURN_TIMER_RELAY;
	relay->family = family;
	relay->port = (uint16_t)port;
	*error = timers_reserve(&turn->timers, 1 + turn->relay_count);
	if (!*error)
		*error = turn->ops->open(turn->context, relay);
	if (*error) {
		free(relay);
		return NULL;
	}
	*port_word(turn, family, port) |= UINT64_C(1) << port % 64;
	turn->relay_count++;
	return relay;
}

/* The port, and with @pair_out the one behind it; both, or neither. */
static struct turn_relay *open_at(struct turn *turn, uint8_t family, uint32_t port,
				  struct turn_relay **pair_out, int *error)
{
	struct turn_relay *relay = open_port(turn, family, port, error);

	if (!relay || !pair_out)
		return relay;
	*pair_out = open_port(turn, family, port + 1, error);
	if (*pair_out)
		return relay;
	turn_relay_close(turn, relay);
	return NULL;
}

static bool port_will_do(struct turn *turn, uint8_t family, uint32_t port, bool even, bool pair)
{
	if (port_is_used(turn, family, port) || (even && port % 2 != 0))
		return false;
	return !pair || (port < turn->settings->port_max && !port_is_used(turn, family, port + 1));
}

struct turn_relay *turn_relay_open(struct turn *turn, uint8_t family, bool even,
				   struct turn_relay **pair_out)
{
	uint32_t least = turn->settings->port_min;
	uint32_t count = (uint32_t)turn->settings->port_max - least + 1;
	uint32_t start = (uint32_t)(turn_random(turn) % count);
	uint32_t tries = 0;

	for (uint32_t i = 0; i < count && tries < PORT_TRIES_MAX; i++) {
		uint32_t port = least + (start + i) % count;
		struct turn_relay *relay;
		int error;

		if (!port_will_do(turn, family, port, even, pair_out != NULL))
			continue;
		relay = open_at(turn, family, port, pair_out, &error);
		if (relay)
			return relay;
		if (error != -EADDRINUSE)
			return NULL;
		tries++;
	}
	return NULL;
}

void turn_relay_close(struct turn *turn, struct turn_relay *relay)
{
	timer_stop(&turn->timers, &relay->timer);
	*port_word(turn, relay->family, relay->port) &= ~(UINT64_C(1) << relay->port % 64);
	if (relay->allocation)
		relay->allocation->relays[TURN_FAMILY_INDEX(relay->family)] = NULL;
	turn->relay_count--;
	turn->ops->close(turn->context, relay);
	free(relay);
}

void turn_relay_give(struct turn *turn, struct turn_relay *relay,
		     struct turn_allocation *allocation, uint64_t deadline_ns)
{
	relay->allocation = allocation;
	allocation->relays[TURN_FAMILY_INDEX(relay->family)] = relay;
	timer_start(&turn->timers, &relay->timer, deadline_ns);
}

const uint8_t *turn_relay_reserve(struct turn *turn, struct turn_relay *relay, uint64_t deadline_ns)
{
	struct turn_reservation *reservation = malloc(sizeof(*reservation));
	uint64_t token = turn_random(turn);

	if (!reservation)
		return NULL;
	memcpy(reservation->token, &token, TURN_TOKEN_BYTES);
	reservation->relay = relay;
	reservation->next = turn->reserved;
	turn->reserved = reservation;
	turn->reserved_count++;
	timer_start(&turn->timers, &relay->timer, deadline_ns);
	return reservation->token;
}

/* Take a reservation out of the list, and its relay out of it. */
static struct turn_relay *end_reservation(struct turn *turn, struct turn_reservation **at)
{
	struct turn_reservation *reservation = *at;
	struct turn_relay *relay = reservation->relay;

	*at = reservation->next;
	free(reservation);
	turn->reserved_count--;
	timer_stop(&turn->timers, &relay->timer);
	return relay;
}

struct turn_relay *turn_relay_take(struct turn *turn, const uint8_t token[TURN_TOKEN_BYTES])
{
	for (struct turn_reservation **at = &turn->reserved; *at; at = &(*at)->next) {
		if (memcmp((*at)->token, token, TURN_TOKEN_BYTES) == 0)
			return end_reservation(turn, at);
	}
	return NULL;
}

void turn_relay_release(struct turn *turn, struct turn_relay *relay)
{
	struct turn_reservation **at = &turn->reserved;

	while ((*at)->relay != relay)
		at = &(*at)->next;
	turn_relay_close(turn, end_reservation(turn, at));
}
