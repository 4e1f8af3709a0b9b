/* SPDX-License-Identifier: MIT */
/*
 * demi run: the shim first in LD_PRELOAD, the settings in the environment, and then this process
 * becomes the program: its signals, its exit status and its place among the others are its own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "place.h"
#include "program.h"
#include "run_options.h"

static int find_shim(char path[PATH_MAX])
{
	static const char *const places[] = {"../shim/libdemi-shim.so", INSTALLED_SHIM_BESIDE,
					     INSTALLED_SHIM, NULL};

	if (!place_find(path, "DEMI_SHIM", places))
		return refuse("run", EXIT_OURS,
			      "the library that is preloaded is not at %s; install Demi whole, or "
			      "say where it is: DEMI_SHIM=/path/to/libdemi-shim.so",
			      path);
	/* The loader takes both as separators, and has no escape. */
	if (strpbrk(path, " :"))
		return refuse("run", EXIT_OURS,
			      "%s: the loader cannot preload from a path with a blank or a colon; "
			      "move it, or make a link to it, and DEMI_SHIM=/path/to/link.so",
			      path);
	return -1;
}

static void set_variable(const char *name, const char *value)
{
	if (value && value[0])
		setenv(name, value, 1);
}

static void tell_library(const struct run_options *options)
{
	set_variable("LIBOS", options->libos);
	set_variable("CONFIG_PATH", options->config_path);
	set_variable("DEMI_NET_DEV", options->dev);
	set_variable("DEMI_NET_IP", options->ip);
	set_variable("DEMI_NET_GW", options->gw);
	set_variable("DEMI_NET_MAC", options->mac);
	set_variable("DEMI_RUNTIME_IDLE", options->idle);
	set_variable("DEMI_SHIM_RULES", options->rules);
	set_variable("DEMI_BLK_DEV", options->blk);
	set_variable("DEMI_SHIM_LOG_FILES", options->log_files);
	set_variable("DEMI_SHIM_TRACE", options->trace ? "1" : NULL);
	/* The shim's runtime goes from thread to thread. */
	set_variable("DEMI_BLK_THREADS", "any");
	/* Over io_uring a runtime stays in its thread; the shim moves it to whichever calls. */
	if (strncmp(options->libos, "catnap", strlen("catnap")) == 0)
		set_variable("DEMI_CATNAP_ENGINE", "epoll");
}

/* Before what the user preloads: calls come to the first who has them, and it hands them on. */
static int preload(const char *shim)
{
	const char *others = getenv("LD_PRELOAD");
	char *list = NULL;

	if (!others || !others[0])
		return setenv("LD_PRELOAD", shim, 1);
	if (asprintf(&list, "%s:%s", shim, others) < 0)
		return -1;
	int failed = setenv("LD_PRELOAD", list, 1);
	free(list);
	return failed;
}

static int become(const char *path, char **program)
{
	execvp(path, program);
	return refuse("run", errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN, "%s: %s", path,
		      strerror(errno));
}

int run_command(int argc, char **argv)
{
	struct run_options options = {0};
	char program[PATH_MAX];
	char shim[PATH_MAX];
	int status = run_options_parse(&options, argc, argv);

	if (status < 0)
		status = program_find(program, options.program[0]);
	if (status < 0)
		status = program_check_preload(program);
	if (status < 0)
		status = find_shim(shim);
	if (status >= 0)
		return status;
	tell_library(&options);
	if (preload(shim))
		return refuse("run", EXIT_OURS, "%s", strerror(ENOMEM));
	return become(program, options.program);
}
