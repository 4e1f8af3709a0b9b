/* SPDX-License-Identifier: MIT */
/*
 * The direct serialization graph (Adya, "Weak consistency", MIT 1999, section 3.1) of lists, with the
 * order of real time. Transactions are the first nodes; behind them stand helpers, which only keep the
 * number of edges in proportion to that of operations: a way into a helper and on from it to a
 * transaction is one edge between transactions, of the kind by which it went in.
 */
#ifndef TXNSTORE_CHECK_DEPENDENCY_H
#define TXNSTORE_CHECK_DEPENDENCY_H

#include "txnstore/check/digraph.h"
#include "txnstore/check/lists.h"

enum dependency_kind {
	DEPENDENCY_WW,       /* appended to the key just before the other did */
	DEPENDENCY_WR,       /* appended what the other read last of the key */
	DEPENDENCY_RW,       /* read the key without what the other appended */
	DEPENDENCY_REALTIME, /* ended before the other began; has no key */
	DEPENDENCY_ONWARD,   /* from a helper */
};

/**
 * dependency_build - the edges between transactions that count, and those from and to helpers
 * @graph: made here, finished; digraph_destroy follows in every case
 * @lists: after versions_find and within_check; edge.key is an index of its keys
 *
 * An element that no read shows comes behind all of its key that were read, so after their appenders,
 * and after whoever read them all; among such elements there is no order. Return: 0, -ENOMEM.
 */
int dependency_build(struct digraph *graph, const struct lists *lists);

#endif /* TXNSTORE_CHECK_DEPENDENCY_H */
