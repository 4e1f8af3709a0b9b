/* SPDX-License-Identifier: MIT */
#include "log/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/container.h"
#include "base/log.h"
#include "log/crc32c.h"
#include "log/store.h"

/* States of a struct log_append. */
enum { APPEND_WAITS, APPEND_UNDER_WAY };

/* A batch that failed is written again, the same bytes to the same place, so many times. */
#define RETRIES_MAX 3u

void stream_init(struct stream *stream, const struct stream_ops *ops, struct log_store *store,
		 uint32_t log, uint64_t salt)
{
	*stream = (struct stream){
		.ops = ops,
		.store = store,
		.salt = salt,
		.log = log,
		.copy_max = store->copy_max,
		.next_sequence = 1,
	};
	stream->appends_end = &stream->appends;
}

void stream_fini(struct stream *stream)
{
	store_forget_stream(stream->store, stream);
	if (stream->head)
		heap_free(stream->store->heap, stream->head);
	stream->head = NULL;
}

void stream_wake(struct stream *stream)
{
	store_mark_dirty(stream->store, stream);
}

int stream_append(struct stream *stream, struct log_append *append)
{
	if (stream->failure)
		return stream->failure;
	append->next = NULL;
	append->segment = 0;
	append->offset = 0;
	append->written = 0;
	append->state = APPEND_WAITS;
	*stream->appends_end = append;
	stream->appends_end = &append->next;
	stream->waiting_bytes += append->bytes;
	if (!stream->is_writing && !stream->is_extending)
		stream_wake(stream);
	return 0;
}

int stream_cancel(struct stream *stream, struct log_append *append)
{
	struct log_append **link = &stream->appends;

	/* A record that is open must be closed, or those behind it would be taken for its end. */
	if (append->state != APPEND_WAITS || append->written > 0)
		return -EBUSY;
	while (*link != append)
		link = &(*link)->next;
	*link = append->next;
	if (stream->appends_end == &append->next)
		stream->appends_end = link;
	stream->waiting_bytes -= append->bytes;
	append->done(append, -ECANCELED);
	return 0;
}

/* Take the list away first: done may append. */
static void fail_all(struct stream *stream, int error)
{
	struct log_append *append = stream->appends;
	struct log_store *store = stream->store;

	stream->appends = NULL;
	stream->appends_end = &stream->appends;
	stream->waiting_bytes = 0;
	while (append) {
		struct log_append *next = append->next;

		store->counters.append_errors++;
		append->done(append, error);
		append = next;
	}
}

void stream_fail(struct stream *stream, int error)
{
	stream->failure = error;
	fail_all(stream, error);
}

/* ---- Planning a batch: which bytes go where ---- */

struct plan {
	struct stream *stream;
	uint32_t block_bytes;
	uint32_t blocks_max; /* of the whole batch */
	uint32_t head_max;   /* bytes of header, table and small pieces */
	uint32_t table_bytes;
	uint32_t inline_bytes;
	uint32_t run_blocks;
	uint32_t piece_count;
	uint32_t extent_count; /* of the current piece */
	unsigned int segment_count;
	struct iovec *segments;
	uint8_t *head;
};

/* Where reading of a record's memory stands. */
struct place {
	uint32_t segment;
	uint32_t offset;
};

static uint32_t head_blocks(const struct plan *plan, uint32_t more)
{
	return (BATCH_HEADER_BYTES + plan->table_bytes + plan->inline_bytes + more +
		plan->block_bytes - 1) /
	       plan->block_bytes;
}

/* Bytes that can be added to the head: entries of the table, or small pieces. */
static uint32_t head_room(const struct plan *plan)
{
	uint64_t bytes_max = (uint64_t)(plan->blocks_max - plan->run_blocks) * plan->block_bytes;
	uint32_t used = BATCH_HEADER_BYTES + plan->table_bytes + plan->inline_bytes;

	if (bytes_max > plan->head_max)
		bytes_max = plan->head_max;
	return bytes_max > used ? (uint32_t)(bytes_max - used) : 0;
}

/* Blocks that can be added as runs. */
static uint32_t run_room(const struct plan *plan)
{
	uint32_t used = head_blocks(plan, (uint32_t)sizeof(uint32_t)) + plan->run_blocks;

	return plan->blocks_max > used ? plan->blocks_max - used : 0;
}

static uint8_t *entry_of(const struct plan *plan)
{
	return plan->head + BATCH_HEADER_BYTES + plan->table_bytes -
	       (size_t)4 * plan->extent_count - PIECE_BYTES;
}

static void add_extent(struct plan *plan, uint32_t bytes, uint32_t run)
{
	uint8_t *end = plan->head + BATCH_HEADER_BYTES + plan->table_bytes;

	/* Small pieces of one record side by side are one extent. */
	if (!run && plan->extent_count > 0 && !extent_is_run(load_le32(end - 4))) {
		store_le32(end - 4, load_le32(end - 4) + bytes);
		return;
	}
	store_le32(end, bytes | run);
	plan->table_bytes += (uint32_t)sizeof(uint32_t);
	plan->extent_count++;
}

/* Bytes of @memory to be copied: all, or those in front of a run that can begin where it should. */
static uint32_t inline_part(const struct plan *plan, const uint8_t *memory, uint32_t bytes)
{
	uint32_t alignment = plan->stream->store->device->caps.memory_alignment;
	uint32_t skip = (uint32_t)(-(uintptr_t)memory & (alignment - 1));
	uint32_t run_min = plan->block_bytes > plan->stream->copy_max ? plan->block_bytes
								      : plan->stream->copy_max + 1;

	if (bytes < skip || bytes - skip < run_min || plan->segment_count == BLK_SEGMENTS_MAX)
		return bytes;
	return skip;
}

static uint32_t plan_inline(struct plan *plan, uint32_t bytes)
{
	uint32_t room = head_room(plan);

	if (room <= sizeof(uint32_t))
		return 0;
	if (bytes > room - sizeof(uint32_t))
		bytes = room - (uint32_t)sizeof(uint32_t);
	add_extent(plan, bytes, 0);
	plan->inline_bytes += bytes;
	return bytes;
}

static uint32_t plan_run(struct plan *plan, uint8_t *memory, uint32_t bytes)
{
	uint32_t blocks = bytes / plan->block_bytes, room = run_room(plan);

	if (blocks > room)
		blocks = room;
	if (blocks == 0 || head_room(plan) < sizeof(uint32_t))
		return 0;
	bytes = blocks * plan->block_bytes;
	add_extent(plan, bytes, EXTENT_RUN);
	plan->run_blocks += blocks;
	plan->segments[plan->segment_count++] = (struct iovec){memory, bytes};
	return bytes;
}

/* As much of a record as there is room for; returns the bytes, and moves @place on. */
static uint32_t plan_bytes(struct plan *plan, const struct log_append *append, struct place *place)
{
	uint32_t planned = 0;

	while (place->segment < append->segment_count) {
		const demi_sgaseg_t *segment = &append->segments[place->segment];
		uint8_t *memory = (uint8_t *)segment->sgaseg_buf + place->offset;
		uint32_t left = segment->sgaseg_len - place->offset, part, done;

		if (left == 0) {
			*place = (struct place){place->segment + 1, 0};
			continue;
		}
		part = inline_part(plan, memory, left);
		done = part > 0 ? plan_inline(plan, part) : plan_run(plan, memory, left);
		if (done == 0)
			break;
		planned += done;
		place->offset += done;
	}
	return planned;
}

/* The entry of the next piece; false: there is no room for it. */
static bool begin_piece(struct plan *plan)
{
	if (head_room(plan) < PIECE_BYTES)
		return false;
	plan->table_bytes += PIECE_BYTES;
	plan->extent_count = 0;
	return true;
}

static bool has_more(const struct log_append *append, const struct place *place)
{
	for (uint32_t i = place->segment; i < append->segment_count; i++)
		if (append->segments[i].sgaseg_len > (i == place->segment ? place->offset : 0))
			return true;
	return false;
}

/*
 * Add what is left of a record to the batch. Return: whether it is in, whole or (the first one
 * only) in part: a record is opened only in a batch of its own, since it takes all of it.
 */
static bool plan_append(struct plan *plan, struct log_append *append)
{
	struct plan before = *plan;
	struct place place = {append->segment, append->offset};
	uint32_t bytes;

	if (!begin_piece(plan))
		return false;
	bytes = plan_bytes(plan, append, &place);
	if (has_more(append, &place) && (bytes == 0 || before.piece_count > 0)) {
		*plan = before;
		return false;
	}
	store_le32(entry_of(plan), bytes);
	store_le32(entry_of(plan) + 8, plan->extent_count);
	plan->piece_count++;
	append->segment = place.segment;
	append->offset = place.offset;
	append->state = APPEND_UNDER_WAY;
	return true;
}

/* ---- Filling it ---- */

/* Copy the small pieces behind the table, and checksum all of a piece as its memory has it. */
static uint8_t *fill_piece(struct stream *stream, uint32_t index, const struct piece *piece,
			   const struct log_append *append, struct place *place, uint8_t *to)
{
	uint32_t crc = piece_seed(stream->salt, stream->next_sequence, index);

	for (uint32_t i = 0; i < piece->extent_count; i++) {
		uint32_t extent = extent_at(piece, i), left = extent_bytes(extent);

		while (left > 0) {
			const demi_sgaseg_t *segment = &append->segments[place->segment];
			const uint8_t *from = (const uint8_t *)segment->sgaseg_buf + place->offset;
			uint32_t bytes = segment->sgaseg_len - place->offset;

			if (bytes == 0) {
				*place = (struct place){place->segment + 1, 0};
				continue;
			}
			if (bytes > left)
				bytes = left;
			if (!extent_is_run(extent)) {
				memcpy(to, from, bytes);
				/* Copied first: nobody can change it between checksum and copy. */
				crc = crc32c(crc, to, bytes);
				to += bytes;
				if (bytes > stream->copy_max)
					stream->store->counters.copied_bytes += bytes;
			} else {
				crc = crc32c(crc, from, bytes);
			}
			place->offset += bytes;
			left -= bytes;
		}
	}
	/* The entry's second word; the extents stand behind its third. */
	store_le32((uint8_t *)piece->extents - 8, crc);
	return to;
}

static void fill(struct plan *plan, struct batch *batch, struct place first)
{
	struct stream *stream = plan->stream;
	uint8_t *to = plan->head + batch->descriptor_bytes;
	const struct log_append *append = stream->appends;
	uint32_t offset = BATCH_HEADER_BYTES, used;
	struct piece piece;

	for (uint32_t i = 0; i < batch->piece_count; i++, append = append->next) {
		struct place place = i == 0 ? first : (struct place){0, 0};

		offset = piece_parse(&piece, plan->head, offset);
		to = fill_piece(stream, i, &piece, append, &place, to);
	}
	used = (uint32_t)(to - plan->head);
	memset(to, 0, (size_t)head_blocks(plan, 0) * plan->block_bytes - used);
}

/* ---- Writing it ---- */

static void batch_done(struct blk_request *request, int error);

static void submit(struct stream *stream)
{
	struct log_store *store = stream->store;
	int error = blkdev_submit(store->device, &stream->request, *store->now_ns);

	stream->is_retrying = error == -EAGAIN;
	if (error == -EAGAIN)
		stream_wake(stream);
	else if (error)
		batch_done(&stream->request, error);
}

static void end_batch(struct stream *stream)
{
	struct log_store *store = stream->store;
	struct log_append *append = stream->appends, *done = NULL, **done_end = &done;
	uint32_t records = stream->records_done;

	stream->block += stream->batch_blocks;
	stream->blocks_left -= stream->batch_blocks;
	stream->previous = stream->batch_crc;
	stream->next_sequence++;
	store->counters.batches++;
	store->counters.batch_bytes += (uint64_t)stream->batch_blocks * store->block_bytes;
	for (; records > 0; records--) {
		append->record = stream->next_record++;
		store->counters.appends++;
		store->counters.append_bytes += append->bytes;
		*done_end = append;
		done_end = &append->next;
		append = append->next;
	}
	*done_end = NULL;
	stream->appends = append;
	if (!append)
		stream->appends_end = &stream->appends;
	stream->is_writing = false;
	if (stream->ops->written)
		stream->ops->written(stream);
	/* The stream is as it should be: done may append, and close what it belongs to. */
	if (append)
		stream_wake(stream);
	while (done) {
		append = done;
		done = append->next;
		append->done(append, 0);
	}
}

static void batch_done(struct blk_request *request, int error)
{
	struct stream *stream = container_of(request, struct stream, request);

	if (error == -EIO || error == -ETIMEDOUT) {
		if (stream->retries++ < RETRIES_MAX) {
			submit(stream);
			return;
		}
	}
	if (error) {
		/*
		 * Nobody knows what of it is on the medium: another batch of this number might be taken
		 * for it, or it for that. Recovery can tell, so it has to come first.
		 */
		char what[32] = "the catalogue of its logs";

		if (stream->log != CATALOGUE_ID)
			snprintf(what, sizeof(what), "log %u", stream->log);
		log_error("%s: cannot write: %s; nothing is appended to %s until the program is "
			  "started again",
			  stream->store->device->name, strerror(-error), what);
		stream->is_writing = false;
		stream_fail(stream, error);
		return;
	}
	end_batch(stream);
}

/* Whether to leave the rest of the room: it takes nothing, or only the beginning of a record. */
static bool leaves_rest(const struct plan *plan)
{
	const struct stream *stream = plan->stream;
	const struct log_append *append = stream->appends;

	if (plan->piece_count == 0)
		return true;
	return stream->blocks_left < stream->split_blocks_min &&
	       has_more(append, &(struct place){append->segment, append->offset});
}

static bool has_room(struct stream *stream)
{
	int error;

	if (stream->is_extending)
		return false;
	error = stream->ops->extend(stream);
	if (error == -EINPROGRESS)
		return false;
	if (!error)
		return true;
	/*
	 * No room is no failure: there will be when something is dropped. A record that was left
	 * open is void then, since what is written next does not continue it.
	 */
	if (error == -ENOSPC)
		fail_all(stream, error);
	else
		stream_fail(stream, error);
	return false;
}

static void plan_batch(struct plan *plan, struct stream *stream)
{
	struct log_store *store = stream->store;
	uint32_t bytes_max = store->device->caps.bytes_max;
	uint32_t blocks_max = (bytes_max < BATCH_BYTES_MAX ? bytes_max : BATCH_BYTES_MAX) /
			      store->block_bytes;

	*plan = (struct plan){
		.stream = stream,
		.block_bytes = store->block_bytes,
		.blocks_max = stream->blocks_left < blocks_max ? stream->blocks_left : blocks_max,
		.head_max = BATCH_HEAD_BYTES_MAX,
		.segment_count = 1,
		.segments = stream->segments,
		.head = stream->head,
	};
	for (struct log_append *append = stream->appends; append; append = append->next) {
		if (!plan_append(plan, append))
			break;
		/* What goes on in the next batch is the last thing in this one. */
		if (has_more(append, &(struct place){append->segment, append->offset}))
			break;
	}
}

static void undo(struct log_append *append, struct place place)
{
	append->segment = place.segment;
	append->offset = place.offset;
	append->state = APPEND_WAITS;
}

/* Give the planned batch its header and write it. */
static void start_batch(struct plan *plan, struct place first)
{
	struct stream *stream = plan->stream;
	struct log_append *append = stream->appends;
	bool continues = append->written > 0;
	struct batch batch = {
		.log = stream->log,
		.sequence = stream->next_sequence,
		.first_record = stream->next_record + continues,
		.previous = stream->previous,
		.flags = continues ? BATCH_CONTINUES : 0,
		.piece_count = plan->piece_count,
		.descriptor_bytes = BATCH_HEADER_BYTES + plan->table_bytes,
		.inline_bytes = plan->inline_bytes,
		.run_blocks = plan->run_blocks,
	};
	uint32_t blocks = head_blocks(plan, 0), offset = BATCH_HEADER_BYTES;
	struct piece piece;

	stream->records_done = 0;
	for (uint32_t i = 0; i < plan->piece_count; i++, append = append->next) {
		offset = piece_parse(&piece, plan->head, offset);
		append->written += piece.bytes;
		stream->waiting_bytes -= piece.bytes;
		stream->records_done += append->written == append->bytes;
		if (append->written < append->bytes) {
			batch.flags |= BATCH_OPEN;
			batch.open_bytes = append->bytes;
		}
	}
	fill(plan, &batch, first);
	stream->batch_crc = batch_emit(&batch, stream->salt, stream->block, plan->head);
	stream->batch_blocks = blocks + plan->run_blocks;
	stream->segments[0] = (struct iovec){plan->head, (size_t)blocks * plan->block_bytes};
	stream->request = (struct blk_request){
		.operation = BLK_WRITE,
		.durable = true,
		.segment_count = (uint16_t)plan->segment_count,
		.block_count = stream->batch_blocks,
		.block = stream->block,
		.segments = stream->segments,
		.done = batch_done,
	};
	stream->store->counters.inline_bytes += plan->inline_bytes;
	stream->is_writing = true;
	stream->retries = 0;
	submit(stream);
}

static bool has_head(struct stream *stream)
{
	if (!stream->head)
		stream->head = heap_alloc_aligned(stream->store->heap, 4096, BATCH_HEAD_BYTES_MAX);
	if (stream->head)
		return true;
	/* Who is told may close what the stream belongs to. */
	fail_all(stream, -ENOMEM);
	return false;
}

void stream_write(struct stream *stream)
{
	struct place first;
	struct plan plan;

	if (stream->is_retrying) {
		submit(stream);
		return;
	}
	if (stream->is_writing || !stream->appends || !has_head(stream))
		return;
	if (stream->blocks_left == 0 && !has_room(stream))
		return;
	first = (struct place){stream->appends->segment, stream->appends->offset};
	plan_batch(&plan, stream);
	if (leaves_rest(&plan)) {
		undo(stream->appends, first);
		if (!has_room(stream))
			return;
		plan_batch(&plan, stream);
	}
	start_batch(&plan, first);
}
