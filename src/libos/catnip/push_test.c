/* SPDX-License-Identifier: MIT */
#include "libos/catnip/push.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/container.h"

#define OPERATIONS 8

struct fixture {
	struct queue_context context;
	struct catnip catnip;
	struct push_owner owner;
	unsigned int drained;
};

static void count_drained(struct push_owner *owner)
{
	container_of(owner, struct fixture, owner)->drained++;
}

static int setup(void **state)
{
	static struct fixture fixture;

	memset(&fixture, 0, sizeof(fixture));
	fixture.catnip.context = &fixture.context;
	fixture.owner.drained = count_drained;
	assert_int_equal(op_table_init(&fixture.context.ops, OPERATIONS), 0);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	push_pool_destroy(&fixture->catnip);
	op_table_fini(&fixture->context.ops);
	return 0;
}

static struct op *start(struct fixture *fixture, struct push **push_out)
{
	struct op *op = op_alloc(&fixture->context.ops, DEMI_OPC_PUSH, NULL, 500);

	*push_out = push_take(&fixture->catnip);
	assert_non_null(op);
	assert_non_null(*push_out);
	push_wait(*push_out, &fixture->owner, op);
	return op;
}

static void finish(struct push *push)
{
	push->done.done(&push->done);
}

static unsigned int pool_count(const struct fixture *fixture)
{
	unsigned int count = 0;

	for (const struct push *push = fixture->catnip.free_pushes; push; push = push->next)
		count++;
	return count;
}

static void push_take__gives_each_once(void **state)
{
	struct fixture *fixture = *state;
	struct push *first, *second;

	assert_int_equal(push_pool_create(&fixture->catnip, 2), 0);
	first = push_take(&fixture->catnip);
	second = push_take(&fixture->catnip);
	assert_non_null(first);
	assert_non_null(second);
	assert_ptr_not_equal(first, second);
	assert_null(push_take(&fixture->catnip));
	push_put(first);
	assert_ptr_equal(push_take(&fixture->catnip), first);
}

static void push_done__completes_whichever_comes_first(void **state)
{
	struct fixture *fixture = *state;
	struct push *first, *second;
	struct op *first_op, *second_op;

	assert_int_equal(push_pool_create(&fixture->catnip, 4), 0);
	first_op = start(fixture, &first);
	second_op = start(fixture, &second);
	assert_int_equal(fixture->catnip.pushes_waiting, 2);
	finish(second);
	assert_true(op_is_complete(second_op));
	assert_int_equal(second_op->error, 0);
	assert_false(op_is_complete(first_op));
	assert_int_equal(fixture->drained, 0);
	finish(first);
	assert_true(op_is_complete(first_op));
	assert_int_equal(fixture->drained, 1);
	assert_int_equal(fixture->catnip.pushes_waiting, 0);
	assert_int_equal(pool_count(fixture), 4);
}

static void push_done__before_it_waits_changes_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct push *push;

	assert_int_equal(push_pool_create(&fixture->catnip, 1), 0);
	push = push_take(&fixture->catnip);
	finish(push);
	/* It is still with who took it. */
	assert_null(push_take(&fixture->catnip));
	push_put(push);
	assert_int_equal(pool_count(fixture), 1);
}

static void push_abandon_all__requests_outlive_their_queue(void **state)
{
	struct fixture *fixture = *state;
	struct push *first, *second;
	struct op *first_op, *second_op;

	assert_int_equal(push_pool_create(&fixture->catnip, 2), 0);
	first_op = start(fixture, &first);
	second_op = start(fixture, &second);
	push_abandon_all(&fixture->owner, &fixture->context.ops);
	assert_int_equal(first_op->error, ECANCELED);
	assert_int_equal(second_op->error, ECANCELED);
	assert_null(fixture->owner.ops.head);
	assert_int_equal(pool_count(fixture), 0);
	/* The queue's memory may be another's now. */
	memset(&fixture->owner, 0xa5, sizeof(fixture->owner));
	finish(first);
	finish(second);
	assert_int_equal(pool_count(fixture), 2);
	assert_int_equal(fixture->catnip.pushes_waiting, 0);
	assert_int_equal(fixture->drained, 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(push_take__gives_each_once),
		TEST(push_done__completes_whichever_comes_first),
		TEST(push_done__before_it_waits_changes_nothing),
		TEST(push_abandon_all__requests_outlive_their_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
