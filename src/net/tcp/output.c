/* SPDX-License-Identifier: MIT */
/*
 * What is sent when: lost segments first, then new ones, as the peer's window, the congestion
 * window, and the avoidance of silly ones let (RFC 9293, 3.7.4, 3.8.6; RFC 6675, section 5).
 */
#include <errno.h>

#include "net/tcp/bulk.h"

/* Segments of one connection in a row, before others have their turn. */
#define TURN_SEGMENTS 64u
#define TURN_LOCAL 16u /* to ourselves: the queue is short */

/* Of segments under way beyond TCP_SENT_ANY_LENGTH, on average; and the most of any. */
#define SENT_BYTES_MIN 512u
#define SENT_MAX 16384u

/* ---- Records of what is under way ---- */

static struct tcp_sent *record(struct tcp_conn *conn, uint32_t bytes, uint32_t flags)
{
	struct tcp_sent *sent = sent_alloc(conn->table);

	if (unlikely(!sent))
		return NULL;
	sent->next = NULL;
	sent->seq = conn->snd_nxt;
	sent->end = conn->snd_nxt + bytes;
	sent->sent_ns = now_of(conn);
	sent->piece = conn->piece_next;
	sent->flags = flags;
	return sent;
}

static void put_under_way(struct tcp_conn *conn, struct tcp_sent *sent)
{
	*(conn->sent_tail ? &conn->sent_tail->next : &conn->sent_head) = sent;
	conn->sent_tail = sent;
	conn->sent_count++;
	conn->snd_nxt = sent->end;
	if (!conn->stalled_ns)
		conn->stalled_ns = sent->sent_ns;
	/* On to the piece of the next byte. */
	while (conn->piece_next &&
	       seq_at_most(conn->piece_next->seq + conn->piece_next->length, conn->snd_nxt))
		conn->piece_next = conn->piece_next->next;
}

/* Two of one, when segments have become shorter since. */
static bool split(struct tcp_conn *conn, struct tcp_sent *sent, uint32_t bytes)
{
	struct tcp_sent *rest = sent_alloc(conn->table);

	if (!rest)
		return false;
	*rest = *sent;
	rest->seq = sent->seq + bytes;
	while (rest->piece && seq_at_most(rest->piece->seq + rest->piece->length, rest->seq))
		rest->piece = rest->piece->next;
	sent->end = rest->seq;
	sent->flags &= (uint32_t)~SENT_FIN;
	sent->next = rest;
	conn->sent_count++;
	if (conn->sent_tail == sent)
		conn->sent_tail = rest;
	return true;
}

static uint32_t payload_of(const struct tcp_sent *sent)
{
	return sent->end - sent->seq - !!(sent->flags & SENT_SYN) - !!(sent->flags & SENT_FIN);
}

/* ---- Again ---- */

static uint8_t syn_flags(const struct tcp_conn *conn)
{
	/* RFC 3168, 6.1.1; asked once only, since some networks drop it (6.1.1.1). */
	if (conn->state == TCP_STATE_SYN_SENT)
		return conn->has_ecn && conn->syns_sent == 0 ? TCP_SYN | TCP_ECE | TCP_CWR
							     : TCP_SYN;
	return conn->has_ecn ? TCP_SYN | TCP_ACK | TCP_ECE : TCP_SYN | TCP_ACK;
}

static void note_again(struct tcp_conn *conn, struct tcp_sent *sent)
{
	uint32_t bytes = sent->end - sent->seq;

	if ((sent->flags & (SENT_LOST | SENT_AGAIN)) == SENT_LOST) {
		sent->flags |= SENT_AGAIN;
		conn->again_bytes += bytes;
	}
	sent->flags |= SENT_TWICE;
	sent->sent_ns = now_of(conn);
	if (conn->undo_segments++ == 0)
		conn->undo_timestamp = timestamp_of(conn);
	conn->prr_out += bytes;
	conn->retransmissions++;
	conn->bytes_retransmitted += payload_of(sent);
}

int tcp_output_again(struct tcp_conn *conn, struct tcp_sent *sent)
{
	struct tcp_out out = {.seq = sent->seq, .piece = sent->piece, .flags = TCP_ACK};
	int error = conn_path(conn);

	if (!error && payload_of(sent) > conn->mss && !split(conn, sent, conn->mss))
		return -ENOBUFS;
	out.length = payload_of(sent);
	if (unlikely(sent->flags & SENT_SYN))
		out.flags = syn_flags(conn);
	else if (out.length)
		out.flags |= TCP_PSH;
	if (sent->flags & SENT_FIN)
		out.flags |= TCP_FIN;
	error = tcp_tx(conn, &out);
	if (error)
		return error;
	if (sent->flags & SENT_SYN)
		conn->syns_sent++;
	note_again(conn, sent);
	return 0;
}

/* Return: false: it goes on later. */
static bool send_lost(struct tcp_conn *conn, uint32_t *turn)
{
	for (struct tcp_sent *sent = conn->sent_head; sent && conn->lost_bytes > conn->again_bytes;
	     sent = sent->next) {
		uint32_t pipe = pipe_of(conn), bytes = sent->end - sent->seq;

		if ((sent->flags & (SENT_LOST | SENT_AGAIN)) != SENT_LOST)
			continue;
		bytes = bytes < conn->mss ? bytes : conn->mss;
		/* Beyond a window that has shrunk nothing but the first can be wanted. */
		if (pipe && (pipe + bytes > conn->congestion.cwnd ||
			     (sent != conn->sent_head &&
			      seq_after(sent->seq + bytes, conn->snd_wl2 + conn->snd_wnd))))
			return true;
		if ((*turn)-- == 0 || !device_has_room(net_of(conn)) ||
		    tcp_output_again(conn, sent) < 0) {
			conn_wake(conn, WORK_RETRANSMIT);
			return false;
		}
	}
	return true;
}

/* ---- New ---- */

static inline bool are_many(const struct tcp_conn *conn)
{
	if (likely(conn->sent_count < TCP_SENT_ANY_LENGTH))
		return false;
	return conn->sent_count >= SENT_MAX ||
	       conn->sent_count - TCP_SENT_ANY_LENGTH >= flight_of(conn) / SENT_BYTES_MIN;
}

/* How many of @unsent bytes make a segment now; 0: none should. */
static uint32_t choose_length(struct tcp_conn *conn, uint32_t unsent)
{
	int32_t window = window_left(conn);
	uint32_t length = unsent < conn->mss ? unsent : conn->mss, pipe = pipe_of(conn);

	if (window <= 0 || are_many(conn))
		return 0;
	if (length > (uint32_t)window) {
		length = (uint32_t)window;
		/* RFC 9293, 3.8.6.2.1: no silly segments; the persist timer overrides. */
		if (length < conn->snd_wnd_max / 2)
			return 0;
	}
	/* Nagle: 3.7.4. */
	if (unlikely(!conn->settings.no_delay) && length < conn->mss && conn->sent_head &&
	    !conn->fin_wanted)
		return 0;
	if (pipe + length > conn->congestion.cwnd && pipe) {
		conn->cwnd_limited = true;
		return 0;
	}
	return length;
}

/* @length bytes of new data, and the FIN if it is due behind them. 0 or -errno: not sent. */
static int send_new(struct tcp_conn *conn, uint32_t length)
{
	bool is_last = conn->snd_nxt + length == conn->snd_end;
	bool has_fin = is_last && conn->fin_wanted;
	struct tcp_sent *sent = record(conn, length + has_fin, has_fin ? SENT_FIN : 0);
	struct tcp_out out = {
		.seq = conn->snd_nxt,
		.length = length,
		.piece = conn->piece_next,
		.flags = TCP_ACK,
		/* RFC 3168, 6.1.6: not a probe of the window. */
		.is_ect = conn->has_ecn && length && window_left(conn) >= (int32_t)length,
	};

	if (unlikely(!sent))
		return -ENOMEM;
	if (is_last && length)
		out.flags |= TCP_PSH;
	if (unlikely(has_fin))
		out.flags |= TCP_FIN;
	if (unlikely(conn->owes_cwr) && out.is_ect) {
		out.flags |= TCP_CWR;
		conn->cwr_end = conn->snd_nxt + length;
	}
	if (unlikely(tcp_tx(conn, &out) < 0)) {
		sent_free(conn->table, sent);
		return -ENOBUFS;
	}
	conn->owes_cwr &= !out.is_ect;
	conn->fin_sent |= has_fin;
	put_under_way(conn, sent);
	conn->prr_out += conn->recovery != RECOVERY_NONE ? length : 0;
	return 0;
}

static bool may_send(const struct tcp_conn *conn)
{
	return conn->state >= TCP_STATE_ESTABLISHED && conn->state != TCP_STATE_TIME_WAIT &&
	       !conn->fin_sent;
}

/* Apart, so that who sends little does not save registers for it. */
static __attribute__((noinline)) bool send_run(struct tcp_conn *conn, uint32_t *turn)
{
	uint32_t run = device_has_room(net_of(conn)) ? tcp_bulk_tx(conn, *turn) : 0;

	*turn -= run;
	return run != 0;
}

static void send_all(struct tcp_conn *conn, uint32_t *turn)
{
	while (may_send(conn)) {
		uint32_t unsent = conn->snd_end - conn->snd_nxt, length;

		if (unlikely(unsent > 2 * conn->mss) && send_run(conn, turn))
			continue;
		length = unsent ? choose_length(conn, unsent) : 0;
		if (!length && (unsent || !conn->fin_wanted))
			return;
		if ((*turn)-- == 0 || !device_has_room(net_of(conn)) ||
		    send_new(conn, length) < 0) {
			conn_wake(conn, WORK_SEND);
			return;
		}
	}
}

void tcp_output(struct tcp_conn *conn)
{
	uint32_t turn = conn->path.is_local ? TURN_LOCAL : TURN_SEGMENTS;

	if (conn->state == TCP_STATE_CLOSED || conn->state == TCP_STATE_TIME_WAIT)
		return;
	if (unlikely(conn->lost_bytes > conn->again_bytes) && !send_lost(conn, &turn))
		return;
	/* Where the windows have no room for all that is lost there is none for anything new. */
	if (likely(conn->lost_bytes == conn->again_bytes))
		send_all(conn, &turn);
	retransmit_arm(conn, false);
}

bool tcp_output_syn(struct tcp_conn *conn)
{
	struct tcp_sent *sent = record(conn, 1, SENT_SYN);
	const struct tcp_out out = {.seq = conn->iss, .flags = syn_flags(conn)};

	if (!sent)
		return false;
	/* Without a frame or a route, the timer tries again. */
	tcp_tx(conn, &out);
	conn->syns_sent++;
	put_under_way(conn, sent);
	retransmit_arm(conn, false);
	return true;
}

/* ---- Probes ---- */

void tcp_output_probe(struct tcp_conn *conn)
{
	uint32_t unsent = conn->snd_end - conn->snd_nxt;
	int32_t window = window_left(conn);
	uint32_t length = window > 1 ? (uint32_t)window : 1;

	if (conn->sent_head) {
		tcp_output_again(conn, conn->sent_head);
		return;
	}
	length = length < unsent ? length : unsent;
	if (unsent && may_send(conn))
		send_new(conn, length < conn->mss ? length : conn->mss);
}

bool tcp_output_tail(struct tcp_conn *conn)
{
	uint32_t unsent = conn->snd_end - conn->snd_nxt;
	uint32_t length = unsent < conn->mss ? unsent : conn->mss;

	/* RFC 8985, 7.3: new data if there is any that may be sent, otherwise the last again. */
	if (may_send(conn) && length && window_left(conn) >= (int32_t)length &&
	    send_new(conn, length) == 0) {
		conn->probe_is_again = false;
	} else {
		if (!conn->sent_tail || tcp_output_again(conn, conn->sent_tail) < 0)
			return false;
		conn->probe_is_again = true;
	}
	conn->probe_end = conn->snd_nxt;
	return true;
}
