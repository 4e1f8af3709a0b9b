/* SPDX-License-Identifier: MIT */
/* Every kind of device of this build; meson.build says which there are. */
#include "netdev/kinds.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "netdev/spread.h"

#ifdef DEMI_HAVE_DPDK
#define DPDK_KIND(X) X(dpdk)
#else
#define DPDK_KIND(X)
#endif
#ifdef DEMI_HAVE_XDP
#define AFXDP_KIND(X) X(afxdp)
#else
#define AFXDP_KIND(X)
#endif
#define KINDS(X) DPDK_KIND(X) AFXDP_KIND(X) X(tap) X(loop) X(sim) X(null)

static const struct {
	const char *name;
	netdev_open_fn *open;
} kinds[] = {
#define KIND_ENTRY(kind) {#kind, kind##_open},
	KINDS(KIND_ENTRY)
#undef KIND_ENTRY
};

const char *netdev_kinds(void)
{
#define KIND_NAME(kind) #kind ", "
	static char names[] = KINDS(KIND_NAME);
#undef KIND_NAME

	names[sizeof(names) - sizeof(", ")] = '\0';
	return names;
}

static int open_alone(struct netdev **device_out, const char *name,
		      const struct netdev_options *options)
{
	size_t length = strcspn(name, ":");
	const char *arguments = name[length] == ':' ? name + length + 1 : "";

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strlen(kinds[i].name) == length && memcmp(kinds[i].name, name, length) == 0)
			return kinds[i].open(device_out, arguments, options);
	}
	log_error("net.dev: \"%s\": no such kind of device in this build; give one of %s, as in "
		  "tap:demi0",
		  name, netdev_kinds());
	return -ENOTSUP;
}

int netdev_open(struct netdev **device_out, const char *name, const struct netdev_options *options)
{
	uint32_t runtimes_max = options->config->net.runtimes_max;

	if (runtimes_max > 1)
		return spread_open(device_out, name, options, runtimes_max, open_alone);
	return open_alone(device_out, name, options);
}
