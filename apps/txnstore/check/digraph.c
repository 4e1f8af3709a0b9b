/* SPDX-License-Identifier: MIT */
#include "txnstore/check/digraph.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define EDGE_ROOM_FIRST 1024

void digraph_init(struct digraph *graph)
{
	*graph = (struct digraph){0};
}

void digraph_destroy(struct digraph *graph)
{
	free(graph->edges);
	free(graph->first);
	digraph_init(graph);
}

int digraph_add(struct digraph *graph, struct edge edge)
{
	if (graph->edge_count == graph->edge_room) {
		size_t room = graph->edge_room ? 2 * graph->edge_room : EDGE_ROOM_FIRST;
		struct edge *edges = reallocarray(graph->edges, room, sizeof(*edges));

		if (!edges)
			return -ENOMEM;
		graph->edges = edges;
		graph->edge_room = room;
	}
	graph->edges[graph->edge_count++] = edge;
	return 0;
}

/* A counting sort: the order of the edges of one node stays. */
int digraph_finish(struct digraph *graph, uint32_t node_count)
{
	size_t *first = calloc((size_t)node_count + 2, sizeof(*first));
	struct edge *sorted = calloc(graph->edge_count + 1, sizeof(*sorted));

	if (!first || !sorted) {
		free(first);
		free(sorted);
		return -ENOMEM;
	}
	/* Counted two places on, summed up one on, so that placing them leaves each at its own. */
	for (size_t i = 0; i < graph->edge_count; i++)
		first[graph->edges[i].from + 2]++;
	for (size_t i = 2; i < (size_t)node_count + 2; i++)
		first[i] += first[i - 1];
	for (size_t i = 0; i < graph->edge_count; i++)
		sorted[first[graph->edges[i].from + 1]++] = graph->edges[i];
	free(graph->edges);
	graph->edges = sorted;
	graph->edge_room = graph->edge_count + 1;
	graph->first = first;
	graph->node_count = node_count;
	return 0;
}

struct tarjan {
	const struct digraph *graph;
	uint32_t mask;
	uint32_t *components;
	uint32_t component_count;
	uint32_t visits;
	uint32_t *visit;  /* when each node was first come to, from 1; 0: not yet */
	uint32_t *lowest; /* the earliest visit that it is known to lead back to */
	size_t *next;     /* the edge of it to follow next */
	bool *open;       /* it is on the stack: its component is not complete */
	uint32_t *stack, depth;
	uint32_t *path, length; /* from the root to where we are */
};

static void enter(struct tarjan *tarjan, uint32_t node)
{
	tarjan->visit[node] = tarjan->lowest[node] = ++tarjan->visits;
	tarjan->next[node] = tarjan->graph->first[node];
	tarjan->open[node] = true;
	tarjan->stack[tarjan->depth++] = node;
	tarjan->path[tarjan->length++] = node;
}

/* All that @node leads to is known. */
static void leave(struct tarjan *tarjan, uint32_t node)
{
	uint32_t member;

	tarjan->length--;
	if (tarjan->length) {
		uint32_t before = tarjan->path[tarjan->length - 1];

		if (tarjan->lowest[node] < tarjan->lowest[before])
			tarjan->lowest[before] = tarjan->lowest[node];
	}
	if (tarjan->lowest[node] != tarjan->visit[node])
		return;
	do {
		member = tarjan->stack[--tarjan->depth];
		tarjan->open[member] = false;
		tarjan->components[member] = tarjan->component_count;
	} while (member != node);
	tarjan->component_count++;
}

static void walk(struct tarjan *tarjan, uint32_t root)
{
	const struct digraph *graph = tarjan->graph;

	enter(tarjan, root);
	while (tarjan->length) {
		uint32_t node = tarjan->path[tarjan->length - 1];

		if (tarjan->next[node] == graph->first[node + 1]) {
			leave(tarjan, node);
			continue;
		}
		const struct edge *edge = &graph->edges[tarjan->next[node]++];
		if (!(EDGE_MASK(edge->kind) & tarjan->mask))
			continue;
		if (!tarjan->visit[edge->to])
			enter(tarjan, edge->to);
		else if (tarjan->open[edge->to] && tarjan->visit[edge->to] < tarjan->lowest[node])
			tarjan->lowest[node] = tarjan->visit[edge->to];
	}
}

int digraph_components(const struct digraph *graph, uint32_t mask, uint32_t *components,
		       uint32_t *count)
{
	struct tarjan tarjan = {.graph = graph, .mask = mask, .components = components};
	size_t room = (size_t)graph->node_count + 1;
	int result = -ENOMEM;

	tarjan.visit = calloc(room, sizeof(*tarjan.visit));
	tarjan.lowest = calloc(room, sizeof(*tarjan.lowest));
	tarjan.next = calloc(room, sizeof(*tarjan.next));
	tarjan.open = calloc(room, sizeof(*tarjan.open));
	tarjan.stack = calloc(room, sizeof(*tarjan.stack));
	tarjan.path = calloc(room, sizeof(*tarjan.path));
	if (tarjan.visit && tarjan.lowest && tarjan.next && tarjan.open && tarjan.stack &&
	    tarjan.path) {
		for (uint32_t node = 0; node < graph->node_count; node++) {
			if (!tarjan.visit[node])
				walk(&tarjan, node);
		}
		*count = tarjan.component_count;
		result = 0;
	}
	free(tarjan.visit);
	free(tarjan.lowest);
	free(tarjan.next);
	free(tarjan.open);
	free(tarjan.stack);
	free(tarjan.path);
	return result;
}
