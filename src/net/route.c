/* SPDX-License-Identifier: MIT */
/* Where packets go first: few routes, longest prefix first (RFC 1122, 3.3.1; RFC 4861, 5.2). */
#include <errno.h>
#include <string.h>

#include "net/net.h"

bool net_prefix_has(const struct ip_address *prefix, unsigned int bits, const struct ip_address *ip)
{
	uint64_t high = load_be64(prefix->bytes) ^ load_be64(ip->bytes);
	uint64_t low = load_be64(prefix->bytes + 8) ^ load_be64(ip->bytes + 8);

	if (bits <= 64)
		return bits == 0 || high >> (64 - bits) == 0;
	return high == 0 && low >> (128 - bits) == 0;
}

/* ::/0 is IPv6's alone, although every mapped address begins with zero bits. */
static bool is_for(const struct net_route *route, const struct ip_address *ip)
{
	return ip_address_is_v4(&route->prefix) == ip_address_is_v4(ip) &&
	       net_prefix_has(&route->prefix, route->prefix_bits, ip);
}

static struct net_route *find(struct net *net, const struct ip_address *prefix, uint8_t bits)
{
	for (uint32_t i = 0; i < net->route_count; i++) {
		struct net_route *route = &net->routes[i];

		if (route->prefix_bits == bits && is_for(route, prefix))
			return route;
	}
	return NULL;
}

int net_add_route(struct net *net, const struct net_route *route)
{
	uint32_t place = 0;

	if (route->prefix_bits > 128)
		return -EINVAL;
	if (find(net, &route->prefix, route->prefix_bits))
		return -EEXIST;
	if (net->route_count == NET_ROUTES_MAX)
		return -ENOSPC;
	while (place < net->route_count && net->routes[place].prefix_bits >= route->prefix_bits)
		place++;
	memmove(&net->routes[place + 1], &net->routes[place],
		(net->route_count - place) * sizeof(net->routes[0]));
	net->routes[place] = *route;
	net->route_count++;
	net->generation++;
	return 0;
}

int net_remove_route(struct net *net, const struct ip_address *prefix, uint8_t prefix_bits)
{
	struct net_route *route = find(net, prefix, prefix_bits);
	uint32_t place;

	if (!route)
		return -ENOENT;
	place = (uint32_t)(route - net->routes);
	memmove(route, route + 1, (net->route_count - place - 1) * sizeof(*route));
	net->route_count--;
	net->generation++;
	return 0;
}

int net_next_hop(const struct net *net, const struct ip_address *destination,
		 struct ip_address *next_hop_out)
{
	for (uint32_t i = 0; i < net->route_count; i++) {
		const struct net_route *route = &net->routes[i];

		if (!is_for(route, destination) || route->valid_until_ns <= net->now_ns)
			continue;
		*next_hop_out = ip_address_is_unspecified(&route->gateway) ? *destination
									   : route->gateway;
		return 0;
	}
	return -ENETUNREACH;
}
