/* SPDX-License-Identifier: MIT */
/* What the unit tests of block devices share: requests that remember how they ended. */
#ifndef DEMI_BLKDEV_REQUEST_TESTING_H
#define DEMI_BLKDEV_REQUEST_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/container.h"
#include "blkdev/blkdev.h"

#define NOT_DONE 1

struct test_request {
	struct blk_request request;
	struct iovec segment;
	struct heap *heap;
	unsigned char *memory; /* of the heap; NULL: none */
	int error;             /* NOT_DONE while it is under way */
	unsigned int order;    /* it was the so manieth to end */
};

/* How many have ended. */
static unsigned int test_ended;

static void test_done(struct blk_request *request, int error)
{
	struct test_request *test = container_of(request, struct test_request, request);

	assert_int_equal(test->error, NOT_DONE);
	test->error = error;
	test->order = test_ended++;
}

/* A request of @blocks at @block, with memory of its own in one segment. */
static inline void request_make(struct test_request *test, struct blkdev *device,
				enum blk_operation operation, uint64_t block, uint32_t blocks)
{
	size_t bytes = (size_t)blocks * device->caps.block_bytes;

	*test = (struct test_request){.heap = device->heap, .error = NOT_DONE};
	test->request = (struct blk_request){.operation = (uint8_t)operation,
					     .block = block,
					     .block_count = blocks,
					     .done = test_done};
	if (operation != BLK_READ && operation != BLK_WRITE)
		return;
	test->memory = heap_alloc_aligned(device->heap, 4096, bytes);
	assert_non_null(test->memory);
	test->segment = (struct iovec){test->memory, bytes};
	test->request.segments = &test->segment;
	test->request.segment_count = 1;
}

static inline void request_end(struct test_request *test)
{
	if (test->memory)
		heap_free(test->heap, test->memory);
	test->memory = NULL;
}

#endif /* DEMI_BLKDEV_REQUEST_TESTING_H */
