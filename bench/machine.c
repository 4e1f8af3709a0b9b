/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "cycles.h"

#if defined(__clang__)
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

static void find_cpu(char *cpu, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "r");
	char line[256];

	snprintf(cpu, size, "unknown");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		char *value = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !value)
			continue;
		snprintf(cpu, size, "%s", value + 2);
		cpu[strcspn(cpu, "\n")] = '\0';
		break;
	}
	fclose(file);
}

void machine_describe(struct machine *machine)
{
	time_t now = time(NULL);
	struct utsname names;
	struct tm utc;
	cpu_set_t set;

	memset(machine, 0, sizeof(*machine));
	find_cpu(machine->cpu, sizeof(machine->cpu));
	machine->cpus = sched_getaffinity(0, sizeof(set), &set) ? 1 : (unsigned int)CPU_COUNT(&set);
	if (uname(&names) == 0)
		snprintf(machine->kernel, sizeof(machine->kernel), "%.20s %.100s", names.sysname,
			 names.release);
	strftime(machine->date, sizeof(machine->date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
	machine->compiler = COMPILER;
	machine->build = BENCH_BUILD;
	machine->version = BENCH_VERSION;
	if (getloadavg(&machine->load, 1) != 1)
		machine->load = 0;
	machine->counter_ghz = cycles_per_ns();
}

void machine_print(const struct machine *machine)
{
	printf("demi %s, %s build, %s\n%s, %u CPUs, counter %.2f GHz, %s, %s\n", machine->version,
	       machine->build, machine->compiler, machine->cpu, machine->cpus, machine->counter_ghz,
	       machine->kernel, machine->date);
	if (machine->load > 1.5)
		printf("NOTE: the machine was busy at the start (load %.1f): read the ratios, the "
		       "minima and the instruction counts\n",
		       machine->load);
}
