/* SPDX-License-Identifier: MIT */
/* The permutation: each number once, whatever the limit; and far from where it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "scramble.h"

static void check_permutation(uint64_t limit)
{
	struct scramble scramble;
	uint8_t *seen = calloc(limit, 1);

	assert_non_null(seen);
	scramble_init(&scramble, limit);
	for (uint64_t i = 0; i < limit; i++) {
		uint64_t to = scramble_of(&scramble, i);
		assert_true(to < limit);
		assert_int_equal(seen[to]++, 0);
	}
	free(seen);
}

static void scramble__each_number_comes_once(void **state)
{
	(void)state;
	for (uint64_t limit = 1; limit <= 300; limit++)
		check_permutation(limit);
	check_permutation(4095);
	check_permutation(4096);
	check_permutation(4097);
	check_permutation(100000);
}

static void scramble__stays_below_large_limits(void **state)
{
	static const uint64_t limits[] = {(UINT64_C(1) << 40) + 1, UINT64_C(10000000000000000000),
					  UINT64_C(1) << 63, UINT64_MAX};
	struct scramble scramble;

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		scramble_init(&scramble, limits[i]);
		for (uint64_t j = 0; j < 1000; j++) {
			assert_true(scramble_of(&scramble, j) < limits[i]);
			assert_true(scramble_of(&scramble, limits[i] - 1 - j) < limits[i]);
		}
	}
}

/* The first 1600 of a million, in 16 parts of the range: 100 each, give or take 5 deviations. */
static void scramble__neighbours_are_spread(void **state)
{
	struct scramble scramble;
	int parts[16] = {0};
	uint64_t limit = 1000000;

	(void)state;
	scramble_init(&scramble, limit);
	for (uint64_t i = 0; i < 1600; i++) {
		uint64_t to = scramble_of(&scramble, i);
		uint64_t next = scramble_of(&scramble, i + 1);
		assert_true((to > next ? to - next : next - to) > 1);
		parts[to * 16 / limit]++;
	}
	for (int i = 0; i < 16; i++)
		assert_in_range(parts[i], 50, 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scramble__each_number_comes_once),
		cmocka_unit_test(scramble__stays_below_large_limits),
		cmocka_unit_test(scramble__neighbours_are_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
