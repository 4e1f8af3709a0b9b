/* SPDX-License-Identifier: MIT */
/*
 * What clients of the store did and saw: transactions with their reads and writes, when each began and
 * when its outcome was known. The checkers judge it afterwards; the store never sees it.
 */
#ifndef TXNSTORE_CHECK_HISTORY_H
#define TXNSTORE_CHECK_HISTORY_H

#include <stddef.h>
#include <stdint.h>

/** HISTORY_NEVER - the end of a transaction of which no answer came */
#define HISTORY_NEVER UINT64_MAX

enum history_kind {
	HISTORY_READ, /* of a register: value; 0 where there is none */
	HISTORY_WRITE, /* to a register: value, not 0; unique in the history where a checker asks for it */
	HISTORY_READ_LIST, /* elements, oldest first */
	HISTORY_APPEND,    /* to a list: value is the element, unique in the history, not 0 */
};

enum history_outcome {
	HISTORY_UNKNOWN, /* no answer: it may have happened, or happen yet, at any later time */
	HISTORY_COMMITTED,
	HISTORY_ABORTED, /* the store said so: nothing of it may ever be seen */
};

struct history_op {
	enum history_kind kind;
	uint64_t key;
	uint64_t value;      /* but for HISTORY_READ_LIST */
	size_t first, count; /* HISTORY_READ_LIST: of the history's elements */
};

struct history_txn {
	uint32_t client; /* does one transaction after the other */
	enum history_outcome outcome;
	uint64_t begin_ns, end_ns; /* end: HISTORY_NEVER with HISTORY_UNKNOWN */
	size_t first, count;       /* of the history's operations, in the order of the program */
};

/* All arrays grow; operations of one transaction stand together. */
struct history {
	struct history_txn *txns;
	size_t txn_count, txn_room;
	struct history_op *ops;
	size_t op_count, op_room;
	uint64_t *elements;
	size_t element_count, element_room;
};

void history_init(struct history *history);
void history_destroy(struct history *history);

/**
 * history_add - a transaction that has ended, with its operations, which are copied
 *
 * @lists: the elements of reads of lists, that first and count of @ops point into
 * Return: 0, -ENOMEM.
 */
int history_add(struct history *history, const struct history_txn *txn,
		const struct history_op *ops, size_t op_count, const uint64_t *lists);

#endif /* TXNSTORE_CHECK_HISTORY_H */
