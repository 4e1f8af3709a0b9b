/* SPDX-License-Identifier: MIT */
/* How a descriptor ends: shutdown, close, aclose, and the cancelling of operations. */
#include <errno.h>

#include "libos/catmint/connection.h"

int connection_shutdown(struct queue *queue, int how)
{
	struct connection *connection = connection_of(queue);

	if (connection->state != CONNECTION_CONNECTED)
		return -ENOTCONN;
	if (how != SHUT_RD && !connection->write_shut) {
		connection->write_shut = true;
		connection_look(connection);
		if (!connection->error && !output_end(connection))
			connection_list_add(connection, LIST_HUNGRY);
	}
	if (how != SHUT_WR) {
		connection->read_shut = true;
		connection_look(connection);
		input_end_pops(connection);
		input_shut(connection);
	}
	return 0;
}

static void cancel_inputs(struct connection *connection)
{
	op_cancel_all(&connection->mint->context->ops, &connection->inputs);
	connection_list_remove(connection, LIST_STARVED);
	if (connection->state == CONNECTION_CONNECTING) {
		setup_abandon(connection);
		connection_complete(connection, connection->op, ECANCELED);
	}
	connection->op = NULL;
}

static void end_listener(struct connection *connection)
{
	struct connection *waiting;

	connection->mint->listeners--;
	while ((waiting = connection->backlog))
		end_bury(waiting);
	/* Those that are being accepted have nobody to go to. */
	for (struct connection *other = connection->mint->connections; other;
	     other = other->all_next)
		if (other->listener == connection)
			other->listener = NULL;
}

/* What never was a connection, or has a listener's life behind it, goes at once. */
static bool end_unconnected(struct connection *connection)
{
	if (connection->state == CONNECTION_CONNECTED)
		return false;
	if (connection->state == CONNECTION_LISTENING)
		end_listener(connection);
	setup_abandon(connection);
	return true;
}

static void close_timer(struct timer *timer, uint64_t now_ns)
{
	struct connection *connection = container_of(timer, struct connection, timer);

	(void)now_ns;
	if (connection->op)
		connection_complete(connection, connection->op, ETIMEDOUT);
	connection->op = NULL;
	end_bury(connection);
}

/* The descriptor is gone; what was pushed is still to go, and then the end. */
static void begin_close(struct connection *connection, struct op *op)
{
	struct catmint *mint = connection->mint;
	/* What nobody has read is lost: the peer is to know. */
	bool is_unread = connection->arrived != NULL;

	connection->op = op;
	connection->state = CONNECTION_CLOSING;
	connection_look(connection);
	timer_init(&connection->timer, close_timer);
	if (!op)
		timer_arm(&mint->context->sched.timers, &connection->timer,
			  mint->context->now_ns + mint->limits.close_timeout_ns);
	if (is_unread && !connection->error)
		connection_fail(connection, ECONNRESET);
	else if (!connection->error && !connection->write_shut && !output_end(connection))
		connection_list_add(connection, LIST_HUNGRY);
	connection->write_shut = true;
	if (connection->state == CONNECTION_CLOSING)
		connection_advance_close(connection);
}

void connection_advance_close(struct connection *connection)
{
	if (connection->state != CONNECTION_CLOSING)
		return;
	if (connection->op && (connection->error || output_is_idle(connection))) {
		connection_complete(connection, connection->op, connection->error);
		connection->op = NULL;
		timer_arm(&connection->mint->context->sched.timers, &connection->timer,
			  connection->mint->context->now_ns +
				  connection->mint->limits.close_timeout_ns);
	}
	/* The farewell is written when all else has been said. */
	if (connection->error || connection->is_disconnected ||
	    (output_is_idle(connection) && connection->end_received && credit_farewell(connection)))
		end_bury(connection);
}

static bool resets_at_close(const struct connection *connection)
{
	return connection->linger_s == 0;
}

void connection_close(struct queue *queue)
{
	struct connection *connection = connection_of(queue);

	if (connection->state == CONNECTION_DYING || connection->state == CONNECTION_CLOSING)
		return;
	cancel_inputs(connection);
	if (end_unconnected(connection)) {
		connection_free(connection);
		return;
	}
	if (resets_at_close(connection) || !output_detach(connection)) {
		end_bury(connection);
		return;
	}
	begin_close(connection, NULL);
}

void connection_aclose(struct queue *queue, struct op *op)
{
	struct connection *connection = connection_of(queue);
	struct catmint *mint = connection->mint;

	cancel_inputs(connection);
	if (end_unconnected(connection)) {
		connection_free(connection);
		catmint_complete(mint, op, 0);
		return;
	}
	begin_close(connection, op);
}

/* Close now, whatever the peer has. */
static void abort_close(struct connection *connection)
{
	struct op *op = connection->op;

	connection->op = NULL;
	end_bury(connection);
	connection_complete(connection, op, ECANCELED);
}

int connection_cancel(struct queue *queue, struct op *op)
{
	struct connection *connection = connection_of(queue);

	switch (op->opcode) {
	case DEMI_OPC_PUSH:
		return push_cancel_one(connection, op);
	case DEMI_OPC_CLOSE:
		abort_close(connection);
		break;
	case DEMI_OPC_CONNECT:
		setup_abandon(connection);
		connection_connected(connection, ECANCELED);
		break;
	default:
		op_list_remove(&connection->inputs, op);
		connection_complete(connection, op, ECANCELED);
	}
	return 0;
}
