/* SPDX-License-Identifier: MIT */
/*
 * Strict serializability of transactions on lists, by the cycles of their dependency graph (Adya, "Weak
 * consistency", MIT 1999; Kingsbury and Alvaro, "Elle: inferring isolation anomalies from experimental
 * observations", VLDB 2020). For such histories the verdict is exact: with no violation there is an
 * order of the transactions that explains every read.
 */
#ifndef TXNSTORE_CHECK_GRAPH_H
#define TXNSTORE_CHECK_GRAPH_H

#include "txnstore/check/history.h"

struct graph_judged {
	size_t transactions; /* that count as committed */
	size_t reads;        /* of theirs */
	size_t elements;     /* that any of these showed */
};

/**
 * check_graph - whether the transactions that committed can have run one by one, each at one instant
 *	between begin and end
 * @history: of HISTORY_APPEND, whose elements are unique in it, and HISTORY_READ_LIST
 * @why: the anomaly, of @size bytes: its class first, then in lines the cycle, if it is one; empty with 0
 * @judged: set, so that an empty judgement is seen; NULL: not wanted
 *
 * A transaction of unknown outcome counts exactly if an element of it is in a read that counts; it may
 * end at any time. Its own reads count then: one that was not answered must not be in the history.
 * Intervals that only touch overlap.
 *
 * Classes: "element never appended", "element twice", "incompatible order", "G1a, aborted read",
 * "G1b, intermediate read", "internal"; of cycles "G0", "G1c", "G-single", "G2", and these with
 * "-realtime" behind, which are looked for last. Return: 0 it holds, 1 it does not, -EINVAL the history is
 * not of the form, -ENOMEM.
 */
int check_graph(const struct history *history, char *why, size_t size, struct graph_judged *judged);

#endif /* TXNSTORE_CHECK_GRAPH_H */
