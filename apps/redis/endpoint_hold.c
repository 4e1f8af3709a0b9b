/* SPDX-License-Identifier: MIT */
/* Pushes that wait for something else to be durable: see endpoint_hold. */
#include <stdlib.h>

#include "endpoint_table.h"

/** A push that was not made yet. */
struct endpoint_deferred {
	struct endpoint_deferred *next;
	struct endpoint *endpoint;
	struct endpoint_sending *sending;
	uint64_t number; /* of the hold that it waits for */
	bool is_array;   /* to be freed with demi_sgafree once it was pushed */
	demi_sgarray_t sga;
};

/* In the order in which they were given. */
static struct endpoint_deferred *first, **end = &first;
static uint64_t last_hold, released;
static void (*on_settle)(void);

uint64_t endpoint_hold(void)
{
	return ++last_hold;
}

bool endpoint_is_held(void)
{
	return last_hold > released;
}

void endpoint_on_settle(void (*settle)(void))
{
	on_settle = settle;
}

void endpoint_settle(void)
{
	if (endpoint_is_held() && !endpoint_is_child() && on_settle != NULL)
		on_settle();
}

static void forget(struct endpoint_deferred **link)
{
	struct endpoint_deferred *deferred = *link;

	*link = deferred->next;
	if (end == &deferred->next)
		end = link;
	if (deferred->is_array)
		demi_sgafree(&deferred->sga);
	deferred->sending->deferred = NULL;
	demi_free(deferred);
}

bool endpoint_defer(struct endpoint *endpoint, struct endpoint_sending *sending,
		    const demi_sgarray_t *sga, bool is_array)
{
	struct endpoint_deferred *deferred = demi_malloc(sizeof(*deferred));

	if (deferred == NULL)
		return false;
	deferred->next = NULL;
	deferred->endpoint = endpoint;
	deferred->sending = sending;
	deferred->number = last_hold;
	deferred->is_array = is_array;
	deferred->sga = *sga;
	sending->token = 0;
	sending->deferred = deferred;
	*end = deferred;
	end = &deferred->next;
	return true;
}

void endpoint_forget_deferred(struct endpoint_sending *sending)
{
	struct endpoint_deferred **link = &first;

	if (sending->deferred == NULL)
		return;
	while (*link != sending->deferred)
		link = &(*link)->next;
	forget(link);
}

void endpoint_release(uint64_t number)
{
	if (number > released)
		released = number;
	while (first != NULL && first->number <= released) {
		struct endpoint *endpoint = first->endpoint;
		struct endpoint_sending *sending = first->sending;
		int error = endpoint->error;

		if (error == 0)
			error = demi_push(&sending->token, endpoint->qd, &first->sga);
		forget(&first);
		if (error != 0)
			endpoint_sending_failed(endpoint, sending, error);
	}
}
