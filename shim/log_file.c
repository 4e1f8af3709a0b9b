/* SPDX-License-Identifier: MIT */
/* Open files that are logs, and their places. */
#include <errno.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"
#include "log.h"
#include "real.h"
#include "trace.h"

/* Of open(2)'s flags, those that F_GETFL tells; x86-64 has the last one always on. */
#define LARGE_FILE 0100000
#define FLAGS_TOLD (O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | O_DIRECT | O_NOATIME)
#define FLAGS_CHANGED (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME)
/* As the kernel: no call transfers more. */
#define TRANSFER_BYTES_MAX ((size_t)0x7ffff000)

/* ---- Opening ---- */

/*
 * What the kernel has under a file's number. Who reads gets the image, which cannot be written to
 * past us; who only writes gets an empty file that is sealed, so that what goes past us fails.
 */
static int open_kernels(struct log *log, int access, int flags)
{
	char path[40];
	int fd;

	if (access == O_WRONLY) {
		fd = memfd_create("demi log, written",
				  MFD_ALLOW_SEALING | (flags & O_CLOEXEC ? MFD_CLOEXEC : 0));
		if (fd >= 0)
			real()->fcntl(fd, F_ADD_SEALS,
				      F_SEAL_SEAL | F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK);
		return fd < 0 ? -errno : fd;
	}
	fd = log_make_image(log);
	if (fd)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", log->image);
	fd = real()->open(path, O_RDONLY | (flags & O_CLOEXEC));
	return fd < 0 ? -errno : fd;
}

/* Return: a descriptor, in the table, or -errno. */
static int make_file(struct log *log, int access, int flags)
{
	struct log_file *file = calloc(1, sizeof(*file));
	int fd = file ? open_kernels(log, access, flags) : -ENOMEM;
	int error;

	if (fd < 0) {
		free(file);
		return fd;
	}
	*file = (struct log_file){
		.file = {.kind = FILE_LOG,
			 .is_nonblocking = (flags & O_NONBLOCK) != 0,
			 .status_flags = flags & FLAGS_TOLD},
		.log = log,
		.access = access,
		.is_synced = (flags & O_DSYNC) != 0,
	};
	error = file_add(fd, &file->file);
	if (error) {
		real()->close(fd);
		free(file);
		return error;
	}
	log->holds++;
	log->readers += access != O_WRONLY;
	return fd;
}

static int check_flags(const struct log *log, int access, int flags)
{
	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	if (log->is_read_only && (access != O_RDONLY || (flags & O_TRUNC)))
		return -EROFS;
	return 0;
}

int log_file_open(const char *name, int flags)
{
	int access = (flags & O_ACCMODE) == O_ACCMODE ? O_RDWR : flags & O_ACCMODE;
	struct log *log;
	int fd = log_open(&log, name, flags);

	if (fd)
		return fd;
	fd = check_flags(log, access, flags);
	if (!fd && (flags & O_TRUNC)) {
		log_take(log);
		fd = log_cut(log, 0);
		log_give(log);
	}
	if (!fd)
		fd = make_file(log, access, flags);
	TRACE("descriptor %d is log %s", fd, name);
	if (fd >= 0)
		trace_count(COUNT_LOGS);
	log_drop(log);
	return fd;
}

void log_file_end(struct log_file *file)
{
	if (file->access != O_WRONLY && --file->log->readers == 0)
		log_drop_image(file->log);
	log_drop(file->log);
	free(file);
}

int log_file_close(struct log_file *file)
{
	/* What has no name any more nobody will miss. */
	if (file->is_parents || file->access == O_RDONLY || file->file.descriptors != 1 ||
	    file->log->is_removed)
		return 0;
	return log_sync(file->log);
}

/* ---- Places ---- */

static int measure(struct log *log)
{
	int error;

	if (log->size >= 0)
		return 0;
	log_take(log);
	error = log_measure(log);
	log_give(log);
	return error;
}

static int resolve(struct log_file *file)
{
	int error = file->is_at_end ? measure(file->log) : 0;

	if (!error && file->is_at_end)
		file->offset = file->log->size;
	if (!error)
		file->is_at_end = false;
	return error;
}

int64_t log_file_seek(struct log_file *file, int64_t offset, int whence)
{
	int error = file->is_parents ? -EIO : resolve(file);

	if (!error && (whence == SEEK_END || whence == SEEK_DATA || whence == SEEK_HOLE))
		error = measure(file->log);
	if (error)
		return error;
	switch (whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		if (__builtin_add_overflow(offset, file->offset, &offset))
			return -EOVERFLOW;
		break;
	case SEEK_END:
		if (__builtin_add_overflow(offset, file->log->size, &offset))
			return -EOVERFLOW;
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		if (offset < 0 || offset >= file->log->size)
			return -ENXIO;
		if (whence == SEEK_HOLE)
			offset = file->log->size;
		break;
	default:
		return -EINVAL;
	}
	if (offset < 0)
		return -EINVAL;
	return file->offset = offset;
}

/* ---- Writing ---- */

/* Where the program wants to write must be the end, or behind it. */
static int reach(struct log_file *file, int64_t position)
{
	struct log *log = file->log;
	int error = log_measure(log);

	if (error || position == log->size)
		return error;
	if (position > log->size)
		return log_append_hole(log, position);
	trace_count(COUNT_NO_CALL);
	TRACE("log %s: a write in the middle, at %lld of %lld bytes, is refused: logs are only "
	      "appended to",
	      log->name, (long long)position, (long long)log->size);
	return -EOPNOTSUPP;
}

/* Between log_take and log_give. */
static ssize_t write_at(struct log_file *file, struct cursor *cursor, int64_t offset)
{
	struct log *log = file->log;
	ssize_t outcome = 0;

	if (log->error)
		return log->error;
	if (!(file->file.status_flags & O_APPEND)) {
		int64_t position = offset < 0 ? file->offset : offset;

		if (offset < 0 && file->is_at_end && log_measure(log) == 0)
			position = log->size;
		outcome = reach(file, position);
	}
	if (!outcome)
		outcome = log_append(log, cursor);
	if (outcome <= 0 || offset >= 0)
		return outcome;
	file->is_at_end = log->size < 0;
	file->offset = log->size;
	return outcome;
}

ssize_t log_file_write(struct log_file *file, struct cursor *cursor, int64_t offset)
{
	ssize_t outcome;
	int error;

	if (file->is_parents)
		return -EIO;
	if (file->access == O_RDONLY)
		return -EBADF;
	if (cursor->left > TRANSFER_BYTES_MAX)
		cursor->left = TRANSFER_BYTES_MAX;
	if (!cursor->left)
		return 0;
	log_take(file->log);
	outcome = write_at(file, cursor, offset);
	log_give(file->log);
	if (outcome <= 0 || !file->is_synced)
		return outcome;
	error = log_sync(file->log);
	return error ? error : outcome;
}

int log_file_sync(struct log_file *file)
{
	return file->is_parents ? -EIO : log_sync(file->log);
}

int log_file_cut(struct log_file *file, int64_t size)
{
	int error;

	if (file->is_parents)
		return -EIO;
	if (size < 0 || file->access == O_RDONLY)
		return -EINVAL;
	log_take(file->log);
	error = log_cut(file->log, size);
	log_give(file->log);
	return error;
}

/* ---- Reading ---- */

int log_file_fill(struct log_file *file)
{
	int error;

	if (file->is_parents)
		return -EIO;
	if (file->log->image_is_filled)
		return 0;
	log_take(file->log);
	error = log_fill_image(file->log);
	log_give(file->log);
	return error;
}

ssize_t log_file_read(struct log_file *file, const struct iovec *pieces, size_t count,
		      int64_t offset)
{
	ssize_t got;
	int error;

	if (file->access == O_WRONLY)
		return -EBADF;
	error = log_file_fill(file);
	if (!error && offset < 0)
		error = resolve(file);
	if (error)
		return error;
	got = real()->preadv(file->log->image, pieces, (int)count,
			     offset < 0 ? file->offset : offset);
	if (got < 0)
		return -errno;
	if (offset < 0)
		file->offset += got;
	return got;
}

/* ---- What is known of it ---- */

int log_file_stat(struct log_file *file, struct stat *status)
{
	return file->is_parents ? -EIO : log_stat(file->log, status);
}

int log_file_flags(const struct log_file *file)
{
	return file->access | LARGE_FILE | file->file.status_flags;
}

void log_file_set_flags(struct log_file *file, int flags)
{
	file->file.is_nonblocking = (flags & O_NONBLOCK) != 0;
	file->file.status_flags = (file->file.status_flags & ~FLAGS_CHANGED) |
				  (flags & FLAGS_CHANGED);
}
