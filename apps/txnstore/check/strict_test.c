/* SPDX-License-Identifier: MIT */
/* Short histories of lists, of all sorts, beside a search through all orders. */
#include "txnstore/check/random_history.h"

#include "txnstore/check/graph.h"

#define SHORT_TXNS_MAX 7
#define SHORT_HISTORIES 20000

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

/* Of serial ones, with what stores do that are not: old states, lost and dirty data, odd times. */
static void make_short(struct random *random)
{
	size_t txns = 2 + random_below(random, SHORT_TXNS_MAX - 1);
	bool odd = random_chance(random, 0.9);

	start(1 + random_below(random, 3));
	before = store;
	for (size_t i = 0; i < txns; i++) {
		size_t ops = 1 + random_below(random, 4);
		static struct store old;

		draft.txn.outcome = random_outcome(random);
		if (odd && random_chance(random, 0.4)) {
			/* Its reads are of an old state, its appends come behind the new one. */
			old = before;
			draft_ops(random, &old, ops);
			for (size_t j = 0; j < draft.op_count; j++) {
				if (draft.ops[j].kind == HISTORY_APPEND)
					push(&store.lists[draft.ops[j].key], draft.ops[j].value);
			}
		} else {
			old = store;
			draft_ops(random, &store, ops);
			if (draft.txn.outcome == HISTORY_ABORTED &&
			    !(odd && random_chance(random, 0.2))) {
				old.appended = store.appended;
				store = old;
			}
		}
		if (odd && random_chance(random, 0.05) && draft.ops[0].count)
			draft.ops[0].count--;
		draft_times(random, odd ? 9 : 5);
		if (odd && random_chance(random, 0.1))
			store.time_ns = random_below(random, 20);
		if (random_chance(random, 0.4))
			before = store;
		keep_draft();
	}
}

static void swap_some_lists(struct random *random)
{
	if (history.element_count < 2 || !random_chance(random, 0.1))
		return;
	size_t at = random_below(random, history.element_count - 1);
	uint64_t first = history.elements[at];

	history.elements[at] = history.elements[at + 1];
	history.elements[at + 1] = first;
}

/* Does @txn on @state; false: it cannot have read what it did. */
static bool apply(struct store *state, const struct history_txn *txn)
{
	for (size_t i = 0; i < txn->count; i++) {
		const struct history_op *op = &history.ops[txn->first + i];
		struct list *list = &state->lists[op->key];

		if (op->kind == HISTORY_APPEND)
			push(list, op->value);
		else if (op->count != list->count ||
			 memcmp(history.elements + op->first, list->elements,
				op->count * sizeof(uint64_t)) != 0)
			return false;
	}
	return true;
}

/* Only lengths need to be put back: what a state adds stands behind what it had. */
static bool some_order(struct store *state, unsigned int done)
{
	uint64_t first_end_ns = HISTORY_NEVER;
	size_t counts[KEYS_MAX];
	bool complete = true;

	for (size_t i = 0; i < history.txn_count; i++) {
		const struct history_txn *txn = &history.txns[i];

		if (done >> i & 1 || txn->outcome != HISTORY_COMMITTED)
			continue;
		complete = false;
		if (txn->end_ns < first_end_ns)
			first_end_ns = txn->end_ns;
	}
	for (size_t key = 0; key < KEYS_MAX; key++)
		counts[key] = state->lists[key].count;
	for (size_t i = 0; !complete && i < history.txn_count; i++) {
		const struct history_txn *txn = &history.txns[i];

		if (done >> i & 1 || txn->begin_ns > first_end_ns ||
		    txn->outcome == HISTORY_ABORTED)
			continue;
		complete = apply(state, txn) && some_order(state, done | 1u << i);
		for (size_t key = 0; key < KEYS_MAX; key++)
			state->lists[key].count = counts[key];
	}
	return complete;
}

static void strict__agrees_with_a_search_through_all_orders(void **state)
{
	static const char *const classes[] = {
		"G1a", "G1b",         "internal",     "incompatible order", "G0", "G1c", "G-single",
		"G2",  "G0-realtime", "G1c-realtime", "G-single-realtime"};
	enum { CLASSES = sizeof(classes) / sizeof(classes[0]) };
	unsigned int held = 0, violated = 0, seen[CLASSES] = {0};
	struct random random = {6};

	(void)state;
	for (unsigned int i = 0; i < SHORT_HISTORIES; i++) {
		static struct store empty;

		make_short(&random);
		swap_some_lists(&random);
		bool holds = some_order(&empty, 0);
		int result = check_graph(&history, why, sizeof(why), NULL);
		if (result != !holds)
			fail_msg("history %u: %d, %s", i, result, why);
		held += holds;
		violated += !holds;
		for (size_t j = 0; !holds && j < CLASSES; j++)
			seen[j] += strcspn(why, ":,") == strlen(classes[j]) &&
				   strncmp(why, classes[j], strlen(classes[j])) == 0;
	}
	assert_true(held > SHORT_HISTORIES / 5);
	assert_true(violated > SHORT_HISTORIES / 5);
	for (size_t j = 0; j < CLASSES; j++) {
		if (!seen[j])
			fail_msg("no %s among them", classes[j]);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(strict__agrees_with_a_search_through_all_orders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
