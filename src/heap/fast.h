/* SPDX-License-Identifier: MIT */
/* The part of allocating and freeing that is almost always enough, for the compiler to inline. */
#ifndef DEMI_HEAP_FAST_H
#define DEMI_HEAP_FAST_H

#include "heap/layout.h"

static inline struct magazine *magazine_at(struct heap *heap, size_t offset)
{
	return (struct magazine *)(void *)((char *)heap->magazines + offset);
}

/**
 * heap_alloc_fast - an object of a class from its magazine; NULL: use heap_alloc
 * @state: its state word
 */
static inline __attribute__((always_inline)) void *heap_alloc_fast(struct heap *heap, size_t size,
								   uint32_t state)
{
	struct magazine *magazine = heap->magazines;
	struct magazine_slot *top;
	void *object;

	if (likely(size <= TABLE_BYTES_MAX))
		magazine = magazine_at(heap, heap->magazine_by_16[(size + 15) / 16]);
	else if (likely(size <= CLASS_BYTES_MAX))
		magazine += class_of_large(size);
	else
		return NULL;
	top = magazine->top;
	if (unlikely(top == magazine->bottom))
		return NULL;
	magazine->top = --top;
	*top->state = state;
	object = top->object;
	/* Saves the caller's test. */
	if (!object)
		__builtin_unreachable();
	return object;
}

/** heap_handle_fast - as heap_handle, of where @ptr points to */
static inline uint64_t heap_handle_fast(const struct heap *heap, unsigned int number,
					const void *ptr)
{
	size_t offset = (size_t)((uintptr_t)ptr - (uintptr_t)heap->base);

	return heap->chunks[offset >> PAGES_CHUNK_SHIFT].handles[number];
}

/**
 * heap_find_fast - the state word of what starts at @object, an object of a class; NULL: none ever did,
 * or it is a large one
 */
static inline __attribute__((always_inline)) uint32_t *
heap_find_fast(const struct heap *heap, const void *object, const struct unit **unit_out)
{
	uintptr_t offset = (uintptr_t)object - (uintptr_t)heap->base;
	const struct unit *unit;
	uint32_t *state;
	uint32_t index;

	if (unlikely(offset >= heap->bytes))
		return NULL;
	unit = &heap->units[offset >> UNIT_SHIFT];
	index = object_index_exact(unit, object);
	if (unlikely(index == UINT32_MAX))
		return NULL;
	*unit_out = unit;
	state = &unit->states[index];
	/* Saves the caller's test. */
	if (!state)
		__builtin_unreachable();
	return state;
}

/** heap_is_buf_fast - as heap_is_buf, but for large objects false: ask that */
static inline bool heap_is_buf_fast(const struct heap *heap, const void *object)
{
	const struct unit *unit;
	const uint32_t *state = heap_find_fast(heap, object, &unit);

	return state && (*state & (STATE_NEW | STATE_BUF)) == (STATE_NEW | STATE_BUF);
}

/** heap_usable_size_fast - as heap_usable_size, but 0 for what is rare: ask that */
static inline size_t heap_usable_size_fast(const struct heap *heap, const void *object)
{
	const struct unit *unit;
	const uint32_t *state = heap_find_fast(heap, object, &unit);

	if (unlikely(state == NULL) ||
	    unlikely((*state & (STATE_LIVE | STATE_CHECKED)) != STATE_LIVE))
		return 0;
	return unit->size;
}

/** heap_give_fast - the second half of heap_free_fast, once heap_find_fast has found @unit and @state */
static inline __attribute__((always_inline)) bool heap_give_fast(struct heap *heap,
								 const struct unit *unit,
								 uint32_t *state, void *object,
								 uint32_t expected)
{
	struct magazine *magazine = magazine_at(heap, unit->magazine_offset);
	struct magazine_slot *top = magazine->top;

	if (unlikely(*state != expected || top == magazine->limit))
		return false;
	*state = STATE_IN_MAGAZINE;
	top->object = object;
	top->state = state;
	magazine->top = top + 1;
	return true;
}

/**
 * heap_free_fast - free an object of a class that nobody else holds; false: use heap_free
 * @expected: the state word that it was allocated with
 */
static inline __attribute__((always_inline)) bool heap_free_fast(struct heap *heap, void *object,
								 uint32_t expected)
{
	const struct unit *unit;
	uint32_t *state = heap_find_fast(heap, object, &unit);

	return likely(state != NULL) && heap_give_fast(heap, unit, state, object, expected);
}

#endif /* DEMI_HEAP_FAST_H */
