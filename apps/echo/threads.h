/* SPDX-License-Identifier: MIT */
/* Threads with a runtime each, of which the first is the program's own. */
#ifndef ECHO_THREADS_H
#define ECHO_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

/**
 * threads_run - run @body in @count threads until all have ended
 * @body: called with @context and the thread's number, 0 in the calling thread
 *
 * Return: 0, or a positive errno: not all could be started, and none has called @body.
 */
int threads_run(uint32_t count, void (*body)(void *context, uint32_t number), void *context);

/** threads_runtime_start - a runtime for this thread; false: it has been said why not */
bool threads_runtime_start(const struct options *options, uint32_t number);

/** threads_runtime_end - its statistics, if they are wanted, and its end */
void threads_runtime_end(const struct options *options);

#endif /* ECHO_THREADS_H */
