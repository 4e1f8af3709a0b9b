/* SPDX-License-Identifier: MIT */
#include "heap/heap.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "heap/checked.h"
#include "heap/fast.h"
#include "heap/protect.h"
#include "heap/superblock.h"
#include "heap/units.h"

/* ---- Finding objects ---- */

/* The state word of the object that starts at @object; NULL: none ever did in this superblock. */
static inline uint32_t *object_state(const struct heap *heap, struct unit *unit, const void *object)
{
	uint32_t index;

	if (unlikely(unit->kind != UNIT_SUPERBLOCK)) {
		if (unit->kind != UNIT_LARGE || object != unit_memory(heap, unit))
			return NULL;
		return &unit->state;
	}
	index = object_index_exact(unit, object);
	return likely(index != UINT32_MAX) ? &unit->states[index] : NULL;
}

/* The state word of the live object that @ptr, which is ours, points anywhere into; or NULL. */
static inline uint32_t *live_state(const struct heap *heap, const void *ptr, struct unit **unit_out)
{
	struct unit *unit = unit_at(heap, ptr);
	uint32_t *state;
	uint64_t inner;
	uint32_t index;

	*unit_out = unit;
	if (unlikely(unit->kind != UNIT_SUPERBLOCK)) {
		if (unit->kind == UNIT_LARGE_TAIL)
			*unit_out = unit = &heap->units[unit->head];
		return unit->kind == UNIT_LARGE ? &unit->state : NULL;
	}
	inner = (uintptr_t)ptr - (uintptr_t)unit->objects;
	index = object_index(unit, inner);
	if (unlikely(inner >= UNIT_BYTES || index >= unit->carved))
		return NULL;
	state = &unit->states[index];
	return *state & STATE_LIVE ? state : NULL;
}

/* Index of the object with this state word; nothing of use when it is a large one. */
static inline uint32_t state_index(const struct unit *unit, const uint32_t *state)
{
	return (uint32_t)(state - unit->states);
}

/* ---- Allocating ---- */

/* Whether this allocation is one that a test wants to fail. */
static bool allocation_fails(struct heap *heap)
{
	if (likely(heap->fail_after == UINT64_MAX))
		return false;
	if (heap->fail_after == 0)
		return true;
	heap->fail_after--;
	return false;
}

static void *class_alloc(struct heap *heap, uint32_t class_id, uint32_t state)
{
	struct magazine *magazine = &heap->magazines[class_id];

	if (magazine->top == magazine->bottom && heap_has_remote(heap))
		heap_collect(heap);
	if (magazine->top == magazine->bottom && !magazine_fill(heap, class_id))
		return NULL;
	magazine->top--;
	*magazine->top->state = state;
	return magazine->top->object;
}

static void *alloc_aligned(struct heap *heap, size_t alignment, size_t size, uint32_t state,
			   bool zeroed)
{
	uint32_t class_id;
	void *object;

	if (allocation_fails(heap))
		return NULL;
	if (heap->checked)
		return checked_alloc(heap, alignment, size, state, zeroed);
	class_id = class_of_aligned(heap, alignment, size);
	if (class_id == CLASSES) {
		if (heap_has_remote(heap))
			heap_collect(heap);
		return large_alloc(heap, alignment, size, state, zeroed);
	}
	object = class_alloc(heap, class_id, state);
	if (object && zeroed)
		memset(object, 0, size);
	return object;
}

/* In a heap with write protection an object of some size has its pages for itself. */
static inline size_t alignment_of(const struct heap *heap, size_t size, size_t bytes_min)
{
	return heap->protect && size >= bytes_min ? PROTECT_PAGE_BYTES : 1;
}

void *heap_alloc(struct heap *heap, size_t size)
{
	void *object = heap_alloc_fast(heap, size, STATE_NEW);

	if (likely(object))
		return object;
	return alloc_aligned(heap, alignment_of(heap, size, HEAP_PROTECT_BYTES_MIN), size,
			     STATE_NEW, false);
}

void *heap_alloc_aligned(struct heap *heap, size_t alignment, size_t size)
{
	size_t own = alignment_of(heap, size, HEAP_PROTECT_BYTES_MIN);

	if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > HEAP_ALIGNMENT_MAX)
		return NULL;
	return alloc_aligned(heap, alignment > own ? alignment : own, size, STATE_NEW, false);
}

void *heap_alloc_zeroed(struct heap *heap, size_t size)
{
	return alloc_aligned(heap, alignment_of(heap, size, HEAP_PROTECT_BYTES_MIN), size,
			     STATE_NEW, true);
}

void *heap_alloc_io(struct heap *heap, size_t size)
{
	void *object = heap_alloc_fast(heap, size, STATE_NEW);

	if (likely(object))
		return object;
	return alloc_aligned(heap, alignment_of(heap, size, 0), size, STATE_NEW, false);
}

void *heap_alloc_buf(struct heap *heap, size_t size)
{
	void *object = heap_alloc_fast(heap, size, STATE_NEW | STATE_BUF);

	if (likely(object))
		return object;
	return alloc_aligned(heap, alignment_of(heap, size, 0), size, STATE_NEW | STATE_BUF, false);
}

void heap_fail_after(struct heap *heap, uint64_t count)
{
	heap->fail_after = count;
	/* With empty magazines of no capacity every allocation comes to where it is counted. */
	for (uint32_t class_id = 0; class_id < CLASSES; class_id++) {
		magazine_drain(heap, class_id, 0);
		magazine_open(heap, class_id, count == UINT64_MAX && !heap->checked);
	}
}

/* ---- Freeing ---- */

/* Puts an object of a class in its magazine, which first makes room if it must. */
static void class_give(struct heap *heap, struct unit *unit, uint32_t index)
{
	struct magazine *magazine = &heap->magazines[unit->class_id];

	if (magazine_capacity(magazine) == 0) {
		superblock_put(heap, unit, index);
		return;
	}
	if (magazine->top == magazine->limit)
		magazine_drain(heap, unit->class_id, magazine_capacity(magazine) / 2);
	magazine_push(magazine, unit, index);
}

/* Makes the memory of the object with this state word free. */
static void state_give(struct heap *heap, struct unit *unit, const uint32_t *state)
{
	if (heap->checked && !unit_has_frames(unit))
		checked_give(heap, unit, state_index(unit, state));
	else if (unit->kind == UNIT_SUPERBLOCK)
		class_give(heap, unit, state_index(unit, state));
	else
		large_give(heap, unit);
}

static void count_held_only(struct heap *heap, const struct unit *unit, int more)
{
	if (unit_has_frames(unit))
		return;
	heap->held_only_bytes += (uint64_t)(more * (int64_t)unit_object_bytes(unit));
	if (unit->kind == UNIT_SUPERBLOCK)
		heap->held_only[unit->class_id] += (uint64_t)(int64_t)more;
}

static int free_slow(struct heap *heap, void *object, uint32_t buf)
{
	struct unit *unit;
	uint32_t *state;

	if (!heap_owns(heap, object))
		return -EFAULT;
	unit = unit_at(heap, object);
	state = object_state(heap, unit, object);
	if (!state)
		return unit_large_freed(unit) && object == unit_memory(heap, unit) ? -EALREADY
										   : -EINVAL;
	if (!(*state & STATE_OWNED))
		return -EALREADY;
	if ((*state & STATE_BUF) != buf)
		return -EINVAL;
	if (*state & STATE_HOLDS) {
		*state &= ~STATE_OWNED;
		count_held_only(heap, unit, 1);
		return 0;
	}
	state_give(heap, unit, state);
	return 0;
}

int heap_free(struct heap *heap, void *object)
{
	return likely(heap_free_fast(heap, object, STATE_NEW)) ? 0 : free_slow(heap, object, 0);
}

int heap_free_buf(struct heap *heap, void *object)
{
	if (likely(heap_free_fast(heap, object, STATE_NEW | STATE_BUF)))
		return 0;
	return free_slow(heap, object, STATE_BUF);
}

int heap_drop(struct heap *heap, void *object)
{
	uint32_t *state;

	if (!heap_owns(heap, object))
		return -EFAULT;
	state = object_state(heap, unit_at(heap, object), object);
	if (!state)
		return -EINVAL;
	if (!(*state & STATE_OWNED))
		return -EALREADY;
	*state = STATE_IN_MAGAZINE;
	return 0;
}

void heap_each(struct heap *heap, void (*visit)(struct heap *heap, void *object))
{
	for (uint32_t i = 0; i < heap->units_fresh; i++) {
		struct unit *unit = &heap->units[i];

		if (unit->kind == UNIT_SUPERBLOCK)
			superblock_each(heap, unit, visit);
		else if (unit->kind == UNIT_LARGE && (unit->state & STATE_NEW) == STATE_NEW)
			visit(heap, unit_memory(heap, unit));
	}
}

/* ---- Looking at objects ---- */

bool heap_is_dirty(const struct heap *heap)
{
	return heap->dirty;
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
	return unit->objects + (size_t)state_index(unit, state) * unit->size;
}

/* Bytes that the application may use of the object with this state word. */
static size_t state_usable_size(const struct heap *heap, const struct unit *unit,
				const uint32_t *state)
{
	if (likely(!heap->checked))
		return unit_object_bytes(unit);
	return unit->kind == UNIT_LARGE ? unit->requested
					: unit_sizes(heap, unit)[state_index(unit, state)];
}

bool heap_is_owned(const struct heap *heap, const void *object, size_t size)
{
	struct unit *unit;
	const uint32_t *state;

	if (unlikely(!heap_owns(heap, object)))
		return false;
	unit = unit_at(heap, object);
	state = object_state(heap, unit, object);
	return state && (*state & STATE_NEW) == STATE_NEW &&
	       state_usable_size(heap, unit, state) >= size;
}

bool heap_is_buf(const struct heap *heap, const void *object)
{
	const uint32_t *state;

	if (unlikely(!heap_owns(heap, object)))
		return false;
	state = object_state(heap, unit_at(heap, object), object);
	return state && (*state & (STATE_NEW | STATE_BUF)) == (STATE_NEW | STATE_BUF);
}

size_t heap_usable_size(const struct heap *heap, const void *object)
{
	struct unit *unit;
	uint32_t *state;

	if (!heap_owns(heap, object))
		return 0;
	unit = unit_at(heap, object);
	state = object_state(heap, unit, object);
	return state && (__atomic_load_n(state, __ATOMIC_RELAXED) & STATE_LIVE)
		       ? state_usable_size(heap, unit, state)
		       : 0;
}

size_t heap_class_size(const struct heap *heap, const void *ptr)
{
	const struct unit *unit;

	if (!heap_owns(heap, ptr))
		return 0;
	unit = unit_at(heap, ptr);
	if (unit->kind == UNIT_LARGE_TAIL) {
		/* While the owner is at work this may be anything. */
		uint32_t head = __atomic_load_n(&unit->head, __ATOMIC_RELAXED);

		if (head >= heap->units_max)
			return 0;
		unit = &heap->units[head];
	}
	return unit->kind == UNIT_SUPERBLOCK || unit->kind == UNIT_LARGE ? unit_object_bytes(unit)
									 : 0;
}

/* ---- Holds ---- */

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
	--*state;
	if (likely(*state & (STATE_OWNED | STATE_HOLDS)))
		return;
	count_held_only(heap, unit, -1);
	state_give(heap, unit, state);
}

void heap_own(struct heap *heap, void *object)
{
	struct unit *unit;
	uint32_t *state = live_state(heap, object, &unit);

	assert(state && (*state & STATE_HOLDS) > 0 && !(*state & STATE_OWNED));
	count_held_only(heap, unit, -1);
	*state = (*state - 1) | STATE_OWNED | STATE_BUF;
}

bool heap_is_held(const struct heap *heap, const void *ptr)
{
	struct unit *unit;
	const uint32_t *state = live_state(heap, ptr, &unit);

	return state && (*state & STATE_HOLDS);
}

/* ---- Birth and death ---- */

static void *table_map(size_t bytes)
{
	void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	/* cppcheck-suppress memleak */
	return table == MAP_FAILED ? NULL : table;
}

static int ranges_create(struct heap *heap, const struct heap_options *options)
{
	size_t bytes = (heap->bytes + PAGES_CHUNK_BYTES - 1) & ~(PAGES_CHUNK_BYTES - 1);
	/* Pages of 2 MiB cannot be protected in parts. */
	enum heap_huge_pages huge = options->protect ? HEAP_HUGE_PAGES_OFF : options->huge_pages;

	heap->table_bytes = heap->units_max * sizeof(struct unit);
	heap->chunks_bytes = (bytes >> PAGES_CHUNK_SHIFT) * sizeof(struct chunk);
	heap->units = table_map(heap->table_bytes);
	if (!heap->units)
		return -ENOMEM;
	heap->chunks = table_map(heap->chunks_bytes);
	if (!heap->chunks)
		goto unmap_units;
	heap->used_before = table_map(heap->units_max);
	if (!heap->used_before)
		goto unmap_chunks;
	if (pages_reserve(&heap->pages, bytes, huge, options->lock && !heap->checked) < 0)
		goto unmap_used;
	heap->base = heap->pages.base;
	if (!heap->protect)
		return 0;
	heap->page_holds = table_map(bytes / PROTECT_PAGE_BYTES * sizeof(uint16_t));
	if (heap->page_holds)
		return 0;
	pages_release(&heap->pages);

unmap_used:
	munmap(heap->used_before, heap->units_max);
unmap_chunks:
	munmap(heap->chunks, heap->chunks_bytes);
unmap_units:
	munmap(heap->units, heap->table_bytes);
	return -ENOMEM;
}

static bool wants_checks(const struct heap_options *options)
{
	return options->protect || options->checks == HEAP_CHECKS_ON ||
	       (options->checks == HEAP_CHECKS_AUTO && checked_tool_present());
}

int heap_create(struct heap **heap_out, const struct heap_options *options)
{
	uint64_t bytes_max = options->bytes_max;
	struct heap *heap;
	int error;

	if (bytes_max == 0)
		return -EINVAL;
	if (bytes_max > HEAP_BYTES_CAP)
		bytes_max = HEAP_BYTES_CAP;
	heap = aligned_alloc(_Alignof(struct heap), sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	memset(heap, 0, sizeof(*heap));
	heap->units_max = (uint32_t)((bytes_max + UNIT_BYTES - 1) >> UNIT_SHIFT);
	heap->bytes = (uint64_t)heap->units_max << UNIT_SHIFT;
	heap->fail_after = UINT64_MAX;
	heap->options = *options;
	heap->protect = options->protect;
	heap->checked = wants_checks(options);
	classes_init(heap);
	error = ranges_create(heap, options);
	if (error) {
		free(heap);
		return error;
	}
	checked_start(heap);
	if (!units_prepare(heap)) {
		heap_destroy(heap);
		return -ENOMEM;
	}
	*heap_out = heap;
	return 0;
}

/* The tables read as zeroes again, as they did when they were mapped. */
static void tables_clear(struct heap *heap)
{
	madvise(heap->units, heap->table_bytes, MADV_DONTNEED);
	madvise(heap->chunks, heap->chunks_bytes, MADV_DONTNEED);
	madvise(heap->used_before, heap->units_max, MADV_DONTNEED);
	if (heap->page_holds)
		madvise(heap->page_holds, heap->pages.bytes / PROTECT_PAGE_BYTES * sizeof(uint16_t),
			MADV_DONTNEED);
}

void heap_reset(struct heap *heap)
{
	struct pages none = heap->pages;

	checked_show(heap, heap->base, heap->pages.committed);
	none.committed = 0;
	none.reserved_huge_bytes = 0;
	none.locked_bytes = 0;
	none.lock = heap->options.lock && !heap->checked;
	none.purge = true;
	pages_uncommit(&heap->pages, &none);
	tables_clear(heap);
	memset(heap->partial, 0, sizeof(heap->partial));
	memset(heap->bins, 0, sizeof(heap->bins));
	memset(heap->held_only, 0, sizeof(heap->held_only));
	memset(&heap->none, 0, sizeof(heap->none));
	classes_init(heap);
	heap->units_fresh = 0;
	heap->pinned = 0;
	heap->remote_frees = 0;
	heap->dirty = false;
}

int heap_revive(struct heap *heap)
{
	return units_prepare(heap) ? 0 : -ENOMEM;
}

void heap_destroy(struct heap *heap)
{
	if (!heap)
		return;
	checked_end(heap);
	pages_release(&heap->pages);
	if (heap->page_holds)
		munmap(heap->page_holds, heap->pages.bytes / PROTECT_PAGE_BYTES * sizeof(uint16_t));
	munmap(heap->used_before, heap->units_max);
	munmap(heap->chunks, heap->chunks_bytes);
	munmap(heap->units, heap->table_bytes);
	free(heap);
}
