/* SPDX-License-Identifier: MIT */
#include "real.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct real real_functions;
bool real_is_ready;

static void find(void *function, const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (!found) {
		fprintf(stderr, "demi: the shim finds no %s in libc\n", name);
		abort();
	}
	memcpy(function, &found, sizeof(found));
}

void real_find(void)
{
#define REAL_FIND(name) find(&real_functions.name, #name);
	REAL_FUNCTIONS(REAL_FIND)
#undef REAL_FIND
	find(&real_functions.fcntl, "fcntl");
	find(&real_functions.open, "open");
	find(&real_functions.openat, "openat");
	find(&real_functions.ioctl, "ioctl");
	__atomic_store_n(&real_is_ready, true, __ATOMIC_RELEASE);
}
