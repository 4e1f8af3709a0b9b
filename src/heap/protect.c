/* SPDX-License-Identifier: MIT */
#include "heap/protect.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "heap/buf.h"
#include "heap/layout.h"

static size_t page_of(const struct heap *heap, const void *ptr)
{
	return ((uintptr_t)ptr - (uintptr_t)heap->base) / PROTECT_PAGE_BYTES;
}

static unsigned char *page_memory(const struct heap *heap, size_t page)
{
	return heap->base + page * PROTECT_PAGE_BYTES;
}

bool protect_bounds(const struct heap *heap, const void *ptr, unsigned char **start_out,
		    unsigned char **end_out)
{
	unsigned char *object = heap_object(heap, ptr);
	struct buf *buf = buf_from_pointer(heap, object);
	bool own = heap->protect && (uintptr_t)object % PROTECT_PAGE_BYTES == 0 &&
		   heap_class_size(heap, object) % PROTECT_PAGE_BYTES == 0;

	*start_out = object;
	*end_out = object + heap_usable_size(heap, object);
	if (buf && !buf->object)
		*start_out = (unsigned char *)(buf + 1);
	return own;
}

/* The run of pages from @page on, before @end, whose count is @count; its end. */
static size_t run_end(const struct heap *heap, size_t page, size_t end, uint16_t count)
{
	while (page < end && heap->page_holds[page] == count)
		page++;
	return page;
}

/* Sets the access of those pages of a range whose count is @count: few system calls for many pages. */
static int set_access(const struct heap *heap, size_t first, size_t end, uint16_t count, int access)
{
	for (size_t page = first; page < end; page++) {
		size_t last = run_end(heap, page, end, count);

		if (last == page)
			continue;
		if (mprotect(page_memory(heap, page), (last - page) * PROTECT_PAGE_BYTES, access))
			return -ENOMEM;
		page = last - 1;
	}
	return 0;
}

/* As set_access; where the kernel will not split an area, all pages can be written again. */
static bool allow_writes(const struct heap *heap, size_t first, size_t end, uint16_t count)
{
	return set_access(heap, first, end, count, PROT_READ | PROT_WRITE) == 0 ||
	       mprotect(heap->base, heap->pages.committed, PROT_READ | PROT_WRITE) == 0;
}

int protect_pages(struct heap *heap, unsigned char *start, unsigned char *end)
{
	size_t first = page_of(heap, start), last = page_of(heap, end);

	for (size_t page = first; page < last; page++) {
		if (heap->page_holds[page] == UINT16_MAX)
			return -ENOMEM;
	}
	if (set_access(heap, first, last, 0, PROT_READ) < 0) {
		allow_writes(heap, first, last, 0);
		return -ENOMEM;
	}
	for (size_t page = first; page < last; page++)
		heap->page_holds[page]++;
	return 0;
}

void unprotect_pages(struct heap *heap, unsigned char *start, unsigned char *end)
{
	size_t first = page_of(heap, start), last = page_of(heap, end);

	for (size_t page = first; page < last; page++) {
		assert(heap->page_holds[page] > 0);
		heap->page_holds[page]--;
	}
	allow_writes(heap, first, last, 0);
}

void protect_end(struct heap *heap)
{
	size_t pages = heap->pages.committed / PROTECT_PAGE_BYTES;

	if (!heap->protect)
		return;
	mprotect(heap->base, heap->pages.committed, PROT_READ | PROT_WRITE);
	memset(heap->page_holds, 0, pages * sizeof(heap->page_holds[0]));
}
