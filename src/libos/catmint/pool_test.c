/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "libos/catmint/pool.h"

#define BYTES 512u
#define MOST 1700u

static struct heap *heap;
static struct pool pool;
static struct buf *bufs[MOST + 1];

static int begin(void **state)
{
	(void)state;
	assert_int_equal(
		heap_create(&heap, &(struct heap_options){.bytes_max = 32u << 20,
							  .huge_pages = HEAP_HUGE_PAGES_OFF}),
		0);
	assert_int_equal(pool_create(&pool, heap, BYTES, MOST), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	pool_destroy(&pool);
	assert_true(heap_is_empty(heap));
	heap_destroy(heap);
	return 0;
}

static uint32_t count_in_use(void)
{
	struct heap_stats stats;

	heap_get_stats(heap, &stats);
	return (uint32_t)stats.frames_in_use;
}

static uint32_t take_all(void)
{
	uint32_t count = 0;

	while (count <= MOST && (bufs[count] = pool_take(&pool)))
		count++;
	return count;
}

static void pool__grows_as_far_as_it_may(void **state)
{
	(void)state;
	assert_int_equal(pool.total, POOL_FRAMES_FIRST);
	assert_int_equal(take_all(), MOST);
	assert_int_equal(pool.total, MOST);
	for (uint32_t i = 0; i < MOST; i++) {
		assert_int_equal(bufs[i]->capacity, BYTES);
		memset(bufs[i] + 1, (int)i, BYTES);
	}
	for (uint32_t i = 0; i < MOST; i++) {
		const unsigned char *bytes = (const unsigned char *)(bufs[i] + 1);

		assert_int_equal(bytes[0], (unsigned char)i);
		assert_int_equal(bytes[BYTES - 1], (unsigned char)i);
		pool_put(&pool, bufs[i]);
	}
	assert_int_equal(count_in_use(), 0);
	/* From any part of it. */
	assert_int_equal(take_all(), MOST);
	for (uint32_t i = 0; i < MOST; i++)
		pool_put(&pool, bufs[i]);
}

/* Of a heap that has room for the first ones only. */
static void pool__without_memory_has_what_it_had(void **state)
{
	const struct heap_options options = {.bytes_max = 512u << 10,
					     .huge_pages = HEAP_HUGE_PAGES_OFF};
	struct heap *small;
	struct pool own;
	uint32_t count = 0;

	(void)state;
	assert_int_equal(heap_create(&small, &options), 0);
	assert_int_equal(pool_create(&own, small, BYTES, MOST), 0);
	while (count < MOST && (bufs[count] = pool_take(&own)))
		count++;
	assert_int_equal(count, POOL_FRAMES_FIRST);
	pool_put(&own, bufs[0]);
	assert_ptr_equal(pool_take(&own), bufs[0]);
	for (uint32_t i = 0; i < count; i++)
		pool_put(&own, bufs[i]);
	pool_destroy(&own);
	assert_true(heap_is_empty(small));
	heap_destroy(small);
}

static void pool__gets_back_what_the_application_frees(void **state)
{
	struct buf *buf = pool_take(&pool);

	(void)state;
	pool_give(buf);
	assert_int_equal(count_in_use(), 1);
	assert_int_equal(buf_free(heap, buf), 0);
	assert_int_equal(count_in_use(), 0);
	assert_int_equal(buf_free(heap, buf), -EINVAL);
}

static void pool__takes_back_at_its_end_what_the_device_had(void **state)
{
	(void)state;
	for (int i = 0; i < 700; i++)
		pool_take(&pool)->flags = BUF_POSTED;
}

static void pool__leaves_to_the_application_what_it_has(void **state)
{
	struct buf *buf = pool_take(&pool);

	(void)state;
	pool_give(buf);
	pool_destroy(&pool);
	memset(buf + 1, 1, BYTES);
	assert_int_equal(buf_free(heap, buf), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pool__grows_as_far_as_it_may),
		TEST(pool__without_memory_has_what_it_had),
		TEST(pool__gets_back_what_the_application_frees),
		TEST(pool__takes_back_at_its_end_what_the_device_had),
		TEST(pool__leaves_to_the_application_what_it_has),
	};

	return cmocka_run_group_tests_name("libos/catmint/pool", tests, NULL, NULL);
}
