/* SPDX-License-Identifier: MIT */
/*
 * A block device under test: opened by its name, used as the command line says, looked at from
 * within. Says what it has found, in lines of "key value"; exit status 1 when something was wrong.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "blkdev/blkdev.h"
#include "blkdev/nvme.h"

#define HEAP_BYTES (256ull << 20)
#define TRANSFERS_MAX 256u
#define BLOCKS_MAX 16384u /* of the device that are used, from its first */
#define PAGE_BYTES 4096u
#define STALL_TRIES 6u
#define STALL_NS (NS_PER_S / 2)

static const char usage[] =
	"usage: blk-probe DEVICE COMMAND\n"
	"  info               what it can do\n"
	"  health             what the drive says of itself\n"
	"  random SEED COUNT  writes, reads, trims and flushes of random shape, verified; then what\n"
	"                     is there is verified once more, after the device was opened again\n"
	"  full               as many requests as it takes, and one more\n"
	"  stall              likewise, and then one alone, until one goes well\n"
	"  read BLOCK COUNT   reads so many times, one block; tells the errors\n"
	"  write BLOCK COUNT  likewise, durably\n"
	"  hold               has it until its input ends\n"
	"  last SECONDS       reads until it fails or the time is over\n";

struct transfer {
	struct blk_request request; /* first: what done gets is this */
	struct iovec segments[BLK_SEGMENTS_MAX];
	unsigned char *memory; /* of the heap; random: bytes_max, and as much again for gaps */
	bool busy;
};

static struct {
	struct blkdev *device;
	struct heap *heap;
	struct config config;
	struct transfer transfers[TRANSFERS_MAX];
	uint32_t transfer_count;
	uint32_t versions[BLOCKS_MAX]; /* what each block has; 0: anything */
	bool used[BLOCKS_MAX];         /* by a request under way */
	uint32_t blocks;               /* of these two */
	uint32_t version;
	uint64_t random;
	uint64_t requests, mismatches;
	int error; /* the first that a request ended with */
} probe;

static uint32_t random_below(uint32_t bound)
{
	probe.random = probe.random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((probe.random >> 33) * bound >> 31);
}

static bool probe_open(const char *name)
{
	const struct blkdev_options options = {
		.heap = probe.heap, .config = &probe.config, .now_ns = clock_now_ns(), .seed = 1};
	int error = blkdev_open(&probe.device, name, &options);

	if (error) {
		printf("open %s\n", strerrorname_np(-error));
		return false;
	}
	return true;
}

static void make_transfers(uint32_t count, size_t bytes)
{
	probe.transfer_count = count < TRANSFERS_MAX ? count : TRANSFERS_MAX;
	for (uint32_t i = 0; i < probe.transfer_count; i++) {
		struct transfer *transfer = &probe.transfers[i];

		if (!transfer->memory)
			transfer->memory = heap_alloc_aligned(probe.heap, PAGE_BYTES, bytes);
		if (!transfer->memory)
			probe.transfer_count = i;
	}
}

/* ---- What blocks have ---- */

static uint64_t word_of(uint64_t block, uint32_t version, uint32_t at)
{
	return (block << 40 ^ (uint64_t)version << 12 ^ at) * 0x9e3779b97f4a7c15u;
}

static void fill_block(unsigned char *data, uint64_t block, uint32_t version)
{
	for (uint32_t at = 0; at < probe.device->caps.block_bytes / 8; at++) {
		uint64_t word = word_of(block, version, at);

		memcpy(data + (size_t)at * 8, &word, sizeof(word));
	}
}

static bool block_has(const unsigned char *data, uint64_t block, uint32_t version)
{
	for (uint32_t at = 0; at < probe.device->caps.block_bytes / 8; at++) {
		uint64_t word = word_of(block, version, at);

		if (memcmp(data + (size_t)at * 8, &word, sizeof(word)) != 0)
			return false;
	}
	return true;
}

/* Calls @visit with each block's memory. */
static void each_block(struct transfer *transfer,
		       void (*visit)(unsigned char *data, uint64_t block))
{
	uint64_t block = transfer->request.block;

	for (uint16_t i = 0; i < transfer->request.segment_count; i++) {
		const struct iovec *segment = &transfer->segments[i];

		for (size_t at = 0; at < segment->iov_len; at += probe.device->caps.block_bytes)
			visit((unsigned char *)segment->iov_base + at, block++);
	}
}

static void write_block(unsigned char *data, uint64_t block)
{
	probe.versions[block] = probe.version;
	fill_block(data, block, probe.version);
}

static void clear_block(unsigned char *data, uint64_t block)
{
	(void)block;
	memset(data, 0xee, probe.device->caps.block_bytes);
}

static void check_block(unsigned char *data, uint64_t block)
{
	if (probe.versions[block] == 0 || block_has(data, block, probe.versions[block]))
		return;
	if (probe.mismatches++ == 0)
		printf("mismatch at block %llu\n", (unsigned long long)block);
}

/* ---- Requests ---- */

static void done(struct blk_request *request, int error)
{
	struct transfer *transfer = (struct transfer *)(void *)request;

	transfer->busy = false;
	probe.requests++;
	if (error && !probe.error)
		probe.error = error;
	if (request->operation != BLK_FLUSH)
		memset(&probe.used[request->block], 0, request->block_count);
	if (request->operation == BLK_READ && !error)
		each_block(transfer, check_block);
}

static bool submit(struct transfer *transfer)
{
	int error;

	transfer->busy = true;
	transfer->request.done = done;
	error = blkdev_submit(probe.device, &transfer->request, clock_now_ns());
	if (!error)
		return true;
	transfer->busy = false;
	if (error != -EAGAIN && !probe.error)
		probe.error = error;
	return false;
}

static void drain(void)
{
	while (probe.device->under_way > 0)
		blkdev_poll(probe.device, clock_now_ns());
}

/*
 * Cuts the memory of a request into pieces: one behind the other, at pages, or anywhere that the
 * device can do with.
 */
static void shape(struct transfer *transfer, uint32_t blocks)
{
	uint32_t alignment = probe.device->caps.memory_alignment;
	uint32_t block_bytes = probe.device->caps.block_bytes;
	uint32_t way = random_below(4), pieces_max = 1 + random_below(BLK_SEGMENTS_MAX);
	unsigned char *at = transfer->memory;
	uint16_t count = 0;

	if (way >= 2)
		at += (size_t)random_below(PAGE_BYTES / alignment) * alignment;
	while (blocks > 0) {
		uint32_t piece = count + 1u == pieces_max ? blocks : 1 + random_below(blocks);

		if (way == 1 && piece < blocks && piece >= PAGE_BYTES / block_bytes)
			piece -= piece % (PAGE_BYTES / block_bytes);
		transfer->segments[count++] = (struct iovec){at, (size_t)piece * block_bytes};
		at += (size_t)piece * block_bytes;
		blocks -= piece;
		if (way == 1)
			at += -(uintptr_t)at % PAGE_BYTES + (size_t)PAGE_BYTES * random_below(2);
		else if (way == 3)
			at += (size_t)random_below(1000) * alignment % PAGE_BYTES;
	}
	transfer->request.segments = transfer->segments;
	transfer->request.segment_count = count;
}

/* A range that no request under way has. */
static bool choose_range(struct blk_request *request)
{
	uint32_t blocks_max = probe.device->caps.bytes_max / probe.device->caps.block_bytes;
	uint32_t longest = random_below(4) == 0 ? blocks_max : 16;

	if (longest > probe.blocks)
		longest = probe.blocks;
	request->block_count = 1 + random_below(longest);
	request->block = random_below(probe.blocks - request->block_count + 1);
	for (uint32_t i = 0; i < request->block_count; i++) {
		if (probe.used[request->block + i])
			return false;
	}
	return true;
}

static void make_random(struct transfer *transfer)
{
	struct blk_request *request = &transfer->request;
	uint32_t what = random_below(100);

	*request = (struct blk_request){.operation = BLK_READ};
	if (what < 5) {
		request->operation = BLK_FLUSH;
		submit(transfer);
		return;
	}
	if (!choose_range(request))
		return;
	if (what < 10 && probe.device->caps.trim) {
		request->operation = BLK_TRIM;
		for (uint32_t i = 0; i < request->block_count; i++)
			probe.versions[request->block + i] = 0;
	} else {
		shape(transfer, request->block_count);
		request->operation = what < 55 ? BLK_WRITE : BLK_READ;
		request->durable = request->operation == BLK_WRITE && what < 20;
		probe.version++;
		each_block(transfer, request->operation == BLK_WRITE ? write_block : clear_block);
	}
	memset(&probe.used[request->block], 1, request->block_count);
	if (!submit(transfer))
		memset(&probe.used[request->block], 0, request->block_count);
}

static int fails(void)
{
	printf("requests %llu\nmismatches %llu\nerror %s\n", (unsigned long long)probe.requests,
	       (unsigned long long)probe.mismatches,
	       probe.error ? strerrorname_np(-probe.error) : "0");
	return probe.mismatches > 0 || probe.error;
}

/* ---- Commands ---- */

static void verify_all(void)
{
	struct transfer *transfer = &probe.transfers[0];

	for (uint32_t block = 0; block < probe.blocks; block++) {
		transfer->segments[0] = (struct iovec){transfer->memory,
						       probe.device->caps.block_bytes};
		transfer->request = (struct blk_request){.operation = BLK_READ,
							 .segment_count = 1,
							 .block = block,
							 .block_count = 1,
							 .segments = transfer->segments};
		submit(transfer);
		drain();
	}
}

static void tell_figure(void *context, const char *part, const char *name, const char *detail,
			uint64_t value)
{
	(void)context;
	(void)detail;
	printf("%s.%s %llu\n", part, name, (unsigned long long)value);
}

static int random_command(const char *name, uint64_t seed, uint64_t count)
{
	const struct blkdev_caps *caps = &probe.device->caps;

	probe.random = seed;
	probe.blocks = caps->block_count < BLOCKS_MAX ? (uint32_t)caps->block_count : BLOCKS_MAX;
	make_transfers(32, 2 * (size_t)caps->bytes_max);
	while (probe.requests < count && !probe.error) {
		for (uint32_t i = 0; i < probe.transfer_count; i++) {
			if (!probe.transfers[i].busy)
				make_random(&probe.transfers[i]);
		}
		blkdev_poll(probe.device, clock_now_ns());
	}
	drain();
	blkdev_tell(probe.device, tell_figure, NULL);
	blkdev_close(probe.device);
	probe.device = NULL;
	if (!probe_open(name))
		return 1;
	verify_all();
	return fails();
}

static int full_command(void)
{
	uint32_t taken = 0;

	make_transfers(TRANSFERS_MAX, probe.device->caps.block_bytes);
	for (; taken < probe.transfer_count; taken++) {
		struct transfer *transfer = &probe.transfers[taken];

		transfer->segments[0] = (struct iovec){transfer->memory,
						       probe.device->caps.block_bytes};
		transfer->request = (struct blk_request){.operation = BLK_READ,
							 .segment_count = 1,
							 .block = taken,
							 .block_count = 1,
							 .segments = transfer->segments};
		if (!submit(transfer))
			break;
	}
	printf("taken %u\ndepth %u\n", taken, probe.device->caps.depth);
	drain();
	return fails();
}

static int one_block_command(uint8_t operation, uint64_t block, uint64_t count)
{
	uint64_t errors = 0;

	make_transfers(1, probe.device->caps.block_bytes);
	for (uint64_t i = 0; i < count; i++) {
		struct transfer *transfer = &probe.transfers[0];

		probe.error = 0;
		transfer->segments[0] = (struct iovec){transfer->memory,
						       probe.device->caps.block_bytes};
		fill_block(transfer->memory, block, 1);
		transfer->request = (struct blk_request){.operation = operation,
							 .durable = operation == BLK_WRITE,
							 .segment_count = 1,
							 .block = block,
							 .block_count = 1,
							 .segments = transfer->segments};
		submit(transfer);
		drain();
		printf("%s\n", probe.error ? strerrorname_np(-probe.error) : "ok");
		errors += probe.error != 0;
	}
	blkdev_tell(probe.device, tell_figure, NULL);
	return errors > 0;
}

/* Of a drive that is slower than its time-out. */
static int stall_command(void)
{
	full_command();
	blkdev_tell(probe.device, tell_figure, NULL);
	/* Its backlog takes time, and each try makes that longer. */
	for (unsigned int i = 0; i < STALL_TRIES; i++) {
		uint64_t end_ns = clock_now_ns() + (STALL_NS << i);

		while (clock_now_ns() < end_ns)
			blkdev_poll(probe.device, clock_now_ns());
		if (one_block_command(BLK_READ, 0, 1) == 0)
			return 0;
	}
	return 1;
}

static int last_command(uint64_t seconds)
{
	struct transfer *transfer = &probe.transfers[0];
	uint64_t end_ns = clock_now_ns() + seconds * NS_PER_S;

	make_transfers(1, probe.device->caps.block_bytes);
	printf("ready\n");
	fflush(stdout);
	while (!probe.error && clock_now_ns() < end_ns) {
		transfer->segments[0] = (struct iovec){transfer->memory,
						       probe.device->caps.block_bytes};
		transfer->request = (struct blk_request){.operation = BLK_READ,
							 .segment_count = 1,
							 .block_count = 1,
							 .segments = transfer->segments};
		submit(transfer);
		drain();
	}
	printf("failure %s\n",
	       probe.device->failure ? strerrorname_np(-probe.device->failure) : "0");
	blkdev_tell(probe.device, tell_figure, NULL);
	return fails();
}

static int info_command(void)
{
	const struct blkdev_caps *caps = &probe.device->caps;

	printf("block_count %llu\nblock_bytes %u\nmemory_alignment %u\nbytes_max %u\ndepth %u\n"
	       "volatile_cache %d\ntrim %d\nread_only %d\n",
	       (unsigned long long)caps->block_count, caps->block_bytes, caps->memory_alignment,
	       caps->bytes_max, caps->depth, caps->volatile_cache, caps->trim, caps->read_only);
	return 0;
}

static int health_command(void)
{
	struct nvme_health health;
	int error;

	if (strcmp(probe.device->ops->kind, "nvme") != 0) {
		printf("health ENOTSUP\n");
		return 1;
	}
	error = nvme_get_health(probe.device, &health);
	if (error) {
		printf("health %s\n", strerrorname_np(-error));
		return 1;
	}
	printf("serial %s\nmodel %s\ntemperature_c %d\nread_only %d\nreads %llu\nbytes_read %llu\n"
	       "writes %llu\n",
	       health.serial, health.model, health.temperature_c, health.read_only,
	       (unsigned long long)health.reads, (unsigned long long)health.bytes_read,
	       (unsigned long long)health.writes);
	return 0;
}

static int hold_command(void)
{
	char byte;

	printf("ready\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}

static int run(const char *name, const char *command, const char *first, const char *second)
{
	uint64_t numbers[2] = {strtoull(first, NULL, 10), strtoull(second, NULL, 10)};

	if (strcmp(command, "info") == 0)
		return info_command();
	if (strcmp(command, "health") == 0)
		return health_command();
	if (strcmp(command, "random") == 0)
		return random_command(name, numbers[0], numbers[1]);
	if (strcmp(command, "full") == 0)
		return full_command();
	if (strcmp(command, "stall") == 0)
		return stall_command();
	if (strcmp(command, "read") == 0)
		return one_block_command(BLK_READ, numbers[0], numbers[1]);
	if (strcmp(command, "write") == 0)
		return one_block_command(BLK_WRITE, numbers[0], numbers[1]);
	if (strcmp(command, "hold") == 0)
		return hold_command();
	if (strcmp(command, "last") == 0)
		return last_command(numbers[0]);
	fputs(usage, stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const struct heap_options heap_options = {
		.bytes_max = HEAP_BYTES,
		.huge_pages = getenv("SMALL_PAGES") ? HEAP_HUGE_PAGES_OFF : HEAP_HUGE_PAGES_AUTO};
	int status;

	if (argc < 3 || argc > 5) {
		fputs(usage, stderr);
		return 2;
	}
	log_set_level(CONFIG_LOG_INFO);
	if (heap_create(&probe.heap, &heap_options) != 0)
		return 1;
	if (!probe_open(argv[1]))
		return 1;
	status = run(argv[1], argv[2], argc > 3 ? argv[3] : "0", argc > 4 ? argv[4] : "0");
	if (probe.device)
		blkdev_close(probe.device);
	heap_destroy(probe.heap);
	return status;
}
