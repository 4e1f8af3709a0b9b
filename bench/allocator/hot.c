/* SPDX-License-Identifier: MIT */
/*
 * One object allocated and freed again and again, nothing written, while some hundreds of others
 * of this size and of others live: neither the size's first page nor the heap is ever empty.
 */
#include "allocator/calls.h"
#include "allocator/run.h"
#include "base/clock.h"

#include <stdlib.h>

#define OTHERS 600u
#define PAIRS 1024u /* of a sample: long against reading the clock, short against preemptions */
#define SAMPLES_MAX 65536u

struct other {
	void *object;
	size_t bytes;
};

/* Keeps the compiler from knowing where the pointer came from and whether it is used. */
static inline void *opaque(void *object)
{
	__asm__ volatile("" : "+r"(object) : : "memory");
	return object;
}

/* Every third is freed again, so that the free lists are as they are in a program. */
static void allocate_others(struct run *run, struct other *others)
{
	for (unsigned int i = 0; i < OTHERS; i++) {
		others[i].bytes = i % 2 ? run->argument : run_size(run, 4, 12);
		others[i].object = run_must(call_malloc(others[i].bytes));
		run_note(run, 0, others[i].bytes);
	}
	for (unsigned int i = 0; i < OTHERS; i += 3) {
		run_note(run, others[i].bytes, 0);
		call_free(others[i].object);
	}
}

static double sample(size_t bytes)
{
	uint64_t start_ns = clock_now_ns();

	for (unsigned int i = 0; i < PAIRS; i++)
		call_free(opaque(call_malloc(bytes)));
	return (double)(clock_now_ns() - start_ns) / PAIRS;
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

void hot_run(struct run *run)
{
	struct other *others = run_table(OTHERS, sizeof(*others));
	double *samples = run_table(SAMPLES_MAX, sizeof(*samples));
	uint64_t round_ns = run->time_ms * NS_PER_S / 1000 / 5;
	unsigned int count = 0;
	uint64_t start_ns;

	run_begin(run);
	allocate_others(run, others);
	start_ns = clock_now_ns();
	while (clock_now_ns() - start_ns < round_ns / 5)
		sample(run->argument);
	start_ns = clock_now_ns();
	do {
		samples[count++] = sample(run->argument);
	} while (count < SAMPLES_MAX && clock_now_ns() - start_ns < round_ns);
	qsort(samples, count, sizeof(*samples), compare_double);
	run->ns_per_operation = samples[count / 2];
	run_peak(run);
}
