// SPDX-License-Identifier: MIT
/* Calls that are wrong: closed descriptors, what is no socket, pointers to nothing. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"

/* Each call on a descriptor that is closed, or is no socket; pointers and lengths are right. */
static void all_calls(int fd, int family)
{
	char text[16] = "text";
	union address address = theirs(family, 9);
	socklen_t len = address_len(family);
	struct iovec part = {text, 4};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct mmsghdr many = {.msg_hdr = message};
	int value = 1;
	socklen_t value_len = sizeof(value);

	outcome("bind", bind(fd, &address.any, len));
	outcome("listen", listen(fd, 1));
	outcome("connect", connect(fd, &address.any, len));
	outcome("accept", accept(fd, NULL, NULL));
	outcome("accept4", accept4(fd, NULL, NULL, SOCK_NONBLOCK));
	outcome("getsockname", getsockname(fd, &address.any, &(socklen_t){sizeof(address)}));
	outcome("getpeername", getpeername(fd, &address.any, &(socklen_t){sizeof(address)}));
	outcome("getsockopt", getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &value_len));
	outcome("setsockopt", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value)));
	outcome("shutdown", shutdown(fd, SHUT_RDWR));
	outcome("recv", recv(fd, text, 4, MSG_DONTWAIT));
	outcome("recvfrom", recvfrom(fd, text, 4, MSG_DONTWAIT, NULL, NULL));
	outcome("recvmsg", recvmsg(fd, &message, MSG_DONTWAIT));
	outcome("recvmmsg", recvmmsg(fd, &many, 1, MSG_DONTWAIT, NULL));
	outcome("send", send(fd, text, 4, MSG_NOSIGNAL));
	outcome("sendto", sendto(fd, text, 4, MSG_NOSIGNAL, NULL, 0));
	outcome("sendmsg", sendmsg(fd, &message, MSG_NOSIGNAL));
	outcome("sendmmsg", sendmmsg(fd, &many, 1, MSG_NOSIGNAL));
}

static void of_files(int fd)
{
	char text[16] = "text";
	struct iovec part = {text, 4};
	int value = 0;
	struct stat status;

	outcome("read", read(fd, text, 4));
	outcome("write", write(fd, text, 4));
	outcome("readv", readv(fd, &part, 1));
	outcome("writev", writev(fd, &part, 1));
	outcome("ioctl", ioctl(fd, FIONREAD, &value));
	outcome("fcntl", fcntl(fd, F_GETFL));
	outcome("F_SETFL", fcntl(fd, F_SETFL, O_NONBLOCK));
	outcome("F_DUPFD", fcntl(fd, F_DUPFD, 0));
	outcome("dup", dup(fd));
	outcome("fstat", fstat(fd, &status));
	outcome("sendfile", sendfile(fd, STDIN_FILENO, NULL, 1));
	outcome("close", close(fd));
}

static void after_close(const struct way *way)
{
	int slot, fd = stream(way, &slot);

	outcome("close", close(fd));
	outcome("close again", close(fd));
	all_calls(fd, way->family);
	of_files(fd);
	say_events("poll", fd, POLLIN | POLLOUT);
	all_calls(-1, way->family);
	of_files(-1);
	all_calls(1 << 20, way->family);
	of_files(1 << 20);
	of_files(INT32_MAX);
}

static void no_socket(const struct way *way)
{
	int ends[2], file = open("/dev/null", O_RDWR);

	must("pipe", pipe(ends));
	say("of", "a file");
	all_calls(file, way->family);
	say("of", "a pipe");
	all_calls(ends[0], way->family);
	close(file);
	close(ends[0]);
	close(ends[1]);
}

static void *nowhere(void)
{
	static void *page;

	if (!page)
		page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return page;
}

/* The compiler knows what these calls need, and would warn. */
static void *volatile bad, *volatile null;

static void pointers_of_names(const struct way *way)
{
	union address address;
	socklen_t len = address_len(way->family);
	uint16_t port;
	int slot, fd = stream(way, &slot), fresh = socket(way->family, SOCK_STREAM, 0);
	int listening = listener(way->family, 4, &port);

	bad = nowhere();
	outcome("bind", bind(fresh, bad, len));
	outcome("connect", connect(fresh, bad, len));
	outcome("getsockname", getsockname(fd, bad, &(socklen_t){sizeof(address)}));
	outcome("getsockname's length", getsockname(fd, &address.any, bad));
	outcome("getpeername", getpeername(fd, bad, &(socklen_t){sizeof(address)}));
	outcome("getpeername's length", getpeername(fd, &address.any, bad));
	outcome("getsockopt", getsockopt(fd, SOL_SOCKET, SO_TYPE, bad, &(socklen_t){4}));
	outcome("getsockopt's length", getsockopt(fd, SOL_SOCKET, SO_TYPE, &len, bad));
	outcome("setsockopt", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, bad, 4));
	outcome("setsockopt of tcp", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, bad, 4));
	outcome("TCP_INFO", getsockopt(fd, IPPROTO_TCP, TCP_INFO, bad, &(socklen_t){100}));
	outcome("ioctl", ioctl(fd, FIONREAD, bad));
	outcome("FIONBIO", ioctl(fd, FIONBIO, bad));
	peer("connect %d %d", way->family == AF_INET ? 4 : 6, port);
	wait_for(listening, POLLIN);
	outcome("accept", accept(listening, bad, &(socklen_t){sizeof(address)}));
	peer("connect %d %d", way->family == AF_INET ? 4 : 6, port);
	wait_for(listening, POLLIN);
	outcome("accept's length", accept(listening, &address.any, bad));
	outcome("all is well", write(fd, "hello", 5));
	say_peer("text", "hear %d 5", slot);
	close(fd);
	close(fresh);
	close(listening);
}

/* What could not be handed over stays to be received. */
static void pointers_to_receive(const struct way *way)
{
	char text[8];
	int slot, fd = stream(way, &slot);
	struct iovec part = {NULL, 4};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct mmsghdr many = {.msg_hdr = message};

	bad = nowhere();
	part.iov_base = bad;
	outcome("recv of nothing", recv(fd, bad, 4, MSG_DONTWAIT));
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	outcome("recv", recv(fd, bad, 4, 0));
	outcome("read", read(fd, bad, 4));
	outcome("peek", recv(fd, bad, 4, MSG_PEEK));
	outcome("recvfrom", recvfrom(fd, bad, 4, 0, NULL, NULL));
	outcome("readv's part", readv(fd, &part, 1));
	outcome("readv's parts", readv(fd, bad, 1));
	outcome("recvmsg's part", recvmsg(fd, &message, 0));
	message.msg_iov = bad;
	outcome("recvmsg's parts", recvmsg(fd, &message, 0));
	outcome("recvmsg", recvmsg(fd, bad, 0));
	outcome("recvmmsg", recvmmsg(fd, bad, 1, MSG_DONTWAIT, NULL));
	outcome("recvmmsg's time", recvmmsg(fd, &many, 1, MSG_DONTWAIT, bad));
	outcome("recvmmsg's time that is none",
		recvmmsg(fd, &many, 1, MSG_DONTWAIT, &(struct timespec){.tv_nsec = -1}));
	outcome("recv", recv(fd, text, 5, 0));
	say("text", "%.5s", text);
	close(fd);
}

static void pointers_to_send(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	struct iovec part = {NULL, 4};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	bad = nowhere();
	part.iov_base = bad;
	outcome("send", send(fd, bad, 4, 0));
	outcome("write", write(fd, bad, 4));
	outcome("sendto", sendto(fd, bad, 4, 0, NULL, 0));
	outcome("writev's part", writev(fd, &part, 1));
	outcome("writev's parts", writev(fd, bad, 1));
	outcome("sendmsg's part", sendmsg(fd, &message, 0));
	message.msg_iov = bad;
	outcome("sendmsg's parts", sendmsg(fd, &message, 0));
	outcome("sendmsg", sendmsg(fd, bad, 0));
	outcome("sendmmsg", sendmmsg(fd, bad, 1, 0));
	outcome("NULL", write(fd, null, 4));
	outcome("all is well", write(fd, "hello", 5));
	say_peer("text", "hear %d 5", slot);
	close(fd);
}

/* Half of it can be read: Linux sends that half. What arrives is never anything else. */
static void pointers_that_end(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must("mprotect", mprotect(pages + 4096, 4096, PROT_NONE));
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	ssize_t got = recv(fd, pages + 4094, 5, 0);
	say("recv", "%d", got == 2 || (got == -1 && errno == EFAULT));
	say("still connected", "%zd", write(fd, "hello", 5));
	say_peer("text", "hear %d 5", slot);
	munmap(pages, 8192);
	close(fd);
}

static void pointers_to_waits(const struct way *way)
{
	int slot, fd = stream(way, &slot), epoll = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLOUT};
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
	const struct timespec at_once = {.tv_sec = 0};
	struct timeval none = {0};
	fd_set *set = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	bad = nowhere();
	outcome("poll", poll(bad, 1, 0));
	outcome("poll's NULL", poll(null, 1, 0));
	outcome("ppoll's mask", ppoll(&poll_fd, 1, &at_once, bad));
	outcome("select", select(fd + 1, bad, NULL, NULL, &none));
	FD_ZERO(set);
	FD_SET(fd, set);
	outcome("pselect's mask", pselect(fd + 1, set, NULL, NULL, &at_once, bad));
	must("mprotect", mprotect(set, 4096, PROT_READ));
	outcome("select's set that can only be read", select(fd + 1, NULL, set, NULL, &none));
	munmap(set, 4096);
	outcome("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, bad));
	outcome("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	outcome("epoll_wait", epoll_wait(epoll, bad, 1, 0));
	outcome("epoll_pwait's mask", epoll_pwait(epoll, &event, 1, 0, bad));
	outcome("epoll_pwait2's mask", epoll_pwait2(epoll, &event, 1, &at_once, bad));
	outcome("epoll_pwait2's time", epoll_pwait2(epoll, &event, 1, bad, NULL));
	outcome("all is well", epoll_wait(epoll, &event, 1, 0));
	close(epoll);
	close(fd);
}

static void pointers_of_datagrams(const struct way *way)
{
	uint16_t port;
	int slot, fd = datagram(way->family, &slot, &port);
	union address address = theirs(way->family, port);
	char text[8];

	bad = nowhere();
	outcome("sendto", sendto(fd, bad, 4, 0, &address.any, address_len(way->family)));
	outcome("sendto's address", sendto(fd, "x", 1, 0, bad, address_len(way->family)));
	peer("sendto %d %d hello", slot, port_of(fd));
	wait_for(fd, POLLIN);
	outcome("recvfrom's address", recvfrom(fd, text, 8, MSG_PEEK, bad, &(socklen_t){16}));
	outcome("recvfrom's length", recvfrom(fd, text, 8, MSG_PEEK, &address.any, bad));
	outcome("recv", recv(fd, bad, 8, MSG_PEEK));
	outcome("all is well", recv(fd, text, 8, MSG_DONTWAIT));
	close(fd);
}

const struct check fault_checks[] = {
	{"after close", after_close, EACH_FAMILY},
	{"no socket", no_socket, EACH_FAMILY},
	{"pointers of names", pointers_of_names, EACH_WAY},
	{"pointers to receive", pointers_to_receive, EACH_WAY},
	{"pointers to send", pointers_to_send, EACH_WAY},
	{"pointers that end", pointers_that_end, EACH_WAY},
	{"pointers to waits", pointers_to_waits, EACH_WAY},
	{"pointers of datagrams", pointers_of_datagrams, EACH_FAMILY},
	{NULL, NULL, 0},
};
