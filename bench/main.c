/* SPDX-License-Identifier: MIT */
/* demi-bench: measures Demi beside what it replaces. */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "micro.h"

#define ROUNDS_ENOUGH 5u

static const struct bench_group *const groups[] = {
	&echo_group,      &device_group,       &stream_group, &path_group,  &datagram_group,
	&segment_group,   &lossy_group,        &server_group, &queue_group, &joined_group,
	&wait_any_group,  &switch_group,       &timer_group,  &heap_group,  &nvme_group,
	&allocator_group, &instructions_group,
#ifdef BENCH_HAVE_RDMA
	&rdma_group,
#endif
};
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

static void print_help(void)
{
	puts("usage: demi-bench [--only NAME,...] [--rounds N] [--time MS] [--json FILE]\n"
	     "                  [--instructions] [--list] [--help]\n"
	     "       demi-bench --iterations N --only NAME\n"
	     "\n"
	     "  --only NAME,...  groups or single names of --list\n"
	     "  --rounds N       alternating rounds that each figure is the median of; 15\n"
	     "  --time MS        of one round of echo; the other groups scale with it; 100\n"
	     "  --json FILE      default: bench.json beside the program\n"
	     "  --instructions   only count instructions, which noise does not change\n"
	     "  --iterations N   run one micro benchmark N times and time nothing, for profilers\n"
	     "  --list           print what there is to measure\n"
	     "\n"
	     "Everything that is compared alternates in one call, round by round (A B A B ...). A\n"
	     "figure is the median over the rounds; beside it stands the smallest sample of all. A\n"
	     "ratio is the median of the ratios within the rounds. Never compare figures of two\n"
	     "calls: on a shared machine the cores drift by more than the differences of interest.");
	for (unsigned int i = 0; i < GROUPS; i++)
		printf("\n%s: %s\n%s\n", groups[i]->name, groups[i]->title, groups[i]->help);
}

static _Noreturn void wrong_usage(const char *what)
{
	fprintf(stderr, "demi-bench: %s; see demi-bench --help\n", what);
	exit(2);
}

bool bench_wants(const struct bench_options *options, const char *name)
{
	for (unsigned int i = 0; i < options->only_count; i++) {
		size_t length = strlen(options->only[i]);

		if (!strncmp(name, options->only[i], length) &&
		    (name[length] == '\0' || name[length] == '/'))
			return true;
	}
	return options->only_count == 0;
}

bool bench_has_two_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_ISSET(0, &set) &&
	       CPU_ISSET(1, &set);
}

static void add_only(struct bench_options *options, char *names)
{
	char *rest;

	for (char *name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
		if (options->only_count == BENCH_ONLY_MAX)
			wrong_usage("too many names for --only");
		options->only[options->only_count++] = name;
	}
}

static uint64_t parse_number(const char *text, uint64_t limit)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (end == text || *end || text[0] == '-' || value < 1 || value > limit) {
		fprintf(stderr, "demi-bench: \"%s\" is not a number of 1..%llu\n", text,
			(unsigned long long)limit);
		exit(2);
	}
	return value;
}

static void parse_option(struct bench_options *options, int letter)
{
	static char instructions[] = "instructions";

	switch (letter) {
	case 'o':
		add_only(options, optarg);
		break;
	case 'r':
		options->rounds = (unsigned int)parse_number(optarg, BENCH_ROUNDS_MAX);
		break;
	case 't':
		options->time_ms = (unsigned int)parse_number(optarg, 10000);
		break;
	case 'n':
		options->iterations = parse_number(optarg, UINT64_MAX / 2);
		break;
	case 'j':
		options->json_path = optarg;
		break;
	case 'i':
		add_only(options, instructions);
		break;
	case 'l':
		options->list = true;
		break;
	case 'h':
		print_help();
		exit(0);
	default:
		exit(2);
	}
}

static void parse_options(struct bench_options *options, int argc, char **argv)
{
	static const struct option names[] = {
		{"only", required_argument, NULL, 'o'},
		{"rounds", required_argument, NULL, 'r'},
		{"time", required_argument, NULL, 't'},
		{"iterations", required_argument, NULL, 'n'},
		{"json", required_argument, NULL, 'j'},
		{"instructions", no_argument, NULL, 'i'},
		{"list", no_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "h", names, NULL)) != -1)
		parse_option(options, letter);
	if (optind < argc)
		wrong_usage("takes no arguments but options");
}

static int repeat_one(const struct bench_options *options)
{
	const struct micro *micro = options->only_count == 1 ? micro_find(options->only[0]) : NULL;

	if (!micro)
		wrong_usage("--iterations needs --only with one micro benchmark");
	return micro_repeat(micro, options->iterations) ? 1 : 0;
}

static void print_list(void)
{
	for (unsigned int i = 0; i < GROUPS; i++) {
		printf("%s: %s\n", groups[i]->name, groups[i]->title);
		groups[i]->list();
	}
}

/* bench.json in the folder of this program. */
static void default_path(char *path, size_t size)
{
	static const char name[] = "bench.json";
	ssize_t length = readlink("/proc/self/exe", path, size - sizeof(name));

	if (length < 0)
		length = 0;
	while (length > 0 && path[length - 1] != '/')
		length--;
	memcpy(path + length, name, sizeof(name));
}

static int write_json(const struct bench_options *options, const struct report *report,
		      const struct machine *machine)
{
	char beside[4096];
	const char *path = options->json_path;
	int error;

	if (!path) {
		default_path(beside, sizeof(beside));
		path = beside;
	}
	error = report_write(report, machine, path);
	if (error)
		fprintf(stderr, "demi-bench: cannot write %s: %s\n", path, strerror(-error));
	else
		printf("\nwritten: %s\n", path);
	return error;
}

static int run_groups(const struct bench_options *options)
{
	struct report report = {NULL, 0, 0};
	struct machine machine;
	int error = 0;

	machine_describe(&machine);
	machine_print(&machine);
	if (options->rounds < ROUNDS_ENOUGH)
		printf("NOTE: fewer than %u rounds prove nothing\n", ROUNDS_ENOUGH);
	fflush(stdout);
	for (unsigned int i = 0; !error && i < GROUPS; i++) {
		error = groups[i]->run(options, &report);
		if (!error)
			report_print_new(&report, groups[i]->title);
	}
	if (!error && report.count == 0)
		wrong_usage("nothing was measured: no such name, or this machine cannot");
	if (!error)
		error = write_json(options, &report, &machine);
	report_fini(&report);
	return error ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct bench_options options = {.rounds = 15, .time_ms = 100};

	parse_options(&options, argc, argv);
	if (options.list) {
		print_list();
		return 0;
	}
	return options.iterations ? repeat_one(&options) : run_groups(&options);
}
