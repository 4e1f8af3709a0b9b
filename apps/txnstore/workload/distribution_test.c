/* SPDX-License-Identifier: MIT */
/* Which items the distributions ask for, before and after items have come. Seeds are fixed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "distribution.h"

#define ITEMS 1000
#define MORE 1100
#define DRAWS 100000

static uint64_t counts[MORE];

static void draw(const struct distribution *distribution)
{
	struct random random = {42};

	memset(counts, 0, sizeof(counts));
	for (int i = 0; i < DRAWS; i++) {
		uint64_t item = distribution_next(distribution, &random);
		assert_true(item < MORE);
		counts[item]++;
	}
}

static void make(struct distribution *distribution, enum distribution_kind kind)
{
	assert_int_equal(distribution_init(distribution, kind, ITEMS, 0.99), 0);
}

/* The most popular of 1000 items has a probability of 0.129: 12 939 times, give or take 530. */
static void assert_most_popular(uint64_t item)
{
	assert_in_range(counts[item], 12410, 13470);
	for (uint64_t i = 0; i < MORE; i++)
		assert_true(i == item || counts[i] < 8000);
}

static void distribution__uniform_is_even_and_knows_more(void **state)
{
	struct distribution distribution;

	(void)state;
	make(&distribution, DISTRIBUTION_UNIFORM);
	draw(&distribution);
	for (int i = 0; i < MORE; i++)
		assert_in_range(counts[i], i < ITEMS ? 50 : 0, i < ITEMS ? 150 : 0);
	distribution_extend(&distribution, MORE);
	draw(&distribution);
	for (int i = 0; i < MORE; i++)
		assert_in_range(counts[i], 40, 142);
}

static void distribution__zipfian_begins_with_the_first(void **state)
{
	struct distribution distribution;

	(void)state;
	make(&distribution, DISTRIBUTION_ZIPFIAN);
	draw(&distribution);
	assert_most_popular(0);
	assert_true(counts[1] > counts[2] && counts[2] > counts[4] && counts[4] > counts[10]);
}

/* As often as the ranks they stand for, item for item, since no two ranks meet. */
static void distribution__scrambled_has_the_same_counts_elsewhere(void **state)
{
	struct distribution distribution;
	uint64_t plain[ITEMS];

	(void)state;
	make(&distribution, DISTRIBUTION_ZIPFIAN);
	draw(&distribution);
	memcpy(plain, counts, sizeof(plain));
	make(&distribution, DISTRIBUTION_SCRAMBLED);
	draw(&distribution);
	for (uint64_t rank = 0; rank < ITEMS; rank++)
		assert_int_equal(counts[scramble_of(&distribution.scramble, rank)], plain[rank]);
	for (uint64_t rank = 0; rank < 4; rank++) {
		uint64_t here = scramble_of(&distribution.scramble, rank);
		uint64_t next = scramble_of(&distribution.scramble, rank + 1);
		assert_true((here > next ? here - next : next - here) > 5);
	}
}

static void distribution__popularity_stays_when_items_come(void **state)
{
	static const enum distribution_kind kinds[] = {DISTRIBUTION_ZIPFIAN,
						       DISTRIBUTION_SCRAMBLED};
	struct distribution distribution;
	uint64_t before[MORE];

	(void)state;
	for (int i = 0; i < 2; i++) {
		make(&distribution, kinds[i]);
		draw(&distribution);
		memcpy(before, counts, sizeof(before));
		distribution_extend(&distribution, MORE);
		draw(&distribution);
		assert_memory_equal(before, counts, sizeof(before));
	}
}

static void distribution__latest_follows_the_last(void **state)
{
	struct distribution distribution;

	(void)state;
	make(&distribution, DISTRIBUTION_LATEST);
	draw(&distribution);
	assert_most_popular(ITEMS - 1);
	for (uint64_t items = ITEMS + 1; items <= MORE; items++)
		distribution_extend(&distribution, items);
	draw(&distribution);
	assert_most_popular(MORE - 1);
	assert_true(counts[MORE - 2] > counts[MORE - 3]);
}

static void distribution__refuses_what_zipf_refuses(void **state)
{
	struct distribution distribution;

	(void)state;
	for (int i = 0; i < DISTRIBUTION_KINDS; i++) {
		enum distribution_kind kind = (enum distribution_kind)i;
		assert_int_equal(distribution_init(&distribution, kind, 0, 0.5), -EINVAL);
		assert_int_equal(distribution_init(&distribution, kind, 5, 2.0),
				 kind == DISTRIBUTION_UNIFORM ? 0 : -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(distribution__uniform_is_even_and_knows_more),
		cmocka_unit_test(distribution__zipfian_begins_with_the_first),
		cmocka_unit_test(distribution__scrambled_has_the_same_counts_elsewhere),
		cmocka_unit_test(distribution__popularity_stays_when_items_come),
		cmocka_unit_test(distribution__latest_follows_the_last),
		cmocka_unit_test(distribution__refuses_what_zipf_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
