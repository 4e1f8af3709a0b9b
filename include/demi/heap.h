/* SPDX-License-Identifier: MIT */
/*
 * The DMA-capable heap, with the C library's semantics. Objects belong to the thread that
 * allocated them and are freed there. Segments of a scatter-gather array may point anywhere into
 * them; an object freed while an operation uses it is reused after the operation.
 */
#ifndef DEMI_HEAP_H
#define DEMI_HEAP_H

#include <stddef.h>

#include <demi/cc.h>

#ifdef __cplusplus
extern "C" {
#endif

/** demi_malloc - @size bytes, aligned to 16; NULL when out of memory or without a runtime. */
extern void *demi_malloc(_In_ size_t size);

/** demi_calloc - @count objects of @size bytes, zeroed; NULL also when the product overflows. */
extern void *demi_calloc(_In_ size_t count, _In_ size_t size);

/** demi_realloc - as realloc(3): @size 0 frees; on failure @ptr stays as it was. */
extern void *demi_realloc(_In_opt_ void *ptr, _In_ size_t size);

/** demi_memalign - @alignment is a power of two, at most 4096; NULL otherwise. */
extern void *demi_memalign(_In_ size_t alignment, _In_ size_t size);

/**
 * demi_free - drop the application's hold; NULL is allowed
 *
 * A pointer that is not a live object of this thread is reported on standard error and the
 * program aborted, as the C library does.
 */
extern void demi_free(_In_opt_ void *ptr);

#ifdef __cplusplus
}
#endif

#endif /* DEMI_HEAP_H */
