/* SPDX-License-Identifier: MIT */
/* Several threads on the same descriptors. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "check.h"

struct work {
	pthread_t thread;
	int fd, other;
	long result;
	int error;
	char text[8];
	struct epoll_event event;
};

static void start(struct work *work, void *(*run)(void *))
{
	must("thread", -pthread_create(&work->thread, NULL, run, work));
	usleep(50000); /* so that it waits by now, most likely */
}

static void finish(struct work *work, const char *what)
{
	pthread_join(work->thread, NULL);
	errno = work->error;
	outcome(what, work->result);
}

static void *reads(void *argument)
{
	struct work *work = argument;

	work->result = recv(work->fd, work->text, 5, 0);
	work->error = errno;
	return NULL;
}

static void *waits(void *argument)
{
	struct work *work = argument;

	work->result = epoll_wait(work->fd, &work->event, 1, WAIT_MS);
	work->error = errno;
	return NULL;
}

static void *accepts(void *argument)
{
	struct work *work = argument;

	work->result = accept(work->fd, NULL, NULL);
	work->error = errno;
	return NULL;
}

static void both_directions(const struct way *way)
{
	struct work work = {.result = 0};
	int slot;

	work.fd = stream(way, &slot);
	start(&work, reads);
	outcome("write meanwhile", write(work.fd, "hello", 5));
	say_peer("there", "hear %d 5", slot);
	peer("say %d hello", slot);
	finish(&work, "recv");
	say("text", "%.5s", work.text);
	close(work.fd);
}

static void woken_by_shutdown(const struct way *way)
{
	struct work work = {.result = 0};
	int slot;

	work.fd = stream(way, &slot);
	start(&work, reads);
	outcome("shutdown", shutdown(work.fd, SHUT_RDWR));
	finish(&work, "recv");
	close(work.fd);
	work.fd = listener(way->family, 4, NULL);
	start(&work, accepts);
	outcome("shutdown", shutdown(work.fd, SHUT_RDWR));
	finish(&work, "accept");
	close(work.fd);
}

/* What another thread adds is seen by the one that waits. */
static void added_meanwhile(const struct way *way)
{
	struct work work = {.result = 0};
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = 7};
	int slot, fd = stream(way, &slot);

	work.fd = (int)must("epoll_create1", epoll_create1(0));
	start(&work, waits);
	outcome("add", epoll_ctl(work.fd, EPOLL_CTL_ADD, fd, &event));
	peer("say %d hello", slot);
	finish(&work, "epoll_wait");
	say("event", "%u %s", work.event.data.u32, epoll_names(work.event.events));
	start(&work, waits);
	finish(&work, "level-triggered");
	event.events = EPOLLIN | EPOLLONESHOT;
	outcome("modify", epoll_ctl(work.fd, EPOLL_CTL_MOD, fd, &event));
	start(&work, waits);
	finish(&work, "once");
	close(work.fd);
	close(fd);
}

/* As memcached: one accepts, and hands the connection to another, whom an eventfd wakes. */
static void *serves(void *argument)
{
	struct work *work = argument;
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(0), fd;
	uint64_t count;

	epoll_ctl(epoll, EPOLL_CTL_ADD, work->other, &event);
	epoll_wait(epoll, &event, 1, WAIT_MS);
	if (read(work->other, &count, sizeof(count)) != sizeof(count))
		return NULL;
	fd = work->fd;
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	epoll_wait(epoll, &event, 1, WAIT_MS);
	work->result = recv(fd, work->text, 5, 0);
	work->result += send(fd, "world", 5, 0);
	work->error = errno;
	close(epoll);
	return NULL;
}

static void handed_over(const struct way *way)
{
	struct work work = {.result = 0};
	uint64_t one = 1;
	uint16_t port;
	int listening = listener(way->family, 4, &port);
	int slot;

	work.other = (int)must("eventfd", eventfd(0, 0));
	start(&work, serves);
	slot = peer_number("connect %d %d", way->family == AF_INET ? 4 : 6, port);
	work.fd = (int)must("accept", accept(listening, NULL, NULL));
	must("write", write(work.other, &one, sizeof(one)));
	peer("say %d hello", slot);
	finish(&work, "served");
	say_peer("there", "hear %d 5", slot);
	close(listening);
	close(work.other);
	close(work.fd);
}

enum { READERS = 4, EACH = 250 };

static void *takes_some(void *argument)
{
	struct work *work = argument;

	for (int i = 0; i < EACH; i++) {
		ssize_t got = recv(work->fd, work->text, 4, MSG_WAITALL);

		work->result += got > 0 ? got : 0;
	}
	return NULL;
}

/* Each byte goes to one of them. */
static void many_readers(const struct way *way)
{
	struct work works[READERS] = {{.result = 0}};
	int slot, fd = stream(way, &slot);
	long sum = 0;

	for (int i = 0; i < READERS; i++) {
		works[i].fd = fd;
		must("thread", -pthread_create(&works[i].thread, NULL, takes_some, &works[i]));
	}
	peer("sender %d %d", slot, READERS * EACH * 4);
	for (int i = 0; i < READERS; i++) {
		pthread_join(works[i].thread, NULL);
		sum += works[i].result;
	}
	say("bytes", "%ld", sum);
	say_peer("sender", "join %d", slot);
	close(fd);
}

const struct check thread_checks[] = {
	{"threads in both directions", both_directions, EACH_WAY},
	{"threads woken by shutdown", woken_by_shutdown, EACH_FAMILY},
	{"threads and an epoll", added_meanwhile, EACH_WAY},
	{"a connection handed over", handed_over, EACH_FAMILY},
	{"threads that share the bytes", many_readers, EACH_WAY},
	{NULL, NULL, 0},
};
