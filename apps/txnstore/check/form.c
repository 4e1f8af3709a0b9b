/* SPDX-License-Identifier: MIT */
#include "txnstore/check/form.h"

#include <errno.h>
#include <stdbool.h>

static const char *wrong_txn(const struct history *history, const struct history_txn *txn,
			     size_t first)
{
	if (txn->first != first || txn->count > history->op_count - first)
		return "its operations do not stand behind those of the one before";
	if (txn->outcome != HISTORY_UNKNOWN && txn->outcome != HISTORY_COMMITTED &&
	    txn->outcome != HISTORY_ABORTED)
		return "no such outcome";
	if ((txn->outcome == HISTORY_UNKNOWN) != (txn->end_ns == HISTORY_NEVER))
		return "it ends never exactly if its outcome is unknown";
	if (txn->end_ns < txn->begin_ns)
		return "it ends before it begins";
	return NULL;
}

static const char *wrong_op(const struct history *history, const struct history_op *op,
			    unsigned int kinds)
{
	if (op->kind > HISTORY_APPEND || !(kinds & FORM_KIND(op->kind)))
		return "an operation of a kind that is not judged here";
	if (op->kind == HISTORY_READ_LIST &&
	    (op->first > history->element_count || op->count > history->element_count - op->first))
		return "a list that is not among the elements";
	if (op->kind == HISTORY_APPEND && op->value == 0)
		return "0 is no element";
	return NULL;
}

int form_check(const struct history *history, unsigned int kinds, struct why *why)
{
	size_t first = 0;

	if (history->txn_count > FORM_COUNT_MAX || history->op_count > FORM_COUNT_MAX) {
		why_add(why, "too long a history");
		return -EINVAL;
	}
	for (size_t i = 0; i < history->txn_count; i++) {
		const struct history_txn *txn = &history->txns[i];
		const char *wrong = wrong_txn(history, txn, first);

		for (size_t j = 0; !wrong && j < txn->count; j++)
			wrong = wrong_op(history, &history->ops[first + j], kinds);
		if (wrong) {
			why_add(why, "transaction %zu: %s", i, wrong);
			return -EINVAL;
		}
		first += txn->count;
	}
	return 0;
}
