/* SPDX-License-Identifier: MIT */
#include "txnstore/check/cycle.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "txnstore/check/search.h"
#include "txnstore/check/single.h"

#define WW EDGE_MASK(DEPENDENCY_WW)
#define WR EDGE_MASK(DEPENDENCY_WR)
#define RW EDGE_MASK(DEPENDENCY_RW)
#define REALTIME EDGE_MASK(DEPENDENCY_REALTIME)
#define ONWARD EDGE_MASK(DEPENDENCY_ONWARD)

/* From how many transactions of a component a shortest cycle is looked for. */
#define STARTS_MAX 64

struct anomaly {
	const char *name;
	uint32_t mask;
	bool single; /* and one edge of kind rw */
};

/* Weakest first: where one is looked for, those before it do not occur. */
static const struct anomaly anomalies[] = {
	{"G0", WW | ONWARD, false},
	{"G1c", WW | WR | ONWARD, false},
	{"G-single", WW | WR | ONWARD, true},
	{"G2", WW | WR | RW | ONWARD, false},
	{"G0-realtime", WW | REALTIME | ONWARD, false},
	{"G1c-realtime", WW | WR | REALTIME | ONWARD, false},
	{"G-single-realtime", WW | WR | REALTIME | ONWARD, true},
	{"G2-realtime", WW | WR | RW | REALTIME | ONWARD, false},
};

struct checker {
	const struct digraph *graph;
	const struct lists *lists;
	uint32_t *components, *ranks, *sizes; /* of each node; of each component */
	struct search search;
};

/* The smallest component of more than one node; there is one. */
static uint32_t smallest(struct checker *checker, uint32_t count)
{
	uint32_t best = UINT32_MAX, best_size = UINT32_MAX;

	for (uint32_t i = 0; i < count; i++)
		checker->sizes[i] = 0;
	for (uint32_t i = 0; i < checker->graph->node_count; i++)
		checker->sizes[checker->components[i]]++;
	for (uint32_t i = 0; i < count; i++) {
		if (checker->sizes[i] > 1 && checker->sizes[i] < best_size) {
			best = i;
			best_size = checker->sizes[i];
		}
	}
	return best;
}

static int find_plain(struct checker *checker, uint32_t mask)
{
	uint32_t count, tried = 0;
	int result = digraph_components(checker->graph, mask, checker->components, &count);

	if (result || count == checker->graph->node_count)
		return result;
	uint32_t component = smallest(checker, count);
	for (uint32_t i = 0; i < checker->search.transactions && tried < STARTS_MAX; i++) {
		if (checker->components[i] != component)
			continue;
		search_try(&checker->search, mask, checker->components, i, i, SEARCH_NO_EDGE);
		tried++;
	}
	return 0;
}

static int find_single(struct checker *checker, uint32_t mask)
{
	struct single single;
	uint32_t count;
	int result = digraph_components(checker->graph, mask, checker->ranks, &count);

	if (!result)
		result = digraph_components(checker->graph, mask | RW, checker->components, &count);
	if (result || count == checker->graph->node_count)
		return result;
	result = single_find(checker->graph, DEPENDENCY_RW, mask, checker->ranks,
			     checker->components, &single);
	for (size_t i = 0; !result && i < single.count; i++) {
		const struct edge *edge = &checker->graph->edges[single.edges[i]];

		search_try(&checker->search, mask, checker->components, edge->to, edge->from,
			   single.edges[i]);
	}
	return result;
}

static void tell_step(const struct lists *lists, const struct edge *in, uint32_t to,
		      struct why *why)
{
	static const char *const names[] = {"ww", "wr", "rw", "realtime"};
	uint64_t key = in->kind == DEPENDENCY_REALTIME ? 0 : lists->keys[in->key].name;

	why_add(why, "\n%u -%s-> %u: transaction %u ", in->from, names[in->kind], to, in->from);
	switch (in->kind) {
	case DEPENDENCY_WW:
		why_add(why, "appended to key %" PRIu64 " before %u did", key, to);
		break;
	case DEPENDENCY_WR:
		why_add(why, "appended to key %" PRIu64 " what %u read of it", key, to);
		break;
	case DEPENDENCY_RW:
		why_add(why, "read key %" PRIu64 " without what %u appended", key, to);
		break;
	default:
		why_add(why, "ended at %" PRIu64 " ns, %u began at %" PRIu64 " ns",
			lists->history->txns[in->from].end_ns, to,
			lists->history->txns[to].begin_ns);
	}
}

static void tell(const struct checker *checker, const char *name, struct why *why)
{
	const struct search *search = &checker->search;
	const struct edge *in = NULL;

	why_add(why, "%s: a cycle of %u transactions", name, search->steps);
	for (size_t i = 0; i < search->length; i++) {
		const struct edge *edge = &checker->graph->edges[search->path[i]];

		if (edge->kind != DEPENDENCY_ONWARD)
			in = edge;
		if (in && edge->to < search->transactions)
			tell_step(checker->lists, in, edge->to, why);
	}
}

/* There is a cycle; each kind of anomaly in turn. */
static int classify(struct checker *checker, struct why *why)
{
	int result = search_init(&checker->search, checker->graph,
				 (uint32_t)checker->lists->history->txn_count);

	for (size_t i = 0; !result && i < sizeof(anomalies) / sizeof(anomalies[0]); i++) {
		const struct anomaly *anomaly = &anomalies[i];

		result = anomaly->single ? find_single(checker, anomaly->mask)
					 : find_plain(checker, anomaly->mask);
		if (!result && checker->search.length) {
			tell(checker, anomaly->name, why);
			result = 1;
		}
	}
	search_destroy(&checker->search);
	return result;
}

int cycle_check(const struct digraph *graph, const struct lists *lists, struct why *why)
{
	size_t room = (size_t)graph->node_count + 1;
	struct checker checker = {
		.graph = graph,
		.lists = lists,
		.components = calloc(room, sizeof(*checker.components)),
		.ranks = calloc(room, sizeof(*checker.ranks)),
		.sizes = calloc(room, sizeof(*checker.sizes)),
	};
	uint32_t count = 0;
	int result = -ENOMEM;

	if (checker.components && checker.ranks && checker.sizes)
		result = digraph_components(graph, WW | WR | RW | REALTIME | ONWARD,
					    checker.components, &count);
	if (!result && count != graph->node_count)
		result = classify(&checker, why);
	free(checker.components);
	free(checker.ranks);
	free(checker.sizes);
	return result;
}
