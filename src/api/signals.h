/* SPDX-License-Identifier: MIT */
/*
 * How a wait that spins notices that a signal handler ran: a handler leaves no trace behind that
 * could be seen without a system call, and one of our own would be in the way of the program's. So
 * once a wait has been idle for a while it blocks signals, asks the kernel from time to time what is
 * pending, and lets that in. A handler that runs in the first moments of a wait counts as having run
 * before it.
 */
#ifndef DEMI_API_SIGNALS_H
#define DEMI_API_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

struct signal_guard {
	bool blocked;
	sigset_t original; /* the thread's mask before; valid while blocked */
};

/** signal_guard_block - hold signals back; those that a fault or a profiler raises go through */
void signal_guard_block(struct signal_guard *guard);

/** signal_guard_restore - let them in again; does nothing when they are not blocked */
void signal_guard_restore(struct signal_guard *guard);

/**
 * signal_guard_deliver - let in what is pending
 *
 * Return: whether a handler ran; then signals are no longer blocked. Ignored signals do not count.
 */
bool signal_guard_deliver(struct signal_guard *guard);

#endif /* DEMI_API_SIGNALS_H */
