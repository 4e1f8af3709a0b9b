/* SPDX-License-Identifier: MIT */
/*
 * Requests of any shape over a controller that ends commands in any order, with errors, loses some, and
 * resets: each request is done once, what goes well is what a plain array would have, and no
 * command breaks a rule (the controller looks).
 */
#include <errno.h>

#include "base/log.h"
#include "blkdev/nvme_testing.h"

#define REQUESTS 12u
#define BLOCKS 64u /* of each request's own part of the disk */
#define BLOCK_BYTES 512u
#define ROUNDS 3000u
#define SEEDS 12u
#define MEMORY_BYTES (128u << 10) /* of each request */
#define MEMORY_BEFORE_BYTES (24u << 10)
#define STALL_STEPS 4u

/* Of one request: blocks that no other has, so that what they hold is known. */
struct track {
	struct io io;
	unsigned char *memory;
	unsigned char model[BLOCKS * BLOCK_BYTES]; /* what the disk has, where it is known */
	bool known[BLOCKS];
	uint8_t pattern;
	bool busy;
};

struct run {
	struct bench *bench;
	struct track tracks[REQUESTS];
	uint64_t random;
	uint64_t started, ended, failed;
};

static uint32_t random_below(struct run *run, uint32_t bound)
{
	run->random = run->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((run->random >> 33) * bound >> 31);
}

static uint64_t first_block(const struct run *run, const struct track *track)
{
	return (uint64_t)(track - run->tracks) * BLOCKS;
}

/* Pieces with gaps or without, of whole blocks, at any dword. */
static uint16_t shape(struct run *run, struct track *track, uint32_t blocks)
{
	unsigned char *at = track->memory + (size_t)4 * random_below(run, 1024);
	uint16_t count = 0;

	while (blocks > 0) {
		uint32_t piece = 1 + random_below(run, blocks);

		track->io.segments[count++] = (struct iovec){at, (size_t)piece * BLOCK_BYTES};
		at += (size_t)piece * BLOCK_BYTES + (size_t)4 * random_below(run, 3) * 128;
		blocks -= piece;
	}
	return count;
}

static void each_block(struct track *track,
		       bool (*visit)(struct track *track, uint32_t block, unsigned char *data))
{
	uint32_t block = (uint32_t)(track->io.request.block % BLOCKS);

	for (uint16_t i = 0; i < track->io.request.segment_count; i++) {
		unsigned char *data = track->io.segments[i].iov_base;

		for (size_t at = 0; at < track->io.segments[i].iov_len; at += BLOCK_BYTES)
			assert_true(visit(track, block++, data + at));
	}
}

static bool fill(struct track *track, uint32_t block, unsigned char *data)
{
	memset(data, (int)(block + track->pattern), BLOCK_BYTES);
	track->known[block] = false;
	return true;
}

static bool remember(struct track *track, uint32_t block, unsigned char *data)
{
	memcpy(track->model + (size_t)block * BLOCK_BYTES, data, BLOCK_BYTES);
	track->known[block] = true;
	return true;
}

static bool compare(struct track *track, uint32_t block, unsigned char *data)
{
	return !track->known[block] ||
	       memcmp(track->model + (size_t)block * BLOCK_BYTES, data, BLOCK_BYTES) == 0;
}

static void start(struct run *run, struct track *track)
{
	struct blk_request *request = &track->io.request;
	uint32_t block = random_below(run, BLOCKS), blocks = 1 + random_below(run, BLOCKS - block);
	uint32_t what = random_below(run, 10);

	track->io.bench = run->bench;
	track->io.done = 0;
	*request = (struct blk_request){.operation = BLK_FLUSH, .done = io_done};
	if (what > 0) {
		request->operation = what < 6 ? BLK_WRITE : BLK_READ;
		request->block = first_block(run, track) + block;
		request->block_count = blocks;
		request->segment_count = shape(run, track, blocks);
		request->segments = track->io.segments;
		request->durable = what == 1;
		track->pattern = (uint8_t)random_below(run, 256);
	}
	if (request->operation == BLK_WRITE)
		each_block(track, fill);
	assert_int_equal(blkdev_submit(run->bench->device, request, run->bench->now_ns), 0);
	track->busy = true;
	run->started++;
}

static void finish(struct run *run, struct track *track)
{
	assert_int_equal(track->io.done, 1);
	track->busy = false;
	run->ended++;
	if (track->io.error) {
		assert_true(track->io.error == -EIO || track->io.error == -ETIMEDOUT);
		run->failed++;
	} else if (track->io.request.operation == BLK_WRITE) {
		each_block(track, remember);
	} else if (track->io.request.operation == BLK_READ) {
		each_block(track, compare);
	}
}

/* One that is held ends well or with an error, whether or not it may be tried again. */
static void complete_one(struct run *run)
{
	static const uint16_t errors[] = {NVME_UNRECOVERED_READ << 1,
					  NVME_WRITE_FAULT << 1 | NVME_STATUS_DNR,
					  NVME_NAMESPACE_NOT_READY << 1};
	struct nvme_fake *fake = run->bench->fake;
	uint16_t status = random_below(run, 20) == 0 ? errors[random_below(run, 3)] : 0;

	nvme_fake_complete(fake, random_below(run, fake->held_count), status);
}

static void round_of(struct run *run)
{
	struct nvme_fake *fake = run->bench->fake;
	unsigned int done;

	for (uint32_t i = 0; i < REQUESTS; i++) {
		if (!run->tracks[i].busy && random_below(run, 2))
			start(run, &run->tracks[i]);
	}
	nvme_fake_step(fake);
	for (uint32_t i = random_below(run, 8); i > 0 && fake->held_count > 0; i--)
		complete_one(run);
	done = bench_step(run->bench);
	/* Now and then nothing ends for long, which makes aborts, and resets where they do not help. */
	if (random_below(run, 400) == 0) {
		for (unsigned int i = 0; i < STALL_STEPS; i++) {
			run->bench->now_ns += TEST_TIMEOUT_MS * 1000000ull;
			done += bench_step(run->bench);
		}
	}
	for (uint32_t i = 0; i < REQUESTS; i++) {
		if (run->tracks[i].busy && run->tracks[i].io.done > 0) {
			finish(run, &run->tracks[i]);
			done--;
		}
	}
	assert_int_equal(done, 0);
	assert_int_equal(run->bench->device->under_way, run->started - run->ended);
}

/* Of each, some in one huge page and some in the next. */
static void place_memory(struct run *run)
{
	unsigned char *memory = io_memory(run->bench,
					  (REQUESTS + 1) * NVME_CHUNK_BYTES + MEMORY_BYTES);

	memory += -(uintptr_t)memory & (NVME_CHUNK_BYTES - 1);
	for (uint32_t i = 0; i < REQUESTS; i++)
		run->tracks[i].memory = memory + (i + 1) * NVME_CHUNK_BYTES - MEMORY_BEFORE_BYTES;
}

static void run_seed(void **state, uint64_t seed, bool sgl, bool no_iommu)
{
	struct bench *bench = *state;
	struct run *run = calloc(1, sizeof(*run));

	assert_non_null(run);
	run->bench = bench;
	run->random = seed;
	bench->fake->mdts = 1;
	bench->fake->sgl = sgl;
	if (no_iommu)
		nvme_fake_without_iommu(bench->fake);
	bench->fake->abort_works = seed % 2 == 0;
	bench_opened(state, 16);
	bench->fake->hold = true;
	place_memory(run);
	for (uint32_t i = 0; i < ROUNDS; i++)
		round_of(run);
	bench->fake->hold = false;
	while (bench->fake->held_count > 0)
		nvme_fake_complete(bench->fake, 0, 0);
	for (uint32_t i = 0; i < TEST_STEPS_MAX && bench->device->under_way > 0; i++)
		bench_step(bench);
	assert_int_equal(bench->device->under_way, 0);
	/* What the disk has is what the model says. */
	for (uint32_t i = 0; i < REQUESTS; i++) {
		struct track *track = &run->tracks[i];

		if (track->busy)
			finish(run, track);
		for (uint32_t block = 0; block < BLOCKS; block++)
			assert_true(compare(track, block,
					    bench->fake->disk + (first_block(run, track) + block) *
									BLOCK_BYTES));
	}
	assert_true(run->failed > 0 && run->failed < run->ended / 2);
	assert_true(bench->device->counters.timeouts > 0);
	if (!bench->fake->abort_works)
		assert_true(bench->device->counters.resets > 0);
	free(run);
}

static void run_seeds(void **state, bool sgl, bool no_iommu)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		run_seed(state, seed, sgl, no_iommu);
		assert_int_equal(bench_teardown(state), 0);
		assert_int_equal(bench_setup(state), 0);
	}
}

static void nvme__any_requests_as_pages(void **state)
{
	run_seeds(state, false, false);
}

static void nvme__any_requests_as_lists(void **state)
{
	run_seeds(state, true, false);
}

static void nvme__any_requests_without_an_iommu(void **state)
{
	run_seeds(state, false, true);
	run_seeds(state, true, true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nvme__any_requests_as_pages),
		TEST(nvme__any_requests_as_lists),
		TEST(nvme__any_requests_without_an_iommu),
	};

	log_set_level(CONFIG_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
