/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <stdio.h>
#include <sys/socket.h>

/* The byte at a place: no period that a shift of the stream could hide in. */
unsigned char stream_byte(uint32_t seed, uint64_t place)
{
	uint64_t z = (place / 8 + 1) * 0x9e3779b97f4a7c15 ^ seed * UINT64_C(0xd1342543de82ef95);

	z = (z ^ z >> 32) * 0xbf58476d1ce4e5b9;
	z ^= z >> 29;
	return (unsigned char)(z >> 8 * (place % 8));
}

static void use_time(struct stream *stream)
{
	stream->station->net->now_ns = stream->station->world->now_ns;
}

/* ---- What it is told ---- */

static void take(struct stream *stream, struct buf *buf)
{
	for (const struct buf *at = buf; at; at = at->next) {
		assert_true(at->length > 0);
		for (uint32_t i = 0; i < at->length; i++)
			stream->wrong += at->data[i] !=
					 stream_byte(stream->peer_seed, stream->received++);
	}
	assert_int_equal(buf_free(stream->station->heap, buf), 0);
}

static void acceptable(void *owner)
{
	((struct stream_listener *)owner)->acceptable++;
}

static void connected(void *owner, int error)
{
	struct stream *stream = owner;

	assert_false(stream->is_connected);
	stream->is_connected = !error;
	stream->connect_error = error;
}

static bool received(void *owner, struct buf *buf)
{
	struct stream *stream = owner;

	assert_false(stream->has_ended);
	assert_false(stream->is_closed);
	if (stream->plan.laziness)
		return false;
	take(stream, buf);
	return true;
}

static void ended(void *owner, int error)
{
	struct stream *stream = owner;

	assert_false(stream->has_ended);
	stream->has_ended = true;
	stream->end_error = error;
}

static void pushed(void *owner, void *push, int error)
{
	struct stream *stream = owner;
	uint32_t place = stream->push_first++ % STREAM_PUSHES_MAX;

	/* In order, each once. */
	assert_ptr_equal(push, &stream->push_bytes[place]);
	assert_true(stream->pushes > 0);
	stream->pushes--;
	if (error)
		stream->push_error = error;
	else
		stream->acknowledged += stream->push_bytes[place];
}

static void closed(void *owner, int error)
{
	struct stream *stream = owner;

	assert_true(stream->is_closed);
	assert_false(stream->was_closed);
	stream->was_closed = true;
	stream->close_error = error;
	stream->conn = NULL;
}

static const struct tcp_events events = {
	.acceptable = acceptable,
	.connected = connected,
	.received = received,
	.ended = ended,
	.pushed = pushed,
	.closed = closed,
};

/* ---- Sockets ---- */

static void listen_at(struct stream_listener *listener, struct station *station, uint16_t port,
		      int backlog, bool shares)
{
	const struct ip_address any = ip_address_v6_halves(0, 0);

	*listener = (struct stream_listener){.station = station};
	assert_int_equal(tcp_open(&listener->conn, station->net, &events, listener, true), 0);
	tcp_settings(listener->conn)->reuse_port = shares;
	assert_int_equal(tcp_bind(listener->conn, &any, port), 0);
	assert_int_equal(tcp_listen(listener->conn, backlog), 0);
}

void stream_listen(struct stream_listener *listener, struct station *station, uint16_t port,
		   int backlog)
{
	listen_at(listener, station, port, backlog, false);
}

void stream_listen_shared(struct stream_listener *listener, struct station *station, uint16_t port,
			  int backlog)
{
	listen_at(listener, station, port, backlog, true);
}

void stream_unlisten(struct stream_listener *listener)
{
	tcp_close(listener->conn, false);
	listener->conn = NULL;
}

void stream_open(struct stream *stream, struct station *station)
{
	stream->station = station;
	assert_int_equal(tcp_open(&stream->conn, station->net, &events, stream, true), 0);
}

int stream_connect(struct stream *stream, struct ip_address peer, uint16_t port)
{
	use_time(stream);
	return tcp_connect(stream->conn, &peer, port);
}

bool stream_accept(struct stream *stream, struct stream_listener *listener)
{
	stream->station = listener->station;
	stream->conn = tcp_accept(listener->conn, stream);
	stream->is_connected = stream->conn != NULL;
	return stream->conn != NULL;
}

/* ---- What it does ---- */

static bool push_once(struct stream *stream)
{
	const struct stream_plan *plan = &stream->plan;
	struct world *world = stream->station->world;
	struct heap *heap = stream->station->heap;
	uint32_t place = (stream->push_first + stream->pushes) % STREAM_PUSHES_MAX;
	uint64_t left = plan->bytes - stream->pushed;
	uint32_t length = 1 + (uint32_t)world_random(world, plan->push_bytes_max);
	demi_sgarray_t sga = {.sga_numsegs = 1 + (uint32_t)world_random(world, 3)};
	unsigned char *data;
	int error;

	length = length < left ? length : (uint32_t)left;
	sga.sga_numsegs = sga.sga_numsegs < length ? sga.sga_numsegs : length;
	data = heap_alloc_io(heap, length);
	assert_non_null(data);
	for (uint32_t i = 0; i < length; i++)
		data[i] = stream_byte(stream->seed, stream->pushed + i);
	for (uint32_t i = 0; i < sga.sga_numsegs; i++)
		sga.sga_segs[i] = (demi_sgaseg_t){data + i, 1};
	sga.sga_segs[sga.sga_numsegs - 1].sgaseg_len = length - sga.sga_numsegs + 1;
	stream->push_bytes[place] = length;
	error = tcp_push(stream->conn, &sga, &stream->push_bytes[place]);
	assert_int_equal(heap_free(heap, data), 0);
	if (error) {
		stream->push_error = -error;
		return false;
	}
	stream->pushes++;
	stream->pushed += length;
	return true;
}

static void push_some(struct stream *stream)
{
	while (stream->pushed < stream->plan.bytes && stream->pushes < stream->plan.pushes_max &&
	       push_once(stream))
		;
}

static void take_some(struct stream *stream)
{
	struct buf *buf;

	if (stream->plan.laziness &&
	    world_random(stream->station->world, stream->plan.laziness) != 0)
		return;
	while ((buf = tcp_take(stream->conn)))
		take(stream, buf);
}

static bool has_untaken(const struct stream *stream)
{
	struct tcp_stats stats;

	tcp_get_stats(stream->conn, &stats);
	return stats.queued != 0;
}

void stream_turn(struct stream *stream)
{
	int error;

	if (!stream->conn || !stream->is_connected || stream->is_closed)
		return;
	use_time(stream);
	take_some(stream);
	if (!stream->push_error)
		push_some(stream);
	if (!stream->is_shut && stream->pushed == stream->plan.bytes &&
	    (!stream->plan.waits_for_end || tcp_ended(stream->conn, &error))) {
		stream->is_shut = true;
		tcp_shutdown(stream->conn, SHUT_WR);
	}
	/* All has been said on both sides, or can no longer be. */
	if (stream->is_shut && tcp_ended(stream->conn, &error) && !has_untaken(stream))
		stream_close(stream);
}

void stream_close(struct stream *stream)
{
	use_time(stream);
	stream->is_closed = true;
	tcp_close(stream->conn, true);
}

void stream_drop(struct stream *stream)
{
	use_time(stream);
	if (stream->conn)
		tcp_close(stream->conn, false);
	stream->conn = NULL;
	stream->is_closed = stream->was_closed = true;
}

void stream_assert_nothing_left(const struct station *station)
{
	struct tcp_counts counts;

	tcp_get_counts(station->net, &counts);
	assert_int_equal(counts.sockets, 0);
	assert_int_equal(counts.connections, 0);
	assert_int_equal(counts.half_open, 0);
	assert_int_equal(counts.time_waits, 0);
	assert_int_equal(counts.pieces, 0);
	assert_int_equal(counts.segments, 0);
	assert_int_equal(counts.queued_bytes, 0);
}

void stream_report(const char *name, unsigned int i, const struct stream *stream)
{
	struct tcp_stats stats = {0};

	if (stream->conn)
		tcp_get_stats(stream->conn, &stats);
	print_error(
		"%s %u: pushed %lu of %lu, acknowledged %lu, received %lu, wrong %lu; connect %d"
		" (error %d), ended %d (%d), shut %d, closed %d %d (%d), push error %d; %s, not sent %u,"
		" queued %u, windows %u %u, unacked %u, lost %u, cwnd %u, rto %lu us\n",
		name, i, stream->pushed, stream->plan.bytes, stream->acknowledged, stream->received,
		stream->wrong, stream->is_connected, stream->connect_error, stream->has_ended,
		stream->end_error, stream->is_shut, stream->is_closed, stream->was_closed,
		stream->close_error, stream->push_error,
		stream->conn ? tcp_state_name(stats.state) : "gone", stats.not_sent, stats.queued,
		stats.send_window, stats.receive_window, stats.unacked_segments,
		stats.lost_segments, stats.cwnd, stats.rto_ns / 1000);
}
