/* SPDX-License-Identifier: MIT */
/* What a pointer is, for messages about wrong ones. */
#ifndef DEMI_HEAP_LOCATE_H
#define DEMI_HEAP_LOCATE_H

#include "heap/heap.h"

enum heap_place {
	HEAP_PLACE_FOREIGN, /* not in this heap */
	HEAP_PLACE_UNUSED,  /* in no superblock and no large object */
	HEAP_PLACE_HEADER,  /* in a superblock, in front of or behind its objects */
	HEAP_PLACE_NEVER,   /* in or at an object that was never allocated */
	HEAP_PLACE_FREE,    /* at the start of a free object */
	HEAP_PLACE_HELD,    /* at the start of an object that was freed and is held by operations */
	HEAP_PLACE_LIVE,    /* at the start of a live object */
	HEAP_PLACE_BUF,     /* at the start of a live object of heap_alloc_buf */
	HEAP_PLACE_INTERIOR, /* behind the start of an object, live or not */
};

struct heap_location {
	enum heap_place place;
	size_t class_bytes; /* of the objects there; 0: none */
	void *object;       /* start of the object; NULL: none */
};

/** heap_locate - look a pointer up; any thread, for what it is worth while others are at work */
struct heap_location heap_locate(const struct heap *heap, const void *ptr);

#endif /* DEMI_HEAP_LOCATE_H */
