/* SPDX-License-Identifier: MIT */
/*
 * Sequence numbers (RFC 9293, 3.4): 32 bits that wrap. They are compared by the sign of their
 * difference, which is right as long as they are less than 2^31 apart.
 */
#ifndef DEMI_NET_TCP_SEQ_H
#define DEMI_NET_TCP_SEQ_H

#include <stdbool.h>
#include <stdint.h>

typedef uint32_t tcp_seq;

/** seq_diff - how far @a is ahead of @b; negative: behind */
static inline int32_t seq_diff(tcp_seq a, tcp_seq b)
{
	return (int32_t)(a - b);
}

static inline bool seq_before(tcp_seq a, tcp_seq b)
{
	return seq_diff(a, b) < 0;
}

static inline bool seq_after(tcp_seq a, tcp_seq b)
{
	return seq_diff(a, b) > 0;
}

static inline bool seq_at_most(tcp_seq a, tcp_seq b)
{
	return seq_diff(a, b) <= 0;
}

static inline bool seq_at_least(tcp_seq a, tcp_seq b)
{
	return seq_diff(a, b) >= 0;
}

static inline tcp_seq seq_max(tcp_seq a, tcp_seq b)
{
	return seq_after(a, b) ? a : b;
}

static inline tcp_seq seq_min(tcp_seq a, tcp_seq b)
{
	return seq_before(a, b) ? a : b;
}

#endif /* DEMI_NET_TCP_SEQ_H */
