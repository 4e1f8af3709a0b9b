/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/resource.h>

/* Written by the signal handler, in any thread; each that asks remembers how many it has seen. */
static atomic_int stop_requests;
static atomic_uint report_requests;

static void on_signal(int number)
{
	if (number == SIGUSR1)
		atomic_fetch_add(&report_requests, 1);
	else
		atomic_fetch_add(&stop_requests, 1);
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
	static _Thread_local unsigned int seen;
	unsigned int requests = atomic_load_explicit(&report_requests, memory_order_relaxed);

	if (requests == seen)
		return false;
	seen = requests;
	return true;
}

int process_stop_requests(void)
{
	int requests = atomic_load_explicit(&stop_requests, memory_order_relaxed);

	return requests < 2 ? requests : 2;
}
