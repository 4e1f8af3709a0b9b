/* SPDX-License-Identifier: MIT */
/* What the unit tests of the NVMe driver share: a device over the controller in memory. */
#ifndef DEMI_BLKDEV_NVME_TESTING_H
#define DEMI_BLKDEV_NVME_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blkdev/nvme_device.h"
#include "blkdev/nvme_fake.h"

#define TEST_TIMEOUT_MS 1000u
#define TEST_STEP_NS 1000000ull
#define TEST_STEPS_MAX 60000u

struct bench {
	struct nvme_fake *fake;
	struct heap *heap;
	struct config config;
	struct blkdev *device; /* NULL: not opened */
	uint64_t now_ns;
};

struct io {
	struct blk_request request; /* first */
	struct iovec segments[BLK_SEGMENTS_MAX];
	unsigned int done; /* how many times */
	int error;
	struct io *again; /* submitted by done */
	struct bench *bench;
	int again_result;
};

static inline int bench_setup(void **state)
{
	const struct heap_options options = {.bytes_max = 64u << 20};
	struct bench *bench = calloc(1, sizeof(*bench));

	if (!bench || heap_create(&bench->heap, &options) != 0)
		return 1;
	bench->fake = nvme_fake_create();
	bench->now_ns = 5000000000ull;
	*state = bench;
	return 0;
}

static inline void bench_close(struct bench *bench)
{
	blkdev_close(bench->device);
	bench->device = NULL;
}

static inline int bench_teardown(void **state)
{
	struct bench *bench = *state;

	bench_close(bench);
	if (bench->fake->violations > 0)
		print_error("the controller: %s\n", bench->fake->violation);
	assert_int_equal(bench->fake->violations, 0);
	nvme_fake_destroy(bench->fake);
	heap_destroy(bench->heap);
	free(bench);
	return 0;
}

static inline int bench_open_depth(struct bench *bench, uint32_t depth)
{
	const struct nvme_settings settings = {
		.namespace = 1, .depth = depth, .timeout_ms = TEST_TIMEOUT_MS};
	const struct blkdev_options options = {
		.heap = bench->heap, .config = &bench->config, .now_ns = bench->now_ns};

	return nvme_create(&bench->device, "nvme:fake", &bench->fake->bus, &settings, &options);
}

static inline struct bench *bench_opened(void **state, uint32_t depth)
{
	struct bench *bench = *state;

	assert_int_equal(bench_open_depth(bench, depth), 0);
	return bench;
}

static inline void io_done(struct blk_request *request, int error)
{
	struct io *io = (struct io *)(void *)request;

	io->done++;
	io->error = error;
	if (io->again)
		io->again_result = blkdev_submit(io->bench->device, &io->again->request,
						 io->bench->now_ns);
}

/** io_start - submit a request of one piece, or of none when @memory is NULL */
static inline int io_start(struct bench *bench, struct io *io, uint8_t operation, uint64_t block,
			   uint32_t blocks, void *memory)
{
	io->bench = bench;
	io->done = 0;
	io->segments[0].iov_base = memory;
	io->segments[0].iov_len = (size_t)blocks * bench->device->caps.block_bytes;
	io->request = (struct blk_request){.operation = operation,
					   .durable = io->request.durable,
					   .segment_count = memory ? 1 : 0,
					   .block_count = blocks,
					   .block = block,
					   .segments = memory ? io->segments : NULL,
					   .done = io_done};
	return blkdev_submit(bench->device, &io->request, bench->now_ns);
}

/** bench_step - the controller works, and the driver looks; then time passes */
static inline unsigned int bench_step(struct bench *bench)
{
	unsigned int done;

	nvme_fake_step(bench->fake);
	done = blkdev_poll(bench->device, bench->now_ns);
	bench->now_ns += TEST_STEP_NS;
	return done;
}

/** io_wait - until it is done; returns its error */
static inline int io_wait(struct bench *bench, struct io *io)
{
	for (unsigned int i = 0; i < TEST_STEPS_MAX && io->done == 0; i++)
		bench_step(bench);
	assert_int_equal(io->done, 1);
	return io->error;
}

static inline void *io_memory(struct bench *bench, size_t bytes)
{
	void *memory = heap_alloc_aligned(bench->heap, 4096, bytes);

	assert_non_null(memory);
	return memory;
}

#endif /* DEMI_BLKDEV_NVME_TESTING_H */
