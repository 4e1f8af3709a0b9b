/* SPDX-License-Identifier: MIT */
/* Short cycles in a component of a dependency graph, breadth first, and the shortest that was found. */
#ifndef TXNSTORE_CHECK_SEARCH_H
#define TXNSTORE_CHECK_SEARCH_H

#include <stddef.h>
#include <stdint.h>

#include "txnstore/check/digraph.h"

#define SEARCH_NO_EDGE SIZE_MAX

struct search {
	const struct digraph *graph;
	uint32_t
		transactions; /* the nodes below it; the others are helpers, and count for nothing */
	uint32_t round;
	uint32_t *reached;    /* in which round a node was last */
	size_t *by;           /* by which edge */
	uint32_t *waiting;    /* transactions, first in first out */
	uint32_t *helpers;    /* last in first out, and before all transactions */
	size_t *path, length; /* of the best: edges, in their order; 0: none found */
	uint32_t steps;       /* of it, between transactions */
	size_t *trial;
};

/** search_init - Return: 0, -ENOMEM. search_destroy follows in every case. */
int search_init(struct search *search, const struct digraph *graph, uint32_t transactions);
void search_destroy(struct search *search);

/**
 * search_try - the shortest way from @from to @to, kept if it makes a shorter cycle than the best
 * @mask: kinds of edges to go by
 * @components: all within the component of @from
 * @to: a transaction; may be @from
 * @closing: the edge from @to back to @from; SEARCH_NO_EDGE: they are one
 */
void search_try(struct search *search, uint32_t mask, const uint32_t *components, uint32_t from,
		uint32_t to, size_t closing);

#endif /* TXNSTORE_CHECK_SEARCH_H */
