/* SPDX-License-Identifier: MIT */
/* What comes in: messages, handed to pops in their order. */
#include <errno.h>

#include "base/log.h"
#include "heap/fast.h"
#include "libos/catmint/connection.h"

static struct heap *heap_of(const struct connection *connection)
{
	return connection->mint->context->heap;
}

/* --- pops --- */

static void end_pop(const struct connection *connection, struct op *op, int error)
{
	/* The end is one segment without bytes. */
	if (!error) {
		op->result.buf = buf_alloc(heap_of(connection), 1);
		error = op->result.buf ? 0 : ENOMEM;
	}
	connection_complete(connection, op, error);
}

static bool is_ready(const struct connection *connection)
{
	const struct buf *first = connection->arrived;

	return first && (!(first->flags & BUF_LARGE) || large_is_read(first));
}

/* Nothing more will come: what is left, if anything, is a large message that cannot be read. */
static bool has_ended(const struct connection *connection)
{
	return connection->read_shut ||
	       (!is_ready(connection) &&
		(connection->error || (connection->end_received && !connection->arrived)));
}

static int end_of(const struct connection *connection)
{
	return connection->read_shut || (connection->end_received && !connection->arrived)
		       ? 0
		       : connection->error;
}

void input_end_pops(struct connection *connection)
{
	struct op *op;

	while (has_ended(connection) && (op = op_list_take(&connection->inputs)))
		end_pop(connection, op, end_of(connection));
}

static struct buf *take(struct connection *connection)
{
	struct buf *buf = connection->arrived;

	connection->arrived = buf->next;
	if (!connection->arrived)
		connection->arrived_tail = NULL;
	buf->next = NULL;
	connection->consumed++;
	if (buf->flags & BUF_LARGE)
		return large_take(connection, buf);
	pool_give(buf);
	return buf;
}

/* After a buffer was taken: the peer may send more, and more may be read. */
static void taken(struct connection *connection)
{
	credit_grant(connection);
	if (connection->unread)
		large_begin(connection);
}

void input_deliver(struct connection *connection)
{
	struct op *op;

	while (!connection->read_shut && is_ready(connection) &&
	       (op = op_list_take(&connection->inputs))) {
		op->result.buf = take(connection);
		connection_complete(connection, op, 0);
		taken(connection);
	}
	if (unlikely(has_ended(connection)))
		input_end_pops(connection);
}

static __attribute__((noinline)) int pop_slowly(struct connection *connection, struct op *op)
{
	if (unlikely(connection->state != CONNECTION_CONNECTED))
		return connection->state == CONNECTION_LISTENING ? -EOPNOTSUPP : -ENOTCONN;
	if (is_ready(connection) && !connection->inputs.head && !connection->read_shut) {
		op->result.buf = take(connection);
		connection_complete(connection, op, 0);
		taken(connection);
	} else if (unlikely(has_ended(connection))) {
		end_pop(connection, op, end_of(connection));
	} else {
		op_list_append(&connection->inputs, op);
	}
	return 0;
}

int input_pop(struct queue *queue, struct op *op)
{
	struct connection *connection = connection_of(queue);

	if (unlikely(!connection->can_pop || connection->arrived))
		return pop_slowly(connection, op);
	op_list_append(&connection->inputs, op);
	return 0;
}

/* --- messages --- */

static void append(struct connection *connection, struct buf *buf)
{
	buf->next = NULL;
	if (connection->arrived_tail)
		connection->arrived_tail->next = buf;
	else
		connection->arrived = buf;
	connection->arrived_tail = buf;
}

static void put(const struct connection *connection, struct buf *buf)
{
	pool_put(&connection->mint->pool, buf);
}

static void discard_one(struct connection *connection, struct buf *buf)
{
	put(connection, buf);
	connection->consumed++;
	credit_grant(connection);
}

/* To the pop that waits, or to the others that nobody has popped yet. */
static inline void receive_data(struct connection *connection, struct buf *buf)
{
	struct op *op;

	connection->mint->counters.bytes_received += buf->length;
	if (unlikely(connection->arrived || !(op = op_list_take(&connection->inputs)))) {
		append(connection, buf);
		return;
	}
	connection->consumed++;
	pool_give(buf);
	op->result.buf = buf;
	connection_complete(connection, op, 0);
}

static void receive_large(struct connection *connection, struct buf *buf)
{
	connection->mint->counters.large_received++;
	if (!large_init(connection, buf)) {
		put(connection, buf);
		connection_fail(connection, EPROTO);
		return;
	}
	append(connection, buf);
	if (!connection->unread)
		connection->unread = buf;
	large_begin(connection);
}

static void receive_end(struct connection *connection, struct buf *buf)
{
	connection->end_received = true;
	connection_look(connection);
	discard_one(connection, buf);
	input_end_pops(connection);
	if (connection->state == CONNECTION_CLOSING)
		connection_advance_close(connection);
}

static bool is_for_nobody(const struct connection *connection)
{
	return !connection->can_pop &&
	       (connection->read_shut || connection->state == CONNECTION_CLOSING);
}

/* Nobody will ever pop it. A closed connection says so, as one of TCP does. */
static void receive_for_nobody(struct connection *connection, struct buf *buf)
{
	if (connection->state == CONNECTION_CLOSING) {
		put(connection, buf);
		connection_fail(connection, ECONNRESET);
		return;
	}
	discard_one(connection, buf);
}

/* All but data. */
static __attribute__((noinline)) void receive_other(struct connection *connection, struct buf *buf,
						    const struct message_header *header)
{
	switch (header->kind) {
	case MESSAGE_END:
		receive_end(connection, buf);
		break;
	case MESSAGE_LARGE:
		/* The peer holds its memory until it is told. */
		if (unlikely(is_for_nobody(connection))) {
			connection->read++;
			connection_list_add(connection, LIST_OWING);
			receive_for_nobody(connection, buf);
		} else {
			receive_large(connection, buf);
		}
		break;
	default:
		if (header->length > 0 && !is_for_nobody(connection)) {
			receive_data(connection, buf);
			credit_grant(connection);
		} else {
			receive_for_nobody(connection, buf);
		}
	}
}

static __attribute__((noinline)) void receive_strange(struct connection *connection,
						      struct buf *buf)
{
	log_warning("catmint: a peer sent what is no message; the connection ends");
	put(connection, buf);
	connection_fail(connection, EPROTO);
}

/* What else a message brings: the peer was stopped, or we were. */
static __attribute__((noinline)) void go_on(struct connection *connection)
{
	if (connection->peer_is_out)
		credit_grant_now(connection);
	else
		credit_grant(connection);
	if (connection->waiting.head)
		output_go_on(connection);
}

/* Nothing that comes means anything any more. */
static bool is_deaf(const struct connection *connection)
{
	return connection->error || connection->end_received ||
	       connection->state == CONNECTION_CONNECTING || connection->state == CONNECTION_DYING;
}

/* Its place, and what its header tells of our messages. */
static inline void take_header(struct connection *connection, struct buf *buf, uint32_t bytes)
{
	unsigned char *header = (unsigned char *)(buf + 1);
	uint64_t counters = message_counters_raw(header);

	buf->data = header + MESSAGE_HEADER_BYTES;
	buf->length = bytes - MESSAGE_HEADER_BYTES;
	if (connection->told == connection->received)
		connection->peer_is_out = true;
	if (counters == connection->header_seen)
		return;
	connection->header_seen = counters;
	output_counters(connection, message_counters_unpack(counters));
}

static void note(struct connection *connection, struct buf *buf)
{
	buf->flags = 0;
	buf->next = NULL;
	connection->heard_ns = connection->mint->context->now_ns;
	connection->mint->counters.messages_received++;
}

static __attribute__((noinline)) void receive_slowly(struct connection *connection, struct buf *buf,
						     uint32_t bytes)
{
	bool has_credit = credit_taken(connection);
	struct message_header header;

	note(connection, buf);
	if (is_deaf(connection)) {
		put(connection, buf);
		return;
	}
	if (!has_credit || !message_header_load(&header, (const unsigned char *)(buf + 1), bytes)) {
		receive_strange(connection, buf);
		return;
	}
	take_header(connection, buf, bytes);
	receive_other(connection, buf, &header);
	if (connection->peer_is_out || connection->waiting.head)
		go_on(connection);
}

/* Nearly always it is data that comes with a credit, on a connection that can be popped from. */
void input_received(struct connection *connection, struct buf *buf, uint32_t bytes)
{
	if (unlikely(!connection->can_pop || connection->granted == connection->received ||
		     !message_is_data((const unsigned char *)(buf + 1), bytes))) {
		receive_slowly(connection, buf, bytes);
		return;
	}
	credit_taken(connection);
	note(connection, buf);
	take_header(connection, buf, bytes);
	receive_data(connection, buf);
	if (unlikely(connection->peer_is_out || connection->waiting.head))
		go_on(connection);
	else
		credit_grant(connection);
}

void input_shut(struct connection *connection)
{
	struct buf *buf;

	/* What the device is still writing to is left until it has. */
	while ((buf = connection->arrived) &&
	       !((buf->flags & BUF_LARGE) && large_is_reading(buf))) {
		connection->arrived = buf->next;
		connection->consumed++;
		if (!(buf->flags & BUF_LARGE)) {
			put(connection, buf);
			continue;
		}
		if (!large_is_read(buf)) {
			connection->read++;
			connection_list_add(connection, LIST_OWING);
		}
		large_drop(connection, buf);
	}
	if (!connection->arrived)
		connection->arrived_tail = NULL;
	connection->unread = NULL;
	credit_grant(connection);
}

static void discard_from(struct connection *connection, struct buf *buf)
{
	while (buf) {
		struct buf *next = buf->next;

		if (buf->flags & BUF_LARGE)
			large_drop(connection, buf);
		else
			put(connection, buf);
		buf = next;
	}
	connection->unread = NULL;
}

void input_discard(struct connection *connection)
{
	struct buf *first = connection->arrived;

	connection->arrived = connection->arrived_tail = NULL;
	discard_from(connection, first);
}

void input_discard_unread(struct connection *connection)
{
	struct buf **link = &connection->arrived, *last = NULL, *rest;

	while (*link && (!((*link)->flags & BUF_LARGE) || large_is_read(*link))) {
		last = *link;
		link = &last->next;
	}
	rest = *link;
	*link = NULL;
	connection->arrived_tail = last;
	discard_from(connection, rest);
}
