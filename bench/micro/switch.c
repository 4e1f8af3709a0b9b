/* SPDX-License-Identifier: MIT */
/* Coroutine switches: find the next runnable one, resume it, and take note that it stopped. */
#include <errno.h>
#include <stdlib.h>

#include "base/container.h"
#include "micro.h"
#include "sched/sched.h"

#define BLOCKED_MAX 10000u
#define YIELDING_MAX 64u

struct pair_half {
	struct coroutine coroutine;
	struct sched *sched;
	struct coroutine *other;
};

struct switching {
	struct sched sched;
	struct coroutine yielding[YIELDING_MAX];
	struct pair_half pair[2];
	struct coroutine blocked[BLOCKED_MAX];
};

static enum coroutine_step yield_forever(struct coroutine *self, uint64_t now_ns)
{
	(void)now_ns;
	COROUTINE_BEGIN(self);
	for (;;)
		COROUTINE_YIELD(self);
	COROUTINE_END;
}

static enum coroutine_step block_forever(struct coroutine *self, uint64_t now_ns)
{
	(void)now_ns;
	COROUTINE_BEGIN(self);
	for (;;)
		COROUTINE_BLOCK(self);
	COROUTINE_END;
}

static enum coroutine_step wake_other(struct coroutine *self, uint64_t now_ns)
{
	struct pair_half *half = container_of(self, struct pair_half, coroutine);

	(void)now_ns;
	COROUTINE_BEGIN(self);
	for (;;) {
		sched_wake(half->sched, half->other);
		COROUTINE_BLOCK(self);
	}
	COROUTINE_END;
}

static void tear_down(void *state)
{
	struct switching *switching = state;

	sched_fini(&switching->sched);
	free(switching);
}

static int spawn_many(struct sched *sched, struct coroutine coroutines[], uint64_t count,
		      coroutine_fn resume)
{
	int error = 0;

	for (uint64_t i = 0; !error && i < count; i++)
		error = sched_spawn(sched, &coroutines[i], resume);
	return error;
}

static int create(struct switching **switching_out)
{
	struct switching *switching = calloc(1, sizeof(*switching));
	int error = switching ? sched_init(&switching->sched, 0) : -ENOMEM;

	if (error) {
		free(switching);
		return error;
	}
	*switching_out = switching;
	return 0;
}

/* @yielding ones stand in the middle of @blocked ones, which have all run once. */
static int set_up_yielding(void **state_out, uint64_t yielding, uint64_t blocked)
{
	struct switching *switching;
	int error = create(&switching);

	if (error)
		return error;
	error = spawn_many(&switching->sched, switching->blocked, blocked / 2, block_forever);
	if (!error)
		error = spawn_many(&switching->sched, switching->yielding, yielding, yield_forever);
	if (!error)
		error = spawn_many(&switching->sched, switching->blocked + blocked / 2,
				   blocked - blocked / 2, block_forever);
	if (error) {
		tear_down(switching);
		return error;
	}
	sched_run_ready(&switching->sched, 0);
	*state_out = switching;
	return 0;
}

static int set_up_one(void **state_out, uint64_t blocked)
{
	return set_up_yielding(state_out, 1, blocked);
}

static int set_up_many(void **state_out, uint64_t yielding)
{
	return set_up_yielding(state_out, yielding, 0);
}

static int set_up_pair(void **state_out, uint64_t argument)
{
	struct switching *switching;
	int error = create(&switching);

	(void)argument;
	if (error)
		return error;
	for (unsigned int i = 0; !error && i < 2; i++) {
		switching->pair[i].sched = &switching->sched;
		switching->pair[i].other = &switching->pair[1 - i].coroutine;
		error = sched_spawn(&switching->sched, &switching->pair[i].coroutine, wake_other);
	}
	if (error) {
		tear_down(switching);
		return error;
	}
	/* From now on one of the two is runnable at any time. */
	sched_run_ready(&switching->sched, 0);
	sched_remove(&switching->sched, &switching->pair[1].coroutine);
	error = sched_spawn(&switching->sched, &switching->pair[1].coroutine, wake_other);
	*state_out = switching;
	return error;
}

static uint64_t run(void *state, uint64_t iterations)
{
	struct switching *switching = state;

	for (uint64_t done = 0; done < iterations;)
		done += sched_run_ready(&switching->sched, 0);
	return 0;
}

const struct micro switch_micros[] = {
	{.name = "switch/blocked-0",
	 .label = "one runs, none blocked",
	 .unit = "cycles",
	 .argument = 0,
	 .goal_kind = GOAL_VALUE,
	 .goal = 10,
	 .counted = 100000,
	 .counter = "switch, one runs, none blocked",
	 .set_up = set_up_one,
	 .run = run,
	 .tear_down = tear_down},
	{.name = "switch/blocked-1",
	 .label = "one runs, 1 blocked",
	 .unit = "cycles",
	 .argument = 1,
	 .goal_kind = GOAL_VALUE,
	 .goal = 10,
	 .set_up = set_up_one,
	 .run = run,
	 .tear_down = tear_down},
	{.name = "switch/blocked-10000",
	 .label = "one runs, 10,000 blocked",
	 .unit = "cycles",
	 .argument = BLOCKED_MAX,
	 .goal_kind = GOAL_VALUE,
	 .goal = 10,
	 .counted = 100000,
	 .counter = "switch, one runs, 10,000 blocked",
	 .set_up = set_up_one,
	 .run = run,
	 .tear_down = tear_down},
	{.name = "switch/pair",
	 .label = "two wake each other",
	 .unit = "cycles",
	 .counted = 100000,
	 .counter = "switch, two wake each other",
	 .set_up = set_up_pair,
	 .run = run,
	 .tear_down = tear_down},
	{.name = "switch/runnable-64",
	 .label = "64 run in turns, none blocked",
	 .unit = "cycles",
	 .argument = YIELDING_MAX,
	 .counted = 128000,
	 .counter = "switch, 64 run in turns",
	 .set_up = set_up_many,
	 .run = run,
	 .tear_down = tear_down},
	{.name = NULL},
};

static int run_group(const struct bench_options *options, struct report *report)
{
	return micro_run(switch_micros, options, report);
}

static void list(void)
{
	micro_list(switch_micros);
}

const struct bench_group switch_group = {
	.name = "switch",
	.title = "coroutine switch, with finding the next runnable one",
	.help = "  One coroutine that yields for ever beside blocked ones (each switch is a round of\n"
		"  its own, the worst case), two that wake each other, and 64 that yield in turns.\n"
		"  Cycles are ticks of the time-stamp counter. The goal of Demikernel's paper is 12.",
	.run = run_group,
	.list = list,
};
