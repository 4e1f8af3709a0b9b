/* SPDX-License-Identifier: MIT */
/*
 * The allocator group: every workload with each allocator in turns. A run is a process of its own
 * (demi-bench-allocator), since a C library's allocator is replaced only as a program starts, and
 * the peak of resident memory is the process's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "allocator/spawn.h"
#include "bench.h"

#define LIBC_PROGRAM "demi-bench-allocator"
#define DEMI_PROGRAM "demi-bench-allocator-demi"
#define ALTERNATIVES 2
#define MIB (1024.0 * 1024.0)
#define WARM_BYTES ((size_t)512 << 20) /* twice what a workload takes */
#define PAGE_BYTES 4096u

/* Demi comes last, what it is compared with before it. */
static const struct contestant {
	const char *name;
	const char *program;
	const char
		*preloads[ALTERNATIVES]; /* the first that is there; none: nothing is preloaded */
	const char *library;
} contestants[] = {
	{"glibc", LIBC_PROGRAM, {NULL}, "libc."},
	{"jemalloc", LIBC_PROGRAM, {"libjemalloc.so.2"}, "libjemalloc."},
	{"mimalloc", LIBC_PROGRAM, {"libmimalloc.so.3", "libmimalloc.so.2"}, "libmimalloc."},
	{"demi", DEMI_PROGRAM, {NULL}, "libdemi."},
};
#define CONTESTANTS 4
#define RIVAL 2
#define DEMI 3
_Static_assert(sizeof(contestants) / sizeof(contestants[0]) == CONTESTANTS, "a name for each");

static const struct workload {
	const char *name; /* behind "allocator/" */
	const char *section;
	double time_goal;
	double memory_goal; /* 0: none */
	bool has_memory;    /* the peak of memory says something */
	bool needs_two_cpus;
} workloads[] = {
	{"hot/64", "hot: 64 B", 1.00, 0, false, false},
	{"hot/1024", "hot: 1 KiB", 1.00, 0, false, false},
	{"hot/4096", "hot: 4 KiB", 1.00, 0, false, false},
	{"server", "server: mixed sizes and lifetimes", 1.10, 1.15, true, false},
	{"handoff", "handoff: one thread allocates, another frees", 1.10, 0, true, true},
	{"churn", "churn: a keyspace, then other sizes", 1.10, 1.15, true, false},
};
#define WORKLOADS (sizeof(workloads) / sizeof(workloads[0]))

struct entrant {
	struct spawn spawn;
	char version[VERSION_BYTES];
	bool here; /* it can be measured on this machine */
};

/* One allocator's figures in one workload. */
struct cell {
	struct figure *time;
	struct figure *memory; /* NULL: not of interest */
};

static void name_of(const struct workload *workload, char *name, size_t size)
{
	snprintf(name, size, "allocator/%s", workload->name);
}

static bool find_entrant(const struct contestant *contestant, struct entrant *entrant)
{
	entrant->spawn.program = contestant->program;
	entrant->spawn.library = contestant->library;
	for (unsigned int i = 0; i < ALTERNATIVES; i++) {
		entrant->spawn.preload = contestant->preloads[i];
		if (i > 0 && !entrant->spawn.preload)
			break;
		if (spawn_version(&entrant->spawn, entrant->version))
			return true;
	}
	return false;
}

/* Others may be missing; Demi was built with this program. */
static int find_entrants(struct entrant *entrants)
{
	for (unsigned int i = 0; i < CONTESTANTS; i++) {
		entrants[i].here = find_entrant(&contestants[i], &entrants[i]);
		if (!entrants[i].here && i != DEMI)
			printf("\nallocator: %s: not %s\n", contestants[i].name,
			       contestants[i].preloads[0] ? "installed" : "what programs use here");
	}
	fflush(stdout);
	if (entrants[DEMI].here)
		return 0;
	fputs("allocator: " DEMI_PROGRAM " does not work\n", stderr);
	return -ENOEXEC;
}

static struct figure *add_figure(struct report *report, unsigned int rounds,
				 const struct workload *workload, unsigned int contestant,
				 const char *version, bool memory)
{
	struct figure *figure = report_add(report, memory ? "MiB" : "ns", rounds);
	const char *name = contestants[contestant].name;

	if (!figure)
		return NULL;
	snprintf(figure->name, sizeof(figure->name), "allocator/%s/%s/%s", workload->name, name,
		 memory ? "memory" : "time");
	snprintf(figure->label, sizeof(figure->label), "%s%s%s, %s", name, version[0] ? " " : "",
		 version, memory ? "peak memory" : "time");
	snprintf(figure->section, sizeof(figure->section), "%s", workload->section);
	return figure;
}

static int add_figures(const struct workload *workload, const struct entrant *entrants,
		       unsigned int rounds, struct report *report, struct cell *cells)
{
	for (unsigned int i = 0; i < CONTESTANTS; i++) {
		if (!entrants[i].here)
			continue;
		cells[i].time = add_figure(report, rounds, workload, i, entrants[i].version, false);
		if (!cells[i].time)
			return -ENOMEM;
	}
	for (unsigned int i = 0; i < CONTESTANTS; i++) {
		if (!entrants[i].here || !workload->has_memory)
			continue;
		cells[i].memory = add_figure(report, rounds, workload, i, entrants[i].version,
					     true);
		if (!cells[i].memory)
			return -ENOMEM;
	}
	return 0;
}

static void set_goal(struct figure *figure, const struct figure *rival, double goal)
{
	if (!figure || !rival)
		return;
	figure->against = rival;
	figure->goal_kind = goal > 0 ? GOAL_RATIO : GOAL_NONE;
	figure->goal = goal;
}

static void store(struct figure *figure, unsigned int round, double value)
{
	if (!figure)
		return;
	figure->values[round] = value;
	if (round == 0 || value < figure->minimum)
		figure->minimum = value;
}

/*
 * Touch memory in huge pages and give it back to the kernel, which serves the next process from it.
 * A virtual machine's memory may have no memory of the host behind it before it is first touched;
 * that costs many times the page fault, falls on some runs and not on others, and far more often on
 * an allocator that takes huge pages. It says nothing about an allocator: before every run.
 */
static void warm_memory(void)
{
	volatile uint8_t *memory = mmap(NULL, WARM_BYTES, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return;
	madvise((void *)(uintptr_t)memory, WARM_BYTES, MADV_HUGEPAGE);
	for (size_t i = 0; i < WARM_BYTES; i += PAGE_BYTES)
		memory[i] = 1;
	munmap((void *)(uintptr_t)memory, WARM_BYTES);
}

/* @checksum: of the first run of this workload; every other must have asked for the same. */
static int run_once(const struct workload *workload, const struct entrant *entrant,
		    unsigned int time_ms, uint64_t *checksum, struct spawn_result *result)
{
	int error;

	if (workload->has_memory)
		warm_memory();
	error = spawn_run(&entrant->spawn, workload->name, time_ms, result);
	if (error) {
		fprintf(stderr, "allocator: %s with %s failed\n", workload->name,
			entrant->spawn.library);
		return error;
	}
	if (*checksum == 0)
		*checksum = result->checksum;
	if (*checksum == result->checksum)
		return 0;
	fprintf(stderr, "allocator: %s with %s: not the trace of the others\n", workload->name,
		entrant->spawn.library);
	return -EPROTO;
}

static int run_workload(const struct workload *workload, const struct entrant *entrants,
			const struct bench_options *options, struct report *report)
{
	struct cell cells[CONTESTANTS] = {{NULL, NULL}};
	uint64_t checksum = 0;
	int error = add_figures(workload, entrants, options->rounds, report, cells);

	for (unsigned int round = 0; !error && round < options->rounds; round++) {
		for (unsigned int i = 0; !error && i < CONTESTANTS; i++) {
			struct spawn_result result;

			if (!entrants[i].here)
				continue;
			error = run_once(workload, &entrants[i], options->time_ms, &checksum,
					 &result);
			if (error)
				break;
			store(cells[i].time, round, result.ns);
			store(cells[i].memory, round, (double)result.peak_bytes / MIB);
		}
	}
	set_goal(cells[DEMI].time, cells[RIVAL].time, workload->time_goal);
	set_goal(cells[DEMI].memory, cells[RIVAL].memory, workload->memory_goal);
	return error;
}

static int run(const struct bench_options *options, struct report *report)
{
	struct entrant entrants[CONTESTANTS] = {{{NULL, NULL, NULL}, "", false}};
	bool searched = false;
	int error = 0;

	for (unsigned int i = 0; !error && i < WORKLOADS; i++) {
		char name[32];

		name_of(&workloads[i], name, sizeof(name));
		if (!bench_wants(options, name))
			continue;
		if (workloads[i].needs_two_cpus && !bench_has_two_cpus()) {
			printf("\n%s: not measured, it needs CPU 0 and CPU 1\n", name);
			continue;
		}
		if (!searched)
			error = find_entrants(entrants);
		searched = true;
		if (!error)
			error = run_workload(&workloads[i], entrants, options, report);
	}
	return error;
}

static void list(void)
{
	for (unsigned int i = 0; i < WORKLOADS; i++) {
		char name[32];

		name_of(&workloads[i], name, sizeof(name));
		printf("  %-28s %s\n", name, workloads[i].section);
	}
}

const struct bench_group allocator_group = {
	.name = "allocator",
	.title = "allocators, each run a process that makes the same calls",
	.help = "  demi_malloc and its family beside the C library's, jemalloc and mimalloc, of which\n"
		"  the last two are preloaded if they are installed. Time: of one operation of the\n"
		"  workload, its own work and writing to the memory included; what the process took on\n"
		"  its CPUs, in handoff what passed. Peak memory: resident, above that at the start.\n"
		"  Ratios are to mimalloc.",
	.run = run,
	.list = list,
};
