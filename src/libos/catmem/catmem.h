/* SPDX-License-Identifier: MIT */
/*
 * Catmem: the libOS without a device. Its runtimes have the heap, the in-memory queues and the
 * queues that join them with other runtimes, and nothing else.
 */
#ifndef DEMI_LIBOS_CATMEM_CATMEM_H
#define DEMI_LIBOS_CATMEM_CATMEM_H

#include "libos/libos.h"

extern const struct libos_ops catmem_ops;

#endif /* DEMI_LIBOS_CATMEM_CATMEM_H */
