/* SPDX-License-Identifier: MIT */
/* The small files of /sys and /proc, below a root folder, so that tests can show other machines. */
#ifndef TOOLS_FILES_H
#define TOOLS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define LINE_BYTES 512

/** files_set_root - @folder without a slash at its end; "": this machine, which is the default */
void files_set_root(const char *folder);

/** files_are_ours - whether it is this machine that is looked at */
bool files_are_ours(void);

/* Paths are printf's, from the root: "/sys/class/net/%s/mtu". */
#define PATH_FORMAT(at, first) __attribute__((format(printf, at, first)))

/** files_open - to read; NULL: not there, or not for this user */
PATH_FORMAT(1, 2) FILE *files_open(const char *format, ...);

/** files_line - the first line without its end; false, and an empty @line: there is none */
PATH_FORMAT(2, 3) bool files_line(char line[LINE_BYTES], const char *format, ...);

/** files_number - a decimal number at the start of the file, or one with 0x; -1: none */
PATH_FORMAT(1, 2) int64_t files_number(const char *format, ...);

PATH_FORMAT(1, 2) bool files_exist(const char *format, ...);

/** files_real - the path without links, the root's own folder in it; false: not there */
PATH_FORMAT(2, 3) bool files_real(char path[4096], const char *format, ...);

/** files_target - the last word of what a link leads to, such as a driver's name; empty: none */
PATH_FORMAT(3, 4) void files_target(char *name, size_t size, const char *format, ...);

/** files_allowed - whether it is there, and, on this machine, may be read and written by us */
bool files_allowed(const char *path);

/**
 * files_each - call for every name in a folder, in the order of the alphabet, its numbers as numbers
 * @visit: may be told of a name without it being there any more
 *
 * Return: how many there were, 0 without such a folder.
 */
unsigned int files_each(const char *folder, void (*visit)(void *context, const char *name),
			void *context);

#endif /* TOOLS_FILES_H */
