/* SPDX-License-Identifier: MIT */
#include "files.h"

#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *root = "";

void files_set_root(const char *folder)
{
	root = folder;
}

bool files_are_ours(void)
{
	return root[0] == '\0';
}

/* "" when it is too long, which no file has for its path. */
static const char *path_of(char path[PATH_MAX], const char *format, va_list arguments)
{
	size_t length = (size_t)snprintf(path, PATH_MAX, "%s", root);

	if (length >= PATH_MAX || vsnprintf(path + length, PATH_MAX - length, format, arguments) >=
					  (int)(PATH_MAX - length))
		path[0] = '\0';
	return path;
}

#define PATH(path, format)                            \
	do {                                          \
		va_list arguments;                    \
		va_start(arguments, format);          \
		path_of((path), (format), arguments); \
		va_end(arguments);                    \
	} while (0)

FILE *files_open(const char *format, ...)
{
	char path[PATH_MAX];

	PATH(path, format);
	return fopen(path, "re");
}

/* A terminal is to see nothing but text. */
static void make_printable(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || (unsigned char)*text >= 0x7f)
			*text = '?';
	}
}

static bool first_line(char line[LINE_BYTES], const char *path)
{
	FILE *file = fopen(path, "re");
	bool is_read = file && fgets(line, LINE_BYTES, file);

	if (file)
		fclose(file);
	line[is_read ? strcspn(line, "\n") : 0] = '\0';
	make_printable(line);
	return is_read;
}

bool files_line(char line[LINE_BYTES], const char *format, ...)
{
	char path[PATH_MAX];

	PATH(path, format);
	return first_line(line, path);
}

int64_t files_number(const char *format, ...)
{
	char path[PATH_MAX];
	char line[LINE_BYTES];
	char *end;

	PATH(path, format);
	if (!first_line(line, path))
		return -1;
	long long value = strtoll(line, &end, 0);
	return end == line ? -1 : value;
}

bool files_exist(const char *format, ...)
{
	char path[PATH_MAX];

	PATH(path, format);
	return access(path, F_OK) == 0;
}

bool files_real(char real[PATH_MAX], const char *format, ...)
{
	char path[PATH_MAX];

	PATH(path, format);
	return realpath(path, real) != NULL;
}

void files_target(char *name, size_t size, const char *format, ...)
{
	char target[PATH_MAX];
	char path[PATH_MAX];

	PATH(path, format);
	ssize_t length = readlink(path, target, sizeof(target) - 1);
	target[length > 0 ? length : 0] = '\0';
	const char *slash = strrchr(target, '/');
	snprintf(name, size, "%s", slash ? slash + 1 : target);
}

bool files_allowed(const char *name)
{
	return files_are_ours() ? access(name, R_OK | W_OK) == 0 : files_exist("%s", name);
}

static int is_name(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

unsigned int files_each(const char *folder, void (*visit)(void *context, const char *name),
			void *context)
{
	struct dirent **entries;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", root, folder);
	int count = scandir(path, &entries, is_name, versionsort);
	for (int i = 0; i < count; i++) {
		if (visit)
			visit(context, entries[i]->d_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return count > 0 ? (unsigned int)count : 0;
}
