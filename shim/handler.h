/* SPDX-License-Identifier: MIT */
/*
 * The program's handlers of signals. Those that signal-safety(7) lets call send(2), poll(2) or
 * close(2) do so at any moment, and may leave by siglongjmp(3). So all are called through one of
 * ours: while its thread is inside the engine a handler is put off until it leaves, which costs the
 * engine no system call. Faults, abort(3) and SIGPROF are not put off: they are about the very
 * instruction that they interrupt.
 */
#ifndef SHIM_HANDLER_H
#define SHIM_HANDLER_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct waiter;

/* Handlers that run one above the other and may be left by a jump; of more nothing is known. */
#define HANDLERS_NESTED 16u

/** What the calling thread's handlers are doing. */
struct handlers {
	unsigned int holds; /* while not 0 they are put off */
	bool one_waits;     /* one has been put off; all signals are blocked since */
	bool any_ended;     /* one has run that ends a wait: without SA_RESTART */
	bool any_restarts;  /* one has run that lets it go on */
	bool is_cancelled;  /* by pthread_cancel(3); set by others under the engine's lock */
	bool has_exit;      /* something is done when the thread ends */
	unsigned int depth; /* of handlers that run */
	/* Where on the stack each runs; and its alternate stack, or 0. */
	struct handler_place {
		uintptr_t at, low;
	} places[HANDLERS_NESTED];
	struct waiter *waiter; /* the innermost wait; under the engine's lock, but for handlers */
	siginfo_t info;        /* of the one that waits */
	uint64_t mask;         /* the thread's, before it came */
};

extern _Thread_local struct handlers handlers __attribute__((tls_model("initial-exec")));

/**
 * handlers_of - those of another thread that lives
 *
 * Where glibc has a pthread_t that is the thread's own pointer, and variables of this model are at one
 * distance from it in all threads.
 */
static inline struct handlers *handlers_of(pthread_t thread)
{
	return (struct handlers *)(thread + ((uintptr_t)&handlers - pthread_self()));
}

/** handlers_deliver - let the one that waits run; errno stays */
void handlers_deliver(void);

/** handlers_hold - put handlers off from now on; nests */
static inline void handlers_hold(void)
{
	handlers.holds++;
	__asm__ volatile("" ::: "memory");
}

/** handlers_let - undo it; one that came meanwhile runs before this returns */
static inline void handlers_let(void)
{
	__asm__ volatile("" ::: "memory");
	handlers.holds--;
	__asm__ volatile("" ::: "memory");
	if (__builtin_expect(handlers.one_waits && !handlers.holds, false))
		handlers_deliver();
}

/** handlers_are_due - whether one waits that is to run when the lock is let go */
static inline bool handlers_are_due(void)
{
	return handlers.one_waits && handlers.holds == 1;
}

/** handlers_depth - how many run above each other, without those that have been jumped out of */
unsigned int handlers_depth(void);

/** handler_action - sigaction(2) for the program */
int handler_action(int number, const struct sigaction *action, struct sigaction *old);

/** handler_is_known - whether a signal's handler is one of the program's that ours calls */
bool handler_is_known(const struct sigaction *action);

/** handlers_forget - in the child of a fork: what has been put off was the parent's */
void handlers_forget(void);

#endif /* SHIM_HANDLER_H */
