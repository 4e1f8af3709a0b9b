/* SPDX-License-Identifier: MIT */
/*
 * A rate that is not exceeded: a bucket that fills with @rate tokens a second up to those of one
 * second, and loses what passes.
 */
#ifndef RELAY_BUCKET_H
#define RELAY_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#define BUCKET_NS_PER_S UINT64_C(1000000000)

/** The greatest rate: what a second is worth has to fit into 64 bits. */
#define BUCKET_RATE_MAX (UINT64_C(1) << 33)

struct bucket {
	uint64_t filled_ns; /* when it was last filled; 0: never, it is full */
	uint64_t level;     /* tokens, each worth the nanoseconds of a second: nothing is rounded */
};

/** bucket_take - whether @tokens may pass now; a @rate of 0 is no limit */
static inline bool bucket_take(struct bucket *bucket, uint64_t now_ns, uint64_t rate,
			       uint64_t tokens)
{
	const uint64_t full = rate * BUCKET_NS_PER_S;
	uint64_t passed_ns = now_ns - bucket->filled_ns;

	if (rate == 0)
		return true;
	if (bucket->filled_ns == 0 || passed_ns >= BUCKET_NS_PER_S)
		bucket->level = full;
	else
		bucket->level = full - bucket->level > passed_ns * rate
					? bucket->level + passed_ns * rate
					: full;
	bucket->filled_ns = now_ns;
	if (tokens > rate || bucket->level < tokens * BUCKET_NS_PER_S)
		return false;
	bucket->level -= tokens * BUCKET_NS_PER_S;
	return true;
}

#endif /* RELAY_BUCKET_H */
