/* SPDX-License-Identifier: MIT */
#include "heap/locate.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "heap/testing.h"

#include "heap/layout.h"

#define MIB ((size_t)1 << 20)

static int setup(void **state, enum heap_checks checks)
{
	return heap_create((struct heap **)state,
			   &(struct heap_options){.bytes_max = 16 * MIB, .checks = checks});
}

static int plain_setup(void **state)
{
	return setup(state, HEAP_CHECKS_OFF);
}

static int checked_setup(void **state)
{
	return setup(state, HEAP_CHECKS_ON);
}

static void assert_located(const struct heap *heap, const void *ptr, enum heap_place place,
			   size_t class_bytes, const void *object)
{
	struct heap_location location = heap_locate(heap, ptr);

	assert_int_equal(location.place, place);
	assert_int_equal(location.class_bytes, class_bytes);
	assert_ptr_equal(location.object, object);
}

static void heap_locate__foreign(void **state)
{
	struct heap *heap = *state;

	assert_located(heap, NULL, HEAP_PLACE_FOREIGN, 0, NULL);
	assert_located(heap, &heap, HEAP_PLACE_FOREIGN, 0, NULL);
	assert_located(heap, heap, HEAP_PLACE_FOREIGN, 0, NULL);
	assert_located(heap, heap->base - 1, HEAP_PLACE_FOREIGN, 0, NULL);
	assert_located(heap, heap->base + 16 * MIB, HEAP_PLACE_FOREIGN, 0, NULL);
	assert_located(heap, (void *)UINTPTR_MAX, HEAP_PLACE_FOREIGN, 0, NULL);
}

static void heap_locate__follows_the_life_of_an_object(void **state)
{
	static const size_t sizes[] = {1, 64, 5000, 100000, 300000, 3 * MIB};
	struct heap *heap = *state;

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		unsigned char *object = heap_alloc(heap, sizes[s]);
		size_t bytes = heap_class_size(heap, object);

		assert_located(heap, object, HEAP_PLACE_LIVE, bytes, object);
		assert_located(heap, object + 1, HEAP_PLACE_INTERIOR, bytes, object);
		assert_located(heap, object + bytes - 1, HEAP_PLACE_INTERIOR, bytes, object);
		heap_hold(heap, object);
		assert_located(heap, object, HEAP_PLACE_LIVE, bytes, object);
		assert_int_equal(heap_free(heap, object), 0);
		assert_located(heap, object, HEAP_PLACE_HELD, bytes, object);
		assert_located(heap, object + bytes / 2, HEAP_PLACE_INTERIOR, bytes, object);
		heap_release(heap, object);
		assert_int_equal(heap_locate(heap, object).place, HEAP_PLACE_FREE);
	}
}

static void heap_locate__free_in_magazines_and_superblocks(void **state)
{
	struct heap *heap = *state;
	void *kept = heap_alloc(heap, 64);
	void *object = heap_alloc(heap, 64);
	size_t bytes = heap_class_size(heap, object);

	assert_int_equal(heap_free(heap, object), 0);
	assert_located(heap, object, HEAP_PLACE_FREE, bytes, object);
	assert_located(heap, (char *)object + 1, HEAP_PLACE_INTERIOR, bytes, object);
	heap_trim(heap);
	assert_located(heap, object, HEAP_PLACE_FREE, bytes, object);
	assert_int_equal(heap_free(heap, kept), 0);
	heap_trim(heap);
	assert_located(heap, object, HEAP_PLACE_UNUSED, 0, NULL);
}

static void heap_locate__headers_and_what_never_was(void **state)
{
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, 1000);
	size_t bytes = heap_class_size(heap, object);
	unsigned char *unit = (unsigned char *)((uintptr_t)object & ~(uintptr_t)(UNIT_BYTES - 1));
	unsigned char *never = object + 150 * bytes;

	assert_located(heap, unit, HEAP_PLACE_HEADER, bytes, NULL);
	assert_located(heap, unit_at(heap, object)->objects - 1, HEAP_PLACE_HEADER, bytes, NULL);
	assert_located(heap, never, HEAP_PLACE_NEVER, bytes, never);
	assert_located(heap, never + 5, HEAP_PLACE_NEVER, bytes, never);
	assert_located(heap, unit + UNIT_BYTES, HEAP_PLACE_UNUSED, 0, NULL);
	assert_located(heap, unit + 15 * MIB, HEAP_PLACE_UNUSED, 0, NULL);
}

static void heap_locate__behind_the_last_object_is_the_header(void **state)
{
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, 100000);
	size_t bytes = heap_class_size(heap, object);
	unsigned char *unit = (unsigned char *)((uintptr_t)object & ~(uintptr_t)(UNIT_BYTES - 1));

	assert_true(object + 3 * bytes > unit + UNIT_BYTES);
	assert_located(heap, unit + UNIT_BYTES - 1, HEAP_PLACE_HEADER, bytes, NULL);
}

static void heap_locate__a_large_object_that_was_freed(void **state)
{
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, MIB - 16);

	assert_int_equal(heap_free(heap, object), 0);
	assert_located(heap, object, HEAP_PLACE_FREE, 0, NULL);
	assert_located(heap, object + 1, HEAP_PLACE_UNUSED, 0, NULL);
	assert_located(heap, object + UNIT_BYTES, HEAP_PLACE_UNUSED, 0, NULL);
}

/* Another thread looks while the owner makes a superblock of it: any word may be there. */
static void heap_locate__survives_a_unit_that_changes(void **state)
{
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, MIB - 16);
	struct unit *tail = unit_at(heap, object + UNIT_BYTES);

	for (uint32_t head = 0; head < 32; head++) {
		tail->head = (head + 1) << 27 | head;
		assert_located(heap, object + UNIT_BYTES + 5, HEAP_PLACE_UNUSED, 0, NULL);
	}
	tail->head = unit_index(heap, unit_at(heap, object));
	assert_int_equal(heap_free(heap, object), 0);
}

#define test_with(function, kind, suffix)                                     \
	{                                                                     \
#function suffix, function, kind##_setup, heap_teardown, NULL \
	}
#define both_tests(function) \
	test_with(function, plain, ""), test_with(function, checked, ", checked")

int main(void)
{
	const struct CMUnitTest tests[] = {
		both_tests(heap_locate__foreign),
		both_tests(heap_locate__follows_the_life_of_an_object),
		both_tests(heap_locate__free_in_magazines_and_superblocks),
		both_tests(heap_locate__headers_and_what_never_was),
		both_tests(heap_locate__behind_the_last_object_is_the_header),
		both_tests(heap_locate__a_large_object_that_was_freed),
		both_tests(heap_locate__survives_a_unit_that_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
