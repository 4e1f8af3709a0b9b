// SPDX-License-Identifier: MIT
/* How connections end: shutdown, close, reset, and what the calls say then. tcp(7), poll(2) */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"

enum { ALL = POLLIN | POLLOUT | POLLRDHUP };

static void peer_closes(const struct way *way)
{
	char byte;
	int slot, fd = stream(way, &slot);

	peer("say %d last", slot);
	peer("close %d", slot);
	wait_for(fd, POLLRDHUP);
	say_events("poll", fd, ALL);
	say_text("text", fd);
	say_events("poll", fd, ALL);
	say_text("the end", fd);
	say_text("the end stays", fd);
	outcome("read", read(fd, &byte, 1));
	outcome("peek", recv(fd, &byte, 1, MSG_PEEK));
	say_error("error", fd);
	outcome("write to who has gone", write(fd, "x", 1));
	wait_for(fd, 0);
	say_events("poll", fd, ALL);
	outcome("write again", write(fd, "x", 1));
	outcome("and again", write(fd, "x", 1));
	say_error("error", fd);
	outcome("recv", recv(fd, &byte, 1, 0));
	outcome("close", close(fd));
}

static void peer_shuts_down(const struct way *way)
{
	int slot, fd = stream(way, &slot);

	peer("shutdown %d wr", slot);
	wait_for(fd, POLLRDHUP);
	say_events("poll", fd, ALL);
	say_events("poll for writing", fd, POLLOUT);
	say_text("the end", fd);
	outcome("write goes on", write(fd, "hello", 5));
	say_peer("text", "hear %d 5", slot);
	outcome("shutdown", shutdown(fd, SHUT_WR));
	say_peer("the end", "hear %d", slot);
	wait_for(fd, 0);
	say_events("poll", fd, ALL);
	say_error("error", fd);
	outcome("close", close(fd));
}

static void shutting_down_writing(const struct way *way)
{
	int slot, fd = stream(way, &slot);

	outcome("write", write(fd, "hello", 5));
	outcome("shutdown", shutdown(fd, SHUT_WR));
	outcome("write", write(fd, "x", 1));
	outcome("send", send(fd, "x", 1, MSG_NOSIGNAL));
	say_events("poll", fd, ALL);
	say_error("error", fd);
	say_peer("text to the end", "hear %d", slot);
	peer("say %d answer", slot);
	wait_for(fd, POLLIN);
	say_text("text", fd);
	outcome("shutdown again", shutdown(fd, SHUT_WR));
	peer("close %d", slot);
	wait_for(fd, POLLRDHUP);
	say_text("the end", fd);
	say_events("poll", fd, ALL);
	close(fd);
}

static void shutting_down_reading(const struct way *way)
{
	char byte;
	int slot, fd = stream(way, &slot);

	outcome("shutdown", shutdown(fd, SHUT_RD));
	say_events("poll", fd, ALL);
	outcome("recv", recv(fd, &byte, 1, 0));
	outcome("write", write(fd, "hello", 5));
	say_peer("text", "hear %d 5", slot);
	close(fd);
}

/* Linux alone goes on to take what comes, and gives it to who asks. */
static void linux_shutting_down_reading(const struct way *way)
{
	int slot, fd = stream(way, &slot);

	outcome("shutdown", shutdown(fd, SHUT_RD));
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	say_peer("the peer's end", "nothing %d", slot);
	for (int64_t begin = now_ms(); now_ms() - begin < WAIT_MS;) {
		int waiting = 0;
		ioctl(fd, FIONREAD, &waiting);
		if (waiting)
			break;
	}
	say_text("text", fd);
	say_text("the end", fd);
	close(fd);
}

static void shutting_down_both(const struct way *way)
{
	char byte;
	int slot, fd = stream(way, &slot);

	outcome("a way that is none", shutdown(fd, 3));
	outcome("less than none", shutdown(fd, -1));
	outcome("shutdown", shutdown(fd, SHUT_RDWR));
	say_events("poll", fd, ALL);
	outcome("recv", recv(fd, &byte, 1, 0));
	outcome("send", send(fd, "x", 1, MSG_NOSIGNAL));
	say_peer("the end", "hear %d", slot);
	peer("close %d", slot);
	outcome("getsockname",
		getsockname(fd, &(union address){}.any, &(socklen_t){sizeof(union address)}));
	close(fd);
}

/* After both have shut down there is no connection. */
static void both_have_ended(const struct way *way)
{
	int slot, fd = stream(way, &slot);

	peer("shutdown %d wr", slot);
	wait_for(fd, POLLRDHUP);
	outcome("shutdown", shutdown(fd, SHUT_WR));
	say_peer("the end", "hear %d", slot);
	wait_for(fd, 0);
	outcome("shutdown", shutdown(fd, SHUT_RD));
	outcome("getpeername",
		getpeername(fd, &(union address){}.any, &(socklen_t){sizeof(union address)}));
	outcome("send", send(fd, "x", 1, MSG_NOSIGNAL));
	close(fd);
}

static void listener_shut_down(const struct way *way)
{
	uint16_t port;
	int fd = listener(way->family, 4, &port);

	outcome("for writing", shutdown(fd, SHUT_WR));
	outcome("for reading", shutdown(fd, SHUT_RD));
	say_events("poll", fd, ALL);
	outcome("accept", accept(fd, NULL, NULL));
	say_peer("who comes", "connect %d %d", way->family == AF_INET ? 4 : 6, port);
	outcome("close", close(fd));
}

static void peer_resets(const struct way *way)
{
	char byte;
	int slot, fd = stream(way, &slot);

	peer("abort %d", slot);
	wait_for(fd, 0);
	say_events("poll", fd, ALL);
	say_events("poll for nothing", fd, 0);
	outcome("recv", recv(fd, &byte, 1, 0));
	outcome("recv again", recv(fd, &byte, 1, 0));
	say_events("poll", fd, ALL);
	outcome("send", send(fd, "x", 1, MSG_NOSIGNAL));
	say_error("error", fd);
	outcome("getpeername",
		getpeername(fd, &(union address){}.any, &(socklen_t){sizeof(union address)}));
	outcome("shutdown", shutdown(fd, SHUT_RDWR));
	outcome("close", close(fd));
}

static void reset_told_by_send(const struct way *way)
{
	int slot, fd = stream(way, &slot);

	peer("abort %d", slot);
	wait_for(fd, 0);
	outcome("send", send(fd, "x", 1, MSG_NOSIGNAL));
	outcome("send again", send(fd, "x", 1, MSG_NOSIGNAL));
	outcome("recv", recv(fd, &(char){0}, 1, 0));
	close(fd);
}

static void reset_told_by_option(const struct way *way)
{
	int slot, fd = stream(way, &slot);

	peer("abort %d", slot);
	wait_for(fd, 0);
	say_error("error", fd);
	say_error("error, once", fd);
	say_events("poll", fd, ALL);
	outcome("recv", recv(fd, &(char){0}, 1, 0));
	close(fd);
}

/* What has come before the reset can be read. */
static void reset_after_text(const struct way *way)
{
	int slot, fd = stream(way, &slot);

	peer("say %d last", slot);
	wait_for(fd, POLLIN);
	peer("abort %d", slot);
	wait_for(fd, 0);
	say_events("poll", fd, ALL);
	say_text("text", fd);
	say_text("then", fd);
	say_text("then", fd);
	close(fd);
}

static void closing(const struct way *way)
{
	int slot, fd = stream(way, &slot);

	outcome("write", write(fd, "last", 4));
	outcome("close", close(fd));
	say_peer("text to the end", "hear %d", slot);
	outcome("close again", close(fd));
}

/* RFC 2525, 2.17: who closes with data unread lets the peer know by a reset. */
static void closing_unread(const struct way *way)
{
	int slot, fd = stream(way, &slot);

	peer("say %d unread", slot);
	wait_for(fd, POLLIN);
	outcome("close", close(fd));
	say_peer("then", "hear %d", slot);
}

static void closing_with_reset(const struct way *way)
{
	struct linger linger = {.l_onoff = 1};
	int slot, fd = stream(way, &slot);

	outcome("option", setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	outcome("close", close(fd));
	say_peer("then", "hear %d", slot);
}

static void closing_and_waiting(const struct way *way)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 10};
	int slot, fd = stream(way, &slot);
	int64_t begin = now_ms();

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	outcome("write", write(fd, "last", 4));
	outcome("close", close(fd));
	say("in time", "%d", now_ms() - begin < 5000);
	say_peer("text to the end", "hear %d", slot);
}

/* All that was taken arrives, though it is closed at once and the peer reads later. */
static void closing_full(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	size_t sent = fill(fd), got;
	const char *joined;

	outcome("close", close(fd));
	peer("receiver %d", slot);
	joined = peer("join %d", slot);
	got = (size_t)atol(strstr(joined, "received ") + 9);
	say("much was sent", "%d", sent > 100000);
	say("all arrived", "%d", got == sent);
	say("as", "%s", strchr(strchr(joined, ',') + 10, ',') ?: joined);
}

static volatile sig_atomic_t pipes;

static void count_pipe(int number)
{
	(void)number;
	pipes++;
}

static void broken_pipe(const struct way *way)
{
	struct iovec iov = {.iov_base = (char[]){"x"}, .iov_len = 1};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	int slot, fd = stream(way, &slot);

	pipes = 0;
	signal(SIGPIPE, count_pipe);
	shutdown(fd, SHUT_WR);
	outcome("write", write(fd, "x", 1));
	say("signals", "%d", pipes);
	outcome("send", send(fd, "x", 1, 0));
	say("signals", "%d", pipes);
	outcome("send quietly", send(fd, "x", 1, MSG_NOSIGNAL));
	outcome("sendmsg quietly", sendmsg(fd, &message, MSG_NOSIGNAL));
	say("signals", "%d", pipes);
	outcome("sendmsg", sendmsg(fd, &message, 0));
	outcome("writev", writev(fd, &iov, 1));
	say("signals", "%d", pipes);
	signal(SIGPIPE, SIG_IGN);
	close(fd);
}

const struct check close_checks[] = {
	{"peer closes", peer_closes, EACH_WAY},
	{"peer shuts down", peer_shuts_down, EACH_WAY},
	{"shutting down writing", shutting_down_writing, EACH_WAY},
	{"shutting down reading", shutting_down_reading, EACH_WAY},
	{"linux: shutting down reading, then text", linux_shutting_down_reading, ONCE},
	{"shutting down both", shutting_down_both, EACH_WAY},
	{"both have ended", both_have_ended, EACH_WAY},
	{"listener shut down", listener_shut_down, EACH_FAMILY},
	{"peer resets", peer_resets, EACH_WAY},
	{"reset told by send", reset_told_by_send, EACH_WAY},
	{"reset told by the option", reset_told_by_option, EACH_WAY},
	{"reset after text", reset_after_text, EACH_WAY},
	{"closing", closing, EACH_WAY},
	{"closing with text unread", closing_unread, EACH_WAY},
	{"closing with a reset", closing_with_reset, EACH_WAY},
	{"closing and waiting", closing_and_waiting, EACH_WAY},
	{"closing with much unsent", closing_full, EACH_WAY},
	{"broken pipe", broken_pipe, EACH_WAY},
	{NULL, NULL, 0},
};
