/* SPDX-License-Identifier: MIT */
/* What both programs ask of the process: a clock, signals that end it, enough descriptors. */
#ifndef ECHO_PROCESS_H
#define ECHO_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/** process_now_ns - the monotonic clock. */
static inline uint64_t process_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/**
 * process_prepare - count SIGINT and SIGTERM from now on instead of dying of them, and raise the
 * limit of open descriptors as far as it goes
 */
void process_prepare(void);

/** process_count_reports - count SIGUSR1 from now on too */
void process_count_reports(void);

/** process_report_requested - whether SIGUSR1 came since this thread asked the last time */
bool process_report_requested(void);

/** process_stop_requests - signals so far: 1 asks for a clean end, 2 for an immediate one. */
int process_stop_requests(void);

#endif /* ECHO_PROCESS_H */
