/* SPDX-License-Identifier: MIT */
/*
 * Stores of logs on a simulated disk, whose power fails, and what judges them: a model of what was
 * acknowledged. Whatever happens follows from the seed.
 */
#ifndef DEMI_TESTS_SIM_LOG_JUDGE_H
#define DEMI_TESTS_SIM_LOG_JUDGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/container.h"
#include "blkdev/sim.h"
#include "log/log.h"

#define JUDGE_LOGS 5u
#define JUDGE_NAMES 6u /* more than logs, so that there is one to go to */
#define JUDGE_SEGMENTS_MAX 6u
#define JUDGE_TORN 32u

/** A record that was appended, and may be waited for. */
struct judge_append {
	struct log_append append;
	demi_sgaseg_t segments[JUDGE_SEGMENTS_MAX];
	void *memory;
	struct judge_log *log;
	uint64_t id; /* which its bytes follow from */
	struct judge_append *next;
	bool is_done;
};

struct judge_record {
	uint64_t id;
	uint32_t bytes;
};

/** What a log is to have. */
struct judge_log {
	struct judge *judge;
	bool exists;
	unsigned int name;
	struct log *log;              /* open, or NULL */
	struct judge_record *records; /* by number, from 0 on */
	uint64_t first, end, room;
	uint64_t first_maybe; /* a truncation that was not acknowledged */
	uint64_t lost_end;    /* there were so many until the last ones were lost; 0: none were */
	uint64_t noted_end;   /* when the store was last closed */
	bool is_damaged;
	struct judge_record torn[JUDGE_TORN]; /* the last ones that no recovery found */
	unsigned int torn_count;
	struct log_cursor *cursor; /* reads while other things happen; NULL: none */
	struct log_read read;
	uint64_t read_record; /* that it was to be when it began */
	bool is_reading;
	struct judge_append
		*appends; /* in order; those that failed without anybody knowing, first */
};

/** A change of names under way: it may or may not have happened when the power fails. */
struct judge_intent {
	enum { INTENT_NONE, INTENT_CREATE, INTENT_REMOVE, INTENT_RENAME } kind;
	struct judge_log *log, *other;
	unsigned int name;
};

struct judge {
	uint64_t seed;
	uint64_t random;
	struct heap *heap;
	struct sched sched;
	uint64_t now_ns;
	struct sim_medium *medium;
	struct blkdev *disk;
	struct sim_disk_options disk_options;
	struct log_store *store;
	struct judge_log logs[JUDGE_LOGS];
	struct judge_intent intent;
	struct log *ghost; /* removed, and still open */
	uint64_t next_id;
	unsigned int next_name;
	uint64_t requests; /* the disk's, and how many of these are writes or flushes */
	uint64_t writes;
	uint64_t cut_at; /* the power fails when so many writes were submitted; 0: it does not */
	struct sim_disk_cut cut;
	bool is_cut;
	size_t cut_pending; /* blocks that might be lost then */
	bool is_lossy;      /* blocks rotted or went elsewhere: what is lost must be told */
	bool is_noted;      /* the store was closed, and not opened since */
	bool no_huge;       /* no records of many segments */
	uint64_t damaged;   /* records that could not be read */
	uint64_t lost;      /* that were at the end of a log and are there no more */
	/* Of all runs. */
	uint64_t read, recoveries, refused, given_up, cuts;
};

void judge_begin(struct judge *judge, uint64_t seed, uint64_t bytes, uint32_t block_bytes,
		 const struct sim_disk_options *options);
void judge_end(struct judge *judge);

uint64_t judge_random(struct judge *judge, uint64_t bound);

/** judge_open - open the store, see whether it is what it is to be, and open its logs
 *
 * Return: 0; or the error, which can only be when the disk is lossy, fails, or has no power.
 * -ESTALE: it has lost a change of the catalogue, as a lossy disk may when it was not closed.
 */
int judge_open(struct judge *judge);
/** judge_close - close store and logs; with the disk's power gone too */
void judge_close(struct judge *judge);
/** judge_replug - close the disk and make another of its medium */
void judge_replug(struct judge *judge);

/** judge_act - do something at random; nothing once the power is gone */
void judge_act(struct judge *judge);
/** judge_settle - wait for all appends */
void judge_settle(struct judge *judge);
/** judge_read - read all logs */
void judge_read(struct judge *judge);

void judge_append(struct judge_log *log, uint32_t bytes);
struct judge_log *judge_create(struct judge *judge);
void judge_rename(struct judge *judge, struct judge_log *log, unsigned int name);
void judge_truncate(struct judge_log *log, uint64_t first);

/** judge_hush - from now on nobody hears what the store says of its mishaps, on standard error */
void judge_hush(void);

/** judge_demand - fail the test, telling how to repeat it, unless @is_so */
void judge_demand(const struct judge *judge, bool is_so, const char *what);

#endif /* DEMI_TESTS_SIM_LOG_JUDGE_H */
