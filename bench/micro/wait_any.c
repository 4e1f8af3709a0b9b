/* SPDX-License-Identifier: MIT */
/* demi_wait_any on many pops of which one completes. */
#include <demi/demi.h>

#include <errno.h>
#include <stdlib.h>

#include "micro.h"

#define QUEUES_MAX 10000u
#define HOT_PLACES 64u
#define HOT_ONLY (1ull << 32)

struct waiting {
	uint32_t count;
	uint32_t places; /* of them, that ever complete: all, or some spread over all */
	uint64_t random;
	demi_sgarray_t message;
	int qds[QUEUES_MAX];
	demi_qtoken_t pops[QUEUES_MAX];
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

static int open_queues(struct waiting *waiting)
{
	int error = 0;

	waiting->message = demi_sgaalloc(64);
	if (!waiting->message.sga_buf)
		return ENOMEM;
	for (uint32_t i = 0; !error && i < waiting->count; i++) {
		error = demi_queue(&waiting->qds[i]);
		if (!error)
			error = demi_pop(&waiting->pops[i], waiting->qds[i]);
	}
	return error;
}

static int set_up(void **state_out, uint64_t argument)
{
	struct waiting *waiting = calloc(1, sizeof(*waiting));
	int error;

	if (!waiting)
		return -ENOMEM;
	waiting->count = (uint32_t)argument;
	waiting->places = argument & HOT_ONLY ? HOT_PLACES : waiting->count;
	waiting->random = 1;
	error = demi_init(NULL);
	if (error) {
		free(waiting);
		return -error;
	}
	error = open_queues(waiting);
	if (error) {
		tear_down(waiting);
		return -error;
	}
	*state_out = waiting;
	return 0;
}

/* A random one of the places that complete. */
static inline uint32_t next_place(struct waiting *waiting)
{
	uint64_t chosen;

	waiting->random = waiting->random * 6364136223846793005ull + 1442695040888963407ull;
	chosen = (waiting->random >> 32) * waiting->places >> 32;
	return (uint32_t)chosen * (waiting->count / waiting->places);
}

static uint64_t run(void *state, uint64_t iterations)
{
	struct waiting *waiting = state;

	for (uint64_t done = 0; done < iterations; done++) {
		uint32_t place = next_place(waiting);
		demi_qresult_t result;
		demi_qtoken_t push;
		int offset;

		must(demi_push(&push, waiting->qds[place], &waiting->message));
		must(demi_wait(&result, push, NULL));
		must(demi_wait_any(&result, &offset, waiting->pops, (int)waiting->count, NULL));
		must(offset != (int)place);
		must(demi_sgafree(&result.qr_value.sga));
		must(demi_pop(&waiting->pops[place], waiting->qds[place]));
	}
	return 0;
}

const struct micro wait_any_micros[] = {
	{.name = "wait_any/1",
	 .label = "1 token",
	 .unit = "ns",
	 .argument = 1,
	 .counted = 20000,
	 .counter = "wait_any, 1 token",
	 .set_up = set_up,
	 .run = run,
	 .tear_down = tear_down},
	{.name = "wait_any/100",
	 .label = "100 tokens",
	 .unit = "ns",
	 .argument = 100,
	 .against = "wait_any/1",
	 .goal_kind = GOAL_RATIO,
	 .goal = 1.2,
	 .counted = 20000,
	 .counter = "wait_any, 100 tokens",
	 .set_up = set_up,
	 .run = run,
	 .tear_down = tear_down},
	{.name = "wait_any/10000-hot",
	 .label = "10,000 tokens, any of 64 completes",
	 .unit = "ns",
	 .argument = QUEUES_MAX | HOT_ONLY,
	 .against = "wait_any/1",
	 .goal_kind = GOAL_RATIO,
	 .goal = 1.2,
	 .set_up = set_up,
	 .run = run,
	 .tear_down = tear_down},
	{.name = "wait_any/10000",
	 .label = "10,000 tokens, any completes",
	 .unit = "ns",
	 .argument = QUEUES_MAX,
	 .against = "wait_any/1",
	 .counted = 20000,
	 .counter = "wait_any, 10,000 tokens",
	 .set_up = set_up,
	 .run = run,
	 .tear_down = tear_down},
	{.name = NULL},
};

static int run_group(const struct bench_options *options, struct report *report)
{
	return micro_run(wait_any_micros, options, report);
}

static void list(void)
{
	micro_list(wait_any_micros);
}

const struct bench_group wait_any_group = {
	.name = "wait_any",
	.title = "wait_any on so many tokens of which one completes",
	.help = "  A pop is pending on each of so many in-memory queues. Timed: push to a random one,\n"
		"  wait for the push, demi_wait_any on all pops, sgafree, pop again into the same place\n"
		"  of the array. With 10,000 queues their own memory misses the caches, so the goal\n"
		"  is asked of the variant where one of 64 queues, spread over all, completes.",
	.run = run_group,
	.list = list,
};
