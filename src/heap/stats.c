/* SPDX-License-Identifier: MIT */
#include "heap/layout.h"
#include "heap/superblock.h"

static void count_unit(const struct unit *unit, struct heap_stats *stats)
{
	if (unit->kind == UNIT_LARGE) {
		stats->objects++;
		stats->objects_large++;
		stats->bytes_in_use += unit_object_bytes(unit);
	} else if (unit_has_frames(unit)) {
		stats->frames += unit->taken;
		stats->frames_in_use += unit->taken;
	} else if (unit->kind == UNIT_SUPERBLOCK) {
		stats->classes[unit->class_id].superblocks++;
		stats->classes[unit->class_id].objects += unit->taken;
	}
}

/* Free objects that count as taken in their superblocks: those in magazines and in quarantine. */
static void discount_free(const struct heap *heap, struct heap_stats *stats)
{
	for (uint32_t class_id = 0; class_id < CLASSES; class_id++)
		stats->classes[class_id].objects -= magazine_count(&heap->magazines[class_id]);
	for (uint32_t class_id = CLASSES; class_id < CLASSES_ALL; class_id++)
		stats->frames_in_use -= magazine_count(&heap->magazines[class_id]);
	for (uint32_t place = 0; place < QUARANTINE_OBJECTS; place++) {
		const void *object = heap->quarantine[place];

		if (object)
			stats->classes[unit_at(heap, object)->class_id].objects--;
	}
}

void heap_get_stats(const struct heap *heap, struct heap_stats *stats)
{
	*stats = (struct heap_stats){
		.bytes_max = heap->bytes,
		.bytes_committed = heap->pages.committed,
		.bytes_reserved = (uint64_t)heap->units_used << UNIT_SHIFT,
		.bytes_held_only = heap->held_only_bytes,
		.bytes_reserved_huge = heap->pages.reserved_huge_bytes,
		.bytes_locked = heap->pages.locked_bytes,
		.objects_pinned = heap->pinned,
		.remote_frees = heap->remote_frees,
	};
	/* Summed up here, so that allocating and freeing keep no totals. */
	for (uint32_t i = 0; i < heap->units_fresh; i++)
		count_unit(&heap->units[i], stats);
	discount_free(heap, stats);
	for (uint32_t class_id = 0; class_id < CLASSES; class_id++) {
		struct heap_class_stats *entry = &stats->classes[class_id];

		entry->object_bytes = heap->classes[class_id].size;
		entry->objects_held_only = heap->held_only[class_id];
		stats->objects += entry->objects;
		stats->bytes_in_use += entry->objects * entry->object_bytes;
	}
}

bool heap_is_empty(struct heap *heap)
{
	heap_collect(heap);
	heap_trim(heap);
	return heap->units_used == 0;
}
