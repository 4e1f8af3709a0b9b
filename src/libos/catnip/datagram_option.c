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
#define MULTICAST_HOPS_DEFAULT 1
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
OPTION_FLAG(multicast_loop_v4, UDP.multicast_v4.loop)
OPTION_FLAG(multicast_loop_v6, UDP.multicast_v6.loop)
OPTION_FLAG(receives_errors, UDP.receives_errors)
OPTION_FIELD(send_buffer, int, datagram_of(queue)->send_buffer_bytes)
OPTION_FIELD(traffic_class, uint8_t, UDP.traffic_class)
OPTION_FIELD(mtu_discover, uint8_t, UDP.mtu_discover)
OPTION_HOPS(hop_limit, UDP.hop_limit, HOP_LIMIT_DEFAULT)

/* -1 is the default; with 0 they do not leave this host. */
#define OPTION_MULTICAST_HOPS(name, place)                                     \
	static int get_##name(struct queue *queue)                             \
	{                                                                      \
		return (place);                                                \
	}                                                                      \
	static int set_##name(struct queue *queue, int value)                  \
	{                                                                      \
		(place) = value < 0 ? MULTICAST_HOPS_DEFAULT : (uint8_t)value; \
		return 0;                                                      \
	}
OPTION_MULTICAST_HOPS(multicast_hops_v4, UDP.multicast_v4.hop_limit)
OPTION_MULTICAST_HOPS(multicast_hops_v6, UDP.multicast_v6.hop_limit)

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
	if (!path_is_valid(udp->net, &udp->path, &udp->peer)) {
		udp_forget_fast(udp);
		error = path_find(udp->net, &udp->path, &udp->peer);
	}
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
	OPTION_SET(IPPROTO_IP, IP_MULTICAST_TTL, -1, 255, multicast_hops_v4),
	OPTION_SET(IPPROTO_IP, IP_MULTICAST_LOOP, INT_MIN, INT_MAX, multicast_loop_v4),
	OPTION_SET(IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_PROBE, mtu_discover),
	OPTION_SET(IPPROTO_IP, IP_RECVERR, 0, 1, receives_errors),
	OPTION_READ(IPPROTO_IP, IP_MTU, get_mtu),
	OPTION_SET(IPPROTO_IPV6, IPV6_V6ONLY, INT_MIN, INT_MAX, v6_only),
	OPTION_SET(IPPROTO_IPV6, IPV6_UNICAST_HOPS, -1, 255, hop_limit),
	OPTION_SET(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, -1, 255, multicast_hops_v6),
	OPTION_SET(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0, 1, multicast_loop_v6),
	OPTION_SET(IPPROTO_IPV6, IPV6_TCLASS, -1, 255, traffic_class_v6),
	OPTION_SET(IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT, IPV6_PMTUDISC_PROBE, mtu_discover),
	OPTION_SET(IPPROTO_IPV6, IPV6_RECVERR, 0, 1, receives_errors),
	OPTION_READ(IPPROTO_IPV6, IPV6_MTU, get_mtu),
};
/* clang-format on */

/* --- in and out --- */

int datagram_set_option(struct queue *queue, int level, int name, const void *value,
			socklen_t length)
{
	struct datagram *datagram = datagram_of(queue);
	int error;

	if (datagram_is_group_option(datagram, level, name))
		error = datagram_set_group_option(datagram, level, name, value, length);
	else if (level == SOL_SOCKET && name == SO_LINGER)
		error = option_load(&datagram->linger, sizeof(datagram->linger), value, length);
	else
		error = catnip_option_set(OPTION_TABLE(options), queue, datagram->udp.is_v6, level,
					  name, value, length);
	/* It may show in the headers that the socket has ready. */
	if (!error)
		udp_forget_fast(&datagram->udp);
	return error;
}

int datagram_get_option(struct queue *queue, int level, int name, void *value, socklen_t *length)
{
	const struct datagram *datagram = datagram_of(queue);

	if (datagram_is_group_option(datagram, level, name))
		return datagram_get_group_option(datagram, level, name, value, length);
	if (level == SOL_SOCKET && name == SO_LINGER)
		return option_store(&datagram->linger, sizeof(datagram->linger), value, length);
	return catnip_option_get(OPTION_TABLE(options), queue, datagram->udp.is_v6, level, name,
				 value, length);
}
