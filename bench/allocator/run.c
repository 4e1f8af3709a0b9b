/* SPDX-License-Identifier: MIT */
#include "allocator/run.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

void run_fail(const char *what)
{
	fprintf(stderr, "demi-bench-allocator: %s\n", what);
	exit(1);
}

void *run_table(size_t count, size_t size)
{
	void *table = mmap(NULL, count * size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (table == MAP_FAILED)
		run_fail("out of memory");
	return table;
}

/* A line of /proc/self/status, which is in kB. Without stdio: that would allocate. */
static uint64_t status_bytes(const char *name)
{
	char text[4096];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *line;

	if (fd >= 0)
		close(fd);
	if (length < 0)
		run_fail("cannot read /proc/self/status");
	text[length] = '\0';
	line = strstr(text, name);
	if (!line)
		run_fail("/proc/self/status does not tell the resident memory");
	return strtoull(line + strlen(name), NULL, 10) * 1024;
}

static uint64_t process_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void run_begin(struct run *run)
{
	run->start_resident_bytes = status_bytes("\nVmRSS:");
	run->start_ns = process_ns();
}

void run_peak(struct run *run)
{
	uint64_t peak = status_bytes("\nVmHWM:");

	run->peak_bytes = peak > run->start_resident_bytes ? peak - run->start_resident_bytes : 0;
}

void run_end(struct run *run, uint64_t operations)
{
	run->ns_per_operation = (double)(process_ns() - run->start_ns) / (double)operations;
	run_peak(run);
}
