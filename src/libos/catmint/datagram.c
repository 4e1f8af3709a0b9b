/* SPDX-License-Identifier: MIT */
/* The life of a datagram socket as a queue. */
#include "libos/catmint/datagram.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "libos/catmint/device.h"
#include "libos/catnip/sockaddr.h"

static const struct queue_ops dgram_ops;

/* --- birth and death --- */

int dgram_create(struct catmint *mint, struct queue **queue_out, bool is_v6)
{
	struct dgrams *dgrams;
	struct dgram_socket *socket;
	int error = mint->failure;

	if (!error)
		error = dgrams_get(mint, &dgrams);
	if (error)
		return error;
	socket = calloc(1, sizeof(*socket));
	if (!socket)
		return -ENOMEM;
	socket->queue = (struct queue){.ops = &dgram_ops, .qd = -1, .takes_empty = true};
	socket->dgrams = dgrams;
	socket->is_v6 = is_v6;
	socket->users = 1;
	dgram_option_init(socket);
	socket->next = dgrams->sockets;
	socket->link = &dgrams->sockets;
	if (dgrams->sockets)
		dgrams->sockets->link = &socket->next;
	dgrams->sockets = socket;
	*queue_out = &socket->queue;
	return 0;
}

static void destroy(struct dgram_socket *socket)
{
	struct op *op = socket->close_op;

	dgram_unbind(socket);
	*socket->link = socket->next;
	if (socket->next)
		socket->next->link = socket->link;
	if (op)
		dgram_complete(socket, op, 0);
	free(socket);
}

void dgram_release(struct dgram_socket *socket)
{
	if (--socket->users == 0)
		destroy(socket);
}

/* --- errors --- */

int dgram_take_error(struct dgram_socket *socket)
{
	int error = socket->error;

	socket->error = 0;
	return error;
}

void dgram_tell_error(struct dgram_socket *socket, int error)
{
	struct op *op = op_list_take(&socket->pops);

	if (op)
		dgram_complete(socket, op, error);
	else
		socket->error = error;
}

void dgram_pushed(struct dgram_socket *socket, struct op *op, int error)
{
	dgram_complete(socket, op, error);
	dgram_release(socket);
}

void dgram_broke(struct dgram_socket *socket)
{
	struct dgram_pair *pair = socket->pair;

	/* Or the whole device has. */
	if (socket->dgrams->mint->failure || device_look(socket->dgrams->mint))
		return;
	log_warning("catmint: the queue pair of a datagram socket has failed; it gets another one");
	socket->users++;
	socket->pair = NULL;
	dgram_pair_bury(pair, EIO, true);
	/* If there is no room for one now, the next push tries again. */
	if (!socket->close_op && dgram_pair_create(socket, socket->port, &socket->pair) < 0)
		dgram_tell_error(socket, EIO);
	dgram_release(socket);
}

/* --- addresses --- */

static int dgram_bind(struct queue *queue, const struct sockaddr *address, socklen_t length)
{
	struct dgram_socket *socket = dgram_socket_of(queue);
	struct ip_address ip;
	uint16_t port;
	int error = sockaddr_load(address, length, socket->is_v6, &ip, &port);

	if (error)
		return error;
	if (socket->is_v6 && socket->v6_only && ip_address_is_v4(&ip))
		return -EINVAL;
	if (socket->port)
		return -EINVAL;
	if (socket->dgrams->mint->failure)
		return socket->dgrams->mint->failure;
	if (ip_address_is_multicast(&ip) || ip_address_is_broadcast(&ip))
		return -EADDRNOTAVAIL;
	return dgram_bind_to(socket, &ip, port);
}

static int dgram_local_address(struct queue *queue, struct sockaddr *address, socklen_t *length)
{
	const struct dgram_socket *socket = dgram_socket_of(queue);

	sockaddr_store(address, length, socket->is_v6, &socket->local, socket->port);
	return 0;
}

static int dgram_peer_address(struct queue *queue, struct sockaddr *address, socklen_t *length)
{
	const struct dgram_socket *socket = dgram_socket_of(queue);

	if (!socket->peer_port)
		return -ENOTCONN;
	sockaddr_store(address, length, socket->is_v6, &socket->peer, socket->peer_port);
	return 0;
}

/* --- connect --- */

void dgram_connected(struct dgram_socket *socket, const struct ip_address *local, int error)
{
	struct op *op = socket->connect_op;

	socket->connect_op = NULL;
	socket->connecting = NULL;
	if (!error) {
		socket->peer = socket->connect_ip;
		socket->peer_port = socket->connect_port;
		if (local)
			socket->local = *local;
	}
	dgram_complete(socket, op, error);
}

/* Nobody is asked for anything, but by which address of ours the way goes: so it takes a moment. */
static int dgram_connect(struct queue *queue, struct op *op, const struct sockaddr *address,
			 socklen_t length)
{
	struct dgram_socket *socket = dgram_socket_of(queue);
	struct destination *destination = NULL;
	int error = dgram_load_peer(socket, address, length, &socket->connect_ip,
				    &socket->connect_port);

	if (error == -EINVAL || error == -EAFNOSUPPORT)
		return error;
	if (socket->connect_op)
		return -EINPROGRESS;
	if (!error)
		error = dgram_ready(socket);
	if (!error)
		error = destination_get(socket, &socket->connect_ip, socket->connect_port,
					&destination);
	if (error) {
		dgram_complete(socket, op, -error);
		return 0;
	}
	socket->connect_op = op;
	socket->connecting = destination;
	if (!ip_address_is_unspecified(&destination->source))
		dgram_connected(socket, &destination->source, 0);
	else
		op_list_append(&destination->connects, op);
	return 0;
}

static void cancel_connect(struct dgram_socket *socket)
{
	if (!socket->connect_op)
		return;
	op_list_remove(&socket->connecting->connects, socket->connect_op);
	dgram_connected(socket, NULL, ECANCELED);
}

/* --- close --- */

static void let_go(struct dgram_socket *socket)
{
	cancel_connect(socket);
	op_cancel_all(&socket->dgrams->mint->context->ops, &socket->pops);
	dgram_discard(socket);
}

static void dgram_close(struct queue *queue)
{
	struct dgram_socket *socket = dgram_socket_of(queue);

	let_go(socket);
	dgram_unbind(socket);
	dgram_release(socket);
}

/* When all that was pushed has gone. */
static void dgram_aclose(struct queue *queue, struct op *op)
{
	struct dgram_socket *socket = dgram_socket_of(queue);

	let_go(socket);
	dgram_unlisten(socket);
	socket->close_op = op;
	dgram_release(socket);
}

static int dgram_cancel(struct queue *queue, struct op *op)
{
	struct dgram_socket *socket = dgram_socket_of(queue);

	switch (op->opcode) {
	case DEMI_OPC_PUSH:
		return dgram_cancel_push(socket, op);
	case DEMI_OPC_CONNECT:
		cancel_connect(socket);
		break;
	case DEMI_OPC_CLOSE:
		socket->close_op = NULL;
		dgram_complete(socket, op, ECANCELED);
		/* Its pushes are what it waits for. */
		dgram_unbind(socket);
		break;
	default:
		op_list_remove(&socket->pops, op);
		dgram_complete(socket, op, ECANCELED);
	}
	return 0;
}

static const struct queue_ops dgram_ops = {
	.close = dgram_close,
	.aclose = dgram_aclose,
	.bind = dgram_bind,
	.connect = dgram_connect,
	.push = dgram_push,
	.pop = dgram_pop,
	.cancel = dgram_cancel,
	.set_option = dgram_set_option,
	.get_option = dgram_get_option,
	.get_local_address = dgram_local_address,
	.get_peer_address = dgram_peer_address,
};
