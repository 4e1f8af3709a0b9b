/* SPDX-License-Identifier: MIT */
#include "engine.h"

#include <errno.h>
#include <ifaddrs.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cork.h"
#include "file.h"
#include "guard.h"
#include "keeper.h"
#include "log.h"
#include "process.h"
#include "real.h"
#include "socket.h"
#include "starter.h"
#include "trace.h"
#include "waiter.h"

/* A start that failed is tried again so much later: another process may have the device. */
#define RETRY_NS NS_PER_S
/* A wait that spins asks the kernel about the kernel's descriptors so often. */
#define KERNEL_LOOK_NS (20 * NS_PER_US)
/* After so much idle time a wait holds signals back, so as to notice them. */
#define SIGNALS_AFTER_NS (20 * NS_PER_US)
#define SIGNALS_EVERY_NS (10 * NS_PER_MS)
#define RESULTS_MAX 16
/* Without a descriptor to be woken by, a thread looks again so soon. */
#define NAP_NS NS_PER_MS
/* Bytes that a cork holds back go so late at the most, after their time. */
#define CORK_LOOK_NS (20 * NS_PER_MS)

struct engine engine;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int contenders; /* threads that want the lock */
static demi_runtime_t *runtime; /* while nobody has the lock */
static uint64_t retry_ns;
static bool is_starting;
static struct waiter *sleepers; /* threads of the program */
static struct waiter *leader;   /* sleeps on the device; may be the keeper */
static bool leader_is_program;
static bool leader_is_stale; /* the stack has been used since it went to sleep */

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
	for (;;)
		pause();
}

void engine_lock(void)
{
	if (pthread_mutex_trylock(&lock) != 0) {
		__atomic_fetch_add(&contenders, 1, __ATOMIC_RELAXED);
		pthread_mutex_lock(&lock);
		__atomic_fetch_sub(&contenders, 1, __ATOMIC_RELAXED);
	}
	shim_is_inside = true;
	if (engine.state == ENGINE_RUNS)
		demi_attach(runtime);
	else if (engine.state == ENGINE_ENDED)
		wait_for_the_end();
}

void engine_let_go(void)
{
	if (engine.state == ENGINE_RUNS)
		demi_detach(&runtime);
	shim_is_inside = false;
	pthread_mutex_unlock(&lock);
}

void engine_unlock(void)
{
	/* How long the leader sleeps was right before this call, which may have sent, or set a timer. */
	if (leader) {
		leader_is_stale = true;
		keeper_needed();
	}
	engine_let_go();
}

/* Let others have the lock, if there are any. */
static void give_way(void)
{
	if (__atomic_load_n(&contenders, __ATOMIC_RELAXED) == 0) {
		__builtin_ia32_pause();
		return;
	}
	engine_unlock();
	sched_yield();
	engine_lock();
}

void engine_fork_lock(void)
{
	pthread_mutex_lock(&lock);
}

void engine_fork_unlock(void)
{
	starter_cancel();
	pthread_mutex_unlock(&lock);
}

/* ---- Configuration ---- */

/*
 * The environment as the program got it: nginx, for one, empties its own before its workers serve,
 * and the runtime must start as the rules were read.
 */
static char **environment;

/* Those of constructors: the environment is kept first. */
#define PRIORITY_FIRST 200
#define PRIORITY_LATER 201

static __attribute__((constructor(PRIORITY_FIRST))) void keep_environment(void)
{
	size_t count = 0;

	while (environ && environ[count])
		count++;
	environment = calloc(count + 2, sizeof(*environment));
	if (!environment)
		return;
	/* Whichever thread calls has the runtime. */
	environment[0] = strdup("DEMI_BLK_THREADS=any");
	for (size_t i = 0, kept = 1; i < count; i++)
		if (strncmp(environ[i], "DEMI_BLK_THREADS=", strlen("DEMI_BLK_THREADS=")) != 0)
			environment[kept++] = strdup(environ[i]);
}

static __attribute__((noreturn)) void give_up(const char *message)
{
	fprintf(stderr, "demi: %s\n", message);
	real()->_exit(125);
	__builtin_unreachable();
}

static void read_key(const char *key, char *value, size_t size)
{
	/* demi_config has said what is wrong with the others. */
	if (demi_config(key, value, size) != 0)
		give_up("the program does not start, since its network would not be the one that "
			"was asked for");
}

static void read_kernel_addresses(void)
{
	struct ifaddrs *addresses;

	if (getifaddrs(&addresses) != 0)
		return;
	for (struct ifaddrs *one = addresses; one; one = one->ifa_next)
		if (one->ifa_addr)
			rules_add_kernel(&engine.rules, one->ifa_addr);
	freeifaddrs(addresses);
}

static void read_patterns(void)
{
	char list[1024], libos[32], device[256], message[256];

	read_key("shim.log_files", list, sizeof(list));
	if (!list[0])
		return;
	read_key("libos", libos, sizeof(libos));
	read_key("blk.dev", device, sizeof(device));
	if (!strstr(libos, "cattree"))
		give_up("shim.log_files (DEMI_SHIM_LOG_FILES) needs a libOS with logs; say which: "
			"LIBOS=catnip+cattree");
	if (!device[0])
		give_up("shim.log_files (DEMI_SHIM_LOG_FILES) needs a block device for the logs; "
			"say which: DEMI_BLK_DEV=uring:/var/lib/demi.img");
	if (patterns_parse(&engine.patterns, list, message, sizeof(message)) != 0)
		give_up(message);
}

static void configure(void)
{
	char rules[1024], own[1024], value[32], message[256];

	char **programs = environ;

	shim_is_inside = true;
	if (environment)
		environ = environment;
	read_key("shim.rules", rules, sizeof(rules));
	read_key("net.ip", own, sizeof(own));
	if (rules_parse(&engine.rules, rules, own, message, sizeof(message)) != 0)
		give_up(message);
	read_patterns();
	read_key("shim.trace", value, sizeof(value));
	trace_on = value[0] == '1';
	read_key("runtime.idle", value, sizeof(value));
	engine.spins = strcmp(value, "spin") == 0;
	read_key("runtime.idle_after_us", value, sizeof(value));
	engine.idle_after_ns = strtoull(value, NULL, 10) * NS_PER_US;
	environ = programs;
	if (engine.rules.own_count)
		read_kernel_addresses();
	if (engine.rules.own_count || engine.patterns.count) {
		guard_start();
		process_watch_forks();
	}
	shim_is_inside = false;
}

static pthread_once_t configured = PTHREAD_ONCE_INIT;

/*
 * Which paths are logs is known before the program opens any: a file that it opened as the kernel's
 * would not be the one that it wrote before. Without a sign of logs nothing is read before the first
 * socket.
 */
static __attribute__((constructor(PRIORITY_LATER))) void configure_files(void)
{
	if (getenv("DEMI_SHIM_LOG_FILES") || getenv("CONFIG_PATH"))
		pthread_once(&configured, configure);
}

bool engine_is_configured(void)
{
	pthread_once(&configured, configure);
	return engine.rules.own_count != 0 && engine.state != ENGINE_ENDED;
}

/* ---- Start and end ---- */

/* Without the lock: the library takes its own, which a fork takes before ours. */
static int start_runtime(demi_runtime_t **started)
{
	int error = EALREADY;

	pthread_mutex_lock(&start_lock);
	shim_is_inside = true;
	if (engine.state == ENGINE_OFF) {
		char **programs = environ;

		if (environment)
			environ = environment;
		error = demi_init(NULL);
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
	return error;
}

int engine_start(void)
{
	demi_runtime_t *started = NULL;
	uint64_t now_ns;
	int error;

	if (engine.state == ENGINE_RUNS)
		return 0;
	now_ns = clock_ns();
	if (engine.state == ENGINE_ENDED || (!is_starting && now_ns < retry_ns))
		return -ENETDOWN;
	/* Another thread may be about it: then its outcome is waited for. */
	if (is_starting) {
		engine_unlock();
		pthread_mutex_lock(&start_lock);
		pthread_mutex_unlock(&start_lock);
		engine_lock();
		return engine.state == ENGINE_RUNS ? 0 : is_starting ? engine_start() : -ENETDOWN;
	}
	retry_ns = now_ns + RETRY_NS;
	is_starting = true;
	engine_unlock();
	error = start_runtime(&started);
	/* Not engine_lock: there is nothing to attach yet, or somebody else made it. */
	engine_lock();
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

	memcpy(&lock, &fresh, sizeof(lock));
	memcpy(&start_lock, &fresh, sizeof(start_lock));
	contenders = 0;
	runtime = NULL;
	sleepers = NULL;
	leader = NULL;
	retry_ns = 0;
	is_starting = false;
	keeper_forget();
	starter_cancel();
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
	if (engine.state != ENGINE_RUNS || shim_is_inside ||
	    pthread_mutex_timedlock(&lock, &limit) != 0)
		return;
	shim_is_inside = true;
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
	*self->link = self->next;
	if (self->next)
		self->next->link = self->link;
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

/* Lead, if nobody of the program's threads does. Return: descriptors to sleep on, or -EAGAIN. */
static int lead(struct waiter *self, bool is_program, struct pollfd *wakes, uint64_t *timeout_ns)
{
	struct timespec timeout;
	uint64_t limit_ns;
	int count = 0;

	if (engine.state != ENGINE_RUNS || (leader && (leader_is_program || !is_program)))
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
	self->is_woken = 0;
	if (leader == self || !is_program)
		engine_let_go();
	else
		engine_unlock();
}

static void after_sleep(struct waiter *self)
{
	engine_lock();
	self->sleeps = false;
	waiter_give_back(self);
	if (leader == self)
		leader = NULL;
}

/* Let the lock go, and sleep on descriptors. Return: what ppoll returned, with errno. */
static int sleep_unlocked(struct waiter *self, bool is_program, struct pollfd *fds, nfds_t count,
			  uint64_t timeout_ns, const sigset_t *signals)
{
	struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / NS_PER_S),
				   .tv_nsec = (long)(timeout_ns % NS_PER_S)};
	int outcome, error;

	before_sleep(self, is_program);
	outcome = real()->ppoll(fds, count, timeout_ns == NEVER_NS ? NULL : &timeout, signals);
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
	sleep_unlocked(self, false, fds, (nfds_t)(1 + count), timeout_ns, NULL);
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

	if (release_signals(hold))
		return -EINTR;
	before_sleep(self, true);
	outcome = waiter_sleep_futex(self, timeout_ns) < 0 ? -errno : 0;
	after_sleep(self);
	return outcome == -EINTR ? -EINTR : 0;
}

/* As sleep_once. */
static int sleep_on_descriptors(struct waiter *self, struct wait *wait, struct hold *hold,
				uint64_t timeout_ns)
{
	struct pollfd own[WAIT_EXTRA];
	struct pollfd *fds = wait->kernel_count ? wait->kernel : own;
	nfds_t count = wait->kernel_count;
	int wakes = lead(self, true, fds + count + 1, &timeout_ns);
	int outcome;

	if (wakes < 0) {
		waiter_give_back(self);
		return 0;
	}
	fds[count] = (struct pollfd){.fd = self->event_fd, .events = POLLIN};
	outcome = sleep_unlocked(self, true, fds, count + 1 + (nfds_t)wakes, timeout_ns,
				 hold->is_held ? &hold->original : wait->signals);
	if (outcome < 0)
		return errno == EINTR ? -EINTR : 0;
	return outcome > 0 && any_ready(wait);
}

/* Return: 0 to look again, 1 when a descriptor of the kernel's is ready, -EINTR. */
static int sleep_once(struct wait *wait, struct hold *hold)
{
	struct waiter *self = waiter_self();
	bool is_light = !wait->kernel_count && !wait->signals && engine_led();
	uint64_t timeout_ns = wait->deadline_ns;
	int outcome;

	if (timeout_ns != NEVER_NS)
		timeout_ns = timeout_ns > engine.now_ns ? timeout_ns - engine.now_ns : 0;
	sleeper_add(self);
	if (is_light)
		outcome = sleep_light(self, hold, timeout_ns);
	else if (waiter_lend(self))
		outcome = sleep_on_descriptors(self, wait, hold, timeout_ns);
	else
		outcome = sleep_light(self, hold, timeout_ns < NAP_NS ? timeout_ns : NAP_NS);
	sleeper_remove(self);
	keeper_needed();
	return outcome;
}

/* ---- Waiting ---- */

static void hold_signals(struct hold *hold)
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
}

/* A wait that spins: let in what has come. */
static bool signals_came(const struct wait *wait, struct hold *hold)
{
	static const struct timespec at_once;
	const sigset_t *mask = hold->is_held ? &hold->original : wait->signals;

	if (!mask || engine.now_ns < hold->look_ns)
		return false;
	hold->look_ns = engine.now_ns + SIGNALS_EVERY_NS;
	return real()->ppoll(NULL, 0, &at_once, mask) < 0 && errno == EINTR;
}

static bool kernel_is_ready(struct wait *wait, uint64_t *look_ns)
{
	if (!wait->kernel_count || engine.now_ns < *look_ns)
		return false;
	*look_ns = engine.now_ns + KERNEL_LOOK_NS;
	return real()->poll(wait->kernel, wait->kernel_count, 0) > 0;
}

/* Nothing is ready. As sleep_once. */
static int idle_once(struct wait *wait, struct hold *hold, uint64_t *since_ns)
{
	uint64_t idle_ns;
	int outcome;

	if (!*since_ns)
		*since_ns = engine.now_ns;
	idle_ns = engine.now_ns - *since_ns;
	if (idle_ns >= SIGNALS_AFTER_NS && !hold->is_held && !wait->signals)
		hold_signals(hold);
	if (engine.state == ENGINE_RUNS && (engine.spins || idle_ns < engine.idle_after_ns)) {
		if (signals_came(wait, hold))
			return -EINTR;
		give_way();
		return 0;
	}
	outcome = sleep_once(wait, hold);
	*since_ns = 0;
	return outcome;
}

int engine_wait(struct wait *wait)
{
	struct hold hold = {.is_held = false};
	/* The caller has just asked the kernel. */
	uint64_t since_ns = 0, look_ns = engine.now_ns + KERNEL_LOOK_NS;
	int outcome;

	for (;;) {
		engine_poll();
		outcome = 1;
		if (wait->is_ready(wait->context) || kernel_is_ready(wait, &look_ns))
			break;
		outcome = -ETIMEDOUT;
		if (engine.now_ns >= wait->deadline_ns)
			break;
		outcome = idle_once(wait, &hold, &since_ns);
		if (outcome)
			break;
	}
	if (hold.is_held)
		pthread_sigmask(SIG_SETMASK, &hold.original, NULL);
	return outcome < 0 ? outcome : 0;
}

bool engine_restarts(void)
{
	struct sigaction action;

	for (int number = 1; number < NSIG; number++) {
		if (guard_owns(number) || real()->sigaction(number, NULL, &action) != 0)
			continue;
		if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN &&
		    !(action.sa_flags & SA_RESTART))
			return false;
	}
	return true;
}
