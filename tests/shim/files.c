// SPDX-License-Identifier: MIT
/*
 * files - what the calls about files do here, one line for each.
 *
 * usage: files list
 *        files run FOLDER CHECK...
 *
 * It makes its files in FOLDER, which is a folder of the kernel's, or one whose files are logs. `run`
 * tries the checks of these names and prints "begin NAME", what the calls returned, and "end NAME".
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *folder;

static const struct files_check *const groups[] = {
	files_open_checks,
	files_place_checks,
	files_name_checks,
	files_stream_checks,
};

void say(const char *what, const char *format, ...)
{
	char text[512];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	printf("%s: %s\n", what, text);
	fflush(stdout);
}

long outcome(const char *what, long result)
{
	int error = errno;

	if (result == -1)
		say(what, "-1 %s", strerrorname_np(error));
	else
		say(what, "%ld", result);
	errno = error;
	return result;
}

long must(const char *what, long result)
{
	if (result >= 0)
		return result;
	say(what, "fails: %s", strerrorname_np(errno));
	exit(3);
}

void *nowhere(void)
{
	return (void *)16;
}

const char *at(const char *name)
{
	static char paths[4][300];
	static unsigned int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

int make(const char *name, const char *text, int flags)
{
	int fd;

	unlink(at(name));
	fd = (int)must("make", open(at(name), O_CREAT | O_EXCL | O_WRONLY, 0644));
	if (text[0])
		must("write", write(fd, text, strlen(text)));
	close(fd);
	return (int)must("open", open(at(name), flags, 0644));
}

void say_file(const char *what, const char *name)
{
	char text[256] = "";
	struct stat status;
	int fd = open(at(name), O_RDONLY);
	ssize_t got;

	if (fd < 0 || stat(at(name), &status) != 0) {
		outcome(what, -1);
		return;
	}
	got = read(fd, text, sizeof(text) - 1);
	for (ssize_t i = 0; i < got; i++)
		text[i] = text[i] ? text[i] : '.';
	say(what, "%lld bytes, '%s'", (long long)status.st_size, text);
	close(fd);
}

void say_text(const char *what, int fd, size_t offset)
{
	char text[256] = "";
	ssize_t got = pread(fd, text, sizeof(text) - 1, (off_t)offset);

	if (got < 0)
		outcome(what, got);
	else
		say(what, "%zd bytes, '%s'", got, text);
}

static int run(const char *name)
{
	for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
		for (const struct files_check *check = groups[g]; check->name; check++) {
			if (strcmp(check->name, name) != 0)
				continue;
			printf("begin %s\n", name);
			check->run();
			printf("end %s\n", name);
			fflush(stdout);
			return 0;
		}
	}
	fprintf(stderr, "files: no check '%s'\n", name);
	return 2;
}

int main(int count, char **words)
{
	int status = 0;

	if (count == 2 && !strcmp(words[1], "list")) {
		for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++)
			for (const struct files_check *check = groups[g]; check->name; check++)
				puts(check->name);
		return 0;
	}
	if (count < 4 || strcmp(words[1], "run") != 0) {
		fprintf(stderr, "usage: files list | files run FOLDER CHECK...\n");
		return 2;
	}
	folder = words[2];
	for (int i = 3; i < count && !status; i++)
		status = run(words[i]);
	return status;
}
