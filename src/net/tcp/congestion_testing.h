/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests of congestion control share: a connection that is always full, whose windows
 * are acknowledged evenly over a round trip. To be included once, by a test.
 */
#ifndef DEMI_NET_TCP_CONGESTION_TESTING_H
#define DEMI_NET_TCP_CONGESTION_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "net/tcp/congestion.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MSS 1460u
#define MS_NS UINT64_C(1000000)
#define SECOND_NS UINT64_C(1000000000)
#define START_NS (1000 * SECOND_NS)

/* With delayed acknowledgments. */
#define SEGMENTS_ACKED 2u

struct sender {
	struct tcp_congestion congestion;
	uint64_t now_ns;
	uint32_t una; /* nxt is una and cwnd */
};

static struct sender sender;
#define CC (&sender.congestion)

static void start(const struct tcp_congestion_ops *ops, uint32_t mss)
{
	memset(&sender, 0, sizeof(sender));
	sender.now_ns = START_NS;
	sender.una = UINT32_MAX - 10000; /* soon wraps */
	tcp_congestion_init(CC, ops, mss, sender.now_ns);
}

/* In congestion avoidance at a window. */
static inline void start_at(const struct tcp_congestion_ops *ops, uint32_t cwnd)
{
	start(ops, MSS);
	CC->cwnd = CC->ssthresh = cwnd;
	tcp_congestion_choose(CC, ops, sender.now_ns);
}

static void ack_marked(uint32_t bytes, uint32_t marked, uint64_t rtt_ns)
{
	struct tcp_congestion_ack ack = {
		.now_ns = sender.now_ns,
		.acked_bytes = bytes,
		.marked_bytes = marked,
		.flight_bytes = CC->cwnd,
		.rtt_ns = rtt_ns,
		.srtt_ns = rtt_ns,
		.una = sender.una + bytes,
		.nxt = sender.una + CC->cwnd,
	};

	sender.una += bytes;
	if (CC->ops->seen)
		CC->ops->seen(CC, &ack);
	CC->ops->acked(CC, &ack);
}

static inline void ack(uint32_t bytes, uint64_t rtt_ns)
{
	ack_marked(bytes, 0, rtt_ns);
}

/* A window is acknowledged, evenly over @rtt_ns. */
static inline void round_trip(uint64_t rtt_ns)
{
	uint32_t left = CC->cwnd, step = SEGMENTS_ACKED * CC->mss;
	uint64_t begin_ns = sender.now_ns, count = (left + step - 1) / step;

	for (uint64_t i = 1; left; i++) {
		uint32_t bytes = left < step ? left : step;

		sender.now_ns = begin_ns + rtt_ns * i / count;
		ack(bytes, rtt_ns);
		left -= bytes;
	}
}

static inline void reduce(bool is_mark)
{
	CC->ssthresh = CC->ops->reduced(CC, CC->cwnd, is_mark, sender.now_ns);
	CC->cwnd = CC->ssthresh;
}

/* RFC 5681, 3.1: the loss window is a segment. */
static inline void time_out(void)
{
	CC->ssthresh = CC->ops->timed_out(CC, CC->cwnd, sender.now_ns);
	CC->cwnd = CC->mss;
}

#endif /* DEMI_NET_TCP_CONGESTION_TESTING_H */
