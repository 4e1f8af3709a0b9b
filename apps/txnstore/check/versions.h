/* SPDX-License-Identifier: MIT */
/* The order of the versions of each key, from committed reads, and who counts as committed. */
#ifndef TXNSTORE_CHECK_VERSIONS_H
#define TXNSTORE_CHECK_VERSIONS_H

#include "txnstore/check/lists.h"

/**
 * versions_find - fill in lists->versions, lists->counts, the longest reads and the positions
 *
 * Transactions of unknown outcome count when an element of theirs is in a read that counts; then
 * their own reads count too. What cannot be in any order is a violation: an element that was never
 * appended, twice in a list, or aborted (G1a), and lists of which neither begins the other.
 * Return: 0, 1 with a violation in @why, -ENOMEM.
 */
int versions_find(struct lists *lists, struct why *why);

#endif /* TXNSTORE_CHECK_VERSIONS_H */
