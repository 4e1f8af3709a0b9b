/* SPDX-License-Identifier: MIT */
/* Registers: histories by hand, and many small ones beside a search through all orders. */
#include "txnstore/check/text_history.h"

#include <errno.h>
#include <stdbool.h>

#include "txnstore/check/register.h"
#include "txnstore/random.h"

#define HISTORIES 20000
#define OPS_MAX 8
#define KEYS 2

static struct history history;
static char why[400];

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

static int check(void)
{
	return check_register(&history, why, sizeof(why), NULL);
}

static void register__holds_for_one_client(void **state)
{
	size_t judged;

	(void)state;
	assert_int_equal(check(), 0);
	text_txn(&history, 'c', 1, 2, "r1:0");
	text_txn(&history, 'c', 3, 4, "w1:5");
	text_txn(&history, 'c', 5, 6, "r1:5");
	text_txn(&history, 'c', 7, 8, "w1:6");
	text_txn(&history, 'c', 9, 10, "r1:6");
	text_txn(&history, 'u', 9, 0, "r1:5");
	text_txn(&history, 'c', 11, 12, "r2:0");
	assert_int_equal(check_register(&history, why, sizeof(why), &judged), 0);
	assert_int_equal(judged, 4);
}

static void register__tells_a_stale_read(void **state)
{
	(void)state;
	text_txn(&history, 'c', 1, 2, "w1:5");
	text_txn(&history, 'c', 3, 4, "w1:6");
	text_txn(&history, 'c', 4, 6, "r1:5");
	assert_int_equal(check(), 0);
	history.txns[2].begin_ns = 5;
	assert_int_equal(check(), 1);
	assert_non_null(strstr(why, "key 1: value 5 was there before value 6"));
	assert_non_null(strstr(why, "transaction 1 had ended before transaction 2 began"));
}

static void register__tells_a_read_of_nothing_after_a_write(void **state)
{
	(void)state;
	text_txn(&history, 'c', 1, 3, "w1:5");
	text_txn(&history, 'c', 3, 4, "r1:0");
	assert_int_equal(check(), 0);
	history.txns[1].begin_ns = 4;
	assert_int_equal(check(), 1);
	assert_non_null(strstr(why, "transaction 1 found nothing"));
}

static void register__tells_new_and_then_old(void **state)
{
	(void)state;
	text_txn(&history, 'c', 1, 2, "w1:5");
	text_txn(&history, 'c', 3, 20, "w1:6");
	text_txn(&history, 'c', 4, 6, "r1:6");
	text_txn(&history, 'c', 5, 9, "r1:5");
	assert_int_equal(check(), 0);
	history.txns[3].begin_ns = 7;
	assert_int_equal(check(), 1);
}

static void register__lets_an_unknown_write_happen_late_or_never(void **state)
{
	(void)state;
	text_txn(&history, 'u', 1, 0, "w1:5");
	text_txn(&history, 'c', 2, 3, "w1:6");
	text_txn(&history, 'c', 4, 5, "r1:6");
	assert_int_equal(check(), 0);
	text_txn(&history, 'c', 100, 101, "r1:5");
	assert_int_equal(check(), 0);
	text_txn(&history, 'c', 102, 103, "r1:6");
	assert_int_equal(check(), 1);
}

static void register__tells_reads_of_what_was_not_written(void **state)
{
	(void)state;
	text_txn(&history, 'c', 1, 2, "r1:5");
	assert_int_equal(check(), 1);
	text_txn(&history, 'c', 1, 2, "w2:5");
	assert_int_equal(check(), 1);
	text_txn(&history, 'a', 1, 2, "w1:5");
	assert_int_equal(check(), 1);
	assert_non_null(strstr(why, "transaction 2 was aborted"));
	history.txns[2].outcome = HISTORY_COMMITTED;
	assert_int_equal(check(), 0);
	history.txns[2].begin_ns = history.txns[2].end_ns = 3;
	assert_int_equal(check(), 1);
	assert_non_null(strstr(why, "before transaction 2, which wrote it, began"));
}

static void register__refuses_what_it_cannot_judge(void **state)
{
	(void)state;
	text_txn(&history, 'c', 1, 2, "w1:5");
	text_txn(&history, 'c', 1, 2, "w2:5");
	assert_int_equal(check(), 0);
	text_txn(&history, 'a', 1, 2, "w1:5");
	assert_int_equal(check(), -EINVAL);
	history.ops[2].value = 0;
	assert_int_equal(check(), -EINVAL);
	history.ops[2].value = 6;
	text_txn(&history, 'c', 1, 2, "r1:5 r1:6");
	assert_int_equal(check(), -EINVAL);
}

/* Every order in which the operations of @key can have happened, of those that are not @done. */
static bool some_order(uint64_t key, unsigned int done, uint64_t value)
{
	uint64_t first_end_ns = HISTORY_NEVER;
	bool complete = true;

	for (size_t i = 0; i < history.txn_count; i++) {
		if (history.ops[i].key != key || done >> i & 1 ||
		    history.txns[i].outcome != HISTORY_COMMITTED)
			continue;
		complete = false;
		if (history.txns[i].end_ns < first_end_ns)
			first_end_ns = history.txns[i].end_ns;
	}
	for (size_t i = 0; !complete && i < history.txn_count; i++) {
		const struct history_op *op = &history.ops[i];
		bool write = op->kind == HISTORY_WRITE;

		if (op->key != key || done >> i & 1 || history.txns[i].begin_ns > first_end_ns ||
		    history.txns[i].outcome == HISTORY_ABORTED)
			continue;
		if (!write && (history.txns[i].outcome == HISTORY_UNKNOWN || op->value != value))
			continue;
		complete = some_order(key, done | 1u << i, write ? op->value : value);
	}
	return complete;
}

static char random_outcome(struct random *random)
{
	uint64_t dice = random_below(random, 10);

	return dice == 0 ? 'a' : dice <= 2 ? 'u' : 'c';
}

/* Values as a register has them while time goes on, but for one operation now and then. */
static void make_history(struct random *random)
{
	uint64_t values[KEYS] = {0};
	size_t ops = 2 + random_below(random, OPS_MAX - 1);
	uint64_t time_ns = 0;

	for (size_t i = 0; i < ops; i++) {
		uint64_t key = random_chance(random, 0.8) ? 0 : 1;
		bool write = random_chance(random, 0.4);
		char outcome = random_outcome(random);
		uint64_t begin_ns, end_ns;

		time_ns += random_below(random, 4);
		begin_ns = time_ns - random_below(random, time_ns < 5 ? time_ns + 1 : 5);
		end_ns = time_ns + random_below(random, 5);
		struct history_txn txn = {
			.outcome = outcome == 'a'   ? HISTORY_ABORTED
				   : outcome == 'u' ? HISTORY_UNKNOWN
						    : HISTORY_COMMITTED,
			.begin_ns = begin_ns,
			.end_ns = outcome == 'u' ? HISTORY_NEVER : end_ns,
		};
		struct history_op op = {.kind = write ? HISTORY_WRITE : HISTORY_READ, .key = key};
		op.value = write ? i + 1 : values[key];
		if (!write && random_chance(random, 0.15))
			op.value = random_below(random, OPS_MAX);
		if (write && outcome != 'a' && random_chance(random, 0.9))
			values[key] = op.value;
		assert_int_equal(history_add(&history, &txn, &op, 1, NULL), 0);
	}
}

static void register__agrees_with_a_search_through_all_orders(void **state)
{
	struct random random = {1};
	unsigned int held = 0, violated = 0;

	(void)state;
	for (unsigned int i = 0; i < HISTORIES; i++) {
		history_destroy(&history);
		make_history(&random);
		bool holds = some_order(0, 0, 0) && some_order(1, 0, 0);
		int result = check();
		if (result != !holds)
			fail_msg("history %u: %d, %s", i, result, why);
		held += holds;
		violated += !holds;
	}
	assert_true(held > HISTORIES / 5);
	assert_true(violated > HISTORIES / 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(register__holds_for_one_client),
		TEST(register__tells_a_stale_read),
		TEST(register__tells_a_read_of_nothing_after_a_write),
		TEST(register__tells_new_and_then_old),
		TEST(register__lets_an_unknown_write_happen_late_or_never),
		TEST(register__tells_reads_of_what_was_not_written),
		TEST(register__refuses_what_it_cannot_judge),
		TEST(register__agrees_with_a_search_through_all_orders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
