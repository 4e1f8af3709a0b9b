/* SPDX-License-Identifier: MIT */
#include "txnstore/check/graph.h"

#include "txnstore/check/cycle.h"
#include "txnstore/check/dependency.h"
#include "txnstore/check/form.h"
#include "txnstore/check/lists.h"
#include "txnstore/check/versions.h"
#include "txnstore/check/why.h"
#include "txnstore/check/within.h"

static void count(const struct lists *lists, struct graph_judged *judged)
{
	const struct history *history = lists->history;

	for (size_t i = 0; i < history->txn_count; i++) {
		const struct history_txn *txn = &history->txns[i];

		if (!lists->counts[i])
			continue;
		judged->transactions++;
		for (size_t j = 0; j < txn->count; j++)
			judged->reads += history->ops[txn->first + j].kind == HISTORY_READ_LIST;
	}
	for (uint32_t i = 0; i < lists->key_count; i++)
		judged->elements += lists->keys[i].length;
}

static int judge_cycles(const struct lists *lists, struct why *why)
{
	struct digraph graph;
	int result = dependency_build(&graph, lists);

	if (!result)
		result = cycle_check(&graph, lists, why);
	digraph_destroy(&graph);
	return result;
}

int check_graph(const struct history *history, char *why, size_t size, struct graph_judged *judged)
{
	struct lists lists;
	struct why reason;

	why_init(&reason, why, size);
	if (judged)
		*judged = (struct graph_judged){0};
	int result = form_check(history, FORM_KIND(HISTORY_APPEND) | FORM_KIND(HISTORY_READ_LIST),
				&reason);
	if (result)
		return result;
	result = lists_init(&lists, history, &reason);
	if (!result)
		result = versions_find(&lists, &reason);
	if (!result)
		result = within_check(&lists, &reason);
	if (result >= 0 && judged)
		count(&lists, judged);
	if (!result)
		result = judge_cycles(&lists, &reason);
	lists_destroy(&lists);
	return result;
}
