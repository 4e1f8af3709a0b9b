// SPDX-License-Identifier: MIT
/* read(2), write(2), lseek(2), pread(2), ftruncate(2), fsync(2), fallocate(2) */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "files.h"

#define PIECE(text)                              \
	{                                        \
		(char[]){text}, sizeof(text) - 1 \
	}

static void appending(void)
{
	struct iovec pieces[3] = {PIECE("one "), PIECE(""), PIECE("two ")};
	int fd = make("a", "", O_WRONLY | O_APPEND);
	volatile int minus_one = -1;

	outcome("write", write(fd, "zero ", 5));
	outcome("writev", writev(fd, pieces, 3));
	outcome("write of nothing", write(fd, "", 0));
	outcome("the place", lseek(fd, 0, SEEK_CUR));
	outcome("to the start", lseek(fd, 0, SEEK_SET));
	outcome("write", write(fd, "three ", 6));
	outcome("the place", lseek(fd, 0, SEEK_CUR));
	outcome("pwrite appends too", pwrite(fd, "four", 4, 2));
	outcome("the place", lseek(fd, 0, SEEK_CUR));
	outcome("read", read(fd, &(char){0}, 1));
	outcome("pread", pread(fd, &(char){0}, 1, 0));
	outcome("a bad pointer", write(fd, nowhere(), 5));
	outcome("writev with one", writev(fd, (struct iovec[]){{nowhere(), 5}}, 1));
	outcome("writev of a bad list", writev(fd, nowhere(), 2));
	outcome("writev of -1", writev(fd, pieces, minus_one));
	outcome("close", close(fd));
	say_file("file", "a");
}

static void at_the_end(void)
{
	int fd = make("a", "", O_WRONLY);

	outcome("write", write(fd, "zero ", 5));
	outcome("write", write(fd, "one ", 4));
	outcome("pwrite at the end", pwrite(fd, "two ", 4, 9));
	outcome("the place", lseek(fd, 0, SEEK_CUR));
	outcome("to the end", lseek(fd, 0, SEEK_END));
	outcome("write", write(fd, "three ", 6));
	outcome("behind it", lseek(fd, 4, SEEK_END));
	outcome("write with a hole", write(fd, "four", 4));
	outcome("pwrite with a hole", pwrite(fd, "five", 4, 30));
	outcome("pwrite before the start", pwrite(fd, "x", 1, -1));
	close(fd);
	say_file("file", "a");
}

static void places(void)
{
	int fd = make("a", "0123456789", O_RDONLY);
	char byte;

	outcome("SEEK_SET", lseek(fd, 3, SEEK_SET));
	must("read", read(fd, &byte, 1));
	say("byte", "%c", byte);
	outcome("SEEK_CUR", lseek(fd, 2, SEEK_CUR));
	outcome("SEEK_END", lseek(fd, -1, SEEK_END));
	must("read", read(fd, &byte, 1));
	say("byte", "%c", byte);
	outcome("read at the end", read(fd, &byte, 1));
	outcome("before the start", lseek(fd, -1, SEEK_SET));
	outcome("before the start", lseek(fd, -20, SEEK_CUR));
	outcome("behind the end", lseek(fd, 100, SEEK_SET));
	outcome("read there", read(fd, &byte, 1));
	outcome("SEEK_HOLE", lseek(fd, 4, SEEK_HOLE));
	outcome("SEEK_DATA", lseek(fd, 4, SEEK_DATA));
	outcome("SEEK_DATA behind", lseek(fd, 10, SEEK_DATA));
	outcome("a wrong whence", lseek(fd, 0, 77));
	say_text("pread", fd, 4);
	outcome("pread behind the end", pread(fd, &byte, 1, 10));
	outcome("pread before the start", pread(fd, &byte, 1, -1));
	outcome("read to a bad pointer", pread(fd, nowhere(), 5, 0));
	close(fd);
}

static void reading_in_pieces(void)
{
	char first[5] = "", second[4] = "";
	struct iovec pieces[2] = {{first, 4}, {second, 3}};
	int fd = make("a", "0123456789", O_RDONLY);

	outcome("readv", readv(fd, pieces, 2));
	say("text", "%s %s", first, second);
	outcome("preadv", preadv(fd, pieces, 2, 5));
	say("text", "%.4s %.1s", first, second);
	outcome("the place", lseek(fd, 0, SEEK_CUR));
	outcome("preadv2", preadv2(fd, pieces, 2, -1, 0));
	say("text", "%.3s", first);
	outcome("preadv2 at a place", preadv2(fd, pieces, 1, 1, 0));
	say("text", "%.4s", first);
	close(fd);
	fd = (int)must("open", open(at("a"), O_WRONLY | O_APPEND));
	outcome("pwritev2", pwritev2(fd, (struct iovec[]){PIECE("abc")}, 1, -1, RWF_DSYNC));
	outcome("pwritev", pwritev(fd, (struct iovec[]){PIECE("def")}, 1, 13));
	close(fd);
	say_file("file", "a");
}

static void reading_what_is_written(void)
{
	int fd = make("a", "", O_RDWR), reader = open(at("a"), O_RDONLY);
	char byte = '?';

	outcome("nothing yet", read(reader, &byte, 1));
	outcome("write", write(fd, "first", 5));
	say_text("read by the writer", fd, 0);
	outcome("read at its place", read(fd, &byte, 1));
	say_text("by the reader", reader, 1);
	outcome("write", write(fd, " second", 7));
	say_text("by the reader", reader, 0);
	outcome("to the start", lseek(fd, 0, SEEK_SET));
	outcome("read", read(fd, &byte, 1));
	say("byte", "%c", byte);
	outcome("cut", ftruncate(fd, 3));
	say_text("by the reader", reader, 0);
	outcome("write at the end", pwrite(fd, "!", 1, 3));
	say_text("by the reader", reader, 0);
	close(reader);
	close(fd);
}

static void cutting(void)
{
	int fd = make("a", "0123456789", O_RDWR);

	outcome("to 7", ftruncate(fd, 7));
	say_file("file", "a");
	outcome("to the same", ftruncate(fd, 7));
	outcome("to 3", ftruncate(fd, 3));
	outcome("longer", ftruncate(fd, 5));
	say_file("file", "a");
	outcome("the place", lseek(fd, 0, SEEK_CUR));
	outcome("to the end", lseek(fd, 0, SEEK_END));
	outcome("write", write(fd, "abc", 3));
	say_file("file", "a");
	outcome("to nothing", ftruncate(fd, 0));
	say_file("file", "a");
	outcome("write at 0", pwrite(fd, "new", 3, 0));
	say_file("file", "a");
	outcome("to -1", ftruncate(fd, -1));
	close(fd);
	fd = (int)must("open", open(at("a"), O_RDONLY));
	outcome("of what is read", ftruncate(fd, 0));
	close(fd);
	outcome("by path", truncate(at("a"), 1));
	say_file("file", "a");
	outcome("of nothing", truncate(at("none"), 1));
	outcome("to -1", truncate(at("a"), -1));
	for (int i = 0; i < 5; i++) {
		fd = (int)must("open", open(at("a"), O_WRONLY | O_APPEND));
		must("write", write(fd, "abcdef", 6));
		must("cut", ftruncate(fd, 3 + i));
		close(fd);
	}
	say_file("after several", "a");
}

static void syncing(void)
{
	int fd = make("a", "", O_WRONLY);

	outcome("fsync of nothing", fsync(fd));
	outcome("write", write(fd, "text", 4));
	outcome("fsync", fsync(fd));
	outcome("fdatasync", fdatasync(fd));
	outcome("sync_file_range", sync_file_range(fd, 0, 4, SYNC_FILE_RANGE_WRITE));
	outcome("before the start", sync_file_range(fd, -1, 4, SYNC_FILE_RANGE_WRITE));
	close(fd);
	fd = (int)must("open", open(at("a"), O_RDONLY));
	outcome("fsync of what is read", fsync(fd));
	close(fd);
	outcome("fsync of what is closed", fsync(fd));
}

static volatile int alarms;

static void on_alarm(int number)
{
	(void)number;
	alarms = alarms + 1;
}

/* What waits for a disk is not interrupted, but handlers run. */
static void interrupted(void)
{
	const struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
	const struct sigaction action = {.sa_handler = on_alarm};
	int fd = make("a", "", O_WRONLY | O_APPEND), failed = 0;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 10000 && alarms < 100; i++)
		failed += write(fd, "x", 1) != 1 || fdatasync(fd) != 0;
	setitimer(ITIMER_REAL, &never, NULL);
	say("failed", "%d", failed);
	say("alarms", "%d", alarms >= 100);
	close(fd);
}

static void allocating(void)
{
	int fd = make("a", "text", O_WRONLY);

	outcome("fallocate", fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 65536));
	outcome("of nothing", fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 0));
	outcome("before the start", fallocate(fd, FALLOC_FL_KEEP_SIZE, -1, 5));
	say("posix_fallocate within", "%d", posix_fallocate(fd, 0, 4));
	say("of nothing", "%d", posix_fallocate(fd, 0, 0) == EINVAL);
	close(fd);
	say_file("file", "a");
}

static void large(void)
{
	const size_t bytes = ((size_t)40 << 20) + 12345;
	char *text = malloc(bytes), *back = malloc(bytes);
	int fd = make("a", "", O_RDWR);
	struct stat status;

	for (size_t i = 0; i < bytes; i++)
		text[i] = (char)(i * 31 + (i >> 8) * 7 + (i >> 16));
	outcome("write", write(fd, text, bytes));
	outcome("once more", write(fd, text, 1000));
	outcome("fsync", fsync(fd));
	fstat(fd, &status);
	say("size", "%lld", (long long)status.st_size);
	outcome("read", pread(fd, back, bytes, 0));
	say("the same", "%d", memcmp(text, back, bytes) == 0);
	close(fd);
	fd = (int)must("open", open(at("a"), O_RDONLY));
	memset(back, 0, bytes);
	outcome("read anew", pread(fd, back, bytes, 0));
	say("the same", "%d", memcmp(text, back, bytes) == 0);
	close(fd);
	unlink(at("a"));
	free(text);
	free(back);
}

static void many_small(void)
{
	int fd = make("a", "", O_WRONLY | O_APPEND);
	unsigned int sum = 0;
	char line[16];
	FILE *stream;

	for (unsigned int i = 0; i < 20000; i++)
		must("write", write(fd, line, (size_t)snprintf(line, sizeof(line), "%u\n", i)));
	outcome("fdatasync", fdatasync(fd));
	close(fd);
	stream = fopen(at("a"), "r");
	for (unsigned int i = 0; stream && fgets(line, sizeof(line), stream); i++)
		sum += (unsigned int)atoi(line) == i;
	say("lines in their order", "%u", sum);
	fclose(stream);
	unlink(at("a"));
}

const struct files_check files_place_checks[] = {
	{"appending", appending},
	{"at the end", at_the_end},
	{"places", places},
	{"reading in pieces", reading_in_pieces},
	{"reading what is written", reading_what_is_written},
	{"cutting", cutting},
	{"syncing", syncing},
	{"interrupted", interrupted},
	{"allocating", allocating},
	{"large", large},
	{"many small", many_small},
	{NULL, NULL},
};
