/* SPDX-License-Identifier: MIT */
/*
 * The DMA-capable heap, with the C library's semantics. Segments of a scatter-gather array may
 * point anywhere into its objects; an object freed while an operation uses it is reused after the
 * operation.
 *
 * Any thread may free an object. A thread with a runtime allocates from the runtime's own heap,
 * which its devices know; other threads share one heap, whose memory is copied when it is pushed,
 * as all memory is that is not of the runtime's own heap.
 */
#ifndef DEMI_HEAP_H
#define DEMI_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include <demi/cc.h>

#ifdef __cplusplus
extern "C" {
#endif

/** demi_malloc - @size bytes, aligned to 16; NULL and errno ENOMEM when out of memory. */
extern void *demi_malloc(_In_ size_t size);

/** demi_calloc - @count objects of @size bytes, zeroed; ENOMEM also when the product overflows. */
extern void *demi_calloc(_In_ size_t count, _In_ size_t size);

/** demi_realloc - as realloc(3): @size 0 frees; on failure (ENOMEM) @ptr stays as it was. */
extern void *demi_realloc(_In_opt_ void *ptr, _In_ size_t size);

/** demi_memalign - @alignment: a power of two, at most 2 MiB, or errno EINVAL; or errno ENOMEM. */
extern void *demi_memalign(_In_ size_t alignment, _In_ size_t size);

/**
 * demi_free - drop the application's hold; NULL is allowed
 *
 * Legal while an operation uses the object, on any thread, and after the demi_fini(3) of the
 * thread that it came from. errno stays as it was. A pointer that is not a live object is reported
 * on standard error and the program aborted, as the C library does, unless `heap.on_error: log`;
 * what two threads freed may be reported only when the object's owner collects it.
 */
extern void demi_free(_In_opt_ void *ptr);

/** demi_malloc_usable_size - bytes that may be used at @ptr; 0 for NULL and what is not an object */
extern size_t demi_malloc_usable_size(_In_opt_ void *ptr);

#define DEMI_HEAP_CLASSES_MAX 64

/** Statistics of a runtime's heap. Bytes count what objects take, not what was asked for. */
typedef struct demi_heap_stats {
	uint64_t bytes_max;              /* bound on bytes_reserved: heap.max_bytes */
	uint64_t bytes_committed;        /* address space made accessible, used or not */
	uint64_t bytes_reserved;         /* superblocks and large objects */
	uint64_t bytes_in_use;           /* objects, held ones included */
	uint64_t bytes_held_only;        /* freed by the application, still held by operations */
	uint64_t bytes_huge;             /* of bytes_committed: reserved huge pages */
	uint64_t bytes_locked;           /* of bytes_committed: locked in memory */
	uint64_t objects;                /* live, held ones included */
	uint64_t objects_large;          /* of these: larger than the largest class */
	uint64_t objects_pinned;         /* held more than 16 million times at once, never reused */
	uint64_t remote_frees;           /* objects that other threads have freed since the start */
	uint32_t fragmentation_permille; /* share of bytes_reserved that is not in use */
	uint32_t class_count;            /* of classes[] */
	struct {
		uint64_t object_bytes;      /* size of each object */
		uint64_t objects;           /* live, held ones included */
		uint64_t objects_held_only; /* freed by the application, held by operations */
		uint64_t superblocks;       /* of 256 KiB */
	} classes[DEMI_HEAP_CLASSES_MAX];
} demi_heap_stats_t;

/**
 * demi_heap_stats - the statistics of this thread's heap
 *
 * Takes a time that grows with the heap. Return: 0, ENOSYS, EFAULT.
 */
ATTR_NONNULL(1)
extern int demi_heap_stats(_Out_ demi_heap_stats_t *stats);

#ifdef __cplusplus
}
#endif

#endif /* DEMI_HEAP_H */
