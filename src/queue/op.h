/* SPDX-License-Identifier: MIT */
/*
 * Operations: one cache line each in a table. A qtoken is index plus generation, so that a stale
 * or forged one is found out by one comparison.
 *
 * A queue gets an operation allocated, completes it exactly once, and never looks at it again:
 * from then on it belongs to the wait that returns it.
 */
#ifndef DEMI_QUEUE_OP_H
#define DEMI_QUEUE_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <demi/types.h>

struct buf;
struct guard;
struct queue;

enum op_state {
	OP_FREE = 0,
	OP_PENDING, /* the queue's */
	OP_DONE,    /* complete, in the list of fresh ones */
	OP_PARKED,  /* complete, seen by a wait_any that did not wait for it */
};

struct op {
	/* In the order of the token's halves, so that one load gets both. */
	uint32_t index;      /* of this slot */
	uint32_t generation; /* never 0; changes when the slot is freed */
	int32_t qd;          /* descriptor it was issued on */
	uint8_t opcode;      /* enum demi_opcode */
	uint8_t state;       /* enum op_state */
	uint8_t marked;      /* scratch bit of wait_all */
	bool guarded;        /* its memory is watched */
	struct op *next;     /* in the list that it is on */
	struct op *previous;
	struct queue *queue; /* while pending */
	void *request;       /* the queue's own, while pending */
	union {
		struct buf *buf;     /* pop: chain of segments */
		int32_t accepted_qd; /* accept */
	} result;
	int32_t error;      /* positive errno, 0 for success; valid when complete */
	uint32_t wait_hint; /* place in the array of the wait_any that last saw it */
};

_Static_assert(sizeof(struct op) == 64, "an operation is one cache line");

/** A doubly linked list of operations: in a queue those that wait, here those that are complete. */
struct op_list {
	struct op *head;
	struct op *tail;
};

static inline void op_list_append(struct op_list *list, struct op *op)
{
	op->next = NULL;
	op->previous = list->tail;
	if (list->tail)
		list->tail->next = op;
	else
		list->head = op;
	list->tail = op;
}

static inline void op_list_remove(struct op_list *list, struct op *op)
{
	if (op->previous)
		op->previous->next = op->next;
	else
		list->head = op->next;
	if (op->next)
		op->next->previous = op->previous;
	else
		list->tail = op->previous;
}

static inline struct op *op_list_take(struct op_list *list)
{
	struct op *op = list->head;

	if (!op)
		return NULL;
	/* As op_list_remove, of which the first one has nobody in front. */
	list->head = op->next;
	if (op->next)
		op->next->previous = NULL;
	else
		list->tail = NULL;
	return op;
}

/** What the last wait_any looked at; see wait.c. */
struct wait_memo {
	const demi_qtoken_t *qts; /* its array; compared, never read through */
	uint32_t count;
	uint32_t returned; /* place that it returned; UINT32_MAX: none */
	uint32_t cursor;   /* where the slow check of all places goes on */
};

struct op_table {
	struct guard *guard; /* watches the memory of operations; NULL: nobody does */
	struct op *slots;    /* slots[capacity] */
	struct op *free;     /* list of slots that were used before, through next */
	uint32_t used;       /* slots from here on were never used */
	uint32_t capacity;
	struct op_list fresh;  /* complete, in order of completion */
	struct op_list parked; /* complete before those, and passed over by wait_any */
	struct wait_memo memo;
};

/** op_table_init - room for @capacity operations at a time; 0, -EINVAL (0) or -ENOMEM */
int op_table_init(struct op_table *table, uint32_t capacity);

void op_table_fini(struct op_table *table);

/** op_alloc - a pending operation of @queue; NULL when the table is full */
static inline struct op *op_alloc(struct op_table *table, enum demi_opcode opcode,
				  struct queue *queue, int32_t qd)
{
	struct op *op = table->free;

	if (op) {
		table->free = op->next;
	} else if (table->used < table->capacity) {
		op = &table->slots[table->used];
		op->index = table->used++;
		op->generation = 1;
	} else {
		return NULL;
	}
	op->opcode = (uint8_t)opcode;
	op->state = OP_PENDING;
	op->marked = 0;
	op->guarded = false;
	op->qd = qd;
	op->queue = queue;
	op->request = NULL;
	op->result.buf = NULL;
	op->error = 0;
	op->wait_hint = UINT32_MAX;
	return op;
}

/** op_free - give back a slot that is on no list; its token is unknown from now on */
static inline void op_free(struct op_table *table, struct op *op)
{
	op->state = OP_FREE;
	op->generation++;
	op->generation += op->generation == 0;
	op->next = table->free;
	table->free = op;
}

/** op_unguard - the memory of a watched operation may be written to again */
void op_unguard(struct op_table *table, struct op *op);

/** op_complete - hand a pending operation to the waits; @error: positive errno or 0 */
static inline void op_complete(struct op_table *table, struct op *op, int error)
{
	if (__builtin_expect(op->guarded, 0))
		op_unguard(table, op);
	op->state = OP_DONE;
	op->error = error;
	op->queue = NULL;
	op_list_append(&table->fresh, op);
}

/** op_cancel_all - complete a queue's whole list with ECANCELED */
void op_cancel_all(struct op_table *table, struct op_list *list);

static inline demi_qtoken_t op_token(const struct op *op)
{
	return (demi_qtoken_t)op->generation << 32 | op->index;
}

/** op_lookup - the live operation that a token names; NULL when there is none */
static inline struct op *op_lookup(const struct op_table *table, demi_qtoken_t token)
{
	uint32_t index = (uint32_t)token;
	struct op *op;

	if (index >= table->used)
		return NULL;
	op = &table->slots[index];
	return op_token(op) == token && op->state != OP_FREE ? op : NULL;
}

static inline bool op_is_complete(const struct op *op)
{
	return op->state >= OP_DONE;
}

/** op_unlink - take a complete operation off the list of complete ones */
static inline void op_unlink(struct op_table *table, struct op *op)
{
	op_list_remove(op->state == OP_PARKED ? &table->parked : &table->fresh, op);
}

#endif /* DEMI_QUEUE_OP_H */
