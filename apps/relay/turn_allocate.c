/* SPDX-License-Identifier: MIT */
/* Allocate (RFC 8656, 7.2). */
#include "turn_request.h"

#define TRANSPORT_UDP 17
#define EVEN_PORT_RESERVE 0x80 /* its R bit */

/* What a request for an allocation asks for. */
struct wanted {
	uint8_t families
		[TURN_FAMILIES]; /* NET_V4, NET_V6 or 0; the second may be missing in the end */
	bool even, reserve;
	const uint8_t *token;
};

static bool is_served(const struct turn_request *request, uint8_t family)
{
	return family &&
	       request->turn->settings->relay_ip[TURN_FAMILY_INDEX(family)].family == family;
}

static unsigned int check_transport(struct turn_request *request)
{
	struct stun_message *message = &request->message;

	if (!stun_has(message, STUN_REQUESTED_TRANSPORT))
		return 400;
	if (stun_value_32(message, STUN_REQUESTED_TRANSPORT) >> 24 != TRANSPORT_UDP)
		return 442;
	return 0;
}

static unsigned int read_families(const struct turn_request *request, struct wanted *wanted)
{
	const struct stun_message *message = &request->message;

	wanted->families[0] = NET_V4;
	if (wanted->token) /* what was reserved has its family */
		return 0;
	if (stun_has(message, STUN_REQUESTED_ADDRESS_FAMILY)) {
		if (stun_has(message, STUN_ADDITIONAL_ADDRESS_FAMILY))
			return 400;
		wanted->families[0] = turn_family_asked(request, STUN_REQUESTED_ADDRESS_FAMILY);
		return is_served(request, wanted->families[0]) ? 0 : 440;
	}
	if (stun_has(message, STUN_ADDITIONAL_ADDRESS_FAMILY)) {
		if (turn_family_asked(request, STUN_ADDITIONAL_ADDRESS_FAMILY) != NET_V6)
			return 400;
		wanted->families[1] = NET_V6;
	}
	return is_served(request, NET_V4) || is_served(request, wanted->families[1]) ? 0 : 440;
}

static unsigned int read_ports(const struct turn_request *request, struct wanted *wanted)
{
	const struct stun_message *message = &request->message;
	const uint8_t *value;
	size_t length;

	wanted->token = stun_value(message, STUN_RESERVATION_TOKEN, &length);
	value = stun_value(message, STUN_EVEN_PORT, &length);
	wanted->even = value != NULL;
	wanted->reserve = value && (value[0] & EVEN_PORT_RESERVE);
	if (wanted->token && (wanted->even || stun_has(message, STUN_REQUESTED_ADDRESS_FAMILY) ||
			      stun_has(message, STUN_ADDITIONAL_ADDRESS_FAMILY)))
		return 400;
	if (wanted->reserve && stun_has(message, STUN_ADDITIONAL_ADDRESS_FAMILY))
		return 400;
	return 0;
}

/* As an unknown attribute where there is no way to do it (RFC 8656, 7.2). */
static unsigned int check_dont_fragment(struct turn_request *request, const struct wanted *wanted)
{
	struct stun_message *message = &request->message;
	const struct turn *turn = request->turn;

	if (!stun_has(message, STUN_DONT_FRAGMENT) ||
	    turn->ops->can_dont_fragment(turn->context, wanted->families[0]))
		return 0;
	message->unknown[0] = STUN_TYPE_DONT_FRAGMENT;
	message->unknown_count = 1;
	return 420;
}

static unsigned int check_quotas(const struct turn_request *request)
{
	const struct turn *turn = request->turn;
	const struct turn_settings *settings = turn->settings;
	const struct quota *quota = quota_find(&turn->quotas, request->person);

	if (turn->allocations.count >= settings->allocations_max)
		return 486;
	if (settings->user_allocations_max && quota &&
	    quota->allocations >= settings->user_allocations_max)
		return 486;
	return 0;
}

/* Keep the next port for another allocation of this client, who is told its token. */
static unsigned int reserve(struct turn_request *request, struct turn_relay *pair)
{
	struct turn *turn = request->turn;
	struct turn_allocation *allocation = request->allocation;
	const uint8_t *token = turn_relay_reserve(
		turn, pair, turn_after(request, turn->settings->reservation_s));

	if (!token) {
		turn_relay_close(turn, pair);
		return 508; /* and the allocation ends with what it has */
	}
	memcpy(allocation->reserved_token, token, TURN_TOKEN_BYTES);
	allocation->has_reserved = true;
	return 0;
}

/* The only relayed address; 508 if there is none. */
static unsigned int open_one(struct turn_request *request, const struct wanted *wanted)
{
	struct turn *turn = request->turn;
	struct turn_relay *relay = NULL, *pair = NULL;

	if (wanted->token)
		relay = turn_relay_take(turn, wanted->token);
	else if (!wanted->reserve || turn->reserved_count < turn->settings->reservations_max)
		relay = turn_relay_open(turn, wanted->families[0], wanted->even,
					wanted->reserve ? &pair : NULL);
	if (!relay)
		return 508;
	turn_relay_give(turn, relay, request->allocation,
			turn_after(request, request->allocation->lifetime_s));
	return pair ? reserve(request, pair) : 0;
}

/* Those of both families as far as they are served and there are ports; one of two is enough. */
static unsigned int open_both(struct turn_request *request, const struct wanted *wanted)
{
	struct turn_allocation *allocation = request->allocation;
	uint64_t deadline_ns = turn_after(request, allocation->lifetime_s);
	unsigned int count = 0;

	for (size_t i = 0; i < TURN_FAMILIES; i++) {
		struct turn_relay *relay = NULL;

		if (is_served(request, wanted->families[i]))
			relay = turn_relay_open(request->turn, wanted->families[i], wanted->even,
						NULL);
		if (!relay)
			continue;
		turn_relay_give(request->turn, relay, allocation, deadline_ns);
		count++;
	}
	allocation->has_address_error = count == 1;
	return count ? 0 : 508;
}

/* ADDRESS-ERROR-CODE (RFC 8656, 18.12): the family that is missing of the two, and why. */
static void add_address_error(struct turn_request *request)
{
	bool has_v4 = request->allocation->relays[TURN_FAMILY_INDEX(NET_V4)] != NULL;
	uint8_t missing = has_v4 ? NET_V6 : NET_V4;
	unsigned int code = is_served(request, missing) ? 508 : 440;
	const uint8_t value[4] = {missing == NET_V4 ? TURN_NUMBER_V4 : TURN_NUMBER_V6, 0,
				  (uint8_t)(code / 100), (uint8_t)(code % 100)};

	stun_add(&request->writer, STUN_TYPE_ADDRESS_ERROR_CODE, value, sizeof(value));
}

static void answer_allocation(struct turn_request *request)
{
	const struct turn_allocation *allocation = request->allocation;
	const struct turn_settings *settings = request->turn->settings;
	struct stun_writer *writer = &request->writer;

	turn_answer_begin(request, STUN_SUCCESS);
	for (size_t i = 0; i < TURN_FAMILIES; i++) {
		struct net_address address = settings->external_ip[i].family
						     ? settings->external_ip[i]
						     : settings->relay_ip[i];

		if (!allocation->relays[i])
			continue;
		address.port = allocation->relays[i]->port;
		stun_add_address(writer, STUN_TYPE_XOR_RELAYED_ADDRESS, &address);
	}
	stun_add_32(writer, STUN_TYPE_LIFETIME, allocation->lifetime_s);
	if (allocation->has_reserved)
		stun_add(writer, STUN_TYPE_RESERVATION_TOKEN, allocation->reserved_token,
			 TURN_TOKEN_BYTES);
	stun_add_address(writer, STUN_TYPE_XOR_MAPPED_ADDRESS, &request->client->address);
	if (allocation->has_address_error)
		add_address_error(request);
}

static unsigned int make_allocation(struct turn_request *request, const struct wanted *wanted)
{
	struct turn *turn = request->turn;
	unsigned int code;

	request->allocation = turn_allocation_new(turn, request->client, request->person,
						  request->now_ns);
	if (!request->allocation)
		return 508;
	request->allocation->lifetime_s = turn_lifetime_asked(request);
	memcpy(request->allocation->transaction, request->message.transaction,
	       STUN_TRANSACTION_BYTES);
	code = wanted->families[1] ? open_both(request, wanted) : open_one(request, wanted);
	if (code) {
		turn_allocation_end(turn, request->allocation);
		request->allocation = NULL;
		return code;
	}
	turn->counters.allocations_made++;
	if (turn->ops->event)
		turn->ops->event(turn->context, TURN_EVENT_MADE, request->allocation,
				 request->now_ns);
	return 0;
}

void turn_do_allocate(struct turn_request *request)
{
	struct wanted wanted = {0};
	unsigned int code = 0;

	if (request->allocation) {
		/* The answer was lost, and the request sent again; else it is another one. */
		if (memcmp(request->allocation->transaction, request->message.transaction,
			   STUN_TRANSACTION_BYTES) == 0)
			answer_allocation(request);
		else
			turn_answer_error(request, 437);
		return;
	}
	code = check_transport(request);
	if (!code)
		code = read_ports(request, &wanted);
	if (!code)
		code = read_families(request, &wanted);
	if (!code)
		code = check_dont_fragment(request, &wanted);
	if (!code)
		code = check_quotas(request);
	if (!code)
		code = make_allocation(request, &wanted);
	if (code)
		turn_answer_error(request, code);
	else
		answer_allocation(request);
}
