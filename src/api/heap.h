/* SPDX-License-Identifier: MIT */
/* The calling thread's heap, for malloc and its family. */
#ifndef DEMI_API_HEAP_H
#define DEMI_API_HEAP_H

#include "heap/heap.h"

/** The heap of the calling thread's runtime, or one without memory. */
extern _Thread_local struct heap *api_heap __attribute__((tls_model("initial-exec")));

/** api_heap_wrong_free - report what heap_collect finds */
void api_heap_wrong_free(const struct heap *heap, const void *object, int error);

#endif /* DEMI_API_HEAP_H */
