/* SPDX-License-Identifier: MIT */
/* Anomalies of lists that are no cycles, unknown transactions, and what looks wrong and is not. */
#include "txnstore/check/graph_testing.h"

#include <errno.h>
#include <stdbool.h>

static void graph__holds_for_one_client(void **state)
{
	struct graph_judged judged;

	(void)state;
	assert_holds();
	text_txn(&history, 'c', 1, 2, "l1: a1:1 l1:1 a2:2");
	text_txn(&history, 'c', 3, 4, "a1:3 a1:4 l1:1,3,4");
	text_txn(&history, 'a', 5, 6, "a1:5 l1:1,3,4,5 l2:7");
	text_txn(&history, 'c', 7, 8, "l1:1,3,4 l2:2 l3: a1:6");
	text_txn(&history, 'c', 9, 10, "");
	assert_int_equal(check_graph(&history, why, sizeof(why), &judged), 0);
	assert_int_equal(judged.transactions, 4);
	assert_int_equal(judged.reads, 6);
	assert_int_equal(judged.elements, 4);
}

static void graph__tells_elements_that_nobody_appended(void **state)
{
	(void)state;
	beside("a1:1");
	beside("l1:1,2");
	assert_violates("element never appended");
	beside("a2:2");
	assert_violates("element never appended");
	assert_non_null(strstr(why, "transaction 2 appended it to key 2"));
}

static void graph__tells_an_element_twice(void **state)
{
	(void)state;
	beside("a1:1");
	beside("a1:2");
	beside("l1:1,2,1");
	assert_violates("element twice");
	beside("l1:1,2");
	assert_violates("element twice");
	text_txn(&history, 'c', 1, 100, "l1:1,2,2,2,2,2,2,2");
	assert_violates("element twice");
}

static void graph__tells_orders_that_do_not_agree(void **state)
{
	(void)state;
	beside("a1:1");
	beside("a1:2");
	beside("l1:1,2");
	assert_holds();
	beside("l1:2");
	assert_violates("incompatible order");
	assert_non_null(strstr(why,
			       "of key 1 transaction 3 read 2 at position 0, where transaction "
			       "2 read 1"));
}

static void graph__tells_an_order_against_that_of_the_program(void **state)
{
	(void)state;
	beside("a1:1 a1:2");
	beside("a1:3");
	beside("l1:2,1,3");
	assert_violates("incompatible order");
}

static void graph__tells_an_aborted_read(void **state)
{
	(void)state;
	beside("a1:1");
	text_txn(&history, 'a', 1, 100, "a1:2");
	beside("l1:1,2");
	assert_violates("G1a");
	assert_non_null(strstr(why, "transaction 2 read 2 in key 1, which transaction 1 appended"));
}

static void graph__tells_an_intermediate_read(void **state)
{
	(void)state;
	beside("a1:1 a2:5 a1:2");
	beside("l1:1");
	assert_violates("G1b");
	beside("l1:1,2");
	assert_violates("G1b");
	history_destroy(&history);
	beside("a1:1 a1:2");
	beside("l1:1 a1:3 l1:1,3");
	assert_violates("G1b");
}

static void graph__tells_a_transaction_that_misses_its_own_appends(void **state)
{
	(void)state;
	beside("a1:1 l1:");
	assert_violates("internal");
	history_destroy(&history);
	beside("a1:1 l1:1,2");
	beside("a1:2");
	assert_violates("internal");
	history_destroy(&history);
	beside("a1:1 a1:2 l1:1,2");
	assert_holds();
	beside("l1:1,2 a1:3 l1:1,2,3 a1:4 l1:1,2,3,4");
	assert_holds();
}

static void graph__tells_a_transaction_that_sees_its_future(void **state)
{
	(void)state;
	beside("l1:1 a1:1");
	assert_violates("internal");
	history_destroy(&history);
	beside("a1:2 l1:2 a1:1 l1:2,1");
	assert_holds();
	history_destroy(&history);
	beside("a1:2 l1:1,2 a1:1");
	assert_int_equal(check_graph(&history, why, sizeof(why), NULL), 1);
}

static void graph__tells_a_read_that_is_not_repeated(void **state)
{
	(void)state;
	beside("a1:1");
	beside("l1: l1:1");
	assert_violates("internal");
	history_destroy(&history);
	beside("a1:1");
	beside("l1: a1:2 l1:1,2");
	assert_violates("internal");
}

static void graph__leaves_out_unknown_transactions_that_nobody_saw(void **state)
{
	(void)state;
	text_txn(&history, 'u', 1, 0, "a1:1 l2:2,3 a2:5");
	text_txn(&history, 'c', 10, 11, "l1: l2:");
	assert_holds();
}

static void graph__lets_unknown_transactions_happen_late(void **state)
{
	(void)state;
	text_txn(&history, 'u', 1, 0, "a1:1");
	text_txn(&history, 'c', 10, 11, "l1:");
	text_txn(&history, 'c', 20, 21, "l1:1");
	assert_holds();
	text_txn(&history, 'c', 30, 31, "l1:");
	assert_violates("G-single-realtime");
}

static void graph__counts_unknown_transactions_that_were_seen(void **state)
{
	struct graph_judged judged;

	(void)state;
	text_txn(&history, 'u', 1, 0, "a1:1 l2:2");
	text_txn(&history, 'u', 1, 0, "a2:2 a3:3");
	text_txn(&history, 'c', 10, 11, "l1:1 l3:3");
	assert_int_equal(check_graph(&history, why, sizeof(why), &judged), 0);
	assert_int_equal(judged.transactions, 3);
	/* 0 read of 1, and 2 read of 0, so 1 is there in whole. */
	text_txn(&history, 'c', 10, 11, "l1:1 l3:");
	assert_violates("G-single");
}

static void graph__puts_unread_appends_behind_all_that_were_read(void **state)
{
	(void)state;
	text_txn(&history, 'c', 1, 2, "a1:1");
	text_txn(&history, 'c', 3, 4, "a1:2");
	text_txn(&history, 'c', 3, 8, "l1:1");
	assert_holds();
	history.txns[2].begin_ns = 5;
	assert_violates("G-single-realtime");
	history_destroy(&history);
	/* What comes behind must not have ended before. */
	text_txn(&history, 'c', 1, 2, "a1:2");
	text_txn(&history, 'c', 3, 4, "a1:1");
	text_txn(&history, 'c', 2, 3, "l1:1");
	assert_violates("G0-realtime");
}

static void graph__refuses_what_it_cannot_judge(void **state)
{
	(void)state;
	beside("a1:1");
	text_txn(&history, 'a', 1, 2, "a2:1");
	assert_int_equal(check_graph(&history, why, sizeof(why), NULL), -EINVAL);
	assert_non_null(strstr(why, "both appended 1"));
	history.ops[1].value = 2;
	assert_holds();
	assert_int_equal(check_graph(&history, NULL, 0, NULL), 0);
	beside("w1:1");
	assert_int_equal(check_graph(&history, why, sizeof(why), NULL), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(graph__holds_for_one_client),
		TEST(graph__tells_elements_that_nobody_appended),
		TEST(graph__tells_an_element_twice),
		TEST(graph__tells_orders_that_do_not_agree),
		TEST(graph__tells_an_order_against_that_of_the_program),
		TEST(graph__tells_an_aborted_read),
		TEST(graph__tells_an_intermediate_read),
		TEST(graph__tells_a_transaction_that_misses_its_own_appends),
		TEST(graph__tells_a_transaction_that_sees_its_future),
		TEST(graph__tells_a_read_that_is_not_repeated),
		TEST(graph__leaves_out_unknown_transactions_that_nobody_saw),
		TEST(graph__lets_unknown_transactions_happen_late),
		TEST(graph__counts_unknown_transactions_that_were_seen),
		TEST(graph__puts_unread_appends_behind_all_that_were_read),
		TEST(graph__refuses_what_it_cannot_judge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
