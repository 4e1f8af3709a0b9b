/* SPDX-License-Identifier: MIT */
#include "micro.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cycles.h"

#define SAMPLE_NS 20000.0 /* long against the counter's steps, short against preemptions */
#define SAMPLES_MAX 65536u
#define MICROS_MAX 32u
#define CALIBRATION_ITERATIONS 64u

const struct micro *const micro_tables[] = {
	switch_micros, queue_micros,    joined_micros,  wait_any_micros, timer_micros, heap_micros,
	server_micros, datagram_micros, segment_micros, nvme_micros,     NULL,
};

const struct micro *micro_find(const char *name)
{
	for (unsigned int t = 0; micro_tables[t]; t++) {
		for (const struct micro *micro = micro_tables[t]; micro->name; micro++) {
			if (!strcmp(micro->name, name))
				return micro;
		}
	}
	return NULL;
}

void micro_list(const struct micro micros[])
{
	for (const struct micro *micro = micros; micro->name; micro++)
		printf("  %-28s %s\n", micro->name, micro->label);
}

static int set_up(const struct micro *micro, void **state)
{
	int error = micro->set_up(state, micro->argument);

	if (error)
		fprintf(stderr, "%s: cannot set up: %s\n", micro->name, strerror(-error));
	return error;
}

int micro_repeat(const struct micro *micro, uint64_t iterations)
{
	void *state;
	int error = set_up(micro, &state);

	if (error)
		return error;
	micro->run(state, iterations);
	micro->tear_down(state);
	return 0;
}

/* Ticks for one iteration, over a sample of so many. */
static double sample(const struct micro *micro, void *state, uint64_t iterations)
{
	uint64_t start = cycles_now();
	uint64_t apart = micro->run(state, iterations);

	return (double)(cycles_now() - start - apart) / (double)iterations;
}

/* How many iterations make a sample; warms up for a fifth of the round, too. */
static uint64_t calibrate(const struct micro *micro, void *state, double round_ticks)
{
	uint64_t start = cycles_now();
	double sample_ticks = SAMPLE_NS * cycles_per_ns();
	double iteration_ticks = 1e9;
	uint64_t iterations;

	do {
		double ticks = sample(micro, state, CALIBRATION_ITERATIONS);

		if (ticks < iteration_ticks)
			iteration_ticks = ticks;
	} while ((double)(cycles_now() - start) < round_ticks / 5);
	iterations = (uint64_t)(sample_ticks / iteration_ticks);
	/* A multiple of it, for benchmarks that work in batches. */
	return (iterations / CALIBRATION_ITERATIONS + 1) * CALIBRATION_ITERATIONS;
}

/* One round of one benchmark: the median of its samples, in the figure's unit. */
static int measure(const struct micro *micro, struct figure *figure, unsigned int round,
		   unsigned int time_ms, double *samples)
{
	double per_unit = strcmp(micro->unit, "ns") == 0 ? cycles_per_ns() : 1;
	double round_ticks = time_ms / 5.0 * 1e6 * cycles_per_ns();
	unsigned int count = 0;
	uint64_t iterations, start;
	void *state;
	int error = set_up(micro, &state);

	if (error)
		return error;
	iterations = calibrate(micro, state, round_ticks);
	start = cycles_now();
	do {
		samples[count++] = sample(micro, state, iterations) / per_unit;
	} while (count < SAMPLES_MAX && (double)(cycles_now() - start) < round_ticks);
	micro->tear_down(state);
	figure->values[round] = median_of(samples, count);
	if (round == 0 || samples[0] < figure->minimum)
		figure->minimum = samples[0];
	return 0;
}

static const struct figure *find_figure(const struct report *report, const char *name)
{
	for (unsigned int i = 0; name && i < report->count; i++) {
		if (!strcmp(report->figures[i]->name, name))
			return report->figures[i];
	}
	return NULL;
}

static struct figure *add_figure(struct report *report, const struct micro *micro,
				 unsigned int rounds)
{
	struct figure *figure = report_add(report, micro->unit, rounds);

	if (!figure)
		return NULL;
	snprintf(figure->name, sizeof(figure->name), "%s", micro->name);
	snprintf(figure->label, sizeof(figure->label), "%s", micro->label);
	figure->against = find_figure(report, micro->against);
	/* Without what it is compared with there is no ratio to judge. */
	if (micro->goal_kind != GOAL_RATIO || figure->against)
		figure->goal_kind = micro->goal_kind;
	figure->goal = micro->goal;
	return figure;
}

int micro_run(const struct micro micros[], const struct bench_options *options,
	      struct report *report)
{
	struct figure *figures[MICROS_MAX] = {NULL};
	double *samples = calloc(SAMPLES_MAX, sizeof(*samples));
	int error = samples ? 0 : -ENOMEM;

	for (unsigned int i = 0; !error && micros[i].name; i++) {
		if (!bench_wants(options, micros[i].name))
			continue;
		figures[i] = add_figure(report, &micros[i], options->rounds);
		error = figures[i] ? 0 : -ENOMEM;
	}
	for (unsigned int round = 0; !error && round < options->rounds; round++) {
		for (unsigned int i = 0; !error && micros[i].name; i++) {
			if (figures[i])
				error = measure(&micros[i], figures[i], round, options->time_ms,
						samples);
		}
	}
	free(samples);
	return error;
}
