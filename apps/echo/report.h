/* SPDX-License-Identifier: MIT */
/* What the client prints: progress, the table, JSON. */
#ifndef ECHO_REPORT_H
#define ECHO_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "workload.h"

struct report_progress {
	bool enabled;
	uint64_t next_ns;       /* when the next line is due */
	uint64_t last_ns;       /* when the last one was */
	uint64_t last_verified; /* messages then */
};

void report_progress_start(struct report_progress *progress, const struct workload *workload);

/** report_progress - one line to standard error when a second has passed. */
void report_progress(struct report_progress *progress, const struct workload *workload);

/**
 * report_results - the table on standard output, JSON where --json says, a failure on standard
 * error; the table makes way to standard error where standard output is the JSON's
 *
 * @parts, @count: what each thread has done of it
 *
 * Return: 0, or the errno of writing the JSON, which has been reported.
 */
int report_results(const struct workload *workload, const struct workload *parts, uint32_t count);

/** report_place_ok - whether --json can be written, before the run; says why not */
bool report_place_ok(const struct options *options);

#endif /* ECHO_REPORT_H */
