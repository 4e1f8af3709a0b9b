/* SPDX-License-Identifier: MIT */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>

#include "process.h"
#include "report.h"

static void send_all(struct client_io *io, const struct client_io_ops *ops,
		     const struct workload *workload)
{
	for (uint32_t i = 0; i < workload->options->connections; i++)
		ops->send(io, i);
}

void client_exchange(struct workload *workload, const struct client_io_ops *ops)
{
	struct report_progress progress;
	struct client_io *io = ops->open(workload);

	if (workload->group)
		pthread_barrier_wait(&workload->group->connected);
	if (!io)
		return;
	workload_start(workload, process_now_ns());
	report_progress_start(&progress, workload);
	send_all(io, ops, workload);
	while (!workload_done(workload)) {
		if (ops->poll(io))
			send_all(io, ops, workload);
		report_progress(&progress, workload);
	}
	ops->close(io);
}

/*
 * A server that is full leaves some connections without any answer while others do well. Told from
 * a slow one only when the run has a duration, after which answers are still waited for; datagrams
 * may be lost.
 */
static void check_served(struct workload *workload)
{
	uint32_t connections = workload->options->connections;
	uint32_t unserved = 0;

	if (workload->failure[0] || workload->interrupted || !workload->drain_until_ns ||
	    workload->options->protocol != PROTOCOL_TCP)
		return;
	for (uint32_t i = 0; i < connections; i++)
		unserved += workload->connections[i].answered == 0;
	if (unserved)
		workload_fail(workload, "%u of %u connections got no answer", unserved,
			      connections);
}

int client_finish(struct workload *workload, struct workload *parts, uint32_t count)
{
	int status;

	if (workload->verified == 0 && !workload->interrupted)
		workload_fail(workload, "no message came back");
	for (uint32_t i = 0; i < count && !workload->failure[0]; i++) {
		check_served(&parts[i]);
		if (parts[i].failure[0])
			workload_fail(workload, "%s", parts[i].failure);
	}
	status = workload->failure[0] ? EXIT_FAILURE : EXIT_SUCCESS;
	if (report_results(workload, parts, count))
		status = EXIT_FAILURE;
	return status;
}

int client_run(const struct options *options, const struct client_io_ops *ops)
{
	struct workload workload;

	/* A long run should not end with results that have no place to go. */
	if (!report_place_ok(options))
		return EXIT_FAILURE;
	if (workload_init(&workload, options)) {
		fprintf(stderr, "%s: out of memory\n", options->program);
		return EXIT_FAILURE;
	}
	client_exchange(&workload, ops);
	int status = client_finish(&workload, &workload, 1);
	workload_fini(&workload);
	return status;
}
