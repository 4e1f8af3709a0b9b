/* SPDX-License-Identifier: MIT */
/* The way to a destination, found once and kept by who sends there. */
#include <errno.h>
#include <string.h>

#include "net/ip.h"
#include "net/neighbour.h"
#include "wire/ipv4.h"

static int find_local(struct path *path)
{
	path->is_local = true;
	/* From the same address: that of the interface, or of loopback. */
	path->source = path->destination;
	path->mtu = IPV4_PACKET_BYTES_MAX;
	return 0;
}

static int find_group(struct net *net, struct path *path)
{
	path->to_group = true;
	path->mtu = net_mtu(net, &path->destination);
	path->link_destination = ip_address_is_multicast(&path->destination)
					 ? eth_address_of_group(&path->destination)
					 : eth_address_broadcast();
	return net_source_address(net, &path->destination, &path->source);
}

static int find_unicast(struct net *net, struct path *path)
{
	int error = net_next_hop(net, &path->destination, &path->next_hop);

	if (!error)
		error = net_source_address(net, &path->destination, &path->source);
	if (error)
		return error;
	path->neighbour = neighbour_get(net, &path->next_hop);
	if (!path->neighbour)
		return -ENOBUFS;
	path->mtu = pmtu_find(net, &path->destination);
	return 0;
}

/* Where a path is kept. Who falls together is found anew each time, and nothing else. */
static struct path *place_of(struct net *net, const struct ip_address *destination)
{
	uint64_t words[2];

	memcpy(words, destination->bytes, sizeof(words));
	words[0] = (words[0] ^ net->secret[0]) * (net->secret[1] | 1);
	words[1] = (words[1] ^ words[0] >> 32 ^ net->secret[1]) * (net->secret[0] | 1);
	/* The highest bits: those that every bit of the factors counts in. */
	return &net->paths[words[1] >> (64 - NET_PATHS_LOG2)];
}

int path_find(struct net *net, struct path *path, const struct ip_address *destination)
{
	struct path *kept = place_of(net, destination);
	int error;

	if (path_is_valid(net, kept, destination) && !net->failure) {
		*path = *kept;
		return 0;
	}
	*path = (struct path){.destination = *destination};
	if (net->failure)
		return net->failure;
	if (ip_address_is_unspecified(destination))
		return -ENETUNREACH;
	if (ip_address_is_loopback(destination) || net_has_address(net, destination))
		error = find_local(path);
	else if (ip_address_is_multicast(destination) || ip_address_is_broadcast(destination) ||
		 net_is_subnet_broadcast(net, destination))
		error = find_group(net, path);
	else
		error = find_unicast(net, path);
	/* After neighbour_get, which changes it when another entry had to go. */
	path->generation = error ? 0 : net->generation;
	if (!error)
		*kept = *path;
	return error;
}
