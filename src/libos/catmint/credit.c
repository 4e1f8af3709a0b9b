/* SPDX-License-Identifier: MIT */
/*
 * Receive buffers. A credit is a buffer that the device has: granting one is posting one more. Each
 * connection has a window, the credits that may be out or wait to be popped: a few while it is quiet,
 * twice as many each time that the peer has used up all of them, up to its share of those that there
 * are. So the memory that is tied down does not grow with quiet connections.
 */
#include <errno.h>
#include <stdlib.h>

#include "heap/fast.h"
#include "libos/catmint/connection.h"

void credit_init(struct catmint *mint)
{
	for (uint32_t i = 0; i < CATMINT_RECEIVES_AT_ONCE; i++) {
		struct ibv_recv_wr *request = &mint->receive_requests[i];

		mint->receive_pieces[i].length = mint->limits.receive_bytes;
		request->sg_list = &mint->receive_pieces[i];
		request->num_sge = 1;
		request->next = i + 1 < CATMINT_RECEIVES_AT_ONCE ? request + 1 : NULL;
	}
}

/* Up to @count of them: as many as there is memory for. */
static uint32_t make_requests(struct catmint *mint, uint32_t count)
{
	const struct heap *heap = mint->context->heap;
	struct ibv_recv_wr *request = mint->receive_requests;
	struct ibv_sge *piece = mint->receive_pieces;

	for (const struct ibv_sge *end = piece + count; piece < end; piece++, request++) {
		struct buf *buf = pool_take(&mint->pool);
		const struct ibv_mr *mr;

		if (unlikely(!buf)) {
			mint->counters.buffers_missing++;
			break;
		}
		mr = (const struct ibv_mr *)heap_handle_fast(heap, mint->registrar, buf);
		buf->flags = BUF_POSTED;
		piece->addr = (uintptr_t)(buf + 1);
		piece->lkey = mr->lkey;
		request->wr_id = (uintptr_t)buf | 1;
	}
	return (uint32_t)(piece - mint->receive_pieces);
}

/* @connection: whose queue it is; of a shared one NULL is allowed. */
static int post(const struct catmint *mint, const struct connection *connection,
		struct ibv_recv_wr *requests, struct ibv_recv_wr **bad)
{
	if (mint->srq)
		return ibv_post_srq_recv(mint->srq, requests, bad);
	return connection ? ibv_post_recv(connection->qp, requests, bad) : EINVAL;
}

static struct buf *buf_of(const struct ibv_recv_wr *request)
{
	return (struct buf *)(uintptr_t)(request->wr_id & ~1ull);
}

static void put_back(struct catmint *mint, struct buf *buf)
{
	buf->flags = 0;
	pool_put(&mint->pool, buf);
}

/* A queue of its own gives buffers back in their order, and keeps those that it never used. */
static void remember(struct connection *connection, const struct ibv_recv_wr *requests,
		     uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		connection->ring[(connection->granted + i) & connection->ring_mask] = buf_of(
			&requests[i]);
}

/* Up to CATMINT_RECEIVES_AT_ONCE; how many it were. */
static uint32_t post_batch(struct catmint *mint, struct connection *connection, uint32_t count)
{
	struct ibv_recv_wr *requests = mint->receive_requests, *bad = NULL, *last, *next;
	uint32_t made;
	int error;

	made = make_requests(mint,
			     count < CATMINT_RECEIVES_AT_ONCE ? count : CATMINT_RECEIVES_AT_ONCE);
	if (unlikely(made == 0))
		return 0;
	last = &requests[made - 1];
	next = last->next;
	last->next = NULL;
	error = post(mint, connection, requests, &bad);
	if (unlikely(error && bad)) {
		made = (uint32_t)(bad - requests);
		for (struct ibv_recv_wr *left = bad; left; left = left->next)
			put_back(mint, buf_of(left));
	}
	last->next = next;
	if (connection && connection->ring)
		remember(connection, requests, made);
	mint->receives += made;
	return made;
}

static bool is_dry(const struct connection *connection)
{
	return connection->granted == connection->received;
}

static void grant(struct connection *connection, uint32_t count)
{
	if (count > 0 && is_dry(connection))
		connection->mint->dry--;
	connection->granted += count;
}

/* Each that is dry can have one: what others hold and do not use must not keep it from receiving. */
static uint32_t room_for(const struct connection *connection)
{
	const struct catmint *mint = connection->mint;

	return mint->limits.receives_max - mint->receives - mint->dry + is_dry(connection);
}

/* What is left of a full batch for the shared queue is there for the next ones. */
static __attribute__((noinline)) uint32_t post_more(struct connection *connection, uint32_t count)
{
	struct catmint *mint = connection->mint;

	while (count > 0) {
		uint32_t room = room_for(connection), posted = 0, granted;
		uint32_t wanted = mint->srq ? CATMINT_RECEIVES_AT_ONCE : count;

		if (room > 0)
			posted = post_batch(mint, connection, wanted < room ? wanted : room);
		if (posted == 0)
			break;
		granted = posted < count ? posted : count;
		grant(connection, granted);
		mint->spare += (int32_t)(posted - granted);
		count -= granted;
	}
	return count;
}

/* Those of the shared queue that are nobody's go first. How many could not be had. */
static uint32_t post_buffers(struct connection *connection, uint32_t count)
{
	struct catmint *mint = connection->mint;
	uint32_t spare = mint->spare > 0 ? (uint32_t)mint->spare : 0;

	spare = count < spare ? count : spare;
	mint->spare -= (int32_t)spare;
	grant(connection, spare);
	return count > spare ? post_more(connection, count - spare) : 0;
}

/* One of the shared queue's is gone that connections count on. */
static void replace_one(struct catmint *mint)
{
	mint->spare--;
	mint->busy |= CATMINT_REFILL;
	credit_refill(mint);
}

void credit_refill(struct catmint *mint)
{
	while (mint->spare < 0) {
		uint32_t posted = post_batch(mint, NULL, (uint32_t)-mint->spare);

		if (posted == 0)
			break;
		mint->spare += (int32_t)posted;
	}
	if (mint->spare >= 0)
		mint->busy &= ~CATMINT_REFILL;
}

/* A power of two, so that it goes on where the numbers go round. */
static bool make_ring(struct connection *connection)
{
	uint32_t slots = 1;

	while (slots < connection->mint->limits.credits_max)
		slots *= 2;
	connection->ring_mask = slots - 1;
	connection->ring = malloc(slots * sizeof(connection->ring[0]));
	return connection->ring != NULL;
}

int credit_start(struct connection *connection)
{
	struct catmint *mint = connection->mint;
	uint32_t spare = mint->spare > 0 ? (uint32_t)mint->spare : 0;
	uint32_t room = mint->limits.receives_max - mint->receives - mint->dry + spare;
	uint32_t window = mint->limits.credits_min;

	/* The fewer are left the fewer each gets, so that they are for many. */
	window = (uint32_t)((uint64_t)room * window / mint->limits.receives_max);
	if (window == 0)
		window = 1;
	if (room == 0)
		return -ENOBUFS;
	if (!mint->srq && !make_ring(connection))
		return -ENOMEM;
	connection->granted = connection->received = connection->consumed = 0;
	connection->window = window;
	mint->dry++;
	post_buffers(connection, window);
	connection->told = connection->granted;
	return connection->granted != connection->received ? 0 : -ENOMEM;
}

static void size_window(struct connection *connection)
{
	uint32_t share = connection->mint->share;

	if (connection->peer_is_out && connection->window < share)
		connection->window = 2 * connection->window < share ? 2 * connection->window
								    : share;
	else if (connection->window > share)
		connection->window = share;
	connection->peer_is_out = false;
}

/* Half of the window is told at a time; all there is when the peer can do nothing without it. */
static bool is_due(const struct connection *connection)
{
	uint32_t untold = connection->granted - connection->told;

	return 2 * untold >= connection->window ||
	       (untold > 0 && connection->told == connection->received);
}

void credit_grant_now(struct connection *connection)
{
	int32_t wanted;

	if (connection->peer_is_out || connection->window > connection->mint->share)
		size_window(connection);
	wanted = credit_wanted(connection);
	if (wanted <= 0 || connection->end_received || !connection->qp)
		return;
	if (unlikely(post_buffers(connection, (uint32_t)wanted) > 0))
		connection_list_add(connection, LIST_HUNGRY);
	if (is_due(connection))
		connection_list_add(connection, LIST_OWING);
}

static bool write_word(struct connection *connection, uint32_t granted)
{
	struct catmint *mint = connection->mint;
	struct message_counters counters = {granted, connection->read};
	uint64_t word = message_counters_pack(counters);
	struct send *send;

	if (!output_may_post(connection))
		return false;
	send = send_take(mint, connection);
	if (!send)
		return false;
	memcpy(send->data, &word, sizeof(word));
	send->kind = SEND_COUNTERS;
	send->pieces[0].length = sizeof(word);
	send->request.opcode = IBV_WR_RDMA_WRITE;
	send->request.wr.rdma.remote_addr = connection->peer.counters;
	send->request.wr.rdma.rkey = connection->peer.counters_rkey;
	if (sizeof(word) <= mint->limits.inline_bytes)
		send->request.send_flags = IBV_SEND_INLINE;
	connection->told = connection->granted;
	connection->read_told = connection->read;
	mint->counters.credit_writes++;
	output_chain(connection, send);
	output_flush(connection);
	return true;
}

bool credit_write(struct connection *connection)
{
	return write_word(connection, connection->granted);
}

bool credit_farewell(struct connection *connection)
{
	if (!connection->farewell) {
		connection->farewell = true;
		connection->chain_signals = true;
		if (!write_word(connection, connection->received + MESSAGE_FAREWELL)) {
			connection->farewell = false;
			connection_list_add(connection, LIST_HUNGRY);
			return false;
		}
	}
	return !connection->posted.head;
}

/* A message may have told it meanwhile. */
static bool is_owed(const struct connection *connection)
{
	return (connection->read != connection->read_told || is_due(connection)) &&
	       (connection->state == CONNECTION_CONNECTED ||
		connection->state == CONNECTION_CLOSING) &&
	       !connection->error && !connection->farewell;
}

void credit_tell_all(struct catmint *mint)
{
	struct connection *connection = connection_list_take(mint, LIST_OWING), *next;

	for (; connection; connection = next) {
		next = connection_list_next(connection, LIST_OWING);
		if (is_owed(connection) && !credit_write(connection))
			connection_list_add(connection, LIST_OWING);
	}
}

bool credit_overdrawn(struct connection *connection)
{
	replace_one(connection->mint);
	return false;
}

void credit_lost(struct catmint *mint)
{
	mint->receives--;
	replace_one(mint);
}

void credit_end(struct connection *connection)
{
	struct catmint *mint = connection->mint;
	uint32_t left = connection->granted - connection->received;

	if (connection->window > 0)
		mint->dry -= is_dry(connection);
	connection->window = 0;
	if (mint->srq) {
		mint->spare += (int32_t)left;
	} else {
		mint->receives -= left;
		for (; connection->ring && connection->received != connection->granted;
		     connection->received++)
			put_back(mint,
				 connection->ring[connection->received & connection->ring_mask]);
	}
	free(connection->ring);
	connection->ring = NULL;
	connection->granted = connection->received;
}
