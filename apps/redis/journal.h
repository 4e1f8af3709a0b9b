/* SPDX-License-Identifier: MIT */
/*
 * The part of Redis's append-only file that grows (its "incr" files) as logs of Cattree, where the libOS
 * has logs; the base and the manifest, which children and other programs read, stay files of the
 * kernel's. aof.c includes this as the last of its headers: its calls on files go through it, and what
 * is no log goes on to the kernel.
 *
 * A write is a record, on its way when the call returns. Where aof.c would wait with fdatasync until all
 * are durable (appendfsync always), the event loop goes on instead, and what is sent from then on, to
 * anybody, is kept back until they are: commands of others are executed meanwhile, and their records are
 * written together. A record that cannot be written ends the program, as it does in Redis.
 */
#ifndef DEMI_REDIS_JOURNAL_H
#define DEMI_REDIS_JOURNAL_H

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/**
 * journal_is_log - whether a path is a log's, or would be if it were opened
 *
 * It is where the libOS has logs and it is one of the files that grow, unless there is such a file of the
 * kernel's and no log.
 */
int journal_is_log(const char *path);

int journal_open(const char *path, int flags, ...);
FILE *journal_fopen(const char *path, const char *mode);
/**
 * journal_write - @size bytes at the end
 *
 * From 4,000 bytes on the memory is written where it lies: it may be freed, not written to.
 */
ssize_t journal_write(int fd, const void *from, size_t size);
/** journal_commit - keep back what is sent until all that was written is durable; a file: fdatasync */
int journal_commit(int fd);
/** journal_fdatasync - wait until all that was written is durable */
int journal_fdatasync(int fd);
int journal_close(int fd);
int journal_rename(const char *from, const char *to);
int journal_stat(const char *path, struct stat *result);
/** journal_truncate - of a log: what is kept is copied to a new one, which then takes its name */
int journal_truncate(const char *path, off_t bytes);
/** journal_ftruncate, journal_lseek - of a log the end is where it is: 0 */
int journal_ftruncate(int fd, off_t bytes);
off_t journal_lseek(int fd, off_t offset, int whence);

/* As the functions of Redis's that they stand for: on a log they act at once, in this thread. */
int journal_exists(const char *path);
int journal_unlink(const char *path);
void journal_background_fsync(int fd);
void journal_background_close(int fd, int need_fsync);

#ifndef DEMI_REDIS_JOURNAL_ITSELF
#define bg_unlink(...) journal_unlink(__VA_ARGS__)
#define bioCreateCloseJob(...) journal_background_close(__VA_ARGS__)
#define bioCreateFsyncJob(...) journal_background_fsync(__VA_ARGS__)
#define close(...) journal_close(__VA_ARGS__)
#define fdatasync(...) journal_commit(__VA_ARGS__)
#define fileExist(...) journal_exists(__VA_ARGS__)
#define fopen(...) journal_fopen(__VA_ARGS__)
#define ftruncate(...) journal_ftruncate(__VA_ARGS__)
#define lseek(...) journal_lseek(__VA_ARGS__)
#define open(...) journal_open(__VA_ARGS__)
#define rename(...) journal_rename(__VA_ARGS__)
#define stat(...) journal_stat(__VA_ARGS__)
#define truncate(...) journal_truncate(__VA_ARGS__)
#define write(...) journal_write(__VA_ARGS__)
#endif

#endif
