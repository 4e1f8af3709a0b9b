/* SPDX-License-Identifier: MIT */
/* Queues that join runtimes: their cost in one thread, and from thread to thread beside the kernel's pipes. */
#include <demi/demi.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "cycles.h"
#include "micro.h"

#define MESSAGE_BYTES 64
#define STREAM_AHEAD 256u

struct joined {
	int qd;    /* the end of the thread that measures */
	int other; /* the other one, of the same runtime; -1: it is the worker's */
	demi_sgarray_t message;
	pthread_t worker;
	int asks[2], answers[2]; /* pipes */
};

static void must(int error)
{
	if (error)
		abort();
}

static void push_and_wait(int qd, const demi_sgarray_t *message)
{
	demi_qresult_t result;
	demi_qtoken_t push;

	must(demi_push(&push, qd, message));
	must(demi_wait(&result, push, NULL));
}

/* false: it was the end. */
static bool pop_and_free(int qd)
{
	demi_qresult_t result;
	demi_qtoken_t pop;
	bool goes_on;

	must(demi_pop(&pop, qd));
	must(demi_wait(&result, pop, NULL));
	goes_on = result.qr_value.sga.sga_segs[0].sgaseg_len > 0;
	must(demi_sgafree(&result.qr_value.sga));
	return goes_on;
}

/* ---- One thread ---- */

static void tear_down(void *state)
{
	demi_fini();
	free(state);
}

/* NULL, with *error_out negative: everything has been released. */
static struct joined *start(int *error_out)
{
	struct joined *joined = calloc(1, sizeof(*joined));
	int error = joined ? demi_init(NULL) : ENOMEM;

	*error_out = -error;
	if (error) {
		free(joined);
		return NULL;
	}
	joined->other = -1;
	joined->message = demi_sgaalloc(MESSAGE_BYTES);
	error = joined->message.sga_buf ? demi_queue_create(&joined->qd, "bench") : ENOMEM;
	*error_out = -error;
	if (!error)
		return joined;
	tear_down(joined);
	return NULL;
}

static int set_up_one(void **state_out, uint64_t argument)
{
	int error = 0;
	struct joined *joined = start(&error);

	(void)argument;
	if (!joined)
		return error;
	error = demi_queue_open(&joined->other, "bench");
	if (error) {
		tear_down(joined);
		return -error;
	}
	*state_out = joined;
	return 0;
}

static uint64_t run_one(void *state, uint64_t iterations)
{
	struct joined *joined = state;

	for (uint64_t done = 0; done < iterations; done++) {
		push_and_wait(joined->qd, &joined->message);
		pop_and_free(joined->other);
	}
	return 0;
}

/* ---- Two threads ---- */

static void *answer(void *argument)
{
	demi_sgarray_t message;
	int qd;

	(void)argument;
	must(demi_init(NULL));
	must(demi_queue_open(&qd, "bench"));
	message = demi_sgaalloc(MESSAGE_BYTES);
	must(message.sga_buf ? 0 : ENOMEM);
	while (pop_and_free(qd))
		push_and_wait(qd, &message);
	demi_fini();
	return NULL;
}

/* Every STREAM_AHEAD messages one comes back. */
static void *swallow(void *argument)
{
	demi_sgarray_t message;
	uint64_t popped = 0;
	int qd;

	(void)argument;
	must(demi_init(NULL));
	must(demi_queue_open(&qd, "bench"));
	message = demi_sgaalloc(MESSAGE_BYTES);
	must(message.sga_buf ? 0 : ENOMEM);
	while (pop_and_free(qd)) {
		if (++popped % STREAM_AHEAD == 0)
			push_and_wait(qd, &message);
	}
	demi_fini();
	return NULL;
}

static int set_up_two(void **state_out, void *(*work)(void *argument))
{
	int error = 0;
	struct joined *joined = start(&error);

	if (!joined)
		return error;
	error = pthread_create(&joined->worker, NULL, work, NULL);
	if (error) {
		tear_down(joined);
		return -error;
	}
	*state_out = joined;
	return 0;
}

static int set_up_answer(void **state_out, uint64_t argument)
{
	(void)argument;
	return set_up_two(state_out, answer);
}

static int set_up_swallow(void **state_out, uint64_t argument)
{
	(void)argument;
	return set_up_two(state_out, swallow);
}

static void tear_down_two(void *state)
{
	struct joined *joined = state;

	must(demi_close(joined->qd));
	pthread_join(joined->worker, NULL);
	tear_down(joined);
}

static uint64_t run_answer(void *state, uint64_t iterations)
{
	struct joined *joined = state;

	for (uint64_t done = 0; done < iterations; done++) {
		push_and_wait(joined->qd, &joined->message);
		pop_and_free(joined->qd);
	}
	return 0;
}

/* The worker is behind by one to two rows of messages. */
static uint64_t run_swallow(void *state, uint64_t iterations)
{
	struct joined *joined = state;
	uint64_t pushed = 0, rows = 0;

	while (pushed < iterations || pushed % STREAM_AHEAD != 0) {
		push_and_wait(joined->qd, &joined->message);
		if (++pushed % STREAM_AHEAD == 0 && ++rows > 1)
			pop_and_free(joined->qd);
	}
	pop_and_free(joined->qd);
	return 0;
}

/* ---- The kernel's pipes ---- */

static void *answer_pipe(void *state)
{
	struct joined *joined = state;
	char message[MESSAGE_BYTES];

	while (read(joined->asks[0], message, sizeof(message)) == sizeof(message))
		must(write(joined->answers[1], message, sizeof(message)) == sizeof(message) ? 0
											    : EIO);
	return NULL;
}

static void tear_down_pipes(void *state)
{
	struct joined *joined = state;

	close(joined->asks[1]);
	pthread_join(joined->worker, NULL);
	close(joined->asks[0]);
	close(joined->answers[0]);
	close(joined->answers[1]);
	free(joined);
}

static int set_up_pipes(void **state_out, uint64_t argument)
{
	struct joined *joined = calloc(1, sizeof(*joined));

	(void)argument;
	if (!joined)
		return -ENOMEM;
	must(pipe(joined->asks) == 0 ? 0 : errno);
	must(pipe(joined->answers) == 0 ? 0 : errno);
	must(pthread_create(&joined->worker, NULL, answer_pipe, joined));
	*state_out = joined;
	return 0;
}

static uint64_t run_pipes(void *state, uint64_t iterations)
{
	struct joined *joined = state;
	char message[MESSAGE_BYTES] = {0};

	for (uint64_t done = 0; done < iterations; done++) {
		must(write(joined->asks[1], message, sizeof(message)) == sizeof(message) ? 0 : EIO);
		must(read(joined->answers[0], message, sizeof(message)) == sizeof(message) ? 0
											   : EIO);
	}
	return 0;
}

const struct micro joined_micros[] = {
	{.name = "joined/one",
	 .label = "one thread: push, pop, wait for each, sgafree",
	 .unit = "ns",
	 .counted = 20000,
	 .counter = "joined queue: push, pop, two waits, sgafree",
	 .set_up = set_up_one,
	 .run = run_one,
	 .tear_down = tear_down},
	{.name = "joined/pipes",
	 .label = "two threads, pipes: there and back",
	 .unit = "ns",
	 .set_up = set_up_pipes,
	 .run = run_pipes,
	 .tear_down = tear_down_pipes},
	{.name = "joined/two",
	 .label = "two threads, two runtimes: there and back",
	 .unit = "ns",
	 .against = "joined/pipes",
	 .set_up = set_up_answer,
	 .run = run_answer,
	 .tear_down = tear_down_two},
	{.name = "joined/stream",
	 .label = "two threads, two runtimes: one way, 256 ahead",
	 .unit = "ns",
	 .set_up = set_up_swallow,
	 .run = run_swallow,
	 .tear_down = tear_down_two},
	{.name = NULL},
};

static int run_group(const struct bench_options *options, struct report *report)
{
	return micro_run(joined_micros, options, report);
}

static void list(void)
{
	micro_list(joined_micros);
}

const struct bench_group joined_group = {
	.name = "joined",
	.title = "queues that join two runtimes, 64 B by reference",
	.help = "  With one thread both ends are its own. Of two threads each spins on a CPU, or sleeps in\n"
		"  read(2) of a pipe; every message is waited for, popped and freed.",
	.run = run_group,
	.list = list,
};
