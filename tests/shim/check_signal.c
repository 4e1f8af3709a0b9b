// SPDX-License-Identifier: MIT
/*
 * Waits that a handler interrupts: signal(7), "Interruption of system calls and library functions by
 * signal handlers". A thread sends signals to the one that waits until the call has returned; where
 * the call is to begin again, it sends some, and then what the call waits for.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"

enum { SOME = 5, PAUSE_US = 20000, MANY = 200 };

static atomic_int handled;
static atomic_bool returned;

static void handle(int number)
{
	(void)number;
	handled++;
}

static void set_handler(int flags)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = flags};

	sigaction(SIGUSR1, &action, NULL);
	handled = 0;
	returned = false;
}

struct sender {
	pthread_t target, thread;
	char then[60]; /* told to the peer after some signals; may be "" */
};

static void *send_signals(void *argument)
{
	const struct sender *sender = argument;

	for (int i = 0; i < MANY && !returned; i++) {
		usleep(PAUSE_US);
		if (i == SOME && sender->then[0])
			peer("%s", sender->then);
		if (!returned && (i < SOME || !sender->then[0]))
			pthread_kill(sender->target, SIGUSR1);
	}
	return NULL;
}

static void begin(struct sender *sender, int flags, const char *then)
{
	set_handler(flags);
	sender->target = pthread_self();
	snprintf(sender->then, sizeof(sender->then), "%s", then);
	pthread_create(&sender->thread, NULL, send_signals, sender);
}

/* errno stays what the call has set. */
static void end(struct sender *sender, const char *what, long result)
{
	int error = errno;

	returned = true;
	pthread_join(sender->thread, NULL);
	errno = error;
	outcome(what, result);
	say("handled", "%s", handled ? "yes" : "no");
}

/* What begins again with SA_RESTART, and returns EINTR without. @then ends the wait. */
#define TRY_BOTH(what, then, call)                       \
	do {                                             \
		struct sender sender;                    \
		begin(&sender, 0, "");                   \
		end(&sender, what, call);                \
		begin(&sender, SA_RESTART, then);        \
		end(&sender, what ", SA_RESTART", call); \
	} while (0)

/* What returns EINTR with either. */
#define TRY_EITHER(what, call)                           \
	do {                                             \
		struct sender sender;                    \
		begin(&sender, 0, "");                   \
		end(&sender, what, call);                \
		begin(&sender, SA_RESTART, "");          \
		end(&sender, what ", SA_RESTART", call); \
	} while (0)

static void receiving(const struct way *way)
{
	char text[20], then[40];
	struct iovec part = {text, 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	int slot, fd = stream(way, &slot);

	snprintf(then, sizeof(then), "say %d x", slot);
	TRY_BOTH("read", then, read(fd, text, 1));
	TRY_BOTH("recv", then, recv(fd, text, 1, 0));
	TRY_BOTH("recvfrom", then, recvfrom(fd, text, 1, 0, NULL, NULL));
	TRY_BOTH("readv", then, readv(fd, &part, 1));
	TRY_BOTH("recvmsg", then, recvmsg(fd, &message, 0));
	TRY_BOTH("peek", then, recv(fd, text, 1, MSG_PEEK));
	outcome("recv", recv(fd, text, 1, 0));
	close(fd);
}

/* With a timeout of its own a call is never begun again. */
static void receiving_with_timeout(const struct way *way)
{
	struct timeval long_time = {.tv_sec = 10};
	int slot, fd = stream(way, &slot);
	char text[8];

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &long_time, sizeof(long_time));
	TRY_EITHER("recv", recv(fd, text, 1, 0));
	close(fd);
	fd = listener(way->family, 1, NULL);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &long_time, sizeof(long_time));
	TRY_EITHER("accept", accept(fd, NULL, NULL));
	close(fd);
}

/* What has been received already is returned. */
static void receiving_some(const struct way *way)
{
	struct sender sender;
	char text[20];
	int slot, fd = stream(way, &slot);

	peer("say %d hel", slot);
	wait_for(fd, POLLIN);
	begin(&sender, 0, "");
	end(&sender, "wait for all", recv(fd, text, 5, MSG_WAITALL));
	close(fd);
}

static void sending(const struct way *way)
{
	struct sender sender;
	static char data[1 << 20];
	int slot, fd = stream(way, &slot);

	fill(fd);
	begin(&sender, 0, "");
	end(&sender, "send", send(fd, data, 1 << 20, 0));
	begin(&sender, 0, "");
	end(&sender, "write", write(fd, data, 1 << 20));
	close(fd);
}

static void accepting(const struct way *way)
{
	uint16_t port;
	int listening = listener(way->family, 4, &port);
	char then[40];

	snprintf(then, sizeof(then), "connect %d %d", way->family == AF_INET ? 4 : 6, port);
	TRY_BOTH("accept", then, accept(listening, NULL, NULL) < 0 ? -1 : 0);
	TRY_BOTH("accept4", then, accept4(listening, NULL, NULL, SOCK_CLOEXEC) < 0 ? -1 : 0);
	close(listening);
}

static void polling(const struct way *way)
{
	int slot, fd = stream(way, &slot), epoll = epoll_create1(0);
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	struct epoll_event event = {.events = EPOLLIN};
	fd_set set;

	must("add", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	TRY_EITHER("poll", poll(&poll_fd, 1, 10000));
	TRY_EITHER("poll without a limit", poll(&poll_fd, 1, -1));
	TRY_EITHER("ppoll", ppoll(&poll_fd, 1, NULL, NULL));
	TRY_EITHER("epoll_wait", epoll_wait(epoll, &event, 1, 10000));
	TRY_EITHER("epoll_wait without a limit", epoll_wait(epoll, &event, 1, -1));
	TRY_EITHER("epoll_pwait", epoll_pwait(epoll, &event, 1, -1, NULL));
	TRY_EITHER("epoll_pwait2", epoll_pwait2(epoll, &event, 1, NULL, NULL));
	FD_ZERO(&set);
	FD_SET(fd, &set);
	TRY_EITHER("select", select(fd + 1, &set, NULL, NULL, NULL));
	FD_SET(fd, &set);
	TRY_EITHER("pselect", pselect(fd + 1, &set, NULL, NULL, NULL, NULL));
	close(epoll);
	close(fd);
}

/* A signal that is pending is let in by the mask of the call, which is what these are for. */
static void masks(const struct way *way)
{
	int slot, fd = stream(way, &slot), epoll = epoll_create1(0);
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	struct epoll_event event = {.events = EPOLLIN};
	sigset_t blocked, before;
	fd_set set;

	set_handler(0);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &blocked, &before);
	must("add", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	for (int i = 0; i < 3; i++) {
		FD_ZERO(&set);
		FD_SET(fd, &set);
		pthread_kill(pthread_self(), SIGUSR1);
		say("pending", "%d", handled);
		if (i == 0)
			outcome("ppoll", ppoll(&poll_fd, 1, NULL, &before));
		else if (i == 1)
			outcome("pselect", pselect(fd + 1, &set, NULL, NULL, NULL, &before));
		else
			outcome("epoll_pwait", epoll_pwait(epoll, &event, 1, WAIT_MS, &before));
		say("handled", "%d", handled);
	}
	/* And kept out by it. */
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	struct sender sender;
	begin(&sender, 0, "");
	int ready = epoll_pwait(epoll, &event, 1, 200, &blocked);
	end(&sender, "kept out", ready);
	close(epoll);
	close(fd);
}

/* A handler that uses sockets itself, as some programs have it. */
static int handler_fd;

static void handle_by_sending(int number)
{
	int error = errno;

	handled += send(handler_fd, "x", 1, MSG_DONTWAIT) == 1 && number == SIGUSR1;
	errno = error;
}

static void sending_in_a_handler(const struct way *way)
{
	struct sigaction action = {.sa_handler = handle_by_sending};
	struct sender sender;
	int slot, fd = stream(way, &slot);
	char text[8];

	handler_fd = fd;
	begin(&sender, 0, "");
	sigaction(SIGUSR1, &action, NULL);
	long got = recv(fd, text, 1, 0);
	int error = errno;
	returned = true;
	pthread_join(sender.thread, NULL);
	errno = error;
	outcome("recv", got);
	say("sent", "%d", handled > 0);
	say_peer("text", "hear %d 1", slot);
	close(fd);
}

const struct check signal_checks[] = {
	{"signals, receiving", receiving, EACH_WAY},
	{"signals, receiving with a timeout", receiving_with_timeout, EACH_FAMILY},
	{"signals, receiving some", receiving_some, EACH_FAMILY},
	{"signals, sending", sending, EACH_FAMILY},
	{"signals, accepting", accepting, EACH_FAMILY},
	{"signals, polling", polling, EACH_FAMILY},
	{"signals, masks", masks, EACH_FAMILY},
	{"signals, sending in a handler", sending_in_a_handler, EACH_FAMILY},
	{NULL, NULL, 0},
};
