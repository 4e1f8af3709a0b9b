/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>

#include "log/log_testing.h"

static struct world *world;
static struct log *log_;

static int set_up(void **state)
{
	(void)state;
	world = world_make(4u << 20, 512, 31);
	world_format(world);
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log_, world->store, "a", LOG_CREATE), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	/* What it was told of was the test's. */
	sim_disk_options(world->disk)->hook = NULL;
	if (log_)
		log_close(log_);
	log_store_close(world->store);
	world_free(world);
	return 0;
}

/* ---- Who is told goes on ---- */

struct chain {
	struct log_append append;
	demi_sgaseg_t segment;
	uint64_t left;
	int outcome;
	bool closes;
};

static void chain_done(struct log_append *append, int error)
{
	struct chain *chain = container_of(append, struct chain, append);

	chain->outcome = error;
	if (chain->left > 0) {
		chain->left--;
		error = log_append(log_, append);
		if (!error)
			return;
		chain->outcome = error;
		chain->left = 0;
	}
	if (chain->closes) {
		log_close(log_);
		log_ = NULL;
	}
}

static void chain_begin(struct chain *chain, void *data, uint32_t bytes, uint64_t count,
			bool closes)
{
	*chain = (struct chain){
		.segment = {data, bytes},
		.append = {.segments = &chain->segment, .segment_count = 1, .done = chain_done},
		.left = count,
		.outcome = -EINPROGRESS,
		.closes = closes,
	};
	assert_int_equal(log_append(log_, &chain->append), 0);
}

static void done__may_append(void **state)
{
	struct log_status status;
	struct chain chain;

	(void)state;
	chain_begin(&chain, world, 0, 999, false);
	while (chain.left > 0 || chain.outcome == -EINPROGRESS)
		world_run(world);
	for (int i = 0; i < 100; i++)
		world_run(world);
	log_status(log_, &status);
	assert_int_equal(status.end, 1000);
}

/* The log has been removed: it goes with that, in the middle of what is told. */
static void done__may_close_a_log_that_was_removed(void **state)
{
	struct chain chain;

	(void)state;
	assert_int_equal(push_wait(world, log_, world, 10), 0);
	assert_int_equal(log_remove(world->store, "a"), 0);
	chain_begin(&chain, world, 100, 5, true);
	while (log_)
		world_run(world);
	assert_int_equal(chain.outcome, 0);
	for (int i = 0; i < 10; i++)
		world_run(world);
}

/* It needs other segments, and gets them although it has been removed; they are free when it is closed. */
static void done__may_close_a_log_that_grew_without_a_name(void **state)
{
	uint8_t *data = heap_alloc(world->heap, 200000);
	struct log_store_status before, after;
	struct chain chain;

	(void)state;
	memset(data, 1, 200000);
	assert_int_equal(push_wait(world, log_, world, 10), 0);
	assert_int_equal(log_remove(world->store, "a"), 0);
	log_store_status(world->store, &before);
	chain_begin(&chain, data, 200000, 0, true);
	while (log_)
		world_run(world);
	assert_int_equal(chain.outcome, 0);
	log_store_status(world->store, &after);
	assert_true(after.segments_free > before.segments_free);
	heap_free(world->heap, data);
}

/* ---- Errors of the device ---- */

struct mishap {
	uint64_t writes; /* that fail from now on */
	int error;
};

static void fail_writes(void *context, uint64_t number, const struct blk_request *request,
			struct sim_disk_fate *fate)
{
	struct mishap *mishap = context;

	(void)number;
	if (request->operation != BLK_WRITE || mishap->writes == 0)
		return;
	mishap->writes--;
	fate->error = mishap->error;
}

static void hook(struct mishap *mishap)
{
	sim_disk_options(world->disk)->hook = fail_writes;
	sim_disk_options(world->disk)->hook_context = mishap;
	sim_disk_options(world->disk)->timeout_ns = 1000;
}

static void write__is_tried_again(void **state)
{
	struct mishap mishap = {0, -EIO};
	struct log_status status;

	(void)state;
	assert_int_equal(push_wait(world, log_, world, 10), 0);
	hook(&mishap);
	mishap = (struct mishap){3, -EIO};
	assert_int_equal(push_wait(world, log_, world, 20), 0);
	mishap = (struct mishap){2, -ETIMEDOUT};
	assert_int_equal(push_wait(world, log_, world, 30), 0);
	log_status(log_, &status);
	assert_int_equal(status.end, 3);
	assert_int_equal(status.failure, 0);
}

static void write__that_fails_ends_the_log_until_it_is_opened_anew(void **state)
{
	struct mishap mishap = {0, -EIO};
	struct log_status status;
	struct log *other;
	struct push push, late;

	(void)state;
	assert_int_equal(log_open(&other, world->store, "b", LOG_CREATE), 0);
	assert_int_equal(push_wait(world, log_, world, 10), 0);
	assert_int_equal(push_wait(world, other, world, 10), 0);
	hook(&mishap);
	mishap = (struct mishap){4, -EIO};
	push_begin(world, log_, &push, world, 20);
	while (push.outcome == -EINPROGRESS)
		world_run(world);
	assert_int_equal(push.outcome, -EIO);
	late = (struct push){.append = {.done = push_done}};
	assert_int_equal(log_append(log_, &late.append), -EIO);
	log_status(log_, &status);
	assert_int_equal(status.failure, -EIO);
	assert_int_equal(push_wait(world, other, world, 10), 0);
	log_close(other);
	log_close(log_);
	log_store_close(world->store);
	assert_int_equal(world_open(world), 0);
	assert_int_equal(log_open(&log_, world->store, "a", 0), 0);
	log_status(log_, &status);
	assert_int_equal(status.failure, 0);
	assert_false(status.is_damaged);
	assert_in_range(status.end, 1, 2);
	assert_int_equal(push_wait(world, log_, world, 30), 0);
}

/* More logs that write at once than the device takes requests. */
static void write__waits_for_room_in_the_device(void **state)
{
	struct log *logs[20];
	struct push pushes[20];
	char name[8];

	(void)state;
	log_close(log_);
	log_store_close(world->store);
	blkdev_close(world->disk);
	world->disk_options.depth = SIM_DISK_DEPTH_MIN;
	world_plug(world);
	assert_int_equal(world_open(world), 0);
	log_ = NULL;
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(log_open(&logs[i], world->store, name, LOG_CREATE), 0);
	}
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 20; i++)
			push_begin(world, logs[i], &pushes[i], world, 10);
		for (int i = 0; i < 20; i++) {
			while (pushes[i].outcome == -EINPROGRESS)
				world_run(world);
			assert_int_equal(pushes[i].outcome, 0);
			assert_int_equal(pushes[i].append.record, round);
		}
	}
	for (int i = 0; i < 20; i++)
		log_close(logs[i]);
}

/* ---- Taking back ---- */

static void cancel__takes_back_what_is_not_written(void **state)
{
	struct log_status status;
	struct push pushes[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		push_begin(world, log_, &pushes[i], world, (uint32_t)i + 1);
	assert_int_equal(log_append_cancel(log_, &pushes[0].append), 0);
	assert_int_equal(log_append_cancel(log_, &pushes[3].append), 0);
	assert_int_equal(pushes[0].outcome, -ECANCELED);
	assert_int_equal(pushes[3].outcome, -ECANCELED);
	push_begin(world, log_, &pushes[3], world, 7);
	/* In the device now, which takes some time for the first segment's change, too. */
	while (pushes[1].outcome == -EINPROGRESS) {
		world_run(world);
		if (pushes[1].append.state != 0 && pushes[1].outcome == -EINPROGRESS)
			assert_int_equal(log_append_cancel(log_, &pushes[1].append), -EBUSY);
	}
	while (pushes[3].outcome == -EINPROGRESS)
		world_run(world);
	assert_int_equal(pushes[1].append.record, 0);
	assert_int_equal(pushes[2].append.record, 1);
	assert_int_equal(pushes[3].append.record, 2);
	log_status(log_, &status);
	assert_int_equal(status.end, 3);
}

/* All that waited for the first segment is taken back, and the segment comes. */
static void cancel__of_all_leaves_the_log_as_it_was(void **state)
{
	struct push push;

	(void)state;
	for (uint32_t turns = 0; turns < 6; turns++) {
		push_begin(world, log_, &push, world, 10);
		for (uint32_t i = 0; i < turns && push.outcome == -EINPROGRESS; i++)
			world_run(world);
		if (push.outcome == -EINPROGRESS)
			log_append_cancel(log_, &push.append);
		while (push.outcome == -EINPROGRESS)
			world_run(world);
		for (int i = 0; i < 20; i++)
			world_run(world);
	}
	assert_int_equal(push_wait(world, log_, world, 10), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(done__may_append),
		CASE(done__may_close_a_log_that_was_removed),
		CASE(done__may_close_a_log_that_grew_without_a_name),
		CASE(write__is_tried_again),
		CASE(write__that_fails_ends_the_log_until_it_is_opened_anew),
		CASE(write__waits_for_room_in_the_device),
		CASE(cancel__takes_back_what_is_not_written),
		CASE(cancel__of_all_leaves_the_log_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
