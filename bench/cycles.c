/* SPDX-License-Identifier: MIT */
#include "cycles.h"

#define MEASURE_NS 20000000ull

double cycles_per_ns(void)
{
	static double rate;
	uint64_t start_ns, now_ns, start;

	if (rate > 0)
		return rate;
	start_ns = clock_now_ns();
	start = cycles_now();
	do {
		now_ns = clock_now_ns();
	} while (now_ns - start_ns < MEASURE_NS);
	rate = (double)(cycles_now() - start) / (double)(now_ns - start_ns);
	return rate;
}
