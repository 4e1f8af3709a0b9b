/* SPDX-License-Identifier: MIT */
/* The file or block device below: found, made, locked and measured. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "blkdev/uring.h"

#define BLOCK_BYTES_FILE 4096u
#define MEMORY_ALIGNMENT_MIN 4u
#define MEMORY_ALIGNMENT_PAGE 4096u
#define NEW_FILE_MODE 0600
#define FILL_STEP_BYTES ((size_t)1 << 20)
/* It takes a second or so; what is beyond is slower to write the first time. */
#define FILL_BYTES_MAX ((uint64_t)1 << 30)

static int say(const struct uring_options *options, int error, const char *why)
{
	log_error("uring:%s: %s: %s", options->path, strerror(-error), why);
	return error;
}

static int say_open_error(const struct uring_options *options, int error)
{
	switch (error) {
	case -ENOENT:
		return say(options, error,
			   "there is no such file; give the path of one, or size=, as in "
			   "uring:FILE,size=64M, which makes it");
	case -EBUSY:
		return say(options, error,
			   "it is mounted, or another process uses it; give a device that is free");
	case -EISDIR:
		return say(options, -EINVAL, "give a file or a block device, not a directory");
	case -EACCES:
	case -EPERM:
		return say(options, error, "run as a user who may read and write it");
	case -ENXIO:
	case -ENODEV:
		return say(options, -ENODEV, "no device answers behind it");
	default:
		return say(options, error, "cannot be opened");
	}
}

/* ---- A new file ---- */

/* Its name is durable only with its directory. */
static int sync_directory(const char *path)
{
	char copy[PATH_MAX];
	int error = 0, fd;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* One that may not be read cannot be synced. */
	if (fd < 0)
		return 0;
	if (fsync(fd) < 0 && errno != EINVAL)
		error = -errno;
	close(fd);
	return error;
}

/* Zeroes, so that the first write of a block needs no mark in the file system that it was written. */
static int fill(int fd, uint64_t bytes)
{
	void *zeroes = calloc(1, FILL_STEP_BYTES);
	int error = zeroes ? 0 : -ENOMEM;

	for (uint64_t at = 0; !error && at < bytes;) {
		size_t step = bytes - at < FILL_STEP_BYTES ? bytes - at : FILL_STEP_BYTES;
		ssize_t written = pwrite(fd, zeroes, step, (off_t)at);

		if (written < 0 && errno != EINTR)
			error = -errno;
		else if (written > 0)
			at += (size_t)written;
	}
	free(zeroes);
	if (!error && fsync(fd) < 0)
		error = -errno;
	/* Nobody will read them from the page cache. */
	if (!error)
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return error;
}

/*
 * All its space is allocated now: a write that allocates would wait for the file system's journal,
 * and one for which there is no space any more would fail long after the start.
 */
static int allocate(int fd, const struct uring_options *options)
{
	int error = -posix_fallocate(fd, 0, (off_t)options->size);

	if (!error)
		error = fill(fd, options->size < FILL_BYTES_MAX ? options->size : FILL_BYTES_MAX);
	if (error) {
		/* Empty it is begun anew the next time. */
		say(options, error, "size=: there is no room for so much; lower it");
		return ftruncate(fd, 0) < 0 ? -errno : error;
	}
	error = sync_directory(options->path);
	return error ? say(options, error, "its directory cannot be synced") : 0;
}

/* The descriptor of a new, empty file, or -errno, logged. */
static int create(struct uring_file *file, const struct uring_options *options)
{
	int fd;

	if (options->size < URING_SIZE_MIN || options->size % BLOCK_BYTES_FILE)
		return say(options, -EINVAL, "size=: give a multiple of 4096, 128K or more");
	fd = open(options->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, NEW_FILE_MODE);
	if (fd < 0)
		return say(options, -errno, "cannot be made there");
	file->is_new = true;
	return fd;
}

/* ---- What is there ---- */

/* The descriptor, or -errno, logged. */
static int open_found(struct uring_file *file, const struct uring_options *options,
		      const struct stat *status)
{
	/* Opening a FIFO or a terminal would wait; and only for a block device is O_EXCL a lock. */
	int flags = O_CLOEXEC | O_NONBLOCK | (S_ISBLK(status->st_mode) ? O_EXCL : 0);
	int fd;

	if (!S_ISBLK(status->st_mode) && !S_ISREG(status->st_mode))
		return say(options, -EINVAL,
			   "give a regular file or a block device; this is something else");
	/* Root may write to a file that nobody may: take it for what its owner meant. */
	file->read_only = options->read_only ||
			  (S_ISREG(status->st_mode) && !(status->st_mode & 0222));
	fd = open(options->path, flags | (file->read_only ? O_RDONLY : O_RDWR));
	if (fd < 0 && !file->read_only && (errno == EACCES || errno == EROFS || errno == EPERM)) {
		file->read_only = true;
		fd = open(options->path, flags | O_RDONLY);
		if (fd >= 0)
			log_warning("uring:%s: may not be written to, so it is read-only",
				    options->path);
	}
	return fd < 0 ? say_open_error(options, -errno) : fd;
}

static int open_or_create(struct uring_file *file, const struct uring_options *options)
{
	struct stat status;

	if (stat(options->path, &status) == 0)
		return open_found(file, options, &status);
	if (errno == ENOENT && options->size && !options->read_only)
		return create(file, options);
	return say_open_error(options, -errno);
}

/* The kernel takes a while to let go of what a process had in a ring when it was killed. */
#define LOCK_WAIT_MS 2000
#define LOCK_STEP_MS 10

/* Readers do not disturb one another. */
static int lock(const struct uring_file *file, const struct uring_options *options)
{
	int kind = file->read_only ? LOCK_SH : LOCK_EX;

	if (file->is_block)
		return 0;
	for (int waited_ms = 0; waited_ms < LOCK_WAIT_MS; waited_ms += LOCK_STEP_MS) {
		if (flock(file->fd, kind | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			break;
		poll(NULL, 0, LOCK_STEP_MS);
	}
	if (errno == EWOULDBLOCK || errno == EINTR)
		return say(options, -EBUSY,
			   "another process uses it, or another runtime of this one; end that, or "
			   "give another");
	return say(options, -errno, "cannot be locked");
}

/* What an earlier start began is ended; what is not as the operator says is not used. */
static int check_size(struct uring_file *file, const struct uring_options *options,
		      const struct stat *status)
{
	if (options->size && status->st_size == 0 && !file->read_only)
		return allocate(file->fd, options);
	if (options->size && (uint64_t)status->st_size != options->size) {
		log_error("uring:%s: size=: the file has %lld bytes, not %llu; leave size= out, or "
			  "remove the file",
			  options->path, (long long)status->st_size,
			  (unsigned long long)options->size);
		return -EINVAL;
	}
	if (status->st_blocks * 512 < status->st_size && !file->read_only)
		log_warning("uring:%s: has holes: writes there wait for their allocation, and fail "
			    "when the file system is full; fill it by fallocate(1)",
			    options->path);
	return 0;
}

static int measure_file(struct uring_file *file, const struct uring_options *options,
			uint64_t *bytes_out)
{
	struct stat status;
	int error;

	if (fstat(file->fd, &status) < 0)
		return say(options, -errno, "cannot be looked at");
	error = check_size(file, options, &status);
	if (error)
		return error;
	*bytes_out = options->size ? options->size : (uint64_t)status.st_size;
	file->block_bytes = BLOCK_BYTES_FILE;
	return 0;
}

static int measure_block_device(struct uring_file *file, const struct uring_options *options,
				uint64_t *bytes_out)
{
	int logical_bytes = 0, is_read_only = 0;

	if (ioctl(file->fd, BLKGETSIZE64, bytes_out) < 0 ||
	    ioctl(file->fd, BLKSSZGET, &logical_bytes) < 0 ||
	    ioctl(file->fd, BLKROGET, &is_read_only) < 0)
		return say(options, -errno, "its size and blocks cannot be asked for");
	if (options->size)
		return say(options, -EINVAL, "size=: is for files; leave it out");
	file->read_only |= is_read_only != 0;
	file->block_bytes = (uint32_t)logical_bytes;
	return 0;
}

/* ---- Direct I/O ---- */

/* What O_DIRECT asks for; where the kernel does not tell, a page does everywhere. */
static void ask_alignment(const struct uring_file *file, uint32_t *memory_out, uint32_t *offset_out)
{
	*memory_out = MEMORY_ALIGNMENT_PAGE;
	*offset_out = file->is_block ? file->block_bytes : MEMORY_ALIGNMENT_PAGE;
#ifdef STATX_DIOALIGN
	struct statx status;

	if (statx(file->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 &&
	    (status.stx_mask & STATX_DIOALIGN) && status.stx_dio_mem_align &&
	    status.stx_dio_offset_align) {
		*memory_out = status.stx_dio_mem_align;
		*offset_out = status.stx_dio_offset_align;
	}
#endif
	if (*memory_out < MEMORY_ALIGNMENT_MIN)
		*memory_out = MEMORY_ALIGNMENT_MIN;
}

/* O_NONBLOCK goes: io_uring would fail a read that has to wait for the disk. */
static int set_direct(struct uring_file *file, const struct uring_options *options)
{
	file->is_direct = options->direct && fcntl(file->fd, F_SETFL, O_DIRECT) == 0;
	if (file->is_direct)
		return 0;
	if (options->direct)
		log_warning("uring:%s: its file system has no direct I/O, so every byte is copied "
			    "through the page cache; put the file elsewhere",
			    options->path);
	return fcntl(file->fd, F_SETFL, 0) < 0 ? say(options, -errno, "cannot be set up") : 0;
}

static int choose_blocks(struct uring_file *file, const struct uring_options *options)
{
	uint32_t offset_alignment = 1;

	file->memory_alignment = MEMORY_ALIGNMENT_MIN;
	if (file->is_direct)
		ask_alignment(file, &file->memory_alignment, &offset_alignment);
	if (options->block_bytes && (options->block_bytes < offset_alignment ||
				     (file->is_block && options->block_bytes < file->block_bytes)))
		return say(options, -EINVAL, "block=: it takes blocks of 4096 only");
	if (options->block_bytes)
		file->block_bytes = options->block_bytes;
	if ((file->block_bytes != 512 && file->block_bytes != 4096) ||
	    offset_alignment > file->block_bytes)
		return say(options, -EINVAL, "its blocks have neither 512 nor 4096 bytes");
	return 0;
}

/* ---- All of it ---- */

static int measure(struct uring_file *file, const struct uring_options *options)
{
	uint64_t bytes = 0;
	int error = file->is_block ? measure_block_device(file, options, &bytes)
				   : measure_file(file, options, &bytes);

	if (!error)
		error = set_direct(file, options);
	if (!error)
		error = choose_blocks(file, options);
	if (error)
		return error;
	if (bytes < URING_SIZE_MIN)
		return say(options, -EINVAL, "it is too small; it has to have 128K at least");
	file->block_count = bytes / file->block_bytes;
	return 0;
}

int uring_file_open(struct uring_file *file, const struct uring_options *options)
{
	struct stat status;
	int error;

	*file = (struct uring_file){.fd = -1, .read_only = options->read_only};
	file->fd = open_or_create(file, options);
	if (file->fd < 0)
		return file->fd;
	if (fstat(file->fd, &status) < 0)
		error = say(options, -errno, "cannot be looked at");
	else if (!S_ISBLK(status.st_mode) && !S_ISREG(status.st_mode))
		error = say(options, -EINVAL, "it has changed meanwhile; try again");
	else
		error = 0;
	file->is_block = !error && S_ISBLK(status.st_mode);
	if (!error)
		error = lock(file, options);
	if (!error)
		error = measure(file, options);
	if (error && file->is_new)
		unlink(options->path);
	if (error)
		uring_file_close(file);
	return error;
}

void uring_file_close(struct uring_file *file)
{
	if (file->fd < 0)
		return;
	/* A ring that the kernel has yet to take down may hold the file, and so the lock, for a while. */
	if (!file->is_block)
		flock(file->fd, LOCK_UN);
	close(file->fd);
	file->fd = -1;
}
