/* SPDX-License-Identifier: MIT */
/* Zipf's law: the sum, and how often ranks come, against calculation. Seeds are fixed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "zipf.h"

#define DRAWS 200000
#define HEAD 20

static const double thetas[] = {0.0, 0.5, 0.9, 0.99, ZIPF_THETA_MAX};
#define THETAS (sizeof(thetas) / sizeof(thetas[0]))

static void assert_near(double value, double expected, double tolerance)
{
	if (!(fabs(value - expected) <= tolerance))
		fail_msg("%.12g, expected %.12g, at most %.3g apart", value, expected, tolerance);
}

static double sum_of(uint64_t first, uint64_t last, double theta)
{
	double sum = 0.0;

	for (uint64_t i = last; i >= first; i--)
		sum += pow((double)i, -theta);
	return sum;
}

static void zipf__zeta_is_the_sum(void **state)
{
	static const uint64_t lasts[] = {1, 2, 1023, 1024, 1025, 2047, 2048, 2049, 5000, 100000};

	(void)state;
	for (size_t i = 0; i < THETAS; i++) {
		for (size_t j = 0; j < sizeof(lasts) / sizeof(lasts[0]); j++) {
			double sum = sum_of(1, lasts[j], thetas[i]);
			assert_near(zipf_zeta(1, lasts[j], thetas[i]), sum, 1e-11 * sum);
		}
		double sum = sum_of(3000, 9000, thetas[i]);
		assert_near(zipf_zeta(3000, 9000, thetas[i]), sum, 1e-11 * sum);
		assert_true(zipf_zeta(8, 7, thetas[i]) == 0.0);
	}
}

/* Of a sum that nobody adds up: YCSB's constant for ten billion items. */
static void zipf__zeta_of_many_items(void **state)
{
	(void)state;
	assert_near(zipf_zeta(1, UINT64_C(10000000000), 0.99), 26.46902820178302, 1e-9);
}

static void zipf__refuses_what_has_no_law(void **state)
{
	struct zipf zipf;

	(void)state;
	assert_int_equal(zipf_init(&zipf, 0, 0.99), -EINVAL);
	assert_int_equal(zipf_init(&zipf, 10, -0.01), -EINVAL);
	assert_int_equal(zipf_init(&zipf, 10, 1.0), -EINVAL);
	assert_int_equal(zipf_init(&zipf, 10, NAN), -EINVAL);
	assert_int_equal(zipf_init(&zipf, UINT64_C(1) << 40, ZIPF_THETA_MAX), 0);
}

static void zipf__extended_is_as_if_made_so(void **state)
{
	struct zipf grown, made;

	(void)state;
	for (size_t i = 0; i < THETAS; i++) {
		assert_int_equal(zipf_init(&grown, 1, thetas[i]), 0);
		for (uint64_t items = 2; items < 3000; items++)
			zipf_extend(&grown, items);
		zipf_extend(&grown, 2000); /* fewer: nothing */
		zipf_extend(&grown, 50000);
		assert_int_equal(zipf_init(&made, 50000, thetas[i]), 0);
		assert_int_equal(grown.items, made.items);
		assert_near(grown.zeta, made.zeta, 1e-10 * made.zeta);
		assert_near(grown.eta, made.eta, 1e-10);
	}
}

/* counts[HEAD] is of all other ranks. */
static void draw(const struct zipf *zipf, uint64_t seed, uint64_t counts[HEAD + 1])
{
	struct random random = {seed};

	for (int i = 0; i <= HEAD; i++)
		counts[i] = 0;
	for (int i = 0; i < DRAWS; i++) {
		uint64_t rank = zipf_next(zipf, &random);
		assert_true(rank < zipf->items);
		counts[rank < HEAD ? rank : HEAD]++;
	}
}

/* Five standard deviations of a binomial. */
static double chance(double probability)
{
	return 5.0 * sqrt(DRAWS * probability * (1.0 - probability));
}

/* The first two are exact. The others lie, by the method, up to a fifth above the law. */
static void zipf__head_follows_the_law(void **state)
{
	static const uint64_t items[] = {1000, 1000000, UINT64_C(1) << 40};
	uint64_t counts[HEAD + 1];
	struct zipf zipf;

	(void)state;
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		assert_int_equal(zipf_init(&zipf, items[i], 0.99), 0);
		draw(&zipf, 7 + i, counts);
		for (uint64_t rank = 0; rank < HEAD; rank++) {
			double law = zipf_probability(&zipf, rank);
			double most = rank < 2 ? 1.0 : rank < 5 ? 1.23 : 1.08;
			double least = rank < 10 ? 1.0 : 0.97;
			assert_true((double)counts[rank] >= law * least * DRAWS - chance(law));
			assert_true((double)counts[rank] <= law * most * DRAWS + chance(law));
		}
	}
}

/* The probability of ranks below @rank, 2 or more, as the paper's formula has it. */
static double below_by_formula(const struct zipf *zipf, double rank)
{
	double n = (double)zipf->items;

	return (pow(rank / n, 1.0 - zipf->theta) - 1.0 + zipf->eta) / zipf->eta;
}

static void zipf__draws_are_those_of_the_formula(void **state)
{
	uint64_t counts[HEAD + 1];
	struct zipf zipf;

	(void)state;
	for (size_t i = 0; i < THETAS; i++) {
		assert_int_equal(zipf_init(&zipf, 500, thetas[i]), 0);
		/* No gap between the exact ranks and the power. */
		assert_near(below_by_formula(&zipf, 2.0),
			    zipf_probability(&zipf, 0) + zipf_probability(&zipf, 1), 1e-9);
		assert_near(below_by_formula(&zipf, 500.0), 1.0, 1e-9);
		draw(&zipf, 100 + i, counts);
		for (int rank = 2; rank < HEAD; rank++) {
			double part = below_by_formula(&zipf, rank + 1) -
				      below_by_formula(&zipf, rank);
			assert_near((double)counts[rank], DRAWS * part, chance(part));
		}
	}
}

/* The first tenth of all ranks together. */
static void zipf__first_tenth_follows_the_law(void **state)
{
	struct random random = {3};
	struct zipf zipf;
	int tenth = 0;

	(void)state;
	assert_int_equal(zipf_init(&zipf, 1000, 0.99), 0);
	for (int i = 0; i < DRAWS; i++)
		tenth += zipf_next(&zipf, &random) < 100;
	assert_near((double)tenth / DRAWS, zipf_zeta(1, 100, 0.99) / zipf.zeta, 0.02);
}

static void zipf__few_items(void **state)
{
	struct random random = {1};
	struct zipf zipf;

	(void)state;
	for (uint64_t items = 1; items <= 4; items++) {
		uint64_t counts[4] = {0};
		assert_int_equal(zipf_init(&zipf, items, 0.99), 0);
		for (int i = 0; i < 2000; i++) {
			uint64_t rank = zipf_next(&zipf, &random);
			assert_true(rank < items);
			counts[rank]++;
		}
		for (uint64_t rank = 0; rank < items; rank++)
			assert_true(counts[rank] > 150);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zipf__zeta_is_the_sum),
		cmocka_unit_test(zipf__zeta_of_many_items),
		cmocka_unit_test(zipf__refuses_what_has_no_law),
		cmocka_unit_test(zipf__extended_is_as_if_made_so),
		cmocka_unit_test(zipf__head_follows_the_law),
		cmocka_unit_test(zipf__draws_are_those_of_the_formula),
		cmocka_unit_test(zipf__first_tenth_follows_the_law),
		cmocka_unit_test(zipf__few_items),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
