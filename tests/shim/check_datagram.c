/* SPDX-License-Identifier: MIT */
/* udp(7): datagrams whole, cut, empty and large, and whose they are. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "check.h"

static ssize_t send_to(int fd, const void *data, size_t bytes, const union address *to)
{
	return sendto(fd, data, bytes, 0, &to->any, address_len(to->any.sa_family));
}

static void both_ways(const struct way *way)
{
	uint16_t port;
	int slot, fd = datagram(way->family, &slot, &port);
	union address to = theirs(way->family, port), from;
	socklen_t length = sizeof(from);
	char text[16] = "";

	say_events("idle", fd, POLLIN | POLLOUT);
	outcome("sendto", send_to(fd, "hello", 5, &to));
	say_peer("there", "datagram %d", slot);
	peer("sendto %d %d answer", slot, port_of(fd));
	wait_for(fd, POLLIN);
	outcome("recvfrom", recvfrom(fd, text, sizeof(text), 0, &from.any, &length));
	say("text", "%s", text);
	say_address("from", &from, length);
	outcome("nothing more", recv(fd, text, sizeof(text), MSG_DONTWAIT));
	outcome("send without a peer", send(fd, "x", 1, 0));
	close(fd);
}

static void cut(const struct way *way)
{
	uint16_t port;
	int slot, fd = datagram(way->family, &slot, &port), bytes = 0;
	char text[4] = "";
	struct iovec part = {text, 2};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	peer("sendto %d %d hello", slot, port_of(fd));
	peer("sendto %d %d world", slot, port_of(fd));
	peer("sendto %d %d third", slot, port_of(fd));
	wait_for(fd, POLLIN);
	outcome("FIONREAD", ioctl(fd, FIONREAD, &bytes));
	say("bytes", "%d", bytes);
	outcome("peek with its length", recv(fd, text, 2, MSG_PEEK | MSG_TRUNC));
	outcome("cut", recvmsg(fd, &message, 0));
	say("flags", "%s", message.msg_flags & MSG_TRUNC ? "MSG_TRUNC" : "none");
	outcome("its length", recv(fd, text, 2, MSG_TRUNC));
	say("text", "%.2s", text);
	outcome("no room at all", recv(fd, text, 0, 0));
	outcome("nothing more", recv(fd, text, 2, MSG_DONTWAIT));
	close(fd);
}

static void empty(const struct way *way)
{
	uint16_t port;
	int slot, fd = datagram(way->family, &slot, &port);
	union address to = theirs(way->family, port);
	char text[4];

	outcome("sendto", send_to(fd, "", 0, &to));
	say_peer("there", "datagram %d", slot);
	peer("sendto %d %d", slot, port_of(fd));
	wait_for(fd, POLLIN);
	outcome("recv", recv(fd, text, sizeof(text), 0));
	outcome("nothing more", recv(fd, text, sizeof(text), MSG_DONTWAIT));
	close(fd);
}

static void large(const struct way *way)
{
	static uint8_t data[65536];
	static const int sizes[] = {1400, 1473, 4000, 9000, 30000, 65507 - 20};
	uint16_t port;
	int slot, fd = datagram(way->family, &slot, &port);
	union address to = theirs(way->family, port);

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = pattern(i);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		bool same = true;

		outcome("sendto", send_to(fd, data, (size_t)sizes[i], &to));
		say_peer("there", "datagram %d", slot);
		peer("sendbig %d %d %d", slot, port_of(fd), sizes[i]);
		wait_for(fd, POLLIN);
		memset(data, 0, sizeof(data));
		outcome("recv", recv(fd, data, sizeof(data), 0));
		for (int j = 0; j < sizes[i]; j++)
			same &= data[j] == pattern((size_t)j);
		say("pattern", "%s", same ? "whole" : "wrong");
		for (size_t j = 0; j < sizeof(data); j++)
			data[j] = pattern(j);
	}
	outcome("too large", send_to(fd, data, sizeof(data), &to));
	close(fd);
}

static void with_peer(const struct way *way)
{
	uint16_t port, other_port;
	int slot, other, fd = datagram(way->family, &slot, &port);
	int unused = datagram(way->family, &other, &other_port);
	union address to = theirs(way->family, port), name;
	socklen_t length = sizeof(name);
	char text[8] = "";

	outcome("connect", connect(fd, &to.any, address_len(way->family)));
	outcome("getpeername", getpeername(fd, &name.any, &length));
	say_address("peer", &name, length);
	outcome("send", send(fd, "hello", 5, 0));
	say_peer("there", "datagram %d", slot);
	peer("sendto %d %d stranger", other, port_of(fd));
	peer("sendto %d %d friend", slot, port_of(fd));
	wait_for(fd, POLLIN);
	outcome("recv", recv(fd, text, sizeof(text), 0));
	say("text", "%.6s", text);
	outcome("not the stranger's", recv(fd, text, sizeof(text), MSG_DONTWAIT));
	close(unused);
	close(fd);
}

/* A port that nobody listens on says so with ICMP, and the next call tells. */
static void refused(const struct way *way)
{
	uint16_t port;
	int slot, fd = datagram(way->family, &slot, &port);
	union address to = theirs(way->family, port);
	char text[4];

	peer("close %d", slot);
	outcome("connect", connect(fd, &to.any, address_len(way->family)));
	outcome("send", send(fd, "hello", 5, 0));
	wait_for(fd, POLLIN);
	outcome("recv", recv(fd, text, sizeof(text), 0));
	say_error("error", fd);
	outcome("then", recv(fd, text, sizeof(text), MSG_DONTWAIT));
	close(fd);
}

static void many(const struct way *way)
{
	uint16_t port;
	int slot, fd = datagram(way->family, &slot, &port);
	union address to = theirs(way->family, port);
	char out[3][4] = {"one", "two", "six"}, in[4][4];
	struct iovec parts[4];
	struct mmsghdr messages[4] = {{.msg_len = 0}};

	for (int i = 0; i < 3; i++) {
		parts[i] = (struct iovec){out[i], 3};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i],
						      .msg_iovlen = 1,
						      .msg_name = &to,
						      .msg_namelen = address_len(way->family)};
	}
	outcome("sendmmsg", sendmmsg(fd, messages, 3, 0));
	say("bytes", "%u %u %u", messages[0].msg_len, messages[1].msg_len, messages[2].msg_len);
	for (int i = 0; i < 3; i++)
		say_peer("there", "datagram %d", slot);
	for (int i = 0; i < 3; i++)
		peer("sendto %d %d %.3s", slot, port_of(fd), out[i]);
	for (int i = 0; i < 4; i++) {
		parts[i] = (struct iovec){in[i], 4};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
	}
	wait_for(fd, POLLIN);
	usleep(50000); /* until all three are here */
	outcome("recvmmsg", recvmmsg(fd, messages, 4, MSG_WAITFORONE, NULL));
	say("first", "%u '%.3s'", messages[0].msg_len, in[0]);
	say("third", "%u '%.3s'", messages[2].msg_len, in[2]);
	outcome("nothing more", recvmmsg(fd, messages, 4, MSG_DONTWAIT, NULL));
	close(fd);
}

static void to_any_address(const struct way *way)
{
	union address any = {.any = {.sa_family = (sa_family_t)way->family}};
	int slot = 0, fd = socket(way->family, SOCK_DGRAM, 0), unused;
	uint16_t port;
	char text[8] = "";

	unused = datagram(way->family, &slot, &port);
	outcome("bind", bind(fd, &any.any, address_len(way->family)));
	say_events("idle", fd, POLLIN);
	peer("sendto %d %d hello", slot, port_of(fd));
	wait_for(fd, POLLIN);
	outcome("recv", recv(fd, text, sizeof(text), 0));
	say("text", "%s", text);
	close(unused);
	close(fd);
}

const struct check datagram_checks[] = {
	{"datagrams both ways", both_ways, EACH_FAMILY},
	{"datagrams cut short", cut, EACH_FAMILY},
	{"empty datagrams", empty, EACH_FAMILY},
	{"large datagrams", large, EACH_FAMILY},
	{"datagrams with a peer", with_peer, EACH_FAMILY},
	{"refused datagrams", refused, EACH_FAMILY},
	{"many datagrams", many, EACH_FAMILY},
	{"datagrams to any address", to_any_address, EACH_FAMILY},
	{NULL, NULL, 0},
};
