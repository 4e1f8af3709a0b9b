/* SPDX-License-Identifier: MIT */
#include "turn.h"

#include <errno.h>
#include <stdlib.h>

#include "turn_request.h"

int turn_init(struct turn *turn, const struct turn_settings *settings,
	      const struct credentials *credentials, const struct turn_ops *ops, void *context,
	      const uint8_t random[40])
{
	size_t allocations = settings->allocations_max;
	/* Where clients have more than one, the lists of a slot grow longer, and nothing else. */
	size_t bindings = allocations;
	int error;

	memset(turn, 0, sizeof(*turn));
	turn->settings = settings;
	turn->credentials = credentials;
	turn->ops = ops;
	turn->context = context;
	memcpy(turn->nonce_key.bytes, random, sizeof(turn->nonce_key.bytes));
	memcpy(&turn->seed, random + sizeof(turn->nonce_key.bytes), sizeof(turn->seed));
	turn->random = table_hash(turn->seed, random, 40);
	turn->challenges = calloc(TURN_CHALLENGE_SLOTS, sizeof(*turn->challenges));
	error = turn->challenges ? table_init(&turn->allocations, allocations) : -ENOMEM;
	if (!error)
		error = table_init(&turn->permissions, bindings);
	if (!error)
		error = table_init(&turn->channels_by_number, bindings);
	if (!error)
		error = table_init(&turn->channels_by_peer, bindings);
	if (!error)
		error = table_init(&turn->quotas, allocations);
	if (error)
		turn_fini(turn);
	return error;
}

void turn_fini(struct turn *turn)
{
	struct table_node *node;

	while ((node = table_any(&turn->allocations)))
		turn_allocation_end(turn, (struct turn_allocation *)node);
	while (turn->reserved)
		turn_relay_release(turn, turn->reserved->relay);
	timers_fini(&turn->timers);
	table_fini(&turn->allocations);
	table_fini(&turn->permissions);
	table_fini(&turn->channels_by_number);
	table_fini(&turn->channels_by_peer);
	table_fini(&turn->quotas);
	free(turn->challenges);
	turn->challenges = NULL;
}

/* --- time --- */

static void end_allocation(struct turn *turn, struct turn_allocation *allocation,
			   enum turn_event event, uint64_t now_ns)
{
	if (turn->ops->event)
		turn->ops->event(turn->context, event, allocation, now_ns);
	turn->counters.allocations_ended++;
	turn_allocation_end(turn, allocation);
}

static void relay_expired(struct turn *turn, struct turn_relay *relay, uint64_t now_ns)
{
	struct turn_allocation *allocation = relay->allocation;

	if (!allocation) {
		turn_relay_release(turn, relay);
		return;
	}
	if (allocation->relays[0] && allocation->relays[1])
		turn_relay_close(turn, relay);
	else
		end_allocation(turn, allocation, TURN_EVENT_EXPIRED, now_ns);
}

/* A structure by its timer, which stands first in each. */
static void expired(struct turn *turn, struct timer *timer, uint64_t now_ns)
{
	_Static_assert(offsetof(struct turn_relay, timer) == 0, "the timer stands first");
	_Static_assert(offsetof(struct turn_permission, timer) == 0, "the timer stands first");
	_Static_assert(offsetof(struct turn_channel, timer) == 0, "the timer stands first");

	switch ((enum turn_timer)timer->kind) {
	case TURN_TIMER_RELAY:
		relay_expired(turn, (struct turn_relay *)timer, now_ns);
		break;
	case TURN_TIMER_PERMISSION:
		turn_permission_end(turn, (struct turn_permission *)timer);
		break;
	case TURN_TIMER_CHANNEL:
		turn_channel_end(turn, (struct turn_channel *)timer);
		break;
	}
}

uint64_t turn_expire(struct turn *turn, uint64_t now_ns, uint64_t unix_s)
{
	struct timer *timer;

	turn->unix_s = unix_s;
	while ((timer = timers_take(&turn->timers, now_ns)))
		expired(turn, timer, now_ns);
	return timers_next_ns(&turn->timers);
}

bool turn_has_allocation(const struct turn *turn, const struct turn_client *client)
{
	return turn_find(turn, client) != NULL;
}

void turn_client_gone(struct turn *turn, const struct turn_client *client, uint64_t now_ns)
{
	struct turn_allocation *allocation = turn_find(turn, client);

	if (allocation)
		end_allocation(turn, allocation, TURN_EVENT_GONE, now_ns);
}

/* --- requests --- */

static void do_binding(struct turn_request *request)
{
	turn_answer_begin(request, STUN_SUCCESS);
	stun_add_address(&request->writer, STUN_TYPE_XOR_MAPPED_ADDRESS, &request->client->address);
}

/* What a method is done by, and where it is counted; NULL: we do not know it. */
static void (*method_of(struct turn *turn, uint16_t method,
			uint64_t **counter))(struct turn_request *)
{
	struct counters *counters = &turn->counters;

	if (turn->settings->stun_only && method != STUN_METHOD_BINDING)
		return NULL;
	switch (method) {
	case STUN_METHOD_BINDING:
		*counter = &counters->binding_requests;
		return do_binding;
	case STUN_METHOD_ALLOCATE:
		*counter = &counters->allocate_requests;
		return turn_do_allocate;
	case STUN_METHOD_REFRESH:
		*counter = &counters->refresh_requests;
		return turn_do_refresh;
	case STUN_METHOD_CREATE_PERMISSION:
		*counter = &counters->permission_requests;
		return turn_do_create_permission;
	case STUN_METHOD_CHANNEL_BIND:
		*counter = &counters->channel_requests;
		return turn_do_channel_bind;
	default:
		return NULL;
	}
}

/* Return: bytes of the answer; 0: there is none. */
static size_t answer_request(struct turn_request *request)
{
	const struct stun_message *message = &request->message;
	uint64_t *counter = NULL;
	void (*method)(struct turn_request *) = method_of(request->turn, message->method, &counter);
	unsigned int code = 0;

	if (!method) {
		request->turn->counters.drop_unexpected++;
		return 0;
	}
	++*counter;
	request->allocation = turn_find(request->turn, request->client);
	if (message->method != STUN_METHOD_BINDING)
		code = turn_authenticate(request);
	if (!code && message->is_malformed)
		code = 400;
	if (!code && message->unknown_count)
		code = 420;
	if (code)
		turn_answer_error(request, code);
	else
		method(request);
	return turn_answer_end(request);
}

/* --- data to peers --- */

static void to_peer(struct turn *turn, uint64_t now_ns, struct turn_allocation *allocation,
		    const struct net_address *peer, struct turn_output *output)
{
	struct turn_relay *relay = allocation->relays[TURN_FAMILY_INDEX(peer->family)];

	if (!relay || !turn_permission_find(turn, allocation, peer, now_ns)) {
		turn->counters.drop_no_permission++;
		return;
	}
	if (!bucket_take(&allocation->to_peer_rate, now_ns, turn->settings->bytes_per_s,
			 output->payload_bytes)) {
		turn->counters.drop_rate++;
		return;
	}
	allocation->to_peer.packets++;
	allocation->to_peer.bytes += output->payload_bytes;
	turn->counters.to_peer_packets++;
	turn->counters.to_peer_bytes += output->payload_bytes;
	output->action = TURN_TO_PEER;
	output->relay = relay;
	output->peer = *peer;
}

static void do_send(struct turn *turn, uint64_t now_ns, const struct turn_client *client,
		    const struct stun_message *message, struct turn_output *output)
{
	struct turn_allocation *allocation = turn_find(turn, client);
	struct net_address peer;
	size_t place = 0;

	output->payload = stun_value(message, STUN_DATA, &output->payload_bytes);
	output->dont_fragment = stun_has(message, STUN_DONT_FRAGMENT);
	if (!output->payload || message->is_malformed || message->unknown_count ||
	    stun_next_peer(message, &place, &peer) <= 0)
		turn->counters.drop_malformed++;
	else if (!allocation)
		turn->counters.drop_no_allocation++;
	else if (output->dont_fragment && !turn->ops->can_dont_fragment(turn->context, peer.family))
		turn->counters.drop_unexpected++;
	else
		to_peer(turn, now_ns, allocation, &peer, output);
}

static void do_channel_data(struct turn *turn, uint64_t now_ns, const struct turn_client *client,
			    const uint8_t *bytes, size_t length, struct turn_output *output)
{
	struct turn_allocation *allocation = turn_find(turn, client);
	size_t payload = stun_get_16(bytes + 2);
	struct turn_channel *channel;

	/* Behind it there may be padding, over UDP also where nobody needs it (RFC 8656, 12.5). */
	if (payload > length - TURN_CHANNEL_HEADER_BYTES) {
		turn->counters.drop_malformed++;
		return;
	}
	if (!allocation) {
		turn->counters.drop_no_allocation++;
		return;
	}
	channel = turn_channel_by_number(turn, allocation, stun_get_16(bytes), now_ns);
	if (!channel) {
		turn->counters.drop_no_channel++;
		return;
	}
	output->payload = bytes + TURN_CHANNEL_HEADER_BYTES;
	output->payload_bytes = payload;
	to_peer(turn, now_ns, allocation, &channel->peer, output);
}

static void do_message(struct turn *turn, uint64_t now_ns, const struct turn_client *client,
		       const uint8_t *bytes, size_t length, uint8_t *answer,
		       struct turn_output *output)
{
	struct turn_request request = {
		.turn = turn, .now_ns = now_ns, .client = client, .writer.bytes = answer};
	struct stun_message *message = &request.message;

	if (stun_parse(message, bytes, length) != 0) {
		turn->counters.drop_malformed++;
	} else if (stun_has(message, STUN_FINGERPRINT) && !stun_fingerprint_is_right(message)) {
		turn->counters.drop_fingerprint++;
	} else if (message->class == STUN_INDICATION && message->method == STUN_METHOD_SEND) {
		do_send(turn, now_ns, client, message, output);
	} else if (message->class == STUN_REQUEST) {
		output->answer_bytes = answer_request(&request);
		output->action = output->answer_bytes ? TURN_ANSWER : TURN_NOTHING;
	} else if (message->class != STUN_INDICATION || message->method != STUN_METHOD_BINDING) {
		turn->counters.drop_unexpected++;
	}
}

void turn_client_input(struct turn *turn, uint64_t now_ns, const struct turn_client *client,
		       const uint8_t *bytes, size_t length, uint8_t *answer,
		       struct turn_output *output)
{
	*output = (struct turn_output){.action = TURN_NOTHING};
	if (length < TURN_CHANNEL_HEADER_BYTES)
		turn->counters.drop_malformed++;
	else if (turn_is_channel_data(bytes[0]))
		do_channel_data(turn, now_ns, client, bytes, length, output);
	else
		do_message(turn, now_ns, client, bytes, length, answer, output);
}

/* --- data of peers --- */

static bool may_pass(struct turn *turn, uint64_t now_ns, struct turn_relay *relay,
		     const struct net_address *peer, size_t payload_bytes)
{
	struct turn_allocation *allocation = relay->allocation;

	if (!allocation || relay->timer.deadline_ns <= now_ns) {
		turn->counters.drop_no_allocation++;
		return false;
	}
	if (!turn_permission_find(turn, allocation, peer, now_ns)) {
		turn->counters.drop_no_permission++;
		return false;
	}
	/* What a message of STUN has no length for, no UDP datagram has either. */
	if (payload_bytes > UINT16_MAX - STUN_DATA_HEADER_BYTES_MAX - 3) {
		turn->counters.drop_too_large++;
		return false;
	}
	if (!bucket_take(&allocation->to_client_rate, now_ns, turn->settings->bytes_per_s,
			 payload_bytes)) {
		turn->counters.drop_rate++;
		return false;
	}
	return true;
}

bool turn_peer_input(struct turn *turn, uint64_t now_ns, struct turn_relay *relay,
		     const struct net_address *peer, size_t payload_bytes,
		     struct turn_envelope *envelope)
{
	struct turn_allocation *allocation = relay->allocation;
	struct turn_channel *channel;

	if (!may_pass(turn, now_ns, relay, peer, payload_bytes))
		return false;
	allocation->to_client.packets++;
	allocation->to_client.bytes += payload_bytes;
	turn->counters.to_client_packets++;
	turn->counters.to_client_bytes += payload_bytes;
	envelope->client = &allocation->client;
	channel = turn_channel_by_peer(turn, allocation, peer, now_ns);
	if (channel) {
		stun_put_16(envelope->header, channel->number);
		stun_put_16(envelope->header + 2, payload_bytes);
		envelope->header_bytes = TURN_CHANNEL_HEADER_BYTES;
		envelope->padding_bytes = allocation->client.is_stream ? stun_padding(payload_bytes)
								       : 0;
	} else {
		uint64_t transaction[2] = {turn_random(turn), turn_random(turn)};

		envelope->header_bytes = stun_data_header(
			envelope->header, peer, (const uint8_t *)transaction, payload_bytes);
		envelope->padding_bytes = stun_padding(payload_bytes);
	}
	return true;
}

/* Those that RFC 8656, 11.5, names: unreachable and time exceeded, of ICMPv6 also too big. */
static bool is_told(uint8_t family, uint8_t type)
{
	return family == NET_V4 ? type == 3 || type == 11 : type >= 1 && type <= 3;
}

static bool is_too_big(uint8_t family, const struct turn_icmp *icmp)
{
	return family == NET_V4 ? icmp->type == 3 && icmp->code == 4 : icmp->type == 2;
}

size_t turn_peer_error(struct turn *turn, uint64_t now_ns, struct turn_relay *relay,
		       const struct net_address *peer, const struct turn_icmp *icmp,
		       uint8_t *indication)
{
	uint64_t transaction[2] = {turn_random(turn), turn_random(turn)};
	struct stun_writer writer;
	uint8_t value[8] = {0};

	if (!is_told(peer->family, icmp->type) ||
	    !may_pass(turn, now_ns, relay, peer, TURN_ICMP_BYTES_MAX))
		return 0;
	turn->counters.peer_errors++;
	/* RFC 8656, 18.13: the type has 7 bits, the code 9. */
	stun_put_16(value + 2, (size_t)icmp->type << 9 | icmp->code);
	stun_put_32(value + 4, is_too_big(peer->family, icmp) ? icmp->mtu : 0);
	stun_begin(&writer, indication, TURN_ICMP_BYTES_MAX, STUN_METHOD_DATA, STUN_INDICATION,
		   (const uint8_t *)transaction);
	stun_add_address(&writer, STUN_TYPE_XOR_PEER_ADDRESS, peer);
	stun_add(&writer, STUN_TYPE_ICMP, value, sizeof(value));
	return writer.length;
}
