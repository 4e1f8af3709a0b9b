/* SPDX-License-Identifier: MIT */
#include <demi/heap.h>

#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/log.h"

void *demi_malloc(size_t size)
{
	API_KEEP_ERRNO;
	struct runtime *runtime = api_runtime;

	return runtime ? heap_alloc(runtime->context.heap, size) : NULL;
}

void *demi_calloc(size_t count, size_t size)
{
	size_t bytes;
	void *object;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	object = demi_malloc(bytes);
	if (object)
		memset(object, 0, bytes);
	return object;
}

void *demi_memalign(size_t alignment, size_t size)
{
	API_KEEP_ERRNO;
	struct runtime *runtime = api_runtime;

	return runtime ? heap_alloc_aligned(runtime->context.heap, alignment, size) : NULL;
}

/* A wrong free is a bug that will corrupt something else later: stop here, as glibc does. */
static _Noreturn void wrong_free(const void *ptr, const char *what)
{
	log_error("%s: %p", what, ptr);
	abort();
}

void demi_free(void *ptr)
{
	API_KEEP_ERRNO;
	struct runtime *runtime = api_runtime;

	if (!ptr)
		return;
	if (!runtime)
		wrong_free(ptr, "demi_free on a thread without a runtime");
	switch (heap_free(runtime->context.heap, ptr)) {
	case 0:
		return;
	case -EALREADY:
		wrong_free(ptr, "double free");
	default:
		wrong_free(ptr, "demi_free of a pointer that is not an object of this thread");
	}
}

void *demi_realloc(void *ptr, size_t size)
{
	API_KEEP_ERRNO;
	struct runtime *runtime = api_runtime;
	size_t usable;
	void *object;

	if (!ptr)
		return demi_malloc(size);
	if (size == 0) {
		demi_free(ptr);
		return NULL;
	}
	if (!runtime || heap_object(runtime->context.heap, ptr) != ptr)
		wrong_free(ptr, "demi_realloc of a pointer that is not an object of this thread");
	usable = heap_usable_size(runtime->context.heap, ptr);
	if (size <= usable && size > usable / 2)
		return ptr;
	object = demi_malloc(size);
	if (!object)
		return NULL;
	memcpy(object, ptr, size < usable ? size : usable);
	demi_free(ptr);
	return object;
}
