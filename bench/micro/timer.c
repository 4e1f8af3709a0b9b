/* SPDX-License-Identifier: MIT */
/* Arming and cancelling a timer among others that stay armed. */
#include <errno.h>
#include <stdlib.h>

#include "micro.h"
#include "sched/timer_wheel.h"

#define DEADLINES 1024u
#define DEADLINE_BITS 36 /* up to 69 s ahead */

struct timing {
	struct timer_wheel wheel;
	struct timer timer;
	struct timer *others;
	uint64_t random;
	uint64_t deadlines_ns[DEADLINES];
};

static void never(struct timer *timer, uint64_t now_ns)
{
	(void)timer, (void)now_ns;
}

static uint64_t next_deadline_ns(struct timing *timing)
{
	timing->random = timing->random * 6364136223846793005ull + 1442695040888963407ull;
	return timing->random >> (64 - DEADLINE_BITS);
}

static void tear_down(void *state)
{
	struct timing *timing = state;

	free(timing->others);
	free(timing);
}

static int set_up(void **state_out, uint64_t armed)
{
	struct timing *timing = calloc(1, sizeof(*timing));

	if (!timing)
		return -ENOMEM;
	timing->random = 1;
	timing->others = calloc(armed, sizeof(*timing->others));
	if (!timing->others) {
		tear_down(timing);
		return -ENOMEM;
	}
	timer_wheel_init(&timing->wheel, 0);
	timer_init(&timing->timer, never);
	for (uint64_t i = 0; i < armed; i++) {
		timer_init(&timing->others[i], never);
		timer_arm(&timing->wheel, &timing->others[i], next_deadline_ns(timing));
	}
	for (unsigned int i = 0; i < DEADLINES; i++)
		timing->deadlines_ns[i] = next_deadline_ns(timing);
	*state_out = timing;
	return 0;
}

static uint64_t run(void *state, uint64_t iterations)
{
	struct timing *timing = state;

	for (uint64_t i = 0; i < iterations; i++) {
		timer_arm(&timing->wheel, &timing->timer, timing->deadlines_ns[i % DEADLINES]);
		timer_cancel(&timing->wheel, &timing->timer);
	}
	return 0;
}

const struct micro timer_micros[] = {
	{.name = "timer/1",
	 .label = "arm and cancel, 1 armed",
	 .unit = "ns",
	 .argument = 1,
	 .goal_kind = GOAL_VALUE,
	 .goal = 30,
	 .counted = 102400,
	 .counter = "timer: arm and cancel, 1 armed",
	 .set_up = set_up,
	 .run = run,
	 .tear_down = tear_down},
	{.name = "timer/1000",
	 .label = "arm and cancel, 1,000 armed",
	 .unit = "ns",
	 .argument = 1000,
	 .against = "timer/1",
	 .goal_kind = GOAL_VALUE,
	 .goal = 30,
	 .set_up = set_up,
	 .run = run,
	 .tear_down = tear_down},
	{.name = "timer/1000000",
	 .label = "arm and cancel, 1,000,000 armed",
	 .unit = "ns",
	 .argument = 1000000,
	 .against = "timer/1",
	 .goal_kind = GOAL_VALUE,
	 .goal = 30,
	 .counted = 102400,
	 .counter = "timer: arm and cancel, 1,000,000 armed",
	 .set_up = set_up,
	 .run = run,
	 .tear_down = tear_down},
	{.name = NULL},
};

static int run_group(const struct bench_options *options, struct report *report)
{
	return micro_run(timer_micros, options, report);
}

static void list(void)
{
	micro_list(timer_micros);
}

const struct bench_group timer_group = {
	.name = "timer",
	.title = "timer wheel",
	.help = "  One timer is armed and cancelled again among so many others; all deadlines are\n"
		"  random, up to 69 s ahead. Nothing expires.",
	.run = run_group,
	.list = list,
};
