/* SPDX-License-Identifier: MIT */
/* What the algorithms of congestion control share: names, the first window, growth by bytes. */
#include "net/tcp/congestion.h"

#include <string.h>

/* RFC 6928, 2. */
#define INITIAL_SEGMENTS_MIN 2u
#define INITIAL_SEGMENTS_MAX 10u
#define INITIAL_BYTES 14600u

/* RFC 3465, 2.3: L. */
#define SLOW_START_SEGMENTS 2u
#define SLOW_START_SEGMENTS_AFTER_TIMEOUT 1u

/* RFC 5681, (4); RFC 3168, 6.1.2. */
#define LOSS_SEGMENTS_MIN 2u
#define MARK_SEGMENTS_MIN 1u

/* Each connection has one, beside what its segments need. */
_Static_assert(sizeof(struct tcp_congestion) <= 80, "struct tcp_congestion has grown");

static const struct tcp_congestion_ops *const algorithms[] = {&tcp_reno, &tcp_cubic, &tcp_dctcp};

static uint32_t min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* @segments of them in bytes; no overflow, whatever mss is. */
static uint32_t segments_bytes(uint32_t mss, uint32_t segments)
{
	uint64_t bytes = (uint64_t)mss * segments;

	return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

/* A limit of less than a segment would end the connection. */
static uint32_t cwnd_limit(const struct tcp_congestion *congestion)
{
	uint32_t limit = congestion->cwnd_max ? congestion->cwnd_max : TCP_CWND_LIMIT;

	return limit > congestion->mss ? min(limit, TCP_CWND_LIMIT) : congestion->mss;
}

const struct tcp_congestion_ops *tcp_congestion_find(const char *name, size_t length)
{
	/* TCP_CONGESTION comes with or without the terminating byte, and in a longer buffer. */
	length = strnlen(name, length);
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
		const char *known = algorithms[i]->name;

		if (strlen(known) == length && memcmp(known, name, length) == 0)
			return algorithms[i];
	}
	return NULL;
}

const char *tcp_congestion_names(void)
{
	return "reno, cubic, dctcp";
}

uint32_t tcp_congestion_initial(uint32_t mss)
{
	uint32_t least = segments_bytes(mss, INITIAL_SEGMENTS_MIN);

	return min(segments_bytes(mss, INITIAL_SEGMENTS_MAX),
		   least > INITIAL_BYTES ? least : INITIAL_BYTES);
}

void tcp_congestion_init(struct tcp_congestion *congestion, const struct tcp_congestion_ops *ops,
			 uint32_t mss, uint64_t now_ns)
{
	congestion->mss = mss;
	congestion->cwnd = min(tcp_congestion_initial(mss), cwnd_limit(congestion));
	congestion->ssthresh = TCP_SSTHRESH_INFINITE;
	tcp_congestion_choose(congestion, ops, now_ns);
}

void tcp_congestion_choose(struct tcp_congestion *congestion, const struct tcp_congestion_ops *ops,
			   uint64_t now_ns)
{
	const size_t own = offsetof(struct tcp_congestion, reno);

	memset((char *)congestion + own, 0, sizeof(*congestion) - own);
	congestion->ops = ops;
	ops->init(congestion, now_ns);
}

void tcp_congestion_grow(struct tcp_congestion *congestion, uint32_t bytes)
{
	uint32_t limit = cwnd_limit(congestion);

	if (congestion->cwnd < limit)
		congestion->cwnd += min(bytes, limit - congestion->cwnd);
}

uint32_t tcp_congestion_slow_start(struct tcp_congestion *congestion, uint32_t acked_bytes)
{
	uint32_t limit = congestion->ssthresh == TCP_SSTHRESH_INFINITE
				 ? SLOW_START_SEGMENTS
				 : SLOW_START_SEGMENTS_AFTER_TIMEOUT;
	uint32_t missing, bytes = min(acked_bytes, segments_bytes(congestion->mss, limit));

	if (!tcp_congestion_in_slow_start(congestion))
		return acked_bytes;
	missing = congestion->ssthresh - congestion->cwnd;
	if (bytes < missing) {
		tcp_congestion_grow(congestion, bytes);
		return 0;
	}
	tcp_congestion_grow(congestion, missing);
	/* Below ssthresh still: cwnd_max has ended it, and there is nothing to avoid. */
	return tcp_congestion_in_slow_start(congestion) ? 0 : acked_bytes - missing;
}

void tcp_congestion_avoid(struct tcp_congestion *congestion, uint32_t *counter,
			  uint32_t acked_bytes)
{
	uint64_t counted = (uint64_t)*counter + acked_bytes;

	if (counted < congestion->cwnd) {
		*counter = (uint32_t)counted;
		return;
	}
	/* RFC 5681, 3.1: no more than a segment each round trip; nothing is saved up beyond one. */
	counted -= congestion->cwnd;
	*counter = counted < congestion->cwnd ? (uint32_t)counted : 0;
	tcp_congestion_grow(congestion, congestion->mss);
}

uint32_t tcp_congestion_part(const struct tcp_congestion *congestion, uint32_t bytes,
			     uint32_t numerator, uint32_t denominator, bool is_mark)
{
	uint32_t part = (uint32_t)((uint64_t)bytes * numerator / denominator);
	uint32_t least = segments_bytes(congestion->mss,
					is_mark ? MARK_SEGMENTS_MIN : LOSS_SEGMENTS_MIN);

	return part > least ? part : least;
}
