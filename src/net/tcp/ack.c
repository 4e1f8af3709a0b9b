/* SPDX-License-Identifier: MIT */
/* Acknowledgments: RFC 9293, 3.10.7.4, fifth; round trips (RFC 6298); the peer's window. */
#include <errno.h>

#include "net/neighbour.h"
#include "net/tcp/conn.h"

#define RTT_MIN_SHIFT 10u /* 1,024 samples */
#define BACKOFF_KEPT 3u
#define CLOCK_NS UINT64_C(4096)         /* RFC 6298: G, a tick of the timers */
#define CONFIRM_NS UINT64_C(1000000000) /* a neighbour that has less left is confirmed */

/* ---- Round trips ---- */

static uint64_t clamp_rto(const struct tcp_conn *conn, uint64_t rto_ns)
{
	uint64_t least_ns = (uint64_t)options_of(conn)->rto_min_ms * 1000000;
	uint64_t most_ns = (uint64_t)options_of(conn)->rto_max_ms * 1000000;

	return rto_ns < least_ns ? least_ns : rto_ns > most_ns ? most_ns : rto_ns;
}

void conn_rtt_sample(struct tcp_conn *conn, uint64_t rtt_ns)
{
	uint64_t spread_ns;

	rtt_ns = rtt_ns ? rtt_ns : 1;
	conn->was_probed = false;
	/* The least lately: what was less long ago is forgotten slowly. */
	if (rtt_ns <= conn->rtt_min_ns)
		conn->rtt_min_ns = rtt_ns;
	else
		conn->rtt_min_ns += (rtt_ns - conn->rtt_min_ns) >> RTT_MIN_SHIFT;
	if (conn->srtt_ns) {
		uint64_t off_ns = rtt_ns > conn->srtt_ns ? rtt_ns - conn->srtt_ns
							 : conn->srtt_ns - rtt_ns;

		/* The old one's part goes before the sample comes, which has its own weight. */
		conn->rttvar_ns -= conn->rttvar_ns / 4;
		conn->rttvar_ns += off_ns / 4;
		conn->srtt_ns -= conn->srtt_ns / 8;
		conn->srtt_ns += rtt_ns / 8;
	} else {
		conn->srtt_ns = rtt_ns;
		conn->rttvar_ns = rtt_ns / 2;
	}
	conn->srtt_ns = conn->srtt_ns ? conn->srtt_ns : 1;
	spread_ns = 4 * conn->rttvar_ns;
	conn->rto_ns = clamp_rto(conn,
				 conn->srtt_ns + (spread_ns > CLOCK_NS ? spread_ns : CLOCK_NS));
}

/* ---- What was under way ---- */

void sent_clear(struct tcp_conn *conn, struct tcp_sent *sent)
{
	uint32_t bytes = sent->end - sent->seq;

	if (sent->flags & SENT_SACKED)
		conn->sacked_bytes -= bytes;
	if (sent->flags & SENT_LOST)
		conn->lost_bytes -= bytes;
	if (sent->flags & SENT_AGAIN)
		conn->again_bytes -= bytes;
	sent->flags &= (uint32_t) ~(SENT_SACKED | SENT_LOST | SENT_AGAIN);
}

/* Whether it may be an earlier transmission that is acknowledged: too soon, or by an older echo. */
static bool is_ambiguous(const struct tcp_conn *conn, const struct tcp_sent *sent,
			 const struct tcp_in *in)
{
	uint32_t sent_at = (uint32_t)(sent->sent_ns / 1000000) + conn->ts_offset;

	if (!(sent->flags & SENT_TWICE))
		return false;
	return now_of(conn) - sent->sent_ns < conn->rtt_min_ns ||
	       (conn->has_timestamps && in->options.has_timestamp && in->options.timestamp_echo &&
		(int32_t)(in->options.timestamp_echo - sent_at) < 0);
}

/* RFC 8985, 6.2, steps 2 and 3. */
static void rack_update(struct tcp_conn *conn, const struct tcp_sent *sent, const struct tcp_in *in)
{
	if (is_ambiguous(conn, sent, in))
		return;
	if (sent->sent_ns > conn->rack_sent_ns ||
	    (sent->sent_ns == conn->rack_sent_ns && seq_after(sent->end, conn->rack_end))) {
		conn->rack_sent_ns = sent->sent_ns;
		conn->rack_end = sent->end;
		conn->rack_rtt_ns = now_of(conn) - sent->sent_ns;
	}
	if (seq_after(sent->end, conn->rack_fack))
		conn->rack_fack = sent->end;
	else if (seq_before(sent->end, conn->rack_fack) && !(sent->flags & SENT_TWICE))
		conn->rack_saw_reordering = true;
}

void sent_note(struct tcp_conn *conn, const struct tcp_sent *sent, struct tcp_delivery *delivery)
{
	if (sent->flags & SENT_SACKED)
		return;
	delivery->delivered_bytes += sent->end - sent->seq;
	if (sent->flags & SENT_TWICE) {
		delivery->saw_twice = true;
	} else {
		delivery->saw_once = true;
		delivery->rtt_ns = now_of(conn) - sent->sent_ns + 1;
	}
	rack_update(conn, sent, delivery->in);
}

/* The rest of a record whose beginning is acknowledged. */
static void trim_head(struct tcp_conn *conn, struct tcp_sent *sent, tcp_seq ack,
		      struct tcp_delivery *delivery)
{
	uint32_t bytes = ack - sent->seq, flags = sent->flags;

	if (!(flags & SENT_SACKED))
		delivery->delivered_bytes += bytes;
	sent_clear(conn, sent);
	sent->seq = ack;
	while (sent->piece && seq_at_most(sent->piece->seq + sent->piece->length, ack))
		sent->piece = sent->piece->next;
	bytes = sent->end - sent->seq;
	conn->sacked_bytes += flags & SENT_SACKED ? bytes : 0;
	conn->lost_bytes += flags & SENT_LOST ? bytes : 0;
	conn->again_bytes += flags & SENT_AGAIN ? bytes : 0;
	sent->flags = flags;
}

static void clean_sent(struct tcp_conn *conn, tcp_seq ack, struct tcp_delivery *delivery)
{
	struct tcp_sent *sent;

	while ((sent = conn->sent_head) && seq_at_most(sent->end, ack)) {
		sent_note(conn, sent, delivery);
		sent_clear(conn, sent);
		if (unlikely(sent->flags & SENT_FIN))
			delivery->fin_acked = true;
		conn->sent_head = sent->next;
		conn->sent_count--;
		sent_free(conn->table, sent);
	}
	if (!sent)
		conn->sent_tail = NULL;
	else if (seq_before(sent->seq, ack))
		trim_head(conn, sent, ack, delivery);
}

/* Pushes of which the peer has every byte complete, in the order of the stream. */
static void clean_pieces(struct tcp_conn *conn, tcp_seq ack)
{
	struct tcp_piece *piece;

	while ((piece = conn->pieces_head) && seq_at_most(piece->seq + piece->length, ack)) {
		void *push = piece->push;

		conn->pieces_head = piece->next;
		if (!conn->pieces_head)
			conn->pieces_tail = NULL;
		conn->pieces_count--;
		piece_free(conn->table, piece);
		if (likely(push && conn->owner))
			conn->events->pushed(conn->owner, push, 0);
	}
}

static inline void confirm_neighbour(struct tcp_conn *conn)
{
	struct net *net = net_of(conn);

	/* RFC 4861, 7.3.1: forward progress. */
	if (conn->path.generation == net->generation && conn->path.neighbour &&
	    conn->path.neighbour->confirmed_until_ns < net->now_ns + CONFIRM_NS)
		neighbour_confirm(net, conn->path.neighbour);
}

static void advance(struct tcp_conn *conn, tcp_seq ack, struct tcp_delivery *delivery)
{
	delivery->acked_bytes = ack - conn->snd_una;
	conn->bytes_acked += delivery->acked_bytes;
	conn->snd_una = ack;
	clean_sent(conn, ack, delivery);
	clean_pieces(conn, ack);
	conn->probe_backoff = 0;
	conn->black_holes = 0;
	conn->stalled_ns = conn->snd_una == conn->snd_nxt ? 0 : now_of(conn);
	/* Karn: what a hole held back says nothing about the way. */
	if (delivery->saw_twice)
		delivery->rtt_ns = 0;
	/* RFC 6298, section 5: the time-out stays doubled until something new gets through; but not so
	 * often that a path that loses much takes minutes for each segment. */
	if (delivery->saw_once)
		conn->backoff = 0;
	else if (conn->backoff > BACKOFF_KEPT)
		conn->backoff = BACKOFF_KEPT;
	confirm_neighbour(conn);
}

/* ---- The window ---- */

/* RFC 9293, 3.10.7.4: also of segments that acknowledge nothing new; not of old ones. */
static void take_window(struct tcp_conn *conn, const struct tcp_in *in)
{
	uint32_t window = in->flags & TCP_SYN ? in->window : in->window << conn->snd_shift;

	if (seq_after(conn->snd_wl1, in->seq) ||
	    (conn->snd_wl1 == in->seq && seq_after(conn->snd_wl2, in->ack)))
		return;
	/* It opens again: whoever has waited for that begins anew. */
	if (unlikely(conn->snd_wnd == 0) && window)
		conn->probe_backoff = 0;
	conn->snd_wl1 = in->seq;
	conn->snd_wl2 = in->ack;
	conn->snd_wnd = window;
	if (window > conn->snd_wnd_max)
		conn->snd_wnd_max = window;
}

static bool is_duplicate(const struct tcp_conn *conn, const struct tcp_in *in)
{
	return in->ack == conn->snd_una && in->length == 0 && conn->sent_head &&
	       !(in->flags & (TCP_SYN | TCP_FIN)) && in->window << conn->snd_shift == conn->snd_wnd;
}

static bool is_plausible(struct tcp_conn *conn, const struct tcp_in *in)
{
	if (ack_is_plausible(conn, in->ack))
		return true;
	net_count_drop(net_of(conn), NET_LAYER_TCP, NET_DROP_BAD_ACK);
	conn_challenge(conn);
	return false;
}

/* Whether there is something that the windows kept back and may let go now. */
static inline bool can_send_more(const struct tcp_conn *conn)
{
	return conn->snd_nxt != conn->snd_end + conn->fin_sent ||
	       (conn->fin_wanted && !conn->fin_sent);
}

/*
 * Which transmission is acknowledged the timestamp tells: RFC 7323, 4.1. Not of a SYN: the first one
 * may have waited long for neighbours on either side, and been answered then.
 */
static void sample_by_timestamp(struct tcp_conn *conn, const struct tcp_in *in,
				struct tcp_delivery *delivery)
{
	uint32_t age_ms = timestamp_of(conn) - in->options.timestamp_echo;

	if (!delivery->acked_bytes || !conn->has_timestamps || !in->options.has_timestamp ||
	    !in->options.timestamp_echo || age_ms > options_of(conn)->rto_max_ms ||
	    in->ack == conn->iss + 1)
		return;
	delivery->rtt_ns = (uint64_t)(age_ms ? age_ms : 1) * 1000000;
	conn->backoff = 0;
}

/*
 * Most segments of a peer that does all the talking: everything of ours is acknowledged, by this
 * one too, and nothing waits. What else an acknowledgment may bring, losses to be detected, reports
 * of duplicates, a window to grow or to shrink, timers, needs something that was sent.
 */
static inline bool is_nothing_new(const struct tcp_conn *conn, const struct tcp_in *in)
{
	return in->ack == conn->snd_una && conn->snd_una == conn->snd_nxt &&
	       conn->snd_nxt == conn->snd_end && !conn->fin_wanted &&
	       conn->recovery == RECOVERY_NONE && conn->retransmit_kind == TIMER_NONE &&
	       !in->options.sack_count && !(in->flags & TCP_ECE) && !conn->probe_under_way &&
	       !conn->rack_dsack_pending;
}

bool tcp_ack_rx(struct tcp_conn *conn, const struct tcp_in *in)
{
	struct tcp_delivery delivery;
	uint32_t flight = flight_of(conn);
	bool was_closed = conn->snd_wnd == 0;

	if (is_nothing_new(conn, in)) {
		take_window(conn, in);
		conn->duplicate_acks = 0;
		return true;
	}
	if (unlikely(!is_plausible(conn, in)))
		return false;
	delivery = (struct tcp_delivery){.in = in};
	if (unlikely(seq_before(in->ack, conn->snd_una)))
		return true;
	delivery.is_duplicate = is_duplicate(conn, in);
	take_window(conn, in);
	if (unlikely(in->options.sack_count) && conn->has_sack)
		tcp_sack_rx(conn, in, &delivery);
	if (in->ack != conn->snd_una)
		advance(conn, in->ack, &delivery);
	if (unlikely(delivery.saw_twice))
		sample_by_timestamp(conn, in, &delivery);
	if (delivery.rtt_ns)
		conn_rtt_sample(conn, delivery.rtt_ns);
	if (unlikely(conn->retransmit_kind == TIMER_REORDER))
		conn->retransmit_kind = TIMER_NONE;
	recovery_ack(conn, in, &delivery, flight);
	if (unlikely(delivery.fin_acked))
		conn_fin_acked(conn);
	if (unlikely(conn->state == TCP_STATE_CLOSED || conn->state == TCP_STATE_TIME_WAIT))
		return true;
	retransmit_arm(conn, delivery.acked_bytes != 0 || (was_closed && conn->snd_wnd));
	if (unlikely(can_send_more(conn)))
		conn_wake(conn, WORK_SEND);
	return true;
}
