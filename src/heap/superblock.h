/* SPDX-License-Identifier: MIT */
/* Superblocks: units whose objects are of one size class, and the magazines in front of them. */
#ifndef DEMI_HEAP_SUPERBLOCK_H
#define DEMI_HEAP_SUPERBLOCK_H

#include "heap/layout.h"

/** classes_init - the parameters of all classes and the table that finds them */
void classes_init(struct heap *heap);

/** class_of_aligned - the class whose objects are all so aligned; CLASSES: none is */
uint32_t class_of_aligned(const struct heap *heap, size_t alignment, size_t size);

/**
 * superblock_take - take an object of this class out of a superblock
 * @unit_out: where it is
 *
 * Return: its index; UINT32_MAX when out of memory. Its state is not set.
 */
uint32_t superblock_take(struct heap *heap, uint32_t class_id, struct unit **unit_out);

/** superblock_init - make a unit of units_take a superblock of this class, of which nothing is taken */
void superblock_init(struct heap *heap, struct unit *unit, uint32_t class_id);

/** superblock_change_class - to one with objects of the same size; a superblock that is full */
void superblock_change_class(struct unit *unit, uint32_t class_id);

/** superblock_put - the opposite; the superblock is given back when it is empty */
void superblock_put(struct heap *heap, struct unit *unit, uint32_t index);

/** superblock_each - see heap_each */
void superblock_each(struct heap *heap, struct unit *unit,
		     void (*visit)(struct heap *heap, void *object));

/** superblock_keep, superblock_drop - keep an emptying superblock from being given back for a while */
void superblock_keep(struct unit *unit);
void superblock_drop(struct heap *heap, struct unit *unit);

/** magazine_fill - load an empty magazine; false: out of memory */
bool magazine_fill(struct heap *heap, uint32_t class_id);

/** magazine_drain - put back all but @keep objects of a magazine, the coldest first */
void magazine_drain(struct heap *heap, uint32_t class_id, uint32_t keep);

/** magazine_open - let an empty magazine hold objects, or none */
void magazine_open(struct heap *heap, uint32_t class_id, bool open);

/** magazine_push - put a free object in a magazine that is not full */
static inline void magazine_push(struct magazine *magazine, struct unit *unit, uint32_t index)
{
	unit->states[index] = STATE_IN_MAGAZINE;
	magazine->top->object = unit->objects + (size_t)index * unit->size;
	magazine->top->state = &unit->states[index];
	magazine->top++;
}

#endif /* DEMI_HEAP_SUPERBLOCK_H */
