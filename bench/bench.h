/* SPDX-License-Identifier: MIT */
/*
 * demi-bench: what its parts share. A group measures some figures and adds them to the report;
 * main.c prints each group's table when it is done and writes all of them as JSON at the end.
 *
 * Names are paths: "wait_any/100" is measured by group "wait_any"; --only takes either.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "report.h"

#define BENCH_ONLY_MAX 32
#define BENCH_ROUNDS_MAX 1000u

struct bench_options {
	const char *only[BENCH_ONLY_MAX]; /* names or groups that are wanted */
	unsigned int only_count;          /* 0: all */
	unsigned int rounds;              /* 1..BENCH_ROUNDS_MAX */
	unsigned int time_ms;             /* of one measurement of echo; others scale with it */
	uint64_t iterations;   /* not 0: run one micro benchmark so often, time nothing */
	const char *json_path; /* NULL: bench.json beside the program */
	bool list;
};

struct bench_group {
	const char *name;
	const char *title;
	const char *help; /* what the figures mean; lines of text */
	/* Measures what is wanted. Return: 0, or -errno having said on standard error what failed. */
	int (*run)(const struct bench_options *options, struct report *report);
	void (*list)(void); /* prints the names, one a line */
};

extern const struct bench_group echo_group;
extern const struct bench_group allocator_group;
extern const struct bench_group device_group;
extern const struct bench_group stream_group;
extern const struct bench_group path_group;
extern const struct bench_group lossy_group;
extern const struct bench_group instructions_group;
extern const struct bench_group rdma_group;

/** bench_wants - whether @name is to be measured: it, or what it lies in, was asked for */
bool bench_wants(const struct bench_options *options, const char *name);

/** bench_has_two_cpus - whether this program may use CPU 0 and CPU 1 */
bool bench_has_two_cpus(void);

#endif /* BENCH_BENCH_H */
