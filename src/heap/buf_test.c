/* SPDX-License-Identifier: MIT */
#include "heap/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "heap/testing.h"

#define BYTES_MAX ((uint64_t)4 << 20)

static int heap_setup(void **state)
{
	return heap_create((struct heap **)state, &(struct heap_options){.bytes_max = BYTES_MAX});
}

/* For what counts on all of the bytes, or on a freed object's being used next. */
static int plain_setup(void **state)
{
	return heap_create(
		(struct heap **)state,
		&(struct heap_options){.bytes_max = BYTES_MAX, .checks = HEAP_CHECKS_OFF});
}

/* ---- buf_alloc ---- */

static void buf_alloc__has_its_room_behind_the_header(void **state)
{
	struct heap *heap = *state;
	struct buf *buf = buf_alloc(heap, 1500);

	assert_non_null(buf);
	assert_ptr_equal(buf->data, buf + 1);
	assert_int_equal(buf->length, 0);
	assert_int_equal(buf->capacity, 1500);
	assert_null(buf->next);
	assert_null(buf->object);
	assert_int_equal(buf->source.any.sa_family, AF_UNSPEC);
	assert_int_equal((uintptr_t)buf % 64, 0);
	memset(buf->data, 1, 1500);
	assert_ptr_equal(heap_object(heap, buf->data + 1499), buf);
	assert_int_equal(buf_free(heap, buf), 0);
}

static void buf_alloc__initialises_reused_memory(void **state)
{
	struct heap *heap = *state;
	void *object = heap_alloc(heap, 164);
	struct buf *buf;

	memset(object, 0xff, 164);
	assert_int_equal(heap_free(heap, object), 0);
	buf = buf_alloc(heap, 100);
	assert_ptr_equal(buf, object);
	assert_int_equal(buf->length, 0);
	assert_null(buf->next);
	assert_null(buf->object);
	assert_int_equal(buf->source.any.sa_family, AF_UNSPEC);
	assert_int_equal(buf_free(heap, buf), 0);
}

static void buf_alloc__capacity_zero_still_points_into_itself(void **state)
{
	struct heap *heap = *state;
	struct buf *buf = buf_alloc(heap, 0);

	assert_int_equal(buf->capacity, 0);
	assert_null(buf->object);
	assert_ptr_equal(heap_object(heap, buf->data), buf);
	assert_int_equal(buf_free(heap, buf), 0);
}

static void buf_alloc__null_when_out_of_memory(void **state)
{
	struct heap *heap = *state;
	struct buf *buf;

	assert_null(buf_alloc(heap, UINT32_MAX));
	assert_null(buf_alloc(heap, (uint32_t)BYTES_MAX));
	buf = buf_alloc(heap, (uint32_t)(BYTES_MAX - sizeof(struct buf)));
	assert_non_null(buf);
	assert_null(buf_alloc(heap, 1));
	assert_int_equal(buf_free(heap, buf), 0);
	assert_non_null(buf_alloc(heap, 1));
}

/* ---- buf_reference ---- */

static void buf_reference__holds_the_object(void **state)
{
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, 5000);
	struct buf *buf = buf_reference(heap, object, object + 100, 200);

	assert_ptr_equal(buf->data, object + 100);
	assert_int_equal(buf->length, 200);
	assert_int_equal(buf->capacity, 0);
	assert_ptr_equal(buf->object, object);
	assert_int_equal(buf->source.any.sa_family, AF_UNSPEC);
	assert_int_equal(heap_free(heap, object), 0);
	assert_ptr_equal(heap_object(heap, object), object);
	assert_ptr_equal(buf_from_pointer(heap, buf), buf);
	assert_int_equal(buf_free(heap, buf), 0);
	assert_null(heap_object(heap, object));
	assert_int_equal(live_objects(heap), 0);
}

static void buf_reference__may_lie_in_another_buf(void **state)
{
	struct heap *heap = *state;
	struct buf *whole = buf_alloc(heap, 1000);
	struct buf *part = buf_reference(heap, whole, whole->data + 10, 20);

	assert_int_equal(buf_free(heap, whole), 0);
	assert_int_equal(buf_free(heap, whole), -EINVAL);
	memset(part->data, 1, part->length);
	assert_int_equal(buf_free(heap, part), 0);
	assert_int_equal(live_objects(heap), 0);
}

static void buf_reference__null_when_out_of_memory(void **state)
{
	struct heap *heap = *state;
	void *object = heap_alloc(heap, BYTES_MAX);

	assert_non_null(object);
	assert_null(buf_reference(heap, object, object, 1));
	assert_int_equal(heap_free(heap, object), 0);
	assert_int_equal(live_objects(heap), 0);
}

/* ---- buf_from_pointer ---- */

static void buf_from_pointer__knows_only_live_bufs(void **state)
{
	struct heap *heap = *state;
	struct buf *buf = buf_alloc(heap, 500000);
	struct buf copy = *buf;

	assert_ptr_equal(buf_from_pointer(heap, buf), buf);
	assert_null(buf_from_pointer(heap, NULL));
	assert_null(buf_from_pointer(heap, &copy));
	assert_null(buf_from_pointer(heap, (unsigned char *)buf + 1));
	assert_null(buf_from_pointer(heap, buf + 1));
	assert_null(buf_from_pointer(heap, buf->data + 400000));
	assert_int_equal(buf_free(heap, buf), 0);
	assert_null(buf_from_pointer(heap, buf));
}

static void buf_from_pointer__refuses_a_copy_inside_an_object(void **state)
{
	struct heap *heap = *state;
	struct buf *buf = buf_alloc(heap, 1000);

	memcpy(buf->data, buf, sizeof(*buf));
	assert_null(buf_from_pointer(heap, buf->data));
	assert_int_equal(buf_free(heap, (struct buf *)(void *)buf->data), -EINVAL);
	assert_int_equal(buf_free(heap, buf), 0);
}

static void buf_from_pointer__refuses_plain_objects(void **state)
{
	struct heap *heap = *state;
	void *large = heap_alloc(heap, 1000);
	void *small = heap_alloc(heap, 16);

	memset(large, 0, 1000);
	assert_null(buf_from_pointer(heap, large));
	assert_null(buf_from_pointer(heap, small));
	assert_int_equal(buf_free(heap, large), -EINVAL);
	assert_int_equal(buf_free(heap, small), -EINVAL);
	assert_int_equal(live_objects(heap), 2);
}

/* What an object contains does not make it a buf, nor a buf that was freed what comes in its place. */
static void buf_from_pointer__is_not_fooled_by_contents(void **state)
{
	struct heap *heap = *state;
	struct buf *buf = buf_alloc(heap, 1000);
	struct buf copy = *buf;
	struct buf *forged = heap_alloc(heap, sizeof(*buf) + 1000);

	*forged = copy;
	forged->data = (unsigned char *)(forged + 1);
	assert_null(buf_from_pointer(heap, forged));
	assert_int_equal(buf_free(heap, forged), -EINVAL);
	assert_int_equal(buf_free(heap, buf), 0);
	for (int i = 0; i < 300; i++)
		assert_null(buf_from_pointer(heap, heap_alloc(heap, sizeof(*buf) + 1000)));
	buf_free_all(heap);
	assert_int_equal(live_objects(heap), 301);
}

static void heap_free__refuses_a_buf(void **state)
{
	struct heap *heap = *state;
	struct buf *small = buf_alloc(heap, 10);
	struct buf *large = buf_alloc(heap, 1000000);

	assert_int_equal(heap_free(heap, small), -EINVAL);
	assert_int_equal(heap_free(heap, large), -EINVAL);
	assert_int_equal(buf_free(heap, small), 0);
	assert_int_equal(buf_free(heap, large), 0);
	assert_int_equal(heap_free(heap, small), -EALREADY);
	assert_int_equal(heap_free_buf(heap, heap_alloc(heap, 100)), -EINVAL);
}

/* ---- buf_free ---- */

static void buf_free__frees_the_whole_chain(void **state)
{
	struct heap *heap = *state;
	void *object = heap_alloc(heap, 3000);
	struct buf *first = buf_alloc(heap, 100);

	first->next = buf_reference(heap, object, object, 3000);
	first->next->next = buf_alloc(heap, 300000);
	assert_int_equal(live_objects(heap), 4);
	assert_int_equal(buf_free(heap, first), 0);
	assert_int_equal(live_objects(heap), 1);
	assert_int_equal(heap_free(heap, object), 0);
	assert_int_equal(live_objects(heap), 0);
}

static void buf_free__null_is_the_empty_chain(void **state)
{
	assert_int_equal(buf_free(*state, NULL), 0);
}

static void buf_free_fast__one_buf_that_nobody_else_holds(void **state)
{
	struct heap *heap = *state;
	struct buf *buf = buf_alloc(heap, 100);

	assert_true(buf_free_fast(heap, buf));
	assert_int_equal(live_objects(heap), 0);
	assert_false(buf_free_fast(heap, buf));
	assert_ptr_equal(buf_alloc(heap, 100), buf);
	buf_hold(heap, buf);
	assert_false(buf_free_fast(heap, buf));
	buf_release(heap, buf);
	assert_true(buf_free_fast(heap, buf));
	assert_int_equal(live_objects(heap), 0);
}

static void buf_free_fast__leaves_what_it_does_not_free(void **state)
{
	struct heap *heap = *state;
	void *object = heap_alloc(heap, 100);
	struct buf *large = buf_alloc(heap, 1000000);
	struct buf *first = buf_alloc(heap, 100);
	struct buf foreign = {0};

	first->next = buf_reference(heap, object, object, 100);
	assert_false(buf_free_fast(heap, NULL));
	assert_false(buf_free_fast(heap, &foreign));
	assert_false(buf_free_fast(heap, memset(object, 0, 100)));
	assert_false(buf_free_fast(heap, (struct buf *)(void *)first->data));
	assert_false(buf_free_fast(heap, large));
	assert_false(buf_free_fast(heap, first));
	assert_false(buf_free_fast(heap, first->next));
	assert_int_equal(live_objects(heap), 4);
	assert_int_equal(buf_free(heap, first), 0);
	assert_int_equal(buf_free(heap, large), 0);
	assert_int_equal(heap_free(heap, object), 0);
}

static void buf_free__twice_is_einval(void **state)
{
	struct heap *heap = *state;
	struct buf *small = buf_alloc(heap, 10);
	struct buf *large = buf_alloc(heap, 1000000);

	assert_int_equal(buf_free(heap, small), 0);
	assert_int_equal(buf_free(heap, small), -EINVAL);
	assert_int_equal(buf_free(heap, large), 0);
	assert_int_equal(buf_free(heap, large), -EINVAL);
}

static void buf_free__foreign_is_einval(void **state)
{
	struct heap *heap = *state;
	struct buf *buf = calloc(1, sizeof(*buf));

	assert_non_null(buf);
	assert_int_equal(buf_free(heap, buf), -EINVAL);
	free(buf);
}

static void buf_free__stops_where_a_chain_breaks(void **state)
{
	struct heap *heap = *state;
	struct buf *first = buf_alloc(heap, 10);
	struct buf *second = buf_alloc(heap, 10);

	first->next = second;
	second->next = first;
	assert_int_equal(buf_free(heap, first), -EINVAL);
	assert_int_equal(live_objects(heap), 0);
	first = buf_alloc(heap, 10);
	first->next = (struct buf *)(uintptr_t)0x1000;
	assert_int_equal(buf_free(heap, first), -EINVAL);
	assert_int_equal(live_objects(heap), 0);
}

/* ---- buf_hold, buf_release ---- */

static void buf_hold__keeps_the_fields_after_the_owners_free(void **state)
{
	struct heap *heap = *state;
	struct buf *buf = buf_alloc(heap, 100);
	struct buf *next = buf_alloc(heap, 100);

	buf->next = next;
	buf->length = 3;
	memcpy(buf->data, "abc", 3);
	buf_hold(heap, buf);
	buf_hold(heap, next);
	assert_int_equal(buf_free(heap, buf), 0);
	assert_null(buf_from_pointer(heap, buf));
	assert_int_equal(buf_free(heap, buf), -EINVAL);
	assert_ptr_not_equal(buf_alloc(heap, 100), buf);
	assert_ptr_equal(buf->next, next);
	assert_int_equal(buf->length, 3);
	assert_memory_equal(buf->data, "abc", 3);
	buf_release(heap, buf);
	buf_release(heap, next);
	assert_int_equal(live_objects(heap), 1);
}

enum event { FREE_BUF, FREE_OBJECT, RELEASE_FIRST, RELEASE_SECOND, EVENTS };

static void by_reference_event(struct heap *heap, struct buf *buf, void *object, enum event event)
{
	if (event == FREE_BUF)
		assert_int_equal(buf_free(heap, buf), 0);
	else if (event == FREE_OBJECT)
		assert_int_equal(heap_free(heap, object), 0);
	else
		buf_release(heap, buf);
}

/* The owners' frees and two operations' releases, in the order that @events tells. */
static void by_reference_in_order(struct heap *heap, const enum event *events)
{
	unsigned char *object = heap_alloc(heap, 2000);
	struct buf *buf = buf_reference(heap, object, object + 1, 100);
	unsigned int buf_holders = 3;
	unsigned int object_holders = 4;

	memset(object, 7, 2000);
	buf_hold(heap, buf);
	buf_hold(heap, buf);
	for (unsigned int i = 0; i < EVENTS; i++) {
		by_reference_event(heap, buf, object, events[i]);
		object_holders--;
		if (events[i] != FREE_OBJECT)
			buf_holders--;
		assert_int_equal(heap_object(heap, buf) == buf, buf_holders > 0);
		assert_int_equal(heap_object(heap, object) == object, object_holders > 0);
		if (buf_holders)
			assert_int_equal(buf->data[0], 7);
	}
	assert_int_equal(live_objects(heap), 0);
}

static void buf_hold__keeps_a_referenced_object_in_every_order(void **state)
{
	unsigned int orders = 0;

	for (unsigned int code = 0; code < EVENTS * EVENTS * EVENTS * EVENTS; code++) {
		const enum event events[EVENTS] = {code % 4, code / 4 % 4, code / 16 % 4,
						   code / 64};
		unsigned int seen = 0;

		for (unsigned int i = 0; i < EVENTS; i++)
			seen |= 1u << events[i];
		if (seen != 15)
			continue;
		by_reference_in_order(*state, events);
		orders++;
	}
	assert_int_equal(orders, 24);
}

#define buf_test(function) cmocka_unit_test_setup_teardown(function, heap_setup, heap_teardown)
#define plain_test(function) cmocka_unit_test_setup_teardown(function, plain_setup, heap_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		buf_test(buf_alloc__has_its_room_behind_the_header),
		plain_test(buf_alloc__initialises_reused_memory),
		buf_test(buf_alloc__capacity_zero_still_points_into_itself),
		plain_test(buf_alloc__null_when_out_of_memory),
		buf_test(buf_reference__holds_the_object),
		buf_test(buf_reference__may_lie_in_another_buf),
		plain_test(buf_reference__null_when_out_of_memory),
		buf_test(buf_from_pointer__knows_only_live_bufs),
		buf_test(buf_from_pointer__refuses_a_copy_inside_an_object),
		buf_test(buf_from_pointer__refuses_plain_objects),
		buf_test(buf_from_pointer__is_not_fooled_by_contents),
		buf_test(heap_free__refuses_a_buf),
		buf_test(buf_free__frees_the_whole_chain),
		buf_test(buf_free__null_is_the_empty_chain),
		plain_test(buf_free_fast__one_buf_that_nobody_else_holds),
		buf_test(buf_free_fast__leaves_what_it_does_not_free),
		buf_test(buf_free__twice_is_einval),
		buf_test(buf_free__foreign_is_einval),
		buf_test(buf_free__stops_where_a_chain_breaks),
		buf_test(buf_hold__keeps_the_fields_after_the_owners_free),
		buf_test(buf_hold__keeps_a_referenced_object_in_every_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
