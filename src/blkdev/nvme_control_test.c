/* SPDX-License-Identifier: MIT */
/* Commands that end with errors or not at all, and controllers that fail. */
#include <errno.h>

#include "blkdev/nvme_testing.h"

#define DEPTH 16u

static uint16_t status_of(uint32_t code)
{
	return (uint16_t)(code << 1);
}

/* A read that goes well: the device works. */
static void works(struct bench *bench)
{
	struct io io = {0};

	assert_int_equal(io_start(bench, &io, BLK_READ, 7, 1, io_memory(bench, 512)), 0);
	assert_int_equal(io_wait(bench, &io), 0);
}

/* ---- Errors ---- */

static void nvme_poll__error_of_the_medium(void **state)
{
	struct bench *bench = bench_opened(state, DEPTH);
	struct io io = {0};

	bench->fake->status = status_of(NVME_UNRECOVERED_READ) | NVME_STATUS_DNR;
	bench->fake->fail_count = 1;
	assert_int_equal(io_start(bench, &io, BLK_READ, 0, 1, io_memory(bench, 512)), 0);
	assert_int_equal(io_wait(bench, &io), -EIO);
	assert_int_equal(bench->device->counters.errors, 1);
	assert_int_equal(bench->device->counters.commands, 1);
	assert_int_equal(bench->device->failure, 0);
	works(bench);
}

static void nvme_poll__another_try_goes_well(void **state)
{
	struct bench *bench = bench_opened(state, DEPTH);
	struct io io = {0};

	bench->fake->status = status_of(NVME_NAMESPACE_NOT_READY);
	bench->fake->fail_count = 3;
	assert_int_equal(io_start(bench, &io, BLK_TRIM, 3, 4, NULL), 0);
	assert_int_equal(io_wait(bench, &io), 0);
	assert_int_equal(bench->device->counters.commands, 4);
	assert_int_equal(bench->fake->last_range.first, 3);
	assert_int_equal(bench->device->counters.errors, 0);
}

static void nvme_poll__tries_have_an_end(void **state)
{
	struct bench *bench = bench_opened(state, DEPTH);
	struct io io = {0};

	bench->fake->status = status_of(NVME_NAMESPACE_NOT_READY);
	bench->fake->fail_count = 4;
	assert_int_equal(io_start(bench, &io, BLK_READ, 0, 1, io_memory(bench, 512)), 0);
	assert_int_equal(io_wait(bench, &io), -EIO);
	assert_int_equal(bench->device->counters.commands, 4);
	works(bench);
}

/* 128 commands, of which the first fail: the others are not sent, and done is called once. */
static void nvme_poll__first_error_of_a_long_request(void **state)
{
	struct bench *bench = *state;
	struct io io = {0}, behind = {0};

	bench->fake->mdts = 1;
	bench_opened(state, DEPTH);
	bench->fake->hold = true;
	assert_int_equal(io_start(bench, &io, BLK_WRITE, 0, 2048, io_memory(bench, 1u << 20)), 0);
	assert_int_equal(io_start(bench, &behind, BLK_FLUSH, 0, 0, NULL), 0);
	nvme_fake_step(bench->fake);
	assert_int_equal(bench->fake->held_count, DEPTH);
	nvme_fake_complete(bench->fake, 5, status_of(NVME_CAPACITY_EXCEEDED) | NVME_STATUS_DNR);
	nvme_fake_complete(bench->fake, 5, status_of(NVME_WRITE_FAULT) | NVME_STATUS_DNR);
	assert_int_equal(bench_step(bench), 0);
	bench->fake->hold = false;
	while (bench->fake->held_count > 0)
		nvme_fake_complete(bench->fake, 0, 0);
	assert_int_equal(io_wait(bench, &io), -ENOSPC);
	assert_int_equal(io_wait(bench, &behind), 0);
	assert_int_equal(bench->fake->commands, DEPTH + 1);
	assert_int_equal(bench->device->counters.errors, 1);
}

static void nvme_poll__unknown_completion(void **state)
{
	struct bench *bench = bench_opened(state, DEPTH);

	nvme_fake_post(bench->fake, 3, 0);
	nvme_fake_post(bench->fake, 40000, 0);
	assert_int_equal(bench_step(bench), 0);
	works(bench);
}

/* ---- Time-outs ---- */

static void nvme_tend__lost_command_is_aborted(void **state)
{
	struct bench *bench = bench_opened(state, DEPTH);
	uint64_t start_ns = bench->now_ns;
	struct io io = {0};

	bench->fake->hold = true;
	assert_int_equal(io_start(bench, &io, BLK_READ, 0, 1, io_memory(bench, 512)), 0);
	assert_int_equal(io_wait(bench, &io), -ETIMEDOUT);
	assert_in_range(bench->now_ns - start_ns, TEST_TIMEOUT_MS * 1000000ull,
			TEST_TIMEOUT_MS * 1100000ull);
	assert_int_equal(bench->fake->aborts, 1);
	assert_int_equal(bench->device->counters.timeouts, 1);
	assert_int_equal(bench->device->counters.resets, 0);
	bench->fake->hold = false;
	works(bench);
}

/* It ends well after the abort, which comes too late. */
static void nvme_tend__command_that_ends_late(void **state)
{
	struct bench *bench = bench_opened(state, DEPTH);
	struct io io = {0};

	bench->fake->hold = true;
	bench->fake->abort_works = false;
	assert_int_equal(io_start(bench, &io, BLK_READ, 0, 1, io_memory(bench, 512)), 0);
	while (bench->fake->aborts == 0)
		bench_step(bench);
	nvme_fake_complete(bench->fake, 0, 0);
	assert_int_equal(io_wait(bench, &io), 0);
	assert_int_equal(bench->device->counters.resets, 0);
}

/* The abort is lost, the command itself ends; another one that is lost must not wait for that abort. */
static void nvme_tend__abort_that_is_not_answered(void **state)
{
	struct bench *bench = bench_opened(state, DEPTH);
	void *memory = io_memory(bench, 512);
	struct io io = {0}, other = {0};

	bench->fake->hold = true;
	bench->fake->ignores_admin = true;
	assert_int_equal(io_start(bench, &io, BLK_READ, 0, 1, memory), 0);
	while (bench->device->counters.timeouts == 0)
		bench_step(bench);
	nvme_fake_complete(bench->fake, 0, 0);
	assert_int_equal(io_wait(bench, &io), 0);
	assert_int_equal(io_start(bench, &other, BLK_READ, 1, 1, memory), 0);
	for (unsigned int i = 0; i < 5 * TEST_TIMEOUT_MS && other.done == 0; i++) {
		/* What starts the controller is answered again. */
		bench->fake->ignores_admin = bench->device->counters.resets == 0;
		bench_step(bench);
	}
	assert_int_equal(other.done, 1);
	assert_int_equal(other.error, -ETIMEDOUT);
	assert_int_equal(bench->device->counters.timeouts, 1);
	assert_int_equal(bench->device->counters.resets, 1);
	bench->fake->hold = false;
	works(bench);
}

/* What was under way ends, what waited is sent to the controller that is there again. */
static void nvme_tend__reset_when_abort_does_not_help(void **state)
{
	struct bench *bench = bench_opened(state, DEPTH);
	void *memory = io_memory(bench, 512);
	struct io ios[DEPTH] = {0};

	bench->fake->hold = true;
	bench->fake->abort_works = false;
	for (unsigned int i = 0; i < DEPTH; i++)
		assert_int_equal(io_start(bench, &ios[i], BLK_READ, i, 1, memory), 0);
	assert_int_equal(io_wait(bench, &ios[0]), -ETIMEDOUT);
	for (unsigned int i = 0; i < DEPTH; i++) {
		assert_int_equal(ios[i].done, 1);
		assert_int_equal(ios[i].error, -ETIMEDOUT);
	}
	assert_int_equal(bench->device->counters.resets, 1);
	assert_int_equal(bench->device->failure, 0);
	bench->fake->hold = false;
	/* It is not running yet: this one waits for it. */
	assert_int_not_equal(nvme_of(bench->device)->state, NVME_RUNNING);
	works(bench);
	assert_int_equal(bench->fake->enabled, 2);
	assert_int_equal(bench->fake->event_count, 4);
}

/* A request of which a part was sent when the controller was reset, and those behind it. */
static void nvme_tend__reset_in_a_long_request(void **state)
{
	struct bench *bench = *state;
	struct io io = {0}, behind = {0};

	bench->fake->mdts = 1;
	bench_opened(state, DEPTH);
	bench->fake->hold = true;
	bench->fake->abort_works = false;
	assert_int_equal(io_start(bench, &io, BLK_WRITE, 0, 2048, io_memory(bench, 1u << 20)), 0);
	assert_int_equal(io_start(bench, &behind, BLK_FLUSH, 0, 0, NULL), 0);
	while (bench->device->counters.resets == 0)
		bench_step(bench);
	bench->fake->hold = false;
	assert_int_equal(io_wait(bench, &io), -ETIMEDOUT);
	assert_int_equal(io_wait(bench, &behind), 0);
}

static void fails_for_good(struct bench *bench, struct io *io)
{
	struct io other = {0};

	assert_int_equal(io_wait(bench, io), -ENODEV);
	assert_int_equal(bench->device->failure, -ENODEV);
	assert_true(bench->fake->cut_off);
	assert_int_equal(io_start(bench, &other, BLK_FLUSH, 0, 0, NULL), -ENODEV);
	assert_int_equal(bench->device->under_way, 0);
	assert_int_equal(bench_step(bench), 0);
}

static void nvme_tend__controller_that_does_not_stop(void **state)
{
	struct bench *bench = bench_opened(state, DEPTH);
	struct io io = {0};

	bench->fake->hold = true;
	bench->fake->abort_works = false;
	bench->fake->never_stops = true;
	assert_int_equal(io_start(bench, &io, BLK_READ, 0, 1, io_memory(bench, 512)), 0);
	fails_for_good(bench, &io);
}

static void nvme_tend__controller_that_does_not_come_back(void **state)
{
	struct bench *bench = bench_opened(state, DEPTH);
	struct io io = {0}, waiting = {0};

	bench->fake->hold = true;
	bench->fake->abort_works = false;
	bench->fake->never_ready = true;
	assert_int_equal(io_start(bench, &io, BLK_READ, 0, 1, io_memory(bench, 512)), 0);
	assert_int_equal(io_wait(bench, &io), -ETIMEDOUT);
	assert_int_equal(io_start(bench, &waiting, BLK_FLUSH, 0, 0, NULL), 0);
	fails_for_good(bench, &waiting);
}

static void nvme_tend__namespace_that_has_changed(void **state)
{
	struct bench *bench = bench_opened(state, DEPTH);
	struct io io = {0}, waiting = {0};

	bench->fake->hold = true;
	bench->fake->abort_works = false;
	assert_int_equal(io_start(bench, &io, BLK_READ, 0, 1, io_memory(bench, 512)), 0);
	assert_int_equal(io_wait(bench, &io), -ETIMEDOUT);
	bench->fake->block_shift = 12;
	assert_int_equal(io_start(bench, &waiting, BLK_FLUSH, 0, 0, NULL), 0);
	fails_for_good(bench, &waiting);
}

/* ---- Failures ---- */

static void nvme_tend__fatal_error(void **state)
{
	struct bench *bench = bench_opened(state, DEPTH);
	struct io io = {0};

	bench->fake->hold = true;
	assert_int_equal(io_start(bench, &io, BLK_READ, 0, 1, io_memory(bench, 512)), 0);
	bench->fake->fatal = true;
	fails_for_good(bench, &io);
}

static void nvme_tend__device_that_is_pulled_out(void **state)
{
	struct bench *bench = *state;
	struct io ios[3] = {0};

	bench->fake->mdts = 1;
	bench_opened(state, DEPTH);
	bench->fake->hold = true;
	assert_int_equal(io_start(bench, &ios[0], BLK_READ, 0, 1, io_memory(bench, 512)), 0);
	assert_int_equal(io_start(bench, &ios[1], BLK_READ, 0, 2048, io_memory(bench, 1u << 20)),
			 0);
	assert_int_equal(io_start(bench, &ios[2], BLK_FLUSH, 0, 0, NULL), 0);
	bench_step(bench);
	bench->fake->gone = true;
	ios[0].again = &ios[0];
	fails_for_good(bench, &ios[0]);
	assert_int_equal(ios[0].again_result, -ENODEV);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(ios[i].done, 1);
		assert_int_equal(ios[i].error, -ENODEV);
	}
}

static void nvme_tend__device_of_which_zeroes_are_read(void **state)
{
	struct bench *bench = bench_opened(state, DEPTH);
	struct io io = {0};

	bench->fake->hold = true;
	assert_int_equal(io_start(bench, &io, BLK_READ, 0, 1, io_memory(bench, 512)), 0);
	bench->fake->gone = true;
	bench->fake->gone_as_zeroes = true;
	fails_for_good(bench, &io);
}

static void nvme_tend__controller_that_stops_by_itself(void **state)
{
	struct bench *bench = bench_opened(state, DEPTH);
	struct io io = {0};
	uint32_t status = 0;

	bench->fake->hold = true;
	assert_int_equal(io_start(bench, &io, BLK_READ, 0, 1, io_memory(bench, 512)), 0);
	nvme_fake_step(bench->fake);
	memcpy(bench->fake->registers + NVME_REG_CSTS, &status, sizeof(status));
	assert_int_equal(io_wait(bench, &io), -ETIMEDOUT);
	assert_int_equal(bench->device->counters.resets, 1);
	bench->fake->hold = false;
	works(bench);
}

static void nvme_close__lost_commands(void **state)
{
	struct bench *bench = *state;
	struct io io = {0}, long_one = {0}, waiting = {0};

	bench->fake->mdts = 1;
	bench_opened(state, DEPTH);
	bench->fake->hold = true;
	bench->fake->abort_works = false;
	assert_int_equal(io_start(bench, &io, BLK_READ, 0, 1, io_memory(bench, 512)), 0);
	assert_int_equal(io_start(bench, &long_one, BLK_WRITE, 0, 2048, io_memory(bench, 1u << 20)),
			 0);
	assert_int_equal(io_start(bench, &waiting, BLK_FLUSH, 0, 0, NULL), 0);
	bench_close(bench);
	assert_int_equal(io.error, -ETIMEDOUT);
	/* What was not sent to its end is not sent any more. */
	assert_int_equal(long_one.error, -ECANCELED);
	assert_int_equal(waiting.error, -ECANCELED);
	assert_int_equal(io.done + long_one.done + waiting.done, 3);
	assert_true(bench->fake->closed);
}

static void nvme_close__of_one_that_is_gone(void **state)
{
	struct bench *bench = bench_opened(state, DEPTH);
	struct io io = {0};

	bench->fake->hold = true;
	assert_int_equal(io_start(bench, &io, BLK_READ, 0, 1, io_memory(bench, 512)), 0);
	bench->fake->gone = true;
	bench_close(bench);
	assert_int_equal(io.error, -ENODEV);
	assert_true(bench->fake->closed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nvme_poll__error_of_the_medium),
		TEST(nvme_poll__another_try_goes_well),
		TEST(nvme_poll__tries_have_an_end),
		TEST(nvme_poll__first_error_of_a_long_request),
		TEST(nvme_poll__unknown_completion),
		TEST(nvme_tend__lost_command_is_aborted),
		TEST(nvme_tend__command_that_ends_late),
		TEST(nvme_tend__abort_that_is_not_answered),
		TEST(nvme_tend__reset_when_abort_does_not_help),
		TEST(nvme_tend__reset_in_a_long_request),
		TEST(nvme_tend__controller_that_does_not_stop),
		TEST(nvme_tend__controller_that_does_not_come_back),
		TEST(nvme_tend__namespace_that_has_changed),
		TEST(nvme_tend__fatal_error),
		TEST(nvme_tend__device_that_is_pulled_out),
		TEST(nvme_tend__device_of_which_zeroes_are_read),
		TEST(nvme_tend__controller_that_stops_by_itself),
		TEST(nvme_close__lost_commands),
		TEST(nvme_close__of_one_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
