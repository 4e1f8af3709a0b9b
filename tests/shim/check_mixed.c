/* SPDX-License-Identifier: MIT */
/* Sets that hold sockets and what is always the kernel's. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "check.h"

enum { PIPE_IN, PIPE_OUT, EVENT, TIMER, SIGNAL, SOCKET, ALL };

static const char *const names[ALL] = {"pipe", "pipe's end", "eventfd", "timerfd", "signalfd",
				       "socket"};

static void open_all(const struct way *way, int fds[ALL], int *slot)
{
	sigset_t usr2;

	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	sigprocmask(SIG_BLOCK, &usr2, NULL);
	must("pipe", pipe(fds));
	fds[EVENT] = (int)must("eventfd", eventfd(0, EFD_NONBLOCK));
	fds[TIMER] = (int)must("timerfd", timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	fds[SIGNAL] = (int)must("signalfd", signalfd(-1, &usr2, SFD_NONBLOCK));
	fds[SOCKET] = stream(way, slot);
}

static void close_all(const int fds[ALL])
{
	for (int i = 0; i < ALL; i++)
		close(fds[i]);
}

/* Make one of them ready to be read. */
static void make_ready(const int fds[ALL], int which, int slot)
{
	struct itimerspec soon = {.it_value = {.tv_nsec = 1000000}};
	uint64_t one = 1;

	if (which == PIPE_IN)
		must("write", write(fds[PIPE_OUT], "x", 1));
	else if (which == EVENT)
		must("write", write(fds[EVENT], &one, sizeof(one)));
	else if (which == TIMER)
		must("timer", timerfd_settime(fds[TIMER], 0, &soon, NULL));
	else if (which == SIGNAL)
		must("kill", kill(getpid(), SIGUSR2));
	else
		peer("say %d hello", slot);
}

static void drain(int fd)
{
	char data[256];

	must("read", read(fd, data, sizeof(data)));
}

static void with_poll(const struct way *way)
{
	struct pollfd set[ALL];
	int fds[ALL], slot;

	open_all(way, fds, &slot);
	for (int i = 0; i < ALL; i++)
		set[i] = (struct pollfd){.fd = fds[i], .events = i == PIPE_OUT ? 0 : POLLIN};
	outcome("idle", poll(set, ALL, 10));
	for (int i = 0; i < ALL; i++) {
		if (i == PIPE_OUT)
			continue;
		make_ready(fds, i, slot);
		outcome(names[i], poll(set, ALL, WAIT_MS));
		say("which", "%s", poll_names(set[i].revents));
		drain(fds[i]);
	}
	outcome("idle again", poll(set, ALL, 0));
	set[0].fd = -1;
	set[1].fd = 1 << 19;
	outcome("one that is closed", poll(set, ALL, WAIT_MS));
	say("which", "%s %s", poll_names(set[0].revents), poll_names(set[1].revents));
	close_all(fds);
}

static void with_select(const struct way *way)
{
	int fds[ALL], slot, limit = 0;

	open_all(way, fds, &slot);
	for (int i = 0; i < ALL; i++)
		limit = fds[i] >= limit ? fds[i] + 1 : limit;
	for (int i = 0; i < ALL; i++) {
		struct timeval timeout = {.tv_sec = WAIT_MS / 1000};
		fd_set in, out;

		if (i == PIPE_OUT)
			continue;
		FD_ZERO(&in);
		FD_ZERO(&out);
		for (int j = 0; j < ALL; j++)
			if (j != PIPE_OUT)
				FD_SET(fds[j], &in);
		make_ready(fds, i, slot);
		outcome(names[i], select(limit, &in, &out, NULL, &timeout));
		say("it", "%s", FD_ISSET(fds[i], &in) ? "is in" : "is not in");
		FD_SET(fds[PIPE_OUT], &out);
		FD_SET(fds[SOCKET], &out);
		FD_ZERO(&in);
		outcome("to write", select(limit, &in, &out, NULL, &timeout));
		drain(fds[i]);
	}
	close_all(fds);
}

static void with_epoll(const struct way *way)
{
	int fds[ALL], slot, epoll = (int)must("epoll_create1", epoll_create1(0));
	struct epoll_event event;

	open_all(way, fds, &slot);
	for (int i = 0; i < ALL; i++) {
		event = (struct epoll_event){.events = EPOLLIN, .data.u32 = (uint32_t)i};
		if (i != PIPE_OUT)
			must("add", epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event));
	}
	outcome("idle", epoll_wait(epoll, &event, 1, 10));
	for (int i = 0; i < ALL; i++) {
		if (i == PIPE_OUT)
			continue;
		make_ready(fds, i, slot);
		outcome(names[i], epoll_wait(epoll, &event, 1, WAIT_MS));
		say("which", "%s %s", names[event.data.u32], epoll_names(event.events));
		drain(fds[i]);
	}
	outcome("idle again", epoll_wait(epoll, &event, 1, 0));
	close(epoll);
	close_all(fds);
}

/* While the sockets always have something, the pipe's turn comes too. */
static void nobody_starves(const struct way *way)
{
	int fds[ALL], slot, seen = 0, epoll = (int)must("epoll_create1", epoll_create1(0));
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = SOCKET};
	int64_t end = now_ms() + WAIT_MS;

	open_all(way, fds, &slot);
	must("add", epoll_ctl(epoll, EPOLL_CTL_ADD, fds[SOCKET], &event));
	event.data.u32 = PIPE_IN;
	must("add", epoll_ctl(epoll, EPOLL_CTL_ADD, fds[PIPE_IN], &event));
	make_ready(fds, SOCKET, slot);
	wait_for(fds[SOCKET], POLLIN);
	make_ready(fds, PIPE_IN, slot);
	while (!seen && now_ms() < end)
		seen = epoll_wait(epoll, &event, 1, -1) == 1 && event.data.u32 == PIPE_IN;
	say("the pipe", "%s", seen ? "had its turn" : "starved");
	close(epoll);
	close_all(fds);
}

static void in_another(const struct way *way)
{
	int slot, fd = stream(way, &slot), ends[2];
	int inner = (int)must("epoll_create1", epoll_create1(0)), outer = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = 1};

	must("pipe", pipe(ends));
	must("add", epoll_ctl(inner, EPOLL_CTL_ADD, fd, &event));
	must("add", epoll_ctl(inner, EPOLL_CTL_ADD, ends[0], &event));
	must("add", epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event));
	outcome("idle", epoll_wait(outer, &event, 1, 10));
	say_events("inner", inner, POLLIN);
	peer("say %d hello", slot);
	outcome("socket", epoll_wait(outer, &event, 1, WAIT_MS));
	say_events("inner", inner, POLLIN);
	outcome("inner", epoll_wait(inner, &event, 1, 0));
	say_text("text", fd);
	outcome("idle again", epoll_wait(outer, &event, 1, 0));
	must("write", write(ends[1], "x", 1));
	outcome("pipe", epoll_wait(outer, &event, 1, WAIT_MS));
	drain(ends[0]);
	outcome("a circle", epoll_ctl(inner, EPOLL_CTL_ADD, outer, &event));
	close(inner);
	outcome("the inner is closed", epoll_wait(outer, &event, 1, 10));
	close(outer);
	close(ends[0]);
	close(ends[1]);
	close(fd);
}

const struct check mixed_checks[] = {
	{"poll of both", with_poll, EACH_WAY},
	{"select of both", with_select, EACH_WAY},
	{"epoll of both", with_epoll, EACH_WAY},
	{"nobody starves", nobody_starves, EACH_WAY},
	{"a set in a set", in_another, EACH_WAY},
	{NULL, NULL, 0},
};
