/* SPDX-License-Identifier: MIT */
/* Cycles with exactly one edge of a kind: Adya's G-single, with one anti-dependency. */
#ifndef TXNSTORE_CHECK_SINGLE_H
#define TXNSTORE_CHECK_SINGLE_H

#include "txnstore/check/digraph.h"

#define SINGLE_MAX 64

struct single {
	size_t edges[SINGLE_MAX]; /* of the graph, each on a cycle of its own */
	size_t count;
};

/**
 * single_find - some edges of kind @kind from whose end other edges lead back to its start
 * @mask: kinds of these other edges, which make no cycle among themselves
 * @ranks: components by @mask alone, so that edges go from higher to lower ones
 * @components: by @mask and @kind
 * @single: set; a count of 0: there are none
 *
 * Sixty-four starts go through a component at once, a bit for each: O(edges * starts / 64).
 * Return: 0, -ENOMEM.
 */
int single_find(const struct digraph *graph, uint32_t kind, uint32_t mask, const uint32_t *ranks,
		const uint32_t *components, struct single *single);

#endif /* TXNSTORE_CHECK_SINGLE_H */
