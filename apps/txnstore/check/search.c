/* SPDX-License-Identifier: MIT */
/*
 * A step into a transaction costs one, a step into a helper nothing. As all ways into a node cost the
 * same, the first one found is a shortest one, as in any breadth-first search.
 */
#include "txnstore/check/search.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int search_init(struct search *search, const struct digraph *graph, uint32_t transactions)
{
	size_t room = (size_t)graph->node_count + 2;

	*search = (struct search){.graph = graph, .transactions = transactions};
	search->reached = calloc(room, sizeof(*search->reached));
	search->by = calloc(room, sizeof(*search->by));
	search->waiting = calloc(room, sizeof(*search->waiting));
	search->helpers = calloc(room, sizeof(*search->helpers));
	search->path = calloc(room, sizeof(*search->path));
	search->trial = calloc(room, sizeof(*search->trial));
	if (!search->reached || !search->by || !search->waiting || !search->helpers ||
	    !search->path || !search->trial)
		return -ENOMEM;
	return 0;
}

void search_destroy(struct search *search)
{
	free(search->reached);
	free(search->by);
	free(search->waiting);
	free(search->helpers);
	free(search->path);
	free(search->trial);
	*search = (struct search){0};
}

struct queue {
	uint32_t waiting_first, waiting_end, helper_count;
};

static void reach(struct search *search, struct queue *queue, size_t by)
{
	uint32_t node = search->graph->edges[by].to;

	if (search->reached[node] == search->round)
		return;
	search->reached[node] = search->round;
	search->by[node] = by;
	if (node < search->transactions)
		search->waiting[queue->waiting_end++] = node;
	else
		search->helpers[queue->helper_count++] = node;
}

/* The edge by which @to is come to from @from; SEARCH_NO_EDGE: it is not. */
static size_t walk(struct search *search, uint32_t mask, const uint32_t *components, uint32_t from,
		   uint32_t to)
{
	const struct digraph *graph = search->graph;
	struct queue queue = {.waiting_end = 1};

	search->round++;
	search->reached[from] = search->round;
	search->waiting[0] = from;
	while (queue.helper_count || queue.waiting_first < queue.waiting_end) {
		uint32_t node = queue.helper_count ? search->helpers[--queue.helper_count]
						   : search->waiting[queue.waiting_first++];

		for (size_t i = graph->first[node]; i < graph->first[node + 1]; i++) {
			const struct edge *edge = &graph->edges[i];

			if (!(EDGE_MASK(edge->kind) & mask) ||
			    components[edge->to] != components[from])
				continue;
			if (edge->to == to)
				return i;
			reach(search, &queue, i);
		}
	}
	return SEARCH_NO_EDGE;
}

/* The way that ends with @last, into the trial; returns its length. */
static size_t trace(struct search *search, uint32_t from, size_t last)
{
	const struct edge *edges = search->graph->edges;
	size_t length = 1;

	search->trial[0] = last;
	while (edges[last].from != from) {
		last = search->by[edges[last].from];
		search->trial[length++] = last;
	}
	for (size_t i = 0; i < length / 2; i++) {
		size_t other = search->trial[i];

		search->trial[i] = search->trial[length - 1 - i];
		search->trial[length - 1 - i] = other;
	}
	return length;
}

void search_try(struct search *search, uint32_t mask, const uint32_t *components, uint32_t from,
		uint32_t to, size_t closing)
{
	const struct edge *edges = search->graph->edges;
	size_t last = walk(search, mask, components, from, to);
	size_t length = 0, before = 0;
	uint32_t steps = 0;

	if (last == SEARCH_NO_EDGE)
		return;
	length = trace(search, from, last);
	if (closing != SEARCH_NO_EDGE) {
		before = 1;
		steps += edges[closing].to < search->transactions;
	}
	for (size_t i = 0; i < length; i++)
		steps += edges[search->trial[i]].to < search->transactions;
	if (search->length && steps >= search->steps)
		return;
	search->path[0] = closing;
	memcpy(search->path + before, search->trial, length * sizeof(*search->path));
	search->length = before + length;
	search->steps = steps;
}
