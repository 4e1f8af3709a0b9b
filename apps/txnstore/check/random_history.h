/* SPDX-License-Identifier: MIT */
/* For tests: a store of lists, and transactions of random operations on it for a history. */
#ifndef TXNSTORE_CHECK_RANDOM_HISTORY_H
#define TXNSTORE_CHECK_RANDOM_HISTORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "txnstore/check/history.h"
#include "txnstore/random.h"

#define KEYS_MAX 8
#define LIST_MAX 600
#define OPS_MAX 6

struct list {
	uint64_t elements[LIST_MAX];
	size_t count;
};

struct store {
	struct list lists[KEYS_MAX];
	uint64_t keys;
	uint64_t appended; /* the last element */
	uint64_t time_ns;
};

/* What a transaction is made of before it goes into the history. */
struct draft {
	struct history_txn txn;
	struct history_op ops[OPS_MAX];
	size_t op_count;
	uint64_t elements[OPS_MAX * LIST_MAX];
	size_t element_count;
};

static struct store store, before; /* now, and as it was some transactions ago */
static struct draft draft;
static struct history history;

static inline void push(struct list *list, uint64_t element)
{
	assert_true(list->count < LIST_MAX);
	list->elements[list->count++] = element;
}

static inline void draft_read(const struct store *from, uint64_t key)
{
	const struct list *list = &from->lists[key];
	struct history_op *op = &draft.ops[draft.op_count++];

	*op = (struct history_op){.kind = HISTORY_READ_LIST, .key = key};
	op->first = draft.element_count;
	op->count = list->count;
	memcpy(draft.elements + op->first, list->elements, list->count * sizeof(uint64_t));
	draft.element_count += list->count;
}

static inline void draft_append(struct store *from, uint64_t key)
{
	struct history_op *op = &draft.ops[draft.op_count++];

	*op = (struct history_op){.kind = HISTORY_APPEND, .key = key, .value = ++store.appended};
	push(&from->lists[key], op->value);
}

/* Reads and appends, of what @from has and to it. */
static inline void draft_ops(struct random *random, struct store *from, size_t ops)
{
	draft.op_count = draft.element_count = 0;
	for (size_t i = 0; i < ops; i++) {
		uint64_t key = random_below(random, store.keys);

		if (random_chance(random, 0.5))
			draft_append(from, key);
		else
			draft_read(from, key);
	}
}

static inline void draft_times(struct random *random, uint64_t spread_ns)
{
	uint64_t early_ns = random_below(random, spread_ns);

	store.time_ns += random_below(random, 4);
	draft.txn.begin_ns = store.time_ns > early_ns ? store.time_ns - early_ns : 0;
	draft.txn.end_ns = store.time_ns + random_below(random, spread_ns);
	if (draft.txn.outcome == HISTORY_UNKNOWN)
		draft.txn.end_ns = HISTORY_NEVER;
}

static inline enum history_outcome random_outcome(struct random *random)
{
	uint64_t dice = random_below(random, 12);

	return dice == 0 ? HISTORY_ABORTED : dice <= 2 ? HISTORY_UNKNOWN : HISTORY_COMMITTED;
}

static inline void keep_draft(void)
{
	assert_int_equal(
		history_add(&history, &draft.txn, draft.ops, draft.op_count, draft.elements), 0);
}

static inline void start(uint64_t keys)
{
	history_destroy(&history);
	memset(&store, 0, sizeof(store));
	store.keys = keys;
	store.time_ns = 10;
}

#endif /* TXNSTORE_CHECK_RANDOM_HISTORY_H */
