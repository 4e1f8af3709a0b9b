/* SPDX-License-Identifier: MIT */
/* One measurement of one implementation: two processes, a server and a client. */
#ifndef BENCH_ECHO_CELL_H
#define BENCH_ECHO_CELL_H

#include "echo/echo.h"

/* What is kept of one cell. */
struct echo_cell {
	double rtt_us; /* median round trip */
	double rtt_min_us;
	double msgs_per_s;
	long preemptions; /* of both ends */
};

/** echo_run_cell - 0; -EIO when an end failed, which has said why; -errno */
int echo_run_cell(const struct echo_impl *impl, struct echo_params params,
		  struct echo_result *result, struct echo_cell *cell);

/** echo_pick_port - a port of 127.0.0.1 that is free now, host byte order; 0: none */
uint16_t echo_pick_port(void);

#endif /* BENCH_ECHO_CELL_H */
