/* SPDX-License-Identifier: MIT */
/*
 * Echo over Demi's public API: one end that its owner steps.
 *
 * Written for speed as any program may be: demi_wait_next_n returns what has completed, a batch at
 * a time, so that the sends that answer it go out together; a pop's array is pushed as it is, the
 * next pop is issued before anything else is done, and the array is freed when its push completes.
 */
#ifndef BENCH_ECHO_DEMI_H
#define BENCH_ECHO_DEMI_H

#include <demi/demi.h>

#include "echo/echo.h"

#define ECHO_BATCH 64         /* results of one wait */
#define ECHO_PUSHES_MAX 4     /* pending on a connection; it is not popped from meanwhile */
#define ECHO_DESCRIPTORS 1024 /* bound on a descriptor's value */

/* Arrays that a connection is sending; a stream's pushes complete in order. */
struct echo_demi_conn {
	demi_sgarray_t pushed[ECHO_PUSHES_MAX];
	unsigned int first;
	unsigned int count;
};

struct echo_demi {
	struct echo_end *end;
	demi_sgarray_t message; /* client: what it sends again and again */
	struct echo_demi_conn conns[ECHO_CONNS_MAX];
	uint16_t conn_of[ECHO_DESCRIPTORS]; /* by descriptor */
	demi_qresult_t results[ECHO_BATCH];
};

/** echo_demi_listen - a listening socket on the end's port; 0 or -errno */
int echo_demi_listen(struct echo_demi *demi, int *qd_out);

/** echo_demi_accept - take all connections of the end; 0 or -errno */
int echo_demi_accept(struct echo_demi *demi, int listen_qd);

/** echo_demi_start - the first pops, and the client's first messages; 0 or -errno */
int echo_demi_start(struct echo_demi *demi);

/**
 * echo_demi_step - wait once and act on what has completed
 * @timeout: of the wait; when it runs out, that is no error
 *
 * Return: 0 or -errno
 */
int echo_demi_step(struct echo_demi *demi, const struct timespec *timeout);

#endif /* BENCH_ECHO_DEMI_H */
