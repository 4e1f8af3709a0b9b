/* SPDX-License-Identifier: MIT */
/*
 * Waits and demi_cancel. The operations are pops and pushes of in-memory queues, so that the test
 * decides which completes, and when.
 */
#include "common.h"

#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

static int queue_open(void)
{
	int qd = -1;

	check_call(demi_queue(&qd), 0);
	return qd;
}

/* Completes the oldest pop that waits at @qd: its element is the number @value. */
static void complete(int qd, uint32_t value)
{
	demi_sgarray_t sga = sga_of(&value, sizeof(value));

	await_opcode(push_sga(qd, &sga), DEMI_OPC_PUSH);
}

static uint32_t value_of(demi_qresult_t *qr)
{
	uint32_t value;

	assert_int_equal(qr->qr_opcode, DEMI_OPC_POP);
	assert_int_equal(sga_bytes(&qr->qr_value.sga), sizeof(value));
	memcpy(&value, qr->qr_value.sga.sga_segs[0].sgaseg_buf, sizeof(value));
	check_call(demi_sgafree(&qr->qr_value.sga), 0);
	return value;
}

/* ---- Timeouts ---- */

/* The four waits behind one face, for what is the same in all of them. */
enum wait_kind { BY_ONE, BY_ANY, BY_ALL, BY_NEXT_N, BY_KINDS };

static int wait_by(enum wait_kind kind, demi_qresult_t *qr, demi_qtoken_t qt,
		   const struct timespec *timeout)
{
	int count = -1;
	int error;

	switch (kind) {
	case BY_ONE:
		return demi_wait(qr, qt, timeout);
	case BY_ANY:
		return demi_wait_any(qr, NULL, &qt, 1, timeout);
	case BY_ALL:
		return demi_wait_all(qr, &qt, 1, timeout);
	default:
		error = demi_wait_next_n(qr, 1, &count, timeout);
		if (error == 0)
			assert_int_equal(count, 1);
		else if (error == ETIMEDOUT)
			assert_int_equal(count, 0);
		return error;
	}
}

static void wait__timeout_0_polls(void **state)
{
	int qd = queue_open();
	demi_qtoken_t qt = pop(qd);

	(void)state;
	for (int kind = 0; kind < BY_KINDS; kind++) {
		int64_t start = now_ms();
		demi_qresult_t qr;

		check_call(wait_by((enum wait_kind)kind, &qr, qt, &wait_none), ETIMEDOUT);
		assert_true(now_ms() - start < 2000);
	}
	complete(qd, 1);
	for (int kind = 0; kind < BY_KINDS; kind++) {
		demi_qresult_t qr;

		check_call(wait_by((enum wait_kind)kind, &qr, qt, &wait_none), 0);
		assert_true(qr.qr_qt == qt);
		assert_int_equal(value_of(&qr), kind + 1);
		complete(qd, (uint32_t)kind + 2);
		qt = pop(qd);
	}
}

static void timeout_lasts_as_long_as_asked(const char *idle)
{
	static const long timeouts[] = {1, 20, 150};

	option_set("DEMI_RUNTIME_IDLE", idle);
	check_call(demi_init(NULL), 0);
	for (int kind = 0; kind < BY_KINDS; kind++) {
		demi_qtoken_t qt = pop(queue_open());

		for (size_t i = 0; i < COUNT_OF(timeouts); i++) {
			struct timespec timeout = milliseconds(timeouts[i]), start, end;
			int64_t elapsed_ns;
			demi_qresult_t qr;

			clock_gettime(CLOCK_MONOTONIC, &start);
			check_call(wait_by((enum wait_kind)kind, &qr, qt, &timeout), ETIMEDOUT);
			clock_gettime(CLOCK_MONOTONIC, &end);
			elapsed_ns = (int64_t)(end.tv_sec - start.tv_sec) * 1000000000 +
				     (end.tv_nsec - start.tv_nsec);
			assert_true(elapsed_ns >= timeouts[i] * 1000000);
			assert_true(elapsed_ns < (timeouts[i] + 5000) * 1000000);
		}
	}
}

static void wait__timeout_lasts_as_long_as_asked_when_spinning(void **state)
{
	(void)state;
	timeout_lasts_as_long_as_asked("spin");
}

static void wait__timeout_lasts_as_long_as_asked_when_sleeping(void **state)
{
	(void)state;
	timeout_lasts_as_long_as_asked("sleep");
}

static void wait__very_long_timeout_does_not_overflow(void **state)
{
	static const struct timespec ages[] = {{.tv_sec = INT32_MAX},
					       {.tv_sec = INT64_MAX, .tv_nsec = 999999999}};
	int qd = queue_open();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ages); i++) {
		for (int kind = 0; kind < BY_KINDS; kind++) {
			demi_qtoken_t qt = pop(qd);
			demi_qresult_t qr;

			complete(qd, 7);
			check_call(wait_by((enum wait_kind)kind, &qr, qt, &ages[i]), 0);
			assert_int_equal(value_of(&qr), 7);
		}
	}
}

static void wait__null_timeout_waits_for_the_operation(void **state)
{
	int qd = queue_open();

	(void)state;
	for (int kind = 0; kind < BY_KINDS; kind++) {
		demi_qtoken_t qt = pop(qd);
		demi_qresult_t qr;

		complete(qd, 8);
		check_call(wait_by((enum wait_kind)kind, &qr, qt, NULL), 0);
		assert_int_equal(value_of(&qr), 8);
	}
}

static void wait__operation_that_timed_out_gets_the_next_data(void **state)
{
	struct timespec moment = milliseconds(5);
	int qd = queue_open();

	(void)state;
	for (int kind = 0; kind < BY_KINDS; kind++) {
		demi_qtoken_t first = pop(qd), second = pop(qd);
		demi_qresult_t qr;

		check_call(wait_by((enum wait_kind)kind, &qr, first, &moment), ETIMEDOUT);
		check_call(wait_by((enum wait_kind)kind, &qr, first, &wait_none), ETIMEDOUT);
		complete(qd, 1);
		complete(qd, 2);
		check_call(wait_by((enum wait_kind)kind, &qr, first, &wait_long), 0);
		assert_true(qr.qr_qt == first);
		assert_int_equal(value_of(&qr), 1);
		check_call(wait_by((enum wait_kind)kind, &qr, second, &wait_long), 0);
		assert_int_equal(value_of(&qr), 2);
	}
}

static void wait__bad_timeout_is_einval_and_uses_nothing_up(void **state)
{
	static const struct timespec bad[] = {
		{.tv_sec = -1},
		{.tv_nsec = -1},
		{.tv_nsec = 1000000000},
		{.tv_sec = 1, .tv_nsec = 2000000000},
	};
	int qd = queue_open();

	(void)state;
	for (int kind = 0; kind < BY_KINDS; kind++) {
		demi_qtoken_t qt = pop(qd);
		demi_qresult_t qr;

		for (size_t i = 0; i < COUNT_OF(bad); i++) {
			check_call(wait_by((enum wait_kind)kind, &qr, qt, &bad[i]), EINVAL);
		}
		complete(qd, 3);
		for (size_t i = 0; i < COUNT_OF(bad); i++) {
			check_call(wait_by((enum wait_kind)kind, &qr, qt, &bad[i]), EINVAL);
		}
		check_call(wait_by((enum wait_kind)kind, &qr, qt, &wait_long), 0);
		assert_int_equal(value_of(&qr), 3);
	}
}

/* ---- Tokens ---- */

static void wait__result_is_returned_once_by_whichever_wait(void **state)
{
	int qd = queue_open();

	(void)state;
	for (int by = 0; by < BY_KINDS; by++) {
		demi_qtoken_t qt = pop(qd);
		demi_qresult_t qr;
		int count = -1;

		complete(qd, 4);
		check_call(wait_by((enum wait_kind)by, &qr, qt, &wait_long), 0);
		assert_int_equal(value_of(&qr), 4);
		check_call(demi_wait(&qr, qt, &wait_none), EINVAL);
		check_call(demi_wait_any(&qr, NULL, &qt, 1, &wait_none), EINVAL);
		check_call(demi_wait_all(&qr, &qt, 1, &wait_none), EINVAL);
		check_call(demi_wait_next_n(&qr, 1, &count, &wait_none), ETIMEDOUT);
		assert_int_equal(count, 0);
		check_call(demi_cancel(qt), EINVAL);
	}
}

static void wait__tokens_are_never_the_same_twice(void **state)
{
	enum { COUNT = 20000 };
	demi_qtoken_t *seen = malloc(COUNT * sizeof(*seen));
	int qd = queue_open();
	demi_qresult_t qr;

	(void)state;
	assert_non_null(seen);
	for (uint32_t i = 0; i < COUNT; i++) {
		seen[i] = pop(qd);
		complete(qd, i);
		qr = await(seen[i]);
		assert_int_equal(value_of(&qr), i);
		if (i > 0)
			assert_true(seen[i] != seen[i - 1]);
	}
	/* None of the used ones is taken for a later one. */
	for (uint32_t i = 0; i < COUNT; i++)
		check_call(demi_wait(&qr, seen[i], &wait_none), EINVAL);
	free(seen);
}

/* ---- wait_any ---- */

static void wait_any__unknown_token_is_einval_when_nothing_is_ready(void **state)
{
	int qd = queue_open();
	demi_qtoken_t qts[3];
	demi_qresult_t qr;
	int offset;

	(void)state;
	qts[0] = pop(qd);
	qts[1] = push_pattern(queue_open(), 1, 0, 0);
	await(qts[1]);
	qts[2] = pop(qd);
	check_call(demi_wait_any(&qr, &offset, qts, 3, &wait_long), EINVAL);
	complete(qd, 5);
	check_call(demi_wait_any(&qr, &offset, qts, 1, &wait_long), 0);
	assert_int_equal(value_of(&qr), 5);
	check_pending(qts[2]);
}

static void wait_any__first_to_complete_is_returned_first(void **state)
{
	enum { COUNT = 64 };
	demi_qtoken_t qts[COUNT];
	int qds[COUNT];

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		qds[i] = queue_open();
		qts[i] = pop(qds[i]);
	}
	/* 37 and 64 have no common factor: every queue once, in no order. */
	for (uint32_t i = 0; i < COUNT; i++)
		complete(qds[i * 37 % COUNT], i * 37 % COUNT);
	for (int left = COUNT, i = 0; left > 0; left--, i++) {
		demi_qresult_t qr;
		int offset = -1;

		check_call(demi_wait_any(&qr, &offset, qts, left, &wait_long), 0);
		assert_in_range(offset, 0, left - 1);
		assert_true(qts[offset] == qr.qr_qt);
		assert_int_equal(value_of(&qr), i * 37 % COUNT);
		qts[offset] = qts[left - 1];
	}
}

static void wait_any__offset_may_be_null(void **state)
{
	int qd = queue_open();
	demi_qtoken_t qts[2] = {pop(queue_open()), pop(qd)};
	demi_qresult_t qr;

	(void)state;
	complete(qd, 6);
	check_call(demi_wait_any(&qr, NULL, qts, 2, &wait_long), 0);
	assert_true(qr.qr_qt == qts[1]);
	assert_int_equal(value_of(&qr), 6);
}

static void wait_any__same_token_twice_is_found_once(void **state)
{
	int qd = queue_open();
	demi_qtoken_t qts[3] = {pop(queue_open()), pop(qd), 0};
	demi_qresult_t qr;
	int offset = -1;

	(void)state;
	qts[2] = qts[1];
	check_call(demi_wait_any(&qr, &offset, qts, 3, &wait_none), ETIMEDOUT);
	complete(qd, 9);
	check_call(demi_wait_any(&qr, &offset, qts, 3, &wait_long), 0);
	assert_in_range(offset, 1, 2);
	assert_int_equal(value_of(&qr), 9);
	check_call(demi_wait_any(&qr, &offset, qts, 3, &wait_none), EINVAL);
	check_call(demi_wait_any(&qr, &offset, qts, 1, &wait_none), ETIMEDOUT);
}

static void wait_any__ready_token_outside_of_the_array_does_not_count(void **state)
{
	int inside = queue_open(), outside = queue_open();
	demi_qtoken_t qts[3] = {pop(inside), pop(outside), pop(inside)};
	demi_qresult_t qr;
	int offset = -1;

	(void)state;
	check_call(demi_wait_any(&qr, &offset, qts, 3, &wait_none), ETIMEDOUT);
	complete(outside, 1);
	/* It was in the array last time. */
	check_call(demi_wait_any(&qr, &offset, qts, 1, &wait_none), ETIMEDOUT);
	check_call(demi_wait_any(&qr, &offset, qts + 2, 1, &wait_none), ETIMEDOUT);
	complete(inside, 2);
	check_call(demi_wait_any(&qr, &offset, qts + 2, 1, &wait_none), ETIMEDOUT);
	check_call(demi_wait_any(&qr, &offset, qts, 2, &wait_long), 0);
	assert_int_equal(offset, 1);
	assert_int_equal(value_of(&qr), 1);
	check_call(demi_wait_any(&qr, &offset, qts, 1, &wait_long), 0);
	assert_int_equal(offset, 0);
	assert_int_equal(value_of(&qr), 2);
}

/*
 * 10,000 pops, one of each queue, against a model. The model knows which queues are ready, in
 * order of completion, and which stand in the array; the test edits the array as applications do.
 */
#define CROWD 10000

static struct {
	int qds[CROWD];
	demi_qtoken_t tokens[CROWD]; /* of each queue: its pop */
	demi_qtoken_t qts[CROWD];    /* the application's array */
	int owner[CROWD];            /* queue of each entry of qts */
	int num_qts;
	int ready[CROWD]; /* queues, in the order in which they were completed */
	int num_ready;
	uint32_t random;
} crowd;

static uint32_t crowd_random(uint32_t bound)
{
	crowd.random = crowd.random * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)crowd.random * bound) >> 32);
}

static void crowd_open(void)
{
	memset(&crowd, 0, sizeof(crowd));
	crowd.random = 1;
	crowd.num_qts = CROWD;
	for (int i = 0; i < CROWD; i++) {
		crowd.qds[i] = queue_open();
		crowd.tokens[i] = crowd.qts[i] = pop(crowd.qds[i]);
		crowd.owner[i] = i;
	}
}

static void crowd_complete(int i)
{
	for (int j = 0; j < crowd.num_ready; j++) {
		if (crowd.ready[j] == i)
			return;
	}
	complete(crowd.qds[i], (uint32_t)i);
	crowd.ready[crowd.num_ready++] = i;
}

static void crowd_complete_some(int count)
{
	for (int i = 0; i < count; i++)
		crowd_complete((int)crowd_random(CROWD));
}

static void crowd_forget_ready(int i)
{
	int at = 0;

	while (crowd.ready[at] != i)
		at++;
	crowd.num_ready--;
	memmove(crowd.ready + at, crowd.ready + at + 1,
		(size_t)(crowd.num_ready - at) * sizeof(int));
}

/* Waits on @qts, and checks that it is the first ready one that comes; returns its offset. */
static int crowd_wait(const demi_qtoken_t *qts, int num_qts)
{
	demi_qresult_t qr;
	int offset = -1, expected = -1;

	for (int i = 0; i < crowd.num_ready && expected < 0; i++) {
		for (int j = 0; j < num_qts; j++) {
			if (qts[j] == crowd.tokens[crowd.ready[i]])
				expected = crowd.ready[i];
		}
	}
	if (expected < 0) {
		check_call(demi_wait_any(&qr, &offset, qts, num_qts, &wait_none), ETIMEDOUT);
		return -1;
	}
	check_call(demi_wait_any(&qr, &offset, qts, num_qts, &wait_long), 0);
	assert_in_range(offset, 0, num_qts - 1);
	assert_true(qts[offset] == qr.qr_qt);
	assert_true(qr.qr_qt == crowd.tokens[expected]);
	assert_int_equal(qr.qr_qd, crowd.qds[expected]);
	assert_int_equal(value_of(&qr), expected);
	crowd_forget_ready(expected);
	return offset;
}

static demi_qtoken_t crowd_renew(int i)
{
	crowd.tokens[i] = pop(crowd.qds[i]);
	return crowd.tokens[i];
}

static void wait_any__10000_tokens_replaced_at_their_offset(void **state)
{
	(void)state;
	crowd_open();
	for (int round = 0; round < 200; round++) {
		crowd_complete_some(5);
		while (crowd.num_ready > 0) {
			int offset = crowd_wait(crowd.qts, crowd.num_qts);

			crowd.qts[offset] = crowd_renew(crowd.owner[offset]);
		}
		assert_int_equal(crowd_wait(crowd.qts, crowd.num_qts), -1);
	}
}

static void wait_any__10000_tokens_swapped_with_the_last(void **state)
{
	(void)state;
	crowd_open();
	for (int round = 0; round < 200; round++) {
		crowd_complete_some(5);
		while (crowd.num_ready > 0) {
			int offset = crowd_wait(crowd.qts, crowd.num_qts);
			int owner = crowd.owner[offset], last = crowd.num_qts - 1;

			crowd.qts[offset] = crowd.qts[last];
			crowd.owner[offset] = crowd.owner[last];
			crowd.num_qts--;
			/* Every other comes back, at the end. */
			if (round % 2 == 0)
				continue;
			crowd.qts[last] = crowd_renew(owner);
			crowd.owner[last] = owner;
			crowd.num_qts++;
		}
		/* Those that went out come back, and the array is in another order than before. */
		if (round % 2 == 0) {
			crowd.num_qts = 0;
			for (int i = 0; i < CROWD; i++) {
				demi_qresult_t qr;

				if (demi_wait(&qr, crowd.tokens[i], &wait_none) == EINVAL)
					crowd_renew(i);
				crowd.qts[crowd.num_qts] = crowd.tokens[i];
				crowd.owner[crowd.num_qts++] = i;
			}
		}
	}
}

static void wait_any__10000_tokens_shifted_down(void **state)
{
	(void)state;
	crowd_open();
	for (int round = 0; round < 200; round++) {
		crowd_complete_some(5);
		while (crowd.num_ready > 0) {
			int offset = crowd_wait(crowd.qts, crowd.num_qts);
			int owner = crowd.owner[offset], last = crowd.num_qts - 1;
			size_t above = (size_t)(last - offset);

			memmove(crowd.qts + offset, crowd.qts + offset + 1,
				above * sizeof(crowd.qts[0]));
			memmove(crowd.owner + offset, crowd.owner + offset + 1,
				above * sizeof(crowd.owner[0]));
			crowd.qts[last] = crowd_renew(owner);
			crowd.owner[last] = owner;
		}
	}
}

static void wait_any__10000_tokens_appended_one_by_one(void **state)
{
	(void)state;
	crowd_open();
	crowd.num_qts = 1;
	while (crowd.num_qts < CROWD) {
		int step = 1 + (int)crowd_random(100);

		for (int i = 0; i < 3; i++)
			crowd_complete((int)crowd_random((uint32_t)crowd.num_qts));
		while (crowd.num_ready > 0) {
			int offset = crowd_wait(crowd.qts, crowd.num_qts);

			crowd.qts[offset] = crowd_renew(crowd.owner[offset]);
		}
		crowd.num_qts = crowd.num_qts + step < CROWD ? crowd.num_qts + step : CROWD;
	}
}

static void wait_any__10000_tokens_shuffled(void **state)
{
	(void)state;
	crowd_open();
	for (int round = 0; round < 60; round++) {
		crowd_complete_some(5);
		while (crowd.num_ready > 0) {
			int offset = crowd_wait(crowd.qts, crowd.num_qts);

			crowd.qts[offset] = crowd_renew(crowd.owner[offset]);
			for (int i = CROWD - 1; i > 0; i--) {
				int j = (int)crowd_random((uint32_t)i + 1);
				demi_qtoken_t token = crowd.qts[i];
				int owner = crowd.owner[i];

				crowd.qts[i] = crowd.qts[j];
				crowd.owner[i] = crowd.owner[j];
				crowd.qts[j] = token;
				crowd.owner[j] = owner;
			}
		}
	}
}

static void wait_any__10000_tokens_in_two_arrays_alternately(void **state)
{
	enum { HALF = CROWD / 2 };
	static demi_qtoken_t arrays[2][HALF];
	static int owners[2][HALF];

	(void)state;
	crowd_open();
	for (int i = 0; i < CROWD; i++) {
		arrays[i % 2][i / 2] = crowd.tokens[i];
		owners[i % 2][i / 2] = i;
	}
	for (int round = 0; round < 300; round++) {
		crowd_complete_some(4);
		for (int which = 0; which < 2; which++) {
			int offset = crowd_wait(arrays[which], HALF);

			if (offset < 0)
				continue;
			arrays[which][offset] = crowd_renew(owners[which][offset]);
			/* Entries of this array also change places. */
			offset = (int)crowd_random(HALF - 1);
			{
				demi_qtoken_t token = arrays[which][offset];
				int owner = owners[which][offset];

				arrays[which][offset] = arrays[which][offset + 1];
				owners[which][offset] = owners[which][offset + 1];
				arrays[which][offset + 1] = token;
				owners[which][offset + 1] = owner;
			}
		}
	}
}

static void wait_any__10000_tokens_completed_long_before(void **state)
{
	(void)state;
	crowd_open();
	for (int i = 0; i < CROWD; i++) {
		int scattered = (int)((uint32_t)i * 7919 % CROWD);

		complete(crowd.qds[scattered], (uint32_t)scattered);
	}
	for (int i = 0; crowd.num_qts > 0; i++) {
		demi_qresult_t qr;
		int offset = -1;

		check_call(demi_wait_any(&qr, &offset, crowd.qts, crowd.num_qts, &wait_long), 0);
		assert_in_range(offset, 0, crowd.num_qts - 1);
		assert_true(crowd.qts[offset] == qr.qr_qt);
		assert_int_equal(value_of(&qr), (uint32_t)i * 7919 % CROWD);
		crowd.num_qts--;
		crowd.qts[offset] = crowd.qts[crowd.num_qts];
	}
}

static void wait_any__10000_tokens_some_waited_elsewhere(void **state)
{
	(void)state;
	crowd_open();
	for (int round = 0; round < 200; round++) {
		int other = (int)crowd_random(CROWD);
		demi_qresult_t qr;

		/* The array has been seen with this token in it. */
		assert_int_equal(crowd_wait(crowd.qts, crowd.num_qts), -1);
		crowd_complete(other);
		crowd_complete_some(3);
		qr = await(crowd.tokens[other]);
		assert_int_equal(value_of(&qr), other);
		crowd_forget_ready(other);
		crowd.qts[other] = crowd_renew(other);
		while (crowd.num_ready > 0) {
			int offset = crowd_wait(crowd.qts, crowd.num_qts);

			assert_int_equal(offset, crowd.owner[offset]);
			crowd.qts[offset] = crowd_renew(offset);
		}
	}
}

static void wait_any__10000_tokens_in_an_array_that_moves(void **state)
{
	demi_qtoken_t *array = malloc(CROWD * sizeof(*array)), *moved;

	(void)state;
	assert_non_null(array);
	crowd_open();
	for (int round = 0; round < 100; round++) {
		/* A copy elsewhere, while the old place is filled with something else. */
		moved = malloc(CROWD * sizeof(*moved));
		assert_non_null(moved);
		memset(array, 0xff, CROWD * sizeof(*array));
		free(array);
		array = moved;
		memcpy(array, crowd.qts, sizeof(crowd.qts));
		crowd_complete_some(3);
		while (crowd.num_ready > 0) {
			int offset = crowd_wait(array, CROWD);

			array[offset] = crowd.qts[offset] = crowd_renew(crowd.owner[offset]);
		}
	}
	free(array);
}

static void wait_any__different_arrays_at_the_same_address(void **state)
{
	static demi_qtoken_t array[100];

	(void)state;
	crowd_open();
	for (int round = 0; round < 300; round++) {
		int first = (int)crowd_random(CROWD - 100), offset;

		memcpy(array, crowd.tokens + first, sizeof(array));
		crowd_complete(first + (int)crowd_random(100));
		while ((offset = crowd_wait(array, 100)) >= 0)
			array[offset] = crowd_renew(first + offset);
	}
}

static void wait_any__every_one_of_10000_completes_in_turn(void **state)
{
	int64_t start, elapsed;

	(void)state;
	crowd_open();
	start = now_ms();
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < CROWD; i++) {
			int at = (int)((uint32_t)i * 7919 % CROWD);
			demi_qresult_t qr;
			int offset = -1;

			complete(crowd.qds[at], (uint32_t)at);
			check_call(demi_wait_any(&qr, &offset, crowd.qts, CROWD, &wait_long), 0);
			assert_int_equal(offset, at);
			assert_int_equal(value_of(&qr), at);
			crowd.qts[at] = pop(crowd.qds[at]);
		}
	}
	elapsed = now_ms() - start;
	print_message("30,000 waits on 10,000 tokens: %lld ms\n", (long long)elapsed);
}

/* ---- wait_all ---- */

static void wait_all__results_come_in_the_order_of_the_tokens(void **state)
{
	enum { COUNT = 100 };
	demi_qtoken_t qts[COUNT];
	demi_qresult_t qrs[COUNT];
	int qds[COUNT];

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		qds[i] = queue_open();
		qts[i] = pop(qds[i]);
	}
	for (uint32_t i = COUNT; i-- > 0;)
		complete(qds[i], i);
	check_call(demi_wait_all(qrs, qts, COUNT, &wait_long), 0);
	for (int i = 0; i < COUNT; i++) {
		assert_true(qrs[i].qr_qt == qts[i]);
		assert_int_equal(qrs[i].qr_qd, qds[i]);
		assert_int_equal(value_of(&qrs[i]), i);
		check_call(demi_wait(&qrs[i], qts[i], &wait_none), EINVAL);
	}
}

static void wait_all__is_all_or_nothing(void **state)
{
	int a = queue_open(), b = queue_open();
	demi_qtoken_t qts[2] = {pop(a), pop(b)};
	struct timespec moment = milliseconds(20);
	demi_qresult_t qrs[2];
	uint8_t untouched[sizeof(qrs)];

	(void)state;
	memset(qrs, 0xa5, sizeof(qrs));
	memset(untouched, 0xa5, sizeof(untouched));
	complete(a, 1);
	check_call(demi_wait_all(qrs, qts, 2, &wait_none), ETIMEDOUT);
	check_call(demi_wait_all(qrs, qts, 2, &moment), ETIMEDOUT);
	assert_memory_equal(qrs, untouched, sizeof(qrs));
	/* The one that is complete can still be waited for, and then the other alone. */
	check_call(demi_wait(&qrs[0], qts[0], &wait_none), 0);
	assert_int_equal(value_of(&qrs[0]), 1);
	complete(b, 2);
	check_call(demi_wait_all(qrs, qts, 2, &wait_none), EINVAL);
	check_call(demi_wait_all(qrs, qts + 1, 1, &wait_none), 0);
	assert_int_equal(value_of(&qrs[0]), 2);
}

static void wait_all__completes_after_timing_out(void **state)
{
	int a = queue_open(), b = queue_open();
	demi_qtoken_t qts[2] = {pop(a), pop(b)};
	demi_qresult_t qrs[2];

	(void)state;
	complete(b, 2);
	check_call(demi_wait_all(qrs, qts, 2, &wait_none), ETIMEDOUT);
	complete(a, 1);
	check_call(demi_wait_all(qrs, qts, 2, &wait_long), 0);
	assert_int_equal(value_of(&qrs[0]), 1);
	assert_int_equal(value_of(&qrs[1]), 2);
}

static void wait_all__same_token_twice_is_einval(void **state)
{
	int qd = queue_open();
	demi_qtoken_t qts[3] = {pop(qd), pop(qd), 0};
	demi_qresult_t qrs[3];

	(void)state;
	qts[2] = qts[0];
	check_call(demi_wait_all(qrs, qts, 3, &wait_none), EINVAL);
	complete(qd, 1);
	complete(qd, 2);
	check_call(demi_wait_all(qrs, qts, 3, &wait_long), EINVAL);
	check_call(demi_wait_all(qrs, qts, 2, &wait_long), 0);
	assert_int_equal(value_of(&qrs[0]), 1);
	assert_int_equal(value_of(&qrs[1]), 2);
}

static void wait_all__failed_operations_are_results_too(void **state)
{
	int a = queue_open(), b = queue_open();
	demi_qtoken_t qts[2] = {pop(a), pop(b)};
	demi_qresult_t qrs[2];

	(void)state;
	check_call(demi_close(a), 0);
	complete(b, 3);
	check_call(demi_wait_all(qrs, qts, 2, &wait_long), 0);
	assert_int_equal(qrs[0].qr_opcode, DEMI_OPC_FAILED);
	assert_int_equal(qrs[0].qr_ret, ECANCELED);
	assert_int_equal(value_of(&qrs[1]), 3);
}

static void wait_all__10000_tokens(void **state)
{
	static demi_qresult_t qrs[CROWD];

	(void)state;
	crowd_open();
	for (uint32_t i = 0; i < CROWD; i++)
		complete(crowd.qds[i * 7919 % CROWD], i * 7919 % CROWD);
	check_call(demi_wait_all(qrs, crowd.qts, CROWD, &wait_long), 0);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(value_of(&qrs[i]), i);
}

/* ---- wait_next_n ---- */

static void wait_next_n__results_come_in_the_order_of_completion(void **state)
{
	enum { COUNT = 50 };
	int qds[COUNT], done = 0;
	demi_qresult_t qrs[8];

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		qds[i] = queue_open();
		pop(qds[i]);
	}
	for (uint32_t i = 0; i < COUNT; i++)
		complete(qds[i * 7 % COUNT], i * 7 % COUNT);
	while (done < COUNT) {
		int count = -1;

		check_call(demi_wait_next_n(qrs, COUNT_OF(qrs), &count, &wait_long), 0);
		assert_in_range(count, 1, COUNT_OF(qrs));
		for (int i = 0; i < count; i++, done++)
			assert_int_equal(value_of(&qrs[i]), done * 7 % COUNT);
	}
	assert_int_equal(done, COUNT);
}

static void wait_next_n__timeout_sets_the_count_to_0(void **state)
{
	struct timespec moment = milliseconds(20);
	demi_qresult_t qr;
	int count = -1;

	(void)state;
	/* Nothing was ever issued. */
	check_call(demi_wait_next_n(&qr, 1, &count, &wait_none), ETIMEDOUT);
	assert_int_equal(count, 0);
	pop(queue_open());
	count = -1;
	check_call(demi_wait_next_n(&qr, 1, &count, &moment), ETIMEDOUT);
	assert_int_equal(count, 0);
}

static void wait_next_n__leaves_what_does_not_fit(void **state)
{
	demi_qtoken_t qts[10];
	demi_qresult_t qrs[10];
	int qd = queue_open(), count = -1;

	(void)state;
	for (int i = 0; i < 10; i++)
		qts[i] = pop(qd);
	for (uint32_t i = 0; i < 10; i++)
		complete(qd, i);
	check_call(demi_wait_next_n(qrs, 4, &count, &wait_long), 0);
	assert_int_equal(count, 4);
	for (int i = 0; i < 4; i++) {
		assert_true(qrs[i].qr_qt == qts[i]);
		assert_int_equal(value_of(&qrs[i]), i);
	}
	/* Taken by name, it is not among the next ones. */
	check_call(demi_wait(&qrs[0], qts[5], &wait_none), 0);
	assert_int_equal(value_of(&qrs[0]), 5);
	check_call(demi_wait_next_n(qrs, 10, &count, &wait_long), 0);
	assert_int_equal(count, 5);
	assert_int_equal(value_of(&qrs[0]), 4);
	for (int i = 1; i < 5; i++)
		assert_int_equal(value_of(&qrs[i]), i + 5);
}

static void wait_next_n__a_count_that_is_not_positive_is_einval(void **state)
{
	demi_qtoken_t qt = pop(queue_open());
	demi_qresult_t qr;
	int count;

	(void)state;
	check_call(demi_wait_next_n(&qr, 0, &count, &wait_none), EINVAL);
	check_call(demi_wait_next_n(&qr, -1, &count, &wait_none), EINVAL);
	check_call(demi_wait_any(&qr, NULL, &qt, 0, &wait_none), EINVAL);
	check_call(demi_wait_any(&qr, NULL, &qt, -1, &wait_none), EINVAL);
	check_call(demi_wait_all(&qr, &qt, 0, &wait_none), EINVAL);
	check_call(demi_wait_all(&qr, &qt, -1, &wait_none), EINVAL);
	check_pending(qt);
}

/* ---- Cancel ---- */

static void cancel__pending_operation_fails_with_ecanceled_once(void **state)
{
	int qd = queue_open();

	(void)state;
	for (int kind = 0; kind < BY_KINDS; kind++) {
		demi_qtoken_t qt = pop(qd);
		demi_qresult_t qr;

		check_call(demi_cancel(qt), 0);
		check_call(demi_cancel(qt), EALREADY);
		check_call(wait_by((enum wait_kind)kind, &qr, qt, &wait_long), 0);
		assert_int_equal(qr.qr_opcode, DEMI_OPC_FAILED);
		assert_int_equal(qr.qr_ret, ECANCELED);
		assert_int_equal(qr.qr_qd, qd);
		assert_true(qr.qr_qt == qt);
		check_call(demi_cancel(qt), EINVAL);
		check_call(demi_wait(&qr, qt, &wait_none), EINVAL);
	}
}

static void cancel__complete_operation_is_ealready_and_keeps_its_result(void **state)
{
	int qd = queue_open();
	demi_qtoken_t qt = pop(qd);
	demi_qresult_t qr;

	(void)state;
	complete(qd, 11);
	check_call(demi_cancel(qt), EALREADY);
	qr = await(qt);
	assert_int_equal(value_of(&qr), 11);
}

static void cancel__unknown_token_is_einval(void **state)
{
	int qd = queue_open();
	demi_qtoken_t qt = pop(qd);

	(void)state;
	check_call(demi_cancel(0), EINVAL);
	check_call(demi_cancel(UINT64_MAX), EINVAL);
	check_call(demi_cancel(qt ^ ((demi_qtoken_t)1 << 63)), EINVAL);
	check_pending(qt);
}

/* ---- Signals ---- */

static volatile sig_atomic_t signals_seen;

static void count_signal(int number)
{
	(void)number;
	signals_seen++;
}

/* SIGALRM every @period, so that one that comes before the wait is not the only one. */
static void alarm_start(void (*handler)(int), long period)
{
	struct sigaction action = {.sa_handler = handler};
	struct itimerval timer = {.it_value.tv_usec = period * 1000,
				  .it_interval.tv_usec = period * 1000};

	signals_seen = 0;
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void alarm_stop(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	struct itimerval timer = {.it_value.tv_usec = 0};

	setitimer(ITIMER_REAL, &timer, NULL);
	sigaction(SIGALRM, &action, NULL);
}

static int teardown_alarm(void **state)
{
	struct sigaction action = {.sa_handler = SIG_IGN};

	/* A test that failed may have left it running. */
	sigaction(SIGALRM, &action, NULL);
	alarm_stop();
	return teardown(state);
}

static void handler_interrupts_every_wait(const char *idle)
{
	int qd;

	option_set("DEMI_RUNTIME_IDLE", idle);
	check_call(demi_init(NULL), 0);
	qd = queue_open();
	for (int kind = 0; kind < BY_KINDS; kind++) {
		demi_qtoken_t qt = pop(qd);
		demi_qresult_t qr;
		int64_t start;

		alarm_start(count_signal, 200);
		check_call(wait_by((enum wait_kind)kind, &qr, qt, NULL), EINTR);
		assert_true(signals_seen > 0);
		start = now_ms();
		check_call(wait_by((enum wait_kind)kind, &qr, qt, &wait_long), EINTR);
		assert_true(now_ms() - start < 5000);
		alarm_stop();

		complete(qd, 12);
		check_call(wait_by((enum wait_kind)kind, &qr, qt, &wait_long), 0);
		assert_int_equal(value_of(&qr), 12);
	}
}

static void signal__handler_interrupts_every_wait_when_spinning(void **state)
{
	(void)state;
	handler_interrupts_every_wait("spin");
}

static void signal__handler_interrupts_every_wait_when_sleeping(void **state)
{
	(void)state;
	handler_interrupts_every_wait("sleep");
}

static void signal__complete_operation_is_returned_nevertheless(void **state)
{
	int qd = queue_open();
	demi_qtoken_t qt = pop(qd);
	demi_qresult_t qr;
	int error;

	(void)state;
	complete(qd, 13);
	alarm_start(count_signal, 5);
	do {
		error = demi_wait(&qr, qt, NULL);
	} while (error == EINTR);
	alarm_stop();
	check_call(error, 0);
	assert_int_equal(value_of(&qr), 13);
}

static void wait_through_signals(demi_qresult_t *qr, demi_qtoken_t qt)
{
	int64_t end = now_ms() + 10000;
	int error;

	do {
		error = demi_wait(qr, qt, &wait_long);
	} while (error == EINTR && now_ms() < end);
	check_call(error, 0);
}

static void signal__interrupted_stream_loses_nothing(void **state)
{
	TRANSPORT(transport, state);
	enum { COUNT = 64 };
	demi_qtoken_t accepting, connecting, pushes[COUNT];
	struct address address;
	uint64_t received = 0;
	int listener, client, server;
	demi_qresult_t qr;

	skip_unless(profile_get()->tcp, "the libOS has no TCP");
	alarm_start(count_signal, 5);
	listener = socket_listen(transport, &address);
	client = socket_open(transport, SOCK_STREAM);
	check_call(demi_accept(&accepting, listener), 0);
	check_call(demi_connect(&connecting, client, &address.any, address.size), 0);
	wait_through_signals(&qr, connecting);
	assert_int_equal(qr.qr_opcode, DEMI_OPC_CONNECT);
	wait_through_signals(&qr, accepting);
	assert_int_equal(qr.qr_opcode, DEMI_OPC_ACCEPT);
	server = qr.qr_value.ares.qd;
	for (uint64_t i = 0; i < COUNT; i++)
		pushes[i] = push_pattern(client, 256 * KIB, 14, i * 256 * KIB);
	while (received < COUNT * 256 * KIB) {
		wait_through_signals(&qr, pop(server));
		assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
		assert_true(sga_bytes(&qr.qr_value.sga) > 0);
		received += sga_check(&qr.qr_value.sga, 14, received);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	for (int i = 0; i < COUNT; i++) {
		wait_through_signals(&qr, pushes[i]);
		assert_int_equal(qr.qr_opcode, DEMI_OPC_PUSH);
	}
	alarm_stop();
}

static void ignored_signals_do_not_interrupt(const char *idle)
{
	struct timespec timeout = milliseconds(300);
	int64_t start;
	demi_qtoken_t qt;
	demi_qresult_t qr;

	option_set("DEMI_RUNTIME_IDLE", idle);
	check_call(demi_init(NULL), 0);
	qt = pop(queue_open());
	alarm_start(SIG_IGN, 20);
	for (int kind = 0; kind < BY_KINDS; kind++) {
		start = now_ms();
		check_call(wait_by((enum wait_kind)kind, &qr, qt, &timeout), ETIMEDOUT);
		assert_true(now_ms() - start >= 299);
	}
	alarm_stop();
}

static void signal__ignored_ones_do_not_interrupt_when_spinning(void **state)
{
	(void)state;
	ignored_signals_do_not_interrupt("spin");
}

static void signal__ignored_ones_do_not_interrupt_when_sleeping(void **state)
{
	(void)state;
	ignored_signals_do_not_interrupt("sleep");
}

static void signal__sigchld_does_not_interrupt(void **state)
{
	static const char *const idles[] = {"spin", "sleep"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(idles); i++) {
		struct timespec timeout = milliseconds(300);
		struct sigaction action;
		demi_qtoken_t qt;
		demi_qresult_t qr;
		pid_t child;

		assert_int_equal(sigaction(SIGCHLD, NULL, &action), 0);
		assert_true(action.sa_handler == SIG_DFL);
		option_set("DEMI_RUNTIME_IDLE", idles[i]);
		check_call(demi_init(NULL), 0);
		qt = pop(queue_open());
		child = fork();
		if (child == 0) {
			struct timespec lifetime = milliseconds(50);

			/* It ends while the parent waits; the sleep is what it is there for. */
			nanosleep(&lifetime, NULL);
			_exit(0);
		}
		assert_true(child > 0);
		check_call(demi_wait(&qr, qt, &timeout), ETIMEDOUT);
		assert_int_equal(waitpid(child, NULL, 0), child);
		demi_fini();
	}
}

#define TEST_ALARM(function) cmocka_unit_test_teardown(function, teardown_alarm)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(wait__timeout_0_polls),
		TEST_RAW(wait__timeout_lasts_as_long_as_asked_when_spinning),
		TEST_RAW(wait__timeout_lasts_as_long_as_asked_when_sleeping),
		TEST(wait__very_long_timeout_does_not_overflow),
		TEST(wait__null_timeout_waits_for_the_operation),
		TEST(wait__operation_that_timed_out_gets_the_next_data),
		TEST(wait__bad_timeout_is_einval_and_uses_nothing_up),
		TEST(wait__result_is_returned_once_by_whichever_wait),
		TEST(wait__tokens_are_never_the_same_twice),
		TEST(wait_any__unknown_token_is_einval_when_nothing_is_ready),
		TEST(wait_any__first_to_complete_is_returned_first),
		TEST(wait_any__offset_may_be_null),
		TEST(wait_any__same_token_twice_is_found_once),
		TEST(wait_any__ready_token_outside_of_the_array_does_not_count),
		TEST(wait_any__10000_tokens_replaced_at_their_offset),
		TEST(wait_any__10000_tokens_swapped_with_the_last),
		TEST(wait_any__10000_tokens_shifted_down),
		TEST(wait_any__10000_tokens_appended_one_by_one),
		TEST(wait_any__10000_tokens_shuffled),
		TEST(wait_any__10000_tokens_in_two_arrays_alternately),
		TEST(wait_any__10000_tokens_completed_long_before),
		TEST(wait_any__10000_tokens_some_waited_elsewhere),
		TEST(wait_any__10000_tokens_in_an_array_that_moves),
		TEST(wait_any__different_arrays_at_the_same_address),
		TEST(wait_any__every_one_of_10000_completes_in_turn),
		TEST(wait_all__results_come_in_the_order_of_the_tokens),
		TEST(wait_all__is_all_or_nothing),
		TEST(wait_all__completes_after_timing_out),
		TEST(wait_all__same_token_twice_is_einval),
		TEST(wait_all__failed_operations_are_results_too),
		TEST(wait_all__10000_tokens),
		TEST(wait_next_n__results_come_in_the_order_of_completion),
		TEST(wait_next_n__timeout_sets_the_count_to_0),
		TEST(wait_next_n__leaves_what_does_not_fit),
		TEST(wait_next_n__a_count_that_is_not_positive_is_einval),
		TEST(cancel__pending_operation_fails_with_ecanceled_once),
		TEST(cancel__complete_operation_is_ealready_and_keeps_its_result),
		TEST(cancel__unknown_token_is_einval),
		TEST_ALARM(signal__handler_interrupts_every_wait_when_spinning),
		TEST_ALARM(signal__handler_interrupts_every_wait_when_sleeping),
		{"signal__complete_operation_is_returned_nevertheless",
		 signal__complete_operation_is_returned_nevertheless, setup, teardown_alarm, NULL},
		{"signal__interrupted_stream_loses_nothing",
		 signal__interrupted_stream_loses_nothing, setup, teardown_alarm,
		 (void *)(uintptr_t)&transport_ipv4},
		TEST_ALARM(signal__ignored_ones_do_not_interrupt_when_spinning),
		TEST_ALARM(signal__ignored_ones_do_not_interrupt_when_sleeping),
		TEST_RAW(signal__sigchld_does_not_interrupt),
	};

	return suite_main("wait", !profile_get() || profile_get()->queues, "in-memory queues",
			  tests, COUNT_OF(tests));
}
