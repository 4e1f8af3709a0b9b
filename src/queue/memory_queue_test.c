/* SPDX-License-Identifier: MIT */
#include "queue/memory_queue.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "queue/sga.h"

#define BYTES_MAX ((uint64_t)4 << 20)
#define OPERATIONS_MAX 10000u

static struct queue_context context;

static int context_setup(void **state)
{
	(void)state;
	memset(&context, 0, sizeof(context));
	if (heap_create(&context.heap, &(struct heap_options){.bytes_max = BYTES_MAX}) != 0)
		return -1;
	return op_table_init(&context.ops, OPERATIONS_MAX);
}

static uint64_t live_objects(void)
{
	struct heap_stats stats;

	heap_get_stats(context.heap, &stats);
	return stats.objects;
}

/* Nothing may be left over: each test closes its queue and frees what it popped. */
static int context_teardown(void **state)
{
	uint64_t objects = live_objects();

	(void)state;
	op_table_fini(&context.ops);
	heap_destroy(context.heap);
	return objects == 0 ? 0 : -1;
}

static struct queue *open_queue(uint32_t elements_max)
{
	struct queue *queue = NULL;

	assert_int_equal(memory_queue_create(&queue, &context, elements_max), 0);
	assert_non_null(queue);
	return queue;
}

static struct op *start(struct queue *queue, enum demi_opcode opcode)
{
	struct op *op = op_alloc(&context.ops, opcode, queue, 500);

	assert_non_null(op);
	return op;
}

static struct op *push_sga(struct queue *queue, const demi_sgarray_t *sga)
{
	struct op *op = start(queue, DEMI_OPC_PUSH);

	assert_int_equal(sga_check(context.heap, sga, false, false), 0);
	assert_int_equal(queue->ops->push(queue, op, sga, NULL, 0), 0);
	return op;
}

/* An element of foreign memory that is a number. */
static struct op *push_number(struct queue *queue, uint32_t number)
{
	demi_sgarray_t sga = {.sga_numsegs = 1};

	sga.sga_segs[0] = (demi_sgaseg_t){&number, sizeof(number)};
	return push_sga(queue, &sga);
}

static struct op *pop(struct queue *queue)
{
	struct op *op = start(queue, DEMI_OPC_POP);

	assert_int_equal(queue->ops->pop(queue, op), 0);
	return op;
}

/* The operation is the next to have completed, with @error; it is used up. */
static void expect_done(struct op *op, int error)
{
	assert_ptr_equal(context.ops.fresh.head, op);
	assert_int_equal(op->error, error);
	op_unlink(&context.ops, op);
	op_free(&context.ops, op);
}

static void expect_number(struct op *op, uint32_t number)
{
	struct buf *buf = op->result.buf;
	uint32_t popped;

	assert_true(op_is_complete(op));
	assert_non_null(buf);
	assert_null(buf->next);
	assert_int_equal(buf->length, sizeof(popped));
	memcpy(&popped, buf->data, sizeof(popped));
	assert_int_equal(popped, number);
	assert_int_equal(buf_free(context.heap, buf), 0);
	expect_done(op, 0);
}

static demi_sgarray_t allocate(uint32_t length)
{
	struct buf *buf = buf_alloc(context.heap, length);
	demi_sgarray_t sga = {0};

	assert_non_null(buf);
	buf->length = length;
	sga_from_bufs(&sga, buf);
	return sga;
}

/* ---- push ---- */

static void push__completes_at_once(void **state)
{
	struct queue *queue = open_queue(10);

	(void)state;
	expect_done(push_number(queue, 1), 0);
	queue->ops->close(queue);
}

static void push__elements_come_out_in_order(void **state)
{
	struct queue *queue = open_queue(5000);

	(void)state;
	/* The ring grows while its elements stand around its end. */
	for (uint32_t i = 0; i < 10; i++)
		expect_done(push_number(queue, i), 0);
	for (uint32_t i = 0; i < 7; i++)
		expect_number(pop(queue), i);
	for (uint32_t i = 10; i < 4000; i++)
		expect_done(push_number(queue, i), 0);
	for (uint32_t i = 7; i < 4000; i++)
		expect_number(pop(queue), i);
	queue->ops->close(queue);
}

static void push__serves_waiting_pops_first_come_first_served(void **state)
{
	struct queue *queue = open_queue(10);
	struct op *pops[3], *push;

	(void)state;
	for (int i = 0; i < 3; i++)
		pops[i] = pop(queue);
	assert_null(context.ops.fresh.head);
	for (uint32_t i = 0; i < 3; i++) {
		push = push_number(queue, i);
		expect_number(pops[i], i);
		expect_done(push, 0);
	}
	expect_done(push_number(queue, 3), 0);
	expect_number(pop(queue), 3);
	queue->ops->close(queue);
}

static void push__beyond_the_bound_waits_for_room(void **state)
{
	struct queue *queue = open_queue(3);
	struct op *waiting[2], *popped;

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		expect_done(push_number(queue, i), 0);
	for (uint32_t i = 0; i < 2; i++)
		waiting[i] = push_number(queue, 3 + i);
	assert_null(context.ops.fresh.head);
	for (uint32_t i = 0; i < 2; i++) {
		popped = pop(queue);
		expect_number(popped, i);
		expect_done(waiting[i], 0);
		assert_null(context.ops.fresh.head);
	}
	for (uint32_t i = 2; i < 5; i++)
		expect_number(pop(queue), i);
	queue->ops->close(queue);
}

static void push__bound_of_one(void **state)
{
	struct queue *queue = open_queue(1);

	(void)state;
	for (uint32_t i = 0; i < 100; i += 2) {
		struct op *first = push_number(queue, i);
		struct op *second = push_number(queue, i + 1);

		expect_done(first, 0);
		assert_false(op_is_complete(second));
		expect_number(pop(queue), i);
		expect_done(second, 0);
		expect_number(pop(queue), i + 1);
	}
	queue->ops->close(queue);
}

static void push__passes_our_memory_by_reference(void **state)
{
	struct queue *queue = open_queue(10);
	demi_sgarray_t sga = allocate(1000);
	unsigned char *data = sga.sga_segs[0].sgaseg_buf;
	struct op *popped;
	struct buf *buf;

	(void)state;
	sga.sga_segs[0] = (demi_sgaseg_t){data + 100, 200};
	expect_done(push_sga(queue, &sga), 0);
	assert_int_equal(buf_free(context.heap, sga.sga_buf), 0);
	popped = pop(queue);
	buf = popped->result.buf;
	assert_ptr_equal(buf->data, data + 100);
	assert_int_equal(buf->length, 200);
	memset(buf->data, 1, 200);
	expect_done(popped, 0);
	assert_int_equal(buf_free(context.heap, buf), 0);
	assert_int_equal(live_objects(), 0);
	queue->ops->close(queue);
}

static void push__pusher_and_popper_each_hold_the_memory(void **state)
{
	struct queue *queue = open_queue(10);
	unsigned char *object = heap_alloc(context.heap, 100);
	demi_sgarray_t sga = {.sga_numsegs = 1};
	struct op *first, *second;

	(void)state;
	sga.sga_segs[0] = (demi_sgaseg_t){object, 100};
	expect_done(push_sga(queue, &sga), 0);
	expect_done(push_sga(queue, &sga), 0);
	first = pop(queue);
	second = pop(queue);
	assert_ptr_equal(first->result.buf->data, object);
	assert_ptr_equal(second->result.buf->data, object);
	assert_int_equal(buf_free(context.heap, first->result.buf), 0);
	assert_int_equal(heap_free(context.heap, object), 0);
	assert_ptr_equal(heap_object(context.heap, object), object);
	assert_int_equal(buf_free(context.heap, second->result.buf), 0);
	assert_null(heap_object(context.heap, object));
	expect_done(first, 0);
	expect_done(second, 0);
	queue->ops->close(queue);
}

static void push__copies_foreign_memory(void **state)
{
	struct queue *queue = open_queue(10);
	char bytes[100] = "before";
	demi_sgarray_t sga = {.sga_numsegs = 1};
	struct op *popped;

	(void)state;
	sga.sga_segs[0] = (demi_sgaseg_t){bytes, sizeof(bytes)};
	expect_done(push_sga(queue, &sga), 0);
	strcpy(bytes, "after");
	popped = pop(queue);
	assert_ptr_not_equal(popped->result.buf->data, bytes);
	assert_string_equal((char *)popped->result.buf->data, "before");
	assert_int_equal(buf_free(context.heap, popped->result.buf), 0);
	expect_done(popped, 0);
	queue->ops->close(queue);
}

static void push__an_element_keeps_its_segments(void **state)
{
	struct queue *queue = open_queue(10);
	demi_sgarray_t ours = allocate(100);
	unsigned char *data = ours.sga_segs[0].sgaseg_buf;
	demi_sgarray_t sga = {.sga_numsegs = DEMI_SGARRAY_MAXSIZE}, back = {0};
	char foreign[8] = "foreign";
	struct op *popped;

	(void)state;
	for (int i = 0; i < DEMI_SGARRAY_MAXSIZE; i++)
		sga.sga_segs[i] = i % 2 ? (demi_sgaseg_t){foreign, 8}
					: (demi_sgaseg_t){data + i, 10};
	expect_done(push_sga(queue, &sga), 0);
	popped = pop(queue);
	sga_from_bufs(&back, popped->result.buf);
	assert_int_equal(back.sga_numsegs, DEMI_SGARRAY_MAXSIZE);
	for (int i = 0; i < DEMI_SGARRAY_MAXSIZE; i++) {
		assert_int_equal(back.sga_segs[i].sgaseg_len, i % 2 ? 8 : 10);
		if (i % 2)
			assert_memory_equal(back.sga_segs[i].sgaseg_buf, "foreign", 8);
		else
			assert_ptr_equal(back.sga_segs[i].sgaseg_buf, data + i);
	}
	/* What was popped can be pushed on as it is. */
	expect_done(popped, 0);
	expect_done(push_sga(queue, &back), 0);
	assert_int_equal(buf_free(context.heap, back.sga_buf), 0);
	popped = pop(queue);
	assert_ptr_equal(popped->result.buf->data, data);
	assert_int_equal(buf_free(context.heap, popped->result.buf), 0);
	expect_done(popped, 0);
	assert_int_equal(buf_free(context.heap, ours.sga_buf), 0);
	queue->ops->close(queue);
}

static void push__has_no_addresses(void **state)
{
	struct queue *queue = open_queue(10);
	struct op *op = start(queue, DEMI_OPC_PUSH);
	struct sockaddr_in address = {.sin_family = AF_INET};
	demi_sgarray_t sga = allocate(1);

	(void)state;
	assert_int_equal(
		queue->ops->push(queue, op, &sga, (struct sockaddr *)&address, sizeof(address)),
		-EOPNOTSUPP);
	op_free(&context.ops, op);
	assert_int_equal(buf_free(context.heap, sga.sga_buf), 0);
	queue->ops->close(queue);
}

static void push__enomem_without_memory(void **state)
{
	struct queue *queue = open_queue(10);
	demi_sgarray_t sga = allocate(100);
	struct op *op = start(queue, DEMI_OPC_PUSH);
	void *list = NULL;
	void **object;
	uint64_t objects;
	char byte = 0;

	(void)state;
	for (size_t size = BYTES_MAX; size >= 16; size /= 2) {
		while ((object = heap_alloc(context.heap, size))) {
			*object = list;
			list = (void *)object;
		}
	}
	objects = live_objects();
	assert_int_equal(queue->ops->push(queue, op, &sga, NULL, 0), -ENOMEM);
	sga = (demi_sgarray_t){.sga_buf = sga.sga_buf, .sga_numsegs = 1};
	sga.sga_segs[0] = (demi_sgaseg_t){&byte, 1};
	assert_int_equal(queue->ops->push(queue, op, &sga, NULL, 0), -ENOMEM);
	assert_int_equal(live_objects(), objects);
	assert_false(op_is_complete(op));
	while (list) {
		object = list;
		list = *object;
		assert_int_equal(heap_free(context.heap, (void *)object), 0);
	}
	assert_int_equal(queue->ops->push(queue, op, &sga, NULL, 0), 0);
	expect_done(op, 0);
	op = pop(queue);
	assert_int_equal(buf_free(context.heap, op->result.buf), 0);
	expect_done(op, 0);
	assert_int_equal(buf_free(context.heap, sga.sga_buf), 0);
	queue->ops->close(queue);
}

/* ---- cancel ---- */

static void cancel__a_waiting_pop_loses_its_place(void **state)
{
	struct queue *queue = open_queue(10);
	struct op *pops[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		pops[i] = pop(queue);
	assert_int_equal(queue->ops->cancel(queue, pops[1]), 0);
	expect_done(pops[1], ECANCELED);
	for (uint32_t i = 0; i < 3; i += 2) {
		struct op *push = push_number(queue, i);

		expect_number(pops[i], i);
		expect_done(push, 0);
	}
	queue->ops->close(queue);
}

static void cancel__a_waiting_push_takes_its_element_with_it(void **state)
{
	struct queue *queue = open_queue(1);
	struct op *pushes[4], *popped;
	uint64_t objects;

	(void)state;
	expect_done(push_number(queue, 0), 0);
	for (uint32_t i = 1; i < 4; i++)
		pushes[i] = push_number(queue, i);
	objects = live_objects();
	assert_int_equal(queue->ops->cancel(queue, pushes[2]), 0);
	expect_done(pushes[2], ECANCELED);
	assert_int_equal(live_objects(), objects - 1);
	popped = pop(queue);
	expect_number(popped, 0);
	expect_done(pushes[1], 0);
	popped = pop(queue);
	expect_number(popped, 1);
	expect_done(pushes[3], 0);
	expect_number(pop(queue), 3);
	queue->ops->close(queue);
}

/* ---- close, aclose ---- */

static void close__cancels_waiting_pops_in_order(void **state)
{
	struct queue *queue = open_queue(10);
	struct op *first = pop(queue), *second = pop(queue);

	(void)state;
	queue->ops->close(queue);
	expect_done(first, ECANCELED);
	expect_done(second, ECANCELED);
}

static void close__cancels_waiting_pushes_and_frees_elements(void **state)
{
	struct queue *queue = open_queue(20);
	demi_sgarray_t sga = allocate(100);
	struct op *waiting[2];

	(void)state;
	for (uint32_t i = 0; i < 19; i++)
		expect_done(push_number(queue, i), 0);
	expect_done(push_sga(queue, &sga), 0);
	waiting[0] = push_sga(queue, &sga);
	waiting[1] = push_number(queue, 21);
	assert_int_equal(buf_free(context.heap, sga.sga_buf), 0);
	queue->ops->close(queue);
	expect_done(waiting[0], ECANCELED);
	expect_done(waiting[1], ECANCELED);
	assert_int_equal(live_objects(), 0);
}

static void aclose__completes_after_what_it_cancels(void **state)
{
	struct queue *queue = open_queue(1);
	struct op *waiting, *closing;

	(void)state;
	expect_done(push_number(queue, 1), 0);
	waiting = push_number(queue, 2);
	closing = start(queue, DEMI_OPC_CLOSE);
	queue->ops->aclose(queue, closing);
	expect_done(waiting, ECANCELED);
	expect_done(closing, 0);
	assert_int_equal(live_objects(), 0);
}

/* ---- The queue against a naive twin: numbers in, numbers out ---- */

#define MODEL_WAITING_MAX 64u

static struct {
	uint64_t random;
	struct queue *queue;
	uint32_t pushed; /* the next number to push */
	/* Numbers that will be popped, in order, then those of waiting pushes. */
	uint32_t elements[4096];
	uint32_t count;
	struct op *pushes[MODEL_WAITING_MAX]; /* waiting; their numbers end elements */
	uint32_t pushes_count;
	struct op *pops[MODEL_WAITING_MAX];
	uint32_t pops_count;
	uint32_t elements_max;
} model;

static uint32_t model_random(uint32_t limit)
{
	model.random ^= model.random << 13;
	model.random ^= model.random >> 7;
	model.random ^= model.random << 17;
	return (uint32_t)((model.random >> 16) % limit);
}

#define remove_at(array, count, place) \
	memmove(&(array)[place], &(array)[(place) + 1], (--(count) - (place)) * sizeof((array)[0]))

static void model_push(void)
{
	struct op *op = push_number(model.queue, model.pushed);

	if (model.pops_count) {
		expect_number(model.pops[0], model.pushed);
		remove_at(model.pops, model.pops_count, 0);
		expect_done(op, 0);
	} else if (model.count < model.elements_max) {
		model.elements[model.count++] = model.pushed;
		expect_done(op, 0);
	} else {
		model.elements[model.count++] = model.pushed;
		model.pushes[model.pushes_count++] = op;
		assert_false(op_is_complete(op));
	}
	model.pushed++;
}

static void model_pop(void)
{
	struct op *op = pop(model.queue);

	if (!model.count) {
		model.pops[model.pops_count++] = op;
		assert_false(op_is_complete(op));
		return;
	}
	expect_number(op, model.elements[0]);
	remove_at(model.elements, model.count, 0);
	if (!model.pushes_count)
		return;
	expect_done(model.pushes[0], 0);
	remove_at(model.pushes, model.pushes_count, 0);
}

static void model_cancel(void)
{
	uint32_t place;

	if (model.pops_count) {
		place = model_random(model.pops_count);
		assert_int_equal(model.queue->ops->cancel(model.queue, model.pops[place]), 0);
		expect_done(model.pops[place], ECANCELED);
		remove_at(model.pops, model.pops_count, place);
	} else if (model.pushes_count) {
		uint32_t element;

		place = model_random(model.pushes_count);
		element = model.count - model.pushes_count + place;
		assert_int_equal(model.queue->ops->cancel(model.queue, model.pushes[place]), 0);
		expect_done(model.pushes[place], ECANCELED);
		remove_at(model.pushes, model.pushes_count, place);
		remove_at(model.elements, model.count, element);
	}
}

static void model_close(void)
{
	model.queue->ops->close(model.queue);
	for (uint32_t i = 0; i < model.pops_count; i++)
		expect_done(model.pops[i], ECANCELED);
	for (uint32_t i = 0; i < model.pushes_count; i++)
		expect_done(model.pushes[i], ECANCELED);
	assert_null(context.ops.fresh.head);
	assert_int_equal(live_objects(), 0);
	model.count = model.pushes_count = model.pops_count = 0;
}

static void model_steps(uint32_t steps)
{
	uint32_t bias = 5;

	for (uint32_t i = 0; i < steps; i++) {
		if (i % 500 == 0)
			bias = 2 + model_random(7);
		if (model_random(20) == 0)
			model_cancel();
		else if (model_random(10) < bias && model.pushes_count < MODEL_WAITING_MAX)
			model_push();
		else if (model.pops_count < MODEL_WAITING_MAX)
			model_pop();
	}
}

static uint64_t environment_number(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static void memory_queue__agrees_with_an_array(void **state)
{
	uint64_t first = environment_number("MEMORY_QUEUE_TEST_SEED", (uint64_t)time(NULL));
	uint64_t seeds = environment_number("SEEDS", 3);

	(void)state;
	for (uint64_t seed = first; seed < first + seeds; seed++) {
		print_message("MEMORY_QUEUE_TEST_SEED=%llu\n", (unsigned long long)seed);
		memset(&model, 0, sizeof(model));
		model.random = seed * 0x9e3779b97f4a7c15u | 1;
		for (int round = 0; round < 20; round++) {
			model.elements_max = 1 + model_random(model_random(2) ? 4 : 2000);
			model.queue = open_queue(model.elements_max);
			model_steps(3000);
			model_close();
		}
	}
}

#define context_test(function) \
	cmocka_unit_test_setup_teardown(function, context_setup, context_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		context_test(push__completes_at_once),
		context_test(push__elements_come_out_in_order),
		context_test(push__serves_waiting_pops_first_come_first_served),
		context_test(push__beyond_the_bound_waits_for_room),
		context_test(push__bound_of_one),
		context_test(push__passes_our_memory_by_reference),
		context_test(push__pusher_and_popper_each_hold_the_memory),
		context_test(push__copies_foreign_memory),
		context_test(push__an_element_keeps_its_segments),
		context_test(push__has_no_addresses),
		context_test(push__enomem_without_memory),
		context_test(cancel__a_waiting_pop_loses_its_place),
		context_test(cancel__a_waiting_push_takes_its_element_with_it),
		context_test(close__cancels_waiting_pops_in_order),
		context_test(close__cancels_waiting_pushes_and_frees_elements),
		context_test(aclose__completes_after_what_it_cancels),
		context_test(memory_queue__agrees_with_an_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
