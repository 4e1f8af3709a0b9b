/* SPDX-License-Identifier: MIT */
#include "waiter.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"
#include "file.h"
#include "handler.h"
#include "places.h"
#include "real.h"

#define SPARE_MAX 8u
/* Between two looks whether who has woken a thread has told it by now. */
#define TOLD_LOOK_NS 10000

/* Enough for all but poll(2) of many. */
#define WATCHES_FEW 4u

static struct waiter *free_waiters;
/* Those that nobody has at the moment. */
static int spare[SPARE_MAX];
static unsigned int spare_count;
static struct wakings woken; /* and not told yet */
static uint64_t wakes;

static bool reserve(struct waiter *waiter, uint32_t watches)
{
	struct watch *grown;

	if (watches < WATCHES_FEW)
		watches = WATCHES_FEW;
	if (watches <= waiter->watches_max)
		return true;
	grown = realloc(waiter->watches, watches * sizeof(*grown));
	if (!grown)
		return false;
	waiter->watches = grown;
	waiter->watches_max = watches;
	return true;
}

static struct waiter *waiter_new(uint32_t watches)
{
	struct waiter *waiter = free_waiters;

	if (waiter)
		free_waiters = waiter->next;
	else
		waiter = calloc(1, sizeof(*waiter));
	if (waiter && !reserve(waiter, watches)) {
		waiter->next = free_waiters;
		free_waiters = waiter;
		return NULL;
	}
	return waiter;
}

/* A thread that ends in a wait, or has jumped out of one: undo it. */
static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

static void at_exit(void *self)
{
	(void)self;
	handlers.has_exit = false;
	handlers.depth = 0;
	if (handlers.waiter) {
		engine_lock();
		engine_unlock();
	}
}

static void make_key(void)
{
	pthread_key_create(&exit_key, at_exit);
}

struct waiter *waiter_begin(uint32_t watches)
{
	struct waiter *waiter = waiter_new(watches);

	if (!waiter)
		return NULL;
	if (!handlers.has_exit) {
		pthread_once(&exit_once, make_key);
		handlers.has_exit = pthread_setspecific(exit_key, &handlers) == 0;
	}
	waiter->link = NULL;
	waiter->event_fd = -1;
	waiter->sleeps = false;
	waiter->is_woken = 0;
	waiter->watch_count = 0;
	waiter->depth = handlers_depth();
	waiter->outer = handlers.waiter;
	handlers.waiter = waiter;
	return waiter;
}

void waiter_watch(struct waiter *waiter, struct file *file)
{
	struct watch *watch = &waiter->watches[waiter->watch_count++];

	*watch = (struct watch){.waiter = waiter};
	file_watch(watch, file);
}

/* Never given back: what has been woken last may still be told. */
void waiter_end(struct waiter *waiter)
{
	for (uint32_t i = 0; i < waiter->watch_count; i++)
		file_unwatch(&waiter->watches[i]);
	handlers.waiter = waiter->outer;
	waiter->next = free_waiters;
	free_waiters = waiter;
}

void waiter_stay_awake(struct waiter *waiter)
{
	if (waiter->sleeps && waiter->event_fd < 0)
		__atomic_store_n(&waiter->is_woken, 1, __ATOMIC_RELEASE);
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
		/* Not by libc's write, at which a thread may be cancelled. */
		while (syscall(SYS_write, waking->event_fd, &one, sizeof(one)) < 0 &&
		       errno == EINTR)
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
	free_waiters = NULL;
	/* Those that the fork was made in, by a handler. */
	for (struct waiter *waiter = handlers.waiter; waiter; waiter = waiter->outer) {
		waiter->link = NULL;
		waiter->event_fd = -1;
	}
	woken.count = 0;
}
