/* SPDX-License-Identifier: MIT */
/*
 * The records of a replica in a log of the library, or in a file where it has none, and what it says only
 * once they are durable.
 */
#ifndef TXNSTORE_JOURNAL_H
#define TXNSTORE_JOURNAL_H

#include <demi/demi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct held_message;

struct journal {
	char name[DEMI_LOG_NAME_BYTES_MAX + 1], new_name[DEMI_LOG_NAME_BYTES_MAX + 1];
	int qd, old_qd;            /* -1: none */
	uint64_t written, durable; /* records, as struct replica counts them */
	uint64_t first;            /* written before the log of `qd` was begun */
	uint64_t complete;         /* of the log of `qd` */
	uint32_t stale;            /* results of the one before that are to come */
	bool is_rewriting;
	uint64_t
		rewritten; /* once this one is durable the new log takes the old one's place; 0: later */
	bool is_file;      /* which has no records of its own: see core/frame.h */
	uint64_t torn; /* bytes at its end that were no record, as a crash leaves them */
	int error;     /* errno of the first failure: nothing is durable any more */
	struct held_message *held, **held_end;
	/* Called for what was held, in its order. */
	void (*release)(void *context, uint32_t to, const void *bytes, size_t len);
	void *context;
};

/**
 * journal_open - read what is there, then be ready for more
 *
 * @restore: for each record. Return: 0, an errno, or -errno of @restore.
 */
int journal_open(struct journal *journal, const char *name,
		 int (*restore)(void *context, const void *record, size_t len), void *context);
void journal_close(struct journal *journal);

void journal_write(struct journal *journal, const void *record, size_t len);
/** journal_rewrite - struct replica_ops, rewrite */
void journal_rewrite(struct journal *journal, bool begins);
/** journal_hold - release @bytes, which are copied, when all that was written until now is durable */
void journal_hold(struct journal *journal, uint32_t to, const void *bytes, size_t len);

/** journal_taken - bytes that the log takes on its device; 0: that is not known */
uint64_t journal_taken(const struct journal *journal);

/** journal_result - Return: whether @result was of this log; then `durable` may have grown. */
bool journal_result(struct journal *journal, const demi_qresult_t *result);

#endif /* TXNSTORE_JOURNAL_H */
