/* SPDX-License-Identifier: MIT */
/* What the exported calls share. */
#ifndef SHIM_CALLS_H
#define SHIM_CALLS_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "file.h"
#include "log.h"
#include "socket.h"

/** call_return - what a call returns to the program: @outcome, or -1 with errno */
static inline ssize_t call_return(ssize_t outcome)
{
	if (outcome >= 0)
		return outcome;
	errno = (int)-outcome;
	return -1;
}

/** address_take - copy an address of the program's; 0, -EINVAL or -EFAULT */
int address_take(struct address *address, const struct sockaddr *from, socklen_t length);

/** address_give - copy one to the program, cut to *@length, which gets its own; 0, -EINVAL, -EFAULT */
int address_give(const struct address *address, struct sockaddr *to, socklen_t *length);

/**
 * call_enter - the socket of a descriptor, held, with the lock
 *
 * NULL: the kernel's; the lock is not held.
 */
struct socket *call_enter(int fd);

/** log_enter - the same of a log; NULL: it is none, and the lock is not held */
struct log_file *log_enter(int fd);

/** log_leave - undo it, and return as call_return */
int64_t log_leave(struct log_file *file, int64_t outcome);

/**
 * name_is_log - whether a path is a log's
 * @name: gets its name, which is absolute
 * @folder: as openat(2)'s
 *
 * errno stays.
 */
bool name_is_log(char name[PATH_MAX], int folder, const char *path);

/** streams_flush - the program exits: write what streams over logs and sockets hold */
void streams_flush(void);

/**
 * vector_make - readv or writev
 * @flags: MSG_DONTWAIT or 0
 *
 * Return: false: the kernel's is to be made instead; true: *@outcome is what it returns, errno set
 */
bool vector_make(int fd, const struct iovec *from, int count, bool sends, int flags,
		 ssize_t *outcome);

/** call_leave - undo it, and return as call_return */
ssize_t call_leave(struct socket *socket, ssize_t outcome);

#endif /* SHIM_CALLS_H */
