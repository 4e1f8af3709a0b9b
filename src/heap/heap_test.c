/* SPDX-License-Identifier: MIT */
/*
 * HEAP_TEST_STEPS and HEAP_TEST_SEED in the environment lengthen and replay the random test.
 */
#include "heap/heap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define WITH_ASAN
#include <sanitizer/asan_interface.h>
#endif

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define UNIT_BYTES (256 * KIB)
#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Fixture: a heap of 16 MiB ---- */

static int heap_setup(void **state)
{
	return heap_create((struct heap **)state, 16 * MIB);
}

static int heap_teardown(void **state)
{
	heap_destroy(*state);
	return 0;
}

static uint64_t live_objects(const struct heap *heap)
{
	struct heap_stats stats;

	heap_get_stats(heap, &stats);
	return stats.objects;
}

static uint64_t held_only_bytes(const struct heap *heap)
{
	struct heap_stats stats;

	heap_get_stats(heap, &stats);
	return stats.bytes_held_only;
}

/* Allocates until there is no more; the objects in @objects, at most @max. */
static size_t exhaust(struct heap *heap, size_t size, void **objects, size_t max)
{
	size_t count = 0;

	while (count < max && (objects[count] = heap_alloc(heap, size)) != NULL)
		count++;
	return count;
}

static void free_all(struct heap *heap, void **objects, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(heap_free(heap, objects[i]), 0);
}

/* ---- heap_create, heap_destroy ---- */

static void heap_create__refuses_zero_bytes(void **state)
{
	struct heap *heap;

	(void)state;
	assert_int_equal(heap_create(&heap, 0), -EINVAL);
}

static void heap_create__rounds_one_byte_up_to_a_superblock(void **state)
{
	struct heap *heap;
	void *object;

	(void)state;
	assert_int_equal(heap_create(&heap, 1), 0);
	object = heap_alloc(heap, UNIT_BYTES);
	assert_non_null(object);
	memset(object, 1, UNIT_BYTES);
	assert_null(heap_alloc(heap, 1));
	assert_int_equal(heap_free(heap, object), 0);
	assert_non_null(heap_alloc(heap, 1));
	heap_destroy(heap);
}

static void heap_create__serves_the_largest_bound(void **state)
{
	struct heap *heap;
	char *object;

	(void)state;
	assert_int_equal(heap_create(&heap, UINT64_MAX), 0);
	object = heap_alloc(heap, 1000);
	assert_non_null(object);
	memset(object, 1, 1000);
	assert_null(heap_alloc(heap, SIZE_MAX));
	heap_destroy(heap);
}

static void heap_create__makes_heaps_that_do_not_own_each_other(void **state)
{
	struct heap *heap = *state;
	struct heap *other;
	void *object;

	assert_int_equal(heap_create(&other, MIB), 0);
	object = heap_alloc(other, 100);
	assert_true(heap_owns(other, object));
	assert_false(heap_owns(heap, object));
	assert_int_equal(heap_free(heap, object), -EFAULT);
	assert_int_equal(heap_free(other, object), 0);
	heap_destroy(other);
}

static void heap_destroy__takes_live_and_held_objects_along(void **state)
{
	struct heap *heap;
	void *object;

	(void)state;
	heap_destroy(NULL);
	assert_int_equal(heap_create(&heap, MIB), 0);
	assert_non_null(heap_alloc(heap, 300000));
	object = heap_alloc(heap, 300);
	heap_hold(heap, object);
	assert_int_equal(heap_free(heap, object), 0);
	heap_destroy(heap);
}

/* ---- heap_alloc ---- */

static void heap_alloc__serves_every_size_aligned(void **state)
{
	struct heap *heap = *state;

	for (size_t size = 0; size < 600 * KIB; size += size < 9000 ? 1 : 997) {
		unsigned char *object = heap_alloc(heap, size);

		assert_non_null(object);
		assert_int_equal((uintptr_t)object % (size >= 64 ? 64 : 16), 0);
		assert_true(heap_usable_size(heap, object) >= size);
		if (size) {
			object[0] = 1;
			object[size - 1] = 2;
		}
		assert_int_equal(heap_free(heap, object), 0);
	}
	assert_int_equal(live_objects(heap), 0);
}

static void heap_alloc__wastes_at_most_a_fifth_of_small_classes(void **state)
{
	struct heap *heap = *state;

	for (size_t size = 257; size <= 112 * KIB; size += 31) {
		void *object = heap_alloc(heap, size);

		assert_true(heap_usable_size(heap, object) * 4 <= size * 5 + 4);
		assert_int_equal(heap_free(heap, object), 0);
	}
}

static void heap_alloc__size_zero_gives_unique_objects(void **state)
{
	struct heap *heap = *state;
	void *first = heap_alloc(heap, 0);
	void *second = heap_alloc(heap, 0);

	assert_non_null(first);
	assert_non_null(second);
	assert_ptr_not_equal(first, second);
	assert_int_equal(heap_free(heap, first), 0);
	assert_int_equal(heap_free(heap, second), 0);
}

static void heap_alloc__reuses_the_object_freed_last(void **state)
{
	struct heap *heap = *state;
	void *first = heap_alloc(heap, 64);
	void *second = heap_alloc(heap, 64);

	assert_int_equal(heap_free(heap, second), 0);
	assert_int_equal(heap_free(heap, first), 0);
	assert_ptr_equal(heap_alloc(heap, 64), first);
	assert_ptr_equal(heap_alloc(heap, 64), second);
}

static void heap_alloc__objects_do_not_overlap(void **state)
{
	static const size_t sizes[] = {16, 48, 64, 320, 1280, 4096, 65536, 114688, 300000};
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		static void *objects[3000];
		size_t count = exhaust(heap, sizes[s], objects, ARRAY_LENGTH(objects));

		for (size_t i = 0; i < count; i++)
			memset(objects[i], (int)(i % 251), sizes[s]);
		for (size_t i = 0; i < count; i++) {
			const unsigned char *bytes = objects[i];

			assert_int_equal(bytes[0], i % 251);
			assert_memory_equal(bytes, bytes + 1, sizes[s] - 1);
		}
		free_all(heap, objects, count);
	}
}

static void heap_alloc__null_at_the_bound(void **state)
{
	struct heap *heap = *state;
	static void *objects[64 * 1024];
	struct heap_stats stats;

	for (size_t size = 300; size < MIB; size *= 3) {
		size_t count = exhaust(heap, size, objects, ARRAY_LENGTH(objects));

		assert_true(count < ARRAY_LENGTH(objects));
		assert_true(count * size > 10 * MIB || size > 256 * KIB);
		heap_get_stats(heap, &stats);
		assert_true(stats.bytes_reserved > 15 * MIB && stats.bytes_reserved <= 16 * MIB);
		assert_null(heap_alloc(heap, size));
		assert_int_equal(heap_free(heap, objects[count - 1]), 0);
		assert_ptr_equal(heap_alloc(heap, size), objects[count - 1]);
		free_all(heap, objects, count);
	}
}

static void heap_alloc__null_for_impossible_sizes(void **state)
{
	struct heap *heap = *state;

	assert_null(heap_alloc(heap, 16 * MIB + 1));
	assert_null(heap_alloc(heap, SIZE_MAX));
	assert_null(heap_alloc(heap, SIZE_MAX - 63));
	assert_non_null(heap_alloc(heap, 16 * MIB));
}

static void heap_alloc__takes_back_what_idle_classes_keep(void **state)
{
	struct heap *heap = *state;
	void *object;

	for (size_t size = 16; size < 100000; size += size / 4 + 16)
		assert_int_equal(heap_free(heap, heap_alloc(heap, size)), 0);
	object = heap_alloc(heap, 16 * MIB);
	assert_non_null(object);
	assert_null(heap_alloc(heap, 16));
	assert_int_equal(heap_free(heap, object), 0);
	assert_non_null(heap_alloc(heap, 16));
}

static void heap_alloc__reuses_empty_superblocks_for_other_classes(void **state)
{
	struct heap *heap = *state;
	static void *objects[16 * 1024];

	for (size_t round = 0; round < 20; round++) {
		size_t size = round % 2 ? 1024 : 5000 + round * 1000;
		size_t count = exhaust(heap, size, objects, ARRAY_LENGTH(objects));

		assert_true(count * size >= 12 * MIB);
		free_all(heap, objects, count);
	}
}

static void heap_alloc__fills_the_gaps_of_full_superblocks(void **state)
{
	struct heap *heap = *state;
	static void *objects[16 * 1024];
	size_t count = exhaust(heap, 4096, objects, ARRAY_LENGTH(objects));
	size_t gaps = 0;

	for (size_t i = 0; i < count; i += 10, gaps++)
		assert_int_equal(heap_free(heap, objects[i]), 0);
	assert_int_equal(exhaust(heap, 4096, objects, ARRAY_LENGTH(objects)), gaps);
}

static void heap_alloc__merges_free_runs(void **state)
{
	static const unsigned char orders[][4] = {
		{0, 1, 2, 3}, {3, 2, 1, 0}, {0, 2, 1, 3}, {1, 3, 2, 0}, {2, 0, 3, 1}, {1, 2, 0, 3},
	};
	struct heap *heap = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(orders); i++) {
		void *objects[4];
		void *whole;

		assert_int_equal(exhaust(heap, 4 * MIB, objects, 4), 4);
		assert_null(heap_alloc(heap, 1));
		for (size_t j = 0; j < 4; j++)
			assert_int_equal(heap_free(heap, objects[orders[i][j]]), 0);
		whole = heap_alloc(heap, 16 * MIB);
		assert_non_null(whole);
		assert_int_equal(heap_free(heap, whole), 0);
	}
}

static size_t resident_pages(const void *memory, size_t bytes)
{
	static unsigned char pages[16 * 1024];
	size_t count = 0;

	assert_true(bytes / 4096 <= sizeof(pages));
	assert_int_equal(mincore((void *)memory, bytes, pages), 0);
	for (size_t i = 0; i < bytes / 4096; i++)
		count += pages[i] & 1;
	return count;
}

static void heap_free__returns_big_runs_to_the_system(void **state)
{
	struct heap *heap;
	unsigned char *object;

	(void)state;
	assert_int_equal(heap_create(&heap, 64 * MIB), 0);
	object = heap_alloc(heap, 32 * MIB);
	memset(object, 0xa5, 32 * MIB);
	assert_int_equal(resident_pages(object, 32 * MIB), 32 * MIB / 4096);
	assert_int_equal(heap_free(heap, object), 0);
	assert_int_equal(resident_pages(object, 32 * MIB), 0);
	assert_ptr_equal(heap_alloc(heap, 32 * MIB), object);
	object[0] = 1;
	object[32 * MIB - 1] = 1;
	heap_destroy(heap);
}

static void heap_free__returns_many_empty_superblocks_to_the_system(void **state)
{
	enum { OBJECTS = 1500 };
	static unsigned char *objects[OBJECTS];
	struct heap *heap;
	size_t resident = 0;

	(void)state;
	assert_int_equal(heap_create(&heap, 64 * MIB), 0);
	for (size_t i = 0; i < OBJECTS; i++) {
		objects[i] = heap_alloc(heap, 32 * KIB);
		memset(objects[i], 1, 32 * KIB);
	}
	for (size_t i = 0; i < OBJECTS; i++)
		assert_int_equal(heap_free(heap, objects[i]), 0);
	for (size_t i = 0; i < OBJECTS; i++)
		resident += resident_pages(objects[i], 32 * KIB);
	assert_true(resident * 4096 <= 17 * MIB);
	heap_destroy(heap);
}

/* ---- heap_alloc_aligned ---- */

static void heap_alloc_aligned__aligns(void **state)
{
	struct heap *heap = *state;

	for (size_t alignment = 1; alignment <= HEAP_ALIGNMENT_MAX; alignment *= 2) {
		for (size_t size = 0; size < 400 * KIB; size += size / 3 + 1) {
			unsigned char *first = heap_alloc_aligned(heap, alignment, size);
			unsigned char *second = heap_alloc_aligned(heap, alignment, size);

			assert_non_null(first);
			assert_non_null(second);
			assert_int_equal((uintptr_t)first % alignment, 0);
			assert_int_equal((uintptr_t)second % alignment, 0);
			assert_true(heap_usable_size(heap, first) >= size);
			memset(first, 1, size);
			memset(second, 2, size);
			assert_int_equal(heap_free(heap, first), 0);
			assert_int_equal(heap_free(heap, second), 0);
		}
	}
}

static void heap_alloc_aligned__refuses_other_alignments(void **state)
{
	struct heap *heap = *state;

	assert_null(heap_alloc_aligned(heap, 0, 10));
	assert_null(heap_alloc_aligned(heap, 3, 10));
	assert_null(heap_alloc_aligned(heap, 48, 10));
	assert_null(heap_alloc_aligned(heap, 2 * HEAP_ALIGNMENT_MAX, 10));
	assert_null(heap_alloc_aligned(heap, 64, SIZE_MAX));
	assert_null(heap_alloc_aligned(heap, 64, SIZE_MAX - 64));
}

/* ---- heap_free ---- */

static void heap_free__foreign_pointer_is_efault(void **state)
{
	struct heap *heap = *state;
	void *foreign = malloc(100);
	int local = 0;

	assert_int_equal(heap_free(heap, NULL), -EFAULT);
	assert_int_equal(heap_free(heap, &local), -EFAULT);
	assert_int_equal(heap_free(heap, foreign), -EFAULT);
	assert_int_equal(heap_free(heap, heap), -EFAULT);
	assert_int_equal(heap_free(heap, (void *)UINTPTR_MAX), -EFAULT);
	free(foreign);
}

static void heap_free__interior_pointer_is_einval(void **state)
{
	static const size_t sizes[] = {16, 64, 192, 1280, 4096, 114688};
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		unsigned char *object = heap_alloc(heap, sizes[s]);
		size_t step = sizes[s] > 5000 ? 61 : 1;

		for (size_t i = 1; i < sizes[s]; i += step)
			assert_int_equal(heap_free(heap, object + i), -EINVAL);
		assert_int_equal(heap_free(heap, object), 0);
	}
}

static void heap_free__inside_a_large_object_is_einval(void **state)
{
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, MIB);

	assert_int_equal(heap_free(heap, object + 1), -EINVAL);
	assert_int_equal(heap_free(heap, object + UNIT_BYTES), -EINVAL);
	assert_int_equal(heap_free(heap, object + MIB - 1), -EINVAL);
	assert_int_equal(heap_free(heap, object), 0);
}

static void heap_free__memory_without_an_object_is_einval(void **state)
{
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, 64);
	unsigned char *unit = (unsigned char *)((uintptr_t)object & ~(UNIT_BYTES - 1));

	assert_int_equal(heap_free(heap, unit), -EINVAL);
	assert_int_equal(heap_free(heap, object + 64), -EINVAL);
	assert_int_equal(heap_free(heap, unit + UNIT_BYTES - 64), -EINVAL);
	assert_int_equal(heap_free(heap, unit + UNIT_BYTES), -EINVAL);
	assert_int_equal(heap_free(heap, unit + 15 * MIB), -EINVAL);
	assert_int_equal(live_objects(heap), 1);
}

static void heap_free__twice_is_ealready(void **state)
{
	static const size_t sizes[] = {1, 64, 3000, 100000, 300000, 3000000};
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		void *object = heap_alloc(heap, sizes[s]);

		assert_int_equal(heap_free(heap, object), 0);
		assert_int_equal(heap_free(heap, object), -EALREADY);
		assert_int_equal(heap_free(heap, object), -EALREADY);
		assert_ptr_equal(heap_alloc(heap, sizes[s]), object);
		assert_int_equal(heap_free(heap, object), 0);
	}
	assert_int_equal(live_objects(heap), 0);
}

static void heap_free__forgets_a_large_object_when_its_place_is_used(void **state)
{
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, MIB);
	unsigned char *other;

	assert_int_equal(heap_free(heap, object), 0);
	other = heap_alloc(heap, 64);
	assert_ptr_equal((uintptr_t)other & ~(UNIT_BYTES - 1), object);
	assert_int_equal(heap_free(heap, object), -EINVAL);
	other = heap_alloc(heap, 2 * UNIT_BYTES);
	assert_int_equal(heap_free(heap, other), 0);
	assert_int_equal(heap_free(heap, other), -EALREADY);
	other = heap_alloc(heap, UNIT_BYTES + 1);
	assert_int_equal(heap_free(heap, object + UNIT_BYTES * 2), -EINVAL);
	assert_int_equal(heap_free(heap, other), 0);
}

static void heap_free__twice_while_held_is_ealready(void **state)
{
	static const size_t sizes[] = {64, 300000};
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		void *object = heap_alloc(heap, sizes[s]);

		heap_hold(heap, object);
		assert_int_equal(heap_free(heap, object), 0);
		assert_int_equal(heap_free(heap, object), -EALREADY);
		heap_release(heap, object);
		assert_int_equal(heap_free(heap, object), -EALREADY);
	}
	assert_int_equal(live_objects(heap), 0);
	assert_int_equal(held_only_bytes(heap), 0);
}

static void heap_free__in_a_returned_superblock_is_einval(void **state)
{
	struct heap *heap = *state;
	void *objects[4];

	/* Two of these fill a superblock; the last one keeps the class from its first. */
	assert_int_equal(exhaust(heap, 114688, objects, 4), 4);
	assert_int_equal(heap_free(heap, objects[0]), 0);
	assert_int_equal(heap_free(heap, objects[0]), -EALREADY);
	assert_int_equal(heap_free(heap, objects[1]), 0);
	assert_int_equal(heap_free(heap, objects[0]), -EINVAL);
	assert_int_equal(heap_free(heap, objects[1]), -EINVAL);
	assert_int_equal(live_objects(heap), 2);
}

static void heap_free__poisons_for_the_address_sanitizer(void **state)
{
#ifdef WITH_ASAN
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, 64);

	assert_false(__asan_address_is_poisoned(object + 63));
	assert_true(__asan_address_is_poisoned(object + 64));
	heap_hold(heap, object);
	assert_int_equal(heap_free(heap, object), 0);
	assert_false(__asan_address_is_poisoned(object));
	heap_release(heap, object);
	assert_true(__asan_address_is_poisoned(object));
	object = heap_alloc(heap, MIB);
	assert_false(__asan_address_is_poisoned(object + MIB - 1));
	assert_int_equal(heap_free(heap, object), 0);
	assert_true(__asan_address_is_poisoned(object + MIB - 1));
#else
	(void)state;
	skip();
#endif
}

/* ---- heap_owns, heap_object, heap_usable_size ---- */

static void heap_owns__is_the_whole_range_and_no_more(void **state)
{
	struct heap *heap = *state;
	unsigned char *whole = heap_alloc(heap, 16 * MIB);

	assert_true(heap_owns(heap, whole));
	assert_true(heap_owns(heap, whole + 16 * MIB - 1));
	assert_false(heap_owns(heap, whole - 1));
	assert_false(heap_owns(heap, whole + 16 * MIB));
	assert_false(heap_owns(heap, NULL));
	assert_false(heap_owns(heap, &whole));
}

static void heap_object__finds_the_start_from_anywhere(void **state)
{
	static const size_t sizes[] = {16, 48, 64, 128, 320, 4096, 10240, 114688, 262145, 1000000};
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		unsigned char *first = heap_alloc(heap, sizes[s]);
		unsigned char *second = heap_alloc(heap, sizes[s]);
		size_t step = sizes[s] > 5000 ? 113 : 1;

		for (size_t i = 0; i < sizes[s]; i += step) {
			assert_ptr_equal(heap_object(heap, first + i), first);
			assert_ptr_equal(heap_object(heap, second + i), second);
		}
		assert_ptr_equal(heap_object(heap, first + sizes[s] - 1), first);
		assert_int_equal(heap_free(heap, first), 0);
		assert_null(heap_object(heap, first));
		assert_null(heap_object(heap, first + sizes[s] - 1));
		assert_ptr_equal(heap_object(heap, second), second);
		assert_int_equal(heap_free(heap, second), 0);
	}
}

static void heap_object__null_where_there_is_none(void **state)
{
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, 64);
	unsigned char *unit = (unsigned char *)((uintptr_t)object & ~(UNIT_BYTES - 1));

	assert_null(heap_object(heap, NULL));
	assert_null(heap_object(heap, &object));
	assert_null(heap_object(heap, unit));
	assert_null(heap_object(heap, object + 64));
	assert_null(heap_object(heap, unit + UNIT_BYTES - 1));
	assert_null(heap_object(heap, unit + 10 * MIB));
}

static void heap_object__finds_held_ones(void **state)
{
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, 5000);

	heap_hold(heap, object);
	assert_int_equal(heap_free(heap, object), 0);
	assert_ptr_equal(heap_object(heap, object + 4999), object);
	heap_release(heap, object);
	assert_null(heap_object(heap, object + 4999));
}

static void heap_usable_size__zero_without_an_object(void **state)
{
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, 100);

	assert_int_equal(heap_usable_size(heap, object), 128);
	assert_int_equal(heap_usable_size(heap, object + 1), 0);
	assert_int_equal(heap_usable_size(heap, &object), 0);
	assert_int_equal(heap_free(heap, object), 0);
	assert_int_equal(heap_usable_size(heap, object), 0);
	object = heap_alloc(heap, UNIT_BYTES + 1);
	assert_int_equal(heap_usable_size(heap, object), 2 * UNIT_BYTES);
}

/* ---- heap_hold, heap_release ---- */

/* Drops three holds and the owner's, the owner's as number @owner_at; all but the last keep it. */
static void drop_four(struct heap *heap, size_t size, unsigned int owner_at)
{
	unsigned char *object = heap_alloc(heap, size);

	memset(object, 0x5a, size);
	for (unsigned int i = 0; i < 3; i++)
		heap_hold(heap, object);
	for (unsigned int i = 0; i < 4; i++) {
		void *other = heap_alloc(heap, size);

		assert_ptr_not_equal(other, object);
		assert_int_equal(heap_free(heap, other), 0);
		assert_ptr_equal(heap_object(heap, object), object);
		assert_int_equal(object[0], 0x5a);
		assert_memory_equal(object, object + 1, size - 1);
		if (i == owner_at)
			assert_int_equal(heap_free(heap, object), 0);
		else
			heap_release(heap, object);
	}
	assert_null(heap_object(heap, object));
}

static void heap_hold__keeps_the_memory_in_every_order(void **state)
{
	static const size_t sizes[] = {16, 64, 4096, 114688, 300000, 2000000};
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		for (unsigned int owner_at = 0; owner_at < 4; owner_at++) {
			drop_four(heap, sizes[s], owner_at);
			assert_int_equal(live_objects(heap), 0);
			assert_int_equal(held_only_bytes(heap), 0);
		}
	}
}

static void heap_hold__may_be_taken_after_the_owners_free(void **state)
{
	struct heap *heap = *state;
	void *object = heap_alloc(heap, 64);

	heap_hold(heap, object);
	assert_int_equal(heap_free(heap, object), 0);
	heap_hold(heap, object);
	heap_release(heap, object);
	assert_ptr_equal(heap_object(heap, object), object);
	heap_release(heap, object);
	assert_null(heap_object(heap, object));
}

static void heap_hold__keeps_a_superblock_whose_owners_left(void **state)
{
	struct heap *heap = *state;
	static void *objects[1024];
	size_t count = exhaust(heap, 65536, objects, ARRAY_LENGTH(objects));

	for (size_t i = 0; i < count; i++)
		heap_hold(heap, objects[i]);
	free_all(heap, objects, count);
	assert_null(heap_alloc(heap, 65536));
	assert_int_equal(held_only_bytes(heap), count * 65536);
	for (size_t i = 0; i < count; i++)
		heap_release(heap, objects[i]);
	assert_int_equal(held_only_bytes(heap), 0);
	assert_non_null(heap_alloc(heap, 16 * MIB));
}

static void heap_hold__too_many_pin_the_object(void **state)
{
	static const size_t sizes[] = {64, 300000};
	struct heap *heap = *state;
	struct heap_stats stats;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		void *object = heap_alloc(heap, sizes[s]);

		for (uint32_t i = 0; i < HEAP_HOLDS_MAX + 2; i++)
			heap_hold(heap, object);
		for (uint32_t i = 0; i < HEAP_HOLDS_MAX + 2; i++)
			heap_release(heap, object);
		assert_int_equal(heap_free(heap, object), 0);
		assert_int_equal(heap_free(heap, object), -EALREADY);
		assert_ptr_equal(heap_object(heap, object), object);
		heap_get_stats(heap, &stats);
		assert_int_equal(stats.objects_pinned, s + 1);
		assert_int_equal(stats.objects, s + 1);
	}
}

static void heap_hold__one_less_does_not_pin(void **state)
{
	struct heap *heap = *state;
	void *object = heap_alloc(heap, 64);

	for (uint32_t i = 0; i < HEAP_HOLDS_MAX - 1; i++)
		heap_hold(heap, object);
	assert_int_equal(heap_free(heap, object), 0);
	for (uint32_t i = 0; i < HEAP_HOLDS_MAX - 1; i++)
		heap_release(heap, object);
	assert_int_equal(live_objects(heap), 0);
}

/* ---- heap_get_stats ---- */

static void heap_get_stats__counts_classes(void **state)
{
	struct heap *heap = *state;
	struct heap_stats stats;
	void *small;

	heap_get_stats(heap, &stats);
	assert_int_equal(stats.bytes_reserved, 0);
	assert_int_equal(stats.bytes_in_use, 0);
	small = heap_alloc(heap, 65);
	assert_non_null(heap_alloc(heap, UNIT_BYTES + 1));
	heap_hold(heap, small);
	assert_int_equal(heap_free(heap, small), 0);
	heap_get_stats(heap, &stats);
	assert_int_equal(stats.bytes_reserved, 3 * UNIT_BYTES);
	assert_int_equal(stats.bytes_in_use, 128 + 2 * UNIT_BYTES);
	assert_int_equal(stats.bytes_held_only, 128);
	assert_int_equal(stats.objects, 2);
	assert_int_equal(stats.objects_pinned, 0);
}

/* ---- Random operations against a shadow ---- */

#define SHADOWS 700u
#define MODEL_BYTES_MAX (24 * MIB)

struct shadow {
	unsigned char *object; /* NULL: none */
	size_t size;
	size_t usable;
	unsigned char fill;
	bool owned;
	unsigned int holds;
};

struct model {
	struct heap *heap;
	struct shadow shadows[SHADOWS];
	uint64_t random;
	uint64_t refused;
};

static uint64_t model_random(struct model *model, uint64_t below)
{
	model->random ^= model->random << 13;
	model->random ^= model->random >> 7;
	model->random ^= model->random << 17;
	return model->random % below;
}

/* Small sizes in full, larger ones at their edges. */
static void shadow_fill(const struct shadow *shadow)
{
	size_t edge = shadow->size < 256 ? shadow->size : 128;

	memset(shadow->object, shadow->fill, edge);
	memset(shadow->object + shadow->size - edge, shadow->fill, edge);
}

static void shadow_check(const struct shadow *shadow)
{
	size_t edge = shadow->size < 256 ? shadow->size : 128;

	for (size_t i = 0; i < edge; i++) {
		assert_int_equal(shadow->object[i], shadow->fill);
		assert_int_equal(shadow->object[shadow->size - 1 - i], shadow->fill);
	}
}

static void model_check_apart(const struct model *model, const struct shadow *new)
{
	for (size_t i = 0; i < SHADOWS; i++) {
		const struct shadow *other = &model->shadows[i];

		if (other == new || !other->object)
			continue;
		if (new->object + new->usable > other->object &&
		    other->object + other->usable > new->object)
			fail_msg("objects overlap");
	}
}

static void model_alloc(struct model *model, struct shadow *shadow)
{
	size_t alignment = 1;

	shadow->size = model_random(model, (uint64_t)1 << model_random(model, 21));
	if (model_random(model, 4) == 0) {
		alignment = (size_t)1 << model_random(model, 13);
		shadow->object = heap_alloc_aligned(model->heap, alignment, shadow->size);
	} else {
		shadow->object = heap_alloc(model->heap, shadow->size);
	}
	if (!shadow->object) {
		model->refused++;
		return;
	}
	shadow->usable = heap_usable_size(model->heap, shadow->object);
	shadow->fill = (unsigned char)model_random(model, 256);
	shadow->owned = true;
	shadow->holds = 0;
	assert_true(shadow->usable >= shadow->size);
	assert_int_equal((uintptr_t)shadow->object % alignment, 0);
	assert_int_equal((uintptr_t)shadow->object % (shadow->size >= 64 ? 64 : 16), 0);
	model_check_apart(model, shadow);
	shadow_fill(shadow);
}

static void shadow_settle(struct model *model, struct shadow *shadow)
{
	if (shadow->owned || shadow->holds)
		return;
	assert_null(heap_object(model->heap, shadow->object));
	shadow->object = NULL;
}

static void model_free(struct model *model, struct shadow *shadow)
{
	shadow_check(shadow);
	assert_int_equal(heap_free(model->heap, shadow->object), shadow->owned ? 0 : -EALREADY);
	shadow->owned = false;
	shadow_settle(model, shadow);
}

static void model_release(struct model *model, struct shadow *shadow)
{
	if (shadow->holds == 0)
		return;
	shadow_check(shadow);
	heap_release(model->heap, shadow->object);
	shadow->holds--;
	shadow_settle(model, shadow);
}

static void model_probe(struct model *model, struct shadow *shadow)
{
	size_t inside = model_random(model, shadow->usable);

	assert_ptr_equal(heap_object(model->heap, shadow->object + inside), shadow->object);
	if (inside)
		assert_int_equal(heap_free(model->heap, shadow->object + inside), -EINVAL);
	assert_int_equal(heap_usable_size(model->heap, shadow->object), shadow->usable);
}

static void model_check_stats(const struct model *model)
{
	struct heap_stats expected = {0};
	struct heap_stats stats;

	for (size_t i = 0; i < SHADOWS; i++) {
		const struct shadow *shadow = &model->shadows[i];

		if (!shadow->object)
			continue;
		expected.objects++;
		expected.bytes_in_use += shadow->usable;
		if (!shadow->owned)
			expected.bytes_held_only += shadow->usable;
	}
	heap_get_stats(model->heap, &stats);
	assert_int_equal(stats.objects, expected.objects);
	assert_int_equal(stats.bytes_in_use, expected.bytes_in_use);
	assert_int_equal(stats.bytes_held_only, expected.bytes_held_only);
	assert_int_equal(stats.objects_pinned, 0);
	assert_true(stats.bytes_reserved >= stats.bytes_in_use);
	assert_true(stats.bytes_reserved <= MODEL_BYTES_MAX);
}

static void model_step(struct model *model)
{
	struct shadow *shadow = &model->shadows[model_random(model, SHADOWS)];
	uint64_t choice = model_random(model, 10);

	if (!shadow->object) {
		model_alloc(model, shadow);
	} else if (choice < 3) {
		model_free(model, shadow);
	} else if (choice < 5) {
		heap_hold(model->heap, shadow->object);
		shadow->holds++;
	} else if (choice < 8) {
		model_release(model, shadow);
	} else {
		model_probe(model, shadow);
	}
}

static void model_drain(struct model *model)
{
	for (size_t i = 0; i < SHADOWS; i++) {
		struct shadow *shadow = &model->shadows[i];

		if (shadow->object && shadow->owned)
			model_free(model, shadow);
		while (shadow->object)
			model_release(model, shadow);
	}
	model_check_stats(model);
}

static uint64_t environment_number(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static void heap__agrees_with_a_shadow(void **state)
{
	uint64_t steps = environment_number("HEAP_TEST_STEPS", 200000);
	uint64_t seed = environment_number("HEAP_TEST_SEED", (uint64_t)time(NULL));
	struct model *model = calloc(1, sizeof(*model));
	void *whole;

	(void)state;
	assert_non_null(model);
	print_message("HEAP_TEST_SEED=%llu\n", (unsigned long long)seed);
	model->random = seed * 0x9e3779b97f4a7c15u | 1;
	assert_int_equal(heap_create(&model->heap, MODEL_BYTES_MAX), 0);
	for (uint64_t i = 1; i <= steps; i++) {
		model_step(model);
		if (i % 1024 == 0)
			model_check_stats(model);
		if (i % 65536 == 0)
			model_drain(model);
	}
	model_drain(model);
	print_message("%llu allocations refused at the bound\n",
		      (unsigned long long)model->refused);
	whole = heap_alloc(model->heap, MODEL_BYTES_MAX);
	assert_non_null(whole);
	heap_destroy(model->heap);
	free(model);
}

#define heap_test(function) cmocka_unit_test_setup_teardown(function, heap_setup, heap_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heap_create__refuses_zero_bytes),
		cmocka_unit_test(heap_create__rounds_one_byte_up_to_a_superblock),
		cmocka_unit_test(heap_create__serves_the_largest_bound),
		heap_test(heap_create__makes_heaps_that_do_not_own_each_other),
		cmocka_unit_test(heap_destroy__takes_live_and_held_objects_along),
		heap_test(heap_alloc__serves_every_size_aligned),
		heap_test(heap_alloc__wastes_at_most_a_fifth_of_small_classes),
		heap_test(heap_alloc__size_zero_gives_unique_objects),
		heap_test(heap_alloc__reuses_the_object_freed_last),
		heap_test(heap_alloc__objects_do_not_overlap),
		heap_test(heap_alloc__null_at_the_bound),
		heap_test(heap_alloc__null_for_impossible_sizes),
		heap_test(heap_alloc__takes_back_what_idle_classes_keep),
		heap_test(heap_alloc__reuses_empty_superblocks_for_other_classes),
		heap_test(heap_alloc__fills_the_gaps_of_full_superblocks),
		heap_test(heap_alloc__merges_free_runs),
		cmocka_unit_test(heap_free__returns_big_runs_to_the_system),
		cmocka_unit_test(heap_free__returns_many_empty_superblocks_to_the_system),
		heap_test(heap_alloc_aligned__aligns),
		heap_test(heap_alloc_aligned__refuses_other_alignments),
		heap_test(heap_free__foreign_pointer_is_efault),
		heap_test(heap_free__interior_pointer_is_einval),
		heap_test(heap_free__inside_a_large_object_is_einval),
		heap_test(heap_free__memory_without_an_object_is_einval),
		heap_test(heap_free__twice_is_ealready),
		heap_test(heap_free__forgets_a_large_object_when_its_place_is_used),
		heap_test(heap_free__twice_while_held_is_ealready),
		heap_test(heap_free__in_a_returned_superblock_is_einval),
		heap_test(heap_free__poisons_for_the_address_sanitizer),
		heap_test(heap_owns__is_the_whole_range_and_no_more),
		heap_test(heap_object__finds_the_start_from_anywhere),
		heap_test(heap_object__null_where_there_is_none),
		heap_test(heap_object__finds_held_ones),
		heap_test(heap_usable_size__zero_without_an_object),
		heap_test(heap_hold__keeps_the_memory_in_every_order),
		heap_test(heap_hold__may_be_taken_after_the_owners_free),
		heap_test(heap_hold__keeps_a_superblock_whose_owners_left),
		heap_test(heap_hold__too_many_pin_the_object),
		heap_test(heap_hold__one_less_does_not_pin),
		heap_test(heap_get_stats__counts_classes),
		cmocka_unit_test(heap__agrees_with_a_shadow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
