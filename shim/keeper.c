/* SPDX-License-Identifier: MIT */
#include "keeper.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

#include "engine.h"
#include "real.h"
#include "trace.h"

/* The stack is never left alone for longer, give or take the kernel's scheduler. */
#define TICK_NS NS_PER_MS
/* Looks that find a thread of the program in charge before the keeper sleeps until it leaves. */
#define QUIET_TICKS 4u

/* Under the engine's lock. */
static struct waiter *keeper;
static bool is_asleep;

/* Whether a thread of the program has just polled; may be asked without the lock. */
static bool is_looked_after(void)
{
	return clock_ns() - __atomic_load_n(&engine.now_ns, __ATOMIC_RELAXED) < TICK_NS;
}

static void tick(void)
{
	const struct timespec nap = {.tv_nsec = TICK_NS};

	engine_let_go();
	do
		nanosleep(&nap, NULL);
	while (is_looked_after());
	engine_lock_again();
}

static void look_after(struct waiter *self)
{
	if (is_looked_after() || engine_pass_lead())
		return;
	engine_poll();
	is_asleep = true;
	engine_rest(self, NEVER_NS);
	is_asleep = false;
}

static void *keep(void *argument)
{
	struct waiter *self;
	unsigned int quiet = 0;

	(void)argument;
	engine_lock();
	self = waiter_begin(0);
	keeper = self;
	while (self && engine.state == ENGINE_RUNS) {
		quiet = engine_led() ? quiet + 1 : 0;
		engine_refresh_leader();
		if (quiet < QUIET_TICKS) {
			if (!quiet)
				look_after(self);
			tick();
			continue;
		}
		is_asleep = true;
		engine_rest(self, NEVER_NS);
		is_asleep = false;
		quiet = 0;
	}
	keeper = NULL;
	if (self)
		waiter_end(self);
	engine_let_go();
	return NULL;
}

void keeper_start(void)
{
	pthread_attr_t attributes;
	sigset_t all, mask;
	pthread_t thread;

	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	/* Signals are for the program's threads. */
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	if (real()->pthread_create(&thread, &attributes, keep, NULL) != 0)
		TRACE("no thread to look after the stack while the program computes");
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	pthread_attr_destroy(&attributes);
}

void keeper_needed(void)
{
	if (keeper && is_asleep)
		waiter_wake(keeper);
}

void keeper_forget(void)
{
	keeper = NULL;
	is_asleep = false;
}
