/* SPDX-License-Identifier: MIT */
/*
 * The address range of a heap: reserved at once, made accessible from its start on, 2 MiB at a
 * time; which pages are behind it, and whether they are locked in memory.
 */
#ifndef DEMI_HEAP_PAGES_H
#define DEMI_HEAP_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap/heap.h"

#define PAGES_CHUNK_SHIFT 21
#define PAGES_CHUNK_BYTES ((size_t)1 << PAGES_CHUNK_SHIFT)

struct pages {
	unsigned char *base; /* aligned to HEAP_RANGE_ALIGNMENT */
	size_t bytes;        /* whole chunks */
	size_t committed;    /* bytes from base on that are accessible */
	size_t reserved_huge_bytes;
	size_t locked_bytes;
	enum heap_huge_pages huge;
	bool lock;  /* still try to lock */
	bool purge; /* giving pages back works here */
};

/** pages_reserve - @bytes of address space, whole chunks, without access; 0 or -ENOMEM */
int pages_reserve(struct pages *pages, size_t bytes, enum heap_huge_pages huge, bool lock);

/** pages_release - unmap all of it */
void pages_release(struct pages *pages);

/**
 * pages_commit - make the next bytes, whole chunks, accessible; they read as zeroes
 * @needed, @preferred: at least and at most so many, bytes
 *
 * Return: how many, 0 when out of memory.
 */
size_t pages_commit(struct pages *pages, size_t needed, size_t preferred);

/** pages_uncommit - undo the last commit; @before: what *@pages was then */
void pages_uncommit(struct pages *pages, const struct pages *before);

/**
 * pages_purge - give the memory behind a part of the range back to the system
 *
 * Return: whether all of it will read as zeroes from now on.
 */
bool pages_purge(struct pages *pages, size_t offset, size_t bytes);

#endif /* DEMI_HEAP_PAGES_H */
