/* SPDX-License-Identifier: MIT */
/* In-memory queues: PDPIX operations without a device. */
#ifndef DEMI_QUEUE_H
#define DEMI_QUEUE_H

#include <demi/cc.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * demi_queue - make an in-memory queue of this thread
 *
 * A push appends one array and completes at once; a pop takes the oldest, waiting pops are
 * served first come, first served. Buffers of the library pass by reference: popper and pusher
 * each hold them and each free their own array. Other memory is copied at once. The length is
 * bounded by `queue.elements_max`; a push beyond it stays pending until there is room.
 * Return: 0, ENOSYS, EMFILE, ENOMEM, EFAULT.
 */
ATTR_NONNULL(1)
extern int demi_queue(_Out_ int *qd_out);

#ifdef __cplusplus
}
#endif

#endif /* DEMI_QUEUE_H */
