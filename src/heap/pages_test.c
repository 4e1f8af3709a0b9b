/* SPDX-License-Identifier: MIT */
/* Reserved huge pages and locked memory, as far as the machine has them or lets us have them. */
#include "heap/pages.h"

#include <errno.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
/* The sanitizers make munlock do nothing, so that locked memory cannot be given back. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CAN_UNLOCK false
#else
#define CAN_UNLOCK true
#endif

#define MIB ((size_t)1 << 20)
#define HUGE "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define NOBODY 65534

static struct heap *heap_make(uint64_t bytes_max, enum heap_huge_pages huge, bool lock)
{
	struct heap_options options = {.bytes_max = bytes_max,
				       .huge_pages = huge,
				       .checks = HEAP_CHECKS_OFF,
				       .lock = lock};
	struct heap *heap;

	return heap_create(&heap, &options) == 0 ? heap : NULL;
}

static struct heap_stats stats_of(const struct heap *heap)
{
	struct heap_stats stats;

	heap_get_stats(heap, &stats);
	return stats;
}

/* ---- Files of the kernel ---- */

/* The first number in a file behind @label; -1: none. */
static long number_in(const char *path, const char *label)
{
	FILE *file = fopen(path, "r");
	char line[256];
	long number = -1;

	while (file && number < 0 && fgets(line, sizeof(line), file)) {
		if (strncmp(line, label, strlen(label)) == 0)
			number = strtol(line + strlen(label), NULL, 10);
	}
	if (file)
		fclose(file);
	return number;
}

static bool write_number(const char *path, long number)
{
	FILE *file = fopen(path, "w");
	bool good = file && fprintf(file, "%ld", number) > 0;

	return file && fclose(file) == 0 && good;
}

static long reserved_free(void)
{
	long number = number_in(HUGE "free_hugepages", "");

	return number < 0 ? 0 : number - number_in(HUGE "resv_hugepages", "");
}

/* Whether nobody else has reserved huge pages, so that the test may have its own. */
static bool none_reserved(void)
{
	return number_in(HUGE "nr_hugepages", "") <= 0 &&
	       number_in(HUGE "nr_overcommit_hugepages", "") <= 0;
}

/* Skips unless exactly @pages are reserved from now on. */
static void reserve_or_skip(long pages)
{
	if (none_reserved() && write_number(HUGE "nr_hugepages", pages) &&
	    number_in(HUGE "nr_hugepages", "") == pages)
		return;
	write_number(HUGE "nr_hugepages", 0);
	print_message("skip: needs to reserve %ld huge pages itself, as root\n", pages);
	skip();
}

static int unreserve(void **state)
{
	bool *is_ours = *state;

	if (*is_ours)
		write_number(HUGE "nr_hugepages", 0);
	return 0;
}

static bool is_ours;

static int note_reserved(void **state)
{
	is_ours = geteuid() == 0 && none_reserved();
	*state = &is_ours;
	return 0;
}

/* ---- Reserved huge pages ---- */

static void heap_create__is_enomem_without_a_reserved_huge_page(void **state)
{
	struct heap_options options = {.bytes_max = 4 * MIB,
				       .huge_pages = HEAP_HUGE_PAGES_RESERVED};
	struct heap *heap;

	(void)state;
	if (!none_reserved()) {
		print_message("skip: this machine has reserved huge pages\n");
		skip();
	}
	assert_int_equal(heap_create(&heap, &options), -ENOMEM);
}

static void heap_create__does_without_reserved_huge_pages_on_auto(void **state)
{
	struct heap *heap = heap_make(16 * MIB, HEAP_HUGE_PAGES_AUTO, false);

	(void)state;
	if (none_reserved())
		assert_int_equal(stats_of(heap).bytes_reserved_huge, 0);
	memset(heap_alloc(heap, 16 * MIB), 1, 16 * MIB);
	heap_destroy(heap);
}

static void heap_create__touches_no_reserved_page_when_off(void **state)
{
	struct heap *heap;

	(void)state;
	reserve_or_skip(4);
	heap = heap_make(16 * MIB, HEAP_HUGE_PAGES_OFF, false);
	memset(heap_alloc(heap, 16 * MIB), 1, 16 * MIB);
	assert_int_equal(stats_of(heap).bytes_reserved_huge, 0);
	assert_int_equal(reserved_free(), 4);
	heap_destroy(heap);
}

static void heap_alloc__takes_reserved_huge_pages_first(void **state)
{
	struct heap *heap;
	unsigned char *objects[8];

	(void)state;
	reserve_or_skip(4);
	heap = heap_make(32 * MIB, HEAP_HUGE_PAGES_AUTO, false);
	for (size_t i = 0; i < 8; i++) {
		objects[i] = heap_alloc_zeroed(heap, 2 * MIB);
		assert_non_null(objects[i]);
		assert_int_equal(objects[i][2 * MIB - 1], 0);
		memset(objects[i], (int)i, 2 * MIB);
		assert_int_equal(stats_of(heap).bytes_reserved_huge, (i < 4 ? i + 1 : 4) * 2 * MIB);
	}
	assert_int_equal(reserved_free(), 0);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(objects[i][0], i);
		assert_int_equal(heap_free(heap, objects[i]), 0);
	}
	assert_true(heap_is_empty(heap));
	/* They were taken to be had, until the end. */
	assert_int_equal(stats_of(heap).bytes_reserved_huge, 8 * MIB);
	heap_destroy(heap);
	assert_int_equal(reserved_free(), 4);
}

static void heap_alloc__null_when_the_reserved_huge_pages_run_out(void **state)
{
	struct heap *heap;
	unsigned char *objects[4];

	(void)state;
	reserve_or_skip(4);
	heap = heap_make(32 * MIB, HEAP_HUGE_PAGES_RESERVED, false);
	assert_non_null(heap);
	for (size_t i = 0; i < 4; i++) {
		objects[i] = heap_alloc(heap, 2 * MIB);
		assert_non_null(objects[i]);
		/* A page that is not there would be a SIGBUS. */
		memset(objects[i], 1, 2 * MIB);
	}
	for (size_t i = 0; i < 4; i++) {
		assert_null(heap_alloc(heap, 2 * MIB));
		assert_null(heap_alloc(heap, 16));
		assert_int_equal(heap_free(heap, objects[i]), 0);
		objects[i] = heap_alloc(heap, 2 * MIB);
		assert_non_null(objects[i]);
	}
	assert_int_equal(stats_of(heap).bytes_reserved_huge, 8 * MIB);
	assert_int_equal(stats_of(heap).bytes_committed, 8 * MIB);
	heap_destroy(heap);
	assert_int_equal(reserved_free(), 4);
}

/* Mapping does not fail when another one has taken the pages first, unless they are reserved. */
static void heap_alloc__of_two_heaps_share_the_reserved_huge_pages(void **state)
{
	struct heap *heaps[2];
	size_t served = 0;

	(void)state;
	reserve_or_skip(4);
	for (size_t i = 0; i < 2; i++) {
		heaps[i] = heap_make(32 * MIB, HEAP_HUGE_PAGES_RESERVED, false);
		assert_non_null(heaps[i]);
	}
	for (size_t i = 0; i < 8; i++) {
		void *object = heap_alloc(heaps[i % 2], 2 * MIB);

		if (object) {
			memset(object, 1, 2 * MIB);
			served++;
		}
	}
	assert_int_equal(served, 4);
	heap_destroy(heaps[0]);
	heap_destroy(heaps[1]);
}

static void pages_commit__serves_a_big_object_from_fewer_pages_than_preferred(void **state)
{
	struct pages pages;

	(void)state;
	reserve_or_skip(6);
	assert_int_equal(pages_reserve(&pages, 64 * MIB, HEAP_HUGE_PAGES_RESERVED, false), 0);
	assert_int_equal(pages_commit(&pages, 14 * MIB, 16 * MIB), 0);
	assert_int_equal(pages.committed, 0);
	assert_int_equal(pages_commit(&pages, 4 * MIB, 16 * MIB), 8 * MIB);
	memset(pages.base, 1, 8 * MIB);
	assert_int_equal(pages_commit(&pages, 4 * MIB, 4 * MIB), 4 * MIB);
	assert_int_equal(pages_commit(&pages, 2 * MIB, 2 * MIB), 0);
	assert_int_equal(pages.reserved_huge_bytes, 12 * MIB);
	assert_false(pages_purge(&pages, 0, 12 * MIB));
	assert_int_equal(pages.base[8 * MIB - 1], 1);
	pages_release(&pages);
	assert_int_equal(reserved_free(), 6);
}

static void pages_uncommit__gives_reserved_huge_pages_back(void **state)
{
	struct pages pages, before;

	(void)state;
	reserve_or_skip(4);
	assert_int_equal(pages_reserve(&pages, 8 * MIB, HEAP_HUGE_PAGES_AUTO, false), 0);
	assert_int_equal(pages_commit(&pages, 2 * MIB, 2 * MIB), 2 * MIB);
	before = pages;
	assert_int_equal(pages_commit(&pages, 4 * MIB, 4 * MIB), 4 * MIB);
	memset(pages.base, 1, 6 * MIB);
	assert_int_equal(reserved_free(), 1);
	pages_uncommit(&pages, &before);
	assert_memory_equal(&pages, &before, sizeof(pages));
	assert_int_equal(reserved_free(), 3);
	assert_int_equal(pages_commit(&pages, 6 * MIB, 6 * MIB), 6 * MIB);
	assert_int_equal(pages.base[0], 1);
	assert_int_equal(pages.base[2 * MIB], 0);
	pages_release(&pages);
}

/* ---- Ordinary pages ---- */

static void pages_uncommit__hides_ordinary_pages(void **state)
{
	struct pages pages, before;
	int status;
	pid_t child;

	(void)state;
	assert_int_equal(pages_reserve(&pages, 8 * MIB, HEAP_HUGE_PAGES_OFF, false), 0);
	assert_int_equal((uintptr_t)pages.base % HEAP_RANGE_ALIGNMENT, 0);
	before = pages;
	assert_int_equal(pages_commit(&pages, 2 * MIB, 4 * MIB), 4 * MIB);
	memset(pages.base, 1, 4 * MIB);
	pages_uncommit(&pages, &before);
	child = fork();
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		_exit(*(volatile unsigned char *)pages.base);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) > 1);
	assert_int_equal(pages_commit(&pages, 2 * MIB, 2 * MIB), 2 * MIB);
	assert_int_equal(pages.base[0], 0);
	pages_release(&pages);
}

static void pages_reserve__is_enomem_where_there_is_no_room(void **state)
{
	struct pages pages;

	(void)state;
	assert_int_equal(pages_reserve(&pages, (size_t)1 << 48, HEAP_HUGE_PAGES_OFF, false),
			 -ENOMEM);
}

/* ---- Locked memory ---- */

static size_t locked_kib(void)
{
	return (size_t)number_in("/proc/self/status", "VmLck:");
}

static bool may_lock(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);
	bool may = memory != MAP_FAILED && mlock2(memory, bytes, MLOCK_ONFAULT) == 0;

	if (memory != MAP_FAILED)
		munmap(memory, bytes);
	return may;
}

static void heap_create__locks_what_it_makes_accessible(void **state)
{
	size_t before = locked_kib();
	struct heap *heap;
	void *object;

	(void)state;
	if (!may_lock(64 * MIB)) {
		print_message("skip: needs to lock 64 MiB\n");
		skip();
	}
	heap = heap_make(64 * MIB, HEAP_HUGE_PAGES_OFF, true);
	assert_non_null(heap_alloc(heap, 100));
	assert_int_equal(stats_of(heap).bytes_locked, stats_of(heap).bytes_committed);
	assert_int_equal((locked_kib() - before) << 10, stats_of(heap).bytes_locked);
	object = heap_alloc(heap, 40 * MIB);
	memset(object, 1, 40 * MIB);
	assert_int_equal(stats_of(heap).bytes_locked, stats_of(heap).bytes_committed);
	assert_int_equal((locked_kib() - before) << 10, stats_of(heap).bytes_locked);
	heap_destroy(heap);
	assert_int_equal(locked_kib(), before);
}

static size_t resident_pages(void *memory, size_t bytes)
{
	static unsigned char pages[16 * 1024];
	size_t count = 0;

	assert_int_equal(mincore(memory, bytes, pages), 0);
	for (size_t i = 0; i < bytes / 4096; i++)
		count += pages[i] & 1;
	return count;
}

static void pages_purge__gives_locked_memory_back_and_locks_it_again(void **state)
{
	struct heap *heap;
	unsigned char *object;
	size_t before;

	(void)state;
	if (!CAN_UNLOCK || !may_lock(64 * MIB)) {
		print_message("skip: needs to lock 64 MiB, and no sanitizer\n");
		skip();
	}
	heap = heap_make(64 * MIB, HEAP_HUGE_PAGES_OFF, true);
	object = heap_alloc(heap, 32 * MIB);
	memset(object, 0xa5, 32 * MIB);
	before = locked_kib();
	assert_int_equal(heap_free(heap, object), 0);
	heap_purge(heap);
	assert_int_equal(resident_pages(object, 32 * MIB), 0);
	assert_int_equal(locked_kib(), before);
	object = heap_alloc_zeroed(heap, 32 * MIB);
	assert_int_equal(object[0], 0);
	assert_memory_equal(object, object + 1, 32 * MIB - 1);
	heap_destroy(heap);
}

/* In a child that may lock next to nothing; returns its exit status: 0 is good. */
static int use_heap_with_little_to_lock(rlim_t limit_bytes)
{
	struct rlimit limit = {limit_bytes, limit_bytes};
	struct heap *heap;
	struct heap_stats stats;
	void *object;

	if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
		return 1;
	if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setuid(NOBODY) != 0))
		return 2;
	heap = heap_make(64 * MIB, HEAP_HUGE_PAGES_OFF, true);
	if (!heap)
		return 3;
	object = heap_alloc(heap, 32 * MIB);
	if (!object)
		return 4;
	memset(object, 1, 32 * MIB);
	stats = stats_of(heap);
	if (stats.bytes_locked > limit_bytes || stats.bytes_locked == stats.bytes_committed)
		return 5;
	if (locked_kib() << 10 != stats.bytes_locked)
		return 6;
	if (heap_free(heap, object) != 0)
		return 7;
	heap_purge(heap);
	if (CAN_UNLOCK && resident_pages(object, 32 * MIB) != 0)
		return 9;
	/* Giving memory back locks no more than it says. */
	if (locked_kib() << 10 != stats_of(heap).bytes_locked)
		return 8;
	heap_destroy(heap);
	return 0;
}

static void heap_create__works_where_it_may_not_lock(void **state)
{
	static const rlim_t limits[] = {0, 64 << 10, 3 << 20, 6 << 20};

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		pid_t child = fork();
		int status;

		if (child == 0)
			_exit(use_heap_with_little_to_lock(limits[i]));
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

#define huge_test(function) cmocka_unit_test_setup_teardown(function, note_reserved, unreserve)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heap_create__is_enomem_without_a_reserved_huge_page),
		cmocka_unit_test(heap_create__does_without_reserved_huge_pages_on_auto),
		huge_test(heap_create__touches_no_reserved_page_when_off),
		huge_test(heap_alloc__takes_reserved_huge_pages_first),
		huge_test(heap_alloc__null_when_the_reserved_huge_pages_run_out),
		huge_test(heap_alloc__of_two_heaps_share_the_reserved_huge_pages),
		huge_test(pages_commit__serves_a_big_object_from_fewer_pages_than_preferred),
		huge_test(pages_uncommit__gives_reserved_huge_pages_back),
		cmocka_unit_test(pages_uncommit__hides_ordinary_pages),
		cmocka_unit_test(pages_reserve__is_enomem_where_there_is_no_room),
		cmocka_unit_test(heap_create__locks_what_it_makes_accessible),
		cmocka_unit_test(pages_purge__gives_locked_memory_back_and_locks_it_again),
		cmocka_unit_test(heap_create__works_where_it_may_not_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
