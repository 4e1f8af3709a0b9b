/* SPDX-License-Identifier: MIT */
/* A program that is to be run with a preloaded library: where it is, and whether that reaches it. */
#ifndef TOOLS_PROGRAM_H
#define TOOLS_PROGRAM_H

#include <limits.h>

/**
 * program_find - the file that execvp would run
 * @path: it, on success
 * @name: as on a command line; searched for in PATH unless there is a slash in it
 *
 * Return: -1: found; else EXIT_NOT_FOUND or EXIT_NOT_RUN, all having been said.
 */
int program_find(char path[PATH_MAX], const char *name);

/**
 * program_check_preload - whether the loader will preload a library of ours into it
 * @path: of program_find; for a script its interpreter is what counts
 *
 * Return: -1: yes, as far as the file tells; else EXIT_NOT_RUN or EXIT_NOT_FOUND, having said why
 * not and what to do.
 * Source: ld.so(8), secure-execution mode; execve(2)
 */
int program_check_preload(const char *path);

#endif /* TOOLS_PROGRAM_H */
