/* SPDX-License-Identifier: MIT */
/* Heap objects that go from thread to thread, and those that outlive their thread. */
#include "common.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#define OBJECTS 1000

static size_t size_of(size_t i)
{
	static const size_t sizes[] = {1, 16, 60, 100, 500, 1500, 5000, 20000, 120000, 300000};

	return sizes[i % COUNT_OF(sizes)] + i % 7;
}

/* ---- A thread that makes objects and keeps its runtime until it is told ---- */

struct maker {
	pthread_t thread;
	pthread_barrier_t barrier;
	size_t count;
	bool with_runtime;
	bool ends_first; /* ends its runtime before the objects are freed */
	bool failed;
	unsigned char *objects[OBJECTS];
	demi_heap_stats_t before, after;
};

static void *make(void *argument)
{
	struct maker *maker = argument;

	if (maker->with_runtime && demi_init(NULL) != 0)
		maker->failed = true;
	if (maker->with_runtime && demi_heap_stats(&maker->before) != 0)
		maker->failed = true;
	for (size_t i = 0; i < maker->count; i++) {
		maker->objects[i] = demi_malloc(size_of(i));
		if (maker->objects[i])
			pattern_fill(maker->objects[i], size_of(i), (unsigned int)i, 0);
		else
			maker->failed = true;
	}
	if (maker->ends_first)
		demi_fini();
	pthread_barrier_wait(&maker->barrier);
	pthread_barrier_wait(&maker->barrier);
	if (maker->with_runtime && !maker->ends_first && demi_heap_stats(&maker->after) != 0)
		maker->failed = true;
	demi_fini();
	return NULL;
}

static void maker_start(struct maker *maker)
{
	assert_int_equal(pthread_barrier_init(&maker->barrier, NULL, 2), 0);
	assert_int_equal(pthread_create(&maker->thread, NULL, make, maker), 0);
	pthread_barrier_wait(&maker->barrier);
	assert_false(maker->failed);
}

static void maker_end(struct maker *maker)
{
	pthread_barrier_wait(&maker->barrier);
	assert_int_equal(pthread_join(maker->thread, NULL), 0);
	pthread_barrier_destroy(&maker->barrier);
	assert_false(maker->failed);
}

static void check_and_free(struct maker *maker)
{
	for (size_t i = 0; i < maker->count; i++) {
		assert_true(demi_malloc_usable_size(maker->objects[i]) >= size_of(i));
		pattern_check(maker->objects[i], size_of(i), (unsigned int)i, 0);
		demi_free(maker->objects[i]);
	}
}

static struct maker *maker_new(size_t count, bool with_runtime, bool ends_first)
{
	static struct maker maker;

	memset(&maker, 0, sizeof(maker));
	maker.count = count;
	maker.with_runtime = with_runtime;
	maker.ends_first = ends_first;
	return &maker;
}

/* ---- Frees by others ---- */

static void free_remotely(void)
{
	struct maker *maker = maker_new(OBJECTS, true, false);

	maker_start(maker);
	check_and_free(maker);
	maker_end(maker);
	assert_int_equal(maker->after.remote_frees - maker->before.remote_frees, OBJECTS);
	assert_int_equal(maker->after.objects, maker->before.objects);
	assert_int_equal(maker->after.bytes_in_use, maker->before.bytes_in_use);
	assert_int_equal(maker->before.remote_frees, 0);
}

static void threads__a_runtimes_thread_frees_objects_of_another(void **state)
{
	(void)state;
	for (int round = 0; round < 3; round++)
		free_remotely();
}

static void threads__a_thread_without_runtime_frees_objects_of_one(void **state)
{
	(void)state;
	for (int round = 0; round < 3; round++)
		free_remotely();
}

static void threads__a_runtimes_thread_frees_objects_of_none(void **state)
{
	struct maker *maker = maker_new(OBJECTS, false, false);

	(void)state;
	maker_start(maker);
	check_and_free(maker);
	maker_end(maker);
}

static void threads__objects_of_another_are_resized(void **state)
{
	struct maker *maker = maker_new(OBJECTS / 4, true, false);

	(void)state;
	maker_start(maker);
	for (size_t i = 0; i < maker->count; i++) {
		unsigned char *object = demi_realloc(maker->objects[i], 3 * size_of(i) + 1);

		assert_non_null(object);
		pattern_check(object, size_of(i), (unsigned int)i, 0);
		demi_free(object);
	}
	maker_end(maker);
	assert_int_equal(maker->after.objects, maker->before.objects);
}

/* What others have freed is used again, without the owner asking for statistics. */
static void *exhaust(void *argument)
{
	struct maker *maker = argument;

	for (int round = 0; round < 20 && !maker->failed; round++) {
		for (size_t i = 0; i < 30; i++) {
			maker->objects[i] = demi_malloc(MIB);
			maker->failed |= !maker->objects[i];
		}
		pthread_barrier_wait(&maker->barrier);
		pthread_barrier_wait(&maker->barrier);
	}
	return NULL;
}

static void *exhaust_with_runtime(void *argument)
{
	struct maker *maker = argument;

	maker->failed = demi_init(NULL) != 0;
	exhaust(maker);
	demi_fini();
	maker->ends_first = true;
	pthread_barrier_wait(&maker->barrier);
	return NULL;
}

static void threads__memory_freed_by_others_is_used_again(void **state)
{
	struct maker *maker = maker_new(30, true, false);

	(void)state;
	option_set("DEMI_HEAP_MAX_BYTES", "48M");
	assert_int_equal(pthread_barrier_init(&maker->barrier, NULL, 2), 0);
	assert_int_equal(pthread_create(&maker->thread, NULL, exhaust_with_runtime, maker), 0);
	for (;;) {
		pthread_barrier_wait(&maker->barrier);
		if (maker->ends_first)
			break;
		for (size_t i = 0; i < 30; i++)
			demi_free(maker->objects[i]);
		pthread_barrier_wait(&maker->barrier);
	}
	assert_int_equal(pthread_join(maker->thread, NULL), 0);
	pthread_barrier_destroy(&maker->barrier);
	assert_false(maker->failed);
}

/* ---- Many threads without a runtime ---- */

#define THREADS 8
#define OPERATIONS 25000
#define PLACES 256

struct exchanged {
	size_t size;
	unsigned int seed;
	unsigned char data[];
};

static struct exchanged *places[PLACES];
static unsigned int failures;

static unsigned int next_random(unsigned int *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static bool is_intact(const struct exchanged *object)
{
	unsigned char expected[4];

	pattern_fill(expected, sizeof(expected), object->seed, 0);
	for (size_t i = 0; i < object->size; i++) {
		if (object->data[i] != (unsigned char)(expected[i % 4] + i / 4))
			return false;
	}
	return true;
}

static void fill(struct exchanged *object, size_t from, size_t size)
{
	unsigned char expected[4];

	pattern_fill(expected, sizeof(expected), object->seed, 0);
	object->size = size;
	for (size_t i = from; i < size; i++)
		object->data[i] = (unsigned char)(expected[i % 4] + i / 4);
}

static struct exchanged *new_object(unsigned int *state)
{
	size_t size = next_random(state) % (next_random(state) % 64 ? 600 : 40000);
	struct exchanged *object = next_random(state) % 4 ? demi_malloc(sizeof(*object) + size)
							  : demi_calloc(1, sizeof(*object) + size);

	if (!object)
		return NULL;
	object->seed = next_random(state);
	fill(object, 0, size);
	return object;
}

/* Grows or shrinks it, which another thread may have made. */
static struct exchanged *resized(struct exchanged *object, unsigned int *state)
{
	size_t size = next_random(state) % 2000, from = object->size;
	struct exchanged *moved = demi_realloc(object, sizeof(*object) + size);

	if (!moved)
		return object;
	if (size < from)
		moved->size = size;
	else
		fill(moved, from, size);
	return moved;
}

static void *exchange(void *argument)
{
	unsigned int random = (unsigned int)(uintptr_t)argument * 7919u + 1;

	for (int i = 0; i < OPERATIONS; i++) {
		struct exchanged **place = &places[next_random(&random) % PLACES];
		struct exchanged *object = new_object(&random);

		if (!object)
			__atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
		object = __atomic_exchange_n(place, object, __ATOMIC_ACQ_REL);
		if (!object)
			continue;
		if (!is_intact(object))
			__atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
		if (next_random(&random) % 8 == 0)
			object = resized(object, &random);
		if (!is_intact(object))
			__atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
		demi_free(object);
	}
	return NULL;
}

static void *exchange_with_runtime(void *argument)
{
	if (demi_init(NULL) != 0)
		__atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
	exchange(argument);
	demi_fini();
	return NULL;
}

static void exchange_all(unsigned int runtimes)
{
	pthread_t threads[THREADS];

	failures = 0;
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						i < runtimes ? exchange_with_runtime : exchange,
						(void *)(i + 1)),
				 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	/* Those of threads whose runtimes are over too. */
	for (size_t i = 0; i < PLACES; i++) {
		if (places[i] && !is_intact(places[i]))
			failures++;
		demi_free(places[i]);
		places[i] = NULL;
	}
	assert_int_equal(failures, 0);
}

static void threads__8_without_runtime_exchange_objects(void **state)
{
	(void)state;
	exchange_all(0);
}

static void threads__8_with_and_without_runtime_exchange_objects(void **state)
{
	(void)state;
	exchange_all(4);
	exchange_all(8);
}

/* ---- Objects that outlive their runtime ---- */

static void outlive(int rounds, size_t count)
{
	for (int round = 0; round < rounds; round++) {
		struct maker *maker = maker_new(count, true, true);

		maker_start(maker);
		if (round % 2)
			maker_end(maker);
		check_and_free(maker);
		if (round % 2 == 0)
			maker_end(maker);
	}
}

static void check_memory_goes_back(void)
{
	size_t mapped, resident;

	outlive(6, 100);
	mapped = mapped_bytes();
	resident = resident_bytes();
	outlive(50, 100);
	/* Each round used 4 MiB of a range of 4 GiB. */
	assert_in_range(resident_bytes(), 0, resident + 48 * MIB);
	assert_in_range(mapped_bytes(), 0, mapped + 6144 * MIB);
}

static void threads__memory_of_ended_runtimes_goes_back(void **state)
{
	(void)state;
	check_memory_goes_back();
}

static void threads__memory_of_ended_runtimes_goes_back_with_protection(void **state)
{
	(void)state;
	option_set("DEMI_HEAP_PROTECT", "on");
	check_memory_goes_back();
}

static void threads__objects_kept_for_long_do_not_keep_more_than_their_heap(void **state)
{
	struct maker *maker = maker_new(10, true, true);
	unsigned char *kept[10];

	(void)state;
	for (size_t round = 0; round < COUNT_OF(kept); round++) {
		maker_start(maker);
		kept[round] = maker->objects[round];
		maker->objects[round] = demi_malloc(size_of(round));
		pattern_fill(maker->objects[round], size_of(round), (unsigned int)round, 0);
		check_and_free(maker);
		maker_end(maker);
	}
	for (size_t round = 0; round < COUNT_OF(kept); round++) {
		pattern_check(kept[round], size_of(round), (unsigned int)round, 0);
		kept[round] = demi_realloc(kept[round], 2 * size_of(round));
		pattern_check(kept[round], size_of(round), (unsigned int)round, 0);
		demi_free(kept[round]);
	}
}

static void threads__remote_frees_count_from_the_start_of_the_runtime(void **state)
{
	demi_heap_stats_t stats;

	(void)state;
	for (int round = 0; round < 5; round++) {
		outlive(2, 50);
		check_call(demi_init(NULL), 0);
		check_call(demi_heap_stats(&stats), 0);
		assert_int_equal(stats.remote_frees, 0);
		assert_int_equal(stats.objects_large, 0);
		assert_int_equal(stats.bytes_held_only, 0);
		demi_fini();
	}
}

/* A runtime ends while another thread frees its objects. */
struct race {
	pthread_barrier_t barrier;
	void *objects[64];
	bool failed;
};

static void *end_while_freed(void *argument)
{
	struct race *race = argument;

	race->failed |= demi_init(NULL) != 0;
	for (size_t i = 0; i < COUNT_OF(race->objects); i++) {
		race->objects[i] = demi_malloc(i % 8 ? 100 : 300000);
		race->failed |= !race->objects[i];
	}
	pthread_barrier_wait(&race->barrier);
	demi_fini();
	return NULL;
}

static void threads__runtime_ends_while_others_free(void **state)
{
	static struct race race;
	size_t mapped = 0;

	(void)state;
	assert_int_equal(pthread_barrier_init(&race.barrier, NULL, 2), 0);
	for (int round = 0; round < 200; round++) {
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, end_while_freed, &race), 0);
		pthread_barrier_wait(&race.barrier);
		for (size_t i = 0; i < COUNT_OF(race.objects); i++)
			demi_free(race.objects[i]);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_false(race.failed);
		if (round == 20)
			mapped = mapped_bytes();
	}
	pthread_barrier_destroy(&race.barrier);
	assert_in_range(mapped_bytes(), 0, mapped + 12288 * MIB);
}

/* ---- Double frees across threads ---- */

static void *object_of_all;

static void *free_it(void *argument)
{
	(void)argument;
	demi_free(object_of_all);
	return NULL;
}

static void free_elsewhere(void)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, free_it, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void collect(void)
{
	demi_heap_stats_t stats;

	check_call(demi_heap_stats(&stats), 0);
}

static void free_elsewhere_twice(void *argument)
{
	check_call(demi_init(NULL), 0);
	object_of_all = demi_malloc((size_t)(uintptr_t)argument);
	free_elsewhere();
	free_elsewhere();
	_exit(3);
}

static void free_elsewhere_collected_twice(void *argument)
{
	check_call(demi_init(NULL), 0);
	object_of_all = demi_malloc((size_t)(uintptr_t)argument);
	free_elsewhere();
	collect();
	free_elsewhere();
	collect();
	_exit(3);
}

static void free_here_then_elsewhere(void *argument)
{
	check_call(demi_init(NULL), 0);
	object_of_all = demi_malloc((size_t)(uintptr_t)argument);
	demi_free(object_of_all);
	free_elsewhere();
	collect();
	_exit(3);
}

static void free_elsewhere_then_here(void *argument)
{
	check_call(demi_init(NULL), 0);
	object_of_all = demi_malloc((size_t)(uintptr_t)argument);
	free_elsewhere();
	demi_free(object_of_all);
	collect();
	_exit(3);
}

static void free_after_the_end_twice(void *argument)
{
	check_call(demi_init(NULL), 0);
	object_of_all = demi_malloc((size_t)(uintptr_t)argument);
	demi_fini();
	free_elsewhere();
	demi_free(object_of_all);
	_exit(3);
}

static void threads__double_free_across_threads_is_reported(void **state)
{
	static void (*const bodies[])(void *) = {
		free_elsewhere_twice,     free_elsewhere_collected_twice, free_here_then_elsewhere,
		free_elsewhere_then_here, free_after_the_end_twice,
	};
	static const size_t sizes[] = {100, 5000, 300000};
	static struct child child;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		for (size_t k = 0; k < COUNT_OF(sizes); k++) {
			print_message("case %zu, %zu bytes\n", i, sizes[k]);
			child_run(&child, bodies[i], (void *)sizes[k]);
			child_check_death(&child, SIGABRT, 0);
			child_check_says(&child, "demi: error: demi_free");
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		/* First: they fork before there are other threads' traces. */
		TEST_RAW(threads__double_free_across_threads_is_reported),
		TEST(threads__a_runtimes_thread_frees_objects_of_another),
		TEST_RAW(threads__a_thread_without_runtime_frees_objects_of_one),
		TEST(threads__a_runtimes_thread_frees_objects_of_none),
		TEST(threads__objects_of_another_are_resized),
		TEST_RAW(threads__memory_freed_by_others_is_used_again),
		TEST_RAW(threads__8_without_runtime_exchange_objects),
		TEST_RAW(threads__8_with_and_without_runtime_exchange_objects),
		TEST_RAW(threads__memory_of_ended_runtimes_goes_back),
		TEST_RAW(threads__memory_of_ended_runtimes_goes_back_with_protection),
		TEST_RAW(threads__objects_kept_for_long_do_not_keep_more_than_their_heap),
		TEST_RAW(threads__remote_frees_count_from_the_start_of_the_runtime),
		TEST_RAW(threads__runtime_ends_while_others_free),
	};

	return suite_main("heap_threads", true, "heap", tests, COUNT_OF(tests));
}
