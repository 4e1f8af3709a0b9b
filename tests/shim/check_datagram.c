// SPDX-License-Identifier: MIT
/* UDP. udp(7), ip(7), recvmsg(2) */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"

static void to_and_fro(const struct way *way)
{
	char text[16];
	uint16_t port;
	int slot, fd = datagram(way->family, &slot, &port);
	union address address = theirs(way->family, port);
	socklen_t len = sizeof(address);

	outcome("sendto", sendto(fd, "hello", 5, 0, &address.any, address_len(way->family)));
	say_peer("datagram", "datagram %d", slot);
	outcome("of nothing", sendto(fd, "", 0, 0, &address.any, address_len(way->family)));
	say_peer("datagram", "datagram %d", slot);
	peer("sendto %d %d hello", slot, port_of(fd));
	wait_for(fd, POLLIN);
	memset(&address, 0, sizeof(address));
	outcome("recvfrom", recvfrom(fd, text, sizeof(text), 0, &address.any, &len));
	say_address("from", &address, len);
	peer("sendto %d %d", slot, port_of(fd));
	wait_for(fd, POLLIN);
	say_events("poll", fd, POLLIN | POLLOUT);
	outcome("of nothing", recv(fd, text, sizeof(text), 0));
	outcome("none is left", recv(fd, text, sizeof(text), MSG_DONTWAIT));
	outcome("send to nobody", send(fd, "x", 1, 0));
	outcome("write to nobody", write(fd, "x", 1));
	address.any.sa_family = 77;
	outcome("to no family", sendto(fd, "x", 1, 0, &address.any, address_len(way->family)));
	outcome("to an address cut short", sendto(fd, "x", 1, 0, &address.any, 4));
	close(fd);
}

static void cut(const struct way *way)
{
	char text[4], control[64];
	uint16_t port;
	int slot, fd = datagram(way->family, &slot, &port);
	union address from;
	struct iovec parts[2] = {{text, 1}, {text + 1, 2}};
	struct msghdr message = {.msg_iov = parts,
				 .msg_iovlen = 2,
				 .msg_name = &from,
				 .msg_namelen = sizeof(from),
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};

	for (int i = 0; i < 5; i++)
		peer("sendto %d %d datagram", slot, port_of(fd));
	wait_for(fd, POLLIN);
	outcome("recv", recv(fd, text, 3, 0));
	wait_for(fd, POLLIN);
	outcome("MSG_TRUNC", recv(fd, text, 3, MSG_TRUNC));
	wait_for(fd, POLLIN);
	outcome("recvmsg", recvmsg(fd, &message, 0));
	say("flags", "%s, %u of a name, %zu of control",
	    message.msg_flags & MSG_TRUNC ? "cut" : "whole", message.msg_namelen,
	    message.msg_controllen);
	say_address("from", &from, message.msg_namelen);
	wait_for(fd, POLLIN);
	outcome("peek", recv(fd, text, 1, MSG_PEEK));
	outcome("peek at its length", recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC));
	outcome("readv", readv(fd, parts, 2));
	wait_for(fd, POLLIN);
	outcome("of no room", recv(fd, NULL, 0, 0));
	outcome("none is left", recv(fd, text, 1, MSG_DONTWAIT));
	close(fd);
}

static void sizes(const struct way *way)
{
	static uint8_t data[70000];
	static const size_t lens[] = {1, 1400, 1472, 1473, 9000, 65507};
	uint16_t port;
	int slot, fd = datagram(way->family, &slot, &port);
	union address address = theirs(way->family, port);
	socklen_t len = address_len(way->family);

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = pattern(i);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		outcome("sendto", sendto(fd, data, lens[i], 0, &address.any, len));
		say_peer("datagram", "datagram %d", slot);
		peer("sendbig %d %d %zu", slot, port_of(fd), lens[i]);
		wait_for(fd, POLLIN);
		memset(data, 0, sizeof(data));
		outcome("recv", recv(fd, data, sizeof(data), 0));
		for (size_t j = 0; j < lens[i]; j++)
			if (data[j] != pattern(j))
				say("differs", "at %zu", j);
		for (size_t j = 0; j < sizeof(data); j++)
			data[j] = pattern(j);
	}
	outcome("too much", sendto(fd, data, 65536, 0, &address.any, len));
	close(fd);
}

static void connected(const struct way *way)
{
	char text[16];
	uint16_t port;
	int slot, fd = datagram(way->family, &slot, &port);
	int other = peer_number("udp %d", way->family == AF_INET ? 4 : 6);
	union address address = theirs(way->family, port);
	socklen_t len = address_len(way->family);

	outcome("getpeername", getpeername(fd, &address.any, &(socklen_t){sizeof(address)}));
	outcome("connect", connect(fd, &address.any, len));
	len = sizeof(address);
	outcome("getpeername", getpeername(fd, &address.any, &len));
	say_address("peer", &address, len);
	outcome("send", send(fd, "hello", 5, 0));
	say_peer("datagram", "datagram %d", slot);
	outcome("write", write(fd, "you", 3));
	say_peer("datagram", "datagram %d", slot);
	peer("sendto %d %d no", other, port_of(fd));
	peer("sendto %d %d yes", slot, port_of(fd));
	wait_for(fd, POLLIN);
	say_text("from the peer alone", fd);
	outcome("none is left", recv(fd, text, sizeof(text), MSG_DONTWAIT));
	address = theirs(way->family, (uint16_t)peer_number("port %d", other));
	outcome("sendto another",
		sendto(fd, "other", 5, 0, &address.any, address_len(way->family)));
	say_peer("datagram", "datagram %d", other);
	outcome("connect to another", connect(fd, &address.any, address_len(way->family)));
	outcome("send", send(fd, "hello", 5, 0));
	say_peer("datagram", "datagram %d", other);
	address.any.sa_family = AF_UNSPEC;
	outcome("connect to nobody", connect(fd, &address.any, sizeof(address.any)));
	outcome("getpeername", getpeername(fd, &address.any, &(socklen_t){sizeof(address)}));
	outcome("send", send(fd, "x", 1, 0));
	close(fd);
}

/* Not bound before: the way to the peer decides on the address. */
static void connected_from_anywhere(const struct way *way)
{
	uint16_t port;
	int slot, bound = datagram(way->family, &slot, &port),
		  fd = socket(way->family, SOCK_DGRAM, 0);
	union address address = theirs(way->family, port);
	socklen_t len = address_len(way->family);

	close(bound);
	outcome("connect", connect(fd, &address.any, len));
	len = sizeof(address);
	outcome("getsockname", getsockname(fd, &address.any, &len));
	say_address("name", &address, len);
	outcome("send", send(fd, "hello", 5, 0));
	say_peer("datagram", "datagram %d", slot);
	peer("sendto %d %d answer", slot, port_of(fd));
	wait_for(fd, POLLIN);
	say_text("answer", fd);
	close(fd);
	fd = socket(way->family, SOCK_DGRAM, 0);
	address = theirs(way->family, port);
	outcome("sendto", sendto(fd, "hello", 5, 0, &address.any, address_len(way->family)));
	say_peer("datagram", "datagram %d", slot);
	len = sizeof(address);
	getsockname(fd, &address.any, &len);
	say_address("name", &address, len);
	peer("sendto %d %d answer", slot, port_of(fd));
	wait_for(fd, POLLIN);
	say_text("answer", fd);
	close(fd);
}

static void any_address(const struct way *way)
{
	union address address;
	uint16_t port;
	int slot, bound = datagram(way->family, &slot, &port),
		  fd = socket(way->family, SOCK_DGRAM, 0);

	close(bound);
	memset(&address, 0, sizeof(address));
	address.any.sa_family = (sa_family_t)way->family;
	outcome("bind", bind(fd, &address.any, address_len(way->family)));
	peer("sendto %d %d hello", slot, port_of(fd));
	wait_for(fd, POLLIN);
	socklen_t len = sizeof(address);
	char text[16];
	outcome("recvfrom", recvfrom(fd, text, sizeof(text), 0, &address.any, &len));
	say_address("from", &address, len);
	outcome("answer", sendto(fd, "answer", 6, 0, &address.any, len));
	say_peer("datagram", "datagram %d", slot);
	close(fd);
}

static void refused(const struct way *way)
{
	char text[16];
	uint16_t port;
	int slot, fd = datagram(way->family, &slot, &port);
	union address address = theirs(way->family, port);
	socklen_t len = address_len(way->family);

	peer("close %d", slot);
	outcome("sendto a closed port", sendto(fd, "x", 1, 0, &address.any, len));
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	outcome("nothing is told", poll(&poll_fd, 1, NOTHING_MS));
	outcome("connect", connect(fd, &address.any, len));
	outcome("send", send(fd, "x", 1, 0));
	wait_for(fd, POLLIN);
	say_events("poll", fd, POLLIN | POLLOUT);
	outcome("recv", recv(fd, text, sizeof(text), MSG_DONTWAIT));
	outcome("once", recv(fd, text, sizeof(text), MSG_DONTWAIT));
	outcome("send", send(fd, "x", 1, 0));
	wait_for(fd, POLLIN);
	say_error("error", fd);
	say_error("once", fd);
	outcome("send", send(fd, "x", 1, 0));
	wait_for(fd, POLLIN);
	outcome("told by send", send(fd, "x", 1, 0));
	close(fd);
}

static void waiting_bytes(const struct way *way)
{
	int waiting = -1, slot;
	uint16_t port;
	int fd = datagram(way->family, &slot, &port);

	outcome("FIONREAD", ioctl(fd, FIONREAD, &waiting));
	say("waiting", "%d", waiting);
	peer("sendto %d %d hello", slot, port_of(fd));
	wait_for(fd, POLLIN);
	peer("sendto %d %d you", slot, port_of(fd));
	outcome("FIONREAD", ioctl(fd, FIONREAD, &waiting));
	say("of the next", "%d", waiting);
	close(fd);
}

static void several(const struct way *way)
{
	char text[3][16];
	uint16_t port;
	int slot, fd = datagram(way->family, &slot, &port);
	union address address = theirs(way->family, port), from[3];
	struct iovec parts[3] = {{TEXT("one"), 3}, {TEXT("two"), 3}, {TEXT("three"), 5}};
	struct mmsghdr messages[3];
	struct timespec little = {.tv_nsec = NOTHING_MS * 1000000};

	memset(messages, 0, sizeof(messages));
	for (int i = 0; i < 3; i++)
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i],
						      .msg_iovlen = 1,
						      .msg_name = &address,
						      .msg_namelen = address_len(way->family)};
	outcome("sendmmsg", sendmmsg(fd, messages, 3, 0));
	for (int i = 0; i < 3; i++) {
		say("length", "%u", messages[i].msg_len);
		say_peer("datagram", "datagram %d", slot);
		peer("sendto %d %d number %d", slot, port_of(fd), i);
		parts[i] = (struct iovec){text[i], sizeof(text[i])};
		messages[i].msg_hdr.msg_name = &from[i];
		messages[i].msg_hdr.msg_namelen = sizeof(from[i]);
	}
	outcome("recvmmsg", recvmmsg(fd, messages, 2, 0, NULL));
	say("lengths", "%u %u", messages[0].msg_len, messages[1].msg_len);
	say_address("from", &from[1], messages[1].msg_hdr.msg_namelen);
	wait_for(fd, POLLIN);
	outcome("recvmmsg, not waiting", recvmmsg(fd, messages, 3, MSG_DONTWAIT, NULL));
	outcome("none is left", recvmmsg(fd, messages, 3, MSG_DONTWAIT, NULL));
	for (int i = 0; i < 2; i++)
		peer("sendto %d %d x", slot, port_of(fd));
	outcome("MSG_WAITFORONE", recvmmsg(fd, messages, 3, MSG_WAITFORONE, &little) > 0);
	close(fd);
}

/* Which of our addresses it was sent to. */
static void where_to(const struct way *way)
{
	char text[16];
	_Alignas(struct cmsghdr) char control[128];
	uint16_t port;
	int slot, on = 1, fd = datagram(way->family, &slot, &port);
	struct iovec part = {text, sizeof(text)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	bool four = way->family == AF_INET;

	outcome("option", four ? setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on))
			       : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)));
	peer("sendto %d %d hello", slot, port_of(fd));
	wait_for(fd, POLLIN);
	outcome("recvmsg", recvmsg(fd, &message, 0));
	for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each;
	     each = CMSG_NXTHDR(&message, each)) {
		union address address = ours(way->family, 0);
		const void *to = four ? (void *)&((struct in_pktinfo *)CMSG_DATA(each))->ipi_addr
				      : (void *)&((struct in6_pktinfo *)CMSG_DATA(each))->ipi6_addr;
		const void *us = four ? (void *)&address.v4.sin_addr
				      : (void *)&address.v6.sin6_addr;
		say("control", "%d %d, to us: %d", each->cmsg_level, each->cmsg_type,
		    memcmp(to, us, four ? 4 : 16) == 0);
	}
	close(fd);
}

static void hops_and_class(const struct way *way)
{
	char text[16];
	_Alignas(struct cmsghdr) char control[128];
	uint16_t port;
	int slot, on = 1, fd = datagram(way->family, &slot, &port);
	struct iovec part = {text, sizeof(text)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	bool four = way->family == AF_INET;

	outcome("hops", four ? setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on))
			     : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof(on)));
	outcome("class", four ? setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on))
			      : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof(on)));
	peer("sendto %d %d hello", slot, port_of(fd));
	wait_for(fd, POLLIN);
	outcome("recvmsg", recvmsg(fd, &message, 0));
	for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each;
	     each = CMSG_NXTHDR(&message, each))
		say("control", "%d %d, %zu bytes, %d", each->cmsg_level, each->cmsg_type,
		    (size_t)each->cmsg_len, *CMSG_DATA(each));
	close(fd);
}

static void other_ways(const struct way *way)
{
	char text[16];
	struct timeval little = {.tv_usec = NOTHING_MS * 1000};
	uint16_t port;
	int slot, fd = datagram(way->family, &slot, &port);
	struct msghdr message = {.msg_iovlen = 0};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &little, sizeof(little));
	outcome("recv in a while", recv(fd, text, sizeof(text), 0));
	outcome("queue of errors", recvmsg(fd, &message, MSG_ERRQUEUE));
	outcome("queue of errors", recv(fd, text, 1, MSG_ERRQUEUE | MSG_DONTWAIT));
	union address address = {.v4 = {.sin_family = AF_INET,
					.sin_port = htons(9),
					.sin_addr.s_addr = htonl(0xffffffff)}};
	if (way->family == AF_INET)
		outcome("broadcast", sendto(fd, "x", 1, 0, &address.any, sizeof(address.v4)));
	address = theirs(way->family, 0);
	outcome("to port 0", sendto(fd, "x", 1, 0, &address.any, address_len(way->family)));
	address = theirs(way->family, port);
	outcome("connect", connect(fd, &address.any, address_len(way->family)));
	outcome("shutdown", shutdown(fd, SHUT_RD));
	outcome("recv", recv(fd, text, sizeof(text), 0));
	outcome("shutdown", shutdown(fd, SHUT_WR));
	outcome("send", send(fd, "x", 1, MSG_NOSIGNAL));
	close(fd);
}

const struct check datagram_checks[] = {
	{"datagrams", to_and_fro, EACH_FAMILY},
	{"datagrams cut", cut, EACH_FAMILY},
	{"datagrams of all sizes", sizes, EACH_FAMILY},
	{"datagrams, connected", connected, EACH_FAMILY},
	{"datagrams, from anywhere", connected_from_anywhere, EACH_FAMILY},
	{"datagrams to any address", any_address, EACH_FAMILY},
	{"datagrams refused", refused, EACH_FAMILY},
	{"datagrams waiting", waiting_bytes, EACH_FAMILY},
	{"several datagrams", several, EACH_FAMILY},
	{"datagrams, where to", where_to, EACH_FAMILY},
	{"datagrams, hops and class", hops_and_class, EACH_FAMILY},
	{"datagrams, other ways", other_ways, EACH_FAMILY},
	{NULL, NULL, 0},
};
