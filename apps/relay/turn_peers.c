/* SPDX-License-Identifier: MIT */
/* CreatePermission (RFC 8656, 10.2) and ChannelBind (12.2). */
#include "turn_request.h"

/* What hinders a peer of this request; 0: nothing. */
static unsigned int check_peer(const struct turn_request *request, const struct net_address *peer)
{
	if (!request->allocation->relays[TURN_FAMILY_INDEX(peer->family)])
		return 443;
	return peer_is_allowed(&request->turn->settings->filter, peer) ? 0 : 403;
}

/* All of them, before anything is done: a request does all of it or nothing. */
static unsigned int check_peers(const struct turn_request *request)
{
	struct net_address peer;
	size_t place = 0, new = 0;
	unsigned int code = 400; /* there is none */
	int result;

	while ((result = stun_next_peer(&request->message, &place, &peer)) > 0) {
		code = check_peer(request, &peer);
		if (code)
			return code;
		if (!turn_permission_find(request->turn, request->allocation, &peer,
					  request->now_ns))
			new ++;
	}
	if (result < 0)
		return 400;
	/* One that stands in it twice is counted twice, which only a strange client does. */
	if (!code &&
	    request->allocation->permission_count + new > request->turn->settings->permissions_max)
		return 508;
	return code;
}

void turn_do_create_permission(struct turn_request *request)
{
	struct net_address peer;
	size_t place = 0;
	unsigned int code = request->allocation ? check_peers(request) : 437;

	while (!code && stun_next_peer(&request->message, &place, &peer) > 0) {
		if (turn_permission_set(request->turn, request->allocation, &peer,
					request->now_ns) != 0)
			code = 508;
	}
	if (code)
		turn_answer_error(request, code);
	else
		turn_answer_begin(request, STUN_SUCCESS);
}

/* Both are free, or bound to each other. */
static bool may_bind(const struct turn_request *request, const struct net_address *peer,
		     uint16_t number)
{
	const struct turn_channel *of_number = turn_channel_by_number(
		request->turn, request->allocation, number, request->now_ns);
	const struct turn_channel *of_peer = turn_channel_by_peer(
		request->turn, request->allocation, peer, request->now_ns);

	return of_number == of_peer;
}

static unsigned int bind_channel(struct turn_request *request)
{
	struct turn_allocation *allocation = request->allocation;
	struct net_address peer;
	size_t place = 0;
	uint32_t number;
	unsigned int code;

	if (!allocation)
		return 437;
	if (!stun_has(&request->message, STUN_CHANNEL_NUMBER) ||
	    stun_next_peer(&request->message, &place, &peer) <= 0)
		return 400;
	number = stun_value_32(&request->message, STUN_CHANNEL_NUMBER) >> 16;
	if (number < TURN_CHANNEL_MIN || number > TURN_CHANNEL_MAX)
		return 400;
	code = check_peer(request, &peer);
	if (code)
		return code;
	if (!may_bind(request, &peer, (uint16_t)number))
		return 400;
	if (turn_permission_set(request->turn, allocation, &peer, request->now_ns) != 0 ||
	    turn_channel_set(request->turn, allocation, &peer, (uint16_t)number, request->now_ns) !=
		    0)
		return 508;
	return 0;
}

void turn_do_channel_bind(struct turn_request *request)
{
	unsigned int code = bind_channel(request);

	if (code)
		turn_answer_error(request, code);
	else
		turn_answer_begin(request, STUN_SUCCESS);
}
