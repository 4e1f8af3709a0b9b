/* SPDX-License-Identifier: MIT */
/* The I/O of a run, over the public API alone. */
#ifndef REDIS_LOAD_EXCHANGE_H
#define REDIS_LOAD_EXCHANGE_H

#include "request.h"
#include "workload.h"

/**
 * exchange_run - connect, and go on until the workload is done
 *
 * One pop is outstanding on each connection; requests go out as replies come, in one push as far as
 * they fit. Trouble is told by workload_fail.
 */
void exchange_run(struct workload *workload, const struct request_texts *texts);

#endif /* REDIS_LOAD_EXCHANGE_H */
