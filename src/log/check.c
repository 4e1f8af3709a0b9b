/* SPDX-License-Identifier: MIT */
/* Reading all of a store, to see whether it is what was written. */
#include <errno.h>
#include <stdio.h>

#include "base/container.h"
#include "log/store.h"

struct check {
	struct log_store *store;
	log_check_fn *tell;
	void *context;
	int64_t problems;
	int error; /* that ended it */
};

struct wait_read {
	struct log_read read;
	struct buf *buf;
	int outcome;
	bool is_done;
};

static void read_done(struct log_read *read, struct buf *buf, int error)
{
	struct wait_read *wait = container_of(read, struct wait_read, read);

	wait->buf = buf;
	wait->outcome = error;
	wait->is_done = true;
}

/* Read one record; whether there was one is whether the cursor has moved on. */
static int read_one(struct log_store *store, struct log_cursor *cursor)
{
	struct wait_read wait = {.read.done = read_done};
	int error = log_read(cursor, &wait.read);

	if (error)
		return error;
	while (!wait.is_done)
		store_wait(store);
	buf_free(store->heap, wait.buf);
	return wait.outcome;
}

static void check_records(struct check *check, struct log *log, struct log_cursor *cursor)
{
	int64_t problems = check->problems;

	while (log_cursor_record(cursor) < log->stream.next_record && !check->error) {
		uint64_t record = log_cursor_record(cursor);
		int error = read_one(check->store, cursor);

		if (error == -EUCLEAN || error == -EIO) {
			check->tell(check->context, log->name, record,
				    error == -EIO ? "cannot be read"
						  : "is not what was written, or lost");
			check->problems++;
			log_cursor_seek(cursor, record + 1);
		} else if (error) {
			check->error = error;
		}
	}
	if (check->problems == problems && !check->error && !log->is_damaged)
		check->tell(check->context, log->name, log->stream.next_record, NULL);
	if (check->problems == problems && log->is_damaged) {
		check->tell(check->context, log->name, log->stream.next_record,
			    "batches are damaged, but no record of it is");
		check->problems++;
	}
}

static void check_log(struct check *check, struct log *log)
{
	struct log_cursor *cursor;

	check->error = log_cursor_create(&cursor, log);
	if (check->error)
		return;
	check_records(check, log, cursor);
	log_cursor_destroy(cursor);
}

/* Recovery lives with one of the two; who checks wants both. */
static void check_superblocks(struct check *check)
{
	static const uint32_t offsets[] = {0, SUPERBLOCK_COPY_OFFSET};
	struct log_store *store = check->store;
	struct superblock superblock;

	check->error = store_io(store, BLK_READ, 0, store->scratch,
				SUPERBLOCK_AREA_BYTES / store->block_bytes);
	for (unsigned int i = 0; i < 2 && !check->error; i++) {
		if (superblock_parse(&superblock, store->scratch + offsets[i]) == 0)
			continue;
		check->tell(check->context, "", 0,
			    i == 0 ? "the superblock is damaged, its copy is not"
				   : "the copy of the superblock is damaged");
		check->problems++;
	}
}

int64_t log_check(struct log_store *store, log_check_fn *tell, void *context)
{
	struct check check = {.store = store, .tell = tell, .context = context};

	check_superblocks(&check);
	for (struct log *log = store->logs; log && !check.error; log = log->next)
		if (log->name[0])
			check_log(&check, log);
	return check.error ? check.error : check.problems;
}
