/* SPDX-License-Identifier: MIT */
/* The life of a connection as a queue: bind, listen, accept, connect, shut down, close. */
#include "libos/catmint/connection.h"

#include <errno.h>
#include <stdlib.h>

#include "libos/catmint/option.h"
#include "libos/catmint/setup.h"
#include "libos/catnip/sockaddr.h"

#define BACKLOG_MAX 4096 /* as net.core.somaxconn is by default */

static const struct queue_ops connection_ops;

/* --- what it can --- */

void connection_look(struct connection *connection)
{
	bool is_up = connection->state == CONNECTION_CONNECTED && !connection->error;

	connection->can_push = is_up && !connection->write_shut;
	connection->can_pop = is_up && !connection->read_shut && !connection->end_received;
}

/* --- lists --- */

void connection_list_add(struct connection *connection, enum connection_list list)
{
	struct catmint *mint = connection->mint;

	if (connection->listed & 1u << list)
		return;
	connection->listed |= (uint8_t)(1u << list);
	connection->list_next[list] = mint->lists[list];
	mint->lists[list] = connection;
	mint->busy |= 1u << list;
}

void connection_list_remove(struct connection *connection, enum connection_list list)
{
	struct connection **link = &connection->mint->lists[list];

	if (!(connection->listed & 1u << list))
		return;
	while (*link != connection)
		link = &(*link)->list_next[list];
	*link = connection->list_next[list];
	connection->listed &= (uint8_t) ~(1u << list);
	if (!connection->mint->lists[list])
		connection->mint->busy &= ~(1u << list);
}

struct connection *connection_list_take(struct catmint *mint, enum connection_list list)
{
	struct connection *first = mint->lists[list];

	mint->lists[list] = NULL;
	mint->busy &= ~(1u << list);
	return first;
}

struct connection *connection_list_next(struct connection *connection, enum connection_list list)
{
	connection->listed &= (uint8_t) ~(1u << list);
	return connection->list_next[list];
}

/* --- birth and death --- */

static void set_share(struct catmint *mint)
{
	const struct catmint_limits *limits = &mint->limits;
	uint32_t share = limits->receive_buffers /
			 (mint->connection_count ? mint->connection_count : 1);

	if (share > limits->credits_max)
		share = limits->credits_max;
	mint->share = share > limits->credits_min ? share : limits->credits_min;
}

struct connection *connection_make(struct catmint *mint, bool is_v6)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection)
		return NULL;
	connection->queue = (struct queue){.ops = &connection_ops, .qd = -1};
	connection->mint = mint;
	connection->target.handle = setup_handle;
	connection->is_v6 = is_v6;
	connection->linger_s = -1;
	option_init(&connection->options);
	connection->all_next = mint->connections;
	connection->all_link = &mint->connections;
	if (mint->connections)
		mint->connections->all_link = &connection->all_next;
	mint->connections = connection;
	mint->connection_count++;
	set_share(mint);
	catmint_start_probes(mint);
	return connection;
}

void connection_free(struct connection *connection)
{
	struct catmint *mint = connection->mint;

	for (int list = 0; list < CONNECTION_LISTS; list++)
		connection_list_remove(connection, (enum connection_list)list);
	*connection->all_link = connection->all_next;
	if (connection->all_next)
		connection->all_next->all_link = connection->all_link;
	mint->connection_count--;
	set_share(mint);
	free(connection);
}

int connection_create(struct catmint *mint, struct queue **queue_out, bool is_v6)
{
	struct connection *connection;

	if (mint->failure)
		return mint->failure;
	if (mint->connection_count >= mint->limits.connections_max)
		return -ENOBUFS;
	connection = connection_make(mint, is_v6);
	if (!connection)
		return -ENOMEM;
	*queue_out = &connection->queue;
	return 0;
}

/* --- failure --- */

/* Each has all that the other has sent. */
static void end_well(struct connection *connection)
{
	end_disconnect(connection);
	output_finish(connection);
	if (connection->state == CONNECTION_CLOSING)
		connection_advance_close(connection);
}

void connection_fail(struct connection *connection, int error)
{
	struct catmint *mint = connection->mint;

	if (connection->error || connection->state == CONNECTION_DYING)
		return;
	/* Nobody has it yet. */
	if (connection->state == CONNECTION_ACCEPTING)
		end_bury(connection);
	if (connection->state != CONNECTION_CONNECTED && connection->state != CONNECTION_CLOSING)
		return;
	if (connection->end_received && output_farewell(connection)) {
		end_well(connection);
		return;
	}
	connection->error = (uint16_t)error;
	connection->untold_error = (uint16_t)error;
	connection_look(connection);
	mint->counters.connections_failed++;
	end_disconnect(connection);
	output_fail(connection, error);
	if (connection->reads == 0)
		input_discard_unread(connection);
	input_end_pops(connection);
	if (connection->state == CONNECTION_CLOSING)
		connection_advance_close(connection);
}

/* Nobody will be accepted any more. */
static void fail_accepts(struct connection *listener, int error)
{
	struct op *op;

	while ((op = op_list_take(&listener->inputs)))
		connection_complete(listener, op, error);
}

/* Of those that we accept nobody has heard yet. */
void connection_fail_all(struct catmint *mint, int error)
{
	for (struct connection *connection = mint->connections, *next; connection;
	     connection = next) {
		next = connection->all_next;
		if (connection->state == CONNECTION_LISTENING)
			fail_accepts(connection, error);
		else if (connection->state == CONNECTION_CONNECTING)
			connect_give_up(connection, error);
		else
			connection_fail(connection, error);
	}
}

/* --- addresses --- */

static int load_address(const struct connection *connection, const struct sockaddr *address,
			socklen_t length, struct ip_address *ip, uint16_t *port)
{
	int error = sockaddr_load(address, length, connection->is_v6, ip, port);

	if (!error && connection->is_v6 && connection->v6_only && ip_address_is_v4(ip))
		error = -EINVAL;
	return error;
}

static int connection_bind(struct queue *queue, const struct sockaddr *address, socklen_t length)
{
	struct connection *connection = connection_of(queue);
	struct ip_address ip;
	uint16_t port;
	int error = load_address(connection, address, length, &ip, &port);

	if (error)
		return error;
	if (connection->state != CONNECTION_OPEN || connection->is_bound)
		return -EINVAL;
	if (connection->mint->failure)
		return connection->mint->failure;
	return setup_bind(connection, &ip, port);
}

static int connection_local_address(struct queue *queue, struct sockaddr *address,
				    socklen_t *length)
{
	const struct connection *connection = connection_of(queue);
	struct ip_address ip;
	uint16_t port;

	if (setup_local_address(connection, &ip, &port) < 0) {
		ip = connection->is_v6 ? ip_address_v6_halves(0, 0) : ip_address_v4(INADDR_ANY);
		port = 0;
	}
	sockaddr_store(address, length, connection->is_v6, &ip, port);
	return 0;
}

static int connection_peer_address(struct queue *queue, struct sockaddr *address, socklen_t *length)
{
	const struct connection *connection = connection_of(queue);
	struct ip_address ip;
	uint16_t port;

	if (connection->state != CONNECTION_CONNECTED ||
	    setup_peer_address(connection, &ip, &port) < 0)
		return -ENOTCONN;
	sockaddr_store(address, length, connection->is_v6, &ip, port);
	return 0;
}

/* --- accept --- */

static int connection_listen(struct queue *queue, int backlog)
{
	struct connection *connection = connection_of(queue);
	int error;

	if (connection->state == CONNECTION_LISTENING)
		return -EADDRINUSE;
	if (connection->state != CONNECTION_OPEN)
		return -EISCONN;
	if (backlog < 1)
		backlog = 1;
	if (backlog > BACKLOG_MAX)
		backlog = BACKLOG_MAX;
	connection->backlog_max = (uint32_t)backlog;
	if (!connection->is_bound)
		return -EDESTADDRREQ;
	error = connection->mint->failure;
	if (!error)
		error = setup_listen(connection, backlog);
	if (!error) {
		connection->state = CONNECTION_LISTENING;
		connection->mint->listeners++;
	}
	return error;
}

/* Take the connection that waits; its descriptor, or -errno, and then it waits on. */
static int accept_one(struct connection *listener)
{
	struct queue_table *queues = &listener->mint->context->queues;
	struct connection *connection = listener->backlog;

	if (!connection)
		return -EAGAIN;
	if (queue_table_is_full(queues))
		return -EMFILE;
	listener->backlog = connection->backlog_next;
	listener->backlog_count--;
	connection->listener = NULL;
	queue_table_add(queues, &connection->queue);
	return connection->queue.qd;
}

/* One accept; false: there is nothing to be done any more now. */
static bool serve_accept(struct connection *listener)
{
	int qd = accept_one(listener);
	struct op *op;

	if (qd == -EAGAIN)
		return false;
	op = op_list_take(&listener->inputs);
	op->result.accepted_qd = qd;
	connection_complete(listener, op, qd < 0 ? -qd : 0);
	/* Out of descriptors: one is told, who may make room for the others. */
	if (qd < 0 && listener->inputs.head)
		connection_list_add(listener, LIST_STARVED);
	return qd >= 0;
}

void connection_accepted(struct connection *listener)
{
	while (listener->inputs.head && serve_accept(listener))
		;
}

void connection_retry_accepts(struct catmint *mint)
{
	struct connection *listener = connection_list_take(mint, LIST_STARVED), *next;

	for (; listener; listener = next) {
		next = connection_list_next(listener, LIST_STARVED);
		connection_accepted(listener);
	}
}

static int connection_accept(struct queue *queue, struct op *op)
{
	struct connection *connection = connection_of(queue);

	if (connection->state != CONNECTION_LISTENING)
		return -EINVAL;
	if (connection->mint->failure) {
		connection_complete(connection, op, -connection->mint->failure);
		return 0;
	}
	op_list_append(&connection->inputs, op);
	connection_accepted(connection);
	return 0;
}

/* --- connect --- */

static int check_connect(const struct connection *connection)
{
	switch (connection->state) {
	case CONNECTION_LISTENING:
		return -EOPNOTSUPP;
	case CONNECTION_CONNECTING:
		return -EINPROGRESS;
	case CONNECTION_CONNECTED:
		return -EISCONN;
	default:
		return 0;
	}
}

/* No address at all means ourselves, as of a kernel's sockets; which of ours, only the route tells. */
static int load_peer(const struct connection *connection, const struct sockaddr *address,
		     socklen_t length, struct ip_address *ip, uint16_t *port)
{
	int error = sockaddr_load(address, length, connection->is_v6, ip, port);

	if (error)
		return error;
	if (connection->is_v6 && connection->v6_only && ip_address_is_v4(ip))
		return -ENETUNREACH;
	if (*port == 0)
		return -ECONNREFUSED;
	return 0;
}

static int connection_connect(struct queue *queue, struct op *op, const struct sockaddr *address,
			      socklen_t length)
{
	struct connection *connection = connection_of(queue);
	struct ip_address ip;
	uint16_t port;
	int error = load_peer(connection, address, length, &ip, &port);

	if (error == -EINVAL || error == -EAFNOSUPPORT)
		return error;
	if (check_connect(connection))
		return check_connect(connection);
	if (!error)
		error = connection->mint->failure;
	if (!error)
		error = setup_connect(connection, &ip, port);
	if (error) {
		connection->untold_error = (uint16_t)-error;
		connection_complete(connection, op, -error);
		return 0;
	}
	connection->state = CONNECTION_CONNECTING;
	connection->op = op;
	return 0;
}

void connection_connected(struct connection *connection, int error)
{
	struct op *op = connection->op;

	connection->state = error ? CONNECTION_OPEN : CONNECTION_CONNECTED;
	if (error != ECANCELED)
		connection->untold_error = (uint16_t)error;
	connection_look(connection);
	connection->op = NULL;
	connection_complete(connection, op, error);
}

static const struct queue_ops connection_ops = {
	.close = connection_close,
	.aclose = connection_aclose,
	.bind = connection_bind,
	.listen = connection_listen,
	.accept = connection_accept,
	.connect = connection_connect,
	.shutdown = connection_shutdown,
	.push = push_array,
	.pop = input_pop,
	.cancel = connection_cancel,
	.set_option = connection_set_option,
	.get_option = connection_get_option,
	.get_local_address = connection_local_address,
	.get_peer_address = connection_peer_address,
};
