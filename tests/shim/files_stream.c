// SPDX-License-Identifier: MIT
/* Streams of stdio(3). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

static void say_open(const char *what, const FILE *stream)
{
	say(what, "%s", stream ? "open" : strerrorname_np(errno));
}

static void stream_reading(void)
{
	struct stat status;
	char line[32] = "";
	FILE *stream;

	close(make("a", "first\nsecond\nthird\n", O_RDONLY));
	say_open("what is not there", fopen(at("none"), "r"));
	say_open("a wrong mode", fopen(at("a"), "q"));
	stream = fopen(at("a"), "r");
	say("open", "%d", stream != NULL);
	say("fileno", "%d", fileno(stream) > 2);
	outcome("fstat", fstat(fileno(stream), &status));
	say("size", "%lld", (long long)status.st_size);
	say("fgets", "%s", fgets(line, sizeof(line), stream));
	say("ftell", "%ld", ftell(stream));
	outcome("fseek", fseek(stream, -6, SEEK_END));
	say("fgets", "%s", fgets(line, sizeof(line), stream));
	say("feof", "%d", feof(stream));
	say("the end", "%d, %d", fgets(line, sizeof(line), stream) == NULL, feof(stream));
	rewind(stream);
	say("fread", "%zu", fread(line, 1, sizeof(line), stream));
	outcome("fseeko", fseeko(stream, 6, SEEK_SET));
	say("getc", "%c", getc(stream));
	outcome("write to it", fputs("x", stream) < 0 || fflush(stream) ? -1 : 0);
	say("ferror", "%d", ferror(stream) != 0);
	outcome("fclose", fclose(stream));
}

static void stream_writing(void)
{
	FILE *stream = fopen(at("a"), "w");

	say("fprintf", "%d", fprintf(stream, "number %d\n", 5));
	outcome("fflush", fflush(stream));
	outcome("fsync", fsync(fileno(stream)));
	say_file("flushed", "a");
	say("fputs", "%d", fputs("more\n", stream) >= 0);
	say("ftell", "%ld", ftell(stream));
	outcome("fclose", fclose(stream));
	say_file("closed", "a");
	stream = fopen(at("a"), "a");
	say("fputs", "%d", fputs("appended", stream) >= 0);
	outcome("fclose", fclose(stream));
	say_file("appended", "a");
	say_open("wx", fopen(at("a"), "wx"));
	stream = fopen(at("a"), "we");
	say("we", "%d", fcntl(fileno(stream), F_GETFD));
	outcome("fclose", fclose(stream));
	say_file("again", "a");
}

static void stream_both_ways(void)
{
	char line[32] = "";
	FILE *stream;

	close(make("a", "first\n", O_RDONLY));
	stream = fopen(at("a"), "r+");
	say("fgets", "%s", fgets(line, sizeof(line), stream));
	outcome("fseek", fseek(stream, 0, SEEK_END));
	say("fputs", "%d", fputs("second\n", stream) >= 0);
	rewind(stream);
	say("fread", "%zu", fread(line, 1, sizeof(line) - 1, stream));
	say("text", "%s", line);
	outcome("cut", ftruncate(fileno(stream), 4));
	outcome("fclose", fclose(stream));
	say_file("file", "a");
	stream = fopen(at("a"), "a+");
	say("fputs", "%d", fputs("!", stream) >= 0);
	rewind(stream);
	memset(line, 0, sizeof(line));
	say("fread", "%zu", fread(line, 1, sizeof(line) - 1, stream));
	say("text", "%s", line);
	outcome("fclose", fclose(stream));
}

static void stream_of_a_descriptor(void)
{
	int fd = make("a", "text", O_RDONLY);
	char line[32] = "";
	FILE *stream;

	say_open("to write", fdopen(fd, "w"));
	stream = fdopen(fd, "r");
	say("the same", "%d", fileno(stream) == fd);
	say("fgets", "%s", fgets(line, sizeof(line), stream));
	outcome("fclose", fclose(stream));
	outcome("close", close(fd));
	fd = (int)must("open", open(at("a"), O_WRONLY | O_APPEND));
	stream = fdopen(fd, "a");
	say("fputs", "%d", fputs(" more", stream) >= 0);
	outcome("fclose", fclose(stream));
	say_file("file", "a");
}

const struct files_check files_stream_checks[] = {
	{"stream, reading", stream_reading},
	{"stream, writing", stream_writing},
	{"stream, both ways", stream_both_ways},
	{"stream, of a descriptor", stream_of_a_descriptor},
	{NULL, NULL},
};
