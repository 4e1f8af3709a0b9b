/* SPDX-License-Identifier: MIT */
/*
 * What a transaction must see by itself, whatever the order of the others: its own appends, and the
 * same of others at every read (Elle calls the contrary internal); and nothing that another had only
 * half done (Adya's G1b).
 */
#ifndef TXNSTORE_CHECK_WITHIN_H
#define TXNSTORE_CHECK_WITHIN_H

#include "txnstore/check/lists.h"

/**
 * within_check - each transaction that counts, by itself
 * @lists: after versions_find
 *
 * Return: 0, 1 with a violation in @why.
 */
int within_check(const struct lists *lists, struct why *why);

#endif /* TXNSTORE_CHECK_WITHIN_H */
