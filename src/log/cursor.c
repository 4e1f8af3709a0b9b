/* SPDX-License-Identifier: MIT */
/*
 * Reading at a cursor. It has a window of the log's blocks in memory, in which it goes from batch to
 * batch; small records are copied out of that, the runs of large ones are read to where they go.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/container.h"
#include "log/crc32c.h"
#include "log/store.h"

/* Room in front of a record, so that its run lies as the device asks; a page at most. */
#define ALIGNMENT_MAX 4096u
/* Records to go through rather than to look for the segment again. */
#define SEEK_NEAR 256u

/** What a cursor does when its device is done. */
enum step {
	STEP_LOCATE, /* find the segment */
	STEP_BATCH,  /* look at the batch at block */
	STEP_SEARCH, /* there is none: look behind it */
	STEP_PIECE,  /* the record's piece of the batch */
	STEP_RUN,    /* its next extent */
};

struct log_cursor {
	struct log *log;
	uint64_t record; /* to be read next */
	struct log_read *read;
	struct blk_request request;
	struct iovec iov;

	uint8_t *window; /* BATCH_HEAD_BYTES_MAX in the heap */
	uint64_t window_block;
	uint32_t window_blocks;
	bool is_careful; /* a block in sight cannot be read: no more is read than is wanted */
	bool is_bad;     /* the one at block is it */
	bool met_bad;    /* such a one was met on the way to the record */

	/* Where it stands. */
	enum step step;
	bool is_located;
	bool expects;       /* the batch at block is the one behind the last that was seen */
	uint64_t segment;   /* first_sequence of it, which names it */
	uint64_t block;     /* of the batch */
	uint64_t sequence;  /* that it has, or (when not expects) more than this */
	struct batch batch; /* valid in STEP_PIECE and STEP_RUN */
	uint32_t piece;     /* index of the next one */
	uint64_t piece_record;
	uint32_t table_offset;
	uint32_t inline_offset; /* in the head */
	uint32_t run_offset;    /* blocks behind the head */

	/* The record. */
	struct buf *buf;
	uint8_t *
		bounce; /* BATCH_HEAD_BYTES_MAX in the heap, when a run does not lie as it should */
	uint32_t bytes; /* of it, in all */
	uint32_t filled;
	struct piece current;
	uint32_t extent;
	uint32_t extent_done;
	uint32_t crc;
	bool is_open; /* its first pieces are there, and more must come */

	bool is_over; /* the read has ended, and its owner is not told yet */
	int outcome;  /* of it */
	struct retry retry;
};

int log_cursor_create(struct log_cursor **cursor_out, struct log *log)
{
	struct log_cursor *cursor = calloc(1, sizeof(*cursor));

	if (!cursor)
		return -ENOMEM;
	cursor->log = log;
	cursor->record = log->first;
	*cursor_out = cursor;
	return 0;
}

void log_cursor_destroy(struct log_cursor *cursor)
{
	if (!cursor)
		return;
	if (cursor->window)
		heap_free(cursor->log->store->heap, cursor->window);
	if (cursor->bounce)
		heap_free(cursor->log->store->heap, cursor->bounce);
	free(cursor);
}

int log_cursor_seek(struct log_cursor *cursor, uint64_t record)
{
	if (cursor->read)
		return -EBUSY;
	if (record > cursor->log->stream.next_record)
		return -EINVAL;
	/* A little further on it comes to by itself. */
	if (record < cursor->record || record - cursor->record > SEEK_NEAR)
		cursor->is_located = false;
	cursor->record = record;
	return 0;
}

uint64_t log_cursor_record(const struct log_cursor *cursor)
{
	uint64_t first = cursor->log->first;

	return cursor->record > first ? cursor->record : first;
}

/* ---- The end of a read ---- */

static void finish(struct log_cursor *cursor, int error)
{
	struct log_store *store = cursor->log->store;

	cursor->is_over = true;
	cursor->outcome = error == -EUCLEAN && cursor->met_bad ? -EIO : error;
	cursor->is_open = false;
	cursor->is_bad = false;
	cursor->met_bad = false;
	if (error) {
		cursor->is_located = false;
		buf_free(store->heap, cursor->buf);
		cursor->buf = NULL;
		return;
	}
	cursor->buf->length = cursor->bytes;
	cursor->record++;
	store->counters.reads++;
	store->counters.read_bytes += cursor->bytes;
}

/* Last of all: who is told may read on, or destroy the cursor. */
static void deliver(struct log_cursor *cursor)
{
	struct log_read *read = cursor->read;
	struct buf *buf = cursor->buf;

	cursor->buf = NULL;
	cursor->read = NULL;
	cursor->is_over = false;
	cursor->log->reads--;
	cursor->log->store->counters.damaged += cursor->outcome == -EUCLEAN;
	read->done(read, buf, cursor->outcome);
}

/* ---- Reading from the device ---- */

static void run(struct log_cursor *cursor);

/* Return: whether there is something to go on with. */
static bool has_read(struct log_cursor *cursor, int error)
{
	if (!error)
		return true;
	cursor->window_blocks = 0;
	finish(cursor, error == -ECANCELED ? -EIO : error);
	deliver(cursor);
	return false;
}

static void window_done(struct blk_request *request, int error)
{
	struct log_cursor *cursor = container_of(request, struct log_cursor, request);

	/* One bad block costs what is on it, not what happens to be read with it. */
	if (error == -EIO) {
		cursor->window_blocks = 0;
		cursor->is_bad = cursor->is_careful;
		cursor->met_bad |= cursor->is_bad;
		cursor->is_careful = true;
		error = 0;
	}
	if (has_read(cursor, error))
		run(cursor);
}

static void start(struct log_cursor *cursor, uint64_t block, void *memory, uint32_t blocks,
		  void (*done)(struct blk_request *request, int error))
{
	struct log_store *store = cursor->log->store;
	int error;

	cursor->iov = (struct iovec){memory, (size_t)blocks * store->block_bytes};
	cursor->request = (struct blk_request){
		.operation = BLK_READ,
		.segment_count = 1,
		.block_count = blocks,
		.block = block,
		.segments = &cursor->iov,
		.done = done,
	};
	error = blkdev_submit(store->device, &cursor->request, *store->now_ns);
	if (error == -EAGAIN)
		store_retry(store, &cursor->retry, &cursor->request);
	else if (error)
		finish(cursor, error);
}

/* ---- Where a batch may be ---- */

/* Lost ones without a batch have what the one behind them has: that one is found. */
static const struct log_segment *find_segment(const struct log *log, uint64_t first_sequence)
{
	uint32_t low = 0, high = log->segment_count - log->spare;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (log->segments[middle].first_sequence <= first_sequence)
			low = middle + 1;
		else
			high = middle;
	}
	if (low > 0 && log->segments[low - 1].first_sequence == first_sequence)
		return &log->segments[low - 1];
	return NULL;
}

static bool is_last_used(const struct log *log, const struct log_segment *segment)
{
	return segment + 1 == log->segments + (log->segment_count - log->spare);
}

/* No batch of the segment has this number or a higher one, but for what a power cut left torn. */
static uint64_t sequence_end(const struct log *log, const struct log_segment *segment)
{
	return is_last_used(log, segment) ? log->stream.next_sequence : segment[1].first_sequence;
}

/* Behind the last block of the segment that is durable. */
static uint64_t segment_limit(const struct log *log, const struct log_segment *segment)
{
	const struct stream *stream = &log->stream;
	uint64_t start = segment_block(log->store, segment->number);
	uint64_t end = start + log->store->superblock.segment_blocks;

	/* The stream may stand in it, or in a later one; or nowhere, after damage. */
	if (stream->block > start && stream->block <= end && is_last_used(log, segment))
		return stream->block;
	if (stream->block == start && is_last_used(log, segment))
		return start;
	return end;
}

/* A record whose first parts are there will not go on. */
static void drop_open(struct log_cursor *cursor)
{
	cursor->is_open = false;
	buf_free(cursor->log->store->heap, cursor->buf);
	cursor->buf = NULL;
}

/* Go to the start of a segment. */
static void enter(struct log_cursor *cursor, const struct log_segment *segment)
{
	/* What the blocks had before they were in this segment. */
	cursor->window_blocks = 0;
	cursor->segment = segment->first_sequence;
	cursor->block = segment_block(cursor->log->store, segment->number) + segment->skip;
	cursor->sequence = segment->first_sequence;
	cursor->expects = true;
	cursor->is_careful = false;
	cursor->is_bad = false;
	cursor->step = STEP_BATCH;
}

/* The last segment whose first record is not behind the one that is wanted. */
static void locate(struct log_cursor *cursor)
{
	const struct log *log = cursor->log;
	uint32_t low = 0, high = log->segment_count - log->spare;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (log->segments[middle].first_record <= cursor->record)
			low = middle;
		else
			high = middle;
	}
	if (high == 0) {
		finish(cursor, -EUCLEAN);
		return;
	}
	cursor->is_located = true;
	drop_open(cursor);
	enter(cursor, find_segment(log, log->segments[low].first_sequence));
}

/* ---- Batches ---- */

/* Bytes at hand at cursor->block; 0: they are being read. */
static size_t look(struct log_cursor *cursor, uint32_t bytes, uint64_t limit)
{
	struct log_store *store = cursor->log->store;
	uint64_t block = cursor->block, window_end = cursor->window_block + cursor->window_blocks;
	uint32_t need = (bytes + store->block_bytes - 1) / store->block_bytes;
	uint32_t room = BATCH_HEAD_BYTES_MAX / store->block_bytes;

	if (need > limit - block)
		need = (uint32_t)(limit - block);
	if (block >= cursor->window_block && block + need <= window_end)
		return (size_t)(window_end - block) * store->block_bytes;
	cursor->window_block = block;
	cursor->window_blocks = limit - block < room ? (uint32_t)(limit - block) : room;
	if (cursor->is_careful)
		cursor->window_blocks = need;
	start(cursor, block, cursor->window, cursor->window_blocks, window_done);
	return 0;
}

static uint8_t *head_of(const struct log_cursor *cursor)
{
	return cursor->window +
	       (cursor->block - cursor->window_block) * cursor->log->store->block_bytes;
}

static void begin_batch(struct log_cursor *cursor)
{
	const struct batch *batch = &cursor->batch;
	bool continues = batch->flags & BATCH_CONTINUES;

	cursor->piece = 0;
	cursor->piece_record = batch->first_record - continues;
	cursor->table_offset = BATCH_HEADER_BYTES;
	cursor->inline_offset = batch->descriptor_bytes;
	cursor->run_offset = 0;
	/* A record that was left open and is not continued is void. */
	if (cursor->is_open && !continues)
		drop_open(cursor);
	cursor->step = STEP_PIECE;
}

static void next_batch(struct log_cursor *cursor)
{
	cursor->block += batch_blocks(&cursor->batch, cursor->log->store->block_bytes);
	cursor->sequence = cursor->batch.sequence + 1;
	cursor->expects = true;
	cursor->step = STEP_BATCH;
}

/* To the next segment that has a batch. */
static void leave(struct log_cursor *cursor, const struct log_segment *segment)
{
	const struct log *log = cursor->log;

	if (is_last_used(log, segment))
		finish(cursor, -EUCLEAN);
	else
		enter(cursor, find_segment(log, segment[1].first_sequence));
}

/* The batch at cursor->block is not the one that is expected: is that further on? */
static void search(struct log_cursor *cursor)
{
	/* What comes then need not be what the record goes on with. */
	drop_open(cursor);
	cursor->expects = false;
	cursor->step = STEP_SEARCH;
}

/* Parse the batch at cursor->block: 0, -EUCLEAN, or -EAGAIN: it is being read. */
static int parse_batch(struct log_cursor *cursor, uint64_t limit)
{
	const struct log *log = cursor->log;
	uint32_t need = BATCH_HEADER_BYTES;
	int error = -EAGAIN;

	if (cursor->block >= limit || cursor->is_bad) {
		cursor->is_bad = false;
		return -EUCLEAN;
	}
	while (error == -EAGAIN) {
		const struct batch_place place = {cursor->block, limit - cursor->block,
						  log->stream.salt, log->id,
						  log->store->block_bytes};
		size_t bytes = look(cursor, need, limit);

		if (bytes == 0)
			return -EAGAIN;
		if (bytes < need)
			return -EUCLEAN;
		error = batch_parse(&cursor->batch, head_of(cursor), bytes, &place, &need);
	}
	return error;
}

static bool is_wanted(const struct log_cursor *cursor, uint64_t end)
{
	uint64_t sequence = cursor->batch.sequence;

	if (cursor->expects)
		return sequence == cursor->sequence;
	return sequence > cursor->sequence && sequence < end;
}

/* Look at the batch at cursor->block; false: it is being read, or the read has ended. */
static bool look_at_batch(struct log_cursor *cursor)
{
	const struct log *log = cursor->log;
	const struct log_segment *segment = find_segment(log, cursor->segment);
	uint64_t limit, end;
	int error;

	if (!segment) {
		/* Dropped meanwhile. */
		cursor->is_located = false;
		cursor->step = STEP_LOCATE;
		return true;
	}
	limit = segment_limit(log, segment);
	end = sequence_end(log, segment);
	if (cursor->expects && cursor->sequence >= end) {
		leave(cursor, segment);
		return true;
	}
	error = parse_batch(cursor, limit);
	if (error == -EAGAIN)
		return false;
	if (!error && is_wanted(cursor, end))
		begin_batch(cursor);
	else if (cursor->step != STEP_SEARCH)
		search(cursor);
	else if (cursor->block + 1 < limit)
		cursor->block++;
	else
		leave(cursor, segment);
	return true;
}

/* ---- Pieces ---- */

/* Where the record's bytes go, so that its first run lies as the device wants it. */
static int make_room(struct log_cursor *cursor)
{
	struct log_store *store = cursor->log->store;
	uint32_t alignment = store->device->caps.memory_alignment, in_front = 0;
	bool has_runs = cursor->batch.run_blocks > 0;
	uintptr_t run_at;

	for (uint32_t i = 0; i < cursor->current.extent_count; i++) {
		uint32_t extent = extent_at(&cursor->current, i);

		if (extent_is_run(extent))
			break;
		in_front += extent_bytes(extent);
	}
	cursor->buf = buf_alloc(store->heap, cursor->bytes + (has_runs ? alignment : 1));
	if (!cursor->buf)
		return -ENOMEM;
	cursor->filled = 0;
	if (!has_runs)
		return 0;
	run_at = (uintptr_t)cursor->buf->data + in_front;
	cursor->buf->data += -run_at & (alignment - 1);
	return 0;
}

/* The record's piece at hand; its first one, or the one that goes on with it. */
static void begin_piece(struct log_cursor *cursor, bool is_last)
{
	const struct batch *batch = &cursor->batch;
	bool stays_open = is_last && (batch->flags & BATCH_OPEN);
	int error = 0;

	if (!cursor->is_open) {
		cursor->bytes = stays_open ? batch->open_bytes : cursor->current.bytes;
		error = make_room(cursor);
	}
	/* A record that is not as long as it said. */
	if (!error && cursor->current.bytes > cursor->bytes - cursor->filled)
		error = -EUCLEAN;
	if (!error && !stays_open && cursor->filled + cursor->current.bytes != cursor->bytes)
		error = -EUCLEAN;
	if (error) {
		finish(cursor, error);
		return;
	}
	cursor->is_open = stays_open;
	cursor->extent = 0;
	cursor->extent_done = 0;
	cursor->crc = piece_seed(cursor->log->stream.salt, batch->sequence, cursor->piece);
	cursor->step = STEP_RUN;
}

static void skip_piece(struct log_cursor *cursor, const struct piece *piece)
{
	for (uint32_t i = 0; i < piece->extent_count; i++) {
		uint32_t extent = extent_at(piece, i);

		if (extent_is_run(extent))
			cursor->run_offset += extent_bytes(extent) /
					      cursor->log->store->block_bytes;
		else
			cursor->inline_offset += extent_bytes(extent);
	}
}

static bool is_last_and_open(const struct log_cursor *cursor)
{
	return cursor->piece + 1 == cursor->batch.piece_count && (cursor->batch.flags & BATCH_OPEN);
}

/* Go to the wanted record's piece. false: the read has ended. */
static bool find_piece(struct log_cursor *cursor)
{
	const struct batch *batch = &cursor->batch;

	while (cursor->piece < batch->piece_count) {
		bool is_end = cursor->piece == 0 && (batch->flags & BATCH_CONTINUES);
		uint32_t offset = piece_parse(&cursor->current, head_of(cursor),
					      cursor->table_offset);

		if (cursor->piece_record == cursor->record && is_end && !cursor->is_open &&
		    is_last_and_open(cursor))
			/* Its end is not in sight: perhaps it never came, and another has its number. */
			break;
		if (cursor->piece_record > cursor->record ||
		    (cursor->piece_record == cursor->record && is_end != cursor->is_open)) {
			/* Its beginning, or all of it, is lost. */
			finish(cursor, -EUCLEAN);
			return false;
		}
		cursor->table_offset = offset;
		if (cursor->piece_record == cursor->record) {
			begin_piece(cursor, cursor->piece + 1 == batch->piece_count);
			return !cursor->is_over;
		}
		skip_piece(cursor, &cursor->current);
		cursor->piece++;
		cursor->piece_record++;
	}
	next_batch(cursor);
	return true;
}

/* ---- The bytes of a piece ---- */

static void end_piece(struct log_cursor *cursor)
{
	cursor->piece++;
	cursor->piece_record++;
	if (cursor->crc != cursor->current.crc) {
		finish(cursor, -EUCLEAN);
		return;
	}
	if (cursor->is_open) {
		next_batch(cursor);
		return;
	}
	/* Where the next one is looked for. */
	cursor->step = STEP_PIECE;
	finish(cursor, 0);
}

static void take_run(struct log_cursor *cursor, const uint8_t *from, uint32_t bytes)
{
	uint8_t *to = cursor->buf->data + cursor->filled;

	if (from != to)
		memcpy(to, from, bytes);
	cursor->crc = crc32c(cursor->crc, to, bytes);
	cursor->filled += bytes;
	cursor->extent_done += bytes;
	cursor->run_offset += bytes / cursor->log->store->block_bytes;
}

static void run_done(struct blk_request *request, int error)
{
	struct log_cursor *cursor = container_of(request, struct log_cursor, request);

	if (!has_read(cursor, error))
		return;
	take_run(cursor, cursor->iov.iov_base, (uint32_t)cursor->iov.iov_len);
	run(cursor);
}

/* Read what is left of a run, or as much as the device takes. false: it is under way. */
static bool read_run(struct log_cursor *cursor, uint32_t left)
{
	struct log_store *store = cursor->log->store;
	const struct blkdev_caps *caps = &store->device->caps;
	uint64_t block = cursor->block + batch_head_blocks(&cursor->batch, store->block_bytes) +
			 cursor->run_offset;
	uint8_t *to = cursor->buf->data + cursor->filled;
	uint32_t blocks;

	/* It may be in the window already. */
	if (block >= cursor->window_block &&
	    block + left / store->block_bytes <= cursor->window_block + cursor->window_blocks) {
		take_run(cursor,
			 cursor->window + (block - cursor->window_block) * store->block_bytes,
			 left);
		return true;
	}
	if (left > caps->bytes_max)
		left = caps->bytes_max - caps->bytes_max % store->block_bytes;
	if ((uintptr_t)to % caps->memory_alignment != 0) {
		if (!cursor->bounce)
			cursor->bounce = heap_alloc_aligned(store->heap, ALIGNMENT_MAX,
							    BATCH_HEAD_BYTES_MAX);
		if (!cursor->bounce) {
			finish(cursor, -ENOMEM);
			return false;
		}
		to = cursor->bounce;
		if (left > BATCH_HEAD_BYTES_MAX)
			left = BATCH_HEAD_BYTES_MAX;
	}
	blocks = left / store->block_bytes;
	start(cursor, block, to, blocks, run_done);
	return false;
}

/* Go on with the piece. false: something is under way, or the read has ended. */
static bool fill(struct log_cursor *cursor)
{
	while (cursor->extent < cursor->current.extent_count) {
		uint32_t extent = extent_at(&cursor->current, cursor->extent);
		uint32_t left = extent_bytes(extent) - cursor->extent_done;

		if (left == 0) {
			cursor->extent++;
			cursor->extent_done = 0;
		} else if (extent_is_run(extent)) {
			if (!read_run(cursor, left))
				return false;
		} else {
			uint8_t *to = cursor->buf->data + cursor->filled;

			memcpy(to, head_of(cursor) + cursor->inline_offset, left);
			cursor->crc = crc32c(cursor->crc, to, left);
			cursor->inline_offset += left;
			cursor->filled += left;
			cursor->extent_done += left;
		}
	}
	end_piece(cursor);
	return !cursor->is_over;
}

/* The record was dropped while it was read, and others have its place: read the first one there is. */
static bool is_outdated(struct log_cursor *cursor)
{
	const struct log *log = cursor->log;

	if ((cursor->outcome != -EUCLEAN && cursor->outcome != -EIO) ||
	    cursor->record >= log->first)
		return false;
	cursor->record = log->first;
	cursor->step = STEP_LOCATE;
	/* Nothing is left: that is the end. */
	cursor->outcome = 0;
	cursor->is_over = cursor->record >= log->stream.next_record;
	return !cursor->is_over;
}

/* Go on until the device has to do something, or the read has ended. */
static void run(struct log_cursor *cursor)
{
	bool goes_on = true;

	while (goes_on) {
		switch (cursor->step) {
		case STEP_LOCATE:
			locate(cursor);
			break;
		case STEP_BATCH:
		case STEP_SEARCH:
			goes_on = look_at_batch(cursor);
			break;
		case STEP_PIECE:
			goes_on = find_piece(cursor);
			break;
		case STEP_RUN:
			goes_on = fill(cursor);
			break;
		}
		if (cursor->is_over)
			goes_on = is_outdated(cursor);
	}
	if (cursor->is_over)
		deliver(cursor);
}

int log_read(struct log_cursor *cursor, struct log_read *read)
{
	struct log *log = cursor->log;

	if (cursor->read)
		return -EBUSY;
	if (cursor->record < log->first) {
		cursor->record = log->first;
		cursor->is_located = false;
	}
	if (cursor->record >= log->stream.next_record) {
		read->done(read, NULL, 0);
		return 0;
	}
	if (!cursor->window)
		cursor->window = heap_alloc_aligned(log->store->heap, ALIGNMENT_MAX,
						    BATCH_HEAD_BYTES_MAX);
	if (!cursor->window) {
		read->done(read, NULL, -ENOMEM);
		return 0;
	}
	cursor->read = read;
	log->reads++;
	if (!cursor->is_located)
		cursor->step = STEP_LOCATE;
	run(cursor);
	return 0;
}
