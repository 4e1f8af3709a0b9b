/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "libos/catmint/connection.h"

#define COUNT 500u

static struct connection *connections[COUNT];
static struct ibv_qp qps[COUNT];
static bool is_there[COUNT];

static int begin(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < COUNT; i++) {
		connections[i] = calloc(1, sizeof(*connections[i]));
		connections[i]->qp = &qps[i];
		is_there[i] = false;
	}
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < COUNT; i++)
		free(connections[i]);
	return 0;
}

static uint32_t next_random(void)
{
	static uint64_t random = 1;

	random = random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random >> 33);
}

static void expect_right(const struct pair_table *table)
{
	uint32_t count = 0;

	for (unsigned int i = 0; i < COUNT; i++) {
		assert_ptr_equal(pair_table_find(table, qps[i].qp_num),
				 is_there[i] ? connections[i] : NULL);
		count += is_there[i];
	}
	assert_int_equal(table->count, count);
}

/* @mask: the bits in which numbers differ; the fewer, the more meet in one slot. */
static void come_and_go(uint32_t mask)
{
	struct pair_table table = {0};

	for (unsigned int i = 0; i < COUNT; i++)
		qps[i].qp_num = (i * 0x9e3779b1u & mask) | i << 20;
	assert_null(pair_table_find(&table, 1));
	for (unsigned int round = 0; round < 4000; round++) {
		unsigned int i = next_random() % COUNT;

		if (is_there[i])
			pair_table_remove(&table, qps[i].qp_num);
		else
			assert_int_equal(pair_table_add(&table, qps[i].qp_num, connections[i]), 0);
		is_there[i] = !is_there[i];
		if (round % 50 == 0)
			expect_right(&table);
	}
	expect_right(&table);
	free(table.slots);
}

static void table__finds_those_that_are_in_it(void **state)
{
	(void)state;
	come_and_go(0xfffff);
}

static void table__finds_those_that_stand_behind_others(void **state)
{
	(void)state;
	come_and_go(0x80007);
}

static void table__finds_those_that_all_begin_at_one_slot(void **state)
{
	(void)state;
	come_and_go(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(table__finds_those_that_are_in_it, begin, end),
		cmocka_unit_test_setup_teardown(table__finds_those_that_stand_behind_others, begin,
						end),
		cmocka_unit_test_setup_teardown(table__finds_those_that_all_begin_at_one_slot,
						begin, end),
	};

	return cmocka_run_group_tests_name("libos/catmint/table", tests, NULL, NULL);
}
