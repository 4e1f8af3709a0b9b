/* SPDX-License-Identifier: MIT */
/*
 * Files that are logs of the block device. A write is a record that is pushed at once, and waits for
 * nothing; fsync(2) waits until all is durable. The bytes of a file are its records one after the
 * other. Who reads gets them in a memory file, the image, which is filled at the first read and kept
 * as long as the log is open.
 *
 * Logs lose records from the start on only, and files are cut at the end. So an empty record is an
 * escape: the record behind it is no bytes of the file but says in words what happened to them:
 *
 *   "truncate N"   those from N on are gone
 *   "keep"         nothing; it follows an escape whose own words were lost
 *
 * Everything here is under the engine's lock. Where a function waits, others have it meanwhile.
 */
#ifndef SHIM_LOG_H
#define SHIM_LOG_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include <demi/demi.h>

#include "file.h"
#include "transfer.h"

/* Bytes of one log that are written and not durable; beyond, a write waits. */
#define LOG_WAITING_BYTES_MAX ((size_t)64 << 20)
/* Bytes that a file grows by when it is cut, or written to, behind its end; they are written. */
#define LOG_HOLE_BYTES_MAX ((int64_t)1 << 30)
/* Records that are read ahead. */
#define LOG_READS_MAX 8u

/** A write that is not durable yet. */
struct log_record {
	struct log_record *next;
	demi_sgarray_t sga; /* one segment, of the runtime's heap but for an escape's */
	uint64_t number;    /* of the log's writes */
	demi_qtoken_t qt;
	bool is_under_way;
	bool is_done;
	bool is_refused; /* there was no room: it is pushed again before anything else */
	bool is_word;    /* an escape, or what follows one */
};

enum log_tail {
	LOG_TAIL_UNKNOWN,
	LOG_TAIL_WHOLE,
	LOG_TAIL_ESCAPE, /* the last record is an escape */
};

/** A log that has been looked at; stays in the table until it is removed. */
struct log {
	struct log *next;
	struct file
		watched; /* for its watches only: they are told when a record ends, and of log_give */
	char name[DEMI_LOG_NAME_BYTES_MAX + 1];
	uint64_t number; /* st_ino */
	uint32_t holds;  /* open files, and calls under way */
	bool is_removed;
	bool is_taken; /* by log_take */
	bool is_read_only;
	int qd;        /* -1: nobody holds it */
	int64_t first; /* number of its first record */
	int64_t size;  /* bytes; -1: not read yet */
	enum log_tail tail;
	struct timespec modified;
	struct log_record *records, **records_end; /* oldest first */
	uint64_t accepted;                         /* number of the last write */
	size_t waiting_bytes;
	uint32_t under_way;
	int error; /* -errno: the device has failed, and every call does */
	/* Reads, oldest first, and what came of those that have completed. */
	struct log_read {
		demi_qtoken_t qt;
		bool is_done;
		int error;
		demi_sgarray_t sga;
	} reads[LOG_READS_MAX];
	uint32_t read_count;
	uint32_t readers;
	int image; /* a descriptor; -1: nobody reads */
	bool image_is_filled;
};

/** An open file, as open(2) makes one. */
struct log_file {
	struct file file;
	struct log *log;
	int access; /* O_RDONLY, O_WRONLY or O_RDWR */
	int64_t offset;
	bool is_at_end;  /* offset is the size, which is not known */
	bool is_synced;  /* O_SYNC or O_DSYNC */
	bool is_parents; /* this is the child of a fork */
};

static inline struct log_file *log_file_of(struct file *file)
{
	return (struct log_file *)file;
}

/* ---- Logs ---- */

/**
 * log_open - hold the log of a name
 * @flags: O_CREAT, O_EXCL
 *
 * Starts the runtime. Return: 0 or -errno.
 */
int log_open(struct log **log_out, const char *name, int flags);

/** log_drop - undo it */
void log_drop(struct log *log);

/** log_rename, log_remove - as rename(2), unlink(2), between names of logs */
int log_rename(const char *name, const char *new_name, bool replaces);
int log_remove(const char *name);

/** log_stat - what stat(2) says; reads a log that has not been read */
int log_stat(struct log *log, struct stat *status);

/** log_take, log_give - nobody else writes, cuts or reads in meanwhile */
void log_take(struct log *log);
void log_give(struct log *log);

/**
 * log_wait - wait until @is_ready(@context), which something that happens to the log makes so
 *
 * As in the kernel, what waits for a disk is not interrupted, and handlers of signals run afterwards:
 * they may want to write, too.
 */
void log_wait(struct log *log, bool (*is_ready)(void *context), void *context);

/* ---- Writing; log_sync apart, between log_take and log_give ---- */

/** log_append - write the cursor's bytes behind all others; how many, or -errno */
ssize_t log_append(struct log *log, struct cursor *cursor);

/** log_append_hole - write zeroes until there are @size bytes; 0 or -errno */
int log_append_hole(struct log *log, int64_t size);

/** log_sync - wait until all that was written before is durable; 0 or -errno */
int log_sync(struct log *log);

/** log_cut - as ftruncate(2); durable on return; 0 or -errno */
int log_cut(struct log *log, int64_t size);

/** log_push_again - push what found no room; 0 when there is nothing of it any more, or -errno */
int log_push_again(struct log *log);

/** log_push_word - push one record that is no bytes of the file, and wait for it; 0 or -errno */
int log_push_word(struct log *log, const char *word);

/** log_drop_refused - forget what found no room */
void log_drop_refused(struct log *log);

/** log_is_quiet - nothing is under way; for log_wait */
bool log_is_quiet(void *log);

/* ---- Reading, between log_take and log_give ---- */

/** log_measure - let log->size be known; 0 or -errno */
int log_measure(struct log *log);

/** log_find_tail - let log->tail be known; 0 or -errno */
int log_find_tail(struct log *log);

/** log_make_image - let there be one, maybe empty; 0 or -errno */
int log_make_image(struct log *log);

/** log_fill_image - let it have the log's bytes; 0 or -errno */
int log_fill_image(struct log *log);

/** log_drop_image - nobody reads it any more */
void log_drop_image(struct log *log);

/** log_image_append - @bytes more; @position: their place */
void log_image_append(struct log *log, int64_t position, const void *from, size_t bytes);

/** log_image_cut - @size are left */
void log_image_cut(struct log *log, int64_t size);

/* ---- Open files ---- */

/**
 * log_file_open - as open(2) of the log @name
 *
 * Return: a descriptor or -errno.
 */
int log_file_open(const char *name, int flags);

/** log_file_end - its last reference has gone */
void log_file_end(struct log_file *file);

/** log_file_write - as pwrite(2), or with @offset -1 as write(2) */
ssize_t log_file_write(struct log_file *file, struct cursor *cursor, int64_t offset);

/** log_file_read - as preadv(2), or with @offset -1 as readv(2) */
ssize_t log_file_read(struct log_file *file, const struct iovec *pieces, size_t count,
		      int64_t offset);

/** log_file_seek, log_file_sync, log_file_cut, log_file_stat - as the system calls; or -errno */
int64_t log_file_seek(struct log_file *file, int64_t offset, int whence);
int log_file_sync(struct log_file *file);
int log_file_cut(struct log_file *file, int64_t size);
int log_file_stat(struct log_file *file, struct stat *status);

/** log_file_fill - let what the kernel knows of the descriptor have the bytes; 0 or -errno */
int log_file_fill(struct log_file *file);

/** log_file_close - before its last descriptor goes: what close(2) waits for; 0 or -errno */
int log_file_close(struct log_file *file);

/** log_file_flags, log_file_set_flags - F_GETFL, F_SETFL */
int log_file_flags(const struct log_file *file);
void log_file_set_flags(struct log_file *file, int flags);

/* ---- For the engine ---- */

/** logs_complete - an operation has completed; false: it is none of a log */
bool logs_complete(demi_qresult_t *result);

/** log_record_ended, log_read_ended - what it comes to */
void log_record_ended(struct log *log, const demi_qresult_t *result);
void log_read_ended(struct log *log, const demi_qresult_t *result);

/** logs_unsaved - bytes, and records, that are on their way */
uint64_t logs_unsaved(void);

/** logs_forget - in the child of a fork */
void logs_forget(void);

#endif /* SHIM_LOG_H */
