/* SPDX-License-Identifier: MIT */
/* What `demi run` is told: by its options, and for what they leave out by environment and file. */
#ifndef TOOLS_RUN_OPTIONS_H
#define TOOLS_RUN_OPTIONS_H

#include <limits.h>
#include <stdbool.h>

#define EXIT_OURS 125      /* as env(1): the command itself failed, */
#define EXIT_NOT_RUN 126   /* the program was found and cannot be run, */
#define EXIT_NOT_FOUND 127 /* the program was not found */

#define RUN_LIST_BYTES 1024

/* NULL or empty: not given, so the environment or the file says it. */
struct run_options {
	const char *libos;
	const char *dev;
	char ip[RUN_LIST_BYTES]; /* with commas */
	char gw[RUN_LIST_BYTES];
	const char *mac;
	const char *config;
	const char *idle;
	const char *rules;
	const char *blk;
	char log_files[RUN_LIST_BYTES]; /* with commas */
	bool trace;
	char **program; /* and its arguments, ended by NULL */

	char config_path[PATH_MAX]; /* of --config or CONFIG_PATH, absolute; empty: no file */
};

/**
 * run_options_parse - read the command line, and check it against environment and file
 *
 * Return: -1: go on; else the exit status, all having been said.
 */
int run_options_parse(struct run_options *options, int argc, char **argv);

#endif /* TOOLS_RUN_OPTIONS_H */
