/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>

/* Written by the signal handler; the second is cleared by who asks. */
static volatile sig_atomic_t stop_requests;
static volatile sig_atomic_t report_requested;

static void on_signal(int number)
{
	if (number == SIGUSR1)
		report_requested = 1;
	else if (stop_requests < 2)
		stop_requests = stop_requests + 1;
}

void process_prepare(void)
{
	/* Without SA_RESTART: a wait that sleeps in the kernel returns at once. */
	struct sigaction action = {.sa_handler = on_signal};
	struct rlimit files;

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

void process_count_reports(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigemptyset(&action.sa_mask);
	sigaction(SIGUSR1, &action, NULL);
}

bool process_report_requested(void)
{
	if (!report_requested)
		return false;
	report_requested = 0;
	return true;
}

int process_stop_requests(void)
{
	return stop_requests;
}
