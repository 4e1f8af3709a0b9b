/* SPDX-License-Identifier: MIT */
#include "waiter.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "real.h"

#define SPARE_MAX 8u
#define NS_PER_S UINT64_C(1000000000)

static _Thread_local struct waiter self_waiter = {.event_fd = -1};

/* Those that nobody has at the moment. */
static int spare[SPARE_MAX];
static unsigned int spare_count;

struct waiter *waiter_self(void)
{
	return &self_waiter;
}

bool waiter_lend(struct waiter *self)
{
	self->event_fd = spare_count ? spare[--spare_count]
				     : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return self->event_fd >= 0;
}

void waiter_give_back(struct waiter *self)
{
	uint64_t events;
	int fd = self->event_fd;

	self->event_fd = -1;
	if (fd < 0)
		return;
	/* It is written to with is_woken, so that one reading empties it. */
	if (self->is_woken && real()->read(fd, &events, sizeof(events)) < 0 && errno != EAGAIN) {
		real()->close(fd);
		return;
	}
	if (spare_count < SPARE_MAX)
		spare[spare_count++] = fd;
	else
		real()->close(fd);
}

void waiter_wake(struct waiter *waiter)
{
	const uint64_t one = 1;

	if (!waiter->sleeps || waiter->is_woken)
		return;
	__atomic_store_n(&waiter->is_woken, 1, __ATOMIC_RELEASE);
	if (waiter->event_fd < 0)
		syscall(SYS_futex, &waiter->is_woken, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	else if (real()->write(waiter->event_fd, &one, sizeof(one)) < 0)
		waiter->is_woken = 0;
}

int waiter_sleep_futex(struct waiter *self, uint64_t timeout_ns)
{
	struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / NS_PER_S),
				   .tv_nsec = (long)(timeout_ns % NS_PER_S)};

	return (int)syscall(SYS_futex, &self->is_woken, FUTEX_WAIT_PRIVATE, 0,
			    timeout_ns == UINT64_MAX ? NULL : &timeout, NULL, 0);
}

void waiter_forget(void)
{
	while (spare_count)
		real()->close(spare[--spare_count]);
	self_waiter = (struct waiter){.event_fd = -1};
}
