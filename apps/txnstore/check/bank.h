/* SPDX-License-Identifier: MIT */
/*
 * The bank: transfers move money between accounts, so whoever reads all of them at one instant finds
 * the same sum (the test of Jepsen that bears this name).
 */
#ifndef TXNSTORE_CHECK_BANK_H
#define TXNSTORE_CHECK_BANK_H

#include "txnstore/check/history.h"

/**
 * check_bank - whether everyone who read all accounts, and wrote nothing, found @total
 * @history: of HISTORY_READ and HISTORY_WRITE, whose values are balances (signed, in two's complement)
 * @accounts: number of keys, not 0; which ones they are does not matter
 * @why: what is wrong, of @size bytes; empty with 0
 * @judged: set to the number of transactions that read all accounts; NULL: not wanted
 *
 * A key may be read twice, with one balance. Return: 0 it holds, 1 it does not, -EINVAL the history is
 * not of the form or has more keys than @accounts, -ENOMEM.
 */
int check_bank(const struct history *history, uint64_t accounts, int64_t total, char *why,
	       size_t size, size_t *judged);

#endif /* TXNSTORE_CHECK_BANK_H */
