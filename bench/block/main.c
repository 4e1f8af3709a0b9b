/* SPDX-License-Identifier: MIT */
/*
 * Random reads or writes of 4 KiB on a block device, so many at a time. What it has is written over.
 *
 *     demi-bench-block nvme:0000:00:05.0 read 32 2
 *
 * prints how many a second ended, in two seconds.
 *
 *     demi-bench-block nvme:0000:00:05.0 read 32 20000 work
 *
 * makes so many, and prints how long the polls took in which one or more ended, and the next ones were
 * submitted, for each command in ns: what is left when the time is left out in which nothing is done
 * but to look. Where a machine's clock counts instructions (vm.sh --count), it is their number.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "blkdev/blkdev.h"

#define IO_BYTES 4096u
#define DEPTH_MAX 1024u
#define SECONDS_MAX 3600u
#define COMMANDS_MAX 100000000u
#define HEAP_BYTES (64u << 20)

struct transfer {
	struct blk_request request; /* first: what done gets is this */
	struct iovec segment;
};

/* done gets nothing but its request. */
static struct {
	struct blkdev *device;
	struct transfer transfers[DEPTH_MAX];
	uint64_t now_ns, end_ns;
	uint64_t random;
	uint64_t ended, ended_max;
	int error;
} load;

static uint64_t random_block(void)
{
	uint32_t blocks = IO_BYTES / load.device->caps.block_bytes;

	load.random = load.random * 6364136223846793005u + 1442695040888963407u;
	return (load.random >> 16) % (load.device->caps.block_count / blocks) * blocks;
}

static void start(struct transfer *transfer)
{
	int error;

	transfer->request.block = random_block();
	error = blkdev_submit(load.device, &transfer->request, load.now_ns);
	if (error && !load.error)
		load.error = error;
}

static void done(struct blk_request *request, int error)
{
	if (error && !load.error)
		load.error = error;
	load.ended++;
	if (load.now_ns < load.end_ns && load.ended < load.ended_max && !load.error)
		start((struct transfer *)(void *)request);
}

static int make_transfers(struct heap *heap, uint8_t operation, uint32_t depth)
{
	for (uint32_t i = 0; i < depth; i++) {
		struct transfer *transfer = &load.transfers[i];
		void *memory = heap_alloc_aligned(heap, IO_BYTES, IO_BYTES);

		if (!memory)
			return -ENOMEM;
		memset(memory, (int)i, IO_BYTES);
		transfer->segment = (struct iovec){memory, IO_BYTES};
		transfer->request = (struct blk_request){
			.operation = operation,
			.segment_count = 1,
			.block_count = IO_BYTES / load.device->caps.block_bytes,
			.segments = &transfer->segment,
			.done = done};
	}
	return 0;
}

static void start_all(uint32_t depth)
{
	load.now_ns = clock_now_ns();
	for (uint32_t i = 0; i < depth; i++)
		start(&load.transfers[i]);
}

static void run(uint32_t depth, uint32_t seconds)
{
	uint64_t start_ns = clock_now_ns();

	load.end_ns = start_ns + seconds * NS_PER_S;
	load.ended_max = UINT64_MAX;
	start_all(depth);
	while (load.device->under_way > 0) {
		load.now_ns = clock_now_ns();
		blkdev_poll(load.device, load.now_ns);
	}
	if (!load.error)
		printf("%.0f\n", (double)load.ended * 1e9 / (double)(load.now_ns - start_ns));
}

/* From one reading of the clock to the next, at least. */
static uint64_t clock_cost_ns(void)
{
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < 1000; i++) {
		uint64_t before = clock_now_ns(), took = clock_now_ns() - before;

		if (took < least)
			least = took;
	}
	return least;
}

static void run_work(uint32_t depth, uint32_t commands)
{
	uint64_t clock_ns = clock_cost_ns(), work_ns = 0, polls = 0;

	load.end_ns = UINT64_MAX;
	load.ended_max = commands;
	start_all(depth);
	while (load.device->under_way > 0) {
		load.now_ns = clock_now_ns();
		if (blkdev_poll(load.device, load.now_ns) == 0)
			continue;
		work_ns += clock_now_ns() - load.now_ns;
		polls++;
	}
	if (!load.error)
		printf("%.1f\n",
		       ((double)work_ns - (double)(polls * clock_ns)) / (double)load.ended);
}

static uint32_t number(const char *text, uint32_t max)
{
	unsigned long value = strtoul(text, NULL, 10);

	return value > max ? max : (uint32_t)value;
}

int main(int argc, char **argv)
{
	const struct heap_options heap_options = {.bytes_max = HEAP_BYTES};
	static const struct config config;
	struct blkdev_options options = {.config = &config, .now_ns = clock_now_ns()};
	bool is_work = argc == 6 && strcmp(argv[5], "work") == 0;
	uint32_t depth = argc == 5 || is_work ? number(argv[3], DEPTH_MAX) : 0;
	uint8_t operation;

	if (depth == 0 || (strcmp(argv[2], "read") != 0 && strcmp(argv[2], "write") != 0)) {
		fprintf(stderr, "usage: demi-bench-block DEVICE read|write DEPTH SECONDS\n"
				"       demi-bench-block DEVICE read|write DEPTH COMMANDS work\n");
		return 2;
	}
	operation = argv[2][0] == 'r' ? BLK_READ : BLK_WRITE;
	if (heap_create(&options.heap, &heap_options) != 0 ||
	    blkdev_open(&load.device, argv[1], &options) != 0)
		return 1;
	load.error = depth > load.device->caps.depth
			     ? -EINVAL
			     : make_transfers(options.heap, operation, depth);
	if (!load.error && is_work)
		run_work(depth, number(argv[4], COMMANDS_MAX));
	else if (!load.error)
		run(depth, number(argv[4], SECONDS_MAX));
	blkdev_close(load.device);
	heap_destroy(options.heap);
	if (load.error)
		fprintf(stderr, "demi-bench-block: %s\n", strerror(-load.error));
	return load.error != 0;
}
