/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blkdev/nvme_command.h"

#define LIST_IOVA 0x200000ull
#define DELTA 0x100000000ull
#define BASE 0x40000000ull /* of the memory, which is never looked at */
#define PAGE 4096ull

static union {
	uint64_t prps[NVME_LIST_PRPS];
	struct nvme_sgl sgl[NVME_LIST_BYTES / sizeof(struct nvme_sgl)];
	struct nvme_dsm_range range;
} list;

static struct iovec segments[BLK_SEGMENTS_MAX];
static struct nvme_sqe sqe;

static const struct nvme_format format_prp = {.iova_delta = DELTA,
					      .page_bytes = (uint32_t)PAGE,
					      .bytes_max = 1u << 20,
					      .namespace = 3,
					      .block_shift = 9,
					      .volatile_cache = true};

static struct iovec piece(uint64_t offset, size_t bytes)
{
	return (struct iovec){(void *)(uintptr_t)(BASE + offset), bytes};
}

static uint64_t iova(uint64_t offset)
{
	return BASE + DELTA + offset;
}

static struct blk_request request_of(uint8_t operation, uint16_t count)
{
	uint32_t bytes = 0;

	for (uint16_t i = 0; i < count; i++)
		bytes += (uint32_t)segments[i].iov_len;
	return (struct blk_request){.operation = operation,
				    .segment_count = count,
				    .block_count = bytes / 512,
				    .block = 0x123456789a,
				    .segments = segments};
}

static uint32_t build(const struct nvme_format *format, const struct blk_request *request,
		      const struct nvme_position *position)
{
	static const struct nvme_position start;

	memset(&list, 0xff, sizeof(list));
	return nvme_command_build(format, request, position ? position : &start, &sqe, &list,
				  LIST_IOVA);
}

static uint32_t build_read(const struct nvme_format *format, uint16_t count)
{
	struct blk_request request = request_of(BLK_READ, count);

	return build(format, &request, NULL);
}

static void nvme_command_build__read_of_a_page(void **state)
{
	(void)state;
	segments[0] = piece(0, PAGE);
	assert_int_equal(build_read(&format_prp, 1), PAGE);
	assert_int_equal(sqe.opcode, NVME_READ);
	assert_int_equal(sqe.flags, NVME_PSDT_PRP);
	assert_int_equal(sqe.namespace, 3);
	assert_int_equal(sqe.data[0], iova(0));
	assert_int_equal(sqe.data[1], 0);
	assert_int_equal(sqe.dword10, 0x3456789a);
	assert_int_equal(sqe.dword11, 0x12);
	assert_int_equal(sqe.dword12, 7);
}

static void nvme_command_build__second_page_stands_in_the_command(void **state)
{
	(void)state;
	segments[0] = piece(4, PAGE);
	assert_int_equal(build_read(&format_prp, 1), PAGE);
	assert_int_equal(sqe.data[0], iova(4));
	assert_int_equal(sqe.data[1], iova(PAGE));
	segments[0] = piece(0, 2 * PAGE);
	assert_int_equal(build_read(&format_prp, 1), 2 * PAGE);
	assert_int_equal(sqe.data[1], iova(PAGE));
}

static void nvme_command_build__further_pages_stand_in_a_list(void **state)
{
	(void)state;
	segments[0] = piece(100, 2 * PAGE);
	assert_int_equal(build_read(&format_prp, 1), 2 * PAGE);
	assert_int_equal(sqe.data[0], iova(100));
	assert_int_equal(sqe.data[1], LIST_IOVA);
	assert_int_equal(list.prps[0], iova(PAGE));
	assert_int_equal(list.prps[1], iova(2 * PAGE));
	assert_int_equal(list.prps[2], UINT64_MAX);
}

static void nvme_command_build__the_longest_fills_the_list(void **state)
{
	(void)state;
	segments[0] = piece(PAGE - 4, 1u << 20);
	assert_int_equal(build_read(&format_prp, 1), 1u << 20);
	assert_int_equal(list.prps[NVME_LIST_PRPS - 1], iova(NVME_LIST_PRPS * PAGE));
}

static void nvme_command_build__pages_apart_are_one_command(void **state)
{
	(void)state;
	segments[0] = piece(512, PAGE - 512);
	segments[1] = piece(8 * PAGE, PAGE);
	segments[2] = piece(4 * PAGE, 512);
	assert_int_equal(build_read(&format_prp, 3), 2 * PAGE);
	assert_int_equal(sqe.data[0], iova(512));
	assert_int_equal(list.prps[0], iova(8 * PAGE));
	assert_int_equal(list.prps[1], iova(4 * PAGE));
	assert_int_equal(list.prps[2], UINT64_MAX);
}

static void nvme_command_build__pieces_side_by_side_are_one(void **state)
{
	(void)state;
	segments[0] = piece(1000, 512);
	segments[1] = piece(1512, 512);
	segments[2] = piece(2024, 2 * PAGE);
	assert_int_equal(build_read(&format_prp, 3), 2 * PAGE + 1024);
	assert_int_equal(sqe.data[0], iova(1000));
	assert_int_equal(list.prps[0], iova(PAGE));
	assert_int_equal(list.prps[1], iova(2 * PAGE));
	assert_int_equal(list.prps[2], UINT64_MAX);
}

/* Two in one page, which PRPs cannot say. */
static void nvme_command_build__gap_ends_a_command_of_prps(void **state)
{
	(void)state;
	segments[0] = piece(0, 512);
	segments[1] = piece(1024, 512);
	assert_int_equal(build_read(&format_prp, 2), 512);
	assert_int_equal(sqe.data[1], 0);
	assert_int_equal(sqe.dword12, 0);
	/* The end is at a page, the start of the next is not, and the other way round. */
	segments[0] = piece(0, PAGE);
	segments[1] = piece(2 * PAGE + 512, 512);
	assert_int_equal(build_read(&format_prp, 2), PAGE);
	segments[0] = piece(0, 512);
	segments[1] = piece(PAGE, 512);
	assert_int_equal(build_read(&format_prp, 2), 512);
}

static void nvme_command_build__sgl_takes_what_prps_cannot(void **state)
{
	struct nvme_format format = format_prp;
	struct nvme_sgl first;

	(void)state;
	format.sgl = true;
	segments[0] = piece(0, 512);
	segments[1] = piece(1024, 1024);
	assert_int_equal(build_read(&format, 2), 1536);
	assert_int_equal(sqe.flags, NVME_PSDT_SGL);
	memcpy(&first, sqe.data, sizeof(first));
	assert_int_equal(first.address, LIST_IOVA);
	assert_int_equal(first.bytes, 32);
	assert_int_equal(first.type, NVME_SGL_LAST_SEGMENT);
	assert_int_equal(list.sgl[0].address, iova(0));
	assert_int_equal(list.sgl[0].bytes, 512);
	assert_int_equal(list.sgl[1].address, iova(1024));
	assert_int_equal(list.sgl[1].bytes, 1024);
	assert_int_equal(list.sgl[1].type, NVME_SGL_DATA);
	/* What pages can say they do. */
	segments[1] = piece(512, 1024);
	assert_int_equal(build_read(&format, 2), 1536);
	assert_int_equal(sqe.flags, NVME_PSDT_PRP);
}

/* Two huge pages that are neighbours for us, and far apart, the other way round, for the controller. */
static void nvme_command_build__without_an_iommu(void **state)
{
	const uint64_t first = 0x7000000000, second = 0x1200000;
	const uint64_t iova_end = BASE + DELTA + NVME_CHUNK_BYTES;
	struct nvme_format format = format_prp;
	uint64_t *chunks = calloc((iova_end >> NVME_CHUNK_SHIFT) + 1, sizeof(*chunks));

	(void)state;
	assert_non_null(chunks);
	chunks[(iova_end >> NVME_CHUNK_SHIFT) - 1] = first;
	chunks[iova_end >> NVME_CHUNK_SHIFT] = second;
	format.chunks = chunks;
	segments[0] = piece(NVME_CHUNK_BYTES - PAGE - 512, 2 * PAGE);
	assert_int_equal(build_read(&format, 1), 2 * PAGE);
	assert_int_equal(sqe.data[0], first + NVME_CHUNK_BYTES - PAGE - 512);
	assert_int_equal(sqe.data[1], LIST_IOVA);
	assert_int_equal(list.prps[0], first + NVME_CHUNK_BYTES - PAGE);
	assert_int_equal(list.prps[1], second);
	assert_int_equal(list.prps[2], UINT64_MAX);
	/* As a list: the second piece is the first's rest. */
	format.sgl = true;
	segments[0] = piece(NVME_CHUNK_BYTES - 512, 1024);
	segments[1] = piece(PAGE, 512);
	assert_int_equal(build_read(&format, 2), 1536);
	assert_int_equal(sqe.flags, NVME_PSDT_SGL);
	assert_int_equal(list.sgl[0].address, first + NVME_CHUNK_BYTES - 512);
	assert_int_equal(list.sgl[0].bytes, 512);
	assert_int_equal(list.sgl[1].address, second);
	assert_int_equal(list.sgl[1].bytes, 512);
	assert_int_equal(list.sgl[2].address, first + PAGE);
	assert_int_equal(list.sgl[2].bytes, 512);
	free(chunks);
}

static void nvme_position_advance__commands_of_a_bounded_length(void **state)
{
	struct nvme_format format = format_prp;
	struct nvme_position position = {0};
	struct blk_request request;
	uint32_t bytes;

	(void)state;
	format.bytes_max = 2 * (uint32_t)PAGE;
	segments[0] = piece(0, 3 * PAGE);
	segments[1] = piece(9 * PAGE, PAGE + 512);
	request = request_of(BLK_WRITE, 2);
	bytes = build(&format, &request, &position);
	assert_int_equal(bytes, 2 * PAGE);
	nvme_position_advance(&format, &request, &position, bytes);
	assert_int_equal(position.segment, 0);
	assert_int_equal(position.offset, 2 * PAGE);
	bytes = build(&format, &request, &position);
	assert_int_equal(bytes, 2 * PAGE);
	assert_int_equal(sqe.data[0], iova(2 * PAGE));
	assert_int_equal(sqe.data[1], iova(9 * PAGE));
	assert_int_equal(sqe.dword10, 0x3456789a + 16);
	nvme_position_advance(&format, &request, &position, bytes);
	assert_int_equal(position.segment, 1);
	assert_int_equal(position.offset, PAGE);
	bytes = build(&format, &request, &position);
	assert_int_equal(bytes, 512);
	assert_int_equal(sqe.data[0], iova(10 * PAGE));
	nvme_position_advance(&format, &request, &position, bytes);
	assert_int_equal(position.block, request.block_count);
	assert_int_equal(position.segment, 2);
}

static void nvme_command_build__durable_write_passes_the_cache(void **state)
{
	struct nvme_format format = format_prp;
	struct blk_request request;

	(void)state;
	segments[0] = piece(0, 512);
	request = request_of(BLK_WRITE, 1);
	build(&format, &request, NULL);
	assert_int_equal(sqe.opcode, NVME_WRITE);
	assert_int_equal(sqe.dword12, 0);
	request.durable = true;
	build(&format, &request, NULL);
	assert_int_equal(sqe.dword12, NVME_RW_FUA);
	/* There is none to pass. */
	format.volatile_cache = false;
	build(&format, &request, NULL);
	assert_int_equal(sqe.dword12, 0);
}

static void nvme_command_build__flush_and_trim(void **state)
{
	struct blk_request flush = {.operation = BLK_FLUSH};
	struct blk_request trim = {.operation = BLK_TRIM, .block = 1ull << 33, .block_count = 99};

	(void)state;
	assert_int_equal(build(&format_prp, &flush, NULL), 0);
	assert_int_equal(sqe.opcode, NVME_FLUSH);
	assert_int_equal(sqe.namespace, 3);
	assert_int_equal(build(&format_prp, &trim, NULL), 0);
	assert_int_equal(sqe.opcode, NVME_DATASET_MANAGEMENT);
	assert_int_equal(sqe.data[0], LIST_IOVA);
	assert_int_equal(sqe.dword10, 0); /* one range */
	assert_int_equal(sqe.dword11, NVME_DSM_DEALLOCATE);
	assert_int_equal(list.range.first, 1ull << 33);
	assert_int_equal(list.range.blocks, 99);
	assert_int_equal(list.range.attributes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nvme_command_build__read_of_a_page),
		cmocka_unit_test(nvme_command_build__second_page_stands_in_the_command),
		cmocka_unit_test(nvme_command_build__further_pages_stand_in_a_list),
		cmocka_unit_test(nvme_command_build__the_longest_fills_the_list),
		cmocka_unit_test(nvme_command_build__pages_apart_are_one_command),
		cmocka_unit_test(nvme_command_build__pieces_side_by_side_are_one),
		cmocka_unit_test(nvme_command_build__gap_ends_a_command_of_prps),
		cmocka_unit_test(nvme_command_build__sgl_takes_what_prps_cannot),
		cmocka_unit_test(nvme_command_build__without_an_iommu),
		cmocka_unit_test(nvme_position_advance__commands_of_a_bounded_length),
		cmocka_unit_test(nvme_command_build__durable_write_passes_the_cache),
		cmocka_unit_test(nvme_command_build__flush_and_trim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
