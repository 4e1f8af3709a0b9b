/* SPDX-License-Identifier: MIT */
/*
 * Who is asked for a connection. It is accepted at once, up to the backlog, as a TCP of a kernel does: the
 * application's accept only takes it.
 */
#include <errno.h>

#include "base/log.h"
#include "libos/catmint/setup.h"

int setup_listen(struct connection *connection, int backlog)
{
	struct catmint *mint = connection->mint;
	int error = connection->id ? 0 : setup_bind_id(connection, &connection->local);

	/* Beside one that shares the port and has every address: it is there, since it was bound to. */
	if (!error && mint->calls->listen(connection->id, backlog) < 0)
		error = errno == EADDRNOTAVAIL ? -EADDRINUSE : -errno;
	return error;
}

static void refuse(struct connection *listener, struct rdma_cm_id *id, enum refusal why)
{
	struct catmint *mint = listener->mint;
	unsigned char reason = (unsigned char)why;

	mint->counters.connections_refused++;
	mint->calls->reject(id, &reason, sizeof(reason));
	mint->calls->destroy_id(id);
}

static void accept_timer(struct timer *timer, uint64_t now_ns)
{
	struct connection *connection = container_of(timer, struct connection, timer);

	(void)now_ns;
	end_bury(connection);
}

static uint8_t at_most(uint8_t count, uint8_t most)
{
	return count < most ? count : most;
}

/* The peer's device answers only so many reads at a time as it has said. */
static int accept_id(struct connection *connection, const struct rdma_conn_param *asked)
{
	struct catmint *mint = connection->mint;
	unsigned char hello[MESSAGE_HELLO_BYTES];
	struct rdma_conn_param parameters;

	setup_make_hello(connection, hello);
	parameters = setup_parameters(connection, hello);
	parameters.initiator_depth = at_most(parameters.initiator_depth, asked->initiator_depth);
	parameters.responder_resources = at_most(parameters.responder_resources,
						 asked->responder_resources);
	if (mint->calls->accept(connection->id, &parameters) < 0)
		return -errno;
	timer_init(&connection->timer, accept_timer);
	timer_arm(&mint->context->sched.timers, &connection->timer,
		  mint->context->now_ns + mint->limits.connect_timeout_ns);
	setup_count_opening(connection, true);
	return 0;
}

static struct connection *make_accepted(struct connection *listener, struct rdma_cm_id *id)
{
	struct connection *connection = connection_make(listener->mint, listener->is_v6);

	if (!connection)
		return NULL;
	connection->id = id;
	id->context = &connection->target;
	connection->state = CONNECTION_ACCEPTING;
	connection->listener = listener;
	listener->backlog_count++;
	return connection;
}

void accept_requested(struct connection *listener, const struct rdma_cm_event *event)
{
	struct catmint *mint = listener->mint;
	struct connection *connection;
	struct message_hello peer;
	enum message_hello_result result = message_hello_load(&peer, event->param.conn.private_data,
							      event->param.conn.private_data_len);

	if (result != HELLO_GOOD) {
		log_warning(
			"catmint: refused a connection of somebody who is not Catmint, or speaks "
			"another version of its protocol");
		refuse(listener, event->id,
		       result == HELLO_OTHER_VERSION ? REFUSED_VERSION : REFUSED_STRANGE);
		return;
	}
	if (mint->failure || listener->backlog_count >= listener->backlog_max ||
	    event->id->verbs != mint->verbs ||
	    mint->connection_count >= mint->limits.connections_max) {
		refuse(listener, event->id, REFUSED_BUSY);
		return;
	}
	connection = make_accepted(listener, event->id);
	if (!connection) {
		refuse(listener, event->id, REFUSED_BUSY);
		return;
	}
	if (setup_prepare(connection) < 0) {
		unsigned char reason = REFUSED_BUSY;

		mint->calls->reject(event->id, &reason, sizeof(reason));
		mint->counters.connections_refused++;
		end_bury(connection);
		return;
	}
	setup_meet(connection, &peer);
	if (accept_id(connection, &event->param.conn) < 0)
		end_bury(connection);
}

void accept_established(struct connection *connection)
{
	struct connection *listener = connection->listener;

	timer_cancel(&connection->mint->context->sched.timers, &connection->timer);
	setup_count_opening(connection, false);
	connection->mint->counters.connections_opened++;
	connection->state = CONNECTION_CONNECTED;
	connection_look(connection);
	if (!listener) {
		/* Which was closed meanwhile. */
		end_bury(connection);
		return;
	}
	connection->backlog_next = NULL;
	if (listener->backlog)
		listener->backlog_tail->backlog_next = connection;
	else
		listener->backlog = connection;
	listener->backlog_tail = connection;
	connection_accepted(listener);
}
