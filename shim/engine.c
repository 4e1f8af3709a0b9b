/* SPDX-License-Identifier: MIT */
#include "engine.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cork.h"
#include "file.h"
#include "handler.h"
#include "keeper.h"
#include "log.h"
#include "places.h"
#include "real.h"
#include "socket.h"
#include "starter.h"
#include "trace.h"
#include "waiter.h"

/* A start that failed is tried again so much later: another process may have the device. */
#define RETRY_NS NS_PER_S
/* Between two looks whether another thread has started it. */
#define START_LOOK_NS 100000
#define RESULTS_MAX 16
/* Who gives way does not take the lock back before another has had it, for so many turns. */
#define TURNS_MAX 64
/* The poller lets the CPU go so often. */
#define YIELD_NS (20 * NS_PER_US)

struct engine engine;
bool engine_cancels;

/* Who holds it lets it go soon: it is worth a few looks before a sleep. */
static pthread_mutex_t lock = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int contenders; /* threads that want the lock */
static unsigned int turns;      /* how often one of them has got it */
static demi_runtime_t *runtime; /* while nobody has the lock */
static uint64_t retry_ns;
static bool is_starting;
static uint64_t yielded_ns; /* when the poller last let the CPU go */

/* Whether the thread could be cancelled when it took the lock; -1: it still can. */
static _Thread_local int cancel_state __attribute__((tls_model("initial-exec"))) = -1;

uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* ---- The lock ---- */

/* Another thread ends the process: calls do not return, as in a kernel that has torn it down. */
static __attribute__((noreturn)) void wait_for_the_end(void)
{
	pthread_mutex_unlock(&lock);
	handlers_let();
	for (;;)
		pause();
}

/* What happens below must not end the thread. */
static void cancel_hold(void)
{
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
}

static void cancel_let(void)
{
	const int state = cancel_state;

	cancel_state = -1;
	pthread_setcancelstate(state, NULL);
}

bool engine_can_be_cancelled(void)
{
	return cancel_state == PTHREAD_CANCEL_ENABLE;
}

void engine_lock_again(void)
{
	/* Before the lock: calls that a handler makes from here on would wait for us. */
	handlers_hold();
	shim_is_inside = true;
	if (pthread_mutex_trylock(&lock) != 0) {
		__atomic_fetch_add(&contenders, 1, __ATOMIC_RELAXED);
		pthread_mutex_lock(&lock);
		__atomic_fetch_sub(&contenders, 1, __ATOMIC_RELAXED);
		__atomic_store_n(&turns, turns + 1, __ATOMIC_RELAXED);
	}
	if (__builtin_expect(engine_cancels, false))
		cancel_hold();
	if (engine.state == ENGINE_RUNS)
		demi_attach(runtime);
	else if (engine.state == ENGINE_ENDED)
		wait_for_the_end();
}

void engine_lock(void)
{
	engine_lock_again();
	if (__builtin_expect(handlers.waiter != NULL, false))
		waits_drop_stale();
}

void engine_let_go(void)
{
	struct wakings wakings;

	if (engine.state == ENGINE_RUNS)
		demi_detach(&runtime);
	wakings_take(&wakings);
	pthread_mutex_unlock(&lock);
	if (wakings.count) {
		const int saved = errno;

		wakings_tell(&wakings);
		errno = saved;
	}
	shim_is_inside = false;
	if (__builtin_expect(cancel_state >= 0, false))
		cancel_let();
	handlers_let();
}

void engine_unlock(void)
{
	/* How long the leader sleeps was right before this call, which may have sent, or set a timer. */
	waits_stack_used();
	engine_let_go();
}

void engine_give_way(bool others_wait)
{
	const unsigned int turn = turns;
	bool is_wanted = __atomic_load_n(&contenders, __ATOMIC_RELAXED) != 0;

	if (!is_wanted && (!others_wait || engine.now_ns - yielded_ns < YIELD_NS)) {
		__builtin_ia32_pause();
		return;
	}
	yielded_ns = engine.now_ns;
	engine_unlock();
	sched_yield();
	for (int i = 1; i < TURNS_MAX && is_wanted; i++) {
		if (__atomic_load_n(&turns, __ATOMIC_RELAXED) != turn)
			break;
		sched_yield();
	}
	engine_lock_again();
}

void engine_fork_lock(void)
{
	handlers_hold();
	pthread_mutex_lock(&lock);
}

void engine_fork_unlock(void)
{
	starter_cancel();
	pthread_mutex_unlock(&lock);
	handlers_let();
}

/* Whose thread may be waited for at any time: marked, woken, and told by libc, in one. */
int engine_cancel(pthread_t thread, int (*cancel)(pthread_t thread))
{
	struct handlers *theirs = handlers_of(thread);
	int error;

	__atomic_store_n(&engine_cancels, true, __ATOMIC_RELEASE);
	engine_lock();
	theirs->is_cancelled = true;
	if (theirs->waiter)
		waiter_wake(theirs->waiter);
	error = cancel(thread);
	engine_unlock();
	return error;
}

/* ---- Start and end ---- */

/* Without the lock: the library takes its own, which a fork takes before ours. */
static int start_runtime(demi_runtime_t **started)
{
	int error = EALREADY;

	handlers_hold();
	cancel_hold();
	pthread_mutex_lock(&start_lock);
	shim_is_inside = true;
	if (engine.state == ENGINE_OFF) {
		char **programs = environ;

		if (engine_environment)
			environ = engine_environment;
		places_take();
		error = demi_init(NULL);
		places_give_back();
		environ = programs;
		if (!error)
			error = demi_detach(started);
		if (error == EOPNOTSUPP)
			fprintf(stderr, "demi: set DEMI_CATNAP_ENGINE=epoll; over io_uring a "
					"runtime stays in its thread\n");
		if (error)
			demi_fini();
	}
	shim_is_inside = false;
	pthread_mutex_unlock(&start_lock);
	cancel_let();
	handlers_let();
	return error;
}

/* Another thread starts it: its outcome is waited for. Return: whether there was one. */
static bool wait_for_start(void)
{
	const struct timespec moment = {.tv_nsec = START_LOOK_NS};
	bool waited = false;

	while (is_starting) {
		engine_unlock();
		pthread_mutex_lock(&start_lock);
		pthread_mutex_unlock(&start_lock);
		/*
		 * That thread has still to tell, which takes the lock that all of us want. Not by
		 * libc's call, at which a thread may be cancelled.
		 */
		syscall(SYS_nanosleep, &moment, NULL);
		engine_lock_again();
		waited = true;
	}
	return waited;
}

int engine_start(void)
{
	demi_runtime_t *started = NULL;
	uint64_t now_ns;
	int error;

	if (engine.state == ENGINE_RUNS)
		return 0;
	if (wait_for_start())
		return engine.state == ENGINE_RUNS ? 0 : -ENETDOWN;
	now_ns = clock_ns();
	if (engine.state == ENGINE_ENDED || now_ns < retry_ns)
		return -ENETDOWN;
	retry_ns = now_ns + RETRY_NS;
	is_starting = true;
	engine_unlock();
	error = start_runtime(&started);
	/* There is nothing to attach yet, or somebody else made it. */
	engine_lock_again();
	is_starting = false;
	if (error) {
		trace_count(COUNT_NO_RUNTIME);
		TRACE("the stack does not start: %s", strerror(error));
		return -ENETDOWN;
	}
	runtime = started;
	engine.state = ENGINE_RUNS;
	demi_attach(runtime);
	TRACE("the stack runs");
	sockets_start();
	keeper_start();
	return 0;
}

void engine_forget(void)
{
	const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
	const pthread_mutex_t fresh_adaptive = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;

	memcpy(&lock, &fresh_adaptive, sizeof(lock));
	memcpy(&start_lock, &fresh, sizeof(start_lock));
	handlers_forget();
	cancel_state = -1;
	contenders = 0;
	runtime = NULL;
	waits_forget();
	retry_ns = 0;
	is_starting = false;
	keeper_forget();
	starter_cancel();
	places_give_back();
	if (engine.state != ENGINE_RUNS)
		return;
	engine.state = ENGINE_OFF;
	shim_is_inside = true;
	sockets_forget();
	logs_forget();
	shim_is_inside = false;
}

/* As from a kernel, what was written still goes out, as long as peers take it. */
#define END_QUIET_NS (2 * NS_PER_S)
#define END_NS (60 * NS_PER_S)

static void send_the_rest(uint64_t (*left)(void), uint64_t quiet_ns)
{
	const struct timespec nap = {.tv_nsec = 20 * NS_PER_US};
	uint64_t start_ns = clock_ns(), change_ns = start_ns, before = UINT64_MAX, now;

	while ((now = left()) != 0) {
		if (now != before)
			change_ns = clock_ns();
		else
			nanosleep(&nap, NULL);
		before = now;
		engine_poll();
		if (engine.now_ns - change_ns > quiet_ns || engine.now_ns - start_ns > END_NS)
			break;
	}
}

void engine_end(void)
{
	struct timespec limit;

	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec++;
	if (engine.state != ENGINE_RUNS || shim_is_inside)
		return;
	/* Before the lock: what a handler calls from here on is the kernel's. */
	shim_is_inside = true;
	if (pthread_mutex_timedlock(&lock, &limit) != 0) {
		shim_is_inside = false;
		return;
	}
	demi_attach(runtime);
	sockets_shut_all();
	send_the_rest(sockets_unsent, END_QUIET_NS);
	send_the_rest(logs_unsaved, END_NS);
	sockets_close_all();
	send_the_rest(sockets_closing, END_QUIET_NS / 4);
	demi_fini();
	engine.state = ENGINE_ENDED;
	pthread_mutex_unlock(&lock);
	/* What this thread still does is the kernel's: shim_is_inside stays. */
}

void engine_poll(void)
{
	static const struct timespec at_once;
	demi_qresult_t results[RESULTS_MAX];
	int count = 0;

	engine.now_ns = clock_ns();
	if (engine.state != ENGINE_RUNS)
		return;
	corks_flush_old();
	do {
		demi_wait_next_n(results, RESULTS_MAX, &count, &at_once);
		for (int i = 0; i < count; i++)
			if (!logs_complete(&results[i]))
				sockets_complete(&results[i]);
	} while (count == RESULTS_MAX);
}
