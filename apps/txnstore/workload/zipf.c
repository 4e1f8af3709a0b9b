/* SPDX-License-Identifier: MIT */
#include "zipf.h"

#include <errno.h>
#include <math.h>

/* From here on Euler and Maclaurin's formula is right to the last digits of a double. */
#define SUMMED_MAX 1024

/* The rest of the sum, from a large @first: the integral and its corrections. */
static double zeta_integral(uint64_t first, uint64_t last, double theta)
{
	double a = (double)first, b = (double)last;
	double power_a = pow(a, -theta), power_b = pow(b, -theta);
	double integral = (b * power_b - a * power_a) / (1.0 - theta);
	double ends = (power_a + power_b) / 2.0;
	double slopes = theta * (power_a / a - power_b / b) / 12.0;

	return integral + ends + slopes;
}

double zipf_zeta(uint64_t first, uint64_t last, double theta)
{
	double sum = 0.0;

	if (last < first)
		return 0.0;
	if (last - first >= SUMMED_MAX && last > SUMMED_MAX) {
		uint64_t middle = first > SUMMED_MAX ? first : SUMMED_MAX;
		sum = zeta_integral(middle, last, theta);
		last = middle - 1;
	}
	/* The small ones first, so that they are not lost beside the large. */
	for (uint64_t i = last; i >= first; i--)
		sum += pow((double)i, -theta);
	return sum;
}

/* What follows from the number of items. */
static void derive(struct zipf *zipf)
{
	/* Of one or two items all draws end before eta, which would be 0 / 0. */
	zipf->eta = 0.0;
	if (zipf->items > 2)
		zipf->eta = (1.0 - pow(2.0 / (double)zipf->items, 1.0 - zipf->theta)) /
			    (1.0 - zipf->zeta_two / zipf->zeta);
}

int zipf_init(struct zipf *zipf, uint64_t items, double theta)
{
	if (items == 0 || !(theta >= 0.0 && theta <= ZIPF_THETA_MAX))
		return -EINVAL;
	zipf->items = items;
	zipf->theta = theta;
	zipf->zeta = zipf_zeta(1, items, theta);
	zipf->zeta_two = zipf_zeta(1, 2, theta);
	zipf->alpha = 1.0 / (1.0 - theta);
	derive(zipf);
	return 0;
}

void zipf_extend(struct zipf *zipf, uint64_t items)
{
	if (items <= zipf->items)
		return;
	zipf->zeta += zipf_zeta(zipf->items + 1, items, zipf->theta);
	zipf->items = items;
	derive(zipf);
}

uint64_t zipf_next(const struct zipf *zipf, struct random *random)
{
	double uniform = random_real(random);
	double scaled = uniform * zipf->zeta;
	uint64_t rank;

	if (scaled < 1.0)
		return 0;
	if (scaled < zipf->zeta_two)
		return 1;
	rank = (uint64_t)((double)zipf->items *
			  pow(zipf->eta * uniform - zipf->eta + 1.0, zipf->alpha));
	/* What was rounded up. */
	return rank < zipf->items ? rank : zipf->items - 1;
}

double zipf_probability(const struct zipf *zipf, uint64_t rank)
{
	return pow((double)rank + 1.0, -zipf->theta) / zipf->zeta;
}
