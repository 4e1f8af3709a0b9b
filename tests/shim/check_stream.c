// SPDX-License-Identifier: MIT
/* How connections begin. connect(2), accept(2), tcp(7) */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

static void accepting(const struct way *way)
{
	union address address;
	socklen_t len = sizeof(address);
	uint16_t port;
	int listening = listener(way->family, 8, &port), version = way->family == AF_INET ? 4 : 6;

	set_nonblocking(listening, true);
	outcome("nobody", accept(listening, NULL, NULL));
	say_events("nobody", listening, POLLIN);
	int slot = peer_number("connect %d %d", version, port);
	wait_for(listening, POLLIN);
	say_events("somebody", listening, POLLIN | POLLOUT);
	int fd = (int)must("accept", accept(listening, &address.any, &len));
	say_address("from", &address, len);
	say("flags are not inherited", "%d %d", (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0,
	    fcntl(fd, F_GETFD));
	say_events("accepted", fd, POLLIN | POLLOUT);
	outcome("accept of it", accept(fd, NULL, NULL));
	peer("close %d", slot);
	close(fd);
	peer("connect %d %d", version, port);
	wait_for(listening, POLLIN);
	outcome("accept4 with wrong flags", accept4(listening, NULL, NULL, 1));
	len = 4;
	fd = (int)must("accept4",
		       accept4(listening, &address.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC));
	say("length", "%u", len);
	say("flags", "%d %d", (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0, fcntl(fd, F_GETFD));
	close(fd);
	outcome("nobody again", accept(listening, NULL, NULL));
	close(listening);
}

/* A connection that has ended before it is accepted is accepted all the same. */
static void accepting_late(const struct way *way)
{
	uint16_t port;
	int listening = listener(way->family, 8, &port);
	int slot = peer_number("connect %d %d", way->family == AF_INET ? 4 : 6, port);

	peer("say %d hello", slot);
	peer("close %d", slot);
	wait_for(listening, POLLIN);
	int fd = (int)must("accept", accept(listening, NULL, NULL));
	wait_for(fd, POLLRDHUP);
	say_text("text", fd);
	say_text("the end", fd);
	close(fd);
	close(listening);
}

static void accepting_many(const struct way *way)
{
	enum { MANY = 50 };
	uint16_t port;
	int listening = listener(way->family, MANY, &port), accepted = 0, heard = 0;
	int slots[MANY], fds[MANY];

	for (int i = 0; i < MANY; i++)
		slots[i] = peer_number("connect %d %d", way->family == AF_INET ? 4 : 6, port);
	for (int i = 0; i < MANY; i++) {
		wait_for(listening, POLLIN);
		fds[i] = accept(listening, NULL, NULL);
		accepted += fds[i] >= 0;
	}
	say("accepted", "%d", accepted);
	say_events("no more", listening, POLLIN);
	for (int i = 0; i < MANY; i++)
		peer("say %d hello", slots[i]);
	for (int i = 0; i < MANY; i++) {
		char text[10];
		heard += recv(fds[i], text, sizeof(text), 0) == 5;
		close(fds[i]);
	}
	say("heard", "%d", heard);
	close(listening);
}

static void listener_closed(const struct way *way)
{
	uint16_t port;
	int listening = listener(way->family, 8, &port);
	int slot = peer_number("connect %d %d", way->family == AF_INET ? 4 : 6, port);

	wait_for(listening, POLLIN);
	outcome("close", close(listening));
	say_peer("who waited", "hear %d", slot);
	say_peer("who comes", "connect %d %d", way->family == AF_INET ? 4 : 6, port);
}

static void connecting(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	union address address = theirs(way->family, 9);

	say_events("connected", fd, POLLIN | POLLOUT | POLLRDHUP);
	outcome("connect again", connect(fd, &address.any, address_len(way->family)));
	say_error("error", fd);
	address = ours(way->family, 0);
	outcome("bind", bind(fd, &address.any, address_len(way->family)));
	close(fd);
}

static void connecting_from(const struct way *way)
{
	union address address = ours(way->family, 0);
	int slot = peer_number("listen %d", way->family == AF_INET ? 4 : 6);
	int fd = socket(way->family, SOCK_STREAM, 0);

	outcome("bind", bind(fd, &address.any, address_len(way->family)));
	uint16_t port = port_of(fd);
	address = theirs(way->family, (uint16_t)peer_number("port %d", slot));
	outcome("connect", connect(fd, &address.any, address_len(way->family)));
	say("the port stays", "%d", port == port_of(fd));
	close(fd);
}

/* A port of the peer's where nobody listens. */
static union address closed_port(int family)
{
	int slot = peer_number("listen %d", family == AF_INET ? 4 : 6);
	uint16_t port = (uint16_t)peer_number("port %d", slot);

	peer("close %d", slot);
	return theirs(family, port);
}

static void refused(const struct way *way)
{
	union address address = closed_port(way->family);
	socklen_t len = address_len(way->family);
	int fd = socket(way->family, SOCK_STREAM, 0);

	outcome("connect", connect(fd, &address.any, len));
	say_error("error", fd);
	outcome("again", connect(fd, &address.any, len));
	int slot = peer_number("listen %d", way->family == AF_INET ? 4 : 6);
	address = theirs(way->family, (uint16_t)peer_number("port %d", slot));
	outcome("then somebody who listens", connect(fd, &address.any, len));
	outcome("send", send(fd, "hello", 5, 0));
	int connected = peer_number("accept %d", slot);
	say_peer("text", "hear %d 5", connected);
	close(fd);
}

static void refused_later(const struct way *way)
{
	union address address = closed_port(way->family);
	char byte;
	int fd = socket(way->family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	outcome("connect", connect(fd, &address.any, address_len(way->family)));
	wait_for(fd, POLLOUT);
	say_events("poll", fd, POLLIN | POLLOUT | POLLRDHUP);
	say_error("error", fd);
	say_error("error, once", fd);
	say_events("poll", fd, POLLIN | POLLOUT | POLLRDHUP);
	outcome("recv", recv(fd, &byte, 1, 0));
	outcome("send", send(fd, "x", 1, MSG_NOSIGNAL));
	outcome("getpeername", getpeername(fd, &address.any, &(socklen_t){sizeof(address)}));
	close(fd);
}

/* Instead of asking for the error: the next call tells it, once. */
static void refused_told_by_recv(const struct way *way)
{
	union address address = closed_port(way->family);
	char byte;
	int fd = socket(way->family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	outcome("connect", connect(fd, &address.any, address_len(way->family)));
	wait_for(fd, POLLOUT);
	outcome("recv", recv(fd, &byte, 1, 0));
	outcome("recv", recv(fd, &byte, 1, 0));
	close(fd);
	fd = socket(way->family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	outcome("connect", connect(fd, &address.any, address_len(way->family)));
	wait_for(fd, POLLOUT);
	outcome("connect again", connect(fd, &address.any, address_len(way->family)));
	close(fd);
}

static void later(const struct way *way)
{
	int slot = peer_number("listen %d", way->family == AF_INET ? 4 : 6);
	union address address = theirs(way->family, (uint16_t)peer_number("port %d", slot));
	socklen_t len = address_len(way->family);
	int fd = socket(way->family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	outcome("connect", connect(fd, &address.any, len));
	wait_for(fd, POLLOUT);
	say_events("poll", fd, POLLIN | POLLOUT | POLLRDHUP);
	say_error("error", fd);
	outcome("connect again", connect(fd, &address.any, len));
	outcome("and again", connect(fd, &address.any, len));
	int connected = peer_number("accept %d", slot);
	outcome("send", send(fd, "hello", 5, 0));
	say_peer("text", "hear %d 5", connected);
	close(fd);
}

/* Nobody has this address: the question for its link address stays without an answer. */
static void nobody(const struct way *way)
{
	union address address = theirs(way->family, 9);
	socklen_t len = address_len(way->family);
	char byte;
	int fd = socket(way->family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (way->family == AF_INET)
		address.v4.sin_addr.s_addr |= htonl(0x63);
	else
		address.v6.sin6_addr.s6_addr[15] |= 0x63;
	outcome("connect", connect(fd, &address.any, len));
	outcome("connect again", connect(fd, &address.any, len));
	say_events("poll", fd, POLLIN | POLLOUT);
	say_error("error so far", fd);
	outcome("send", send(fd, "x", 1, MSG_NOSIGNAL));
	outcome("recv", recv(fd, &byte, 1, 0));
	outcome("getpeername", getpeername(fd, &address.any, &(socklen_t){sizeof(address)}));
	wait_for(fd, POLLOUT);
	say_events("poll", fd, POLLIN | POLLOUT | POLLRDHUP);
	say_error("error", fd);
	close(fd);
}

static void timeout(const struct way *way)
{
	union address address = theirs(way->family, 9);
	struct timeval little = {.tv_usec = 100000};
	int fd = socket(way->family, SOCK_STREAM, 0);
	int64_t begin = now_ms();

	if (way->family == AF_INET)
		address.v4.sin_addr.s_addr |= htonl(0x64);
	else
		address.v6.sin6_addr.s6_addr[15] |= 0x64;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &little, sizeof(little));
	outcome("connect", connect(fd, &address.any, address_len(way->family)));
	say("soon", "%d", now_ms() - begin < 2000);
	outcome("close", close(fd));
}

static void wrong_addresses(const struct way *way)
{
	union address address = theirs(way->family, 9);
	int fd = socket(way->family, SOCK_STREAM, 0);

	outcome("cut short", connect(fd, &address.any, 8));
	outcome("empty", connect(fd, &address.any, 0));
	address.any.sa_family = 77;
	outcome("of no family", connect(fd, &address.any, address_len(way->family)));
	close(fd);
}

/* connect(2): AF_UNSPEC dissolves the association, of a stream too. */
static void dissolving(const struct way *way)
{
	union address address = {.any = {.sa_family = AF_UNSPEC}};
	int slot, fd = stream(way, &slot);

	outcome("connect to nobody", connect(fd, &address.any, sizeof(address.any)));
	say_peer("the end", "hear %d", slot);
	outcome("getpeername", getpeername(fd, &address.any, &(socklen_t){sizeof(address)}));
	close(fd);
}

static void urgent(const struct way *way)
{
	int slot, fd = stream(way, &slot);

	outcome("sockatmark", sockatmark(fd));
	outcome("recv without urgent data", recv(fd, &(char){0}, 1, MSG_OOB));
	close(fd);
}

const struct check stream_checks[] = {
	{"accepting", accepting, EACH_FAMILY},
	{"accepting late", accepting_late, EACH_FAMILY},
	{"accepting many", accepting_many, EACH_FAMILY},
	{"listener closed", listener_closed, EACH_FAMILY},
	{"connected", connecting, EACH_WAY},
	{"connecting from a port", connecting_from, EACH_FAMILY},
	{"refused", refused, EACH_FAMILY},
	{"refused later", refused_later, EACH_FAMILY},
	{"refused, told by the next call", refused_told_by_recv, EACH_FAMILY},
	{"connected later", later, EACH_FAMILY},
	{"nobody there", nobody, EACH_FAMILY},
	{"nobody there, with a timeout", timeout, EACH_FAMILY},
	{"connecting to what is no address", wrong_addresses, EACH_FAMILY},
	{"dissolving a connection", dissolving, EACH_WAY},
	{"no urgent data", urgent, EACH_WAY},
	{NULL, NULL, 0},
};
