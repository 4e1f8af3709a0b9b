/* SPDX-License-Identifier: MIT */
/* malloc and its family by the C library's rules, and what happens to wrong pointers. */
#include "common.h"

#include <signal.h>
#include <stdalign.h>

/* Around the borders of size classes, and above the largest one. */
static const size_t sizes[] = {
	1,    2,     15,     16,     17,     31,     48,     49,      63,      64,      65,
	127,  128,   129,    256,    257,    1000,   1024,   1025,    4095,    4096,    4097,
	5000, 65536, 114688, 114689, 262144, 262145, 300000, 1048576, 2097152, 2097153, 3u << 20};

static bool is_aligned(const void *object, size_t alignment)
{
	return ((uintptr_t)object & (alignment - 1)) == 0;
}

/* ---- Allocating ---- */

static void heap__malloc_aligns_and_gives_what_was_asked_for(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		unsigned char *object = demi_malloc(sizes[i]);
		size_t usable = demi_malloc_usable_size(object);

		assert_non_null(object);
		assert_true(is_aligned(object, sizes[i] >= 64 ? 64 : 16));
		assert_true(usable >= sizes[i]);
		pattern_fill(object, usable, 1, i);
		pattern_check(object, usable, 1, i);
		demi_free(object);
	}
}

static void heap__size_0_gives_unique_objects(void **state)
{
	void *objects[100];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(objects); i++) {
		objects[i] = i % 3 == 0   ? demi_malloc(0)
			     : i % 3 == 1 ? demi_calloc(i % 2, 0)
					  : demi_memalign(64, 0);
		assert_non_null(objects[i]);
		for (size_t k = 0; k < i; k++)
			assert_ptr_not_equal(objects[i], objects[k]);
	}
	for (size_t i = 0; i < COUNT_OF(objects); i++)
		demi_free(objects[i]);
}

static void heap__objects_do_not_overlap(void **state)
{
	unsigned char *objects[COUNT_OF(sizes)][3];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		for (size_t k = 0; k < 3; k++) {
			objects[i][k] = demi_malloc(sizes[i]);
			assert_non_null(objects[i][k]);
			pattern_fill(objects[i][k], sizes[i], (unsigned int)(3 * i + k), 0);
		}
	}
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		for (size_t k = 0; k < 3; k++) {
			pattern_check(objects[i][k], sizes[i], (unsigned int)(3 * i + k), 0);
			demi_free(objects[i][k]);
		}
	}
}

static void check_zero(const unsigned char *object, size_t size)
{
	for (size_t i = 0; i < size; i++)
		assert_int_equal(object[i], 0);
}

static void heap__calloc_zeroes_reused_memory_too(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		for (int again = 0; again < 3; again++) {
			unsigned char *dirty = demi_malloc(sizes[i]), *object;

			assert_non_null(dirty);
			memset(dirty, 0xa5, sizes[i]);
			demi_free(dirty);
			object = again % 2 ? demi_calloc(1, sizes[i]) : demi_calloc(sizes[i], 1);
			assert_non_null(object);
			check_zero(object, sizes[i]);
			memset(object, 0x5a, sizes[i]);
			demi_free(object);
		}
	}
}

static void check_refused(void *object)
{
	assert_null(object);
	assert_int_equal(errno, ENOMEM);
	errno = 0;
}

static void heap__impossible_sizes_are_enomem(void **state)
{
	static const size_t impossible[] = {SIZE_MAX,        SIZE_MAX - 1,         SIZE_MAX - 15,
					    SIZE_MAX / 2,    PTRDIFF_MAX,          SIZE_MAX - 4096,
					    (size_t)1 << 63, ((size_t)1 << 47) + 1};
	unsigned char *object = demi_malloc(1000);

	(void)state;
	assert_non_null(object);
	pattern_fill(object, 1000, 1, 0);
	errno = 0;
	for (size_t i = 0; i < COUNT_OF(impossible); i++) {
		check_refused(demi_malloc(impossible[i]));
		check_refused(demi_calloc(1, impossible[i]));
		check_refused(demi_calloc(impossible[i], 1));
		check_refused(demi_memalign(16, impossible[i]));
		check_refused(demi_memalign(2 * MIB, impossible[i]));
		check_refused(demi_realloc(NULL, impossible[i]));
		check_refused(demi_realloc(object, impossible[i]));
	}
	check_refused(demi_calloc(SIZE_MAX, SIZE_MAX));
	check_refused(demi_calloc(SIZE_MAX / 2 + 1, 2));
	check_refused(demi_calloc((size_t)1 << 32, (size_t)1 << 32));
	pattern_check(object, 1000, 1, 0);
	demi_free(object);
}

static void heap__memalign_serves_powers_of_two_to_2_mib(void **state)
{
	static const size_t some[] = {0, 1, 16, 100, 4096, 5000, 114688, 262145, 3 * MIB};

	(void)state;
	for (size_t alignment = 1; alignment <= 2 * MIB; alignment *= 2) {
		for (size_t i = 0; i < COUNT_OF(some); i++) {
			unsigned char *object = demi_memalign(alignment, some[i]);

			assert_non_null(object);
			assert_true(is_aligned(object, alignment));
			assert_true(is_aligned(object, some[i] >= 64 ? 64 : 16));
			assert_true(demi_malloc_usable_size(object) >= some[i]);
			if (some[i] > 0) {
				pattern_fill(object, some[i], 1, 0);
				object = demi_realloc(object, some[i] + 1000);
				assert_non_null(object);
				pattern_check(object, some[i], 1, 0);
			}
			demi_free(object);
		}
	}
}

static void heap__memalign_refuses_other_alignments(void **state)
{
	static const size_t wrong[] = {0, 3, 24, 4097, 4 * MIB, 3 * MIB, SIZE_MAX, (size_t)1 << 63};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		errno = 0;
		assert_null(demi_memalign(wrong[i], 100));
		assert_int_equal(errno, EINVAL);
	}
}

/* ---- Changing sizes ---- */

static void heap__realloc_keeps_the_contents(void **state)
{
	(void)state;
	for (size_t from = 0; from < COUNT_OF(sizes); from++) {
		for (size_t to = 0; to < COUNT_OF(sizes); to++) {
			size_t both = sizes[from] < sizes[to] ? sizes[from] : sizes[to];
			unsigned char *object = demi_malloc(sizes[from]);

			pattern_fill(object, sizes[from], 1, from);
			object = demi_realloc(object, sizes[to]);
			assert_non_null(object);
			pattern_check(object, both, 1, from);
			assert_true(demi_malloc_usable_size(object) >= sizes[to]);
			object[sizes[to] - 1] = 1;
			demi_free(object);
		}
	}
}

static void heap__realloc_at_its_ends(void **state)
{
	void *object = demi_realloc(NULL, 100);

	(void)state;
	assert_non_null(object);
	assert_true(demi_malloc_usable_size(object) >= 100);
	assert_null(demi_realloc(object, 0));
	object = demi_realloc(NULL, 0);
	assert_non_null(object);
	demi_free(object);
}

static void heap__failing_realloc_leaves_the_object(void **state)
{
	unsigned char *object, *grown;

	(void)state;
	option_set("DEMI_HEAP_MAX_BYTES", "16M");
	check_call(demi_init(NULL), 0);
	object = demi_malloc(5 * MIB);
	assert_non_null(object);
	pattern_fill(object, 5 * MIB, 1, 0);
	for (int again = 0; again < 3; again++) {
		errno = 0;
		assert_null(demi_realloc(object, 12 * MIB));
		assert_int_equal(errno, ENOMEM);
		pattern_check(object, 5 * MIB, 1, 0);
	}
	grown = demi_realloc(object, 6 * MIB);
	assert_non_null(grown);
	pattern_check(grown, 5 * MIB, 1, 0);
	demi_free(grown);
	/* All of it is there again. */
	object = demi_malloc(12 * MIB);
	assert_non_null(object);
	demi_free(object);
}

/* ---- errno, sizes ---- */

static void heap__errno_is_kept_on_success(void **state)
{
	unsigned char *object;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		errno = E2BIG;
		object = demi_malloc(sizes[i]);
		assert_int_equal(errno, E2BIG);
		object = demi_realloc(object, sizes[i] * 3);
		assert_int_equal(errno, E2BIG);
		assert_true(demi_malloc_usable_size(object) >= sizes[i] * 3);
		assert_int_equal(errno, E2BIG);
		demi_free(object);
		assert_int_equal(errno, E2BIG);
		object = demi_calloc(3, sizes[i]);
		assert_int_equal(errno, E2BIG);
		demi_free(object);
		object = demi_memalign(4096, sizes[i]);
		demi_free(object);
		assert_int_equal(errno, E2BIG);
	}
	demi_free(NULL);
	assert_int_equal(errno, E2BIG);
}

static void heap__usable_size_of_what_is_no_object_is_0(void **state)
{
	static char fixed[64];
	char stack[64];
	void *foreign = malloc(64), *object = demi_malloc(100);

	(void)state;
	assert_int_equal(demi_malloc_usable_size(NULL), 0);
	assert_int_equal(demi_malloc_usable_size(fixed), 0);
	assert_int_equal(demi_malloc_usable_size(stack), 0);
	assert_int_equal(demi_malloc_usable_size(foreign), 0);
	assert_int_equal(demi_malloc_usable_size((char *)object + 16), 0);
	free(foreign);
	demi_free(object);
	assert_int_equal(demi_malloc_usable_size(object), 0);
}

/* ---- Exhaustion ---- */

static void heap__everything_is_there_again_after_exhaustion(void **state)
{
	static void *objects[4096];
	size_t first = 0;

	(void)state;
	option_set("DEMI_HEAP_MAX_BYTES", "64M");
	check_call(demi_init(NULL), 0);
	for (int round = 0; round < 4; round++) {
		size_t count = 0;

		while (count < COUNT_OF(objects) && (objects[count] = demi_malloc(50000)))
			count++;
		assert_int_equal(errno, ENOMEM);
		assert_true(count > 500);
		if (round == 0)
			first = count;
		/* What the runtime itself takes may differ a little, and what is in quarantine. */
		assert_true(count + 300 >= first);
		while (count > 0)
			demi_free(objects[--count]);
		objects[0] = demi_malloc(50 * MIB);
		assert_non_null(objects[0]);
		demi_free(objects[0]);
	}
}

/* ---- Wrong pointers ---- */

static char fixed_memory[256];

/* The children tell which pointer they use, and do it. */
static void *wrong(void *pointer)
{
	dprintf(STDERR_FILENO, "wrong: %p;\n", pointer);
	return pointer;
}

static void free_twice(void)
{
	void *object = demi_malloc(100);

	demi_free(object);
	demi_free(wrong(object));
}

static void free_twice_large(void)
{
	void *object = demi_malloc(300000);

	demi_free(object);
	demi_free(wrong(object));
}

static void free_interior(void)
{
	demi_free(wrong((char *)demi_malloc(100) + 16));
}

static void free_unaligned(void)
{
	demi_free(wrong((char *)demi_malloc(100) + 1));
}

static void free_interior_large(void)
{
	demi_free(wrong((char *)demi_malloc(700000) + 262144));
}

static void free_stack(void)
{
	alignas(64) char stack[64];

	demi_free(wrong(stack));
}

static void free_malloc(void)
{
	demi_free(wrong(malloc(100)));
}

static void free_fixed(void)
{
	demi_free(wrong(fixed_memory));
}

static void free_never(void)
{
	/* Far behind it, where no object of this class has been yet. */
	demi_free(wrong((char *)demi_malloc(100) + 128 * 1000));
}

static void free_nonsense(void)
{
	demi_free(wrong((void *)(uintptr_t)16));
	demi_free(wrong((void *)UINTPTR_MAX));
}

static void realloc_freed(void)
{
	void *object = demi_malloc(100);

	demi_free(object);
	assert_null(demi_realloc(wrong(object), 200));
}

static void realloc_interior(void)
{
	assert_null(demi_realloc(wrong((char *)demi_malloc(1000) + 64), 200));
}

static void realloc_foreign(void)
{
	assert_null(demi_realloc(wrong(fixed_memory), 200));
}

static const struct wrong_case {
	const char *name;
	void (*body)(void);
	const char *call;
	size_t size; /* asked for, when there is a class to be named; 0: there is none */
	size_t reports;
} wrong_cases[] = {
	{"double free", free_twice, "demi_free", 100, 1},
	{"double free, large", free_twice_large, "demi_free", 0, 1},
	{"interior", free_interior, "demi_free", 100, 1},
	{"unaligned", free_unaligned, "demi_free", 100, 1},
	{"interior, large", free_interior_large, "demi_free", 700000, 1},
	{"stack", free_stack, "demi_free", 0, 1},
	{"malloc", free_malloc, "demi_free", 0, 1},
	{"static", free_fixed, "demi_free", 0, 1},
	{"never allocated", free_never, "demi_free", 100, 1},
	{"nonsense", free_nonsense, "demi_free", 0, 2},
	{"realloc of a freed one", realloc_freed, "demi_realloc", 100, 1},
	{"realloc of an interior one", realloc_interior, "demi_realloc", 1000, 1},
	{"realloc of a foreign one", realloc_foreign, "demi_realloc", 0, 1},
};

/* Each report names the pointer as the child did, and the class where there is one. */
static void check_report(const struct child *child, const struct wrong_case *one)
{
	const char *said = strstr(child->errors, "wrong: ");
	char text[128];
	size_t size = 0;

	assert_non_null(said);
	snprintf(text, sizeof(text), "demi: error: %s(%.*s)", one->call,
		 (int)strcspn(said + 7, ";"), said + 7);
	child_check_says(child, text);
	said = strstr(child->errors, "size class ");
	if (one->size == 0)
		return;
	assert_non_null(said);
	assert_int_equal(sscanf(said, "size class %zu bytes", &size), 1);
	assert_in_range(size, one->size, 2 * one->size + 128);
}

static void wrong_with_runtime(void *argument)
{
	const struct wrong_case *one = argument;

	check_call(demi_init(NULL), 0);
	one->body();
	_exit(3); /* it should not have come so far */
}

static void wrong_without_runtime(void *argument)
{
	const struct wrong_case *one = argument;

	/* A heap that all threads share must be there to be wrong about. */
	demi_free(demi_malloc(1));
	one->body();
	_exit(3);
}

static void heap__wrong_frees_abort_and_name_the_address(void **state)
{
	static struct child child;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong_cases); i++) {
		void *one = (void *)(uintptr_t)&wrong_cases[i];

		print_message("%s\n", wrong_cases[i].name);
		child_run(&child, wrong_with_runtime, one);
		child_check_death(&child, SIGABRT, 0);
		check_report(&child, &wrong_cases[i]);
		child_run(&child, wrong_without_runtime, one);
		child_check_death(&child, SIGABRT, 0);
		check_report(&child, &wrong_cases[i]);
	}
}

static void wrong_but_logged(void *argument)
{
	const struct wrong_case *one = argument;
	unsigned char *objects[50];
	demi_heap_stats_t before, after;

	check_call(demi_init(NULL), 0);
	for (size_t i = 0; i < COUNT_OF(objects); i++) {
		objects[i] = demi_malloc(100 + i);
		pattern_fill(objects[i], 100 + i, (unsigned int)i, 0);
	}
	one->body();
	check_call(demi_heap_stats(&before), 0);
	one->body();
	check_call(demi_heap_stats(&after), 0);
	/* At most the object that each of them makes is new. */
	assert_in_range(after.objects - before.objects, 0, 1);
	for (size_t i = 0; i < COUNT_OF(objects); i++) {
		pattern_check(objects[i], 100 + i, (unsigned int)i, 0);
		demi_free(objects[i]);
	}
	check_call(demi_heap_stats(&after), 0);
	assert_int_equal(before.objects + 1 - after.objects >= 49, 1);
	demi_fini();
}

static void heap__on_error_log_goes_on(void **state)
{
	static struct child child;

	(void)state;
	option_set("DEMI_HEAP_ON_ERROR", "log");
	for (size_t i = 0; i < COUNT_OF(wrong_cases); i++) {
		print_message("%s\n", wrong_cases[i].name);
		child_run(&child, wrong_but_logged, (void *)(uintptr_t)&wrong_cases[i]);
		child_check_exit(&child);
		check_report(&child, &wrong_cases[i]);
		assert_int_equal(child_count(&child, "demi: error: "), 2 * wrong_cases[i].reports);
	}
}

/* A runtime that makes progress gives memory back that has been free for a quarter of a second. */
static void heap__free_memory_goes_back_after_a_while(void **state)
{
	const size_t size = 64 * MIB;
	size_t before, full;
	uint8_t *object;

	(void)state;
	skip_unless(!profile_get()->pins_heap, "the device keeps the heap's pages");
	check_call(demi_init(NULL), 0);
	object = demi_malloc(size);
	assert_non_null(object);
	before = resident_bytes();
	memset(object, 1, size);
	full = resident_bytes();
	assert_true(full >= before + size / 2);
	demi_free(object);
	for (uint64_t began_ms = now_ms(); resident_bytes() + size / 2 > full;) {
		assert_true(now_ms() - began_ms < 10000);
		drive();
	}
	demi_fini();
}

static void logged_without_runtime(void *argument)
{
	void *object = demi_malloc(100);

	(void)argument;
	demi_free(object);
	demi_free(object);
	object = demi_malloc(100);
	assert_non_null(object);
	demi_free(object);
}

static void heap__on_error_log_holds_before_any_demi_init(void **state)
{
	static struct child child;

	(void)state;
	option_set("DEMI_HEAP_ON_ERROR", "log");
	child_run(&child, logged_without_runtime, NULL);
	child_check_exit(&child);
	assert_int_equal(child_count(&child, "demi: error: "), 1);
}

/* The same on a thread without a runtime, from the heap that such threads share. */
#define TEST_SHARED(function)                                                  \
	{                                                                      \
		"[without runtime] " #function, function, NULL, teardown, NULL \
	}
#define TEST_BOTH(function) TEST(function), TEST_SHARED(function)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_BOTH(heap__malloc_aligns_and_gives_what_was_asked_for),
		TEST_BOTH(heap__size_0_gives_unique_objects),
		TEST_BOTH(heap__objects_do_not_overlap),
		TEST_BOTH(heap__calloc_zeroes_reused_memory_too),
		TEST_BOTH(heap__impossible_sizes_are_enomem),
		TEST_BOTH(heap__memalign_serves_powers_of_two_to_2_mib),
		TEST_BOTH(heap__memalign_refuses_other_alignments),
		TEST_BOTH(heap__realloc_keeps_the_contents),
		TEST_BOTH(heap__realloc_at_its_ends),
		TEST_RAW(heap__failing_realloc_leaves_the_object),
		TEST_BOTH(heap__errno_is_kept_on_success),
		TEST_BOTH(heap__usable_size_of_what_is_no_object_is_0),
		TEST_RAW(heap__everything_is_there_again_after_exhaustion),
		TEST_RAW(heap__free_memory_goes_back_after_a_while),
		TEST_RAW(heap__wrong_frees_abort_and_name_the_address),
		TEST_RAW(heap__on_error_log_goes_on),
		TEST_RAW(heap__on_error_log_holds_before_any_demi_init),
	};

	return suite_main("heap", true, "heap", tests, COUNT_OF(tests));
}
