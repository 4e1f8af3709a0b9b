/* SPDX-License-Identifier: MIT */
/*
 * A thread that sleeps, and how it is woken: by a futex, or by an eventfd where it sleeps on
 * descriptors too. Eventfds are lent, so that they are not as many as the program's threads.
 */
#ifndef SHIM_WAITER_H
#define SHIM_WAITER_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct waiter {
	struct waiter *next, **link; /* in the engine's list of those that sleep */
	int event_fd;                /* -1: it sleeps on the futex */
	bool sleeps;
	uint32_t is_woken; /* the futex */
};

/** waiter_self - the calling thread's */
struct waiter *waiter_self(void);

/** waiter_wake - something happened that it watches; under the lock */
void waiter_wake(struct waiter *waiter);

/** waiter_lend - an eventfd for a sleep on descriptors; false: none is to be had. Under the lock. */
bool waiter_lend(struct waiter *self);

/** waiter_give_back - after that sleep */
void waiter_give_back(struct waiter *self);

/** waiter_sleep_futex - until woken, or for @timeout_ns (UINT64_MAX: for ever); without the lock */
int waiter_sleep_futex(struct waiter *self, uint64_t timeout_ns);

/** waiter_forget - in the child of a fork: eventfds are shared with the parent */
void waiter_forget(void);

#endif /* SHIM_WAITER_H */
