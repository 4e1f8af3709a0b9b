/* SPDX-License-Identifier: MIT */
/*
 * The options of a UDP socket, by one table. What a kernel's socket understands and this stack has no
 * use for, such as SO_SNDBUF, is remembered and can be read.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>

#include "base/container.h"
#include "libos/catnip/datagram.h"
#include "net/udp_fast.h"

#define HOP_LIMIT_DEFAULT 64
#define RECEIVE_BYTES_MIN 4096

enum direction { READ_ONLY, WRITABLE };

struct option {
	int level;
	int name;
	enum direction direction;
	int minimum, maximum;
	/* The value, or -errno where it can fail. */
	int (*get)(struct datagram *datagram);
	/* @value is within the limits. NULL with READ_ONLY. */
	int (*set)(struct datagram *datagram, int value);
};

/* A field that is the value. */
#define FIELD(name, type, field)                                    \
	static int get_##name(struct datagram *datagram)            \
	{                                                           \
		return (int)datagram->field;                        \
	}                                                           \
	static int set_##name(struct datagram *datagram, int value) \
	{                                                           \
		datagram->field = (type)value;                      \
		return 0;                                           \
	}
/* Likewise, but any value that is not 0 is as good as 1. */
#define FLAG(name, field)                                           \
	static int get_##name(struct datagram *datagram)            \
	{                                                           \
		return datagram->field;                             \
	}                                                           \
	static int set_##name(struct datagram *datagram, int value) \
	{                                                           \
		datagram->field = value != 0;                       \
		return 0;                                           \
	}
/* A number of hops; the field has 0 for the default, and the program -1. */
#define HOPS(name, field, initial)                                    \
	static int get_##name(struct datagram *datagram)              \
	{                                                             \
		return datagram->field ? datagram->field : (initial); \
	}                                                             \
	static int set_##name(struct datagram *datagram, int value)   \
	{                                                             \
		if (value == 0)                                       \
			return -EINVAL;                               \
		datagram->field = value < 0 ? 0 : (uint8_t)value;     \
		return 0;                                             \
	}

FLAG(keep_alive, keep_alive)
FLAG(reuse_address, udp.reuse_address)
FLAG(reuse_port, udp.reuse_port)
FLAG(broadcast, udp.broadcast)
FLAG(multicast_loop, udp.multicast_loop)
FIELD(send_buffer, int, send_buffer_bytes)
FIELD(traffic_class, uint8_t, udp.traffic_class)
FIELD(mtu_discover, uint8_t, udp.mtu_discover)
HOPS(hop_limit, udp.hop_limit, HOP_LIMIT_DEFAULT)
HOPS(multicast_hop_limit, udp.multicast_hop_limit, 1)

static int get_receive_buffer(struct datagram *datagram)
{
	return (int)datagram->udp.queue_bytes_max;
}

/* What the operator allows is the most, without an error, as of a kernel's socket. */
static int set_receive_buffer(struct datagram *datagram, int value)
{
	uint32_t most = datagram->catnip->net->options.socket_bytes_max;
	uint32_t wanted = (uint32_t)(value < RECEIVE_BYTES_MIN ? RECEIVE_BYTES_MIN : value);

	datagram->udp.queue_bytes_max = wanted < most ? wanted : most;
	return 0;
}

static int get_type(struct datagram *datagram)
{
	(void)datagram;
	return SOCK_DGRAM;
}

static int get_domain(struct datagram *datagram)
{
	return datagram->udp.is_v6 ? AF_INET6 : AF_INET;
}

static int get_protocol(struct datagram *datagram)
{
	(void)datagram;
	return IPPROTO_UDP;
}

static int get_accepts(struct datagram *datagram)
{
	(void)datagram;
	return 0;
}

static int get_v6_only(struct datagram *datagram)
{
	return datagram->udp.v6_only;
}

/* Which addresses it has is settled when it is bound. */
static int set_v6_only(struct datagram *datagram, int value)
{
	if (datagram->udp.local_port)
		return -EINVAL;
	datagram->udp.v6_only = value != 0;
	return 0;
}

/* -1 is the default, as of a number of hops (RFC 3542, section 6.5). */
static int get_traffic_class_v6(struct datagram *datagram)
{
	return get_traffic_class(datagram);
}

static int set_traffic_class_v6(struct datagram *datagram, int value)
{
	return set_traffic_class(datagram, value < 0 ? 0 : value);
}

static int get_mtu(struct datagram *datagram)
{
	struct udp_socket *udp = &datagram->udp;
	int error = 0;

	if (!udp->peer_port)
		return -ENOTCONN;
	if (!path_is_valid(udp->net, &udp->path, &udp->peer))
		error = path_find(udp->net, &udp->path, &udp->peer);
	return error ? error : (int)udp->path.mtu;
}

/* clang-format off */
#define SET(level, name, minimum, maximum, value) \
	{level, name, WRITABLE, minimum, maximum, get_##value, set_##value}
#define READ(level, name, get) {level, name, READ_ONLY, 0, 0, get, NULL}

static const struct option options[] = {
	SET(SOL_SOCKET, SO_KEEPALIVE, INT_MIN, INT_MAX, keep_alive),
	SET(SOL_SOCKET, SO_REUSEADDR, INT_MIN, INT_MAX, reuse_address),
	SET(SOL_SOCKET, SO_REUSEPORT, INT_MIN, INT_MAX, reuse_port),
	SET(SOL_SOCKET, SO_BROADCAST, INT_MIN, INT_MAX, broadcast),
	SET(SOL_SOCKET, SO_RCVBUF, 1, INT_MAX, receive_buffer),
	SET(SOL_SOCKET, SO_SNDBUF, 1, INT_MAX, send_buffer),
	READ(SOL_SOCKET, SO_ERROR, datagram_take_error),
	READ(SOL_SOCKET, SO_TYPE, get_type),
	READ(SOL_SOCKET, SO_DOMAIN, get_domain),
	READ(SOL_SOCKET, SO_PROTOCOL, get_protocol),
	READ(SOL_SOCKET, SO_ACCEPTCONN, get_accepts),
	SET(IPPROTO_IP, IP_TTL, -1, 255, hop_limit),
	SET(IPPROTO_IP, IP_TOS, 0, 255, traffic_class),
	SET(IPPROTO_IP, IP_MULTICAST_TTL, -1, 255, multicast_hop_limit),
	SET(IPPROTO_IP, IP_MULTICAST_LOOP, INT_MIN, INT_MAX, multicast_loop),
	SET(IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_PROBE, mtu_discover),
	READ(IPPROTO_IP, IP_MTU, get_mtu),
	SET(IPPROTO_IPV6, IPV6_V6ONLY, INT_MIN, INT_MAX, v6_only),
	SET(IPPROTO_IPV6, IPV6_UNICAST_HOPS, -1, 255, hop_limit),
	SET(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, -1, 255, multicast_hop_limit),
	SET(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0, 1, multicast_loop),
	SET(IPPROTO_IPV6, IPV6_TCLASS, -1, 255, traffic_class_v6),
	SET(IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT, IPV6_PMTUDISC_PROBE, mtu_discover),
	READ(IPPROTO_IPV6, IPV6_MTU, get_mtu),
};
/* clang-format on */

static bool level_is_known(int level)
{
	return level == SOL_SOCKET || level == IPPROTO_IP || level == IPPROTO_IPV6 ||
	       level == IPPROTO_TCP || level == IPPROTO_UDP;
}

static const struct option *option_find(const struct datagram *datagram, int level, int name)
{
	if (level == IPPROTO_IPV6 && !datagram->udp.is_v6)
		return NULL;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].level == level && options[i].name == name)
			return &options[i];
	return NULL;
}

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

/* Where a byte has been enough for ever, it is (ip(7), IP_MULTICAST_TTL). */
static int value_load(int level, const void *value, socklen_t length, int *number)
{
	if (length > INT_MAX)
		return -EINVAL;
	if (length >= sizeof(*number)) {
		memcpy(number, value, sizeof(*number));
		return 0;
	}
	if (level != IPPROTO_IP || length < 1)
		return -EINVAL;
	*number = *(const unsigned char *)value;
	return 0;
}

int datagram_set_option(struct queue *queue, int level, int name, const void *value,
			socklen_t length)
{
	struct datagram *datagram = container_of(queue, struct datagram, queue);
	const struct option *option;
	int number;

	if (!level_is_known(level))
		return -ENOTSUP;
	if (is_group_option(datagram, level, name))
		return set_group(datagram, level, name, value, length);
	if (level == SOL_SOCKET && name == SO_LINGER) {
		if (length < sizeof(datagram->linger) || length > INT_MAX)
			return -EINVAL;
		memcpy(&datagram->linger, value, sizeof(datagram->linger));
		return 0;
	}
	option = option_find(datagram, level, name);
	if (!option || option->direction == READ_ONLY)
		return -ENOPROTOOPT;
	if (value_load(level, value, length, &number) < 0 || number < option->minimum ||
	    number > option->maximum)
		return -EINVAL;
	/* It may show in the headers that the socket has ready. */
	udp_forget_fast(&datagram->udp);
	return option->set(datagram, number);
}

int datagram_get_option(struct queue *queue, int level, int name, void *value, socklen_t *length)
{
	struct datagram *datagram = container_of(queue, struct datagram, queue);
	const struct option *option = option_find(datagram, level, name);
	bool is_linger = level == SOL_SOCKET && name == SO_LINGER;
	socklen_t size = is_linger ? sizeof(datagram->linger) : sizeof(int);
	int number;

	if (!level_is_known(level))
		return -ENOTSUP;
	if (!option && !is_linger)
		return -ENOPROTOOPT;
	if (*length < size || *length > INT_MAX)
		return -EINVAL;
	if (is_linger) {
		memcpy(value, &datagram->linger, size);
	} else {
		number = option->get(datagram);
		if (number < 0)
			return number;
		memcpy(value, &number, size);
	}
	*length = size;
	return 0;
}
