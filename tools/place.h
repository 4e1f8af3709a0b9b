/* SPDX-License-Identifier: MIT */
/* Where the files are that come with the command: in a build folder, or installed beside it. */
#ifndef TOOLS_PLACE_H
#define TOOLS_PLACE_H

#include <limits.h>
#include <stdbool.h>

/**
 * place_find - the first of some places where a file is
 * @path:     absolute, whether found or not the one that was looked at last
 * @variable: of the environment; when it is set nothing else is looked at
 * @places:   relative to the folder of this program, or absolute; NULL ends them
 *
 * Return: whether there is a regular file that this user may read.
 */
bool place_find(char path[PATH_MAX], const char *variable, const char *const places[]);

/** place_absolute - @name as an absolute path, links left alone; false: too long */
bool place_absolute(char path[PATH_MAX], const char *name);

#endif /* TOOLS_PLACE_H */
