/* SPDX-License-Identifier: MIT */
/*
 * Recovery: from the bytes of a device to where its streams end. Nothing is written, so that a power
 * cut in the middle changes nothing.
 *
 * A stream has one batch under way at a time, so all but its last batch were durable: a batch that is
 * not what it should be is a torn write, and no more, when none of a later number follows. When one
 * does it is damage, and is told.
 */
#include <errno.h>

#include "base/log.h"
#include "log/crc32c.h"
#include "log/store.h"

/* ---- Reading, a piece of the device at a time ---- */

/* Of a chain of batches; and of each segment, of which there are many, to see its first one. */
#define LOOK_BYTES (32u << 10)
#define LOOK_FIRST 4096u

/*
 * At least @bytes (up to BATCH_HEAD_BYTES_MAX) from @block on, as far as @end reaches. Return: how
 * many are at hand, or -errno.
 */
static int64_t look(struct log_store *store, uint64_t block, uint64_t end, uint32_t bytes,
		    const uint8_t **at_out)
{
	uint32_t need = (bytes + store->block_bytes - 1) / store->block_bytes;
	uint32_t least = store->look_bytes / store->block_bytes;
	uint64_t left = end - block;
	int error;

	if (need > left)
		need = (uint32_t)left;
	if (block < store->scratch_block || block >= store->scratch_block + store->scratch_blocks ||
	    need > store->scratch_block + store->scratch_blocks - block) {
		store->scratch_blocks = 0;
		if (need < least)
			need = least;
		if (need > left)
			need = (uint32_t)left;
		error = store_io(store, BLK_READ, block, store->scratch, need);
		if (error)
			return error;
		store->scratch_block = block;
		store->scratch_blocks = need;
	}
	*at_out = store->scratch + (block - store->scratch_block) * store->block_bytes;
	return (int64_t)(store->scratch_block + store->scratch_blocks - block) * store->block_bytes;
}

/* The batch at a block; 0, -EUCLEAN: there is none; another -errno: the device. */
static int read_batch(struct stream *stream, uint64_t block, uint64_t end, struct batch *batch,
		      const uint8_t **head_out)
{
	struct log_store *store = stream->store;
	uint32_t need = BATCH_HEADER_BYTES;
	int error = -EAGAIN;

	const struct batch_place place = {block, end - block, stream->salt, stream->log,
					  store->block_bytes};

	while (error == -EAGAIN) {
		int64_t bytes;

		if (block >= end)
			return -EUCLEAN;
		bytes = look(store, block, end, need, head_out);
		if (bytes < 0)
			return (int)bytes;
		if (bytes < need)
			return -EUCLEAN;
		error = batch_parse(batch, *head_out, (size_t)bytes, &place, &need);
	}
	return error;
}

#define EIO_TRIES 4u

/*
 * The same; where a log has blocks that the device cannot read, however often and by whatever little
 * it is asked, there is none, either: one bad sector costs the records on it, not the store.
 */
static int try_batch(struct stream *stream, uint64_t block, uint64_t end, struct batch *batch,
		     const uint8_t **head_out)
{
	struct log_store *store = stream->store;
	uint32_t look_bytes = store->look_bytes;
	int error = read_batch(stream, block, end, batch, head_out);

	store->look_bytes = 0;
	for (unsigned int tries = 1; error == -EIO && tries < EIO_TRIES; tries++)
		error = read_batch(stream, block, end, batch, head_out);
	store->look_bytes = look_bytes;
	if (error != -EIO || stream->log == CATALOGUE_ID)
		return error;
	store->met_bad = true;
	return -EUCLEAN;
}

/*
 * The same, but that there is none is not believed at once: what ends a log is written over, and a
 * read may have gone astray.
 */
static int read_batch_twice(struct stream *stream, uint64_t block, uint64_t end,
			    struct batch *batch, const uint8_t **head_out)
{
	int error = try_batch(stream, block, end, batch, head_out);

	if (error != -EUCLEAN || block >= end)
		return error;
	stream->store->scratch_blocks = 0;
	return try_batch(stream, block, end, batch, head_out);
}

/* ---- The bytes of a batch ---- */

struct verifier {
	struct log_store *store;
	uint8_t *memory; /* BATCH_HEAD_BYTES_MAX in the heap */
	const uint8_t *next_inline;
	uint64_t next_run; /* block */
};

static int add_run(struct verifier *verifier, uint32_t bytes, uint32_t *crc)
{
	struct log_store *store = verifier->store;

	while (bytes > 0) {
		uint32_t part = bytes < BATCH_HEAD_BYTES_MAX ? bytes : BATCH_HEAD_BYTES_MAX;
		uint32_t blocks = part / store->block_bytes;
		int error = -EIO;

		for (unsigned int tries = 0; error == -EIO && tries < EIO_TRIES; tries++)
			error = store_io(store, BLK_READ, verifier->next_run, verifier->memory,
					 blocks);
		if (error)
			return error;
		*crc = crc32c(*crc, verifier->memory, part);
		verifier->next_run += blocks;
		bytes -= part;
	}
	return 0;
}

static int verify_piece(struct verifier *verifier, const struct piece *piece, uint32_t crc)
{
	int error = 0;

	for (uint32_t i = 0; i < piece->extent_count && !error; i++) {
		uint32_t extent = extent_at(piece, i), bytes = extent_bytes(extent);

		if (extent_is_run(extent)) {
			error = add_run(verifier, bytes, &crc);
		} else {
			crc = crc32c(crc, verifier->next_inline, bytes);
			verifier->next_inline += bytes;
		}
	}
	if (error)
		return error;
	return crc == piece->crc ? 0 : -EUCLEAN;
}

/* Whether all of a batch is on the medium; the head is in the scratch. */
static int verify_batch(struct stream *stream, uint64_t block, const struct batch *batch,
			const uint8_t *head)
{
	struct log_store *store = stream->store;
	struct verifier verifier = {
		.store = store,
		.next_inline = head + batch->descriptor_bytes,
		.next_run = block + batch_head_blocks(batch, store->block_bytes),
	};
	uint32_t offset = BATCH_HEADER_BYTES;
	struct piece piece;
	int error = 0;

	verifier.memory = heap_alloc_aligned(store->heap, 4096, BATCH_HEAD_BYTES_MAX);
	if (!verifier.memory)
		return -ENOMEM;
	for (uint32_t i = 0; i < batch->piece_count && !error; i++) {
		offset = piece_parse(&piece, head, offset);
		error = verify_piece(&verifier, &piece,
				     piece_seed(stream->salt, batch->sequence, i));
	}
	heap_free(store->heap, verifier.memory);
	return error;
}

/* ---- Chains of batches ---- */

static struct position position_of(const struct stream *stream)
{
	return (struct position){stream->next_sequence, stream->next_record, stream->block,
				 stream->blocks_left, stream->previous};
}

static void stand_at(struct stream *stream, const struct position *position)
{
	stream->next_sequence = position->next_sequence;
	stream->next_record = position->next_record;
	stream->block = position->block;
	stream->blocks_left = position->blocks_left;
	stream->previous = position->previous;
}

static uint64_t record_behind(const struct batch *batch)
{
	uint64_t starts = batch->piece_count - (batch->flags & BATCH_CONTINUES ? 1 : 0);

	return batch->first_record + starts - (batch->flags & BATCH_OPEN ? 1 : 0);
}

/*
 * Look for a batch of a later number than @sequence, where the one that is missing can have put it.
 * Return: 0 with its block; -ENODATA: there is none; the device's error.
 */
static int find_later(struct stream *stream, uint64_t block, uint64_t end, uint64_t sequence,
		      uint64_t *block_out)
{
	/* The largest batch, and the first block of the one behind it. */
	uint64_t reach = BATCH_BYTES_MAX / stream->store->block_bytes + 1;
	uint64_t last = end - block > reach ? block + reach : end;
	const uint8_t *head;
	struct batch batch;

	for (; block < end && block < last; block++) {
		int error = try_batch(stream, block, end, &batch, &head);

		if (!error && batch.sequence > sequence) {
			*block_out = block;
			return 0;
		}
		if (error && error != -EUCLEAN)
			return error;
	}
	return -ENODATA;
}

typedef int visit_batch(struct stream *stream, const struct batch *batch, const uint8_t *head);

/* Following a chain. */
struct walk {
	struct stream *stream;  /* stands behind the last batch */
	uint64_t block, end;    /* what is looked at next, and where the room ends */
	bool has_passed;        /* there is a last batch in this room */
	struct position before; /* of the last batch */
	uint64_t last_block;    /* where that one is */
	bool has_skipped;       /* batches in the middle are not what they should be */
	visit_batch *visit;     /* told of each; NULL: nobody is */
};

static int pass_batch(struct walk *walk, const struct batch *batch, const uint8_t *head)
{
	struct stream *stream = walk->stream;
	int error = walk->visit ? walk->visit(stream, batch, head) : 0;

	if (error)
		return error;
	walk->has_passed = true;
	walk->before = position_of(stream);
	walk->last_block = walk->block;
	walk->block += batch_blocks(batch, stream->store->block_bytes);
	stand_at(stream, &(struct position){
				 .next_sequence = batch->sequence + 1,
				 .next_record = record_behind(batch),
				 .block = walk->block,
				 .blocks_left = (uint32_t)(walk->end - walk->block),
				 .previous = batch->crc,
			 });
	return 0;
}

/* To the last batch of the room; 0 or -errno. */
static int follow(struct walk *walk)
{
	struct stream *stream = walk->stream;
	/* Number will do: after damage, or at the start of a segment. */
	bool any = walk->visit == NULL;

	for (;;) {
		uint64_t from = walk->block;
		const uint8_t *head;
		struct batch batch;
		int error = read_batch_twice(stream, from, walk->end, &batch, &head);

		/* An older one is of an earlier life of the segment. */
		if (!error && !any &&
		    (batch.sequence != stream->next_sequence || batch.previous != stream->previous))
			error = -EUCLEAN;
		any = false;
		if (!error) {
			error = pass_batch(walk, &batch, head);
			/* One that has a header and is not whole is not come back to. */
			from++;
		}
		if (!error)
			continue;
		if (error != -EUCLEAN)
			return error;
		error = find_later(stream, from, walk->end, stream->next_sequence, &walk->block);
		if (error)
			return error == -ENODATA ? 0 : error;
		walk->has_skipped = true;
		any = true;
	}
}

/* ---- The catalogue ---- */

static int apply_batch(struct stream *stream, const struct batch *batch, const uint8_t *head)
{
	const uint8_t *bytes = head + batch->descriptor_bytes;
	uint32_t offset = BATCH_HEADER_BYTES;
	struct piece piece;

	if (batch->flags || batch->run_blocks > 0)
		return -EUCLEAN;
	/* All of it first: a torn one means nothing. */
	for (uint32_t i = 0; i < batch->piece_count; i++) {
		offset = piece_parse(&piece, head, offset);
		if (piece.crc !=
		    crc32c(piece_seed(stream->salt, batch->sequence, i), bytes, piece.bytes))
			return -EUCLEAN;
		bytes += piece.bytes;
	}
	bytes = head + batch->descriptor_bytes;
	offset = BATCH_HEADER_BYTES;
	for (uint32_t i = 0; i < batch->piece_count; i++) {
		int error;

		offset = piece_parse(&piece, head, offset);
		error = catalogue_apply(stream->store, bytes, piece.bytes);
		/* It is whole and makes no sense: not torn, wrong. */
		if (error)
			return error == -EUCLEAN ? -EBADMSG : error;
		bytes += piece.bytes;
	}
	return 0;
}

/* Return: how many regions have a header, with the newest one's; or -errno. */
static int find_region(struct log_store *store, struct region *newest)
{
	struct region region;
	int count = 0;

	*newest = (struct region){.generation = 0};
	for (uint64_t number = 1; number <= 2; number++) {
		int error = store_io(store, BLK_READ, catalogue_region(store, number),
				     store->scratch, 1);

		if (error)
			return error;
		if (region_parse(&region, store->superblock.salt, store->scratch) != 0 ||
		    (region.generation & 1) != (number & 1))
			continue;
		count++;
		if (region.generation > newest->generation)
			*newest = region;
	}
	return count;
}

int recover_catalogue(struct log_store *store)
{
	struct stream *stream = &store->catalogue.stream;
	struct walk walk = {.stream = stream, .visit = apply_batch};
	struct region region;
	int count = find_region(store, &region), error = count < 0 ? count : 0;

	if (!error && region.generation == 0)
		error = -EUCLEAN;
	if (!error) {
		catalogue_begin(store, &region);
		walk.block = stream->block;
		walk.end = stream->block + stream->blocks_left;
		store->scratch_blocks = 0;
		store->look_bytes = LOOK_BYTES;
		error = follow(&walk);
	}
	if (walk.has_skipped || error == -EBADMSG)
		error = -EUCLEAN;
	if (!error && count == 2)
		catalogue_keep_old(&store->catalogue);
	if (error == -EUCLEAN)
		log_error(
			"%s: the catalogue of its logs is damaged; nothing is written to it; keep "
			"a copy of the device, and see demi log check",
			store->device->name);
	else if (error)
		log_error("%s: cannot read the catalogue of its logs: %s", store->device->name,
			  strerror(-error));
	return error;
}

/* ---- Logs ---- */

static uint64_t segment_end(const struct log_store *store, const struct log_segment *segment)
{
	return segment_block(store, segment->number) + store->superblock.segment_blocks;
}

/* Find the first batch of each segment. */
static int read_firsts(struct log *log)
{
	struct log_store *store = log->store;
	uint64_t last_sequence = 0;

	for (uint32_t i = 0; i < log->segment_count; i++) {
		struct log_segment *segment = &log->segments[i];
		uint64_t start = segment_block(store, segment->number), block = start;
		const uint8_t *head;
		struct batch batch;
		int error;

		store->look_bytes = LOOK_FIRST;
		error = read_batch_twice(&log->stream, start, segment_end(store, segment), &batch,
					 &head);
		store->look_bytes = LOOK_BYTES;
		if (error == -EUCLEAN || (!error && batch.sequence <= last_sequence))
			error = find_later(&log->stream, start, segment_end(store, segment),
					   last_sequence, &block);
		if (error == -ENODATA)
			continue;
		if (!error)
			error = try_batch(&log->stream, block, segment_end(store, segment), &batch,
					  &head);
		if (error)
			return error;
		segment->is_used = true;
		segment->skip = (uint32_t)(block - start);
		segment->first_record = batch.first_record;
		segment->first_sequence = batch.sequence;
		last_sequence = batch.sequence;
	}
	return 0;
}

/* The last segment below @below (NULL: of all) that has a batch; NULL: none has. */
static struct log_segment *last_used(const struct log *log, const struct log_segment *below)
{
	uint32_t index = below ? (uint32_t)(below - log->segments) : log->segment_count;

	while (index > 0)
		if (log->segments[--index].is_used)
			return &log->segments[index];
	return NULL;
}

static int follow_segment(struct walk *walk, struct log *log, const struct log_segment *segment)
{
	int error;

	walk->block = segment_block(log->store, segment->number) + segment->skip;
	walk->end = segment_end(log->store, segment);
	walk->has_passed = false;
	error = follow(walk);
	/* There was one when it was looked for. */
	return !error && !walk->has_passed ? -EIO : error;
}

/* Whether the last batch is not whole: 1, 0 or -errno. */
static int is_torn(struct walk *walk)
{
	struct stream *stream = walk->stream;
	int error = -EUCLEAN;

	for (unsigned int tries = 0; error == -EUCLEAN && tries < 2; tries++) {
		const uint8_t *head;
		struct batch batch;

		stream->store->scratch_blocks = 0;
		error = try_batch(stream, walk->last_block, walk->end, &batch, &head);
		if (!error)
			error = verify_batch(stream, walk->last_block, &batch, head);
	}
	stream->store->met_bad |= error == -EIO;
	return error == -EUCLEAN || error == -EIO ? 1 : error;
}

/*
 * Of two batches of one number one is what a power cut left, torn, before the log went on elsewhere:
 * the one at the end of the segment in front, which had no room for what was written next; or the
 * one at the start of the last segment, and what was written next went into the rest of the one
 * in front. Return: whether the last segment is the one that counts: 1, 0 or -errno.
 */
static int follows(struct walk *walk, const struct log_segment *last)
{
	struct stream *stream = walk->stream;
	int torn;

	if (last->first_sequence >= stream->next_sequence)
		return 1;
	if (last->first_sequence + 1 < stream->next_sequence)
		return 0;
	torn = is_torn(walk);
	if (torn > 0)
		stand_at(stream, &walk->before);
	return torn;
}

/*
 * To the log's last batch: through its last segment but one, since only the end of that tells
 * whether what the last one has is what follows, or is left from before. Return: 0 with that
 * segment, or -errno.
 */
static int find_end(struct walk *walk, struct log *log, struct log_segment **last_out)
{
	struct log_segment *last = last_used(log, NULL);
	struct log_segment *before = last ? last_used(log, last) : NULL;
	int error;

	*last_out = last;
	if (!last)
		return 0;
	if (before) {
		error = follow_segment(walk, log, before);
		if (!error)
			error = follows(walk, last);
		if (error < 0)
			return error;
		if (error == 0) {
			last->is_used = false;
			*last_out = before;
			return 0;
		}
		log->is_damaged |= last->first_sequence > log->stream.next_sequence;
	}
	return follow_segment(walk, log, last);
}

/* The last batch may be torn: then it is as if it had never been. */
static int check_last(struct walk *walk, struct log *log, struct log_segment **last)
{
	int torn = is_torn(walk);

	if (torn <= 0)
		return torn;
	stand_at(&log->stream, &walk->before);
	if (walk->last_block == segment_block(log->store, (*last)->number) + (*last)->skip) {
		(*last)->is_used = false;
		*last = last_used(log, *last);
	}
	return 0;
}

/*
 * A log without a batch: a new one, or one whose only batches are lost. A number that no batch of it
 * can have had keeps what follows apart from what is left of them.
 */
#define SEQUENCES_PER_RECORD 1024u

static void begin_anew(struct log *log)
{
	log->stream.next_sequence = 1 + log->first * SEQUENCES_PER_RECORD;
	log->stream.next_record = log->first;
	log->stream.previous = 0;
	log->stream.blocks_left = 0;
}

/* Segments in the middle without a batch are lost; those behind the end are spare. */
static void mark_segments(struct log *log, const struct log_segment *last)
{
	uint32_t used = last ? (uint32_t)(last - log->segments) + 1 : 0;

	log->spare = log->segment_count - used;
	for (uint32_t i = used; i-- > 0;) {
		struct log_segment *segment = &log->segments[i];

		log->is_damaged |= !segment->is_used || segment->skip > 0;
		if (!segment->is_used) {
			segment->first_record = segment[1].first_record;
			segment->first_sequence = segment[1].first_sequence;
		}
	}
}

/* What was durable when the store was closed is lost: the numbers go on behind it. */
static void check_closed(struct log *log)
{
	struct position end = log->closed;

	if (end.next_sequence <= log->stream.next_sequence &&
	    end.next_record <= log->stream.next_record)
		return;
	if (end.next_sequence < log->stream.next_sequence)
		end.next_sequence = log->stream.next_sequence;
	end.blocks_left = 0;
	stand_at(&log->stream, &end);
	log->is_damaged = true;
}

static int recover_log(struct log *log)
{
	struct walk walk = {.stream = &log->stream};
	struct log_segment *last = NULL;
	int error;

	log->store->met_bad = false;
	error = read_firsts(log);
	begin_anew(log);
	if (!error)
		error = find_end(&walk, log, &last);
	if (!error && last)
		error = check_last(&walk, log, &last);
	if (error)
		return error;
	log->is_damaged |= walk.has_skipped;
	if (!last) {
		begin_anew(log);
		/* What was dropped was followed by a batch. */
		log->is_damaged |= log->first > 0;
	}
	mark_segments(log, last);
	check_closed(log);
	if (log->store->met_bad) {
		/* Perhaps they will be read another time: nothing is written over them. */
		log->is_damaged = true;
		log->stream.blocks_left = 0;
	}
	if (log->stream.next_record < log->first)
		log->stream.next_record = log->first;
	return 0;
}

int recover_logs(struct log_store *store)
{
	for (struct log *log = store->logs; log; log = log->next) {
		int error = recover_log(log);

		if (error) {
			log_error("%s: cannot read log \"%s\": %s", store->device->name, log->name,
				  strerror(-error));
			return error;
		}
		store->was_clean &= log->closed.next_sequence == log->stream.next_sequence;
		if (log->is_damaged)
			log_warning(
				"%s: log \"%s\" is damaged: some of its records cannot be read; "
				"demi log check tells which",
				store->device->name, log->name);
	}
	return 0;
}
