/* SPDX-License-Identifier: MIT */
#include "txnstore/check/single.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define STARTS 64 /* bits of a set */

/* An edge of the kind ends at the node, and it is not done, or is among the starts under way. */
#define START_WAITING 1u
#define START_NOW 2u

struct member {
	uint32_t component, rank, node;
};

struct finder {
	const struct digraph *graph;
	uint32_t kind, mask;
	const uint32_t *components;
	struct member *members; /* of all components, each in the order of the other edges */
	uint64_t *sets;         /* for each node, the starts that lead to it */
	uint32_t *bits;         /* for each node, its bit among the starts */
	uint8_t *starts;        /* for each node: START_ bits */
	struct single *single;
};

static int compare_members(const void *left, const void *right)
{
	const struct member *a = left, *b = right;

	if (a->component != b->component)
		return a->component < b->component ? -1 : 1;
	return (a->rank < b->rank) - (a->rank > b->rank);
}

static bool is_inside(const struct finder *finder, const struct edge *edge, uint32_t mask)
{
	return (EDGE_MASK(edge->kind) & mask) &&
	       finder->components[edge->from] == finder->components[edge->to];
}

/* Up to STARTS of the waiting ones, in the order of the members. Returns how many. */
static uint32_t take_starts(struct finder *finder, const struct member *members, size_t count)
{
	uint32_t taken = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t node = members[i].node;

		finder->sets[node] = 0;
		finder->starts[node] &= START_WAITING;
		if (taken == STARTS || !finder->starts[node])
			continue;
		finder->starts[node] = START_NOW;
		finder->bits[node] = taken;
		finder->sets[node] = UINT64_C(1) << taken++;
	}
	return taken;
}

static void spread(struct finder *finder, const struct member *members, size_t count)
{
	const struct digraph *graph = finder->graph;

	for (size_t i = 0; i < count; i++) {
		uint32_t node = members[i].node;

		if (!finder->sets[node])
			continue;
		for (size_t j = graph->first[node]; j < graph->first[node + 1]; j++) {
			const struct edge *edge = &graph->edges[j];

			if (is_inside(finder, edge, finder->mask))
				finder->sets[edge->to] |= finder->sets[node];
		}
	}
}

static void gather(struct finder *finder, const struct member *members, size_t count)
{
	const struct digraph *graph = finder->graph;

	for (size_t i = 0; i < count; i++) {
		uint32_t node = members[i].node;

		for (size_t j = graph->first[node]; j < graph->first[node + 1]; j++) {
			const struct edge *edge = &graph->edges[j];

			if (!is_inside(finder, edge, EDGE_MASK(finder->kind)) ||
			    !(finder->starts[edge->to] & START_NOW) ||
			    !(finder->sets[node] >> finder->bits[edge->to] & 1))
				continue;
			finder->single->edges[finder->single->count++] = j;
			if (finder->single->count == SINGLE_MAX)
				return;
		}
	}
}

static void find_in_component(struct finder *finder, const struct member *members, size_t count)
{
	const struct digraph *graph = finder->graph;

	for (size_t i = 0; i < count; i++) {
		uint32_t node = members[i].node;

		for (size_t j = graph->first[node]; j < graph->first[node + 1]; j++) {
			const struct edge *edge = &graph->edges[j];

			if (is_inside(finder, edge, EDGE_MASK(finder->kind)))
				finder->starts[edge->to] = START_WAITING;
		}
	}
	while (!finder->single->count && take_starts(finder, members, count)) {
		spread(finder, members, count);
		gather(finder, members, count);
	}
}

static void find(struct finder *finder)
{
	size_t nodes = finder->graph->node_count, end;

	for (size_t i = 0; i < nodes && !finder->single->count; i = end) {
		end = i + 1;
		while (end < nodes &&
		       finder->members[end].component == finder->members[i].component)
			end++;
		if (end - i > 1)
			find_in_component(finder, finder->members + i, end - i);
	}
}

int single_find(const struct digraph *graph, uint32_t kind, uint32_t mask, const uint32_t *ranks,
		const uint32_t *components, struct single *single)
{
	size_t room = (size_t)graph->node_count + 1;
	struct finder finder = {
		.graph = graph,
		.kind = kind,
		.mask = mask,
		.components = components,
		.members = calloc(room, sizeof(*finder.members)),
		.sets = calloc(room, sizeof(*finder.sets)),
		.bits = calloc(room, sizeof(*finder.bits)),
		.starts = calloc(room, sizeof(*finder.starts)),
		.single = single,
	};
	int result = -ENOMEM;

	single->count = 0;
	if (finder.members && finder.sets && finder.bits && finder.starts) {
		for (uint32_t i = 0; i < graph->node_count; i++)
			finder.members[i] = (struct member){components[i], ranks[i], i};
		if (graph->node_count)
			qsort(finder.members, graph->node_count, sizeof(*finder.members),
			      compare_members);
		find(&finder);
		result = 0;
	}
	free(finder.members);
	free(finder.sets);
	free(finder.bits);
	free(finder.starts);
	return result;
}
