/* SPDX-License-Identifier: MIT */
/*
 * Frees by other threads than the owner. They must not touch the object, which a device may still
 * be reading, nor its state word, which the owner changes without atomics. So the freeing thread
 * sets the object's bit in its superblock, and enters the superblock in a list of those that have
 * such bits, unless it is there already. The owner takes the whole list and frees what the bits
 * say. A large object has a flag in its unit instead of a bit.
 *
 * Who sets a bit then looks at remote_next; the owner clears remote_next and then looks at the
 * bits. Both in the one order that sequential consistency gives, so that one of the two sees the
 * other: no bit stays behind without its superblock being in the list. The same goes for the list
 * and an owner who retires (heaps.c).
 */
#include <errno.h>

#include "heap/buf.h"
#include "heap/superblock.h"

/* Enters a unit in the list unless it is in it. */
static void remote_list_add(struct heap *heap, struct unit *unit)
{
	uint32_t self = unit_index(heap, unit) + 1;
	uint32_t none = 0;
	uint32_t head;

	if (__atomic_load_n(&unit->remote_next, __ATOMIC_SEQ_CST) != 0)
		return;
	if (!__atomic_compare_exchange_n(&unit->remote_next, &none, REMOTE_LAST, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	head = __atomic_load_n(&heap->remote_head, __ATOMIC_RELAXED);
	do {
		__atomic_store_n(&unit->remote_next, head ? head : REMOTE_LAST, __ATOMIC_RELAXED);
	} while (!__atomic_compare_exchange_n(&heap->remote_head, &head, self, true,
					      __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

static int free_remote_large(struct heap *heap, struct unit *unit, const void *object)
{
	if (object != unit_memory(heap, unit))
		return -EINVAL;
	if (__atomic_exchange_n(&unit->remote_large, 1, __ATOMIC_SEQ_CST) != 0)
		return -EALREADY;
	remote_list_add(heap, unit);
	return 0;
}

int heap_free_remote(struct heap *heap, void *object)
{
	struct unit *unit;
	uint32_t index;
	uint64_t bit;

	if (!heap_owns(heap, object))
		return -EFAULT;
	unit = unit_at(heap, object);
	if (unit->kind == UNIT_LARGE)
		return free_remote_large(heap, unit, object);
	if (unit->kind != UNIT_SUPERBLOCK)
		return unit_large_freed(unit) && object == unit_memory(heap, unit) ? -EALREADY
										   : -EINVAL;
	index = object_index_exact(unit, object);
	if (index == UINT32_MAX)
		return -EINVAL;
	bit = UINT64_C(1) << (index % 64);
	if (__atomic_fetch_or(&unit_remote_bits(heap, unit)[index / 64], bit, __ATOMIC_SEQ_CST) &
	    bit)
		return -EALREADY;
	remote_list_add(heap, unit);
	return 0;
}

bool heap_has_remote(const struct heap *heap)
{
	return __atomic_load_n(&heap->remote_head, __ATOMIC_RELAXED) != 0;
}

static void collect_object(struct heap *heap, void *object)
{
	int error = buf_is_lent(heap, object) ? buf_free_lent(heap, object)
					      : heap_free(heap, object);

	heap->remote_frees++;
	heap->others_freed = true;
	if (error && heap->options.wrong_free)
		heap->options.wrong_free(heap, object, error);
}

static void collect_superblock(struct heap *heap, struct unit *unit)
{
	uint64_t *bits = unit_remote_bits(heap, unit);
	uint32_t words = (heap->classes[unit->class_id].count + 63) / 64;

	superblock_keep(unit);
	for (uint32_t word = 0; word < words; word++) {
		uint64_t freed = 0;

		if (__atomic_load_n(&bits[word], __ATOMIC_SEQ_CST) != 0)
			freed = __atomic_exchange_n(&bits[word], 0, __ATOMIC_SEQ_CST);
		for (; freed; freed &= freed - 1) {
			uint32_t index = word * 64 + (uint32_t)__builtin_ctzll(freed);

			collect_object(heap, unit->objects + (size_t)index * unit->size);
		}
	}
	superblock_drop(heap, unit);
}

void heap_collect(struct heap *heap)
{
	uint32_t next = __atomic_exchange_n(&heap->remote_head, 0, __ATOMIC_SEQ_CST);

	while (next != 0 && next != REMOTE_LAST) {
		struct unit *unit = &heap->units[next - 1];

		next = __atomic_exchange_n(&unit->remote_next, 0, __ATOMIC_SEQ_CST);
		/*
		 * What was a superblock when the thread set its bit may be anything when it enters
		 * the unit in the list: another thread's entry may have come first.
		 */
		if (unit->kind == UNIT_SUPERBLOCK)
			collect_superblock(heap, unit);
		else if (unit->kind == UNIT_LARGE &&
			 __atomic_exchange_n(&unit->remote_large, 0, __ATOMIC_SEQ_CST) != 0)
			collect_object(heap, unit_memory(heap, unit));
	}
}
