/* SPDX-License-Identifier: MIT */
/* What the shim decided: a line for each with DEMI_SHIM_TRACE=1, and counts of them at the end. */
#ifndef SHIM_TRACE_H
#define SHIM_TRACE_H

#include <stdbool.h>

enum count {
	COUNT_OURS,       /* sockets bound or connected on the stack */
	COUNT_KERNELS,    /* sockets left to the kernel by the rules */
	COUNT_BOTH,       /* sockets on both */
	COUNT_ACCEPTED,   /* connections that the stack accepted */
	COUNT_NO_OPTION,  /* socket options that the stack has not: ENOPROTOOPT */
	COUNT_MILD,       /* options without a meaning here, taken and ignored */
	COUNT_NO_CALL,    /* calls on our sockets that are not carried */
	COUNT_FORKED,     /* sockets of a parent that its child cannot use */
	COUNT_NO_RUNTIME, /* attempts to start the stack that failed */
	COUNT_LOGS,       /* files opened that are logs */
	COUNTS,
};

extern bool trace_on;

/** trace_count - one more; under the engine's lock, or of no account */
void trace_count(enum count which);

/** trace - one line, if they are wanted; errno stays */
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** trace_end - the counts that are not zero, if lines are wanted */
void trace_end(void);

#define TRACE(...)                          \
	do {                                \
		if (trace_on)               \
			trace(__VA_ARGS__); \
	} while (0)

#endif /* SHIM_TRACE_H */
