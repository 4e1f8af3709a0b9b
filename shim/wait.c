/* SPDX-License-Identifier: MIT */
/* How threads wait for the runtime: who polls for all, who sleeps, and on what. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cork.h"
#include "engine.h"
#include "file.h"
#include "guard.h"
#include "handler.h"
#include "keeper.h"
#include "real.h"

/* Of a sigset_t, as the kernel knows it. */
#define SIGNALS_BYTES 8u
/* A wait that spins asks the kernel about the kernel's descriptors so often. */
#define KERNEL_LOOK_NS (20 * NS_PER_US)
/* After so much idle time a wait holds signals back, so as to notice them. */
#define SIGNALS_AFTER_NS (20 * NS_PER_US)
#define SIGNALS_EVERY_NS (10 * NS_PER_MS)
/* Without a descriptor to be woken by, a thread looks again so soon. */
#define NAP_NS NS_PER_MS
/* Bytes that a cork holds back go so late at the most, after their time. */
#define CORK_LOOK_NS (20 * NS_PER_MS)

static struct waiter *sleepers; /* threads of the program */
static struct waiter *poller;   /* waits, and polls for all that do */
static struct waiter *leader;   /* sleeps on the device; may be the keeper */
static bool leader_is_program;
static bool leader_is_stale; /* the stack has been used since it went to sleep */

void waits_stack_used(void)
{
	if (!leader)
		return;
	leader_is_stale = true;
	keeper_needed();
}

void waits_forget(void)
{
	sleepers = NULL;
	poller = NULL;
	leader = NULL;
	/* Those that the fork was made in, by a handler. */
	for (struct waiter *waiter = handlers.waiter; waiter; waiter = waiter->outer)
		waiter->link = NULL;
}

void engine_refresh(void)
{
	if (leader)
		engine_poll();
}

/* ---- Waiters ---- */

static void sleeper_add(struct waiter *self)
{
	self->next = sleepers;
	self->link = &sleepers;
	if (self->next)
		self->next->link = &self->next;
	sleepers = self;
}

static void sleeper_remove(struct waiter *self)
{
	if (!self->link)
		return;
	*self->link = self->next;
	if (self->next)
		self->next->link = self->link;
	self->link = NULL;
}

/* It does not look any more, at least for now. */
static void leave_places(const struct waiter *self)
{
	if (poller == self)
		poller = NULL;
	if (leader == self)
		leader = NULL;
}

static void drop_stale(struct waiter *self)
{
	leave_places(self);
	sleeper_remove(self);
	waiter_give_back(self);
	for (uint32_t i = 0; i < self->watch_count; i++) {
		file_unwatch(&self->watches[i]);
		file_drop(self->watches[i].file);
	}
	waiter_end(self);
	keeper_needed();
}

void waits_drop_stale(void)
{
	unsigned int depth = handlers_depth();
	struct waiter *waiter;

	/* As deep as this call, which would not be if that one went on. */
	while ((waiter = handlers.waiter) && waiter->depth >= depth)
		drop_stale(waiter);
	/* A handler makes this call, and may wait longer than what it has interrupted would. */
	for (; waiter; waiter = waiter->outer)
		leave_places(waiter);
}

bool engine_led(void)
{
	return leader && leader_is_program;
}

void engine_refresh_leader(void)
{
	if (leader && leader_is_stale)
		waiter_wake(leader);
}

bool engine_pass_lead(void)
{
	if (sleepers)
		waiter_wake(sleepers);
	return sleepers != NULL;
}

/* ---- Sleeping ---- */

static uint64_t timespec_ns(const struct timespec *time)
{
	return time->tv_sec < 0 ? NEVER_NS
				: (uint64_t)time->tv_sec * NS_PER_S + (uint64_t)time->tv_nsec;
}

/* Lead, if nobody of the program's threads does or polls. Return: descriptors to sleep on, or -EAGAIN. */
static int lead(struct waiter *self, bool is_program, struct pollfd *wakes, uint64_t *timeout_ns)
{
	struct timespec timeout;
	uint64_t limit_ns;
	int count = 0;

	if (engine.state != ENGINE_RUNS || (is_program && poller))
		return 0;
	if (leader && (leader_is_program || !is_program))
		return 0;
	if (demi_idle(wakes, DEMI_IDLE_MAX, &count, &timeout) != 0)
		return -EAGAIN;
	limit_ns = timespec_ns(&timeout);
	if (limit_ns < *timeout_ns)
		*timeout_ns = limit_ns;
	if (corks_flush_old() && *timeout_ns > CORK_LOOK_NS)
		*timeout_ns = CORK_LOOK_NS;
	if (leader)
		waiter_wake(leader);
	leader = self;
	leader_is_program = is_program;
	leader_is_stale = false;
	return count;
}

/* With the lock; what it watches may wake it from now on. */
static void before_sleep(struct waiter *self, bool is_program)
{
	self->sleeps = true;
	if (leader == self || !is_program)
		engine_let_go();
	else
		engine_unlock();
}

static void after_sleep(struct waiter *self)
{
	engine_lock_again();
	waiter_give_back(self);
	self->sleeps = false;
	self->is_woken = 0;
	if (leader == self)
		leader = NULL;
}

/* Not by libc's call, at which a thread may be cancelled. */
static int ppoll_plain(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		       const sigset_t *signals)
{
	struct timespec left = timeout ? *timeout : (struct timespec){.tv_sec = 0};

	return (int)syscall(SYS_ppoll, fds, count, timeout ? &left : NULL, signals, SIGNALS_BYTES);
}

/* Let the lock go, and sleep on descriptors. Return: what ppoll returned, with errno. */
static int sleep_unlocked(struct waiter *self, bool is_program, struct pollfd *fds, nfds_t count,
			  uint64_t timeout_ns, const sigset_t *signals)
{
	struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / NS_PER_S),
				   .tv_nsec = (long)(timeout_ns % NS_PER_S)};
	int outcome, error;

	before_sleep(self, is_program);
	outcome = ppoll_plain(fds, count, timeout_ns == NEVER_NS ? NULL : &timeout, signals);
	error = errno;
	after_sleep(self);
	errno = error;
	return outcome;
}

void engine_rest(struct waiter *self, uint64_t timeout_ns)
{
	struct pollfd fds[WAIT_EXTRA];
	int count;

	/* Without a descriptor the keeper naps, and looks again. */
	if (!waiter_lend(self)) {
		before_sleep(self, false);
		waiter_sleep_futex(self, NAP_NS);
		after_sleep(self);
		return;
	}
	count = lead(self, false, fds + 1, &timeout_ns);
	if (count < 0) {
		waiter_give_back(self);
		return;
	}
	fds[0] = (struct pollfd){.fd = self->event_fd, .events = POLLIN};
	sleep_unlocked(self, false, fds, 1 + (nfds_t)count, timeout_ns, NULL);
}

static bool any_ready(const struct wait *wait)
{
	for (nfds_t i = 0; i < wait->kernel_count; i++)
		if (wait->kernel[i].revents)
			return true;
	return false;
}

/* Signals are held back while a wait is idle, so that it notices them. */
struct hold {
	bool is_held;
	sigset_t original;
	uint64_t look_ns;
};

/* Return: false: they are not, since one is to be let in when the wait ends. */
static bool hold_signals(struct hold *hold)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGTRAP);
	sigdelset(&all, SIGPROF);
	pthread_sigmask(SIG_SETMASK, &all, &hold->original);
	hold->is_held = true;
	hold->look_ns = engine.now_ns + SIGNALS_EVERY_NS;
	/* One that has just been put off has blocked them before us. */
	if (handlers_are_due())
		hold->is_held = false;
	return hold->is_held;
}

/* What is let in while a wait sleeps or looks. */
static const sigset_t *mask_meanwhile(const struct wait *wait, const struct hold *hold)
{
	if (wait->signals)
		return wait->signals;
	return hold->is_held ? &hold->original : NULL;
}

/* Let in what was held back. Return: whether something was. */
static bool release_signals(struct hold *hold)
{
	sigset_t pending;
	bool any = false;

	if (!hold->is_held)
		return false;
	hold->is_held = false;
	sigpending(&pending);
	for (int number = 1; number < NSIG; number++)
		any |= sigismember(&pending, number) == 1 &&
		       sigismember(&hold->original, number) == 0;
	pthread_sigmask(SIG_SETMASK, &hold->original, NULL);
	return any;
}

/*
 * Somebody else sleeps on the device, and there is nothing of the kernel's to wait for. No
 * descriptor is needed, which are few where threads are many.
 */
static int sleep_light(struct waiter *self, struct hold *hold, uint64_t timeout_ns)
{
	int outcome;

	if (release_signals(hold) || handlers.one_waits)
		return -EINTR;
	before_sleep(self, true);
	outcome = waiter_sleep_futex(self, timeout_ns) < 0 ? -errno : 0;
	after_sleep(self);
	return outcome == -EINTR ? -EINTR : 0;
}

/* As sleep_once. */
static int sleep_on_descriptors(struct waiter *self, struct wait *wait, struct hold *hold,
				uint64_t timeout_ns, bool leads)
{
	struct pollfd own[WAIT_EXTRA];
	struct pollfd *fds = wait->kernel_count ? wait->kernel : own;
	nfds_t count = wait->kernel_count;
	int wakes = leads ? lead(self, true, fds + count + 1, &timeout_ns) : 0;
	int outcome;

	if (wakes < 0) {
		waiter_give_back(self);
		return 0;
	}
	/* What comes from here on ends the sleep, or does not let it begin. */
	if (!hold->is_held && !hold_signals(hold)) {
		leave_places(self);
		waiter_give_back(self);
		return -EINTR;
	}
	fds[count] = (struct pollfd){.fd = self->event_fd, .events = POLLIN};
	outcome = sleep_unlocked(self, true, fds, count + 1 + (nfds_t)wakes, timeout_ns,
				 mask_meanwhile(wait, hold));
	if (outcome < 0)
		return errno == EINTR ? -EINTR : 0;
	return outcome > 0 && any_ready(wait);
}

/*
 * @leads: on the device too, if nobody does. Return: 0 to look again, 1 when a descriptor of the
 * kernel's is ready, -EINTR.
 */
static int sleep_once(struct waiter *self, struct wait *wait, struct hold *hold, bool leads)
{
	bool is_light = !wait->kernel_count && !wait->signals && (!leads || poller || engine_led());
	uint64_t timeout_ns = wait->deadline_ns;
	int outcome;

	if (timeout_ns != NEVER_NS)
		timeout_ns = timeout_ns > engine.now_ns ? timeout_ns - engine.now_ns : 0;
	sleeper_add(self);
	if (is_light)
		outcome = sleep_light(self, hold, timeout_ns);
	else if (waiter_lend(self))
		outcome = sleep_on_descriptors(self, wait, hold, timeout_ns, leads);
	else
		outcome = sleep_light(self, hold, timeout_ns < NAP_NS ? timeout_ns : NAP_NS);
	sleeper_remove(self);
	keeper_needed();
	return outcome;
}

/* ---- Waiting ---- */

/* A wait that spins: let in what has come. */
static bool signals_came(const struct wait *wait, struct hold *hold)
{
	static const struct timespec at_once;
	const sigset_t *mask = mask_meanwhile(wait, hold);
	bool came;

	if (!mask || engine.now_ns < hold->look_ns)
		return false;
	hold->look_ns = engine.now_ns + SIGNALS_EVERY_NS;
	/* Without the lock, since those whose handlers are put off would be blocked again. */
	engine_unlock();
	came = ppoll_plain(NULL, 0, &at_once, mask) < 0 && errno == EINTR;
	engine_lock_again();
	return came;
}

static bool kernel_is_ready(struct wait *wait, uint64_t *look_ns)
{
	if (!wait->kernel_count || engine.now_ns < *look_ns)
		return false;
	*look_ns = engine.now_ns + KERNEL_LOOK_NS;
	return real()->poll(wait->kernel, wait->kernel_count, 0) > 0;
}

/*
 * Whether the calling thread polls. @woke: its last look has woken others, and found nothing of its
 * own: where they have work, they look for more when it is done, and until then want the CPU.
 */
static bool polls(struct waiter *self, bool woke)
{
	if (poller == self && woke)
		poller = NULL;
	else if (!poller && !woke)
		poller = self;
	return poller == self;
}

/* Nothing is ready. @woke: as in polls. As sleep_once. */
static int idle_once(struct waiter *self, struct wait *wait, struct hold *hold, uint64_t *since_ns,
		     bool woke)
{
	uint64_t idle_ns;
	int outcome;

	if (!*since_ns)
		*since_ns = engine.now_ns;
	idle_ns = engine.now_ns - *since_ns;
	/* With a mask of its own at once: those that it keeps out must not come meanwhile. */
	if ((idle_ns >= SIGNALS_AFTER_NS || wait->signals) && !hold->is_held && !hold_signals(hold))
		return -EINTR;
	if (engine.state == ENGINE_RUNS && (engine.spins || idle_ns < engine.idle_after_ns) &&
	    polls(self, woke)) {
		if (signals_came(wait, hold))
			return -EINTR;
		engine_give_way(sleepers != NULL);
		return 0;
	}
	if (poller == self)
		poller = NULL;
	outcome = sleep_once(self, wait, hold, !woke);
	*since_ns = 0;
	return outcome;
}

/* Whether a handler has run, or will when the wait ends; or the thread is to end. */
static bool is_interrupted(void)
{
	return handlers_are_due() || handlers.any_ended || handlers.any_restarts ||
	       (handlers.is_cancelled && engine_can_be_cancelled());
}

/* As engine_wait, but for what is undone then. */
static int wait_until_ready(struct waiter *self, struct wait *wait, struct hold *hold)
{
	/* The caller has just asked the kernel. */
	uint64_t since_ns = 0, look_ns = engine.now_ns + KERNEL_LOOK_NS;
	int outcome;

	for (;;) {
		uint64_t wakes = waiter_wakes();

		engine_poll();
		if (wait->is_ready(wait->context) || kernel_is_ready(wait, &look_ns))
			return 0;
		if (engine.now_ns >= wait->deadline_ns)
			return -ETIMEDOUT;
		if (is_interrupted())
			return -EINTR;
		outcome = idle_once(self, wait, hold, &since_ns, waiter_wakes() != wakes);
		if (outcome)
			return outcome < 0 ? outcome : 0;
	}
}

/* Handlers that others than the program have installed, and not by a call that we see. */
static bool unknown_restart(void)
{
	struct sigaction action;

	for (int number = 1; number < NSIG; number++) {
		if (guard_owns(number) || real()->sigaction(number, NULL, &action) != 0)
			continue;
		if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN &&
		    !handler_is_known(&action) && !(action.sa_flags & SA_RESTART))
			return false;
	}
	return true;
}

/* The wait has ended with -EINTR. Return: whether it is as if no handler had run. */
static bool restarts(void)
{
	if (handlers_are_due()) {
		engine_unlock();
		engine_lock_again();
	}
	if (handlers.any_ended || (handlers.is_cancelled && engine_can_be_cancelled()))
		return false;
	return handlers.any_restarts || unknown_restart();
}

int engine_wait(struct waiter *self, struct wait *wait)
{
	/* Of a wait that a handler interrupted, which has called us. */
	const bool any_ended = handlers.any_ended, any_restarts = handlers.any_restarts;
	struct hold hold = {.is_held = false};
	int outcome;

	handlers.any_ended = handlers.any_restarts = false;
	outcome = wait_until_ready(self, wait, &hold);
	if (poller == self)
		poller = NULL;
	if (hold.is_held)
		pthread_sigmask(SIG_SETMASK, &hold.original, NULL);
	if (outcome == -EINTR)
		wait->restarts = restarts();
	handlers.any_ended = any_ended;
	handlers.any_restarts = any_restarts;
	return outcome;
}
