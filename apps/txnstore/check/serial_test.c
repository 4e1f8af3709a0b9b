/* SPDX-License-Identifier: MIT */
/* Long histories of lists by a store that does one transaction after the other, whole and broken. */
#include "txnstore/check/random_history.h"

#include "txnstore/check/graph.h"

#define LONG_TXNS 1000
#define LONG_HISTORIES 12
#define NOBODYS UINT64_C(1000000000)

static char why[2000];

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

static void make_serial(struct random *random)
{
	start(KEYS_MAX);
	for (size_t i = 0; i < LONG_TXNS; i++) {
		draft.txn.outcome = random_outcome(random);
		bool happens = draft.txn.outcome == HISTORY_COMMITTED ||
			       (draft.txn.outcome == HISTORY_UNKNOWN && random_chance(random, 0.5));

		before = store;
		draft_ops(random, &store, 1 + random_below(random, OPS_MAX));
		if (!happens) {
			before.appended = store.appended;
			store = before;
		}
		draft_times(random, 40);
		keep_draft();
	}
	/* All is read at last, by one read of each key. */
	for (uint64_t key = 0; key < store.keys; key++) {
		draft.op_count = draft.element_count = 0;
		draft.txn.outcome = HISTORY_COMMITTED;
		draft_read(&store, key);
		draft_times(random, 40);
		keep_draft();
	}
}

static void serial__holds_for_serial_histories(void **state)
{
	struct random random = {4};
	struct graph_judged judged;

	(void)state;
	for (unsigned int i = 0; i < LONG_HISTORIES; i++) {
		make_serial(&random);
		if (check_graph(&history, why, sizeof(why), &judged) != 0)
			fail_msg("history %u: %s", i, why);
		assert_true(judged.transactions > LONG_TXNS / 2);
		assert_true(judged.elements > LONG_TXNS);
	}
}

/* A committed read, not of those at the end, of @least elements or more, by chance. */
static struct history_op *some_read(struct random *random, size_t least, size_t *txn)
{
	for (;;) {
		*txn = random_below(random, LONG_TXNS);
		const struct history_txn *found = &history.txns[*txn];
		struct history_op *op =
			&history.ops[found->first + random_below(random, found->count)];

		if (found->outcome == HISTORY_COMMITTED && op->kind == HISTORY_READ_LIST &&
		    op->count >= least)
			return op;
	}
}

static size_t appender(uint64_t element)
{
	for (size_t i = 0; i < history.txn_count; i++) {
		for (size_t j = 0; j < history.txns[i].count; j++) {
			const struct history_op *op = &history.ops[history.txns[i].first + j];

			if (op->kind == HISTORY_APPEND && op->value == element)
				return i;
		}
	}
	fail();
	return 0;
}

static void break_order(struct random *random)
{
	size_t txn;
	struct history_op *op = some_read(random, 2, &txn);
	uint64_t *elements = history.elements + op->first + random_below(random, op->count - 1);
	uint64_t first = elements[0];

	elements[0] = elements[1];
	elements[1] = first;
}

static void break_element(struct random *random)
{
	size_t txn;
	struct history_op *op = some_read(random, 1, &txn);

	history.elements[op->first + random_below(random, op->count)] = NOBODYS;
}

static void break_twice(struct random *random)
{
	size_t txn;
	struct history_op *op = some_read(random, 2, &txn);
	uint64_t *elements = history.elements + op->first;

	elements[1 + random_below(random, op->count - 1)] = elements[0];
}

static void break_outcome(struct random *random)
{
	size_t txn;
	struct history_op *op = some_read(random, 1, &txn);
	struct history_txn *writer = &history.txns[appender(history.elements[op->first])];

	writer->outcome = HISTORY_ABORTED;
	if (writer->end_ns == HISTORY_NEVER)
		writer->end_ns = writer->begin_ns;
}

/* A read leaves out what was there before it began. */
static void break_freshness(struct random *random)
{
	for (;;) {
		size_t txn;
		struct history_op *op = some_read(random, 1, &txn);
		size_t writer = appender(history.elements[op->first + op->count - 1]);

		if (history.txns[writer].end_ns >= history.txns[txn].begin_ns)
			continue;
		op->count--;
		return;
	}
}

/* A read of what was appended only after its end. */
static void break_time(struct random *random)
{
	for (;;) {
		size_t txn;
		struct history_op *op = some_read(random, 1, &txn);
		size_t writer = appender(history.elements[op->first + op->count - 1]);

		if (writer == txn)
			continue;
		history.txns[writer].begin_ns = history.txns[txn].end_ns + 1;
		if (history.txns[writer].end_ns < history.txns[writer].begin_ns)
			history.txns[writer].end_ns = history.txns[writer].begin_ns;
		return;
	}
}

static void serial__tells_of_serial_histories_that_were_broken(void **state)
{
	static void (*const breaks[])(struct random *) = {
		break_order, break_element, break_twice, break_outcome, break_freshness, break_time,
	};
	struct random random = {5};

	(void)state;
	for (unsigned int i = 0; i < 6 * LONG_HISTORIES; i++) {
		make_serial(&random);
		breaks[i % 6](&random);
		if (check_graph(&history, why, sizeof(why), NULL) != 1)
			fail_msg("history %u holds", i);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(serial__holds_for_serial_histories),
		TEST(serial__tells_of_serial_histories_that_were_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
