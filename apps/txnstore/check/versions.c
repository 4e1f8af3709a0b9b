/* SPDX-License-Identifier: MIT */
#include "txnstore/check/versions.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Transactions that count, in the order in which that was found; their reads are looked at one by one. */
struct counted {
	uint32_t *txns;
	uint32_t count, done;
};

struct read {
	uint32_t txn, key;
	const uint64_t *elements;
	uint32_t count;
};

/* Why @element, at @position of the read, cannot be there whatever the others saw; 0: it can. */
static int judge_element(const struct lists *lists, const struct read *read, uint32_t position,
			 struct why *why)
{
	uint64_t element = read->elements[position], name = lists->keys[read->key].name;
	const struct list_append *append = lists_find(lists, element);

	if (!append || append->key != read->key) {
		why_add(why,
			"element never appended: transaction %u read %" PRIu64 " in key %" PRIu64,
			read->txn, element, name);
		if (append)
			why_add(why, ", but transaction %u appended it to key %" PRIu64,
				append->txn, lists->keys[append->key].name);
		return 1;
	}
	if (lists->history->txns[append->txn].outcome == HISTORY_ABORTED) {
		why_add(why,
			"G1a, aborted read: transaction %u read %" PRIu64 " in key %" PRIu64
			", which transaction %u appended and was aborted",
			read->txn, element, name, append->txn);
		return 1;
	}
	for (uint32_t i = 0; i < position; i++) {
		if (read->elements[i] != element)
			continue;
		why_add(why,
			"element twice: transaction %u read %" PRIu64 " in key %" PRIu64
			" at positions %u and %u",
			read->txn, element, name, i, position);
		return 1;
	}
	return 0;
}

/* @read and the longest one differ at @position: told is what is wrong in the read alone, if so. */
static int tell_difference(const struct lists *lists, const struct read *read, uint32_t position,
			   struct why *why)
{
	const struct list_key *key = &lists->keys[read->key];

	for (uint32_t i = position; i < read->count; i++) {
		if (judge_element(lists, read, i, why))
			return 1;
	}
	why_add(why,
		"incompatible order: of key %" PRIu64 " transaction %u read %" PRIu64
		" at position %u, where transaction %u read %" PRIu64,
		key->name, read->txn, read->elements[position], position, key->reader,
		key->seen[position]);
	return 1;
}

static void count_txn(struct lists *lists, struct counted *counted, uint32_t txn)
{
	if (lists->counts[txn])
		return;
	lists->counts[txn] = true;
	counted->txns[counted->count++] = txn;
}

/* Each position of a key is looked up once, so all reads together cost little more than comparing. */
static int extend(struct lists *lists, const struct read *read, struct counted *counted,
		  struct why *why)
{
	struct list_key *key = &lists->keys[read->key];

	for (uint32_t i = key->length; i < read->count; i++) {
		struct list_append *append = lists_find(lists, read->elements[i]);

		if (!append || append->key != read->key || append->position != LISTS_NONE ||
		    lists->history->txns[append->txn].outcome == HISTORY_ABORTED)
			return judge_element(lists, read, i, why);
		append->position = i;
		count_txn(lists, counted, append->txn);
	}
	key->seen = read->elements;
	key->length = read->count;
	key->reader = read->txn;
	return 0;
}

static int take_read(struct lists *lists, const struct read *read, struct counted *counted,
		     struct why *why)
{
	struct list_key *key = &lists->keys[read->key];
	uint32_t common = read->count < key->length ? read->count : key->length;

	if (common && memcmp(read->elements, key->seen, common * sizeof(*key->seen)) != 0) {
		uint32_t position = 0;

		while (read->elements[position] == key->seen[position])
			position++;
		return tell_difference(lists, read, position, why);
	}
	if (key->reader == LISTS_NONE)
		key->reader = read->txn;
	return read->count > key->length ? extend(lists, read, counted, why) : 0;
}

static int take_txn(struct lists *lists, uint32_t txn, struct counted *counted, struct why *why)
{
	const struct history *history = lists->history;
	int result = 0;

	for (size_t i = 0; !result && i < history->txns[txn].count; i++) {
		const struct list_op *place = &lists->ops[history->txns[txn].first + i];
		const struct history_op *op = &history->ops[place->op];

		if (op->kind != HISTORY_READ_LIST)
			continue;
		/* Longer than all appends together, it has an element twice or one of nobody. */
		uint32_t most = lists->append_count + 1;
		struct read read = {txn, place->key, history->elements + op->first,
				    op->count < most ? (uint32_t)op->count : most};
		result = take_read(lists, &read, counted, why);
	}
	return result;
}

static void fill_versions(struct lists *lists)
{
	size_t first = 0;

	for (uint32_t i = 0; i < lists->key_count; i++) {
		lists->keys[i].first = first;
		first += lists->keys[i].length;
	}
	for (uint32_t i = 0; i < lists->append_count; i++) {
		const struct list_append *append = &lists->appends[i];

		if (append->position != LISTS_NONE)
			lists->versions[lists->keys[append->key].first + append->position] = i;
	}
}

int versions_find(struct lists *lists, struct why *why)
{
	const struct history *history = lists->history;
	struct counted counted = {0};
	int result = 0;

	counted.txns = calloc(history->txn_count + 1, sizeof(*counted.txns));
	if (!counted.txns)
		return -ENOMEM;
	for (uint32_t i = 0; i < history->txn_count; i++) {
		if (history->txns[i].outcome == HISTORY_COMMITTED)
			count_txn(lists, &counted, i);
	}
	while (!result && counted.done < counted.count)
		result = take_txn(lists, counted.txns[counted.done++], &counted, why);
	free(counted.txns);
	if (!result)
		fill_versions(lists);
	return result;
}
