/* SPDX-License-Identifier: MIT */
/*
 * The scheduler of one runtime. Two kinds of coroutines:
 *  - fast path: a few, always runnable, one for each I/O stack; they poll devices, in turns;
 *  - all others: blocked unless they have work. Runnable ones are bits in 64-bit waker blocks;
 *    blocks with a bit set are bits in a summary word, summaries in a top word. Finding the next
 *    is a few tzcnt whatever the number of blocked ones, which are never looked at.
 *
 * Source: Zhang et al., "The Demikernel Datapath OS", SOSP 2021, section 5.4.
 */
#ifndef DEMI_SCHED_SCHED_H
#define DEMI_SCHED_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "sched/coroutine.h"
#include "sched/timer_wheel.h"

#define SCHED_COROUTINES_MAX (64ul * 64 * 64)
#define SCHED_FAST_PATHS_MAX 4u

struct sched {
	uint64_t top;                  /* bit: this summary word is not 0 */
	uint64_t summary[64];          /* bit: this waker block is not 0 */
	uint64_t *blocks;              /* bit: this coroutine is runnable */
	struct coroutine **coroutines; /* by id; NULL: free */
	uint32_t *free_ids;            /* stack of ids that were used before */
	uint32_t free_count;           /* ids on that stack */
	uint32_t id_limit;             /* ids from here on were never used */
	uint32_t live;                 /* spawned and not yet done */
	uint32_t fast_count;
	uint32_t fast_next; /* whose turn it is to go first */
	struct coroutine *fast[SCHED_FAST_PATHS_MAX];
	struct timer_wheel timers;
};

/** sched_init - an empty scheduler whose timers stand at @now_ns; 0 or -ENOMEM */
int sched_init(struct sched *sched, uint64_t now_ns);

/** sched_fini - forget every coroutine and timer; their storage is their owners' */
void sched_fini(struct sched *sched);

/**
 * sched_spawn - add a coroutine, runnable at once
 * @coroutine: storage of the owner, until done or removed
 *
 * Return: 0, -EAGAIN when SCHED_COROUTINES_MAX are alive.
 */
int sched_spawn(struct sched *sched, struct coroutine *coroutine, coroutine_fn resume);

/** sched_remove - take out a coroutine that is not done, from anywhere but its own resume */
void sched_remove(struct sched *sched, struct coroutine *coroutine);

/** sched_add_fast_path - add an always runnable coroutine; 0 or -ENOSPC */
int sched_add_fast_path(struct sched *sched, struct coroutine *coroutine, coroutine_fn resume);

/** sched_remove_fast_path - the device is going */
void sched_remove_fast_path(struct sched *sched, const struct coroutine *coroutine);

/** sched_wake - make a coroutine runnable; one that is already stays so */
static inline void sched_wake(struct sched *sched, const struct coroutine *coroutine)
{
	uint32_t block = coroutine->id / 64;

	sched->blocks[block] |= 1ull << (coroutine->id % 64);
	sched->summary[block / 64] |= 1ull << (block % 64);
	sched->top |= 1ull << (block / 64);
}

/** sched_has_ready - whether sched_run_ready would run anything */
static inline bool sched_has_ready(const struct sched *sched)
{
	return sched->top != 0;
}

/**
 * sched_run_ready - run each runnable coroutine once
 *
 * One that yields, or is woken behind the place where the round stands, runs in the next round,
 * so that none starves; one that is woken before that place still runs in this one. Return:
 * coroutines run.
 */
unsigned int sched_run_ready(struct sched *sched, uint64_t now_ns);

/** sched_poll - one poll round: fast paths in turns, timers, then runnable coroutines */
void sched_poll(struct sched *sched, uint64_t now_ns);

#endif /* DEMI_SCHED_SCHED_H */
