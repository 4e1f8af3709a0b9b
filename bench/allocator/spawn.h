/* SPDX-License-Identifier: MIT */
/* The other end of demi-bench-allocator: starts it and reads what it prints. */
#ifndef BENCH_ALLOCATOR_SPAWN_H
#define BENCH_ALLOCATOR_SPAWN_H

#include <stdbool.h>
#include <stdint.h>

#define VERSION_BYTES 32

struct spawn {
	const char *program; /* a file beside this program */
	const char *preload; /* library to preload; NULL: none */
	const char *library; /* what the name of the library that has the calls starts with */
};

/** What one run of a workload measured; see struct run. */
struct spawn_result {
	double ns;
	uint64_t live_bytes;
	uint64_t peak_bytes;
	uint64_t checksum;
};

/** spawn_version - whether it can be measured here; its version, which may be empty */
bool spawn_version(const struct spawn *spawn, char version[VERSION_BYTES]);

/** spawn_run - one run of a workload; 0, or -errno: the child has said on standard error why */
int spawn_run(const struct spawn *spawn, const char *workload, unsigned int time_ms,
	      struct spawn_result *result);

#endif /* BENCH_ALLOCATOR_SPAWN_H */
