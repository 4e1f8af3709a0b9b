/* SPDX-License-Identifier: MIT */
/*
 * Named logs on one block device: records are appended and are durable when that is done, read at a
 * cursor, and dropped from the start on. The bytes on the device are those of docs/log-format.md.
 *
 * Records have numbers, from 0 on as long as the log lives; dropping the first ones changes no
 * number. Whatever waits in one log is written together, one write under way at a time; a log with
 * nothing under way writes in the next round of the scheduler.
 *
 * Calls that return an errno wait for the device where they have to, by the wait of the options;
 * append and read never do. Whoever is told that something is done may append, cancel, read, seek
 * and log_close from there, and destroy cursors, but must not make a call that waits: log_open with
 * LOG_CREATE, log_remove, log_rename, log_truncate, log_check and those of stores.
 *
 * All on one thread, and time is what the options point to. Nothing is written by opening a store:
 * what a power cut interrupts it leaves as it was.
 *
 * Source: Zhang et al., "The Demikernel Datapath OS", SOSP 2021, section 6.4 (Cattree).
 */
#ifndef DEMI_LOG_LOG_H
#define DEMI_LOG_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <demi/types.h>

#include "blkdev/blkdev.h"
#include "heap/buf.h"
#include "sched/sched.h"

/** Bytes of a record, at most. */
#define LOG_RECORD_BYTES_MAX (16u << 20)
/** Bytes of a log's name, at most; at least one, none of them 0. */
#define LOG_NAME_BYTES_MAX 255u

struct log;
struct log_store;

struct log_store_options {
	struct blkdev *device; /* stays the caller's, and must outlive the store */
	struct heap *heap;     /* the device's */
	struct sched *sched;
	const uint64_t *now_ns; /* the time, whenever it is looked at */
	uint64_t seed;          /* random: of the salts of new logs */
	/* Have the device polled and time go on, until something may have ended; a device that is
	 * gone is polled, too. */
	void (*wait)(void *context);
	void *wait_context;
	uint32_t copy_max; /* pieces of records up to so many bytes are copied; 1024 */
	bool read_only;    /* appends, removals and the like are -EROFS */
	bool trim;         /* tell a device that can trim of what is free */
};

/** What log_store_format may be told; 0: what suits the device. */
struct log_format_options {
	uint32_t segment_bytes; /* a power of two, 64 KiB to 64 MiB */
	uint64_t seed;          /* random: of the store's identity */
	bool overwrite;         /* even when the device has something else */
};

/**
 * log_store_format - make an empty store on a device
 *
 * Return: 0; -EEXIST (the first blocks are not blank, and not to be overwritten), -ENOSPC (too
 * small), -EINVAL (segment_bytes), -EROFS, -EIO, -ENOMEM; each has been logged with what to do.
 */
int log_store_format(const struct log_store_options *options,
		     const struct log_format_options *format);

/**
 * log_store_open - recover the store of a device
 *
 * A blank device is -ENODATA, which nobody logs. Return: 0; -ENODATA; -EMEDIUMTYPE (something else
 * is on it, or a store of a newer format, or of other blocks); -EUCLEAN (damaged beyond use: the
 * superblock, or the catalogue); -EIO (they cannot be read), -ENOMEM, and what the device says when
 * it does not work; each but -ENODATA has been logged with what to do. Damage in one log, and blocks
 * of it that cannot be read, leave the others whole: see log_status.
 */
int log_store_open(struct log_store **store_out, const struct log_store_options *options);

/**
 * log_store_close - wait for what is under way and forget the store; the logs must have been closed
 *
 * Notes where each log ends, so that damage of the last records is found later on.
 */
void log_store_close(struct log_store *store);

/** log_store_forget - in the child of a fork: free the memory, touch nothing else */
void log_store_forget(struct log_store *store);

struct log_store_status {
	uint64_t segments;
	uint64_t segments_free;
	uint32_t segment_bytes;
	uint32_t block_bytes;
	uint32_t logs;
	uint32_t logs_damaged;
	uint32_t version; /* of the format */
	bool was_clean;   /* log_store_close was the last that happened to it */
};

void log_store_status(const struct log_store *store, struct log_store_status *status);

/** Counters of a store since it was opened. */
struct log_counters {
	uint64_t appends;       /* records that became durable */
	uint64_t append_bytes;  /* theirs */
	uint64_t append_errors; /* records that did not */
	uint64_t batches;       /* writes of records */
	uint64_t batch_bytes;   /* theirs, whole blocks */
	uint64_t inline_bytes;  /* copied into batches: small pieces and the ends of large ones */
	uint64_t
		copied_bytes; /* of these: of pieces larger than copy_max, as the device's alignment asks */
	uint64_t catalogue_bytes;
	uint64_t reads;
	uint64_t read_bytes;
	uint64_t damaged; /* reads of records that are not what was written */
};

const struct log_counters *log_store_counters(const struct log_store *store);

/** log_tell - every counter as a figure of part "log", zeroes too */
void log_tell(const struct log_store *store, figure_fn *tell, void *context);

/* ---- Logs ---- */

#define LOG_CREATE 1u
#define LOG_EXCLUSIVE 2u /* with LOG_CREATE: -EEXIST when there is one */

/**
 * log_open - open the log of a name, or make it, durably
 *
 * It may be open any number of times: all are one struct log, until as many log_close.
 * Return: 0, -ENOENT, -EEXIST, -EINVAL (an empty name), -ENAMETOOLONG, -ENOSPC (the catalogue is
 * full), -EROFS, -EIO, -ENOMEM.
 */
int log_open(struct log **log_out, struct log_store *store, const char *name, unsigned int flags);

/** log_close - none of the caller's appends and no cursor may be there; what was removed goes then */
void log_close(struct log *log);

/** log_remove - take away a name and, when nobody has it open any more, the log; 0 or as log_open */
int log_remove(struct log_store *store, const char *name);

/** log_rename - give a log another name; one that had it is removed. In one step, durably; as log_open */
int log_rename(struct log_store *store, const char *name, const char *new_name);

struct log_status {
	const char *name;  /* "" once removed; valid until the next call on the store */
	uint64_t first;    /* number of the first record that is not dropped */
	uint64_t end;      /* number that the next record gets; those below it are durable */
	uint64_t segments; /* that it has */
	bool is_damaged;   /* found at recovery: some records read as -EUCLEAN */
	int failure;       /* -errno: appends fail with it until the store is opened anew */
};

void log_status(const struct log *log, struct log_status *status);

/** log_each - call @visit for each log, by name; stops when it returns not 0, and returns that */
int log_each(struct log_store *store, int (*visit)(void *context, const struct log_status *status),
	     void *context);

/**
 * log_truncate - drop the records below @first, durably, and free their space
 *
 * Who is reading one of them gets the first that is left. Return: 0, -EINVAL (not between the status'
 * first and end), -EROFS, -ENOENT (the log has been removed), or the device's error: whether it has
 * happened then is known when the store is opened anew.
 */
int log_truncate(struct log *log, uint64_t first);

/* ---- Appending ---- */

/** One record on its way; storage of who appends it, with the memory, until done is called. */
struct log_append {
	const demi_sgaseg_t *segments; /* in the store's heap; they may be empty */
	uint32_t segment_count;        /* 0: an empty record */
	/*
	 * Called once, from a poll of the device or of the scheduler, never from log_append. @error:
	 * 0, the record is durable and has @record as its number; -ENOSPC, -ENOMEM, -ECANCELED:
	 * it is not there, and others may be tried; -EIO, -ENODEV, -ETIMEDOUT: it may be there when
	 * the store is opened anew, until when the log takes no more; -ENOENT: the log has been
	 * removed, and needs another segment.
	 */
	void (*done)(struct log_append *append, int error);
	uint64_t record;
	void *owner; /* whatever done wants to know */
	/* The log's own. */
	struct log_append *next;
	uint32_t segment; /* goes on in this one */
	uint32_t offset;  /* and there, bytes */
	uint32_t bytes;   /* in all */
	uint32_t written; /* in batches that are durable or under way */
	uint32_t state;
};

/**
 * log_append - append a record behind those that were appended before
 *
 * Return: 0; -EMSGSIZE (LOG_RECORD_BYTES_MAX), -ENOSPC (there is surely no room), -EROFS,
 * or the failure of the log's status: done is not called then.
 */
int log_append(struct log *log, struct log_append *append);

/** log_append_cancel - take back a record, done with -ECANCELED; -EBUSY when it is being written */
int log_append_cancel(struct log *log, struct log_append *append);

/* ---- Reading ---- */

struct log_cursor;

/** log_cursor_create - a place in a log, at its first record; 0 or -ENOMEM */
int log_cursor_create(struct log_cursor **cursor_out, struct log *log);

/** log_cursor_destroy - not while a read is pending; NULL is allowed */
void log_cursor_destroy(struct log_cursor *cursor);

/** log_cursor_seek - go to a record; 0, -EINVAL (behind the end), -EBUSY (a read is pending) */
int log_cursor_seek(struct log_cursor *cursor, uint64_t record);

/** log_cursor_record - the number of the record that is read next, not below the log's first */
uint64_t log_cursor_record(const struct log_cursor *cursor);

/** One read; storage of who reads, until done. */
struct log_read {
	/*
	 * Called once, from a poll or, when the record is at hand, from log_read itself. @buf: the
	 * record in one buf, which is owned by the caller as of buf_alloc (its data may start anywhere
	 * in its room), and the cursor has moved on; NULL with 0: the end of the log.
	 * @error: -EUCLEAN: it is not what was written, or is lost; the cursor stays, seek beyond it.
	 * -EIO, -ETIMEDOUT, -ENOMEM: the cursor stays, try again. -ENODEV: the device is gone.
	 */
	void (*done)(struct log_read *read, struct buf *buf, int error);
};

/** log_read - read the record at a cursor; 0, -EBUSY (a read is pending) */
int log_read(struct log_cursor *cursor, struct log_read *read);

/* ---- Checking ---- */

/** What log_check tells of: one problem, or (with @problem NULL) one log that is whole. */
typedef void log_check_fn(void *context, const char *log, uint64_t record, const char *problem);

/**
 * log_check - read everything and verify it
 *
 * Return: how many problems there are, or -errno when it could not go on.
 */
int64_t log_check(struct log_store *store, log_check_fn *tell, void *context);

#endif /* DEMI_LOG_LOG_H */
