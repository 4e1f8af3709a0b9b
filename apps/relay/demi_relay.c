/* SPDX-License-Identifier: MIT */
/* demi-relay: a server of STUN and TURN over Demi. */
#include <demi/demi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"

static void tell(const char *name, const char *value)
{
	if (value[0])
		setenv(name, value, 1);
}

/* A device is Catnip's: who names one, or an address on it, means that libOS. */
static bool tell_library(const struct options *options)
{
	bool names_device = options->dev[0] || options->ip[0] || options->gw[0] || options->mac[0];
	const char *environment = getenv("LIBOS");

	if (names_device && options->libos[0] && strncmp(options->libos, "catnip", 6) != 0) {
		fprintf(stderr,
			"demi-relay: --dev, --ip, --gw and --mac are for catnip; leave them "
			"out, or --libos %s\n",
			options->libos);
		return false;
	}
	tell("LIBOS", options->libos);
	if (names_device && !options->libos[0] &&
	    (!environment || strncmp(environment, "catnip", 6) != 0))
		tell("LIBOS", "catnip");
	tell("DEMI_NET_DEV", options->dev);
	tell("DEMI_NET_IP", options->ip);
	tell("DEMI_NET_GW", options->gw);
	tell("DEMI_NET_MAC", options->mac);
	return true;
}

int main(int argc, char **argv)
{
	static struct options options;
	static struct server server;

	int status = options_parse(&options, argc, argv);
	if (status >= 0) {
		options_free(&options);
		return status;
	}
	status = EXIT_FAILURE;
	if (report_json_place_ok(&options) && tell_library(&options)) {
		process_prepare();
		int error = demi_init(NULL);
		if (error) {
			fprintf(stderr, "demi-relay: the library OS does not start: %s\n",
				strerror(error));
		} else {
			status = server_run(&server, &options);
			if (options.stats)
				report_figures();
			demi_fini();
		}
	}
	options_free(&options);
	return status;
}
