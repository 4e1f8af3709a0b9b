/* SPDX-License-Identifier: MIT */
/* signal(7): what a handler does to calls that wait. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"

static volatile sig_atomic_t handled;

static void on_signal(int number)
{
	(void)number;
	handled++;
}

static void handle(int flags)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};

	handled = 0;
	must("sigaction", sigaction(SIGUSR1, &action, NULL));
}

/* A signal to this thread in a moment; @slot: and then the peer says something. */
struct alarm {
	pthread_t target, thread;
	int slot;
	unsigned int after_ms;
};

static void *ring(void *argument)
{
	struct alarm *alarm = argument;

	usleep(alarm->after_ms * 1000);
	pthread_kill(alarm->target, SIGUSR1);
	if (alarm->slot >= 0) {
		usleep(60000);
		peer("say %d hello", alarm->slot);
	}
	return NULL;
}

static void set(struct alarm *alarm, int slot)
{
	alarm->target = pthread_self();
	alarm->slot = slot;
	alarm->after_ms = 60;
	must("thread", -pthread_create(&alarm->thread, NULL, ring, alarm));
}

static void done(struct alarm *alarm)
{
	pthread_join(alarm->thread, NULL);
	say("handled", "%d", (int)handled);
	handled = 0;
}

static void interrupted(const struct way *way, int flags)
{
	int slot, fd = stream(way, &slot);
	struct alarm alarm;
	char text[8];

	handle(flags);
	set(&alarm, slot);
	outcome("read", read(fd, text, sizeof(text)));
	done(&alarm);
	if (!(flags & SA_RESTART)) {
		wait_for(fd, POLLIN);
		outcome("read again", read(fd, text, sizeof(text)));
	}
	set(&alarm, slot);
	outcome("recv", recv(fd, text, sizeof(text), 0));
	done(&alarm);
	close(fd);
}

static void without_restart(const struct way *way)
{
	interrupted(way, 0);
}

static void with_restart(const struct way *way)
{
	interrupted(way, SA_RESTART);
}

/* Calls with a time limit never go on. */
static void time_limits(const struct way *way)
{
	int slot, fd = stream(way, &slot), epoll = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN};
	struct timeval limit = {.tv_sec = 3};
	struct pollfd set_of_one = {.fd = fd, .events = POLLIN};
	struct alarm alarm;
	fd_set in;
	char text[4];

	must("add", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	handle(SA_RESTART);
	set(&alarm, -1);
	outcome("epoll_wait", epoll_wait(epoll, &event, 1, WAIT_MS));
	done(&alarm);
	set(&alarm, -1);
	outcome("epoll_wait for ever", epoll_wait(epoll, &event, 1, -1));
	done(&alarm);
	set(&alarm, -1);
	outcome("poll", poll(&set_of_one, 1, WAIT_MS));
	done(&alarm);
	FD_ZERO(&in);
	FD_SET(fd, &in);
	set(&alarm, -1);
	outcome("select", select(fd + 1, &in, NULL, NULL, &limit));
	done(&alarm);
	must("SO_RCVTIMEO", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	set(&alarm, -1);
	outcome("recv with a limit", recv(fd, text, sizeof(text), 0));
	done(&alarm);
	close(epoll);
	close(fd);
}

static void accepting(const struct way *way)
{
	int fd = listener(way->family, 4, NULL);
	struct alarm alarm;

	handle(0);
	set(&alarm, -1);
	outcome("accept", accept(fd, NULL, NULL));
	done(&alarm);
	close(fd);
}

/* With the mask of the call, and only while it waits. */
static void masks(const struct way *way)
{
	int slot, fd = stream(way, &slot), epoll = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN};
	struct pollfd set_of_one = {.fd = fd, .events = POLLIN};
	struct timespec limit = {.tv_sec = 3}, brief = {.tv_nsec = 50000000};
	sigset_t usr1, none;

	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	must("add", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	handle(0);
	must("sigprocmask", sigprocmask(SIG_BLOCK, &usr1, NULL));
	raise(SIGUSR1);
	outcome("blocked", epoll_wait(epoll, &event, 1, 50));
	say("handled", "%d", (int)handled);
	outcome("epoll_pwait", epoll_pwait(epoll, &event, 1, WAIT_MS, &none));
	say("handled", "%d", (int)handled);
	raise(SIGUSR1);
	outcome("ppoll", ppoll(&set_of_one, 1, &limit, &none));
	say("handled", "%d", (int)handled);
	raise(SIGUSR1);
	outcome("still blocked", ppoll(&set_of_one, 1, &brief, NULL));
	say("handled", "%d", (int)handled);
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
	say("handled", "%d", (int)handled);
	close(epoll);
	close(fd);
}

/* A write that has sent a part says how much. */
static void writing(const struct way *way)
{
	static char much[16 << 20];
	int slot, fd = stream(way, &slot);
	struct alarm alarm;
	ssize_t sent;

	handle(0);
	set(&alarm, -1);
	sent = write(fd, much, sizeof(much));
	say("write", "%s", sent > 0 && sent < (ssize_t)sizeof(much) ? "a part" : "not a part");
	done(&alarm);
	set(&alarm, -1);
	outcome("write when it is full", write(fd, much, sizeof(much)) > 0 ? 1 : -1);
	done(&alarm);
	close(fd);
}

static void broken_pipe(const struct way *way)
{
	struct sigaction action = {.sa_handler = on_signal};
	int slot, fd = stream(way, &slot);

	handled = 0;
	must("sigaction", sigaction(SIGPIPE, &action, NULL));
	must("shutdown", shutdown(fd, SHUT_WR));
	outcome("write", write(fd, "x", 1));
	say("SIGPIPE", "%d", (int)handled);
	outcome("send", send(fd, "x", 1, MSG_NOSIGNAL));
	say("SIGPIPE", "%d", (int)handled);
	signal(SIGPIPE, SIG_IGN);
	close(fd);
}

const struct check signal_checks[] = {
	{"interrupted", without_restart, EACH_WAY},
	{"restarted", with_restart, EACH_WAY},
	{"interrupted with a limit", time_limits, EACH_FAMILY},
	{"interrupted accept", accepting, EACH_FAMILY},
	{"masks of signals", masks, EACH_FAMILY},
	{"interrupted write", writing, EACH_FAMILY},
	{"broken pipe", broken_pipe, EACH_WAY},
	{NULL, NULL, 0},
};
