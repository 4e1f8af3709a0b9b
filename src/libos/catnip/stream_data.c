/* SPDX-License-Identifier: MIT */
/* Data in and out of a stream: TCP has it, or hands it on; here are the operations that wait. */
#include <errno.h>

#include "heap/buf.h"
#include "libos/catnip/foreign.h"
#include "libos/catnip/stream.h"

/* --- in --- */

bool stream_received(void *owner, struct buf *buf)
{
	struct stream *stream = owner;
	struct op *op = op_list_take(&stream->inputs);

	if (unlikely(!op))
		return false;
	op->result.buf = buf;
	stream_complete(stream, op, 0);
	return true;
}

/* The end of a stream is one segment without bytes. */
static void end_pop(const struct stream *stream, struct op *op, int error)
{
	if (!error) {
		op->result.buf = buf_alloc(stream->catnip->context->heap, 1);
		error = op->result.buf ? 0 : ENOMEM;
	}
	stream_complete(stream, op, error);
}

void stream_end_pops(struct stream *stream, int error)
{
	struct op *op;

	while ((op = op_list_take(&stream->inputs)))
		end_pop(stream, op, error);
}

/* As on Catnap every pop is told, those too that come later. */
void stream_ended(void *owner, int error)
{
	struct stream *stream = owner;

	if (error)
		stream->error = (uint16_t)error;
	stream_end_pops(stream, error);
}

int stream_pop(struct queue *queue, struct op *op)
{
	struct stream *stream = stream_of(queue);
	struct buf *chain;
	int error;

	if (unlikely(stream->state != STREAM_CONNECTED))
		return stream->state == STREAM_LISTENING ? -EOPNOTSUPP : -ENOTCONN;
	/* While others wait there is nothing to be had. */
	chain = stream->inputs.head ? NULL : tcp_take(stream->conn);
	if (chain) {
		op->result.buf = chain;
		stream_complete(stream, op, 0);
	} else if (unlikely(tcp_ended(stream->conn, &error))) {
		end_pop(stream, op, error);
	} else {
		op_list_append(&stream->inputs, op);
	}
	return 0;
}

/* --- out --- */

/* What no push can do here: 0, or -errno. */
static int check_push(const struct stream *stream, const struct sockaddr *address)
{
	if (address || stream->state == STREAM_LISTENING)
		return -EOPNOTSUPP;
	if (stream->state != STREAM_CONNECTED)
		return -ENOTCONN;
	return stream->write_shut ? -EPIPE : 0;
}

int stream_push(struct queue *queue, struct op *op, const demi_sgarray_t *sga,
		const struct sockaddr *address, socklen_t length)
{
	struct stream *stream = stream_of(queue);
	int error = check_push(stream, address);

	(void)length;
	if (!error && !foreign_is_readable(stream->catnip->context->heap, sga))
		error = -EFAULT;
	if (unlikely(error))
		return error;
	error = tcp_push(stream->conn, sga, op);
	if (unlikely(error)) {
		/* For want of memory or room: it can be tried again. */
		if (error == -ENOMEM || error == -ENOBUFS)
			return error;
		stream_complete(stream, op, -error);
		return 0;
	}
	op_list_append(&stream->pushes, op);
	stream_send(stream->catnip, catnip_collects(stream->catnip));
	return 0;
}

void stream_pushed(void *owner, void *push, int error)
{
	struct stream *stream = owner;
	struct op *op = push;

	if (unlikely(error))
		stream->error = (uint16_t)error;
	op_list_remove(&stream->pushes, op);
	stream_complete(stream, op, error);
}
