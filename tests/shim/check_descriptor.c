// SPDX-License-Identifier: MIT
/* A socket is a descriptor like any other. dup(2), fcntl(2), close(2), close_range(2), fstat(2) */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static void numbers(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	int lowest = dup(STDIN_FILENO), next;

	say("its number", "%d", fd);
	close(lowest);
	next = socket(way->family, SOCK_STREAM, 0);
	say("the lowest that is free", "%d", next == lowest);
	close(next);
	int file = open("/dev/null", O_RDONLY);
	say("for a file too", "%d", file == lowest);
	close(file);
	close(fd);
}

static void duplicates(const struct way *way)
{
	int slot, fd = stream(way, &slot);
	int other = dup(fd), high = fcntl(fd, F_DUPFD, 50),
	    closing = fcntl(fd, F_DUPFD_CLOEXEC, 50);

	say("dup", "%d", other > fd);
	say("F_DUPFD", "%d, flags %d", high >= 50, fcntl(high, F_GETFD));
	say("F_DUPFD_CLOEXEC", "%d, flags %d", closing > high, fcntl(closing, F_GETFD));
	outcome("write to one", write(other, "hel", 3));
	outcome("close it", close(other));
	outcome("write to another", write(high, "lo", 2));
	say_peer("text", "hear %d 5", slot);
	set_nonblocking(fd, true);
	say("not to wait is shared", "%d", (fcntl(high, F_GETFL) & O_NONBLOCK) != 0);
	outcome("recv from another", recv(closing, &(char){0}, 1, 0));
	close(fd);
	close(closing);
	say_peer("no end while there is one", "nothing %d", slot);
	peer("say %d hello", slot);
	wait_for(high, POLLIN);
	say_text("text", high);
	close(high);
	say_peer("the end", "hear %d", slot);
}

static void onto_another(const struct way *way)
{
	int slot, fd = stream(way, &slot), file = open("/dev/null", O_RDWR);
	int second_slot, second = stream(way, &second_slot);

	say("dup2 to itself", "%d", dup2(fd, fd) == fd);
	outcome("dup3 to itself", dup3(fd, fd, 0));
	say("dup2 onto a file", "%d", dup2(fd, file) == file);
	outcome("write", write(file, "hello", 5));
	say_peer("text", "hear %d 5", slot);
	say("dup2 onto a connection", "%d", dup2(file, second) == second);
	say_peer("its end", "hear %d", second_slot);
	outcome("write", write(second, "hello", 5));
	say_peer("text", "hear %d 5", slot);
	say("dup3", "%d, flags %d", dup3(fd, second, O_CLOEXEC) == second, fcntl(second, F_GETFD));
	int null = open("/dev/null", O_RDWR);
	say("a file onto it", "%d", dup2(null, fd) == fd);
	outcome("write to the file", write(fd, "lost", 4));
	close(second);
	say_peer("not the end", "nothing %d", slot);
	close(file);
	say_peer("the end", "hear %d", slot);
	outcome("dup2 of what is closed", dup2(second, fd));
	outcome("dup2 to no number", dup2(null, -1));
	close(null);
	close(fd);
}

static void flags(const struct way *way)
{
	int slot, fd = stream(way, &slot);

	say("flags", "%d", fcntl(fd, F_GETFD));
	outcome("F_SETFD", fcntl(fd, F_SETFD, FD_CLOEXEC));
	say("flags", "%d", fcntl(fd, F_GETFD));
	say("status", "%#x", fcntl(fd, F_GETFL));
	outcome("F_SETFL", fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND));
	say("status", "%#x", fcntl(fd, F_GETFL));
	outcome("read", read(fd, &(char){0}, 1));
	outcome("F_SETFL", fcntl(fd, F_SETFL, 0));
	say("status", "%#x", fcntl(fd, F_GETFL));
	outcome("a command that is none", fcntl(fd, 9999, 0));
	outcome("a lock", fcntl(fd, F_GETLK, &(struct flock){.l_type = F_RDLCK}) == 0 ? 0 : 1);
	close(fd);
}

static void what_it_looks_like(const struct way *way)
{
	char path[64], target[64] = "";
	struct stat status;
	int slot, fd = stream(way, &slot);

	outcome("fstat", fstat(fd, &status));
	say("kind", "%s", S_ISSOCK(status.st_mode) ? "a socket" : "not a socket");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t len = readlink(path, target, sizeof(target) - 1);
	say("link", "%d %.7s", len > 0, target);
	outcome("fsync", fsync(fd));
	outcome("ftruncate", ftruncate(fd, 0));
	outcome("fchdir", fchdir(fd));
	close(fd);
}

/* As daemons do it, with whatever may be there. */
static void closing_ranges(const struct way *way)
{
	int slot, fd = stream(way, &slot), high = fcntl(fd, F_DUPFD, 40);
	int other_slot, other = stream(way, &other_slot);

	outcome("close_range", close_range(40, 60, 0));
	outcome("write", write(high, "x", 1));
	outcome("write", write(fd, "hello", 5));
	say_peer("text", "hear %d 5", slot);
	must("dup2", dup2(fd, 50));
	close(fd);
	outcome("close_range with a flag", close_range(50, 50, CLOSE_RANGE_CLOEXEC));
	say("flags", "%d", fcntl(50, F_GETFD));
	closefrom(50);
	say_peer("the end", "hear %d", slot);
	outcome("write to the other", write(other, "hello", 5));
	say_peer("text", "hear %d 5", other_slot);
	close(other);
}

/* A loop over all numbers, past all that the program has opened, hurts nobody else. */
static void closing_all_else(const struct way *way)
{
	int slot, fd = stream(way, &slot);

	for (int number = 64; number < 1024; number++)
		close(number);
	outcome("write", write(fd, "hello", 5));
	say_peer("text", "hear %d 5", slot);
	closefrom(64);
	outcome("write", write(fd, "hello", 5));
	say_peer("text", "hear %d 5", slot);
	close(fd);
	fd = stream(way, &slot);
	outcome("write", write(fd, "hello", 5));
	say_peer("text", "hear %d 5", slot);
	close(fd);
}

static void exhausted(const struct way *way)
{
	struct rlimit before, limit;
	uint16_t port;
	int listening = listener(way->family, 8, &port), fds[64], count = 0;
	int slot = peer_number("connect %d %d", way->family == AF_INET ? 4 : 6, port);

	wait_for(listening, POLLIN);
	must("getrlimit", getrlimit(RLIMIT_NOFILE, &before));
	limit = (struct rlimit){.rlim_cur = 64, .rlim_max = before.rlim_max};
	must("setrlimit", setrlimit(RLIMIT_NOFILE, &limit));
	while (count < 64 && (fds[count] = socket(way->family, SOCK_STREAM, 0)) >= 0)
		count++;
	say("socket", "%s", strerrorname_np(errno));
	say("some were made", "%d", count > 10);
	outcome("of datagrams", socket(way->family, SOCK_DGRAM, 0));
	outcome("accept", accept(listening, NULL, NULL));
	outcome("accept4", accept4(listening, NULL, NULL, SOCK_NONBLOCK));
	outcome("epoll_create", epoll_create1(0));
	outcome("dup", dup(listening));
	say_events("who waits is still there", listening, POLLIN);
	close(fds[--count]);
	int fd = (int)must("accept", accept(listening, NULL, NULL));
	outcome("accepted, write", write(fd, "hello", 5));
	say_peer("text", "hear %d 5", slot);
	close(fd);
	must("setrlimit", setrlimit(RLIMIT_NOFILE, &before));
	while (count > 0)
		close(fds[--count]);
	fd = socket(way->family, SOCK_STREAM, 0);
	say("and goes on", "%d", fd >= 0);
	close(fd);
	close(listening);
}

/* Each number is used again at once, and what was is not seen by what is. */
static void used_again(const struct way *way)
{
	int slot, fd = stream(way, &slot), first = fd;

	peer("say %d old", slot);
	wait_for(fd, POLLIN);
	set_nonblocking(fd, true);
	close(fd);
	fd = stream(way, &slot);
	say("waits again", "%d", (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
	outcome("nothing of the old", recv(fd, &(char){0}, 1, MSG_DONTWAIT));
	close(fd);
	fd = open("/dev/zero", O_RDONLY);
	say("the number", "%d", fd == first || !way->accepted);
	outcome("a file", read(fd, &(char){0}, 1));
	outcome("recv of a file", recv(fd, &(char){0}, 1, 0));
	close(fd);
}

const struct check descriptor_checks[] = {
	{"numbers of descriptors", numbers, EACH_WAY},
	{"duplicates", duplicates, EACH_WAY},
	{"onto another", onto_another, EACH_WAY},
	{"flags of descriptors", flags, EACH_WAY},
	{"what it looks like", what_it_looks_like, EACH_WAY},
	{"closing ranges", closing_ranges, EACH_WAY},
	{"closing all else", closing_all_else, EACH_WAY},
	{"descriptors exhausted", exhausted, EACH_FAMILY},
	{"numbers used again", used_again, EACH_WAY},
	{NULL, NULL, 0},
};
