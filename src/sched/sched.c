/* SPDX-License-Identifier: MIT */
#include "sched/sched.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int sched_init(struct sched *sched, uint64_t now_ns)
{
	memset(sched, 0, sizeof(*sched));
	/* calloc maps these lazily: only the pages of ids in use cost memory. */
	sched->blocks = calloc(SCHED_COROUTINES_MAX / 64, sizeof(*sched->blocks));
	sched->coroutines = calloc(SCHED_COROUTINES_MAX, sizeof(*sched->coroutines));
	sched->free_ids = calloc(SCHED_COROUTINES_MAX, sizeof(*sched->free_ids));
	if (!sched->blocks || !sched->coroutines || !sched->free_ids) {
		sched_fini(sched);
		return -ENOMEM;
	}
	timer_wheel_init(&sched->timers, now_ns);
	return 0;
}

void sched_fini(struct sched *sched)
{
	free(sched->blocks);
	free(sched->coroutines);
	free(sched->free_ids);
	memset(sched, 0, sizeof(*sched));
}

int sched_spawn(struct sched *sched, struct coroutine *coroutine, coroutine_fn resume)
{
	uint32_t id;

	if (sched->free_count > 0)
		id = sched->free_ids[--sched->free_count];
	else if (sched->id_limit < SCHED_COROUTINES_MAX)
		id = sched->id_limit++;
	else
		return -EAGAIN;
	*coroutine = (struct coroutine){.resume = resume, .state = 0, .id = id};
	sched->coroutines[id] = coroutine;
	sched->live++;
	sched_wake(sched, coroutine);
	return 0;
}

static void release_id(struct sched *sched, uint32_t id)
{
	sched->coroutines[id] = NULL;
	sched->free_ids[sched->free_count++] = id;
	sched->live--;
}

void sched_remove(struct sched *sched, struct coroutine *coroutine)
{
	uint32_t id = coroutine->id;
	uint64_t others = ~(1ull << (id % 64));

	/* An empty block may stay marked in the summary: a round finds nothing there and clears it. */
	sched->blocks[id / 64] &= others;
	if (sched->running_block == id / 64) {
		sched->running_word &= others;
		sched->running_again &= others;
	}
	release_id(sched, id);
}

int sched_add_fast_path(struct sched *sched, struct coroutine *coroutine, coroutine_fn resume)
{
	if (sched->fast_count == SCHED_FAST_PATHS_MAX)
		return -ENOSPC;
	*coroutine = (struct coroutine){.resume = resume, .state = 0, .id = UINT32_MAX};
	sched->fast[sched->fast_count++] = coroutine;
	return 0;
}

void sched_remove_fast_path(struct sched *sched, const struct coroutine *coroutine)
{
	for (uint32_t i = 0; i < sched->fast_count; i++) {
		if (sched->fast[i] != coroutine)
			continue;
		sched->fast[i] = sched->fast[--sched->fast_count];
		sched->fast_next = 0;
		return;
	}
}

/* Run the coroutines whose bits are set in one waker block; returns how many. */
static inline unsigned int run_block(struct sched *sched, uint32_t block, uint64_t now_ns)
{
	unsigned int count = 0;

	sched->running_block = block;
	sched->running_again = 0;
	sched->running_word = sched->blocks[block];
	sched->blocks[block] = 0;
	while (sched->running_word) {
		uint32_t id = block * 64 + (uint32_t)__builtin_ctzll(sched->running_word);
		struct coroutine *coroutine = sched->coroutines[id];
		enum coroutine_step step;

		sched->running_word &= sched->running_word - 1;
		step = coroutine->resume(coroutine, now_ns);
		if (step == COROUTINE_STEP_YIELD) {
			sched->running_again |= 1ull << (id % 64);
		} else if (__builtin_expect(step == COROUTINE_STEP_DONE, 0)) {
			/* It may have been woken in its last step. */
			sched->blocks[block] &= ~(1ull << (id % 64));
			release_id(sched, id);
		}
		count++;
	}
	sched->running_block = UINT32_MAX;
	sched->blocks[block] |= sched->running_again;
	return count;
}

unsigned int sched_run_ready(struct sched *sched, uint64_t now_ns)
{
	unsigned int count = 0;

	for (uint64_t top = sched->top; top; top &= top - 1) {
		uint32_t word = (uint32_t)__builtin_ctzll(top);

		for (uint64_t left = sched->summary[word]; left; left &= left - 1) {
			uint32_t bit = (uint32_t)__builtin_ctzll(left);
			uint32_t block = word * 64 + bit;

			count += run_block(sched, block, now_ns);
			if (!sched->blocks[block])
				sched->summary[word] &= ~(1ull << bit);
		}
		if (!sched->summary[word])
			sched->top &= ~(1ull << word);
	}
	return count;
}

void sched_poll(struct sched *sched, uint64_t now_ns)
{
	uint32_t count = sched->fast_count;
	uint32_t turn = sched->fast_next;

	for (uint32_t i = 0; i < count; i++) {
		struct coroutine *fast = sched->fast[turn];

		fast->resume(fast, now_ns);
		turn = turn + 1 < count ? turn + 1 : 0;
	}
	if (count > 1)
		sched->fast_next = turn + 1 < count ? turn + 1 : 0;
	timer_wheel_expire(&sched->timers, now_ns);
	if (sched_has_ready(sched))
		sched_run_ready(sched, now_ns);
}
