/* SPDX-License-Identifier: MIT */
#include "queue/op.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CAPACITY 100u

static struct op_table table;

static int table_setup(void **state)
{
	(void)state;
	return op_table_init(&table, CAPACITY);
}

static int table_teardown(void **state)
{
	(void)state;
	op_table_fini(&table);
	return 0;
}

static struct op *allocate(void)
{
	struct op *op = op_alloc(&table, DEMI_OPC_POP, NULL, 500);

	assert_non_null(op);
	return op;
}

static demi_qtoken_t token_of(uint32_t index, uint32_t generation)
{
	return (demi_qtoken_t)generation << 32 | index;
}

/* ---- op_table_init ---- */

static void op_table_init__refuses_no_room(void **state)
{
	struct op_table none;

	(void)state;
	assert_int_equal(op_table_init(&none, 0), -EINVAL);
}

static void op_table_init__knows_no_token(void **state)
{
	(void)state;
	assert_null(op_lookup(&table, 0));
	assert_null(op_lookup(&table, token_of(0, 1)));
	assert_null(op_lookup(&table, UINT64_MAX));
	assert_null(table.fresh.head);
	assert_null(table.parked.head);
}

static void op_table_init__slots_are_cache_lines(void **state)
{
	(void)state;
	assert_int_equal((uintptr_t)allocate() % 64, 0);
	assert_int_equal((uintptr_t)allocate() % 64, 0);
}

static void op_table_init__costs_no_memory_for_slots_not_used(void **state)
{
	struct op_table large;

	(void)state;
	/* 128 GiB of slots. */
	assert_int_equal(op_table_init(&large, UINT32_C(1) << 31), 0);
	assert_non_null(op_alloc(&large, DEMI_OPC_PUSH, NULL, 500));
	op_table_fini(&large);
}

/* ---- op_table_fini ---- */

static void op_table_fini__of_what_was_never_begun(void **state)
{
	struct op_table none = {0};

	(void)state;
	op_table_fini(&none);
}

/* ---- op_cancel_all ---- */

static void op_cancel_all__completes_the_list_in_its_order(void **state)
{
	struct op_list list = {0};
	struct op *ops[5];

	(void)state;
	for (int i = 0; i < 5; i++) {
		ops[i] = allocate();
		op_list_append(&list, ops[i]);
	}
	op_list_remove(&list, ops[2]);
	op_cancel_all(&table, &list);
	assert_null(list.head);
	assert_null(list.tail);
	assert_false(op_is_complete(ops[2]));
	for (int i = 0; i < 5; i++) {
		if (i == 2)
			continue;
		assert_ptr_equal(table.fresh.head, ops[i]);
		assert_true(op_is_complete(ops[i]));
		assert_int_equal(ops[i]->error, ECANCELED);
		op_unlink(&table, ops[i]);
	}
	assert_null(table.fresh.head);
}

static void op_cancel_all__of_an_empty_list(void **state)
{
	struct op_list list = {0};

	(void)state;
	op_cancel_all(&table, &list);
	assert_null(table.fresh.head);
}

/* ---- op_list_append, op_list_remove, op_list_take ---- */

static void op_list_append__keeps_the_order(void **state)
{
	struct op_list list = {0};
	struct op *ops[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		ops[i] = allocate();
		op_list_append(&list, ops[i]);
	}
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(op_list_take(&list), ops[i]);
	assert_null(op_list_take(&list));
	assert_null(list.tail);
}

static void op_list_remove__at_the_front_in_the_middle_and_at_the_end(void **state)
{
	struct op_list list = {0};
	struct op *ops[5];

	(void)state;
	for (int i = 0; i < 5; i++) {
		ops[i] = allocate();
		op_list_append(&list, ops[i]);
	}
	op_list_remove(&list, ops[0]);
	op_list_remove(&list, ops[2]);
	op_list_remove(&list, ops[4]);
	assert_ptr_equal(list.head, ops[1]);
	assert_ptr_equal(list.tail, ops[3]);
	assert_ptr_equal(ops[1]->next, ops[3]);
	assert_ptr_equal(ops[3]->previous, ops[1]);
	assert_null(ops[1]->previous);
	assert_null(ops[3]->next);
	op_list_remove(&list, ops[1]);
	op_list_remove(&list, ops[3]);
	assert_null(list.head);
	assert_null(list.tail);
	op_list_append(&list, ops[2]);
	assert_ptr_equal(op_list_take(&list), ops[2]);
}

/* ---- op_alloc ---- */

static void op_alloc__is_pending_and_clean(void **state)
{
	struct queue *queue = (struct queue *)(uintptr_t)64;
	struct op *op = allocate();

	(void)state;
	op->request = op;
	op->result.buf = (struct buf *)(uintptr_t)64;
	op->wait_hint = 7;
	op_complete(&table, op, EPIPE);
	op_unlink(&table, op);
	op_free(&table, op);
	assert_ptr_equal(op_alloc(&table, DEMI_OPC_PUSH, queue, 777), op);
	assert_int_equal(op->state, OP_PENDING);
	assert_false(op_is_complete(op));
	assert_int_equal(op->opcode, DEMI_OPC_PUSH);
	assert_ptr_equal(op->queue, queue);
	assert_int_equal(op->qd, 777);
	assert_int_equal(op->error, 0);
	assert_int_equal(op->marked, 0);
	assert_null(op->request);
	assert_null(op->result.buf);
	assert_int_equal(op->wait_hint, UINT32_MAX);
}

static void op_alloc__null_when_the_table_is_full(void **state)
{
	struct op *ops[CAPACITY];

	(void)state;
	for (uint32_t i = 0; i < CAPACITY; i++) {
		ops[i] = allocate();
		for (uint32_t j = 0; j < i; j++)
			assert_ptr_not_equal(ops[i], ops[j]);
	}
	assert_null(op_alloc(&table, DEMI_OPC_POP, NULL, 500));
	for (uint32_t i = 0; i < CAPACITY; i++)
		assert_ptr_equal(op_lookup(&table, op_token(ops[i])), ops[i]);
	op_free(&table, ops[37]);
	op_free(&table, ops[12]);
	allocate();
	allocate();
	assert_null(op_alloc(&table, DEMI_OPC_POP, NULL, 500));
}

/* ---- op_free ---- */

static void op_free__changes_the_generation(void **state)
{
	demi_qtoken_t seen[1000];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct op *op = allocate();

		assert_int_equal(op->index, 0);
		seen[i] = op_token(op);
		for (int j = 0; j < i; j++)
			assert_true(seen[i] != seen[j]);
		op_free(&table, op);
	}
}

static void op_free__generation_wraps_past_zero(void **state)
{
	struct op *op = allocate();
	demi_qtoken_t last;

	(void)state;
	op->generation = UINT32_MAX;
	last = op_token(op);
	assert_ptr_equal(op_lookup(&table, last), op);
	op_free(&table, op);
	assert_null(op_lookup(&table, last));
	assert_ptr_equal(allocate(), op);
	assert_int_equal(op->generation, 1);
	assert_null(op_lookup(&table, last));
	assert_null(op_lookup(&table, token_of(op->index, 0)));
	assert_ptr_equal(op_lookup(&table, op_token(op)), op);
}

/* ---- op_complete ---- */

static void op_complete__keeps_the_order_of_completion(void **state)
{
	static const int order[] = {3, 0, 4, 1, 2};
	struct op *ops[5];

	(void)state;
	for (int i = 0; i < 5; i++)
		ops[i] = allocate();
	for (int i = 0; i < 5; i++)
		op_complete(&table, ops[order[i]], order[i]);
	for (int i = 0; i < 5; i++) {
		struct op *op = op_list_take(&table.fresh);

		assert_ptr_equal(op, ops[order[i]]);
		assert_int_equal(op->error, order[i]);
		assert_int_equal(op->state, OP_DONE);
		assert_null(op->queue);
	}
}

/* ---- op_lookup ---- */

static void op_lookup__finds_pending_and_complete_ones(void **state)
{
	struct op *op = allocate();
	demi_qtoken_t token = op_token(op);

	(void)state;
	assert_ptr_equal(op_lookup(&table, token), op);
	op_complete(&table, op, 0);
	assert_ptr_equal(op_lookup(&table, token), op);
	op_unlink(&table, op);
	assert_ptr_equal(op_lookup(&table, token), op);
}

static void op_lookup__refuses_a_stale_token(void **state)
{
	struct op *op = allocate();
	demi_qtoken_t stale = op_token(op);

	(void)state;
	op_free(&table, op);
	assert_null(op_lookup(&table, stale));
	allocate();
	assert_null(op_lookup(&table, stale));
}

static void op_lookup__refuses_the_next_token_of_a_free_slot(void **state)
{
	struct op *op = allocate();

	(void)state;
	op_free(&table, op);
	assert_null(op_lookup(&table, token_of(op->index, op->generation)));
}

static void op_lookup__refuses_forged_tokens(void **state)
{
	struct op *op = allocate();

	(void)state;
	assert_null(op_lookup(&table, token_of(op->index, op->generation + 1)));
	assert_null(op_lookup(&table, token_of(op->index, op->generation - 1)));
	/* A slot that was never used, the first one behind the table, and the last number. */
	assert_null(op_lookup(&table, token_of(1, 1)));
	assert_null(op_lookup(&table, token_of(1, 0)));
	assert_null(op_lookup(&table, token_of(CAPACITY, 1)));
	assert_null(op_lookup(&table, token_of(CAPACITY, 0)));
	assert_null(op_lookup(&table, token_of(UINT32_MAX, 1)));
	assert_null(op_lookup(&table, 0));
	assert_null(op_lookup(&table, UINT64_MAX));
	for (int bit = 0; bit < 64; bit++)
		assert_null(op_lookup(&table, op_token(op) ^ UINT64_C(1) << bit));
}

/* ---- op_unlink ---- */

static void op_unlink__from_the_fresh_and_from_the_parked(void **state)
{
	struct op *ops[6];

	(void)state;
	for (int i = 0; i < 6; i++) {
		ops[i] = allocate();
		op_complete(&table, ops[i], 0);
	}
	for (int i = 0; i < 3; i++) {
		op_list_remove(&table.fresh, ops[i]);
		ops[i]->state = OP_PARKED;
		op_list_append(&table.parked, ops[i]);
	}
	op_unlink(&table, ops[0]);
	op_unlink(&table, ops[2]);
	op_unlink(&table, ops[3]);
	op_unlink(&table, ops[5]);
	assert_ptr_equal(table.parked.head, ops[1]);
	assert_ptr_equal(table.parked.tail, ops[1]);
	assert_ptr_equal(table.fresh.head, ops[4]);
	assert_ptr_equal(table.fresh.tail, ops[4]);
	op_unlink(&table, ops[1]);
	op_unlink(&table, ops[4]);
	assert_null(table.parked.head);
	assert_null(table.parked.tail);
	assert_null(table.fresh.head);
	assert_null(table.fresh.tail);
}

#define table_test(function) cmocka_unit_test_setup_teardown(function, table_setup, table_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(op_table_init__refuses_no_room),
		table_test(op_table_init__knows_no_token),
		table_test(op_table_init__slots_are_cache_lines),
		cmocka_unit_test(op_table_init__costs_no_memory_for_slots_not_used),
		cmocka_unit_test(op_table_fini__of_what_was_never_begun),
		table_test(op_cancel_all__completes_the_list_in_its_order),
		table_test(op_cancel_all__of_an_empty_list),
		table_test(op_list_append__keeps_the_order),
		table_test(op_list_remove__at_the_front_in_the_middle_and_at_the_end),
		table_test(op_alloc__is_pending_and_clean),
		table_test(op_alloc__null_when_the_table_is_full),
		table_test(op_free__changes_the_generation),
		table_test(op_free__generation_wraps_past_zero),
		table_test(op_complete__keeps_the_order_of_completion),
		table_test(op_lookup__finds_pending_and_complete_ones),
		table_test(op_lookup__refuses_a_stale_token),
		table_test(op_lookup__refuses_the_next_token_of_a_free_slot),
		table_test(op_lookup__refuses_forged_tokens),
		table_test(op_unlink__from_the_fresh_and_from_the_parked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
