/* SPDX-License-Identifier: MIT */
/*
 * Frees by other threads: what each call says, step by step from one thread, then with threads.
 *
 * HEAP_TEST_STEPS in the environment lengthens the runs with threads.
 */
#include "heap/heap.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "heap/testing.h"

#include "heap/layout.h"
#include "heap/units.h"

#define MIB ((size_t)1 << 20)
#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const size_t sizes[] = {16, 64, 1000, 5000, 100000, 300000, 2 * MIB};

/* ---- Fixture: a heap of 16 MiB, and what it was told of wrong frees ---- */

static unsigned int wrong_frees;
static const void *wrong_object;
static int wrong_error;

static void on_wrong_free(const struct heap *heap, const void *object, int error)
{
	(void)heap;
	wrong_frees++;
	wrong_object = object;
	wrong_error = error;
}

static int setup(void **state, enum heap_checks checks)
{
	struct heap_options options = {
		.bytes_max = 16 * MIB, .checks = checks, .wrong_free = on_wrong_free};

	wrong_frees = 0;
	return heap_create((struct heap **)state, &options);
}

static int plain_setup(void **state)
{
	return setup(state, HEAP_CHECKS_OFF);
}

static int checked_setup(void **state)
{
	return setup(state, HEAP_CHECKS_ON);
}

static uint64_t remote_frees(const struct heap *heap)
{
	struct heap_stats stats;

	heap_get_stats(heap, &stats);
	return stats.remote_frees;
}

/* ---- heap_free_remote ---- */

static void heap_free_remote__lives_until_it_is_collected(void **state)
{
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		unsigned char *object = heap_alloc(heap, sizes[s]);

		assert_false(heap_has_remote(heap));
		assert_int_equal(heap_free_remote(heap, object), 0);
		assert_true(heap_has_remote(heap));
		assert_ptr_equal(heap_object(heap, object + sizes[s] - 1), object);
		assert_int_equal(live_objects(heap), 1);
		heap_collect(heap);
		assert_false(heap_has_remote(heap));
		assert_null(heap_object(heap, object));
		assert_int_equal(live_objects(heap), 0);
		assert_int_equal(remote_frees(heap), s + 1);
	}
	assert_int_equal(wrong_frees, 0);
	assert_true(heap_is_empty(heap));
}

static void heap_free_remote__refuses_what_starts_no_object(void **state)
{
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		unsigned char *object = heap_alloc(heap, sizes[s]);
		unsigned char *unit = (unsigned char *)((uintptr_t)object &
							~(uintptr_t)(UNIT_BYTES - 1));

		assert_int_equal(heap_free_remote(heap, object + 1), -EINVAL);
		assert_int_equal(heap_free_remote(heap, object + sizes[s] - 1), -EINVAL);
		assert_int_equal(heap_free_remote(heap, unit + 1), -EINVAL);
		assert_int_equal(heap_free_remote(heap, unit + 12 * MIB), -EINVAL);
		assert_int_equal(heap_free_remote(heap, NULL), -EFAULT);
		assert_int_equal(heap_free_remote(heap, &unit), -EFAULT);
		assert_false(heap_has_remote(heap));
		assert_int_equal(heap_free(heap, object), 0);
	}
	assert_int_equal(remote_frees(heap), 0);
}

static void heap_free_remote__inside_a_large_object_is_einval(void **state)
{
	struct heap *heap = *state;
	unsigned char *object = heap_alloc(heap, MIB);

	assert_int_equal(heap_free_remote(heap, object + UNIT_BYTES), -EINVAL);
	assert_int_equal(heap_free_remote(heap, object + 3 * UNIT_BYTES), -EINVAL);
	assert_false(heap_has_remote(heap));
	assert_int_equal(heap_free(heap, object), 0);
}

static void heap_free_remote__of_a_never_allocated_object_is_einval(void **state)
{
	struct heap *heap = *state;
	unsigned char *object = heap_alloc_aligned(heap, 4096, 4000);

	/* Those behind it come into the magazine first. */
	for (size_t i = 0; i < 4096; i += 16)
		assert_int_equal(heap_free_remote(heap, object + 40 * 4096 + i), -EINVAL);
	assert_false(heap_has_remote(heap));
}

static void heap_free_remote__twice_is_ealready(void **state)
{
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		void *object = heap_alloc(heap, sizes[s]);

		assert_int_equal(heap_free_remote(heap, object), 0);
		assert_int_equal(heap_free_remote(heap, object), -EALREADY);
		assert_int_equal(heap_free_remote(heap, object), -EALREADY);
		heap_collect(heap);
		assert_int_equal(live_objects(heap), 0);
	}
	assert_int_equal(wrong_frees, 0);
	assert_int_equal(remote_frees(heap), ARRAY_LENGTH(sizes));
}

static void heap_free_remote__then_by_the_owner_is_told(void **state)
{
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		void *object = heap_alloc(heap, sizes[s]);

		assert_int_equal(heap_free_remote(heap, object), 0);
		assert_int_equal(heap_free(heap, object), 0);
		heap_collect(heap);
		assert_int_equal(wrong_frees, s + 1);
		assert_ptr_equal(wrong_object, object);
		assert_int_equal(wrong_error, -EALREADY);
		assert_int_equal(live_objects(heap), 0);
	}
	assert_true(heap_is_empty(heap));
}

static void heap_free_remote__after_the_owner_is_told(void **state)
{
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		void *object = heap_alloc(heap, sizes[s]);
		int error;

		assert_int_equal(heap_free(heap, object), 0);
		error = heap_free_remote(heap, object);
		heap_collect(heap);
		/* By the call when it can know, else by the owner. */
		assert_true(error == -EALREADY || (error == 0 && wrong_frees > 0));
		assert_int_equal(live_objects(heap), 0);
	}
	assert_true(heap_is_empty(heap));
}

static void heap_free_remote__of_a_held_object_waits_for_the_release(void **state)
{
	struct heap *heap = *state;

	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		void *object = heap_alloc(heap, sizes[s]);

		heap_hold(heap, object);
		assert_int_equal(heap_free_remote(heap, object), 0);
		heap_collect(heap);
		assert_ptr_equal(heap_object(heap, object), object);
		assert_false(heap_is_owned(heap, object, 0));
		heap_release(heap, object);
		assert_null(heap_object(heap, object));
		object = heap_alloc(heap, sizes[s]);
		heap_hold(heap, object);
		assert_int_equal(heap_free_remote(heap, object), 0);
		heap_release(heap, object);
		assert_ptr_equal(heap_object(heap, object), object);
		heap_collect(heap);
		assert_null(heap_object(heap, object));
	}
	assert_int_equal(wrong_frees, 0);
	assert_true(heap_is_empty(heap));
}

static void heap_free_remote__of_a_held_object_twice_is_told(void **state)
{
	struct heap *heap = *state;
	void *object = heap_alloc(heap, 300000);

	heap_hold(heap, object);
	assert_int_equal(heap_free_remote(heap, object), 0);
	heap_collect(heap);
	assert_int_equal(heap_free_remote(heap, object), 0);
	heap_collect(heap);
	assert_int_equal(wrong_frees, 1);
	assert_int_equal(wrong_error, -EALREADY);
	heap_release(heap, object);
	assert_true(heap_is_empty(heap));
}

/* ---- heap_collect ---- */

static void heap_collect__frees_whole_superblocks_in_any_order(void **state)
{
	static void *objects[16 * 1024];
	struct heap *heap = *state;

	for (size_t stride = 1; stride < 8; stride += 2) {
		size_t count = 0;

		while (count < 8192 && (objects[count] = heap_alloc(heap, 1500)) != NULL)
			count++;
		for (size_t start = 0; start < stride; start++) {
			for (size_t i = start; i < count; i += stride)
				assert_int_equal(heap_free_remote(heap, objects[i]), 0);
			heap_collect(heap);
		}
		assert_int_equal(live_objects(heap), 0);
		assert_true(heap_is_empty(heap));
	}
	assert_int_equal(wrong_frees, 0);
}

static void heap_alloc__collects_before_it_runs_out(void **state)
{
	static void *objects[1024];
	struct heap *heap = *state;

	for (size_t s = 3; s < ARRAY_LENGTH(sizes); s++) {
		size_t count = 0;

		while (count < ARRAY_LENGTH(objects) &&
		       (objects[count] = heap_alloc(heap, sizes[s])) != NULL)
			count++;
		for (size_t i = 0; i < count; i++)
			assert_int_equal(heap_free_remote(heap, objects[i]), 0);
		objects[0] = heap_alloc(heap, sizes[s]);
		assert_non_null(objects[0]);
		assert_int_equal(heap_free(heap, objects[0]), 0);
		assert_true(heap_is_empty(heap));
	}
}

/*
 * A thread enters a unit in the list some time after it set the bit. When another one's entry came
 * before, the owner has collected the bit by then, and the unit may be anything. An entry is all that
 * the late thread leaves behind.
 */
static void enter_late(struct heap *heap, struct unit *unit)
{
	unit->remote_next = heap->remote_head ? heap->remote_head : REMOTE_LAST;
	heap->remote_head = unit_index(heap, unit) + 1;
}

static void heap_collect__ignores_late_entries_of_recycled_units(void **state)
{
	struct heap *heap = *state;
	unsigned char *small = heap_alloc(heap, 64);
	unsigned char *large = heap_alloc(heap, MIB);
	struct unit *units[] = {unit_at(heap, small), unit_at(heap, large),
				unit_at(heap, large + UNIT_BYTES),
				unit_at(heap, heap->base + 3 * MIB)};

	for (size_t order = 0; order < 16; order++) {
		for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
			if (order & (1u << i))
				enter_late(heap, units[i]);
		}
		heap_collect(heap);
		for (size_t i = 0; i < ARRAY_LENGTH(units); i++)
			assert_int_equal(units[i]->remote_next, 0);
		assert_ptr_equal(heap_object(heap, small), small);
		assert_ptr_equal(heap_object(heap, large), large);
		assert_int_equal(live_objects(heap), 2);
	}
	assert_int_equal(wrong_frees, 0);
	assert_int_equal(remote_frees(heap), 0);
}

static void heap_collect__finds_frees_in_units_with_late_entries(void **state)
{
	struct heap *heap = *state;
	void *first = heap_alloc(heap, MIB);
	struct unit *unit = unit_at(heap, first);
	void *second;

	assert_int_equal(heap_free(heap, first), 0);
	enter_late(heap, unit);
	second = heap_alloc(heap, 64);
	assert_ptr_equal(unit_at(heap, second), unit);
	assert_int_equal(heap_free_remote(heap, second), 0);
	heap_collect(heap);
	assert_int_equal(live_objects(heap), 0);
	assert_int_equal(remote_frees(heap), 1);
	assert_true(heap_is_empty(heap));
}

/* A superblock that gets a bit again while it is in the list, and one that empties in between. */
static void heap_collect__takes_bits_that_come_after_an_entry(void **state)
{
	struct heap *heap = *state;
	void *objects[8];

	for (size_t i = 0; i < 8; i++)
		objects[i] = heap_alloc(heap, 20000);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(heap_free_remote(heap, objects[i]), 0);
		if (i == 5)
			heap_collect(heap);
	}
	assert_int_equal(live_objects(heap), 2);
	heap_collect(heap);
	assert_true(heap_is_empty(heap));
	assert_int_equal(wrong_frees, 0);
}

/* The double free is the application's; the object that comes after it is not to pay for it. */
static void heap_alloc__of_a_large_object_forgets_what_was_freed_there(void **state)
{
	struct heap *heap = *state;
	void *object = heap_alloc(heap, MIB);

	assert_int_equal(heap_free_remote(heap, object), 0);
	assert_int_equal(heap_free(heap, object), 0);
	/* As heap_alloc, when the other thread is slow and its entry comes just after the collection. */
	object = large_alloc(heap, 1, MIB, STATE_NEW, false);
	assert_non_null(object);
	heap_collect(heap);
	assert_ptr_equal(heap_object(heap, object), object);
	assert_int_equal(live_objects(heap), 1);
	assert_int_equal(heap_free(heap, object), 0);
	assert_true(heap_is_empty(heap));
}

/* ---- With threads ---- */

#define FREEING_THREADS 3u
#define RING_SLOTS 256u

/* One of these from the owner to each freeing thread. */
struct ring {
	struct heap *heap;
	void *slots[RING_SLOTS];
	_Alignas(64) size_t written; /* atomic */
	_Alignas(64) size_t read;    /* atomic */
	uint64_t wrong;              /* contents or returned values, by the freeing thread */
};

/* In the object's first bytes, and at its end. */
struct stamp {
	size_t size;
	uint64_t check;
};

static uint64_t check_of(const void *object, size_t size)
{
	return ((uintptr_t)object ^ size) * 0x9e3779b97f4a7c15u;
}

static void stamp(unsigned char *object, size_t size)
{
	struct stamp stamp = {size, check_of(object, size)};

	memcpy(object, &stamp, sizeof(stamp));
	memcpy(object + size - sizeof(stamp), &stamp, sizeof(stamp));
}

static bool is_stamped(const unsigned char *object)
{
	struct stamp first, last;

	memcpy(&first, object, sizeof(first));
	if (first.check != check_of(object, first.size))
		return false;
	memcpy(&last, object + first.size - sizeof(last), sizeof(last));
	return memcmp(&first, &last, sizeof(first)) == 0;
}

static void ring_put(struct ring *ring, void *object)
{
	size_t written = ring->written;

	while (written - __atomic_load_n(&ring->read, __ATOMIC_ACQUIRE) == RING_SLOTS)
		sched_yield();
	ring->slots[written % RING_SLOTS] = object;
	__atomic_store_n(&ring->written, written + 1, __ATOMIC_RELEASE);
}

static void *ring_get(struct ring *ring)
{
	size_t read = ring->read;
	void *object;

	while (__atomic_load_n(&ring->written, __ATOMIC_ACQUIRE) == read)
		sched_yield();
	object = ring->slots[read % RING_SLOTS];
	__atomic_store_n(&ring->read, read + 1, __ATOMIC_RELEASE);
	return object;
}

static void *free_from_ring(void *argument)
{
	struct ring *ring = argument;
	void *object;

	/* The ring itself is the sign to end. */
	while ((object = ring_get(ring)) != ring) {
		ring->wrong += !is_stamped(object);
		memset(object, 0xee, sizeof(struct stamp));
		ring->wrong += heap_free_remote(ring->heap, object) != 0;
	}
	return NULL;
}

static uint64_t steps(void)
{
	const char *value = getenv("HEAP_TEST_STEPS");

	return value ? strtoull(value, NULL, 0) : 300000;
}

static size_t random_size(uint64_t *random)
{
	uint64_t choice;

	*random = *random * 6364136223846793005u + 1442695040888963407u;
	choice = *random >> 33;
	if (choice % 1000 == 0)
		return 250000 + choice % 500000;
	if (choice % 50 == 0)
		return 5000 + choice % 100000;
	return 2 * sizeof(struct stamp) + choice % 2000;
}

static void *alloc_patiently(struct heap *heap, size_t size)
{
	void *object;

	while ((object = heap_alloc(heap, size)) == NULL)
		sched_yield();
	return object;
}

static void owner_loop(struct heap *heap, struct ring *rings)
{
	uint64_t random = 1;

	for (uint64_t i = 0; i < steps(); i++) {
		size_t size = random_size(&random);
		unsigned char *object = alloc_patiently(heap, size);

		stamp(object, size);
		if (i % 5 == 0) {
			assert_int_equal(heap_free(heap, object), 0);
			continue;
		}
		if (i % 7 == 0)
			heap_hold(heap, object);
		ring_put(&rings[i % FREEING_THREADS], object);
		if (i % 7 == 0)
			heap_release(heap, object);
		if (i % 1000 == 0)
			heap_collect(heap);
		if (i % 10007 == 0)
			heap_trim(heap);
	}
}

static void heap_free_remote__from_threads_while_the_owner_works(void **state)
{
	static struct ring rings[FREEING_THREADS];
	struct heap *heap = *state;
	pthread_t threads[FREEING_THREADS];

	memset(rings, 0, sizeof(rings));
	for (size_t i = 0; i < FREEING_THREADS; i++) {
		rings[i].heap = heap;
		assert_int_equal(pthread_create(&threads[i], NULL, free_from_ring, &rings[i]), 0);
	}
	owner_loop(heap, rings);
	for (size_t i = 0; i < FREEING_THREADS; i++)
		ring_put(&rings[i], &rings[i]);
	for (size_t i = 0; i < FREEING_THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(rings[i].wrong, 0);
	}
	assert_int_equal(wrong_frees, 0);
	assert_true(heap_is_empty(heap));
	assert_int_equal(remote_frees(heap), steps() - (steps() + 4) / 5);
}

/* All at once free the same objects: one of them succeeds. */
#define CONTENDED 2000u

struct contender {
	struct heap *heap;
	void **objects;
	unsigned int freed;
	unsigned int already;
};

static void *free_all_of_them(void *argument)
{
	struct contender *contender = argument;

	for (size_t i = 0; i < CONTENDED; i++) {
		int error = heap_free_remote(contender->heap, contender->objects[i]);

		contender->freed += error == 0;
		contender->already += error == -EALREADY;
	}
	return NULL;
}

static void heap_free_remote__of_one_object_by_threads_succeeds_once(void **state)
{
	static void *objects[CONTENDED];
	struct contender contenders[FREEING_THREADS];
	struct heap *heap = *state;
	pthread_t threads[FREEING_THREADS];
	unsigned int freed = 0;

	for (size_t i = 0; i < CONTENDED; i++)
		objects[i] = heap_alloc(heap, i % 100 ? 100 + i % 3000 : 300000);
	for (size_t i = 0; i < FREEING_THREADS; i++) {
		contenders[i] = (struct contender){.heap = heap, .objects = objects};
		assert_int_equal(
			pthread_create(&threads[i], NULL, free_all_of_them, &contenders[i]), 0);
	}
	for (size_t i = 0; i < FREEING_THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		freed += contenders[i].freed;
		assert_int_equal(contenders[i].freed + contenders[i].already, CONTENDED);
	}
	assert_int_equal(freed, CONTENDED);
	assert_true(heap_is_empty(heap));
	assert_int_equal(wrong_frees, 0);
}

#define test_with(function, kind, suffix)                                     \
	{                                                                     \
#function suffix, function, kind##_setup, heap_teardown, NULL \
	}
#define plain_test(function) test_with(function, plain, "")
#define both_tests(function) plain_test(function), test_with(function, checked, ", checked")

int main(void)
{
	const struct CMUnitTest tests[] = {
		both_tests(heap_free_remote__lives_until_it_is_collected),
		both_tests(heap_free_remote__refuses_what_starts_no_object),
		both_tests(heap_free_remote__inside_a_large_object_is_einval),
		both_tests(heap_free_remote__of_a_never_allocated_object_is_einval),
		both_tests(heap_free_remote__twice_is_ealready),
		both_tests(heap_free_remote__then_by_the_owner_is_told),
		both_tests(heap_free_remote__after_the_owner_is_told),
		both_tests(heap_free_remote__of_a_held_object_waits_for_the_release),
		both_tests(heap_free_remote__of_a_held_object_twice_is_told),
		both_tests(heap_collect__frees_whole_superblocks_in_any_order),
		both_tests(heap_alloc__collects_before_it_runs_out),
		both_tests(heap_collect__ignores_late_entries_of_recycled_units),
		plain_test(heap_collect__finds_frees_in_units_with_late_entries),
		both_tests(heap_collect__takes_bits_that_come_after_an_entry),
		plain_test(heap_alloc__of_a_large_object_forgets_what_was_freed_there),
		both_tests(heap_free_remote__from_threads_while_the_owner_works),
		both_tests(heap_free_remote__of_one_object_by_threads_succeeds_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
