/* SPDX-License-Identifier: MIT */
/* demi-echo: an echo server and a verifying, measuring client over Demi. */
#include "demi_echo.h"

#include <demi/demi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "figures.h"
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

int main(int argc, char **argv)
{
	struct options options = {.program = "demi-echo", .has_libos = true};
	struct demi_args args = {.argc = argc, .argv = argv};

	int status = options_parse(&options, argc, argv);
	if (status >= 0)
		return status;
	tell_library(&options);
	process_prepare();
	process_count_reports();
	int error = demi_init(&args);
	if (error) {
		fprintf(stderr, "%s: the library OS does not start: %s\n", options.program,
			strerror(error));
		return EXIT_FAILURE;
	}
	if (options.role == ROLE_SERVER)
		status = demi_server_run(&options);
	else
		status = client_run(&options, &demi_client_io);
	if (options.stats)
		figures_print(options.program);
	demi_fini();
	return status;
}
