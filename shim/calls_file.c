/* SPDX-License-Identifier: MIT */
/* Calls about open files that are logs. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "calls.h"
#include "engine.h"
#include "guard.h"
#include "real.h"

struct log_file *log_enter(int fd)
{
	struct file *file = file_enter(fd);

	if (file && file->kind != FILE_LOG) {
		file_leave(file);
		return NULL;
	}
	return file ? log_file_of(file) : NULL;
}

int64_t log_leave(struct log_file *file, int64_t outcome)
{
	file_leave(&file->file);
	return call_return(outcome);
}

static bool is_log(int fd)
{
	struct log_file *file = log_enter(fd);

	if (file)
		log_leave(file, 0);
	return file != NULL;
}

/* ---- Transfers at a place ---- */

/* Of preadv2(2) and pwritev2(2). */
#define FLAGS_KNOWN (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND)

static ssize_t transfer_at(struct log_file *file, const struct iovec *pieces, size_t count,
			   int64_t offset, bool writes)
{
	struct cursor cursor;

	if (offset < 0 || !cursor_init(&cursor, pieces, count))
		return -EINVAL;
	return writes ? log_file_write(file, &cursor, offset)
		      : log_file_read(file, pieces, count, offset);
}

/* The program's list is copied: what it points to may change. */
static ssize_t transfer_pieces(struct log_file *file, const struct iovec *from, int count,
			       int64_t offset, bool writes)
{
	struct iovec *pieces;
	ssize_t outcome = -EFAULT;

	if (count < 0 || count > IOV_MAX)
		return -EINVAL;
	pieces = malloc(((size_t)count + 1) * sizeof(*pieces));
	if (!pieces)
		return -ENOMEM;
	if (guard_copy(pieces, from, (size_t)count * sizeof(*pieces)))
		outcome = transfer_at(file, pieces, (size_t)count, offset, writes);
	free(pieces);
	return outcome;
}

EXPORT ssize_t pread(int fd, void *to, size_t bytes, off_t offset)
{
	struct iovec piece = {.iov_base = to, .iov_len = bytes};
	struct log_file *file = log_enter(fd);

	return file ? log_leave(file, transfer_at(file, &piece, 1, offset, false))
		    : real()->pread(fd, to, bytes, offset);
}

EXPORT ssize_t pwrite(int fd, const void *from, size_t bytes, off_t offset)
{
	struct iovec piece = {.iov_base = (void *)from, .iov_len = bytes};
	struct log_file *file = log_enter(fd);

	return file ? log_leave(file, transfer_at(file, &piece, 1, offset, true))
		    : real()->pwrite(fd, from, bytes, offset);
}

EXPORT ssize_t preadv(int fd, const struct iovec *pieces, int count, off_t offset)
{
	struct log_file *file = log_enter(fd);

	return file ? log_leave(file, transfer_pieces(file, pieces, count, offset, false))
		    : real()->preadv(fd, pieces, count, offset);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset)
{
	struct log_file *file = log_enter(fd);

	return file ? log_leave(file, transfer_pieces(file, pieces, count, offset, true))
		    : real()->pwritev(fd, pieces, count, offset);
}

/* At the file's own place, which is the only one that sockets have. */
static ssize_t transfer_here(int fd, const struct iovec *pieces, int count, bool writes, int flags)
{
	ssize_t outcome;

	if (vector_make(fd, pieces, count, writes, flags & RWF_NOWAIT ? MSG_DONTWAIT : 0, &outcome))
		return outcome;
	return writes ? real()->pwritev2(fd, pieces, count, -1, flags)
		      : real()->preadv2(fd, pieces, count, -1, flags);
}

EXPORT ssize_t preadv2(int fd, const struct iovec *pieces, int count, off_t offset, int flags)
{
	if (!file_is_ours(fd))
		return real()->preadv2(fd, pieces, count, offset, flags);
	if (flags & ~FLAGS_KNOWN)
		return call_return(-EOPNOTSUPP);
	return offset == -1 ? transfer_here(fd, pieces, count, false, flags)
			    : preadv(fd, pieces, count, offset);
}

EXPORT ssize_t pwritev2(int fd, const struct iovec *pieces, int count, off_t offset, int flags)
{
	ssize_t outcome;

	if (!file_is_ours(fd))
		return real()->pwritev2(fd, pieces, count, offset, flags);
	if (flags & ~FLAGS_KNOWN)
		return call_return(-EOPNOTSUPP);
	outcome = offset == -1 ? transfer_here(fd, pieces, count, true, flags)
			       : pwritev(fd, pieces, count, offset);
	if (outcome > 0 && (flags & (RWF_DSYNC | RWF_SYNC)) && is_log(fd) && fsync(fd) != 0)
		return -1;
	return outcome;
}

EXPORT ssize_t pread64(int fd, void *to, size_t bytes, off64_t offset)
{
	return pread(fd, to, bytes, offset);
}

EXPORT ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t offset)
{
	return pwrite(fd, from, bytes, offset);
}

EXPORT ssize_t preadv64(int fd, const struct iovec *pieces, int count, off64_t offset)
{
	return preadv(fd, pieces, count, offset);
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *pieces, int count, off64_t offset)
{
	return pwritev(fd, pieces, count, offset);
}

EXPORT ssize_t preadv64v2(int fd, const struct iovec *pieces, int count, off64_t offset, int flags)
{
	return preadv2(fd, pieces, count, offset, flags);
}

EXPORT ssize_t pwritev64v2(int fd, const struct iovec *pieces, int count, off64_t offset, int flags)
{
	return pwritev2(fd, pieces, count, offset, flags);
}

void __chk_fail(void) __attribute__((noreturn));
EXPORT ssize_t __pread_chk(int fd, void *to, size_t bytes, off_t offset, size_t room);
EXPORT ssize_t __pread64_chk(int fd, void *to, size_t bytes, off64_t offset, size_t room);

ssize_t __pread_chk(int fd, void *to, size_t bytes, off_t offset, size_t room)
{
	if (bytes > room)
		__chk_fail();
	return pread(fd, to, bytes, offset);
}

ssize_t __pread64_chk(int fd, void *to, size_t bytes, off64_t offset, size_t room)
{
	return __pread_chk(fd, to, bytes, offset, room);
}

EXPORT ssize_t copy_file_range(int in_fd, off64_t *in_offset, int out_fd, off64_t *out_offset,
			       size_t bytes, unsigned int flags)
{
	/* Programs read and write instead, then. */
	if (file_is_ours(in_fd) || file_is_ours(out_fd))
		return call_return(-EXDEV);
	return real()->copy_file_range(in_fd, in_offset, out_fd, out_offset, bytes, flags);
}

/* ---- Places and ends ---- */

EXPORT off_t lseek(int fd, off_t offset, int whence)
{
	struct log_file *file = log_enter(fd);

	return file ? log_leave(file, log_file_seek(file, offset, whence))
		    : real()->lseek(fd, offset, whence);
}

EXPORT off64_t lseek64(int fd, off64_t offset, int whence)
{
	return lseek(fd, offset, whence);
}

EXPORT int ftruncate(int fd, off_t size)
{
	struct log_file *file = log_enter(fd);

	return file ? (int)log_leave(file, log_file_cut(file, size)) : real()->ftruncate(fd, size);
}

EXPORT int ftruncate64(int fd, off64_t size)
{
	return ftruncate(fd, size);
}

EXPORT int fsync(int fd)
{
	struct log_file *file = log_enter(fd);

	return file ? (int)log_leave(file, log_file_sync(file)) : real()->fsync(fd);
}

EXPORT int fdatasync(int fd)
{
	struct log_file *file = log_enter(fd);

	return file ? (int)log_leave(file, log_file_sync(file)) : real()->fdatasync(fd);
}

/* More than the kernel does, which says nothing of what is on the disk. */
EXPORT int sync_file_range(int fd, off64_t offset, off64_t bytes, unsigned int flags)
{
	struct log_file *file = log_enter(fd);

	if (!file)
		return real()->sync_file_range(fd, offset, bytes, flags);
	return (int)log_leave(file, offset < 0 || bytes < 0 ? -EINVAL : log_file_sync(file));
}

/* ---- Room, and locks ---- */

static int allocate(struct log_file *file, int mode, off_t offset, off_t bytes)
{
	if (file->is_parents)
		return -EIO;
	if (file->access == O_RDONLY)
		return -EBADF;
	if (offset < 0 || bytes <= 0)
		return -EINVAL;
	return mode & ~FALLOC_FL_KEEP_SIZE ? -EOPNOTSUPP : 0;
}

EXPORT int fallocate(int fd, int mode, off_t offset, off_t bytes)
{
	struct log_file *file = log_enter(fd);

	return file ? (int)log_leave(file, allocate(file, mode, offset, bytes))
		    : real()->fallocate(fd, mode, offset, bytes);
}

EXPORT int fallocate64(int fd, int mode, off64_t offset, off64_t bytes)
{
	return fallocate(fd, mode, offset, bytes);
}

EXPORT int posix_fallocate(int fd, off_t offset, off_t bytes)
{
	struct log_file *file = log_enter(fd);
	int error;

	if (!file)
		return real()->posix_fallocate(fd, offset, bytes);
	error = allocate(file, 0, offset, bytes);
	log_leave(file, 0);
	return -error;
}

EXPORT int posix_fallocate64(int fd, off64_t offset, off64_t bytes)
{
	return posix_fallocate(fd, offset, bytes);
}

/* Nobody else can have the log. */
EXPORT int flock(int fd, int operation)
{
	struct log_file *file = log_enter(fd);

	return file ? (int)log_leave(file, file->is_parents ? -EIO : 0)
		    : real()->flock(fd, operation);
}

EXPORT int lockf(int fd, int command, off_t bytes)
{
	struct log_file *file = log_enter(fd);

	return file ? (int)log_leave(file, file->is_parents ? -EIO : 0)
		    : real()->lockf(fd, command, bytes);
}

EXPORT int lockf64(int fd, int command, off64_t bytes)
{
	return lockf(fd, command, bytes);
}

/* ---- mmap ---- */

static int map(struct log_file *file, int protection, int flags)
{
	if (file->access == O_WRONLY)
		return -EACCES;
	if ((protection & PROT_WRITE) && (flags & MAP_TYPE) != MAP_PRIVATE)
		return file->access == O_RDONLY ? -EACCES : -ENODEV;
	return log_file_fill(file);
}

/* Not by what libc has: allocators map before anything of it can be looked up. */
EXPORT void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	struct log_file *file = !(flags & MAP_ANONYMOUS) && file_is_ours(fd) ? log_enter(fd) : NULL;

	if (file && log_leave(file, map(file, protection, flags)) != 0)
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, address, bytes, protection, flags, fd, offset);
}

EXPORT void *mmap64(void *address, size_t bytes, int protection, int flags, int fd, off64_t offset)
{
	return mmap(address, bytes, protection, flags, fd, offset);
}
