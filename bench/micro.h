/* SPDX-License-Identifier: MIT */
/*
 * A micro benchmark: an operation that is made again and again in a loop.
 *
 * In each round micro_run sets each benchmark of a group up, times many samples (each of so many
 * iterations that reading the counter does not matter), keeps their median, and tears it down.
 */
#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H

#include "bench.h"

struct micro {
	const char *name; /* "wait_any/100"; NULL ends a table */
	const char *label;
	const char *unit;    /* "ns" or "cycles" */
	uint64_t argument;   /* for set_up: how many queues, bytes and so on */
	const char *against; /* name of an earlier one of the group; NULL: no ratio */
	enum goal_kind goal_kind;
	double goal;
	uint64_t counted;    /* iterations of an instruction count; 0: not counted */
	const char *counter; /* what one instruction count is for; NULL: label */
	/* Return: 0 or -errno, having released everything. */
	int (*set_up)(void **state_out, uint64_t argument);
	/* Return: ticks of the counter that do not belong to what is measured. */
	uint64_t (*run)(void *state, uint64_t iterations);
	void (*tear_down)(void *state);
};

extern const struct micro switch_micros[];
extern const struct micro queue_micros[];
extern const struct micro joined_micros[];
extern const struct micro wait_any_micros[];
extern const struct micro timer_micros[];
extern const struct micro heap_micros[];
extern const struct micro server_micros[];
extern const struct micro datagram_micros[];
extern const struct micro segment_micros[];
extern const struct micro nvme_micros[];

/** micro_tables - all of the above, ended by NULL */
extern const struct micro *const micro_tables[];

extern const struct bench_group switch_group;
extern const struct bench_group queue_group;
extern const struct bench_group joined_group;
extern const struct bench_group wait_any_group;
extern const struct bench_group timer_group;
extern const struct bench_group heap_group;
extern const struct bench_group server_group;
extern const struct bench_group datagram_group;
extern const struct bench_group segment_group;
extern const struct bench_group nvme_group;

/** micro_run - the wanted ones of a group in alternating rounds; 0, or -errno having said why */
int micro_run(const struct micro micros[], const struct bench_options *options,
	      struct report *report);

void micro_list(const struct micro micros[]);

/** micro_find - by its full name; NULL when there is none */
const struct micro *micro_find(const char *name);

/** micro_repeat - set up, @iterations without timing, tear down; 0, or -errno having said why */
int micro_repeat(const struct micro *micro, uint64_t iterations);

#endif /* BENCH_MICRO_H */
