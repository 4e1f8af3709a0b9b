/* SPDX-License-Identifier: MIT */
/* In-memory queues through the public API. */
#include <demi/demi.h>

#include <errno.h>
#include <stdlib.h>

#include "cycles.h"
#include "micro.h"

#define MESSAGE_BYTES 64
#define BATCH 64u

struct queueing {
	int qd;
	demi_sgarray_t message;
	demi_qtoken_t pushes[BATCH];
	demi_qresult_t pops[BATCH];
};

static void must(int error)
{
	if (error)
		abort();
}

static void tear_down(void *state)
{
	demi_fini();
	free(state);
}

static int set_up(void **state_out, uint64_t argument)
{
	struct queueing *queueing = calloc(1, sizeof(*queueing));
	int error;

	(void)argument;
	if (!queueing)
		return -ENOMEM;
	error = demi_init(NULL);
	if (error) {
		free(queueing);
		return -error;
	}
	queueing->message = demi_sgaalloc(MESSAGE_BYTES);
	error = queueing->message.sga_buf ? demi_queue(&queueing->qd) : ENOMEM;
	if (error) {
		tear_down(queueing);
		return -error;
	}
	*state_out = queueing;
	return 0;
}

static uint64_t run_pop(void *state, uint64_t iterations)
{
	struct queueing *queueing = state;
	uint64_t apart = 0;

	for (uint64_t done = 0; done < iterations; done += BATCH) {
		uint64_t start;

		for (unsigned int i = 0; i < BATCH; i++) {
			demi_qtoken_t pop;

			must(demi_push(&queueing->pushes[i], queueing->qd, &queueing->message));
			must(demi_pop(&pop, queueing->qd));
			must(demi_wait(&queueing->pops[i], pop, NULL));
		}
		start = cycles_now();
		for (unsigned int i = 0; i < BATCH; i++) {
			demi_qresult_t pushed;

			must(demi_wait(&pushed, queueing->pushes[i], NULL));
			must(demi_sgafree(&queueing->pops[i].qr_value.sga));
		}
		apart += cycles_now() - start;
	}
	return apart;
}

static uint64_t run_both(void *state, uint64_t iterations)
{
	struct queueing *queueing = state;

	for (uint64_t done = 0; done < iterations; done++) {
		demi_qresult_t result;
		demi_qtoken_t push, pop;

		must(demi_push(&push, queueing->qd, &queueing->message));
		must(demi_pop(&pop, queueing->qd));
		must(demi_wait(&result, push, NULL));
		must(demi_wait(&result, pop, NULL));
		must(demi_sgafree(&result.qr_value.sga));
	}
	return 0;
}

static uint64_t run_all(void *state, uint64_t iterations)
{
	struct queueing *queueing = state;

	for (uint64_t done = 0; done < iterations; done++) {
		demi_qresult_t results[2];
		demi_qtoken_t tokens[2];

		must(demi_push(&tokens[0], queueing->qd, &queueing->message));
		must(demi_pop(&tokens[1], queueing->qd));
		must(demi_wait_all(results, tokens, 2, NULL));
		must(demi_sgafree(&results[1].qr_value.sga));
	}
	return 0;
}

const struct micro queue_micros[] = {
	{.name = "queue/three",
	 .label = "push, pop, wait for the pop",
	 .unit = "ns",
	 .goal_kind = GOAL_VALUE,
	 .goal = 60,
	 .set_up = set_up,
	 .run = run_pop,
	 .tear_down = tear_down},
	{.name = "queue/both",
	 .label = "push, pop, wait for each, sgafree",
	 .unit = "ns",
	 .counted = 20000,
	 .counter = "queue: push, pop, two waits, sgafree",
	 .set_up = set_up,
	 .run = run_both,
	 .tear_down = tear_down},
	{.name = "queue/wait_all",
	 .label = "push, pop, wait_all for both, sgafree",
	 .unit = "ns",
	 .counted = 20000,
	 .counter = "queue: push, pop, wait_all, sgafree",
	 .set_up = set_up,
	 .run = run_all,
	 .tear_down = tear_down},
	{.name = NULL},
};

static int run_group(const struct bench_options *options, struct report *report)
{
	return micro_run(queue_micros, options, report);
}

static void list(void)
{
	micro_list(queue_micros);
}

const struct bench_group queue_group = {
	.name = "queue",
	.title = "in-memory queue, 64 B by reference",
	.help = "  queue/three times exactly three calls: demi_push, demi_pop, demi_wait on the pop's\n"
		"  token; the push's token is waited for and the array freed outside the clock. The\n"
		"  others time all that a program needs: both tokens waited for, the array freed.",
	.run = run_group,
	.list = list,
};
