/* SPDX-License-Identifier: MIT */
/*
 * What is known of destinations: by having looked for them, or by what came from there.
 *
 * The number of a queue pair may be nobody's later, which no datagram tells: while something goes there
 * and nothing comes from there, it is asked for again now and then.
 */
#include "libos/catmint/datagram.h"

/* What is known holds for so long without a sign of life, while traffic goes on. */
#define REFRESH_NS NS_PER_S
/* And after that it is not even tried. */
#define FORGET_NS (60 * NS_PER_S)

static struct destination *add(struct dgrams *dgrams, const struct destination_key *key)
{
	struct destination_table *table = &dgrams->destinations;
	struct destination *destination = destination_add(table, key);

	if (!destination) {
		destination_forget(table->oldest, 0);
		destination = destination_add(table, key);
	}
	destination_init_seek(destination, dgrams);
	return destination;
}

static struct destination *find(struct dgram_socket *socket, const struct destination_key *key)
{
	struct destination_table *table = &socket->dgrams->destinations;
	struct destination *destination = socket->recent;

	if (unlikely(!destination || !destination_has_key(destination, key))) {
		destination = destination_find(table, key);
		if (!destination)
			return NULL;
		socket->recent = destination;
	}
	destination_use(table, destination);
	return destination;
}

/* It is asked for again, while what is pushed goes where it was; after long it waits. */
static int refresh(struct destination *destination)
{
	bool is_old = destination->dgrams->mint->context->now_ns - destination->confirmed_ns >=
		      FORGET_NS;
	int error = destination_seek(destination);

	/* Without a way there just now the next push asks again. */
	if (!is_old)
		return 0;
	if (error) {
		destination_forget(destination, -error);
		return error;
	}
	handle_release(destination->dgrams, destination->handle);
	destination->handle = NULL;
	return 0;
}

int destination_get(struct dgram_socket *socket, const struct ip_address *ip, uint16_t port,
		    struct destination **destination_out)
{
	const struct destination_key key = {socket->bound, *ip, port};
	const struct catmint *mint = socket->dgrams->mint;
	struct destination *destination = find(socket, &key);
	int error = 0;

	if (likely(destination && destination->handle)) {
		if (unlikely(mint->context->now_ns - destination->confirmed_ns >= REFRESH_NS))
			error = refresh(destination);
	} else if (!destination) {
		destination = add(socket->dgrams, &key);
		error = destination_seek(destination);
		if (error)
			destination_forget(destination, -error);
		else
			socket->recent = destination;
	}
	*destination_out = destination;
	return error;
}

void destination_learn(struct dgram_socket *socket, const struct ip_address *local,
		       const struct message_datagram *header, struct ibv_wc *wc,
		       struct ibv_grh *grh)
{
	const struct destination_key key = {socket->bound, header->source, header->port};
	struct dgrams *dgrams = socket->dgrams;
	struct destination *destination = find(socket, &key);
	struct address_handle *handle;

	/* Answers go from where the question went to. */
	if (unlikely(!destination || !destination->handle ||
		     !ip_address_equal(&destination->source, local))) {
		handle = handle_find(dgrams, local, &header->source);
		if (!handle) {
			struct ibv_ah *ah = dgrams->mint->calls->create_ah_from_wc(
				dgrams->mint->pd, wc, grh, dgrams->mint->port);

			handle = ah ? handle_add(dgrams, local, &header->source, ah) : NULL;
		}
		if (!handle)
			return;
		if (!destination)
			destination = add(dgrams, &key);
		socket->recent = destination;
		destination->source = *local;
		destination_set_handle(destination, handle);
		destination->qkey = RDMA_UDP_QKEY;
	}
	destination->qpn = wc->src_qp;
	destination->takes = header->takes < dgrams->takes ? header->takes : dgrams->takes;
	if (unlikely(destination->waiting.head || destination->connects.head))
		destination_found(destination);
	destination->confirmed_ns = dgrams->mint->context->now_ns;
}
