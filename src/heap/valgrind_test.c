/* SPDX-License-Identifier: MIT */
/*
 * Runs itself under valgrind with a mistake as its argument: memcheck must find each of them, and
 * nothing in a program that makes none.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "heap/checked.h"

#define SKIPPED 77
#define FOUND 9 /* valgrind's exit status when it has found something */
#define NO_VALGRIND 127
#define UNCHECKED 3 /* the library was built without the headers of valgrind */
#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* ---- What runs under valgrind ---- */

static struct heap *heap;
static void *volatile kept; /* what is reached from here is no leak */

static const size_t sizes[] = {1, 24, 100, 5000, 100000, 300000};

static void make_no_mistake(void)
{
	for (size_t i = 0; i < 3 * ARRAY_LENGTH(sizes); i++) {
		size_t size = sizes[i % ARRAY_LENGTH(sizes)];
		unsigned char *object = heap_alloc(heap, size);
		unsigned char *aligned = heap_alloc_aligned(heap, 4096, size);
		unsigned char *zeroed = heap_alloc_zeroed(heap, size);

		memset(object, 1, size);
		memset(aligned, 2, size);
		if (zeroed[0] + zeroed[size - 1] != 0)
			abort();
		heap_hold(heap, object);
		heap_free(heap, object);
		object[size - 1] = 1;
		heap_release(heap, object);
		heap_free(heap, aligned);
		heap_free_remote(heap, zeroed);
		heap_collect(heap);
	}
	heap_trim(heap);
	if (!heap_is_empty(heap))
		abort();
}

static void write_after_free(size_t size)
{
	volatile unsigned char *object = heap_alloc(heap, size);

	heap_free(heap, (void *)object);
	object[size - 1] = 1;
}

static void write_behind(size_t size)
{
	volatile unsigned char *object = heap_alloc(heap, size);

	object[size] = 1;
	heap_free(heap, (void *)object);
}

static void read_uninitialised(size_t size)
{
	volatile unsigned char *object = heap_alloc(heap, size);

	if (object[size - 1] == 17)
		kept = heap;
	heap_free(heap, (void *)object);
}

/* The superblock knows its first object, so that one is never lost. */
static __attribute__((noinline)) void leak(size_t size)
{
	for (size_t i = 0; i < 8; i++)
		memset(heap_alloc(heap, size), 0, size);
}

static void make_mistake(const char *mistake, size_t size)
{
	if (strcmp(mistake, "after-free") == 0)
		write_after_free(size);
	else if (strcmp(mistake, "behind") == 0)
		write_behind(size);
	else if (strcmp(mistake, "uninitialised") == 0)
		read_uninitialised(size);
	else if (strcmp(mistake, "leak") == 0)
		leak(size);
	else
		make_no_mistake();
}

static int run_mistake(const char *mistake, size_t size)
{
	struct heap_options options = {.bytes_max = 16 << 20};

	if (heap_create(&heap, &options) != 0)
		return 2;
	if (!checked_tool_present())
		return UNCHECKED;
	kept = heap;
	make_mistake(mistake, size);
	/* With the heap all of its objects would end. */
	if (strcmp(mistake, "leak") != 0)
		heap_destroy(heap);
	return 0;
}

/* ---- The test ---- */

static const char *self;

static int under_valgrind(const char *mistake, size_t size)
{
	char number[32];
	int status;
	pid_t child;

	snprintf(number, sizeof(number), "%zu", size);
	child = fork();
	if (child == 0) {
		execlp("valgrind", "valgrind", "-q", "--error-exitcode=9", "--leak-check=full",
		       "--errors-for-leak-kinds=definite", self, mistake, number, (char *)NULL);
		_exit(NO_VALGRIND);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void valgrind__finds_nothing_in_the_heap_itself(void **state)
{
	(void)state;
	assert_int_equal(under_valgrind("none", 0), 0);
}

static void assert_found(const char *mistake)
{
	for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
		if (under_valgrind(mistake, sizes[s]) != FOUND)
			fail_msg("%s of %zu bytes not found", mistake, sizes[s]);
	}
}

static void valgrind__finds_writes_after_free(void **state)
{
	(void)state;
	assert_found("after-free");
}

static void valgrind__finds_writes_behind_the_requested_size(void **state)
{
	(void)state;
	assert_found("behind");
}

static void valgrind__finds_uses_of_uninitialised_memory(void **state)
{
	(void)state;
	assert_found("uninitialised");
}

static void valgrind__finds_leaks(void **state)
{
	(void)state;
	assert_found("leak");
}

/* Says why and returns false when this cannot be tested here. */
static bool can_run(void)
{
	int status;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	puts("skip: a sanitizer and valgrind do not go together");
	return false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	puts("skip: a sanitizer and valgrind do not go together");
	return false;
#endif
#endif
	status = under_valgrind("none", 0);
	if (status == NO_VALGRIND)
		puts("skip: there is no valgrind");
	if (status == UNCHECKED)
		puts("skip: built without valgrind's headers");
	return status != NO_VALGRIND && status != UNCHECKED;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valgrind__finds_nothing_in_the_heap_itself),
		cmocka_unit_test(valgrind__finds_writes_after_free),
		cmocka_unit_test(valgrind__finds_writes_behind_the_requested_size),
		cmocka_unit_test(valgrind__finds_uses_of_uninitialised_memory),
		cmocka_unit_test(valgrind__finds_leaks),
	};

	if (argc == 3)
		return run_mistake(argv[1], strtoull(argv[2], NULL, 10));
	self = argv[0];
	if (!can_run())
		return SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
