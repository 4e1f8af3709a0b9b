/* SPDX-License-Identifier: MIT */
/* A heap with HEAP_CHECKS_ON, whether a tool looks on or not. */
#include "heap/checked.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "heap/testing.h"

#define MIB ((size_t)1 << 20)
#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static int heap_setup(void **state)
{
	struct heap_options options = {.bytes_max = 4 * MIB, .checks = HEAP_CHECKS_ON};

	return heap_create((struct heap **)state, &options);
}

static void heap_usable_size__is_exactly_what_was_asked_for(void **state)
{
	struct heap *heap = *state;

	for (size_t size = 0; size < MIB; size += size < 2000 ? 1 : 997) {
		void *object = heap_alloc(heap, size);

		assert_int_equal(heap_usable_size(heap, object), size);
		assert_true(heap_class_size(heap, object) >= size + CHECKED_RED_ZONE_BYTES);
		assert_true(heap_is_owned(heap, object, size));
		assert_false(heap_is_owned(heap, object, size + 1));
		assert_int_equal(heap_free(heap, object), 0);
		assert_int_equal(heap_usable_size(heap, object), 0);
	}
}

static void heap_usable_size__is_exact_for_each_way_to_allocate(void **state)
{
	static const size_t sizes[] = {0, 1, 17, 4096, 114688, 262144, 300001};
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		void *objects[] = {
			heap_alloc_zeroed(heap, sizes[s]),
			heap_alloc_io(heap, sizes[s]),
			heap_alloc_aligned(heap, 1, sizes[s]),
			heap_alloc_aligned(heap, 4096, sizes[s]),
			heap_alloc_aligned(heap, MIB, sizes[s]),
		};

		for (size_t i = 0; i < ARRAY_LENGTH(objects); i++) {
			assert_non_null(objects[i]);
			assert_int_equal(heap_usable_size(heap, objects[i]), sizes[s]);
			assert_int_equal(heap_free(heap, objects[i]), 0);
		}
	}
}

static void heap_alloc__size_zero_gives_unique_objects(void **state)
{
	struct heap *heap = *state;
	void *objects[100];

	for (size_t i = 0; i < ARRAY_LENGTH(objects); i++) {
		objects[i] = heap_alloc(heap, 0);
		assert_non_null(objects[i]);
		assert_ptr_equal(heap_object(heap, objects[i]), objects[i]);
		for (size_t j = 0; j < i; j++)
			assert_ptr_not_equal(objects[i], objects[j]);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(objects); i++)
		assert_int_equal(heap_free(heap, objects[i]), 0);
}

static void heap_alloc__null_for_sizes_that_wrap_around(void **state)
{
	struct heap *heap = *state;

	for (size_t i = 0; i < 64; i++) {
		assert_null(heap_alloc(heap, SIZE_MAX - i));
		assert_null(heap_alloc_zeroed(heap, SIZE_MAX - i));
		assert_null(heap_alloc_aligned(heap, 4096, SIZE_MAX - i));
	}
	assert_true(heap_is_empty(heap));
}

/* ---- Quarantine ---- */

static void heap_free__keeps_an_object_from_use_for_255_frees(void **state)
{
	static const size_t sizes[] = {48, 100};
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		void *object = heap_alloc(heap, sizes[s]);

		assert_int_equal(heap_free(heap, object), 0);
		for (unsigned int i = 1; i < QUARANTINE_OBJECTS; i++) {
			void *other = heap_alloc(heap, sizes[s]);

			assert_ptr_not_equal(other, object);
			assert_int_equal(heap_free(heap, other), 0);
			assert_int_equal(heap_free(heap, object), -EALREADY);
		}
		/* The next free lets it go. */
		assert_int_equal(heap_free(heap, heap_alloc(heap, sizes[s])), 0);
		assert_ptr_equal(heap_alloc(heap, sizes[s]), object);
		assert_int_equal(heap_free(heap, object), 0);
		heap_trim(heap);
	}
}

static void heap_free__counts_quarantined_objects_as_dead(void **state)
{
	struct heap *heap = *state;
	struct heap_stats stats;

	for (unsigned int i = 0; i < 1000; i++) {
		assert_int_equal(heap_free(heap, heap_alloc(heap, i)), 0);
		heap_get_stats(heap, &stats);
		assert_int_equal(stats.objects, 0);
		assert_int_equal(stats.bytes_in_use, 0);
	}
	assert_true(stats.bytes_reserved > 0);
	heap_trim(heap);
	heap_get_stats(heap, &stats);
	assert_int_equal(stats.bytes_reserved, 0);
	assert_true(heap_is_empty(heap));
}

static void heap_alloc__out_of_memory_ends_the_quarantine(void **state)
{
	static const size_t sizes[] = {100, 20000, 100000};
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		static void *objects[64 * 1024];
		size_t count = 0;

		while ((objects[count] = heap_alloc(heap, sizes[s])) != NULL)
			count++;
		for (size_t i = 0; i < count; i++)
			assert_int_equal(heap_free(heap, objects[i]), 0);
		/* All of it is free for any class, and for a large object. */
		objects[0] = heap_alloc(heap, 4 * MIB - CHECKED_RED_ZONE_BYTES);
		assert_non_null(objects[0]);
		memset(objects[0], 1, 4 * MIB - CHECKED_RED_ZONE_BYTES);
		assert_int_equal(heap_free(heap, objects[0]), 0);
		assert_int_equal(heap_free(heap, heap_alloc(heap, sizes[s])), 0);
	}
}

static void heap_release__puts_the_last_held_object_in_quarantine(void **state)
{
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, 100);

	heap_hold(heap, object);
	assert_int_equal(heap_free(heap, object), 0);
	memset(object, 1, 100);
	assert_int_equal(heap_usable_size(heap, object), 100);
	heap_release(heap, object);
	assert_int_equal(heap_usable_size(heap, object), 0);
	assert_ptr_not_equal(heap_alloc(heap, 100), object);
	assert_int_equal(heap_free(heap, object), -EALREADY);
}

#define heap_test(function) cmocka_unit_test_setup_teardown(function, heap_setup, heap_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		heap_test(heap_usable_size__is_exactly_what_was_asked_for),
		heap_test(heap_usable_size__is_exact_for_each_way_to_allocate),
		heap_test(heap_alloc__size_zero_gives_unique_objects),
		heap_test(heap_alloc__null_for_sizes_that_wrap_around),
		heap_test(heap_free__keeps_an_object_from_use_for_255_frees),
		heap_test(heap_free__counts_quarantined_objects_as_dead),
		heap_test(heap_alloc__out_of_memory_ends_the_quarantine),
		heap_test(heap_release__puts_the_last_held_object_in_quarantine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
