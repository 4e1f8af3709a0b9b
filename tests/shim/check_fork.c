/* SPDX-License-Identifier: MIT */
/* Children that do not use the network leave the parent's connections alone. */
#include <errno.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

extern char **environ;

static void still_alive(int fd, int slot)
{
	outcome("write", write(fd, "hello", 5));
	say_peer("there", "hear %d 5", slot);
	peer("say %d again", slot);
	wait_for(fd, POLLIN);
	say_text("text", fd);
}

static void wait_child(const char *what, pid_t child)
{
	int status = 0;

	must("waitpid", waitpid(child, &status, 0));
	say(what, "%s %d", WIFEXITED(status) ? "exit" : "signal",
	    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

static void child_exits(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	wait_child("child", child);
	still_alive(fd, slot);
	child = fork();
	if (child == 0)
		exit(3);
	wait_child("child", child);
	still_alive(fd, slot);
	close(fd);
}

static void child_closes(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	pid_t child = fork();

	if (child == 0) {
		close(fd);
		for (int i = 3; i < 200; i++)
			close(i);
		_exit(0);
	}
	wait_child("child", child);
	still_alive(fd, slot);
	close(fd);
}

static void child_runs_another(const struct way *way)
{
	char *words[] = {"true", NULL};
	int slot, fd = stream(way, &slot);
	pid_t child = fork();

	if (child == 0) {
		execvp("true", words);
		_exit(1);
	}
	wait_child("child", child);
	still_alive(fd, slot);
	must("posix_spawn", -posix_spawnp(&child, "true", NULL, NULL, words, environ));
	wait_child("spawned", child);
	still_alive(fd, slot);
	child = vfork();
	if (child == 0) {
		close(fd);
		execvp("true", words);
		_exit(1);
	}
	wait_child("vfork", child);
	still_alive(fd, slot);
	say("system", "%d", system("exit 0"));
	still_alive(fd, slot);
	close(fd);
}

/* While the peer sends, as Redis when it saves. */
static void while_busy(const struct way *way)
{
	enum { BYTES = 4 << 20 };
	static uint8_t data[65536];
	int slot, fd = stream(way, &slot);
	pid_t children[3];
	size_t received = 0;
	bool same = true;

	peer("sender %d %d", slot, BYTES);
	for (int i = 0; i < 3; i++) {
		children[i] = fork();
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
	for (int i = 0; i < 3; i++)
		wait_child("child", children[i]);
	say_peer("sender", "join %d", slot);
	close(fd);
}

const struct check fork_checks[] = {
	{"children that exit", child_exits, EACH_WAY},
	{"children that close all", child_closes, EACH_WAY},
	{"children that run another", child_runs_another, EACH_WAY},
	{"children of the busy", while_busy, EACH_WAY},
	{NULL, NULL, 0},
};
