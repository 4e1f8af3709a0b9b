/* SPDX-License-Identifier: MIT */
/* In-memory queues, of one thread or between two: PDPIX operations without a device. */
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

/**
 * demi_queue_create - one end of a queue that joins this runtime with another of the process
 * @name: 1 to 255 bytes; taken until the other end is opened or this one is closed
 *
 * What one end pushes the other pops, in order, both ways at once. Buffers of the library pass by
 * reference: pusher and popper each free their own array. A push completes once the other end can
 * pop it; it waits while `queue.joined_elements_max` are there already. When the other end is
 * closed, pops return what it has pushed and then the end of the stream, and pushes fail with EPIPE.
 * Return: 0, EEXIST (the name is taken), EFAULT, EINVAL (@name is empty), ENAMETOOLONG, ENOSYS,
 * EMFILE, ENFILE, ENOMEM.
 */
ATTR_NONNULL(1, 2)
extern int demi_queue_create(_Out_ int *qd_out, _In_z_ const char *name);

/**
 * demi_queue_open - the other end of a queue that has been made by demi_queue_create
 *
 * Return: as demi_queue_create, and ENOENT: nobody has made one of this name, or it is open already.
 */
ATTR_NONNULL(1, 2)
extern int demi_queue_open(_Out_ int *qd_out, _In_z_ const char *name);

#ifdef __cplusplus
}
#endif

#endif /* DEMI_QUEUE_H */
