/* SPDX-License-Identifier: MIT */
/*
 * Reno: the windows of RFC 5681 by bytes. What RFC 6582 adds to it, NewReno, is in how losses are
 * repaired, and that one loss of a window reduces it once: both are recovery.c's.
 */
#include "net/tcp/congestion.h"

static void init(struct tcp_congestion *congestion, uint64_t now_ns)
{
	(void)congestion, (void)now_ns; /* all zero */
}

static void acked(struct tcp_congestion *congestion, const struct tcp_congestion_ack *ack)
{
	uint32_t rest = tcp_congestion_slow_start(congestion, ack->acked_bytes);

	if (!tcp_congestion_in_slow_start(congestion))
		tcp_congestion_avoid(congestion, &congestion->reno.acked, rest);
}

/* RFC 5681, (4), and RFC 3168, 6.1.2: a mark is answered as a loss is. */
static uint32_t reduced(struct tcp_congestion *congestion, uint32_t flight_bytes, bool is_mark,
			uint64_t now_ns)
{
	(void)now_ns;
	congestion->reno.acked = 0;
	return tcp_congestion_part(congestion, tcp_congestion_flight(congestion, flight_bytes), 1,
				   2, is_mark);
}

/* RFC 5681, (4): of the whole flight, as cwnd may have been reduced before. */
static uint32_t timed_out(struct tcp_congestion *congestion, uint32_t flight_bytes, uint64_t now_ns)
{
	(void)now_ns;
	congestion->reno.acked = 0;
	return tcp_congestion_part(congestion, flight_bytes, 1, 2, false);
}

const struct tcp_congestion_ops tcp_reno = {
	.name = "reno",
	.init = init,
	.acked = acked,
	.reduced = reduced,
	.timed_out = timed_out,
};
