// SPDX-License-Identifier: MIT
/* The calls that receive and send, and their flags, on streams. recv(2), send(2), readv(2) */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static void say_bytes(const char *what, ssize_t len, const char *text)
{
	if (len < 0)
		outcome(what, len);
	else
		say(what, "%zd '%.*s'", len, (int)len, text);
}

static void nothing_there(const struct way *way)
{
	char byte;
	int slot, fd = stream(way, &slot);

	outcome("MSG_DONTWAIT", recv(fd, &byte, 1, MSG_DONTWAIT));
	outcome("no bytes, MSG_DONTWAIT", recv(fd, &byte, 0, MSG_DONTWAIT));
	set_nonblocking(fd, true);
	outcome("read", read(fd, &byte, 1));
	outcome("read no bytes", read(fd, &byte, 0));
	outcome("recv", recv(fd, &byte, 1, 0));
	outcome("peek", recv(fd, &byte, 1, MSG_PEEK));
	outcome("wait for all", recv(fd, &byte, 1, MSG_WAITALL));
	outcome("write no bytes", write(fd, &byte, 0));
	outcome("send no bytes", send(fd, &byte, 0, 0));
	say_peer("nothing was sent", "nothing %d", slot);
	close(fd);
}

static void peeking(const struct way *way)
{
	char text[20];
	int slot, fd = stream(way, &slot);

	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	say_bytes("peek", recv(fd, text, sizeof(text), MSG_PEEK), text);
	say_bytes("peek at some", recv(fd, text, 2, MSG_PEEK), text);
	say_bytes("peek with recvfrom", recvfrom(fd, text, 4, MSG_PEEK, NULL, NULL), text);
	say_bytes("take some", recv(fd, text, 2, 0), text);
	say_bytes("peek at the rest", recv(fd, text, sizeof(text), MSG_PEEK | MSG_DONTWAIT), text);
	say_bytes("take the rest", recv(fd, text, sizeof(text), 0), text);
	outcome("nothing more", recv(fd, text, 1, MSG_PEEK | MSG_DONTWAIT));
	close(fd);
}

static void waiting_for_all(const struct way *way)
{
	char text[20];
	int slot, fd = stream(way, &slot);

	peer("say %d hel", slot);
	wait_for(fd, POLLIN);
	peer("say %d lo", slot);
	say_bytes("all", recv(fd, text, 5, MSG_WAITALL), text);
	peer("say %d rest", slot);
	peer("shutdown %d wr", slot);
	say_bytes("all there is", recv(fd, text, sizeof(text), MSG_WAITALL), text);
	say_bytes("the end", recv(fd, text, sizeof(text), MSG_WAITALL), text);
	close(fd);
}

static void throwing_away(const struct way *way)
{
	char text[20] = "untouched";
	int slot, fd = stream(way, &slot);

	peer("say %d hello you", slot);
	wait_for(fd, POLLIN);
	outcome("MSG_TRUNC", recv(fd, text, 6, MSG_TRUNC));
	say("buffer", "%s", text);
	say_bytes("the rest", recv(fd, text, sizeof(text), 0), text);
	close(fd);
}

/* The compiler knows what these mean, and would warn. */
static volatile int less_than_none = -1, too_many = 1025;

static void vectors(const struct way *way)
{
	char one[4] = "", two[4] = "", text[16];
	struct iovec in[3] = {{one, 3}, {NULL, 0}, {two, 3}};
	struct iovec out[4] = {{TEXT("he"), 2}, {NULL, 0}, {TEXT("l"), 1}, {TEXT("lo"), 2}};
	int slot, fd = stream(way, &slot);

	outcome("writev", writev(fd, out, 4));
	say_peer("text", "hear %d 5", slot);
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	outcome("readv", readv(fd, in, 3));
	say("parts", "%s %s", one, two);
	outcome("writev of none", writev(fd, out, 0));
	outcome("readv of none", readv(fd, in, 0));
	outcome("of less than none", writev(fd, out, less_than_none));
	outcome("of too many", readv(fd, in, too_many));
	outcome("pread", pread(fd, text, 1, 0));
	outcome("pwrite", pwrite(fd, "x", 1, 0));
	outcome("preadv", preadv(fd, in, 1, 0));
	outcome("lseek", lseek(fd, 0, SEEK_CUR));
	close(fd);
}

/* 1,024 parts, as many as are allowed. */
static void many_vectors(const struct way *way)
{
	static struct iovec parts[1024];
	static uint8_t bytes[1024 * 7];
	int slot, fd = stream(way, &slot);

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = pattern(i);
	for (int i = 0; i < 1024; i++)
		parts[i] = (struct iovec){bytes + 7 * i, 7};
	outcome("writev", writev(fd, parts, 1024));
	peer("receiver %d %zu", slot, sizeof(bytes));
	say_peer("text", "join %d", slot);
	close(fd);
}

static void messages(const struct way *way)
{
	char text[16], control[64];
	union address address = theirs(way->family, 9);
	struct iovec part = {.iov_base = TEXT("hello"), .iov_len = 5};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	int slot, fd = stream(way, &slot);

	outcome("sendmsg", sendmsg(fd, &message, 0));
	say_peer("text", "hear %d 5", slot);
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	part = (struct iovec){text, sizeof(text)};
	message = (struct msghdr){.msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_name = &address,
				  .msg_namelen = sizeof(address),
				  .msg_control = control,
				  .msg_controllen = sizeof(control),
				  .msg_flags = -1};
	say_bytes("recvmsg", recvmsg(fd, &message, 0), text);
	say("filled", "name %u, control %zu, flags %d", message.msg_namelen, message.msg_controllen,
	    message.msg_flags);
	message = (struct msghdr){.msg_iovlen = 0};
	outcome("sendmsg of nothing", sendmsg(fd, &message, 0));
	message.msg_iov = &part;
	message.msg_iovlen = 1025;
	outcome("sendmsg of too many", sendmsg(fd, &message, 0));
	close(fd);
}

static void names_are_not_needed(const struct way *way)
{
	char text[16];
	union address address = theirs(way->family, 9);
	socklen_t len = sizeof(address);
	int slot, fd = stream(way, &slot);

	outcome("sendto somebody else",
		sendto(fd, "hello", 5, 0, &address.any, address_len(way->family)));
	say_peer("text", "hear %d 5", slot);
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	say_bytes("recvfrom", recvfrom(fd, text, sizeof(text), 0, &address.any, &len), text);
	say("length of the name", "%u", len);
	close(fd);
}

static void many_messages(const struct way *way)
{
	char text[2][8];
	struct iovec parts[2] = {{TEXT("hel"), 3}, {TEXT("lo"), 2}};
	struct mmsghdr messages[2];
	int slot, fd = stream(way, &slot);

	memset(messages, 0, sizeof(messages));
	for (int i = 0; i < 2; i++)
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
	outcome("sendmmsg", sendmmsg(fd, messages, 2, 0));
	say("lengths", "%u %u", messages[0].msg_len, messages[1].msg_len);
	say_peer("text", "hear %d 5", slot);
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	for (int i = 0; i < 2; i++)
		parts[i] = (struct iovec){text[i], 3};
	outcome("recvmmsg", recvmmsg(fd, messages, 2, MSG_DONTWAIT, NULL));
	say("lengths", "%u %u", messages[0].msg_len, messages[1].msg_len);
	outcome("recvmmsg of nothing", recvmmsg(fd, messages, 2, MSG_DONTWAIT, NULL));
	close(fd);
}

static void waiting_bytes(const struct way *way)
{
	int waiting = -1, slot, fd = stream(way, &slot);
	char text[8];

	outcome("FIONREAD", ioctl(fd, FIONREAD, &waiting));
	say("waiting", "%d", waiting);
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	outcome("FIONREAD", ioctl(fd, FIONREAD, &waiting));
	say("waiting", "%d", waiting);
	recv(fd, text, 2, 0);
	ioctl(fd, FIONREAD, &waiting);
	say("waiting", "%d", waiting);
	recv(fd, text, sizeof(text), 0);
	peer("shutdown %d wr", slot);
	wait_for(fd, POLLRDHUP);
	outcome("FIONREAD at the end", ioctl(fd, FIONREAD, &waiting));
	say("waiting", "%d", waiting);
	outcome("TIOCOUTQ", ioctl(fd, TIOCOUTQ, &waiting));
	close(fd);
	fd = listener(way->family, 1, NULL);
	outcome("FIONREAD of a listener", ioctl(fd, FIONREAD, &waiting));
	close(fd);
}

static void other_requests(const struct way *way)
{
	int on = 1, slot, fd = stream(way, &slot);
	char byte;

	outcome("FIONBIO", ioctl(fd, FIONBIO, &on));
	outcome("read", read(fd, &byte, 1));
	on = 0;
	outcome("FIONBIO", ioctl(fd, FIONBIO, &on));
	peer("say %d x", slot);
	outcome("read", read(fd, &byte, 1));
	outcome("a request that is none", ioctl(fd, 0x12345678, &on));
	outcome("isatty", isatty(fd));
	say("errno", "%s", strerrorname_np(errno));
	close(fd);
}

static void out_of_order_flags(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	char text[8];

	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	outcome("queue of errors", recv(fd, text, 1, MSG_ERRQUEUE));
	say_bytes("recv with MSG_NOSIGNAL", recv(fd, text, 5, MSG_NOSIGNAL), text);
	outcome("send with MSG_MORE", send(fd, "hel", 3, MSG_MORE));
	outcome("send", send(fd, "lo", 2, 0));
	say_peer("text", "hear %d 5", slot);
	outcome("send with MSG_EOR", send(fd, "!", 1, MSG_EOR));
	outcome("send with MSG_DONTROUTE", send(fd, "!", 1, MSG_DONTROUTE));
	outcome("send with MSG_CONFIRM", send(fd, "!", 1, MSG_CONFIRM));
	say_peer("text", "hear %d 3", slot);
	close(fd);
}

/* What libc has instead of some calls, for programs that were compiled with _FORTIFY_SOURCE. */
ssize_t __read_chk(int fd, void *to, size_t bytes, size_t room);
ssize_t __recv_chk(int fd, void *to, size_t bytes, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *to, size_t bytes, size_t room, int flags,
		       struct sockaddr *address, socklen_t *length);
int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t room);
int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		const sigset_t *signals, size_t room);

static long fortified_call(int number, int fd, char *text, size_t bytes, size_t room)
{
	struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = -1}};

	switch (number) {
	case 0:
		return __poll_chk(fds, bytes > room ? 2 : 1, WAIT_MS, sizeof(fds[0]));
	case 1:
		return __ppoll_chk(fds, bytes > room ? 2 : 1, NULL, NULL, sizeof(fds[0]));
	case 2:
		return __recv_chk(fd, text, bytes, room, MSG_PEEK);
	case 3:
		return __recvfrom_chk(fd, text, bytes, room, 0, NULL, NULL);
	default:
		return __read_chk(fd, text, bytes, room);
	}
}

/* Each does what the call does, and aborts the program when it asks for more than there is room for. */
static void fortified(const struct way *way)
{
	static const char *const names[] = {"__poll_chk", "__ppoll_chk", "__recv_chk",
					    "__recvfrom_chk", "__read_chk"};
	const struct rlimit none = {0, 0};
	int slot, fd = stream(way, &slot), status = 0;

	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	for (int i = 0; i < 5; i++) {
		char text[8] = "";

		outcome(names[i], fortified_call(i, fd, text, 2, sizeof(text)));
		say("text", "%s", text);
		pid_t child = fork();
		if (child == 0) {
			close(STDERR_FILENO);
			setrlimit(RLIMIT_CORE, &none);
			fortified_call(i, fd, text, 9, sizeof(text));
			_exit(0);
		}
		must("waitpid", waitpid(child, &status, 0));
		say("past its room", "%d", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	}
	close(fd);
}

static void streams_of_stdio(const struct way *way)
{
	char text[8] = "";
	int slot, fd = stream(way, &slot);
	FILE *file = fdopen(fd, "r+");

	say("open", "%d", file != NULL);
	say("fileno", "%d", fileno(file) == fd);
	say("fprintf", "%d", fprintf(file, "number %d", 5));
	say_peer("not yet", "nothing %d", slot);
	outcome("fflush", fflush(file));
	say_peer("text", "hear %d 8", slot);
	peer("say %d hello", slot);
	say("fread", "%zu", fread(text, 1, 5, file));
	say("text", "%s", text);
	outcome("ftell", ftell(file));
	outcome("fseek", fseek(file, 0, SEEK_SET));
	peer("shutdown %d wr", slot);
	say("getc", "%d", getc(file));
	say("the end", "%d %d", feof(file) != 0, ferror(file) != 0);
	say("fputs", "%d", fputs("bye", file) >= 0);
	outcome("fclose", fclose(file));
	say_peer("text", "hear %d 3", slot);
	say_peer("the end", "hear %d", slot);
	outcome("it is closed", fcntl(fd, F_GETFD));
}

/* One to read and one to write, as old servers have it. */
static void two_streams_of_stdio(const struct way *way)
{
	char line[16] = "";
	int slot, fd = stream(way, &slot);
	FILE *out = fdopen(dup(fd), "w"), *in = fdopen(fd, "r");

	say("setvbuf", "%d", setvbuf(out, NULL, _IONBF, 0));
	say("fputs", "%d", fputs("hello", out) >= 0);
	say_peer("text", "hear %d 5", slot);
	peer("say %d hello", slot);
	peer("shutdown %d wr", slot);
	say("fgets", "%s", fgets(line, sizeof(line), in));
	say("write to it", "%d", fputs("x", in));
	outcome("fclose", fclose(in));
	say_peer("no end while there is one", "nothing %d", slot);
	outcome("fclose", fclose(out));
	say_peer("the end", "hear %d", slot);
	say("a mode that is none", "%d", fdopen(socket(way->family, SOCK_STREAM, 0), "q") == NULL);
}

/* preadv2(2): at the socket's own place, without waiting. */
static void vectors_with_flags(const struct way *way)
{
	enum { UNKNOWN = 0x40000000 };
	int slot, fd = stream(way, &slot);
	char text[8] = "";
	struct iovec piece = {text, 5};

	outcome("nothing", preadv2(fd, &piece, 1, -1, RWF_NOWAIT));
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	outcome("unknown", preadv2(fd, &piece, 1, -1, UNKNOWN));
	outcome("at a place", preadv2(fd, &piece, 1, 0, 0));
	outcome("text", preadv2(fd, &piece, 1, -1, RWF_NOWAIT));
	outcome("unknown", pwritev2(fd, &piece, 1, -1, UNKNOWN));
	outcome("text", pwritev2(fd, &piece, 1, -1, RWF_NOWAIT));
	say_peer("text", "hear %d 5", slot);
	fill(fd);
	outcome("full", pwritev2(fd, &piece, 1, -1, RWF_NOWAIT));
	close(fd);
}

/* What is left of the time is told. */
static void several_with_a_time(const struct way *way)
{
	uint16_t port;
	int slot, fd = datagram(way->family, &slot, &port);
	char text[8];
	struct iovec piece = {text, sizeof(text)};
	struct mmsghdr message = {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}};
	struct timespec time = {.tv_sec = 1000};

	peer("sendto %d %d hi", slot, port_of(fd));
	outcome("recvmmsg", recvmmsg(fd, &message, 1, 0, &time));
	say("some of it has gone", "%d", time.tv_sec < 1000 && time.tv_sec > 100);
	time.tv_sec = 1000;
	outcome("none", recvmmsg(fd, &message, 1, MSG_DONTWAIT, &time));
	say("time", "%d", (int)time.tv_sec);
	close(fd);
}

static void fast_open(const struct way *way)
{
	int listening = peer_number("listen %d", way->family == AF_INET ? 4 : 6);
	union address address = theirs(way->family, (uint16_t)peer_number("port %d", listening));
	struct iovec piece = {TEXT("world"), 5};
	struct msghdr message = {.msg_name = &address,
				 .msg_namelen = address_len(way->family),
				 .msg_iov = &piece,
				 .msg_iovlen = 1};
	int fd = (int)must("socket", socket(way->family, SOCK_STREAM, 0));

	outcome("sendto",
		sendto(fd, "hello", 5, MSG_FASTOPEN, &address.any, address_len(way->family)));
	say_peer("text", "hear %d 5", peer_number("accept %d", listening));
	outcome("again",
		sendto(fd, "hello", 5, MSG_FASTOPEN, &address.any, address_len(way->family)));
	close(fd);
	fd = (int)must("socket", socket(way->family, SOCK_STREAM, 0));
	outcome("sendmsg", sendmsg(fd, &message, MSG_FASTOPEN));
	say_peer("text", "hear %d 5", peer_number("accept %d", listening));
	close(fd);
}

static void listeners_queue(const struct way *way)
{
	union address nowhere = theirs(way->family, 0);
	int fd = listener(way->family, 4, NULL), bytes;

	outcome("SIOCOUTQ", ioctl(fd, SIOCOUTQ, &bytes));
	close(fd);
	fd = (int)must("socket", socket(way->family, SOCK_STREAM, 0));
	outcome("connect to no port", connect(fd, &nowhere.any, address_len(way->family)));
	close(fd);
}

/* SO_RCVLOWAT: what a reader waits for, and poll too. */
static void low_water(const struct way *way)
{
	int slot, fd = stream(way, &slot), bytes = 10;
	struct timeval limit = {.tv_usec = NOTHING_MS * 1000};
	socklen_t len = sizeof(bytes);
	char text[64];

	outcome("set", setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, len));
	outcome("get", getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, &len));
	say("bytes", "%d", bytes);
	peer("say %d hello", slot);
	must("recv", recv(fd, text, 1, MSG_PEEK));
	say_events("five", fd, POLLIN);
	say_text("without waiting", fd);
	peer("say %d hello", slot);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	say_bytes("five, with a timeout", recv(fd, text, sizeof(text), 0), text);
	peer("say %d hello,world", slot);
	wait_for(fd, POLLIN);
	say_bytes("enough", recv(fd, text, sizeof(text), 0), text);
	peer("say %d hello", slot);
	say_bytes("all that is asked for", recv(fd, text, 5, 0), text);
	peer("say %d hello", slot);
	peer("shutdown %d write", slot);
	wait_for(fd, POLLIN);
	say_bytes("the end", recv(fd, text, sizeof(text), 0), text);
	close(fd);
}

const struct check message_checks[] = {
	{"vectors with flags", vectors_with_flags, EACH_FAMILY},
	{"several with a time", several_with_a_time, EACH_FAMILY},
	{"low water", low_water, EACH_WAY},
	{"fast open", fast_open, EACH_FAMILY},
	{"queue of a listener", listeners_queue, EACH_FAMILY},
	{"nothing to receive", nothing_there, EACH_WAY},
	{"peeking", peeking, EACH_WAY},
	{"waiting for all", waiting_for_all, EACH_WAY},
	{"throwing away", throwing_away, EACH_WAY},
	{"vectors", vectors, EACH_WAY},
	{"many vectors", many_vectors, EACH_WAY},
	{"messages", messages, EACH_WAY},
	{"names with streams", names_are_not_needed, EACH_WAY},
	{"several messages", many_messages, EACH_WAY},
	{"waiting bytes", waiting_bytes, EACH_WAY},
	{"other requests", other_requests, EACH_WAY},
	{"flags", out_of_order_flags, EACH_WAY},
	{"fortified calls", fortified, EACH_WAY},
	{"streams of stdio", streams_of_stdio, EACH_WAY},
	{"two streams of stdio", two_streams_of_stdio, EACH_WAY},
	{NULL, NULL, 0},
};
