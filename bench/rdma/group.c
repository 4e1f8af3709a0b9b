/* SPDX-License-Identifier: MIT */
/* The rdma group: counts the instructions of demi-bench-rdma. Times need a device: see rdma_bench.py. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "instructions.h"

#define PROGRAM "demi-bench-rdma"
#define COUNTED 2000u /* exchanges, of two messages each */

static const struct size {
	const char *what;
	const char *bytes;
	const char *label;
	double goal; /* instructions; 0: none */
} sizes[] = {
	{"libos", "64", "a message of 64 B, sent and received", 400},
	{"libos", "1024", "of 1 KiB, from where it lies", 400},
	{"libos", "65536", "of 64 KiB, read by the receiver", 0},
	{"all", "64", "of 64 B, with allocation, calls and waits", 0},
};

static void find_program(char path[4096])
{
	ssize_t length = readlink("/proc/self/exe", path, 4096 - sizeof(PROGRAM));

	while (length > 0 && path[length - 1] != '/')
		length--;
	strcpy(path + (length > 0 ? length : 0), PROGRAM);
}

/* Instructions of a message. */
static int count_messages(const char *what, const char *bytes, double *count_out)
{
	char path[4096], number[16];
	const char *program[] = {path, what, bytes, number, NULL};
	uint64_t once, twice;
	int error;

	find_program(path);
	snprintf(number, sizeof(number), "%06u", COUNTED);
	error = instructions_count(program, true, &once);
	snprintf(number, sizeof(number), "%06u", 2 * COUNTED);
	if (!error)
		error = instructions_count(program, true, &twice);
	if (!error)
		*count_out = (double)(twice - once) / COUNTED / 2;
	return error;
}

static int count_size(const struct size *size, double nothing, struct report *report)
{
	struct figure *figure;
	double count;
	int error = count_messages(size->what, size->bytes, &count);

	if (error)
		return error;
	figure = report_add(report, "instructions", 1);
	if (!figure)
		return -ENOMEM;
	snprintf(figure->name, sizeof(figure->name), "rdma/%s/%s", size->what, size->bytes);
	snprintf(figure->label, sizeof(figure->label), "%s", size->label);
	figure->values[0] = strcmp(size->what, "libos") == 0 ? count - nothing : count;
	figure->minimum = figure->values[0];
	figure->goal_kind = size->goal > 0 ? GOAL_VALUE : GOAL_NONE;
	figure->goal = size->goal;
	return 0;
}

static int run(const struct bench_options *options, struct report *report)
{
	double nothing = 0;
	int error;

	if (!bench_wants(options, "rdma"))
		return 0;
	if (!instructions_can_count()) {
		puts("\nrdma: instructions are not counted, there is no valgrind");
		return 0;
	}
	error = count_messages("nothing", "0", &nothing);
	for (size_t i = 0; !error && i < sizeof(sizes) / sizeof(sizes[0]); i++)
		error = count_size(&sizes[i], nothing, report);
	return error;
}

static void list(void)
{
	printf("  %-28s instructions of a message\n", "rdma");
}

const struct bench_group rdma_group = {
	.name = "rdma",
	.title = "Catmint: instructions of a message, sent and received",
	.help = "  Counted by valgrind's callgrind as the difference of two runs, over the simulated\n"
		"  device, whose own instructions are not counted, nor are those that switch counting on\n"
		"  and off.",
	.run = run,
	.list = list,
};
