/* SPDX-License-Identifier: MIT */
/* What the files of this folder share: the store of one device, its segments and its logs. */
#ifndef DEMI_LOG_STORE_H
#define DEMI_LOG_STORE_H

#include "log/catalogue.h"
#include "log/format.h"
#include "log/segments.h"
#include "log/stream.h"
#include "sched/sched.h"

/** A segment that a log has. What stands behind the number is of its first batch, once it has one. */
struct log_segment {
	uint32_t number;
	bool is_used;  /* there is a batch */
	uint32_t skip; /* blocks in front of the first one that can be read: 0, but for damage */
	uint64_t first_record;
	uint64_t first_sequence;
};

/** Where a stream stands: what recovery finds out. */
struct position {
	uint64_t next_sequence;
	uint64_t next_record;
	uint64_t block;
	uint32_t blocks_left;
	uint32_t previous;
};

struct log {
	struct stream stream;
	struct log_store *store;
	struct log *next;
	char name[LOG_NAME_BYTES_MAX + 1]; /* "": removed, and goes with its last user */
	uint32_t id;
	uint32_t opens;
	uint32_t reads;         /* under way */
	uint64_t first;         /* record */
	struct position closed; /* the end that was noted last; next_sequence 0: none was */
	bool is_damaged;
	bool is_going;                /* its removal is on the way: it gets no segments any more */
	struct log_segment *segments; /* oldest first; the last used one is the stream's */
	uint32_t segment_count;
	uint32_t segment_room;
	uint32_t spare;       /* at the end of them: have no batch yet */
	struct change change; /* that gives it another segment */
	bool is_changing;
	struct log *next_hungry; /* waits for a free segment */
};

struct log_store {
	struct blkdev *device;
	struct heap *heap;
	struct sched *sched;
	const uint64_t *now_ns;
	void (*wait)(void *context);
	void *wait_context;
	uint64_t random; /* the next salt comes of it */
	uint32_t copy_max;
	uint32_t block_bytes;
	bool read_only;
	bool was_clean;
	bool trim; /* the device is told of free segments */
	struct superblock superblock;
	struct catalogue catalogue;
	struct segments segments;
	struct log *logs; /* those that were removed and are still open, too */
	uint32_t log_count;
	uint32_t next_id;
	struct stream *dirty;
	struct stream **dirty_end;
	struct retry *retries;
	struct coroutine writer; /* calls stream_write for those that are dirty */
	bool has_writer;
	uint8_t *scratch; /* BATCH_HEAD_BYTES_MAX in the heap, for what waits for the device */
	uint64_t scratch_block; /* what recovery has in it */
	uint32_t scratch_blocks;
	bool met_bad;        /* recovery came over blocks that the device cannot read */
	uint32_t look_bytes; /* that recovery reads at a time, at least */
	struct log_counters counters;
};

/** store_mark_dirty, store_forget_stream - the list of streams that have something to write */
void store_mark_dirty(struct log_store *store, struct stream *stream);
void store_forget_stream(struct log_store *store, struct stream *stream);

/** store_retry - submit a request again, soon; its done is told when that fails */
void store_retry(struct log_store *store, struct retry *retry, struct blk_request *request);

/** store_wait - let the device and the streams go on, from a call that may wait */
void store_wait(struct log_store *store);

/**
 * store_io - one request, and wait for it
 * @memory: in the heap, aligned; @blocks of it. NULL for BLK_FLUSH
 *
 * Writes are durable. Return: 0 or -errno.
 */
int store_io(struct log_store *store, enum blk_operation operation, uint64_t block, void *memory,
	     uint32_t blocks);

/** store_salt - a number that nobody can guess who does not know the seed, another one each time */
uint64_t store_salt(struct log_store *store);

/** store_find - the log of a name or of a number; NULL: there is none */
struct log *store_find(struct log_store *store, const char *name);
struct log *store_find_id(struct log_store *store, uint32_t id);

/** store_add_log - an empty log, in memory; NULL: none */
struct log *store_add_log(struct log_store *store, uint32_t id, uint64_t salt, const char *name);

/** store_drop_log - free a log's memory, its segments are free */
void store_drop_log(struct log *log);

/** log_add_segment - note that a log has this segment, behind those it has; 0 or -ENOMEM */
int log_add_segment(struct log *log, uint32_t number);

/** log_drop_segments - the first @count segments are the log's no more */
void log_drop_segments(struct log *log, uint32_t count);

static inline uint64_t segment_block(const struct log_store *store, uint32_t number)
{
	return store->superblock.segments_block +
	       (uint64_t)number * store->superblock.segment_blocks;
}

/** recover_catalogue, recover_logs - see recover.c; 0 or -errno, logged */
int recover_catalogue(struct log_store *store);
int recover_logs(struct log_store *store);

#endif /* DEMI_LOG_STORE_H */
