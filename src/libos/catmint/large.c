/* SPDX-License-Identifier: MIT */
/*
 * Large messages: the sender tells where the bytes lie, we read them by RDMA into one buf and tell when
 * that is done. By reads rather than by the sender's writes: one message less before the bytes move,
 * and nobody gets a key to write into the heap.
 */
#include "base/log.h"
#include "heap/fast.h"
#include "libos/catmint/connection.h"

/* At the end of the notice's own room, behind the places. */
struct large {
	struct buf *into;  /* NULL: not yet */
	uint32_t bytes;    /* in all */
	uint32_t offset;   /* whose read has begun */
	uint32_t in_place; /* likewise, of the next place */
	uint16_t place;    /* the next one to be read */
	uint16_t places;
	uint32_t reads; /* under way */
};

_Static_assert(512 - MESSAGE_HEADER_BYTES - MESSAGE_PLACES_MAX * MESSAGE_PLACE_BYTES >=
		       sizeof(struct large),
	       "a notice has room for it in the smallest receive buffer");

static struct large *large_of(const struct buf *notice)
{
	uintptr_t end = (uintptr_t)(notice + 1) + notice->capacity;

	return (struct large *)((end - sizeof(struct large)) & ~(uintptr_t)7);
}

static void place_of(const struct buf *notice, uint16_t index, struct message_place *place)
{
	message_place_load(place, notice->data + (size_t)index * MESSAGE_PLACE_BYTES);
}

/* Nothing that a peer says is believed. */
static bool sum_places(const struct connection *connection, const struct buf *notice,
		       struct large *large)
{
	uint32_t most = connection->mint->limits.large_bytes;
	struct message_place place;

	if (notice->length == 0 || notice->length % MESSAGE_PLACE_BYTES != 0 ||
	    notice->length > MESSAGE_PLACES_MAX * MESSAGE_PLACE_BYTES)
		return false;
	*large = (struct large){.places = (uint16_t)(notice->length / MESSAGE_PLACE_BYTES)};
	for (uint16_t i = 0; i < large->places; i++) {
		place_of(notice, i, &place);
		if (place.length == 0 || place.length > most - large->bytes)
			return false;
		large->bytes += place.length;
	}
	return true;
}

bool large_init(struct connection *connection, struct buf *buf)
{
	if (!sum_places(connection, buf, large_of(buf))) {
		log_warning(
			"catmint: a peer told of a message that cannot be; the connection ends");
		return false;
	}
	buf->flags = BUF_LARGE;
	return true;
}

bool large_is_read(const struct buf *notice)
{
	const struct large *large = large_of(notice);

	return large->into && large->reads == 0 && large->into->length == large->bytes;
}

bool large_is_reading(const struct buf *notice)
{
	return large_of(notice)->reads > 0;
}

/* So much is read before somebody pops it, and the first one always. */
static bool may_read(const struct connection *connection, const struct buf *notice,
		     const struct large *large)
{
	return connection->arrived == notice ||
	       connection->ahead_bytes + large->bytes <= 2 * connection->mint->limits.large_bytes;
}

static bool get_room(struct connection *connection, const struct buf *notice, struct large *large)
{
	if (large->into)
		return true;
	if (!may_read(connection, notice, large))
		return false;
	large->into = buf_alloc(connection->mint->context->heap, large->bytes);
	if (!large->into) {
		connection->mint->counters.buffers_missing++;
		connection_list_add(connection, LIST_HUNGRY);
		return false;
	}
	connection->ahead_bytes += large->bytes;
	return true;
}

/* The room may lie in several regions of the heap, and a request takes so many: how much it takes. */
static uint32_t add_room(const struct catmint *mint, struct send *send, unsigned char *room,
			 uint32_t bytes)
{
	uint32_t added = 0;

	send->request.num_sge = 0;
	while (added < bytes && (uint32_t)send->request.num_sge < mint->limits.pieces_max) {
		size_t region;
		uint32_t part = bytes - added;

		catmint_lkey(mint, room + added, &region);
		part = part < region ? part : (uint32_t)region;
		send_add_piece(mint, send, room + added, part);
		added += part;
	}
	return added;
}

/* A place, or as much of it as goes with one request. false: no room for a request. */
static bool read_place(struct connection *connection, struct buf *notice, struct large *large)
{
	struct catmint *mint = connection->mint;
	struct message_place place;
	struct send *send;

	send = output_may_post(connection) ? send_take(mint, connection) : NULL;
	if (!send) {
		connection_list_add(connection, LIST_HUNGRY);
		return false;
	}
	place_of(notice, large->place, &place);
	send->kind = SEND_READ;
	send->into = notice;
	send->request.opcode = IBV_WR_RDMA_READ;
	send->request.wr.rdma.remote_addr = place.address + large->in_place;
	send->request.wr.rdma.rkey = place.rkey;
	send->payload_bytes = add_room(mint, send, large->into->data + large->offset,
				       place.length - large->in_place);
	large->offset += send->payload_bytes;
	large->in_place += send->payload_bytes;
	if (large->in_place == place.length) {
		large->in_place = 0;
		large->place++;
	}
	large->reads++;
	connection->reads++;
	output_chain(connection, send);
	return true;
}

static struct buf *next_unread(struct buf *notice)
{
	do {
		notice = notice->next;
	} while (notice && !(notice->flags & BUF_LARGE));
	return notice;
}

void large_begin(struct connection *connection)
{
	while (connection->unread && !connection->error) {
		struct buf *notice = connection->unread;
		struct large *large = large_of(notice);

		if (!get_room(connection, notice, large))
			break;
		while (large->place < large->places)
			if (!read_place(connection, notice, large))
				goto out;
		connection->unread = next_unread(notice);
	}
out:
	output_flush(connection);
}

void large_done(struct connection *connection, struct send *send, bool is_good)
{
	struct large *large = large_of(send->into);

	large->reads--;
	connection->reads--;
	if (!is_good || connection->error) {
		if (connection->reads == 0 && connection->error)
			input_discard_unread(connection);
		return;
	}
	if (unlikely(connection->read_shut)) {
		input_shut(connection);
		return;
	}
	large->into->length += send->payload_bytes;
	connection->mint->counters.bytes_received += send->payload_bytes;
	if (large->into->length < large->bytes)
		return;
	connection->read++;
	connection_list_add(connection, LIST_OWING);
	input_deliver(connection);
}

struct buf *large_take(struct connection *connection, struct buf *notice)
{
	struct buf *into = large_of(notice)->into;

	connection->ahead_bytes -= into->length;
	pool_put(&connection->mint->pool, notice);
	return into;
}

void large_drop(struct connection *connection, struct buf *notice)
{
	struct heap *heap = connection->mint->context->heap;
	struct buf *into = large_of(notice)->into;

	if (into)
		buf_free(heap, into);
	pool_put(&connection->mint->pool, notice);
}
