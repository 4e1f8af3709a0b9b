/* SPDX-License-Identifier: MIT */
#ifndef TXNSTORE_BENCH_OPTIONS_H
#define TXNSTORE_BENCH_OPTIONS_H

#include <stdbool.h>

#include "txnstore/workload/pacer.h"
#include "txnstore/workload/workload.h"

#define BENCH_LANES_MAX 4096u

struct bench_options {
	const char *config_path;
	const char *json_path;
	struct workload_config workload;
	uint32_t lanes; /* transactions under way at once */
	enum pacer_kind pacing;
	uint64_t rate;   /* a second; of open loops */
	uint64_t run_ns; /* measured, after warming up */
	uint64_t warm_ns;
	uint64_t seed;
	bool loads; /* puts all records there first */
};

/** bench_options_parse - Return: -1 to go on, or the program's exit status. */
int bench_options_parse(struct bench_options *options, int argc, char **argv);

#endif /* TXNSTORE_BENCH_OPTIONS_H */
