// SPDX-License-Identifier: MIT
/* Sockets before they have a connection: making, binding, listening, names. socket(2), bind(2), ip(7) */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

static void making(const struct way *way)
{
	(void)way;
	outcome("a family that is none", socket(9999, SOCK_STREAM, 0));
	outcome("a type that is none", socket(AF_INET, 100, 0));
	outcome("TCP of datagrams", socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP));
	outcome("UDP of streams", socket(AF_INET6, SOCK_STREAM, IPPROTO_UDP));
	outcome("a protocol that is none", socket(AF_INET, SOCK_STREAM, 300));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	say("flags", "%d %d", (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0, fcntl(fd, F_GETFD));
	say("access", "%d", (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
	outcome("close", close(fd));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	say("flags", "%d %d", (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0, fcntl(fd, F_GETFD));
	close(fd);
}

static void fresh(const struct way *way)
{
	union address address;
	socklen_t len = sizeof(address);
	char byte = 'x';
	int fd = socket(way->family, SOCK_STREAM, 0);

	memset(&address, 0, sizeof(address));
	outcome("getsockname", getsockname(fd, &address.any, &len));
	say_address("name", &address, len);
	outcome("getpeername", getpeername(fd, &address.any, &len));
	outcome("recv", recv(fd, &byte, 1, 0));
	outcome("read", read(fd, &byte, 1));
	outcome("send", send(fd, &byte, 1, MSG_NOSIGNAL));
	outcome("write", write(fd, &byte, 1));
	outcome("shutdown", shutdown(fd, SHUT_WR));
	outcome("accept", accept(fd, NULL, NULL));
	say_events("poll", fd, POLLIN | POLLOUT | POLLRDHUP);
	say_error("error", fd);
	outcome("close", close(fd));
}

static void binding(const struct way *way)
{
	union address address = ours(way->family, 0);
	socklen_t len = address_len(way->family);
	int fd = socket(way->family, SOCK_STREAM, 0), other = socket(way->family, SOCK_STREAM, 0);

	outcome("an address cut short", bind(fd, &address.any, len - 8));
	outcome("no address at all", bind(fd, &address.any, 0));
	outcome("bind", bind(fd, &address.any, len));
	len = sizeof(address);
	outcome("getsockname", getsockname(fd, &address.any, &len));
	say_address("name", &address, len);
	outcome("bind again", bind(fd, &address.any, len));
	outcome("bind another to it", bind(other, &address.any, len));
	outcome("listen", listen(fd, 1));
	outcome("bind another to it", bind(other, &address.any, len));
	close(fd);
	outcome("bind another when it is closed", bind(other, &address.any, len));
	close(other);
}

static void binding_to_others(const struct way *way)
{
	union address address = theirs(way->family, 0);
	int fd = socket(way->family, SOCK_STREAM, 0);

	outcome("another's address", bind(fd, &address.any, address_len(way->family)));
	address.any.sa_family = 77;
	outcome("a family that is none", bind(fd, &address.any, address_len(way->family)));
	address = ours(way->family == AF_INET ? AF_INET6 : AF_INET, 0);
	outcome("the other family", bind(fd, &address.any, address_len(address.any.sa_family)));
	close(fd);
}

/* An address that is bound twice needs the word of both, and then only while nobody listens. */
static void reusing(const struct way *way)
{
	union address address = ours(way->family, 0);
	socklen_t len = address_len(way->family);
	int one = 1, first = socket(way->family, SOCK_STREAM, 0);
	int second = socket(way->family, SOCK_STREAM, 0);

	setsockopt(first, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	outcome("bind", bind(first, &address.any, len));
	address = ours(way->family, port_of(first));
	outcome("without the option", bind(second, &address.any, len));
	setsockopt(second, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	outcome("with it", bind(second, &address.any, len));
	outcome("listen", listen(first, 1));
	outcome("listen too", listen(second, 1));
	close(first);
	close(second);
}

/* A server that starts again while its old connections are in TIME-WAIT. */
static void restarting(const struct way *way)
{
	union address address = ours(way->family, 0);
	socklen_t len = address_len(way->family);
	int one = 1, listening = socket(way->family, SOCK_STREAM, 0);

	setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	must("bind", bind(listening, &address.any, len));
	must("listen", listen(listening, 8));
	address = ours(way->family, port_of(listening));
	int slot = peer_number("connect %d %d", way->family == AF_INET ? 4 : 6, port_of(listening));

	wait_for(listening, POLLIN);
	int fd = accept(listening, NULL, NULL);
	close(listening);
	close(fd);
	say_peer("the end", "hear %d", slot);
	peer("close %d", slot);
	listening = socket(way->family, SOCK_STREAM, 0);
	setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	outcome("bind", bind(listening, &address.any, len));
	outcome("listen", listen(listening, 8));
	close(listening);
}

static void sharing(const struct way *way)
{
	union address address = ours(way->family, 0);
	socklen_t len = address_len(way->family);
	int one = 1, first = socket(way->family, SOCK_STREAM, 0);
	int second = socket(way->family, SOCK_STREAM, 0);

	outcome("option", setsockopt(first, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)));
	outcome("bind", bind(first, &address.any, len));
	address = ours(way->family, port_of(first));
	outcome("without the option", bind(second, &address.any, len));
	outcome("option", setsockopt(second, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)));
	outcome("with it", bind(second, &address.any, len));
	outcome("listen", listen(first, 1));
	outcome("listen too", listen(second, 1));
	close(first);
	close(second);
}

static void listening(const struct way *way)
{
	union address address;
	socklen_t len = sizeof(address);
	char byte = 'x';
	int fd = socket(way->family, SOCK_STREAM, 0);

	outcome("unbound", listen(fd, 4));
	outcome("getsockname", getsockname(fd, &address.any, &len));
	say_address("name", &address, len);
	outcome("again", listen(fd, 8));
	outcome("with nobody", listen(fd, 0));
	outcome("with fewer than nobody", listen(fd, -1));
	outcome("getpeername", getpeername(fd, &address.any, &len));
	outcome("recv", recv(fd, &byte, 1, 0));
	outcome("send", send(fd, &byte, 1, MSG_NOSIGNAL));
	say_events("poll", fd, POLLIN | POLLOUT | POLLRDHUP);
	address = theirs(way->family, 9);
	outcome("connect", connect(fd, &address.any, address_len(way->family)));
	set_nonblocking(fd, true);
	outcome("accept", accept(fd, NULL, NULL));
	outcome("close", close(fd));
}

static void listening_with_others(const struct way *way)
{
	int slot, fd = stream(way, &slot);

	outcome("listen when connected", listen(fd, 4));
	close(fd);
	fd = socket(way->family, SOCK_DGRAM, 0);
	outcome("listen of datagrams", listen(fd, 4));
	outcome("accept of datagrams", accept(fd, NULL, NULL));
	close(fd);
}

static void names(const struct way *way)
{
	union address address;
	socklen_t len = sizeof(address);
	int slot, fd = stream(way, &slot);

	outcome("getsockname", getsockname(fd, &address.any, &len));
	say_address("name", &address, len);
	len = sizeof(address);
	outcome("getpeername", getpeername(fd, &address.any, &len));
	say_address("peer's name", &address, len);
	say("peer's port", "%d",
	    ntohs(way->family == AF_INET ? address.v4.sin_port : address.v6.sin6_port) ==
		    peer_number("port %d", slot));
	memset(&address, 0, sizeof(address));
	len = 4;
	outcome("cut short", getpeername(fd, &address.any, &len));
	say("length", "%u", len);
	say("what fits", "family %d, address %d", address.any.sa_family == way->family,
	    address.v4.sin_addr.s_addr != 0);
	len = 0;
	outcome("no room", getsockname(fd, &address.any, &len));
	say("length", "%u", len);
	len = (socklen_t)-1;
	outcome("less than none", getsockname(fd, &address.any, &len));
	close(fd);
}

static void any_address(const struct way *way)
{
	union address address;
	socklen_t len = address_len(way->family);
	int listening_fd = socket(way->family, SOCK_STREAM, 0);

	memset(&address, 0, sizeof(address));
	address.any.sa_family = (sa_family_t)way->family;
	outcome("bind", bind(listening_fd, &address.any, len));
	outcome("listen", listen(listening_fd, 8));
	int slot = peer_number("connect %d %d", way->family == AF_INET ? 4 : 6,
			       port_of(listening_fd));
	wait_for(listening_fd, POLLIN);
	len = sizeof(address);
	int fd = (int)must("accept", accept(listening_fd, &address.any, &len));
	say_address("from", &address, len);
	len = sizeof(address);
	getsockname(fd, &address.any, &len);
	say_address("to", &address, len);
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	say_text("text", fd);
	close(fd);
	close(listening_fd);
}

static void both_families(const struct way *way)
{
	union address address;
	socklen_t len = sizeof(address.v6);
	int off = 0, listening_fd = socket(AF_INET6, SOCK_STREAM, 0);

	(void)way;
	memset(&address, 0, sizeof(address));
	address.any.sa_family = AF_INET6;
	outcome("option", setsockopt(listening_fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)));
	outcome("bind", bind(listening_fd, &address.any, len));
	outcome("listen", listen(listening_fd, 8));
	for (int family = 4; family <= 6; family += 2) {
		int slot = peer_number("connect %d %d", family, port_of(listening_fd));
		wait_for(listening_fd, POLLIN);
		len = sizeof(address);
		int fd = (int)must("accept", accept(listening_fd, &address.any, &len));
		say_address("from", &address, len);
		len = sizeof(address);
		getsockname(fd, &address.any, &len);
		say_address("to", &address, len);
		peer("say %d hello", slot);
		wait_for(fd, POLLIN);
		say_text("text", fd);
		close(fd);
	}
	close(listening_fd);
}

static void one_family(const struct way *way)
{
	union address address;
	int on = 1, first = socket(AF_INET6, SOCK_STREAM, 0), second;

	(void)way;
	memset(&address, 0, sizeof(address));
	address.any.sa_family = AF_INET6;
	outcome("option", setsockopt(first, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
	outcome("bind", bind(first, &address.any, sizeof(address.v6)));
	outcome("too late for it", setsockopt(first, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
	outcome("listen", listen(first, 8));
	address.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port_of(first))};
	second = socket(AF_INET, SOCK_STREAM, 0);
	outcome("the other family's too", bind(second, &address.any, sizeof(address.v4)));
	outcome("listen", listen(second, 8));
	for (int family = 4; family <= 6; family += 2) {
		int listening_fd = family == 4 ? second : first;
		peer("connect %d %d", family, port_of(first));
		wait_for(listening_fd, POLLIN);
		int fd = (int)must("accept", accept(listening_fd, NULL, NULL));
		say("accepted", "%d", family);
		close(fd);
	}
	close(first);
	close(second);
}

/* A socket of IPv6 that speaks IPv4. */
static void mapped_connect(const struct way *way)
{
	union address address, four = theirs(AF_INET, 0);
	socklen_t len = sizeof(address.v6);
	int listening_slot = peer_number("listen 4"), fd = socket(AF_INET6, SOCK_STREAM, 0);

	(void)way;
	memset(&address, 0, sizeof(address));
	address.v6.sin6_family = AF_INET6;
	address.v6.sin6_port = htons((uint16_t)peer_number("port %d", listening_slot));
	memset(&address.v6.sin6_addr.s6_addr[10], 0xff, 2);
	memcpy(&address.v6.sin6_addr.s6_addr[12], &four.v4.sin_addr, 4);
	outcome("connect", connect(fd, &address.any, len));
	getsockname(fd, &address.any, &len);
	say_address("name", &address, len);
	len = sizeof(address);
	getpeername(fd, &address.any, &len);
	say_address("peer's name", &address, len);
	close(fd);
}

/* Kernel and stack side by side: what is bound to every address answers on loopback too. */
static void loopback(const struct way *way)
{
	union address address = {.v4 = {.sin_family = AF_INET}};
	int listening_fd = socket(AF_INET, SOCK_STREAM, 0),
	    client = socket(AF_INET, SOCK_STREAM, 0);

	(void)way;
	address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	outcome("bind", bind(listening_fd, &address.any, sizeof(address.v4)));
	outcome("listen", listen(listening_fd, 8));
	address.v4.sin_port = htons(port_of(listening_fd));
	outcome("connect", connect(client, &address.any, sizeof(address.v4)));
	int fd = (int)must("accept", accept(listening_fd, NULL, NULL));
	outcome("send", send(client, "hello", 5, 0));
	wait_for(fd, POLLIN);
	say_text("text", fd);
	close(fd);
	close(client);
	close(listening_fd);
}

static void any_address_on_loopback(const struct way *way)
{
	union address address = {.v4 = {.sin_family = AF_INET}};
	int listening_fd = socket(AF_INET, SOCK_STREAM, 0),
	    client = socket(AF_INET, SOCK_STREAM, 0);

	(void)way;
	outcome("bind", bind(listening_fd, &address.any, sizeof(address.v4)));
	outcome("listen", listen(listening_fd, 8));
	address.v4.sin_port = htons(port_of(listening_fd));
	address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	outcome("connect", connect(client, &address.any, sizeof(address.v4)));
	wait_for(listening_fd, POLLIN);
	int fd = (int)must("accept", accept(listening_fd, NULL, NULL));
	outcome("send", send(client, "hello", 5, 0));
	wait_for(fd, POLLIN);
	say_text("text", fd);
	close(fd);
	close(client);
	close(listening_fd);
}

static void to_ourselves(const struct way *way)
{
	uint16_t port;
	int listening_fd = listener(way->family, 8, &port);
	int client = socket(way->family, SOCK_STREAM, 0);
	union address address = ours(way->family, port);

	outcome("connect", connect(client, &address.any, address_len(way->family)));
	wait_for(listening_fd, POLLIN);
	int fd = (int)must("accept", accept(listening_fd, NULL, NULL));
	outcome("send", send(client, "hello", 5, 0));
	wait_for(fd, POLLIN);
	say_text("text", fd);
	close(client);
	wait_for(fd, POLLRDHUP);
	say_text("the end", fd);
	close(fd);
	close(listening_fd);
}

const struct check name_checks[] = {
	{"making", making, ONCE},
	{"fresh socket", fresh, EACH_FAMILY},
	{"binding", binding, EACH_FAMILY},
	{"binding to others", binding_to_others, EACH_FAMILY},
	{"reusing an address", reusing, EACH_FAMILY},
	{"restarting a server", restarting, EACH_FAMILY},
	{"sharing a port", sharing, EACH_FAMILY},
	{"listening", listening, EACH_FAMILY},
	{"listening with others", listening_with_others, EACH_FAMILY},
	{"names", names, EACH_WAY},
	{"any address", any_address, EACH_FAMILY},
	{"both families", both_families, ONCE},
	{"one family", one_family, ONCE},
	{"connecting to a mapped address", mapped_connect, ONCE},
	{"loopback", loopback, ONCE},
	{"any address on loopback", any_address_on_loopback, ONCE},
	{"to ourselves", to_ourselves, EACH_FAMILY},
	{NULL, NULL, 0},
};
