/* SPDX-License-Identifier: MIT */
/*
 * Files as queues: a push appends and completes when the data is durable, a pop reads at the
 * queue's cursor.
 */
#ifndef DEMI_FILE_H
#define DEMI_FILE_H

#include <stdint.h>
#include <sys/types.h>

#include <demi/cc.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * demi_open - open a file queue
 * @flags: O_RDONLY, O_WRONLY or O_RDWR, with O_CREAT, O_EXCL, O_TRUNC, O_CLOEXEC (always on)
 * @mode:  permission bits of a file that is made
 *
 * The cursor starts at 0. Return: 0, EINVAL (a flag that is not served), EMFILE, EOPNOTSUPP (the libOS
 * has no files), or the errno of open(2).
 */
ATTR_NONNULL(1, 2)
extern int demi_open(_Out_ int *qd_out, _In_z_ const char *path, _In_ int flags, _In_ mode_t mode);

/**
 * demi_creat - demi_open with O_CREAT | O_WRONLY | O_TRUNC
 */
ATTR_NONNULL(1, 2)
extern int demi_creat(_Out_ int *qd_out, _In_z_ const char *path, _In_ mode_t mode);

/**
 * demi_seek - move the cursor that pops read at
 * @offset:       bytes, relative to @whence: SEEK_SET, SEEK_CUR or SEEK_END
 * @position_out: the new position in bytes from the start; may be NULL
 *
 * Pushes append, wherever the cursor is. Return: 0, EBADF, EINVAL (before the start), EBUSY (a
 * pop is pending), EOPNOTSUPP (not a file).
 */
extern int demi_seek(_In_ int qd, _In_ int64_t offset, _In_ int whence,
		     _Out_opt_ int64_t *position_out);

/**
 * demi_truncate - cut a file queue
 * @offset: bytes from the start; on a plain file everything from there on is dropped, on a log
 *          everything before
 *
 * Durable on return. Return: 0, EBADF, EINVAL (negative, or beyond the end; or opened read-only),
 * EBUSY (an operation is pending), EOPNOTSUPP (not a file), EIO.
 */
extern int demi_truncate(_In_ int qd, _In_ int64_t offset);

#ifdef __cplusplus
}
#endif

#endif /* DEMI_FILE_H */
