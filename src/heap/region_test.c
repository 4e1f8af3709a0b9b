/* SPDX-License-Identifier: MIT */
#include "heap/region.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "heap/testing.h"

#define MIB ((size_t)1 << 20)
#define REGIONS_MAX 64u

/* ---- A device that records what it knows ---- */

struct region {
	unsigned char *start;
	size_t bytes;
	uint64_t handle;
};

struct device {
	struct region regions[REGIONS_MAX];
	unsigned int count;
	unsigned int adds;     /* calls */
	unsigned int fail_at;  /* the add of this number fails; 0: none */
	bool fails_from_there; /* and all after it */
	uint64_t handle_next;
};

static int device_add(void *context, void *start, size_t bytes, uint64_t *handle_out)
{
	struct device *device = context;
	unsigned int number = ++device->adds;

	assert_int_equal(bytes % PAGES_CHUNK_BYTES, 0);
	assert_true(bytes > 0);
	if (device->fail_at &&
	    (number == device->fail_at || (device->fails_from_there && number > device->fail_at)))
		return -EIO;
	/* A real one would pin these pages. */
	((volatile unsigned char *)start)[0];
	assert_true(device->count < REGIONS_MAX);
	*handle_out = ++device->handle_next;
	device->regions[device->count++] = (struct region){start, bytes, *handle_out};
	return 0;
}

static void device_remove(void *context, void *start, size_t bytes, uint64_t handle)
{
	struct device *device = context;

	for (unsigned int i = 0; i < device->count; i++) {
		struct region *region = &device->regions[i];

		if (region->start != start)
			continue;
		assert_int_equal(region->bytes, bytes);
		assert_int_equal(region->handle, handle);
		*region = device->regions[--device->count];
		return;
	}
	fail_msg("removed what was not added");
}

static const struct heap_registrar_ops ops = {.add = device_add, .remove = device_remove};

static const struct region *device_find(const struct device *device, const unsigned char *ptr)
{
	for (unsigned int i = 0; i < device->count; i++) {
		const struct region *region = &device->regions[i];

		if (ptr >= region->start && ptr < region->start + region->bytes)
			return region;
	}
	return NULL;
}

/* ---- Fixture: a heap of 256 MiB ---- */

static int heap_setup(void **state)
{
	struct heap_options options = {.bytes_max = 256 * MIB,
				       .checks = HEAP_CHECKS_OFF,
				       .huge_pages = HEAP_HUGE_PAGES_OFF};

	return heap_create((struct heap **)state, &options);
}

/* Up to @count objects of @bytes; how many. */
static unsigned int grow(struct heap *heap, size_t bytes, void **objects, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		objects[i] = heap_alloc(heap, bytes);
		if (!objects[i])
			return i;
	}
	return count;
}

static void free_all(struct heap *heap, void **objects, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(heap_free(heap, objects[i]), 0);
}

static size_t committed(const struct heap *heap)
{
	struct heap_stats stats;

	heap_get_stats(heap, &stats);
	return stats.bytes_committed;
}

static size_t known(const struct device *device)
{
	size_t bytes = 0;

	for (unsigned int i = 0; i < device->count; i++)
		bytes += device->regions[i].bytes;
	return bytes;
}

/* Every byte of the object has the handle of its region, found in steps as a device would. */
static void assert_handles(const struct heap *heap, unsigned int registrar,
			   const struct device *device, unsigned char *object, size_t bytes)
{
	size_t rest;

	for (unsigned char *at = object; at < object + bytes; at += rest) {
		const struct region *region = device_find(device, at);
		unsigned char *last;

		assert_non_null(region);
		assert_int_equal(heap_handle(heap, registrar, at, &rest), region->handle);
		assert_ptr_equal(at + rest, region->start + region->bytes);
		last = at + rest - 1;
		assert_int_equal(heap_handle(heap, registrar, last, NULL), region->handle);
	}
}

/* ---- heap_register ---- */

static void heap_register__adds_what_there_is_and_what_comes(void **state)
{
	struct heap *heap = *state;
	struct device device = {0};
	void *objects[60];
	unsigned int registrar;
	unsigned int before = grow(heap, 2 * MIB, objects, 30);

	assert_int_equal(heap_register(heap, &ops, &device, &registrar), 0);
	assert_int_equal(known(&device), committed(heap));
	assert_true(device.count > 1);
	assert_int_equal(before + grow(heap, 2 * MIB, objects + 30, 30), 60);
	assert_int_equal(known(&device), committed(heap));
	for (unsigned int i = 0; i < 60; i++)
		assert_handles(heap, registrar, &device, objects[i], 2 * MIB);
	heap_unregister(heap, registrar);
	assert_int_equal(device.count, 0);
}

static void heap_register__of_a_new_heap_knows_its_first_region(void **state)
{
	struct heap *heap = *state;
	struct device device = {0};
	unsigned int registrar;

	assert_int_equal(heap_register(heap, &ops, &device, &registrar), 0);
	assert_int_equal(device.count, 1);
	assert_handles(heap, registrar, &device, heap_alloc(heap, 100), 100);
	heap_unregister(heap, registrar);
}

static void heap_handle__of_an_object_across_regions_says_where_they_end(void **state)
{
	struct heap *heap = *state;
	struct device device = {0};
	void *objects[30];
	unsigned int registrar;
	unsigned char *object;
	size_t rest;

	assert_int_equal(heap_register(heap, &ops, &device, &registrar), 0);
	free_all(heap, objects, grow(heap, 2 * MIB, objects, 30));
	object = heap_alloc(heap, 50 * MIB);
	assert_non_null(object);
	heap_handle(heap, registrar, object, &rest);
	assert_true(rest < 50 * MIB);
	assert_handles(heap, registrar, &device, object, 50 * MIB);
	assert_handles(heap, registrar, &device, object + 12345, 40 * MIB);
	heap_unregister(heap, registrar);
}

static void heap_register__failing_at_any_region_removes_all(void **state)
{
	struct heap *heap = *state;
	void *objects[30];
	unsigned int regions, registrar;
	struct device device = {0};

	grow(heap, 2 * MIB, objects, 30);
	assert_int_equal(heap_register(heap, &ops, &device, &registrar), 0);
	regions = device.count;
	heap_unregister(heap, registrar);
	assert_true(regions > 3);
	for (unsigned int k = 1; k <= regions; k++) {
		struct device failing = {.fail_at = k};

		assert_int_equal(heap_register(heap, &ops, &failing, &registrar), -EIO);
		assert_int_equal(failing.count, 0);
		assert_int_equal(failing.adds, k);
		/* Its place is free again, and it is asked no more. */
		assert_int_equal(heap_register(heap, &ops, &device, &registrar), 0);
		assert_int_equal(registrar, 0);
		assert_int_equal(device.count, regions);
		heap_unregister(heap, registrar);
	}
}

static void heap_alloc__null_where_the_device_takes_no_more(void **state)
{
	struct heap *heap = *state;
	struct device healthy = {0};
	struct device failing = {0};
	struct device last = {0};
	unsigned int registrars[3];
	size_t before;
	void *object;

	assert_int_equal(heap_register(heap, &ops, &healthy, &registrars[0]), 0);
	assert_int_equal(heap_register(heap, &ops, &failing, &registrars[1]), 0);
	assert_int_equal(heap_register(heap, &ops, &last, &registrars[2]), 0);
	failing.fail_at = failing.adds + 1;
	failing.fails_from_there = true;
	before = committed(heap);
	for (unsigned int i = 0; i < 5; i++) {
		assert_null(heap_alloc(heap, 20 * MIB));
		assert_int_equal(committed(heap), before);
		assert_int_equal(known(&healthy), before);
		assert_int_equal(known(&failing), before);
		assert_int_equal(known(&last), before);
	}
	/* What there is serves on. */
	object = heap_alloc(heap, 100000);
	assert_non_null(object);
	memset(object, 1, 100000);
	failing.fail_at = 0;
	object = heap_alloc_zeroed(heap, 20 * MIB);
	assert_non_null(object);
	assert_int_equal(*(char *)object, 0);
	assert_memory_equal(object, (char *)object + 1, 20 * MIB - 1);
	assert_handles(heap, registrars[1], &failing, object, 20 * MIB);
	assert_int_equal(known(&healthy), committed(heap));
	assert_int_equal(known(&last), committed(heap));
	for (size_t i = 0; i < 3; i++)
		heap_unregister(heap, registrars[i]);
}

/* Once is not enough: memory that others keep is given back, then it is tried again. */
static void heap_alloc__tries_a_device_again(void **state)
{
	struct heap *heap = *state;
	struct device device = {0};
	unsigned int registrar;
	void *object;

	assert_int_equal(heap_register(heap, &ops, &device, &registrar), 0);
	device.fail_at = device.adds + 1;
	object = heap_alloc(heap, 20 * MIB);
	assert_non_null(object);
	assert_handles(heap, registrar, &device, object, 20 * MIB);
	heap_unregister(heap, registrar);
	assert_int_equal(heap_free(heap, object), 0);
	assert_true(heap_is_empty(heap));
}

static void heap_register__serves_four_devices(void **state)
{
	struct heap *heap = *state;
	struct device devices[HEAP_REGISTRARS_MAX + 1] = {0};
	unsigned int numbers[HEAP_REGISTRARS_MAX + 1];
	void *objects[20];

	for (unsigned int i = 0; i < HEAP_REGISTRARS_MAX; i++) {
		devices[i].handle_next = i * 1000;
		assert_int_equal(heap_register(heap, &ops, &devices[i], &numbers[i]), 0);
	}
	assert_int_equal(heap_register(heap, &ops, &devices[4], &numbers[4]), -ENOSPC);
	assert_int_equal(devices[4].adds, 0);
	grow(heap, 2 * MIB, objects, 20);
	for (unsigned int i = 0; i < HEAP_REGISTRARS_MAX; i++)
		assert_handles(heap, numbers[i], &devices[i], objects[19], 2 * MIB);
	heap_unregister(heap, numbers[1]);
	assert_int_equal(devices[1].count, 0);
	assert_handles(heap, numbers[0], &devices[0], objects[0], 2 * MIB);
	assert_int_equal(heap_register(heap, &ops, &devices[4], &numbers[4]), 0);
	assert_int_equal(numbers[4], numbers[1]);
	assert_handles(heap, numbers[4], &devices[4], objects[0], 2 * MIB);
	numbers[1] = numbers[4];
	for (unsigned int i = 0; i < HEAP_REGISTRARS_MAX; i++)
		heap_unregister(heap, numbers[i]);
}

/* ---- No page moves while a device knows it ---- */

static size_t resident_pages(void *memory, size_t bytes)
{
	static unsigned char pages[16 * 1024];
	size_t count = 0;

	assert_true(bytes / 4096 <= sizeof(pages));
	assert_int_equal(mincore(memory, bytes, pages), 0);
	for (size_t i = 0; i < bytes / 4096; i++)
		count += pages[i] & 1;
	return count;
}

static void heap_register__keeps_all_pages_until_heap_unregister(void **state)
{
	struct heap *heap = *state;
	struct device devices[2] = {0};
	unsigned int numbers[2];
	unsigned char *object = heap_alloc(heap, 32 * MIB);

	assert_int_equal(heap_register(heap, &ops, &devices[0], &numbers[0]), 0);
	assert_int_equal(heap_register(heap, &ops, &devices[1], &numbers[1]), 0);
	for (unsigned int i = 0; i < 2; i++) {
		memset(object, 0xa5, 32 * MIB);
		assert_int_equal(heap_free(heap, object), 0);
		heap_purge(heap);
		heap_trim(heap);
		assert_int_equal(resident_pages(object, 32 * MIB), 32 * MIB / 4096);
		assert_int_equal(object[0], 0xa5);
		assert_int_equal(object[32 * MIB - 1], 0xa5);
		heap_unregister(heap, numbers[i]);
		assert_ptr_equal(heap_alloc(heap, 32 * MIB), object);
	}
	memset(object, 0xa5, 32 * MIB);
	assert_int_equal(heap_free(heap, object), 0);
	heap_purge(heap);
	assert_int_equal(resident_pages(object, 32 * MIB), 0);
}

/* What a failed registration leaves behind is not a registration. */
static void heap_register__that_failed_keeps_no_pages(void **state)
{
	struct heap *heap = *state;
	struct device failing = {.fail_at = 1};
	unsigned char *object = heap_alloc(heap, 32 * MIB);
	unsigned int number;

	assert_int_equal(heap_register(heap, &ops, &failing, &number), -EIO);
	memset(object, 0xa5, 32 * MIB);
	assert_int_equal(heap_free(heap, object), 0);
	heap_purge(heap);
	assert_int_equal(resident_pages(object, 32 * MIB), 0);
}

/* ---- heap_walk ---- */

struct walk {
	unsigned char *end; /* of the region before; NULL: none */
	size_t bytes;
	unsigned int visits;
	unsigned int stop_at;
};

static int visit(void *context, void *start, size_t bytes)
{
	struct walk *walk = context;

	if (walk->end)
		assert_ptr_equal(start, walk->end);
	walk->end = (unsigned char *)start + bytes;
	walk->bytes += bytes;
	return ++walk->visits == walk->stop_at ? 42 : 0;
}

static void heap_walk__visits_all_regions_in_order(void **state)
{
	struct heap *heap = *state;
	struct walk walk = {0};
	void *objects[20];

	assert_int_equal(heap_walk(heap, visit, &walk), 0);
	assert_int_equal(walk.visits, 1);
	grow(heap, 2 * MIB, objects, 20);
	walk = (struct walk){0};
	assert_int_equal(heap_walk(heap, visit, &walk), 0);
	assert_int_equal(walk.bytes, committed(heap));
	assert_true(walk.visits > 2);
}

static void heap_walk__stops_when_told(void **state)
{
	struct heap *heap = *state;
	struct walk walk = {.stop_at = 2};
	void *objects[20];

	grow(heap, 2 * MIB, objects, 20);
	assert_int_equal(heap_walk(heap, visit, &walk), 42);
	assert_int_equal(walk.visits, 2);
}

/* ---- The last region of a heap whose bound is not whole chunks ---- */

static void heap_register__knows_the_end_of_an_odd_bound(void **state)
{
	struct heap_options options = {.bytes_max = 3 * MIB + 1, .checks = HEAP_CHECKS_OFF};
	struct device device = {0};
	unsigned int registrar;
	struct heap *heap;
	unsigned char *object;

	(void)state;
	assert_int_equal(heap_create(&heap, &options), 0);
	assert_int_equal(heap_register(heap, &ops, &device, &registrar), 0);
	object = heap_alloc(heap, 3 * MIB + 1);
	assert_non_null(object);
	memset(object, 1, 3 * MIB + 1);
	assert_handles(heap, registrar, &device, object, 3 * MIB + 1);
	assert_null(heap_alloc(heap, 1));
	heap_unregister(heap, registrar);
	heap_destroy(heap);
}

#define heap_test(function) cmocka_unit_test_setup_teardown(function, heap_setup, heap_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		heap_test(heap_register__adds_what_there_is_and_what_comes),
		heap_test(heap_register__of_a_new_heap_knows_its_first_region),
		heap_test(heap_handle__of_an_object_across_regions_says_where_they_end),
		heap_test(heap_register__failing_at_any_region_removes_all),
		heap_test(heap_alloc__null_where_the_device_takes_no_more),
		heap_test(heap_alloc__tries_a_device_again),
		heap_test(heap_register__serves_four_devices),
		heap_test(heap_register__keeps_all_pages_until_heap_unregister),
		heap_test(heap_register__that_failed_keeps_no_pages),
		heap_test(heap_walk__visits_all_regions_in_order),
		heap_test(heap_walk__stops_when_told),
		cmocka_unit_test(heap_register__knows_the_end_of_an_odd_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
