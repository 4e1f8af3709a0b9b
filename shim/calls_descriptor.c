/* SPDX-License-Identifier: MIT */
/* Calls about descriptors: they end, become more, and change their flags. */
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "calls.h"
#include "cork.h"
#include "engine.h"
#include "guard.h"
#include "option.h"
#include "process.h"
#include "real.h"
#include "trace.h"

/* ---- Ends ---- */

/* SO_LINGER: the last close waits until the peer has it all, or the time is over. */
static void linger(struct file *file)
{
	struct socket *socket = socket_of(file);
	uint64_t end_ns;

	if (file->kind != FILE_SOCKET || !socket->linger_ns || file->descriptors != 1 ||
	    file->is_nonblocking || socket->state != SOCKET_CONNECTED)
		return;
	end_ns = clock_ns() + socket->linger_ns;
	cork_flush(socket);
	while (socket->out_bytes && socket->state == SOCKET_CONNECTED) {
		socket->wants_empty = true;
		if (socket_wait(socket, POLLWRBAND, end_ns, -1) != 0)
			break;
	}
}

EXPORT int close(int fd)
{
	struct file *file;
	int error = 0;

	/* The child of a vfork has its own descriptors and our memory. */
	if (!file_is_ours(fd) || process_is_vfork_child())
		return real()->close(fd);
	file = file_enter(fd);
	if (!file)
		return real()->close(fd);
	linger(file);
	if (file->kind == FILE_LOG)
		error = log_file_close(log_file_of(file));
	/* It may have waited, and another thread closed it meanwhile. */
	if (file_of(fd) != file) {
		file_leave(file);
		return (int)call_return(-EBADF);
	}
	file_remove(fd);
	/* Under the lock: the number may not be given away before it is out of the table. */
	if (real()->close(fd) != 0 && errno == EBADF)
		TRACE("descriptor %d was closed behind our back", fd);
	file_leave(file);
	return (int)call_return(error);
}

static unsigned int first_removed, last_removed;

static void remove_in_range(int fd, struct file *file)
{
	(void)file;
	if ((unsigned int)fd >= first_removed && (unsigned int)fd <= last_removed)
		file_remove(fd);
}

static void remove_range(unsigned int first, unsigned int last)
{
	if (!file_table || shim_is_inside || process_is_vfork_child())
		return;
	engine_lock();
	first_removed = first;
	last_removed = last;
	file_for_each(remove_in_range);
	engine_unlock();
}

EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	/* With CLOSE_RANGE_CLOEXEC they only end with the program. */
	if (!(flags & CLOSE_RANGE_CLOEXEC) && first <= last)
		remove_range(first, last);
	return real()->close_range(first, last, flags);
}

EXPORT void closefrom(int first)
{
	if (first >= 0)
		remove_range((unsigned int)first, UINT32_MAX);
	real()->closefrom(first);
}

/* ---- More of one ---- */

/* @fd is a copy of what @file is, as far as the kernel knows. Return: @fd or -errno. */
static int add_copy(int fd, struct file *file)
{
	int error;

	if (fd < 0)
		return -errno;
	error = file_add(fd, file);
	if (error)
		real()->close(fd);
	return error ? error : fd;
}

EXPORT int dup(int fd)
{
	struct file *file = process_is_vfork_child() ? NULL : file_enter(fd);
	int copy;

	if (!file)
		return real()->dup(fd);
	copy = add_copy(real()->dup(fd), file);
	file_leave(file);
	return (int)call_return(copy);
}

/* The old descriptor, the new one, or both may be ours. */
static int dup_over(int fd, int onto, int flags, bool is_dup3)
{
	struct file *file;
	int copy;

	engine_lock();
	file = file_of(fd);
	if (file)
		file_hold(file);
	copy = is_dup3 ? real()->dup3(fd, onto, flags) : real()->dup2(fd, onto);
	if (copy < 0)
		copy = -errno;
	else if (fd != onto) {
		/* The kernel has closed what it was. */
		if (file_of(onto))
			file_remove(onto);
		if (file)
			copy = add_copy(onto, file);
	}
	if (file)
		file_drop(file);
	engine_unlock();
	return (int)call_return(copy);
}

static bool dup_is_ours(int fd, int onto)
{
	return (file_is_ours(fd) || file_is_ours(onto)) && !process_is_vfork_child();
}

EXPORT int dup2(int fd, int onto)
{
	return dup_is_ours(fd, onto) ? dup_over(fd, onto, 0, false) : real()->dup2(fd, onto);
}

EXPORT int dup3(int fd, int onto, int flags)
{
	return dup_is_ours(fd, onto) ? dup_over(fd, onto, flags, true)
				     : real()->dup3(fd, onto, flags);
}

/* ---- fcntl ---- */

/* Without a meaning for sockets, but what is set can be read. */
#define FLAGS_KEPT (O_APPEND | O_ASYNC | O_NOATIME)

static int get_flags(struct file *file, int fd)
{
	int flags;

	if (file->kind == FILE_LOG)
		return log_file_flags(log_file_of(file));
	flags = real()->fcntl(fd, F_GETFL);
	if (flags < 0)
		return -errno;
	return (flags & ~(O_NONBLOCK | FLAGS_KEPT)) | (file->is_nonblocking ? O_NONBLOCK : 0) |
	       file->status_flags;
}

static int set_flags(struct file *file, int fd, int flags)
{
	bool of_both;

	if (file->kind == FILE_LOG) {
		log_file_set_flags(log_file_of(file), flags);
		return 0;
	}
	of_both = file->kind == FILE_EPOLL || socket_of(file)->side == SIDE_UNDECIDED;
	if ((flags & ~file->status_flags & O_ASYNC) && !of_both) {
		trace_count(COUNT_NO_CALL);
		TRACE("O_ASYNC on descriptor %d: no signals are sent for it", fd);
	}
	file->is_nonblocking = (flags & O_NONBLOCK) != 0;
	file->status_flags = flags & FLAGS_KEPT;
	if (of_both && real()->fcntl(fd, F_SETFL, flags) < 0)
		return -errno;
	return 0;
}

/* The process has the device alone, and its logs. */
static int lock_log(int command, void *argument)
{
	struct flock lock;

	if (!guard_copy(&lock, argument, sizeof(lock)))
		return -EFAULT;
	if (command != F_GETLK && command != F_OFD_GETLK)
		return 0;
	lock.l_type = F_UNLCK;
	return guard_copy(argument, &lock, sizeof(lock)) ? 0 : -EFAULT;
}

static int control(struct file *file, int fd, int command, void *argument)
{
	int outcome;

	switch (command) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return add_copy(real()->fcntl(fd, command, argument), file);
	case F_GETFL:
		return get_flags(file, fd);
	case F_SETFL:
		return set_flags(file, fd, (int)(intptr_t)argument);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		if (file->kind == FILE_LOG)
			return lock_log(command, argument);
		/* fall through */
	default:
		outcome = real()->fcntl(fd, command, argument);
		return outcome < 0 ? -errno : outcome;
	}
}

static int fcntl_any(int fd, int command, void *argument)
{
	bool copies = command == F_DUPFD || command == F_DUPFD_CLOEXEC;
	struct file *file = copies && process_is_vfork_child() ? NULL : file_enter(fd);
	int outcome;

	if (!file)
		return real()->fcntl(fd, command, argument);
	outcome = control(file, fd, command, argument);
	file_leave(file);
	return (int)call_return(outcome);
}

EXPORT int fcntl(int fd, int command, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, command);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	return fcntl_any(fd, command, argument);
}

EXPORT int fcntl64(int fd, int command, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, command);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	return fcntl_any(fd, command, argument);
}

/* ---- ioctl ---- */

EXPORT int ioctl(int fd, unsigned long request, ...)
{
	struct socket *socket;
	va_list arguments;
	void *argument;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (!file_is_ours(fd) || !(socket = call_enter(fd)))
		return real()->ioctl(fd, request, argument);
	return (int)call_leave(socket, option_control(socket, fd, request, argument));
}
