/* SPDX-License-Identifier: MIT */
/* The client's run, over whichever I/O a program has. */
#ifndef ECHO_CLIENT_H
#define ECHO_CLIENT_H

#include <stdint.h>

#include "workload.h"

struct client_io; /* each program's own */

/* All of them tell trouble through workload_fail. */
struct client_io_ops {
	/* Connects everything; NULL after a failure. */
	struct client_io *(*open)(struct workload *workload);
	/* Sends on one connection as long as workload_may_send. */
	void (*send)(struct client_io *io, uint32_t connection);
	/*
	 * One wait of at most some milliseconds, then workload_tick, then what has arrived to
	 * workload_rx_*, and new messages out where echoes came in. Returns workload_tick's.
	 */
	bool (*poll)(struct client_io *io);
	void (*close)(struct client_io *io);
};

/** client_exchange - connect, and run one thread's workload to its end */
void client_exchange(struct workload *workload, const struct client_io_ops *ops);

/**
 * client_finish - judge the run and print its results
 * @parts, @count: what each thread has done; @workload is their sum, or the only one
 *
 * Return: the program's exit status.
 */
int client_finish(struct workload *workload, struct workload *parts, uint32_t count);

/** client_run - Return: the program's exit status. */
int client_run(const struct options *options, const struct client_io_ops *ops);

#endif /* ECHO_CLIENT_H */
