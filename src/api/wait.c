/* SPDX-License-Identifier: MIT */
/* The loop of every wait: look, poll, look again; give up, be interrupted, or sleep. */
#include <demi/wait.h>

#include <sched.h>

#include "api/api.h"
#include "api/signals.h"
#include "base/clock.h"
#include "libos/give_way.h"
#include "queue/joined_queue.h"
#include "queue/sga.h"
#include "queue/wait.h"

/*
 * Idle time before a spinning wait watches signals, and from one system call for that to the next,
 * whichever waits make them: however the work comes, they are a few hundred in a second at most.
 */
#define SIGNALS_AFTER_NS (100 * NS_PER_US)
#define SIGNALS_EVERY_NS (10000 * NS_PER_US)
/* Waits in a row that find their operation complete before one of them polls the devices. */
#define WAITS_WITHOUT_POLL 32u

/*
 * One kind of wait. Return: 1 when it is over, having taken its operations; 0 when it goes on; or
 * a negative errno.
 */
typedef int (*look_fn)(struct runtime *runtime, void *wait, enum wait_look how);

static int timeout_to_ns(const struct timespec *timeout, uint64_t *ns_out)
{
	if (!timeout) {
		*ns_out = UINT64_MAX;
		return 0;
	}
	if (!API_POINTER_OK(timeout))
		return EFAULT;
	if (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= (long)NS_PER_S)
		return EINVAL;
	/* 292 years are for ever. */
	if ((uint64_t)timeout->tv_sec >= INT64_MAX / NS_PER_S)
		*ns_out = UINT64_MAX;
	else
		*ns_out = (uint64_t)timeout->tv_sec * NS_PER_S + (uint64_t)timeout->tv_nsec;
	return 0;
}

struct idle {
	uint64_t since_ns;
	struct signal_guard guard;
	struct giving giving;
};

static uint64_t sleep_limit(struct runtime *runtime, uint64_t now_ns, uint64_t deadline_ns)
{
	uint64_t timer_ns = timer_wheel_next_ns(&runtime->context.sched.timers);
	uint64_t until_ns = timer_ns < deadline_ns ? timer_ns : deadline_ns;

	if (until_ns == UINT64_MAX)
		return UINT64_MAX;
	return until_ns > now_ns ? until_ns - now_ns : 0;
}

static bool should_sleep(const struct runtime *runtime, uint64_t idle_ns)
{
	return runtime->config.runtime.idle == CONFIG_IDLE_SLEEP &&
	       idle_ns >= runtime->config.runtime.idle_after_us * NS_PER_US;
}

/*
 * A wait that spins gives way when the kernel's threads work for it: where every CPU spins they would
 * get one only at the next tick, milliseconds later.
 */
static bool should_give_way(const struct runtime *runtime, uint64_t idle_ns)
{
	const struct libos *libos = runtime->libos;

	return idle_ns >= runtime->config.runtime.give_way_after_us * NS_PER_US &&
	       libos->ops->kernel_works && libos->ops->kernel_works(libos);
}

/*
 * A wait that spins: hold signals back, and from then on let in what has come. Return: 0, or -EINTR
 * when a handler ran.
 */
static int watch_signals(struct runtime *runtime, struct idle *idle, uint64_t now_ns)
{
	runtime->signals_at_ns = now_ns + SIGNALS_EVERY_NS;
	if (!idle->guard.blocked) {
		signal_guard_block(&idle->guard);
		return 0;
	}
	if (!signal_guard_deliver(&idle->guard))
		return 0;
	/* Where one signal is, another often follows: the next wait need not be late for it. */
	runtime->signals_at_ns = 0;
	return -EINTR;
}

/*
 * Sleep in the kernel, unless the last look finds what the others passed over, since nothing would
 * wake us for that. What @look returned, 0, or -EINTR.
 */
static int sleep_in_kernel(struct runtime *runtime, const struct idle *idle, look_fn look,
			   void *wait, uint64_t limit_ns)
{
	struct libos *libos = runtime->libos;
	struct pollfd bell = {.fd = -1, .events = POLLIN};
	int found;

	if (runtime->context.joined)
		bell.fd = joined_queues_prepare_sleep(runtime->context.joined);
	found = look(runtime, wait, WAIT_LOOK_TO_SLEEP);
	if (found)
		return found;
	return libos->ops->sleep(libos, limit_ns, &idle->guard.original, &bell, bell.fd >= 0);
}

/*
 * Nothing to do at @now_ns: watch for signals, and sleep if that is wanted. What @look returned
 * if it was asked again, 0, or -EINTR.
 */
static int idle_step(struct runtime *runtime, struct idle *idle, look_fn look, void *wait,
		     uint64_t now_ns, uint64_t deadline_ns)
{
	uint64_t idle_ns = now_ns - idle->since_ns;
	bool sleeps = should_sleep(runtime, idle_ns), yields = false;

	if (!sleeps && should_give_way(runtime, idle_ns)) {
		sleeps = give_way_by(&runtime->give_way, &idle->giving, now_ns) == GIVE_WAY_SLEEP;
		yields = !sleeps;
	}
	if (yields)
		sched_yield();
	if (!sleeps) {
		if (idle_ns < SIGNALS_AFTER_NS || now_ns < runtime->signals_at_ns)
			return 0;
		return watch_signals(runtime, idle, now_ns);
	}
	if (!idle->guard.blocked)
		signal_guard_block(&idle->guard);
	if (signal_guard_deliver(&idle->guard))
		return -EINTR;
	if (sched_has_ready(&runtime->context.sched))
		return 0;
	return sleep_in_kernel(runtime, idle, look, wait,
			       sleep_limit(runtime, now_ns, deadline_ns));
}

/* A program whose waits are always satisfied at once must still let the devices in. */
static __attribute__((noinline)) void poll_once(struct runtime *runtime)
{
	API_KEEP_ERRNO;

	runtime->waits_without_poll = 0;
	runtime_poll(runtime, clock_now_ns());
}

/* The first look found nothing. */
static __attribute__((noinline)) int wait_polling(struct runtime *runtime, look_fn look, void *wait,
						  uint64_t timeout_ns)
{
	API_KEEP_ERRNO;
	uint64_t now_ns = clock_now_ns();
	uint64_t deadline_ns = timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + timeout_ns;
	struct idle idle;
	int found;

	idle.since_ns = now_ns;
	idle.guard.blocked = false;
	idle.giving = (struct giving){0};
	runtime->waits_without_poll = 0;
	for (;;) {
		runtime_poll(runtime, now_ns);
		found = look(runtime, wait,
			     now_ns >= deadline_ns ? WAIT_LOOK_GIVE_UP : WAIT_LOOK_AGAIN);
		if (found)
			break;
		if (now_ns >= deadline_ns) {
			found = -ETIMEDOUT;
			break;
		}
		found = idle_step(runtime, &idle, look, wait, now_ns, deadline_ns);
		if (found)
			break;
		now_ns = clock_now_ns();
	}
	signal_guard_restore(&idle.guard);
	give_way_end(&runtime->give_way, &idle.giving, now_ns);
	return found;
}

static inline __attribute__((always_inline)) int
wait_loop(struct runtime *runtime, look_fn look, void *wait, const struct timespec *timeout)
{
	uint64_t timeout_ns;
	int error = timeout_to_ns(timeout, &timeout_ns);
	int found;

	if (error)
		return error;
	if (++runtime->waits_without_poll >= WAITS_WITHOUT_POLL)
		poll_once(runtime);
	found = look(runtime, wait, WAIT_LOOK_AGAIN);
	if (!found)
		found = wait_polling(runtime, look, wait, timeout_ns);
	return found > 0 ? 0 : -found;
}

/* Hand a completed operation, already unlinked, to the application. */
static inline void take(struct runtime *runtime, struct op *op, demi_qresult_t *qr_out)
{
	qresult_from_op(qr_out, &runtime->context, op);
	op_free(&runtime->context.ops, op);
}

struct wait_one {
	demi_qtoken_t qt;
	demi_qresult_t *qr_out;
};

static int look_one(struct runtime *runtime, void *arg, enum wait_look how)
{
	struct wait_one *wait = arg;
	struct op *op = op_lookup(&runtime->context.ops, wait->qt);

	(void)how;
	if (!op)
		return -EINVAL;
	if (!op_is_complete(op))
		return 0;
	op_unlink(&runtime->context.ops, op);
	take(runtime, op, wait->qr_out);
	return 1;
}

int demi_wait(demi_qresult_t *qr_out, demi_qtoken_t qt, const struct timespec *timeout)
{
	struct wait_one wait = {.qt = qt, .qr_out = qr_out};
	struct runtime *runtime = api_runtime;

	if (!runtime)
		return ENOSYS;
	if (!qr_out)
		return EFAULT;
	return wait_loop(runtime, look_one, &wait, timeout);
}

struct wait_many {
	const demi_qtoken_t *qts;
	uint32_t count;
	uint32_t ready; /* any: the place found; all: how many of the first are complete */
	demi_qresult_t *qr_out;
};

static int check_many(struct runtime *runtime, const void *qr_out, const demi_qtoken_t *qts,
		      int num_qts)
{
	if (!runtime)
		return ENOSYS;
	if (!qr_out || !API_POINTER_OK(qts))
		return EFAULT;
	return num_qts > 0 ? 0 : EINVAL;
}

static int look_any(struct runtime *runtime, void *arg, enum wait_look how)
{
	struct wait_many *wait = arg;
	struct op *op;
	int found = wait_any_find(&runtime->context.ops, wait->qts, wait->count, how, &op,
				  &wait->ready);

	if (found > 0)
		take(runtime, op, wait->qr_out);
	return found;
}

int demi_wait_any(demi_qresult_t *qr_out, int *ready_offset, const demi_qtoken_t qts[], int num_qts,
		  const struct timespec *timeout)
{
	struct wait_many wait = {.qts = qts, .count = (uint32_t)num_qts, .qr_out = qr_out};
	struct runtime *runtime = api_runtime;
	int error = check_many(runtime, qr_out, qts, num_qts);

	if (error)
		return error;
	if (ready_offset && !API_POINTER_OK(ready_offset))
		return EFAULT;
	wait_any_begin(&runtime->context.ops, qts, wait.count);
	error = wait_loop(runtime, look_any, &wait, timeout);
	if (!error && ready_offset)
		*ready_offset = (int)wait.ready;
	return error;
}

static int look_all(struct runtime *runtime, void *arg, enum wait_look how)
{
	struct op_table *ops = &runtime->context.ops;
	struct wait_many *wait = arg;

	(void)how;
	while (wait->ready < wait->count && op_is_complete(op_lookup(ops, wait->qts[wait->ready])))
		wait->ready++;
	if (wait->ready < wait->count)
		return 0;
	for (uint32_t i = 0; i < wait->count; i++) {
		struct op *op = op_lookup(ops, wait->qts[i]);

		op_unlink(ops, op);
		take(runtime, op, &wait->qr_out[i]);
	}
	return 1;
}

int demi_wait_all(demi_qresult_t qrs_out[], const demi_qtoken_t qts[], int num_qts,
		  const struct timespec *timeout)
{
	struct wait_many wait = {.qts = qts, .count = (uint32_t)num_qts, .qr_out = qrs_out};
	struct runtime *runtime = api_runtime;
	int error = check_many(runtime, qrs_out, qts, num_qts);

	if (error)
		return error;
	error = wait_all_check(&runtime->context.ops, qts, wait.count);
	if (error)
		return -error;
	return wait_loop(runtime, look_all, &wait, timeout);
}

static int look_next(struct runtime *runtime, void *arg, enum wait_look how)
{
	struct wait_many *wait = arg;
	uint32_t ready = 0;
	struct op *op;

	(void)how;
	while (ready < wait->count && (op = wait_take_next(&runtime->context.ops)))
		take(runtime, op, &wait->qr_out[ready++]);
	wait->ready = ready;
	return ready > 0;
}

int demi_wait_next_n(demi_qresult_t *qr_out, int num_qrs, int *num_qrs_out,
		     const struct timespec *timeout)
{
	struct wait_many wait = {.count = (uint32_t)num_qrs, .qr_out = qr_out};
	struct runtime *runtime = api_runtime;
	int error;

	if (!runtime)
		return ENOSYS;
	if (!qr_out || !API_POINTER_OK(num_qrs_out))
		return EFAULT;
	*num_qrs_out = 0;
	if (num_qrs <= 0)
		return EINVAL;
	error = wait_loop(runtime, look_next, &wait, timeout);
	*num_qrs_out = (int)wait.ready;
	return error;
}
