/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for the whole core of the relay, with sockets that only count. An input is steps:
 * what clients send, raw or with right credentials behind it, what peers send, time that passes,
 * connections that end, ports that are taken. A model beside it knows from the answers alone who has
 * which permission until when: nothing goes on without one, and no limit is exceeded.
 */
#include <stdio.h>

#include "turn_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition) ((condition) ? (void)0 : fail(#condition, __LINE__))
#define CLIENTS 4u
#define GRANTS_MAX 256u
#define ALLOCATIONS_MAX 3u
#define PERMISSIONS_MAX 4u
#define CHANNELS_MAX 3u
#define STRANGER_GROWTH 96u /* an answer to who has not shown who he is, beyond his request */

enum step {
	STEP_RAW,
	STEP_SIGNED,
	STEP_CHANNEL,
	STEP_PEER,
	STEP_TIME,
	STEP_GONE,
	STEP_BUSY,
	STEPS
};

/* Client @client may exchange data with @ip until then. */
struct grant {
	struct net_address ip; /* port 0 */
	uint64_t until_ns;
	unsigned int client;
};

static struct world world;
static struct grant grants[GRANTS_MAX];
static unsigned int grant_count;
static char nonces[CLIENTS][NONCE_CHARACTERS];

static _Noreturn void fail(const char *condition, int line)
{
	fprintf(stderr, "turn_fuzz.c:%d: not so: %s\n", line, condition);
	abort();
}

static void choose_client(unsigned int number)
{
	static const char *const addresses[CLIENTS] = {"198.51.100.7:4000", "198.51.100.7:4001",
						       "[2001:db9::1]:4000", "198.51.100.8:4000"};

	number %= CLIENTS;
	world.client.address = world_address(addresses[number]);
	world.client.endpoint = number;
	world.client.is_stream = number == CLIENTS - 1;
}

/* --- the model --- */

static bool is_granted(unsigned int client, const struct net_address *peer)
{
	for (unsigned int i = 0; i < grant_count; i++) {
		if (grants[i].client == client && grants[i].until_ns > world.now_ns &&
		    grants[i].ip.family == peer->family &&
		    memcmp(grants[i].ip.ip, peer->ip, NET_IP_BYTES) == 0)
			return true;
	}
	return false;
}

static void grant(unsigned int client, const struct net_address *peer)
{
	if (grant_count == GRANTS_MAX)
		return; /* only fewer may pass than the model knows: see the end of a run */
	grants[grant_count++] = (struct grant){
		.ip = *peer,
		.until_ns = world.now_ns + world.settings.permission_s * TURN_NS_PER_S,
		.client = client};
}

static void forget(unsigned int client)
{
	for (unsigned int i = 0; i < grant_count; i++) {
		if (grants[i].client == client)
			grants[i].until_ns = 0;
	}
}

/* A request has succeeded that gives permissions. */
static void learn(const struct stun_message *request)
{
	struct net_address peer;
	size_t place = 0;

	if (request->method != STUN_METHOD_CREATE_PERMISSION &&
	    request->method != STUN_METHOD_CHANNEL_BIND)
		return;
	while (stun_next_peer(request, &place, &peer) > 0) {
		must(peer_is_allowed(&world.settings.filter, &peer));
		grant(world.client.endpoint, &peer);
		if (request->method == STUN_METHOD_CHANNEL_BIND)
			break;
	}
}

static void check_limits(void)
{
	const struct turn *turn = &world.turn;

	must(turn->allocations.count <= ALLOCATIONS_MAX);
	must(turn->permissions.count <= ALLOCATIONS_MAX * PERMISSIONS_MAX);
	must(turn->channels_by_number.count <= ALLOCATIONS_MAX * CHANNELS_MAX);
	must(turn->channels_by_peer.count == turn->channels_by_number.count);
	must(turn->reserved_count <= world.settings.reservations_max);
	must(turn->relay_count == world.open);
	must(turn->relay_count <= TURN_FAMILIES * ALLOCATIONS_MAX + turn->reserved_count);
	must(turn->timers.count ==
	     turn->relay_count + turn->permissions.count + turn->channels_by_number.count);
	must(turn->quotas.count <= turn->allocations.count);
}

/* --- steps --- */

static void check_output(const uint8_t *bytes, size_t length, bool is_signed)
{
	const struct turn_output *output = &world.output;
	struct stun_message request, answer;

	if (output->action == TURN_TO_PEER) {
		must(is_granted(world.client.endpoint, &output->peer));
		must(output->relay->allocation == turn_find(&world.turn, &world.client));
		must(output->payload >= bytes &&
		     output->payload_bytes <= length - (size_t)(output->payload - bytes));
	} else if (output->action == TURN_ANSWER) {
		must(output->answer_bytes <= TURN_ANSWER_BYTES_MAX);
		must(stun_parse(&request, bytes, length) == 0);
		must(stun_parse(&answer, world.answer, output->answer_bytes) == 0);
		must(answer.method == request.method && answer.class >= STUN_SUCCESS);
		must(memcmp(answer.transaction, request.transaction, STUN_TRANSACTION_BYTES) == 0);
		must(is_signed || output->answer_bytes <= length + STRANGER_GROWTH);
		must(is_signed || request.method == STUN_METHOD_BINDING ||
		     answer.class == STUN_ERROR);
		if (answer.class == STUN_SUCCESS)
			learn(&request);
	}
}

static void input(const uint8_t *bytes, size_t length, bool is_signed)
{
	uint8_t *copy = malloc(length ? length : 1); /* so that a byte too far is seen */

	must(copy);
	memcpy(copy, bytes, length);
	turn_client_input(&world.turn, world.now_ns, &world.client, copy, length, world.answer,
			  &world.output);
	check_output(copy, length, is_signed);
	free(copy);
	if (!turn_has_allocation(&world.turn, &world.client))
		forget(world.client.endpoint);
}

/* A method, attributes as they come, and credentials that are right. */
static void signed_request(const uint8_t *data, size_t size)
{
	static const enum stun_method methods[] = {STUN_METHOD_ALLOCATE, STUN_METHOD_REFRESH,
						   STUN_METHOD_CREATE_PERMISSION,
						   STUN_METHOD_CHANNEL_BIND};

	if (size < 2)
		return;
	world_begin(&world, methods[data[0] % 4]);
	if (data[0] & 0x80) /* sent again, perhaps with other contents */
		stun_put_32(world.request + 8, data[0] & 0x70);
	if (data[0] & 0x08)
		stun_add_32(&world.writer, STUN_TYPE_REQUESTED_TRANSPORT, 17u << 24);
	size = (size - 1) & ~(size_t)3;
	memcpy(world.request + world.writer.length, data + 1, size);
	world.writer.length += size;
	stun_put_16(world.request + 2, world.writer.length - STUN_HEADER_BYTES);
	memcpy(world.nonce, nonces[world.client.endpoint], sizeof(world.nonce));
	world.algorithm = data[0] & 0x04 ? STUN_ALGORITHM_SHA256 : STUN_ALGORITHM_MD5;
	world_add_credentials(&world);
	input(world.request, world.writer.length, true);
}

static void peer_datagram(const uint8_t *data, size_t size)
{
	struct turn_envelope envelope;
	struct turn_relay *relay;
	struct net_address peer = {.family = NET_V4};

	if (size < 8)
		return;
	memcpy(peer.ip, data + 1, 4);
	peer.port = stun_get_16(data + 5);
	if (data[0] & 1) {
		peer.family = NET_V6;
		memcpy(peer.ip, data + 1, size - 1 < NET_IP_BYTES ? size - 1 : NET_IP_BYTES);
	}
	relay = world_relay(&world, peer.family);
	if (!relay || !turn_peer_input(&world.turn, world.now_ns, relay, &peer,
				       (size_t)data[7] << 8, &envelope))
		return;
	must(is_granted(world.client.endpoint, &peer));
	must(envelope.client->endpoint == world.client.endpoint);
	must(envelope.header_bytes <= sizeof(envelope.header) && envelope.padding_bytes < 4);
}

static void pass_time(const uint8_t *data, size_t size, bool expire)
{
	uint64_t seconds = size ? data[0] : 1;

	world.now_ns += seconds * TURN_NS_PER_S;
	world.unix_s += seconds;
	if (!expire)
		return;
	turn_expire(&world.turn, world.now_ns, world.unix_s);
	for (unsigned int client = 0; client < CLIENTS; client++) {
		choose_client(client);
		if (!turn_has_allocation(&world.turn, &world.client))
			forget(client);
	}
}

static void do_step(enum step step, unsigned int client, const uint8_t *data, size_t size)
{
	choose_client(client);
	switch (step) {
	case STEP_RAW:
	case STEP_CHANNEL:
		input(data, size, false);
		break;
	case STEP_SIGNED:
		signed_request(data, size);
		break;
	case STEP_PEER:
		peer_datagram(data, size);
		break;
	case STEP_TIME:
		pass_time(data, size, client & 1);
		break;
	case STEP_GONE:
		turn_client_gone(&world.turn, &world.client, world.now_ns);
		forget(world.client.endpoint);
		break;
	default:
		world.busy_from = 50000;
		world.busy_to = 50000 + (size ? data[0] % 16u : 0);
		break;
	}
	check_limits();
}

static void start(void)
{
	world_prepare(&world);
	world.settings.allocations_max = ALLOCATIONS_MAX;
	world.settings.user_allocations_max = 2;
	world.settings.permissions_max = PERMISSIONS_MAX;
	world.settings.channels_max = CHANNELS_MAX;
	world.settings.reservations_max = 2;
	world.settings.port_min = 50000;
	world.settings.port_max = 50015;
	world.settings.nonce_s = 0;
	world_start(&world);
	grant_count = 0;
	for (unsigned int client = 0; client < CLIENTS; client++) {
		choose_client(client);
		world_greet(&world);
		memcpy(nonces[client], world.nonce, sizeof(world.nonce));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	start();
	/* Each step: what and who, how long, and so many bytes. */
	while (size >= 2 && grant_count < GRANTS_MAX - 64) {
		size_t length = data[1] < size - 2 ? data[1] : size - 2;

		do_step((enum step)(data[0] % STEPS), data[0] / STEPS, data + 2, length);
		data += 2 + length;
		size -= 2 + length;
	}
	world_end(&world);
	return 0;
}
