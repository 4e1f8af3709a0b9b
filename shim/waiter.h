/* SPDX-License-Identifier: MIT */
/*
 * A thread that sleeps, and how it is woken: by a futex, or by an eventfd where it sleeps on
 * descriptors too. Eventfds are lent, so that they are not as many as the program's threads.
 *
 * Who is woken wants the lock, so that it is told only when the lock has been let go: told before,
 * it would take the CPU from who holds it, and sleep again.
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

/** Those that are to be told, as what remains valid when they have gone on without being told. */
#define WAKINGS_MAX 16u
struct wakings {
	unsigned int count;
	struct waking {
		int event_fd;    /* or -1: */
		uint32_t *futex; /* never read */
	} all[WAKINGS_MAX];
};

/** waiter_wake - something happened that it watches; under the lock */
void waiter_wake(struct waiter *waiter);

/** waiter_wakes - how many have been woken so far; under the lock */
uint64_t waiter_wakes(void);

/** wakings_take - who has been woken and not told; under the lock */
void wakings_take(struct wakings *wakings);

/** wakings_tell - tell them; without the lock; changes errno */
void wakings_tell(const struct wakings *wakings);

/** waiter_lend - an eventfd for a sleep on descriptors; false: none is to be had. Under the lock. */
bool waiter_lend(struct waiter *self);

/** waiter_give_back - after that sleep */
void waiter_give_back(struct waiter *self);

/** waiter_sleep_futex - until woken, or for @timeout_ns (UINT64_MAX: for ever); without the lock */
int waiter_sleep_futex(struct waiter *self, uint64_t timeout_ns);

/** waiter_forget - in the child of a fork: eventfds are shared with the parent */
void waiter_forget(void);

#endif /* SHIM_WAITER_H */
