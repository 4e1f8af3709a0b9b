/* SPDX-License-Identifier: MIT */
/*
 * Copies from and to the program's memory that may be no memory at all: a system call answers EFAULT
 * then, and so do we. A fault during such a copy ends the copy; every other fault is the program's,
 * whose handler gets it.
 */
#ifndef SHIM_GUARD_H
#define SHIM_GUARD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/** guard_start - take the signals of faults; the program's handlers get those that are theirs */
void guard_start(void);

/** guard_copy - memcpy(3); false: a part of either is not there, and some may have been copied */
bool guard_copy(void *to, const void *from, size_t bytes);

/**
 * guard_copy_signals - the mask of a call that waits
 * @signals: becomes @copy, unless it is NULL
 *
 * Return: false: it is not there
 */
bool guard_copy_signals(sigset_t *copy, const sigset_t **signals);

/** guard_action - sigaction(2) for SIGSEGV and SIGBUS, once guard_start has taken them */
int guard_action(int number, const struct sigaction *action, struct sigaction *old);

/** guard_owns - whether it has taken this signal */
bool guard_owns(int number);

#endif /* SHIM_GUARD_H */
