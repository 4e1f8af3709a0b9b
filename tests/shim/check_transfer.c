// SPDX-License-Identifier: MIT
/* Much at once: full buffers, timeouts, files, both ways at a time. send(2), sendfile(2), socket(7) */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "check.h"

enum { MUCH = 8 << 20 };

static void full(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	size_t sent = fill(fd);

	say("much was sent", "%d", sent > 100000);
	outcome("send", send(fd, "x", 1, MSG_DONTWAIT));
	say_events("poll", fd, POLLIN | POLLOUT);
	set_nonblocking(fd, true);
	outcome("write", write(fd, "x", 1));
	peer("receiver %d %zu", slot, sent);
	const char *joined = peer("join %d", slot);
	say("all arrived as it was sent", "%d",
	    (size_t)atol(strstr(joined, "received ") + 9) == sent && !strstr(joined, "mistakes"));
	wait_for(fd, POLLOUT);
	say_events("poll", fd, POLLIN | POLLOUT);
	outcome("write", write(fd, "x", 1));
	say_peer("text", "hear %d 1", slot);
	close(fd);
}

static void timeouts(const struct way *way)
{
	struct timeval little = {.tv_usec = 100000}, read_back;
	socklen_t len = sizeof(read_back);
	int slot, fd = stream(way, &slot);
	int64_t begin = now_ms();
	char byte;

	outcome("SO_RCVTIMEO", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &little, sizeof(little)));
	outcome("recv", recv(fd, &byte, 1, 0));
	say("after the time", "%d", now_ms() - begin >= 99 && now_ms() - begin < 2000);
	outcome("read", read(fd, &byte, 1));
	outcome("SO_RCVTIMEO", getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &read_back, &len));
	say("is", "%ld.%06ld", (long)read_back.tv_sec, (long)read_back.tv_usec);
	fill(fd);
	outcome("SO_SNDTIMEO", setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &little, sizeof(little)));
	begin = now_ms();
	outcome("send", send(fd, "x", 1, 0));
	say("after the time", "%d", now_ms() - begin >= 99 && now_ms() - begin < 2000);
	little = (struct timeval){.tv_usec = 1000001};
	outcome("more than a second of us",
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &little, sizeof(little)));
	little = (struct timeval){0};
	outcome("none", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &little, sizeof(little)));
	peer("say %d x", slot);
	outcome("recv", recv(fd, &byte, 1, 0));
	close(fd);
	fd = listener(way->family, 1, NULL);
	little = (struct timeval){.tv_usec = 100000};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &little, sizeof(little));
	outcome("accept", accept(fd, NULL, NULL));
	close(fd);
}

/* Blocking calls, as a plain program makes them. */
static void sending_much(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	uint8_t *data = malloc(MUCH);

	for (size_t i = 0; i < MUCH; i++)
		data[i] = pattern(i);
	peer("receiver %d", slot);
	outcome("send", send(fd, data, MUCH, 0));
	shutdown(fd, SHUT_WR);
	say_peer("text", "join %d", slot);
	free(data);
	close(fd);
}

static bool same_as_pattern(const uint8_t *data, size_t len, size_t offset)
{
	bool same = true;

	for (size_t i = 0; i < len; i++)
		same &= data[i] == pattern(offset + i);
	return same;
}

static void receiving_much(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	uint8_t *data = malloc(MUCH);

	peer("sender %d %d", slot, MUCH);
	outcome("recv", recv(fd, data, MUCH, MSG_WAITALL));
	say("as it was sent", "%d", same_as_pattern(data, MUCH, 0));
	say_peer("the peer", "join %d", slot);
	free(data);
	close(fd);
}

/* In pieces of odd sizes, so that their ends fall everywhere. */
static void receiving_in_pieces(const struct way *way)
{
	static uint8_t data[30011];
	int slot, fd = stream(way, &slot);
	size_t total = 0, want = 1;
	bool same = true;
	ssize_t got = 0;

	peer("sender %d %d", slot, MUCH / 4);
	while (total < MUCH / 4) {
		got = recv(fd, data, want, 0);
		if (got <= 0)
			break;
		same &= same_as_pattern(data, (size_t)got, total);
		total += (size_t)got;
		want = want * 7 % 30011;
	}
	say("received", "%zu, as it was sent: %d", total, same);
	if (got <= 0)
		outcome("and then", got);
	close(fd);
}

static void both_ways(const struct way *way)
{
	static uint8_t data[65536];
	int slot, fd = stream(way, &slot);
	size_t sent = 0, received = 0;
	bool same = true;

	set_nonblocking(fd, true);
	peer("sender %d %d", slot, MUCH / 2);
	while (received < MUCH / 2) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN | POLLOUT};
		if (sent > 2 * received)
			poll_fd.events = POLLIN;
		if (poll(&poll_fd, 1, WAIT_MS) != 1)
			fail("poll");
		if (poll_fd.revents & POLLIN) {
			ssize_t got = read(fd, data, sizeof(data));
			if (got <= 0)
				fail("read");
			same &= same_as_pattern(data, (size_t)got, received);
			received += (size_t)got;
		}
		if (poll_fd.revents & POLLOUT && sent < 100000) {
			for (size_t i = 0; i < 1000; i++)
				data[i] = pattern(sent + i);
			ssize_t put = write(fd, data, 1000);
			sent += put > 0 ? (size_t)put : 0;
		}
	}
	shutdown(fd, SHUT_WR);
	say("received", "%zu, as it was sent: %d", received, same);
	say_peer("the sender", "join %d", slot);
	peer("receiver %d", slot);
	const char *joined = peer("join %d", slot);
	say("all arrived", "%d",
	    (size_t)atol(strstr(joined, "received ") + 9) == sent && !strstr(joined, "mistakes"));
	close(fd);
}

static int file_of(size_t size)
{
	int file = (int)must("memfd_create", memfd_create("file", 0));
	uint8_t *data = malloc(size);

	for (size_t i = 0; i < size; i++)
		data[i] = pattern(i);
	if (write(file, data, size) != (ssize_t)size)
		fail("writing the file");
	free(data);
	return file;
}

static void files(const struct way *way)
{
	enum { SIZE = 1 << 20 };
	int slot, fd = stream(way, &slot), file = file_of(SIZE);
	off_t offset = 0;

	peer("receiver %d %d", slot, SIZE + 1000);
	outcome("all", sendfile(fd, file, &offset, SIZE));
	say("offset", "%ld, of the file %ld", (long)offset, (long)lseek(file, 0, SEEK_CUR) - SIZE);
	outcome("past the end", sendfile(fd, file, &offset, 100));
	offset = 0;
	outcome("nothing", sendfile(fd, file, &offset, 0));
	outcome("a file's own offset", sendfile(fd, file, NULL, 100));
	/* The pattern goes on where the receiver is: at the file's length. */
	lseek(file, 0, SEEK_SET);
	uint8_t more[1000];
	for (size_t i = 0; i < sizeof(more); i++)
		more[i] = pattern(SIZE + i);
	if (pwrite(file, more, sizeof(more), 500) != sizeof(more))
		fail("pwrite");
	lseek(file, 500, SEEK_SET);
	outcome("from its own offset", sendfile(fd, file, NULL, sizeof(more)));
	say("offset", "%ld", (long)lseek(file, 0, SEEK_CUR));
	say_peer("text", "join %d", slot);
	outcome("from a socket", sendfile(file, fd, NULL, 10));
	offset = -1;
	outcome("from before the start", sendfile(fd, file, &offset, 10));
	close(file);
	outcome("from what is closed", sendfile(fd, file, NULL, 10));
	close(fd);
}

/* As a server does it: header and file, until what is sent at once is all that can be. */
static void files_without_waiting(const struct way *way)
{
	int slot, fd = stream(way, &slot), file = file_of(MUCH);
	off_t offset = 0;

	set_nonblocking(fd, true);
	peer("receiver %d %d", slot, MUCH);
	while (offset < MUCH) {
		ssize_t sent = sendfile(fd, file, &offset, (size_t)(MUCH - offset));
		if (sent == 0 || (sent < 0 && errno != EAGAIN))
			fail("sendfile");
		if (sent < 0)
			wait_for(fd, POLLOUT);
	}
	say_peer("text", "join %d", slot);
	close(file);
	close(fd);
}

static void splicing(const struct way *way)
{
	int slot, fd = stream(way, &slot), ends[2];
	char text[8] = "";

	must("pipe", pipe(ends));
	must("write", write(ends[1], "hello", 5));
	outcome("to the socket", splice(ends[0], NULL, fd, NULL, 5, 0));
	say_peer("text", "hear %d 5", slot);
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	outcome("from the socket", splice(fd, NULL, ends[1], NULL, 5, 0));
	outcome("read", read(ends[0], text, 5));
	say("text", "%s", text);
	close(ends[0]);
	close(ends[1]);
	close(fd);
}

struct splice {
	int in, out;
	atomic_int thread_id;
	long result;
};

static void *run_splice(void *argument)
{
	struct splice *splicing = argument;

	splicing->thread_id = gettid();
	splicing->result = splice(splicing->in, NULL, splicing->out, NULL, 5, 0);
	return NULL;
}

/* A splice that waits for its pipe holds up nobody else. */
static void splicing_and_waiting(const struct way *way)
{
	int slot, other, fd = stream(way, &slot), second = stream(way, &other), ends[2];
	struct splice in = {.out = fd}, out = {.in = fd};
	static char block[65536];
	pthread_t thread;

	must("pipe", pipe(ends));
	in.in = ends[0];
	out.out = ends[1];
	pthread_create(&thread, NULL, run_splice, &in);
	await_sleep(&in.thread_id);
	outcome("another meanwhile", send(second, "x", 1, 0));
	must("write", write(ends[1], "hello", 5));
	pthread_join(thread, NULL);
	say("from an empty pipe", "%ld", in.result);
	say_peer("text", "hear %d 5", slot);
	outcome("without waiting", splice(ends[0], NULL, fd, NULL, 5, SPLICE_F_NONBLOCK));
	must("fill", write(ends[1], block, sizeof(block)));
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	outcome("without waiting", splice(fd, NULL, ends[1], NULL, 5, SPLICE_F_NONBLOCK));
	pthread_create(&thread, NULL, run_splice, &out);
	await_sleep(&out.thread_id);
	outcome("another meanwhile", send(second, "x", 1, 0));
	must("read", read(ends[0], block, sizeof(block)));
	pthread_join(thread, NULL);
	say("into a full pipe", "%ld", out.result);
	outcome("read", read(ends[0], block, sizeof(block)));
	close(ends[0]);
	close(ends[1]);
	close(second);
	close(fd);
}

/* sendfile(2) is for what has a place to be read from. */
static void files_that_are_none(const struct way *way)
{
	int slot, fd = stream(way, &slot), ends[2], pair[2], file;
	off_t offset = 0;

	must("pipe", pipe(ends));
	outcome("an empty pipe", sendfile(fd, ends[0], NULL, 5));
	must("write", write(ends[1], "hello", 5));
	outcome("a pipe", sendfile(fd, ends[0], NULL, 5));
	outcome("a pipe, with an offset", sendfile(fd, ends[0], &offset, 5));
	close(ends[0]);
	close(ends[1]);
	must("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	must("write", write(pair[0], "hello", 5));
	outcome("a socket", sendfile(fd, pair[1], NULL, 5));
	close(pair[0]);
	close(pair[1]);
	file = (int)must("eventfd", eventfd(1, 0));
	outcome("an eventfd", sendfile(fd, file, NULL, 8));
	close(file);
	file = (int)must("open", open("/", O_RDONLY | O_DIRECTORY));
	outcome("a folder", sendfile(fd, file, NULL, 8));
	outcome("a folder, with an offset", sendfile(fd, file, &offset, 8));
	close(file);
	file = (int)must("memfd", memfd_create("file", 0));
	must("write", write(file, "hello", 5));
	outcome("more than there can be", sendfile(fd, file, &offset, (size_t)-1));
	outcome("a file", sendfile(fd, file, &offset, 5));
	say_peer("text", "hear %d 5", slot);
	close(file);
	close(fd);
}

const struct check transfer_checks[] = {
	{"full", full, EACH_WAY},
	{"timeouts", timeouts, EACH_WAY},
	{"sending much", sending_much, EACH_WAY},
	{"receiving much", receiving_much, EACH_WAY},
	{"receiving in pieces", receiving_in_pieces, EACH_WAY},
	{"both ways at once", both_ways, EACH_WAY},
	{"files", files, EACH_WAY},
	{"files without waiting", files_without_waiting, EACH_WAY},
	{"splicing", splicing, ONCE},
	{"splicing and waiting", splicing_and_waiting, EACH_FAMILY},
	{"files that are none", files_that_are_none, EACH_FAMILY},
	{NULL, NULL, 0},
};
