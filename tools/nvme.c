/* SPDX-License-Identifier: MIT */
/*
 * demi nvme: who has a drive is for a script, scripts/nvme.sh; how it is, for a program that needs the
 * library. This is their place in the command.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "place.h"

static const char usage[] =
	"usage: demi nvme list\n"
	"       demi nvme bind ADDRESS [--serial SERIAL] [--no-iommu]\n"
	"       demi nvme unbind ADDRESS\n"
	"       demi nvme smart [--json] ADDRESS\n"
	"\n"
	"  list     the NVMe drives of this machine, who has them, and what is on them\n"
	"  bind     give one to vfio-pci, so that a program may have it; one with anything on it only\n"
	"           with its serial number, one that is in use never, one behind no IOMMU only with\n"
	"           --no-iommu: it can reach all memory then\n"
	"  unbind   give it back to the kernel\n"
	"  smart    what a drive that is bound tells of its health; no program may have it meanwhile\n"
	"\n"
	"ADDRESS is as in 0000:00:05.0. A program uses the drive as nvme:ADDRESS, in blk.dev.\n";

static int become(const char *variable, const char *const places[], char **argv)
{
	char path[PATH_MAX];

	if (!place_find(path, variable, places))
		return refuse("nvme", EXIT_FAILURE,
			      "%s is not there; install Demi whole, or say where it is: %s=/path",
			      path, variable);
	execv(path, argv);
	return refuse("nvme", EXIT_FAILURE, "%s does not start: %s", path, strerror(errno));
}

int nvme_command(int argc, char **argv)
{
	static const char *const scripts[] = {"demi-nvme.sh", INSTALLED_NVME_BESIDE, INSTALLED_NVME,
					      NULL};
	static const char *const programs[] = {"nvme/demi-nvme-smart", INSTALLED_SMART_BESIDE,
					       INSTALLED_SMART, NULL};

	if (argc < 2) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	if (strcmp(argv[1], "smart") == 0)
		return become("DEMI_NVME_SMART", programs, argv + 1);
	setenv("NVME_CALLED", "demi nvme", 1);
	return become("DEMI_NVME", scripts, argv);
}
