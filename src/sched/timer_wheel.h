/* SPDX-License-Identifier: MIT */
/*
 * A hierarchical timer wheel: O(1) to arm, cancel and expire. Time is whatever the caller passes
 * in, in nanoseconds; nothing here reads a clock. A timer is storage of its owner (a connection,
 * a coroutine) and fires at its deadline or up to one tick later, never before.
 *
 * Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987.
 */
#ifndef DEMI_SCHED_TIMER_WHEEL_H
#define DEMI_SCHED_TIMER_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMER_TICK_SHIFT 12 /* a tick is 4,096 ns */
#define TIMER_WHEEL_SLOT_BITS 6
#define TIMER_WHEEL_SLOTS (1u << TIMER_WHEEL_SLOT_BITS)
/* 64^7 ticks of 4 us: 208 days; later deadlines wait in the top level. */
#define TIMER_WHEEL_LEVELS 7

#define TIMER_NEVER UINT64_MAX

struct timer;
typedef void (*timer_fire_fn)(struct timer *timer, uint64_t now_ns);

struct timer {
	struct timer *next;      /* in the slot's list */
	struct timer **previous; /* what points to this timer; NULL when not armed */
	uint64_t deadline_ns;    /* valid while armed */
	timer_fire_fn fire; /* called once; the timer is not armed then and may be armed again */
};

struct timer_wheel {
	uint64_t now_tick;      /* of the last expiry; what is armed for it or before is overdue */
	uint64_t position_tick; /* = now_tick, but behind it while an expiry is under way */
	/* Before it nothing fires or cascades; later than that what was there may have gone. */
	uint64_t quiet_until_tick;
	struct timer *overdue;                 /* fire at the next expiry, whatever its time */
	struct timer *firing;                  /* the slot that an expiry is firing */
	uint64_t occupied[TIMER_WHEEL_LEVELS]; /* bit set: the slot has timers */
	struct timer *slots[TIMER_WHEEL_LEVELS][TIMER_WHEEL_SLOTS];
};

/** timer_wheel_init - an empty wheel that stands at @now_ns */
void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ns);

/** timer_init - a timer that is not armed */
void timer_init(struct timer *timer, timer_fire_fn fire);

/**
 * timer_arm - fire at @deadline_ns (one in the past: at the next expiry); re-arms an armed timer
 *
 * Neither this nor timer_cancel reads another timer's memory: what they cost does not depend on
 * how many are armed.
 */
void timer_arm(struct timer_wheel *wheel, struct timer *timer, uint64_t deadline_ns);

/** timer_cancel - stop a timer; one that is not armed stays so */
void timer_cancel(struct timer_wheel *wheel, struct timer *timer);

static inline bool timer_is_armed(const struct timer *timer)
{
	return timer->previous != NULL;
}

/**
 * timer_wheel_expire - fire every timer whose deadline's tick has ended at @now_ns
 *
 * In the order of their ticks, within a tick in any order. Callbacks may arm and cancel any timer,
 * their own included, and may free their own; what they arm for @now_ns or before fires at the
 * next call. They may not expire. Time never goes back: an earlier tick's @now_ns fires nothing.
 * Return: timers fired.
 */
unsigned int timer_wheel_expire(struct timer_wheel *wheel, uint64_t now_ns);

/**
 * timer_wheel_next_ns - when to call timer_wheel_expire next
 *
 * Return: a time not after the earliest deadline's tick end. Exactly that when its timer was armed
 * less than 64 ticks ahead, unless timers further away move to a lower level before; each timer
 * does so at most once for each level, so at most so many calls find nothing to fire. The time of
 * the last expiry when timers are overdue; TIMER_NEVER without armed timers.
 */
uint64_t timer_wheel_next_ns(const struct timer_wheel *wheel);

#endif /* DEMI_SCHED_TIMER_WHEEL_H */
