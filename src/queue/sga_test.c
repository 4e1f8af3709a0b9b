/* SPDX-License-Identifier: MIT */
#include "queue/sga.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "queue/queue.h"

#define BYTES_MAX ((uint64_t)4 << 20)

static int heap_setup(void **state)
{
	return heap_create((struct heap **)state, &(struct heap_options){.bytes_max = BYTES_MAX});
}

static uint64_t live_objects(const struct heap *heap)
{
	struct heap_stats stats;

	heap_get_stats(heap, &stats);
	return stats.objects;
}

/* Nothing may be left over: each test frees what it allocates. */
static int heap_teardown(void **state)
{
	uint64_t objects = live_objects(*state);

	heap_destroy(*state);
	return objects == 0 ? 0 : -1;
}

static demi_sgarray_t sga_over(void *start, uint32_t length)
{
	demi_sgarray_t sga = {.sga_numsegs = 1};

	sga.sga_segs[0].sgaseg_buf = start;
	sga.sga_segs[0].sgaseg_len = length;
	return sga;
}

static void sga_add(demi_sgarray_t *sga, void *start, uint32_t length)
{
	sga->sga_segs[sga->sga_numsegs].sgaseg_buf = start;
	sga->sga_segs[sga->sga_numsegs].sgaseg_len = length;
	sga->sga_numsegs++;
}

/* What demi_sgaalloc gives. */
static demi_sgarray_t sga_allocate(struct heap *heap, uint32_t length)
{
	struct buf *buf = buf_alloc(heap, length);
	demi_sgarray_t sga = {0};

	assert_non_null(buf);
	buf->length = length;
	sga_from_bufs(&sga, buf);
	return sga;
}

/* Every object of 64 B that the heap has room for, in a list. */
static void *fill_heap(struct heap *heap)
{
	void *list = NULL;
	void **object;

	for (size_t size = BYTES_MAX; size >= 16; size /= 2) {
		while ((object = heap_alloc(heap, size))) {
			*object = list;
			list = (void *)object;
		}
	}
	return list;
}

static void empty_heap(struct heap *heap, void *list)
{
	while (list) {
		void *next = *(void **)list;

		assert_int_equal(heap_free(heap, list), 0);
		list = next;
	}
}

/* ---- sga_check ---- */

static void sga_check__bounds_the_number_of_segments(void **state)
{
	char bytes[DEMI_SGARRAY_MAXSIZE] = "";
	demi_sgarray_t sga = {0};

	assert_int_equal(sga_check(*state, &sga, false, false), -EINVAL);
	for (uint32_t i = 0; i < DEMI_SGARRAY_MAXSIZE; i++) {
		sga_add(&sga, &bytes[i], 1);
		assert_int_equal(sga_check(*state, &sga, false, false), 0);
	}
	sga.sga_numsegs = DEMI_SGARRAY_MAXSIZE + 1;
	assert_int_equal(sga_check(*state, &sga, false, false), -EINVAL);
	sga.sga_numsegs = UINT32_MAX;
	assert_int_equal(sga_check(*state, &sga, false, false), -EINVAL);
}

static void sga_check__every_segment_has_bytes(void **state)
{
	char bytes[4] = "";
	demi_sgarray_t sga = sga_over(bytes, 4);

	sga_add(&sga, bytes, 0);
	assert_int_equal(sga_check(*state, &sga, false, false), -EINVAL);
	sga.sga_segs[1].sgaseg_len = 1;
	assert_int_equal(sga_check(*state, &sga, false, false), 0);
	sga.sga_segs[1].sgaseg_buf = NULL;
	assert_int_equal(sga_check(*state, &sga, false, false), -EFAULT);
	sga.sga_segs[1].sgaseg_len = 0;
	assert_int_equal(sga_check(*state, &sga, false, false), -EFAULT);
	sga.sga_numsegs = 1;
	assert_int_equal(sga_check(*state, &sga, false, false), 0);
}

static void sga_check__an_empty_one_may_be_alone(void **state)
{
	char bytes[4] = "";
	demi_sgarray_t sga = sga_over(bytes, 0);

	assert_int_equal(sga_check(*state, &sga, false, false), -EINVAL);
	assert_int_equal(sga_check(*state, &sga, false, true), 0);
	assert_int_equal(sga_check(*state, &sga, true, true), -EFAULT);
	sga_add(&sga, bytes, 1);
	assert_int_equal(sga_check(*state, &sga, false, true), -EINVAL);
	sga.sga_numsegs = 0;
	assert_int_equal(sga_check(*state, &sga, false, true), -EINVAL);
}

static void sga_check__refuses_a_sga_buf_that_is_not_ours(void **state)
{
	char bytes[128] = "";
	demi_sgarray_t sga = sga_over(bytes, 4);
	void *object = heap_alloc(*state, 200);

	memset(object, 0, 200);
	sga.sga_buf = bytes;
	assert_int_equal(sga_check(*state, &sga, false, false), -EFAULT);
	sga.sga_buf = object; /* ours, but no buf */
	assert_int_equal(sga_check(*state, &sga, false, false), -EFAULT);
	heap_free(*state, object);
}

static void sga_check__refuses_a_freed_array(void **state)
{
	demi_sgarray_t sga = sga_allocate(*state, 100);

	assert_int_equal(buf_free(*state, sga.sga_buf), 0);
	assert_int_equal(sga_check(*state, &sga, false, false), -EFAULT);
}

/* What surely is in order sga_check allows, and what is inside of one buffer is surely in order. */
static void sga_is_plain__is_what_lies_inside(void **state)
{
	demi_sgarray_t sga = sga_allocate(*state, 100);
	unsigned char *data = sga.sga_segs[0].sgaseg_buf;

	for (int start = -2; start <= 102; start++) {
		for (int length = 0; length <= 103; length++) {
			bool inside = start >= 0 && length > 0 && start + length <= 100;

			sga.sga_segs[0].sgaseg_buf = data + start;
			sga.sga_segs[0].sgaseg_len = (uint32_t)length;
			assert_int_equal(sga_is_plain(*state, &sga), inside);
			assert_int_equal(sga_check(*state, &sga, true, false) == 0, inside);
		}
	}
	sga.sga_segs[0].sgaseg_buf = data + 1;
	sga.sga_segs[0].sgaseg_len = UINT32_MAX;
	assert_false(sga_is_plain(*state, &sga));
	sga.sga_segs[0].sgaseg_len = 1;
	sga.sga_segs[0].sgaseg_buf = NULL;
	assert_false(sga_is_plain(*state, &sga));
	assert_int_equal(buf_free(*state, sga.sga_buf), 0);
}

static void sga_is_plain__only_one_live_buf_of_its_own(void **state)
{
	demi_sgarray_t sga = sga_allocate(*state, 100);
	unsigned char *data = sga.sga_segs[0].sgaseg_buf;
	void *chain = sga.sga_buf;
	void *object = heap_alloc(*state, 200);

	sga.sga_numsegs = 2;
	assert_false(sga_is_plain(*state, &sga));
	sga.sga_numsegs = 1;
	assert_true(sga_is_plain(*state, &sga));
	sga.sga_buf = NULL;
	assert_false(sga_is_plain(*state, &sga));
	sga.sga_buf = data;
	assert_false(sga_is_plain(*state, &sga));
	sga.sga_buf = memset(object, 0, 200);
	assert_false(sga_is_plain(*state, &sga));
	sga.sga_buf = buf_reference(*state, chain, data, 100);
	assert_false(sga_is_plain(*state, &sga));
	assert_int_equal(buf_free(*state, sga.sga_buf), 0);
	sga.sga_buf = chain;
	assert_int_equal(buf_free(*state, chain), 0);
	assert_false(sga_is_plain(*state, &sga));
	heap_free(*state, object);
}

static void sga_check__segments_stay_inside_their_buffer(void **state)
{
	demi_sgarray_t sga = sga_allocate(*state, 100);
	unsigned char *data = sga.sga_segs[0].sgaseg_buf;
	static const struct {
		int start;
		uint32_t length;
		int outcome;
	} cases[] = {
		{0, 100, 0},
		{0, 1, 0},
		{99, 1, 0},
		{50, 50, 0},
		{0, 101, -EINVAL},
		{1, 100, -EINVAL},
		{99, 2, -EINVAL},
		{100, 1, -EINVAL},
		{-1, 1, -EINVAL},
		{-64, 64, -EINVAL},
		{0, UINT32_MAX, -EINVAL},
		{99, UINT32_MAX, -EINVAL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		sga.sga_segs[0].sgaseg_buf = data + cases[i].start;
		sga.sga_segs[0].sgaseg_len = cases[i].length;
		assert_int_equal(sga_check(*state, &sga, false, false), cases[i].outcome);
	}
	assert_int_equal(buf_free(*state, sga.sga_buf), 0);
}

static void sga_check__with_sga_buf_every_segment_is_in_its_chain(void **state)
{
	demi_sgarray_t sga = sga_allocate(*state, 100);
	demi_sgarray_t other = sga_allocate(*state, 100);
	char foreign[4] = "";

	sga_add(&sga, other.sga_segs[0].sgaseg_buf, 10);
	assert_int_equal(sga_check(*state, &sga, false, false), -EINVAL);
	((struct buf *)sga.sga_buf)->next = other.sga_buf;
	assert_int_equal(sga_check(*state, &sga, false, false), 0);
	sga.sga_segs[1].sgaseg_len = 101;
	assert_int_equal(sga_check(*state, &sga, false, false), -EINVAL);
	sga.sga_segs[1] = (demi_sgaseg_t){foreign, 4};
	assert_int_equal(sga_check(*state, &sga, false, false), -EINVAL);
	assert_int_equal(buf_free(*state, sga.sga_buf), 0);
}

static void sga_check__a_buf_by_reference_bounds_its_run(void **state)
{
	unsigned char *object = heap_alloc(*state, 1000);
	struct buf *buf = buf_reference(*state, object, object + 100, 200);
	demi_sgarray_t sga = {0};

	sga_from_bufs(&sga, buf);
	assert_int_equal(sga_check(*state, &sga, false, false), 0);
	sga.sga_segs[0] = (demi_sgaseg_t){object + 99, 2};
	assert_int_equal(sga_check(*state, &sga, false, false), -EINVAL);
	sga.sga_segs[0] = (demi_sgaseg_t){object + 299, 2};
	assert_int_equal(sga_check(*state, &sga, false, false), -EINVAL);
	sga.sga_segs[0] = (demi_sgaseg_t){object + 299, 1};
	assert_int_equal(sga_check(*state, &sga, false, false), 0);
	assert_int_equal(buf_free(*state, buf), 0);
	assert_int_equal(heap_free(*state, object), 0);
}

static void sga_check__segments_stay_inside_one_live_object(void **state)
{
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, 100);
	unsigned char *neighbour = heap_alloc(heap, 100);
	uint32_t usable = (uint32_t)heap_usable_size(heap, object);
	demi_sgarray_t sga = sga_over(object, 100);

	assert_int_equal(sga_check(heap, &sga, false, false), 0);
	sga.sga_segs[0].sgaseg_len = usable;
	assert_int_equal(sga_check(heap, &sga, false, false), 0);
	sga.sga_segs[0].sgaseg_len = usable + 1;
	assert_int_equal(sga_check(heap, &sga, false, false), -EINVAL);
	sga = sga_over(object + 10, usable - 10);
	assert_int_equal(sga_check(heap, &sga, false, false), 0);
	sga.sga_segs[0].sgaseg_len++;
	assert_int_equal(sga_check(heap, &sga, false, false), -EINVAL);
	assert_int_equal(heap_free(heap, neighbour), 0);
	sga = sga_over(neighbour, 1);
	assert_int_equal(sga_check(heap, &sga, false, false), -EINVAL);
	assert_int_equal(heap_free(heap, object), 0);
}

static void sga_check__takes_foreign_memory_as_it_is(void **state)
{
	static char bytes[100];
	demi_sgarray_t sga = sga_over(bytes, sizeof(bytes));

	assert_int_equal(sga_check(*state, &sga, false, false), 0);
}

/* ---- sga_length ---- */

static void sga_length__is_the_sum(void **state)
{
	char byte = 0;
	demi_sgarray_t sga = sga_over(&byte, UINT32_MAX);

	(void)state;
	for (int i = 1; i < DEMI_SGARRAY_MAXSIZE; i++)
		sga_add(&sga, &byte, UINT32_MAX);
	assert_true(sga_length(&sga) == (uint64_t)DEMI_SGARRAY_MAXSIZE * UINT32_MAX);
	sga = sga_over(&byte, 1);
	assert_int_equal(sga_length(&sga), 1);
}

/* ---- sga_to_bufs ---- */

static void sga_to_bufs__refers_to_our_memory(void **state)
{
	struct heap *heap = *state;
	demi_sgarray_t sga = sga_allocate(heap, 100);
	unsigned char *data = sga.sga_segs[0].sgaseg_buf;
	struct buf *buf;

	sga.sga_segs[0] = (demi_sgaseg_t){data + 10, 20};
	buf = sga_to_bufs(heap, &sga);
	assert_non_null(buf);
	assert_ptr_equal(buf->data, data + 10);
	assert_int_equal(buf->length, 20);
	assert_null(buf->next);
	assert_int_equal(buf_free(heap, sga.sga_buf), 0);
	memset(buf->data, 7, 20);
	assert_ptr_equal(heap_object(heap, data), sga.sga_buf);
	assert_int_equal(buf_free(heap, buf), 0);
	assert_int_equal(live_objects(heap), 0);
}

static void sga_to_bufs__copies_foreign_memory(void **state)
{
	char bytes[] = "twelve bytes";
	demi_sgarray_t sga = sga_over(bytes, 12);
	struct buf *buf = sga_to_bufs(*state, &sga);

	assert_non_null(buf);
	memset(bytes, 0, sizeof(bytes));
	assert_true(heap_owns(*state, buf->data));
	assert_int_equal(buf->length, 12);
	assert_memory_equal(buf->data, "twelve bytes", 12);
	assert_int_equal(buf_free(*state, buf), 0);
}

static void sga_to_bufs__keeps_the_order_of_mixed_segments(void **state)
{
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, 100);
	char bytes[] = "foreign";
	demi_sgarray_t sga = sga_over(object + 50, 10), back = {0};
	struct buf *chain;

	sga_add(&sga, bytes, 7);
	sga_add(&sga, object, 1);
	sga_add(&sga, object, 1);
	chain = sga_to_bufs(heap, &sga);
	assert_non_null(chain);
	sga_from_bufs(&back, chain);
	assert_int_equal(back.sga_numsegs, 4);
	assert_ptr_equal(back.sga_segs[0].sgaseg_buf, object + 50);
	assert_int_equal(back.sga_segs[0].sgaseg_len, 10);
	assert_memory_equal(back.sga_segs[1].sgaseg_buf, "foreign", 7);
	assert_ptr_equal(back.sga_segs[2].sgaseg_buf, object);
	assert_ptr_equal(back.sga_segs[3].sgaseg_buf, object);
	assert_int_equal(sga_check(heap, &back, false, false), 0);
	assert_int_equal(heap_free(heap, object), 0);
	assert_int_equal(buf_free(heap, chain), 0);
	assert_int_equal(live_objects(heap), 0);
}

static void sga_to_bufs__null_and_no_leak_without_memory(void **state)
{
	struct heap *heap = *state;
	demi_sgarray_t sga = sga_allocate(heap, 100);
	void *list = fill_heap(heap);
	uint64_t objects;
	char byte = 0;
	struct buf *bufs[4];

	objects = live_objects(heap);
	assert_null(sga_to_bufs(heap, &sga));
	assert_int_equal(live_objects(heap), objects);
	empty_heap(heap, list);
	/* Room for the first segments' bufs only. */
	for (uint32_t room = 0; room < 4; room++) {
		sga = (demi_sgarray_t){.sga_buf = sga.sga_buf};
		for (uint32_t i = 0; i < 4; i++)
			sga_add(&sga, ((struct buf *)sga.sga_buf)->data, 1);
		for (uint32_t i = 0; i < room; i++)
			assert_non_null(bufs[i] = buf_reference(heap, sga.sga_buf,
								sga.sga_segs[0].sgaseg_buf, 1));
		list = fill_heap(heap);
		for (uint32_t i = 0; i < room; i++)
			assert_int_equal(buf_free(heap, bufs[i]), 0);
		objects = live_objects(heap);
		assert_null(sga_to_bufs(heap, &sga));
		assert_int_equal(live_objects(heap), objects);
		sga.sga_segs[room] = (demi_sgaseg_t){&byte, 1};
		assert_null(sga_to_bufs(heap, &sga));
		assert_int_equal(live_objects(heap), objects);
		empty_heap(heap, list);
	}
	assert_int_equal(buf_free(heap, sga.sga_buf), 0);
	assert_int_equal(live_objects(heap), 0);
}

/* ---- sga_from_bufs ---- */

static void sga_from_bufs__hands_over_source_and_segments(void **state)
{
	demi_sgarray_t sga;
	struct buf *buf = buf_alloc(*state, 10);

	memset(&sga, 0xa5, sizeof(sga));
	buf->length = 0;
	buf->source.ipv4.sin_family = AF_INET;
	buf->source.ipv4.sin_port = 80;
	sga_from_bufs(&sga, buf);
	assert_ptr_equal(sga.sga_buf, buf);
	assert_int_equal(sga.sga_numsegs, 1);
	assert_int_equal(sga.sga_segs[0].sgaseg_len, 0);
	assert_ptr_equal(sga.sga_segs[0].sgaseg_buf, buf->data);
	assert_int_equal(sga.sga_addr.sin_family, AF_INET);
	assert_int_equal(sga.sga_addr.sin_port, 80);
	assert_int_equal(buf_free(*state, buf), 0);
}

/* ---- sga_hold, sga_release ---- */

static void sga_hold__keeps_our_memory_after_its_owner(void **state)
{
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, 100);
	demi_sgarray_t sga = sga_allocate(heap, 100);
	void *array = sga.sga_buf;
	char byte = 0;

	sga_add(&sga, object + 5, 5);
	sga_add(&sga, object, 5);
	sga_add(&sga, &byte, 1);
	sga_hold(heap, &sga);
	assert_int_equal(heap_free(heap, object), 0);
	assert_int_equal(buf_free(heap, array), 0);
	assert_ptr_equal(heap_object(heap, object), object);
	assert_ptr_equal(heap_object(heap, array), array);
	sga_release(heap, &sga);
	assert_null(heap_object(heap, object));
	assert_null(heap_object(heap, array));
}

/* ---- qresult_from_op ---- */

static void qresult_from_op__of_each_outcome(void **state)
{
	struct queue_context context = {.heap = *state};
	struct buf *buf = buf_alloc(*state, 10);
	struct op *op;
	demi_qresult_t qr;

	assert_int_equal(op_table_init(&context.ops, 4), 0);
	assert_int_equal(queue_table_init(&context.queues, 4), 0);
	op = op_alloc(&context.ops, DEMI_OPC_POP, NULL, 501);
	op->result.buf = buf;
	buf->length = 3;
	op_complete(&context.ops, op, 0);
	memset(&qr, 0xa5, sizeof(qr));
	qresult_from_op(&qr, &context, op);
	assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
	assert_int_equal(qr.qr_qd, 501);
	assert_true(qr.qr_qt == op_token(op));
	assert_true(qr.qr_ret == 0);
	assert_ptr_equal(qr.qr_value.sga.sga_buf, buf);
	assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, 3);

	op = op_alloc(&context.ops, DEMI_OPC_POP, NULL, 502);
	op_complete(&context.ops, op, ECONNRESET);
	memset(&qr, 0xa5, sizeof(qr));
	qresult_from_op(&qr, &context, op);
	assert_int_equal(qr.qr_opcode, DEMI_OPC_FAILED);
	assert_true(qr.qr_ret == ECONNRESET);
	assert_null(qr.qr_value.sga.sga_buf);
	assert_int_equal(qr.qr_value.sga.sga_numsegs, 0);

	op = op_alloc(&context.ops, DEMI_OPC_ACCEPT, NULL, 503);
	op->result.accepted_qd = 500; /* closed again before the wait */
	op_complete(&context.ops, op, 0);
	memset(&qr, 0xa5, sizeof(qr));
	qresult_from_op(&qr, &context, op);
	assert_int_equal(qr.qr_opcode, DEMI_OPC_ACCEPT);
	assert_int_equal(qr.qr_value.ares.qd, 500);
	assert_int_equal(qr.qr_value.ares.addr.sin_family, AF_UNSPEC);
	assert_int_equal(buf_free(*state, buf), 0);
	queue_table_fini(&context.queues);
	op_table_fini(&context.ops);
}

#define heap_test(function) cmocka_unit_test_setup_teardown(function, heap_setup, heap_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		heap_test(sga_check__bounds_the_number_of_segments),
		heap_test(sga_check__an_empty_one_may_be_alone),
		heap_test(sga_check__every_segment_has_bytes),
		heap_test(sga_check__refuses_a_sga_buf_that_is_not_ours),
		heap_test(sga_check__refuses_a_freed_array),
		heap_test(sga_is_plain__is_what_lies_inside),
		heap_test(sga_is_plain__only_one_live_buf_of_its_own),
		heap_test(sga_check__segments_stay_inside_their_buffer),
		heap_test(sga_check__with_sga_buf_every_segment_is_in_its_chain),
		heap_test(sga_check__a_buf_by_reference_bounds_its_run),
		heap_test(sga_check__segments_stay_inside_one_live_object),
		heap_test(sga_check__takes_foreign_memory_as_it_is),
		cmocka_unit_test(sga_length__is_the_sum),
		heap_test(sga_to_bufs__refers_to_our_memory),
		heap_test(sga_to_bufs__copies_foreign_memory),
		heap_test(sga_to_bufs__keeps_the_order_of_mixed_segments),
		heap_test(sga_to_bufs__null_and_no_leak_without_memory),
		heap_test(sga_from_bufs__hands_over_source_and_segments),
		heap_test(sga_hold__keeps_our_memory_after_its_owner),
		heap_test(qresult_from_op__of_each_outcome),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
