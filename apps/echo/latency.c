/* SPDX-License-Identifier: MIT */
#include "latency.h"

#include <math.h>
#include <string.h>

void latency_init(struct latency *latency)
{
	memset(latency, 0, sizeof(*latency));
	latency->min_ns = UINT64_MAX;
}

/* How far a value is shifted right to lie in one doubling's bins; 0: a bin for each value. */
static unsigned int bin_shift(uint64_t ns)
{
	unsigned int log2 = 63u - (unsigned int)__builtin_clzll(ns | 1);

	return log2 > LATENCY_BINS_LOG2 ? log2 - LATENCY_BINS_LOG2 : 0;
}

static unsigned int bin_of(uint64_t ns)
{
	unsigned int shift = bin_shift(ns);

	/* From the first shift on, the shifted value is 128..255: bins go on without a gap. */
	return (shift << LATENCY_BINS_LOG2) + (unsigned int)(ns >> shift);
}

/* The middle of a bin, kept between the extremes that were seen. */
static double bin_value(const struct latency *latency, unsigned int bin)
{
	unsigned int shift = bin >> LATENCY_BINS_LOG2;
	double middle = bin;

	if (shift > 1) {
		uint64_t mantissa;

		shift--; /* the mantissa's top bit */
		mantissa = bin - (shift << LATENCY_BINS_LOG2);
		middle = (double)(mantissa << shift) + (double)(UINT64_C(1) << shift) / 2;
	}
	return fmin(fmax(middle, (double)latency->min_ns), (double)latency->max_ns);
}

void latency_record(struct latency *latency, uint64_t ns)
{
	latency->count++;
	latency->sum_ns += (double)ns;
	if (ns < latency->min_ns)
		latency->min_ns = ns;
	if (ns > latency->max_ns)
		latency->max_ns = ns;
	latency->bins[bin_of(ns)]++;
}

void latency_add(struct latency *total, const struct latency *latency)
{
	total->count += latency->count;
	total->sum_ns += latency->sum_ns;
	if (latency->min_ns < total->min_ns)
		total->min_ns = latency->min_ns;
	if (latency->max_ns > total->max_ns)
		total->max_ns = latency->max_ns;
	for (unsigned int bin = 0; bin < LATENCY_BINS; bin++)
		total->bins[bin] += latency->bins[bin];
}

double latency_quantile_ns(const struct latency *latency, double quantile)
{
	uint64_t rank = (uint64_t)fmax(1.0, ceil(quantile * (double)latency->count));
	uint64_t seen = 0;

	if (latency->count == 0)
		return 0.0;
	for (unsigned int bin = 0; bin < LATENCY_BINS; bin++) {
		seen += latency->bins[bin];
		if (seen >= rank)
			return bin_value(latency, bin);
	}
	return (double)latency->max_ns;
}
