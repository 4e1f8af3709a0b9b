/* SPDX-License-Identifier: MIT */
/*
 * demi-bench-allocator: one workload with one allocator, once. demi-bench starts it again and again
 * with the allocators in turns and compares; group.c does, and says what the lines below are.
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "allocator/calls.h"
#include "allocator/run.h"

#define SEED 20240229u
#define TIMEOUT_S 120u
#define TIME_MS_MAX 10000u

static const struct workload {
	const char *name;
	uint64_t argument;
	void (*run)(struct run *run);
} workloads[] = {
	{"hot/64", 64, hot_run},   {"hot/1024", 1024, hot_run}, {"hot/4096", 4096, hot_run},
	{"server", 0, server_run}, {"handoff", 0, handoff_run}, {"churn", 0, churn_run},
};
#define WORKLOADS (sizeof(workloads) / sizeof(workloads[0]))

static const char usage[] =
	"usage: demi-bench-allocator LIBRARY version\n"
	"       demi-bench-allocator LIBRARY WORKLOAD TIME\n"
	"\n"
	"Fails unless the calls come from a library whose file name starts with LIBRARY.\n"
	"TIME scales the number of operations; 100 is usual. Workloads:\n";

/* Whether this call comes from the library that we are to measure. */
static void check_call(const char *library, void *call)
{
	const char *file;
	Dl_info info;

	if (!dladdr(call, &info) || !info.dli_fname)
		run_fail("cannot find out where the calls come from");
	file = strrchr(info.dli_fname, '/');
	file = file ? file + 1 : info.dli_fname;
	if (strncmp(file, library, strlen(library)) != 0) {
		fprintf(stderr, "demi-bench-allocator: the calls come from %s, not from %s*\n",
			info.dli_fname, library);
		exit(1);
	}
}

/* A preload that did not take effect, or only for some calls, must not go unnoticed. */
static void check_library(const char *library)
{
	check_call(library, (void *)call_malloc);
	check_call(library, (void *)call_calloc);
	check_call(library, (void *)call_realloc);
	check_call(library, (void *)call_memalign);
	check_call(library, (void *)call_free);
}

/* mimalloc's own number: 209 is 2.0.9, from 3.2 on 30207 is 3.2.7. */
static void format_mimalloc(int number, char *version, size_t size)
{
	int base = number < 10000 ? 10 : 100;

	snprintf(version, size, "%d.%d.%d", number / base / base, number / base % base,
		 number % base);
}

/* The version of whichever library it is, of those that we know to ask; may be empty. */
static void find_version(const char *library, char *version, size_t size)
{
	int (*mallctl)(const char *, void *, size_t *, void *, size_t);
	int (*mi_version)(void);
	const char *text = "";
	size_t length = sizeof(text);
	char glibc[32];

	*(void **)&mallctl = dlsym(RTLD_DEFAULT, "mallctl");
	*(void **)&mi_version = dlsym(RTLD_DEFAULT, "mi_version");
	if (mi_version)
		format_mimalloc(mi_version(), version, size);
	else if (mallctl && !mallctl("version", (void *)&text, &length, NULL, 0))
		snprintf(version, size, "%.*s", (int)strcspn(text, "-"), text);
	else if (!strncmp(library, "libc.", 5) &&
		 confstr(_CS_GNU_LIBC_VERSION, glibc, sizeof(glibc)))
		snprintf(version, size, "%s", glibc + strcspn(glibc, "0123456789"));
}

static int print_version(const char *library)
{
	char version[32] = "";

	find_version(library, version, sizeof(version));
	printf("version %s\n", version);
	return 0;
}

static int run_workload(const struct workload *workload, unsigned int time_ms)
{
	struct run run = {.time_ms = time_ms, .argument = workload->argument, .random = SEED};
	int error;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(TIMEOUT_S);
	error = calls_begin();
	if (error) {
		fprintf(stderr, "demi-bench-allocator: demi_init: %s\n", strerror(error));
		return 1;
	}
	workload->run(&run);
	calls_end();
	printf("ns %.4f\nlive %llu\npeak %llu\nchecksum %llu\n", run.ns_per_operation,
	       (unsigned long long)run.live_bytes_max, (unsigned long long)run.peak_bytes,
	       (unsigned long long)run.checksum);
	return 0;
}

static _Noreturn void wrong_usage(void)
{
	fputs(usage, stderr);
	for (unsigned int i = 0; i < WORKLOADS; i++)
		fprintf(stderr, "  %s\n", workloads[i].name);
	exit(2);
}

int main(int argc, char **argv)
{
	char *end;
	unsigned long time_ms;

	if (argc == 3 && !strcmp(argv[2], "version")) {
		check_library(argv[1]);
		return print_version(argv[1]);
	}
	if (argc != 4)
		wrong_usage();
	time_ms = strtoul(argv[3], &end, 10);
	if (*end || time_ms < 1 || time_ms > TIME_MS_MAX)
		wrong_usage();
	check_library(argv[1]);
	for (unsigned int i = 0; i < WORKLOADS; i++) {
		if (!strcmp(workloads[i].name, argv[2]))
			return run_workload(&workloads[i], (unsigned int)time_ms);
	}
	wrong_usage();
}
