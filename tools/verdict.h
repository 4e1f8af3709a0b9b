/* SPDX-License-Identifier: MIT */
/* What can run on a machine, and for what cannot the command that makes it. */
#ifndef TOOLS_VERDICT_H
#define TOOLS_VERDICT_H

#include <stdbool.h>

#include "machine.h"

#define VERDICTS_MAX 12

enum outcome { CAN_RUN, IS_MISSING, NOT_IN_BUILD };

struct verdict {
	const char *libos;  /* catnip */
	const char *device; /* afxdp */
	enum outcome outcome;
	char missing[256]; /* IS_MISSING: what */
	char command[256]; /* that runs it, or makes it so that it can; empty: there is none */
};

/**
 * verdict_all - each libOS over each of its devices
 *
 * Return: how many there are, VERDICTS_MAX at most.
 */
unsigned int verdict_all(struct verdict verdicts[VERDICTS_MAX], const struct machine *machine);

/** verdict_has_network - whether Catnip can run over a device */
bool verdict_has_network(const struct verdict *verdicts, unsigned int count);

/** verdict_is_vital - whether the machine's own network hangs on this interface */
bool verdict_is_vital(const struct interface *interface);

#endif /* TOOLS_VERDICT_H */
