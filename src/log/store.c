/* SPDX-License-Identifier: MIT */
/* The store of one device: made, opened, closed; and how its calls wait. */
#include "log/store.h"

#include <errno.h>
#include <stdlib.h>

#include "base/container.h"
#include "base/log.h"

/* ---- Streams with something to write ---- */

void store_mark_dirty(struct log_store *store, struct stream *stream)
{
	if (stream->is_dirty)
		return;
	stream->is_dirty = true;
	stream->next_dirty = NULL;
	*store->dirty_end = stream;
	store->dirty_end = &stream->next_dirty;
	if (store->has_writer)
		sched_wake(store->sched, &store->writer);
}

static struct stream *take_dirty(struct log_store *store)
{
	struct stream *stream = store->dirty;

	if (!stream)
		return NULL;
	store->dirty = stream->next_dirty;
	if (!store->dirty)
		store->dirty_end = &store->dirty;
	stream->is_dirty = false;
	return stream;
}

void store_forget_stream(struct log_store *store, struct stream *stream)
{
	struct stream **link = &store->dirty;

	if (!stream->is_dirty)
		return;
	while (*link != stream)
		link = &(*link)->next_dirty;
	*link = stream->next_dirty;
	if (store->dirty_end == &stream->next_dirty)
		store->dirty_end = link;
	stream->is_dirty = false;
}

/*
 * As many as there are: one that the device has no room for is dirty again. Any of them may go
 * meanwhile, when who is told of its records closes it.
 */
static void write_dirty(struct log_store *store)
{
	unsigned int count = 0;
	struct stream *stream;

	for (stream = store->dirty; stream; stream = stream->next_dirty)
		count++;
	for (; count > 0 && (stream = take_dirty(store)); count--)
		stream_write(stream);
}

void store_retry(struct log_store *store, struct retry *retry, struct blk_request *request)
{
	*retry = (struct retry){store->retries, request};
	store->retries = retry;
	if (store->has_writer)
		sched_wake(store->sched, &store->writer);
}

static void submit_retries(struct log_store *store)
{
	struct retry *retry = store->retries;

	store->retries = NULL;
	while (retry) {
		struct retry *next = retry->next;
		int error = blkdev_submit(store->device, retry->request, *store->now_ns);

		if (error == -EAGAIN)
			store_retry(store, retry, retry->request);
		else if (error)
			retry->request->done(retry->request, error);
		retry = next;
	}
}

static enum coroutine_step run_writer(struct coroutine *self, uint64_t now_ns)
{
	struct log_store *store = container_of(self, struct log_store, writer);

	(void)now_ns;
	submit_retries(store);
	write_dirty(store);
	return store->dirty || store->retries ? COROUTINE_STEP_YIELD : COROUTINE_STEP_BLOCK;
}

void store_wait(struct log_store *store)
{
	submit_retries(store);
	write_dirty(store);
	store->wait(store->wait_context);
}

/* ---- One request at a time ---- */

struct waiter {
	struct blk_request request;
	int outcome;
};

static void io_done(struct blk_request *request, int error)
{
	container_of(request, struct waiter, request)->outcome = error;
}

int store_io(struct log_store *store, enum blk_operation operation, uint64_t block, void *memory,
	     uint32_t blocks)
{
	struct iovec iov = {memory, (size_t)blocks * store->block_bytes};
	struct waiter waiter = {
		.request =
			{
				.operation = (uint8_t)operation,
				.durable = operation == BLK_WRITE,
				.segment_count = memory ? 1 : 0,
				.block_count = blocks,
				.block = block,
				.segments = memory ? &iov : NULL,
				.done = io_done,
			},
		.outcome = -EINPROGRESS,
	};
	int error;

	while ((error = blkdev_submit(store->device, &waiter.request, *store->now_ns)) == -EAGAIN)
		store->wait(store->wait_context);
	if (error)
		return error;
	while (waiter.outcome == -EINPROGRESS)
		store->wait(store->wait_context);
	return waiter.outcome;
}

/* Numbers that look random, the same for the same ones: splitmix64. */
uint64_t store_salt(struct log_store *store)
{
	uint64_t value = store->random += 0x9e3779b97f4a7c15;

	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

/* ---- Making one ---- */

static int init(struct log_store *store, const struct log_store_options *options)
{
	*store = (struct log_store){
		.device = options->device,
		.heap = options->heap,
		.sched = options->sched,
		.now_ns = options->now_ns,
		.wait = options->wait,
		.wait_context = options->wait_context,
		.random = options->seed,
		.copy_max = options->copy_max,
		.block_bytes = options->device->caps.block_bytes,
		.read_only = options->read_only || options->device->caps.read_only,
		.trim = options->trim && options->device->caps.trim,
	};
	store->dirty_end = &store->dirty;
	store->scratch = heap_alloc_aligned(store->heap, 4096, BATCH_HEAD_BYTES_MAX);
	return store->scratch ? 0 : -ENOMEM;
}

static void fini(struct log_store *store)
{
	if (store->has_writer)
		sched_remove(store->sched, &store->writer);
	while (store->logs)
		store_drop_log(store->logs);
	catalogue_fini(&store->catalogue);
	segments_fini(&store->segments);
	if (store->scratch)
		heap_free(store->heap, store->scratch);
}

static bool is_blank(const uint8_t *bytes, size_t count)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, count - 1) == 0;
}

static int check_blank(struct log_store *store)
{
	int error = store_io(store, BLK_READ, 0, store->scratch,
			     SUPERBLOCK_AREA_BYTES / store->block_bytes);

	if (error) {
		log_error("%s: cannot read: %s", store->device->name, strerror(-error));
		return error;
	}
	if (is_blank(store->scratch, SUPERBLOCK_AREA_BYTES))
		return 0;
	log_error("%s: there is something on it; to lose that and make a store of logs of it: "
		  "demi log format --overwrite",
		  store->device->name);
	return -EEXIST;
}

static int plan(const struct log_store *store, struct superblock *superblock,
		const struct log_format_options *format)
{
	const struct blkdev *device = store->device;
	int error = superblock_plan(superblock, store->block_bytes, device->caps.block_count,
				    format->segment_bytes);

	if (error == -EINVAL)
		log_error("%s: segments of %u bytes: give a power of two from %u to %u",
			  device->name, format->segment_bytes, SEGMENT_BYTES_MIN,
			  SEGMENT_BYTES_MAX);
	else if (error)
		log_error("%s: too small, %llu KiB, for a store of logs; it takes %llu KiB, and "
			  "%u segments",
			  device->name,
			  (unsigned long long)(device->caps.block_count * store->block_bytes >> 10),
			  (unsigned long long)(superblock_bytes_min(store->block_bytes) >> 10),
			  SEGMENTS_MIN);
	return error;
}

/* One block whose start is what the scratch has, and zeroes. */
static int write_sector(struct log_store *store, uint64_t block, size_t used)
{
	memset(store->scratch + used, 0, store->block_bytes - used);
	return store_io(store, BLK_WRITE, block, store->scratch, 1);
}

/* The superblock last: until it is there the device has no store, or none any more. */
static int write_format(struct log_store *store)
{
	const struct superblock *superblock = &store->superblock;
	int error = write_sector(store, 0, 0);

	if (!error)
		error = write_sector(store, catalogue_region(store, 2), 0);
	/* What follows the header may be an older store's, but has not its salt. */
	region_emit(&(struct region){1, store_salt(store)}, superblock->salt, store->scratch);
	if (!error)
		error = write_sector(store, catalogue_region(store, 1), REGION_HEADER_BYTES);
	superblock_emit(superblock, store->scratch);
	if (!error)
		error = write_sector(store, SUPERBLOCK_COPY_OFFSET / store->block_bytes,
				     SUPERBLOCK_BYTES);
	if (!error)
		error = write_sector(store, 0, SUPERBLOCK_BYTES);
	if (error)
		log_error("%s: cannot write: %s", store->device->name, strerror(-error));
	return error;
}

int log_store_format(const struct log_store_options *options,
		     const struct log_format_options *format)
{
	struct log_store *store = calloc(1, sizeof(*store));
	int error = store ? init(store, options) : -ENOMEM;

	if (!error && store->read_only) {
		log_error("%s: it can only be read", options->device->name);
		error = -EROFS;
	}
	if (!error && !format->overwrite)
		error = check_blank(store);
	if (!error)
		error = plan(store, &store->superblock, format);
	if (!error) {
		store->random ^= format->seed;
		store->superblock.salt = store_salt(store);
		error = write_format(store);
	}
	if (store)
		fini(store);
	free(store);
	return error;
}

/* ---- Opening one ---- */

static int complain_superblock(const struct log_store *store, int error)
{
	const char *name = store->device->name;

	if (error == -EPROTONOSUPPORT) {
		log_error("%s: its store of logs has format %u, this program knows %u; use a newer "
			  "one",
			  name, store->superblock.version, FORMAT_VERSION);
		return -EMEDIUMTYPE;
	}
	if (error == -EMEDIUMTYPE)
		log_error("%s: there is something else on it than a store of logs; to lose that "
			  "and make one: demi log format --overwrite",
			  name);
	else if (error == -EUCLEAN)
		log_error("%s: its superblock and the copy of it are damaged, so nothing on it can "
			  "be found; to lose it and make a new store: demi log format --overwrite",
			  name);
	else if (error && error != -ENODATA)
		log_error("%s: cannot read: %s", name, strerror(-error));
	return error;
}

/* The area of the superblock; its blocks one by one where one cannot be read, which is all 0xff. */
static int read_area(struct log_store *store)
{
	uint32_t blocks = SUPERBLOCK_AREA_BYTES / store->block_bytes;
	int error = store_io(store, BLK_READ, 0, store->scratch, blocks);

	for (uint32_t i = 0; i < blocks && (i > 0 || error == -EIO); i++) {
		uint8_t *to = store->scratch + (size_t)i * store->block_bytes;

		error = store_io(store, BLK_READ, i, to, 1);
		if (error == -EIO)
			memset(to, 0xff, store->block_bytes);
		else if (error)
			break;
		error = 0;
	}
	return error;
}

/* The first one, or its copy when that is not what it should be. */
static int read_superblock(struct log_store *store)
{
	struct superblock copy;
	int error, copy_error;

	error = read_area(store);
	if (error)
		return complain_superblock(store, error);
	error = superblock_parse(&store->superblock, store->scratch);
	copy_error = superblock_parse(&copy, store->scratch + SUPERBLOCK_COPY_OFFSET);
	if (error == -ENODATA && !is_blank(store->scratch, SUPERBLOCK_AREA_BYTES))
		error = -EMEDIUMTYPE;
	/* While it is formatted the first one is blank: then there is no store yet. */
	if ((error == -EUCLEAN || error == -EMEDIUMTYPE) && copy_error == 0 &&
	    !is_blank(store->scratch, SUPERBLOCK_BYTES)) {
		log_warning("%s: the superblock is damaged, its copy is used", store->device->name);
		store->superblock = copy;
		error = 0;
	}
	return error ? complain_superblock(store, error) : 0;
}

static int check_geometry(const struct log_store *store)
{
	const struct superblock *superblock = &store->superblock;
	const struct blkdev *device = store->device;

	if (superblock->block_bytes != store->block_bytes) {
		log_error("%s: it has blocks of %u bytes, the store of logs on it was made for %u; "
			  "format the device as it was, or see block= of a file",
			  device->name, store->block_bytes, superblock->block_bytes);
		return -EMEDIUMTYPE;
	}
	if (superblock->block_count > device->caps.block_count) {
		log_error(
			"%s: it has %llu blocks, the store of logs on it was made for %llu; a part "
			"is missing",
			device->name, (unsigned long long)device->caps.block_count,
			(unsigned long long)superblock->block_count);
		return -EMEDIUMTYPE;
	}
	return 0;
}

static int recover(struct log_store *store)
{
	int error = read_superblock(store);

	if (!error)
		error = check_geometry(store);
	/* What is read from here on may be only in the device's cache, and counts from now on. */
	if (!error && store->device->caps.volatile_cache && !store->read_only) {
		error = store_io(store, BLK_FLUSH, 0, NULL, 0);
		if (error)
			log_error("%s: cannot flush: %s", store->device->name, strerror(-error));
	}
	if (!error)
		error = segments_init(&store->segments, store, store->superblock.segment_count);
	if (!error)
		error = recover_catalogue(store);
	if (!error)
		error = recover_logs(store);
	return error;
}

int log_store_open(struct log_store **store_out, const struct log_store_options *options)
{
	struct log_store *store = calloc(1, sizeof(*store));
	int error = store ? init(store, options) : -ENOMEM;

	if (!error)
		error = recover(store);
	if (!error) {
		uint64_t start;

		/* Other salts than when it was opened before, even by the same seed. */
		store->random ^= *store->now_ns << 20 ^
				 (uint64_t)store->catalogue.stream.previous << 32 ^
				 store->catalogue.stream.next_sequence;
		start = store_salt(store) % store->superblock.segment_count;
		segments_settle(&store->segments, (uint32_t)start);
		error = sched_spawn(store->sched, &store->writer, run_writer);
		store->has_writer = !error;
	}
	if (error) {
		if (store)
			fini(store);
		free(store);
		return error;
	}
	*store_out = store;
	return 0;
}

/* ---- Closing it ---- */

static bool is_idle(const struct log_store *store)
{
	if (!stream_is_idle(&store->catalogue.stream) || store->segments.is_trimming)
		return false;
	for (const struct log *log = store->logs; log; log = log->next)
		if (!stream_is_idle(&log->stream) || log->reads > 0)
			return false;
	return true;
}

/* Where each log ends. That it cannot be written is no loss but of a later check. */
static void note_ends(struct log_store *store)
{
	struct change change;
	int error = 0;

	if (store->read_only || store->catalogue.stream.failure || store->device->failure)
		return;
	for (const struct log *log = store->logs; log && !error; log = log->next) {
		const struct position end = {
			.next_sequence = log->stream.next_sequence,
			.next_record = log->stream.next_record,
			.previous = log->stream.previous,
		};

		/* One that was removed and is still open goes now. */
		if (!log->name[0])
			continue;
		change_closed(&change, log->id, &end);
		error = catalogue_change(store, &change);
	}
	change_clean(&change);
	if (!error)
		catalogue_change(store, &change);
}

void log_store_close(struct log_store *store)
{
	/* A device that is gone ends all of it, too, and has our memory until then. */
	while (!is_idle(store))
		store_wait(store);
	note_ends(store);
	fini(store);
	free(store);
}

void log_store_forget(struct log_store *store)
{
	/* The heap is the parent's, and the device too: only what malloc gave is ours. */
	while (store->logs) {
		struct log *log = store->logs;

		store->logs = log->next;
		free(log->segments);
		free(log);
	}
	free(store->catalogue.snapshot.changes);
	segments_fini(&store->segments);
	free(store);
}

void log_store_status(const struct log_store *store, struct log_store_status *status)
{
	*status = (struct log_store_status){
		.segments = store->superblock.segment_count,
		.segments_free = store->segments.free_count + store->segments.waiting,
		.segment_bytes = store->superblock.segment_blocks * store->block_bytes,
		.block_bytes = store->block_bytes,
		.logs = store->log_count,
		.version = store->superblock.version,
		.was_clean = store->was_clean,
	};
	for (const struct log *log = store->logs; log; log = log->next)
		status->logs_damaged += log->is_damaged;
}

const struct log_counters *log_store_counters(const struct log_store *store)
{
	return &store->counters;
}

void log_tell(const struct log_store *store, figure_fn *tell, void *context)
{
	const struct log_counters *counters = &store->counters;

	tell(context, "log", "appends", NULL, counters->appends);
	tell(context, "log", "append_bytes", NULL, counters->append_bytes);
	tell(context, "log", "append_errors", NULL, counters->append_errors);
	tell(context, "log", "batches", NULL, counters->batches);
	tell(context, "log", "batch_bytes", NULL, counters->batch_bytes);
	tell(context, "log", "inline_bytes", NULL, counters->inline_bytes);
	tell(context, "log", "copied_bytes", NULL, counters->copied_bytes);
	tell(context, "log", "catalogue_bytes", NULL, counters->catalogue_bytes);
	tell(context, "log", "reads", NULL, counters->reads);
	tell(context, "log", "read_bytes", NULL, counters->read_bytes);
	tell(context, "log", "damaged", NULL, counters->damaged);
}
