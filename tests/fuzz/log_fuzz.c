/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for stores of logs on a disk whose bytes are anything. The first byte of the input
 * says which store it begins with and what is mended; then come edits of its bytes: two of the
 * block (in units of 512), one of the place in it (in units of 4), one of the length less one, and
 * the bytes. Then the checksums are mended, so that what they cover is looked at. The store is
 * opened, everything is read, appended to, dropped, and opened again.
 */
#include "wire_fuzz.h"

#include <errno.h>

#include "base/container.h"
#include "blkdev/sim.h"
#include "log/crc32c.h"
#include "log/store.h"

#define MEDIUM_BYTES (1u << 20)
#define UNIT_BYTES 512u
#define STORES 4u
#define LOGS_MAX 4u
#define MEND_PIECES 4u /* above the store's two bits: or those of the head alone */
#define WITHOUT_MENDING 8u
#define READ_ONLY 16u

static struct base {
	struct sim_medium *medium;
	struct superblock superblock;
	uint64_t region_salts[2];
	uint64_t salts[LOGS_MAX]; /* of the logs, by number */
} bases[STORES];

static struct heap *heap;
static struct sched sched;
static uint64_t now_ns;
static struct sim_medium *media[2]; /* by the size of their blocks */
static struct blkdev *disk;

static void wait(void *context)
{
	uint64_t next_ns = disk->ops->next_ns(disk);

	(void)context;
	now_ns = next_ns != UINT64_MAX && next_ns > now_ns ? next_ns : now_ns + 1000;
	blkdev_poll(disk, now_ns);
}

static struct log_store_options options_of(uint64_t seed)
{
	return (struct log_store_options){
		.device = disk,
		.heap = heap,
		.sched = &sched,
		.now_ns = &now_ns,
		.seed = seed,
		.wait = wait,
		.copy_max = 1024,
	};
}

static void plug(struct sim_medium *medium)
{
	const struct sim_disk_options options = {.seed = 1, .depth = 16, .cache_blocks = 16};

	must(sim_disk_create(&disk, medium, heap, &options) == 0);
}

/* ---- One at a time ---- */

struct push {
	struct log_append append;
	demi_sgaseg_t segment;
	int outcome;
};

static void push_done(struct log_append *append, int error)
{
	container_of(append, struct push, append)->outcome = error;
}

static int push(struct log *log, void *data, uint32_t bytes)
{
	struct push push = {.segment = {data, bytes}, .outcome = -EINPROGRESS};
	int error;

	push.append = (struct log_append){
		.segments = &push.segment, .segment_count = 1, .done = push_done};
	error = log_append(log, &push.append);
	while (!error && push.outcome == -EINPROGRESS) {
		wait(NULL);
		sched_poll(&sched, now_ns);
	}
	return error ? error : push.outcome;
}

struct pop {
	struct log_read read;
	struct buf *buf;
	int outcome;
};

static void pop_done(struct log_read *read, struct buf *buf, int error)
{
	struct pop *pop = container_of(read, struct pop, read);

	pop->buf = buf;
	pop->outcome = error;
}

static int pop(struct log_cursor *cursor, struct buf **buf_out)
{
	struct pop pop = {.read.done = pop_done, .outcome = -EINPROGRESS};

	must(log_read(cursor, &pop.read) == 0);
	while (pop.outcome == -EINPROGRESS) {
		wait(NULL);
		sched_poll(&sched, now_ns);
	}
	*buf_out = pop.buf;
	return pop.outcome;
}

/* ---- What it begins with ---- */

static void write_some(struct log_store *store, unsigned int number)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	static const uint32_t sizes[] = {1, 100, 3000, 70000, 0, 513, 2048};
	uint8_t *data = heap_alloc(heap, 70000);
	struct log *log;

	memset(data, 'x', 70000);
	for (unsigned int i = 0; i < 3; i++) {
		must(log_open(&log, store, names[i], LOG_CREATE) == 0);
		for (unsigned int j = 0; j < 7; j++)
			must(push(log, data, sizes[(i + j) % 7]) == 0);
		if (number >= 2)
			must(log_truncate(log, 4) == 0);
		log_close(log);
	}
	if (number >= 2)
		must(log_rename(store, "c", "d") == 0 && log_remove(store, "b") == 0);
	heap_free(heap, data);
}

static void make_base(struct base *base, unsigned int number)
{
	struct log_format_options format = {.seed = number};
	struct log_store_options options;
	struct log_store *store;
	uint8_t block[UNIT_BYTES];
	struct region region;

	must(sim_medium_create(&base->medium, MEDIUM_BYTES, number % 2 ? 4096 : 512) == 0);
	plug(base->medium);
	options = options_of(number);
	must(log_store_format(&options, &format) == 0);
	must(log_store_open(&store, &options) == 0);
	write_some(store, number);
	for (const struct log *log = store->logs; log; log = log->next)
		base->salts[log->id % LOGS_MAX] = log->stream.salt;
	base->superblock = store->superblock;
	log_store_close(store);
	blkdev_close(disk);
	for (uint64_t i = 0; i < 2; i++) {
		uint64_t at = (base->superblock.catalogue_block +
			       i * base->superblock.catalogue_blocks) *
			      base->superblock.block_bytes;

		sim_medium_read(base->medium, at, block, UNIT_BYTES);
		if (region_parse(&region, base->superblock.salt, block) == 0)
			base->region_salts[i] = region.salt;
	}
}

static void make_all(void)
{
	const struct heap_options options = {.bytes_max = 64u << 20,
					     .huge_pages = HEAP_HUGE_PAGES_OFF};

	must(heap_create(&heap, &options) == 0 && sched_init(&sched, 0) == 0);
	for (unsigned int i = 0; i < STORES; i++)
		make_base(&bases[i], i);
	for (unsigned int i = 0; i < 2; i++)
		must(sim_medium_create(&media[i], MEDIUM_BYTES, i ? 4096 : 512) == 0);
}

/* ---- Mending ---- */

NO_COVERAGE static void mend_sector(struct sim_medium *medium, uint64_t at, const uint64_t *salt)
{
	uint8_t bytes[UNIT_BYTES], seed[8];
	uint32_t crc = 0;

	sim_medium_read(medium, at, bytes, UNIT_BYTES);
	if (salt) {
		store_le64(seed, *salt);
		crc = crc32c(0, seed, sizeof(seed));
	}
	store_le32(bytes + UNIT_BYTES - 4, crc32c(crc, bytes, UNIT_BYTES - 4));
	sim_medium_write(medium, at, bytes, UNIT_BYTES);
}

NO_COVERAGE static void mend_pieces(uint8_t *head, size_t bytes, uint64_t salt)
{
	uint32_t count = load_le32(head + 36), offset = BATCH_HEADER_BYTES;
	uint32_t next = load_le32(head + 40);
	struct piece piece;

	for (uint32_t i = 0; i < count && offset + PIECE_BYTES <= bytes; i++) {
		uint32_t at = offset;

		if (load_le32(head + at + 8) > (bytes - at) / 4)
			return;
		offset = piece_parse(&piece, head, offset);
		/* Of small ones only. */
		if (next > bytes || piece.bytes > bytes - next || offset > bytes)
			return;
		store_le32(head + at + 4, crc32c(piece_seed(salt, load_le64(head + 16), i),
						 head + next, piece.bytes));
		next += piece.bytes;
	}
}

NO_COVERAGE static void mend_batch(struct sim_medium *medium, uint64_t at, uint64_t block,
				   uint64_t salt, bool with_pieces)
{
	static uint8_t head[16384];
	size_t bytes = MEDIUM_BYTES - at < sizeof(head) ? MEDIUM_BYTES - at : sizeof(head);
	uint32_t descriptor_bytes;
	uint8_t seed[16];

	sim_medium_read(medium, at, head, bytes);
	descriptor_bytes = load_le32(head + 40);
	if (descriptor_bytes < BATCH_HEADER_BYTES || descriptor_bytes > bytes)
		return;
	if (with_pieces)
		mend_pieces(head, bytes, salt);
	store_le64(seed, salt);
	store_le64(seed + 8, block);
	store_le32(head + 4, crc32c(crc32c(0, seed, 16), head + 8, descriptor_bytes - 8));
	sim_medium_write(medium, at, head, bytes);
}

NO_COVERAGE static void mend_all(const struct base *base, struct sim_medium *medium,
				 bool with_pieces)
{
	const struct superblock *superblock = &base->superblock;
	uint32_t block_bytes = superblock->block_bytes;
	uint8_t head[BATCH_HEADER_BYTES];

	mend_sector(medium, 0, NULL);
	for (uint64_t at = SUPERBLOCK_AREA_BYTES; at < MEDIUM_BYTES; at += block_bytes) {
		uint64_t block = at / block_bytes, region, salt;

		region = (block - superblock->catalogue_block) / superblock->catalogue_blocks;
		sim_medium_read(medium, at, head, sizeof(head));
		if (memcmp(head, "DEMICAT\n", 8) == 0)
			mend_sector(medium, at, &superblock->salt);
		if (memcmp(head, "DBAT", 4) != 0)
			continue;
		salt = region < 2 ? base->region_salts[region]
				  : base->salts[load_le32(head + 8) % LOGS_MAX];
		mend_batch(medium, at, block, salt, with_pieces);
	}
}

static void edit(struct sim_medium *medium, const uint8_t *data, size_t size)
{
	while (size > 4) {
		uint64_t at = (uint64_t)(data[0] | data[1] << 8) * UNIT_BYTES + (size_t)4 * data[2];
		size_t bytes = data[3] + 1u;

		data += 4;
		size -= 4;
		if (bytes > size)
			bytes = size;
		at %= MEDIUM_BYTES;
		if (bytes > MEDIUM_BYTES - at)
			bytes = MEDIUM_BYTES - at;
		sim_medium_write(medium, at, data, bytes);
		data += bytes;
		size -= bytes;
	}
}

/* ---- What is done with it ---- */

/*
 * @is_mended: somebody who knows the checksums wrote what is there. What was written now is still what
 * is read, but for records that have its numbers as well.
 */
static void use_log(struct log *log, bool is_mended)
{
	static uint8_t *data;
	struct log_cursor *cursor;
	struct log_status status;
	uint64_t reads = 0;
	struct buf *buf;
	int error;

	log_status(log, &status);
	must(status.first <= status.end);
	must(log_cursor_create(&cursor, log) == 0);
	while (log_cursor_record(cursor) < status.end && reads++ < 200) {
		uint64_t record = log_cursor_record(cursor);

		error = pop(cursor, &buf);
		must(error ? error == -EUCLEAN && !buf : buf != NULL);
		if (error)
			must(log_cursor_seek(cursor, record + 1) == 0);
		else
			must(buf->length <= LOG_RECORD_BYTES_MAX && buf_free(heap, buf) == 0);
	}
	if (!data)
		data = heap_alloc(heap, 5000);
	for (uint32_t bytes = 1; bytes <= 5000; bytes += 2499) {
		memset(data, (int)bytes, bytes);
		error = push(log, data, bytes);
		must(!error || error == -ENOSPC || error == -EROFS || error == -EIO ||
		     error == -ENOMEM);
		if (error)
			break;
		log_status(log, &status);
		must(log_cursor_seek(cursor, status.end - 1) == 0);
		error = pop(cursor, &buf);
		must(error == 0 || error == -EUCLEAN);
		if (error)
			continue;
		must(is_mended || (buf->length == bytes && memcmp(buf->data, data, bytes) == 0));
		must(buf->length <= LOG_RECORD_BYTES_MAX && buf_free(heap, buf) == 0);
	}
	log_status(log, &status);
	error = log_truncate(log, status.first + (status.end - status.first) / 2);
	must(!error || error == -EROFS || error == -EIO || error == -ENOSPC);
	log_cursor_destroy(cursor);
}

static void use_store(struct log_store *store, bool is_mended)
{
	static const char *const names[] = {"a", "b", "c", "d", "new"};
	struct log *log;

	for (unsigned int i = 0; i < 5; i++) {
		int error = log_open(&log, store, names[i], i == 4 ? LOG_CREATE : 0);

		must(!error || error == -ENOENT || error == -EROFS || error == -ENOSPC ||
		     error == -EIO);
		if (error)
			continue;
		use_log(log, is_mended);
		log_close(log);
	}
	log_rename(store, "new", "a");
	log_remove(store, "d");
}

/* ---- What is tried next ---- */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

/* The next unit from @unit on, around the medium, with the header of a batch. */
NO_COVERAGE static uint64_t find_batch(const struct sim_medium *medium, uint64_t unit)
{
	uint64_t units = MEDIUM_BYTES / UNIT_BYTES;
	uint8_t magic[4];

	for (uint64_t i = 0; i < units; i++, unit++) {
		sim_medium_read(medium, unit % units * UNIT_BYTES, magic, sizeof(magic));
		if (memcmp(magic, "DBAT", 4) == 0)
			break;
	}
	return unit % units;
}

/*
 * Half of the time what a fuzzer does with bytes; else one more edit, of a field in the header of some
 * batch, to something near what it is: numbers that are almost right are what chance does not find.
 */
NO_COVERAGE size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
					   unsigned int seed)
{
	const uint64_t random = (seed + 1) * 0x9e3779b97f4a7c15u;
	const struct sim_medium *medium;
	uint64_t unit, value = 0;
	uint8_t field = (uint8_t)(8 + 4 * (random >> 20) % 48);

	if (!heap)
		make_all();
	if (size == 0 || size + 12 > max_size || random >> 63)
		return LLVMFuzzerMutate(data, size, max_size);
	medium = bases[data[0] % STORES].medium;
	unit = find_batch(medium, random >> 40);
	sim_medium_read(medium, unit * UNIT_BYTES + field, (uint8_t *)&value, 4);
	value += (random >> 32) % 9 - 4;
	data[size] = (uint8_t)unit;
	data[size + 1] = (uint8_t)(unit >> 8);
	data[size + 2] = field / 4;
	data[size + 3] = 3;
	store_le32(data + size + 4, (uint32_t)value);
	return size + 8;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct base *base;
	struct sim_medium *medium;

	if (!heap)
		make_all();
	if (size == 0)
		return 0;
	base = &bases[data[0] % STORES];
	medium = media[data[0] % 2];
	sim_medium_copy(medium, base->medium);
	edit(medium, data + 1, size - 1);
	if (!(data[0] & WITHOUT_MENDING))
		mend_all(base, medium, data[0] & MEND_PIECES);
	plug(medium);
	for (uint64_t round = 0; round < 2; round++) {
		struct log_store_options options = options_of(100 + round);
		struct log_store *store;

		options.read_only = data[0] & READ_ONLY;
		if (log_store_open(&store, &options) != 0)
			break;
		use_store(store, !(data[0] & WITHOUT_MENDING));
		log_store_close(store);
	}
	blkdev_close(disk);
	return 0;
}
