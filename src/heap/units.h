/* SPDX-License-Identifier: MIT */
/* Units and free runs of them, and large objects, which are runs that are in use. */
#ifndef DEMI_HEAP_UNITS_H
#define DEMI_HEAP_UNITS_H

#include "heap/layout.h"

/**
 * units_take - a run of @units adjacent units, from the free runs or from fresh address space
 * @alignment: of the run's memory, bytes; a power of two, at most HEAP_ALIGNMENT_MAX
 * @zeroed_out: whether the memory reads as zeroes. NULL is allowed.
 *
 * Return: its first unit, all UNIT_UNUSED; NULL when there is no such run.
 */
struct unit *units_take(struct heap *heap, uint32_t units, size_t alignment, bool *zeroed_out);

/** units_prepare - make the first units accessible, so that it is known which pages there are */
bool units_prepare(struct heap *heap);

/** units_give - free a run, and give its memory to the system when that is worth while */
void units_give(struct heap *heap, struct unit *first, uint32_t units);

/** large_alloc - an object of its own units, zeroed when @zeroed; NULL: out of memory */
void *large_alloc(struct heap *heap, size_t alignment, size_t size, uint32_t state, bool zeroed);

/** large_give - nobody holds the large object any more */
void large_give(struct heap *heap, struct unit *unit);

void unit_list_push(struct unit **list, struct unit *unit);
void unit_list_remove(struct unit **list, struct unit *unit);

#endif /* DEMI_HEAP_UNITS_H */
