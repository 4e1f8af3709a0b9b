/* SPDX-License-Identifier: MIT */
#include "txnstore/check/within.h"

#include <inttypes.h>

/* The operations of one transaction on one key, in the order of the program. */
struct run {
	const struct lists *lists;
	uint32_t txn;
	const struct list_op *ops;
	size_t length;
	struct why *why;
};

static const struct list_key *run_key(const struct run *run)
{
	return &run->lists->keys[run->ops->key];
}

static const struct list_append *run_append(const struct run *run, size_t i)
{
	uint32_t append = run->ops[i].append;

	return append == LISTS_NONE ? NULL : &run->lists->appends[append];
}

static int tell(const struct run *run, const char *what, uint64_t element)
{
	why_add(run->why, "internal: transaction %u %s %" PRIu64 " of key %" PRIu64, run->txn, what,
		element, run_key(run)->name);
	return 1;
}

/* Its appends, as far as they were seen, stand in the order in which it made them. */
static int judge_order(const struct run *run)
{
	const struct list_append *before = NULL;

	for (size_t i = 0; i < run->length; i++) {
		const struct list_append *append = run_append(run, i);

		if (!append || append->position == LISTS_NONE)
			continue;
		if (before && append->position < before->position) {
			why_add(run->why,
				"incompatible order: transaction %u appended %" PRIu64
				" to key %" PRIu64 " before %" PRIu64
				", transaction %u read them the other way round",
				run->txn, before->element, run_key(run)->name, append->element,
				run_key(run)->reader);
			return 1;
		}
		before = append;
	}
	return 0;
}

/*
 * The read at @at, of @count elements, after @own appends of the transaction: these stand at its end,
 * and what is yet to be appended does not stand in it. As every read begins the key's order, positions
 * say it all.
 */
static int judge_own(const struct run *run, size_t at, size_t count, size_t own)
{
	size_t position = count - own;

	for (size_t i = 0; i < run->length; i++) {
		const struct list_append *append = run_append(run, i);

		if (!append)
			continue;
		if (i > at && append->position < count)
			return tell(run, "reads what it has yet to append:", append->element);
		if (i < at && (count < own || append->position != position++))
			return tell(run,
				    "does not read at the end what it appended:", append->element);
	}
	return 0;
}

/* The read shows @others elements of other transactions: the last is the last of its own. */
static int judge_intermediate(const struct run *run, size_t others)
{
	const struct list_append *append;

	if (others == 0)
		return 0;
	append = &run->lists->appends[run->lists->versions[run_key(run)->first + others - 1]];
	if (append->last || append->txn == run->txn)
		return 0;
	why_add(run->why,
		"G1b, intermediate read: transaction %u read key %" PRIu64 " up to %" PRIu64
		", after which transaction %u appended more to it",
		run->txn, run_key(run)->name, append->element, append->txn);
	return 1;
}

static int judge_run(const struct run *run)
{
	size_t own = 0, others = SIZE_MAX;

	if (judge_order(run))
		return 1;
	for (size_t i = 0; i < run->length; i++) {
		const struct history_op *op = &run->lists->history->ops[run->ops[i].op];

		if (op->kind == HISTORY_APPEND) {
			own++;
			continue;
		}
		if (judge_own(run, i, op->count, own))
			return 1;
		if (others != SIZE_MAX && op->count - own != others) {
			why_add(run->why,
				"internal: transaction %u read key %" PRIu64
				" with %zu elements of others, and again with %zu",
				run->txn, run_key(run)->name, others, op->count - own);
			return 1;
		}
		others = op->count - own;
		if (judge_intermediate(run, others))
			return 1;
	}
	return 0;
}

int within_check(const struct lists *lists, struct why *why)
{
	const struct history *history = lists->history;

	for (uint32_t i = 0; i < history->txn_count; i++) {
		const struct list_op *ops = lists->ops + history->txns[i].first;
		size_t left = lists->counts[i] ? history->txns[i].count : 0;

		while (left) {
			struct run run = {lists, i, ops, lists_run(ops, left), why};

			if (judge_run(&run))
				return 1;
			ops += run.length;
			left -= run.length;
		}
	}
	return 0;
}
