/* SPDX-License-Identifier: MIT */
#include "waiter.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "places.h"
#include "real.h"

#define SPARE_MAX 8u
#define NS_PER_S UINT64_C(1000000000)
/* Between two looks whether who has woken a thread has told it by now. */
#define TOLD_LOOK_NS 10000

static _Thread_local struct waiter self_waiter = {.event_fd = -1};

/* Those that nobody has at the moment. */
static int spare[SPARE_MAX];
static unsigned int spare_count;
static struct wakings woken; /* and not told yet */
static uint64_t wakes;

struct waiter *waiter_self(void)
{
	return &self_waiter;
}

bool waiter_lend(struct waiter *self)
{
	self->event_fd = spare_count ? spare[--spare_count]
				     : places_move(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	return self->event_fd >= 0;
}

/* A descriptor that is still to be written to must not be another's. Return: whether it is empty. */
static bool wait_to_be_told(int event_fd)
{
	const struct timespec nap = {.tv_nsec = TOLD_LOOK_NS};
	uint64_t events;

	while (real()->read(event_fd, &events, sizeof(events)) < 0) {
		if (errno != EAGAIN)
			return false;
		nanosleep(&nap, NULL);
	}
	return true;
}

void waiter_give_back(struct waiter *self)
{
	int fd = self->event_fd;

	self->event_fd = -1;
	if (fd < 0)
		return;
	if ((!self->is_woken || wait_to_be_told(fd)) && spare_count < SPARE_MAX)
		spare[spare_count++] = fd;
	else
		real()->close(fd);
}

static void tell(const struct waking *waking)
{
	const uint64_t one = 1;

	if (waking->event_fd < 0)
		syscall(SYS_futex, waking->futex, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	else
		while (real()->write(waking->event_fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
}

void waiter_wake(struct waiter *waiter)
{
	struct waking waking = {.event_fd = waiter->event_fd, .futex = &waiter->is_woken};

	if (!waiter->sleeps || waiter->is_woken)
		return;
	__atomic_store_n(&waiter->is_woken, 1, __ATOMIC_RELEASE);
	wakes++;
	if (woken.count < WAKINGS_MAX)
		woken.all[woken.count++] = waking;
	else
		tell(&waking);
}

uint64_t waiter_wakes(void)
{
	return wakes;
}

void wakings_take(struct wakings *wakings)
{
	wakings->count = woken.count;
	for (unsigned int i = 0; i < woken.count; i++)
		wakings->all[i] = woken.all[i];
	woken.count = 0;
}

void wakings_tell(const struct wakings *wakings)
{
	for (unsigned int i = 0; i < wakings->count; i++)
		tell(&wakings->all[i]);
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
	woken.count = 0;
}
