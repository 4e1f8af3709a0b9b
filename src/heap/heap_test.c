/* SPDX-License-Identifier: MIT */
/*
 * Each test runs on a plain heap, on a checked one or on both. What depends on how objects lie in
 * memory is for plain heaps: a checked one has red zones, exact sizes and a quarantine.
 */
#include "heap/heap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "heap/testing.h"

#include "heap/buf.h"
#include "heap/checked.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define WITH_ASAN
#include <sanitizer/asan_interface.h>
#endif

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define TOOL_TAKES_ADDRESSES true
#else
#define TOOL_TAKES_ADDRESSES checked_tool_present()
#endif

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Fixture: a heap of 16 MiB ---- */

static struct heap *heap_make(uint64_t bytes_max, enum heap_checks checks)
{
	struct heap_options options = {.bytes_max = bytes_max, .checks = checks};
	struct heap *heap;

	assert_int_equal(heap_create(&heap, &options), 0);
	return heap;
}

static int plain_setup(void **state)
{
	*state = heap_make(16 * MIB, HEAP_CHECKS_OFF);
	return 0;
}

static int checked_setup(void **state)
{
	*state = heap_make(16 * MIB, HEAP_CHECKS_ON);
	return 0;
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
	assert_int_equal(heap_create(&heap, &(struct heap_options){.bytes_max = 0}), -EINVAL);
}

static void heap_create__rounds_one_byte_up_to_a_superblock(void **state)
{
	struct heap *heap;
	void *object;

	(void)state;
	heap = heap_make(1, HEAP_CHECKS_OFF);
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
	int error;

	(void)state;
	error = heap_create(&heap, &(struct heap_options){.bytes_max = UINT64_MAX});
	if (error == -ENOMEM && TOOL_TAKES_ADDRESSES) {
		print_message("skip: a tool leaves no room for 1 TiB of addresses\n");
		skip();
	}
	assert_int_equal(error, 0);
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

	other = heap_make(MIB, HEAP_CHECKS_OFF);
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
	heap = heap_make(MIB, HEAP_CHECKS_OFF);
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

/* Reserved huge pages would stay. */
static const struct heap_options ordinary = {
	.bytes_max = 64 * MIB, .checks = HEAP_CHECKS_OFF, .huge_pages = HEAP_HUGE_PAGES_OFF};

static void heap_purge__returns_big_runs_to_the_system(void **state)
{
	struct heap *heap;
	unsigned char *object;

	(void)state;
	assert_int_equal(heap_create(&heap, &ordinary), 0);
	object = heap_alloc(heap, 32 * MIB);
	memset(object, 0xa5, 32 * MIB);
	assert_int_equal(resident_pages(object, 32 * MIB), 32 * MIB / 4096);
	assert_int_equal(heap_free(heap, object), 0);
	/* For a while it is kept for the next one. */
	assert_true(heap_is_dirty(heap));
	assert_int_equal(resident_pages(object, 32 * MIB), 32 * MIB / 4096);
	heap_purge(heap);
	assert_false(heap_is_dirty(heap));
	assert_int_equal(resident_pages(object, 32 * MIB), 0);
	assert_ptr_equal(heap_alloc(heap, 32 * MIB), object);
	object[0] = 1;
	object[32 * MIB - 1] = 1;
	heap_destroy(heap);
}

static void heap_free__returns_what_is_very_big_at_once(void **state)
{
	const struct heap_options options = {
		.bytes_max = 1024 * MIB,
		.huge_pages = HEAP_HUGE_PAGES_OFF,
		.checks = HEAP_CHECKS_OFF,
	};
	struct heap *heap;
	unsigned char *object;

	(void)state;
	assert_int_equal(heap_create(&heap, &options), 0);
	object = heap_alloc(heap, 256 * MIB);
	assert_non_null(object);
	for (size_t i = 0; i < 256 * MIB; i += MIB)
		object[i] = 1;
	assert_int_equal(heap_free(heap, object), 0);
	for (size_t i = 0; i < 256 * MIB; i += 32 * MIB)
		assert_int_equal(resident_pages(object + i, 32 * MIB), 0);
	assert_false(heap_is_dirty(heap));
	heap_destroy(heap);
}

/* What is used again and again was used once: a long free run around it is no reason to purge. */
static void heap_is_dirty__counts_memory_once(void **state)
{
	const struct heap_options options = {
		.bytes_max = 128 * MIB,
		.huge_pages = HEAP_HUGE_PAGES_OFF,
		.checks = HEAP_CHECKS_OFF,
	};
	struct heap *heap;

	(void)state;
	assert_int_equal(heap_create(&heap, &options), 0);
	assert_int_equal(heap_free(heap, heap_alloc(heap, 100 * MIB)), 0);
	heap_purge(heap);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(heap_free(heap, heap_alloc(heap, 8 * MIB)), 0);
		assert_false(heap_is_dirty(heap));
	}
	heap_destroy(heap);
}

static void heap_alloc_aligned__wastes_nothing_where_a_run_is_aligned(void **state)
{
	struct heap *heap = *state;

	/* The fixture's heap has 16 MiB. */
	for (int i = 0; i < 8; i++)
		assert_non_null(heap_alloc_aligned(heap, 2 * MIB, 2 * MIB));
	assert_null(heap_alloc_aligned(heap, 2 * MIB, 2 * MIB));
}

static void heap_purge__returns_many_empty_superblocks_to_the_system(void **state)
{
	enum { OBJECTS = 1500 };
	static unsigned char *objects[OBJECTS];
	struct heap *heap;
	size_t resident = 0;

	(void)state;
	assert_int_equal(heap_create(&heap, &ordinary), 0);
	for (size_t i = 0; i < OBJECTS; i++) {
		objects[i] = heap_alloc(heap, 32 * KIB);
		memset(objects[i], 1, 32 * KIB);
	}
	for (size_t i = 0; i < OBJECTS; i++)
		assert_int_equal(heap_free(heap, objects[i]), 0);
	heap_purge(heap);
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
	assert_int_equal(heap_free(heap, objects[0]), -EALREADY);
	heap_trim(heap);
	assert_int_equal(heap_free(heap, objects[0]), -EINVAL);
	assert_int_equal(heap_free(heap, objects[1]), -EINVAL);
	assert_int_equal(live_objects(heap), 2);
}

#ifdef WITH_ASAN
static void assert_shown_exactly(unsigned char *object, size_t size)
{
	assert_null(__asan_region_is_poisoned(object, size));
	for (size_t i = 0; i < CHECKED_RED_ZONE_BYTES; i++)
		assert_true(__asan_address_is_poisoned(object + size + i));
}
#endif

static void heap_alloc__poisons_from_the_exact_byte_on(void **state)
{
#ifdef WITH_ASAN
	static const size_t sizes[] = {0, 1, 15, 16, 63, 64, 100, 4096, 100001, 114688, 300003};
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		assert_shown_exactly(heap_alloc(heap, sizes[s]), sizes[s]);
		assert_shown_exactly(heap_alloc_zeroed(heap, sizes[s]), sizes[s]);
		assert_shown_exactly(heap_alloc_io(heap, sizes[s]), sizes[s]);
		assert_shown_exactly(heap_alloc_aligned(heap, 4096, sizes[s]), sizes[s]);
	}
#else
	(void)state;
	skip();
#endif
}

static void heap_free__poisons_after_the_last_hold(void **state)
{
#ifdef WITH_ASAN
	static const size_t sizes[] = {1, 64, 4097, 100000, MIB};
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		unsigned char *object = heap_alloc(heap, sizes[s]);

		heap_hold(heap, object);
		assert_int_equal(heap_free(heap, object), 0);
		assert_shown_exactly(object, sizes[s]);
		heap_release(heap, object);
		for (size_t i = 0; i<sizes[s]; i += sizes[s]> 5000 ? 61 : 1)
			assert_true(__asan_address_is_poisoned(object + i));
		assert_true(__asan_address_is_poisoned(object + sizes[s] - 1));
		heap_trim(heap);
		assert_true(__asan_address_is_poisoned(object));
	}
#else
	(void)state;
	skip();
#endif
}

/* The heap itself writes there, in front of the objects; only what no object has is hidden. */
static void heap_alloc__hides_what_was_never_allocated(void **state)
{
#ifdef WITH_ASAN
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, 1000);
	unsigned char *unit = (unsigned char *)((uintptr_t)object & ~(UNIT_BYTES - 1));

	assert_true(__asan_address_is_poisoned(object + 2000));
	assert_true(__asan_address_is_poisoned(unit + UNIT_BYTES - 1));
	assert_true(__asan_address_is_poisoned(unit + UNIT_BYTES));
	assert_int_equal(heap_free(heap, object), 0);
	assert_true(heap_is_empty(heap));
	assert_non_null(__asan_region_is_poisoned(unit, 1));
#else
	(void)state;
	skip();
#endif
}

static void heap_alloc__poisons_nothing_in_a_plain_heap(void **state)
{
#ifdef WITH_ASAN
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, 65);

	assert_null(__asan_region_is_poisoned(object, 128));
	assert_int_equal(heap_free(heap, object), 0);
	assert_null(__asan_region_is_poisoned(object, 128));
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
	assert_null(heap_object(heap, object + 128));
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
	assert_int_equal(stats.bytes_max, 16 * MIB);
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
	assert_int_equal(stats.objects_large, 1);
	assert_int_equal(stats.objects_pinned, 0);
	for (size_t i = 0; i < HEAP_CLASSES; i++) {
		bool is_its_class = stats.classes[i].object_bytes == 128;

		assert_int_equal(stats.classes[i].objects, is_its_class);
		assert_int_equal(stats.classes[i].objects_held_only, is_its_class);
		assert_int_equal(stats.classes[i].superblocks, is_its_class);
	}
}

static void heap_get_stats__names_every_class_once(void **state)
{
	struct heap *heap = *state;
	struct heap_stats stats;

	heap_get_stats(heap, &stats);
	assert_int_equal(stats.classes[0].object_bytes, 16);
	assert_int_equal(stats.classes[HEAP_CLASSES - 1].object_bytes, 112 * KIB);
	for (size_t i = 1; i < HEAP_CLASSES; i++)
		assert_true(stats.classes[i].object_bytes > stats.classes[i - 1].object_bytes);
}

/* ---- Checks ---- */

static void heap_create__checks_when_a_tool_is_there(void **state)
{
	struct heap *heap = heap_make(MIB, HEAP_CHECKS_AUTO);
	size_t expected = checked_tool_present() ? 100 : 128;

	(void)state;
#ifdef WITH_ASAN
	assert_true(checked_tool_present());
#endif
	assert_int_equal(heap_usable_size(heap, heap_alloc(heap, 100)), expected);
	heap_destroy(heap);
}

/* ---- heap_alloc_zeroed ---- */

static void heap_alloc_zeroed__clears_what_was_used_before(void **state)
{
	static const size_t sizes[] = {1, 16, 100, 5000, 114688, 300000, 5000000};
	struct heap *heap = *state;

	for (size_t i = 0; i < 2 * ARRAY_LENGTH(sizes); i++) {
		size_t size = sizes[i / 2];
		unsigned char *object = heap_alloc_zeroed(heap, size);

		assert_int_equal(object[0], 0);
		assert_memory_equal(object, object + 1, size - 1);
		memset(object, 0xff, size);
		assert_int_equal(heap_free(heap, object), 0);
		heap_trim(heap);
	}
}

/* ---- Magazines ---- */

static void heap_free__keeps_some_objects_until_it_is_trimmed(void **state)
{
	static void *objects[16 * 1024];
	struct heap *heap = *state;
	size_t count = exhaust(heap, 1024, objects, ARRAY_LENGTH(objects));
	struct heap_stats stats;

	free_all(heap, objects, count);
	heap_get_stats(heap, &stats);
	assert_int_equal(stats.objects, 0);
	assert_true(stats.bytes_reserved > 0);
	heap_trim(heap);
	heap_get_stats(heap, &stats);
	assert_int_equal(stats.bytes_reserved, 0);
	assert_true(heap_is_empty(heap));
}

static void heap_is_empty__is_false_while_anything_lives(void **state)
{
	static const size_t sizes[] = {1, 5000, 300000};
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		void *object = heap_alloc(heap, sizes[s]);

		assert_false(heap_is_empty(heap));
		heap_hold(heap, object);
		assert_int_equal(heap_free(heap, object), 0);
		assert_false(heap_is_empty(heap));
		heap_release(heap, object);
		assert_true(heap_is_empty(heap));
	}
}

/* ---- heap_is_owned ---- */

static void heap_is_owned__asks_for_the_start_and_the_size(void **state)
{
	static const size_t sizes[] = {16, 100, 5000, 300000};
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		unsigned char *object = heap_alloc(heap, sizes[s]);
		size_t usable = heap_usable_size(heap, object);

		assert_true(heap_is_owned(heap, object, 0));
		assert_true(heap_is_owned(heap, object, usable));
		assert_false(heap_is_owned(heap, object, usable + 1));
		assert_false(heap_is_owned(heap, object + 1, 0));
		heap_hold(heap, object);
		assert_int_equal(heap_free(heap, object), 0);
		assert_false(heap_is_owned(heap, object, 0));
		heap_release(heap, object);
		assert_false(heap_is_owned(heap, object, 0));
	}
	assert_false(heap_is_owned(heap, NULL, 0));
	assert_false(heap_is_owned(heap, heap, 0));
}

/* ---- Every order of holds, the owner's free and releases ---- */

#define HOLDS_MAX 4u
#define EVENTS_MAX (2 * HOLDS_MAX + 1)

enum event { EVENT_HOLD, EVENT_FREE, EVENT_RELEASE };

struct history {
	struct heap *heap;
	size_t size;
	bool is_reused_next; /* what was freed last is allocated next */
	enum event events[EVENTS_MAX];
	unsigned int count;
	uint64_t replayed;
};

static void apply(struct heap *heap, void *object, enum event event)
{
	if (event == EVENT_HOLD)
		heap_hold(heap, object);
	else if (event == EVENT_RELEASE)
		heap_release(heap, object);
	else
		assert_int_equal(heap_free(heap, object), 0);
}

static void replay(struct history *history)
{
	struct heap *heap = history->heap;
	unsigned char *object = heap_alloc(heap, history->size);
	void *other;

	object[0] = 0x5a;
	object[history->size - 1] = 0x5a;
	for (unsigned int i = 0; i < history->count; i++) {
		other = heap_alloc(heap, history->size);
		assert_ptr_not_equal(other, object);
		assert_int_equal(heap_free(heap, other), 0);
		assert_ptr_equal(heap_object(heap, object + history->size - 1), object);
		assert_int_equal(object[0], 0x5a);
		assert_int_equal(object[history->size - 1], 0x5a);
		apply(heap, object, history->events[i]);
	}
	assert_null(heap_object(heap, object));
	if (history->is_reused_next) {
		other = heap_alloc(heap, history->size);
		assert_ptr_equal(other, object);
		assert_int_equal(heap_free(heap, other), 0);
	}
	history->replayed++;
}

/* All ways to go on from here until nobody holds the object any more. */
static void explore(struct history *history, bool owned, unsigned int holds, unsigned int taken)
{
	unsigned int here = history->count;

	if (!owned && !holds) {
		replay(history);
		return;
	}
	history->count++;
	if (taken < HOLDS_MAX) {
		history->events[here] = EVENT_HOLD;
		explore(history, owned, holds + 1, taken + 1);
	}
	if (owned) {
		history->events[here] = EVENT_FREE;
		explore(history, false, holds, taken);
	}
	if (holds) {
		history->events[here] = EVENT_RELEASE;
		explore(history, owned, holds - 1, taken);
	}
	history->count = here;
}

static void explore_sizes(struct heap *heap, bool is_reused_next)
{
	static const size_t sizes[] = {48, 100000, 600000};

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		struct history history = {
			.heap = heap, .size = sizes[s], .is_reused_next = is_reused_next};

		explore(&history, true, 0, 0);
		/* With n holds there are as many as ways to choose n of 2n: 1 + 2 + 6 + 20 + 70. */
		assert_int_equal(history.replayed, 99);
		assert_int_equal(live_objects(heap), 0);
		assert_int_equal(held_only_bytes(heap), 0);
		assert_true(heap_is_empty(heap));
	}
}

static void heap_free__last_drop_in_every_order_frees(void **state)
{
	explore_sizes(*state, false);
}

static void heap_free__last_drop_in_every_order_reuses_magazines(void **state)
{
	explore_sizes(*state, true);
}

static void heap_free__last_drop_in_every_order_reuses_superblocks(void **state)
{
	/* While failures are counted, magazines keep nothing. */
	heap_fail_after(*state, UINT64_MAX - 1);
	explore_sizes(*state, true);
}

/* ---- Out of memory ---- */

struct script {
	struct heap *heap;
	void *objects[16];
	unsigned int count;
	struct buf *bufs[8];
	unsigned int bufs_count;
	bool failed;
};

static void script_keep(struct script *script, void *object)
{
	if (object)
		script->objects[script->count++] = object;
	else
		script->failed = true;
}

static void script_keep_buf(struct script *script, struct buf *buf)
{
	if (buf)
		script->bufs[script->bufs_count++] = buf;
	else
		script->failed = true;
}

/* One allocation; @step counts from 0. Returns false behind the last one. */
static bool script_step(struct script *script, unsigned int step)
{
	struct heap *heap = script->heap;

	switch (step) {
	case 0:
	case 1:
		script_keep(script, heap_alloc(heap, 64));
		return true;
	case 2:
		script_keep(script, heap_alloc(heap, 100000));
		return true;
	case 3:
		script_keep(script, heap_alloc(heap, 3 * MIB));
		return true;
	case 4:
		script_keep(script, heap_alloc_aligned(heap, 4096, 100));
		return true;
	case 5:
		script_keep(script, heap_alloc_aligned(heap, MIB, MIB));
		return true;
	case 6:
		script_keep(script, heap_alloc_zeroed(heap, 64));
		return true;
	case 7:
		script_keep(script, heap_alloc_zeroed(heap, 400000));
		return true;
	case 8:
		script_keep(script, heap_alloc_io(heap, 2000));
		return true;
	case 9:
		script_keep_buf(script, buf_alloc(heap, 1500));
		return true;
	case 10:
		script_keep_buf(script,
				buf_reference(heap, script->objects[0], script->objects[0], 64));
		return true;
	case 11:
		script_keep_buf(script,
				buf_reference(heap, script->objects[3], script->objects[3], 9));
		return true;
	default:
		return false;
	}
}

static void script_undo(struct script *script)
{
	for (unsigned int i = 0; i < script->bufs_count; i++)
		assert_int_equal(buf_free(script->heap, script->bufs[i]), 0);
	free_all(script->heap, script->objects, script->count);
	/* A reference that was not made holds nothing. */
	for (unsigned int i = 0; i < script->count; i++)
		assert_null(heap_object(script->heap, script->objects[i]));
	heap_fail_after(script->heap, UINT64_MAX);
	assert_true(heap_is_empty(script->heap));
}

/* Returns whether an allocation failed. */
static bool script_run(struct heap *heap, uint64_t fail_after)
{
	struct script script = {.heap = heap};
	struct heap_stats before, after;
	unsigned int step = 0;

	heap_fail_after(heap, fail_after);
	do {
		heap_get_stats(heap, &before);
	} while (script_step(&script, step++) && !script.failed);
	if (script.failed) {
		assert_int_equal(script.count + script.bufs_count, fail_after);
		heap_get_stats(heap, &after);
		assert_memory_equal(&before, &after, sizeof(before));
		/* It goes on failing until it is told otherwise. */
		assert_null(heap_alloc(heap, 1));
	}
	script_undo(&script);
	return script.failed;
}

static void heap_fail_after__fails_each_allocation_cleanly(void **state)
{
	struct heap *heap = *state;
	uint64_t count = 0;

	while (script_run(heap, count))
		count++;
	assert_int_equal(count, 12);
	assert_false(script_run(heap, UINT64_MAX));
}

static void heap_fail_after__reaches_what_magazines_have(void **state)
{
	struct heap *heap = *state;
	void *object = heap_alloc(heap, 64);

	assert_int_equal(heap_free(heap, object), 0);
	heap_fail_after(heap, 0);
	assert_null(heap_alloc(heap, 64));
	heap_fail_after(heap, 1);
	object = heap_alloc(heap, 64);
	assert_non_null(object);
	assert_int_equal(heap_free(heap, object), 0);
	assert_null(heap_alloc(heap, 64));
	heap_fail_after(heap, UINT64_MAX);
	assert_non_null(heap_alloc(heap, 64));
}

/* Of objects of @size: as many as there are, none more, one more after each free. */
static void fill_to_the_bound(struct heap *heap, size_t size)
{
	static void *objects[64 * 1024];
	size_t count = exhaust(heap, size, objects, ARRAY_LENGTH(objects));
	size_t victims[] = {0, count / 2, count - 1};

	assert_true(count > 0 && count < ARRAY_LENGTH(objects));
	for (size_t i = 0; i < ARRAY_LENGTH(victims); i++) {
		void **victim = &objects[victims[i]];

		assert_null(heap_alloc(heap, size));
		assert_int_equal(heap_free(heap, *victim), 0);
		*victim = heap_alloc(heap, size);
		assert_non_null(*victim);
	}
	assert_null(heap_alloc(heap, size));
	free_all(heap, objects, count);
	assert_true(heap_is_empty(heap));
}

static void heap_alloc__serves_each_class_up_to_the_bound(void **state)
{
	static const enum heap_checks kinds[] = {HEAP_CHECKS_OFF, HEAP_CHECKS_ON};

	(void)state;
	for (size_t k = 0; k < ARRAY_LENGTH(kinds); k++) {
		struct heap *heap = heap_make(3 * UNIT_BYTES, kinds[k]);
		size_t red_zone = kinds[k] == HEAP_CHECKS_ON ? CHECKED_RED_ZONE_BYTES : 0;
		struct heap_stats stats;

		heap_get_stats(heap, &stats);
		for (size_t i = 0; i < HEAP_CLASSES; i++)
			fill_to_the_bound(heap, stats.classes[i].object_bytes - red_zone);
		fill_to_the_bound(heap, UNIT_BYTES - red_zone);
		fill_to_the_bound(heap, 3 * UNIT_BYTES - red_zone);
		heap_destroy(heap);
	}
}

#define test_with(function, kind, suffix)                                     \
	{                                                                     \
#function suffix, function, kind##_setup, heap_teardown, NULL \
	}
#define plain_test(function) test_with(function, plain, "")
#define checked_test(function) test_with(function, checked, ", checked")
#define both_tests(function) plain_test(function), checked_test(function)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heap_create__refuses_zero_bytes),
		cmocka_unit_test(heap_create__rounds_one_byte_up_to_a_superblock),
		cmocka_unit_test(heap_create__serves_the_largest_bound),
		both_tests(heap_create__makes_heaps_that_do_not_own_each_other),
		cmocka_unit_test(heap_destroy__takes_live_and_held_objects_along),
		both_tests(heap_alloc__serves_every_size_aligned),
		plain_test(heap_alloc__wastes_at_most_a_fifth_of_small_classes),
		both_tests(heap_alloc__size_zero_gives_unique_objects),
		plain_test(heap_alloc__reuses_the_object_freed_last),
		both_tests(heap_alloc__objects_do_not_overlap),
		both_tests(heap_alloc__null_at_the_bound),
		plain_test(heap_alloc__null_for_impossible_sizes),
		plain_test(heap_alloc__takes_back_what_idle_classes_keep),
		both_tests(heap_alloc__reuses_empty_superblocks_for_other_classes),
		both_tests(heap_alloc__fills_the_gaps_of_full_superblocks),
		plain_test(heap_alloc__merges_free_runs),
		cmocka_unit_test(heap_purge__returns_big_runs_to_the_system),
		cmocka_unit_test(heap_free__returns_what_is_very_big_at_once),
		cmocka_unit_test(heap_is_dirty__counts_memory_once),
		plain_test(heap_alloc_aligned__wastes_nothing_where_a_run_is_aligned),
		cmocka_unit_test(heap_purge__returns_many_empty_superblocks_to_the_system),
		both_tests(heap_alloc_aligned__aligns),
		both_tests(heap_alloc_aligned__refuses_other_alignments),
		both_tests(heap_free__foreign_pointer_is_efault),
		both_tests(heap_free__interior_pointer_is_einval),
		both_tests(heap_free__inside_a_large_object_is_einval),
		both_tests(heap_free__memory_without_an_object_is_einval),
		plain_test(heap_free__twice_is_ealready),
		plain_test(heap_free__forgets_a_large_object_when_its_place_is_used),
		both_tests(heap_free__twice_while_held_is_ealready),
		plain_test(heap_free__in_a_returned_superblock_is_einval),
		checked_test(heap_alloc__poisons_from_the_exact_byte_on),
		checked_test(heap_free__poisons_after_the_last_hold),
		checked_test(heap_alloc__hides_what_was_never_allocated),
		plain_test(heap_alloc__poisons_nothing_in_a_plain_heap),
		plain_test(heap_owns__is_the_whole_range_and_no_more),
		both_tests(heap_object__finds_the_start_from_anywhere),
		both_tests(heap_object__null_where_there_is_none),
		both_tests(heap_object__finds_held_ones),
		plain_test(heap_usable_size__zero_without_an_object),
		both_tests(heap_hold__keeps_the_memory_in_every_order),
		both_tests(heap_hold__may_be_taken_after_the_owners_free),
		plain_test(heap_hold__keeps_a_superblock_whose_owners_left),
		both_tests(heap_hold__too_many_pin_the_object),
		plain_test(heap_hold__one_less_does_not_pin),
		plain_test(heap_get_stats__counts_classes),
		both_tests(heap_get_stats__names_every_class_once),
		cmocka_unit_test(heap_create__checks_when_a_tool_is_there),
		both_tests(heap_alloc_zeroed__clears_what_was_used_before),
		plain_test(heap_free__keeps_some_objects_until_it_is_trimmed),
		both_tests(heap_is_empty__is_false_while_anything_lives),
		both_tests(heap_is_owned__asks_for_the_start_and_the_size),
		both_tests(heap_free__last_drop_in_every_order_frees),
		plain_test(heap_free__last_drop_in_every_order_reuses_magazines),
		plain_test(heap_free__last_drop_in_every_order_reuses_superblocks),
		both_tests(heap_fail_after__fails_each_allocation_cleanly),
		both_tests(heap_fail_after__reaches_what_magazines_have),
		cmocka_unit_test(heap_alloc__serves_each_class_up_to_the_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
