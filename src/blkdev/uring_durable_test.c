/* SPDX-License-Identifier: MIT */
#include "blkdev/uring_durable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SOON_NS 70000u
#define LATE_NS 88000u
#define STALL_NS 8000000u

/* @count writes, of which those by themselves take @alone_ns, and those with a flush @flushed_ns; how
 * many were flushed. */
static unsigned int write_many(struct uring_durable *durable, unsigned int count, uint64_t alone_ns,
			       uint64_t flushed_ns)
{
	unsigned int flushed = 0;

	for (unsigned int i = 0; i < count; i++) {
		bool flushes = uring_durable_flushes(durable);

		uring_durable_took(durable, flushes, flushes ? flushed_ns : alone_ns);
		flushed += flushes;
	}
	return flushed;
}

static void uring_durable__takes_the_faster_way(void **state)
{
	struct uring_durable durable;

	(void)state;
	uring_durable_init(&durable, false, true);
	assert_int_equal(write_many(&durable, 20, SOON_NS, LATE_NS), 9);
	assert_false(durable.flushes);
	uring_durable_init(&durable, false, false);
	assert_int_equal(write_many(&durable, 20, STALL_NS, LATE_NS), 11);
	assert_true(durable.flushes);
	/* Once in a while the slower one, and less and less often. */
	assert_int_equal(write_many(&durable, 9 * 256, STALL_NS, LATE_NS), 9 * 255);
	assert_int_equal(write_many(&durable, 9 * 512, STALL_NS, LATE_NS), 9 * 511);
	for (unsigned int i = 0; i < 10; i++)
		write_many(&durable, 9 * URING_DURABLE_PERIOD_MAX, STALL_NS, LATE_NS);
	assert_int_equal(write_many(&durable, 9 * 8192, STALL_NS, LATE_NS), 9 * 8191);
}

static void uring_durable__stays_with_what_is_about_as_fast(void **state)
{
	struct uring_durable durable;

	(void)state;
	uring_durable_init(&durable, false, true);
	write_many(&durable, 100000, LATE_NS - LATE_NS / 20, LATE_NS);
	assert_true(durable.flushes);
	uring_durable_init(&durable, false, false);
	/* A clock that stands. */
	write_many(&durable, 100000, 0, 0);
	assert_false(durable.flushes);
}

static void uring_durable__notices_that_others_want_the_cpus(void **state)
{
	struct uring_durable durable;

	(void)state;
	uring_durable_init(&durable, false, false);
	for (unsigned int i = 0; i < 10; i++)
		write_many(&durable, 9 * URING_DURABLE_PERIOD_MAX, SOON_NS, LATE_NS);
	assert_int_equal(durable.period, URING_DURABLE_PERIOD_MAX);
	write_many(&durable, 60, STALL_NS, LATE_NS);
	assert_true(durable.flushes);
	/* And that they do not any more. */
	write_many(&durable, 9 * 256 + 1, SOON_NS, LATE_NS);
	assert_false(durable.flushes);
}

static void uring_durable__a_few_stalls_decide_nothing(void **state)
{
	struct uring_durable durable;

	(void)state;
	uring_durable_init(&durable, false, false);
	for (unsigned int i = 0; i < 20000; i++) {
		bool flushes = uring_durable_flushes(&durable);
		uint64_t ns = i % 7 == 0 ? STALL_NS : flushes ? LATE_NS : SOON_NS;

		uring_durable_took(&durable, flushes, ns);
		assert_false(durable.flushes);
	}
}

static void uring_durable__keeps_to_what_it_is_told(void **state)
{
	struct uring_durable durable;

	(void)state;
	uring_durable_init(&durable, true, true);
	assert_int_equal(write_many(&durable, 10000, SOON_NS, STALL_NS), 10000);
	uring_durable_init(&durable, true, false);
	assert_int_equal(write_many(&durable, 10000, STALL_NS, SOON_NS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uring_durable__takes_the_faster_way),
		cmocka_unit_test(uring_durable__stays_with_what_is_about_as_fast),
		cmocka_unit_test(uring_durable__notices_that_others_want_the_cpus),
		cmocka_unit_test(uring_durable__a_few_stalls_decide_nothing),
		cmocka_unit_test(uring_durable__keeps_to_what_it_is_told),
	};

	return cmocka_run_group_tests_name("blkdev/uring_durable", tests, NULL, NULL);
}
