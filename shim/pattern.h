/* SPDX-License-Identifier: MIT */
/*
 * Which paths are logs of the block device: patterns with commas between them, each an absolute path.
 *
 *   /var/lib/app/             all below that folder
 *   /var/lib/app/journal      that path, and all below it
 *   /var/lib/app/x*.log       as fnmatch(3) with FNM_PATHNAME: no wildcard is a slash
 */
#ifndef SHIM_PATTERN_H
#define SHIM_PATTERN_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define PATTERNS_MAX 32u

struct patterns {
	char text[1024]; /* the list, its commas replaced by ends */
	const char *patterns[PATTERNS_MAX];
	unsigned int count;
};

/**
 * patterns_parse - from the value of shim.log_files
 * @message: filled with what is wrong, and what would be right
 *
 * Return: 0 or -EINVAL.
 */
int patterns_parse(struct patterns *patterns, const char *list, char *message, size_t message_size);

/** patterns_match - whether @path is a log; it is absolute and normalised */
bool patterns_match(const struct patterns *patterns, const char *path);

/**
 * path_normalise - make a path absolute, and take ".", ".." and double slashes out of it
 *
 * By its words alone: no symbolic link is looked at. @folder: absolute; what a relative path starts
 * from. Return: 0, -ENAMETOOLONG, or -ENOENT (an empty path).
 */
int path_normalise(char out[PATH_MAX], const char *folder, const char *path);

#endif /* SHIM_PATTERN_H */
