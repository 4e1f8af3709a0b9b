/* SPDX-License-Identifier: MIT */
/* The class of the weakest anomaly that a cycle of dependencies shows, and a short such cycle. */
#ifndef TXNSTORE_CHECK_CYCLE_H
#define TXNSTORE_CHECK_CYCLE_H

#include "txnstore/check/dependency.h"
#include "txnstore/check/why.h"

/**
 * cycle_check - whether there is a cycle, and if so, of which class
 * @graph: of dependency_build with @lists
 *
 * Tried in this order: G0 (ww alone), G1c (ww and wr), G-single (one rw), G2 (more), and then each with
 * real time. So "-realtime" says that the history is serializable, yet not strictly.
 * Return: 0, 1 with the class and the cycle in @why, -ENOMEM.
 */
int cycle_check(const struct digraph *graph, const struct lists *lists, struct why *why);

#endif /* TXNSTORE_CHECK_CYCLE_H */
