/* SPDX-License-Identifier: MIT */
#include "net/tcp/hystart.h"

/* RFC 9406, 4.3. */
#define MIN_RTT_THRESH_NS 4000000u
#define MAX_RTT_THRESH_NS 16000000u
#define MIN_RTT_DIVISOR 8u
#define N_RTT_SAMPLE 8u
#define CSS_GROWTH_DIVISOR 4u
#define CSS_ROUNDS 5u
#define LIMIT_SEGMENTS 8u /* L, where nothing paces */

#define INFINITE_NS UINT32_MAX

void tcp_hystart_init(struct tcp_hystart *hystart)
{
	*hystart = (struct tcp_hystart){
		.last_min_ns = INFINITE_NS,
		.current_min_ns = INFINITE_NS,
		.baseline_ns = INFINITE_NS,
	};
}

/* Conservative slow start: the round trips have become longer, but for a while it may be jitter. */
static bool is_conservative(const struct tcp_hystart *hystart)
{
	return hystart->baseline_ns != INFINITE_NS;
}

static void grow(struct tcp_congestion *congestion, struct tcp_hystart *hystart,
		 uint32_t acked_bytes)
{
	uint64_t limit = (uint64_t)congestion->mss * LIMIT_SEGMENTS;
	uint64_t bytes = acked_bytes < limit ? acked_bytes : limit;

	if (is_conservative(hystart)) {
		bytes += hystart->rest;
		hystart->rest = (uint8_t)(bytes % CSS_GROWTH_DIVISOR);
		bytes /= CSS_GROWTH_DIVISOR;
	}
	tcp_congestion_grow(congestion, (uint32_t)bytes);
}

/* RFC 9406, 4.2: RttThresh. */
static uint32_t threshold_ns(uint32_t last_min_ns)
{
	uint32_t part = last_min_ns / MIN_RTT_DIVISOR;

	if (part > MAX_RTT_THRESH_NS)
		return MAX_RTT_THRESH_NS;
	return part > MIN_RTT_THRESH_NS ? part : MIN_RTT_THRESH_NS;
}

/* Into conservative slow start, or back when it was spurious. */
static void compare(struct tcp_hystart *hystart)
{
	uint32_t last = hystart->last_min_ns, current = hystart->current_min_ns;

	if (hystart->samples < N_RTT_SAMPLE || current == INFINITE_NS)
		return;
	if (is_conservative(hystart)) {
		if (current < hystart->baseline_ns)
			hystart->baseline_ns = INFINITE_NS;
	} else if (last != INFINITE_NS && current >= (uint64_t)last + threshold_ns(last)) {
		hystart->baseline_ns = current;
		hystart->css_rounds = 0;
		hystart->rest = 0;
	}
}

static void sample(struct tcp_hystart *hystart, uint64_t rtt_ns)
{
	if (rtt_ns == 0)
		return;
	if (rtt_ns < hystart->current_min_ns)
		hystart->current_min_ns = (uint32_t)rtt_ns;
	if (hystart->samples < N_RTT_SAMPLE)
		hystart->samples++;
	compare(hystart);
}

/*
 * Whether the round is over: SND.UNA has come to its end. An end that is not under way at all is
 * from long ago.
 */
static bool is_over(const struct tcp_hystart *hystart, const struct tcp_congestion_ack *ack)
{
	uint32_t ahead = hystart->window_end - ack->una;

	return ahead == 0 || ahead > ack->nxt - ack->una;
}

bool tcp_hystart_acked(struct tcp_congestion *congestion, struct tcp_hystart *hystart,
		       const struct tcp_congestion_ack *ack)
{
	if (!hystart->started) {
		hystart->started = true;
		hystart->window_end = ack->nxt;
	}
	grow(congestion, hystart, ack->acked_bytes);
	sample(hystart, ack->rtt_ns);
	if (!is_over(hystart, ack))
		return false;
	/* The round in which it began counts, although it was not whole (4.2). */
	if (is_conservative(hystart) && ++hystart->css_rounds == CSS_ROUNDS)
		return true;
	hystart->last_min_ns = hystart->current_min_ns;
	hystart->current_min_ns = INFINITE_NS;
	hystart->samples = 0;
	hystart->window_end = ack->nxt;
	/* Nothing is under way: the round has its end when something has been acknowledged again. */
	hystart->started = ack->una != ack->nxt;
	return false;
}
