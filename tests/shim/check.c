// SPDX-License-Identifier: MIT
#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "semantics.h"

/* ---- what came of it ---- */

/* One write a line, so that what was printed is there whatever happens next. */
static void say_line(const char *what, const char *text)
{
	char line[700];
	int len = snprintf(line, sizeof(line), "%s: %s\n", what, text);

	if (write(STDOUT_FILENO, line, (size_t)len) != len)
		_exit(3);
}

void say(const char *what, const char *format, ...)
{
	char text[512];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	say_line(what, text);
}

static const char *error_name(int error)
{
	const char *name = strerrorname_np(error);

	return error == 0 ? "0" : name ? name : "unknown";
}

long outcome(const char *what, long result)
{
	int error = errno;

	if (result == -1)
		say(what, "-1 %s", error_name(error));
	else
		say(what, "%ld", result);
	errno = error;
	return result;
}

void fail(const char *what)
{
	say("FAILED", "%s (errno %s)", what, error_name(errno));
	_exit(3);
}

long must(const char *what, long result)
{
	if (result == -1)
		fail(what);
	return result;
}

struct event_name {
	uint32_t bit;
	const char *name;
};

/* Four buffers, so that several names can stand in one line. */
static const char *names_of(uint32_t events, const struct event_name *names)
{
	static char buffers[4][100];
	static unsigned next;
	char *text = buffers[next++ % 4];

	text[0] = '\0';
	for (; names->name; names++) {
		if (!(events & names->bit))
			continue;
		if (text[0])
			strcat(text, "|");
		strcat(text, names->name);
		events &= ~names->bit;
	}
	if (events)
		strcat(text, "|more");
	return text[0] ? text : "nothing";
}

const char *poll_names(int events)
{
	static const struct event_name names[] = {
		{POLLIN, "IN"},         {POLLPRI, "PRI"},
		{POLLOUT, "OUT"},       {POLLRDHUP, "RDHUP"},
		{POLLERR, "ERR"},       {POLLHUP, "HUP"},
		{POLLNVAL, "NVAL"},     {POLLRDNORM, "RDNORM"},
		{POLLWRNORM, "WRNORM"}, {0, NULL},
	};

	return names_of((uint32_t)events, names);
}

const char *epoll_names(uint32_t events)
{
	static const struct event_name names[] = {
		{EPOLLIN, "IN"},   {EPOLLPRI, "PRI"}, {EPOLLOUT, "OUT"}, {EPOLLRDHUP, "RDHUP"},
		{EPOLLERR, "ERR"}, {EPOLLHUP, "HUP"}, {0, NULL},
	};

	return names_of(events, names);
}

void say_events(const char *what, int fd, int events)
{
	struct pollfd poll_fd = {.fd = fd, .events = (short)events};
	int count = poll(&poll_fd, 1, 0);

	if (count < 0)
		outcome(what, count);
	else
		say(what, "%d %s", count, poll_names(poll_fd.revents));
}

void say_error(const char *what, int fd)
{
	int error = -1;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		outcome(what, -1);
	else
		say(what, "SO_ERROR %s", error_name(error));
}

void say_text(const char *what, int fd)
{
	char text[200];
	ssize_t len = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (len < 0) {
		outcome(what, len);
		return;
	}
	text[len] = '\0';
	say(what, "%zd '%s'", len, text);
}

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the peer ---- */

static const char *ask(const char *format, va_list list)
{
	static char answer[300];
	char command[300];
	int len = vsnprintf(command, sizeof(command), format, list);

	if (write(semantics.control, command, (size_t)len) != len)
		fail("telling the peer");
	ssize_t got = read(semantics.control, answer, sizeof(answer) - 1);
	if (got <= 0)
		fail("hearing the peer");
	answer[got] = '\0';
	if (answer[0] == '!') {
		say("FAILED", "the peer, told '%s', says %s", command, answer + 1);
		_exit(3);
	}
	return answer;
}

const char *peer(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	const char *answer = ask(format, list);
	va_end(list);
	return answer;
}

int peer_number(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	const char *answer = ask(format, list);
	va_end(list);
	return atoi(answer);
}

void say_peer(const char *what, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	const char *answer = ask(format, list);
	va_end(list);
	say(what, "peer: %s", answer);
}

/* ---- addresses and connections ---- */

static union address make_address(const char *const texts[2], int family, uint16_t port)
{
	union address result;

	memset(&result, 0, sizeof(result));
	result.any.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		result.v4.sin_port = htons(port);
		inet_pton(AF_INET, texts[0], &result.v4.sin_addr);
	} else {
		result.v6.sin6_port = htons(port);
		inet_pton(AF_INET6, texts[1], &result.v6.sin6_addr);
	}
	return result;
}

union address ours(int family, uint16_t port)
{
	return make_address(semantics.ours, family, port);
}

union address theirs(int family, uint16_t port)
{
	return make_address(semantics.theirs, family, port);
}

socklen_t address_len(int family)
{
	return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static const char *whose(const char *text)
{
	if (!strncmp(text, "::ffff:", 7))
		return !strcmp(text + 7, semantics.ours[0])     ? "mapped ours"
		       : !strcmp(text + 7, semantics.theirs[0]) ? "mapped theirs"
								: "mapped other";
	for (int i = 0; i < 2; i++) {
		if (!strcmp(text, semantics.ours[i]))
			return "ours";
		if (!strcmp(text, semantics.theirs[i]))
			return "theirs";
	}
	return !strcmp(text, "0.0.0.0") || !strcmp(text, "::") ? "any" : text;
}

void say_address(const char *what, const union address *address, socklen_t len)
{
	char text[INET6_ADDRSTRLEN] = "?";
	int family = address->any.sa_family;
	uint16_t port;

	if (family == AF_INET) {
		inet_ntop(AF_INET, &address->v4.sin_addr, text, sizeof(text));
		port = address->v4.sin_port;
	} else if (family == AF_INET6) {
		inet_ntop(AF_INET6, &address->v6.sin6_addr, text, sizeof(text));
		port = address->v6.sin6_port;
	} else {
		say(what, "family %d, %u bytes", family, len);
		return;
	}
	say(what, "family %s, %u bytes, %s, %s", family == AF_INET ? "4" : "6", len, whose(text),
	    port ? "a port" : "no port");
}

uint16_t port_of(int fd)
{
	union address address;
	socklen_t len = sizeof(address);

	must("getsockname", getsockname(fd, &address.any, &len));
	return ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
}

int listener(int family, int backlog, uint16_t *port)
{
	union address address = ours(family, 0);
	int fd = (int)must("socket", socket(family, SOCK_STREAM, 0));

	must("bind", bind(fd, &address.any, address_len(family)));
	must("listen", listen(fd, backlog));
	if (port)
		*port = port_of(fd);
	return fd;
}

static int accepted_stream(int family, int *slot)
{
	uint16_t port;
	int listening = listener(family, 8, &port);

	*slot = peer_number("connect %d %d", family == AF_INET ? 4 : 6, port);
	wait_for(listening, POLLIN);
	int fd = (int)must("accept", accept(listening, NULL, NULL));
	close(listening);
	return fd;
}

int stream(const struct way *way, int *slot)
{
	if (way->accepted)
		return accepted_stream(way->family, slot);

	int listening = peer_number("listen %d", way->family == AF_INET ? 4 : 6);
	union address address = theirs(way->family, (uint16_t)peer_number("port %d", listening));
	int fd = (int)must("socket", socket(way->family, SOCK_STREAM, 0));

	must("connect", connect(fd, &address.any, address_len(way->family)));
	*slot = peer_number("accept %d", listening);
	return fd;
}

int datagram(int family, int *slot, uint16_t *peer_port)
{
	union address address = ours(family, 0);
	int fd = (int)must("socket", socket(family, SOCK_DGRAM, 0));

	must("bind", bind(fd, &address.any, address_len(family)));
	*slot = peer_number("udp %d", family == AF_INET ? 4 : 6);
	*peer_port = (uint16_t)peer_number("port %d", *slot);
	return fd;
}

void wait_for(int fd, int events)
{
	struct pollfd poll_fd = {.fd = fd, .events = (short)events};

	if (poll(&poll_fd, 1, WAIT_MS) != 1) {
		say("FAILED", "poll waited in vain for %s", poll_names(events));
		_exit(3);
	}
}

void set_nonblocking(int fd, bool on)
{
	int flags = (int)must("F_GETFL", fcntl(fd, F_GETFL));

	must("F_SETFL", fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

/* Full is what stays full: a window that opens meanwhile takes some more. */
size_t fill(int fd)
{
	uint8_t block[16384];
	size_t total = 0;
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

	do {
		for (;;) {
			for (size_t i = 0; i < sizeof(block); i++)
				block[i] = pattern(total + i);
			ssize_t sent = send(fd, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);
			if (sent < 0)
				break;
			total += (size_t)sent;
		}
		if (errno != EAGAIN)
			fail("filling");
	} while (poll(&poll_fd, 1, 300) > 0);
	return total;
}

void await_sleep(const _Atomic int *id)
{
	char path[64], line[200];

	for (int i = 0; i < WAIT_MS; i++) {
		char *end = NULL;
		FILE *file;

		usleep(1000);
		if (!*id)
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", *id);
		file = fopen(path, "r");
		if (file && fgets(line, sizeof(line), file))
			end = strrchr(line, ')');
		if (file)
			fclose(file);
		if (end && end[2] == 'S')
			return;
	}
}
