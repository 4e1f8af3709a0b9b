/* SPDX-License-Identifier: MIT */
/* The arrays of a history, and how they grow. */
#include "txnstore/check/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 64

/* Room for @more behind @count; returns the array, or NULL, and then the old one stands. */
static void *reserve(void *array, size_t count, size_t *room, size_t more, size_t each)
{
	size_t wanted = *room ? *room : ROOM_FIRST;

	if (more > SIZE_MAX / 2 - count)
		return NULL;
	while (wanted < count + more)
		wanted *= 2;
	if (array && wanted == *room)
		return array;
	void *grown = reallocarray(array, wanted, each);
	if (grown)
		*room = wanted;
	return grown;
}

void history_init(struct history *history)
{
	*history = (struct history){0};
}

void history_destroy(struct history *history)
{
	free(history->txns);
	free(history->ops);
	free(history->elements);
	history_init(history);
}

/* All or nothing of a transaction: room comes first, for every array. */
static int reserve_all(struct history *history, size_t ops, size_t elements)
{
	void *grown = reserve(history->txns, history->txn_count, &history->txn_room, 1,
			      sizeof(*history->txns));

	if (!grown)
		return -ENOMEM;
	history->txns = grown;
	grown = reserve(history->ops, history->op_count, &history->op_room, ops,
			sizeof(*history->ops));
	if (!grown)
		return -ENOMEM;
	history->ops = grown;
	grown = reserve(history->elements, history->element_count, &history->element_room, elements,
			sizeof(*history->elements));
	if (!grown)
		return -ENOMEM;
	history->elements = grown;
	return 0;
}

static void copy_op(struct history *history, const struct history_op *op, const uint64_t *lists)
{
	struct history_op *copy = &history->ops[history->op_count++];

	*copy = *op;
	if (op->kind != HISTORY_READ_LIST)
		return;
	copy->first = history->element_count;
	if (op->count)
		memcpy(history->elements + copy->first, lists + op->first,
		       op->count * sizeof(*lists));
	history->element_count += op->count;
}

int history_add(struct history *history, const struct history_txn *txn,
		const struct history_op *ops, size_t op_count, const uint64_t *lists)
{
	size_t elements = 0;

	for (size_t i = 0; i < op_count; i++) {
		if (ops[i].kind == HISTORY_READ_LIST &&
		    __builtin_add_overflow(elements, ops[i].count, &elements))
			return -ENOMEM;
	}
	int result = reserve_all(history, op_count, elements);
	if (result)
		return result;
	struct history_txn *copy = &history->txns[history->txn_count++];
	*copy = *txn;
	copy->first = history->op_count;
	copy->count = op_count;
	for (size_t i = 0; i < op_count; i++)
		copy_op(history, &ops[i], lists);
	return 0;
}
