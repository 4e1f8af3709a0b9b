/* SPDX-License-Identifier: MIT */
/*
 * Instruction counts: this program again under valgrind's callgrind, with N and with 2 N
 * iterations of one micro benchmark; the difference is what N iterations take.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "instructions.h"
#include "micro.h"

#define NAME_PREFIX "instructions/"
#define ARGUMENTS_MAX 8u

extern char **environ;

/* The count that callgrind prints: "==1== Collected : 12345". */
static int parse_count(FILE *output, uint64_t *count_out)
{
	char line[512];
	int error = -EPROTO;

	while (fgets(line, sizeof(line), output)) {
		const char *found = strstr(line, "Collected : ");
		unsigned long long count;

		if (found && sscanf(found, "Collected : %llu", &count) == 1) {
			*count_out = count;
			error = 0;
		}
	}
	return error;
}

/* Start valgrind with its log on @log_fd. */
static int start_valgrind(const char *const program[], bool toggles, int log_fd, pid_t *pid_out)
{
	const char *arguments[ARGUMENTS_MAX + 6] = {
		"valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
		toggles ? "--collect-atstart=no" : "--collect-atstart=yes"};
	size_t count = 4;
	char log[32];

	snprintf(log, sizeof(log), "--log-fd=%d", log_fd);
	arguments[count++] = log;
	for (size_t i = 0; i < ARGUMENTS_MAX && program[i]; i++)
		arguments[count++] = program[i];
	return -posix_spawnp(pid_out, arguments[0], NULL, NULL, (char **)(uintptr_t)arguments,
			     environ);
}

int instructions_count(const char *const program[], bool toggles, uint64_t *count_out)
{
	int error, status;
	FILE *output;
	int fds[2];
	pid_t pid;

	if (pipe(fds) < 0)
		return -errno;
	error = start_valgrind(program, toggles, fds[1], &pid);
	close(fds[1]);
	output = fdopen(fds[0], "r");
	if (error || !output) {
		close(fds[0]);
		return error ? error : -ENOMEM;
	}
	error = parse_count(output, count_out);
	fclose(output);
	if (waitpid(pid, &status, 0) < 0 || status)
		return -ECHILD;
	return error;
}

static int count_run(const char *name, uint64_t iterations, uint64_t *count_out)
{
	char self[4096], number[32];
	const char *program[] = {self, "--iterations", number, "--only", name, NULL};
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length < 0)
		return -errno;
	self[length] = '\0';
	/* The same number of digits every time. */
	snprintf(number, sizeof(number), "%012llu", (unsigned long long)iterations);
	return instructions_count(program, false, count_out);
}

static int count_micro(const struct micro *micro, struct report *report)
{
	uint64_t once = 0, twice = 0;
	struct figure *figure;
	int error = count_run(micro->name, micro->counted, &once);

	if (!error)
		error = count_run(micro->name, 2 * micro->counted, &twice);
	if (error) {
		fprintf(stderr, "%s under valgrind: %s\n", micro->name, strerror(-error));
		return error;
	}
	figure = report_add(report, "instructions", 1);
	if (!figure)
		return -ENOMEM;
	figure->values[0] = (double)(twice - once) / (double)micro->counted;
	figure->minimum = figure->values[0];
	snprintf(figure->name, sizeof(figure->name), NAME_PREFIX "%s", micro->name);
	snprintf(figure->label, sizeof(figure->label), "%s",
		 micro->counter ? micro->counter : micro->label);
	return 0;
}

bool instructions_can_count(void)
{
	return system("command -v valgrind >/dev/null 2>&1") == 0;
}

static int run(const struct bench_options *options, struct report *report)
{
	bool checked = false;

	for (unsigned int t = 0; micro_tables[t]; t++) {
		for (const struct micro *micro = micro_tables[t]; micro->name; micro++) {
			char name[64];
			int error;

			snprintf(name, sizeof(name), NAME_PREFIX "%s", micro->name);
			if (!micro->counted || !bench_wants(options, name))
				continue;
			if (!checked && !instructions_can_count()) {
				puts("\ninstructions: not counted, there is no valgrind");
				return 0;
			}
			checked = true;
			error = count_micro(micro, report);
			if (error)
				return error;
		}
	}
	return 0;
}

static void list(void)
{
	for (unsigned int t = 0; micro_tables[t]; t++) {
		for (const struct micro *micro = micro_tables[t]; micro->name; micro++) {
			if (micro->counted)
				printf("  " NAME_PREFIX "%-15s %s\n", micro->name,
				       micro->counter ? micro->counter : micro->label);
		}
	}
}

const struct bench_group instructions_group = {
	.name = "instructions",
	.title = "instructions per operation",
	.help = "  Counted by valgrind's callgrind as the difference of two runs, in user space, the\n"
		"  loop of the benchmark included. The same every time, whatever the machine does.",
	.run = run,
	.list = list,
};
