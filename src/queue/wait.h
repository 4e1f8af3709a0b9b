/* SPDX-License-Identifier: MIT */
/*
 * Finding completed operations for the waits: the part without time and devices. The loop that
 * polls between two looks is the API's.
 *
 * A look costs what completed since the last one, not what is waited for. An application hands
 * in its whole array of tokens at each call, mostly as it was: so each operation remembers the
 * place where an array last had it (a hint, always verified), and only a completed operation
 * whose hint fails makes us read through the array. Operations that turn out not to be in it are
 * parked, so that they are not looked at again until the array is another.
 */
#ifndef DEMI_QUEUE_WAIT_H
#define DEMI_QUEUE_WAIT_H

#include "queue/op.h"

/**
 * wait_any_begin - note where this call's array differs from the last call's
 *
 * The array must stay as it is until the wait returns.
 */
void wait_any_begin(struct op_table *table, const demi_qtoken_t qts[], uint32_t count);

/** How thorough a look is: what comes when it finds nothing. */
enum wait_look {
	WAIT_LOOK_AGAIN, /* a poll round and the next look */
	WAIT_LOOK_GIVE_UP, /* the wait's end: every operation of the array must have been considered */
	WAIT_LOOK_TO_SLEEP, /* nothing would wake us for what was passed over: check all tokens too */
};

/**
 * wait_any_find - look for a completed operation of the array
 *
 * The first to have completed is found, but for parked ones that the application put into the array
 * without wait_any_begin seeing it: those are found within a few looks.
 *
 * Between two looks of one wait only op_complete may have changed anything.
 * Return: 1 and the operation, unlinked, and its place; 0 when there is none; -EINVAL when an
 * unknown token was seen (a few places are checked at each look, up to 64 before giving up).
 */
int wait_any_find(struct op_table *table, const demi_qtoken_t qts[], uint32_t count,
		  enum wait_look look, struct op **op_out, uint32_t *place_out);

/**
 * wait_all_check - whether every token is known and stands there once; 0 or -EINVAL
 */
int wait_all_check(struct op_table *table, const demi_qtoken_t qts[], uint32_t count);

/** wait_take_next - the operation that completed first of all, unlinked; NULL without one */
static inline struct op *wait_take_next(struct op_table *table)
{
	return op_list_take(table->parked.head ? &table->parked : &table->fresh);
}

#endif /* DEMI_QUEUE_WAIT_H */
