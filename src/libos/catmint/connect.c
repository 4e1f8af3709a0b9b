/* SPDX-License-Identifier: MIT */
/* Who asks for a connection: address, route, request, and again when the peer is busy. */
#include <errno.h>

#include "base/log.h"
#include "libos/catmint/address.h"
#include "libos/catmint/setup.h"

#define RESOLVE_MS 2000 /* of an address and of a route, each */
#define REJECTED_BY_PEER \
	28 /* "consumer defined": InfiniBand Architecture Specification 1, 12.6.7.2 */
#define RETRY_NS (20000 * NS_PER_US)

void connect_give_up(struct connection *connection, int error)
{
	setup_abandon(connection);
	if (connection->state == CONNECTION_CONNECTING)
		connection_connected(connection, error);
}

static int start_connect(struct connection *connection)
{
	struct catmint *mint = connection->mint;
	struct sockaddr *source = NULL;
	int error = 0;

	if (!connection->id)
		error = connection->is_bound ? setup_bind_id(connection, &connection->local)
					     : setup_create_id(connection);
	if (error)
		return error;
	if (!connection->is_bound && mint->source.ss_family == connection->destination.ss_family)
		source = (struct sockaddr *)&mint->source;
	if (mint->calls->resolve_addr(connection->id, source,
				      (struct sockaddr *)&connection->destination,
				      RESOLVE_MS) < 0) {
		error = -address_errno(errno);
		setup_abandon(connection);
		return error;
	}
	setup_count_opening(connection, true);
	return 0;
}

/* The time is up; or, before, the moment to try again. */
static void connect_timer(struct timer *timer, uint64_t now_ns)
{
	struct connection *connection = container_of(timer, struct connection, timer);
	int error;

	if (now_ns >= connection->deadline_ns) {
		connect_give_up(connection, ETIMEDOUT);
		return;
	}
	error = start_connect(connection);
	if (error)
		connect_give_up(connection, -error);
	else
		timer_arm(&connection->mint->context->sched.timers, timer, connection->deadline_ns);
}

int setup_connect(struct connection *connection, const struct ip_address *ip, uint16_t port)
{
	struct catmint *mint = connection->mint;
	int error;

	to_sockaddr(&connection->destination, ip, port);
	error = start_connect(connection);
	if (error)
		return error;
	connection->deadline_ns = mint->context->now_ns + mint->limits.connect_timeout_ns;
	timer_init(&connection->timer, connect_timer);
	timer_arm(&mint->context->sched.timers, &connection->timer, connection->deadline_ns);
	return 0;
}

void connect_address_resolved(struct connection *connection)
{
	const struct catmint *mint = connection->mint;

	if (connection->id->verbs != mint->verbs) {
		log_info("catmint: the way to this address is not through %s",
			 mint->verbs->device->name);
		connect_give_up(connection, ENETUNREACH);
	} else if (mint->calls->resolve_route(connection->id, RESOLVE_MS) < 0) {
		connect_give_up(connection, address_errno(errno));
	}
}

void connect_route_resolved(struct connection *connection)
{
	unsigned char hello[MESSAGE_HELLO_BYTES];
	struct rdma_conn_param parameters;
	int error = setup_prepare(connection);

	if (error) {
		connect_give_up(connection, -error);
		return;
	}
	setup_make_hello(connection, hello);
	parameters = setup_parameters(connection, hello);
	if (connection->mint->calls->connect(connection->id, &parameters) < 0)
		connect_give_up(connection, errno);
}

void connect_established(struct connection *connection, const struct rdma_cm_event *event)
{
	struct message_hello peer;

	if (message_hello_load(&peer, event->param.conn.private_data,
			       event->param.conn.private_data_len) != HELLO_GOOD) {
		log_error(
			"catmint: the peer is not Catmint, or speaks another version of its protocol");
		connect_give_up(connection, EPROTO);
		return;
	}
	timer_cancel(&connection->mint->context->sched.timers, &connection->timer);
	setup_count_opening(connection, false);
	setup_meet(connection, &peer);
	connection->mint->counters.connections_opened++;
	connection_connected(connection, 0);
	if (connection->mint->failure)
		connection_fail(connection, -connection->mint->failure);
}

/* The peer's kernel has nobody there; or its Catmint has no room, and then it is worth another try. */
void connect_rejected(struct connection *connection, const struct rdma_cm_event *event)
{
	const unsigned char *data = event->param.conn.private_data;
	struct catmint *mint = connection->mint;
	uint8_t why = event->status == REJECTED_BY_PEER && data &&
				      event->param.conn.private_data_len > 0
			      ? data[0]
			      : 0;

	if (why == REFUSED_BUSY) {
		setup_abandon(connection);
		setup_count_opening(connection, true);
		timer_arm(&mint->context->sched.timers, &connection->timer,
			  mint->context->now_ns + RETRY_NS < connection->deadline_ns
				  ? mint->context->now_ns + RETRY_NS
				  : connection->deadline_ns);
		return;
	}
	if (why == REFUSED_VERSION)
		log_error("catmint: the peer speaks another version of Catmint's protocol");
	connect_give_up(connection, why == REFUSED_VERSION ? EPROTO : ECONNREFUSED);
}
