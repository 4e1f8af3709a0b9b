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

	/* An empty block may stay marked in the summary: a round finds nothing there and clears it. */
	sched->blocks[id / 64] &= ~(1ull << (id % 64));
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

/*
 * A round visits the bits of a word from low to high, each at most once: what is woken behind the
 * place where it stands waits for the next round, what is woken before it is still visited.
 */
static inline uint64_t bits_after(uint64_t bit)
{
	return ~(bit | (bit - 1));
}

/* A step that was not the usual: it finished, or it changed its block by wakes and removals. */
static __attribute__((noinline)) uint64_t settle(struct sched *sched, uint32_t block, uint64_t bit,
						 enum coroutine_step step)
{
	if (step == COROUTINE_STEP_DONE) {
		/* It may have been woken in its last step. */
		sched->blocks[block] &= ~bit;
		release_id(sched, block * 64 + (uint32_t)__builtin_ctzll(bit));
	}
	return sched->blocks[block];
}

/* Nothing is runnable in this block any more. */
static __attribute__((noinline)) void unmark(struct sched *sched, uint32_t block)
{
	sched->summary[block / 64] &= ~(1ull << (block % 64));
	if (!sched->summary[block / 64])
		sched->top &= ~(1ull << (block / 64));
}

/*
 * Run those of a block that are in @left and runnable, and count them; returns what is runnable in
 * it afterwards.
 *
 * Mostly a step changes nothing in the block, and what it stopped with is known already. Asking
 * for that by a branch, which is well predicted, lets the next step begin before the load, which
 * has to wait for the store just made.
 */
static uint64_t run_word(struct sched *sched, uint32_t block, uint64_t left, uint64_t now_ns,
			 unsigned int *count)
{
	struct coroutine *const *coroutines = &sched->coroutines[(size_t)block * 64];
	uint64_t *const ready = &sched->blocks[block];
	uint64_t word = *ready;

	while (left) {
		uint64_t bit = left & -left;
		struct coroutine *coroutine = coroutines[(uint32_t)__builtin_ctzll(left)];
		enum coroutine_step step;

		word ^= bit;
		left ^= bit;
		*ready = word;
		step = coroutine->resume(coroutine, now_ns);
		++*count;
		if (__builtin_expect(*ready != word || step == COROUTINE_STEP_DONE, 0)) {
			word = settle(sched, block, bit, step);
			left = word & bits_after(bit);
		}
		if (step == COROUTINE_STEP_YIELD)
			*ready = word |= bit;
	}
	return word;
}

/* The rest of a round, from @block on. */
static unsigned int run_blocks(struct sched *sched, uint32_t block, uint64_t now_ns)
{
	unsigned int count = 0;

	while (block < SCHED_COROUTINES_MAX / 64) {
		uint64_t left = sched->summary[block / 64] & (UINT64_MAX << (block % 64));
		uint64_t above;

		if (left) {
			block = block / 64 * 64 + (uint32_t)__builtin_ctzll(left);
			if (!run_word(sched, block, sched->blocks[block], now_ns, &count))
				unmark(sched, block);
			block++;
			continue;
		}
		above = sched->top & bits_after(1ull << (block / 64));
		if (!above)
			break;
		block = (uint32_t)__builtin_ctzll(above) * 64;
	}
	return count;
}

static inline uint64_t without_lowest(uint64_t word)
{
	return word & (word - 1);
}

/* A step of the only runnable one in its block is over, and not by a yield that changed nothing. */
static __attribute__((noinline)) unsigned int after_one(struct sched *sched, const uint64_t *ready,
							uint64_t bit, enum coroutine_step step,
							uint64_t now_ns)
{
	uint32_t block = (uint32_t)(ready - sched->blocks);
	uint64_t left = settle(sched, block, bit, step) & bits_after(bit);
	unsigned int count = 0;

	if (step == COROUTINE_STEP_YIELD)
		sched->blocks[block] |= bit;
	run_word(sched, block, left, now_ns, &count);
	if (!sched->blocks[block])
		unmark(sched, block);
	return count + run_blocks(sched, block + 1, now_ns);
}

/*
 * As a rule one coroutine has work, or none: the first lines are for that. They are what a switch
 * costs.
 */
unsigned int sched_run_ready(struct sched *sched, uint64_t now_ns)
{
	struct coroutine *coroutine;
	enum coroutine_step step;
	uint64_t *ready, word;
	uint32_t number, block;

	if (!sched->top)
		return 0;
	number = (uint32_t)__builtin_ctzll(sched->top);
	block = number * 64 + (uint32_t)__builtin_ctzll(sched->summary[number]);
	ready = &sched->blocks[block];
	word = *ready;
	if (__builtin_expect(word == 0 || without_lowest(word) != 0, 0))
		return run_blocks(sched, block, now_ns);
	coroutine = sched->coroutines[block * 64 + (uint32_t)__builtin_ctzll(word)];
	*ready = 0;
	step = coroutine->resume(coroutine, now_ns);
	if (__builtin_expect(*ready != 0 || step != COROUTINE_STEP_YIELD, 0))
		return 1 + after_one(sched, ready, word, step, now_ns);
	*ready = word;
	if (__builtin_expect(
		    (without_lowest(sched->top) | without_lowest(sched->summary[number])) != 0, 0))
		return 1 + run_blocks(sched, (uint32_t)(ready - sched->blocks) + 1, now_ns);
	return 1;
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
