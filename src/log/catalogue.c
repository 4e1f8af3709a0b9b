/* SPDX-License-Identifier: MIT */
#include "log/catalogue.h"

#include <errno.h>
#include <stdlib.h>

#include "base/container.h"
#include "base/log.h"
#include "log/store.h"

/* The first byte of a change. */
enum {
	CHANGE_LOG = 1,
	CHANGE_NAME,
	CHANGE_GONE,
	CHANGE_SEGMENTS,
	CHANGE_CUT,
	CHANGE_CLOSED,
	CHANGE_CLEAN,
};

/* ---- Writing changes down ---- */

static void begin(struct change *change, uint8_t kind, uint32_t id)
{
	change->bytes[0] = kind;
	store_le32(change->bytes + 1, id);
	change->segment = (demi_sgaseg_t){change->bytes, 5};
}

static void add32(struct change *change, uint32_t value)
{
	store_le32(change->bytes + change->segment.sgaseg_len, value);
	change->segment.sgaseg_len += (uint32_t)sizeof(value);
}

static void add64(struct change *change, uint64_t value)
{
	store_le64(change->bytes + change->segment.sgaseg_len, value);
	change->segment.sgaseg_len += (uint32_t)sizeof(value);
}

static void add_name(struct change *change, const char *name)
{
	size_t length = strlen(name);

	memcpy(change->bytes + change->segment.sgaseg_len, name, length);
	change->segment.sgaseg_len += (uint32_t)length;
}

void change_log(struct change *change, const struct log *log)
{
	begin(change, CHANGE_LOG, log->id);
	add64(change, log->stream.salt);
	add64(change, log->first);
	add_name(change, log->name);
}

void change_name(struct change *change, uint32_t id, const char *name)
{
	begin(change, CHANGE_NAME, id);
	add_name(change, name);
}

void change_gone(struct change *change, uint32_t id)
{
	begin(change, CHANGE_GONE, id);
}

void change_segments(struct change *change, uint32_t id, const uint32_t *numbers, uint32_t count)
{
	begin(change, CHANGE_SEGMENTS, id);
	for (uint32_t i = 0; i < count; i++)
		add32(change, numbers[i]);
}

void change_cut(struct change *change, uint32_t id, uint64_t first, uint32_t dropped)
{
	begin(change, CHANGE_CUT, id);
	add64(change, first);
	add32(change, dropped);
}

void change_closed(struct change *change, uint32_t id, const struct position *end)
{
	begin(change, CHANGE_CLOSED, id);
	add64(change, end->next_sequence);
	add64(change, end->next_record);
	add32(change, end->previous);
}

void change_clean(struct change *change)
{
	begin(change, CHANGE_CLEAN, CATALOGUE_ID);
}

/* ---- Applying them ---- */

/* What is left of a change that is being read. */
struct reader {
	const uint8_t *next;
	uint32_t left;
	bool is_short; /* it ended early */
};

static uint32_t read32(struct reader *reader)
{
	uint32_t value;

	if (reader->left < sizeof(value)) {
		reader->is_short = true;
		return 0;
	}
	value = load_le32(reader->next);
	reader->next += sizeof(value);
	reader->left -= (uint32_t)sizeof(value);
	return value;
}

static uint64_t read64(struct reader *reader)
{
	uint64_t low = read32(reader);

	return low | (uint64_t)read32(reader) << 32;
}

static bool read_name(struct reader *reader, char name[LOG_NAME_BYTES_MAX + 1])
{
	if (reader->is_short || reader->left == 0 || reader->left > LOG_NAME_BYTES_MAX ||
	    memchr(reader->next, 0, reader->left))
		return false;
	memcpy(name, reader->next, reader->left);
	name[reader->left] = '\0';
	return true;
}

static void remove_log(struct log *log)
{
	log->name[0] = '\0';
	log->store->log_count--;
	if (log->opens == 0 && !log->is_changing)
		store_drop_log(log);
}

static int apply_log(struct log_store *store, uint32_t id, struct reader *reader)
{
	uint64_t salt = read64(reader), first = read64(reader);
	char name[LOG_NAME_BYTES_MAX + 1];
	struct log *log;

	if (!read_name(reader, name) || id == CATALOGUE_ID || store_find_id(store, id) ||
	    store_find(store, name) || first > RECORDS_MAX)
		return -EUCLEAN;
	log = store_add_log(store, id, salt, name);
	if (!log)
		return -ENOMEM;
	log->first = first;
	log->stream.next_record = first;
	if (id >= store->next_id)
		store->next_id = id + 1;
	return 0;
}

static int apply_name(struct log_store *store, struct log *log, struct reader *reader)
{
	char name[LOG_NAME_BYTES_MAX + 1];
	struct log *other;

	if (!read_name(reader, name))
		return -EUCLEAN;
	other = store_find(store, name);
	if (other && other != log)
		remove_log(other);
	memcpy(log->name, name, sizeof(name));
	return 0;
}

static int apply_segments(struct log *log, struct reader *reader)
{
	int error = 0;

	while (reader->left > 0 && !error) {
		uint32_t number = read32(reader);

		if (reader->is_short)
			return -EUCLEAN;
		/* While recovering; later on it was taken before. */
		if (log->store->segments.is_taken)
			error = segments_claim(&log->store->segments, number);
		if (!error)
			error = log_add_segment(log, number);
	}
	return error;
}

static int apply_cut(struct log *log, struct reader *reader)
{
	uint64_t first = read64(reader);
	uint32_t dropped = read32(reader);

	if (reader->is_short || dropped > log->segment_count || first < log->first ||
	    first > RECORDS_MAX)
		return -EUCLEAN;
	log->first = first;
	if (log->stream.next_record < first)
		log->stream.next_record = first;
	log_drop_segments(log, dropped);
	return 0;
}

/* It ends there, or behind it, since it only grows. */
static int apply_closed(struct log *log, struct reader *reader)
{
	log->closed.next_sequence = read64(reader);
	log->closed.next_record = read64(reader);
	log->closed.previous = read32(reader);
	return reader->is_short || log->closed.next_sequence >= SEQUENCE_END ||
			       log->closed.next_record > RECORDS_MAX
		       ? -EUCLEAN
		       : 0;
}

int catalogue_apply(struct log_store *store, const uint8_t *bytes, uint32_t count)
{
	struct reader reader = {bytes + 1, count - 1, false};
	uint32_t id;
	struct log *log;

	if (count == 0)
		return -EUCLEAN;
	id = read32(&reader);
	if (reader.is_short)
		return -EUCLEAN;
	/* While recovering: afterwards it tells what was found then. */
	if (store->segments.is_taken)
		store->was_clean = bytes[0] == CHANGE_CLEAN;
	if (bytes[0] == CHANGE_CLEAN)
		return 0;
	if (bytes[0] == CHANGE_LOG)
		return apply_log(store, id, &reader);
	log = store_find_id(store, id);
	if (!log)
		return -EUCLEAN;
	switch (bytes[0]) {
	case CHANGE_NAME:
		return apply_name(store, log, &reader);
	case CHANGE_GONE:
		remove_log(log);
		return 0;
	case CHANGE_SEGMENTS:
		return apply_segments(log, &reader);
	case CHANGE_CUT:
		return apply_cut(log, &reader);
	case CHANGE_CLOSED:
		return apply_closed(log, &reader);
	default:
		return -EUCLEAN;
	}
}

/* ---- The stream, and its change of regions ---- */

uint64_t catalogue_region(const struct log_store *store, uint64_t generation)
{
	uint64_t first = store->superblock.catalogue_block;

	return generation & 1 ? first : first + store->superblock.catalogue_blocks;
}

/* Stand behind the header of a region. */
static void stand_at_start(struct stream *stream, const struct region *region)
{
	struct log_store *store = stream->store;

	stream->salt = region->salt;
	stream->block = catalogue_region(store, region->generation) + 1;
	stream->blocks_left = store->superblock.catalogue_blocks - 1;
	/* Changes are never split, and always copied. */
	stream->split_blocks_min = UINT32_MAX;
	stream->copy_max = UINT32_MAX - 1;
}

static int catalogue_extend(struct stream *stream);
static int snapshot_extend(struct stream *stream);

static void catalogue_written(struct stream *stream)
{
	stream->store->counters.catalogue_bytes += (uint64_t)stream->batch_blocks *
						   stream->store->block_bytes;
}

static const struct stream_ops catalogue_ops = {.extend = catalogue_extend,
						.written = catalogue_written};
static const struct stream_ops snapshot_ops = {.extend = snapshot_extend,
					       .written = catalogue_written};

void catalogue_begin(struct log_store *store, const struct region *region)
{
	struct catalogue *catalogue = &store->catalogue;

	stream_init(&catalogue->stream, &catalogue_ops, store, CATALOGUE_ID, 0);
	stand_at_start(&catalogue->stream, region);
	catalogue->generation = region->generation;
}

void catalogue_keep_old(struct catalogue *catalogue)
{
	catalogue->has_old = true;
	catalogue->blocks_behind_old = catalogue->stream.blocks_left;
	catalogue->stream.blocks_left = 0;
}

static void free_header(struct catalogue *catalogue)
{
	if (catalogue->snapshot.header)
		heap_free(catalogue->stream.store->heap, catalogue->snapshot.header);
	catalogue->snapshot.header = NULL;
}

static void end_snapshot(struct catalogue *catalogue)
{
	stream_fini(&catalogue->snapshot.stream);
	free(catalogue->snapshot.changes);
	catalogue->snapshot.changes = NULL;
	free_header(catalogue);
}

void catalogue_fini(struct catalogue *catalogue)
{
	if (catalogue->snapshot.changes)
		end_snapshot(catalogue);
	if (catalogue->stream.store)
		free_header(catalogue);
	if (catalogue->stream.store)
		stream_fini(&catalogue->stream);
}

/* What waits for the new region goes on there, or fails. */
static void finish_snapshot(struct catalogue *catalogue, int error)
{
	struct stream *stream = &catalogue->stream;
	const struct stream *next = &catalogue->snapshot.stream;

	if (error) {
		log_error("%s: cannot write the catalogue of logs: %s", stream->store->device->name,
			  strerror(-error));
	} else {
		stream->salt = next->salt;
		stream->block = next->block;
		stream->blocks_left = next->blocks_left;
		stream->next_sequence = next->next_sequence;
		stream->next_record = next->next_record;
		stream->previous = next->previous;
		catalogue->generation++;
	}
	end_snapshot(catalogue);
	stream->is_extending = false;
	/* Another one would not leave room, either: catalogue_has_room sees to it that it does. */
	if (!error && stream->blocks_left == 0)
		error = -ENOSPC;
	if (error)
		stream_fail(stream, error);
	else
		stream_wake(stream);
}

static void header_done(struct blk_request *request, int error);

static void write_header(struct catalogue *catalogue, uint64_t generation)
{
	struct log_store *store = catalogue->stream.store;
	int error;

	catalogue->snapshot.iov = (struct iovec){catalogue->snapshot.header, store->block_bytes};
	catalogue->snapshot.request = (struct blk_request){
		.operation = BLK_WRITE,
		.durable = true,
		.segment_count = 1,
		.block_count = 1,
		.block = catalogue_region(store, generation),
		.segments = &catalogue->snapshot.iov,
		.done = header_done,
	};
	error = blkdev_submit(store->device, &catalogue->snapshot.request, *store->now_ns);
	if (error == -EAGAIN)
		store_retry(store, &catalogue->snapshot.retry, &catalogue->snapshot.request);
	else if (error)
		header_done(&catalogue->snapshot.request, error);
}

/* The header before this one is gone. */
static void end_old(struct catalogue *catalogue, int error)
{
	struct stream *stream = &catalogue->stream;

	free_header(catalogue);
	stream->is_extending = false;
	if (error) {
		stream_fail(stream, error);
		return;
	}
	catalogue->has_old = false;
	stream->blocks_left = catalogue->blocks_behind_old;
	stream_wake(stream);
}

/*
 * The old header is taken away so that it is never taken for the newest one when that has rotted:
 * what it leads to is out of date.
 */
static void header_done(struct blk_request *request, int error)
{
	struct catalogue *catalogue = container_of(request, struct catalogue, snapshot.request);

	if (catalogue->has_old) {
		end_old(catalogue, error);
		return;
	}
	if (error || catalogue->snapshot.is_switched) {
		finish_snapshot(catalogue, error);
		return;
	}
	catalogue->snapshot.is_switched = true;
	memset(catalogue->snapshot.header, 0, catalogue->stream.store->block_bytes);
	write_header(catalogue, catalogue->generation);
}

static void snapshot_done(struct log_append *append, int error)
{
	struct change *change = container_of(append, struct change, append);
	struct catalogue *catalogue = change->append.owner;
	struct log_store *store = catalogue->stream.store;

	if (error)
		catalogue->snapshot.stream.failure = error;
	if (--catalogue->snapshot.pending > 0)
		return;
	error = catalogue->snapshot.stream.failure;
	if (error) {
		finish_snapshot(catalogue, error);
		return;
	}
	memset(catalogue->snapshot.header, 0, store->block_bytes);
	region_emit(&(struct region){catalogue->generation + 1, catalogue->snapshot.stream.salt},
		    store->superblock.salt, catalogue->snapshot.header);
	write_header(catalogue, catalogue->generation + 1);
}

static int snapshot_extend(struct stream *stream)
{
	(void)stream;
	return -ENOSPC;
}

static uint32_t count_changes(const struct log_store *store)
{
	uint32_t count = 1;

	for (const struct log *log = store->logs; log; log = log->next)
		count += 2 + (log->segment_count + CHANGE_SEGMENTS_MAX - 1) / CHANGE_SEGMENTS_MAX;
	return count;
}

static void describe_log(struct catalogue *catalogue, const struct log *log)
{
	struct change *changes = catalogue->snapshot.changes;

	change_log(&changes[catalogue->snapshot.change_count++], log);
	for (uint32_t i = 0; i < log->segment_count; i += CHANGE_SEGMENTS_MAX) {
		uint32_t numbers[CHANGE_SEGMENTS_MAX], count = 0;

		for (; count < CHANGE_SEGMENTS_MAX && i + count < log->segment_count; count++)
			numbers[count] = log->segments[i + count].number;
		change_segments(&changes[catalogue->snapshot.change_count++], log->id, numbers,
				count);
	}
	if (log->closed.next_sequence > 0)
		change_closed(&changes[catalogue->snapshot.change_count++], log->id, &log->closed);
}

static int submit_to(struct stream *stream, struct change *change)
{
	change->append.segments = &change->segment;
	change->append.segment_count = 1;
	change->append.bytes = change->segment.sgaseg_len;
	return stream_append(stream, &change->append);
}

static int remove_old(struct catalogue *catalogue)
{
	struct log_store *store = catalogue->stream.store;

	catalogue->snapshot.header = heap_alloc_aligned(store->heap, 4096, store->block_bytes);
	if (!catalogue->snapshot.header)
		return -ENOMEM;
	memset(catalogue->snapshot.header, 0, store->block_bytes);
	catalogue->stream.is_extending = true;
	write_header(catalogue, catalogue->generation - 1);
	return -EINPROGRESS;
}

/* The region is full: write what there is into the other one. */
static int catalogue_extend(struct stream *stream)
{
	struct log_store *store = stream->store;
	struct catalogue *catalogue = &store->catalogue;
	uint32_t count = count_changes(store);

	if (catalogue->has_old)
		return remove_old(catalogue);
	catalogue->snapshot.header = heap_alloc_aligned(store->heap, 4096, store->block_bytes);
	catalogue->snapshot.changes = calloc(count, sizeof(*catalogue->snapshot.changes));
	stream_init(&catalogue->snapshot.stream, &snapshot_ops, store, CATALOGUE_ID, 0);
	if (!catalogue->snapshot.header || !catalogue->snapshot.changes) {
		end_snapshot(catalogue);
		return -ENOMEM;
	}
	stand_at_start(&catalogue->snapshot.stream,
		       &(struct region){catalogue->generation + 1, store_salt(store)});
	catalogue->snapshot.is_switched = false;
	catalogue->snapshot.change_count = 0;
	for (const struct log *log = store->logs; log; log = log->next)
		if (log->name[0])
			describe_log(catalogue, log);
	/* One at least, so that there is an end of it. */
	if (catalogue->snapshot.change_count == 0)
		change_clean(&catalogue->snapshot.changes[catalogue->snapshot.change_count++]);
	catalogue->snapshot.pending = catalogue->snapshot.change_count;
	stream->is_extending = true;
	for (uint32_t i = 0; i < catalogue->snapshot.change_count; i++) {
		struct change *change = &catalogue->snapshot.changes[i];

		change->append.done = snapshot_done;
		change->append.owner = catalogue;
		submit_to(&catalogue->snapshot.stream, change);
	}
	return -EINPROGRESS;
}

bool catalogue_has_room(const struct log_store *store)
{
	/* An entry of the table for each, and the kind and number of the log. */
	const uint64_t overhead = PIECE_BYTES + sizeof(uint32_t) + 5;
	uint64_t bytes = overhead + CHANGE_BYTES_MAX;

	for (const struct log *log = store->logs; log; log = log->next) {
		uint32_t lists = (log->segment_count + CHANGE_SEGMENTS_MAX - 1) /
				 CHANGE_SEGMENTS_MAX;

		bytes += overhead + 16 + strlen(log->name) + overhead + 20;
		bytes += lists * overhead + (uint64_t)log->segment_count * sizeof(uint32_t);
	}
	/* So that as many changes again find room behind it. */
	return bytes < (uint64_t)store->superblock.catalogue_blocks * store->block_bytes / 2;
}

int catalogue_submit(struct log_store *store, struct change *change)
{
	return submit_to(&store->catalogue.stream, change);
}

struct waiting {
	struct log_store *store;
	int outcome;
};

/* Applied at once: a snapshot may follow that has to have it. */
static void change_done(struct log_append *append, int error)
{
	const struct change *change = container_of(append, struct change, append);
	struct waiting *waiting = append->owner;

	if (!error)
		error = catalogue_apply(waiting->store, change->bytes, change->segment.sgaseg_len);
	waiting->outcome = error;
}

int catalogue_change(struct log_store *store, struct change *change)
{
	struct waiting waiting = {store, -EINPROGRESS};
	int error;

	change->append.done = change_done;
	change->append.owner = &waiting;
	error = catalogue_submit(store, change);
	if (error)
		return error;
	while (waiting.outcome == -EINPROGRESS)
		store_wait(store);
	return waiting.outcome;
}
