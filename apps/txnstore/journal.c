/* SPDX-License-Identifier: MIT */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txnstore/core/frame.h"

struct held_message {
	struct held_message *next;
	uint64_t record;
	uint32_t to;
	size_t len;
	uint8_t bytes[];
};

/* ---- What is there ---- */

typedef int restore_fn(void *context, const void *record, size_t len);

/* Return: 1: a record, or bytes of a file, 0: there are no more, an errno as a negative number. */
static int next_record(int qd, demi_sgarray_t *record)
{
	demi_qresult_t result;
	demi_qtoken_t token;
	int error = demi_pop(&token, qd);

	if (!error)
		error = demi_wait(&result, token, NULL);
	if (!error && result.qr_opcode != DEMI_OPC_POP)
		error = (int)result.qr_ret;
	if (error)
		return -error;
	*record = result.qr_value.sga;
	if (record->sga_segs[0].sgaseg_len)
		return 1;
	demi_sgafree(record);
	return 0;
}

static int read_log(struct journal *journal, int qd, restore_fn *restore, void *context)
{
	demi_sgarray_t record = {.sga_numsegs = 0};
	int outcome;

	while ((outcome = next_record(qd, &record)) == 1) {
		int error = restore(context, record.sga_segs[0].sgaseg_buf,
				    record.sga_segs[0].sgaseg_len);

		demi_sgafree(&record);
		if (error)
			return error;
		journal->written++;
	}
	return outcome;
}

/* What of a file was read, but not yet taken for records. */
struct unread {
	uint8_t *bytes;
	size_t len, room;
	uint64_t offset; /* of the first of them in the file */
};

static bool add(struct unread *unread, const demi_sgaseg_t *segment)
{
	size_t len = unread->len + segment->sgaseg_len;
	uint8_t *grown;

	if (segment->sgaseg_len == 0)
		return true;
	if (len > unread->room || !unread->bytes) {
		grown = realloc(unread->bytes, 2 * len + 1);
		if (!grown)
			return false;
		unread->bytes = grown;
		unread->room = 2 * len + 1;
	}
	memcpy(unread->bytes + unread->len, segment->sgaseg_buf, segment->sgaseg_len);
	unread->len = len;
	return true;
}

/* Return: 0, also where what is left is no record, an errno as a negative number, or of @restore. */
static int take_frames(struct journal *journal, struct unread *unread, restore_fn *restore,
		       void *context)
{
	const void *record;
	size_t taken = 0, size;
	uint32_t len;
	int error = 0;

	while (!error && (size = frame_read(unread->bytes + taken, unread->len - taken, &record,
					    &len)) != 0) {
		error = restore(context, record, len);
		taken += size;
		journal->written += !error;
	}
	unread->offset += taken;
	unread->len -= taken;
	if (taken && unread->bytes)
		memmove(unread->bytes, unread->bytes + taken, unread->len);
	return error;
}

/* All of it, up to an end that may be torn. */
static int read_file(struct journal *journal, int qd, restore_fn *restore, void *context,
		     uint64_t *end)
{
	struct unread unread = {.bytes = NULL};
	demi_sgarray_t array = {.sga_numsegs = 0};
	int outcome;

	while ((outcome = next_record(qd, &array)) == 1) {
		bool is_added = add(&unread, &array.sga_segs[0]);

		demi_sgafree(&array);
		outcome = is_added ? take_frames(journal, &unread, restore, context) : -ENOMEM;
		/* More than one frame that is none is not the end. */
		if (!outcome && unread.len > FRAME_MAX && !frame_is_torn(unread.bytes, unread.len))
			outcome = -EBADMSG;
		if (outcome)
			break;
	}
	if (!outcome && unread.len && !frame_is_torn(unread.bytes, unread.len))
		outcome = -EBADMSG;
	journal->torn = unread.len;
	*end = unread.offset;
	free(unread.bytes);
	return outcome;
}

static int visit_none(const demi_log_t *log, void *context)
{
	(void)log;
	(void)context;
	return 1;
}

static int read_all(struct journal *journal, restore_fn *restore, void *context, uint64_t *end)
{
	int qd, outcome = demi_open(&qd, journal->name, O_RDONLY | O_CREAT, 0644);

	if (outcome)
		return outcome;
	outcome = journal->is_file ? read_file(journal, qd, restore, context, end)
				   : read_log(journal, qd, restore, context);
	demi_close(qd);
	return outcome;
}

int journal_open(struct journal *journal, const char *name,
		 int (*restore)(void *context, const void *record, size_t len), void *context)
{
	uint64_t end = 0;
	int error;

	*journal = (struct journal){.qd = -1, .old_qd = -1};
	journal->held_end = &journal->held;
	if (snprintf(journal->name, sizeof(journal->name), "%s", name) >=
		    (int)sizeof(journal->name) ||
	    snprintf(journal->new_name, sizeof(journal->new_name), "%s.new", name) >=
		    (int)sizeof(journal->new_name))
		return ENAMETOOLONG;
	journal->is_file = demi_log_each(visit_none, NULL) == EOPNOTSUPP;
	/* One that was not yet whole when this server ended. */
	error = demi_unlink(journal->new_name);
	if (error && error != ENOENT)
		return error;
	error = read_all(journal, restore, context, &end);
	if (error)
		return error;
	journal->durable = journal->first = journal->written;
	error = demi_open(&journal->qd, journal->name, O_WRONLY, 0644);
	if (!error && journal->torn)
		error = demi_truncate(journal->qd, (int64_t)end);
	return error;
}

static void drop_held(struct journal *journal)
{
	while (journal->held) {
		struct held_message *held = journal->held;

		journal->held = held->next;
		free(held);
	}
	journal->held_end = &journal->held;
}

void journal_close(struct journal *journal)
{
	drop_held(journal);
	if (journal->qd >= 0)
		demi_close(journal->qd);
	if (journal->old_qd >= 0)
		demi_close(journal->old_qd);
	journal->qd = journal->old_qd = -1;
}

/* ---- Writing ---- */

static void fail(struct journal *journal, int error)
{
	if (!journal->error)
		journal->error = error;
}

void journal_write(struct journal *journal, const void *record, size_t len)
{
	size_t head = journal->is_file ? FRAME_HEAD : 0;
	uint8_t *bytes = demi_malloc(head + len);
	demi_sgarray_t array = {.sga_numsegs = 1, .sga_segs = {{bytes, (uint32_t)(head + len)}}};
	demi_qtoken_t token;
	int error = bytes ? 0 : ENOMEM;

	journal->written++;
	if (!error) {
		if (head)
			frame_head(bytes, record, (uint32_t)len);
		memcpy(bytes + head, record, len);
		error = demi_push(&token, journal->qd, &array);
		demi_free(bytes);
	}
	if (error)
		fail(journal, error);
}

void journal_rewrite(struct journal *journal, bool begins)
{
	int error;

	if (!begins) {
		journal->rewritten = journal->written;
		return;
	}
	if (journal->old_qd >= 0)
		demi_close(journal->old_qd);
	journal->old_qd = journal->qd;
	journal->stale = 0;
	journal->stale += (uint32_t)(journal->written - journal->first - journal->complete);
	journal->first = journal->written;
	journal->complete = 0;
	journal->is_rewriting = true;
	journal->rewritten = 0;
	error = demi_open(&journal->qd, journal->new_name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (error) {
		journal->qd = -1;
		fail(journal, error);
	}
}

/* Not before all its results have come: its descriptor will be another's. */
static void close_old(struct journal *journal)
{
	if (journal->old_qd < 0 || journal->stale || journal->is_rewriting)
		return;
	demi_close(journal->old_qd);
	journal->old_qd = -1;
}

/* The new log is whole, and durable: it is the log from now on. */
static void take_place(struct journal *journal)
{
	int error = demi_rename(journal->new_name, journal->name);

	if (error) {
		fail(journal, error);
		return;
	}
	journal->is_rewriting = false;
	close_old(journal);
}

/* ---- What waits for it ---- */

void journal_hold(struct journal *journal, uint32_t to, const void *bytes, size_t len)
{
	struct held_message *held;

	if (journal->durable == journal->written && !journal->held) {
		journal->release(journal->context, to, bytes, len);
		return;
	}
	held = malloc(sizeof(*held) + len);
	if (!held)
		return; /* as if it were lost */
	*held = (struct held_message){.record = journal->written, .to = to, .len = len};
	memcpy(held->bytes, bytes, len);
	*journal->held_end = held;
	journal->held_end = &held->next;
}

static void release_held(struct journal *journal)
{
	while (journal->held && journal->held->record <= journal->durable) {
		struct held_message *held = journal->held;

		journal->held = held->next;
		if (!journal->held)
			journal->held_end = &journal->held;
		journal->release(journal->context, held->to, held->bytes, held->len);
		free(held);
	}
}

struct taken {
	const char *name;
	uint64_t bytes;
};

static int visit_own(const demi_log_t *log, void *context)
{
	struct taken *taken = context;

	if (strcmp(log->log_name, taken->name) != 0)
		return 0;
	taken->bytes = log->log_bytes;
	return 1;
}

uint64_t journal_taken(const struct journal *journal)
{
	struct taken taken = {.name = journal->is_rewriting ? journal->new_name : journal->name};

	if (!journal->is_file)
		(void)demi_log_each(visit_own, &taken);
	return taken.bytes;
}

bool journal_result(struct journal *journal, const demi_qresult_t *result)
{
	if (journal->old_qd >= 0 && result->qr_qd == journal->old_qd) {
		journal->stale--;
		close_old(journal);
		return true;
	}
	if (result->qr_qd != journal->qd)
		return false;
	if (result->qr_opcode != DEMI_OPC_PUSH) {
		fail(journal, (int)result->qr_ret);
		return true;
	}
	journal->complete++;
	if (journal->is_rewriting && journal->rewritten &&
	    journal->first + journal->complete >= journal->rewritten)
		take_place(journal);
	if (!journal->is_rewriting && !journal->error) {
		journal->durable = journal->first + journal->complete;
		release_held(journal);
	}
	return true;
}
