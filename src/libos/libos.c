/* SPDX-License-Identifier: MIT */
#include "libos/libos.h"

#include <string.h>

#include "libos/catnap/catnap.h"
#include "libos/catnip/catnip.h"

/* Every libOS of this build; meson.build says which there are. */
static const struct libos_ops *const libos_table[] = {
	&catnap_ops,
	&catnip_ops,
};

const struct libos_ops *libos_find(const char *name)
{
	for (size_t i = 0; i < sizeof(libos_table) / sizeof(libos_table[0]); i++) {
		if (strcmp(libos_table[i]->name, name) == 0)
			return libos_table[i];
	}
	return NULL;
}

const char *libos_names(void)
{
	return "catnap, catnip";
}
