/* SPDX-License-Identifier: MIT */
/* What only shows when memory fails: tests/conformance/joined_test.c has the rest. */
#include "queue/joined_queue.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "heap/heaps.h"
#include "queue/joint.h"
#include "queue/sga.h"

#define LIMIT 4u

/* Two runtimes, as far as queues need them. */
static struct queue_context contexts[2];

static int setup(void **state)
{
	(void)state;
	memset(contexts, 0, sizeof(contexts));
	for (int i = 0; i < 2; i++) {
		struct queue_context *context = &contexts[i];

		if (heaps_create(&context->heap,
				 &(struct heap_options){.bytes_max = (uint64_t)8 << 20}) != 0 ||
		    sched_init(&context->sched, 0) != 0 || op_table_init(&context->ops, 100) != 0)
			return -1;
	}
	return 0;
}

static uint64_t live_objects(const struct queue_context *context)
{
	struct heap_stats stats;

	heap_collect(context->heap);
	heap_get_stats(context->heap, &stats);
	return stats.objects;
}

static int teardown(void **state)
{
	uint64_t objects = 0;

	(void)state;
	for (int i = 0; i < 2; i++) {
		objects += live_objects(&contexts[i]);
		joined_queues_destroy(contexts[i].joined);
		op_table_fini(&contexts[i].ops);
		sched_fini(&contexts[i].sched);
		heaps_retire(contexts[i].heap);
	}
	return objects == 0 ? 0 : -1;
}

static struct op *start(struct queue_context *context, struct queue *queue, enum demi_opcode opcode)
{
	struct op *op = op_alloc(&context->ops, opcode, queue, 500);

	assert_non_null(op);
	return op;
}

static void push_number(struct queue_context *context, struct queue *queue, uint32_t number,
			int expected)
{
	demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{&number, sizeof(number)}}};
	struct op *op = start(context, queue, DEMI_OPC_PUSH);

	assert_int_equal(queue->ops->push(queue, op, &sga, NULL, 0), expected);
	if (expected == 0) {
		assert_true(op_is_complete(op));
		op_unlink(&context->ops, op);
	}
	op_free(&context->ops, op);
}

static void expect_number(struct queue_context *context, struct op *op, uint32_t number)
{
	uint32_t popped;

	assert_true(op_is_complete(op));
	assert_int_equal(op->error, 0);
	assert_int_equal(op->result.buf->length, sizeof(popped));
	memcpy(&popped, op->result.buf->data, sizeof(popped));
	assert_int_equal(popped, number);
	assert_int_equal(buf_free(context->heap, op->result.buf), 0);
	op_unlink(&context->ops, op);
	op_free(&context->ops, op);
}

static void open_both(struct queue *queues[2])
{
	assert_int_equal(joined_queue_create(&queues[0], &contexts[0], "a", LIMIT), 0);
	assert_int_equal(joined_queue_open(&queues[1], &contexts[1], "a"), 0);
}

static void close_both(struct queue *queues[2])
{
	for (int i = 0; i < 2; i++)
		queues[i]->ops->close(queues[i]);
}

static void memory__a_push_without_it_changes_nothing(void **state)
{
	struct queue *queues[2];

	(void)state;
	open_both(queues);
	heap_fail_after(contexts[0].heap, 0);
	push_number(&contexts[0], queues[0], 1, -ENOMEM);
	heap_fail_after(contexts[0].heap, UINT64_MAX);
	push_number(&contexts[0], queues[0], 2, 0);
	{
		struct op *pop = start(&contexts[1], queues[1], DEMI_OPC_POP);

		assert_int_equal(queues[1]->ops->pop(queues[1], pop), 0);
		expect_number(&contexts[1], pop, 2);
	}
	close_both(queues);
}

static void memory__a_pop_without_it_leaves_the_element(void **state)
{
	struct queue *queues[2];
	struct op *pop;

	(void)state;
	open_both(queues);
	push_number(&contexts[0], queues[0], 1, 0);
	pop = start(&contexts[1], queues[1], DEMI_OPC_POP);
	heap_fail_after(contexts[1].heap, 0);
	assert_int_equal(queues[1]->ops->pop(queues[1], pop), -ENOMEM);
	heap_fail_after(contexts[1].heap, UINT64_MAX);
	assert_int_equal(queues[1]->ops->pop(queues[1], pop), 0);
	expect_number(&contexts[1], pop, 1);
	close_both(queues);
}

static void memory__a_pop_that_waits_fails_and_leaves_the_element(void **state)
{
	struct queue *queues[2];
	struct op *pops[2];

	(void)state;
	open_both(queues);
	for (int i = 0; i < 2; i++) {
		pops[i] = start(&contexts[1], queues[1], DEMI_OPC_POP);
		assert_int_equal(queues[1]->ops->pop(queues[1], pops[i]), 0);
	}
	push_number(&contexts[0], queues[0], 1, 0);
	heap_fail_after(contexts[1].heap, 0);
	sched_poll(&contexts[1].sched, 0);
	assert_true(op_is_complete(pops[0]));
	assert_int_equal(pops[0]->error, ENOMEM);
	heap_fail_after(contexts[1].heap, UINT64_MAX);
	/* Whether the second has failed too, or waits: the element is there. */
	sched_poll(&contexts[1].sched, 0);
	if (pops[1]->error == 0) {
		expect_number(&contexts[1], pops[1], 1);
	} else {
		assert_int_equal(pops[1]->error, ENOMEM);
		op_unlink(&contexts[1].ops, pops[1]);
		op_free(&contexts[1].ops, pops[1]);
		pops[1] = start(&contexts[1], queues[1], DEMI_OPC_POP);
		assert_int_equal(queues[1]->ops->pop(queues[1], pops[1]), 0);
		expect_number(&contexts[1], pops[1], 1);
	}
	op_unlink(&contexts[1].ops, pops[0]);
	op_free(&contexts[1].ops, pops[0]);
	close_both(queues);
}

static void memory__of_several_segments_is_all_or_nothing(void **state)
{
	demi_sgarray_t sga = {.sga_numsegs = 3};
	static char text[] = "abc";
	struct queue *queues[2];
	struct op *op;
	uint64_t before;

	(void)state;
	open_both(queues);
	for (uint32_t i = 0; i < 3; i++)
		sga.sga_segs[i] = (demi_sgaseg_t){text, 3};
	op = start(&contexts[0], queues[0], DEMI_OPC_PUSH);
	assert_int_equal(queues[0]->ops->push(queues[0], op, &sga, NULL, 0), 0);
	op_unlink(&contexts[0].ops, op);
	op_free(&contexts[0].ops, op);
	before = live_objects(&contexts[1]);
	op = start(&contexts[1], queues[1], DEMI_OPC_POP);
	for (uint64_t count = 0; count < 3; count++) {
		heap_fail_after(contexts[1].heap, count);
		assert_int_equal(queues[1]->ops->pop(queues[1], op), -ENOMEM);
		heap_fail_after(contexts[1].heap, UINT64_MAX);
		assert_int_equal(live_objects(&contexts[1]), before);
	}
	assert_int_equal(queues[1]->ops->pop(queues[1], op), 0);
	assert_int_equal(buf_free(contexts[1].heap, op->result.buf), 0);
	op_unlink(&contexts[1].ops, op);
	op_free(&contexts[1].ops, op);
	close_both(queues);
}

/* What the other side has not given back when everything of this one is gone. */
static void heap__lives_until_all_that_it_lent_is_back(void **state)
{
	unsigned int kept = heaps_kept();
	struct queue *queues[2];
	struct op *pop;

	(void)state;
	open_both(queues);
	push_number(&contexts[0], queues[0], 1, 0);
	push_number(&contexts[0], queues[0], 2, 0);
	pop = start(&contexts[1], queues[1], DEMI_OPC_POP);
	assert_int_equal(queues[1]->ops->pop(queues[1], pop), 0);
	queues[0]->ops->close(queues[0]);
	buf_free_all(contexts[0].heap);
	heaps_retire(contexts[0].heap);
	assert_int_equal(heaps_kept(), kept + 1);
	expect_number(&contexts[1], pop, 1);
	assert_int_equal(heaps_kept(), kept + 1);
	queues[1]->ops->close(queues[1]);
	assert_int_equal(heaps_kept(), kept);
	assert_int_equal(heaps_create(&contexts[0].heap,
				      &(struct heap_options){.bytes_max = (uint64_t)8 << 20}),
			 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(memory__a_push_without_it_changes_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(memory__a_pop_without_it_leaves_the_element, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			memory__a_pop_that_waits_fails_and_leaves_the_element, setup, teardown),
		cmocka_unit_test_setup_teardown(memory__of_several_segments_is_all_or_nothing,
						setup, teardown),
		cmocka_unit_test_setup_teardown(heap__lives_until_all_that_it_lent_is_back, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
