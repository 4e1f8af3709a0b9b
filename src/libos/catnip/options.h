/* SPDX-License-Identifier: MIT */
/* What the configuration says, addresses as text, in the form that the stack takes. */
#ifndef DEMI_LIBOS_CATNIP_OPTIONS_H
#define DEMI_LIBOS_CATNIP_OPTIONS_H

#include <stddef.h>

#include "base/config.h"
#include "net/net.h"

struct catnip_options {
	struct net_address addresses[NET_CONFIGURED_MAX];
	struct ip_address gateways[2]; /* at most one of each version */
	struct net_route routes[NET_ROUTES_MAX];
	unsigned int address_count;
	unsigned int gateway_count;
	unsigned int route_count;
	struct eth_address mac; /* all zero: the device's own */
};

/**
 * catnip_options_parse - read net.dev, net.ip, net.gw, net.routes and net.mac; limits of tcp.* that
 * depend on each other
 * @error: on failure one line without newline: the key, what is wrong, and what is allowed
 *
 * Only the form is checked here; what fits together the stack knows. Return: 0 or -EINVAL.
 */
int catnip_options_parse(struct catnip_options *options, const struct config *config, char *error,
			 size_t error_size);

/** catnip_options_fill - all that comes from the configuration; @net_options refers to @options */
void catnip_options_fill(struct net_options *net_options, const struct catnip_options *options,
			 const struct config *config);

#endif /* DEMI_LIBOS_CATNIP_OPTIONS_H */
