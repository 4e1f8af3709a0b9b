/* SPDX-License-Identifier: MIT */
/* Records on their way to the device. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "log.h"
#include "trace.h"

/* What the empty record of an escape points to: there must be something. */
static char nothing[1];

/* ---- Records ---- */

static void record_free(struct log_record *record)
{
	if (record->sga.sga_buf)
		demi_sgafree(&record->sga);
	free(record);
}

static size_t record_bytes(const struct log_record *record)
{
	return record->sga.sga_segs[0].sgaseg_len;
}

/* Of @bytes of memory to be filled, or none. NULL: out of memory. */
static struct log_record *record_new(size_t bytes)
{
	struct log_record *record = calloc(1, sizeof(*record));

	if (!record)
		return NULL;
	if (bytes) {
		record->sga = demi_sgaalloc(bytes);
		if (record->sga.sga_buf)
			return record;
		free(record);
		return NULL;
	}
	record->sga.sga_numsegs = 1;
	record->sga.sga_segs[0].sgaseg_buf = nothing;
	return record;
}

static int push(struct log *log, struct log_record *record)
{
	int error = demi_push(&record->qt, log->qd, &record->sga);

	record->is_refused = error != 0;
	if (error)
		return -error;
	record->is_under_way = true;
	log->under_way++;
	return 0;
}

static void list(struct log *log, struct log_record *record)
{
	record->number = ++log->accepted;
	*log->records_end = record;
	log->records_end = &record->next;
	log->waiting_bytes += record_bytes(record);
}

/* Take out those that are over: what is durable, and with a device that has failed all that ended. */
static void drop_ended(struct log *log)
{
	struct log_record *record, **link = &log->records;

	while ((record = *link) != NULL) {
		if (!record->is_done) {
			link = &record->next;
			continue;
		}
		*link = record->next;
		log->waiting_bytes -= record_bytes(record);
		record_free(record);
	}
	log->records_end = link;
}

void log_record_ended(struct log *log, const demi_qresult_t *result)
{
	struct log_record *record = log->records;

	while (record && !(record->is_under_way && record->qt == result->qr_qt))
		record = record->next;
	if (!record)
		return;
	record->is_under_way = false;
	log->under_way--;
	/* Behind one that found no room no other of its log does before it is pushed again. */
	record->is_refused = result->qr_opcode == DEMI_OPC_FAILED && result->qr_ret == ENOSPC;
	record->is_done = !record->is_refused;
	if (record->is_done && result->qr_opcode == DEMI_OPC_FAILED && !log->error) {
		log->error = -(int)result->qr_ret;
		TRACE("log %s: a record is lost: %s", log->name, strerror((int)result->qr_ret));
	}
	drop_ended(log);
}

void log_drop_refused(struct log *log)
{
	for (struct log_record *record = log->records; record; record = record->next) {
		record->is_done = !record->is_under_way;
		if (record->is_under_way || record->is_word)
			continue;
		/* What was known counted it. */
		log->size = -1;
		log->tail = LOG_TAIL_UNKNOWN;
		log->image_is_filled = false;
	}
	drop_ended(log);
}

/* ---- Waiting ---- */

bool log_is_quiet(void *log)
{
	return ((const struct log *)log)->under_way == 0;
}

static bool is_refused(const struct log *log)
{
	return log->records && log->records->is_refused;
}

int log_push_again(struct log *log)
{
	int error = 0;

	if (!is_refused(log))
		return log->error;
	engine_poll();
	log_wait(log, log_is_quiet, log);
	for (struct log_record *record = log->records; record && !error; record = record->next)
		error = push(log, record);
	log_wait(log, log_is_quiet, log);
	if (log->error)
		return log->error;
	return is_refused(log) && !error ? -ENOSPC : error;
}

struct sync {
	struct log *log;
	uint64_t number;
};

static bool is_settled(void *context)
{
	const struct sync *sync = context;
	const struct log *log = sync->log;

	return !log->records || log->records->number > sync->number || log->error ||
	       (is_refused(log) && !log->under_way);
}

static void wait_settled(struct log *log)
{
	struct sync sync = {.log = log, .number = log->accepted};

	log_wait(log, is_settled, &sync);
}

static int sync_taken(struct log *log)
{
	wait_settled(log);
	return log_push_again(log);
}

int log_sync(struct log *log)
{
	int error;

	if (log->records)
		wait_settled(log);
	if (log->error || !is_refused(log))
		return log->error;
	log_take(log);
	error = log_push_again(log);
	log_give(log);
	return error;
}

/* ---- Appending ---- */

static bool has_room(void *context)
{
	const struct log *log = context;

	/* Below the bound with the largest record, or nothing will make more room. */
	return log->waiting_bytes + DEMI_LOG_RECORD_BYTES_MAX <= LOG_WAITING_BYTES_MAX ||
	       !log->under_way;
}

static bool has_less(void *context)
{
	const struct log *log = context;

	return log->waiting_bytes < DEMI_LOG_RECORD_BYTES_MAX || !log->under_way;
}

/* The library has no memory, or no place, until some of ours has ended. */
static bool may_try_again(struct log *log, int error)
{
	if ((error != -ENOMEM && error != -EAGAIN) || !log->under_way)
		return false;
	log_wait(log, log->waiting_bytes < DEMI_LOG_RECORD_BYTES_MAX ? log_is_quiet : has_less,
		 log);
	return true;
}

/* Return: a record with the cursor's next bytes, or zeroes without one; NULL with *@error. */
static struct log_record *record_fill(struct log *log, struct cursor *cursor, size_t bytes,
				      int *error)
{
	struct log_record *record;

	do
		record = record_new(bytes);
	while (!record && may_try_again(log, -ENOMEM));
	*error = -ENOMEM;
	if (!record)
		return NULL;
	if (!cursor) {
		memset(record->sga.sga_segs[0].sgaseg_buf, 0, bytes);
		return record;
	}
	*error = -EFAULT;
	if (cursor_read(cursor, record->sga.sga_segs[0].sgaseg_buf, bytes))
		return record;
	record_free(record);
	return NULL;
}

static int push_or_wait(struct log *log, struct log_record *record)
{
	bool has_looked = false;
	int error;

	while ((error = push(log, record)) != 0) {
		/* A log that is gone gives its room back when the device is next looked at. */
		if (error == -ENOSPC && !has_looked)
			engine_poll();
		else if (!may_try_again(log, error))
			break;
		has_looked |= error == -ENOSPC;
		if (log->error || is_refused(log))
			return log->error ? log->error : -ENOSPC;
	}
	return error == -EAGAIN ? -ENOMEM : error;
}

/* Return: 0 with a record of it listed, or -errno. @cursor NULL: zeroes. */
static int append_one(struct log *log, struct cursor *cursor, size_t bytes)
{
	struct log_record *record;
	int error;

	log_wait(log, has_room, log);
	record = record_fill(log, cursor, bytes, &error);
	if (!record)
		return error;
	if (log->error || is_refused(log))
		error = log->error ? log->error : -ENOSPC;
	else
		error = push_or_wait(log, record);
	if (error) {
		record_free(record);
		return error;
	}
	list(log, record);
	if (log->image_is_filled)
		log_image_append(log, log->size, record->sga.sga_segs[0].sgaseg_buf, bytes);
	if (log->size >= 0)
		log->size += (int64_t)bytes;
	clock_gettime(CLOCK_REALTIME, &log->modified);
	return 0;
}

/* Before anything is appended. */
static int prepare(struct log *log)
{
	int error;

	/* What a call on another log has had the device do is not known yet. */
	if (log->under_way)
		engine_poll();
	error = log_push_again(log);
	if (!error)
		error = log_find_tail(log);
	if (error || log->tail != LOG_TAIL_ESCAPE)
		return error;
	error = log_push_word(log, "keep");
	if (!error)
		log->tail = LOG_TAIL_WHOLE;
	return error;
}

static size_t next_bytes(size_t left)
{
	return left < DEMI_LOG_RECORD_BYTES_MAX ? left : DEMI_LOG_RECORD_BYTES_MAX;
}

ssize_t log_append(struct log *log, struct cursor *cursor)
{
	size_t total = cursor->left, done = 0;
	int error = prepare(log);

	while (!error && done < total) {
		size_t bytes = next_bytes(total - done);

		error = append_one(log, cursor, bytes);
		if (!error)
			done += bytes;
	}
	/* The device gets it now, not when somebody waits. */
	if (done)
		engine_poll();
	return done ? (ssize_t)done : error;
}

int log_append_hole(struct log *log, int64_t size)
{
	int error = size - log->size > LOG_HOLE_BYTES_MAX ? -EFBIG : prepare(log);

	while (!error && log->size < size)
		error = append_one(log, NULL, next_bytes((size_t)(size - log->size)));
	return error;
}

/* ---- Cutting ---- */

int log_push_word(struct log *log, const char *word)
{
	size_t bytes = strlen(word);
	struct log_record *record = record_new(bytes);
	int error;

	if (!record)
		return -ENOMEM;
	memcpy(record->sga.sga_segs[0].sgaseg_buf, word, bytes);
	record->is_word = true;
	error = push(log, record);
	if (error) {
		record_free(record);
		return error;
	}
	list(log, record);
	log_wait(log, log_is_quiet, log);
	if (log->error || !is_refused(log))
		return log->error;
	/* It is not what the program wrote, and is not tried again. */
	log_drop_refused(log);
	return -ENOSPC;
}

/* All of it: the log has no records any more. */
static int drop_all(struct log *log)
{
	int64_t end = 0;
	int error;

	log_drop_refused(log);
	error = demi_seek(log->qd, 0, SEEK_END, &end);
	if (!error && end > log->first)
		error = demi_truncate(log->qd, end);
	if (error)
		return -error;
	log->first = end;
	log->size = 0;
	log->tail = LOG_TAIL_WHOLE;
	return 0;
}

/* A part: the log says so itself. */
static int drop_end(struct log *log, int64_t size)
{
	char word[40];
	int error = prepare(log);

	if (!error) {
		log_wait(log, log_is_quiet, log);
		error = is_refused(log) ? -ENOSPC : log_push_word(log, "");
	}
	if (error)
		return error;
	log->tail = LOG_TAIL_ESCAPE;
	snprintf(word, sizeof(word), "truncate %lld", (long long)size);
	error = log_push_word(log, word);
	if (error)
		return error;
	log->tail = LOG_TAIL_WHOLE;
	log->size = size;
	return 0;
}

int log_cut(struct log *log, int64_t size)
{
	int error = 0;

	log_wait(log, log_is_quiet, log);
	if (log->error)
		return log->error;
	if (size)
		error = log_measure(log);
	if (error || (size && size == log->size))
		return error;
	if (size > log->size && log->size >= 0)
		return log_append_hole(log, size) ?: sync_taken(log);
	error = size ? drop_end(log, size) : drop_all(log);
	if (error)
		return error;
	log_image_cut(log, size);
	clock_gettime(CLOCK_REALTIME, &log->modified);
	return 0;
}
