/* SPDX-License-Identifier: MIT */
/*
 * The heaps of this process: which one a pointer lies in, the one that threads without a runtime
 * share, and those whose runtime has ended while objects of theirs were in use.
 *
 * Nothing here is on the path of an I/O: a runtime's thread finds its own objects by itself.
 */
#ifndef DEMI_HEAP_HEAPS_H
#define DEMI_HEAP_HEAPS_H

#include "heap/heap.h"

/** heaps_none - a heap that owns nothing and has no memory, for threads that have none */
extern struct heap heaps_none;

/** heaps_create - as heap_create; the heap, whose owner is the caller, can be found by its pointers */
int heaps_create(struct heap **heap_out, const struct heap_options *options);

/**
 * heaps_retire - the owner needs the heap no more
 *
 * No operation may hold an object. It is destroyed once no object lives, at once or when the last
 * one is freed with heaps_free.
 */
void heaps_retire(struct heap *heap);

/**
 * heaps_disown - for the child of a fork: the heap's thread uses it no more, its objects stay
 * @is_own: the thread is the one that forked; else what is freed is not used again
 */
void heaps_disown(struct heap *heap, bool is_own);

/** heaps_kept - heaps that are retired and not empty */
unsigned int heaps_kept(void);

/** heaps_find - the heap whose range @ptr lies in, or NULL. Lock-free; any thread. */
struct heap *heaps_find(const void *ptr);

/**
 * heaps_free - free an object of a heap that the calling thread does not own
 * @heap_out: the heap that @object lies in, NULL with -EFAULT
 *
 * Lock-free while its owner's runtime runs. Return: as heap_free.
 */
int heaps_free(void *object, struct heap **heap_out);

/**
 * heaps_collect - collect what threads freed in a heap whose owner may have gone meanwhile
 *
 * heaps_free does it; nothing happens to a heap that has an owner. Takes a lock.
 */
void heaps_collect(struct heap *heap);

/**
 * heaps_shared_alloc - an object of the heap that threads without a runtime share
 * @options: of the heap, when this is the first call
 * @zeroed: all bytes are 0
 *
 * Takes a lock. Return: as heap_alloc_aligned.
 */
void *heaps_shared_alloc(const struct heap_options *options, size_t alignment, size_t size,
			 bool zeroed);

/** heaps_shared_exists - whether that heap has been made */
bool heaps_shared_exists(void);

#endif /* DEMI_HEAP_HEAPS_H */
