/* SPDX-License-Identifier: MIT */
/*
 * What Redis's event loop waits with: operations of Demi for its sockets, and epoll for the few
 * descriptors that are the kernel's (pipes to its children, Unix sockets). ae.c includes this file.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "endpoint.h"

/* Looks with work between two at the kernel's descriptors, each a system call. */
#define AE_DEMI_KERNEL_LOOKS 64

typedef struct aeApiState {
	int epoll_fd;
	int kernel_count; /* descriptors that epoll_fd watches */
	unsigned int looks;
	struct epoll_event *events; /* as many as the loop's descriptors */
	struct endpoint_ready *ready;
} aeApiState;

static int aeApiResize(aeEventLoop *loop, int size)
{
	aeApiState *state = loop->apidata;

	state->events = zrealloc(state->events, sizeof(*state->events) * (size_t)size);
	state->ready = zrealloc(state->ready, sizeof(*state->ready) * (size_t)size);
	return 0;
}

static int aeApiCreate(aeEventLoop *loop)
{
	aeApiState *state = zcalloc(sizeof(*state));

	endpoint_start();
	loop->apidata = state;
	state->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (state->epoll_fd < 0) {
		zfree(state);
		return -1;
	}
	return aeApiResize(loop, loop->setsize);
}

static void aeApiFree(aeEventLoop *loop)
{
	aeApiState *state = loop->apidata;

	close(state->epoll_fd);
	zfree(state->events);
	zfree(state->ready);
	zfree(state);
}

/* What is watched of a descriptor becomes @mask, from @before. */
static int watch(aeApiState *state, int fd, int before, int mask)
{
	struct epoll_event event = {.data.fd = fd};
	int operation = EPOLL_CTL_MOD;

	before &= AE_READABLE | AE_WRITABLE;
	mask &= AE_READABLE | AE_WRITABLE;
	if (endpoint_want(fd, mask & AE_READABLE, mask & AE_WRITABLE) || before == mask)
		return 0;
	if (mask & AE_READABLE)
		event.events |= EPOLLIN;
	if (mask & AE_WRITABLE)
		event.events |= EPOLLOUT;
	if (before == 0)
		operation = EPOLL_CTL_ADD;
	else if (mask == 0)
		operation = EPOLL_CTL_DEL;
	if (epoll_ctl(state->epoll_fd, operation, fd, &event) < 0)
		return -1;
	if (operation != EPOLL_CTL_MOD)
		state->kernel_count += operation == EPOLL_CTL_ADD ? 1 : -1;
	return 0;
}

static int aeApiAddEvent(aeEventLoop *loop, int fd, int mask)
{
	int before = loop->events[fd].mask;

	return watch(loop->apidata, fd, before, before | mask);
}

static void aeApiDelEvent(aeEventLoop *loop, int fd, int mask)
{
	int before = loop->events[fd].mask;

	watch(loop->apidata, fd, before, before & ~mask);
}

static int poll_endpoints(aeEventLoop *loop, const struct timeval *timeout)
{
	aeApiState *state = loop->apidata;
	int64_t timeout_ns = timeout == NULL
				     ? INT64_MAX
				     : (timeout->tv_sec * INT64_C(1000000) + timeout->tv_usec) *
					       1000;
	int kernel_fd = state->kernel_count != 0 ? state->epoll_fd : -1;
	size_t count = endpoint_wait(state->ready, (size_t)loop->setsize, timeout_ns, kernel_fd);

	for (size_t i = 0; i < count; i++) {
		loop->fired[i].fd = state->ready[i].fd;
		loop->fired[i].mask = (state->ready[i].readable ? AE_READABLE : 0) |
				      (state->ready[i].writable ? AE_WRITABLE : 0);
	}
	return (int)count;
}

static int poll_kernel(aeEventLoop *loop, int fired)
{
	aeApiState *state = loop->apidata;
	int room = loop->setsize - fired;
	int count = room > 0 ? epoll_wait(state->epoll_fd, state->events, room, 0) : 0;

	for (int i = 0; i < count; i++) {
		const struct epoll_event *event = &state->events[i];
		int mask = 0;

		if (event->events & (EPOLLIN | EPOLLERR | EPOLLHUP))
			mask |= AE_READABLE;
		if (event->events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
			mask |= AE_WRITABLE;
		loop->fired[fired].fd = event->data.fd;
		loop->fired[fired++].mask = mask;
	}
	return fired;
}

static int aeApiPoll(aeEventLoop *loop, struct timeval *timeout)
{
	aeApiState *state = loop->apidata;
	int fired = poll_endpoints(loop, timeout);

	if (state->kernel_count == 0 || (fired != 0 && ++state->looks < AE_DEMI_KERNEL_LOOKS))
		return fired;
	state->looks = 0;
	return poll_kernel(loop, fired);
}

static char *aeApiName(void)
{
	return "demi";
}
