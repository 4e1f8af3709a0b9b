/* SPDX-License-Identifier: MIT */
/* What is asked of the process: clocks, signals, enough descriptors. */
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <time.h>

#include "server.h"

/* Written by the signal handler. */
static volatile sig_atomic_t stop_requested;
static volatile sig_atomic_t report_requested;

static void on_signal(int number)
{
	if (number == SIGUSR1)
		report_requested = 1;
	else
		stop_requested = 1;
}

void process_prepare(void)
{
	/* Without SA_RESTART: a wait that sleeps in the kernel returns at once. */
	struct sigaction action = {.sa_handler = on_signal};
	struct rlimit files;

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

bool process_stop_requested(void)
{
	return stop_requested;
}

bool process_report_requested(void)
{
	bool requested = report_requested;

	report_requested = 0;
	return requested;
}

uint64_t process_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t process_unix_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec;
}
