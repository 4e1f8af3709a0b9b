/* SPDX-License-Identifier: MIT */
/*
 * Linearizability (Herlihy and Wing, TOPLAS 1990) of registers, each key by itself, which is enough as
 * linearizability is local. As no value is written twice it is known which write each read saw, and
 * time is polynomial: the zones of Gibbons and Korach, "Testing shared memories", SIAM J. Comput. 1997,
 * section 4.
 */
#ifndef TXNSTORE_CHECK_REGISTER_H
#define TXNSTORE_CHECK_REGISTER_H

#include "txnstore/check/history.h"

/**
 * check_register - whether each operation can have happened at one instant between begin and end
 * @history: transactions of one HISTORY_READ or HISTORY_WRITE; no value is written twice to one key
 * @why: what is wrong, of @size bytes; empty with 0
 * @judged: set to the number of committed reads; NULL: not wanted
 *
 * Before the first write a key has 0. A write of unknown outcome happens at any time after its begin, or
 * never; unknown reads are ignored. Intervals that only touch overlap. O(n log n). Return: 0 it holds,
 * 1 it does not, -EINVAL the history is not of the form, -ENOMEM.
 */
int check_register(const struct history *history, char *why, size_t size, size_t *judged);

#endif /* TXNSTORE_CHECK_REGISTER_H */
