/* SPDX-License-Identifier: MIT */
/*
 * The timers of a connection. They are deadlines, and one timer of the wheel that fires at the
 * earliest or before: a deadline that moves on, as with every segment, costs a store.
 */
#include <errno.h>

#include "base/container.h"
#include "net/tcp/conn.h"

#define MS_NS UINT64_C(1000000)
#define SECOND_NS UINT64_C(1000000000)
#define PROBE_MIN_NS (2 * MS_NS) /* no tail loss probe sooner */
#define SYNACKS_MAX 5u
#define BACKOFF_MAX 16u
#define ORPHAN_TRIES 3u
#define BLACK_HOLE_TIMEOUTS 2u /* RFC 4821, 7.7 */
#define BLACK_HOLE_MSS 1024u   /* and half of it each time after */
#define BLACK_HOLE_MSS_MIN 512u
#define BLACK_HOLE_TRIALS 8u

void conn_timer_set(struct tcp_conn *conn, uint64_t deadline_ns)
{
	if (likely(timer_is_armed(&conn->timer)) && conn->timer.deadline_ns <= deadline_ns)
		return;
	timer_arm(&net_of(conn)->sched->timers, &conn->timer, deadline_ns);
}

void conn_timers_stop(struct tcp_conn *conn)
{
	conn->retransmit_ns = conn->delayed_ack_ns = conn->slow_ns = UINT64_MAX;
	conn->retransmit_kind = TIMER_NONE;
	timer_cancel(&net_of(conn)->sched->timers, &conn->timer);
}

/* ---- Delayed acknowledgments ---- */

void conn_delay_ack(struct tcp_conn *conn)
{
	if (conn->delayed_ack_ns != UINT64_MAX)
		return;
	conn->delayed_ack_ns = now_of(conn) + options_of(conn)->delayed_ack_ms * MS_NS;
	conn_timer_set(conn, conn->delayed_ack_ns);
}

/* ---- Retransmission ---- */

static uint64_t backed_off(const struct tcp_conn *conn, uint8_t times)
{
	uint64_t most_ns = options_of(conn)->rto_max_ms * MS_NS;
	uint64_t rto_ns = conn->rto_ns << (times < BACKOFF_MAX ? times : BACKOFF_MAX);

	return rto_ns < most_ns ? rto_ns : most_ns;
}

static void back_off(uint8_t *times)
{
	if (*times < UINT8_MAX)
		(*times)++;
}

/* How long nothing new may be acknowledged: RFC 9293, 3.8.3; RFC 5482. */
static uint64_t patience_ns(const struct tcp_conn *conn)
{
	const struct net_tcp_options *options = options_of(conn);
	uint64_t ms = conn->settings.user_timeout_ms ? conn->settings.user_timeout_ms
						     : options->retries_timeout_ms;

	if (!is_synchronized(conn) && !conn->settings.user_timeout_ms)
		ms = options->connect_timeout_ms;
	/* A way whose time-out is half a minute is tried more than once, too. */
	if (conn->is_freed && ms > options->orphan_timeout_ms &&
	    (conn->backoff >= ORPHAN_TRIES || conn->probe_backoff >= ORPHAN_TRIES))
		ms = options->orphan_timeout_ms;
	return ms * MS_NS;
}

static void set_retransmit(struct tcp_conn *conn, enum tcp_retransmit_kind kind,
			   uint64_t deadline_ns)
{
	conn->retransmit_kind = (uint8_t)kind;
	conn->retransmit_ns = deadline_ns;
	conn_timer_set(conn, deadline_ns);
}

/*
 * RFC 8985, 7.2. A peer that delays the acknowledgment of a lone segment is taken to do so as long as we
 * would, and half as long again: Linux's 40 ms are up to 10 ms more, and a probe at 40 would go beside
 * every other one.
 */
static uint64_t probe_after_ns(const struct tcp_conn *conn)
{
	uint64_t after_ns = 2 * conn->srtt_ns;

	if (conn->sent_head == conn->sent_tail)
		after_ns += options_of(conn)->delayed_ack_ms * MS_NS * 3 / 2;
	return after_ns > PROBE_MIN_NS ? after_ns : PROBE_MIN_NS;
}

/* RFC 8985, 7.2 and 7.3: a path that has become longer is not probed again before that is known. */
static bool can_probe(const struct tcp_conn *conn)
{
	return conn->has_sack && conn->recovery == RECOVERY_NONE && !conn->probe_under_way &&
	       !conn->was_probed && !conn->backoff && conn->srtt_ns && is_synchronized(conn) &&
	       !conn->sacked_bytes;
}

/* Something waits for the peer's window. */
static bool must_persist(const struct tcp_conn *conn)
{
	return conn->snd_nxt != conn->snd_end && !conn->fin_sent && is_synchronized(conn) &&
	       !(conn->work & 1u << WORK_SEND);
}

static void arm_idle(struct tcp_conn *conn)
{
	if (!must_persist(conn)) {
		conn->retransmit_kind = TIMER_NONE;
		conn->retransmit_ns = UINT64_MAX;
		return;
	}
	if (conn->retransmit_kind != TIMER_PERSIST)
		set_retransmit(conn, TIMER_PERSIST,
			       now_of(conn) + backed_off(conn, conn->probe_backoff));
}

/*
 * RFC 8985, 7.2: each transmission of something new puts the probe off, but not beyond the timeout,
 * which it does not put off. What is received or pushed otherwise leaves it as it is.
 */
static void arm_probe(struct tcp_conn *conn, bool restart, uint64_t rto_ns)
{
	uint64_t deadline_ns = now_of(conn) + probe_after_ns(conn);

	if (!restart && conn->retransmit_kind == TIMER_PROBE) {
		uint64_t limit_ns = conn->stalled_ns + rto_ns;

		if (conn->sent_tail->sent_ns != now_of(conn))
			return;
		deadline_ns = deadline_ns < limit_ns ? deadline_ns : limit_ns;
	}
	set_retransmit(conn, TIMER_PROBE, deadline_ns);
}

void retransmit_arm(struct tcp_conn *conn, bool restart)
{
	uint64_t rto_ns;

	if (!conn->sent_head) {
		arm_idle(conn);
		return;
	}
	if (unlikely(conn->retransmit_kind == TIMER_REORDER))
		return;
	rto_ns = backed_off(conn, conn->backoff);
	if (likely(can_probe(conn)) && probe_after_ns(conn) < rto_ns) {
		if (restart || conn->retransmit_kind != TIMER_RTO)
			arm_probe(conn, restart, rto_ns);
		return;
	}
	if (restart || conn->retransmit_kind != TIMER_RTO)
		set_retransmit(conn, TIMER_RTO, now_of(conn) + rto_ns);
}

static int timeout_error(const struct tcp_conn *conn)
{
	return conn->soft_error ? conn->soft_error : ETIMEDOUT;
}

/* RFC 4821, 7.7: when only what is long is lost, and no router says why. */
static void suspect_black_hole(struct tcp_conn *conn)
{
	const struct tcp_sent *sent = conn->sent_head;
	uint32_t mss = conn->mss_limit ? conn->mss_limit / 2 : BLACK_HOLE_MSS;
	/* The first full one since the limit was lifted. */
	bool is_sure = conn->mss_trials && sent->seq == conn->mss_trial;

	if (sent->end - sent->seq < BLACK_HOLE_MSS_MIN ||
	    (++conn->black_holes < BLACK_HOLE_TIMEOUTS && !is_sure))
		return;
	if (is_sure)
		conn->mss_trials = BLACK_HOLE_TRIALS;
	conn->black_holes = 0;
	conn->mss_limit = (uint16_t)(mss > BLACK_HOLE_MSS_MIN ? mss : BLACK_HOLE_MSS_MIN);
	conn_update_mss(conn);
}

/* An outage looks the same. Full segments are tried again, and if they get through it was none. */
void conn_lift_limit(struct tcp_conn *conn)
{
	if (!conn->mss_limit || conn->mss_trials >= BLACK_HOLE_TRIALS)
		return;
	conn->mss_limit = 0;
	conn->mss_trials++;
	conn->mss_trial = conn->snd_nxt;
	conn_update_mss(conn);
}

static bool syn_gives_up(const struct tcp_conn *conn)
{
	if (conn->state == TCP_STATE_SYN_RECEIVED && conn->is_passive)
		return conn->backoff >= SYNACKS_MAX;
	return conn->settings.syn_retries && conn->backoff >= conn->settings.syn_retries;
}

static void syn_timeout(struct tcp_conn *conn)
{
	if (syn_gives_up(conn)) {
		conn_end(conn, timeout_error(conn));
		return;
	}
	back_off(&conn->backoff);
	conn->syn_was_lost = true;
	tcp_output_again(conn, conn->sent_head);
}

/* The window has closed over what is under way: it is asked, and nothing is thought lost. */
static void probe_window(struct tcp_conn *conn)
{
	back_off(&conn->probe_backoff);
	tcp_output_probe(conn);
}

static void rto_fire(struct tcp_conn *conn)
{
	uint64_t now_ns = now_of(conn), limit_ns = conn->stalled_ns + patience_ns(conn), next_ns;
	bool is_closed_window = is_synchronized(conn) && conn->snd_wnd == 0;

	/* A peer that answers with a closed window lives: RFC 9293, 3.8.6.1; one that was asked nothing
	 * before this began need not have said anything. */
	if (is_closed_window && !conn->settings.user_timeout_ms && !conn->is_freed &&
	    conn->received_ns > conn->stalled_ns)
		limit_ns = conn->received_ns + patience_ns(conn);
	if (now_ns >= limit_ns) {
		conn_end(conn, timeout_error(conn));
		return;
	}
	if (!is_synchronized(conn)) {
		syn_timeout(conn);
	} else if (is_closed_window) {
		probe_window(conn);
	} else {
		recovery_timeout(conn);
		back_off(&conn->backoff);
		suspect_black_hole(conn);
		/* RFC 6298, (5.4): whatever else may still be under way. Without a frame the timer does. */
		tcp_output_again(conn, conn->sent_head);
		tcp_output(conn);
	}
	if (conn->state == TCP_STATE_CLOSED)
		return;
	next_ns = now_ns + backed_off(conn, is_closed_window ? conn->probe_backoff : conn->backoff);
	set_retransmit(conn, TIMER_RTO, next_ns < limit_ns ? next_ns : limit_ns);
}

/* The first probe, which is under way from then on: how long it may stay unanswered rto_fire knows. */
static void persist_fire(struct tcp_conn *conn)
{
	conn->retransmit_kind = TIMER_NONE;
	probe_window(conn);
	if (conn->sent_head)
		set_retransmit(conn, TIMER_RTO,
			       now_of(conn) + backed_off(conn, conn->probe_backoff));
	else
		arm_idle(conn);
}

static void retransmit_fire(struct tcp_conn *conn)
{
	enum tcp_retransmit_kind kind = conn->retransmit_kind;

	conn->retransmit_ns = UINT64_MAX;
	conn->retransmit_kind = TIMER_NONE;
	switch (kind) {
	case TIMER_RTO:
		if (conn->sent_head)
			rto_fire(conn);
		break;
	case TIMER_PROBE:
		conn->probe_under_way = conn->sent_head && tcp_output_tail(conn);
		conn->was_probed |= conn->probe_under_way;
		if (conn->sent_head)
			set_retransmit(conn, TIMER_RTO, now_of(conn) + backed_off(conn, 0));
		break;
	case TIMER_REORDER:
		recovery_reorder(conn);
		if (conn->retransmit_kind == TIMER_NONE)
			retransmit_arm(conn, true);
		break;
	case TIMER_PERSIST:
		persist_fire(conn);
		break;
	case TIMER_NONE:
		break;
	}
}

/* ---- The slow ones ---- */

static void set_slow(struct tcp_conn *conn, uint64_t deadline_ns)
{
	conn->slow_ns = deadline_ns;
	conn_timer_set(conn, deadline_ns);
}

void conn_keep_alive_arm(struct tcp_conn *conn)
{
	if (!conn->settings.keep_alive || !is_synchronized(conn) ||
	    conn->state == TCP_STATE_TIME_WAIT)
		return;
	set_slow(conn, conn->received_ns + conn->settings.keep_idle_s * SECOND_NS);
}

void conn_orphan_arm(struct tcp_conn *conn)
{
	set_slow(conn, now_of(conn) + options_of(conn)->orphan_timeout_ms * MS_NS);
}

/* RFC 9293, 3.8.4: a segment that has an old sequence number is answered. */
static void keep_alive(struct tcp_conn *conn)
{
	const struct tcp_settings *settings = &conn->settings;
	const struct tcp_out probe = {.seq = conn->snd_una - 1, .flags = TCP_ACK};
	uint64_t idle_ns = settings->keep_idle_s * SECOND_NS;

	if (!settings->keep_alive)
		return;
	/* Something came meanwhile; or something of ours is under way, and has its own timer. */
	if (conn->keep_probes_sent == 0 && now_of(conn) < conn->received_ns + idle_ns) {
		set_slow(conn, conn->received_ns + idle_ns);
		return;
	}
	if (conn->sent_head) {
		set_slow(conn, now_of(conn) + idle_ns);
		return;
	}
	if (conn->keep_probes_sent >= settings->keep_probes) {
		conn_abort(conn, timeout_error(conn));
		return;
	}
	conn->keep_probes_sent++;
	tcp_tx(conn, &probe);
	set_slow(conn, now_of(conn) + settings->keep_interval_s * SECOND_NS);
}

static void slow_fire(struct tcp_conn *conn)
{
	conn->slow_ns = UINT64_MAX;
	if (conn->state == TCP_STATE_FIN_WAIT_2 && conn->is_freed)
		conn_end(conn, 0);
	else
		keep_alive(conn);
}

/* ---- All of them ---- */

void conn_timer_fire(struct timer *timer, uint64_t now_ns)
{
	struct tcp_conn *conn = container_of(timer, struct tcp_conn, timer);
	uint64_t next_ns;

	net_of(conn)->now_ns = now_ns;
	if (conn->delayed_ack_ns <= now_ns) {
		conn->delayed_ack_ns = UINT64_MAX;
		conn->answers = false;
		tcp_ack_tx(conn);
	}
	if (conn->retransmit_ns <= now_ns)
		retransmit_fire(conn);
	/* In TIME-WAIT slow_ns is its end, which time_wait_fire looks at. */
	if (conn->state == TCP_STATE_CLOSED || conn->state == TCP_STATE_TIME_WAIT)
		return;
	if (conn->slow_ns <= now_ns)
		slow_fire(conn);
	if (conn->state == TCP_STATE_CLOSED)
		return;
	next_ns = conn->retransmit_ns < conn->delayed_ack_ns ? conn->retransmit_ns
							     : conn->delayed_ack_ns;
	next_ns = next_ns < conn->slow_ns ? next_ns : conn->slow_ns;
	if (next_ns != UINT64_MAX)
		conn_timer_set(conn, next_ns);
}
