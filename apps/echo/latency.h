/* SPDX-License-Identifier: MIT */
/*
 * Latencies in bounded memory: a histogram whose bins each are 1 % wider than the one before, so
 * that a quantile is within 1 % of the truth, and the exact extremes.
 */
#ifndef ECHO_LATENCY_H
#define ECHO_LATENCY_H

#include <gsl/gsl_histogram.h>
#include <stdint.h>

struct latency {
	gsl_histogram *histogram;
	uint64_t count;
	uint64_t min_ns; /* UINT64_MAX while nothing is recorded */
	uint64_t max_ns;
	double sum_ns;
};

/** latency_init - Return: 0, or ENOMEM. */
int latency_init(struct latency *latency);
void latency_fini(struct latency *latency);

void latency_record(struct latency *latency, uint64_t ns);

/** latency_quantile_ns - @quantile from 0 to 1; 0 while nothing is recorded. */
double latency_quantile_ns(const struct latency *latency, double quantile);

#endif /* ECHO_LATENCY_H */
