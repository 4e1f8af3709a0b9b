/* SPDX-License-Identifier: MIT */
/* What the operator says of addresses and routes: taken, or refused with what is wrong with it. */
#include <arpa/inet.h>
#include <errno.h>

#include "base/log.h"
#include "net/autoconf.h"

#define IPV4_BITS 32u
#define IPV6_BITS 128u

static const char *text_of(const struct ip_address *ip, char text[static INET6_ADDRSTRLEN])
{
	bool is_v4 = ip_address_is_v4(ip);

	inet_ntop(is_v4 ? AF_INET : AF_INET6, ip->bytes + (is_v4 ? 12 : 0), text, INET6_ADDRSTRLEN);
	return text;
}

/* ---- Addresses ---- */

static int refuse_address(const struct net_address *address, int error)
{
	char text[INET6_ADDRSTRLEN];

	text_of(&address->ip, text);
	if (error == -ENOSPC)
		log_error("net.ip: %s/%u: is one address too many; %u are the most", text,
			  address->prefix_bits, NET_CONFIGURED_MAX);
	else
		log_error("net.ip: %s/%u: %s", text, address->prefix_bits,
			  error == -EEXIST ? "is there twice"
					   : "is not an address that a host can have; give a "
					     "unicast address and its prefix, as in 10.0.0.2/24");
	return error == -ENOMEM ? error : -EINVAL;
}

static int configure_addresses(struct net *net, const struct net_options *options)
{
	for (unsigned int i = 0; i < options->address_count; i++) {
		const struct net_address *address = &options->addresses[i];
		int error = i < NET_CONFIGURED_MAX ? net_add_address(net, address) : -ENOSPC;

		if (error)
			return refuse_address(address, error);
	}
	return 0;
}

/* ---- Gateways ---- */

/* With a prefix of no other host, as hosters give: then the gateway is on the link all the same. */
static bool has_host_prefix(const struct net *net, bool is_v4)
{
	for (uint32_t i = 0; i < net->address_count; i++) {
		const struct net_address *address = &net->addresses[i];

		if (address->is_static && ip_address_is_v4(&address->ip) == is_v4 &&
		    address->prefix_bits == (is_v4 ? IPV4_BITS : IPV6_BITS))
			return true;
	}
	return false;
}

static bool has_version(const struct net *net, bool is_v4)
{
	for (uint32_t i = 0; i < net->address_count; i++) {
		if (ip_address_is_v4(&net->addresses[i].ip) == is_v4)
			return true;
	}
	return false;
}

static bool is_on_link(const struct net *net, const struct ip_address *gateway)
{
	struct ip_address hop;

	return net_next_hop(net, gateway, &hop) == 0 && ip_address_equal(&hop, gateway);
}

/* NULL, or what is wrong with it. */
static const char *gateway_problem(const struct net *net, const struct ip_address *gateway)
{
	bool is_v4 = ip_address_is_v4(gateway);

	if (!net_can_be_host(net, gateway))
		return "is not the address of one host; give the router's own address";
	if (!has_version(net, is_v4))
		return is_v4 ? "is of no use: there is no IPv4 address; give net.ip one, as in "
			       "10.0.0.2/24"
			     : "is of no use: there is no IPv6 address; give net.ip one, as in "
			       "fd00::2/64, or set net.autoconf to on";
	if (net_has_address(net, gateway))
		return "is our own address; give the router's";
	if (is_on_link(net, gateway) ||
	    (has_host_prefix(net, is_v4) && !ip_address_is_link_local(gateway)))
		return NULL;
	return is_v4 ? "is not on the link; net.ip must have an address of its prefix, or one of "
		       "/32, with which every gateway is on the link"
		     : "is not on the link; net.ip must have an address of its prefix, or one of "
		       "/128, with which every gateway is on the link";
}

/* A route to it alone, where no prefix has it. */
static int put_on_link(struct net *net, const struct ip_address *gateway)
{
	const struct net_route route = {
		.prefix = *gateway,
		.prefix_bits = IPV6_BITS,
		.is_static = true,
		.valid_until_ns = UINT64_MAX,
	};

	return is_on_link(net, gateway) ? 0 : net_add_route(net, &route);
}

static int configure_route(struct net *net, const struct net_route *route, const char *key)
{
	char prefix[INET6_ADDRSTRLEN], gateway[INET6_ADDRSTRLEN];
	const char *problem = gateway_problem(net, &route->gateway);
	int error;

	if (ip_address_is_v4(&route->prefix) != ip_address_is_v4(&route->gateway))
		problem = "is of another version than the prefix; give one of the same";
	if (problem) {
		log_error("%s: gateway %s %s", key, text_of(&route->gateway, gateway), problem);
		return -EINVAL;
	}
	error = put_on_link(net, &route->gateway);
	if (!error)
		error = net_add_route(net, route);
	if (error)
		log_error("%s: %s/%u via %s: %s", key, text_of(&route->prefix, prefix),
			  route->prefix_bits -
				  (ip_address_is_v4(&route->prefix) ? IPV6_BITS - IPV4_BITS : 0),
			  text_of(&route->gateway, gateway),
			  error == -EEXIST ? "there is a route for that already; leave one out"
					   : "is one route too many; 64 are the most, with one for "
					     "each prefix of net.ip");
	return error ? -EINVAL : 0;
}

static struct net_route default_route(const struct ip_address *gateway)
{
	bool is_v4 = ip_address_is_v4(gateway);

	return (struct net_route){
		.prefix = is_v4 ? ip_address_v4(0) : ip_address_v6_halves(0, 0),
		.prefix_bits = is_v4 ? IPV6_BITS - IPV4_BITS : 0,
		.gateway = *gateway,
		.is_static = true,
		.valid_until_ns = UINT64_MAX,
	};
}

int net_configure(struct net *net, const struct net_options *options)
{
	int error = configure_addresses(net, options);

	/* Routers have link-local addresses: before the gateways their prefix is on the link. */
	if (!error)
		autoconf_start(net);
	for (unsigned int i = 0; !error && i < options->gateway_count; i++) {
		struct net_route route = default_route(&options->gateways[i]);

		error = configure_route(net, &route, "net.gw");
	}
	for (unsigned int i = 0; !error && i < options->route_count; i++)
		error = configure_route(net, &options->routes[i], "net.routes");
	return error;
}
