/* SPDX-License-Identifier: MIT */
/*
 * DCTCP (RFC 8257): Reno, but that a window with marks shrinks by how much of it was marked. For
 * networks whose switches all mark, and under one administration; the receiver's half, echoing each
 * mark by itself (3.2), is text.c's by needs_ecn.
 */
#include "net/tcp/congestion.h"

#define ALPHA_ONE (UINT32_C(1) << 20)

/* RFC 8257, 3.3: the estimation gain g is 1/16. */
#define GAIN_INVERSE 16u

static void init(struct tcp_congestion *congestion, uint64_t now_ns)
{
	(void)now_ns;
	/* RFC 8257, 3.3: as if all had been marked. */
	congestion->dctcp.alpha = ALPHA_ONE;
}

static uint32_t add(uint32_t a, uint32_t b)
{
	return a < UINT32_MAX - b ? a + b : UINT32_MAX;
}

/*
 * RFC 8257, 3.3, step 4: whether the observation window goes on. It ends within what is under way;
 * elsewhere it is from long ago, and sequence numbers have wrapped.
 */
static bool is_within(const struct tcp_congestion_ack *ack, uint32_t window_end)
{
	return window_end - ack->una <= ack->nxt - ack->una;
}

/* RFC 8257, 3.3, steps 1 to 8. What was selectively acknowledged counts once, when it was. */
static void seen(struct tcp_congestion *congestion, const struct tcp_congestion_ack *ack)
{
	uint32_t marked;

	congestion->dctcp.acked = add(congestion->dctcp.acked, ack->acked_bytes);
	congestion->dctcp.marked = add(congestion->dctcp.marked, ack->marked_bytes);
	/* WindowEnd is SND.UNA at first, so that the first acknowledgment is a window by itself. */
	if (congestion->dctcp.started && is_within(ack, congestion->dctcp.window_end))
		return;
	congestion->dctcp.started = true;
	congestion->dctcp.window_end = ack->nxt;
	if (congestion->dctcp.acked == 0)
		return;
	/* M, to the scale of alpha; then the average. Rounded down, so that alpha comes to 0. */
	marked = (uint32_t)((uint64_t)congestion->dctcp.marked * ALPHA_ONE /
			    congestion->dctcp.acked);
	congestion->dctcp.alpha = (congestion->dctcp.alpha * (GAIN_INVERSE - 1) + marked) /
				  GAIN_INVERSE;
	congestion->dctcp.acked = 0;
	congestion->dctcp.marked = 0;
}

/* RFC 8257, 3.4: as conventional TCP. */
static void acked(struct tcp_congestion *congestion, const struct tcp_congestion_ack *ack)
{
	uint32_t rest = tcp_congestion_slow_start(congestion, ack->acked_bytes);

	if (!tcp_congestion_in_slow_start(congestion))
		tcp_congestion_avoid(congestion, &congestion->dctcp.grown, rest);
}

/* RFC 8257, 3.3: cwnd * (1 - alpha / 2) for a mark; 3.5: conventional TCP's half for a loss. */
static uint32_t reduced(struct tcp_congestion *congestion, uint32_t flight_bytes, bool is_mark,
			uint64_t now_ns)
{
	(void)now_ns;
	congestion->dctcp.grown = 0;
	if (!is_mark)
		return tcp_congestion_part(
			congestion, tcp_congestion_flight(congestion, flight_bytes), 1, 2, false);
	return tcp_congestion_part(congestion, congestion->cwnd,
				   2 * ALPHA_ONE - congestion->dctcp.alpha, 2 * ALPHA_ONE, true);
}

/* RFC 8257, 3.5. */
static uint32_t timed_out(struct tcp_congestion *congestion, uint32_t flight_bytes, uint64_t now_ns)
{
	(void)now_ns;
	congestion->dctcp.grown = 0;
	return tcp_congestion_part(congestion, flight_bytes, 1, 2, false);
}

const struct tcp_congestion_ops tcp_dctcp = {
	.name = "dctcp",
	.needs_ecn = true,
	.init = init,
	.acked = acked,
	.seen = seen,
	.reduced = reduced,
	.timed_out = timed_out,
};
