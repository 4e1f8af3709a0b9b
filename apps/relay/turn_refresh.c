/* SPDX-License-Identifier: MIT */
/* Refresh (RFC 8656, 8.2), and what it has in common with Allocate. */
#include "turn_request.h"

uint8_t turn_family_asked(const struct turn_request *request, enum stun_attribute attribute)
{
	switch (stun_value_32(&request->message, attribute) >> 24) {
	case TURN_NUMBER_V4:
		return NET_V4;
	case TURN_NUMBER_V6:
		return NET_V6;
	default:
		return 0;
	}
}

uint32_t turn_lifetime_asked(const struct turn_request *request)
{
	const struct turn_settings *settings = request->turn->settings;
	uint32_t asked = settings->lifetime_s;

	if (stun_has(&request->message, STUN_LIFETIME))
		asked = stun_value_32(&request->message, STUN_LIFETIME);
	if (asked < settings->lifetime_s)
		return settings->lifetime_s;
	return asked < settings->lifetime_max_s ? asked : settings->lifetime_max_s;
}

uint64_t turn_after(const struct turn_request *request, uint32_t seconds)
{
	return request->now_ns + seconds * TURN_NS_PER_S;
}

/* Which of its relayed addresses are meant: one family, or all. */
static bool is_meant(const struct turn_request *request, const struct turn_relay *relay)
{
	return relay &&
	       (!stun_has(&request->message, STUN_REQUESTED_ADDRESS_FAMILY) ||
		turn_family_asked(request, STUN_REQUESTED_ADDRESS_FAMILY) == relay->family);
}

static void end_relays(struct turn_request *request)
{
	struct turn *turn = request->turn;
	struct turn_allocation *allocation = request->allocation;
	struct turn_relay *left = NULL;

	for (size_t i = 0; i < TURN_FAMILIES; i++) {
		if (allocation->relays[i] && !is_meant(request, allocation->relays[i]))
			left = allocation->relays[i];
	}
	for (size_t i = 0; left && i < TURN_FAMILIES; i++) {
		if (allocation->relays[i] && allocation->relays[i] != left)
			turn_relay_close(turn, allocation->relays[i]);
	}
	if (left)
		return;
	if (turn->ops->event)
		turn->ops->event(turn->context, TURN_EVENT_DELETED, allocation, request->now_ns);
	turn->counters.allocations_ended++;
	turn_allocation_end(turn, allocation);
	request->allocation = NULL;
}

void turn_do_refresh(struct turn_request *request)
{
	struct turn_allocation *allocation = request->allocation;
	uint32_t seconds = turn_lifetime_asked(request);
	bool any = false;

	if (!allocation) {
		turn_answer_error(request, 437);
		return;
	}
	for (size_t i = 0; i < TURN_FAMILIES; i++)
		any |= is_meant(request, allocation->relays[i]);
	if (!any) {
		turn_answer_error(request, 443);
		return;
	}
	if (stun_has(&request->message, STUN_LIFETIME) &&
	    stun_value_32(&request->message, STUN_LIFETIME) == 0) {
		seconds = 0;
		end_relays(request);
	} else {
		allocation->lifetime_s = seconds;
		for (size_t i = 0; i < TURN_FAMILIES; i++) {
			if (is_meant(request, allocation->relays[i]))
				timer_start(&request->turn->timers, &allocation->relays[i]->timer,
					    turn_after(request, seconds));
		}
	}
	turn_answer_begin(request, STUN_SUCCESS);
	stun_add_32(&request->writer, STUN_TYPE_LIFETIME, seconds);
}
