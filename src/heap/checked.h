/* SPDX-License-Identifier: MIT */
/*
 * What a heap does for AddressSanitizer and valgrind, when the program runs under one: objects of
 * exactly the size that was asked for, red zones behind them, a quarantine for freed ones.
 *
 * The tools are found at run time, so that a program that was built with ASan profits from an
 * ordinary build of the library.
 */
#ifndef DEMI_HEAP_CHECKED_H
#define DEMI_HEAP_CHECKED_H

#include "heap/layout.h"

/** Bytes behind each object of a checked heap, at least. */
#define CHECKED_RED_ZONE_BYTES 16u

/** checked_tool_present - whether the program runs under ASan or valgrind */
bool checked_tool_present(void);

/** checked_start, checked_end - tell the tools of a heap's range, which is hidden at first */
void checked_start(const struct heap *heap);
void checked_end(const struct heap *heap);

/** checked_hide, checked_show - what the application, and what the heap itself may touch */
void checked_hide(const struct heap *heap, void *memory, size_t bytes);
void checked_show(const struct heap *heap, void *memory, size_t bytes);

/** checked_alloc - as heap_alloc_aligned, in a checked heap; @state: its state word */
void *checked_alloc(struct heap *heap, size_t alignment, size_t size, uint32_t state, bool zeroed);

/** checked_give - nobody holds the object of a checked heap any more */
void checked_give(struct heap *heap, struct unit *unit, uint32_t index);

/** checked_release_quarantine - let all freed objects be used again */
void checked_release_quarantine(struct heap *heap);

#endif /* DEMI_HEAP_CHECKED_H */
