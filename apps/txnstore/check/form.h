/* SPDX-License-Identifier: MIT */
/* Whether a history is one at all, before a checker walks through it. */
#ifndef TXNSTORE_CHECK_FORM_H
#define TXNSTORE_CHECK_FORM_H

#include "txnstore/check/history.h"
#include "txnstore/check/why.h"

/* The most transactions, and operations, of a history: what stands for them fits into 32 bits. */
#define FORM_COUNT_MAX ((size_t)1 << 29)

#define FORM_KIND(kind) (1u << (kind))

/**
 * form_check - operations one transaction behind the other, lists inside of the elements, ends not
 *	before beginnings and HISTORY_NEVER exactly where the outcome is unknown
 * @kinds: FORM_KIND of each kind of operation that may occur
 *
 * Return: 0, -EINVAL with the reason in @why.
 */
int form_check(const struct history *history, unsigned int kinds, struct why *why);

#endif /* TXNSTORE_CHECK_FORM_H */
