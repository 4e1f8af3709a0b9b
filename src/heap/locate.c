/* SPDX-License-Identifier: MIT */
#include "heap/locate.h"

#include "heap/layout.h"

static enum heap_place place_of_state(uint32_t state)
{
	if (!(state & STATE_LIVE))
		return HEAP_PLACE_FREE;
	if (!(state & STATE_OWNED))
		return HEAP_PLACE_HELD;
	return state & STATE_BUF ? HEAP_PLACE_BUF : HEAP_PLACE_LIVE;
}

/* Its owner may make something else of it right now: then the number is any. */
static const struct unit *first_of_large(const struct heap *heap, const struct unit *tail)
{
	uint32_t head = __atomic_load_n(&tail->head, __ATOMIC_RELAXED);

	return head < heap->units_max ? &heap->units[head] : tail;
}

static struct heap_location locate_large(const struct heap *heap, const struct unit *unit,
					 const void *ptr)
{
	struct heap_location location = {.class_bytes = unit_object_bytes(unit),
					 .object = unit_memory(heap, unit)};

	location.place = ptr == location.object ? place_of_state(unit->state) : HEAP_PLACE_INTERIOR;
	return location;
}

static struct heap_location locate_in_superblock(const struct heap *heap, const struct unit *unit,
						 const void *ptr)
{
	struct heap_location location = {.class_bytes = unit->size};
	uint64_t inner = (uintptr_t)ptr - (uintptr_t)unit->objects;
	uint32_t index;

	if (inner >= heap->classes[unit->class_id].objects_bytes) {
		location.place = HEAP_PLACE_HEADER;
		return location;
	}
	index = object_index(unit, inner);
	location.object = unit->objects + (size_t)index * unit->size;
	if (index >= __atomic_load_n(&unit->carved, __ATOMIC_RELAXED))
		location.place = HEAP_PLACE_NEVER;
	else if (location.object != ptr)
		location.place = HEAP_PLACE_INTERIOR;
	else
		location.place = place_of_state(
			__atomic_load_n(&unit->states[index], __ATOMIC_RELAXED));
	return location;
}

struct heap_location heap_locate(const struct heap *heap, const void *ptr)
{
	const struct unit *unit;

	if (!heap_owns(heap, ptr))
		return (struct heap_location){.place = HEAP_PLACE_FOREIGN};
	unit = unit_at(heap, ptr);
	if (unit->kind == UNIT_LARGE_TAIL)
		unit = first_of_large(heap, unit);
	if (unit->kind == UNIT_LARGE)
		return locate_large(heap, unit, ptr);
	if (unit->kind == UNIT_SUPERBLOCK)
		return locate_in_superblock(heap, unit, ptr);
	if (unit_large_freed(unit) && ptr == unit_memory(heap, unit))
		return (struct heap_location){.place = HEAP_PLACE_FREE};
	return (struct heap_location){.place = HEAP_PLACE_UNUSED};
}
