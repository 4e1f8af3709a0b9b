/* SPDX-License-Identifier: MIT */
#ifndef BENCH_PIN_H
#define BENCH_PIN_H

#include <errno.h>
#include <sched.h>

/** bench_pin - run on this CPU alone; 0 or -errno */
static inline int bench_pin(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

#endif /* BENCH_PIN_H */
