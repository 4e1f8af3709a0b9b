/* SPDX-License-Identifier: MIT */
/* Named logs: made, found, renamed, removed, cut, and given segments. */
#include <errno.h>
#include <stdlib.h>

#include "base/container.h"
#include "log/store.h"

/* ---- In memory ---- */

struct log *store_find(struct log_store *store, const char *name)
{
	for (struct log *log = store->logs; log; log = log->next)
		if (log->name[0] && strcmp(log->name, name) == 0)
			return log;
	return NULL;
}

struct log *store_find_id(struct log_store *store, uint32_t id)
{
	for (struct log *log = store->logs; log; log = log->next)
		if (log->name[0] && log->id == id)
			return log;
	return NULL;
}

static int log_extend(struct stream *stream);
static void log_written(struct stream *stream);

static const struct stream_ops log_stream_ops = {.extend = log_extend, .written = log_written};

/* A record is not begun in the last eighth of a segment when it would have to go on in the next. */
#define REST_SHARE 8u

struct log *store_add_log(struct log_store *store, uint32_t id, uint64_t salt, const char *name)
{
	struct log *log = calloc(1, sizeof(*log)), **link = &store->logs;

	if (!log)
		return NULL;
	log->store = store;
	log->id = id;
	stpcpy(log->name, name);
	stream_init(&log->stream, &log_stream_ops, store, id, salt);
	log->stream.split_blocks_min = store->superblock.segment_blocks / REST_SHARE;
	while (*link)
		link = &(*link)->next;
	*link = log;
	store->log_count++;
	return log;
}

static void forget_hungry(struct log *log)
{
	struct log **link = &log->store->segments.hungry;

	while (*link && *link != log)
		link = &(*link)->next_hungry;
	if (*link)
		*link = log->next_hungry;
}

void store_drop_log(struct log *log)
{
	struct log **link = &log->store->logs;

	while (*link != log)
		link = &(*link)->next;
	*link = log->next;
	/* Not while the store itself goes: then nothing is written any more. */
	if (!log->name[0])
		log_drop_segments(log, log->segment_count);
	forget_hungry(log);
	stream_fini(&log->stream);
	free(log->segments);
	free(log);
}

int log_add_segment(struct log *log, uint32_t number)
{
	if (log->segment_count == log->segment_room) {
		uint32_t room = log->segment_room ? 2 * log->segment_room : 4;
		struct log_segment *segments = realloc(log->segments,
						       room * sizeof(*log->segments));

		if (!segments)
			return -ENOMEM;
		log->segments = segments;
		log->segment_room = room;
	}
	log->segments[log->segment_count++] = (struct log_segment){.number = number};
	log->spare++;
	return 0;
}

void log_drop_segments(struct log *log, uint32_t count)
{
	/* A log without any has no list of them. */
	if (count == 0)
		return;
	for (uint32_t i = 0; i < count; i++)
		segments_give(&log->store->segments, log->segments[i].number);
	log->segment_count -= count;
	if (log->spare > log->segment_count)
		log->spare = log->segment_count;
	memmove(log->segments, log->segments + count, log->segment_count * sizeof(*log->segments));
}

/* ---- Another segment ---- */

static void segment_done(struct log_append *append, int error)
{
	struct change *change = container_of(append, struct change, append);
	struct log *log = container_of(change, struct log, change);
	bool waits = log->stream.is_extending;

	log->is_changing = false;
	log->stream.is_extending = false;
	if (!error)
		error = log_add_segment(log, load_le32(change->bytes + 5));
	if (!log->name[0] && log->opens == 0) {
		store_drop_log(log);
		return;
	}
	if (error && waits)
		stream_fail(&log->stream, error);
	else if (waits)
		stream_wake(&log->stream);
}

/* Ask for a segment; 0, or as segments_take. */
static int ask(struct log *log)
{
	struct log_store *store = log->store;
	uint32_t number;
	int error = log->is_going ? -EINPROGRESS : segments_take(&store->segments, &number);

	if (error)
		return error;
	/* Nobody finds a log without a name again: its segments are free at the next start. */
	if (!log->name[0]) {
		error = log_add_segment(log, number);
		if (error)
			segments_give(&store->segments, number);
		return error;
	}
	change_segments(&log->change, log->id, &number, 1);
	log->change.append.done = segment_done;
	log->is_changing = true;
	error = catalogue_submit(store, &log->change);
	if (error) {
		log->is_changing = false;
		segments_give(&store->segments, number);
	}
	return error;
}

static int log_extend(struct stream *stream)
{
	struct log *log = container_of(stream, struct log, stream);
	struct log_store *store = log->store;
	int error = 0;

	if (log->spare == 0 && !log->is_changing)
		error = ask(log);
	if (log->spare > 0) {
		struct log_segment *segment = &log->segments[log->segment_count - log->spare--];
		bool continues = stream->appends->written > 0;

		segment->is_used = true;
		/* It may have been taken for one with a batch, which then was none. */
		segment->skip = 0;
		segment->first_record = stream->next_record + continues;
		segment->first_sequence = stream->next_sequence;
		stream->block = segment_block(store, segment->number);
		stream->blocks_left = store->superblock.segment_blocks;
		return 0;
	}
	if (error == -EINPROGRESS) {
		log->next_hungry = store->segments.hungry;
		store->segments.hungry = log;
	} else if (error) {
		return error;
	}
	stream->is_extending = true;
	return -EINPROGRESS;
}

/* Ahead of need, so that no append waits for the catalogue; but not the last free ones. */
static void log_written(struct stream *stream)
{
	struct log *log = container_of(stream, struct log, stream);
	struct log_store *store = log->store;

	if (log->spare == 0 && !log->is_changing && !log->is_going &&
	    stream->blocks_left < store->superblock.segment_blocks / 2 &&
	    !segments_are_scarce(&store->segments))
		ask(log);
}

/* ---- Calls ---- */

static int check_name(const char *name)
{
	size_t length = strnlen(name, LOG_NAME_BYTES_MAX + 1);

	if (length == 0)
		return -EINVAL;
	return length > LOG_NAME_BYTES_MAX ? -ENAMETOOLONG : 0;
}

static int create(struct log **log_out, struct log_store *store, const char *name)
{
	struct log draft = {.id = store->next_id};
	struct change change;
	int error;

	if (store->read_only)
		return -EROFS;
	if (store->next_id == CATALOGUE_ID || !catalogue_has_room(store))
		return -ENOSPC;
	draft.stream.salt = store_salt(store);
	stpcpy(draft.name, name);
	change_log(&change, &draft);
	error = catalogue_change(store, &change);
	if (error)
		return error;
	*log_out = store_find(store, name);
	return 0;
}

int log_open(struct log **log_out, struct log_store *store, const char *name, unsigned int flags)
{
	int error = check_name(name);
	struct log *log;

	if (error)
		return error;
	log = store_find(store, name);
	if (log && (flags & LOG_CREATE) && (flags & LOG_EXCLUSIVE))
		return -EEXIST;
	if (!log && !(flags & LOG_CREATE))
		return -ENOENT;
	if (!log)
		error = create(&log, store, name);
	if (error)
		return error;
	log->opens++;
	*log_out = log;
	return 0;
}

void log_close(struct log *log)
{
	if (--log->opens == 0 && !log->name[0] && !log->is_changing)
		store_drop_log(log);
}

/* Make a change with which a log goes, or none: from then on it gets no segments. */
static int change_away(struct log_store *store, struct change *change, struct log *log)
{
	uint32_t id = log ? log->id : CATALOGUE_ID;
	int error;

	if (log)
		log->is_going = true;
	error = catalogue_change(store, change);
	/* It is still there when that failed, or when it is open. */
	for (log = store->logs; log && log->id != id;)
		log = log->next;
	if (log) {
		log->is_going = false;
		segments_wake(&store->segments);
	}
	return error;
}

int log_remove(struct log_store *store, const char *name)
{
	int error = check_name(name);
	struct log *log = error ? NULL : store_find(store, name);
	struct change change;

	if (error)
		return error;
	if (!log)
		return -ENOENT;
	if (store->read_only)
		return -EROFS;
	change_gone(&change, log->id);
	return change_away(store, &change, log);
}

int log_rename(struct log_store *store, const char *name, const char *new_name)
{
	int error = check_name(name);
	struct change change;
	struct log *log;

	if (!error)
		error = check_name(new_name);
	if (error)
		return error;
	log = store_find(store, name);
	if (!log)
		return -ENOENT;
	if (store->read_only)
		return -EROFS;
	if (strcmp(name, new_name) == 0)
		return 0;
	if (strlen(new_name) > strlen(name) && !catalogue_has_room(store))
		return -ENOSPC;
	change_name(&change, log->id, new_name);
	return change_away(store, &change, store_find(store, new_name));
}

void log_status(const struct log *log, struct log_status *status)
{
	*status = (struct log_status){
		.name = log->name,
		.first = log->first,
		.end = log->stream.next_record,
		.segments = log->segment_count,
		.is_damaged = log->is_damaged,
		.failure = log->stream.failure,
	};
}

static int compare_names(const void *a, const void *b)
{
	return strcmp((*(struct log *const *)a)->name, (*(struct log *const *)b)->name);
}

int log_each(struct log_store *store, int (*visit)(void *context, const struct log_status *status),
	     void *context)
{
	struct log **logs = calloc(store->log_count + 1, sizeof(struct log *));
	struct log_status status;
	uint32_t count = 0;
	int outcome = 0;

	if (!logs)
		return -ENOMEM;
	for (struct log *log = store->logs; log; log = log->next)
		if (log->name[0])
			logs[count++] = log;
	qsort(logs, count, sizeof(*logs), compare_names);
	for (uint32_t i = 0; i < count && !outcome; i++) {
		log_status(logs[i], &status);
		outcome = visit(context, &status);
	}
	free(logs);
	return outcome;
}

/*
 * Segments all of whose records are below @first. One with a batch, a durable one, stays: the numbers
 * of what follows come from there. One that starts with a record which was never finished has a
 * later number than some that follow it.
 */
static uint32_t count_droppable(const struct log *log, uint64_t first)
{
	const struct stream *stream = &log->stream;
	bool is_open = stream->appends && stream->appends->written > 0;
	bool takes_all = first == stream->next_record && !is_open;
	uint32_t used = log->segment_count - log->spare, count = 0;

	for (uint32_t i = 1; i < used; i++) {
		const struct log_segment *segment = &log->segments[i];

		if (segment->first_sequence < stream->next_sequence &&
		    (takes_all || segment->first_record <= first))
			count = i;
	}
	return count;
}

int log_truncate(struct log *log, uint64_t first)
{
	struct log_store *store = log->store;
	uint32_t dropped = count_droppable(log, first);
	uint64_t before = log->first;
	struct change change;
	int error;

	if (first < before || first > log->stream.next_record)
		return -EINVAL;
	if (store->read_only)
		return -EROFS;
	if (first == before && dropped == 0)
		return 0;
	if (!log->name[0])
		return -ENOENT;
	change_cut(&change, log->id, first, dropped);
	/* Nobody starts to read there, and who does already will find it changed, and goes on. */
	log->first = first;
	error = catalogue_change(store, &change);
	if (error)
		log->first = before;
	return error;
}

int log_append(struct log *log, struct log_append *append)
{
	struct log_store *store = log->store;
	const struct segments *segments = &store->segments;
	uint64_t bytes = 0, room;

	for (uint32_t i = 0; i < append->segment_count; i++)
		bytes += append->segments[i].sgaseg_len;
	if (bytes > LOG_RECORD_BYTES_MAX)
		return -EMSGSIZE;
	if (store->read_only)
		return -EROFS;
	room = ((uint64_t)segments->free_count + segments->waiting + log->spare +
		log->is_changing) *
		       store->superblock.segment_blocks +
	       log->stream.blocks_left;
	if (bytes + log->stream.waiting_bytes >= room * store->block_bytes)
		return -ENOSPC;
	append->bytes = (uint32_t)bytes;
	return stream_append(&log->stream, append);
}

int log_append_cancel(struct log *log, struct log_append *append)
{
	return stream_cancel(&log->stream, append);
}
