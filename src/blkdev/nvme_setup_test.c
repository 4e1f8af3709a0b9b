/* SPDX-License-Identifier: MIT */
/* What a device is when it has started, and why one does not. */
#include <errno.h>

#include "blkdev/nvme_testing.h"

#define KIB128 (128u << 10)

static void nvme_create__tells_what_the_drive_can(void **state)
{
	struct bench *bench = bench_opened(state, 100);
	const struct blkdev_caps *caps = &bench->device->caps;

	assert_int_equal(caps->block_count, FAKE_BLOCKS);
	assert_int_equal(caps->block_bytes, 512);
	assert_int_equal(caps->memory_alignment, 4);
	assert_true(caps->bytes_max >= KIB128);
	assert_int_equal(caps->depth, 100);
	assert_true(caps->volatile_cache);
	assert_true(caps->trim);
	assert_false(caps->read_only);
	nvme_fake_step(bench->fake);
	assert_int_equal(bench->fake->event_count, 4);
}

static void nvme_create__large_blocks_without_a_cache(void **state)
{
	struct bench *bench = *state;

	bench->fake->block_shift = 12;
	bench->fake->volatile_cache = false;
	bench_opened(state, 255);
	assert_int_equal(bench->device->caps.block_bytes, 4096);
	assert_int_equal(bench->device->caps.depth, 255);
	assert_false(bench->device->caps.volatile_cache);
}

static void nvme_create__write_protected_is_read_only(void **state)
{
	struct bench *bench = *state;

	bench->fake->protected = true;
	bench_opened(state, 16);
	assert_true(bench->device->caps.read_only);
}

static void nvme_create__failing_medium_is_read_only(void **state)
{
	struct bench *bench = *state;

	bench->fake->critical_warning = NVME_WARNING_READ_ONLY;
	bench_opened(state, 16);
	assert_true(bench->device->caps.read_only);
}

/* CAP (3.1.1) with some of its bits changed. */
static void change_capabilities(struct bench *bench, uint64_t clear, uint64_t set)
{
	uint64_t cap;

	memcpy(&cap, bench->fake->registers + NVME_REG_CAP, sizeof(cap));
	cap = (cap & ~clear) | set;
	memcpy(bench->fake->registers + NVME_REG_CAP, &cap, sizeof(cap));
}

#define CAP_MQES_BITS 0xffffull
#define CAP_DSTRD_BITS (0xfull << 32)
#define CAP_CSS_BITS (0xffull << 37)
#define CAP_MPSMIN_BITS (0xfull << 48)

/* As many as are asked for, or one less than its queues have entries. */
static void nvme_create__controller_with_short_queues(void **state)
{
	struct bench *bench = *state;
	void *memory;
	struct io ios[32] = {0};

	change_capabilities(bench, CAP_MQES_BITS, 31);
	bench_opened(state, 255);
	assert_int_equal(bench->device->caps.depth, 31);
	memory = io_memory(bench, 512);
	for (unsigned int i = 0; i < 31; i++)
		assert_int_equal(io_start(bench, &ios[i], BLK_READ, i, 1, memory), 0);
	assert_int_equal(io_start(bench, &ios[31], BLK_READ, 0, 1, memory), -EAGAIN);
	assert_int_equal(bench_step(bench), 31);
}

static void nvme_create__doorbells_that_are_apart(void **state)
{
	struct bench *bench = *state;
	struct io io = {0};

	change_capabilities(bench, CAP_DSTRD_BITS, 3ull << 32);
	bench_opened(state, 16);
	for (unsigned int i = 0; i < 40; i++) {
		assert_int_equal(io_start(bench, &io, BLK_READ, i, 1, io_memory(bench, 512)), 0);
		assert_int_equal(io_wait(bench, &io), 0);
	}
}

static void refused(struct bench *bench, int error)
{
	assert_int_equal(bench_open_depth(bench, 16), error);
	assert_null(bench->device);
	assert_true(bench->fake->closed);
	assert_int_equal(bench->fake->mapping_count, 0);
}

static void nvme_create__refuses_controllers(void **state)
{
	static const struct {
		uint64_t clear, set;
	} cases[] = {
		{CAP_MQES_BITS, 15},           /* queues that are too short */
		{CAP_CSS_BITS, 0},             /* other commands than those of NVM */
		{CAP_MPSMIN_BITS, 5ull << 48}, /* pages of 128 KiB, and no smaller ones */
		{CAP_DSTRD_BITS, 15ull << 32}, /* doorbells beyond the registers */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *bench = *state;

		change_capabilities(bench, cases[i].clear, cases[i].set);
		refused(bench, -ENOTSUP);
		assert_int_equal(bench->fake->enabled, 0);
		assert_int_equal(bench_teardown(state), 0);
		assert_int_equal(bench_setup(state), 0);
	}
}

static void nvme_create__refuses_formats(void **state)
{
	struct bench *bench = *state;

	bench->fake->metadata_bytes = 8;
	refused(bench, -ENOTSUP);
	assert_true(bench->fake->cut_off);
}

static void nvme_create__refuses_other_block_sizes(void **state)
{
	struct bench *bench = *state;

	bench->fake->block_shift = 13;
	refused(bench, -ENOTSUP);
}

static void nvme_create__refuses_missing_namespace(void **state)
{
	const struct nvme_settings inactive = {.namespace = 2, .depth = 16, .timeout_ms = 1000};
	const struct nvme_settings beyond = {.namespace = 5, .depth = 16, .timeout_ms = 1000};
	struct bench *bench = *state;
	const struct blkdev_options options = {.heap = bench->heap, .config = &bench->config};

	assert_int_equal(
		nvme_create(&bench->device, "nvme:fake", &bench->fake->bus, &inactive, &options),
		-ENOENT);
	bench->fake->cut_off = false;
	assert_int_equal(
		nvme_create(&bench->device, "nvme:fake", &bench->fake->bus, &beyond, &options),
		-ENOENT);
}

static void nvme_create__ready_never_comes(void **state)
{
	struct bench *bench = *state;

	bench->fake->never_ready = true;
	refused(bench, -ETIMEDOUT);
	/* As long as it says that it may take, 1 s, and no much longer. */
	assert_in_range(bench->fake->waited_ns, 1000000000u, 3000000000u);
}

static void nvme_create__commands_are_not_answered(void **state)
{
	struct bench *bench = *state;

	bench->fake->ignores_admin = true;
	refused(bench, -ETIMEDOUT);
}

static void nvme_create__fatal_error(void **state)
{
	struct bench *bench = *state;

	bench->fake->fatal = true;
	refused(bench, -ENODEV);
}

static void nvme_create__nothing_there(void **state)
{
	struct bench *bench = *state;

	bench->fake->gone = true;
	nvme_fake_step(bench->fake);
	refused(bench, -ENODEV);
}

static void nvme_create__memory_cannot_be_mapped(void **state)
{
	struct bench *bench = *state;

	bench->fake->map_error = -ENOMEM;
	refused(bench, -ENOMEM);
}

static void nvme_create__heap_has_more_than_the_iommu(void **state)
{
	struct bench *bench = *state;

	assert_non_null(heap_alloc(bench->heap, 100));
	bench->fake->bus.heap_iova_bytes = 4096;
	refused(bench, -ENOSPC);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nvme_create__tells_what_the_drive_can),
		TEST(nvme_create__large_blocks_without_a_cache),
		TEST(nvme_create__write_protected_is_read_only),
		TEST(nvme_create__failing_medium_is_read_only),
		TEST(nvme_create__controller_with_short_queues),
		TEST(nvme_create__doorbells_that_are_apart),
		TEST(nvme_create__refuses_controllers),
		TEST(nvme_create__refuses_formats),
		TEST(nvme_create__refuses_other_block_sizes),
		TEST(nvme_create__refuses_missing_namespace),
		TEST(nvme_create__ready_never_comes),
		TEST(nvme_create__commands_are_not_answered),
		TEST(nvme_create__fatal_error),
		TEST(nvme_create__nothing_there),
		TEST(nvme_create__memory_cannot_be_mapped),
		TEST(nvme_create__heap_has_more_than_the_iommu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
