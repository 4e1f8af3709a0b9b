/* SPDX-License-Identifier: MIT */
/*
 * The options of a UDP socket about groups whose value is no int: which it is a member of, and by
 * which interface it sends to them. There is one, which a program may name by an address of ours or by
 * its index in the kernel, or leave open.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "libos/catnip/datagram.h"
#include "libos/catnip/option.h"

/* ---- Membership ---- */

static int ipv4_group_load(const struct datagram *datagram, const void *value, socklen_t length,
			   struct ip_address *group)
{
	struct ip_mreq request; /* the beginning of struct ip_mreqn too */
	struct ip_address interface;

	if (length < sizeof(request))
		return -EINVAL;
	memcpy(&request, value, sizeof(request));
	*group = ip_address_from_in(request.imr_multiaddr);
	interface = ip_address_from_in(request.imr_interface);
	if (!ip_address_is_unspecified(&interface) &&
	    !net_has_address(datagram->catnip->net, &interface))
		return -ENODEV;
	return 0;
}

static int ipv6_group_load(const void *value, socklen_t length, struct ip_address *group)
{
	struct ipv6_mreq request;

	if (length < sizeof(request))
		return -EINVAL;
	memcpy(&request, value, sizeof(request));
	*group = ip_address_from_in6(&request.ipv6mr_multiaddr);
	/* A mapped one would pass for an IPv4 group. */
	return ip_address_is_v4(group) ? -EINVAL : 0;
}

static int set_membership(struct datagram *datagram, int level, int name, const void *value,
			  socklen_t length)
{
	bool is_v4 = level == IPPROTO_IP;
	struct ip_address group;
	int error = is_v4 ? ipv4_group_load(datagram, value, length, &group)
			  : ipv6_group_load(value, length, &group);

	if (error)
		return error;
	if (name == (is_v4 ? IP_ADD_MEMBERSHIP : IPV6_JOIN_GROUP))
		return udp_join(&datagram->udp, &group);
	return udp_leave(&datagram->udp, &group);
}

/* ---- The interface ---- */

/* The kernel's number of it, or 0, which leaves it open. */
static bool is_our_index(const struct datagram *datagram, int index)
{
	return index == 0 ||
	       (index > 0 && (uint32_t)index == datagram->catnip->device->caps.interface_index);
}

/* As Linux: struct in_addr, struct ip_mreq or struct ip_mreqn, whose group does not matter. */
static int set_interface_v4(struct datagram *datagram, const void *value, socklen_t length)
{
	struct ip_mreqn request = {0};
	struct ip_address address;

	if (length >= sizeof(request))
		memcpy(&request, value, sizeof(request));
	else if (length >= sizeof(struct ip_mreq))
		memcpy(&request, value, sizeof(struct ip_mreq));
	else if (length >= sizeof(request.imr_address))
		memcpy(&request.imr_address, value, sizeof(request.imr_address));
	else
		return -EINVAL;
	address = ip_address_from_in(request.imr_address);
	if (!is_our_index(datagram, request.imr_ifindex))
		return -EADDRNOTAVAIL;
	if (!ip_address_is_unspecified(&address) &&
	    !net_has_address(datagram->catnip->net, &address))
		return -EADDRNOTAVAIL;
	datagram->udp.multicast_v4.source = address;
	return 0;
}

static int set_interface_v6(struct datagram *datagram, const void *value, socklen_t length)
{
	int index, error = option_load(&index, sizeof(index), value, length);

	if (error)
		return error;
	if (!is_our_index(datagram, index))
		return -ENODEV; /* not what IPv4 says: so on Linux */
	datagram->multicast_index = index;
	return 0;
}

static int get_interface_v4(const struct datagram *datagram, void *value, socklen_t *length)
{
	struct in_addr address = ip_address_to_in(&datagram->udp.multicast_v4.source);

	return option_store(&address, sizeof(address), value, length);
}

/* ---- In and out ---- */

bool datagram_is_group_option(const struct datagram *datagram, int level, int name)
{
	if (level == IPPROTO_IP)
		return name == IP_ADD_MEMBERSHIP || name == IP_DROP_MEMBERSHIP ||
		       name == IP_MULTICAST_IF;
	return level == IPPROTO_IPV6 && datagram->udp.is_v6 &&
	       (name == IPV6_JOIN_GROUP || name == IPV6_LEAVE_GROUP || name == IPV6_MULTICAST_IF);
}

int datagram_set_group_option(struct datagram *datagram, int level, int name, const void *value,
			      socklen_t length)
{
	if (level == IPPROTO_IP && name == IP_MULTICAST_IF)
		return set_interface_v4(datagram, value, length);
	if (level == IPPROTO_IPV6 && name == IPV6_MULTICAST_IF)
		return set_interface_v6(datagram, value, length);
	return set_membership(datagram, level, name, value, length);
}

int datagram_get_group_option(const struct datagram *datagram, int level, int name, void *value,
			      socklen_t *length)
{
	if (level == IPPROTO_IP && name == IP_MULTICAST_IF)
		return get_interface_v4(datagram, value, length);
	if (level == IPPROTO_IPV6 && name == IPV6_MULTICAST_IF)
		return option_store(&datagram->multicast_index, sizeof(datagram->multicast_index),
				    value, length);
	return -ENOPROTOOPT;
}
