/* SPDX-License-Identifier: MIT */
/* What the unit tests of this folder share. */
#ifndef DEMI_HEAP_TESTING_H
#define DEMI_HEAP_TESTING_H

#include "heap/heap.h"

static inline int heap_teardown(void **state)
{
	heap_destroy(*state);
	return 0;
}

static inline uint64_t live_objects(const struct heap *heap)
{
	struct heap_stats stats;

	heap_get_stats(heap, &stats);
	return stats.objects;
}

#endif /* DEMI_HEAP_TESTING_H */
