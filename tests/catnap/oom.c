/* SPDX-License-Identifier: MIT */
#include "oom.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "api/heap.h"
#include "heap/heaps.h"
#include "heap/layout.h"

static bool armed;
static bool fired;
static enum oom_kind armed_kind;
static uint64_t left;

void oom_arm(enum oom_kind kind, uint64_t count)
{
	armed_kind = kind;
	left = count;
	fired = false;
	armed = kind != OOM_HEAP;
	if (kind == OOM_HEAP)
		heap_fail_after(api_heap, count);
}

/* A heap that was to fail now has very likely done so: one trial more does no harm. */
static void look_at_heap(void)
{
	if (armed_kind == OOM_HEAP && api_heap != &heaps_none && api_heap->fail_after == 0)
		fired = true;
}

void oom_disarm(void)
{
	armed = false;
	look_at_heap();
	if (armed_kind == OOM_HEAP && api_heap != &heaps_none)
		heap_fail_after(api_heap, UINT64_MAX);
}

bool oom_fired(void)
{
	look_at_heap();
	return fired;
}

static bool fails(void)
{
	if (!armed)
		return false;
	if (left > 0) {
		left--;
		return false;
	}
	fired = true;
	if (armed_kind == OOM_ONCE)
		armed = false;
	errno = ENOMEM;
	return true;
}

/* The names are the linker's: --wrap=malloc makes malloc __wrap_malloc. */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
void *__real_mmap(void *at, size_t bytes, int access, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t bytes, int access, int flags, int fd, off_t offset);
int __real_mprotect(void *at, size_t bytes, int access);
int __wrap_mprotect(void *at, size_t bytes, int access);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
	return fails() ? NULL : __real_realloc(ptr, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

void *__wrap_mmap(void *at, size_t bytes, int access, int flags, int fd, off_t offset)
{
	return fails() ? MAP_FAILED : __real_mmap(at, bytes, access, flags, fd, offset);
}

/*
 * It fails where the kernel would have to split an area. For all of a range, of which a part was
 * refused before, it has not to.
 */
int __wrap_mprotect(void *at, size_t bytes, int access)
{
	static uintptr_t refused, refused_end;
	uintptr_t start = (uintptr_t)at;

	if (start <= refused && refused_end <= start + bytes && refused_end - refused < bytes)
		return __real_mprotect(at, bytes, access);
	if (!fails())
		return __real_mprotect(at, bytes, access);
	refused = start;
	refused_end = start + bytes;
	return -1;
}
