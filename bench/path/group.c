/* SPDX-License-Identifier: MIT */
/* The path group: starts demi-bench-path once in each round, and counts its instructions. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "instructions.h"

#define PROGRAM "demi-bench-path"
#define COUNTED 2000u /* segments */

static const struct way {
	const char *name;
	const char *label;
	double goal; /* ns; 0: none */
} ways[] = {
	{"in", "segment in: rx_burst's return to demi_wait's", 50},
	{"in-ack", "the same, acknowledging our push, which completes", 0},
	{"out", "segment out: demi_push's call to tx_burst's", 60},
	{"in-all", "all of demi_wait less rx_burst", 0},
	{"out-all", "all of demi_push less tx_burst", 0},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))
#define WAYS_COUNTED 3u

static void find_program(char path[4096])
{
	ssize_t length = readlink("/proc/self/exe", path, 4096 - sizeof(PROGRAM));

	while (length > 0 && path[length - 1] != '/')
		length--;
	strcpy(path + (length > 0 ? length : 0), PROGRAM);
}

static struct figure *add_figure(struct report *report, const struct way *way, const char *unit,
				 unsigned int rounds)
{
	struct figure *figure = report_add(report, unit, rounds);

	if (!figure)
		return NULL;
	snprintf(figure->name, sizeof(figure->name), "path/%s/%s", way->name, unit);
	snprintf(figure->label, sizeof(figure->label), "%s", way->label);
	return figure;
}

static void store(struct figure *figures[WAYS], unsigned int round, const char *name, double median,
		  double minimum)
{
	for (size_t i = 0; i < WAYS; i++) {
		if (strcmp(ways[i].name, name) != 0)
			continue;
		figures[i]->values[round] = median;
		if (round == 0 || minimum < figures[i]->minimum)
			figures[i]->minimum = minimum;
	}
}

static int run_round(struct figure *figures[WAYS], unsigned int round, unsigned int time_ms)
{
	char path[4096], command[4200], name[16];
	double median, minimum;
	FILE *output;

	find_program(path);
	snprintf(command, sizeof(command), "'%s' %u", path, time_ms);
	output = popen(command, "r");
	if (!output)
		return -errno;
	while (fscanf(output, "%15s median %lf minimum %lf", name, &median, &minimum) == 3)
		store(figures, round, name, median, minimum);
	return pclose(output) == 0 ? 0 : -ECHILD;
}

static int run_times(const struct bench_options *options, struct report *report)
{
	struct figure *figures[WAYS];
	int error = 0;

	for (size_t i = 0; i < WAYS; i++) {
		figures[i] = add_figure(report, &ways[i], "ns", options->rounds);
		if (!figures[i])
			return -ENOMEM;
		figures[i]->goal_kind = ways[i].goal > 0 ? GOAL_VALUE : GOAL_NONE;
		figures[i]->goal = ways[i].goal;
	}
	for (unsigned int round = 0; !error && round < options->rounds; round++)
		error = run_round(figures, round, options->time_ms);
	return error;
}

static int count_way(const struct way *way, struct report *report)
{
	char path[4096], number[16];
	const char *program[] = {path, "--count", way->name, number, NULL};
	struct figure *figure;
	uint64_t once, twice;
	int error;

	find_program(path);
	snprintf(number, sizeof(number), "%06u", COUNTED);
	error = instructions_count(program, true, &once);
	snprintf(number, sizeof(number), "%06u", 2 * COUNTED);
	if (!error)
		error = instructions_count(program, true, &twice);
	if (error)
		return error;
	figure = add_figure(report, way, "instructions", 1);
	if (!figure)
		return -ENOMEM;
	figure->values[0] = (double)(twice - once) / COUNTED;
	figure->minimum = figure->values[0];
	return 0;
}

static int run(const struct bench_options *options, struct report *report)
{
	int error;

	if (!bench_wants(options, "path"))
		return 0;
	error = run_times(options, report);
	if (!error && !instructions_can_count())
		puts("\npath: instructions are not counted, there is no valgrind");
	else
		for (size_t i = 0; !error && i < WAYS_COUNTED; i++)
			error = count_way(&ways[i], report);
	return error;
}

static void list(void)
{
	printf("  %-28s all ways, times and instructions\n", "path");
}

const struct bench_group path_group = {
	.name = "path",
	.title = "TCP: between the device and the application, 64 B, one core",
	.help = "  A segment in order, over the public API and the device \"loop\", from the moment that\n"
		"  rx_burst has handed it over until demi_wait has returned with it, and from the call\n"
		"  of demi_push until tx_burst is called with it: means of 1,000, each between two\n"
		"  readings of the counter that let nothing pass, whose own time is taken off. The rows\n"
		"  \"all of\" have the whole call in them, the reading of the clock and the looks at an\n"
		"  empty device too, and only the device's call taken off.",
	.run = run,
	.list = list,
};
