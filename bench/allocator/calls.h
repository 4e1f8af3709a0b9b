/* SPDX-License-Identifier: MIT */
/*
 * The calls that are measured. The same sources are built twice: once with the calls of the C
 * library, which a preloaded library may provide instead, and once with Demi's. Both go through
 * the table of a shared library, and neither is known to the compiler (-fno-builtin).
 */
#ifndef BENCH_ALLOCATOR_CALLS_H
#define BENCH_ALLOCATOR_CALLS_H

#include <stddef.h>

#ifdef BENCH_ALLOCATOR_DEMI

#include <demi/demi.h>

#define call_malloc demi_malloc
#define call_calloc demi_calloc
#define call_realloc demi_realloc
#define call_memalign demi_memalign
#define call_free demi_free

/** calls_begin - before the first call of a thread; 0, or a positive errno value */
static inline int calls_begin(void)
{
	return demi_init(NULL);
}

/** calls_end - after the last call of a thread; what the thread allocated is gone */
static inline void calls_end(void)
{
	demi_fini();
}

#else

#include <malloc.h>
#include <stdlib.h>

#define call_malloc malloc
#define call_calloc calloc
#define call_realloc realloc
#define call_memalign memalign
#define call_free free

static inline int calls_begin(void)
{
	return 0;
}

static inline void calls_end(void)
{
}

#endif

#endif /* BENCH_ALLOCATOR_CALLS_H */
