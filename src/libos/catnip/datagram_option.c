/* SPDX-License-Identifier: MIT */
/*
 * The options of a UDP socket. What a kernel's socket understands and this stack has no use for, such
 * as SO_SNDBUF, is remembered and can be read.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>

#include "base/container.h"
#include "libos/catnip/datagram.h"
#include "libos/catnip/option.h"
#include "net/udp_fast.h"

#define HOP_LIMIT_DEFAULT 64
#define RECEIVE_BYTES_MIN 4096

static struct datagram *datagram_of(struct queue *queue)
{
	return container_of(queue, struct datagram, queue);
}

#define UDP (datagram_of(queue)->udp)
OPTION_FLAG(keep_alive, datagram_of(queue)->keep_alive)
OPTION_FLAG(reuse_address, UDP.reuse_address)
OPTION_FLAG(reuse_port, UDP.reuse_port)
OPTION_FLAG(broadcast, UDP.broadcast)
OPTION_FLAG(multicast_loop, UDP.multicast_loop)
OPTION_FIELD(send_buffer, int, datagram_of(queue)->send_buffer_bytes)
OPTION_FIELD(traffic_class, uint8_t, UDP.traffic_class)
OPTION_FIELD(mtu_discover, uint8_t, UDP.mtu_discover)
OPTION_HOPS(hop_limit, UDP.hop_limit, HOP_LIMIT_DEFAULT)
OPTION_HOPS(multicast_hop_limit, UDP.multicast_hop_limit, 1)

static int get_receive_buffer(struct queue *queue)
{
	return (int)UDP.queue_bytes_max;
}

/* What the operator allows is the most, without an error, as of a kernel's socket. */
static int set_receive_buffer(struct queue *queue, int value)
{
	uint32_t most = datagram_of(queue)->catnip->net->options.socket_bytes_max;
	uint32_t wanted = (uint32_t)(value < RECEIVE_BYTES_MIN ? RECEIVE_BYTES_MIN : value);

	UDP.queue_bytes_max = wanted < most ? wanted : most;
	return 0;
}

static int take_error(struct queue *queue)
{
	return datagram_take_error(datagram_of(queue));
}

static int get_type(struct queue *queue)
{
	(void)queue;
	return SOCK_DGRAM;
}

static int get_domain(struct queue *queue)
{
	return UDP.is_v6 ? AF_INET6 : AF_INET;
}

static int get_protocol(struct queue *queue)
{
	(void)queue;
	return IPPROTO_UDP;
}

static int get_accepts(struct queue *queue)
{
	(void)queue;
	return 0;
}

static int get_v6_only(struct queue *queue)
{
	return UDP.v6_only;
}

/* Which addresses it has is settled when it is bound. */
static int set_v6_only(struct queue *queue, int value)
{
	if (UDP.local_port)
		return -EINVAL;
	UDP.v6_only = value != 0;
	return 0;
}

/* -1 is the default, as of a number of hops (RFC 3542, section 6.5). */
static int get_traffic_class_v6(struct queue *queue)
{
	return get_traffic_class(queue);
}

static int set_traffic_class_v6(struct queue *queue, int value)
{
	return set_traffic_class(queue, value < 0 ? 0 : value);
}

static int get_mtu(struct queue *queue)
{
	struct udp_socket *udp = &UDP;
	int error = 0;

	if (!udp->peer_port)
		return -ENOTCONN;
	if (!path_is_valid(udp->net, &udp->path, &udp->peer))
		error = path_find(udp->net, &udp->path, &udp->peer);
	return error ? error : (int)udp->path.mtu;
}

/* clang-format off */
static const struct option options[] = {
	OPTION_SET(SOL_SOCKET, SO_KEEPALIVE, INT_MIN, INT_MAX, keep_alive),
	OPTION_SET(SOL_SOCKET, SO_REUSEADDR, INT_MIN, INT_MAX, reuse_address),
	OPTION_SET(SOL_SOCKET, SO_REUSEPORT, INT_MIN, INT_MAX, reuse_port),
	OPTION_SET(SOL_SOCKET, SO_BROADCAST, INT_MIN, INT_MAX, broadcast),
	OPTION_SET(SOL_SOCKET, SO_RCVBUF, 1, INT_MAX, receive_buffer),
	OPTION_SET(SOL_SOCKET, SO_SNDBUF, 1, INT_MAX, send_buffer),
	OPTION_READ(SOL_SOCKET, SO_ERROR, take_error),
	OPTION_READ(SOL_SOCKET, SO_TYPE, get_type),
	OPTION_READ(SOL_SOCKET, SO_DOMAIN, get_domain),
	OPTION_READ(SOL_SOCKET, SO_PROTOCOL, get_protocol),
	OPTION_READ(SOL_SOCKET, SO_ACCEPTCONN, get_accepts),
	OPTION_SET(IPPROTO_IP, IP_TTL, -1, 255, hop_limit),
	OPTION_SET(IPPROTO_IP, IP_TOS, 0, 255, traffic_class),
	OPTION_SET(IPPROTO_IP, IP_MULTICAST_TTL, -1, 255, multicast_hop_limit),
	OPTION_SET(IPPROTO_IP, IP_MULTICAST_LOOP, INT_MIN, INT_MAX, multicast_loop),
	OPTION_SET(IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_PROBE, mtu_discover),
	OPTION_READ(IPPROTO_IP, IP_MTU, get_mtu),
	OPTION_SET(IPPROTO_IPV6, IPV6_V6ONLY, INT_MIN, INT_MAX, v6_only),
	OPTION_SET(IPPROTO_IPV6, IPV6_UNICAST_HOPS, -1, 255, hop_limit),
	OPTION_SET(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, -1, 255, multicast_hop_limit),
	OPTION_SET(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0, 1, multicast_loop),
	OPTION_SET(IPPROTO_IPV6, IPV6_TCLASS, -1, 255, traffic_class_v6),
	OPTION_SET(IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT, IPV6_PMTUDISC_PROBE, mtu_discover),
	OPTION_READ(IPPROTO_IPV6, IPV6_MTU, get_mtu),
};
/* clang-format on */

/* --- groups --- */

/* There is one interface; a program may name it by an address of ours, or leave it open. */
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

static bool is_group_option(const struct datagram *datagram, int level, int name)
{
	if (level == IPPROTO_IP)
		return name == IP_ADD_MEMBERSHIP || name == IP_DROP_MEMBERSHIP;
	return level == IPPROTO_IPV6 && datagram->udp.is_v6 &&
	       (name == IPV6_JOIN_GROUP || name == IPV6_LEAVE_GROUP);
}

static int set_group(struct datagram *datagram, int level, int name, const void *value,
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

/* --- in and out --- */

int datagram_set_option(struct queue *queue, int level, int name, const void *value,
			socklen_t length)
{
	struct datagram *datagram = datagram_of(queue);
	int error;

	if (is_group_option(datagram, level, name))
		return set_group(datagram, level, name, value, length);
	if (level == SOL_SOCKET && name == SO_LINGER)
		return option_load(&datagram->linger, sizeof(datagram->linger), value, length);
	error = catnip_option_set(OPTION_TABLE(options), queue, datagram->udp.is_v6, level, name,
				  value, length);
	/* It may show in the headers that the socket has ready. */
	if (!error)
		udp_forget_fast(&datagram->udp);
	return error;
}

int datagram_get_option(struct queue *queue, int level, int name, void *value, socklen_t *length)
{
	const struct datagram *datagram = datagram_of(queue);

	if (level == SOL_SOCKET && name == SO_LINGER)
		return option_store(&datagram->linger, sizeof(datagram->linger), value, length);
	return catnip_option_get(OPTION_TABLE(options), queue, datagram->udp.is_v6, level, name,
				 value, length);
}
