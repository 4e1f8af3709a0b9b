/* SPDX-License-Identifier: MIT */
#include "latency.h"

#include <errno.h>
#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdlib.h>

#define LOWEST_NS 10.0
#define HIGHEST_NS 1e12
#define BIN_GROWTH 1.01

int latency_init(struct latency *latency)
{
	size_t bins = (size_t)ceil(log(HIGHEST_NS / LOWEST_NS) / log(BIN_GROWTH));
	double *ranges = calloc(bins + 1, sizeof(*ranges));

	*latency = (struct latency){.min_ns = UINT64_MAX};
	if (!ranges)
		return ENOMEM;
	gsl_set_error_handler_off(); /* the default one aborts */
	latency->histogram = gsl_histogram_alloc(bins);
	if (!latency->histogram) {
		free(ranges);
		return ENOMEM;
	}
	ranges[0] = 0.0; /* whatever is below the lowest counts in the first bin */
	for (size_t i = 1; i <= bins; i++)
		ranges[i] = LOWEST_NS * pow(BIN_GROWTH, (double)i);
	gsl_histogram_set_ranges(latency->histogram, ranges, bins + 1);
	free(ranges);
	return 0;
}

void latency_fini(struct latency *latency)
{
	if (latency->histogram)
		gsl_histogram_free(latency->histogram);
	latency->histogram = NULL;
}

void latency_record(struct latency *latency, uint64_t ns)
{
	latency->count++;
	latency->sum_ns += (double)ns;
	if (ns < latency->min_ns)
		latency->min_ns = ns;
	if (ns > latency->max_ns)
		latency->max_ns = ns;
	gsl_histogram_increment(latency->histogram, fmin((double)ns, HIGHEST_NS));
}

/* The middle of a bin, kept between the extremes that were seen. */
static double bin_value(const struct latency *latency, size_t bin)
{
	double lower;
	double upper;

	gsl_histogram_get_range(latency->histogram, bin, &lower, &upper);
	return fmin(fmax((lower + upper) / 2, (double)latency->min_ns), (double)latency->max_ns);
}

double latency_quantile_ns(const struct latency *latency, double quantile)
{
	size_t bins = gsl_histogram_bins(latency->histogram);
	double rank = fmax(1.0, ceil(quantile * (double)latency->count));
	double seen = 0.0;

	if (latency->count == 0)
		return 0.0;
	for (size_t i = 0; i < bins; i++) {
		seen += gsl_histogram_get(latency->histogram, i);
		if (seen >= rank)
			return bin_value(latency, i);
	}
	return (double)latency->max_ns;
}
