/* SPDX-License-Identifier: MIT */
/*
 * How other threads wake one that sleeps in the kernel. Who is about to sleep says so, looks once
 * more at what the others write, and sleeps on the bell's descriptor; who has written something
 * rings, which is one load while the owner is awake.
 *
 * The owner's word and its look, and the ringer's write and its look, are sequentially consistent:
 * one of the two sees the other.
 */
#ifndef DEMI_BASE_BELL_H
#define DEMI_BASE_BELL_H

#include <stdbool.h>
#include <stdint.h>

/** One of a thread; it lives until the last who knows it has let go. */
struct bell {
	_Alignas(64) uint32_t is_awaited; /* the owner sleeps, or is about to */
	uint32_t holders;
	int fd;                       /* an eventfd; -1: this is the child of a fork */
	struct bell *next, *previous; /* in the list of the process, for its forks */
};

/** bell_create - a bell with one holder; 0 or -errno (EMFILE, ENFILE, ENOMEM) */
int bell_create(struct bell **bell_out);

/**
 * bell_watch_forks - who makes and drops bells under a lock, and holds that over forks, calls it before its
 * own pthread_atfork: the locks are taken in this order then
 */
void bell_watch_forks(void);

/** bell_hold, bell_drop - one holder more, one less; any thread */
void bell_hold(struct bell *bell);
void bell_drop(struct bell *bell);

/** bell_await - the owner: from now on whoever rings makes the descriptor readable */
static inline void bell_await(struct bell *bell)
{
	__atomic_store_n(&bell->is_awaited, 1, __ATOMIC_SEQ_CST);
}

/** bell_wake - the owner: nobody needs to ring any more; the descriptor is not readable */
void bell_wake(struct bell *bell);

/** bell_ring_awaited - the second half of bell_ring */
void bell_ring_awaited(struct bell *bell);

/** bell_ring - another thread: what the owner should look at has been written */
static inline void bell_ring(struct bell *bell)
{
	if (__builtin_expect(__atomic_load_n(&bell->is_awaited, __ATOMIC_SEQ_CST), 0))
		bell_ring_awaited(bell);
}

#endif /* DEMI_BASE_BELL_H */
