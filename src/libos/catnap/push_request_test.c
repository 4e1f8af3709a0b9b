/* SPDX-License-Identifier: MIT */
#include "libos/catnap/push_request.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

static struct heap *heap;
static unsigned char foreign[100];

static int setup(void **state)
{
	(void)state;
	return heap_create(&heap, &(struct heap_options){.bytes_max = 16u << 20});
}

static int teardown(void **state)
{
	struct heap_stats stats;

	(void)state;
	heap_get_stats(heap, &stats);
	heap_destroy(heap);
	return stats.objects == 0 ? 0 : -1;
}

/* Three segments of 10, 20 and 30 bytes, one behind the other. */
static demi_sgarray_t three_segments(unsigned char *next)
{
	demi_sgarray_t sga = {.sga_numsegs = 3};

	for (uint32_t i = 0; i < 3; i++) {
		sga.sga_segs[i].sgaseg_buf = next;
		sga.sga_segs[i].sgaseg_len = 10 * (i + 1);
		next += 10 * (i + 1);
	}
	return sga;
}

static void push_request_init__holds_memory_of_the_heap(void **state)
{
	unsigned char *object = heap_alloc(heap, 100);
	demi_sgarray_t sga = {.sga_numsegs = 2};
	struct push_request request;

	(void)state;
	sga.sga_segs[0].sgaseg_buf = object + 50;
	sga.sga_segs[0].sgaseg_len = 10;
	sga.sga_segs[1].sgaseg_buf = foreign;
	sga.sga_segs[1].sgaseg_len = 10;
	assert_int_equal(push_request_init(&request, heap, &sga), 0);
	assert_int_equal(heap_free(heap, object), 0);
	assert_ptr_equal(heap_object(heap, object), object);
	push_request_fini(&request, heap);
	assert_null(heap_object(heap, object));
}

/* That of an empty datagram, which has yet to be sent. */
static void push_request__has_one_empty_segment(void **state)
{
	demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{foreign, 0}}};
	struct push_request request;
	struct iovec iov[3];

	(void)state;
	assert_int_equal(push_request_init(&request, heap, &sga), 0);
	assert_int_equal(push_request_copy(&request, &sga), 0);
	assert_false(push_request_is_started(&request));
	assert_false(push_request_is_done(&request));
	assert_int_equal(push_request_gather(&request, iov, 3), 1);
	assert_int_equal(iov[0].iov_len, 0);
	assert_int_equal(push_request_advance(&request, 0), 0);
	assert_true(push_request_is_done(&request));
	push_request_fini(&request, heap);
}

static void push_request_gather__starts_where_the_last_send_ended(void **state)
{
	unsigned char *bytes = heap_alloc(heap, 60);
	demi_sgarray_t sga = three_segments(bytes);
	struct push_request request;
	struct iovec iov[3];

	(void)state;
	assert_int_equal(push_request_init(&request, heap, &sga), 0);
	assert_false(push_request_is_started(&request));
	assert_int_equal(push_request_advance(&request, 15), 0);
	assert_true(push_request_is_started(&request));
	assert_int_equal(push_request_gather(&request, iov, 3), 2);
	assert_ptr_equal(iov[0].iov_base, bytes + 15);
	assert_int_equal(iov[0].iov_len, 15);
	assert_ptr_equal(iov[1].iov_base, bytes + 30);
	assert_int_equal(iov[1].iov_len, 30);
	assert_int_equal(push_request_gather(&request, iov, 1), 1);
	push_request_fini(&request, heap);
	heap_free(heap, bytes);
}

static void push_request_advance__visits_every_byte_once(void **state)
{
	unsigned char *bytes = heap_alloc(heap, 60);
	demi_sgarray_t sga = three_segments(bytes);

	(void)state;
	for (size_t step = 1; step <= 60; step++) {
		struct push_request request;
		size_t done = 0;

		assert_int_equal(push_request_init(&request, heap, &sga), 0);
		while (!push_request_is_done(&request)) {
			struct iovec iov[3];

			assert_true(push_request_gather(&request, iov, 3) >= 1);
			assert_ptr_equal(iov[0].iov_base, bytes + done);
			done += step - push_request_advance(&request, step);
		}
		assert_int_equal(done, 60);
		push_request_fini(&request, heap);
	}
	heap_free(heap, bytes);
}

static void push_request_advance__returns_what_belongs_to_the_next(void **state)
{
	unsigned char *bytes = heap_alloc(heap, 60);
	demi_sgarray_t sga = three_segments(bytes);
	struct push_request request;

	(void)state;
	assert_int_equal(push_request_init(&request, heap, &sga), 0);
	assert_int_equal(push_request_advance(&request, 100), 40);
	assert_true(push_request_is_done(&request));
	push_request_fini(&request, heap);
	heap_free(heap, bytes);
}

static void push_request_copy__takes_what_is_left_of_foreign_memory(void **state)
{
	unsigned char *bytes = heap_alloc(heap, 60);
	demi_sgarray_t sga = three_segments(foreign);
	struct push_request request;
	struct iovec iov[3];

	(void)state;
	for (unsigned int i = 0; i < sizeof(foreign); i++)
		foreign[i] = (unsigned char)i;
	sga.sga_segs[2].sgaseg_buf = bytes;
	assert_int_equal(push_request_init(&request, heap, &sga), 0);
	push_request_advance(&request, 15);
	assert_int_equal(push_request_copy(&request, &sga), 0);
	memset(foreign, 0xff, sizeof(foreign));
	assert_int_equal(push_request_gather(&request, iov, 3), 2);
	assert_true(heap_owns(heap, iov[0].iov_base));
	assert_int_equal(iov[0].iov_len, 15);
	for (unsigned int i = 0; i < 15; i++)
		assert_int_equal(((unsigned char *)iov[0].iov_base)[i], 15 + i);
	assert_ptr_equal(iov[1].iov_base, bytes);
	push_request_fini(&request, heap);
	heap_free(heap, bytes);
}

static void push_request_copy__fails_when_memory_cannot_be_read(void **state)
{
	void *unreadable = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{unreadable, 100}}};
	struct push_request request;

	(void)state;
	assert_int_equal(push_request_init(&request, heap, &sga), 0);
	assert_int_equal(push_request_copy(&request, &sga), -EFAULT);
	push_request_fini(&request, heap);
	munmap(unreadable, 4096);
}

/* Each of the rooms for a copy may be the one that cannot be had. */
static void push_request_init__out_of_memory_leaves_nothing(void **state)
{
	demi_sgarray_t sga = three_segments(foreign);
	struct push_request request;

	(void)state;
	for (uint64_t count = 0; count < 3; count++) {
		struct heap_stats stats;

		heap_fail_after(heap, count);
		assert_int_equal(push_request_init(&request, heap, &sga), -ENOMEM);
		heap_get_stats(heap, &stats);
		assert_int_equal(stats.objects, 0);
	}
	heap_fail_after(heap, 3);
	assert_int_equal(push_request_init(&request, heap, &sga), 0);
	heap_fail_after(heap, UINT64_MAX);
	push_request_fini(&request, heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(push_request_init__holds_memory_of_the_heap),
		cmocka_unit_test(push_request__has_one_empty_segment),
		cmocka_unit_test(push_request_gather__starts_where_the_last_send_ended),
		cmocka_unit_test(push_request_advance__visits_every_byte_once),
		cmocka_unit_test(push_request_advance__returns_what_belongs_to_the_next),
		cmocka_unit_test(push_request_copy__takes_what_is_left_of_foreign_memory),
		cmocka_unit_test(push_request_copy__fails_when_memory_cannot_be_read),
		cmocka_unit_test(push_request_init__out_of_memory_leaves_nothing),
	};

	return cmocka_run_group_tests_name("libos/catnap/push_request", tests, setup, teardown);
}
