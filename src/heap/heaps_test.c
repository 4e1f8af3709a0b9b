/* SPDX-License-Identifier: MIT */
/* HEAP_TEST_STEPS in the environment lengthens the runs with threads. */
#include "heap/heaps.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "heap/layout.h"

#define MIB ((size_t)1 << 20)
#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const struct heap_options options = {.bytes_max = 8 * MIB, .checks = HEAP_CHECKS_OFF};
static const struct heap_options shared_options = {.bytes_max = 64 * MIB};

static uint64_t steps(uint64_t otherwise)
{
	const char *value = getenv("HEAP_TEST_STEPS");

	return value ? strtoull(value, NULL, 0) : otherwise;
}

/* A heap of a size that no idle one has, so that it is made now. */
static struct heap *new_heap(void)
{
	static uint64_t bytes_max = 9 * MIB;
	struct heap_options unique = options;
	struct heap *heap;

	unique.bytes_max = bytes_max++;
	assert_int_equal(heaps_create(&heap, &unique), 0);
	return heap;
}

static int free_anywhere(void *object)
{
	struct heap *heap;

	return heaps_free(object, &heap);
}

/* Runs @run in another thread, until its end. */
static void in_another_thread(void *(*run)(void *), void *argument)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run, argument), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- heaps_find ---- */

static void heaps_find__finds_the_whole_range_and_no_more(void **state)
{
	struct heap *heap = new_heap();
	unsigned char *base = heap->base;

	(void)state;
	assert_ptr_equal(heaps_find(base), heap);
	assert_ptr_equal(heaps_find(base + heap->bytes - 1), heap);
	assert_null(heaps_find(base + heap->bytes));
	assert_null(heaps_find(base - 1));
	heaps_retire(heap);
	assert_null(heaps_find(base));
}

static void heaps_find__finds_each_gibibyte_of_a_big_heap(void **state)
{
	struct heap_options big = options;
	struct heap *heap;
	unsigned char *base;

	(void)state;
	big.bytes_max = ((uint64_t)5 << 30) + MIB;
	assert_int_equal(heaps_create(&heap, &big), 0);
	base = heap->base;
	for (size_t offset = 0; offset < big.bytes_max; offset += (size_t)1 << 29)
		assert_ptr_equal(heaps_find(base + offset), heap);
	assert_ptr_equal(heaps_find(base + big.bytes_max - 1), heap);
	assert_null(heaps_find(base + big.bytes_max));
	heaps_retire(heap);
	for (size_t offset = 0; offset < big.bytes_max; offset += (size_t)1 << 29)
		assert_null(heaps_find(base + offset));
}

static void heaps_find__null_for_other_addresses(void **state)
{
	void *object = malloc(100);
	struct heap *heap;
	int local = 0;

	(void)state;
	assert_null(heaps_find(NULL));
	assert_null(heaps_find((void *)UINTPTR_MAX));
	assert_null(heaps_find((void *)((uintptr_t)1 << 47)));
	assert_null(heaps_find((void *)((uintptr_t)1 << 56)));
	assert_null(heaps_find((void *)(((uintptr_t)1 << 47) - 1)));
	assert_null(heaps_find(&local));
	assert_null(heaps_find(object));
	assert_null(heaps_find(&options));
	heap = &heaps_none;
	assert_int_equal(heaps_free(object, &heap), -EFAULT);
	assert_null(heap);
	free(object);
}

static void heaps_none__has_nothing_and_owns_nothing(void **state)
{
	int local = 0;

	(void)state;
	assert_false(heap_owns(&heaps_none, NULL));
	assert_false(heap_owns(&heaps_none, &local));
	assert_int_equal(heap_free(&heaps_none, &local), -EFAULT);
	assert_int_equal(heap_free(&heaps_none, NULL), -EFAULT);
	assert_int_equal(heap_usable_size(&heaps_none, &local), 0);
	assert_null(heap_object(&heaps_none, &local));
	assert_false(heap_has_remote(&heaps_none));
}

static void heaps_create__refuses_what_heap_create_refuses(void **state)
{
	struct heap *heap;

	(void)state;
	assert_int_equal(heaps_create(&heap, &(struct heap_options){0}), -EINVAL);
}

/* ---- heaps_retire ---- */

static void heaps_retire__keeps_a_heap_until_its_last_object_is_freed(void **state)
{
	static const size_t sizes[] = {1, 500, 100000, 3 * MIB};
	unsigned int kept = heaps_kept();
	struct heap *heap = new_heap();
	void *objects[ARRAY_LENGTH(sizes)];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++)
		objects[i] = heap_alloc(heap, sizes[i]);
	heaps_retire(heap);
	for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
		assert_int_equal(heaps_kept(), kept + 1);
		assert_ptr_equal(heaps_find(objects[i]), heap);
		assert_int_equal(free_anywhere((char *)objects[i] + 1), -EINVAL);
		assert_int_equal(free_anywhere(objects[i]), 0);
	}
	assert_int_equal(heaps_kept(), kept);
}

static void heaps_free__of_an_owned_heap_waits_for_its_owner(void **state)
{
	struct heap *heap = new_heap();
	void *object = heap_alloc(heap, 100);
	struct heap *found;

	(void)state;
	assert_int_equal(heaps_free(object, &found), 0);
	assert_ptr_equal(found, heap);
	assert_int_equal(heaps_free(object, &found), -EALREADY);
	assert_true(heap_has_remote(heap));
	heap_collect(heap);
	assert_true(heap_is_empty(heap));
	heaps_retire(heap);
}

static void heaps_retire__collects_first(void **state)
{
	unsigned int kept = heaps_kept();
	struct heap *heap = new_heap();

	(void)state;
	assert_int_equal(free_anywhere(heap_alloc(heap, 100)), 0);
	assert_int_equal(free_anywhere(heap_alloc(heap, MIB)), 0);
	heaps_retire(heap);
	assert_int_equal(heaps_kept(), kept);
}

static void heaps_free__twice_of_a_retired_heap_is_an_error(void **state)
{
	unsigned int kept = heaps_kept();
	struct heap *heap = new_heap();
	void *first = heap_alloc(heap, 100);
	void *last = heap_alloc(heap, 100);

	(void)state;
	heaps_retire(heap);
	assert_int_equal(free_anywhere(first), 0);
	assert_int_equal(free_anywhere(first), -EALREADY);
	assert_int_equal(free_anywhere(last), 0);
	assert_true(free_anywhere(last) < 0);
	assert_true(free_anywhere(first) < 0);
	assert_int_equal(heaps_kept(), kept);
}

static void heaps_create__uses_an_idle_heap_again(void **state)
{
	struct heap *heap, *again, *other;
	struct heap_options changed = options;
	unsigned char *object;

	(void)state;
	assert_int_equal(heaps_create(&heap, &options), 0);
	object = heap_alloc(heap, 4 * MIB);
	memset(object, 0xff, 4 * MIB);
	heaps_retire(heap);
	assert_int_equal(free_anywhere(object), 0);
	changed.checks = HEAP_CHECKS_ON;
	assert_int_equal(heaps_create(&other, &changed), 0);
	assert_ptr_not_equal(other, heap);
	assert_int_equal(heap_usable_size(other, heap_alloc(other, 100)), 100);
	assert_int_equal(heaps_create(&again, &options), 0);
	assert_ptr_equal(again, heap);
	assert_ptr_equal(heaps_find(object), heap);
	object = heap_alloc_zeroed(again, 4 * MIB);
	assert_int_equal(object[0], 0);
	assert_memory_equal(object, object + 1, 4 * MIB - 1);
	assert_int_equal(heap_free(again, object), 0);
	heaps_retire(again);
	assert_int_equal(heaps_create(&again, &options), 0);
	assert_ptr_equal(again, heap);
	heaps_retire(again);
}

/* Write protection has its own idea of huge pages. */
static void heaps_create__uses_an_idle_protected_heap_again(void **state)
{
	struct heap_options protected = options;
	struct heap *heap, *again;

	(void)state;
	protected.protect = true;
	assert_int_equal(heaps_create(&heap, &protected), 0);
	assert_int_equal(free_anywhere(heap_alloc(heap, 100)), 0);
	heaps_retire(heap);
	assert_int_equal(heaps_create(&again, &protected), 0);
	assert_ptr_equal(again, heap);
	heaps_retire(again);
}

/*
 * A thread set its bit, another one's entry made the owner collect it, and the owner retired: the
 * heap is idle when the slow thread enters the unit in the list and sees that there is no owner.
 */
static void heaps_collect__lets_an_idle_heap_rest(void **state)
{
	unsigned int kept = heaps_kept();
	struct heap *heap = new_heap();
	struct heap_options its_options = heap->options;
	struct heap *first, *second;
	void *object = heap_alloc(heap, 100);
	struct unit *unit = unit_at(heap, object);

	(void)state;
	assert_int_equal(free_anywhere(object), 0);
	heaps_retire(heap);
	unit->remote_next = REMOTE_LAST;
	heap->remote_head = unit_index(heap, unit) + 1;
	heaps_collect(heap);
	assert_int_equal(heaps_kept(), kept);
	assert_int_equal(heaps_create(&first, &its_options), 0);
	assert_int_equal(heaps_create(&second, &its_options), 0);
	assert_ptr_equal(first, heap);
	assert_ptr_not_equal(second, heap);
	heaps_retire(first);
	heaps_retire(second);
}

/* ---- heaps_disown ---- */

static void heaps_disown__keeps_the_heap_until_it_is_empty(void **state)
{
	unsigned int kept = heaps_kept();
	struct heap *heap = new_heap();
	void *object = heap_alloc(heap, 100);
	void *held = heap_alloc(heap, 100);

	(void)state;
	heap_hold(heap, held);
	heaps_disown(heap, true);
	assert_int_equal(heaps_kept(), kept + 1);
	assert_int_equal(free_anywhere(object), 0);
	assert_int_equal(free_anywhere(held), 0);
	assert_int_equal(heaps_kept(), kept + 1);
	assert_ptr_equal(heaps_find(held), heap);
	assert_ptr_equal(heap_object(heap, held), held);
}

/* Another thread's heap may be in any state: an object's own state is all that changes. */
static void heaps_disown__of_another_threads_heap_reuses_nothing(void **state)
{
	static const size_t sizes[] = {16, 100, 5000, 200000};
	unsigned int kept = heaps_kept();
	struct heap *heap = new_heap();
	struct heap_stats before, after;
	void *objects[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		objects[i] = heap_alloc(heap, sizes[i]);
	heap_get_stats(heap, &before);
	heaps_disown(heap, false);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(free_anywhere(objects[i]), 0);
		assert_int_equal(free_anywhere(objects[i]), -EALREADY);
		assert_int_equal(free_anywhere((char *)objects[i] + 1), -EINVAL);
	}
	heap_get_stats(heap, &after);
	assert_int_equal(after.bytes_reserved, before.bytes_reserved);
	assert_int_equal(after.objects, before.objects);
	assert_int_equal(heaps_kept(), kept + 1);
}

/* ---- Threads without a runtime ---- */

static void *shared_alloc(size_t size)
{
	return heaps_shared_alloc(&shared_options, 1, size, false);
}

static void heaps_shared_alloc__serves_and_takes_back(void **state)
{
	static const size_t sizes[] = {0, 1, 100, 5000, 200000};
	struct heap *heap;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
		unsigned char *object = shared_alloc(sizes[i]);
		unsigned char *aligned = heaps_shared_alloc(&shared_options, 4096, sizes[i], false);

		assert_non_null(object);
		assert_int_equal((uintptr_t)aligned % 4096, 0);
		memset(object, 0xff, sizes[i]);
		assert_int_equal(heaps_free(object, &heap), 0);
		assert_ptr_equal(heap, heaps_find(object));
		assert_true(free_anywhere(object) < 0);
		assert_int_equal(free_anywhere(aligned), 0);
		object = heaps_shared_alloc(&shared_options, 1, sizes[i], true);
		for (size_t j = 0; j < sizes[i]; j++)
			assert_int_equal(object[j], 0);
		assert_int_equal(free_anywhere(object), 0);
	}
	assert_true(heaps_shared_exists());
	assert_null(shared_alloc(64 * MIB + 1));
}

static void *use_shared(void *argument)
{
	uint64_t *wrong = argument;
	unsigned char *objects[64] = {NULL};
	uint64_t random = (uintptr_t)argument | 1;

	for (uint64_t i = 0; i < steps(20000); i++) {
		size_t place, size;

		random = random * 6364136223846793005u + 1442695040888963407u;
		place = (random >> 33) % ARRAY_LENGTH(objects);
		size = 1 + (random >> 40) % 3000;
		if (objects[place]) {
			*wrong += objects[place][0] != (unsigned char)place;
			*wrong += free_anywhere(objects[place]) != 0;
			objects[place] = NULL;
		} else if ((objects[place] = shared_alloc(size)) != NULL) {
			memset(objects[place], (int)place, size);
		}
	}
	for (size_t i = 0; i < ARRAY_LENGTH(objects); i++)
		*wrong += objects[i] && free_anywhere(objects[i]) != 0;
	return NULL;
}

static void heaps_shared_alloc__serves_several_threads(void **state)
{
	pthread_t threads[4];
	uint64_t wrong[4] = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use_shared, &wrong[i]), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(wrong[i], 0);
	}
}

/* ---- Fork ---- */

static bool ends; /* atomic */

static void *hammer(void *argument)
{
	(void)argument;
	while (!__atomic_load_n(&ends, __ATOMIC_RELAXED))
		free_anywhere(shared_alloc(100));
	return NULL;
}

static int child_uses_the_heaps(void *inherited)
{
	alarm(30); /* a lock that is held for ever */
	for (size_t i = 0; i < 100; i++) {
		void *object = shared_alloc(i * 100);

		if (!object || free_anywhere(object) != 0)
			return 1;
	}
	return free_anywhere(inherited) == 0 ? 0 : 2;
}

static void heaps__work_in_a_child_whatever_held_the_lock(void **state)
{
	void *object = shared_alloc(100);
	pthread_t threads[2];

	(void)state;
	ends = false;
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, NULL), 0);
	for (size_t i = 0; i < 50; i++) {
		pid_t child = fork();
		int status;

		if (child == 0)
			_exit(child_uses_the_heaps(object));
		assert_true(child > 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	__atomic_store_n(&ends, true, __ATOMIC_RELAXED);
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(free_anywhere(object), 0);
}

/* ---- Threads that come and go and free each other's objects ---- */

#define MAILBOXES 64u

static void *mailboxes[MAILBOXES]; /* atomic */

struct worker {
	uint64_t random;
	uint64_t wrong;
};

static uint64_t worker_random(struct worker *worker, uint64_t below)
{
	worker->random = worker->random * 6364136223846793005u + 1442695040888963407u;
	return (worker->random >> 33) % below;
}

/* Leaves an object in a mailbox, or NULL, and frees what lay there, whosever it is. */
static void exchange(struct worker *worker, void *object)
{
	void **mailbox = &mailboxes[worker_random(worker, MAILBOXES)];
	void *found = __atomic_exchange_n(mailbox, object, __ATOMIC_ACQ_REL);
	void *itself;

	if (!found)
		return;
	memcpy(&itself, found, sizeof(itself));
	worker->wrong += itself != found;
	worker->wrong += free_anywhere(found) != 0;
}

static void live_and_retire(struct worker *worker)
{
	struct heap *heap;

	if (heaps_create(&heap, &options) != 0) {
		worker->wrong++;
		return;
	}
	for (uint64_t i = worker_random(worker, 60); i > 0; i--) {
		size_t size = sizeof(void *) + worker_random(worker, i % 16 ? 3000 : 400000);
		void *object = heap_alloc(heap, size);

		if (object)
			memcpy(object, &object, sizeof(void *));
		exchange(worker, object);
	}
	heaps_retire(heap);
}

static void *come_and_go(void *argument)
{
	for (uint64_t i = 0; i < steps(1000); i++)
		live_and_retire(argument);
	return NULL;
}

static void heaps__of_threads_that_come_and_go(void **state)
{
	struct worker workers[4], last = {.random = 7};
	pthread_t threads[ARRAY_LENGTH(workers)];
	unsigned int kept = heaps_kept();

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(workers); i++) {
		workers[i] = (struct worker){.random = i};
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &workers[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(workers); i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(workers[i].wrong, 0);
	}
	for (size_t i = 0; i < MAILBOXES; i++) {
		if (mailboxes[i])
			last.wrong += free_anywhere(mailboxes[i]) != 0;
		mailboxes[i] = NULL;
	}
	assert_int_equal(last.wrong, 0);
	assert_int_equal(heaps_kept(), kept);
}

static void *free_it(void *object)
{
	return free_anywhere(object) == 0 ? object : NULL;
}

static void heaps_free__by_another_thread_ends_a_retired_heap(void **state)
{
	unsigned int kept = heaps_kept();
	struct heap *heap = new_heap();
	void *object = heap_alloc(heap, 500);

	(void)state;
	heaps_retire(heap);
	assert_int_equal(heaps_kept(), kept + 1);
	in_another_thread(free_it, object);
	assert_int_equal(heaps_kept(), kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heaps_find__finds_the_whole_range_and_no_more),
		cmocka_unit_test(heaps_find__finds_each_gibibyte_of_a_big_heap),
		cmocka_unit_test(heaps_find__null_for_other_addresses),
		cmocka_unit_test(heaps_none__has_nothing_and_owns_nothing),
		cmocka_unit_test(heaps_create__refuses_what_heap_create_refuses),
		cmocka_unit_test(heaps_retire__keeps_a_heap_until_its_last_object_is_freed),
		cmocka_unit_test(heaps_free__of_an_owned_heap_waits_for_its_owner),
		cmocka_unit_test(heaps_retire__collects_first),
		cmocka_unit_test(heaps_free__twice_of_a_retired_heap_is_an_error),
		cmocka_unit_test(heaps_create__uses_an_idle_heap_again),
		cmocka_unit_test(heaps_create__uses_an_idle_protected_heap_again),
		cmocka_unit_test(heaps_collect__lets_an_idle_heap_rest),
		cmocka_unit_test(heaps_disown__keeps_the_heap_until_it_is_empty),
		cmocka_unit_test(heaps_disown__of_another_threads_heap_reuses_nothing),
		cmocka_unit_test(heaps_shared_alloc__serves_and_takes_back),
		cmocka_unit_test(heaps_shared_alloc__serves_several_threads),
		cmocka_unit_test(heaps__work_in_a_child_whatever_held_the_lock),
		cmocka_unit_test(heaps_free__by_another_thread_ends_a_retired_heap),
		cmocka_unit_test(heaps__of_threads_that_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
