/* SPDX-License-Identifier: MIT */
/* A history keeps copies of what it is given, however much that is. */
#include "txnstore/check/text_history.h"

#include <errno.h>

#include "txnstore/check/form.h"

#define MANY 5000

#define ALL_KINDS 0xfu

static void history__keeps_operations_and_lists_apart(void **state)
{
	struct history history;

	(void)state;
	history_init(&history);
	text_txn(&history, 'c', 1, 2, "l7:1,2 a7:3 l8:9");
	text_txn(&history, 'u', 3, 0, "");
	text_txn(&history, 'a', 4, 6, "r1:5 l9: l7:4,5,6");
	assert_int_equal(history.txn_count, 3);
	assert_int_equal(history.op_count, 6);
	assert_int_equal(history.element_count, 6);
	assert_int_equal(history.txns[2].first, 3);
	assert_int_equal(history.txns[2].count, 3);
	assert_int_equal(history.txns[1].end_ns, HISTORY_NEVER);
	assert_int_equal(history.ops[1].value, 3);
	assert_int_equal(history.elements[history.ops[2].first], 9);
	assert_int_equal(history.ops[4].count, 0);
	assert_int_equal(history.elements[history.ops[5].first + 2], 6);
	history_destroy(&history);
	assert_int_equal(history.txn_count, 0);
}

static void history__takes_parts_of_the_callers_lists(void **state)
{
	const uint64_t lists[] = {1, 2, 3, 4};
	const struct history_op ops[] = {
		{.kind = HISTORY_READ_LIST, .key = 1, .first = 2, .count = 2},
		{.kind = HISTORY_READ_LIST, .key = 2, .first = 1, .count = 1},
	};
	const struct history_txn txn = {.outcome = HISTORY_COMMITTED, .first = 77, .count = 99};
	struct history history;

	(void)state;
	history_init(&history);
	assert_int_equal(history_add(&history, &txn, ops, 2, lists), 0);
	assert_int_equal(history.txns[0].first, 0);
	assert_int_equal(history.txns[0].count, 2);
	assert_int_equal(history.elements[history.ops[0].first], 3);
	assert_int_equal(history.elements[history.ops[1].first], 2);
	history_destroy(&history);
}

static void history__grows(void **state)
{
	struct history history;

	(void)state;
	history_init(&history);
	for (uint64_t i = 1; i <= MANY; i++) {
		struct history_op op = {.kind = HISTORY_READ_LIST, .key = i, .count = 1};
		struct history_txn txn = {.outcome = HISTORY_COMMITTED, .begin_ns = i, .end_ns = i};

		assert_int_equal(history_add(&history, &txn, &op, 1, &i), 0);
	}
	for (uint64_t i = 1; i <= MANY; i++) {
		const struct history_op *op = &history.ops[history.txns[i - 1].first];

		assert_int_equal(op->key, i);
		assert_int_equal(history.elements[op->first], i);
	}
	history_destroy(&history);
}

static void history__refuses_more_elements_than_there_can_be(void **state)
{
	const struct history_op ops[] = {
		{.kind = HISTORY_READ_LIST, .count = SIZE_MAX},
		{.kind = HISTORY_READ_LIST, .count = 2},
	};
	const struct history_txn txn = {.outcome = HISTORY_COMMITTED};
	struct history history;

	(void)state;
	history_init(&history);
	assert_int_equal(history_add(&history, &txn, ops, 2, NULL), -ENOMEM);
	assert_int_equal(history_add(&history, &txn, ops, 1, NULL), -ENOMEM);
	assert_int_equal(history.txn_count, 0);
	assert_int_equal(history.op_count, 0);
	history_destroy(&history);
}

static void form__refuses_what_is_no_history(void **state)
{
	char text[200];
	struct history history;
	struct why why;

	(void)state;
	history_init(&history);
	why_init(&why, text, sizeof(text));
	assert_int_equal(form_check(&history, ALL_KINDS, &why), 0);
	text_txn(&history, 'c', 1, 1, "l1:5 a1:6");
	text_txn(&history, 'u', 1, 0, "w1:5");
	assert_int_equal(form_check(&history, ALL_KINDS, &why), 0);
	assert_int_equal(form_check(&history, FORM_KIND(HISTORY_WRITE), &why), -EINVAL);
	history.txns[0].end_ns = 0;
	assert_int_equal(form_check(&history, ALL_KINDS, &why), -EINVAL);
	history.txns[0].end_ns = HISTORY_NEVER;
	assert_int_equal(form_check(&history, ALL_KINDS, &why), -EINVAL);
	history.txns[0].end_ns = 1;
	history.txns[1].end_ns = 5;
	assert_int_equal(form_check(&history, ALL_KINDS, &why), -EINVAL);
	history.txns[1].end_ns = HISTORY_NEVER;
	history.txns[1].first = 1;
	assert_int_equal(form_check(&history, ALL_KINDS, &why), -EINVAL);
	history.txns[1].first = 2;
	history.txns[1].count = 2;
	assert_int_equal(form_check(&history, ALL_KINDS, &why), -EINVAL);
	history.txns[1].count = 1;
	history.ops[0].count = 2;
	assert_int_equal(form_check(&history, ALL_KINDS, &why), -EINVAL);
	history.ops[0].count = 1;
	history.ops[1].value = 0;
	assert_int_equal(form_check(&history, ALL_KINDS, &why), -EINVAL);
	history_destroy(&history);
}

static void why__cuts_off_what_has_no_room(void **state)
{
	char text[8];
	struct why why;

	(void)state;
	why_init(&why, text, sizeof(text));
	why_add(&why, "%d, ", 12);
	why_add(&why, "%s", "abcdef");
	why_add(&why, "more");
	assert_string_equal(text, "12, abc");
	why_init(&why, NULL, 0);
	why_add(&why, "nowhere");
	assert_int_equal(why.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(history__keeps_operations_and_lists_apart),
		cmocka_unit_test(history__takes_parts_of_the_callers_lists),
		cmocka_unit_test(history__grows),
		cmocka_unit_test(history__refuses_more_elements_than_there_can_be),
		cmocka_unit_test(form__refuses_what_is_no_history),
		cmocka_unit_test(why__cuts_off_what_has_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
