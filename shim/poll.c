/* SPDX-License-Identifier: MIT */
/* poll and select over descriptors of both sides. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "engine.h"
#include "file.h"
#include "guard.h"
#include "real.h"
#include "socket.h"

#define FEW 32u

/* A call, its descriptors copied. Those of ours are watched, the kernel's are in an array for it. */
struct poll_call {
	struct pollfd *fds;    /* [count] */
	struct pollfd *kernel; /* [count + WAIT_EXTRA]; fd -1 for what is ours alone */
	struct file **files;   /* [count]; NULL for what is the kernel's alone */
	nfds_t count;
	bool in_kernel; /* something of the kernel's is among them */
	void *memory;
	struct pollfd few_fds[FEW], few_kernel[FEW + WAIT_EXTRA];
	struct file *few_files[FEW];
};

static bool call_make(struct poll_call *call, nfds_t count)
{
	size_t fds_bytes = count * sizeof(struct pollfd);
	size_t kernel_bytes = (count + WAIT_EXTRA) * sizeof(struct pollfd);

	call->count = count;
	call->in_kernel = false;
	call->memory = NULL;
	call->fds = call->few_fds;
	call->kernel = call->few_kernel;
	call->files = call->few_files;
	if (count <= FEW)
		return true;
	call->memory = malloc(fds_bytes + kernel_bytes + count * sizeof(*call->files));
	if (!call->memory)
		return false;
	/* Pointers first: they need the most alignment. */
	call->files = call->memory;
	call->fds = (struct pollfd *)(call->files + count);
	call->kernel = call->fds + count;
	return true;
}

/* Under the lock: who is whose. */
static void sort(struct poll_call *call)
{
	for (nfds_t i = 0; i < call->count; i++) {
		struct file *file = call->fds[i].fd >= 0 ? file_of(call->fds[i].fd) : NULL;
		bool ours_alone = file && file->kind == FILE_SOCKET &&
				  socket_of(file)->side == SIDE_DEMI;

		call->kernel[i] = call->fds[i];
		call->kernel[i].revents = 0;
		if (ours_alone)
			call->kernel[i].fd = -1;
		else if (call->fds[i].fd >= 0)
			call->in_kernel = true;
		call->files[i] = file;
		if (!file)
			continue;
		file_hold(file);
		if (file->kind == FILE_SOCKET && socket_of(file)->side >= SIDE_DEMI)
			engine_start();
	}
}

static bool ours_ready(void *context)
{
	struct poll_call *call = context;

	for (nfds_t i = 0; i < call->count; i++) {
		struct file *file = call->files[i];
		uint32_t wanted = (uint32_t)(uint16_t)call->fds[i].events | POLLERR | POLLHUP;

		if (file && (file_events(file) & wanted))
			return true;
	}
	return false;
}

static int fill_events(struct poll_call *call)
{
	int ready = 0;

	for (nfds_t i = 0; i < call->count; i++) {
		struct file *file = call->files[i];
		uint32_t wanted = (uint32_t)(uint16_t)call->fds[i].events | POLLERR | POLLHUP;

		call->fds[i].revents = call->kernel[i].fd >= 0 ? call->kernel[i].revents : 0;
		if (file)
			call->fds[i].revents |= (short)(file_events(file) & wanted);
		ready += call->fds[i].revents != 0;
	}
	return ready;
}

/* As engine_wait. */
static int wait_for_any(struct poll_call *call, struct wait *wait)
{
	struct waiter *self = waiter_begin((uint32_t)call->count);
	int outcome;

	if (!self)
		return -ENOMEM;
	for (nfds_t i = 0; i < call->count; i++)
		if (call->files[i])
			waiter_watch(self, call->files[i]);
	outcome = engine_wait(self, wait);
	waiter_end(self);
	return outcome;
}

static void let_go(struct poll_call *call)
{
	for (nfds_t i = 0; i < call->count; i++)
		if (call->files[i])
			file_drop(call->files[i]);
}

/* Fill revents. Return: how many have some, or -errno. */
static int poll_until(struct poll_call *call, uint64_t deadline_ns, const sigset_t *signals)
{
	struct wait wait = {.is_ready = ours_ready,
			    .context = call,
			    .deadline_ns = deadline_ns,
			    .signals = signals};
	int outcome = 0;

	engine_lock();
	sort(call);
	if (call->in_kernel) {
		wait.kernel = call->kernel;
		wait.kernel_count = call->count;
	}
	engine_poll();
	if (call->in_kernel)
		real()->poll(call->kernel, call->count, 0);
	if (fill_events(call) == 0 && deadline_ns) {
		outcome = wait_for_any(call, &wait);
		/* Ours may have been ready first, and the kernel's too by now. */
		if (outcome == 0 && call->in_kernel)
			real()->poll(call->kernel, call->count, 0);
	}
	if (outcome != -EINTR && outcome != -ENOMEM)
		outcome = fill_events(call);
	let_go(call);
	engine_unlock();
	return outcome;
}

static int finish(int outcome)
{
	if (outcome >= 0)
		return outcome;
	if (outcome == -EINTR)
		engine_cancellation_point();
	errno = -outcome;
	return -1;
}

/* ---- poll ---- */

static bool any_ours(const struct pollfd *fds, nfds_t count)
{
	for (nfds_t i = 0; i < count; i++)
		if (fds[i].fd >= 0 && file_is_ours(fds[i].fd))
			return true;
	return false;
}

static bool has_limit(nfds_t count)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) != 0 || count <= limit.rlim_cur;
}

/* Return: 1: it is the kernel's; 0: it was ours, with what it returns. */
static int poll_ours(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		     const sigset_t *signals, int *outcome)
{
	struct poll_call call;
	uint64_t deadline_ns = NEVER_NS;

	if (!file_table || shim_is_inside || count == 0 || !has_limit(count))
		return 1;
	engine_cancellation_point();
	if (!call_make(&call, count)) {
		*outcome = -ENOMEM;
		return 0;
	}
	if (!guard_copy(call.fds, fds, count * sizeof(*fds)) || !any_ours(call.fds, count)) {
		free(call.memory);
		return 1;
	}
	if (timeout)
		deadline_ns = timeout->tv_sec || timeout->tv_nsec
				      ? clock_ns() + (uint64_t)timeout->tv_sec * NS_PER_S +
						(uint64_t)timeout->tv_nsec
				      : 0;
	*outcome = poll_until(&call, deadline_ns, signals);
	if (*outcome >= 0 && !guard_copy(fds, call.fds, count * sizeof(*fds)))
		*outcome = -EFAULT;
	free(call.memory);
	return 0;
}

EXPORT int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	struct timespec timeout = {.tv_sec = timeout_ms / 1000,
				   .tv_nsec = timeout_ms % 1000 * 1000000L};
	int outcome;

	if (poll_ours(fds, count, timeout_ms < 0 ? NULL : &timeout, NULL, &outcome))
		return real()->poll(fds, count, timeout_ms);
	return finish(outcome);
}

EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		 const sigset_t *signals)
{
	struct timespec copy = {.tv_sec = 0};
	const sigset_t *mask = signals;
	sigset_t mask_copy;
	int outcome;

	if (!file_table || shim_is_inside)
		return real()->ppoll(fds, count, timeout, signals);
	if ((timeout && !guard_copy(&copy, timeout, sizeof(copy))) ||
	    !guard_copy_signals(&mask_copy, &mask))
		return finish(-EFAULT);
	if (copy.tv_sec < 0 || copy.tv_nsec < 0 || copy.tv_nsec >= (long)NS_PER_S ||
	    poll_ours(fds, count, timeout ? &copy : NULL, mask, &outcome))
		return real()->ppoll(fds, count, timeout, signals);
	return finish(outcome);
}

void __chk_fail(void) __attribute__((noreturn));

EXPORT int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t room);
int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t room)
{
	if (room / sizeof(*fds) < count)
		__chk_fail();
	return poll(fds, count, timeout_ms);
}

EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		       const sigset_t *signals, size_t room);
int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		const sigset_t *signals, size_t room)
{
	if (room / sizeof(*fds) < count)
		__chk_fail();
	return ppoll(fds, count, timeout, signals);
}

/* ---- select ---- */

#define READ_EVENTS (POLLIN | POLLRDNORM | POLLRDBAND)
#define WRITE_EVENTS (POLLOUT | POLLWRNORM | POLLWRBAND)
#define BITS (8 * sizeof(unsigned long))

/* The sets, as words, since programs make larger ones than fd_set is. */
static bool bit_of(const fd_set *set, int fd)
{
	return set && (((const unsigned long *)set)[(size_t)fd / BITS] >> ((size_t)fd % BITS) & 1);
}

static void bit_clear(fd_set *set, int fd)
{
	if (set)
		((unsigned long *)set)[(size_t)fd / BITS] &= ~(1ul << ((size_t)fd % BITS));
}

static int select_count(int limit, const fd_set *in, const fd_set *out, const fd_set *except,
			bool *is_ours)
{
	int count = 0;

	*is_ours = false;
	for (int fd = 0; fd < limit; fd++) {
		if (!bit_of(in, fd) && !bit_of(out, fd) && !bit_of(except, fd))
			continue;
		count++;
		*is_ours |= file_is_ours(fd);
	}
	return count;
}

static void select_to_poll(struct poll_call *call, int limit, const fd_set *in, const fd_set *out,
			   const fd_set *except)
{
	nfds_t at = 0;

	for (int fd = 0; fd < limit; fd++) {
		int events = (bit_of(in, fd) ? READ_EVENTS : 0) |
			     (bit_of(out, fd) ? WRITE_EVENTS : 0) |
			     (bit_of(except, fd) ? POLLPRI : 0);

		if (events)
			call->fds[at++] = (struct pollfd){.fd = fd, .events = (short)events};
	}
}

/* Return: how many bits are left, or -EBADF. */
static int poll_to_select(const struct poll_call *call, fd_set *in, fd_set *out, fd_set *except)
{
	int bits = 0;

	for (nfds_t i = 0; i < call->count; i++)
		if (call->fds[i].revents & POLLNVAL)
			return -EBADF;
	for (nfds_t i = 0; i < call->count; i++) {
		int fd = call->fds[i].fd;
		int events = call->fds[i].revents;

		if (bit_of(in, fd) && (events & (READ_EVENTS | POLLHUP | POLLERR)))
			bits++;
		else
			bit_clear(in, fd);
		if (bit_of(out, fd) && (events & (WRITE_EVENTS | POLLERR)))
			bits++;
		else
			bit_clear(out, fd);
		if (bit_of(except, fd) && (events & POLLPRI))
			bits++;
		else
			bit_clear(except, fd);
	}
	return bits;
}

/*
 * A call with the program's sets copied: they may not be where it says, or not to be written to. In
 * this order: to read, to write, exceptions.
 */
struct select_call {
	fd_set *program[3]; /* NULL: not asked for */
	fd_set *sets[3];
	size_t bytes; /* of each */
	int limit;
	int count; /* of descriptors in them */
	void *memory;
	unsigned long few[3][FD_SETSIZE / BITS];
};

/* Return: 0, -EFAULT or -ENOMEM. */
static int select_take(struct select_call *call)
{
	size_t words = ((size_t)call->limit + BITS - 1) / BITS;
	bool is_few = words <= FD_SETSIZE / BITS;
	unsigned long *copies;

	call->bytes = words * sizeof(unsigned long);
	call->memory = is_few ? NULL : malloc(3 * call->bytes);
	if (!is_few && !call->memory)
		return -ENOMEM;
	copies = call->memory;
	for (size_t i = 0; i < 3; i++) {
		call->sets[i] = NULL;
		if (!call->program[i])
			continue;
		call->sets[i] = (fd_set *)(is_few ? call->few[i] : copies + i * words);
		if (!guard_copy(call->sets[i], call->program[i], call->bytes))
			return -EFAULT;
	}
	return 0;
}

static bool select_give(const struct select_call *call)
{
	for (size_t i = 0; i < 3; i++)
		if (call->sets[i] && !guard_copy(call->program[i], call->sets[i], call->bytes))
			return false;
	return true;
}

/*
 * The kernel says EFAULT and EINVAL by itself, and does all that has nothing of ours. Return: whether
 * it is ours; call->memory is to be freed then.
 */
static bool select_is_ours(struct select_call *call, int *error)
{
	bool is_ours = false;

	*error = 0;
	if (!file_table || shim_is_inside || call->limit <= 0 || call->limit > (int)FILES_MAX)
		return false;
	engine_cancellation_point();
	*error = select_take(call);
	if (*error == -ENOMEM)
		return true;
	if (!*error)
		call->count = select_count(call->limit, call->sets[0], call->sets[1], call->sets[2],
					   &is_ours);
	if (!is_ours)
		free(call->memory);
	return is_ours;
}

/* Ends the call. Return: how many bits are left, or -errno, with the program's sets as they were. */
static int select_until(struct select_call *call, uint64_t deadline_ns, const sigset_t *signals)
{
	struct poll_call poll_call;
	int outcome = -ENOMEM;

	if (call_make(&poll_call, (nfds_t)call->count)) {
		select_to_poll(&poll_call, call->limit, call->sets[0], call->sets[1],
			       call->sets[2]);
		outcome = poll_until(&poll_call, deadline_ns, signals);
		if (outcome >= 0)
			outcome = poll_to_select(&poll_call, call->sets[0], call->sets[1],
						 call->sets[2]);
		if (outcome >= 0 && !select_give(call))
			outcome = -EFAULT;
		free(poll_call.memory);
	}
	free(call->memory);
	return outcome;
}

/* Linux tells what is left of it, where it can. */
static void give_time_left(struct timeval *timeout, uint64_t deadline_ns)
{
	uint64_t now_ns = clock_ns();
	uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
	struct timeval left = {.tv_sec = (time_t)(left_ns / NS_PER_S),
			       .tv_usec = (suseconds_t)(left_ns % NS_PER_S / NS_PER_US)};

	guard_copy(timeout, &left, sizeof(left));
}

/* What has ended before it has begun. */
static int select_refuse(struct select_call *call, int error)
{
	free(call->memory);
	return finish(error);
}

EXPORT int select(int limit, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout)
{
	struct select_call call = {.program = {in, out, except}, .limit = limit};
	uint64_t deadline_ns = NEVER_NS;
	struct timeval time = {.tv_sec = 0};
	int error, outcome;

	if (!select_is_ours(&call, &error))
		return real()->select(limit, in, out, except, timeout);
	if (!error && timeout && !guard_copy(&time, timeout, sizeof(time)))
		error = -EFAULT;
	if (!error && (time.tv_sec < 0 || time.tv_usec < 0))
		error = -EINVAL;
	if (error)
		return select_refuse(&call, error);
	if (timeout)
		deadline_ns = time.tv_sec || time.tv_usec
				      ? clock_ns() + (uint64_t)time.tv_sec * NS_PER_S +
						(uint64_t)time.tv_usec * NS_PER_US
				      : 0;
	outcome = select_until(&call, deadline_ns, NULL);
	if (timeout && deadline_ns)
		give_time_left(timeout, deadline_ns);
	return finish(outcome);
}

EXPORT int pselect(int limit, fd_set *in, fd_set *out, fd_set *except,
		   const struct timespec *timeout, const sigset_t *signals)
{
	struct select_call call = {.program = {in, out, except}, .limit = limit};
	uint64_t deadline_ns = NEVER_NS;
	struct timespec time = {.tv_sec = 0};
	sigset_t mask;
	int error;

	if (!select_is_ours(&call, &error))
		return real()->pselect(limit, in, out, except, timeout, signals);
	if (!error && ((timeout && !guard_copy(&time, timeout, sizeof(time))) ||
		       !guard_copy_signals(&mask, &signals)))
		error = -EFAULT;
	if (!error && (time.tv_sec < 0 || time.tv_nsec < 0 || time.tv_nsec >= (long)NS_PER_S))
		error = -EINVAL;
	if (error)
		return select_refuse(&call, error);
	if (timeout)
		deadline_ns = time.tv_sec || time.tv_nsec
				      ? clock_ns() + (uint64_t)time.tv_sec * NS_PER_S +
						(uint64_t)time.tv_nsec
				      : 0;
	return finish(select_until(&call, deadline_ns, signals));
}
