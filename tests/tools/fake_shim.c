/* SPDX-License-Identifier: MIT */
/* In the place of the shim: says, in the program's process, what it was told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

static __attribute__((constructor)) void say_environment(void)
{
	for (char **variable = environ; *variable; variable++) {
		if (strncmp(*variable, "DEMI_", 5) == 0 || strncmp(*variable, "LIBOS=", 6) == 0 ||
		    strncmp(*variable, "CONFIG_PATH=", 12) == 0 ||
		    strncmp(*variable, "LD_PRELOAD=", 11) == 0)
			fprintf(stderr, "shim: %s\n", *variable);
	}
}
