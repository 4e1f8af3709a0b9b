/* SPDX-License-Identifier: MIT */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct held_message {
	struct held_message *next;
	uint64_t record;
	uint32_t to;
	size_t len;
	uint8_t bytes[];
};

/* ---- What is there ---- */

/* Return: 1: a record, 0: there are no more, an errno as a negative number. */
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

static int read_all(struct journal *journal, int qd,
		    int (*restore)(void *context, const void *record, size_t len), void *context)
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

int journal_open(struct journal *journal, const char *name,
		 int (*restore)(void *context, const void *record, size_t len), void *context)
{
	int qd, error, end;

	*journal = (struct journal){.qd = -1, .old_qd = -1};
	journal->held_end = &journal->held;
	if (snprintf(journal->name, sizeof(journal->name), "%s", name) >=
		    (int)sizeof(journal->name) ||
	    snprintf(journal->new_name, sizeof(journal->new_name), "%s.new", name) >=
		    (int)sizeof(journal->new_name))
		return ENAMETOOLONG;
	/* One that was not yet whole when this server ended. */
	error = demi_unlink(journal->new_name);
	if (error && error != ENOENT)
		return error;
	error = demi_open(&qd, journal->name, O_RDONLY | O_CREAT, 0644);
	if (error)
		return error;
	end = read_all(journal, qd, restore, context);
	demi_close(qd);
	if (end)
		return end;
	journal->durable = journal->first = journal->written;
	return demi_open(&journal->qd, journal->name, O_WRONLY, 0644);
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
	uint8_t *bytes = demi_malloc(len);
	demi_sgarray_t array = {.sga_numsegs = 1, .sga_segs = {{bytes, (uint32_t)len}}};
	demi_qtoken_t token;
	int error = bytes ? 0 : ENOMEM;

	journal->written++;
	if (!error) {
		memcpy(bytes, record, len);
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
