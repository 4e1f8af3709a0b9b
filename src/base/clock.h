/* SPDX-License-Identifier: MIT */
/* The machine's clock. Only the API, tools and benchmarks read it: all else is told the time. */
#ifndef DEMI_BASE_CLOCK_H
#define DEMI_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_S 1000000000ull
#define NS_PER_US 1000ull

/** clock_now_ns - nanoseconds of CLOCK_MONOTONIC */
static inline uint64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

#endif /* DEMI_BASE_CLOCK_H */
