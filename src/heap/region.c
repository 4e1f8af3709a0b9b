/* SPDX-License-Identifier: MIT */
/*
 * A region is what was made accessible in one step. Each of its chunks has the handles, so that
 * the handle of any address is found by masking it.
 */
#include "heap/region.h"

#include <assert.h>
#include <errno.h>

static void *chunk_memory(const struct heap *heap, uint32_t chunk)
{
	return heap->base + ((size_t)chunk << PAGES_CHUNK_SHIFT);
}

static size_t region_bytes(const struct heap *heap, uint32_t first)
{
	return (size_t)heap->chunks[first].region_chunks << PAGES_CHUNK_SHIFT;
}

static uint32_t chunks_committed(const struct heap *heap)
{
	return (uint32_t)(heap->pages.committed >> PAGES_CHUNK_SHIFT);
}

static int registrar_add(struct heap *heap, unsigned int number, uint32_t first)
{
	const struct registrar *registrar = &heap->registrars[number];
	uint64_t handle = 0;
	int error = registrar->ops->add(registrar->context, chunk_memory(heap, first),
					region_bytes(heap, first), &handle);

	if (error)
		return error;
	for (uint32_t i = 0; i < heap->chunks[first].region_chunks; i++)
		heap->chunks[first + i].handles[number] = handle;
	return 0;
}

static void registrar_remove(struct heap *heap, unsigned int number, uint32_t first)
{
	const struct registrar *registrar = &heap->registrars[number];

	registrar->ops->remove(registrar->context, chunk_memory(heap, first),
			       region_bytes(heap, first), heap->chunks[first].handles[number]);
}

int region_add(struct heap *heap, size_t offset, size_t bytes)
{
	uint32_t first = (uint32_t)(offset >> PAGES_CHUNK_SHIFT);
	uint32_t count = (uint32_t)(bytes >> PAGES_CHUNK_SHIFT);

	for (uint32_t i = 0; i < count; i++) {
		heap->chunks[first + i].region_first = first;
		heap->chunks[first + i].region_chunks = count;
	}
	for (unsigned int number = 0; number < HEAP_REGISTRARS_MAX; number++) {
		int error;

		if (!heap->registrars[number].ops)
			continue;
		error = registrar_add(heap, number, first);
		if (!error)
			continue;
		while (number-- > 0) {
			if (heap->registrars[number].ops)
				registrar_remove(heap, number, first);
		}
		return error;
	}
	return 0;
}

/* Removes the regions below @end from one device. */
static void remove_below(struct heap *heap, unsigned int number, uint32_t end)
{
	for (uint32_t first = 0; first < end; first += heap->chunks[first].region_chunks)
		registrar_remove(heap, number, first);
}

int heap_register(struct heap *heap, const struct heap_registrar_ops *ops, void *context,
		  unsigned int *number_out)
{
	uint32_t end = chunks_committed(heap);
	unsigned int number = 0;

	while (number < HEAP_REGISTRARS_MAX && heap->registrars[number].ops)
		number++;
	if (number == HEAP_REGISTRARS_MAX)
		return -ENOSPC;
	heap->registrars[number] = (struct registrar){ops, context};
	for (uint32_t first = 0; first < end; first += heap->chunks[first].region_chunks) {
		int error = registrar_add(heap, number, first);

		if (!error)
			continue;
		remove_below(heap, number, first);
		heap->registrars[number].ops = NULL;
		return error;
	}
	heap->registered = true;
	*number_out = number;
	return 0;
}

void heap_unregister(struct heap *heap, unsigned int number)
{
	assert(number < HEAP_REGISTRARS_MAX && heap->registrars[number].ops);
	remove_below(heap, number, chunks_committed(heap));
	heap->registrars[number].ops = NULL;
	heap->registered = false;
	for (unsigned int i = 0; i < HEAP_REGISTRARS_MAX; i++)
		heap->registered |= heap->registrars[i].ops != NULL;
}

uint64_t heap_handle(const struct heap *heap, unsigned int number, const void *ptr,
		     size_t *bytes_out)
{
	size_t offset = (size_t)((uintptr_t)ptr - (uintptr_t)heap->base);
	const struct chunk *chunk = &heap->chunks[offset >> PAGES_CHUNK_SHIFT];

	assert(number < HEAP_REGISTRARS_MAX && offset < heap->pages.committed);
	if (bytes_out)
		*bytes_out = ((size_t)(chunk->region_first + chunk->region_chunks)
			      << PAGES_CHUNK_SHIFT) -
			     offset;
	return chunk->handles[number];
}

int heap_walk(const struct heap *heap, int (*visit)(void *context, void *start, size_t bytes),
	      void *context)
{
	uint32_t end = chunks_committed(heap);

	for (uint32_t first = 0; first < end; first += heap->chunks[first].region_chunks) {
		int result = visit(context, chunk_memory(heap, first), region_bytes(heap, first));

		if (result)
			return result;
	}
	return 0;
}
