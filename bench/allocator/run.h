/* SPDX-License-Identifier: MIT */
/*
 * One run of one workload in a process of its own: its random numbers, its clock and memory, and a
 * checksum of all that was asked of the allocator, which must be the same for all of them.
 */
#ifndef BENCH_ALLOCATOR_RUN_H
#define BENCH_ALLOCATOR_RUN_H

#include <stddef.h>
#include <stdint.h>

struct run {
	/* What to do. */
	unsigned int time_ms; /* scales the number of operations */
	uint64_t argument;    /* the workload's: bytes of an object */
	uint64_t random;      /* state of run_random */
	/* What came out. */
	double ns_per_operation;
	uint64_t live_bytes;     /* asked for and not freed */
	uint64_t live_bytes_max; /* at the peak */
	uint64_t peak_bytes;     /* resident memory at its peak, above that at run_begin */
	uint64_t checksum;
	/* Between begin and end. */
	uint64_t start_ns;
	uint64_t start_resident_bytes;
};

/** run_fail - say why on standard error and exit */
_Noreturn void run_fail(const char *what);

/** run_must - @object; exits when it is NULL */
static inline void *run_must(void *object)
{
	if (__builtin_expect(!object, 0))
		run_fail("out of memory");
	return object;
}

/**
 * run_table - zeroed memory for the workload's own records
 *
 * It does not come from the allocator, and is resident before run_begin looks. Never NULL.
 */
void *run_table(size_t count, size_t size);

/** run_begin - start the clock, look at the resident memory; the first measured call comes after */
void run_begin(struct run *run);

/**
 * run_end - the time that the process took on its CPUs for @operations, and its peak of memory
 *
 * What a busy machine takes away is not counted; what the kernel does for the allocator is.
 */
void run_end(struct run *run, uint64_t operations);

/** run_peak - only the peak of memory, for a workload that keeps time itself */
void run_peak(struct run *run);

/** run_random - the next number of SplitMix64 (Steele, Lea, Flood 2014) */
static inline uint64_t run_random(struct run *run)
{
	uint64_t z = run->random += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/** run_below - a number of 0..@limit - 1 */
static inline uint32_t run_below(struct run *run, uint32_t limit)
{
	return (uint32_t)((run_random(run) >> 32) * limit >> 32);
}

/** run_size - 2^@low_bits..2^@high_bits - 1 bytes, each power of two as often as the others */
static inline uint32_t run_size(struct run *run, unsigned int low_bits, unsigned int high_bits)
{
	uint32_t power = 1u << (low_bits + run_below(run, high_bits - low_bits));

	return power + run_below(run, power);
}

/** run_note - an object of @old_bytes became one of @bytes; 0 stands for none */
static inline void run_note(struct run *run, uint64_t old_bytes, uint64_t bytes)
{
	run->checksum = (run->checksum ^ (old_bytes << 32 | bytes)) * 0x100000001b3u;
	run->live_bytes += bytes - old_bytes;
	if (run->live_bytes > run->live_bytes_max)
		run->live_bytes_max = run->live_bytes;
}

/** hot, server, handoff, churn - the workloads: see the files of these names */
void hot_run(struct run *run);
void server_run(struct run *run);
void handoff_run(struct run *run);
void churn_run(struct run *run);

#endif /* BENCH_ALLOCATOR_RUN_H */
