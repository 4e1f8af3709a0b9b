/* SPDX-License-Identifier: MIT */
#include "heap/superblock.h"

#include <string.h>

#include "heap/checked.h"
#include "heap/units.h"

/* State words start at one of 32 lines, so that they spread over the cache's sets. */
#define COLOURS 32u
#define COLOUR_BYTES 64u

/* An object is as aligned as its size is, up to here: beyond, superblocks would hold fewer. */
#define CLASS_ALIGNMENT_MAX 65536u

/* ---- Size classes: 16, 32, 48, 64, 128, 192, 256, then four for each doubling ---- */

static uint32_t class_of(size_t size)
{
	if (size <= 64)
		return size == 0 ? 0 : (uint32_t)(size - 1) / 16;
	if (size <= 256)
		return 3 + (uint32_t)(size - 1) / 64;
	return class_of_large(size);
}

static uint32_t class_size(uint32_t class_id)
{
	if (class_id < 4)
		return (class_id + 1) * 16;
	if (class_id < 7)
		return (class_id - 2) * 64;
	return (5 + (class_id - 7) % 4) << (6 + (class_id - 7) / 4);
}

/* Of an odd number, modulo 2^32: each step of Newton's method doubles the bits that are right. */
static uint32_t inverse_of(uint32_t odd)
{
	uint32_t inverse = odd;

	for (int bits = 3; bits < 32; bits *= 2)
		inverse *= 2 - odd * inverse;
	return inverse;
}

static void size_class_init(struct size_class *entry, uint32_t size, bool checked)
{
	uint32_t alignment = size & -size;
	uint32_t count = (uint32_t)UNIT_BYTES / size;
	uint32_t offset;

	if (alignment > CLASS_ALIGNMENT_MAX)
		alignment = CLASS_ALIGNMENT_MAX;
	for (;; count--) {
		entry->remote_offset = round_up(count * 4, 8);
		entry->sizes_offset = entry->remote_offset + (count + 63) / 64 * 8;
		offset = (COLOURS - 1) * COLOUR_BYTES + entry->sizes_offset;
		offset = round_up(offset + (checked ? count * 4 : 0), alignment);
		if (offset + count * size <= UNIT_BYTES)
			break;
	}
	entry->size = size;
	entry->count = count;
	entry->shift = (uint32_t)__builtin_ctz(size);
	entry->inverse = inverse_of(size >> entry->shift);
	entry->reciprocal = ((UINT64_C(1) << RECIPROCAL_SHIFT) + size - 1) / size;
	entry->objects_offset = offset;
	entry->objects_bytes = count * size;
}

void classes_init(struct heap *heap)
{
	heap->none.free = INDEX_NONE;
	for (uint32_t class_id = 0; class_id < CLASSES; class_id++) {
		size_class_init(&heap->classes[class_id], class_size(class_id), heap->checked);
		heap->current[class_id] = &heap->none;
		magazine_open(heap, class_id, !heap->checked);
	}
	for (uint32_t i = 0; i <= TABLE_BYTES_MAX / 16; i++)
		heap->magazine_by_16[i] = (uint16_t)(class_of((size_t)i * 16) *
						     sizeof(struct magazine));
}

uint32_t class_of_aligned(const struct heap *heap, size_t alignment, size_t size)
{
	uint32_t class_id = CLASSES;

	if (alignment > CLASS_ALIGNMENT_MAX || size > CLASS_BYTES_MAX)
		return CLASSES;
	class_id = class_of(size < alignment ? alignment : size);
	while (class_id < CLASSES && (heap->classes[class_id].size & (alignment - 1)) != 0)
		class_id++;
	return class_id;
}

/* ---- Superblocks ---- */

void superblock_init(struct heap *heap, struct unit *unit, uint32_t class_id)
{
	const struct size_class *parameters = &heap->classes[class_id];
	unsigned char *memory = unit_memory(heap, unit);

	checked_show(heap, memory, parameters->objects_offset);
	unit->objects = memory + parameters->objects_offset;
	unit->states = (uint32_t *)(void *)(memory + (size_t)(unit_index(heap, unit) % COLOURS) *
							     COLOUR_BYTES);
	unit->reciprocal = parameters->reciprocal;
	unit->size = parameters->size;
	unit->free = INDEX_NONE;
	unit->taken = 0;
	unit->inverse = parameters->inverse;
	unit->shift = (uint8_t)parameters->shift;
	superblock_change_class(unit, class_id);
	memset(unit_remote_bits(heap, unit), 0,
	       parameters->sizes_offset - parameters->remote_offset);
	unit->kind = UNIT_SUPERBLOCK;
}

void superblock_change_class(struct unit *unit, uint32_t class_id)
{
	unit->class_id = (uint8_t)class_id;
	unit->magazine_offset = (uint16_t)(class_id * sizeof(struct magazine));
	unit->place = PLACE_FULL;
}

static struct unit *superblock_create(struct heap *heap, uint32_t class_id)
{
	struct unit *unit = units_take(heap, 1, UNIT_BYTES, NULL);

	if (unit)
		superblock_init(heap, unit, class_id);
	return unit;
}

/* Gives the empty superblocks that their classes keep at hand back. */
static void superblocks_reclaim(struct heap *heap)
{
	for (uint32_t class_id = 0; class_id < CLASSES; class_id++) {
		struct unit *unit = heap->current[class_id];

		if (unit == &heap->none || unit->taken > 0)
			continue;
		heap->current[class_id] = &heap->none;
		units_give(heap, unit, 1);
	}
}

/* An object that was taken before, or the next one that never was; UINT32_MAX: it has neither. */
static uint32_t superblock_pop(const struct heap *heap, struct unit *unit)
{
	uint32_t index = unit->free;

	if (index != INDEX_NONE) {
		unit->free = (uint16_t)unit->states[index];
	} else {
		uint16_t carved = unit->carved;

		if (unit == &heap->none || carved == heap->classes[unit->class_id].count)
			return UINT32_MAX;
		index = carved;
		/* Set before another thread can get to know the object. */
		unit->states[index] = INDEX_NONE;
		__atomic_store_n(&unit->carved, (uint16_t)(carved + 1), __ATOMIC_RELAXED);
	}
	unit->taken++;
	return index;
}

/* A superblock that is not full; making one may free objects of others, when memory is short. */
static struct unit *superblock_find(struct heap *heap, uint32_t class_id)
{
	struct unit *unit = heap->partial[class_id];

	if (!unit)
		unit = superblock_create(heap, class_id);
	if (!unit)
		unit = heap->partial[class_id];
	if (unit && unit == heap->partial[class_id])
		unit_list_remove(&heap->partial[class_id], unit);
	return unit;
}

/* Finds the class another current superblock, when the one it has is full. */
static bool current_replace(struct heap *heap, uint32_t class_id)
{
	struct unit *unit = superblock_find(heap, class_id);
	struct unit *old = heap->current[class_id];

	if (!unit)
		return old->free != INDEX_NONE;
	old->place = PLACE_FULL;
	if (old->free != INDEX_NONE) {
		old->place = PLACE_PARTIAL;
		unit_list_push(&heap->partial[class_id], old);
	}
	heap->current[class_id] = unit;
	unit->place = PLACE_CURRENT;
	return true;
}

uint32_t superblock_take(struct heap *heap, uint32_t class_id, struct unit **unit_out)
{
	uint32_t index = superblock_pop(heap, heap->current[class_id]);

	if (index == UINT32_MAX && current_replace(heap, class_id))
		index = superblock_pop(heap, heap->current[class_id]);
	*unit_out = heap->current[class_id];
	return index;
}

/* After an object of a superblock that is not the current one has been put back. */
static void superblock_settle(struct heap *heap, struct unit *unit)
{
	if (unit->place == PLACE_FULL) {
		unit->place = PLACE_PARTIAL;
		unit_list_push(&heap->partial[unit->class_id], unit);
	}
	if (unit->taken == 0) {
		unit_list_remove(&heap->partial[unit->class_id], unit);
		units_give(heap, unit, 1);
	}
}

void superblock_put(struct heap *heap, struct unit *unit, uint32_t index)
{
	unit->states[index] = unit->free;
	unit->free = (uint16_t)index;
	unit->taken--;
	if (unit->place != PLACE_CURRENT)
		superblock_settle(heap, unit);
}

void superblock_keep(struct unit *unit)
{
	unit->taken++;
}

void superblock_drop(struct heap *heap, struct unit *unit)
{
	/* When nothing is left of one that was not empty, something was put back: it is in the list. */
	if (--unit->taken == 0 && unit->place != PLACE_CURRENT)
		superblock_settle(heap, unit);
}

void superblock_each(struct heap *heap, struct unit *unit,
		     void (*visit)(struct heap *heap, void *object))
{
	uint32_t carved = unit->carved;

	superblock_keep(unit);
	for (uint32_t index = 0; index < carved; index++) {
		if ((unit->states[index] & STATE_NEW) == STATE_NEW)
			visit(heap, unit->objects + (size_t)index * unit->size);
	}
	superblock_drop(heap, unit);
}

/* ---- Magazines ---- */

void magazine_open(struct heap *heap, uint32_t class_id, bool open)
{
	struct magazine *magazine = &heap->magazines[class_id];
	uint32_t capacity = MAGAZINE_BYTES_MAX / heap->classes[class_id].size;

	if (capacity < MAGAZINE_OBJECTS_MIN)
		capacity = MAGAZINE_OBJECTS_MIN;
	if (capacity > MAGAZINE_OBJECTS_MAX)
		capacity = MAGAZINE_OBJECTS_MAX;
	magazine->bottom = magazine->slots;
	magazine->top = magazine->bottom;
	magazine->limit = magazine->bottom + (open ? capacity : 0);
}

bool magazine_fill(struct heap *heap, uint32_t class_id)
{
	struct magazine *magazine = &heap->magazines[class_id];
	uint32_t wanted = (magazine_capacity(magazine) + 1) / 2;
	struct unit *unit;
	uint32_t index = superblock_take(heap, class_id, &unit);

	while (index != UINT32_MAX) {
		magazine_push(magazine, unit, index);
		if (magazine_count(magazine) >= wanted)
			break;
		/* The rest only as far as this superblock goes. */
		index = superblock_pop(heap, unit);
	}
	return magazine->top != magazine->bottom;
}

void magazine_drain(struct heap *heap, uint32_t class_id, uint32_t keep)
{
	struct magazine *magazine = &heap->magazines[class_id];
	uint32_t count = magazine_count(magazine);
	uint32_t out = count > keep ? count - keep : 0;

	for (uint32_t i = 0; i < out; i++) {
		struct unit *unit = unit_at(heap, magazine->slots[i].object);

		superblock_put(heap, unit, (uint32_t)(magazine->slots[i].state - unit->states));
	}
	magazine->top -= out;
	memmove(magazine->slots, magazine->slots + out, (count - out) * sizeof(magazine->slots[0]));
}

void heap_trim(struct heap *heap)
{
	checked_release_quarantine(heap);
	for (uint32_t class_id = 0; class_id < CLASSES; class_id++)
		magazine_drain(heap, class_id, 0);
	superblocks_reclaim(heap);
}
