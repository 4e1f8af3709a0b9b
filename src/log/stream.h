/* SPDX-License-Identifier: MIT */
/*
 * The end of a chain of batches: what is appended waits here, and is written, all that waits in one
 * batch, one batch at a time. A log has one, and so has the catalogue.
 */
#ifndef DEMI_LOG_STREAM_H
#define DEMI_LOG_STREAM_H

#include "log/format.h"

struct log_store;
struct stream;

/** What differs between those who have streams. */
struct stream_ops {
	/*
	 * No batch is under way and the room at @stream->block is not enough: move the stream on.
	 * Return: 0; -EINPROGRESS, having seen to it that stream_wake is called; or the error that
	 * all that waits gets.
	 */
	int (*extend)(struct stream *stream);
	/* A batch is durable, and the stream stands behind it. Optional. */
	void (*written)(struct stream *stream);
};

struct stream {
	const struct stream_ops *ops;
	struct log_store *store;
	uint64_t salt;
	uint32_t log; /* as in its batches */
	uint32_t copy_max;
	uint32_t
		split_blocks_min; /* no record is begun in less room than this and goes on elsewhere */

	/* What is durable. */
	uint64_t next_sequence;
	uint64_t next_record; /* that no whole record has */
	uint64_t block;       /* where the next batch goes */
	uint32_t blocks_left; /* from there on */
	uint32_t previous;    /* crc of the last batch */

	struct log_append *appends; /* oldest first; the first ones are under way */
	struct log_append **appends_end;
	uint64_t waiting_bytes; /* of all of them, but for what is written */
	int failure;            /* -errno: nothing is appended any more */

	/* The batch that is under way. */
	bool is_writing;
	bool is_extending;
	bool is_retrying;     /* the device had no room for the request */
	unsigned int retries; /* of this batch */
	uint32_t records_done;
	uint32_t batch_blocks;
	uint32_t batch_crc;
	struct blk_request request;
	struct iovec segments[BLK_SEGMENTS_MAX];
	uint8_t *head; /* BATCH_HEAD_BYTES_MAX in the heap; NULL: nothing was written yet */

	struct stream *next_dirty; /* in the store's list */
	bool is_dirty;
};

/** stream_init - an empty stream, without room; the caller sets where it stands */
void stream_init(struct stream *stream, const struct stream_ops *ops, struct log_store *store,
		 uint32_t log, uint64_t salt);

/** stream_fini - free its memory; nothing is under way */
void stream_fini(struct stream *stream);

/** stream_append - as log_append, without its checks; the append's segments, bytes, done are set */
int stream_append(struct stream *stream, struct log_append *append);

/** stream_cancel - as log_append_cancel */
int stream_cancel(struct stream *stream, struct log_append *append);

/** stream_write - write what waits, unless a batch is under way */
void stream_write(struct stream *stream);

/** stream_wake - have the store call stream_write soon */
void stream_wake(struct stream *stream);

/** stream_fail - everything that waits, and all that will come, gets this error */
void stream_fail(struct stream *stream, int error);

static inline bool stream_is_idle(const struct stream *stream)
{
	return !stream->appends && !stream->is_writing;
}

#endif /* DEMI_LOG_STREAM_H */
