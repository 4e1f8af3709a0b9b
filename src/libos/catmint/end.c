/* SPDX-License-Identifier: MIT */
/* The end of a connection, and its grave: the device gives back what it has before the memory goes. */
#include <errno.h>

#include "libos/catmint/setup.h"

void end_disconnect(struct connection *connection)
{
	struct catmint *mint = connection->mint;
	struct ibv_qp_attr attributes = {.qp_state = IBV_QPS_ERR};

	if (!connection->qp || connection->is_disconnected)
		return;
	connection->is_disconnected = true;
	if (mint->failure == 0 && connection->id)
		mint->calls->disconnect(connection->id);
	/* Which the library does, unless the peer was first. */
	mint->calls->modify_qp(connection->qp, &attributes, IBV_QP_STATE);
}

void end_disconnected(struct connection *connection)
{
	struct catmint *mint = connection->mint;

	/* What came before it is in the completion queue. */
	catmint_drain(mint);
	if (connection->state == CONNECTION_DYING)
		return;
	if (!connection->error && connection->end_received && output_is_idle(connection)) {
		/* Both had said all that they had to. */
		end_disconnect(connection);
		if (connection->state == CONNECTION_CLOSING)
			connection_advance_close(connection);
		return;
	}
	connection_fail(connection, ECONNRESET);
}

static void leave_backlog(struct connection *connection)
{
	struct connection *listener = connection->listener, *before = NULL;
	struct connection **link;

	if (!listener)
		return;
	connection->listener = NULL;
	listener->backlog_count--;
	for (link = &listener->backlog; *link; link = &(*link)->backlog_next) {
		if (*link == connection) {
			*link = connection->backlog_next;
			if (listener->backlog_tail == connection)
				listener->backlog_tail = before;
			return;
		}
		before = *link;
	}
}

void end_bury(struct connection *connection)
{
	struct catmint *mint = connection->mint;

	leave_backlog(connection);
	timer_cancel(&mint->context->sched.timers, &connection->timer);
	setup_count_opening(connection, false);
	connection->state = CONNECTION_DYING;
	if (!connection->error)
		connection->error = ECONNRESET;
	connection_look(connection);
	end_disconnect(connection);
	output_fail(connection, ECANCELED);
	connection_list_add(connection, LIST_DYING);
}

/* The last one of a queue of requests that have failed comes back when all before it have. */
static void post_last(struct connection *connection)
{
	struct send *send;

	if (connection->last_posted || !connection->posted.head ||
	    connection->mint->lasts == SEND_LASTS_MAX)
		return;
	send = send_take(connection->mint, connection);
	if (!send)
		return;
	send->kind = SEND_LAST;
	send->request.num_sge = 0;
	connection->mint->lasts++;
	connection->last_posted = true;
	connection->chain_signals = true;
	output_chain(connection, send);
	output_flush(connection);
}

static bool try_to_free(struct connection *connection)
{
	struct catmint *mint = connection->mint;

	if (connection->qp && !mint->failure)
		post_last(connection);
	catmint_drain(mint);
	if (connection->posted.head && !mint->failure)
		return false;
	output_drop_posted(connection);
	setup_abandon(connection);
	input_discard(connection);
	connection_free(connection);
	return true;
}

void end_run_dying(struct catmint *mint)
{
	struct connection *connection = connection_list_take(mint, LIST_DYING), *next;

	for (; connection; connection = next) {
		next = connection_list_next(connection, LIST_DYING);
		if (!try_to_free(connection))
			connection_list_add(connection, LIST_DYING);
	}
}
