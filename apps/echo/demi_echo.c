/* SPDX-License-Identifier: MIT */
/* demi-echo: an echo server and a verifying, measuring client over Demi. */
#include "demi_echo.h"

#include <demi/demi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "process.h"

static void set_variable(const char *name, const char *value)
{
	if (value && value[0])
		setenv(name, value, 1);
}

/* Its configuration is the environment's: demi.conf(5). */
static void tell_library(const struct options *options)
{
	set_variable("LIBOS", options->libos);
	set_variable("DEMI_NET_DEV", options->dev);
	set_variable("DEMI_NET_IP", options->ip);
	set_variable("DEMI_NET_GW", options->gw);
	set_variable("DEMI_NET_MAC", options->mac);
	set_variable("DEMI_BLK_DEV", options->blk);
}

#define CATNIP_RUNTIMES_MAX 64u /* demi.conf(5), net.runtimes_max */

/* Several runtimes share the device of Catnip, unless it is said that it serves fewer. */
static void let_threads_share(const struct options *options)
{
	char runtimes[16];

	if (options->threads == 1)
		return;
	snprintf(runtimes, sizeof(runtimes), "%u",
		 options->threads < CATNIP_RUNTIMES_MAX ? options->threads : CATNIP_RUNTIMES_MAX);
	setenv("DEMI_NET_RUNTIMES_MAX", runtimes, 0);
}

/* Several runtimes: where one address can be theirs together. */
static bool threads_are_served(const struct options *options)
{
	char libos[64];

	if (options->threads == 1 || demi_config("libos", libos, sizeof(libos)) != 0 ||
	    strcmp(libos, "catnap") == 0)
		return true;
	if (strcmp(libos, "catnip") != 0)
		fprintf(stderr,
			"%s: --threads %u: on %s a device and its addresses have one runtime; leave "
			"--threads out, or run on --libos catnap or catnip\n",
			options->program, options->threads, libos);
	else if (options->threads > CATNIP_RUNTIMES_MAX)
		fprintf(stderr,
			"%s: --threads %u: on catnip at most %u runtimes share a device; give fewer, or "
			"run on --libos catnap\n",
			options->program, options->threads, CATNIP_RUNTIMES_MAX);
	else
		return true;
	return false;
}

int main(int argc, char **argv)
{
	struct options options = {.program = "demi-echo", .has_libos = true};

	int status = options_parse(&options, argc, argv);
	if (status >= 0)
		return status;
	tell_library(&options);
	if (!threads_are_served(&options))
		return EXIT_USAGE;
	let_threads_share(&options);
	process_prepare();
	process_count_reports();
	return options.role == ROLE_SERVER ? demi_server_run(&options) : demi_client_run(&options);
}
