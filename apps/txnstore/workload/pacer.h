/* SPDX-License-Identifier: MIT */
/*
 * When transactions are due. A generator that waits for each answer before it asks again asks a
 * slow server less, and so does not measure what its users would have waited ("coordinated
 * omission"). An open loop has a timetable that the server knows nothing of: a transaction's
 * latency counts from when it was due, not from when the generator came round to it.
 *
 *     while (pacer_due(&pacer, now_ns) <= now_ns)
 *         begin_transaction(pacer_take(&pacer, now_ns));
 *
 * In a closed loop one is always due, and what ends this is that no more may be under way.
 */
#ifndef TXNSTORE_PACER_H
#define TXNSTORE_PACER_H

#include <stdint.h>

#include "txnstore/random.h"

#define PACER_RATE_MAX UINT64_C(1000000000)

enum pacer_kind {
	PACER_CLOSED,  /* at once, always: whoever asks decides how many are under way */
	PACER_EVEN,    /* all the same time apart */
	PACER_POISSON, /* independent of one another: exponential times apart */
};

struct pacer {
	enum pacer_kind kind;
	uint64_t rate;     /* a second */
	uint64_t start_ns; /* PACER_EVEN: when number 0 is due */
	uint64_t taken;
	uint64_t due_ns; /* the next */
	double due_part; /* PACER_POISSON: and this part of a ns, 0 to 1 */
	struct random random;
};

/**
 * pacer_init - a timetable from @start_ns on
 *
 * @rate: transactions a second, 1 to PACER_RATE_MAX; ignored where the loop is closed
 * @seed: PACER_POISSON's; of several generators each must have its own
 * The first is due at @start_ns, with Poisson spacing so much later as chance will have it: several
 * generators of even spacing start at different times. Return: 0; -EINVAL for another rate.
 */
int pacer_init(struct pacer *pacer, enum pacer_kind kind, uint64_t rate, uint64_t start_ns,
	       uint64_t seed);

/** pacer_due - when the next transaction is due, maybe long ago; in a closed loop @now_ns */
uint64_t pacer_due(const struct pacer *pacer, uint64_t now_ns);

/**
 * pacer_take - the next transaction begins, and the one behind it becomes the next
 *
 * Return: when it was due, in ns, from which its latency counts.
 */
uint64_t pacer_take(struct pacer *pacer, uint64_t now_ns);

#endif /* TXNSTORE_PACER_H */
