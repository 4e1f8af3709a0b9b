/* SPDX-License-Identifier: MIT */
/* What the NVMe driver itself takes for a request, over a controller in memory. */
#include <errno.h>
#include <stdlib.h>

#include "blkdev/nvme_device.h"
#include "blkdev/nvme_fake.h"
#include "cycles.h"
#include "micro.h"

#define BATCH 32u
#define REQUEST_BYTES 4096u
#define HEAP_BYTES (64u << 20)
#define POLL_NS 1000u /* that pass from one poll to the next */

struct nvme_micro {
	struct nvme_fake *fake;
	struct heap *heap;
	struct blkdev *device;
	struct config config;
	struct blk_request requests[BATCH];
	struct iovec segments[BATCH];
	uint64_t now_ns;
	uint64_t random;
	uint64_t ended;
	uint32_t batch;
	/* The controller's: of the queue for I/O. */
	uint32_t sq_head, cq_tail;
	uint16_t phase;
};

static void tear_down(void *state)
{
	struct nvme_micro *micro = state;

	/* The driver's commands again, of which those of I/O have all ended. */
	blkdev_close(micro->device);
	heap_destroy(micro->heap);
	nvme_fake_destroy(micro->fake);
	free(micro);
}

/* The least that a controller must do: read the id, write the completion. */
static void answer(struct nvme_micro *micro)
{
	struct nvme_memory *memory = nvme_of(micro->device)->memory;
	uint32_t entries = nvme_of(micro->device)->queue.entries;
	uint32_t tail = *nvme_of(micro->device)->queue.sq_doorbell;

	while (micro->sq_head != tail) {
		struct nvme_cqe *cqe = &memory->cqes[micro->cq_tail];

		cqe->id = memory->sqes[micro->sq_head].id;
		cqe->status = micro->phase;
		if (++micro->sq_head == entries)
			micro->sq_head = 0;
		if (++micro->cq_tail == entries) {
			micro->cq_tail = 0;
			micro->phase ^= NVME_CQE_PHASE;
		}
	}
}

static void done(struct blk_request *request, int error)
{
	if (error || request->device[0] == UINT64_MAX)
		abort();
}

static void submit(struct nvme_micro *micro, uint32_t at)
{
	struct blk_request *request = &micro->requests[at];

	micro->random = micro->random * 6364136223846793005u + 1442695040888963407u;
	*request = (struct blk_request){.operation = BLK_READ,
					.segment_count = 1,
					.block_count = REQUEST_BYTES / 512,
					.block = (micro->random >> 40) % (FAKE_BLOCKS - 8),
					.segments = &micro->segments[at],
					.done = done};
	if (blkdev_submit(micro->device, request, micro->now_ns) != 0)
		abort();
}

static uint64_t run(void *state, uint64_t iterations)
{
	struct nvme_micro *micro = state;
	uint64_t apart = 0;

	for (uint64_t ended = 0; ended < iterations; ended += micro->batch) {
		uint64_t start;

		for (uint32_t i = 0; i < micro->batch; i++)
			submit(micro, i);
		if (micro->batch == 1) {
			answer(micro);
		} else {
			start = cycles_now();
			answer(micro);
			apart += cycles_now() - start;
		}
		micro->now_ns += POLL_NS;
		if (blkdev_poll(micro->device, micro->now_ns) != micro->batch)
			abort();
	}
	return apart;
}

static int set_up(void **state_out, uint64_t argument)
{
	const struct nvme_settings settings = {
		.namespace = 1, .depth = NVME_DEPTH_DEFAULT, .timeout_ms = NVME_TIMEOUT_MS_DEFAULT};
	const struct heap_options heap_options = {.bytes_max = HEAP_BYTES};
	struct nvme_micro *micro = calloc(1, sizeof(*micro));
	struct blkdev_options options;
	int error;

	if (!micro)
		return -ENOMEM;
	micro->batch = (uint32_t)argument;
	micro->phase = NVME_CQE_PHASE;
	micro->fake = nvme_fake_create();
	error = heap_create(&micro->heap, &heap_options);
	options = (struct blkdev_options){.heap = micro->heap, .config = &micro->config};
	if (!error)
		error = nvme_create(&micro->device, "nvme:memory", &micro->fake->bus, &settings,
				    &options);
	for (uint32_t i = 0; !error && i < BATCH; i++) {
		micro->segments[i].iov_base = heap_alloc_aligned(micro->heap, REQUEST_BYTES,
								 REQUEST_BYTES);
		micro->segments[i].iov_len = REQUEST_BYTES;
		error = micro->segments[i].iov_base ? 0 : -ENOMEM;
	}
	if (error) {
		tear_down(micro);
		return error;
	}
	*state_out = micro;
	return 0;
}

const struct micro nvme_micros[] = {
	{.name = "nvme/1",
	 .label = "4 KiB read, one at a time",
	 .unit = "ns",
	 .argument = 1,
	 .goal_kind = GOAL_VALUE,
	 .goal = 150,
	 .counted = 102400,
	 .counter = "nvme: submit, and poll that ends it",
	 .set_up = set_up,
	 .run = run,
	 .tear_down = tear_down},
	{.name = "nvme/32",
	 .label = "4 KiB read, 32 at a time",
	 .unit = "ns",
	 .argument = BATCH,
	 .against = "nvme/1",
	 .goal_kind = GOAL_VALUE,
	 .goal = 150,
	 .set_up = set_up,
	 .run = run,
	 .tear_down = tear_down},
	{.name = NULL},
};

static int run_group(const struct bench_options *options, struct report *report)
{
	return micro_run(nvme_micros, options, report);
}

static void list(void)
{
	micro_list(nvme_micros);
}

const struct bench_group nvme_group = {
	.name = "nvme",
	.title = "NVMe driver, without a device",
	.help = "  A read of 4 KiB, from submit to done, over a controller in memory, which reads the\n"
		"  command's id and writes its completion: a few nanoseconds that are in the figure\n"
		"  of one at a time. A real doorbell is a write to the device, and not in it.",
	.run = run_group,
	.list = list,
};
