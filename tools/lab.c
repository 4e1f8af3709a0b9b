/* SPDX-License-Identifier: MIT */
/*
 * demi lab: the laboratory is a script, scripts/lab.sh; demi log: a program, which needs the library.
 * These are their places in the command.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "place.h"

int lab_command(int argc, char **argv)
{
	static const char *const places[] = {"demi-lab.sh", INSTALLED_LAB_BESIDE, INSTALLED_LAB,
					     NULL};
	char path[PATH_MAX];

	(void)argc;
	if (!place_find(path, "DEMI_LAB", places))
		return refuse("lab", EXIT_FAILURE,
			      "the laboratory's script is not at %s; install Demi whole, or say "
			      "where it is: DEMI_LAB=/path/to/lab.sh",
			      path);
	setenv("LAB_CALLED", "demi lab", 1);
	execv(path, argv);
	return refuse("lab", EXIT_FAILURE, "%s does not start: %s; it needs bash and env", path,
		      strerror(errno));
}

int log_command(int argc, char **argv)
{
	static const char *const places[] = {"log/demi-log", "demi-log", NULL};
	char path[PATH_MAX];

	(void)argc;
	if (!place_find(path, "DEMI_LOG", places))
		return refuse("log", EXIT_FAILURE,
			      "the program is not at %s; install Demi whole, or say where it is: "
			      "DEMI_LOG=/path/to/demi-log",
			      path);
	execv(path, argv);
	return refuse("log", EXIT_FAILURE, "%s does not start: %s", path, strerror(errno));
}
