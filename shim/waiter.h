/* SPDX-License-Identifier: MIT */
/*
 * A call that waits, and how its thread is woken: by a futex, or by an eventfd where it sleeps on
 * descriptors too. Eventfds are lent, so that they are not as many as the program's threads.
 *
 * A handler that interrupts a wait may wait itself, or jump out of it (siglongjmp(3)), and a thread
 * may end in it. So a wait and what it watches are not on the stack: one that was left behind is
 * found again, and undone, at the thread's next call, or when the thread ends.
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

struct file;
struct watch;

struct waiter {
	struct waiter *next,
		**link;       /* in the engine's list of those that sleep; link NULL: not in it */
	struct waiter *outer; /* of the same thread, interrupted by a handler that waits */
	unsigned int depth;   /* of handlers, in which it began */
	int event_fd;         /* -1: it sleeps on the futex */
	bool sleeps;
	uint32_t is_woken;     /* the futex */
	struct watch *watches; /* [watches_max], of which the first watch_count are used */
	uint32_t watch_count, watches_max;
};

/**
 * waiter_begin - the calling thread's call is going to wait; under the lock
 * @watches: how many files it watches at the most, each of which the call holds once
 *
 * Return: NULL: out of memory
 */
struct waiter *waiter_begin(uint32_t watches);

/** waiter_watch - something that happens to @file wakes it */
void waiter_watch(struct waiter *waiter, struct file *file);

/** waiter_end - the wait is over; under the lock */
void waiter_end(struct waiter *waiter);

/** waiter_stay_awake - for a handler: a sleep on the futex ends, also one that is about to begin */
void waiter_stay_awake(struct waiter *waiter);

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
