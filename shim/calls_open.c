/* SPDX-License-Identifier: MIT */
/* Paths that are logs, and the calls that open them. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "calls.h"
#include "engine.h"
#include "guard.h"
#include "process.h"
#include "real.h"

/* A string is copied in pieces that end where a page does: what comes behind it may be nothing. */
#define PIECE_BYTES 256u

/* ---- Names ---- */

static bool take_path(char out[PATH_MAX], const char *path)
{
	for (size_t length = 0; length < PATH_MAX;) {
		size_t bytes = PIECE_BYTES - ((uintptr_t)path + length) % PIECE_BYTES;

		if (bytes > PATH_MAX - length)
			bytes = PATH_MAX - length;
		if (!guard_copy(out + length, path + length, bytes))
			return false;
		if (memchr(out + length, '\0', bytes))
			return true;
		length += bytes;
	}
	return false;
}

static bool folder_name(char out[PATH_MAX], int folder)
{
	char link[40];
	ssize_t length;

	if (folder == AT_FDCWD)
		return getcwd(out, PATH_MAX) != NULL;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", folder);
	length = readlink(link, out, PATH_MAX - 1);
	if (length < 0)
		return false;
	out[length] = '\0';
	return out[0] == '/';
}

static bool find_name(char name[PATH_MAX], int folder, const char *path)
{
	char copy[PATH_MAX], start[PATH_MAX] = "/";
	size_t length;

	if (!take_path(copy, path))
		return false;
	length = strlen(copy);
	/* With a slash at its end it is a folder. */
	if (!length || copy[length - 1] == '/')
		return false;
	if (copy[0] != '/' && !folder_name(start, folder))
		return false;
	return path_normalise(name, start, copy) == 0 && patterns_match(&engine.patterns, name);
}

bool name_is_log(char name[PATH_MAX], int folder, const char *path)
{
	int saved = errno;
	bool is_log;

	if (!engine_has_logs() || shim_is_inside || !path)
		return false;
	is_log = find_name(name, folder, path);
	errno = saved;
	return is_log;
}

/* ---- open ---- */

/* Programs' allocators open files before anything of libc's can be looked up. */
static int open_early(int folder, const char *path, int flags, mode_t mode)
{
	return (int)syscall(SYS_openat, folder, path, flags, mode);
}

static int open_any(int folder, const char *path, int flags, mode_t mode)
{
	char name[PATH_MAX];
	int fd;

	if (!name_is_log(name, folder, path))
		return real_is_ready ? real()->openat(folder, path, flags, mode)
				     : open_early(folder, path, flags, mode);
	if (process_is_vfork_child())
		return (int)call_return(-EIO);
	engine_lock();
	fd = log_file_open(name, flags);
	engine_unlock();
	return (int)call_return(fd);
}

static mode_t mode_of(int flags, va_list arguments)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t)
								     : 0;
}

#define OPEN(name)                                            \
	EXPORT int name(const char *path, int flags, ...)     \
	{                                                     \
		va_list arguments;                            \
		mode_t mode;                                  \
                                                              \
		va_start(arguments, flags);                   \
		mode = mode_of(flags, arguments);             \
		va_end(arguments);                            \
		return open_any(AT_FDCWD, path, flags, mode); \
	}

#define OPENAT(name)                                                  \
	EXPORT int name(int folder, const char *path, int flags, ...) \
	{                                                             \
		va_list arguments;                                    \
		mode_t mode;                                          \
                                                                      \
		va_start(arguments, flags);                           \
		mode = mode_of(flags, arguments);                     \
		va_end(arguments);                                    \
		return open_any(folder, path, flags, mode);           \
	}

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

EXPORT int creat(const char *path, mode_t mode)
{
	return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

EXPORT int creat64(const char *path, mode_t mode)
{
	return creat(path, mode);
}

/* ---- What fortified programs call, when no mode is given ---- */

EXPORT int __open_2(const char *path, int flags);
EXPORT int __open64_2(const char *path, int flags);
EXPORT int __openat_2(int folder, const char *path, int flags);
EXPORT int __openat64_2(int folder, const char *path, int flags);

int __openat_2(int folder, const char *path, int flags)
{
	if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE)
		abort();
	return open_any(folder, path, flags, 0);
}

int __open_2(const char *path, int flags)
{
	return __openat_2(AT_FDCWD, path, flags);
}

int __open64_2(const char *path, int flags)
{
	return __openat_2(AT_FDCWD, path, flags);
}

int __openat64_2(int folder, const char *path, int flags)
{
	return __openat_2(folder, path, flags);
}
