/* SPDX-License-Identifier: MIT */
/* Cycles of each class by hand, and the same histories with a little less. */
#include "txnstore/check/graph_testing.h"

#include <stdbool.h>

static void cycle__tells_g0(void **state)
{
	(void)state;
	beside("a1:1 a2:2");
	beside("a1:3 a2:4");
	beside("l1:1,3");
	beside("l2:4,2");
	assert_violates("G0");
	assert_string_equal(why, "G0: a cycle of 2 transactions\n"
				 "0 -ww-> 1: transaction 0 appended to key 1 before 1 did\n"
				 "1 -ww-> 0: transaction 1 appended to key 2 before 0 did");
}

static void cycle__tells_g0_of_appends_apart(void **state)
{
	(void)state;
	beside("a1:1 a1:3");
	beside("a1:2");
	beside("l1:1,2,3");
	assert_violates("G0");
}

static void cycle__tells_g1c(void **state)
{
	(void)state;
	beside("a1:1 l2:2");
	beside("a2:2 l1:1");
	assert_violates("G1c");
	assert_non_null(
		strstr(why, "0 -wr-> 1: transaction 0 appended to key 1 what 1 read of it"));
}

static void cycle__tells_g_single(void **state)
{
	(void)state;
	beside("a1:1 a2:2");
	beside("l1:1 l2:");
	assert_violates("G-single");
	assert_non_null(strstr(why, "1 -rw-> 0: transaction 1 read key 2 without what 0 appended"));
	beside("l2:2");
	assert_violates("G-single");
}

static void cycle__tells_a_lost_update(void **state)
{
	(void)state;
	beside("l1: a1:1");
	assert_holds();
	beside("l1: a1:2");
	assert_violates("G2");
	beside("l1: a1:3");
	assert_violates("G2");
	assert_non_null(strstr(why, "a cycle of 2 transactions"));
	beside("l1:1,2");
	assert_violates("G-single");
}

static void cycle__tells_write_skew(void **state)
{
	(void)state;
	beside("l1: l2: a1:1");
	beside("l1: a2:2");
	assert_violates("G2");
	beside("l1:1 l2:2");
	assert_violates("G2");
	assert_non_null(strstr(why, "0 -rw-> 1: transaction 0 read key 2 without what 1 appended"));
	assert_non_null(strstr(why, "1 -rw-> 0: transaction 1 read key 1 without what 0 appended"));
}

static void cycle__tells_a_long_fork(void **state)
{
	(void)state;
	beside("a1:1");
	beside("a2:2");
	beside("l1:1 l2:");
	assert_holds();
	beside("l1: l2:2");
	assert_violates("G2");
	assert_non_null(strstr(why, "a cycle of 4 transactions"));
}

static void cycle__tells_g0_realtime(void **state)
{
	(void)state;
	text_txn(&history, 'c', 1, 5, "a1:2");
	text_txn(&history, 'c', 5, 20, "a1:1");
	beside("l1:1,2");
	assert_holds();
	history.txns[1].begin_ns = 6;
	assert_violates("G0-realtime");
	assert_non_null(
		strstr(why, "0 -realtime-> 1: transaction 0 ended at 5 ns, 1 began at 6 ns"));
}

static void cycle__tells_g1c_realtime(void **state)
{
	(void)state;
	text_txn(&history, 'c', 1, 2, "l1:1");
	text_txn(&history, 'c', 2, 6, "a1:1");
	assert_holds();
	history.txns[1].begin_ns = 3;
	assert_violates("G1c-realtime");
}

static void cycle__tells_g_single_realtime(void **state)
{
	(void)state;
	text_txn(&history, 'c', 1, 2, "a1:1");
	for (uint64_t time_ns = 2; time_ns < 50; time_ns++)
		text_txn(&history, 'c', time_ns, time_ns, "l9:");
	text_txn(&history, 'c', 2, 60, "l1:");
	assert_holds();
	history.txns[history.txn_count - 1].begin_ns = 55;
	assert_violates("G-single-realtime");
	assert_non_null(strstr(why, "a cycle of 2 transactions"));
	beside("l1:1");
	assert_violates("G-single-realtime");
}

static void cycle__tells_g2_realtime(void **state)
{
	(void)state;
	text_txn(&history, 'c', 1, 2, "a1:1");
	text_txn(&history, 'c', 2, 6, "l2:");
	beside("a2:2");
	beside("l1: l2:2");
	assert_holds();
	history.txns[1].begin_ns = 5;
	assert_violates("G2-realtime");
}

static void cycle__names_what_needs_no_real_time_first(void **state)
{
	(void)state;
	text_txn(&history, 'c', 1, 5, "a1:2");
	text_txn(&history, 'c', 6, 20, "a1:1");
	beside("l1:1,2");
	beside("l3: l4: a3:3");
	beside("l3: a4:4");
	assert_violates("G2");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(cycle__tells_g0),
		TEST(cycle__tells_g0_of_appends_apart),
		TEST(cycle__tells_g1c),
		TEST(cycle__tells_g_single),
		TEST(cycle__tells_a_lost_update),
		TEST(cycle__tells_write_skew),
		TEST(cycle__tells_a_long_fork),
		TEST(cycle__tells_g0_realtime),
		TEST(cycle__tells_g1c_realtime),
		TEST(cycle__tells_g_single_realtime),
		TEST(cycle__tells_g2_realtime),
		TEST(cycle__names_what_needs_no_real_time_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
