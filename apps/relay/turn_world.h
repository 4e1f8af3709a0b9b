/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the core and its fuzz target share: a server with sockets that only count, and a
 * client that knows how to ask. Included once by each.
 */
#ifndef RELAY_TURN_WORLD_H
#define RELAY_TURN_WORLD_H

#include <errno.h>
#include <stdlib.h>

#include "turn_state.h"

#define WORLD_TEXT(literal) ((struct stun_text){(literal), sizeof(literal) - 1})
#define WORLD_USER "user1"
#define WORLD_PASSWORD "secret1"
#define WORLD_REALM "example.org"

struct world {
	struct turn turn;
	struct turn_settings settings;
	struct credentials credentials;
	struct turn_client client;
	uint64_t now_ns, unix_s;
	uint32_t open;               /* relayed ports */
	uint32_t busy_from, busy_to; /* ports that others have */
	uint32_t events[4];
	bool cannot_dont_fragment;
	unsigned int next_transaction;
	struct stun_text user, password;
	char nonce[NONCE_CHARACTERS];
	bool has_nonce;
	enum stun_algorithm algorithm;
	bool by_hash; /* USERHASH instead of USERNAME */
	/* The last request and its answer. */
	uint8_t request[2048], answer[TURN_ANSWER_BYTES_MAX];
	struct stun_writer writer;
	struct turn_output output;
	struct stun_message message;
};

static inline int world_open(void *context, struct turn_relay *relay)
{
	struct world *world = context;

	if (relay->port >= world->busy_from && relay->port < world->busy_to)
		return -EADDRINUSE;
	world->open++;
	return 0;
}

static inline void world_close(void *context, struct turn_relay *relay)
{
	(void)relay;
	((struct world *)context)->open--;
}

static inline bool world_can_dont_fragment(void *context, uint8_t family)
{
	(void)family;
	return !((struct world *)context)->cannot_dont_fragment;
}

static inline void world_event(void *context, enum turn_event event,
			       const struct turn_allocation *allocation, uint64_t now_ns)
{
	(void)allocation;
	(void)now_ns;
	((struct world *)context)->events[event]++;
}

static const struct turn_ops world_ops = {
	.open = world_open,
	.close = world_close,
	.can_dont_fragment = world_can_dont_fragment,
	.event = world_event,
};

static inline struct net_address world_address(const char *text)
{
	struct net_address address;

	if (net_address_parse(&address, text))
		abort();
	return address;
}

static inline struct net_address world_ip(const char *text)
{
	struct net_address address;

	if (net_address_parse_ip(&address, text))
		abort();
	return address;
}

/* Settings may still be changed between this and world_start. */
static inline void world_prepare(struct world *world)
{
	memset(world, 0, sizeof(*world));
	turn_settings_init(&world->settings);
	memcpy(world->settings.realm, WORLD_REALM, sizeof(WORLD_REALM));
	world->settings.relay_ip[0] = world_ip("192.0.2.1");
	world->settings.relay_ip[1] = world_ip("2001:db8::1");
	world->now_ns = 1000 * TURN_NS_PER_S;
	world->unix_s = 1700000000;
	world->client.address = world_address("198.51.100.7:4000");
	world->user = WORLD_TEXT(WORLD_USER);
	world->password = WORLD_TEXT(WORLD_PASSWORD);
	world->algorithm = STUN_ALGORITHM_MD5;
	if (credentials_init(&world->credentials, WORLD_TEXT(WORLD_REALM), 1, 16) ||
	    credentials_add_user(&world->credentials, world->user, world->password))
		abort();
}

static inline void world_start(struct world *world)
{
	static const uint8_t random[40] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

	if (turn_init(&world->turn, &world->settings, &world->credentials, &world_ops, world,
		      random))
		abort();
	turn_expire(&world->turn, world->now_ns, world->unix_s);
}

static inline void world_end(struct world *world)
{
	turn_fini(&world->turn);
	credentials_fini(&world->credentials);
	if (world->open != 0)
		abort();
}

static inline void world_pass(struct world *world, uint64_t seconds)
{
	world->now_ns += seconds * TURN_NS_PER_S;
	world->unix_s += seconds;
	turn_expire(&world->turn, world->now_ns, world->unix_s);
}

/* --- requests --- */

static inline void world_begin(struct world *world, enum stun_method method)
{
	uint8_t transaction[STUN_TRANSACTION_BYTES] = {0};

	stun_put_32(transaction, ++world->next_transaction);
	stun_begin(&world->writer, world->request, sizeof(world->request), method,
		   method == STUN_METHOD_SEND ? STUN_INDICATION : STUN_REQUEST, transaction);
}

/* Hands over what was written, and parses the answer if there is one. */
static inline void world_input(struct world *world)
{
	if (world->writer.is_full)
		abort();
	turn_client_input(&world->turn, world->now_ns, &world->client, world->request,
			  world->writer.length, world->answer, &world->output);
	if (world->output.action == TURN_ANSWER &&
	    stun_parse(&world->message, world->answer, world->output.answer_bytes))
		abort();
}

static inline unsigned int world_error(const struct world *world)
{
	size_t length;
	const uint8_t *value;

	if (world->output.action != TURN_ANSWER)
		return 1; /* there is no answer */
	value = stun_value(&world->message, STUN_ERROR_CODE, &length);
	return value ? value[2] * 100u + value[3] : 0;
}

static inline void world_key(const struct world *world, struct stun_key *key)
{
	stun_key_make(key, world->algorithm, world->user, WORLD_TEXT(WORLD_REALM), world->password);
}

static inline void world_add_credentials(struct world *world)
{
	static const uint8_t algorithms[] = {0, 2, 0, 0, 0, 1, 0, 0}, chosen[] = {0, 2, 0, 0};
	uint8_t hash[STUN_SHA256_BYTES];
	struct stun_key key;

	stun_userhash(hash, world->user, WORLD_TEXT(WORLD_REALM));
	if (world->by_hash)
		stun_add(&world->writer, STUN_TYPE_USERHASH, hash, sizeof(hash));
	else
		stun_add(&world->writer, STUN_TYPE_USERNAME, world->user.text, world->user.length);
	stun_add(&world->writer, STUN_TYPE_REALM, WORLD_REALM, sizeof(WORLD_REALM) - 1);
	stun_add(&world->writer, STUN_TYPE_NONCE, world->nonce, sizeof(world->nonce));
	world_key(world, &key);
	if (world->algorithm == STUN_ALGORITHM_SHA256) {
		stun_add(&world->writer, STUN_TYPE_PASSWORD_ALGORITHMS, algorithms,
			 sizeof(algorithms));
		stun_add(&world->writer, STUN_TYPE_PASSWORD_ALGORITHM, chosen, sizeof(chosen));
		stun_add_integrity_sha256(&world->writer, &key);
	} else {
		stun_add_integrity(&world->writer, &key);
	}
}

/* Takes the nonce out of a challenge. */
static inline void world_take_nonce(struct world *world)
{
	size_t length;
	const uint8_t *value = stun_value(&world->message, STUN_NONCE, &length);

	if (!value || length != NONCE_CHARACTERS)
		abort();
	memcpy(world->nonce, value, length);
	world->has_nonce = true;
}

/* A nonce to ask with, as a client gets it. */
static inline void world_greet(struct world *world)
{
	world_begin(world, STUN_METHOD_ALLOCATE);
	world_input(world);
	world_take_nonce(world);
}

/* What was begun, with credentials. Return: the code of the error, 0 for success. */
static inline unsigned int world_finish(struct world *world)
{
	world_add_credentials(world);
	world_input(world);
	return world_error(world);
}

static inline void world_begin_allocate(struct world *world)
{
	world_begin(world, STUN_METHOD_ALLOCATE);
	stun_add_32(&world->writer, STUN_TYPE_REQUESTED_TRANSPORT, 17u << 24);
}

static inline unsigned int world_allocate(struct world *world)
{
	if (!world->has_nonce)
		world_greet(world);
	world_begin_allocate(world);
	return world_finish(world);
}

static inline unsigned int world_refresh(struct world *world, uint32_t seconds)
{
	world_begin(world, STUN_METHOD_REFRESH);
	stun_add_32(&world->writer, STUN_TYPE_LIFETIME, seconds);
	return world_finish(world);
}

static inline unsigned int world_permit(struct world *world, const char *peer)
{
	struct net_address address = world_address(peer);

	world_begin(world, STUN_METHOD_CREATE_PERMISSION);
	stun_add_address(&world->writer, STUN_TYPE_XOR_PEER_ADDRESS, &address);
	return world_finish(world);
}

static inline unsigned int world_bind(struct world *world, const char *peer, uint32_t number)
{
	struct net_address address = world_address(peer);

	world_begin(world, STUN_METHOD_CHANNEL_BIND);
	stun_add_32(&world->writer, STUN_TYPE_CHANNEL_NUMBER, number << 16);
	stun_add_address(&world->writer, STUN_TYPE_XOR_PEER_ADDRESS, &address);
	return world_finish(world);
}

/* Whether a payload of so many bytes goes on to the peer. */
static inline bool world_send(struct world *world, const char *peer, size_t length)
{
	static const uint8_t payload[1500];
	struct net_address address = world_address(peer);

	world_begin(world, STUN_METHOD_SEND);
	stun_add_address(&world->writer, STUN_TYPE_XOR_PEER_ADDRESS, &address);
	stun_add(&world->writer, STUN_TYPE_DATA, payload, length);
	world_input(world);
	return world->output.action == TURN_TO_PEER &&
	       net_address_equal(&world->output.peer, &address) &&
	       world->output.payload_bytes == length;
}

static inline bool world_send_channel(struct world *world, uint32_t number, size_t length)
{
	uint8_t bytes[TURN_CHANNEL_HEADER_BYTES + 1500] = {0};

	stun_put_16(bytes, number);
	stun_put_16(bytes + 2, length);
	turn_client_input(&world->turn, world->now_ns, &world->client, bytes,
			  TURN_CHANNEL_HEADER_BYTES + length, world->answer, &world->output);
	return world->output.action == TURN_TO_PEER && world->output.payload_bytes == length;
}

static inline struct turn_relay *world_relay(struct world *world, uint8_t family)
{
	struct turn_allocation *allocation = turn_find(&world->turn, &world->client);

	return allocation ? allocation->relays[TURN_FAMILY_INDEX(family)] : NULL;
}

/* Whether a peer's datagram goes on to the client. */
static inline bool world_receive(struct world *world, const char *peer, size_t length,
				 struct turn_envelope *envelope)
{
	struct net_address address = world_address(peer);
	struct turn_relay *relay = world_relay(world, address.family);

	return relay &&
	       turn_peer_input(&world->turn, world->now_ns, relay, &address, length, envelope);
}

#endif /* RELAY_TURN_WORLD_H */
