/* SPDX-License-Identifier: MIT */
/* Directed graphs whose edges have kinds, and their strongly connected components. */
#ifndef TXNSTORE_CHECK_DIGRAPH_H
#define TXNSTORE_CHECK_DIGRAPH_H

#include <stddef.h>
#include <stdint.h>

struct edge {
	uint32_t from, to;
	uint32_t kind; /* below 32 */
	uint32_t key;  /* whatever its maker means by it */
};

#define EDGE_MASK(kind) (1u << (kind))

struct digraph {
	uint32_t node_count;
	struct edge *edges; /* after digraph_finish in the order of from */
	size_t edge_count, edge_room;
	size_t *first; /* of each node's edges, and behind the last's; NULL before digraph_finish */
};

void digraph_init(struct digraph *graph);
void digraph_destroy(struct digraph *graph);

/** digraph_add - before digraph_finish; both ends are below the node_count then. Return: 0, -ENOMEM. */
int digraph_add(struct digraph *graph, struct edge edge);

/** digraph_finish - @node_count nodes, and no more edges. Return: 0, -ENOMEM. */
int digraph_finish(struct digraph *graph, uint32_t node_count);

/**
 * digraph_components - by edges whose kind is in @mask
 * @components: set to the number of each node's component; an edge between two components goes from a
 *	higher number to a lower one
 * @count: set to how many there are: node_count exactly if there is no cycle
 *
 * Tarjan, "Depth-first search and linear graph algorithms", SIAM J. Comput. 1972; without recursion,
 * as chains are as long as histories. Return: 0, -ENOMEM.
 */
int digraph_components(const struct digraph *graph, uint32_t mask, uint32_t *components,
		       uint32_t *count);

#endif /* TXNSTORE_CHECK_DIGRAPH_H */
