// SPDX-License-Identifier: MIT
/*
 * Handlers that use sockets themselves, whatever they have interrupted; that are left by a jump; and
 * threads that are cancelled while they wait.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"

enum { TICK_US = 1000, TICKS = 150, CLOSES = 10, LOOK_US = 1000 };

static void set_handler(int number, void (*handler)(int number), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

	must("sigaction", sigaction(number, &action, NULL));
}

/* SIGALRM every millisecond, while this thread is as often as possible in the middle of a call. */
static void tick(bool on)
{
	struct itimerval timer = {.it_interval.tv_usec = on ? TICK_US : 0,
				  .it_value.tv_usec = on ? TICK_US : 0};

	setitimer(ITIMER_REAL, &timer, NULL);
}

static atomic_int ticks, good, wrong;
static int handler_fd = -1;

static void send_until_ticked(int fd, int count)
{
	static char data[4096];

	for (int end = ticks + count; ticks < end;)
		if (send(fd, data, sizeof(data), MSG_NOSIGNAL) < 0 && errno != EINTR)
			fail("sending meanwhile");
}

static void run_ticks(const struct way *way, void (*handler)(int number))
{
	int slot, other, fd = stream(way, &slot);

	handler_fd = stream(way, &other);
	peer("receiver %d", slot);
	peer("receiver %d", other);
	ticks = good = wrong = 0;
	set_handler(SIGALRM, handler, SA_RESTART);
	tick(true);
	send_until_ticked(fd, TICKS);
	tick(false);
	say("in the handler", "good %s, wrong %s", good ? "some" : "none", wrong ? "some" : "none");
	close(handler_fd);
	close(fd);
}

static void send_in_handler(int number)
{
	int error = errno;
	ssize_t sent = send(handler_fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)number;
	ticks++;
	if (sent == 1)
		good++;
	else if (errno != EAGAIN)
		wrong++;
	errno = error;
}

static void sends_while_busy(const struct way *way)
{
	run_ticks(way, send_in_handler);
}

static void ask_in_handler(int number)
{
	int error = errno, value;
	struct pollfd poll_fd = {.fd = handler_fd, .events = POLLOUT};
	socklen_t len = sizeof(value), name_len = sizeof(union address);
	union address name;

	(void)number;
	ticks++;
	if (poll(&poll_fd, 1, 0) == 1 && poll_fd.revents == POLLOUT &&
	    getsockopt(handler_fd, SOL_SOCKET, SO_ERROR, &value, &len) == 0 &&
	    getpeername(handler_fd, &name.any, &name_len) == 0)
		good++;
	else
		wrong++;
	errno = error;
}

static void asks_while_busy(const struct way *way)
{
	run_ticks(way, ask_in_handler);
}

static void close_in_handler(int number)
{
	int error = errno, fd = handler_fd;

	(void)number;
	handler_fd = -1;
	if (fd >= 0)
		close(fd);
	ticks++;
	errno = error;
}

static void closes_while_busy(const struct way *way)
{
	int slot, fd = stream(way, &slot);

	peer("receiver %d", slot);
	set_handler(SIGALRM, close_in_handler, SA_RESTART);
	for (int i = 0; i < CLOSES; i++) {
		int other, closed = stream(way, &other);

		handler_fd = closed;
		tick(true);
		send_until_ticked(fd, 2);
		tick(false);
		say_peer("the other end", "hear %d 1", other);
	}
	close(fd);
}

/* ---- Handlers that wait, and that do not return ---- */

static void wait_in_handler(int number)
{
	struct pollfd poll_fd = {.fd = handler_fd, .events = POLLIN};
	int error = errno;
	char byte;

	(void)number;
	ticks++;
	if (recv(handler_fd, &byte, 1, 0) == 1 && poll(&poll_fd, 1, 20) == 0)
		good++;
	errno = error;
}

/* The peer sends to the socket of the handler, then to that of the call that it interrupted. */
static void *send_to_both(void *argument)
{
	const int *slots = argument;

	while (!ticks)
		usleep(LOOK_US);
	peer("say %d x", slots[1]);
	while (!good)
		usleep(LOOK_US);
	peer("say %d y", slots[0]);
	return NULL;
}

static void waits_in_a_wait(const struct way *way)
{
	int slots[2], fd = stream(way, &slots[0]);
	struct itimerval once = {.it_value.tv_usec = 50 * TICK_US};
	pthread_t sender;
	char text[4];

	handler_fd = stream(way, &slots[1]);
	ticks = good = 0;
	set_handler(SIGALRM, wait_in_handler, SA_RESTART);
	/* Signals are for this thread alone: the other inherits that they are blocked. */
	sigset_t alarm_only, before;
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm_only, &before);
	pthread_create(&sender, NULL, send_to_both, slots);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	setitimer(ITIMER_REAL, &once, NULL);
	outcome("recv", recv(fd, text, sizeof(text), 0));
	pthread_join(sender, NULL);
	say("in the handler", "%d", good);
	close(handler_fd);
	close(fd);
}

static sigjmp_buf before_wait;

static void jump(int number)
{
	(void)number;
	siglongjmp(before_wait, 1);
}

static void wait_by(int how, int fd, int set)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	struct epoll_event event;
	fd_set in;
	char byte;

	FD_ZERO(&in);
	FD_SET(fd, &in);
	if (how == 0)
		recv(fd, &byte, 1, 0);
	else if (how == 1)
		poll(&poll_fd, 1, -1);
	else if (how == 2)
		epoll_wait(set, &event, 1, -1);
	else
		select(fd + 1, &in, NULL, NULL, NULL);
}

static void jumps_out_of_waits(const struct way *way)
{
	struct itimerval once = {.it_value.tv_usec = 50 * TICK_US};
	int slot, other, fd = stream(way, &slot), second = stream(way, &other);
	int set = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN};

	must("add", epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
	set_handler(SIGALRM, jump, 0);
	for (volatile int how = 0; how < 8; how++) {
		if (sigsetjmp(before_wait, 1) == 0) {
			setitimer(ITIMER_REAL, &once, NULL);
			wait_by(how % 4, fd, set);
			say("wait", "returned");
		}
		outcome("write afterwards", write(second, "x", 1));
	}
	peer("say %d hi", slot);
	wait_for(fd, POLLIN);
	say_text("text", fd);
	say_peer("the other", "hear %d 8", other);
	/* Nothing that was left behind holds it. */
	close(fd);
	say_peer("closed", "hear %d 1", slot);
	close(set);
	close(second);
}

/* ---- Threads that are cancelled ---- */

struct waiting {
	int how, fd, set;
	atomic_int thread_id; /* 0: it has not begun */
};

static void *wait_in_thread(void *argument)
{
	struct waiting *waiting = argument;

	waiting->thread_id = gettid();
	if (waiting->how == 4)
		accept(waiting->fd, NULL, NULL);
	else
		wait_by(waiting->how, waiting->fd, waiting->set);
	return NULL;
}

static void cancel_one(const char *what, struct waiting *waiting)
{
	pthread_t thread;
	void *result;

	waiting->thread_id = 0;
	pthread_create(&thread, NULL, wait_in_thread, waiting);
	await_sleep(&waiting->thread_id);
	must("pthread_cancel", -(pthread_cancel(thread) != 0));
	pthread_join(thread, &result);
	say(what, "%s", result == PTHREAD_CANCELED ? "cancelled" : "returned");
}

static void cancelled_in_waits(const struct way *way)
{
	static const char *const names[] = {"recv", "poll", "epoll_wait", "select"};
	uint16_t port;
	int slot, fd = stream(way, &slot), set = epoll_create1(0);
	int listening = listener(way->family, 8, &port);
	struct epoll_event event = {.events = EPOLLIN};
	struct waiting waiting = {.fd = fd, .set = set};

	must("add", epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
	for (waiting.how = 0; waiting.how < 4; waiting.how++)
		cancel_one(names[waiting.how], &waiting);
	waiting.fd = listening;
	cancel_one("accept", &waiting);
	peer("connect %d %d", way->family == AF_INET ? 4 : 6, port);
	wait_for(listening, POLLIN);
	peer("say %d hi", slot);
	wait_for(fd, POLLIN);
	say_text("text", fd);
	close(fd);
	say_peer("closed", "hear %d 1", slot);
	close(listening);
	close(set);
}

static void *wait_uncancelled(void *argument)
{
	struct waiting *waiting = argument;
	char byte = 0;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	waiting->thread_id = gettid();
	return (void *)recv(waiting->fd, &byte, 1, 0);
}

static void not_cancelled(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	struct waiting waiting = {.fd = fd};
	pthread_t thread;
	void *result;

	pthread_create(&thread, NULL, wait_uncancelled, &waiting);
	await_sleep(&waiting.thread_id);
	must("pthread_cancel", -(pthread_cancel(thread) != 0));
	peer("say %d x", slot);
	pthread_join(thread, &result);
	say("recv", "%ld", (long)result);
	close(fd);
}

/* ---- How handlers are set ---- */

static atomic_int by_first, by_second;

static void first(int number)
{
	(void)number;
	by_first++;
}

static void second(int number)
{
	(void)number;
	by_second++;
}

static const char *name_of(void (*handler)(int number))
{
	return handler == first     ? "first"
	       : handler == second  ? "second"
	       : handler == SIG_DFL ? "default"
	       : handler == SIG_IGN ? "ignore"
	       : handler == SIG_ERR ? "error"
				    : "another";
}

static void says_what_was_set(const struct way *way)
{
	struct sigaction action = {.sa_handler = first, .sa_flags = (int)SA_RESETHAND}, old;

	(void)way;
	say("signal", "%s", name_of(signal(SIGUSR1, first)));
	say("signal", "%s", name_of(signal(SIGUSR1, second)));
	sigaction(SIGUSR1, NULL, &old);
	say("sigaction", "%s, flags %#x", name_of(old.sa_handler),
	    (unsigned)(old.sa_flags & ~0x04000000));
	/* Deprecated, and called all the same. */
	_Pragma("GCC diagnostic push")
		_Pragma("GCC diagnostic ignored \"-Wdeprecated-declarations\"");
	siginterrupt(SIGUSR1, 1);
	_Pragma("GCC diagnostic pop");
	sigaction(SIGUSR1, &action, &old);
	say("after siginterrupt", "%s, flags %#x", name_of(old.sa_handler),
	    (unsigned)(old.sa_flags & ~0x04000000));
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &old);
	say("once", "%d times, then %s", by_first, name_of(old.sa_handler));
	say("sysv_signal", "%s", name_of(__sysv_signal(SIGUSR1, second)));
	raise(SIGUSR1);
	say("once", "%d times, then %s", by_second, name_of(signal(SIGUSR1, SIG_IGN)));
	say("signal", "%s", name_of(signal(SIGUSR1, SIG_DFL)));
	say("signal", "%s", name_of(signal(SIGKILL, first)));
	say("signal", "%s", name_of(signal(1000, first)));
}

/* By System V's call the handler of a fault is gone after one: a bad pointer is none all the same. */
static void bad_pointer(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	void *volatile nowhere = (void *)8;

	__sysv_signal(SIGSEGV, SIG_DFL);
	outcome("write", write(fd, nowhere, 4));
	close(fd);
}

/* ---- Whose handler a call goes on after ---- */

struct signaller {
	struct waiting target;
	pthread_t thread;
	int number, slot;
};

static void *signal_and_say(void *argument)
{
	const struct signaller *signaller = argument;

	await_sleep(&signaller->target.thread_id);
	pthread_kill(signaller->thread, signaller->number);
	while (!by_first && !by_second)
		usleep(LOOK_US);
	if (signaller->slot >= 0)
		peer("say %d x", signaller->slot);
	return NULL;
}

static void receive_while(const char *what, struct signaller *signaller)
{
	pthread_t thread;
	char byte;

	by_first = by_second = 0;
	pthread_create(&thread, NULL, signal_and_say, signaller);
	long got = recv(signaller->target.fd, &byte, 1, 0);
	int error = errno;

	pthread_join(thread, NULL);
	errno = error;
	outcome(what, got);
}

static void restarts_by_its_handler(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	struct signaller signaller = {.target = {.fd = fd, .thread_id = gettid()},
				      .thread = pthread_self(),
				      .number = SIGUSR1,
				      .slot = slot};

	set_handler(SIGUSR1, first, SA_RESTART);
	set_handler(SIGALRM, second, 0);
	receive_while("of SA_RESTART, another is not", &signaller);
	signaller.number = SIGALRM;
	signaller.slot = -1;
	receive_while("of none", &signaller);
	close(fd);
}

/* A connect that a handler has ended goes on, and the next call waits for its end. */
static void connects_again(const struct way *way)
{
	union address nobody = theirs(way->family, 9);
	struct itimerval once = {.it_value.tv_usec = 50 * TICK_US};
	int fd = (int)must("socket", socket(way->family, SOCK_STREAM, 0));

	if (way->family == AF_INET)
		nobody.v4.sin_addr.s_addr ^= htonl(0x62);
	else
		nobody.v6.sin6_addr.s6_addr[15] ^= 0x62;
	set_handler(SIGALRM, first, 0);
	setitimer(ITIMER_REAL, &once, NULL);
	outcome("connect", connect(fd, &nobody.any, address_len(way->family)));
	outcome("again", connect(fd, &nobody.any, address_len(way->family)));
	close(fd);
}

const struct check handler_checks[] = {
	{"handlers, send while busy", sends_while_busy, EACH_FAMILY},
	{"handlers, poll while busy", asks_while_busy, EACH_FAMILY},
	{"handlers, close while busy", closes_while_busy, EACH_FAMILY},
	{"handlers, wait in a wait", waits_in_a_wait, EACH_FAMILY},
	{"handlers, jump out of waits", jumps_out_of_waits, EACH_WAY},
	{"handlers, restart by their own", restarts_by_its_handler, EACH_FAMILY},
	{"handlers, connect again", connects_again, EACH_FAMILY},
	{"handlers, how they are set", says_what_was_set, ONCE},
	{"handlers, bad pointer", bad_pointer, ONCE},
	{"cancelled in waits", cancelled_in_waits, EACH_FAMILY},
	{"cancelled, but not in this state", not_cancelled, EACH_FAMILY},
	{NULL, NULL, 0},
};
