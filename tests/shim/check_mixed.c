// SPDX-License-Identifier: MIT
/*
 * Waits for sockets and for what is the kernel's at the same time. Either must end a wait that is
 * under way, so a thread or the peer does its part while the call waits.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "check.h"

enum { SOCKET, PIPE, EVENT, TIMER, SIGNALS, KINDS };

static const char *const kind_names[KINDS] = {"socket", "pipe", "eventfd", "timerfd", "signalfd"};

struct mixture {
	int fds[KINDS];
	int slot;     /* of the socket's peer */
	int pipe_end; /* to write to */
};

static struct mixture mix(const struct way *way)
{
	struct mixture mixture;
	int ends[2];
	sigset_t signals;

	mixture.fds[SOCKET] = stream(way, &mixture.slot);
	must("pipe", pipe(ends));
	mixture.fds[PIPE] = ends[0];
	mixture.pipe_end = ends[1];
	mixture.fds[EVENT] = (int)must("eventfd", eventfd(0, EFD_NONBLOCK));
	mixture.fds[TIMER] = (int)must("timerfd", timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR2);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	mixture.fds[SIGNALS] = (int)must("signalfd", signalfd(-1, &signals, SFD_NONBLOCK));
	return mixture;
}

static void unmix(const struct mixture *mixture)
{
	struct signalfd_siginfo pending;

	while (read(mixture->fds[SIGNALS], &pending, sizeof(pending)) > 0)
		;
	for (int i = 0; i < KINDS; i++)
		close(mixture->fds[i]);
	close(mixture->pipe_end);
}

static void make_ready(const struct mixture *mixture, int kind)
{
	struct itimerspec soon = {.it_value.tv_nsec = 1};

	switch (kind) {
	case SOCKET:
		peer("say %d x", mixture->slot);
		break;
	case PIPE:
		must("write", write(mixture->pipe_end, "x", 1));
		break;
	case EVENT:
		must("eventfd_write", eventfd_write(mixture->fds[EVENT], 1));
		break;
	case TIMER:
		must("timerfd_settime", timerfd_settime(mixture->fds[TIMER], 0, &soon, NULL));
		break;
	default:
		must("kill", kill(getpid(), SIGUSR2));
	}
}

static void take(const struct mixture *mixture, int kind)
{
	char bytes[sizeof(struct signalfd_siginfo)];

	must("read",
	     read(mixture->fds[kind], bytes, kind == SOCKET || kind == PIPE ? 1 : sizeof(bytes)));
}

struct later {
	const struct mixture *mixture;
	int kind;
};

static void *make_ready_later(void *argument)
{
	const struct later *later = argument;

	usleep(30000);
	make_ready(later->mixture, later->kind);
	return NULL;
}

/* wait(mixture, timeout_ms) returns the kind that is ready, or -1 */
typedef int wait_for_any(const struct mixture *mixture, int timeout_ms);

static int wait_by_poll(const struct mixture *mixture, int timeout_ms)
{
	struct pollfd fds[KINDS];

	for (int i = 0; i < KINDS; i++)
		fds[i] = (struct pollfd){.fd = mixture->fds[i], .events = POLLIN};
	if (poll(fds, KINDS, timeout_ms) != 1)
		return -1;
	for (int i = 0; i < KINDS; i++)
		if (fds[i].revents & POLLIN)
			return i;
	return -1;
}

static int wait_by_select(const struct mixture *mixture, int timeout_ms)
{
	struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
	fd_set set;

	FD_ZERO(&set);
	for (int i = 0; i < KINDS; i++)
		FD_SET(mixture->fds[i], &set);
	if (select(64, &set, NULL, NULL, &timeout) != 1)
		return -1;
	for (int i = 0; i < KINDS; i++)
		if (FD_ISSET(mixture->fds[i], &set))
			return i;
	return -1;
}

static int wait_by_epoll(const struct mixture *mixture, int timeout_ms)
{
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = (int)must("epoll_create1", epoll_create1(0));

	for (int i = 0; i < KINDS; i++) {
		event.data.u32 = (uint32_t)i;
		must("add", epoll_ctl(epoll, EPOLL_CTL_ADD, mixture->fds[i], &event));
	}
	int count = epoll_wait(epoll, &event, 1, timeout_ms);
	close(epoll);
	return count == 1 ? (int)event.data.u32 : -1;
}

static void wait_for_each(const struct way *way, wait_for_any *wait)
{
	struct mixture mixture = mix(way);

	say("idle", "%d", wait(&mixture, 0));
	for (int kind = 0; kind < KINDS; kind++) {
		struct later later = {&mixture, kind};
		pthread_t thread;
		make_ready(&mixture, kind);
		int ready = wait(&mixture, WAIT_MS);
		say("ready", "%s", ready < 0 ? "none" : kind_names[ready]);
		take(&mixture, kind);
		say("idle", "%d", wait(&mixture, 0));
		pthread_create(&thread, NULL, make_ready_later, &later);
		ready = wait(&mixture, WAIT_MS);
		say("ready later", "%s", ready < 0 ? "none" : kind_names[ready]);
		pthread_join(thread, NULL);
		take(&mixture, kind);
	}
	unmix(&mixture);
}

static void polled(const struct way *way)
{
	wait_for_each(way, wait_by_poll);
}

static void selected(const struct way *way)
{
	wait_for_each(way, wait_by_select);
}

static void epolled(const struct way *way)
{
	wait_for_each(way, wait_by_epoll);
}

/* All at once, level and edge. */
static void together(const struct way *way)
{
	struct mixture mixture = mix(way);
	struct epoll_event events[KINDS];
	int level = epoll_create1(0), edge = epoll_create1(0), count = 0;

	for (int i = 0; i < KINDS; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
		must("add", epoll_ctl(level, EPOLL_CTL_ADD, mixture.fds[i], &event));
		event.events |= EPOLLET;
		must("add", epoll_ctl(edge, EPOLL_CTL_ADD, mixture.fds[i], &event));
		make_ready(&mixture, i);
		wait_for(mixture.fds[i], POLLIN);
	}
	outcome("level", epoll_wait(level, events, KINDS, 0));
	outcome("again", epoll_wait(level, events, KINDS, 0));
	outcome("edge", epoll_wait(edge, events, KINDS, 0));
	outcome("once", epoll_wait(edge, events, KINDS, 0));
	/* Room for one at a time, each in its turn. */
	unsigned seen = 0;
	for (int i = 0; i < 2 * KINDS; i++) {
		count += epoll_wait(level, events, 1, 0);
		seen |= 1u << events[0].data.u32;
	}
	say("one at a time", "%d, all seen: %d", count, seen == (1 << KINDS) - 1);
	close(level);
	close(edge);
	unmix(&mixture);
}

/* A set of the kernel's descriptors alone, and a set in a set. */
static void nested(const struct way *way)
{
	struct mixture mixture = mix(way);
	int inner = epoll_create1(0), outer = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN};
	struct later later = {&mixture, SOCKET};
	pthread_t thread;

	must("add", epoll_ctl(inner, EPOLL_CTL_ADD, mixture.fds[EVENT], &event));
	must("add", epoll_ctl(inner, EPOLL_CTL_ADD, mixture.fds[SOCKET], &event));
	must("add", epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event));
	outcome("idle", epoll_wait(outer, &event, 1, 0));
	make_ready(&mixture, EVENT);
	outcome("eventfd", epoll_wait(outer, &event, 1, WAIT_MS));
	take(&mixture, EVENT);
	outcome("idle", epoll_wait(outer, &event, 1, 0));
	pthread_create(&thread, NULL, make_ready_later, &later);
	outcome("socket later", epoll_wait(outer, &event, 1, WAIT_MS));
	pthread_join(thread, NULL);
	say_events("poll", outer, POLLIN);
	close(inner);
	close(outer);
	unmix(&mixture);
}

const struct check mixed_checks[] = {
	{"mixed, polled", polled, EACH_WAY},   {"mixed, selected", selected, EACH_WAY},
	{"mixed, epolled", epolled, EACH_WAY}, {"mixed, together", together, EACH_WAY},
	{"mixed, nested", nested, EACH_WAY},   {NULL, NULL, 0},
};
