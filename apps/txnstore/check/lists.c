/* SPDX-License-Identifier: MIT */
#include "txnstore/check/lists.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_names(const void *left, const void *right)
{
	const struct list_key *a = left, *b = right;

	return compare_numbers(a->name, b->name);
}

static int compare_ops(const void *left, const void *right)
{
	const struct list_op *a = left, *b = right;

	return a->key != b->key ? compare_numbers(a->key, b->key) : compare_numbers(a->op, b->op);
}

static int compare_elements(const void *left, const void *right)
{
	const struct list_append *a = left, *b = right;

	return compare_numbers(a->element, b->element);
}

static void find_keys(struct lists *lists)
{
	const struct history *history = lists->history;
	uint32_t unique = 0;

	for (size_t i = 0; i < history->op_count; i++)
		lists->keys[i].name = history->ops[i].key;
	if (history->op_count)
		qsort(lists->keys, history->op_count, sizeof(*lists->keys), compare_names);
	for (size_t i = 0; i < history->op_count; i++) {
		if (i == 0 || lists->keys[i].name != lists->keys[unique - 1].name)
			lists->keys[unique++].name = lists->keys[i].name;
	}
	lists->key_count = unique;
	for (uint32_t i = 0; i < unique; i++)
		lists->keys[i].reader = LISTS_NONE;
}

static void place_ops(struct lists *lists)
{
	const struct history *history = lists->history;

	for (uint32_t i = 0; i < history->op_count; i++) {
		struct list_key wanted = {.name = history->ops[i].key};
		const struct list_key *key = bsearch(&wanted, lists->keys, lists->key_count,
						     sizeof(wanted), compare_names);

		lists->ops[i] = (struct list_op){(uint32_t)(key - lists->keys), i, LISTS_NONE};
	}
	for (size_t i = 0; i < history->txn_count; i++) {
		const struct history_txn *txn = &history->txns[i];

		if (txn->count > 1)
			qsort(lists->ops + txn->first, txn->count, sizeof(*lists->ops),
			      compare_ops);
	}
}

size_t lists_run(const struct list_op *ops, size_t count)
{
	size_t length = 1;

	while (length < count && ops[length].key == ops->key)
		length++;
	return length;
}

/* The appends of one transaction to one key. */
static void collect_run(struct lists *lists, uint32_t txn, uint32_t place, size_t length)
{
	struct list_append *last = NULL;

	for (uint32_t i = place; i < place + length; i++) {
		const struct history_op *op = &lists->history->ops[lists->ops[i].op];

		if (op->kind != HISTORY_APPEND)
			continue;
		last = &lists->appends[lists->append_count++];
		*last = (struct list_append){op->value, txn,        lists->ops[i].key,
					     i,         LISTS_NONE, false};
	}
	if (last)
		last->last = true;
}

static int find_appends(struct lists *lists, struct why *why)
{
	const struct history *history = lists->history;

	for (uint32_t i = 0; i < history->txn_count; i++) {
		uint32_t place = (uint32_t)history->txns[i].first;
		size_t left = history->txns[i].count;

		while (left) {
			size_t length = lists_run(lists->ops + place, left);

			collect_run(lists, i, place, length);
			place += (uint32_t)length;
			left -= length;
		}
	}
	if (lists->append_count)
		qsort(lists->appends, lists->append_count, sizeof(*lists->appends),
		      compare_elements);
	for (uint32_t i = 0; i < lists->append_count; i++) {
		const struct list_append *append = &lists->appends[i];

		lists->ops[append->place].append = i;
		if (i && append->element == append[-1].element) {
			why_add(why, "transactions %u and %u both appended %" PRIu64,
				append[-1].txn, append->txn, append->element);
			return -EINVAL;
		}
	}
	return 0;
}

struct list_append *lists_find(const struct lists *lists, uint64_t element)
{
	struct list_append wanted = {.element = element};

	if (!lists->append_count)
		return NULL;
	return bsearch(&wanted, lists->appends, lists->append_count, sizeof(wanted),
		       compare_elements);
}

int lists_init(struct lists *lists, const struct history *history, struct why *why)
{
	size_t room = history->op_count + 1;

	*lists = (struct lists){.history = history};
	lists->keys = calloc(room, sizeof(*lists->keys));
	lists->ops = calloc(room, sizeof(*lists->ops));
	lists->appends = calloc(room, sizeof(*lists->appends));
	lists->versions = calloc(room, sizeof(*lists->versions));
	lists->counts = calloc(history->txn_count + 1, sizeof(*lists->counts));
	if (!lists->keys || !lists->ops || !lists->appends || !lists->versions || !lists->counts)
		return -ENOMEM;
	find_keys(lists);
	place_ops(lists);
	return find_appends(lists, why);
}

void lists_destroy(struct lists *lists)
{
	free(lists->keys);
	free(lists->ops);
	free(lists->appends);
	free(lists->versions);
	free(lists->counts);
	*lists = (struct lists){0};
}
