/* SPDX-License-Identifier: MIT */
/* Datagrams that wait until their destination is known: so many for each, the oldest go first. */
#include <errno.h>

#include "libos/catmint/datagram.h"

struct send *destination_take_waiting(struct destination *destination)
{
	struct send *send = send_list_take(&destination->waiting);

	if (send) {
		destination->waiting_count--;
		send->pair->sought_count--;
	}
	return send;
}

static void put_waiting(struct destination *destination, struct send *send)
{
	send_list_append(&destination->waiting, send);
	destination->waiting_count++;
	send->pair->sought_count++;
}

static void drop(struct destination *destination, struct send *send, int error)
{
	destination->dgrams->mint->counters.datagrams_dropped++;
	dgram_pair_drop(send, error);
}

void destination_wait(struct destination *destination, struct send *send)
{
	if (destination->waiting_count >= destination->dgrams->mint->limits.datagrams_waiting)
		drop(destination, destination_take_waiting(destination), 0);
	put_waiting(destination, send);
}

void destination_drop_all(struct destination *destination, int error)
{
	struct send *send;

	while ((send = destination_take_waiting(destination)))
		drop(destination, send, error);
}

/* Each once round: those that stay come behind the others again, in their order. */
static void drop_waiting_of(struct destination *destination, const struct dgram_pair *pair,
			    int error, bool drops_all)
{
	for (uint32_t count = destination->waiting_count; count > 0; count--) {
		struct send *send = destination_take_waiting(destination);

		if (send->pair == pair && (drops_all || send->op))
			drop(destination, send, error);
		else
			put_waiting(destination, send);
	}
}

void destination_drop_waiting(struct dgrams *dgrams, const struct dgram_pair *pair, int error,
			      bool drops_all)
{
	if (pair->sought_count == 0)
		return;
	for (struct destination *destination = dgrams->seeking; destination;
	     destination = destination->seeking_next)
		drop_waiting_of(destination, pair, error, drops_all);
}

bool destination_cancel(struct destination *destination, struct send *wanted)
{
	bool is_there = false;

	for (uint32_t count = destination->waiting_count; count > 0; count--) {
		struct send *send = destination_take_waiting(destination);

		if (send == wanted)
			is_there = true;
		else
			put_waiting(destination, send);
	}
	if (is_there)
		dgram_pair_drop(wanted, ECANCELED);
	return is_there;
}
