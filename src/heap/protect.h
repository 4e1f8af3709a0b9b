/* SPDX-License-Identifier: MIT */
/*
 * Write protection of single pages of a heap that was made for it (heap_options.protect), counted,
 * so that several operations may protect the same page.
 */
#ifndef DEMI_HEAP_PROTECT_H
#define DEMI_HEAP_PROTECT_H

#include "heap/heap.h"

#define PROTECT_PAGE_BYTES ((size_t)4096)

/** protect_bounds - the application's bytes of the object that @ptr points into; a buf's header is not
 *
 * Return: whether the object has its pages for itself.
 */
bool protect_bounds(const struct heap *heap, const void *ptr, unsigned char **start_out,
		    unsigned char **end_out);

/**
 * protect_pages, unprotect_pages - let the pages from @start up to @end be only read, and no longer
 *
 * Both are page aligned. Return: 0, or -ENOMEM with nothing changed (the kernel bounds the number
 * of differently protected areas: vm.max_map_count).
 */
int protect_pages(struct heap *heap, unsigned char *start, unsigned char *end);
void unprotect_pages(struct heap *heap, unsigned char *start, unsigned char *end);

/** protect_end - let all pages be written again, whatever was protected */
void protect_end(struct heap *heap);

#endif /* DEMI_HEAP_PROTECT_H */
