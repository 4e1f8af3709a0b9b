/* SPDX-License-Identifier: MIT */
/* Calls about files by their names. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "calls.h"
#include "engine.h"
#include "guard.h"
#include "process.h"
#include "real.h"

_Static_assert(sizeof(struct stat) == sizeof(struct stat64) && sizeof(off_t) == sizeof(off64_t),
	       "one call is both");

/* The descriptor itself is meant. NULL: it is no log, or there is a path. */
static struct log_file *log_enter_empty(int fd, const char *path)
{
	char first;

	return file_is_ours(fd) && guard_copy(&first, path, 1) && !first ? log_enter(fd) : NULL;
}

/* ---- stat ---- */

/* Below a folder of logs there may be folders of the kernel's. */
static bool is_folder(const char *name, struct stat *status)
{
	return real()->stat(name, status) == 0 && S_ISDIR(status->st_mode);
}

static int stat_log(const char *name, struct stat *to)
{
	struct stat status;
	struct log *log;
	int error;

	if (process_is_vfork_child())
		return -EIO;
	engine_lock();
	error = log_open(&log, name, 0);
	if (!error) {
		error = log_stat(log, &status);
		log_drop(log);
	}
	if (error == -ENOENT && is_folder(name, &status))
		error = 0;
	if (!error && !guard_copy(to, &status, sizeof(status)))
		error = -EFAULT;
	engine_unlock();
	return error;
}

static int stat_descriptor(struct log_file *file, struct stat *to)
{
	struct stat status;
	int error = log_file_stat(file, &status);

	if (!error && !guard_copy(to, &status, sizeof(status)))
		error = -EFAULT;
	return (int)log_leave(file, error);
}

EXPORT int fstat(int fd, struct stat *status)
{
	struct log_file *file = log_enter(fd);

	return file ? stat_descriptor(file, status) : real()->fstat(fd, status);
}

EXPORT int stat(const char *path, struct stat *status)
{
	char name[PATH_MAX];

	return name_is_log(name, AT_FDCWD, path) ? (int)call_return(stat_log(name, status))
						 : real()->stat(path, status);
}

EXPORT int lstat(const char *path, struct stat *status)
{
	char name[PATH_MAX];

	return name_is_log(name, AT_FDCWD, path) ? (int)call_return(stat_log(name, status))
						 : real()->lstat(path, status);
}

EXPORT int fstatat(int folder, const char *path, struct stat *status, int flags)
{
	struct log_file *file;
	char name[PATH_MAX];

	if ((flags & AT_EMPTY_PATH) && (file = log_enter_empty(folder, path)) != NULL)
		return stat_descriptor(file, status);
	return name_is_log(name, folder, path) ? (int)call_return(stat_log(name, status))
					       : real()->fstatat(folder, path, status, flags);
}

EXPORT int fstat64(int fd, struct stat64 *status)
{
	return fstat(fd, (struct stat *)status);
}

EXPORT int stat64(const char *path, struct stat64 *status)
{
	return stat(path, (struct stat *)status);
}

EXPORT int lstat64(const char *path, struct stat64 *status)
{
	return lstat(path, (struct stat *)status);
}

EXPORT int fstatat64(int folder, const char *path, struct stat64 *status, int flags)
{
	return fstatat(folder, path, (struct stat *)status, flags);
}

/* What programs call that were built with an older libc. */
#define OLD_STAT(suffix)                                                                         \
	EXPORT int __xstat##suffix(int version, const char *path, struct stat##suffix *status);  \
	EXPORT int __lxstat##suffix(int version, const char *path, struct stat##suffix *status); \
	EXPORT int __fxstat##suffix(int version, int fd, struct stat##suffix *status);           \
	EXPORT int __fxstatat##suffix(int version, int folder, const char *path,                 \
				      struct stat##suffix *status, int flags);                   \
	int __xstat##suffix(int version, const char *path, struct stat##suffix *status)          \
	{                                                                                        \
		(void)version;                                                                   \
		return stat##suffix(path, status);                                               \
	}                                                                                        \
	int __lxstat##suffix(int version, const char *path, struct stat##suffix *status)         \
	{                                                                                        \
		(void)version;                                                                   \
		return lstat##suffix(path, status);                                              \
	}                                                                                        \
	int __fxstat##suffix(int version, int fd, struct stat##suffix *status)                   \
	{                                                                                        \
		(void)version;                                                                   \
		return fstat##suffix(fd, status);                                                \
	}                                                                                        \
	int __fxstatat##suffix(int version, int folder, const char *path,                        \
			       struct stat##suffix *status, int flags)                           \
	{                                                                                        \
		(void)version;                                                                   \
		return fstatat##suffix(folder, path, status, flags);                             \
	}

OLD_STAT()
OLD_STAT(64)

/* ---- statx ---- */

static struct statx_timestamp timestamp(struct timespec time)
{
	return (struct statx_timestamp){.tv_sec = time.tv_sec, .tv_nsec = (uint32_t)time.tv_nsec};
}

static int give_statx(const struct stat *status, struct statx *to)
{
	const struct statx told = {
		.stx_mask = STATX_BASIC_STATS,
		.stx_blksize = (uint32_t)status->st_blksize,
		.stx_nlink = (uint32_t)status->st_nlink,
		.stx_uid = status->st_uid,
		.stx_gid = status->st_gid,
		.stx_mode = (uint16_t)status->st_mode,
		.stx_ino = status->st_ino,
		.stx_size = (uint64_t)status->st_size,
		.stx_blocks = (uint64_t)status->st_blocks,
		.stx_atime = timestamp(status->st_atim),
		.stx_mtime = timestamp(status->st_mtim),
		.stx_ctime = timestamp(status->st_ctim),
		.stx_dev_major = major(status->st_dev),
		.stx_dev_minor = minor(status->st_dev),
	};

	return guard_copy(to, &told, sizeof(told)) ? 0 : -EFAULT;
}

EXPORT int statx(int folder, const char *path, int flags, unsigned int mask, struct statx *to)
{
	struct log_file *file;
	struct stat status;
	char name[PATH_MAX];
	int error;

	if ((flags & AT_EMPTY_PATH) && (file = log_enter_empty(folder, path)) != NULL) {
		error = log_file_stat(file, &status);
		log_leave(file, 0);
	} else if (name_is_log(name, folder, path)) {
		error = stat_log(name, &status);
	} else {
		return real()->statx(folder, path, flags, mask, to);
	}
	return (int)call_return(error ? error : give_statx(&status, to));
}

/* ---- access ---- */

static int access_log(const char *name, int mode)
{
	struct stat status;
	struct log *log;
	int error;

	if (mode & ~(R_OK | W_OK | X_OK))
		return -EINVAL;
	if (process_is_vfork_child())
		return -EIO;
	engine_lock();
	error = log_open(&log, name, 0);
	if (!error) {
		if (mode & X_OK)
			error = -EACCES;
		else if ((mode & W_OK) && log->is_read_only)
			error = -EROFS;
		log_drop(log);
	} else if (error == -ENOENT && is_folder(name, &status)) {
		error = real()->access(name, mode) == 0 ? 0 : -errno;
	}
	engine_unlock();
	return error;
}

EXPORT int access(const char *path, int mode)
{
	char name[PATH_MAX];

	return name_is_log(name, AT_FDCWD, path) ? (int)call_return(access_log(name, mode))
						 : real()->access(path, mode);
}

EXPORT int faccessat(int folder, const char *path, int mode, int flags)
{
	char name[PATH_MAX];

	return name_is_log(name, folder, path) ? (int)call_return(access_log(name, mode))
					       : real()->faccessat(folder, path, mode, flags);
}

EXPORT int euidaccess(const char *path, int mode)
{
	char name[PATH_MAX];

	return name_is_log(name, AT_FDCWD, path) ? (int)call_return(access_log(name, mode))
						 : real()->euidaccess(path, mode);
}

EXPORT int eaccess(const char *path, int mode)
{
	return euidaccess(path, mode);
}

/* ---- rename ---- */

static int rename_log(const char *name, const char *new_name, unsigned int flags)
{
	int error;

	if (flags & ~(unsigned int)RENAME_NOREPLACE)
		return -EINVAL;
	if (process_is_vfork_child())
		return -EIO;
	engine_lock();
	error = log_rename(name, new_name, !(flags & RENAME_NOREPLACE));
	engine_unlock();
	return error;
}

/* false: it is the kernel's. */
static bool rename_ours(int folder, const char *path, int new_folder, const char *new_path,
			unsigned int flags, int *outcome)
{
	char name[PATH_MAX], new_name[PATH_MAX];
	bool from = name_is_log(name, folder, path);
	bool to = name_is_log(new_name, new_folder, new_path);

	if (!from && !to)
		return false;
	*outcome = (int)call_return(from && to ? rename_log(name, new_name, flags) : -EXDEV);
	return true;
}

EXPORT int rename(const char *path, const char *new_path)
{
	int outcome;

	return rename_ours(AT_FDCWD, path, AT_FDCWD, new_path, 0, &outcome)
		       ? outcome
		       : real()->rename(path, new_path);
}

EXPORT int renameat(int folder, const char *path, int new_folder, const char *new_path)
{
	int outcome;

	return rename_ours(folder, path, new_folder, new_path, 0, &outcome)
		       ? outcome
		       : real()->renameat(folder, path, new_folder, new_path);
}

EXPORT int renameat2(int folder, const char *path, int new_folder, const char *new_path,
		     unsigned int flags)
{
	int outcome;

	return rename_ours(folder, path, new_folder, new_path, flags, &outcome)
		       ? outcome
		       : real()->renameat2(folder, path, new_folder, new_path, flags);
}

/* ---- unlink, link ---- */

static int unlink_log(const char *name)
{
	int error;

	if (process_is_vfork_child())
		return -EIO;
	engine_lock();
	error = log_remove(name);
	engine_unlock();
	return error;
}

EXPORT int unlink(const char *path)
{
	char name[PATH_MAX];

	return name_is_log(name, AT_FDCWD, path) ? (int)call_return(unlink_log(name))
						 : real()->unlink(path);
}

EXPORT int unlinkat(int folder, const char *path, int flags)
{
	char name[PATH_MAX];

	if (!name_is_log(name, folder, path))
		return real()->unlinkat(folder, path, flags);
	return (int)call_return(flags & AT_REMOVEDIR ? -ENOTDIR : unlink_log(name));
}

EXPORT int remove(const char *path)
{
	char name[PATH_MAX];

	return name_is_log(name, AT_FDCWD, path) ? (int)call_return(unlink_log(name))
						 : real()->remove(path);
}

/* A log has one name. */
static bool link_ours(int folder, const char *path, int new_folder, const char *new_path,
		      int *outcome)
{
	char name[PATH_MAX];
	bool from = name_is_log(name, folder, path);
	bool to = name_is_log(name, new_folder, new_path);

	if (from || to)
		*outcome = (int)call_return(from && to ? -EPERM : -EXDEV);
	return from || to;
}

EXPORT int link(const char *path, const char *new_path)
{
	int outcome;

	return link_ours(AT_FDCWD, path, AT_FDCWD, new_path, &outcome)
		       ? outcome
		       : real()->link(path, new_path);
}

EXPORT int linkat(int folder, const char *path, int new_folder, const char *new_path, int flags)
{
	int outcome;

	return link_ours(folder, path, new_folder, new_path, &outcome)
		       ? outcome
		       : real()->linkat(folder, path, new_folder, new_path, flags);
}

/* ---- truncate ---- */

static int truncate_log(const char *name, off_t size)
{
	struct log *log;
	int error;

	if (size < 0)
		return -EINVAL;
	if (process_is_vfork_child())
		return -EIO;
	engine_lock();
	error = log_open(&log, name, 0);
	if (!error) {
		log_take(log);
		error = log->is_read_only ? -EROFS : log_cut(log, size);
		log_give(log);
		log_drop(log);
	}
	engine_unlock();
	return error;
}

EXPORT int truncate(const char *path, off_t size)
{
	char name[PATH_MAX];

	return name_is_log(name, AT_FDCWD, path) ? (int)call_return(truncate_log(name, size))
						 : real()->truncate(path, size);
}

EXPORT int truncate64(const char *path, off64_t size)
{
	return truncate(path, size);
}
