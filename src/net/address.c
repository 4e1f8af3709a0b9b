/* SPDX-License-Identifier: MIT */
/* Which addresses are ours, and which of them to send from. */
#include <errno.h>
#include <string.h>

#include "net/autoconf.h"
#include "net/group.h"
#include "net/net.h"

/* Scopes as of IPv6 groups (RFC 4291, 2.7; RFC 6724, 3.1 and 3.2 for IPv4). */
enum scope { SCOPE_LINK = 2, SCOPE_GLOBAL = 14 };

const struct net_address *net_has_address(const struct net *net, const struct ip_address *ip)
{
	for (uint32_t i = 0; i < net->address_count; i++) {
		if (ip_address_equal(&net->addresses[i].ip, ip))
			return &net->addresses[i];
	}
	return NULL;
}

/* Bits of the 16 bytes that belong to the prefix. */
static uint8_t route_bits(const struct net_address *address)
{
	return (uint8_t)(address->prefix_bits + (ip_address_is_v4(&address->ip) ? 96 : 0));
}

static uint32_t broadcast_of(const struct net_address *address)
{
	return ip_address_low32(&address->ip) |
	       (uint32_t)(UINT64_C(0xffffffff) >> address->prefix_bits);
}

static uint32_t network_of(const struct net_address *address)
{
	uint32_t host_bits = (uint32_t)(UINT64_C(0xffffffff) >> address->prefix_bits);

	return ip_address_low32(&address->ip) & ~host_bits;
}

/* Point-to-point and host prefixes have no broadcast address (RFC 3021). */
static bool has_broadcast(const struct net_address *address)
{
	return ip_address_is_v4(&address->ip) && address->prefix_bits <= 30;
}

bool net_is_subnet_broadcast(const struct net *net, const struct ip_address *ip)
{
	if (!ip_address_is_v4(ip))
		return false;
	for (uint32_t i = 0; i < net->address_count; i++) {
		const struct net_address *address = &net->addresses[i];

		if (has_broadcast(address) && ip_address_low32(ip) == broadcast_of(address))
			return true;
	}
	return false;
}

static bool is_unicast(const struct ip_address *ip)
{
	if (ip_address_is_unspecified(ip) || ip_address_is_multicast(ip) ||
	    ip_address_is_loopback(ip) || ip_address_is_broadcast(ip))
		return false;
	/* 240.0.0.0/4 and 0.0.0.0/8: RFC 1122, section 3.2.1.3. */
	return !ip_address_is_v4(ip) || (ip->bytes[12] < 240 && ip->bytes[12] != 0);
}

/* The first or the last address of its prefix, which no host has. */
static bool is_end_of(const struct net_address *address, const struct ip_address *ip)
{
	return has_broadcast(address) && ip_address_is_v4(ip) &&
	       (ip_address_low32(ip) == broadcast_of(address) ||
		ip_address_low32(ip) == network_of(address));
}

/* Whether a host can have this address with this prefix. */
static bool is_host_address(const struct net_address *address)
{
	return address->prefix_bits <= (ip_address_is_v4(&address->ip) ? 32 : 128) &&
	       is_unicast(&address->ip) && !is_end_of(address, &address->ip);
}

bool net_can_be_host(const struct net *net, const struct ip_address *ip)
{
	for (uint32_t i = 0; i < net->address_count; i++) {
		if (is_end_of(&net->addresses[i], ip))
			return false;
	}
	return is_unicast(ip);
}

static void foretell(struct net *net)
{
	uint32_t count = 0;

	net->foretold_link = (uint64_t)load_be32(net->mac.bytes) << 16 |
			     load_be16(net->mac.bytes + 4);
	net->foretold_ip = 0;
	for (uint32_t i = 0; i < net->address_count; i++) {
		if (!ip_address_is_v4(&net->addresses[i].ip))
			continue;
		net->foretold_ip = ip_address_low32(&net->addresses[i].ip);
		count++;
	}
	if (count != 1 || net->vlan != 0)
		net->foretold_ip = 0;
}

/* For devices that take from a shared interface what is for us only. */
static void tell_device(struct net *net)
{
	struct ip_address addresses[NET_ADDRESSES_MAX];

	net->generation++;
	foretell(net);
	if (!net->device->ops->set_addresses)
		return;
	for (uint32_t i = 0; i < net->address_count; i++)
		addresses[i] = net->addresses[i].ip;
	net->device->ops->set_addresses(net->device, addresses, net->address_count);
}

static struct net_route route_of(const struct net_address *address)
{
	return (struct net_route){
		.prefix = address->ip,
		.prefix_bits = route_bits(address),
		.is_static = address->is_static,
		.valid_until_ns = address->valid_until_ns,
	};
}

int net_add_address(struct net *net, const struct net_address *address)
{
	struct net_route route = route_of(address);
	struct ip_address group;
	int error;

	if (!is_host_address(address))
		return -EINVAL;
	if (net_has_address(net, &address->ip))
		return -EEXIST;
	if (net->address_count == NET_ADDRESSES_MAX)
		return -ENOSPC;
	/* A second address of the same prefix finds its route there. A router may say that a prefix
	 * is not on the link; for what it has given the advertisement decides. */
	if (address->is_static || ip_address_is_link_local(&address->ip)) {
		error = net_add_route(net, &route);
		if (error && error != -EEXIST)
			return error;
	}
	net->addresses[net->address_count++] = *address;
	tell_device(net);
	if (!ip_address_is_v4(&address->ip)) {
		group = ip_address_solicited_node(&address->ip);
		group_join(net, &group);
	}
	autoconf_address_added(net, &address->ip);
	return 0;
}

static bool prefix_is_used(const struct net *net, const struct net_route *route)
{
	for (uint32_t i = 0; i < net->address_count; i++) {
		struct net_route other = route_of(&net->addresses[i]);

		if (other.prefix_bits == route->prefix_bits &&
		    net_prefix_has(&route->prefix, route->prefix_bits, &other.prefix))
			return true;
	}
	return false;
}

int net_remove_address(struct net *net, const struct ip_address *ip)
{
	const struct net_address *found = net_has_address(net, ip);
	struct net_route route;
	uint32_t place;

	if (!found)
		return -ENOENT;
	route = route_of(found);
	place = (uint32_t)(found - net->addresses);
	memmove(&net->addresses[place], &net->addresses[place + 1],
		(net->address_count - place - 1) * sizeof(net->addresses[0]));
	net->address_count--;
	if (!prefix_is_used(net, &route))
		net_remove_route(net, &route.prefix, route.prefix_bits);
	if (!ip_address_is_v4(&route.prefix)) {
		struct ip_address group = ip_address_solicited_node(&route.prefix);

		group_leave(net, &group);
	}
	tell_device(net);
	return 0;
}

static enum scope scope_of(const struct ip_address *ip)
{
	if (ip->bytes[0] == 0xff)
		return (ip->bytes[1] & 0xf) <= SCOPE_LINK ? SCOPE_LINK : SCOPE_GLOBAL;
	/* 224.0.0.0/24 stays on the link (RFC 5771, section 4). */
	if (ip_address_is_v4(ip) && ip_address_low32(ip) >> 8 == 0xe00000)
		return SCOPE_LINK;
	return ip_address_is_link_local(ip) ? SCOPE_LINK : SCOPE_GLOBAL;
}

static unsigned int common_prefix_bits(const struct ip_address *a, const struct ip_address *b)
{
	uint64_t high = load_be64(a->bytes) ^ load_be64(b->bytes);
	uint64_t low = load_be64(a->bytes + 8) ^ load_be64(b->bytes + 8);

	if (high)
		return (unsigned int)__builtin_clzll(high);
	return low ? 64 + (unsigned int)__builtin_clzll(low) : 128;
}

/* The higher the better: RFC 6724, section 5, rules 1, 2, 3 and 8. */
static unsigned int preference(const struct net *net, const struct net_address *address,
			       const struct ip_address *destination)
{
	enum scope wanted = scope_of(destination), has = scope_of(&address->ip);
	unsigned int bits = common_prefix_bits(&address->ip, destination);
	bool is_deprecated = address->is_deprecated || address->preferred_until_ns <= net->now_ns;
	unsigned int score;

	if (bits == 128)
		return UINT32_MAX;
	/* Rule 2: wide enough, and no wider than needed. */
	score = has == wanted ? 2u : has > wanted ? 1u : 0u;
	return score << 16 | (is_deprecated ? 0u : 1u) << 8 | bits;
}

int net_source_address(const struct net *net, const struct ip_address *destination,
		       struct ip_address *source_out)
{
	bool is_v4 = ip_address_is_v4(destination);
	const struct net_address *best = NULL;
	unsigned int best_score = 0;

	for (uint32_t i = 0; i < net->address_count; i++) {
		const struct net_address *address = &net->addresses[i];
		unsigned int score;

		if (ip_address_is_v4(&address->ip) != is_v4)
			continue;
		score = preference(net, address, destination);
		if (best && score <= best_score)
			continue;
		best = address;
		best_score = score;
	}
	if (!best)
		return -EADDRNOTAVAIL;
	*source_out = best->ip;
	return 0;
}
