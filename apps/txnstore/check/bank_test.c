/* SPDX-License-Identifier: MIT */
/* Sums of whole reads, and what is no whole read. */
#include "txnstore/check/text_history.h"

#include <errno.h>

#include "txnstore/check/bank.h"

#define TOTAL 30

static struct history history;
static char why[200];

static int setup(void **state)
{
	(void)state;
	history_init(&history);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	history_destroy(&history);
	return 0;
}

static int check(size_t *judged)
{
	return check_bank(&history, 3, TOTAL, why, sizeof(why), judged);
}

static void bank__holds_where_every_whole_read_has_the_sum(void **state)
{
	size_t judged;

	(void)state;
	text_txn(&history, 'c', 1, 2, "r1:10 r2:10 r3:10");
	text_txn(&history, 'c', 3, 4, "r1:10 w1:0 r2:10 w2:20");
	text_txn(&history, 'c', 5, 6, "r3:10 r1:0 r2:20 r1:0");
	assert_int_equal(check(&judged), 0);
	assert_int_equal(judged, 2);
	assert_string_equal(why, "");
	assert_int_equal(check(NULL), 0);
}

static void bank__tells_a_sum_that_is_another(void **state)
{
	size_t judged;

	(void)state;
	text_txn(&history, 'c', 1, 2, "r1:10 r2:10 r3:10");
	text_txn(&history, 'c', 1, 2, "r1:10 r2:20 r3:10");
	text_txn(&history, 'c', 1, 2, "r1:11 r2:10 r3:10");
	assert_int_equal(check(&judged), 1);
	assert_int_equal(judged, 3);
	assert_string_equal(why, "transaction 1 read all 3 accounts: their sum was 40, not 30");
}

static void bank__takes_balances_below_zero(void **state)
{
	(void)state;
	text_txn(&history, 'c', 1, 2, "r1:10 r2:10 r3:10");
	history.ops[0].value = (uint64_t)-5;
	history.ops[1].value = 25;
	assert_int_equal(check(NULL), 0);
	history.ops[0].value = (uint64_t)INT64_MAX;
	history.ops[1].value = (uint64_t)INT64_MAX;
	history.ops[2].value = 32;
	assert_int_equal(check(NULL), 1);
	assert_non_null(strstr(why, "9223372036854775807, not 30"));
}

static void bank__judges_neither_parts_nor_writers_nor_the_uncommitted(void **state)
{
	size_t judged = 7;

	(void)state;
	text_txn(&history, 'c', 1, 2, "r1:1 r2:1");
	text_txn(&history, 'c', 1, 2, "r1:1 r2:1 r2:1");
	text_txn(&history, 'c', 1, 2, "r1:1 r2:1 r3:1 w1:2");
	text_txn(&history, 'a', 1, 2, "r1:1 r2:1 r3:1");
	text_txn(&history, 'u', 1, 0, "r1:1 r2:1 r3:1");
	assert_int_equal(check(&judged), 0);
	assert_int_equal(judged, 0);
}

static void bank__tells_two_balances_in_one_read(void **state)
{
	(void)state;
	text_txn(&history, 'c', 1, 2, "r1:10 r2:10 r3:10 r2:11");
	assert_int_equal(check(NULL), 1);
	assert_non_null(strstr(why, "transaction 0 read key 2 as "));
}

static void bank__refuses_what_is_no_bank(void **state)
{
	(void)state;
	assert_int_equal(check_bank(&history, 0, TOTAL, why, sizeof(why), NULL), -EINVAL);
	text_txn(&history, 'c', 1, 2, "r1:10 r2:10 r3:10");
	text_txn(&history, 'a', 1, 2, "r4:10");
	assert_int_equal(check(NULL), -EINVAL);
	assert_int_equal(check_bank(&history, 4, TOTAL, NULL, 0, NULL), 0);
	text_txn(&history, 'c', 1, 2, "l1:");
	assert_int_equal(check(NULL), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bank__holds_where_every_whole_read_has_the_sum),
		TEST(bank__tells_a_sum_that_is_another),
		TEST(bank__takes_balances_below_zero),
		TEST(bank__judges_neither_parts_nor_writers_nor_the_uncommitted),
		TEST(bank__tells_two_balances_in_one_read),
		TEST(bank__refuses_what_is_no_bank),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
