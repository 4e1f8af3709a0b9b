// SPDX-License-Identifier: MIT
/* epoll(7), epoll_ctl(2), epoll_wait(2) */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "check.h"

static int control(int epoll, int operation, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = {.events = events, .data.u64 = data};

	return epoll_ctl(epoll, operation, fd, &event);
}

static int epoll_of(int fd, uint32_t events)
{
	int epoll = (int)must("epoll_create1", epoll_create1(0));

	must("EPOLL_CTL_ADD", control(epoll, EPOLL_CTL_ADD, fd, events, 1));
	return epoll;
}

/* Events in the order of their data, since the order in which they are told is nobody's promise. */
static void say_wait_ms(const char *what, int epoll, int max, int timeout_ms)
{
	struct epoll_event events[16];
	int count = epoll_wait(epoll, events, max, timeout_ms);

	if (count <= 0) {
		outcome(what, count);
		return;
	}
	for (int i = 0; i < count; i++) {
		int least = i;
		for (int j = i; j < count; j++)
			least = events[j].data.u64 < events[least].data.u64 ? j : least;
		struct epoll_event event = events[least];
		events[least] = events[i];
		say(what, "%d of %d: %llu %s", i + 1, count, (unsigned long long)event.data.u64,
		    epoll_names(event.events));
	}
}

static void say_wait(const char *what, int epoll)
{
	say_wait_ms(what, epoll, 16, 0);
}

/* For what the peer has done and may take a moment to be here. */
static void say_soon(const char *what, int epoll)
{
	say_wait_ms(what, epoll, 16, WAIT_MS);
}

static void level(const struct way *way)
{
	int slot, fd = stream(way, &slot), epoll = epoll_of(fd, EPOLLIN);

	say_wait("idle", epoll);
	peer("say %d hello", slot);
	say_soon("text", epoll);
	say_wait("again", epoll);
	recv(fd, &(char){0}, 1, 0);
	say_wait("some is left", epoll);
	say_text("text", fd);
	say_wait("nothing is left", epoll);
	must("mod", control(epoll, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT, 2));
	say_wait("for writing too", epoll);
	say_wait("again", epoll);
	must("mod", control(epoll, EPOLL_CTL_MOD, fd, 0, 3));
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	say_wait("for nothing", epoll);
	must("mod", control(epoll, EPOLL_CTL_MOD, fd, EPOLLIN, UINT64_MAX));
	say_wait("the data", epoll);
	outcome("delete", control(epoll, EPOLL_CTL_DEL, fd, 0, 0));
	say_wait("deleted", epoll);
	close(epoll);
	close(fd);
}

static void edge(const struct way *way)
{
	int slot, fd = stream(way, &slot), epoll = epoll_of(fd, EPOLLIN | EPOLLET);

	say_wait("idle", epoll);
	peer("say %d hello", slot);
	say_soon("text", epoll);
	say_wait("once", epoll);
	recv(fd, &(char){0}, 1, 0);
	say_wait("some is left", epoll);
	peer("say %d more", slot);
	say_soon("more", epoll);
	say_wait("once", epoll);
	must("mod", control(epoll, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLET, 2));
	say_wait("asked anew", epoll);
	say_wait("once", epoll);
	say_text("text", fd);
	must("mod", control(epoll, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLET, 3));
	say_wait("nothing is left", epoll);
	peer("shutdown %d wr", slot);
	say_soon("the end", epoll);
	say_wait("once", epoll);
	close(epoll);
	close(fd);
}

static void edge_of_writing(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	int epoll = epoll_of(fd, EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP);

	say_wait("writable", epoll);
	say_wait("once", epoll);
	size_t sent = fill(fd);
	epoll_wait(epoll, &(struct epoll_event){0}, 1, 0);
	say_wait("full", epoll);
	peer("receiver %d %zu", slot, sent);
	say_soon("room", epoll);
	peer("join %d", slot);
	outcome("write", send(fd, "x", 1, MSG_DONTWAIT));
	peer("shutdown %d wr", slot);
	wait_for(fd, POLLRDHUP);
	say_soon("the end", epoll);
	close(epoll);
	close(fd);
}

static void once(const struct way *way)
{
	int slot, fd = stream(way, &slot), epoll = epoll_of(fd, EPOLLIN | EPOLLONESHOT);

	peer("say %d hello", slot);
	say_soon("text", epoll);
	say_wait("once", epoll);
	peer("say %d more", slot);
	say_wait_ms("not for more", epoll, 16, NOTHING_MS);
	outcome("it is there still", control(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, 1));
	must("mod", control(epoll, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, 2));
	say_wait("asked anew", epoll);
	peer("abort %d", slot);
	wait_for(fd, 0);
	say_wait("not for a reset", epoll);
	must("mod", control(epoll, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT | EPOLLONESHOT, 3));
	say_wait("asked anew", epoll);
	close(epoll);
	close(fd);
}

static int loopback_client(uint16_t port)
{
	union address address = {.v4 = {.sin_family = AF_INET, .sin_port = htons(port)}};
	int fd = (int)must("socket", socket(AF_INET, SOCK_STREAM, 0));

	address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must("connect", connect(fd, &address.any, sizeof(address.v4)));
	return fd;
}

/* Somebody comes to the kernel, by loopback, and somebody to the stack: both are told of as one. */
static void once_on_both_sides(const struct way *way)
{
	union address address = {.v4 = {.sin_family = AF_INET}};
	int listening = socket(AF_INET, SOCK_STREAM, 0);

	(void)way;
	must("bind", bind(listening, &address.any, sizeof(address.v4)));
	must("listen", listen(listening, 8));
	for (int first = 0; first < 2; first++) {
		int epoll = epoll_of(listening, EPOLLIN | EPOLLONESHOT), client = -1;

		for (int i = 0; i < 2; i++) {
			if (i == first)
				client = loopback_client(port_of(listening));
			else
				peer("connect 4 %d", port_of(listening));
			say_wait_ms(i ? "not for another" : "somebody", epoll, 16,
				    i ? NOTHING_MS : WAIT_MS);
		}
		must("mod", control(epoll, EPOLL_CTL_MOD, listening, EPOLLIN | EPOLLONESHOT, 2));
		say_soon("asked anew", epoll);
		say_wait_ms("once", epoll, 16, NOTHING_MS);
		for (int i = 0; i < 2; i++)
			close((int)must("accept", accept(listening, NULL, NULL)));
		must("mod", control(epoll, EPOLL_CTL_MOD, listening, EPOLLIN | EPOLLONESHOT, 3));
		say_wait("nobody is left", epoll);
		close(client);
		close(epoll);
	}
	close(listening);
}

static void ends(const struct way *way)
{
	int slot, fd = stream(way, &slot), plain = epoll_of(fd, EPOLLIN);
	int epoll = epoll_of(fd, EPOLLIN | EPOLLRDHUP | EPOLLOUT), nothing = epoll_of(fd, 0);

	peer("shutdown %d wr", slot);
	say_soon("the peer has ended", plain);
	say_wait("asked for it", epoll);
	say_wait("asked for nothing", nothing);
	shutdown(fd, SHUT_WR);
	say_peer("the end", "hear %d", slot);
	say_soon("both have ended", nothing);
	say_wait("asked for more", epoll);
	close(fd);
	say_wait("closed", epoll);
	say_wait("closed", nothing);
	close(epoll);
	close(plain);
	close(nothing);
}

static void resets(const struct way *way)
{
	int slot, fd = stream(way, &slot), nothing = epoll_of(fd, 0);
	int epoll = epoll_of(fd, EPOLLIN | EPOLLRDHUP | EPOLLOUT),
	    edges = epoll_of(fd, EPOLLIN | EPOLLET);

	peer("abort %d", slot);
	say_soon("reset", nothing);
	say_wait("again", nothing);
	say_wait("asked for more", epoll);
	say_wait("its edge", edges);
	say_wait("its edge, once", edges);
	say_text("recv", fd);
	say_wait("then", epoll);
	close(epoll);
	close(edges);
	close(nothing);
	close(fd);
}

static void of_sockets(const struct way *way)
{
	int fresh = socket(way->family, SOCK_STREAM, 0), udp = socket(way->family, SOCK_DGRAM, 0);
	int epoll = epoll_create(1);

	must("add", control(epoll, EPOLL_CTL_ADD, fresh, EPOLLIN | EPOLLOUT | EPOLLRDHUP, 1));
	must("add", control(epoll, EPOLL_CTL_ADD, udp, EPOLLIN | EPOLLOUT | EPOLLRDHUP, 2));
	say_wait("fresh, and of datagrams", epoll);
	close(fresh);
	close(udp);
	say_wait("closed", epoll);
	close(epoll);
}

static void listeners(const struct way *way)
{
	uint16_t port;
	int listening = listener(way->family, 8, &port), version = way->family == AF_INET ? 4 : 6;
	int epoll = epoll_of(listening, EPOLLIN), edges = epoll_of(listening, EPOLLIN | EPOLLET);

	say_wait("idle", epoll);
	peer("connect %d %d", version, port);
	say_soon("somebody", epoll);
	say_soon("its edge", edges);
	say_wait("once", edges);
	peer("connect %d %d", version, port);
	say_soon("the next", edges);
	close((int)must("accept", accept(listening, NULL, NULL)));
	say_wait("one is left", epoll);
	say_wait("its edge", edges);
	close((int)must("accept", accept(listening, NULL, NULL)));
	say_wait("nobody is left", epoll);
	close(epoll);
	close(edges);
	close(listening);
}

/* The compiler knows what this means, and would warn. */
static volatile int less_than_none = -1;

static void wrong(const struct way *way)
{
	int slot, fd = stream(way, &slot), epoll = epoll_create1(0),
		  null = open("/dev/null", O_RDONLY);
	int file = open("/proc/self/exe", O_RDONLY);
	struct epoll_event event = {.events = EPOLLIN};

	outcome("modify what is not there", control(epoll, EPOLL_CTL_MOD, fd, EPOLLIN, 0));
	outcome("delete what is not there", control(epoll, EPOLL_CTL_DEL, fd, 0, 0));
	outcome("add", control(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, 0));
	outcome("add again", control(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, 0));
	outcome("do what is none", control(epoll, 77, fd, EPOLLIN, 0));
	outcome("delete without an event", epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
	outcome("add itself", control(epoll, EPOLL_CTL_ADD, epoll, EPOLLIN, 0));
	outcome("add to what is no epoll", control(fd, EPOLL_CTL_ADD, null, EPOLLIN, 0));
	outcome("add what is closed", control(epoll, EPOLL_CTL_ADD, 1 << 20, EPOLLIN, 0));
	outcome("add to what is closed", control(1 << 20, EPOLL_CTL_ADD, fd, EPOLLIN, 0));
	outcome("add a file", control(epoll, EPOLL_CTL_ADD, file, EPOLLIN, 0));
	outcome("wait for no events", epoll_wait(epoll, &event, 0, 0));
	outcome("for less than none", epoll_wait(epoll, &event, less_than_none, 0));
	outcome("wait on a socket", epoll_wait(fd, &event, 1, 0));
	outcome("wait on a file", epoll_wait(file, &event, 1, 0));
	outcome("wait on what is closed", epoll_wait(1 << 20, &event, 1, 0));
	outcome("create with wrong flags", epoll_create1(1));
	outcome("create for none", epoll_create(0));
	outcome("recv from it", recv(epoll, &event, 1, 0));
	outcome("read from it", read(epoll, &event, 1));
	say("closed at exec", "%d %d", fcntl(epoll, F_GETFD),
	    fcntl(epoll_create1(EPOLL_CLOEXEC), F_GETFD));
	close(epoll);
	outcome("closed, add", control(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, 0));
	close(null);
	close(file);
	close(fd);
}

static void times(const struct way *way)
{
	int slot, fd = stream(way, &slot), epoll = epoll_of(fd, EPOLLIN);
	struct epoll_event event;
	int64_t begin = now_ms();

	outcome("in a while", epoll_wait(epoll, &event, 1, NOTHING_MS));
	say("after the time", "%d", now_ms() - begin >= NOTHING_MS);
	begin = now_ms();
	outcome("epoll_pwait2",
		epoll_pwait2(epoll, &event, 1, &(struct timespec){.tv_nsec = NOTHING_MS * 1000000},
			     NULL));
	say("after the time", "%d", now_ms() - begin >= NOTHING_MS);
	outcome("a wrong time",
		epoll_pwait2(epoll, &event, 1, &(struct timespec){.tv_nsec = -1}, NULL));
	outcome("epoll_pwait", epoll_pwait(epoll, &event, 1, 0, NULL));
	peer("say %d hello", slot);
	outcome("without a limit", epoll_wait(epoll, &event, 1, -1));
	outcome("without a limit", epoll_pwait2(epoll, &event, 1, NULL, NULL));
	close(epoll);
	close(fd);
}

/* Two are ready and there is room for one: each has its turn. */
static void turns(const struct way *way)
{
	int slots[2], fds[2], epoll = epoll_create1(0), seen = 0;
	struct epoll_event event;

	for (int i = 0; i < 2; i++) {
		fds[i] = stream(way, &slots[i]);
		must("add", control(epoll, EPOLL_CTL_ADD, fds[i], EPOLLIN, (uint64_t)i));
		peer("say %d hello", slots[i]);
		wait_for(fds[i], POLLIN);
	}
	for (int i = 0; i < 4; i++) {
		outcome("wait", epoll_wait(epoll, &event, 1, 0));
		seen |= 1 << event.data.u64;
	}
	say("both", "%d", seen == 3);
	say_wait("together", epoll);
	close(fds[0]);
	say_wait("one is closed", epoll);
	close(fds[1]);
	close(epoll);
}

static void in_two_sets(const struct way *way)
{
	int slot, fd = stream(way, &slot), first = epoll_of(fd, EPOLLIN | EPOLLET);
	int second = epoll_of(fd, EPOLLIN), other = dup(fd);

	peer("say %d hello", slot);
	say_soon("first", first);
	say_soon("second", second);
	outcome("add a duplicate", control(second, EPOLL_CTL_ADD, other, EPOLLIN | EPOLLOUT, 5));
	say_wait("both", second);
	close(other);
	say_text("text", fd);
	say_wait("none", second);
	close(fd);
	close(first);
	close(second);
}

/* epoll(7), question 6: it leaves the set when the last descriptor of it is closed. */
static void closed_in_the_set(const struct way *way)
{
	int slot, fd = stream(way, &slot), epoll = epoll_of(fd, EPOLLOUT), other = dup(fd);

	close(fd);
	say_wait("one is left", epoll);
	close(other);
	say_wait("none is left", epoll);
	fd = stream(way, &slot);
	say_wait("the number used again", epoll);
	outcome("and added", control(epoll, EPOLL_CTL_ADD, fd, EPOLLOUT, 9));
	say_wait("then", epoll);
	close(fd);
	close(epoll);
}

static void nested(const struct way *way)
{
	int slot, fd = stream(way, &slot), inner = epoll_of(fd, EPOLLIN);
	int outer = epoll_of(inner, EPOLLIN);

	say_events("poll, idle", inner, POLLIN);
	say_wait("idle", outer);
	peer("say %d hello", slot);
	say_soon("text", outer);
	say_events("poll", inner, POLLIN);
	say_events("poll", outer, POLLIN);
	say_wait("inside", inner);
	say_wait("again", outer);
	say_text("text", fd);
	say_wait("read", outer);
	say_events("poll", inner, POLLIN);
	outcome("a circle", control(inner, EPOLL_CTL_ADD, outer, EPOLLIN, 0));
	close(fd);
	say_wait("closed", outer);
	close(inner);
	close(outer);
}

static void exclusive(const struct way *way)
{
	int listening = listener(way->family, 4, NULL), epoll = epoll_create1(0);

	outcome("add", control(epoll, EPOLL_CTL_ADD, listening, EPOLLIN | EPOLLEXCLUSIVE, 1));
	outcome("modify", control(epoll, EPOLL_CTL_MOD, listening, EPOLLIN, 1));
	outcome("modify to it",
		control(epoll, EPOLL_CTL_MOD, listening, EPOLLIN | EPOLLEXCLUSIVE, 1));
	peer("connect %d %d", way->family == AF_INET ? 4 : 6, port_of(listening));
	say_soon("somebody", epoll);
	close(epoll);
	close(listening);
}

static void connecting(const struct way *way)
{
	int slot = peer_number("listen %d", way->family == AF_INET ? 4 : 6);
	union address address = theirs(way->family, (uint16_t)peer_number("port %d", slot));
	int fd = socket(way->family, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0);

	outcome("connect", connect(fd, &address.any, address_len(way->family)));
	must("add",
	     control(epoll, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, 1));
	say_soon("connected", epoll);
	say_error("error", fd);
	close(fd);
	peer("close %d", slot);
	fd = socket(way->family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	outcome("connect", connect(fd, &address.any, address_len(way->family)));
	must("add", control(epoll, EPOLL_CTL_ADD, fd, EPOLLOUT, 1));
	say_soon("refused", epoll);
	say_error("error", fd);
	say_soon("then", epoll);
	close(fd);
	close(epoll);
}

/* Several hundred at once, more than one call's room. */
static void many(const struct way *way)
{
	enum { MANY = 120 };
	struct epoll_event events[50];
	uint16_t port;
	int listening = listener(way->family, MANY, &port), epoll = epoll_create1(0);
	int fds[MANY], slots[MANY], seen = 0, rounds = 0;

	for (int i = 0; i < MANY; i++) {
		slots[i] = peer_number("connect %d %d", way->family == AF_INET ? 4 : 6, port);
		wait_for(listening, POLLIN);
		fds[i] = accept(listening, NULL, NULL);
		must("add", control(epoll, EPOLL_CTL_ADD, fds[i], EPOLLIN, (uint64_t)i));
	}
	say_wait("idle", epoll);
	for (int i = 0; i < MANY; i += 2)
		peer("say %d hello", slots[i]);
	while (seen < MANY / 2 && rounds++ < 1000) {
		int count = epoll_wait(epoll, events, 50, WAIT_MS);
		for (int i = 0; i < count; i++) {
			char text[8];
			seen += events[i].data.u64 % 2 == 0 &&
				recv(fds[events[i].data.u64], text, sizeof(text), 0) == 5;
		}
	}
	say("heard", "%d", seen);
	say_wait("then", epoll);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
	say_wait("all closed", epoll);
	close(epoll);
	close(listening);
}

/* Data is the program's: several may have the same, of either side, and of both. */
static void same_data(const struct way *way)
{
	union address any = ours(way->family, 0);
	int slot, fd = stream(way, &slot), set = epoll_create1(0), ends[2], told = 0;
	int listening = (int)must("socket", socket(way->family, SOCK_STREAM, 0));
	struct epoll_event event = {.events = EPOLLIN}, events[8];
	char byte;

	if (way->family == AF_INET)
		any.v4.sin_addr.s_addr = 0;
	else
		any.v6.sin6_addr = in6addr_any;
	must("bind", bind(listening, &any.any, address_len(way->family)));
	must("listen", listen(listening, 4));
	must("pipe", pipe(ends));
	must("add", epoll_ctl(set, EPOLL_CTL_ADD, listening, &event));
	must("add", epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
	event.events = EPOLLIN | EPOLLET;
	must("add", epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event));
	peer("say %d x", slot);
	wait_for(fd, POLLIN);
	for (int i = 0; i < 20; i++) {
		int got = 0;

		must("write", write(ends[1], "x", 1));
		/* The stream's is told each time, the pipe's once. */
		for (int look = 0; look < 1000 && got < 2; look++)
			got = (int)must("epoll_wait", epoll_wait(set, events, 8, WAIT_MS));
		told += got == 2;
		must("read", read(ends[0], &byte, 1));
	}
	say("events of the pipe", "%d", told);
	peer("connect %d %d", way->family == AF_INET ? 4 : 6, port_of(listening));
	must("recv", recv(fd, &byte, 1, 0));
	outcome("the listener's", epoll_wait(set, events, 8, WAIT_MS));
	close(listening);
	close(fd);
	close(ends[0]);
	close(ends[1]);
	close(set);
}

/* One that becomes of both sides when it is in the set already tells of itself once all the same. */
static void decided_in_the_set(const struct way *way)
{
	union address any = ours(way->family, 0);
	int set = epoll_create1(0);
	int listening = (int)must("socket", socket(way->family, SOCK_STREAM, 0));
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 7}, events[8] = {{.events = 0}};

	if (way->family == AF_INET)
		any.v4.sin_addr.s_addr = 0;
	else
		any.v6.sin6_addr = in6addr_any;
	must("add", epoll_ctl(set, EPOLL_CTL_ADD, listening, &event));
	must("bind", bind(listening, &any.any, address_len(way->family)));
	must("listen", listen(listening, 4));
	outcome("before", epoll_wait(set, events, 8, 0) > 1);
	peer("connect %d %d", way->family == AF_INET ? 4 : 6, port_of(listening));
	wait_for(listening, POLLIN);
	outcome("connected", epoll_wait(set, events, 8, WAIT_MS));
	say("data", "%d, %s", (int)events[0].data.u64, epoll_names(events[0].events & EPOLLIN));
	close(listening);
	close(set);
}

const struct check epoll_checks[] = {
	{"epoll, level", level, EACH_WAY},
	{"epoll, edge", edge, EACH_WAY},
	{"epoll, edge of writing", edge_of_writing, EACH_WAY},
	{"epoll, once", once, EACH_WAY},
	{"epoll, once on both sides", once_on_both_sides, ONCE},
	{"epoll, same data", same_data, EACH_FAMILY},
	{"epoll, decided in the set", decided_in_the_set, EACH_FAMILY},
	{"epoll, ends", ends, EACH_WAY},
	{"epoll, resets", resets, EACH_WAY},
	{"epoll of other sockets", of_sockets, EACH_FAMILY},
	{"epoll of listeners", listeners, EACH_FAMILY},
	{"epoll, wrong calls", wrong, EACH_WAY},
	{"epoll, times", times, EACH_WAY},
	{"epoll, turns", turns, EACH_WAY},
	{"epoll, two sets", in_two_sets, EACH_WAY},
	{"epoll, closed in the set", closed_in_the_set, EACH_WAY},
	{"epoll, nested", nested, EACH_WAY},
	{"epoll, exclusive", exclusive, EACH_FAMILY},
	{"epoll, connecting", connecting, EACH_FAMILY},
	{"epoll, many", many, EACH_FAMILY},
	{NULL, NULL, 0},
};
