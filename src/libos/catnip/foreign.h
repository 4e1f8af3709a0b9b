/* SPDX-License-Identifier: MIT */
/*
 * Memory that is not the heap's is copied by the stack, in user space: where a kernel would answer
 * EFAULT, we would fault. So the kernel is asked before.
 */
#ifndef DEMI_LIBOS_CATNIP_FOREIGN_H
#define DEMI_LIBOS_CATNIP_FOREIGN_H

#include <demi/types.h>

#include "heap/heap.h"

/** foreign_is_readable - whether what is not the heap's of a checked array can be read */
bool foreign_is_readable(const struct heap *heap, const demi_sgarray_t *sga);

#endif /* DEMI_LIBOS_CATNIP_FOREIGN_H */
