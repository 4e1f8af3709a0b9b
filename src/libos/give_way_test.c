/* SPDX-License-Identifier: MIT */
#include "libos/give_way.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define YIELDS_NS_MAX 500000u
#define SOON_NS 1000u /* what a yield takes that finds nobody */

/* A wait that ends after @yields yields of @yield_ns each; how it gave way at last. */
static enum give_way_by wait_for(struct give_way *learnt, unsigned int yields, uint64_t yield_ns)
{
	struct giving giving = {0};
	uint64_t now_ns = 1000000;

	for (unsigned int i = 0; i < yields; i++) {
		if (give_way_by(learnt, &giving, now_ns) == GIVE_WAY_SLEEP)
			break;
		now_ns += yield_ns;
	}
	give_way_end(learnt, &giving, now_ns);
	return giving.by;
}

/* How many waits sleep before one yields again, which is soon satisfied. */
static unsigned int count_sleepers(struct give_way *learnt)
{
	unsigned int sleepers = 0;

	while (wait_for(learnt, 2, SOON_NS) == GIVE_WAY_SLEEP)
		sleepers++;
	return sleepers;
}

static void give_way__yields_while_that_is_short(void **state)
{
	struct give_way learnt = {.yields_ns_max = YIELDS_NS_MAX};

	(void)state;
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(wait_for(&learnt, 90, SOON_NS), GIVE_WAY_YIELD);
	assert_int_equal(count_sleepers(&learnt), 0);
}

static void give_way__sleeps_when_another_has_the_cpu(void **state)
{
	struct give_way learnt = {.yields_ns_max = YIELDS_NS_MAX};

	(void)state;
	assert_int_equal(wait_for(&learnt, 3, GIVE_WAY_YIELD_NS_MAX + 1), GIVE_WAY_SLEEP);
	assert_int_equal(count_sleepers(&learnt), GIVE_WAY_WAITS_MIN);
}

static void give_way__sleeps_when_yields_do_not_help(void **state)
{
	struct give_way learnt = {.yields_ns_max = YIELDS_NS_MAX};

	(void)state;
	assert_int_equal(wait_for(&learnt, 10000, SOON_NS), GIVE_WAY_SLEEP);
	assert_int_equal(count_sleepers(&learnt), GIVE_WAY_WAITS_MIN);
}

static void give_way__yields_as_long_as_it_may(void **state)
{
	struct give_way learnt = {.yields_ns_max = 10000 * (uint64_t)SOON_NS};

	(void)state;
	assert_int_equal(wait_for(&learnt, 10000, SOON_NS), GIVE_WAY_YIELD);
	assert_int_equal(wait_for(&learnt, 10002, SOON_NS), GIVE_WAY_SLEEP);
	learnt = (struct give_way){.yields_ns_max = 0};
	for (unsigned int i = 0; i < 3 * GIVE_WAY_WAITS_MAX; i++)
		assert_int_equal(wait_for(&learnt, 1, SOON_NS), GIVE_WAY_SLEEP);
}

static void give_way__a_long_yield_that_ends_the_wait_counts(void **state)
{
	struct give_way learnt = {.yields_ns_max = YIELDS_NS_MAX};

	(void)state;
	assert_int_equal(wait_for(&learnt, 1, GIVE_WAY_YIELD_NS_MAX + 1), GIVE_WAY_YIELD);
	assert_int_equal(count_sleepers(&learnt), GIVE_WAY_WAITS_MIN);
}

static void give_way__tries_less_often_where_it_fails(void **state)
{
	struct give_way learnt = {.yields_ns_max = YIELDS_NS_MAX};
	unsigned int before = 0, sleepers = 0;

	(void)state;
	for (unsigned int i = 0; i < 20; i++) {
		while (wait_for(&learnt, 1, GIVE_WAY_YIELD_NS_MAX + 1) == GIVE_WAY_SLEEP)
			sleepers++;
		assert_true(sleepers == GIVE_WAY_WAITS_MAX || sleepers > before || i < 1);
		before = sleepers;
		sleepers = 0;
	}
	assert_int_equal(before, GIVE_WAY_WAITS_MAX);
	/* And forgets that where it helps. */
	count_sleepers(&learnt);
	for (unsigned int i = 0; i < 10; i++)
		wait_for(&learnt, 2, SOON_NS);
	wait_for(&learnt, 1, GIVE_WAY_YIELD_NS_MAX + 1);
	assert_int_equal(count_sleepers(&learnt), GIVE_WAY_WAITS_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(give_way__yields_while_that_is_short),
		cmocka_unit_test(give_way__sleeps_when_another_has_the_cpu),
		cmocka_unit_test(give_way__sleeps_when_yields_do_not_help),
		cmocka_unit_test(give_way__yields_as_long_as_it_may),
		cmocka_unit_test(give_way__a_long_yield_that_ends_the_wait_counts),
		cmocka_unit_test(give_way__tries_less_often_where_it_fails),
	};

	return cmocka_run_group_tests_name("give_way", tests, NULL, NULL);
}
