/* SPDX-License-Identifier: MIT */
/* Timers in a heap: the earliest is found at once, any is moved or stopped in logarithmic time. */
#ifndef RELAY_TIMERS_H
#define RELAY_TIMERS_H

#include <stddef.h>
#include <stdint.h>

struct timer {
	uint64_t deadline_ns;
	uint32_t place; /* in the heap, from 1 on; 0: it does not run */
	uint32_t kind;  /* the owner's: what the timer is a part of */
};

struct timers {
	struct timer **heap;
	size_t count, room;
};

void timers_fini(struct timers *timers);

/** timers_reserve - make room so that @more timers can be started. Return: 0, -ENOMEM. */
int timers_reserve(struct timers *timers, size_t more);

/** timer_start - let it run, or move it; one that does not run yet has had its room reserved */
void timer_start(struct timers *timers, struct timer *timer, uint64_t deadline_ns);

/** timer_stop - also one that does not run */
void timer_stop(struct timers *timers, struct timer *timer);

/** timers_take - stop and return the earliest whose deadline has come; NULL: there is none */
struct timer *timers_take(struct timers *timers, uint64_t now_ns);

/** timers_next_ns - the earliest deadline; UINT64_MAX: no timer runs */
uint64_t timers_next_ns(const struct timers *timers);

#endif /* RELAY_TIMERS_H */
