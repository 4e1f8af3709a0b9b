/* SPDX-License-Identifier: MIT */
/* What the exported calls share. */
#ifndef SHIM_CALLS_H
#define SHIM_CALLS_H

#include <errno.h>
#include <sys/types.h>

#include "file.h"
#include "socket.h"

/** call_return - what a call returns to the program: @outcome, or -1 with errno */
static inline ssize_t call_return(ssize_t outcome)
{
	if (outcome >= 0)
		return outcome;
	errno = (int)-outcome;
	return -1;
}

/**
 * call_enter - the socket of a descriptor, held, with the lock
 * @starts: it is to be used now: its queue is made if it is ours
 *
 * NULL: the kernel's; the lock is not held. *@error_out: 0 or -errno of making the queue.
 */
struct socket *call_enter(int fd);

/** call_leave - undo it, and return as call_return */
ssize_t call_leave(struct socket *socket, ssize_t outcome);

#endif /* SHIM_CALLS_H */
