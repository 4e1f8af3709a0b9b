/* SPDX-License-Identifier: MIT */
#include "queue/wait.h"

#include <errno.h>

/* Places that are checked at each look that finds nothing. */
#define CHECK_PLACES 16u
/* Arrays up to this length are checked whole before a wait gives up. */
#define CHECK_WHOLE 64u

/* Everything completed is worth a look again; the parked ones completed first. */
static void unpark(struct op_table *table)
{
	if (!table->parked.head)
		return;
	for (struct op *op = table->parked.head; op; op = op->next)
		op->state = OP_DONE;
	table->parked.tail->next = table->fresh.head;
	if (table->fresh.head)
		table->fresh.head->previous = table->parked.tail;
	else
		table->fresh.tail = table->parked.tail;
	table->fresh.head = table->parked.head;
	table->parked = (struct op_list){NULL, NULL};
}

static void refresh_hint(struct op_table *table, const demi_qtoken_t qts[], uint32_t place)
{
	struct op *op = op_lookup(table, qts[place]);

	if (!op)
		return;
	op->wait_hint = place;
	if (op->state == OP_PARKED)
		unpark(table);
}

void wait_any_begin(struct op_table *table, const demi_qtoken_t qts[], uint32_t count)
{
	struct wait_memo *memo = &table->memo;

	if (memo->qts != qts) {
		unpark(table);
		*memo = (struct wait_memo){.qts = qts, .count = count, .returned = UINT32_MAX};
		return;
	}
	/*
	 * The same array: an application usually puts its next token where the returned one was,
	 * or moves the last one there, or appends.
	 */
	if (memo->returned < count)
		refresh_hint(table, qts, memo->returned);
	for (uint32_t place = memo->count; place < count; place++)
		refresh_hint(table, qts, place);
	memo->count = count;
	if (memo->cursor >= count)
		memo->cursor = 0;
}

static bool hint_holds(const struct op *op, const demi_qtoken_t qts[], uint32_t count)
{
	return op->wait_hint < count && qts[op->wait_hint] == op_token(op);
}

/* Read through the array: afterwards the hint of everything in it is right. */
static int refresh_all(struct op_table *table, const demi_qtoken_t qts[], uint32_t count)
{
	/* Backwards, so that of a token that stands there twice the first place counts. */
	for (uint32_t place = count; place-- > 0;) {
		struct op *op = op_lookup(table, qts[place]);

		if (!op)
			return -EINVAL;
		op->wait_hint = place;
	}
	return 0;
}

/* The first to have completed that is in the array, once all hints are right; park the others. */
static struct op *take_first(struct op_table *table, const demi_qtoken_t qts[], uint32_t count)
{
	struct op *op;

	while ((op = table->fresh.head) && !hint_holds(op, qts, count)) {
		op_list_remove(&table->fresh, op);
		op->state = OP_PARKED;
		op_list_append(&table->parked, op);
	}
	return op;
}

/*
 * Look at the next few places for unknown tokens, and for parked ones put there since. 1: there is
 * one; 0; or -EINVAL.
 */
static int check_places(struct op_table *table, const demi_qtoken_t qts[], uint32_t count,
			uint32_t places)
{
	struct wait_memo *memo = &table->memo;

	for (uint32_t left = places < count ? places : count; left > 0; left--) {
		const struct op *op = op_lookup(table, qts[memo->cursor]);

		if (!op)
			return -EINVAL;
		if (op_is_complete(op))
			return 1;
		memo->cursor = memo->cursor + 1 < count ? memo->cursor + 1 : 0;
	}
	return 0;
}

/* Read through the array for the first to have completed. */
static int find_by_reading(struct op_table *table, const demi_qtoken_t qts[], uint32_t count,
			   struct op **op_out)
{
	int error = refresh_all(table, qts, count);

	if (error < 0)
		return error;
	*op_out = take_first(table, qts, count);
	return *op_out ? 1 : 0;
}

static int find_slowly(struct op_table *table, const demi_qtoken_t qts[], uint32_t count,
		       enum wait_look look, struct op **op_out)
{
	static const uint32_t places[] = {
		[WAIT_LOOK_AGAIN] = CHECK_PLACES,
		[WAIT_LOOK_GIVE_UP] = CHECK_WHOLE,
		[WAIT_LOOK_TO_SLEEP] = UINT32_MAX,
	};
	int found = 0;

	if (look != WAIT_LOOK_AGAIN)
		unpark(table);
	if (table->fresh.head)
		found = find_by_reading(table, qts, count, op_out);
	if (found)
		return found;
	found = check_places(table, qts, count, places[look]);
	if (found <= 0)
		return found;
	unpark(table);
	return find_by_reading(table, qts, count, op_out);
}

/*
 * While operations are parked, the application may put one of their tokens anywhere into the array
 * without our seeing it: even a look that finds something checks a few places, so that these do
 * not wait for a look that finds nothing.
 */
static int find_parked(struct op_table *table, const demi_qtoken_t qts[], uint32_t count,
		       struct op **op_out)
{
	int found = check_places(table, qts, count, CHECK_PLACES);

	if (found <= 0)
		return found;
	unpark(table);
	return find_by_reading(table, qts, count, op_out);
}

int wait_any_find(struct op_table *table, const demi_qtoken_t qts[], uint32_t count,
		  enum wait_look look, struct op **op_out, uint32_t *place_out)
{
	struct op *op = table->fresh.head;
	int found = 0;

	if (!op || !hint_holds(op, qts, count))
		found = find_slowly(table, qts, count, look, &op);
	else if (table->parked.head)
		found = find_parked(table, qts, count, &op) < 0 ? -EINVAL : 1;
	else
		found = 1;
	if (found <= 0)
		return found;
	op_unlink(table, op);
	table->memo.returned = op->wait_hint;
	*op_out = op;
	*place_out = op->wait_hint;
	return 1;
}

int wait_all_check(struct op_table *table, const demi_qtoken_t qts[], uint32_t count)
{
	uint32_t marked = 0;
	int error = 0;

	for (; marked < count; marked++) {
		struct op *op = op_lookup(table, qts[marked]);

		if (!op || op->marked) {
			error = -EINVAL;
			break;
		}
		op->marked = 1;
	}
	while (marked > 0)
		op_lookup(table, qts[--marked])->marked = 0;
	return error;
}
