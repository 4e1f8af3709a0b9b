/* SPDX-License-Identifier: MIT */
/*
 * Files and logs as queues: a push appends and completes when the data is durable, a pop reads at
 * the queue's cursor. Which of the two a path names is the libOS's: Catnap has the kernel's files,
 * Cattree logs on a device of its own.
 *
 * A file is bytes: its cursor counts bytes, and a pop returns some of them. A log is records: each
 * push is one, a pop returns one, whole and in one segment, and the cursor counts records.
 */
#ifndef DEMI_FILE_H
#define DEMI_FILE_H

#include <stdint.h>
#include <sys/types.h>

#include <demi/cc.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes of a record of a log, at most; a push of more is EMSGSIZE. */
#define DEMI_LOG_RECORD_BYTES_MAX (16u << 20)
/** Bytes of a log's name, at most. */
#define DEMI_LOG_NAME_BYTES_MAX 255u

/**
 * demi_open - open a file or a log as a queue
 * @path:  of a file; the name of a log, any 1 to DEMI_LOG_NAME_BYTES_MAX bytes
 * @flags: O_RDONLY, O_WRONLY or O_RDWR, with O_CREAT, O_EXCL, O_TRUNC, O_CLOEXEC (always on)
 * @mode:  permission bits of a file that is made; a log has none
 *
 * The cursor stands at the start: at a log's first record that is not dropped. O_TRUNC drops what
 * there is; the next record of a log has the next number all the same. A pop at the end succeeds
 * with one segment of length 0, and reads on after later pushes. A log also takes a push of no
 * bytes, as an empty record: a pop returns that like an end, but the cursor moves on.
 *
 * Return: 0, EINVAL (a flag that is not served; the name of a log is empty), EMFILE, EOPNOTSUPP (the
 * libOS has no files), or the errno of open(2); of a log ENOENT, EEXIST, ENAMETOOLONG, ENOSPC (no
 * room for another), EROFS, EIO, ENODEV (the device is gone).
 */
ATTR_NONNULL(1, 2)
extern int demi_open(_Out_ int *qd_out, _In_z_ const char *path, _In_ int flags, _In_ mode_t mode);

/**
 * demi_creat - demi_open with O_CREAT | O_WRONLY | O_TRUNC
 */
ATTR_NONNULL(1, 2)
extern int demi_creat(_Out_ int *qd_out, _In_z_ const char *path, _In_ mode_t mode);

/**
 * demi_rename - give a file or a log another name
 *
 * In one step and durable on return; what had the new name is gone. Queues that are open stay so,
 * and those of what is gone go on with it until they are closed. Return: 0, EOPNOTSUPP (the libOS has
 * no files), or the errno of rename(2); of a log ENOENT, EINVAL, ENAMETOOLONG, ENOSPC, EROFS, EIO.
 */
ATTR_NONNULL(1, 2)
extern int demi_rename(_In_z_ const char *path, _In_z_ const char *new_path);

/**
 * demi_unlink - take a file's or a log's name away, and it itself when nobody has it open any more
 *
 * Durable on return. Return: 0, EOPNOTSUPP (the libOS has no files), or the errno of unlink(2); of a
 * log ENOENT, EINVAL, ENAMETOOLONG, EROFS, EIO.
 */
ATTR_NONNULL(1)
extern int demi_unlink(_In_z_ const char *path);

/**
 * demi_seek - move the cursor that pops read at
 * @offset:       bytes of a file, records of a log, relative to @whence: SEEK_SET the start, SEEK_CUR
 *                the cursor, SEEK_END the end
 * @position_out: the new position from the start; may be NULL
 *
 * The start of a log is record 0, even when that is dropped; its end is the number that the next
 * record gets. Pushes append, wherever the cursor is.
 *
 * Return: 0, EBADF, EINVAL (before the start; on a log before its first record that is not dropped,
 * or behind its end), EBUSY (a pop is pending), EOPNOTSUPP (not a file).
 */
extern int demi_seek(_In_ int qd, _In_ int64_t offset, _In_ int whence,
		     _Out_opt_ int64_t *position_out);

/**
 * demi_truncate - cut a file or a log
 * @offset: bytes from the start of a file: everything from there on is dropped. The number of a
 *          record of a log, or of its end: everything before is dropped, and its room is free again;
 *          no number changes, and cursors that stood before stand there now
 *
 * Durable on return. Return: 0, EBADF, EINVAL (negative, or beyond the end; on a log also before what
 * is dropped already; or opened read-only), EBUSY (an operation is pending; on a log a pop),
 * ENOENT (the log was unlinked), EOPNOTSUPP (not a file), EROFS, EIO.
 */
extern int demi_truncate(_In_ int qd, _In_ int64_t offset);

#ifdef __cplusplus
}
#endif

#endif /* DEMI_FILE_H */
