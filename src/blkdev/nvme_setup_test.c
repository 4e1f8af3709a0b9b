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

static void refused(struct bench *bench, int error)
{
	assert_int_equal(bench_open_depth(bench, 16), error);
	assert_null(bench->device);
	assert_true(bench->fake->closed);
	assert_int_equal(bench->fake->mapping_count, 0);
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
