/* SPDX-License-Identifier: MIT */
/* Which devices know which parts of a heap. */
#ifndef DEMI_HEAP_REGION_H
#define DEMI_HEAP_REGION_H

#include "heap/layout.h"

/**
 * region_add - tell every device of a new region
 * @offset, @bytes: in the heap's range, whole chunks
 *
 * Return: 0, or the error of the device that does not take it; then none has it.
 */
int region_add(struct heap *heap, size_t offset, size_t bytes);

#endif /* DEMI_HEAP_REGION_H */
