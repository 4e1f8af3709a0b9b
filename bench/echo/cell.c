/* SPDX-License-Identifier: MIT */
#include "echo/cell.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "pin.h"

#define CELL_TIMEOUT_S 20

/* The body of a child process: one end of one cell. */
static int run_end(const struct echo_impl *impl, enum echo_role role,
		   const struct echo_params *params, struct echo_result *result)
{
	struct echo_end *end = calloc(1, sizeof(*end));
	struct rusage usage;
	int rc;

	if (!end)
		return -ENOMEM;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(CELL_TIMEOUT_S);
	rc = bench_pin(role == ECHO_SERVER ? 0 : 1);
	if (!rc) {
		echo_set_up(end, role, params, result);
		rc = impl->run(end);
	}
	if (!getrusage(RUSAGE_SELF, &usage))
		result->nivcsw[role] = usage.ru_nivcsw;
	if (rc)
		fprintf(stderr, "%s %s: %s\n", impl->name,
			role == ECHO_SERVER ? "server" : "client", strerror(-rc));
	free(end);
	return rc;
}

uint16_t echo_pick_port(void)
{
	struct sockaddr_in addr = echo_loopback(0);
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return 0;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		addr.sin_port = 0;
	close(fd);
	return ntohs(addr.sin_port);
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Start both ends and wait for them; 0, -EIO or -errno. */
static int run_ends(const struct echo_impl *impl, const struct echo_params *params,
		    struct echo_result *result)
{
	pid_t pids[2] = {-1, -1};
	int rc = 0;

	fflush(stdout);
	for (int role = 0; !rc && role < 2; role++) {
		pids[role] = fork();
		if (pids[role] < 0)
			rc = -errno;
		if (!pids[role])
			_exit(run_end(impl, (enum echo_role)role, params, result) ? 1 : 0);
	}
	for (int role = 0; role < 2; role++) {
		int status;

		if (pids[role] > 0 && (waitpid(pids[role], &status, 0) < 0 || status) && !rc)
			rc = -EIO;
	}
	return rc;
}

int echo_run_cell(const struct echo_impl *impl, struct echo_params params,
		  struct echo_result *result, struct echo_cell *cell)
{
	int rc;

	params.port = echo_pick_port();
	memset(result, 0, offsetof(struct echo_result, rtt_ns));
	rc = run_ends(impl, &params, result);
	if (rc)
		return rc;
	if (!result->nsamples)
		return -EIO;
	qsort(result->rtt_ns, result->nsamples, sizeof(uint32_t), compare_u32);
	cell->rtt_us = result->rtt_ns[result->nsamples / 2] / 1e3;
	cell->rtt_min_us = result->rtt_ns[0] / 1e3;
	cell->msgs_per_s = (double)result->nmsgs * 1e9 / (double)result->elapsed_ns;
	cell->preemptions = result->nivcsw[0] + result->nivcsw[1];
	return 0;
}
