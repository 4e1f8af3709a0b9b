/* SPDX-License-Identifier: MIT */
#include "base/bell.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- Fork: the descriptors are the parent's ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct bell *bells; /* all of the process; under the lock */

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

static void after_fork_in_child(void)
{
	for (struct bell *bell = bells; bell; bell = bell->next) {
		close(bell->fd);
		bell->fd = -1;
	}
	bells = NULL;
	pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void bell_watch_forks(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, watch_forks);
}

static void enter(struct bell *bell)
{
	bell_watch_forks();
	pthread_mutex_lock(&lock);
	bell->next = bells;
	if (bells)
		bells->previous = bell;
	bells = bell;
	pthread_mutex_unlock(&lock);
}

static void take_out(struct bell *bell)
{
	pthread_mutex_lock(&lock);
	if (bell->previous)
		bell->previous->next = bell->next;
	else
		bells = bell->next;
	if (bell->next)
		bell->next->previous = bell->previous;
	pthread_mutex_unlock(&lock);
}

/* ---- Birth and death ---- */

int bell_create(struct bell **bell_out)
{
	struct bell *bell = aligned_alloc(_Alignof(struct bell), sizeof(*bell));

	if (!bell)
		return -ENOMEM;
	*bell = (struct bell){.holders = 1, .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	if (bell->fd < 0) {
		int error = -errno;

		free(bell);
		return error;
	}
	enter(bell);
	*bell_out = bell;
	return 0;
}

void bell_hold(struct bell *bell)
{
	__atomic_fetch_add(&bell->holders, 1, __ATOMIC_RELAXED);
}

void bell_drop(struct bell *bell)
{
	if (__atomic_sub_fetch(&bell->holders, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	/* That of a parent is not in the list. */
	if (bell->fd >= 0) {
		take_out(bell);
		close(bell->fd);
	}
	free(bell);
}

/* ---- Ringing ---- */

void bell_wake(struct bell *bell)
{
	uint64_t rings;

	__atomic_store_n(&bell->is_awaited, 0, __ATOMIC_SEQ_CST);
	/*
	 * Always: it may be readable though nobody is late, when a ringer of the last time has
	 * written after our look. An empty one is EAGAIN.
	 */
	while (read(bell->fd, &rings, sizeof(rings)) < 0 && errno == EINTR)
		;
}

void bell_ring_awaited(struct bell *bell)
{
	const uint64_t once = 1;

	/* Of many who ring one makes the system call. */
	if (!__atomic_exchange_n(&bell->is_awaited, 0, __ATOMIC_SEQ_CST))
		return;
	while (write(bell->fd, &once, sizeof(once)) < 0 && errno == EINTR)
		;
}
