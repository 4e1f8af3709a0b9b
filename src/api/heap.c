/* SPDX-License-Identifier: MIT */
/*
 * malloc and its family. The calling thread's own objects take the short way; what belongs to
 * other threads, or is wrong, is sorted out in functions of their own.
 */
#include <demi/heap.h>

#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/heap.h"
#include "base/config.h"
#include "base/log.h"
#include "heap/fast.h"
#include "heap/heaps.h"
#include "heap/locate.h"

_Thread_local struct heap *api_heap = &heaps_none;

/* What the file and the environment say, for a thread without a runtime. */
static void config_without_runtime(struct config *config)
{
	char message[512];

	if (config_load(config, getenv("CONFIG_PATH"), environ, message, sizeof(message)) != 0)
		config_defaults(config);
}

/* ---- Reports ---- */

static const char *describe(const struct heap *heap, const void *ptr, int error,
			    struct heap_location *location)
{
	*location = heap ? heap_locate(heap, ptr)
			 : (struct heap_location){.place = HEAP_PLACE_FOREIGN};
	if (error == -EALREADY)
		return "double free";
	switch (location->place) {
	case HEAP_PLACE_FOREIGN:
		return "the pointer is not from this heap";
	case HEAP_PLACE_INTERIOR:
		return "the pointer points into an object, not at its start";
	case HEAP_PLACE_NEVER:
		return "there was never an object at this address";
	case HEAP_PLACE_BUF:
		return "it is the buffer of an array, which demi_sgafree frees";
	case HEAP_PLACE_FREE:
	case HEAP_PLACE_HELD:
		return "double free";
	default:
		return "there is no object at this address";
	}
}

static bool aborts_on_error(void)
{
	struct config config;

	if (api_runtime)
		return api_runtime->config.heap.on_error == CONFIG_ON_ERROR_ABORT;
	config_without_runtime(&config);
	return config.heap.on_error == CONFIG_ON_ERROR_ABORT;
}

/* A wrong free is a bug that will corrupt something else later: stop here, as glibc does. */
static void report(const struct heap *heap, const void *ptr, int error, const char *call)
{
	API_KEEP_ERRNO;
	struct heap_location location;
	const char *what = describe(heap, ptr, error, &location);

	if (location.object)
		log_error("%s(%p): %s (size class %zu bytes, object at %p)", call, ptr, what,
			  location.class_bytes, location.object);
	else
		log_error("%s(%p): %s", call, ptr, what);
	if (aborts_on_error())
		abort();
}

void api_heap_wrong_free(const struct heap *heap, const void *object, int error)
{
	report(heap, object, error, "demi_free by another thread");
}

/* ---- Allocating ---- */

static const struct heap_options *shared_options(void)
{
	static _Thread_local struct heap_options options;
	struct config config;

	if (heaps_shared_exists())
		return &options;
	config_without_runtime(&config);
	options = runtime_heap_options(&config, api_heap_wrong_free);
	return &options;
}

static __attribute__((noinline)) void *alloc_slow(size_t alignment, size_t size, bool zeroed)
{
	const int saved_errno = errno;
	struct runtime *runtime = api_runtime;
	void *object;

	if (!runtime)
		object = heaps_shared_alloc(shared_options(), alignment, size, zeroed);
	else if (zeroed)
		object = heap_alloc_zeroed(api_heap, size);
	else
		object = heap_alloc_aligned(api_heap, alignment, size);
	errno = object ? saved_errno : ENOMEM;
	return object;
}

void *demi_malloc(size_t size)
{
	void *object = heap_alloc_fast(api_heap, size, STATE_NEW);

	return likely(object) ? object : alloc_slow(1, size, false);
}

void *demi_calloc(size_t count, size_t size)
{
	size_t bytes;
	void *object;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	object = heap_alloc_fast(api_heap, bytes, STATE_NEW);
	if (unlikely(!object))
		return alloc_slow(1, bytes, true);
	return memset(object, 0, bytes);
}

void *demi_memalign(size_t alignment, size_t size)
{
	if (alignment == 0 || (alignment & (alignment - 1)) != 0 ||
	    alignment > HEAP_ALIGNMENT_MAX) {
		errno = EINVAL;
		return NULL;
	}
	return alloc_slow(alignment, size, false);
}

/* ---- Freeing ---- */

static __attribute__((noinline)) void free_slow(void *ptr)
{
	API_KEEP_ERRNO;
	struct heap *heap = api_heap;
	int error;

	if (!ptr)
		return;
	error = heap_owns(heap, ptr) ? heap_free(heap, ptr) : heaps_free(ptr, &heap);
	if (error)
		report(heap, ptr, error, "demi_free");
}

void demi_free(void *ptr)
{
	if (unlikely(!heap_free_fast(api_heap, ptr, STATE_NEW)))
		free_slow(ptr);
}

/* ---- Sizes ---- */

/* The heap of a live object of any thread, and its usable size; 0: there is none. */
static size_t find_object(const void *ptr, struct heap **heap_out)
{
	*heap_out = heap_owns(api_heap, ptr) ? api_heap : heaps_find(ptr);
	return *heap_out ? heap_usable_size(*heap_out, ptr) : 0;
}

static __attribute__((noinline)) size_t usable_size_slow(void *ptr)
{
	API_KEEP_ERRNO;
	struct heap *heap;

	return ptr ? find_object(ptr, &heap) : 0;
}

size_t demi_malloc_usable_size(void *ptr)
{
	size_t usable = heap_usable_size_fast(api_heap, ptr);

	return likely(usable != 0) ? usable : usable_size_slow(ptr);
}

void *demi_realloc(void *ptr, size_t size)
{
	struct heap *heap = api_heap;
	size_t usable;
	void *object;

	if (!ptr)
		return demi_malloc(size);
	if (size == 0) {
		demi_free(ptr);
		return NULL;
	}
	usable = find_object(ptr, &heap);
	if (!heap || heap_locate(heap, ptr).place != HEAP_PLACE_LIVE) {
		report(heap, ptr, -EINVAL, "demi_realloc");
		return NULL;
	}
	/* Where tools look on, an object has the size that was asked for. */
	if (size <= usable && size > usable / 2 && !heap->checked)
		return ptr;
	object = demi_malloc(size);
	if (!object)
		return NULL;
	memcpy(object, ptr, size < usable ? size : usable);
	demi_free(ptr);
	return object;
}

/* ---- Statistics ---- */

int demi_heap_stats(demi_heap_stats_t *stats)
{
	API_KEEP_ERRNO;
	struct heap_stats own;

	if (!api_runtime)
		return ENOSYS;
	if (!API_POINTER_OK(stats))
		return EFAULT;
	heap_collect(api_heap);
	heap_get_stats(api_heap, &own);
	*stats = (demi_heap_stats_t){
		.bytes_max = own.bytes_max,
		.bytes_committed = own.bytes_committed,
		.bytes_reserved = own.bytes_reserved,
		.bytes_in_use = own.bytes_in_use,
		.bytes_held_only = own.bytes_held_only,
		.bytes_huge = own.bytes_reserved_huge,
		.bytes_locked = own.bytes_locked,
		.objects = own.objects,
		.objects_large = own.objects_large,
		.objects_pinned = own.objects_pinned,
		.remote_frees = own.remote_frees,
		.class_count = HEAP_CLASSES,
	};
	if (own.bytes_reserved)
		stats->fragmentation_permille = (uint32_t)(1000 - own.bytes_in_use * 1000 /
									  own.bytes_reserved);
	for (uint32_t i = 0; i < HEAP_CLASSES; i++) {
		stats->classes[i].object_bytes = own.classes[i].object_bytes;
		stats->classes[i].objects = own.classes[i].objects;
		stats->classes[i].objects_held_only = own.classes[i].objects_held_only;
		stats->classes[i].superblocks = own.classes[i].superblocks;
	}
	return 0;
}

_Static_assert(HEAP_CLASSES <= DEMI_HEAP_CLASSES_MAX,
	       "every class has its place in the statistics");
