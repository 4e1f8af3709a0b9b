/* SPDX-License-Identifier: MIT */
/*
 * The one runtime of the process, its lock, and how threads wait for it.
 *
 * The runtime starts when a socket of ours has to do something for the first time, not before: a
 * master that only listens and forks leaves the device to its worker. Whoever holds the lock has
 * the runtime attached. Of the threads that wait one, the poller, polls for all; the others sleep, and
 * when there is nothing to do the poller sleeps too, on the device's descriptors: then it is the
 * leader. What it finds it hands out, and wakes whose it is; when nothing of it is its own it leaves
 * its place to them, since the threads that have work come back to look for more. A thread of ours,
 * the keeper, looks after the stack while none of the program's does.
 */
#ifndef SHIM_ENGINE_H
#define SHIM_ENGINE_H

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <demi/demi.h>

#include "pattern.h"
#include "rule.h"
#include "waiter.h"

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)
#define NEVER_NS UINT64_MAX

enum engine_state {
	ENGINE_OFF,
	ENGINE_RUNS,
	ENGINE_ENDED, /* the process exits: everything is the kernel's */
};

struct engine {
	enum engine_state state;
	bool spins;             /* runtime.idle: a wait never sleeps */
	uint64_t idle_after_ns; /* runtime.idle_after_us */
	uint64_t now_ns;        /* of the last poll */
	struct rules rules;
	struct patterns patterns; /* of files that are logs */
};

extern struct engine engine;

/*
 * The environment as the program got it: nginx, for one, empties its own before its workers serve,
 * and the runtime must start as the rules were read. NULL: there was no memory for it.
 */
extern char **engine_environment;

/** engine_is_configured - whether the program runs with a stack; reads the configuration once */
bool engine_is_configured(void);

/** engine_has_logs - whether some paths are logs; known before the program's main runs */
static inline bool engine_has_logs(void)
{
	return engine.patterns.count != 0 && engine.state != ENGINE_ENDED;
}

/*
 * pthread_cancel(3) has been called, if ever. From then on a thread that has the lock cannot be
 * cancelled: one that waits returns as from a handler, with nothing left behind, and acts then.
 */
extern bool engine_cancels;

/** engine_cancellation_point - a call begins, or has ended with EINTR, without the lock */
static inline void engine_cancellation_point(void)
{
	if (__builtin_expect(engine_cancels, false))
		pthread_testcancel();
}

/** engine_lock, engine_unlock - a call begins, and ends; errno stays. Handlers are put off between. */
void engine_lock(void);
void engine_unlock(void);

/** engine_lock_again - engine_lock within a call */
void engine_lock_again(void);

/** engine_can_be_cancelled - whether the calling thread, which has the lock, could be before */
bool engine_can_be_cancelled(void);

/**
 * engine_give_way - for the poller: let others have the lock, if any wants it
 * @others_wait: the CPU too, from time to time: the kernel may have woken one that has none of its own
 */
void engine_give_way(bool others_wait);

/** engine_let_go - engine_unlock for who has not used the stack */
void engine_let_go(void);

/**
 * engine_start - start the runtime, if it does not run; the lock is let go meanwhile
 *
 * Return: 0, or -ENETDOWN: it could not start; the reason has been logged, and the next attempt
 * is made a second later at the earliest.
 */
int engine_start(void);

/** engine_poll - let the stack work, and hand out what completed */
void engine_poll(void);

/**
 * engine_refresh - before a call uses the stack: its time is that of the last poll, and while a thread
 * slept on the device that may have been long ago
 */
void engine_refresh(void);

/** clock_ns - CLOCK_MONOTONIC */
uint64_t clock_ns(void);

struct wait {
	bool (*is_ready)(void *context);
	void *context;
	uint64_t deadline_ns; /* 0: do not wait; NEVER_NS */
	/* The kernel's descriptors that end it too; revents are filled when one did. Room for
	 * WAIT_EXTRA more behind them, which is written to. */
	struct pollfd *kernel;
	nfds_t kernel_count;
	const sigset_t *signals; /* the mask meanwhile; NULL: the thread's */
	bool restarts; /* after -EINTR: all handlers that ran had SA_RESTART of signal(7) */
};

/**
 * engine_wait - wait until is_ready, or a descriptor of the kernel's is
 * @self: has begun, and watches what it waits for
 *
 * The lock is let go meanwhile.
 * Return: 0, -ETIMEDOUT, or -EINTR when a handler ran, or the thread has been cancelled.
 */
int engine_wait(struct waiter *self, struct wait *wait);

/* What engine_wait needs in wait.kernel behind kernel_count. */
#define WAIT_EXTRA (1 + DEMI_IDLE_MAX)

/**
 * engine_rest - for the keeper: sleep on the device, as the leader unless another thread is, until
 * woken or for @timeout_ns
 */
void engine_rest(struct waiter *self, uint64_t timeout_ns);

/** engine_led - whether a thread of the program sleeps on the device's descriptors */
bool engine_led(void);

/** engine_refresh_leader - wake it when what it sleeps on has been used meanwhile */
void engine_refresh_leader(void);

/** engine_pass_lead - wake a thread of the program that sleeps, to lead; false: none sleeps */
bool engine_pass_lead(void);

/** waits_stack_used - how long the leader sleeps was right before: the stack may have sent, or set a timer */
void waits_stack_used(void);

/** waits_drop_stale - undo the calling thread's waits that it has jumped out of */
void waits_drop_stale(void);

/** waits_forget - in the child of a fork: the threads that wait are the parent's */
void waits_forget(void);

/** engine_forget - in the child of a fork: the runtime and the other threads are the parent's */
void engine_forget(void);

/** engine_cancel - pthread_cancel(3), by libc's @cancel */
int engine_cancel(pthread_t thread, int (*cancel)(pthread_t thread));

/** engine_fork_lock, engine_fork_unlock - nobody is in the middle of anything at a fork */
void engine_fork_lock(void);
void engine_fork_unlock(void);

/** engine_end - the process exits: close all, send what is left for a while, give the device back */
void engine_end(void);

#endif /* SHIM_ENGINE_H */
