/* SPDX-License-Identifier: MIT */
#include "pattern.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define EXAMPLE "as in /var/lib/redis/appendonlydir/*.incr.aof"

static int refuse(const char *pattern, const char *why, char *message, size_t message_size)
{
	snprintf(message, message_size, "shim.log_files: \"%s\": %s", pattern, why);
	return -EINVAL;
}

static int add(struct patterns *patterns, char *pattern, char *message, size_t message_size)
{
	pattern += strspn(pattern, " \t");
	for (size_t length = strlen(pattern); length && strchr(" \t", pattern[length - 1]);)
		pattern[--length] = '\0';
	if (pattern[0] != '/')
		return refuse(pattern, "a pattern is an absolute path, " EXAMPLE, message,
			      message_size);
	if (strstr(pattern, "//") || strstr(pattern, "/./") || strstr(pattern, "/../"))
		return refuse(pattern,
			      "it never fits, since paths are compared without \"//\", \".\" and "
			      "\"..\"; leave them out, " EXAMPLE,
			      message, message_size);
	if (patterns->count == PATTERNS_MAX)
		return refuse(pattern, "there are more than 32 patterns; use fewer, " EXAMPLE,
			      message, message_size);
	patterns->patterns[patterns->count++] = pattern;
	return 0;
}

int patterns_parse(struct patterns *patterns, const char *list, char *message, size_t message_size)
{
	size_t length = strlen(list);
	char *rest = patterns->text;
	int error = 0;

	patterns->count = 0;
	if (!length)
		return 0;
	if (length >= sizeof(patterns->text))
		return refuse(list, "it is longer than 1023 bytes", message, message_size);
	memcpy(patterns->text, list, length + 1);
	while (!error && rest)
		error = add(patterns, strsep(&rest, ","), message, message_size);
	return error;
}

static bool is_wild(const char *pattern)
{
	return strpbrk(pattern, "*?[\\") != NULL;
}

static bool fits(const char *pattern, const char *path)
{
	size_t length = strlen(pattern);

	if (is_wild(pattern))
		return fnmatch(pattern, path, FNM_PATHNAME) == 0;
	if (strncmp(pattern, path, length) != 0)
		return false;
	if (pattern[length - 1] == '/')
		return path[length] != '\0';
	return path[length] == '\0' || path[length] == '/';
}

bool patterns_match(const struct patterns *patterns, const char *path)
{
	for (unsigned int i = 0; i < patterns->count; i++)
		if (fits(patterns->patterns[i], path))
			return true;
	return false;
}

/* Take the last name off @path, which has @length bytes and ends without a slash; "" is the root. */
static size_t parent(const char *path, size_t length)
{
	while (length && path[length - 1] != '/')
		length--;
	return length ? length - 1 : 0;
}

/* Append the names of @path, one by one. Return: the length, or -ENAMETOOLONG. */
static ssize_t append_names(char out[PATH_MAX], size_t length, const char *path)
{
	while (*path) {
		size_t name = strcspn(path, "/");

		if (name == 2 && path[0] == '.' && path[1] == '.') {
			length = parent(out, length);
		} else if (name && !(name == 1 && path[0] == '.')) {
			if (length + 1 + name >= PATH_MAX)
				return -ENAMETOOLONG;
			out[length++] = '/';
			memcpy(out + length, path, name);
			length += name;
		}
		path += name;
		path += strspn(path, "/");
	}
	return (ssize_t)length;
}

int path_normalise(char out[PATH_MAX], const char *folder, const char *path)
{
	ssize_t length = 0;

	if (!path[0])
		return -ENOENT;
	if (path[0] != '/')
		length = append_names(out, 0, folder);
	if (length >= 0)
		length = append_names(out, (size_t)length, path);
	if (length < 0)
		return (int)length;
	if (length == 0)
		out[length++] = '/';
	out[length] = '\0';
	return 0;
}
