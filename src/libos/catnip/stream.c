/* SPDX-License-Identifier: MIT */
/* The life of a stream: bind, listen, accept, connect, shut down, close. */
#include "libos/catnip/stream.h"

#include <errno.h>

#include "libos/catnip/sockaddr.h"

static const struct queue_ops stream_ops;
static const struct tcp_events stream_events;

static struct op_table *ops_of(const struct stream *stream)
{
	return &stream->catnip->context->ops;
}

static bool is_v6(const struct stream *stream)
{
	return tcp_settings(stream->conn)->is_v6;
}

static struct stream *make(struct catnip *catnip)
{
	struct stream *stream = stream_alloc(catnip);

	if (stream)
		stream->queue.ops = &stream_ops;
	return stream;
}

int stream_create(struct catnip *catnip, struct queue **queue_out, bool v6)
{
	struct stream *stream = make(catnip);
	int error;

	if (!stream)
		return -ENOMEM;
	error = tcp_open(&stream->conn, catnip->net, &stream_events, stream, v6);
	if (error) {
		stream_free(stream);
		return error;
	}
	*queue_out = &stream->queue;
	return 0;
}

/* --- addresses --- */

static int stream_bind(struct queue *queue, const struct sockaddr *address, socklen_t length)
{
	struct stream *stream = stream_of(queue);
	struct ip_address ip;
	uint16_t port;
	int error = sockaddr_load(address, length, is_v6(stream), &ip, &port);

	if (error)
		return error;
	if (stream->state != STREAM_OPEN)
		return -EINVAL;
	return tcp_bind(stream->conn, &ip, port);
}

static int stream_local_address(struct queue *queue, struct sockaddr *address, socklen_t *length)
{
	const struct stream *stream = stream_of(queue);
	struct ip_address ip;
	uint16_t port;

	if (!tcp_local(stream->conn, &ip, &port)) {
		ip = is_v6(stream) ? ip_address_v6_halves(0, 0) : ip_address_v4(INADDR_ANY);
		port = 0;
	}
	sockaddr_store(address, length, is_v6(stream), &ip, port);
	return 0;
}

static int stream_peer_address(struct queue *queue, struct sockaddr *address, socklen_t *length)
{
	const struct stream *stream = stream_of(queue);
	struct ip_address ip;
	uint16_t port;

	if (stream->state != STREAM_CONNECTED || !tcp_peer(stream->conn, &ip, &port))
		return -ENOTCONN;
	sockaddr_store(address, length, is_v6(stream), &ip, port);
	return 0;
}

/* --- accept --- */

static int stream_listen(struct queue *queue, int backlog)
{
	struct stream *stream = stream_of(queue);
	int error;

	if (stream->state == STREAM_LISTENING)
		return -EADDRINUSE;
	if (stream->state != STREAM_OPEN)
		return -EISCONN;
	error = tcp_listen(stream->conn, backlog);
	if (!error)
		stream->state = STREAM_LISTENING;
	return error;
}

/* Take the connection that waits; its descriptor, or -errno, and then it waits on. */
static int accept_one(struct stream *listener)
{
	struct queue_table *queues = &listener->catnip->context->queues;
	struct stream *stream;

	if (queue_table_is_full(queues))
		return -EMFILE;
	stream = make(listener->catnip);
	if (!stream)
		return -ENOMEM;
	stream->conn = tcp_accept(listener->conn, stream);
	if (!stream->conn) {
		stream_free(stream);
		return -EAGAIN;
	}
	stream->state = STREAM_CONNECTED;
	stream->send_buffer_bytes = listener->send_buffer_bytes;
	stream->broadcast = listener->broadcast;
	queue_table_add(queues, &stream->queue);
	return stream->queue.qd;
}

static void starve(struct stream *listener)
{
	if (listener->is_starved)
		return;
	listener->is_starved = true;
	listener->starved_next = listener->catnip->starved;
	listener->catnip->starved = listener;
}

static void unstarve(struct stream *listener)
{
	struct stream **link = &listener->catnip->starved;

	if (!listener->is_starved)
		return;
	while (*link != listener)
		link = &(*link)->starved_next;
	*link = listener->starved_next;
	listener->is_starved = false;
}

/* One accept, when there is a connection for it; false: there is nothing to be done any more now. */
static bool serve_accept(struct stream *listener)
{
	int qd = accept_one(listener);
	struct op *op;

	if (qd == -EAGAIN)
		return false;
	op = op_list_take(&listener->inputs);
	op->result.accepted_qd = qd;
	stream_complete(listener, op, qd < 0 ? -qd : 0);
	/* Out of descriptors or memory: one is told, who may make room for the others. */
	if (qd < 0 && listener->inputs.head)
		starve(listener);
	return qd >= 0;
}

static void serve_accepts(struct stream *listener)
{
	while (listener->inputs.head && tcp_acceptable(listener->conn) > 0)
		if (!serve_accept(listener))
			return;
}

static void acceptable(void *owner)
{
	struct stream *listener = owner;

	if (listener->inputs.head)
		serve_accept(listener);
}

void stream_retry_accepts(struct catnip *catnip)
{
	struct stream *starved = catnip->starved;

	catnip->starved = NULL;
	while (starved) {
		struct stream *listener = starved;

		starved = listener->starved_next;
		listener->is_starved = false;
		serve_accepts(listener);
	}
}

static int stream_accept(struct queue *queue, struct op *op)
{
	struct stream *stream = stream_of(queue);

	if (stream->state != STREAM_LISTENING)
		return -EINVAL;
	op_list_append(&stream->inputs, op);
	serve_accepts(stream);
	if (unlikely(stream->error))
		stream_end_pops(stream, stream->error);
	return 0;
}

/* --- connect --- */

static int check_connect(const struct stream *stream)
{
	switch (stream->state) {
	case STREAM_LISTENING:
		return -EOPNOTSUPP;
	case STREAM_CONNECTING:
		return -EINPROGRESS;
	case STREAM_CONNECTED:
		return -EISCONN;
	default:
		return 0;
	}
}

static int stream_connect(struct queue *queue, struct op *op, const struct sockaddr *address,
			  socklen_t length)
{
	struct stream *stream = stream_of(queue);
	struct ip_address ip;
	uint16_t port;
	int error = sockaddr_load(address, length, is_v6(stream), &ip, &port);

	if (!error)
		error = check_connect(stream);
	if (error)
		return error;
	error = tcp_connect(stream->conn, &ip, port);
	if (error == -EINVAL || error == -EAFNOSUPPORT)
		return error;
	if (error) {
		stream_complete(stream, op, -error);
		return 0;
	}
	stream->state = STREAM_CONNECTING;
	stream->op = op;
	stream_send(stream->catnip, catnip_collects(stream->catnip));
	return 0;
}

static void connected(void *owner, int error)
{
	struct stream *stream = owner;

	stream->state = error ? STREAM_OPEN : STREAM_CONNECTED;
	stream_complete(stream, stream->op, error);
	stream->op = NULL;
}

/* --- the end --- */

static int stream_shutdown(struct queue *queue, int how)
{
	struct stream *stream = stream_of(queue);
	bool collects = catnip_collects(stream->catnip);
	int error;

	if (stream->state != STREAM_CONNECTED)
		return -ENOTCONN;
	error = tcp_shutdown(stream->conn, how);
	/* What has ended has nothing to shut down. */
	if (error && error != -ENOTCONN)
		return error;
	if (how != SHUT_RD)
		stream->write_shut = true;
	if (how != SHUT_WR)
		stream_end_pops(stream, 0);
	stream_send(stream->catnip, collects);
	return 0;
}

static void cancel_inputs(struct stream *stream)
{
	op_cancel_all(ops_of(stream), &stream->inputs);
	unstarve(stream);
	if (stream->state == STREAM_CONNECTING)
		stream_complete(stream, stream->op, ECANCELED);
	stream->op = NULL;
}

static void stream_close(struct queue *queue)
{
	struct stream *stream = stream_of(queue);
	struct catnip *catnip = stream->catnip;
	bool collects = catnip_collects(catnip);

	cancel_inputs(stream);
	tcp_close(stream->conn, false);
	op_cancel_all(ops_of(stream), &stream->pushes);
	stream_free(stream);
	stream_send(catnip, collects);
}

/* In this order: the child of a fork finds the stream by the operation. */
static void finish_close(struct stream *stream, int error)
{
	stream_complete(stream, stream->op, error);
	stream_free(stream);
}

static void closed(void *owner, int error)
{
	finish_close(owner, error);
}

/* The errno that has ended the connection, 0: nothing has. */
static int failure_of(const struct stream *stream)
{
	int error = 0;

	if (stream->error)
		return stream->error;
	tcp_ended(stream->conn, &error);
	return error;
}

static void stream_aclose(struct queue *queue, struct op *op)
{
	struct stream *stream = stream_of(queue);
	struct catnip *catnip = stream->catnip;
	bool was_connected = stream->state == STREAM_CONNECTED, collects = catnip_collects(catnip);
	int error = was_connected ? failure_of(stream) : 0;

	cancel_inputs(stream);
	stream->op = op;
	stream->state = STREAM_CLOSING;
	if (!was_connected || error) {
		tcp_close(stream->conn, false);
		finish_close(stream, error);
	} else {
		/* Who waits until the peer has it all does not want it reset before. */
		tcp_settings(stream->conn)->lingers = false;
		tcp_close(stream->conn, true);
	}
	stream_send(catnip, collects);
}

/* Close now, whatever the peer has. */
static void abort_close(struct stream *stream)
{
	tcp_forget_close(stream->conn);
	op_cancel_all(ops_of(stream), &stream->pushes);
	finish_close(stream, ECANCELED);
}

static int cancel_push(struct stream *stream, struct op *op)
{
	int error = tcp_cancel_push(stream->conn, op);

	if (error)
		return error;
	op_list_remove(&stream->pushes, op);
	stream_complete(stream, op, ECANCELED);
	return 0;
}

static int stream_cancel(struct queue *queue, struct op *op)
{
	struct stream *stream = stream_of(queue);

	switch (op->opcode) {
	case DEMI_OPC_PUSH:
		return cancel_push(stream, op);
	case DEMI_OPC_CLOSE:
		abort_close(stream);
		break;
	case DEMI_OPC_CONNECT:
		tcp_cancel_connect(stream->conn);
		connected(stream, ECANCELED);
		break;
	default:
		op_list_remove(&stream->inputs, op);
		stream_complete(stream, op, ECANCELED);
	}
	return 0;
}

static const struct tcp_events stream_events = {
	.acceptable = acceptable,
	.connected = connected,
	.received = stream_received,
	.ended = stream_ended,
	.pushed = stream_pushed,
	.closed = closed,
};

static const struct queue_ops stream_ops = {
	.close = stream_close,
	.aclose = stream_aclose,
	.bind = stream_bind,
	.listen = stream_listen,
	.accept = stream_accept,
	.connect = stream_connect,
	.shutdown = stream_shutdown,
	.push = stream_push,
	.pop = stream_pop,
	.cancel = stream_cancel,
	.set_option = stream_set_option,
	.get_option = stream_get_option,
	.get_local_address = stream_local_address,
	.get_peer_address = stream_peer_address,
};
