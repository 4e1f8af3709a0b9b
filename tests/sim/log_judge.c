/* SPDX-License-Identifier: MIT */
#include "log_judge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define ROUNDS_MAX 1000000u

/* SplitMix64: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, 2014. */
uint64_t judge_random(struct judge *judge, uint64_t bound)
{
	uint64_t z = judge->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % bound;
}

static uint32_t draw(struct judge *judge, uint64_t bound)
{
	return (uint32_t)judge_random(judge, bound);
}

void judge_demand(const struct judge *judge, bool is_so, const char *what)
{
	if (is_so)
		return;
	print_message("seed %llu, cut at write %llu: %s\n", (unsigned long long)judge->seed,
		      (unsigned long long)judge->cut_at, what);
	fail();
}

void judge_hush(void)
{
	int null = open("/dev/null", O_WRONLY);

	assert_true(null >= 0 && dup2(null, STDERR_FILENO) >= 0);
	close(null);
}

/* ---- The disk ---- */

/* Nothing changes its fate: it is only counted. */
static void count_request(void *context, uint64_t number, const struct blk_request *request,
			  struct sim_disk_fate *fate)
{
	struct judge *judge = context;

	(void)number;
	(void)fate;
	judge->requests++;
	judge->writes += request->operation != BLK_READ;
}

static void step(struct judge *judge)
{
	uint64_t next_ns;

	if (judge->cut_at && judge->writes >= judge->cut_at && !judge->is_cut) {
		judge->is_cut = true;
		judge->cuts++;
		judge->cut_pending = sim_disk_pending(judge->disk, NULL, 0);
		sim_disk_cut(judge->disk, &judge->cut);
	}
	next_ns = judge->disk->ops->next_ns(judge->disk);
	judge->now_ns = next_ns != UINT64_MAX && next_ns > judge->now_ns ? next_ns
									 : judge->now_ns + 1000;
	blkdev_poll(judge->disk, judge->now_ns);
}

static void wait(void *context)
{
	step(context);
}

static void turn(struct judge *judge)
{
	step(judge);
	sched_poll(&judge->sched, judge->now_ns);
}

static void plug(struct judge *judge)
{
	judge->disk_options.hook = count_request;
	judge->disk_options.hook_context = judge;
	assert_int_equal(
		sim_disk_create(&judge->disk, judge->medium, judge->heap, &judge->disk_options), 0);
}

void judge_replug(struct judge *judge)
{
	blkdev_close(judge->disk);
	judge->is_cut = false;
	judge->cut_at = 0;
	judge->cut = (struct sim_disk_cut){.kept = NULL};
	judge->disk_options.seed++;
	judge->disk_options.gone_ns = 0;
	plug(judge);
}

static struct log_store_options options_of(struct judge *judge)
{
	return (struct log_store_options){
		.device = judge->disk,
		.heap = judge->heap,
		.sched = &judge->sched,
		.now_ns = &judge->now_ns,
		.seed = judge_random(judge, UINT64_MAX),
		.wait = wait,
		.wait_context = judge,
		.copy_max = judge->seed % 2 ? 1024 : 300,
		.trim = judge->seed % 3 == 0,
	};
}

void judge_begin(struct judge *judge, uint64_t seed, uint64_t bytes, uint32_t block_bytes,
		 const struct sim_disk_options *options)
{
	struct log_format_options format = {.segment_bytes = 64u << 10};
	struct log_store_options store;

	judge->seed = seed;
	judge->random = seed;
	judge->now_ns = 1;
	judge->disk_options = *options;
	judge->disk_options.seed = seed;
	judge->is_lossy = judge->is_noted = judge->is_cut = false;
	judge->cut_at = judge->writes = judge->requests = 0;
	judge->next_id = 0;
	judge->next_name = JUDGE_NAMES;
	judge->damaged = judge->lost = 0;
	judge->intent = (struct judge_intent){.kind = INTENT_NONE};
	judge->cut = (struct sim_disk_cut){.kept = NULL};
	for (unsigned int i = 0; i < JUDGE_LOGS; i++)
		judge->logs[i] = (struct judge_log){.judge = judge};
	assert_int_equal(sched_init(&judge->sched, 0), 0);
	assert_int_equal(sim_medium_create(&judge->medium, bytes, block_bytes), 0);
	plug(judge);
	store = options_of(judge);
	format.seed = judge_random(judge, UINT64_MAX);
	assert_int_equal(log_store_format(&store, &format), 0);
	judge->writes = judge->requests = 0;
}

static void free_append(struct judge_append *append)
{
	if (append->memory)
		heap_free(append->log->judge->heap, append->memory);
	free(append);
}

void judge_end(struct judge *judge)
{
	for (unsigned int i = 0; i < JUDGE_LOGS; i++) {
		struct judge_log *log = &judge->logs[i];

		while (log->appends) {
			struct judge_append *append = log->appends;

			log->appends = append->next;
			free_append(append);
		}
		free(log->records);
	}
	blkdev_close(judge->disk);
	sim_medium_destroy(judge->medium);
	sched_fini(&judge->sched);
	judge_demand(judge, heap_is_empty(judge->heap), "memory was not freed");
}

static bool writes_can_fail(struct judge *judge)
{
	const struct sim_disk_options *now = sim_disk_options(judge->disk);

	return judge->is_cut || judge->disk->failure || now->write_error > 0 || now->timeout > 0;
}

/* ---- Records ---- */

static void fill(uint8_t *data, uint32_t bytes, uint64_t id)
{
	uint64_t state = id * 0x9e3779b97f4a7c15 + bytes;

	for (uint32_t i = 0; i < bytes; i++) {
		if (i % 8 == 0)
			state = state * 6364136223846793005 + 1442695040888963407;
		data[i] = (uint8_t)(state >> (8 + i % 8 * 6));
	}
}

static bool is_record(const struct buf *buf, uint64_t id, uint32_t bytes)
{
	uint8_t *wanted;
	bool is_so;

	if (buf->length != bytes)
		return false;
	wanted = malloc(bytes + 1);
	fill(wanted, bytes, id);
	is_so = memcmp(wanted, buf->data, bytes) == 0;
	free(wanted);
	return is_so;
}

static void acknowledge(struct judge_log *log, uint64_t id, uint32_t bytes)
{
	log->lost_end = 0;
	if (log->end == log->room) {
		log->room = log->room ? 2 * log->room : 64;
		log->records = realloc(log->records, log->room * sizeof(*log->records));
	}
	log->records[log->end++] = (struct judge_record){id, bytes};
}

static void unlink_append(struct judge_append *append)
{
	struct judge_append **link = &append->log->appends;

	while (*link != append)
		link = &(*link)->next;
	*link = append->next;
}

static void append_done(struct log_append *self, int error)
{
	struct judge_append *append = container_of(self, struct judge_append, append);
	struct judge_log *log = append->log;
	struct judge *judge = log->judge;

	judge_demand(judge, !append->is_done, "a record is done twice");
	append->is_done = true;
	if (error == 0) {
		judge_demand(judge, log->appends == append, "records are done out of order");
		judge_demand(judge, self->record == log->end, "a record has another number");
		acknowledge(log, append->id, self->bytes);
	} else {
		judge_demand(judge,
			     error == -ENOSPC || error == -ECANCELED || error == -EIO ||
				     error == -ENODEV || error == -ETIMEDOUT,
			     "an append has an error that nobody expects");
		if (error != -ENOSPC && error != -ECANCELED) {
			judge_demand(judge, writes_can_fail(judge), "an append fails");
			/* It may be on the medium. */
			return;
		}
	}
	unlink_append(append);
	free_append(append);
}

/* Memory in up to JUDGE_SEGMENTS_MAX pieces, anywhere, some of them empty. */
static void cut_up(struct judge *judge, struct judge_append *append, uint32_t bytes)
{
	uint32_t count = draw(judge, 3) ? 1 : 1 + draw(judge, JUDGE_SEGMENTS_MAX);
	uint32_t skip = draw(judge, 2) ? 0 : draw(judge, 700), offset = 0;
	uint8_t *data;

	append->memory = heap_alloc_aligned(judge->heap, 4096, bytes + skip + 1);
	assert_non_null(append->memory);
	data = (uint8_t *)append->memory + skip;
	fill(data, bytes, append->id);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t part = i + 1 == count ? bytes - offset : draw(judge, bytes - offset + 1);

		append->segments[i] = (demi_sgaseg_t){data + offset, part};
		offset += part;
	}
	append->append.segments = append->segments;
	append->append.segment_count = bytes == 0 && draw(judge, 2) ? 0 : count;
}

void judge_append(struct judge_log *log, uint32_t bytes)
{
	struct judge *judge = log->judge;
	struct judge_append *append = calloc(1, sizeof(*append)), **link = &log->appends;
	int error;

	log->lost_end = 0;
	append->log = log;
	append->id = judge->next_id++;
	append->append.done = append_done;
	cut_up(judge, append, bytes);
	while (*link)
		link = &(*link)->next;
	*link = append;
	error = log_append(log->log, &append->append);
	if (!error)
		return;
	judge_demand(judge, !append->is_done, "done is called for what was refused");
	unlink_append(append);
	free_append(append);
}

static bool is_waiting(const struct judge_log *log)
{
	for (const struct judge_append *append = log->appends; append; append = append->next)
		if (!append->is_done)
			return true;
	return false;
}

static void settle(struct judge_log *log)
{
	uint32_t rounds = 0;

	while (is_waiting(log)) {
		turn(log->judge);
		judge_demand(log->judge, rounds++ < ROUNDS_MAX, "appends never end");
	}
}

void judge_settle(struct judge *judge)
{
	for (unsigned int i = 0; i < JUDGE_LOGS; i++)
		settle(&judge->logs[i]);
}

/* ---- Reading ---- */

struct reading {
	struct log_read read;
	struct buf *buf;
	int outcome;
};

static void read_done(struct log_read *read, struct buf *buf, int error)
{
	struct reading *reading = container_of(read, struct reading, read);

	reading->buf = buf;
	reading->outcome = error;
}

static int read_one(struct judge *judge, struct log_cursor *cursor, struct buf **buf_out)
{
	struct reading reading = {.read.done = read_done, .outcome = -EINPROGRESS};
	uint32_t rounds = 0;

	judge_demand(judge, log_cursor_seek(cursor, log_cursor_record(cursor)) == 0, "no seek");
	judge_demand(judge, log_read(cursor, &reading.read) == 0, "a read is refused");
	while (reading.outcome == -EINPROGRESS) {
		turn(judge);
		judge_demand(judge, rounds++ < ROUNDS_MAX, "a read never ends");
	}
	*buf_out = reading.buf;
	return reading.outcome;
}

static bool reads_can_fail(struct judge *judge)
{
	const struct sim_disk_options *now = sim_disk_options(judge->disk);

	return judge->is_cut || judge->disk->failure || now->read_error > 0 || now->timeout > 0;
}

/* Records that were not acknowledged and are there, or (no @buf) have been: the first ones, in order. */
static void take_uncertain(struct judge_log *log, const struct buf *buf)
{
	struct judge_append *append = log->appends;
	struct judge *judge = log->judge;

	judge_demand(judge, append, "a record is there that nobody appended");
	judge_demand(judge, !buf || is_record(buf, append->id, append->append.bytes),
		     "a record is there, behind the acknowledged ones, that is not the next one");
	acknowledge(log, append->id, append->append.bytes);
	log->appends = append->next;
	free_append(append);
}

/*
 * What a power cut left of a batch stays where a write goes astray that was to go there, and looks
 * as that one: nobody can tell but by what follows, which recovery does.
 */
static bool is_torn(const struct judge_log *log, const struct buf *buf)
{
	if (!log->is_damaged || log->judge->disk_options.misdirect_write == 0)
		return false;
	for (unsigned int i = 0; i < JUDGE_TORN; i++)
		if (is_record(buf, log->torn[i].id, log->torn[i].bytes))
			return true;
	return false;
}

static void read_record(struct judge_log *log, struct log_cursor *cursor, uint64_t record)
{
	struct judge *judge = log->judge;
	struct buf *buf;
	int error = read_one(judge, cursor, &buf);

	if (error && error != -EUCLEAN && reads_can_fail(judge)) {
		judge_demand(judge, !buf, "a failed read has a buf");
		log_cursor_seek(cursor, record + 1);
		return;
	}
	if (error) {
		judge_demand(judge, error == -EUCLEAN && !buf, "a read has another error");
		judge_demand(judge, judge->is_lossy, "an acknowledged record cannot be read");
		judge->damaged++;
		assert_int_equal(log_cursor_seek(cursor, record + 1), 0);
		if (record == log->end)
			take_uncertain(log, NULL);
		return;
	}
	judge_demand(judge, buf, "the end comes before the end");
	judge->read++;
	if (record < log->end)
		judge_demand(judge,
			     is_record(buf, log->records[record].id, log->records[record].bytes) ||
				     is_torn(log, buf),
			     "a record has changed");
	else
		take_uncertain(log, buf);
	assert_int_equal(buf_free(judge->heap, buf), 0);
}

static void read_log(struct judge_log *log, uint64_t from)
{
	struct judge *judge = log->judge;
	struct log_cursor *cursor;
	struct log_status status;
	struct buf *buf;

	log_status(log->log, &status);
	assert_int_equal(log_cursor_create(&cursor, log->log), 0);
	assert_int_equal(log_cursor_seek(cursor, from), 0);
	for (uint64_t record = from; record < status.end; record++)
		read_record(log, cursor, record);
	if (log->end == status.end && !is_waiting(log)) {
		judge_demand(judge, read_one(judge, cursor, &buf) == 0 && !buf, "no end");
	}
	log_cursor_destroy(cursor);
}

void judge_read(struct judge *judge)
{
	for (unsigned int i = 0; i < JUDGE_LOGS; i++)
		if (judge->logs[i].exists)
			read_log(&judge->logs[i], judge->logs[i].first);
}

/* ---- Reading while other things happen ---- */

/* The record that was asked for, or, if that was dropped meanwhile, one that came to be the first. */
static bool is_any(const struct judge_log *log, const struct buf *buf)
{
	uint64_t last = log->first_maybe > log->first ? log->first_maybe : log->first;

	if (last < log->read_record)
		last = log->read_record;
	for (uint64_t record = log->read_record; record <= last && record < log->end; record++)
		if (is_record(buf, log->records[record].id, log->records[record].bytes))
			return true;
	return is_torn(log, buf);
}

static void background_done(struct log_read *read, struct buf *buf, int error)
{
	struct judge_log *log = container_of(read, struct judge_log, read);
	struct judge *judge = log->judge;

	log->is_reading = false;
	if (error) {
		judge_demand(judge, error == -EUCLEAN ? judge->is_lossy : reads_can_fail(judge),
			     "a record cannot be read while other things happen");
		log_cursor_seek(log->cursor, log->first);
		return;
	}
	judge_demand(judge, buf || log->first_maybe >= log->read_record, "no record");
	if (!buf)
		return;
	judge_demand(judge, is_any(log, buf), "another record is read while other things happen");
	judge->read++;
	buf_free(judge->heap, buf);
}

static void read_behind(struct judge_log *log)
{
	if (log->is_reading)
		return;
	if (!log->cursor)
		assert_int_equal(log_cursor_create(&log->cursor, log->log), 0);
	log->read_record = log_cursor_record(log->cursor);
	if (log->read_record >= log->end) {
		assert_int_equal(log_cursor_seek(log->cursor, log->first), 0);
		log->read_record = log->first;
	}
	if (log->read_record >= log->end)
		return;
	log->read.done = background_done;
	log->is_reading = true;
	assert_int_equal(log_read(log->cursor, &log->read), 0);
}

static void end_reading(struct judge_log *log)
{
	uint32_t rounds = 0;

	while (log->is_reading) {
		turn(log->judge);
		judge_demand(log->judge, rounds++ < ROUNDS_MAX, "a read behind never ends");
	}
	log_cursor_destroy(log->cursor);
	log->cursor = NULL;
}

/* ---- Opening and closing ---- */

static const char *name_of(unsigned int name)
{
	static const char *const names[JUDGE_NAMES] = {"a", "bb", "the third one", "d", "e", "f"};
	static char fresh[4][16];
	static unsigned int next;
	char *to;

	if (name < JUDGE_NAMES)
		return names[name];
	to = fresh[next++ % 4];
	snprintf(to, sizeof(fresh[0]), "n%u", name);
	return to;
}

static struct judge_log *log_of(struct judge *judge, unsigned int name)
{
	for (unsigned int i = 0; i < JUDGE_LOGS; i++)
		if (judge->logs[i].exists && judge->logs[i].name == name)
			return &judge->logs[i];
	return NULL;
}

static void forget_log(struct judge_log *log)
{
	while (log->appends) {
		struct judge_append *append = log->appends;

		log->appends = append->next;
		free_append(append);
	}
	free(log->records);
	*log = (struct judge_log){.judge = log->judge};
}

static bool is_there(struct judge *judge, unsigned int name)
{
	struct log *log;
	int error = log_open(&log, judge->store, name_of(name), 0);

	judge_demand(judge, error == 0 || error == -ENOENT, "a log cannot be opened");
	if (!error)
		log_close(log);
	return !error;
}

static int count_log(void *context, const struct log_status *status)
{
	(void)status;
	++*(unsigned int *)context;
	return 0;
}

/* What became of the change that was under way. */
static void resolve(struct judge *judge)
{
	struct judge_intent *intent = &judge->intent;

	switch (intent->kind) {
	case INTENT_NONE:
		break;
	case INTENT_CREATE:
		intent->log->exists = is_there(judge, intent->name);
		intent->log->name = intent->name;
		break;
	case INTENT_REMOVE:
		if (!is_there(judge, intent->log->name))
			forget_log(intent->log);
		break;
	case INTENT_RENAME:
		if (is_there(judge, intent->log->name))
			break;
		if (intent->other)
			forget_log(intent->other);
		intent->log->name = intent->name;
		break;
	}
	intent->kind = INTENT_NONE;
}

static void check_first(struct judge_log *log, const struct log_status *status)
{
	bool may_lose = log->judge->is_lossy && !log->judge->is_noted;

	judge_demand(log->judge,
		     status->first == log->first || status->first == log->first_maybe ||
			     (may_lose && status->first < log->first),
		     "a log begins elsewhere");
	log->first = log->first_maybe = status->first;
}

static void check_log(struct judge_log *log)
{
	struct judge *judge = log->judge;
	struct log_status status;
	int error = log_open(&log->log, judge->store, name_of(log->name), 0);

	judge_demand(judge, !error, "a log is gone");
	log_status(log->log, &status);
	/* Told once: later on recovery looks at the end of it alone. */
	log->is_damaged |= status.is_damaged;
	check_first(log, &status);
	judge_demand(judge, !status.is_damaged || judge->is_lossy,
		     "a log is said to be damaged that is not");
	judge_demand(judge, status.end >= log->noted_end || judge->is_lossy,
		     "what was there when the store was closed is gone");
	if (status.end < log->end) {
		judge_demand(judge, judge->is_lossy, "acknowledged records are gone");
		judge->lost += log->end - status.end;
		log->lost_end = log->end;
		log->end = status.end;
	} else if (status.end <= log->lost_end) {
		/* Reads went astray, twice; the records did not. */
		log->end = status.end;
	}
	read_log(log, log->first);
	if (judge->is_lossy)
		log->end = status.end;
	judge_demand(judge, log->end == status.end, "a log ends elsewhere");
	/* Those that are not there now never will. */
	while (log->appends) {
		struct judge_append *append = log->appends;

		log->torn[log->torn_count++ % JUDGE_TORN] = (struct judge_record){
			append->id, append->append.bytes};
		log->appends = append->next;
		free_append(append);
	}
}

/* Whether each name is that of a log that is to be there, and none is missing. */
static bool names_are_right(struct judge *judge)
{
	const struct judge_intent *intent = &judge->intent;
	unsigned int wanted = 0, count = 0;

	for (unsigned int i = 0; i < JUDGE_LOGS; i++) {
		struct judge_log *log = &judge->logs[i];
		bool is_at_stake = intent->kind != INTENT_NONE &&
				   (log == intent->log || log == intent->other);

		if (!log->exists || is_at_stake)
			continue;
		if (!is_there(judge, log->name))
			return false;
		wanted++;
	}
	log_each(judge->store, count_log, &count);
	switch (intent->kind) {
	case INTENT_NONE:
		return count == wanted;
	case INTENT_CREATE:
		return count == wanted + is_there(judge, intent->name);
	case INTENT_REMOVE:
		return count == wanted + is_there(judge, intent->log->name);
	case INTENT_RENAME:
		return is_there(judge, intent->log->name)
			       ? count == wanted + 1 + !!intent->other
			       : count == wanted + 1 && is_there(judge, intent->name);
	}
	return false;
}

/* The last change of the catalogue is gone without a trace, as one that was not acknowledged. */
static int give_up(struct judge *judge)
{
	log_store_close(judge->store);
	judge->store = NULL;
	judge->given_up++;
	return -ESTALE;
}

int judge_open(struct judge *judge)
{
	struct log_store_options options = options_of(judge);
	struct sim_disk_options *now = sim_disk_options(judge->disk), before = *now;
	int error = log_store_open(&judge->store, &options);

	judge->recoveries++;
	if (error) {
		judge->store = NULL;
		judge_demand(judge, judge->is_lossy || reads_can_fail(judge),
			     "a store cannot be opened");
		judge->refused++;
		return error;
	}
	*now = (struct sim_disk_options){.hook = now->hook,
					 .hook_context = now->hook_context,
					 .latency_ns = now->latency_ns,
					 .spread_ns = now->spread_ns,
					 .depth = now->depth,
					 .bytes_max = now->bytes_max,
					 .memory_alignment = now->memory_alignment,
					 .cache_blocks = now->cache_blocks,
					 .tear = now->tear,
					 .tear_bytes = now->tear_bytes,
					 .no_cache = now->no_cache};
	if (!names_are_right(judge)) {
		judge_demand(judge, judge->is_lossy && !judge->is_noted,
			     "there are other logs than there should be");
		return give_up(judge);
	}
	resolve(judge);
	for (unsigned int i = 0; i < JUDGE_LOGS; i++) {
		if (judge->logs[i].exists)
			check_log(&judge->logs[i]);
	}
	judge->is_noted = false;
	/* Mishaps of reads are for what comes now. */
	*now = before;
	return 0;
}

void judge_close(struct judge *judge)
{
	judge_settle(judge);
	for (unsigned int i = 0; i < JUDGE_LOGS; i++) {
		struct judge_log *log = &judge->logs[i];

		end_reading(log);
		if (log->log)
			log_close(log->log);
		log->log = NULL;
	}
	if (judge->ghost)
		log_close(judge->ghost);
	judge->ghost = NULL;
	judge->is_noted = judge->store != NULL;
	if (judge->store)
		log_store_close(judge->store);
	judge->store = NULL;
	/* Whether the ends were noted when writes fail, nobody knows. */
	judge->is_noted &= !writes_can_fail(judge);
	if (!judge->is_noted)
		return;
	for (unsigned int i = 0; i < JUDGE_LOGS; i++)
		judge->logs[i].noted_end = judge->logs[i].end;
}

/* ---- What happens ---- */

/* A change of names that cannot be told from outside whether it happened, if it failed. */
static bool is_uncertain(int error)
{
	return error == -EIO || error == -ENODEV || error == -ETIMEDOUT;
}

/* Only the first one that fails can be on the medium: nothing is tried behind it. */
static void note(struct judge *judge, int error, struct judge_intent intent)
{
	judge_demand(judge, is_uncertain(error) ? writes_can_fail(judge) : error == -ENOSPC,
		     "a change of names fails");
	if (is_uncertain(error) && judge->intent.kind == INTENT_NONE)
		judge->intent = intent;
}

/* On a disk that loses changes no name is used again: contents would not tell whose they are. */
static unsigned int some_name(struct judge *judge)
{
	return judge->is_lossy ? judge->next_name++ : draw(judge, JUDGE_NAMES);
}

static unsigned int free_name(struct judge *judge)
{
	unsigned int name;

	do
		name = some_name(judge);
	while (log_of(judge, name));
	return name;
}

struct judge_log *judge_create(struct judge *judge)
{
	struct judge_log *log = judge->logs;
	unsigned int name;
	int error;

	while (log < judge->logs + JUDGE_LOGS && log->exists)
		log++;
	if (log == judge->logs + JUDGE_LOGS || judge->intent.kind != INTENT_NONE)
		return NULL;
	name = free_name(judge);
	error = log_open(&log->log, judge->store, name_of(name), LOG_CREATE | LOG_EXCLUSIVE);
	if (error) {
		log->log = NULL;
		note(judge, error, (struct judge_intent){INTENT_CREATE, log, NULL, name});
		return NULL;
	}
	log->name = name;
	log->exists = true;
	return log;
}

static void let_go(struct judge *judge, struct judge_log *log)
{
	if (!judge->ghost && draw(judge, 2))
		judge->ghost = log->log;
	else
		log_close(log->log);
	log->log = NULL;
	forget_log(log);
}

static void remove_log(struct judge *judge, struct judge_log *log)
{
	int error;

	if (judge->intent.kind != INTENT_NONE)
		return;
	settle(log);
	end_reading(log);
	error = log_remove(judge->store, name_of(log->name));
	if (error)
		note(judge, error, (struct judge_intent){INTENT_REMOVE, log, NULL, 0});
	else
		let_go(judge, log);
}

void judge_rename(struct judge *judge, struct judge_log *log, unsigned int name)
{
	struct judge_log *other = log_of(judge, name);
	int error;

	if (judge->intent.kind != INTENT_NONE || other == log)
		return;
	if (other) {
		settle(other);
		end_reading(other);
	}
	error = log_rename(judge->store, name_of(log->name), name_of(name));
	if (error) {
		note(judge, error, (struct judge_intent){INTENT_RENAME, log, other, name});
		return;
	}
	if (other)
		let_go(judge, other);
	log->name = name;
}

void judge_truncate(struct judge_log *log, uint64_t first)
{
	struct judge *judge = log->judge;
	int error;

	if (log->first_maybe != log->first || first < log->first)
		return;
	log->first_maybe = first;
	error = log_truncate(log->log, first);
	judge_demand(judge, !error || (is_uncertain(error) && writes_can_fail(judge)),
		     "a truncation fails");
	if (!error)
		log->first = first;
}

static uint32_t some_bytes(struct judge *judge)
{
	switch (draw(judge, judge->no_huge ? 15 : 16)) {
	case 0:
		return 0;
	case 1 ... 7:
		return draw(judge, 100);
	case 8 ... 11:
		return draw(judge, 3000);
	case 12:
	case 13:
		return 512 * draw(judge, 20);
	case 14:
		return draw(judge, 30000);
	default:
		return draw(judge, 200000);
	}
}

static void append_some(struct judge *judge, struct judge_log *log)
{
	for (uint64_t count = 1 + draw(judge, 6); count > 0; count--)
		judge_append(log, some_bytes(judge));
}

static void cancel_one(struct judge *judge, struct judge_log *log)
{
	uint64_t skip = draw(judge, 4);
	struct judge_append *append = log->appends;
	int error;

	while (append && (append->is_done || skip-- > 0))
		append = append->next;
	if (!append)
		return;
	error = log_append_cancel(log->log, &append->append);
	judge_demand(judge, error == 0 || error == -EBUSY, "a cancel fails");
}

static void read_near(struct judge *judge, struct judge_log *log)
{
	uint64_t from = log->first + draw(judge, log->end - log->first + 1);

	if (!reads_can_fail(judge) && !is_waiting(log))
		read_log(log, from);
}

static void some_turns(struct judge *judge)
{
	for (uint64_t turns = draw(judge, 4); turns > 0; turns--)
		turn(judge);
}

void judge_act(struct judge *judge)
{
	struct judge_log *log = &judge->logs[draw(judge, JUDGE_LOGS)];
	uint64_t what = draw(judge, 100);

	if (judge->is_cut || judge->disk->failure)
		return;
	if (!log->exists) {
		judge_create(judge);
		return;
	}
	if (what < 34)
		append_some(judge, log);
	else if (what < 42)
		read_behind(log);
	else if (what < 55)
		some_turns(judge);
	else if (what < 70)
		settle(log);
	else if (what < 82)
		judge_truncate(log, log->end - draw(judge, log->end - log->first + 1) / 3);
	else if (what < 86)
		judge_rename(judge, log, some_name(judge));
	else if (what < 89)
		remove_log(judge, log);
	else if (what < 94)
		cancel_one(judge, log);
	else if (what < 96 && judge->ghost) {
		log_close(judge->ghost);
		judge->ghost = NULL;
	} else {
		read_near(judge, log);
	}
}
