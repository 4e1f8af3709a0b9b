// SPDX-License-Identifier: MIT
/* Several threads with one socket, one set, one listener. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "check.h"

enum { MOMENT_US = 50000, THREADS = 4 };

/* One call in a thread; what it returned, and errno. */
struct call {
	pthread_t thread;
	int fd, second;
	long result;
	int error;
	char text[16];
};

static void start(struct call *call, void *(*function)(void *))
{
	pthread_create(&call->thread, NULL, function, call);
	usleep(MOMENT_US); /* it should wait by now; what is printed is the same when it does not */
}

static void finish(struct call *call, const char *what)
{
	pthread_join(call->thread, NULL);
	errno = call->error;
	outcome(what, call->result);
}

#define CALL(name, expression)                \
	static void *name(void *argument)     \
	{                                     \
		struct call *call = argument; \
		call->result = expression;    \
		call->error = errno;          \
		return NULL;                  \
	}

CALL(call_recv, recv(call->fd, call->text, 8, 0))
CALL(call_recv_one, recv(call->fd, call->text, 1, 0))
CALL(call_accept, accept(call->fd, NULL, NULL) < 0 ? -1 : 0)
CALL(call_poll, poll(&(struct pollfd){.fd = call->fd, .events = POLLIN}, 1, WAIT_MS))
CALL(call_epoll, epoll_wait(call->fd, &(struct epoll_event){0}, 1, WAIT_MS))
CALL(call_fill, (long)fill(call->fd) > 0)

static void woken_by_text(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	struct call call = {.fd = fd};

	start(&call, call_recv);
	peer("say %d hello", slot);
	finish(&call, "recv");
	start(&call, call_poll);
	peer("say %d hello", slot);
	finish(&call, "poll");
	say_text("text", fd);
	close(fd);
}

static void woken_by_shutdown(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	struct call call = {.fd = fd};

	start(&call, call_recv);
	outcome("shutdown", shutdown(fd, SHUT_RD));
	finish(&call, "recv");
	close(fd);
	fd = stream(way, &slot);
	call.fd = fd;
	start(&call, call_poll);
	outcome("shutdown", shutdown(fd, SHUT_RDWR));
	finish(&call, "poll");
	close(fd);
	fd = listener(way->family, 4, NULL);
	call.fd = fd;
	start(&call, call_accept);
	outcome("shutdown", shutdown(fd, SHUT_RD));
	finish(&call, "accept");
	close(fd);
}

/* close(2), "multithreaded processes": the call that waits has its socket until it returns. */
static void closed_while_waiting(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	struct call call = {.fd = fd};

	start(&call, call_recv);
	outcome("close", close(fd));
	peer("say %d hello", slot);
	finish(&call, "recv");
	say_peer("then the end", "hear %d", slot);
	outcome("recv", recv(fd, call.text, 1, 0));
}

static void two_receivers(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	struct call first = {.fd = fd}, second = {.fd = fd};

	start(&first, call_recv_one);
	start(&second, call_recv_one);
	peer("say %d xy", slot);
	finish(&first, "one");
	finish(&second, "the other");
	say("both", "%d", first.text[0] + second.text[0] == 'x' + 'y');
	close(fd);
}

static void two_acceptors(const struct way *way)
{
	uint16_t port;
	int listening = listener(way->family, 4, &port), version = way->family == AF_INET ? 4 : 6;
	struct call first = {.fd = listening}, second = {.fd = listening};

	start(&first, call_accept);
	start(&second, call_accept);
	peer("connect %d %d", version, port);
	peer("connect %d %d", version, port);
	finish(&first, "one");
	finish(&second, "the other");
	close(listening);
}

static void added_while_waiting(const struct way *way)
{
	int slot, fd = stream(way, &slot), epoll = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN};
	struct call call = {.fd = epoll};

	start(&call, call_epoll);
	must("add", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	peer("say %d hello", slot);
	finish(&call, "epoll_wait");
	say_text("text", fd);
	start(&call, call_epoll);
	event.events = EPOLLOUT;
	must("mod", epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event));
	finish(&call, "epoll_wait, modified");
	close(epoll);
	close(fd);
}

/* One waits to read while another fills: neither keeps the other up. */
static void reading_and_writing(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	struct call reader = {.fd = fd}, writer = {.fd = fd};

	start(&reader, call_recv);
	start(&writer, call_fill);
	finish(&writer, "filled");
	peer("say %d hello", slot);
	finish(&reader, "recv");
	close(fd);
}

/* Accepted by one thread, served by others, as memcached does it. */
struct service {
	pthread_t thread;
	int fd;
	bool good;
};

static void *serve(void *argument)
{
	struct service *service = argument;
	char text[8];

	service->good = true;
	for (int i = 0; i < 20; i++) {
		service->good &= recv(service->fd, text, 4, MSG_WAITALL) == 4;
		service->good &= send(service->fd, text, 4, 0) == 4;
	}
	close(service->fd);
	return NULL;
}

static void handed_over(const struct way *way)
{
	struct service services[THREADS];
	int slots[THREADS], good = 0, heard = 0;

	for (int i = 0; i < THREADS; i++) {
		services[i].fd = stream(way, &slots[i]);
		pthread_create(&services[i].thread, NULL, serve, &services[i]);
	}
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < THREADS; i++)
			peer("say %d ping", slots[i]);
		for (int i = 0; i < THREADS; i++)
			heard += !strcmp(peer("hear %d 4", slots[i]), "4 'ping'");
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(services[i].thread, NULL);
		good += services[i].good;
	}
	say("served", "%d threads, %d answers", good, heard);
}

/* A thread that has ended leaves what it has made to the others. */
static void *make_stream(void *argument)
{
	struct call *call = argument;

	call->fd = stream((const struct way *)(uintptr_t)call->result, &call->second);
	return NULL;
}

static void outlives_its_thread(const struct way *way)
{
	struct call call = {.result = (long)(uintptr_t)way};

	pthread_create(&call.thread, NULL, make_stream, &call);
	pthread_join(call.thread, NULL);
	outcome("write", write(call.fd, "hello", 5));
	say_peer("text", "hear %d 5", call.second);
	close(call.fd);
	say_peer("the end", "hear %d", call.second);
}

static atomic_bool stop;

static void *open_and_close(void *argument)
{
	const struct way *way = argument;

	while (!stop) {
		int fd = socket(way->family, SOCK_STREAM, 0);
		close(fd);
	}
	return NULL;
}

/* Others open and close meanwhile. */
static void undisturbed(const struct way *way)
{
	pthread_t threads[2];
	int good = 0;

	stop = false;
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, open_and_close, (void *)(uintptr_t)way);
	for (int i = 0; i < 20; i++) {
		int slot, fd = stream(way, &slot);
		char text[8];
		peer("say %d hello", slot);
		good += recv(fd, text, 5, MSG_WAITALL) == 5;
		close(fd);
		peer("close %d", slot);
	}
	stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	say("good", "%d", good);
}

const struct check thread_checks[] = {
	{"threads, woken by text", woken_by_text, EACH_WAY},
	{"threads, woken by shutdown", woken_by_shutdown, EACH_FAMILY},
	{"threads, closed while waiting", closed_while_waiting, EACH_WAY},
	{"threads, two receivers", two_receivers, EACH_WAY},
	{"threads, two acceptors", two_acceptors, EACH_FAMILY},
	{"threads, added while waiting", added_while_waiting, EACH_WAY},
	{"threads, reading and writing", reading_and_writing, EACH_WAY},
	{"threads, handed over", handed_over, EACH_WAY},
	{"threads, outlived", outlives_its_thread, EACH_WAY},
	{"threads, undisturbed", undisturbed, EACH_FAMILY},
	{NULL, NULL, 0},
};
