// SPDX-License-Identifier: MIT
/* Children while connections are busy. fork(2), execve(2) */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static void still_alive(int fd, int slot)
{
	peer("say %d hello", slot);
	wait_for(fd, POLLIN);
	say_text("text", fd);
	outcome("write", write(fd, "hello", 5));
	say_peer("text", "hear %d 5", slot);
}

static void say_child(pid_t child)
{
	int status = -1;

	if (waitpid(child, &status, 0) != child)
		fail("waitpid");
	if (WIFEXITED(status))
		say("child", "exits with %d", WEXITSTATUS(status));
	else
		say("child", "signal %d", WTERMSIG(status));
}

static pid_t must_fork(void)
{
	return (pid_t)must("fork", fork());
}

static void child_exits(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	pid_t child = must_fork();

	if (child == 0)
		_exit(7);
	say_child(child);
	still_alive(fd, slot);
	child = must_fork();
	if (child == 0)
		exit(8); /* with all that is done at exit */
	say_child(child);
	still_alive(fd, slot);
	close(fd);
	say_peer("the end", "hear %d", slot);
}

static void child_closes(const struct way *way)
{
	int slot, fd = stream(way, &slot), listening = listener(way->family, 4, NULL);
	pid_t child = must_fork();

	if (child == 0) {
		close(listening);
		if (close(fd) != 0)
			_exit(1);
		for (int number = 3; number < 200; number++)
			close(number);
		_exit(0);
	}
	say_child(child);
	still_alive(fd, slot);
	peer("connect %d %d", way->family == AF_INET ? 4 : 6, port_of(listening));
	wait_for(listening, POLLIN);
	say("the listener too", "%d", accept(listening, NULL, NULL) >= 0);
	close(listening);
	close(fd);
}

static void child_executes(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	pid_t child = must_fork();

	if (child == 0) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(9);
	}
	say_child(child);
	still_alive(fd, slot);
	say("system", "%d", system("exit 3") >> 8);
	still_alive(fd, slot);
	posix_spawn(&child, "/bin/true", NULL, NULL, (char *[]){TEXT("true"), NULL},
		    (char *[]){NULL});
	say_child(child);
	child = vfork();
	if (child == 0)
		_exit(5);
	say_child(child);
	still_alive(fd, slot);
	close(fd);
}

/* As a database saves itself: the child works on, long, without the sockets. */
static void child_works_on(const struct way *way)
{
	int slot, fd = stream(way, &slot), ends[2];
	must("pipe", pipe(ends));
	pid_t child = must_fork();

	if (child == 0) {
		char byte;
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(ends[0]);
	for (int i = 0; i < 5; i++)
		still_alive(fd, slot);
	int second_slot, second = stream(way, &second_slot);
	still_alive(second, second_slot);
	close(second);
	close(ends[1]);
	say_child(child);
	still_alive(fd, slot);
	close(fd);
}

/* While the peer sends all the time. */
static void while_busy(const struct way *way)
{
	enum { BYTES = 4 << 20, CHILDREN = 3 };
	static uint8_t data[65536];
	int slot, fd = stream(way, &slot);
	pid_t children[CHILDREN];
	size_t received = 0;
	bool same = true;

	peer("sender %d %d", slot, BYTES);
	for (int i = 0; i < CHILDREN; i++) {
		children[i] = must_fork();
		if (children[i] == 0) {
			usleep(100000);
			_exit(0);
		}
	}
	while (received < BYTES) {
		ssize_t got = recv(fd, data, sizeof(data), 0);
		if (got <= 0)
			break;
		for (ssize_t i = 0; i < got; i++)
			same &= data[i] == pattern(received + (size_t)i);
		received += (size_t)got;
	}
	say("received", "%zu, %s", received, same ? "whole" : "wrong");
	for (int i = 0; i < CHILDREN; i++)
		say_child(children[i]);
	say_peer("sender", "join %d", slot);
	close(fd);
}

static void child_is_killed(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	pid_t child = must_fork();

	if (child == 0) {
		pause();
		_exit(1);
	}
	kill(child, SIGKILL);
	say_child(child);
	still_alive(fd, slot);
	close(fd);
}

/* Sockets of the kernel's are the child's as they ever were. */
static void pairs(const struct way *way)
{
	int slot, fd = stream(way, &slot), ends[2];
	char text[8] = "";

	must("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	pid_t child = must_fork();
	if (child == 0)
		_exit(write(ends[1], "hello", 5) == 5 ? 0 : 1);
	say_child(child);
	outcome("read", read(ends[0], text, 5));
	say("text", "%s", text);
	still_alive(fd, slot);
	close(ends[0]);
	close(ends[1]);
	close(fd);
}

/* A server that forks for each connection: the parent closes it, the child serves it. */
static void child_serves(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	pid_t child = must_fork();

	if (child == 0) {
		char text[8];
		ssize_t got = recv(fd, text, 5, 0);
		_exit(got == 5 && send(fd, text, 5, 0) == 5 ? 0 : 1);
	}
	close(fd);
	peer("say %d hello", slot);
	say_peer("text to the end", "hear %d", slot);
	say_child(child);
}

/* A master that listens and a worker that accepts. */
static void child_accepts(const struct way *way)
{
	uint16_t port;
	int listening = listener(way->family, 4, &port);
	pid_t child = must_fork();

	if (child == 0) {
		char text[8];
		int fd = accept(listening, NULL, NULL);
		ssize_t got = recv(fd, text, 5, 0);
		_exit(got == 5 && send(fd, text, 5, 0) == 5 ? 0 : 1);
	}
	int slot = peer_number("connect %d %d", way->family == AF_INET ? 4 : 6, port);
	peer("say %d hello", slot);
	say_peer("text to the end", "hear %d", slot);
	say_child(child);
	close(listening);
}

static void child_connects(const struct way *way)
{
	int slot = peer_number("listen %d", way->family == AF_INET ? 4 : 6);
	union address address = theirs(way->family, (uint16_t)peer_number("port %d", slot));
	pid_t child = must_fork();

	if (child == 0) {
		int fd = socket(way->family, SOCK_STREAM, 0);
		if (connect(fd, &address.any, address_len(way->family)) != 0)
			_exit(2);
		_exit(send(fd, "hello", 5, 0) == 5 ? 0 : 1);
	}
	int connected = peer_number("accept %d", slot);
	say_peer("text to the end", "hear %d", connected);
	say_child(child);
}

const struct check fork_checks[] = {
	{"fork, child exits", child_exits, EACH_WAY},
	{"fork, child closes", child_closes, EACH_WAY},
	{"fork, child executes", child_executes, EACH_WAY},
	{"fork, child works on", child_works_on, EACH_WAY},
	{"fork, while busy", while_busy, EACH_WAY},
	{"fork, child is killed", child_is_killed, EACH_WAY},
	{"fork, pairs", pairs, EACH_FAMILY},
	{"fork, child serves", child_serves, EACH_WAY},
	{"fork, child accepts", child_accepts, EACH_FAMILY},
	{"fork, child connects", child_connects, EACH_FAMILY},
	{NULL, NULL, 0},
};
