/* SPDX-License-Identifier: MIT */
/*
 * What is lost, and what that does to the window: RACK-TLP (RFC 8985) with SACK, NewReno (RFC
 * 6582) without, proportional rate reduction (RFC 6937), ECN (RFC 3168, 6.1.2), and undoing what was
 * a mistake, by D-SACK (RFC 2883, section 5) or timestamps (RFC 3522).
 */
#include "net/tcp/conn.h"

#define REORDER_PERSIST 16u /* RFC 8985, 6.2: round trips without D-SACK */

static struct tcp_congestion *congestion_of(struct tcp_conn *conn)
{
	return &conn->congestion;
}

/* Whether @seq, which was SND.NXT once, is acknowledged. Until then it lies within what is under way;
 * one from long ago may seem to be ahead. */
static bool is_past(const struct tcp_conn *conn, tcp_seq seq)
{
	return seq - conn->snd_una - 1 >= flight_of(conn);
}

/* ---- RACK ---- */

static bool was_sent_before_newest(const struct tcp_conn *conn, const struct tcp_sent *sent)
{
	return conn->rack_sent_ns > sent->sent_ns ||
	       (conn->rack_sent_ns == sent->sent_ns && seq_after(conn->rack_end, sent->end));
}

/* RFC 8985, 6.2, step 4. */
static uint64_t reorder_window(const struct tcp_conn *conn)
{
	uint64_t window_ns;

	if (!conn->rack_saw_reordering && (conn->recovery >= RECOVERY_FAST ||
					   conn->sacked_bytes >= TCP_DUPLICATE_ACKS * conn->mss))
		return 0;
	if (conn->rtt_min_ns == UINT64_MAX)
		return 0;
	window_ns = conn->rack_window_factor * (conn->rtt_min_ns / 4);
	return window_ns < conn->srtt_ns ? window_ns : conn->srtt_ns;
}

/* Step 5. Return: when to look again; 0: there is no need. */
static uint64_t detect(struct tcp_conn *conn)
{
	uint64_t now_ns = now_of(conn), latest_ns = 0;
	uint64_t patience_ns = conn->rack_rtt_ns + reorder_window(conn);

	for (struct tcp_sent *sent = conn->sent_head; sent; sent = sent->next) {
		uint64_t deadline_ns = sent->sent_ns + patience_ns;

		if (sent->flags & SENT_SACKED ||
		    (sent->flags & (SENT_LOST | SENT_AGAIN)) == SENT_LOST)
			continue;
		if (!was_sent_before_newest(conn, sent)) {
			/* Nothing behind it was sent before it, but for retransmissions. */
			if (!conn->again_bytes && !(sent->flags & SENT_TWICE))
				break;
			continue;
		}
		if (deadline_ns <= now_ns)
			sent_lose(conn, sent);
		else if (deadline_ns > latest_ns)
			latest_ns = deadline_ns;
	}
	return latest_ns;
}

static void rack_detect(struct tcp_conn *conn)
{
	uint64_t again_ns;

	/* All that was sent before the newest that arrived has arrived, but for what a timeout left. */
	if (!conn->sacked_bytes && !conn->again_bytes && !conn->lost_bytes &&
	    conn->recovery != RECOVERY_TIMEOUT)
		return;
	again_ns = detect(conn);
	if (again_ns) {
		conn->retransmit_kind = TIMER_REORDER;
		conn->retransmit_ns = again_ns;
		conn_timer_set(conn, again_ns);
	}
}

/* RFC 8985, 6.2, step 4: the window grows with every round trip that has a D-SACK. */
static void adapt_window(struct tcp_conn *conn, const struct tcp_delivery *delivery)
{
	if (delivery->has_dsack && !conn->rack_dsack_pending) {
		conn->rack_dsack_pending = true;
		conn->rack_dsack_round = conn->snd_nxt;
		conn->rack_window_persist = REORDER_PERSIST;
		if (conn->rack_window_factor < UINT8_MAX)
			conn->rack_window_factor++;
	} else if (conn->rack_dsack_pending &&
		   seq_at_least(conn->snd_una, conn->rack_dsack_round)) {
		conn->rack_dsack_pending = false;
	}
}

/* ---- Beginning and end of recovery ---- */

static void begin(struct tcp_conn *conn, enum tcp_recovery recovery, uint32_t flight, bool is_mark)
{
	struct tcp_congestion *congestion = congestion_of(conn);

	conn->undo_cwnd = congestion->cwnd;
	conn->undo_ssthresh = congestion->ssthresh;
	conn->undo_una = conn->snd_una;
	conn->undo_segments = 0;
	congestion->ssthresh = congestion->ops->reduced(congestion, flight, is_mark, now_of(conn));
	conn->recovery = (uint8_t)recovery;
	conn->recovery_end = conn->snd_nxt;
	conn->again_was_lost = false;
	/* RFC 8985, 7.1. */
	conn->probe_under_way = false;
	conn->prr_delivered = conn->prr_out = 0;
	conn->prr_flight = flight ? flight : 1;
	conn->owes_cwr = conn->has_ecn;
}

static void end(struct tcp_conn *conn)
{
	struct tcp_congestion *congestion = congestion_of(conn);

	if (conn->recovery != RECOVERY_TIMEOUT && congestion->ssthresh != TCP_SSTHRESH_INFINITE)
		congestion->cwnd = congestion->ssthresh;
	conn->recovery = RECOVERY_NONE;
	conn->undo_cwnd = 0;
	conn->duplicate_acks = 0;
	conn_lift_limit(conn);
	if (conn->rack_window_persist && --conn->rack_window_persist == 0)
		conn->rack_window_factor = 1;
}

/* RFC 6937, section 3. */
static void reduce(struct tcp_conn *conn, uint32_t delivered_bytes)
{
	struct tcp_congestion *congestion = congestion_of(conn);
	uint32_t pipe = pipe_of(conn), room;

	conn->prr_delivered += delivered_bytes;
	if (pipe > congestion->ssthresh) {
		uint64_t target = ((uint64_t)conn->prr_delivered * congestion->ssthresh +
				   conn->prr_flight - 1) /
				  conn->prr_flight;

		room = target > conn->prr_out ? (uint32_t)target - conn->prr_out : 0;
	} else {
		uint32_t limit = conn->prr_delivered > conn->prr_out
					 ? conn->prr_delivered - conn->prr_out
					 : 0;

		limit = (limit > delivered_bytes ? limit : delivered_bytes) + conn->mss;
		room = congestion->ssthresh - pipe;
		room = room < limit ? room : limit;
	}
	/*
	 * Fast retransmit: whatever the window, the first loss is repaired at once; without SACK each
	 * that a partial acknowledgment tells of (RFC 6582, 3.2, step 3).
	 */
	if ((conn->prr_out == 0 || !conn->has_sack) && conn->lost_bytes > conn->again_bytes &&
	    room < conn->mss)
		room = conn->mss;
	congestion->cwnd = pipe + room;
}

/* ---- Mistakes ---- */

static void forget_losses(struct tcp_conn *conn)
{
	for (struct tcp_sent *sent = conn->sent_head; sent; sent = sent->next) {
		uint32_t bytes = sent->end - sent->seq;

		if ((sent->flags & (SENT_LOST | SENT_AGAIN)) != SENT_LOST)
			continue;
		sent->flags &= (uint32_t)~SENT_LOST;
		conn->lost_bytes -= bytes;
	}
}

static void undo(struct tcp_conn *conn)
{
	struct tcp_congestion *congestion = congestion_of(conn);

	if (congestion->cwnd < conn->undo_cwnd)
		congestion->cwnd = conn->undo_cwnd;
	congestion->ssthresh = conn->undo_ssthresh;
	if (congestion->ops->undone)
		congestion->ops->undone(congestion, now_of(conn));
	forget_losses(conn);
	conn->recovery = RECOVERY_NONE;
	conn->undo_cwnd = 0;
	conn->duplicate_acks = 0;
	conn->spurious++;
	conn_lift_limit(conn);
}

/* RFC 3522, 3.2: the acknowledgment that ends the wait is for what was sent before the first
 * retransmission. RFC 2883 (as Linux and RFC 3708 use it): everything retransmitted came twice. */
static bool is_spurious(struct tcp_conn *conn, const struct tcp_in *in,
			const struct tcp_delivery *delivery)
{
	if (!conn->undo_cwnd || conn->recovery < RECOVERY_FAST)
		return false;
	if (delivery->has_dsack && seq_at_least(delivery->dsack.left, conn->undo_una) &&
	    conn->undo_segments > 0 && --conn->undo_segments == 0)
		return true;
	return delivery->acked_bytes && conn->undo_segments && conn->has_timestamps &&
	       in->options.has_timestamp && in->options.timestamp_echo &&
	       (int32_t)(in->options.timestamp_echo - conn->undo_timestamp) < 0;
}

/* ---- Without SACK: RFC 5681, 3.2; RFC 6582 ---- */

static void reno_detect(struct tcp_conn *conn, struct tcp_delivery *delivery)
{
	if (delivery->acked_bytes) {
		conn->duplicate_acks = 0;
		/* A partial acknowledgment: the next segment is lost as well. */
		if (conn->recovery == RECOVERY_FAST && conn->sent_head &&
		    seq_before(conn->snd_una, conn->recovery_end))
			sent_lose(conn, conn->sent_head);
		return;
	}
	/* Answers to probes of a closed window are alike, and say nothing of losses. */
	if (!delivery->is_duplicate || conn->snd_wnd == 0)
		return;
	if (conn->duplicate_acks < UINT8_MAX)
		conn->duplicate_acks++;
	delivery->delivered_bytes = conn->mss;
	/* Those of the very end of the last recovery may be of what it sent needlessly (3.2, step 2). */
	if (conn->duplicate_acks == TCP_DUPLICATE_ACKS && conn->recovery == RECOVERY_NONE &&
	    is_past(conn, conn->recovery_end) && conn->recovery_end != conn->snd_una)
		sent_lose(conn, conn->sent_head);
}

/* ---- Tail loss probes: RFC 8985, 7.4.2 ---- */

static void probe_ack(struct tcp_conn *conn, const struct tcp_in *in,
		      const struct tcp_delivery *delivery, uint32_t flight)
{
	if (seq_before(in->ack, conn->probe_end)) {
		return;
	}
	if (conn->probe_is_again && !delivery->has_dsack) {
		if (!seq_after(in->ack, conn->probe_end) &&
		    !(delivery->is_duplicate && !delivery->delivered_bytes))
			return;
		/* The probe has repaired a loss: answer to that. */
		if (seq_after(in->ack, conn->probe_end) && conn->recovery == RECOVERY_NONE) {
			begin(conn, RECOVERY_REDUCING, flight, false);
			conn->undo_cwnd = 0;
		}
	}
	conn->probe_under_way = false;
}

/* ---- After every acknowledgment ---- */

/* Whether the window was in the way of what @flight bytes under way were part of. */
static inline bool was_limited(const struct tcp_conn *conn, uint32_t flight)
{
	const struct tcp_congestion *congestion = &conn->congestion;

	return conn->cwnd_limited || (tcp_congestion_in_slow_start(congestion) &&
				      (uint64_t)flight * 2 >= congestion->cwnd);
}

static void grow(struct tcp_conn *conn, const struct tcp_congestion_ack *ack)
{
	struct tcp_congestion *congestion = congestion_of(conn);
	bool is_limited = was_limited(conn, ack->flight_bytes);

	conn->cwnd_limited = false;
	if (is_limited)
		congestion->ops->acked(congestion, ack);
}

static void respond_to_mark(struct tcp_conn *conn, const struct tcp_in *in, uint32_t flight)
{
	if (!(in->flags & TCP_ECE) || !conn->has_ecn || (in->flags & TCP_SYN))
		return;
	conn->marks++;
	/* Once: until the peer has heard CWR it says so in every segment (RFC 3168, 6.1.3). */
	if (conn->recovery == RECOVERY_NONE && !conn->owes_cwr && is_past(conn, conn->cwr_end)) {
		begin(conn, RECOVERY_REDUCING, flight, true);
		conn->undo_cwnd = 0;
	}
}

/* Everything but in order, without loss, and without a mark. */
static void recover(struct tcp_conn *conn, const struct tcp_in *in, struct tcp_delivery *delivery,
		    const struct tcp_congestion_ack *ack)
{
	uint32_t flight = ack->flight_bytes;

	adapt_window(conn, delivery);
	if (is_spurious(conn, in, delivery))
		undo(conn);
	if (conn->recovery != RECOVERY_NONE && seq_at_least(conn->snd_una, conn->recovery_end))
		end(conn);
	if (conn->has_sack)
		rack_detect(conn);
	else
		reno_detect(conn, delivery);
	if (conn->probe_under_way)
		probe_ack(conn, in, delivery, flight);
	respond_to_mark(conn, in, flight);
	/* RFC 5681, 4.3: what is lost again tells of more congestion, a round trip later. */
	if ((conn->lost_bytes && conn->recovery == RECOVERY_NONE) ||
	    (conn->again_was_lost && conn->recovery == RECOVERY_FAST))
		begin(conn, RECOVERY_FAST, flight, false);
	else if (conn->lost_bytes && conn->recovery == RECOVERY_REDUCING)
		conn->recovery = RECOVERY_FAST; /* within a round trip the window shrinks once */
	if (conn->recovery == RECOVERY_FAST || conn->recovery == RECOVERY_REDUCING)
		reduce(conn, delivery->delivered_bytes);
	else if (delivery->delivered_bytes)
		grow(conn, ack);
	if (conn->lost_bytes > conn->again_bytes)
		conn_wake(conn, WORK_RETRANSMIT);
	else if (conn->recovery != RECOVERY_NONE && conn->snd_nxt != conn->snd_end)
		conn_wake(conn, WORK_SEND);
}

/* In order, without loss, and without a mark. */
static inline bool is_smooth(const struct tcp_conn *conn, const struct tcp_in *in,
			     const struct tcp_delivery *delivery)
{
	return conn->recovery == RECOVERY_NONE && !delivery->is_duplicate &&
	       !((in->flags & TCP_ECE) && conn->has_ecn) && !conn->sacked_bytes &&
	       !conn->lost_bytes && !conn->probe_under_way && !delivery->has_dsack &&
	       !conn->rack_dsack_pending;
}

/* What the algorithm hears of. Apart, so that others do not pay for what it is told. */
static __attribute__((noinline)) void tell(struct tcp_conn *conn, const struct tcp_in *in,
					   struct tcp_delivery *delivery, uint32_t flight_before)
{
	struct tcp_congestion *congestion = congestion_of(conn);
	bool is_marked = (in->flags & TCP_ECE) && conn->has_ecn;
	const struct tcp_congestion_ack ack = {
		.now_ns = now_of(conn),
		.acked_bytes = delivery->delivered_bytes,
		.marked_bytes = is_marked ? delivery->delivered_bytes : 0,
		.flight_bytes = flight_before,
		.rtt_ns = delivery->rtt_ns,
		.srtt_ns = conn->srtt_ns,
		.una = conn->snd_una,
		.nxt = conn->snd_nxt,
	};

	if (unlikely(congestion->ops->seen != NULL) && delivery->delivered_bytes)
		congestion->ops->seen(congestion, &ack);
	if (likely(is_smooth(conn, in, delivery))) {
		conn->duplicate_acks = 0;
		if (delivery->delivered_bytes)
			grow(conn, &ack);
		return;
	}
	recover(conn, in, delivery, &ack);
}

void recovery_ack(struct tcp_conn *conn, const struct tcp_in *in, struct tcp_delivery *delivery,
		  uint32_t flight_before)
{
	/* Who sends less than the window lets is not in its way, and does not make it grow. */
	if (likely(is_smooth(conn, in, delivery) && !conn->congestion.ops->seen &&
		   delivery->delivered_bytes && !was_limited(conn, flight_before))) {
		conn->duplicate_acks = 0;
		conn->cwnd_limited = false;
		return;
	}
	tell(conn, in, delivery, flight_before);
}

/* ---- Timers ---- */

void recovery_reorder(struct tcp_conn *conn)
{
	uint32_t flight = flight_of(conn);

	rack_detect(conn);
	if (!conn->lost_bytes)
		return;
	if (conn->recovery < RECOVERY_FAST) {
		begin(conn, RECOVERY_FAST, flight, false);
		reduce(conn, 0);
	}
	conn_wake(conn, WORK_RETRANSMIT);
}

/* A peer that has dropped what it had acknowledged selectively: RFC 2018, section 8. */
static void forget_sacks(struct tcp_conn *conn)
{
	if (!conn->sent_head || !(conn->sent_head->flags & SENT_SACKED))
		return;
	for (struct tcp_sent *sent = conn->sent_head; sent; sent = sent->next) {
		if (sent->flags & SENT_SACKED)
			sent_clear(conn, sent);
	}
}

/*
 * RFC 8985, 6.3: the first, and all that was sent longer ago than what arrives takes. Without SACK all:
 * nothing would tell of the others.
 */
static void lose_by_timeout(struct tcp_conn *conn)
{
	uint64_t patience_ns = conn->rack_rtt_ns + reorder_window(conn);

	for (struct tcp_sent *sent = conn->sent_head; sent; sent = sent->next) {
		if (sent == conn->sent_head || !conn->has_sack ||
		    sent->sent_ns + patience_ns <= now_of(conn))
			sent_lose(conn, sent);
	}
}

void recovery_timeout(struct tcp_conn *conn)
{
	struct tcp_congestion *congestion = congestion_of(conn);
	uint32_t flight = flight_of(conn);

	forget_sacks(conn);
	lose_by_timeout(conn);
	/* RFC 5681, (4): of several in a row only the first. */
	if (conn->recovery != RECOVERY_TIMEOUT || conn->backoff == 0) {
		conn->undo_cwnd = congestion->cwnd;
		conn->undo_ssthresh = congestion->ssthresh;
		conn->undo_una = conn->snd_una;
		conn->undo_segments = 0;
		congestion->ssthresh = congestion->ops->timed_out(congestion, flight, now_of(conn));
	}
	congestion->cwnd = conn->mss;
	conn->recovery = RECOVERY_TIMEOUT;
	conn->recovery_end = conn->snd_nxt;
	conn->owes_cwr = conn->has_ecn;
	conn->duplicate_acks = 0;
	conn->probe_under_way = false;
	conn->timeouts++;
}
