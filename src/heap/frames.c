/* SPDX-License-Identifier: MIT */
#include "heap/frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/checked.h"
#include "heap/superblock.h"
#include "heap/units.h"

static void frames_carve_unit(struct heap_frames *frames, struct unit *unit)
{
	struct heap *heap = frames->heap;
	uint32_t left = frames->count - magazine_count(frames->magazine);
	uint32_t count = heap->classes[frames->class_id].count;

	superblock_init(heap, unit, frames->class_id);
	if (count > left)
		count = left;
	checked_show(heap, unit->objects, (size_t)count * unit->size);
	/* From the end, so that the first to be taken is the first in memory. */
	for (uint32_t index = count; index-- > 0;) {
		if (heap->checked)
			unit_sizes(heap, unit)[index] = frames->bytes;
		magazine_push(frames->magazine, unit, index);
	}
	unit->taken = (uint16_t)count;
	__atomic_store_n(&unit->carved, (uint16_t)count, __ATOMIC_RELAXED);
}

/* A place among the pools whose run and slots are there; -errno. */
static int frames_reserve(struct heap_frames *frames, uint32_t pool)
{
	struct heap *heap = frames->heap;
	const struct size_class *parameters = &heap->classes[frames->class_below];
	struct magazine *magazine = &heap->magazines[CLASSES + pool];

	/* So that no sum below wraps around. */
	if (frames->count / parameters->count > heap->units_max)
		return -ENOMEM;
	frames->unit_count = (frames->count + parameters->count - 1) / parameters->count;
	frames->slots = malloc((size_t)frames->count * sizeof(frames->slots[0]));
	if (!frames->slots)
		return -ENOMEM;
	frames->units = units_take(heap, frames->unit_count, UNIT_BYTES, NULL);
	if (!frames->units) {
		free(frames->slots);
		return -ENOMEM;
	}
	magazine->bottom = frames->slots;
	magazine->top = frames->slots;
	magazine->limit = frames->slots + frames->count;
	heap->classes[CLASSES + pool] = *parameters;
	heap->frames[pool] = frames;
	frames->magazine = magazine;
	frames->class_id = CLASSES + pool;
	return 0;
}

int heap_frames_create(struct heap_frames **frames_out, struct heap *heap, uint32_t bytes,
		       uint32_t count)
{
	struct heap_frames *frames;
	uint32_t pool = 0;
	int error;

	if (bytes == 0 || bytes > HEAP_FRAME_BYTES_MAX || count == 0)
		return -EINVAL;
	while (pool < HEAP_FRAME_POOLS_MAX && heap->frames[pool])
		pool++;
	if (pool == HEAP_FRAME_POOLS_MAX)
		return -ENOSPC;
	frames = calloc(1, sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	frames->heap = heap;
	frames->count = count;
	frames->class_below = class_of_aligned(heap, 1, bytes);
	frames->bytes = heap->classes[frames->class_below].size;
	error = frames_reserve(frames, pool);
	if (error) {
		free(frames);
		return error;
	}
	for (uint32_t i = frames->unit_count; i-- > 0;)
		frames_carve_unit(frames, &frames->units[i]);
	*frames_out = frames;
	return 0;
}

/* Makes a unit with frames a full superblock of ordinary objects, free ones included. */
static void frames_leave_unit(struct heap *heap, struct unit *unit, uint32_t class_id)
{
	superblock_change_class(unit, class_id);
	for (uint32_t index = 0; index < unit->carved; index++) {
		if ((unit->states[index] & STATE_NEW) != STATE_LIVE)
			continue;
		/* Counted as such an object is: nobody owns it, and the last release takes it off. */
		heap->held_only_bytes += unit->size;
		heap->held_only[class_id]++;
	}
}

void heap_frames_destroy(struct heap *heap, struct heap_frames *frames)
{
	struct magazine *magazine;
	struct magazine_slot *end;

	if (!frames)
		return;
	magazine = frames->magazine;
	end = magazine->top;
	for (uint32_t i = 0; i < frames->unit_count; i++)
		frames_leave_unit(heap, &frames->units[i], frames->class_below);
	/* The last object of each superblock gives it back. */
	for (struct magazine_slot *slot = magazine->bottom; slot < end; slot++) {
		struct unit *unit = unit_at(heap, slot->object);

		checked_hide(heap, slot->object, frames->bytes);
		superblock_put(heap, unit, (uint32_t)(slot->state - unit->states));
	}
	magazine->bottom = magazine->top = magazine->limit = NULL;
	heap->frames[frames->class_id - CLASSES] = NULL;
	free(frames->slots);
	free(frames);
}

void *heap_frames_memory(const struct heap_frames *frames, size_t *bytes_out)
{
	*bytes_out = (size_t)frames->unit_count << UNIT_SHIFT;
	return unit_memory(frames->heap, frames->units);
}

uint32_t heap_frames_bytes(const struct heap_frames *frames)
{
	return frames->bytes;
}

void heap_frames_each(const struct heap_frames *frames, void (*visit)(void *context, void *frame),
		      void *context)
{
	for (uint32_t i = 0; i < frames->unit_count; i++) {
		const struct unit *unit = &frames->units[i];

		for (uint32_t index = 0; index < unit->carved; index++)
			visit(context, unit->objects + (size_t)index * unit->size);
	}
}
