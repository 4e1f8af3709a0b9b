/* SPDX-License-Identifier: MIT */
/*
 * The range is cut into units of 256 KiB. A unit is a superblock (objects of one size class), or
 * part of a run of units that is one large object, or part of a free run. The unit table has one
 * cache line for each unit, found by shifting an address: what allocating and freeing need of a
 * superblock lies there and not at the superblock's start, where the lines of all superblocks
 * would compete for the same few cache sets, and where a stray write would find it.
 *
 * Each object has a state word at its superblock's start, off its own cache lines: who holds it
 * while it lives, the next free object while it does not. So neither allocating nor freeing
 * touches the object's memory.
 *
 * Units are made accessible from the range's start on, 2 MiB at a time. Free runs are merged with
 * their neighbours and kept in bins by size; a superblock that becomes empty is such a run, but for
 * the one of its class that is being allocated from.
 */
#include "heap/heap.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#define poison(memory, bytes) __asan_poison_memory_region(memory, bytes)
#define unpoison(memory, bytes) __asan_unpoison_memory_region(memory, bytes)
/* Without this, what only a heap object points to counts as leaked. */
#define leak_roots_add(memory, bytes) __lsan_register_root_region(memory, bytes)
#define leak_roots_drop(memory, bytes) __lsan_unregister_root_region(memory, bytes)
#else
#define poison(memory, bytes) ((void)(memory), (void)(bytes))
#define unpoison(memory, bytes) ((void)(memory), (void)(bytes))
#define leak_roots_add(memory, bytes) ((void)(memory), (void)(bytes))
#define leak_roots_drop(memory, bytes) ((void)(memory), (void)(bytes))
#endif

#define UNIT_SHIFT 18
#define UNIT_BYTES ((size_t)1 << UNIT_SHIFT)
#define CHUNK_UNITS 8u /* made accessible together: one huge page */
#define CHUNK_BYTES (CHUNK_UNITS * UNIT_BYTES)
#define HEAP_BYTES_CAP (UINT64_C(1) << 40) /* a larger bytes_max is as good as this one */

/* A free run whose memory may be resident goes back to the system from here on: 16 MiB. */
#define PURGE_UNITS 64u

#define CLASSES 42u
#define CLASS_BYTES_MAX 114688u
#define TABLE_BYTES_MAX 1024u /* up to here a request's class comes from a table */

/* State words start at one of 32 lines, so that they spread over the cache's sets. */
#define COLOURS 32u
#define COLOUR_BYTES 64u

#define RECIPROCAL_SHIFT 40

/* State word of an object. Live: flags and the number of holds. Not live: next free index. */
#define STATE_OWNED 0x80000000u
#define STATE_LIVE 0x40000000u
#define STATE_HOLDS HEAP_HOLDS_MAX
#define STATE_NEW (STATE_OWNED | STATE_LIVE)
#define INDEX_NONE 0x00ffffffu

#define BINS 23u

enum unit_kind {
	UNIT_UNUSED, /* never used, or inside a free run */
	UNIT_FREE,   /* first or last of a free run */
	UNIT_SUPERBLOCK,
	UNIT_LARGE,
	UNIT_LARGE_TAIL, /* any but the first of a large object */
};

enum place {
	PLACE_CURRENT, /* being allocated from */
	PLACE_PARTIAL, /* in its class's list: has a free object and a live one */
	PLACE_FULL,    /* in no list */
};

struct unit {
	union {
		struct {
			unsigned char *objects; /* the first one */
			uint32_t *states;       /* by object index */
			uint64_t reciprocal;    /* 2^40 / size, rounded up */
			uint32_t size;          /* of an object, bytes */
			uint32_t carved_bytes;  /* objects below this were allocated once */
			uint32_t free;          /* index of the first free object, INDEX_NONE */
			uint32_t live;          /* objects */
		};
		struct {
			uint32_t units; /* of the run; valid in its first unit */
			uint32_t head;  /* index of the run's first unit; large tail, free end */
			uint32_t dirty; /* free run: at most so many units may be resident */
			uint32_t state; /* of a large object */
		};
	};
	struct unit *next; /* in the class's partial list or the bin */
	struct unit *previous;
	uint8_t kind;
	uint8_t class_id;
	uint8_t place;
	bool large_freed; /* the large object that started here was freed, nothing came since */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct unit) == 64, "a unit's table entry is one cache line");

struct size_class {
	uint64_t reciprocal;
	uint32_t size;
	uint32_t objects_offset; /* of the first object in the unit */
	uint32_t objects_bytes;  /* of all objects together */
};

struct heap {
	uint64_t bytes; /* of the range that may be used: whole units */
	unsigned char *base;
	struct unit *units;
	struct unit *current[CLASSES]; /* never NULL: &none */
	uint8_t class_by_16[TABLE_BYTES_MAX / 16 + 1];
	struct unit none; /* a superblock without a free object */

	struct unit *partial[CLASSES];
	struct unit *bins[BINS]; /* free runs of 2^i..2^(i+1)-1 units */
	struct size_class classes[CLASSES];
	size_t mapped_bytes; /* the range, rounded up to whole chunks */
	size_t table_bytes;
	uint32_t units_max;
	uint32_t units_fresh; /* units from here on were never accessible */
	uint32_t units_used;  /* in superblocks and large objects */
	uint64_t held_only_bytes;
	uint64_t pinned;
};

/* ---- Size classes: 16, 32, 48, 64, 128, 192, 256, then four for each doubling ---- */

static uint32_t class_of_computed(size_t size)
{
	unsigned int log2;

	if (size <= 64)
		return size == 0 ? 0 : (uint32_t)(size - 1) / 16;
	if (size <= 256)
		return 3 + (uint32_t)(size - 1) / 64;
	log2 = 63u - (unsigned int)__builtin_clzl(size - 1);
	return 7 + (log2 - 8) * 4 + (((size - 1) >> (log2 - 2)) & 3);
}

static inline uint32_t class_of(const struct heap *heap, size_t size)
{
	if (likely(size <= TABLE_BYTES_MAX))
		return heap->class_by_16[(size + 15) / 16];
	return class_of_computed(size);
}

static uint32_t class_size(uint32_t class_id)
{
	if (class_id < 4)
		return (class_id + 1) * 16;
	if (class_id < 7)
		return (class_id - 2) * 64;
	return (5 + (class_id - 7) % 4) << (6 + (class_id - 7) / 4);
}

static uint32_t round_up(uint32_t value, uint32_t alignment)
{
	return (value + alignment - 1) & ~(alignment - 1);
}

static void size_class_init(struct size_class *entry, uint32_t size)
{
	uint32_t alignment = size & -size;
	uint32_t count = (uint32_t)UNIT_BYTES / size;
	uint32_t offset;

	/* An object is as aligned as its size is, so that a multiple of 4096 serves any request. */
	if (alignment > HEAP_ALIGNMENT_MAX)
		alignment = HEAP_ALIGNMENT_MAX;
	for (;; count--) {
		offset = round_up((COLOURS - 1) * COLOUR_BYTES + count * 4, alignment);
		if (offset + count * size <= UNIT_BYTES)
			break;
	}
	entry->size = size;
	entry->reciprocal = ((UINT64_C(1) << RECIPROCAL_SHIFT) + size - 1) / size;
	entry->objects_offset = offset;
	entry->objects_bytes = count * size;
}

static void classes_init(struct heap *heap)
{
	heap->none.free = INDEX_NONE;
	for (uint32_t class_id = 0; class_id < CLASSES; class_id++) {
		size_class_init(&heap->classes[class_id], class_size(class_id));
		heap->current[class_id] = &heap->none;
	}
	for (uint32_t i = 0; i <= TABLE_BYTES_MAX / 16; i++)
		heap->class_by_16[i] = (uint8_t)class_of_computed((size_t)i * 16);
}

/* ---- Units and runs of them ---- */

static inline uint32_t unit_index(const struct heap *heap, const struct unit *unit)
{
	return (uint32_t)(unit - heap->units);
}

static inline unsigned char *unit_memory(const struct heap *heap, const struct unit *unit)
{
	return heap->base + ((size_t)unit_index(heap, unit) << UNIT_SHIFT);
}

static void list_push(struct unit **list, struct unit *unit)
{
	unit->previous = NULL;
	unit->next = *list;
	if (*list)
		(*list)->previous = unit;
	*list = unit;
}

static void list_remove(struct unit **list, struct unit *unit)
{
	if (unit->previous)
		unit->previous->next = unit->next;
	else
		*list = unit->next;
	if (unit->next)
		unit->next->previous = unit->previous;
}

static unsigned int bin_of(uint32_t units)
{
	return 31u - (unsigned int)__builtin_clz(units);
}

/* Enters a free run in its bin and marks its ends; the units between are UNIT_UNUSED. */
static void run_insert(struct heap *heap, uint32_t first, uint32_t units, uint32_t dirty)
{
	struct unit *head = &heap->units[first];
	struct unit *last = head + units - 1;

	last->kind = UNIT_FREE;
	last->head = first;
	head->kind = UNIT_FREE;
	head->head = first;
	head->units = units;
	head->dirty = dirty;
	list_push(&heap->bins[bin_of(units)], head);
}

/* The opposite: the whole run is UNIT_UNUSED and in no bin. */
static void run_remove(struct heap *heap, struct unit *head)
{
	list_remove(&heap->bins[bin_of(head->units)], head);
	head[head->units - 1].kind = UNIT_UNUSED;
	head->kind = UNIT_UNUSED;
}

/* Frees units that are UNIT_UNUSED, merging them with the free runs on both sides. */
static void run_give(struct heap *heap, uint32_t first, uint32_t units, uint32_t dirty)
{
	struct unit *neighbour;

	if (first > 0 && heap->units[first - 1].kind == UNIT_FREE) {
		neighbour = &heap->units[heap->units[first - 1].head];
		run_remove(heap, neighbour);
		first -= neighbour->units;
		units += neighbour->units;
		dirty += neighbour->dirty;
	}
	if (first + units < heap->units_fresh && heap->units[first + units].kind == UNIT_FREE) {
		neighbour = &heap->units[first + units];
		run_remove(heap, neighbour);
		units += neighbour->units;
		dirty += neighbour->dirty;
	}
	/*
	 * Counting what was used since the last purge, not the run's length: a superblock that
	 * comes and goes beside a long free run must not cost a system call each time.
	 */
	if (dirty >= PURGE_UNITS && madvise(heap->base + ((size_t)first << UNIT_SHIFT),
					    (size_t)units << UNIT_SHIFT, MADV_DONTNEED) == 0)
		dirty = 0;
	run_insert(heap, first, units, dirty);
}

static struct unit *run_find(const struct heap *heap, uint32_t units)
{
	unsigned int bin = bin_of(units);
	struct unit *run;

	for (run = heap->bins[bin]; run; run = run->next) {
		if (run->units >= units)
			return run;
	}
	while (++bin < BINS) {
		if (heap->bins[bin])
			return heap->bins[bin];
	}
	return NULL;
}

/* The units are UNIT_UNUSED and count as used. NULL: no free run is long enough. */
static struct unit *run_take(struct heap *heap, uint32_t units)
{
	struct unit *run = run_find(heap, units);
	uint32_t rest;

	if (!run)
		return NULL;
	run_remove(heap, run);
	rest = run->units - units;
	if (rest)
		run_insert(heap, unit_index(heap, run) + units, rest,
			   run->dirty < rest ? run->dirty : rest);
	heap->units_used += units;
	return run;
}

/* Makes fresh units accessible until the free run at their end has @units. */
static bool heap_grow(struct heap *heap, uint32_t units)
{
	uint32_t fresh = heap->units_fresh;
	uint32_t rest = heap->units_max - fresh;
	uint32_t grow;

	if (fresh > 0 && heap->units[fresh - 1].kind == UNIT_FREE)
		units -= heap->units[heap->units[fresh - 1].head].units;
	if (units > rest)
		return false;
	grow = round_up(units, CHUNK_UNITS);
	if (mprotect(heap->base + ((size_t)fresh << UNIT_SHIFT), (size_t)grow << UNIT_SHIFT,
		     PROT_READ | PROT_WRITE) != 0)
		return false;
	if (grow > rest)
		grow = rest;
	poison(heap->base + ((size_t)fresh << UNIT_SHIFT), (size_t)grow << UNIT_SHIFT);
	heap->units_fresh += grow;
	run_give(heap, fresh, grow, 0);
	return true;
}

/* ---- Superblocks ---- */

static void superblock_give(struct heap *heap, struct unit *unit)
{
	unit->kind = UNIT_UNUSED;
	heap->units_used--;
	poison(unit_memory(heap, unit), UNIT_BYTES);
	run_give(heap, unit_index(heap, unit), 1, 1);
}

/* Gives back the empty superblocks that their classes keep at hand. */
static void superblocks_reclaim(struct heap *heap)
{
	for (uint32_t class_id = 0; class_id < CLASSES; class_id++) {
		struct unit *unit = heap->current[class_id];

		if (unit == &heap->none || unit->live > 0)
			continue;
		heap->current[class_id] = &heap->none;
		superblock_give(heap, unit);
	}
}

static struct unit *units_take(struct heap *heap, uint32_t units)
{
	struct unit *unit = run_take(heap, units);

	if (unit)
		return unit;
	if (!heap_grow(heap, units)) {
		superblocks_reclaim(heap);
		unit = run_take(heap, units);
		if (unit || !heap_grow(heap, units))
			return unit;
	}
	return run_take(heap, units);
}

static struct unit *superblock_create(struct heap *heap, uint32_t class_id)
{
	const struct size_class *parameters = &heap->classes[class_id];
	struct unit *unit = units_take(heap, 1);
	unsigned char *memory;

	if (!unit)
		return NULL;
	memory = unit_memory(heap, unit);
	unpoison(memory, parameters->objects_offset);
	unit->objects = memory + parameters->objects_offset;
	unit->states = (uint32_t *)(void *)(memory + (size_t)(unit_index(heap, unit) % COLOURS) *
							     COLOUR_BYTES);
	unit->reciprocal = parameters->reciprocal;
	unit->size = parameters->size;
	unit->carved_bytes = 0;
	unit->free = INDEX_NONE;
	unit->live = 0;
	unit->kind = UNIT_SUPERBLOCK;
	unit->class_id = (uint8_t)class_id;
	unit->large_freed = false;
	return unit;
}

static inline uint32_t object_index(const struct unit *unit, uint64_t inner_bytes)
{
	return (uint32_t)((inner_bytes * unit->reciprocal) >> RECIPROCAL_SHIFT);
}

/* Makes the next object that was never allocated the free one; false: there is none left. */
static bool superblock_carve(const struct heap *heap, struct unit *unit)
{
	uint32_t index;

	if (unit == &heap->none ||
	    unit->carved_bytes == heap->classes[unit->class_id].objects_bytes)
		return false;
	index = object_index(unit, unit->carved_bytes);
	unit->states[index] = INDEX_NONE;
	unit->free = index;
	unit->carved_bytes += unit->size;
	return true;
}

/* Finds the class another current superblock, when the one it has is full. */
static bool current_replace(struct heap *heap, uint32_t class_id)
{
	struct unit *unit = heap->partial[class_id];

	if (unit) {
		list_remove(&heap->partial[class_id], unit);
	} else {
		unit = superblock_create(heap, class_id);
		if (!unit)
			return false;
		superblock_carve(heap, unit);
	}
	heap->current[class_id]->place = PLACE_FULL;
	heap->current[class_id] = unit;
	unit->place = PLACE_CURRENT;
	return true;
}

/* After an object of a superblock that is not the current one has been freed. */
static void superblock_settle(struct heap *heap, struct unit *unit)
{
	if (unit->place == PLACE_FULL) {
		unit->place = PLACE_PARTIAL;
		list_push(&heap->partial[unit->class_id], unit);
	}
	if (unit->live == 0) {
		list_remove(&heap->partial[unit->class_id], unit);
		superblock_give(heap, unit);
	}
}

/* ---- Objects of a size class ---- */

static inline void *object_take(struct unit *unit)
{
	uint32_t index = unit->free;
	void *object = unit->objects + (size_t)index * unit->size;

	unit->free = unit->states[index];
	unit->states[index] = STATE_NEW;
	unit->live++;
	unpoison(object, unit->size);
	return object;
}

static __attribute__((noinline)) void *class_alloc_slow(struct heap *heap, uint32_t class_id)
{
	if (!superblock_carve(heap, heap->current[class_id]) && !current_replace(heap, class_id))
		return NULL;
	return object_take(heap->current[class_id]);
}

static inline void *class_alloc(struct heap *heap, uint32_t class_id)
{
	struct unit *unit = heap->current[class_id];

	if (unlikely(unit->free == INDEX_NONE))
		return class_alloc_slow(heap, class_id);
	return object_take(unit);
}

/* Nobody holds the object any more. */
static inline void object_give(struct heap *heap, struct unit *unit, uint32_t index)
{
	unit->states[index] = unit->free;
	unit->free = index;
	unit->live--;
	poison(unit->objects + (size_t)index * unit->size, unit->size);
	if (unlikely(unit->place != PLACE_CURRENT))
		superblock_settle(heap, unit);
}

/* ---- Large objects ---- */

static void *large_alloc(struct heap *heap, size_t size)
{
	struct unit *unit;
	uint32_t units;

	if (size > heap->bytes)
		return NULL;
	units = (uint32_t)((size + UNIT_BYTES - 1) >> UNIT_SHIFT);
	unit = units_take(heap, units);
	if (!unit)
		return NULL;
	unit->units = units;
	unit->state = STATE_NEW;
	unit->kind = UNIT_LARGE;
	unit->large_freed = false;
	for (uint32_t i = 1; i < units; i++) {
		unit[i].kind = UNIT_LARGE_TAIL;
		unit[i].head = unit_index(heap, unit);
		unit[i].large_freed = false;
	}
	unpoison(unit_memory(heap, unit), (size_t)units << UNIT_SHIFT);
	return unit_memory(heap, unit);
}

static void large_give(struct heap *heap, struct unit *unit)
{
	uint32_t units = unit->units;

	for (uint32_t i = 0; i < units; i++)
		unit[i].kind = UNIT_UNUSED;
	unit->large_freed = true;
	heap->units_used -= units;
	poison(unit_memory(heap, unit), (size_t)units << UNIT_SHIFT);
	run_give(heap, unit_index(heap, unit), units, units);
}

static inline uint64_t unit_object_bytes(const struct unit *unit)
{
	if (likely(unit->kind == UNIT_SUPERBLOCK))
		return unit->size;
	return (uint64_t)unit->units << UNIT_SHIFT;
}

/* ---- The calls ---- */

static inline struct unit *unit_at(const struct heap *heap, const void *ptr)
{
	return &heap->units[((uintptr_t)ptr - (uintptr_t)heap->base) >> UNIT_SHIFT];
}

/* The state word of the object that starts at @object; NULL: none ever did in this superblock. */
static inline uint32_t *object_state(const struct heap *heap, struct unit *unit, const void *object)
{
	uint64_t inner;
	uint32_t index;

	if (unlikely(unit->kind != UNIT_SUPERBLOCK)) {
		if (unit->kind != UNIT_LARGE || object != unit_memory(heap, unit))
			return NULL;
		return &unit->state;
	}
	inner = (uintptr_t)object - (uintptr_t)unit->objects;
	if (unlikely(inner >= unit->carved_bytes))
		return NULL;
	index = object_index(unit, inner);
	if (unlikely((uint64_t)index * unit->size != inner))
		return NULL;
	return &unit->states[index];
}

/* The state word of the live object that @ptr, which is ours, points anywhere into; or NULL. */
static inline uint32_t *live_state(const struct heap *heap, const void *ptr, struct unit **unit_out)
{
	struct unit *unit = unit_at(heap, ptr);
	uint64_t inner;
	uint32_t *state;

	*unit_out = unit;
	if (unlikely(unit->kind != UNIT_SUPERBLOCK)) {
		if (unit->kind == UNIT_LARGE_TAIL)
			*unit_out = unit = &heap->units[unit->head];
		return unit->kind == UNIT_LARGE ? &unit->state : NULL;
	}
	inner = (uintptr_t)ptr - (uintptr_t)unit->objects;
	if (unlikely(inner >= unit->carved_bytes))
		return NULL;
	state = &unit->states[object_index(unit, inner)];
	return *state & STATE_LIVE ? state : NULL;
}

/* Makes the memory of the object with this state word free. */
static inline void state_give(struct heap *heap, struct unit *unit, const uint32_t *state)
{
	if (likely(unit->kind == UNIT_SUPERBLOCK))
		object_give(heap, unit, (uint32_t)(state - unit->states));
	else
		large_give(heap, unit);
}

void *heap_alloc(struct heap *heap, size_t size)
{
	if (unlikely(size > CLASS_BYTES_MAX))
		return large_alloc(heap, size);
	return class_alloc(heap, class_of(heap, size));
}

void *heap_alloc_aligned(struct heap *heap, size_t alignment, size_t size)
{
	uint32_t class_id;

	if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > HEAP_ALIGNMENT_MAX)
		return NULL;
	if (size > CLASS_BYTES_MAX)
		return large_alloc(heap, size);
	class_id = class_of(heap, size < alignment ? alignment : size);
	while (class_id < CLASSES && (heap->classes[class_id].size & (alignment - 1)) != 0)
		class_id++;
	return class_id < CLASSES ? class_alloc(heap, class_id) : large_alloc(heap, size);
}

/* Frees what is not simply an owned object without holds. */
static __attribute__((noinline)) int heap_free_slow(struct heap *heap, struct unit *unit,
						    const void *object, uint32_t *state)
{
	if (!state)
		return unit->large_freed && object == unit_memory(heap, unit) ? -EALREADY : -EINVAL;
	if (!(*state & STATE_OWNED))
		return -EALREADY;
	*state &= ~STATE_OWNED;
	heap->held_only_bytes += unit_object_bytes(unit);
	return 0;
}

int heap_free(struct heap *heap, void *object)
{
	struct unit *unit;
	uint32_t *state;

	if (unlikely(!heap_owns(heap, object)))
		return -EFAULT;
	unit = unit_at(heap, object);
	state = object_state(heap, unit, object);
	if (unlikely(!state || *state != STATE_NEW))
		return heap_free_slow(heap, unit, object, state);
	state_give(heap, unit, state);
	return 0;
}

bool heap_owns(const struct heap *heap, const void *ptr)
{
	return (uintptr_t)ptr - (uintptr_t)heap->base < heap->bytes;
}

void *heap_object(const struct heap *heap, const void *ptr)
{
	struct unit *unit;
	const uint32_t *state;

	if (!heap_owns(heap, ptr))
		return NULL;
	state = live_state(heap, ptr, &unit);
	if (!state)
		return NULL;
	if (unlikely(unit->kind == UNIT_LARGE))
		return unit_memory(heap, unit);
	return unit->objects + (size_t)(state - unit->states) * unit->size;
}

bool heap_is_owned(const struct heap *heap, const void *object, size_t size)
{
	struct unit *unit;
	const uint32_t *state;

	if (unlikely(!heap_owns(heap, object)))
		return false;
	unit = unit_at(heap, object);
	state = object_state(heap, unit, object);
	return state && (*state & STATE_NEW) == STATE_NEW && unit_object_bytes(unit) >= size;
}

size_t heap_usable_size(const struct heap *heap, const void *object)
{
	struct unit *unit;
	uint32_t *state;

	if (!heap_owns(heap, object))
		return 0;
	unit = unit_at(heap, object);
	state = object_state(heap, unit, object);
	return state && (*state & STATE_LIVE) ? unit_object_bytes(unit) : 0;
}

void heap_hold(struct heap *heap, void *ptr)
{
	struct unit *unit;
	uint32_t *state;

	assert(heap_owns(heap, ptr));
	state = live_state(heap, ptr, &unit);
	assert(state);
	if (unlikely((*state & STATE_HOLDS) == STATE_HOLDS))
		return;
	++*state;
	if (unlikely((*state & STATE_HOLDS) == STATE_HOLDS))
		heap->pinned++;
}

void heap_release(struct heap *heap, void *ptr)
{
	struct unit *unit;
	uint32_t *state;

	assert(heap_owns(heap, ptr));
	state = live_state(heap, ptr, &unit);
	assert(state && (*state & STATE_HOLDS) > 0);
	if (unlikely((*state & STATE_HOLDS) == STATE_HOLDS))
		return;
	if (--*state != STATE_LIVE)
		return;
	heap->held_only_bytes -= unit_object_bytes(unit);
	state_give(heap, unit, state);
}

void heap_get_stats(const struct heap *heap, struct heap_stats *stats)
{
	*stats = (struct heap_stats){
		.bytes_reserved = (uint64_t)heap->units_used << UNIT_SHIFT,
		.bytes_held_only = heap->held_only_bytes,
		.objects_pinned = heap->pinned,
	};
	/* Summed up here, so that allocating and freeing keep no totals. */
	for (uint32_t i = 0; i < heap->units_fresh; i++) {
		const struct unit *unit = &heap->units[i];
		uint64_t objects = unit->kind == UNIT_LARGE ? 1 : 0;

		if (unit->kind == UNIT_SUPERBLOCK)
			objects = unit->live;
		if (objects)
			stats->bytes_in_use += objects * unit_object_bytes(unit);
		stats->objects += objects;
	}
}

/* ---- Birth and death ---- */

/* Reserves @bytes aligned to a chunk, without access; NULL: no such address space. */
static unsigned char *range_reserve(size_t bytes)
{
	unsigned char *mapped = mmap(NULL, bytes + CHUNK_BYTES, PROT_NONE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (mapped == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)mapped & (CHUNK_BYTES - 1);
	if (before)
		munmap(mapped, before);
	munmap(mapped + before + bytes, CHUNK_BYTES - before);
	/* Only advice: without huge pages everything works, more slowly. */
	madvise(mapped + before, bytes, MADV_HUGEPAGE);
	return mapped + before;
}

int heap_create(struct heap **heap_out, uint64_t bytes_max)
{
	struct heap *heap;

	if (bytes_max == 0)
		return -EINVAL;
	if (bytes_max > HEAP_BYTES_CAP)
		bytes_max = HEAP_BYTES_CAP;
	heap = aligned_alloc(64, sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	*heap = (struct heap){.units_max = (uint32_t)((bytes_max + UNIT_BYTES - 1) >> UNIT_SHIFT)};
	heap->bytes = (uint64_t)heap->units_max << UNIT_SHIFT;
	heap->mapped_bytes = (heap->bytes + CHUNK_BYTES - 1) & ~(CHUNK_BYTES - 1);
	heap->table_bytes = heap->units_max * sizeof(struct unit);
	classes_init(heap);
	heap->units = mmap(NULL, heap->table_bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (heap->units == MAP_FAILED)
		goto free_heap;
	heap->base = range_reserve(heap->mapped_bytes);
	if (!heap->base)
		goto unmap_table;
	leak_roots_add(heap->base, heap->mapped_bytes);
	*heap_out = heap;
	return 0;

unmap_table:
	munmap(heap->units, heap->table_bytes);
free_heap:
	free(heap);
	return -ENOMEM;
}

void heap_destroy(struct heap *heap)
{
	if (!heap)
		return;
	leak_roots_drop(heap->base, heap->mapped_bytes);
	unpoison(heap->base, (size_t)heap->units_fresh << UNIT_SHIFT);
	munmap(heap->base, heap->mapped_bytes);
	munmap(heap->units, heap->table_bytes);
	free(heap);
}
