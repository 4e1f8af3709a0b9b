/* SPDX-License-Identifier: MIT */
/*
 * How a peer's queue pair is found: the connection manager resolves the address, and asks who listens
 * to the port (service ID resolution, InfiniBand Architecture Specification 1, 12.11).
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "libos/catmint/address.h"
#include "libos/catmint/datagram.h"

#define TRIES 3u
#define TRY_NS NS_PER_S
#define TRY_MS 1000
/* An address handle may lead to hardware that has left. */
#define HANDLE_NS (10 * NS_PER_S)

static struct catmint *mint_of(const struct destination *destination)
{
	return destination->dgrams->mint;
}

/* --- the end of it --- */

static void end_connects(struct destination *destination, int error)
{
	bool is_known = !ip_address_is_unspecified(&destination->source);
	struct op *op;

	while ((op = op_list_take(&destination->connects)))
		dgram_connected(dgram_socket_of(op->queue), is_known ? &destination->source : NULL,
				error);
}

/* --- looking --- */

static void drop_id(struct destination *destination)
{
	if (!destination->id)
		return;
	mint_of(destination)->calls->destroy_id(destination->id);
	destination->id = NULL;
}

static void stop_seeking(struct destination *destination)
{
	struct catmint *mint = mint_of(destination);

	drop_id(destination);
	timer_cancel(&mint->context->sched.timers, &destination->timer);
	if (!destination->seeking_link)
		return;
	*destination->seeking_link = destination->seeking_next;
	if (destination->seeking_next)
		destination->seeking_next->seeking_link = destination->seeking_link;
	destination->seeking_link = NULL;
	mint->opening--;
}

void destination_forget(struct destination *destination, int error)
{
	struct dgrams *dgrams = destination->dgrams;

	stop_seeking(destination);
	end_connects(destination, error);
	destination_drop_all(destination, error);
	if (destination->handle)
		handle_release(dgrams, destination->handle);
	destination_remove(&dgrams->destinations, destination);
}

/* As an ICMP message that says so: sockets that are connected to it are told. */
static void tell_sockets(const struct destination *destination, int error)
{
	const struct destination_key *key = &destination->key;
	struct dgram_socket *socket = destination->dgrams->sockets, *next;

	for (; socket; socket = next) {
		next = socket->next;
		if (socket->peer_port == key->port &&
		    ip_address_equal(&socket->peer, &key->remote) &&
		    ip_address_equal(&socket->bound, &key->local))
			dgram_tell_error(socket, error);
	}
}

/* Nobody is there: what waits has gone, as far as its senders know. */
static void refused(struct destination *destination)
{
	mint_of(destination)->counters.datagrams_refused++;
	tell_sockets(destination, ECONNREFUSED);
	destination_forget(destination, 0);
}

static void unreachable(struct destination *destination, int error)
{
	tell_sockets(destination, error);
	destination_forget(destination, error);
}

/* A program that is slow to answer may get what goes to it all the same. */
static void no_answer(struct destination *destination)
{
	if (destination->handle) {
		stop_seeking(destination);
		return;
	}
	/* As of a kernel's socket, a connect promises nothing. */
	end_connects(destination, 0);
	if (destination->is_reachable)
		destination_forget(destination, 0);
	else
		unreachable(destination, EHOSTUNREACH);
}

/* 0 or -errno: there is no way to it */
static int begin(struct destination *destination)
{
	struct catmint *mint = mint_of(destination);
	struct sockaddr_storage source, to;
	struct sockaddr *from = NULL;

	to_sockaddr(&to, &destination->key.remote, destination->key.port);
	to_sockaddr(&source, &destination->key.local, 0);
	if (!ip_address_is_unspecified(&destination->key.local))
		from = (struct sockaddr *)&source;
	else if (mint->source.ss_family == to.ss_family)
		from = (struct sockaddr *)&mint->source;
	if (mint->calls->create_id(mint->events, &destination->id, &destination->target,
				   RDMA_PS_UDP) < 0) {
		destination->id = NULL;
		return -errno;
	}
	if (mint->calls->resolve_addr(destination->id, from, (struct sockaddr *)&to, TRY_MS) < 0) {
		int error = -address_errno(errno);

		drop_id(destination);
		return error;
	}
	mint->counters.datagram_resolutions++;
	mint->events_at_ns = 0;
	return 0;
}

static void seek_timer(struct timer *timer, uint64_t now_ns)
{
	struct destination *destination = container_of(timer, struct destination, timer);
	int error;

	drop_id(destination);
	if (++destination->tries >= TRIES) {
		no_answer(destination);
		return;
	}
	error = begin(destination);
	if (error)
		unreachable(destination, -error);
	else
		timer_arm(&mint_of(destination)->context->sched.timers, timer, now_ns + TRY_NS);
}

int destination_seek(struct destination *destination)
{
	struct catmint *mint = mint_of(destination);
	struct dgrams *dgrams = destination->dgrams;
	int error;

	if (destination->seeking_link)
		return 0;
	error = begin(destination);
	if (error)
		return error;
	destination->tries = 0;
	destination->seeking_next = dgrams->seeking;
	destination->seeking_link = &dgrams->seeking;
	if (dgrams->seeking)
		dgrams->seeking->seeking_link = &destination->seeking_next;
	dgrams->seeking = destination;
	mint->opening++;
	timer_arm(&mint->context->sched.timers, &destination->timer,
		  mint->context->now_ns + TRY_NS);
	return 0;
}

/* --- found --- */

void destination_found(struct destination *destination)
{
	struct send *send;

	destination->confirmed_ns = mint_of(destination)->context->now_ns;
	stop_seeking(destination);
	end_connects(destination, 0);
	while ((send = destination_take_waiting(destination))) {
		struct dgram_pair *pair = send->pair;

		dgram_dispatch(destination, send);
		dgram_pair_flush(pair);
	}
}

void destination_set_handle(struct destination *destination, struct address_handle *handle)
{
	struct address_handle *before = destination->handle;

	destination->handle = handle_hold(handle);
	if (before)
		handle_release(destination->dgrams, before);
}

static bool find_handle(struct destination *destination, struct ibv_ah_attr *attributes)
{
	struct dgrams *dgrams = destination->dgrams;
	const struct catmint *mint = dgrams->mint;
	struct address_handle *handle = handle_find(dgrams, &destination->source,
						    &destination->key.remote);
	struct ibv_ah *ah;

	if (!handle || mint->context->now_ns - handle->made_ns >= HANDLE_NS) {
		ah = mint->calls->create_ah(mint->pd, attributes);
		handle = ah ? handle_add(dgrams, &destination->source, &destination->key.remote, ah)
			    : NULL;
	}
	if (handle)
		destination_set_handle(destination, handle);
	return handle != NULL;
}

static void established(struct destination *destination, const struct rdma_cm_event *event)
{
	struct rdma_ud_param ud = event->param.ud;
	uint32_t takes;

	if (message_seek_load(&takes, ud.private_data, ud.private_data_len) != HELLO_GOOD) {
		log_warning("catmint: who has that port takes no datagrams of Catmint, or speaks "
			    "another version of its protocol");
		refused(destination);
		return;
	}
	if (!find_handle(destination, &ud.ah_attr)) {
		unreachable(destination, EHOSTUNREACH);
		return;
	}
	destination->qpn = ud.qp_num;
	destination->qkey = ud.qkey;
	destination->takes = takes < destination->dgrams->takes ? takes
								: destination->dgrams->takes;
	destination_found(destination);
}

static void address_resolved(struct destination *destination)
{
	const struct catmint *mint = mint_of(destination);
	uint16_t port;

	if (destination->id->verbs != mint->verbs) {
		log_info("catmint: the way to this address is not through %s",
			 mint->verbs->device->name);
		unreachable(destination, ENETUNREACH);
		return;
	}
	destination->is_reachable = true;
	from_sockaddr(rdma_get_local_addr(destination->id), &destination->source, &port);
	end_connects(destination, 0);
	if (mint->calls->resolve_route(destination->id, TRY_MS) < 0)
		unreachable(destination, address_errno(errno));
}

static void route_resolved(struct destination *destination)
{
	const struct catmint *mint = mint_of(destination);
	unsigned char question[MESSAGE_SEEK_BYTES];
	struct rdma_conn_param parameters = {
		.private_data = question,
		.private_data_len = sizeof(question),
	};

	message_seek_store(question, destination->dgrams->takes);
	if (mint->calls->connect(destination->id, &parameters) < 0)
		unreachable(destination, EHOSTUNREACH);
}

static void no_way(struct destination *destination, int status)
{
	int error = address_errno(status);

	if (address_is_unreachable(error))
		unreachable(destination, error);
}

/* What has no answer the timer tries again. */
static void handle_event(struct cm_target *target, const struct rdma_cm_event *event)
{
	struct destination *destination = container_of(target, struct destination, target);

	switch (event->event) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
		address_resolved(destination);
		break;
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		route_resolved(destination);
		break;
	case RDMA_CM_EVENT_ADDR_ERROR:
	case RDMA_CM_EVENT_ROUTE_ERROR:
		no_way(destination, event->status);
		break;
	case RDMA_CM_EVENT_ESTABLISHED:
		established(destination, event);
		break;
	case RDMA_CM_EVENT_REJECTED:
		refused(destination);
		break;
	case RDMA_CM_EVENT_UNREACHABLE:
		/* A status of the peer's, or no answer. */
		if (event->status > 0)
			refused(destination);
		break;
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
		unreachable(destination, ENODEV);
		break;
	default:
		break;
	}
}

void destination_init_seek(struct destination *destination, struct dgrams *dgrams)
{
	destination->dgrams = dgrams;
	destination->target.handle = handle_event;
	timer_init(&destination->timer, seek_timer);
}
