/* SPDX-License-Identifier: MIT */
/*
 * The heap of one runtime: superblocks of one size class, aligned to their own size, so that
 * masking an object's address finds the header. One address range is reserved at the start, so
 * that two comparisons tell whether a pointer is ours at all.
 *
 * An object lives until its owner has freed it and the last operation has dropped its hold.
 * A heap belongs to one thread; no call may come from another.
 */
#ifndef DEMI_HEAP_HEAP_H
#define DEMI_HEAP_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap;

/** Largest alignment that heap_alloc_aligned serves, bytes. */
#define HEAP_ALIGNMENT_MAX 4096u

/** Holds that an object can count. One that has so many is pinned: never reused, but never wrong. */
#define HEAP_HOLDS_MAX 0x00ffffffu

/**
 * heap_create - reserve the address range of a heap
 * @bytes_max: bound on the memory in use, bytes; rounded up to whole superblocks, 1 TiB at most
 *
 * Return: 0, -EINVAL (bytes_max is 0), -ENOMEM.
 */
int heap_create(struct heap **heap_out, uint64_t bytes_max);

/** heap_destroy - give everything back, live objects included; NULL is allowed. */
void heap_destroy(struct heap *heap);

/**
 * heap_alloc - allocate @size bytes, aligned to 16 (to 64 from 64 bytes on); contents undefined
 *
 * @size 0 gives a unique object. Return: the object, NULL when bytes_max or the system's memory
 * is exhausted.
 */
void *heap_alloc(struct heap *heap, size_t size);

/** heap_alloc_aligned - as heap_alloc; @alignment: a power of two, <= HEAP_ALIGNMENT_MAX, or NULL. */
void *heap_alloc_aligned(struct heap *heap, size_t alignment, size_t size);

/**
 * heap_free - drop the owner's hold on an object
 *
 * Return: 0; -EFAULT when @object is not in this heap; -EINVAL when it is not the start of an
 * object; -EALREADY when its owner has freed it before (-EINVAL once the superblock that it was in
 * has become empty and is used otherwise). Nothing changes on an error.
 */
int heap_free(struct heap *heap, void *object);

/** heap_owns - whether @ptr lies in this heap's range: two comparisons, nothing is read. */
bool heap_owns(const struct heap *heap, const void *ptr);

/**
 * heap_object - the start of the object that @ptr points anywhere into
 *
 * Return: the object, NULL when @ptr is not inside an object that the owner or an operation holds.
 */
void *heap_object(const struct heap *heap, const void *ptr);

/**
 * heap_usable_size - bytes that may be used at @object, at least what was asked for
 *
 * Return: the bytes; 0 when no object that the owner or an operation holds starts at @object.
 */
size_t heap_usable_size(const struct heap *heap, const void *object);

/** heap_is_owned - whether an object of @size bytes or more starts here that its owner has not freed */
bool heap_is_owned(const struct heap *heap, const void *object, size_t size);

/**
 * heap_hold, heap_release - take and drop an operation's hold on an object
 * @ptr: anywhere in a live object of this heap
 *
 * The memory is reused after the owner's free and the last release.
 */
void heap_hold(struct heap *heap, void *ptr);
void heap_release(struct heap *heap, void *ptr);

/** Counters; bytes count size classes, not requests. */
struct heap_stats {
	uint64_t bytes_reserved;  /* address space carved into superblocks and large runs */
	uint64_t bytes_in_use;    /* live objects, held ones included */
	uint64_t bytes_held_only; /* freed by their owner, held by operations */
	uint64_t objects;         /* live objects */
	uint64_t objects_pinned;  /* had HEAP_HOLDS_MAX holds once, live for ever */
};

/** heap_get_stats - the counters; takes a time that grows with the heap's superblocks. */
void heap_get_stats(const struct heap *heap, struct heap_stats *stats);

#endif /* DEMI_HEAP_HEAP_H */
