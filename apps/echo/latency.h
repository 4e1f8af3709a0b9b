/* SPDX-License-Identifier: MIT */
/*
 * Latencies in bounded memory: each doubling is divided into 128 bins of equal width, so that a
 * quantile is within 0.8 % of the truth; the extremes are exact.
 */
#ifndef ECHO_LATENCY_H
#define ECHO_LATENCY_H

#include <stdint.h>

#define LATENCY_BINS_LOG2 7 /* bins in a doubling */
#define LATENCY_BINS ((64 - LATENCY_BINS_LOG2 + 1) << LATENCY_BINS_LOG2)

struct latency {
	uint64_t count;
	uint64_t min_ns; /* UINT64_MAX while nothing is recorded */
	uint64_t max_ns;
	double sum_ns;
	uint64_t bins[LATENCY_BINS];
};

void latency_init(struct latency *latency);

/** latency_add - add to @total what @latency has recorded */
void latency_add(struct latency *total, const struct latency *latency);

void latency_record(struct latency *latency, uint64_t ns);

/** latency_quantile_ns - @quantile from 0 to 1; 0 while nothing is recorded. */
double latency_quantile_ns(const struct latency *latency, double quantile);

#endif /* ECHO_LATENCY_H */
