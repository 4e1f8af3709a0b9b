/* SPDX-License-Identifier: MIT */
/* Queues that join two runtimes: their end, who sleeps, a fork. */
#include "joined.h"

#include <poll.h>

static char one_byte[] = "a";
static const demi_sgarray_t one_sga = {.sga_numsegs = 1, .sga_segs = {{one_byte, 1}}};

/* ---- The end ---- */

static void end__the_other_pops_the_rest_and_then_the_end(void **state)
{
	demi_qtoken_t waiting, qt;
	struct ends ends;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	for (unsigned int i = 0; i < 5; i++)
		await_opcode(push_pattern(ends.here, 2000, i, 0), DEMI_OPC_PUSH);
	check_call(demi_close(ends.here), 0);
	swap();
	for (unsigned int i = 0; i < 5; i++)
		expect(pop(ends.there), 2000, i);
	waiting = pop(ends.there);
	expect_end(waiting);
	expect_end(pop(ends.there));
	assert_int_equal(outcome(demi_push(&qt, ends.there, &one_sga), qt), EPIPE);
	check_call(demi_close(ends.there), 0);
}

static void end__ends_pops_and_pushes_that_wait(void **state)
{
	demi_qtoken_t popping, pushing[2];
	struct ends ends;
	uint64_t before;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	before = objects();
	popping = pop(ends.here);
	for (unsigned int i = 0; i < LIMIT; i++)
		await_opcode(push_pattern(ends.here, 2000, i, 0), DEMI_OPC_PUSH);
	for (unsigned int i = 0; i < 2; i++)
		pushing[i] = push_pattern(ends.here, 2000, i, 0);
	swap();
	check_call(demi_close(ends.there), 0);
	swap();
	expect_end(popping);
	await_error(pushing[0], EPIPE);
	await_error(pushing[1], EPIPE);
	check_call(demi_close(ends.here), 0);
	assert_int_equal(objects(), before);
}

static void end__close_cancels_what_waits_here(void **state)
{
	demi_qtoken_t popping, pushing;
	struct ends ends;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	popping = pop(ends.here);
	for (unsigned int i = 0; i < LIMIT; i++)
		await_opcode(push_pattern(ends.here, 2000, i, 0), DEMI_OPC_PUSH);
	pushing = push_pattern(ends.here, 2000, 99, 0);
	check_call(demi_close(ends.here), 0);
	await_error(popping, ECANCELED);
	await_error(pushing, ECANCELED);
	check_call(demi_close(ends.here), EBADF);
	swap();
	for (unsigned int i = 0; i < LIMIT; i++)
		expect(pop(ends.there), 2000, i);
	expect_end(pop(ends.there));
}

static void end__aclose_completes_when_the_other_has_all(void **state)
{
	demi_qtoken_t pushing, closing;
	struct ends ends;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	for (unsigned int i = 0; i < LIMIT; i++)
		await_opcode(push_pattern(ends.here, 2000, i, 0), DEMI_OPC_PUSH);
	pushing = push_pattern(ends.here, 2000, LIMIT, 0);
	check_call(demi_aclose(&closing, ends.here), 0);
	check_pending(closing);
	swap();
	expect(pop(ends.there), 2000, 0);
	swap();
	await_opcode(pushing, DEMI_OPC_PUSH);
	check_pending(closing);
	swap();
	for (unsigned int i = 1; i <= LIMIT; i++)
		expect(pop(ends.there), 2000, i);
	swap();
	await_opcode(closing, DEMI_OPC_CLOSE);
	swap();
	expect_end(pop(ends.there));
}

static void end__aclose_fails_when_the_other_leaves_some(void **state)
{
	struct ends ends;
	demi_qtoken_t closing;
	uint64_t before;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	before = objects();
	await_opcode(push_pattern(ends.here, 2000, 1, 0), DEMI_OPC_PUSH);
	check_call(demi_aclose(&closing, ends.here), 0);
	check_pending(closing);
	swap();
	check_call(demi_close(ends.there), 0);
	swap();
	await_error(closing, EPIPE);
	assert_int_equal(objects(), before);
}

static void end__aclose_fails_with_its_pushes(void **state)
{
	demi_qtoken_t pushing, closing;
	struct ends ends;
	uint64_t before;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	before = objects();
	for (unsigned int i = 0; i < LIMIT; i++)
		await_opcode(push_pattern(ends.here, 2000, i, 0), DEMI_OPC_PUSH);
	pushing = push_pattern(ends.here, 2000, LIMIT, 0);
	check_call(demi_aclose(&closing, ends.here), 0);
	swap();
	for (unsigned int i = 0; i < LIMIT; i++)
		expect(pop(ends.there), 2000, i);
	check_call(demi_close(ends.there), 0);
	swap();
	await_error(pushing, EPIPE);
	await_error(closing, EPIPE);
	assert_int_equal(objects(), before);
}

static void end__aclose_completes_when_the_other_left_with_all(void **state)
{
	struct ends ends;
	demi_qtoken_t closing;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	await_opcode(push_pattern(ends.here, 2000, 1, 0), DEMI_OPC_PUSH);
	swap();
	expect(pop(ends.there), 2000, 1);
	await_opcode(push_pattern(ends.there, 2000, 2, 0), DEMI_OPC_PUSH);
	check_call(demi_close(ends.there), 0);
	swap();
	check_call(demi_aclose(&closing, ends.here), 0);
	await_opcode(closing, DEMI_OPC_CLOSE);
}

/* Neither pops any more: there is nothing to wait for, and what was pushed is lost. */
static void end__aclose_of_both(void **state)
{
	demi_qtoken_t here, there, qt;
	struct ends ends;
	uint64_t before;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	before = objects();
	await_opcode(push_pattern(ends.here, 2000, 1, 0), DEMI_OPC_PUSH);
	swap();
	await_opcode(push_pattern(ends.there, 2000, 2, 0), DEMI_OPC_PUSH);
	swap();
	check_call(demi_aclose(&here, ends.here), 0);
	check_pending(here);
	swap();
	assert_int_equal(outcome(demi_push(&qt, ends.there, &one_sga), qt), EPIPE);
	check_call(demi_aclose(&there, ends.there), 0);
	await_error(there, EPIPE);
	swap();
	await_error(here, EPIPE);
	assert_int_equal(objects(), before);
}

/* What it has pushed can still be popped. */
static void end__aclose_lets_the_other_pop_the_rest(void **state)
{
	demi_qtoken_t closing;
	struct ends ends;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	await_opcode(push_pattern(ends.here, 2000, 1, 0), DEMI_OPC_PUSH);
	await_opcode(push_pattern(ends.here, 2000, 2, 0), DEMI_OPC_PUSH);
	check_call(demi_aclose(&closing, ends.here), 0);
	swap();
	expect(pop(ends.there), 2000, 1);
	expect(pop(ends.there), 2000, 2);
	check_pending(pop(ends.there));
	swap();
	await_opcode(closing, DEMI_OPC_CLOSE);
}

static void end__aclose_is_cancelled(void **state)
{
	demi_qtoken_t closing;
	int qd;

	(void)state;
	skip_unless_two();
	check_call(demi_queue_create(&qd, "a"), 0);
	await_opcode(push_pattern(qd, 2000, 1, 0), DEMI_OPC_PUSH);
	check_call(demi_aclose(&closing, qd), 0);
	check_call(demi_cancel(closing), 0);
	await_error(closing, ECANCELED);
	check_call(demi_queue_create(&qd, "a"), 0);
}

/* The runtime goes with an aclose under way. */
static void end__of_a_runtime_whose_aclose_waits(void **state)
{
	demi_qtoken_t closing;
	int qd;

	(void)state;
	skip_unless_two();
	check_call(demi_queue_create(&qd, "a"), 0);
	await_opcode(push_pattern(qd, 2000, 1, 0), DEMI_OPC_PUSH);
	check_call(demi_aclose(&closing, qd), 0);
}

/* What a runtime has pushed outlives it: what is popped, and what is not yet. */
static void end__of_a_runtime_leaves_its_elements(void **state)
{
	demi_sgarray_t popped;
	struct ends ends;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	for (unsigned int i = 0; i < 3; i++)
		await_opcode(push_pattern(ends.here, 200000, i, 0), DEMI_OPC_PUSH);
	swap();
	popped = await_opcode(pop(ends.there), DEMI_OPC_POP).qr_value.sga;
	swap();
	demi_fini();
	check_call(demi_attach(other), 0);
	other = NULL;
	assert_int_equal(sga_check(&popped, 0, 0), 200000);
	check_call(demi_sgafree(&popped), 0);
	expect(pop(ends.there), 200000, 1);
	expect(pop(ends.there), 200000, 2);
	expect_end(pop(ends.there));
}

static void end__of_a_runtime_that_has_not_freed_what_it_popped(void **state)
{
	struct ends ends;
	uint64_t before;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	before = objects();
	for (unsigned int i = 0; i < 3; i++)
		await_opcode(push_pattern(ends.here, 2000, i, 0), DEMI_OPC_PUSH);
	swap();
	await_opcode(pop(ends.there), DEMI_OPC_POP);
	demi_fini();
	check_call(demi_attach(other), 0);
	other = NULL;
	assert_int_equal(objects(), before);
	expect_end(pop(ends.here));
}

/* ---- Who sleeps ---- */

/* What demi_idle names; false: there is work. */
struct sleeper {
	struct pollfd wakes[DEMI_IDLE_MAX];
	int count;
};

static bool sleeper_prepare(struct sleeper *sleeper)
{
	struct timespec timeout;

	for (int tries = 0; tries < 100; tries++) {
		int error = demi_idle(sleeper->wakes, DEMI_IDLE_MAX, &sleeper->count, &timeout);

		if (!error)
			return true;
		check_call(error, EAGAIN);
		drive();
	}
	return false;
}

static int sleeper_readable(struct sleeper *sleeper)
{
	return poll(sleeper->wakes, (nfds_t)sleeper->count, 0);
}

static void sleeper__is_woken_by_a_push(void **state)
{
	struct sleeper sleeper;
	demi_qtoken_t popping;
	struct ends ends;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	popping = pop(ends.here);
	for (int round = 0; round < 3; round++) {
		assert_true(sleeper_prepare(&sleeper));
		assert_true(sleeper.count > 0);
		assert_int_equal(sleeper_readable(&sleeper), 0);
		swap();
		await_opcode(push_pattern(ends.there, 10, 1, 0), DEMI_OPC_PUSH);
		swap();
		assert_int_equal(sleeper_readable(&sleeper), 1);
		expect(popping, 10, 1);
		popping = pop(ends.here);
	}
	swap();
	await_opcode(push_pattern(ends.there, 10, 1, 0), DEMI_OPC_PUSH);
	swap();
	/* It has looked once more: there is work. */
	check_call(demi_idle(sleeper.wakes, DEMI_IDLE_MAX, &sleeper.count, &(struct timespec){0}),
		   EAGAIN);
	expect(popping, 10, 1);
}

static void sleeper__is_woken_when_there_is_room(void **state)
{
	struct sleeper sleeper;
	demi_qtoken_t pushing;
	struct ends ends;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	for (unsigned int i = 0; i < LIMIT; i++)
		await_opcode(push_pattern(ends.here, 10, i, 0), DEMI_OPC_PUSH);
	pushing = push_pattern(ends.here, 10, LIMIT, 0);
	assert_true(sleeper_prepare(&sleeper));
	assert_int_equal(sleeper_readable(&sleeper), 0);
	swap();
	expect(pop(ends.there), 10, 0);
	swap();
	assert_int_equal(sleeper_readable(&sleeper), 1);
	await_opcode(pushing, DEMI_OPC_PUSH);
}

static void sleeper__is_woken_by_the_end(void **state)
{
	struct sleeper sleeper;
	demi_qtoken_t popping;
	struct ends ends;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	popping = pop(ends.here);
	assert_true(sleeper_prepare(&sleeper));
	swap();
	check_call(demi_close(ends.there), 0);
	swap();
	assert_int_equal(sleeper_readable(&sleeper), 1);
	expect_end(popping);
}

static void sleeper__is_not_woken_for_what_nobody_waits_for(void **state)
{
	struct sleeper sleeper;
	demi_qtoken_t popping;
	struct ends ends, idle;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	idle = ends_open("b");
	popping = pop(idle.here);
	await_opcode(push_pattern(ends.here, 10, 1, 0), DEMI_OPC_PUSH);
	assert_true(sleeper_prepare(&sleeper));
	swap();
	expect(pop(ends.there), 10, 1);
	swap();
	assert_int_equal(sleeper_readable(&sleeper), 0);
	check_pending(popping);
}

/* ---- A fork ---- */

static void fork_child(void *argument)
{
	const struct ends *ends = argument;
	demi_qtoken_t qt;
	int qd;

	check_call(demi_pop(&qt, ends->here), ENOSYS);
	option_set("LIBOS", "catmem");
	check_call(demi_init(NULL), 0);
	/* The parent's names are not ours. */
	check_call(demi_queue_open(&qd, "unopened"), ENOENT);
	check_call(demi_queue_create(&qd, "unopened"), 0);
	check_call(demi_queue_open(&qd, "unopened"), 0);
	demi_fini();
}

static void fork__leaves_queues_to_the_parent(void **state)
{
	struct child child;
	struct ends ends;
	int qd, files;

	(void)state;
	skip_unless_two();
	skip_unless(!profile_get()->keeps_forks_out, "its forks cannot start a runtime");
	ends = ends_open("a");
	check_call(demi_queue_create(&qd, "unopened"), 0);
	await_opcode(push_pattern(ends.here, 3000, 1, 0), DEMI_OPC_PUSH);
	files = open_files();
	child_run(&child, fork_child, &ends);
	child_check_exit(&child);
	assert_int_equal(open_files(), files);
	check_call(demi_queue_create(&qd, "unopened"), EEXIST);
	swap();
	expect(pop(ends.there), 3000, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_TWO(end__the_other_pops_the_rest_and_then_the_end),
		TEST_SMALL(end__ends_pops_and_pushes_that_wait),
		TEST_SMALL(end__close_cancels_what_waits_here),
		TEST_SMALL(end__aclose_completes_when_the_other_has_all),
		TEST_TWO(end__aclose_fails_when_the_other_leaves_some),
		TEST_SMALL(end__aclose_fails_with_its_pushes),
		TEST_TWO(end__aclose_completes_when_the_other_left_with_all),
		TEST_TWO(end__aclose_of_both),
		TEST_TWO(end__aclose_lets_the_other_pop_the_rest),
		TEST_TWO(end__aclose_is_cancelled),
		TEST_TWO(end__of_a_runtime_whose_aclose_waits),
		TEST_TWO(end__of_a_runtime_leaves_its_elements),
		TEST_TWO(end__of_a_runtime_that_has_not_freed_what_it_popped),
		TEST_TWO(sleeper__is_woken_by_a_push),
		TEST_SMALL(sleeper__is_woken_when_there_is_room),
		TEST_TWO(sleeper__is_woken_by_the_end),
		TEST_TWO(sleeper__is_not_woken_for_what_nobody_waits_for),
		TEST_TWO(fork__leaves_queues_to_the_parent),
	};

	return suite_main("joined_end", !profile_get() || profile_get()->queues, "in-memory queues",
			  tests, COUNT_OF(tests));
}
