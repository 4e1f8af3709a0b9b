// SPDX-License-Identifier: MIT
/* open(2), creat(2), dup(2), fcntl(2), close(2), and what sleeps. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

static void opening(void)
{
	int fd;

	outcome("what is not there", open(at("a"), O_RDONLY));
	outcome("to write", open(at("a"), O_WRONLY));
	fd = (int)must("O_CREAT", open(at("a"), O_CREAT | O_WRONLY, 0644));
	say("a number of the usual size", "%d", fd < 64);
	outcome("O_EXCL", open(at("a"), O_CREAT | O_EXCL | O_WRONLY, 0644));
	outcome("O_DIRECTORY", open(at("a"), O_RDONLY | O_DIRECTORY));
	outcome("write", write(fd, "hello", 5));
	outcome("close", close(fd));
	outcome("close again", close(fd));
	say_file("file", "a");
	fd = (int)must("O_TRUNC", open(at("a"), O_WRONLY | O_TRUNC));
	say_file("truncated", "a");
	close(fd);
	fd = (int)must("creat", creat(at("b"), 0644));
	outcome("write", write(fd, "x", 1));
	close(fd);
	fd = (int)must("creat again", creat(at("b"), 0644));
	close(fd);
	say_file("created again", "b");
	outcome("a bad pointer", open(nowhere(), O_RDONLY));
	fd = (int)must("O_RDONLY | O_CREAT", open(at("c"), O_RDONLY | O_CREAT, 0644));
	outcome("read nothing", read(fd, &(char){0}, 1));
	outcome("write to it", write(fd, "x", 1));
	close(fd);
}

static void relative_paths(void)
{
	int folder, fd;

	close(make("a", "text", O_RDONLY));
	must("chdir", chdir(at("")));
	say("relative", "%d", access("a", F_OK));
	say("with a dot", "%d", access("./a", F_OK));
	say("with two", "%d", access("../../../../../../../../../../../../x", F_OK));
	folder = (int)must("folder", open(".", O_RDONLY | O_DIRECTORY));
	fd = (int)must("openat", openat(folder, "a", O_RDONLY));
	say_text("text", fd, 0);
	close(fd);
	fd = (int)must("openat to make", openat(folder, "b", O_CREAT | O_WRONLY, 0644));
	close(fd);
	outcome("faccessat", faccessat(folder, "b", R_OK, 0));
	outcome("renameat", renameat(folder, "b", folder, "c"));
	outcome("unlinkat", unlinkat(folder, "c", 0));
	outcome("unlinkat again", unlinkat(folder, "c", 0));
	outcome("unlinkat as a folder", unlinkat(folder, "a", AT_REMOVEDIR));
	close(folder);
}

static void duplicates(void)
{
	int fd = make("a", "", O_WRONLY), other = dup(fd), high = fcntl(fd, F_DUPFD_CLOEXEC, 50),
	    third = dup2(fd, 70);

	say("F_DUPFD_CLOEXEC", "%d, flags %d", high >= 50, fcntl(high, F_GETFD));
	outcome("write to one", write(fd, "one ", 4));
	close(fd);
	outcome("write to another", write(other, "two ", 4));
	outcome("its place", lseek(high, 0, SEEK_CUR));
	outcome("write to the third", write(third, "three", 5));
	close(other);
	close(high);
	outcome("fsync of the last", fsync(third));
	fd = (int)must("another", open(at("b"), O_CREAT | O_WRONLY, 0644));
	outcome("dup2 over it", dup2(fd, third) == third);
	outcome("write", write(third, "b", 1));
	close(fd);
	close(third);
	say_file("the first", "a");
	say_file("the second", "b");
}

static void flags(void)
{
	int fd = make("a", "", O_RDWR | O_APPEND | O_CLOEXEC);

	say("F_GETFD", "%d", fcntl(fd, F_GETFD));
	say("F_GETFL", "%o", fcntl(fd, F_GETFL));
	outcome("F_SETFL", fcntl(fd, F_SETFL, O_NONBLOCK));
	say("F_GETFL", "%o", fcntl(fd, F_GETFL));
	close(fd);
	fd = (int)must("open", open(at("a"), O_WRONLY | O_DSYNC));
	say("F_GETFL of O_DSYNC", "%o, %d", fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
	outcome("write that waits", write(fd, "text", 4));
	close(fd);
	say_file("file", "a");
}

static void locks(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = make("a", "", O_RDWR);

	outcome("flock", flock(fd, LOCK_EX | LOCK_NB));
	outcome("F_SETLK", fcntl(fd, F_SETLK, &lock));
	lock.l_type = F_WRLCK;
	outcome("F_GETLK", fcntl(fd, F_GETLK, &lock));
	say("type", "%d", lock.l_type == F_UNLCK);
	outcome("lockf", lockf(fd, F_TLOCK, 0));
	outcome("unlock", flock(fd, LOCK_UN));
	close(fd);
}

static void waiting(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fd = make("a", "text", O_RDWR), set = epoll_create1(0);
	struct pollfd polled = {.fd = fd, .events = POLLIN | POLLOUT};

	outcome("poll", poll(&polled, 1, 0));
	say("events", "%d", polled.revents == (POLLIN | POLLOUT));
	outcome("epoll_ctl", epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
	close(set);
	close(fd);
}

static void mapping(void)
{
	int fd = make("a", "mapped text", O_RDONLY);
	char *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	say("mapped", "%s", map == MAP_FAILED ? strerrorname_np(errno) : map);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	say("privately", "%s", map == MAP_FAILED ? strerrorname_np(errno) : map);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	say("to write, of what is read", "%s", map == MAP_FAILED ? strerrorname_np(errno) : map);
	close(fd);
	fd = (int)must("open", open(at("a"), O_WRONLY));
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	say("of what is written", "%s", map == MAP_FAILED ? strerrorname_np(errno) : map);
	close(fd);
}

static void sending(void)
{
	int fd = make("a", "the text of it", O_RDONLY), ends[2];
	char text[32] = "";
	off_t offset = 4;

	must("pipe", pipe(ends));
	outcome("sendfile", sendfile(ends[1], fd, NULL, 3));
	outcome("from a place", sendfile(ends[1], fd, &offset, 4));
	say("the place", "%lld, %lld", (long long)offset, (long long)lseek(fd, 0, SEEK_CUR));
	outcome("the rest", sendfile(ends[1], fd, NULL, 100));
	must("read", read(ends[0], text, sizeof(text) - 1));
	say("text", "%s", text);
	close(fd);
}

const struct files_check files_open_checks[] = {
	{"opening", opening},
	{"relative paths", relative_paths},
	{"duplicates", duplicates},
	{"flags", flags},
	{"locks", locks},
	{"waiting", waiting},
	{"mapping", mapping},
	{"sending", sending},
	{NULL, NULL},
};
