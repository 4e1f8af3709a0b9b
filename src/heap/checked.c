/* SPDX-License-Identifier: MIT */
#include "heap/checked.h"

#include <string.h>

#include "heap/superblock.h"
#include "heap/units.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#else
/* There when the program was built with ASan, whose runtime is loaded before us. */
void __asan_poison_memory_region(void const volatile *memory, size_t bytes) __attribute__((weak));
void __asan_unpoison_memory_region(void const volatile *memory, size_t bytes) __attribute__((weak));
void __lsan_register_root_region(const void *memory, size_t bytes) __attribute__((weak));
void __lsan_unregister_root_region(const void *memory, size_t bytes) __attribute__((weak));
#endif

#ifdef DEMI_HAVE_VALGRIND
#include <valgrind/memcheck.h>
#else
#define VALGRIND_CREATE_MEMPOOL(pool, red_zone, zeroed) ((void)(pool))
#define VALGRIND_DESTROY_MEMPOOL(pool) ((void)(pool))
#define VALGRIND_MEMPOOL_ALLOC(pool, memory, bytes) ((void)(memory))
#define VALGRIND_MEMPOOL_FREE(pool, memory) ((void)(memory))
#define VALGRIND_MAKE_MEM_NOACCESS(memory, bytes) ((void)(memory))
#define VALGRIND_MAKE_MEM_DEFINED(memory, bytes) ((void)(memory), 0)
#endif

/* Compared as a value: the compiler knows that a function of its own runtime is not NULL. */
static bool asan_present(void)
{
	void (*volatile poison)(void const volatile *, size_t) = __asan_poison_memory_region;

	return poison != NULL;
}

static bool lsan_present(void)
{
	void (*volatile add)(const void *, size_t) = __lsan_register_root_region;

	return add != NULL;
}

/* Memcheck and no other tool of valgrind: only it answers this request. */
static bool memcheck_present(void)
{
	char probe = 0;

	return VALGRIND_MAKE_MEM_DEFINED(&probe, sizeof(probe)) != 0;
}

bool checked_tool_present(void)
{
	return asan_present() || memcheck_present();
}

void checked_start(const struct heap *heap)
{
	if (!heap->checked)
		return;
	/* Without this, what only a heap object points to counts as leaked. */
	if (lsan_present())
		__lsan_register_root_region(heap->base, heap->pages.bytes);
	VALGRIND_CREATE_MEMPOOL(heap, CHECKED_RED_ZONE_BYTES, 0);
}

void checked_end(const struct heap *heap)
{
	if (!heap->checked)
		return;
	checked_show(heap, heap->base, heap->pages.committed);
	if (lsan_present())
		__lsan_unregister_root_region(heap->base, heap->pages.bytes);
	VALGRIND_DESTROY_MEMPOOL(heap);
}

void checked_hide(const struct heap *heap, void *memory, size_t bytes)
{
	if (!heap->checked)
		return;
	if (asan_present())
		__asan_poison_memory_region(memory, bytes);
	VALGRIND_MAKE_MEM_NOACCESS(memory, bytes);
}

void checked_show(const struct heap *heap, void *memory, size_t bytes)
{
	if (!heap->checked)
		return;
	if (asan_present())
		__asan_unpoison_memory_region(memory, bytes);
	(void)VALGRIND_MAKE_MEM_DEFINED(memory, bytes);
}

static void show_object(const struct heap *heap, void *object, size_t size)
{
	if (asan_present())
		__asan_unpoison_memory_region(object, size);
	VALGRIND_MEMPOOL_ALLOC(heap, object, size);
}

static void hide_object(const struct heap *heap, void *object, size_t size)
{
	if (asan_present())
		__asan_poison_memory_region(object, size);
	VALGRIND_MEMPOOL_FREE(heap, object);
}

static void *class_object(struct heap *heap, uint32_t class_id, size_t size, uint32_t state)
{
	struct unit *unit;
	uint32_t index = superblock_take(heap, class_id, &unit);

	if (index == UINT32_MAX)
		return NULL;
	unit->states[index] = state | STATE_CHECKED;
	unit_sizes(heap, unit)[index] = (uint32_t)size;
	return unit->objects + (size_t)index * unit->size;
}

static void *large_object(struct heap *heap, size_t alignment, size_t gross, size_t size,
			  uint32_t state)
{
	void *object = large_alloc(heap, alignment, gross, state, false);
	struct unit *unit;

	if (!object)
		return NULL;
	unit = unit_at(heap, object);
	unit->state |= STATE_CHECKED;
	unit->requested = size;
	return object;
}

void *checked_alloc(struct heap *heap, size_t alignment, size_t size, uint32_t state, bool zeroed)
{
	size_t gross;
	uint32_t class_id;
	void *object;

	if (__builtin_add_overflow(size, CHECKED_RED_ZONE_BYTES, &gross))
		return NULL;
	if (heap_has_remote(heap))
		heap_collect(heap);
	class_id = class_of_aligned(heap, alignment, gross);
	object = class_id < CLASSES ? class_object(heap, class_id, size, state)
				    : large_object(heap, alignment, gross, size, state);
	if (!object)
		return NULL;
	show_object(heap, object, size);
	if (zeroed)
		memset(object, 0, size);
	return object;
}

/* The object waits for as many others to be freed before it is used again. */
static void quarantine_add(struct heap *heap, void *object)
{
	uint32_t place = heap->quarantine_next++ % QUARANTINE_OBJECTS;
	void *oldest = heap->quarantine[place];
	struct unit *unit;

	heap->quarantine[place] = object;
	if (!oldest)
		return;
	unit = unit_at(heap, oldest);
	superblock_put(heap, unit, object_index_exact(unit, oldest));
}

void checked_give(struct heap *heap, struct unit *unit, uint32_t index)
{
	void *object;

	if (unit->kind == UNIT_LARGE) {
		hide_object(heap, unit_memory(heap, unit), unit->requested);
		large_give(heap, unit);
		return;
	}
	object = unit->objects + (size_t)index * unit->size;
	if (unit->states[index] & STATE_CHECKED)
		hide_object(heap, object, unit_sizes(heap, unit)[index]);
	else /* once a frame, of which the tools were not told */
		checked_hide(heap, object, unit->size);
	unit->states[index] = STATE_IN_MAGAZINE;
	quarantine_add(heap, object);
}

void checked_release_quarantine(struct heap *heap)
{
	for (uint32_t place = 0; place < QUARANTINE_OBJECTS; place++) {
		void *object = heap->quarantine[place];
		struct unit *unit;

		if (!object)
			continue;
		heap->quarantine[place] = NULL;
		unit = unit_at(heap, object);
		superblock_put(heap, unit, object_index_exact(unit, object));
	}
}
