/* SPDX-License-Identifier: MIT */
/*
 * Units are made accessible from the range's start on, some chunks of 2 MiB at a time. Free runs
 * are merged with their neighbours and kept in bins by size.
 */
#include "heap/units.h"

#include <errno.h>
#include <string.h>

#include "heap/checked.h"
#include "heap/region.h"
#include "heap/superblock.h"

/* A free run of which so much may be resident is worth a purge, 16 MiB, and cannot wait for one,
 * 256 MiB. */
#define PURGE_UNITS 64u
#define PURGE_NOW_UNITS 1024u

/* So many runs of a bin are looked at before those of the next bins. */
#define BIN_TRIES 8u

/* Growth in steps of an eighth of what there is, so that devices get few regions: to 64 MiB. */
#define GROW_UNITS_MAX 256u

void unit_list_push(struct unit **list, struct unit *unit)
{
	unit->previous = NULL;
	unit->next = *list;
	if (*list)
		(*list)->previous = unit;
	*list = unit;
}

void unit_list_remove(struct unit **list, struct unit *unit)
{
	if (unit->previous)
		unit->previous->next = unit->next;
	else
		*list = unit->next;
	if (unit->next)
		unit->next->previous = unit->previous;
}

/* ---- Free runs ---- */

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
	unit_list_push(&heap->bins[bin_of(units)], head);
}

/* The opposite: the whole run is UNIT_UNUSED and in no bin. */
static void run_remove(struct heap *heap, struct unit *head)
{
	unit_list_remove(&heap->bins[bin_of(head->units)], head);
	head[head->units - 1].kind = UNIT_UNUSED;
	head->kind = UNIT_UNUSED;
}

/* Units of a run that were used since the run's memory was last given back. */
static uint32_t count_dirty(const struct heap *heap, uint32_t first, uint32_t units)
{
	uint32_t dirty = 0;

	for (uint32_t i = first; i < first + units; i++)
		dirty += heap->used_before[i];
	return dirty;
}

static bool purge(struct heap *heap, uint32_t first, uint32_t units)
{
	if (!pages_purge(&heap->pages, (size_t)first << UNIT_SHIFT, (size_t)units << UNIT_SHIFT))
		return false;
	memset(heap->used_before + first, false, units);
	return true;
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
	 * comes and goes beside a long free run must not cost a system call each time. What a
	 * device knows must stay where it is.
	 */
	if (dirty >= PURGE_NOW_UNITS && !heap->registered && purge(heap, first, units))
		dirty = 0;
	if (dirty >= PURGE_UNITS && !heap->registered)
		heap->dirty = true;
	run_insert(heap, first, units, dirty);
}

static void purge_runs(struct heap *heap, uint32_t dirty_min)
{
	heap->dirty = false;
	for (unsigned int bin = bin_of(dirty_min); bin < BINS && !heap->registered; bin++) {
		for (struct unit *run = heap->bins[bin]; run; run = run->next) {
			if (run->dirty >= dirty_min &&
			    purge(heap, unit_index(heap, run), run->units))
				run->dirty = 0;
		}
	}
}

void heap_purge(struct heap *heap)
{
	purge_runs(heap, PURGE_UNITS);
}

void heap_purge_all(struct heap *heap)
{
	heap_trim(heap);
	purge_runs(heap, 1);
}

/* Units in front of a run that make its memory unaligned. */
static uint32_t units_before(const struct heap *heap, const struct unit *run, size_t alignment)
{
	return (uint32_t)((-(uintptr_t)unit_memory(heap, run) & (alignment - 1)) >> UNIT_SHIFT);
}

/* The first run of a bin, of the first @tries, that has room for an aligned one. */
static struct unit *bin_find(const struct heap *heap, unsigned int bin, uint32_t units,
			     size_t alignment, uint32_t tries)
{
	for (struct unit *run = heap->bins[bin]; run && tries > 0; run = run->next, tries--) {
		if (run->units >= units_before(heap, run, alignment) + units)
			return run;
	}
	return NULL;
}

/* A long bin is searched to its end only when there is no longer run. */
static struct unit *run_find(const struct heap *heap, uint32_t units, size_t alignment)
{
	unsigned int first = bin_of(units);

	for (unsigned int bin = first; bin < BINS; bin++) {
		struct unit *run = bin_find(heap, bin, units, alignment, BIN_TRIES);

		if (run)
			return run;
	}
	for (unsigned int bin = first; bin < BINS; bin++) {
		struct unit *run = bin_find(heap, bin, units, alignment, UINT32_MAX);

		if (run)
			return run;
	}
	return NULL;
}

/* The units are UNIT_UNUSED and count as used. NULL: no free run is long enough. */
static struct unit *run_take(struct heap *heap, uint32_t units, size_t alignment, bool *zeroed_out)
{
	struct unit *run = run_find(heap, units, alignment);
	uint32_t first, before, rest, dirty, dirty_before;

	if (!run)
		return NULL;
	run_remove(heap, run);
	first = unit_index(heap, run);
	before = units_before(heap, run, alignment);
	rest = run->units - units - before;
	dirty_before = count_dirty(heap, first, before);
	dirty = count_dirty(heap, first + before, units);
	if (rest)
		run_insert(heap, first + before + units, rest, run->dirty - dirty_before - dirty);
	if (before)
		run_insert(heap, first, before, dirty_before);
	heap->units_used += units;
	if (zeroed_out)
		*zeroed_out = dirty == 0;
	return run + before;
}

/* ---- Fresh units ---- */

static uint32_t grow_preferred(const struct heap *heap, uint32_t needed, uint32_t rest)
{
	uint32_t preferred = round_up(heap->units_fresh / 8, CHUNK_UNITS);

	if (preferred > GROW_UNITS_MAX)
		preferred = GROW_UNITS_MAX;
	if (preferred > round_up(rest, CHUNK_UNITS))
		preferred = round_up(rest, CHUNK_UNITS);
	return preferred < needed ? needed : preferred;
}

/* Makes fresh units accessible until the free run at their end has @units. */
static bool heap_grow(struct heap *heap, uint32_t units)
{
	const struct pages before = heap->pages;
	uint32_t fresh = heap->units_fresh;
	uint32_t rest = heap->units_max - fresh;
	uint32_t grown;
	size_t bytes;

	if (fresh > 0 && heap->units[fresh - 1].kind == UNIT_FREE)
		units -= heap->units[heap->units[fresh - 1].head].units;
	if (units > rest)
		return false;
	units = round_up(units, CHUNK_UNITS);
	bytes = pages_commit(&heap->pages, (size_t)units << UNIT_SHIFT,
			     (size_t)grow_preferred(heap, units, rest) << UNIT_SHIFT);
	if (!bytes)
		return false;
	if (region_add(heap, before.committed, bytes) < 0) {
		pages_uncommit(&heap->pages, &before);
		return false;
	}
	grown = (uint32_t)(bytes >> UNIT_SHIFT);
	if (grown > rest)
		grown = rest;
	checked_hide(heap, heap->base + ((size_t)fresh << UNIT_SHIFT), (size_t)grown << UNIT_SHIFT);
	heap->units_fresh += grown;
	run_give(heap, fresh, grown, 0);
	return true;
}

bool units_prepare(struct heap *heap)
{
	return heap_grow(heap, 1);
}

/* Room for an aligned run wherever it starts; at the end of the range as much as is left may do. */
static bool grow_for(struct heap *heap, uint32_t units, size_t alignment)
{
	uint32_t more = alignment > UNIT_BYTES ? (uint32_t)(alignment >> UNIT_SHIFT) - 1 : 0;

	return heap_grow(heap, units + more) || (more && heap_grow(heap, units));
}

struct unit *units_take(struct heap *heap, uint32_t units, size_t alignment, bool *zeroed_out)
{
	struct unit *unit = run_take(heap, units, alignment, zeroed_out);

	if (unit)
		return unit;
	if (!grow_for(heap, units, alignment)) {
		heap_trim(heap);
		unit = run_take(heap, units, alignment, zeroed_out);
		if (unit || !grow_for(heap, units, alignment))
			return unit;
	}
	return run_take(heap, units, alignment, zeroed_out);
}

void units_give(struct heap *heap, struct unit *first, uint32_t units)
{
	for (uint32_t i = 0; i < units; i++) {
		first[i].kind = UNIT_UNUSED;
		first[i].carved = 0;
	}
	memset(heap->used_before + unit_index(heap, first), true, units);
	heap->units_used -= units;
	checked_hide(heap, unit_memory(heap, first), (size_t)units << UNIT_SHIFT);
	run_give(heap, unit_index(heap, first), units, units);
}

/* ---- Large objects ---- */

void *large_alloc(struct heap *heap, size_t alignment, size_t size, uint32_t state, bool zeroed)
{
	bool is_zeroed;
	struct unit *unit;
	uint32_t units;

	if (size > heap->bytes)
		return NULL;
	units = size ? (uint32_t)((size + UNIT_BYTES - 1) >> UNIT_SHIFT) : 1;
	unit = units_take(heap, units, alignment, &is_zeroed);
	if (!unit)
		return NULL;
	unit->units = units;
	unit->state = state;
	__atomic_store_n(&unit->remote_large, 0, __ATOMIC_RELAXED);
	unit->requested = size;
	unit->kind = UNIT_LARGE;
	unit->place = PLACE_FULL;
	for (uint32_t i = 1; i < units; i++) {
		unit[i].kind = UNIT_LARGE_TAIL;
		unit[i].head = unit_index(heap, unit);
		unit[i].place = PLACE_FULL;
	}
	if (zeroed && !is_zeroed)
		memset(unit_memory(heap, unit), 0, size);
	return unit_memory(heap, unit);
}

void large_give(struct heap *heap, struct unit *unit)
{
	/* Freed by another thread as well: nobody will see it any more when this is something else. */
	if (__atomic_load_n(&unit->remote_large, __ATOMIC_RELAXED) != 0 && heap->options.wrong_free)
		heap->options.wrong_free(heap, unit_memory(heap, unit), -EALREADY);
	unit->place = PLACE_LARGE_FREED;
	units_give(heap, unit, unit->units);
}
