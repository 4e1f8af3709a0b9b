/* SPDX-License-Identifier: MIT */
/*
 * The time-stamp counter, read so that what is timed neither starts before nor ends after. It
 * ticks at a constant rate, whatever the core's clock does; elsewhere than on x86-64 a tick is a
 * nanosecond.
 */
#ifndef BENCH_CYCLES_H
#define BENCH_CYCLES_H

#include <stdint.h>

#include "base/clock.h"

static inline uint64_t cycles_now(void)
{
#ifdef __x86_64__
	uint32_t low, high;

	__asm__ volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
#else
	return clock_now_ns();
#endif
}

/** cycles_per_ns - the counter's rate; measures it for some milliseconds */
double cycles_per_ns(void);

#endif /* BENCH_CYCLES_H */
