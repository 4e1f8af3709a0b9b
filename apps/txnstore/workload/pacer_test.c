/* SPDX-License-Identifier: MIT */
/* Timetables: even ones to the nanosecond, Poisson's by their moments. Seeds are fixed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>

#include "pacer.h"

#define DRAWS 100000

static void pacer__closed_is_always_now(void **state)
{
	struct pacer pacer;

	(void)state;
	assert_int_equal(pacer_init(&pacer, PACER_CLOSED, 0, 5, 1), 0);
	assert_int_equal(pacer_due(&pacer, 17), 17);
	assert_int_equal(pacer_take(&pacer, 17), 17);
	assert_int_equal(pacer_take(&pacer, 18), 18);
}

/* A third of a second has no whole ns; after an hour it is still right. */
static void pacer__even_does_not_drift(void **state)
{
	struct pacer pacer;

	(void)state;
	assert_int_equal(pacer_init(&pacer, PACER_EVEN, 3, 1000, 1), 0);
	assert_int_equal(pacer_take(&pacer, 0), 1000);
	assert_int_equal(pacer_take(&pacer, 0), 1000 + 333333333);
	assert_int_equal(pacer_take(&pacer, 0), 1000 + 666666666);
	for (int i = 3; i < 3 * 3600; i++)
		pacer_take(&pacer, 0);
	assert_int_equal(pacer_due(&pacer, 0), 1000 + UINT64_C(3600000000000));
}

static void pacer__being_late_changes_no_due_time(void **state)
{
	static const enum pacer_kind kinds[] = {PACER_EVEN, PACER_POISSON};
	struct pacer late, prompt;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pacer_init(&late, kinds[i], 1000, 0, 9), 0);
		assert_int_equal(pacer_init(&prompt, kinds[i], 1000, 0, 9), 0);
		for (int j = 0; j < 1000; j++) {
			uint64_t due_ns = pacer_due(&prompt, 0);
			assert_int_equal(pacer_due(&late, 1 << 30), due_ns);
			assert_int_equal(pacer_take(&late, 1 << 30), due_ns);
			assert_int_equal(pacer_take(&prompt, due_ns), due_ns);
		}
	}
}

/* Gaps of mean m have deviation m, and e^-1 of them are longer; bounds of five deviations. */
static void check_poisson(uint64_t rate, uint64_t seed)
{
	double mean_ns = 1e9 / (double)rate;
	double sum = 0.0, squares = 0.0;
	uint64_t last_ns = 77;
	struct pacer pacer;
	int longer = 0;

	assert_int_equal(pacer_init(&pacer, PACER_POISSON, rate, last_ns, seed), 0);
	for (int i = 0; i < DRAWS; i++) {
		uint64_t due_ns = pacer_take(&pacer, 0);
		assert_true(due_ns >= last_ns);
		double gap = (double)(due_ns - last_ns) / mean_ns;
		sum += gap;
		squares += gap * gap;
		longer += gap > 1.0;
		last_ns = due_ns;
	}
	assert_true(fabs(sum / DRAWS - 1.0) < 5.0 / sqrt(DRAWS));
	/* Of single ns each gap is rounded; the mean must not be. */
	if (mean_ns < 1000.0)
		return;
	assert_true(fabs(squares / DRAWS - 2.0) < 5.0 * sqrt(20.0 / DRAWS));
	assert_true(fabs((double)longer / DRAWS - exp(-1.0)) < 5.0 * sqrt(0.2326 / DRAWS));
}

static void pacer__poisson_has_exponential_gaps(void **state)
{
	(void)state;
	check_poisson(1, 1);
	check_poisson(1000, 2);
	check_poisson(1000000, 3);
	check_poisson(700000000, 4);
	check_poisson(PACER_RATE_MAX, 5);
}

static void pacer__poisson_follows_from_the_seed(void **state)
{
	struct pacer one, same, other;

	(void)state;
	assert_int_equal(pacer_init(&one, PACER_POISSON, 1000, 0, 1), 0);
	assert_int_equal(pacer_init(&same, PACER_POISSON, 1000, 0, 1), 0);
	assert_int_equal(pacer_init(&other, PACER_POISSON, 1000, 0, 2), 0);
	assert_int_equal(one.due_ns, same.due_ns);
	assert_int_not_equal(one.due_ns, other.due_ns);
}

static void pacer__refuses_other_rates(void **state)
{
	struct pacer pacer;

	(void)state;
	assert_int_equal(pacer_init(&pacer, PACER_EVEN, 0, 0, 1), -EINVAL);
	assert_int_equal(pacer_init(&pacer, PACER_POISSON, PACER_RATE_MAX + 1, 0, 1), -EINVAL);
	assert_int_equal(pacer_init(&pacer, PACER_EVEN, PACER_RATE_MAX, 0, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pacer__closed_is_always_now),
		cmocka_unit_test(pacer__even_does_not_drift),
		cmocka_unit_test(pacer__being_late_changes_no_due_time),
		cmocka_unit_test(pacer__poisson_has_exponential_gaps),
		cmocka_unit_test(pacer__poisson_follows_from_the_seed),
		cmocka_unit_test(pacer__refuses_other_rates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
