/* SPDX-License-Identifier: MIT */
/*
 * The options of a datagram socket. What a kernel's socket understands and RDMA has no use for, such
 * as SO_SNDBUF, is remembered and can be read. There are no groups here, and no broadcasts.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>

#include "libos/catmint/datagram.h"
#include "libos/catnip/option.h"

#define BUFFER_BYTES 212992 /* what Linux says by default */
#define RECEIVE_BYTES_MIN 4096
#define RECEIVE_BYTES_MAX (64 << 20)
#define HOP_LIMIT_DEFAULT 64
#define UDP_HEADERS_V4 28
#define UDP_HEADERS_V6 48

#define SOCKET dgram_socket_of(queue)
OPTION_FLAG(keep_alive, SOCKET->options.keep_alive)
OPTION_FLAG(reuse_port, SOCKET->options.reuse_port)
OPTION_FLAG(reuse_address, SOCKET->reuse_address)
OPTION_FLAG(broadcast, SOCKET->broadcast)
OPTION_FIELD(send_buffer, int, SOCKET->options.send_buffer_bytes)
OPTION_FIELD(mtu_discover, int, SOCKET->options.mtu_discover)
OPTION_FIELD(traffic_class, int, SOCKET->options.traffic_class)
OPTION_HOPS(hop_limit, SOCKET->options.hop_limit, HOP_LIMIT_DEFAULT)

void dgram_option_init(struct dgram_socket *socket)
{
	socket->options.send_buffer_bytes = BUFFER_BYTES;
	socket->options.mtu_discover = IP_PMTUDISC_WANT;
	socket->arrived_bytes_max = BUFFER_BYTES;
}

static int get_receive_buffer(struct queue *queue)
{
	return (int)SOCKET->arrived_bytes_max;
}

/* Out of bounds is no error, as of a kernel's socket. */
static int set_receive_buffer(struct queue *queue, int value)
{
	int wanted = value < RECEIVE_BYTES_MIN ? RECEIVE_BYTES_MIN : value;

	SOCKET->arrived_bytes_max = (uint32_t)(wanted < RECEIVE_BYTES_MAX ? wanted
									  : RECEIVE_BYTES_MAX);
	return 0;
}

static int take_error(struct queue *queue)
{
	return dgram_take_error(SOCKET);
}

static int get_type(struct queue *queue)
{
	(void)queue;
	return SOCK_DGRAM;
}

static int get_domain(struct queue *queue)
{
	return SOCKET->is_v6 ? AF_INET6 : AF_INET;
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
	return SOCKET->v6_only;
}

/* Which addresses it has is settled when it is bound. */
static int set_v6_only(struct queue *queue, int value)
{
	if (SOCKET->port)
		return -EINVAL;
	SOCKET->v6_only = value != 0;
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

/* So that what programs make of it, less the headers of UDP and IP, goes in one packet. */
static int get_mtu(struct queue *queue)
{
	const struct dgram_socket *socket = SOCKET;
	uint32_t payload = socket->dgrams->takes - MESSAGE_DATAGRAM_BYTES;

	if (!socket->peer_port)
		return -ENOTCONN;
	return (int)payload + (ip_address_is_v4(&socket->peer) ? UDP_HEADERS_V4 : UDP_HEADERS_V6);
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
	OPTION_SET(IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_PROBE, mtu_discover),
	OPTION_READ(IPPROTO_IP, IP_MTU, get_mtu),
	OPTION_SET(IPPROTO_IPV6, IPV6_V6ONLY, INT_MIN, INT_MAX, v6_only),
	OPTION_SET(IPPROTO_IPV6, IPV6_UNICAST_HOPS, -1, 255, hop_limit),
	OPTION_SET(IPPROTO_IPV6, IPV6_TCLASS, -1, 255, traffic_class_v6),
	OPTION_SET(IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT, IPV6_PMTUDISC_PROBE, mtu_discover),
	OPTION_READ(IPPROTO_IPV6, IPV6_MTU, get_mtu),
};
/* clang-format on */

/* Understood, and not served: rather than as if there were no such option. */
static bool is_group_option(const struct dgram_socket *socket, int level, int name)
{
	if (level == IPPROTO_IP)
		return name == IP_ADD_MEMBERSHIP || name == IP_DROP_MEMBERSHIP ||
		       name == IP_MULTICAST_IF || name == IP_MULTICAST_TTL ||
		       name == IP_MULTICAST_LOOP;
	return level == IPPROTO_IPV6 && socket->is_v6 &&
	       (name == IPV6_JOIN_GROUP || name == IPV6_LEAVE_GROUP || name == IPV6_MULTICAST_IF ||
		name == IPV6_MULTICAST_HOPS || name == IPV6_MULTICAST_LOOP);
}

int dgram_set_option(struct queue *queue, int level, int name, const void *value, socklen_t length)
{
	struct linger *linger = &SOCKET->options.linger;

	if (is_group_option(SOCKET, level, name))
		return -EOPNOTSUPP;
	if (level == SOL_SOCKET && name == SO_LINGER)
		return option_load(linger, sizeof(*linger), value, length);
	return catnip_option_set(OPTION_TABLE(options), queue, SOCKET->is_v6, level, name, value,
				 length);
}

int dgram_get_option(struct queue *queue, int level, int name, void *value, socklen_t *length)
{
	const struct linger *linger = &SOCKET->options.linger;

	if (is_group_option(SOCKET, level, name))
		return -EOPNOTSUPP;
	if (level == SOL_SOCKET && name == SO_LINGER)
		return option_store(linger, sizeof(*linger), value, length);
	return catnip_option_get(OPTION_TABLE(options), queue, SOCKET->is_v6, level, name, value,
				 length);
}
