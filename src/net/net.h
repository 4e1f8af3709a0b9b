/* SPDX-License-Identifier: MIT */
/*
 * A network stack over one device: its addresses, tables, counters, and what it sends. Everything
 * in it belongs to one runtime. Time comes with net_poll, randomness from the seed, so that a run
 * on a simulated device can be repeated.
 *
 * In: net_poll -> eth_rx -> arp_rx, ipv4_rx, ipv6_rx -> ip_deliver -> icmp_rx, icmp6_rx, udp_rx.
 * Out: udp_tx -> ip_tx -> neighbour_tx -> eth_tx -> net_flush.
 */
#ifndef DEMI_NET_NET_H
#define DEMI_NET_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "net/counters.h"
#include "netdev/netdev.h"
#include "sched/sched.h"
#include "wire/address.h"
#include "wire/eth.h"

/* Limits that are not in the configuration. */
#define NET_CONFIGURED_MAX 16u /* addresses in the configuration, of both versions */
/* With the link-local one and those of autoconfiguration; without loopback. */
#define NET_ADDRESSES_MAX 32u
#define NET_ROUTES_MAX 64u
#define NET_PATHS_LOG2 10
#define NET_PATHS (1u << NET_PATHS_LOG2) /* that are kept */
#define NET_STUCK_NS UINT64_C(10000000)
#define NET_LOOPBACK_MAX 256u /* packets to ourselves under way */

struct capture;
struct neighbour_table;
struct reassembly;
struct group_table;
struct icmp_state;
struct udp_table;
struct autoconf;
struct pmtu_table;
struct tcp_table;
struct tcp_congestion_ops;

/** An address of ours. */
struct net_address {
	struct ip_address ip;
	uint8_t prefix_bits;     /* of an IPv4 address as such: 24, not 120 */
	bool is_static;          /* from the configuration, and not from a router */
	bool is_deprecated;      /* RFC 4862, 5.5.4: for what is there, not for new sockets */
	uint64_t valid_until_ns; /* UINT64_MAX: for ever */
	uint64_t preferred_until_ns;
};

/** Where packets to a prefix go. */
struct net_route {
	struct ip_address prefix;
	struct ip_address gateway; /* unspecified: the prefix is on the link */
	uint8_t prefix_bits;       /* of 128: those of IPv4 are 96 more */
	bool is_static;
	uint64_t valid_until_ns;
};

/** What is configured of TCP; tcp_defaults (net/tcp/tcp.h) fills it. */
struct net_tcp_options {
	uint32_t connections_max; /* sockets of any state, those in TIME_WAIT included */
	uint32_t syn_backlog_max; /* half-open connections of one listener; SYN cookies beyond */
	uint32_t time_waits_max;  /* beyond that the oldest ends early */
	uint32_t time_wait_ms;    /* 2 MSL: RFC 9293, 3.4.2 */
	uint32_t buffer;          /* bytes of receive window at first */
	uint32_t max_buffer;      /* that it grows to, at most */
	uint32_t
		send_pieces_max; /* segments of arrays that wait for acknowledgment, a connection */
	uint32_t out_of_order_max;   /* segments that wait for one before them, a connection */
	uint32_t rto_min_ms;         /* RFC 6298, (2.4) */
	uint32_t rto_max_ms;         /* (2.5) */
	uint32_t delayed_ack_ms;     /* RFC 9293, 3.8.6.3: below 500 */
	uint32_t connect_timeout_ms; /* RFC 9293, 3.8.3 (e): R2 of a SYN */
	uint32_t retries_timeout_ms; /* (d): R2; a connection's own user timeout goes before */
	uint32_t orphan_timeout_ms;  /* closed by us, and the peer does not close */
	bool timestamps;             /* RFC 7323; also whether they are accepted */
	bool window_scaling;
	bool sack;
	bool ecn; /* ask for it too; it is granted to who asks */
	const struct tcp_congestion_ops *congestion;
};

/** What is configured; everything is copied. */
struct net_options {
	struct netdev *device; /* stays the caller's, and is closed after net_destroy */
	struct heap *heap;
	struct sched *sched;
	uint64_t now_ns;
	uint64_t seed[2]; /* the secret behind ports, identifications and hashes */
	const struct net_address *addresses;
	unsigned int address_count;
	const struct ip_address *gateways; /* at most one of each version */
	unsigned int gateway_count;
	const struct net_route *routes;
	unsigned int route_count;
	uint16_t vlan;     /* 0: untagged */
	bool autoconf;     /* IPv6 addresses and routes from routers (SLAAC) */
	uint32_t mtu;      /* 0: the device's */
	uint32_t copy_max; /* payload up to so many bytes is copied behind its header */
	uint32_t neighbours_max;
	uint32_t neighbour_pending_max; /* packets that wait for one neighbour */
	uint32_t reassembly_bytes_max;
	uint32_t icmp_rate; /* messages a second that we send on account of others' packets */
	uint32_t socket_bytes_max;  /* received and not yet popped, of one socket */
	struct capture *capture;    /* NULL: nothing is captured; stays the caller's */
	struct net_tcp_options tcp; /* connections_max 0: all are the defaults */
};

/**
 * struct path - the way to one destination, as it was found last: for sockets, so that a packet
 * costs a comparison. Valid while generation is the stack's.
 */
struct path {
	struct ip_address destination;
	struct ip_address source; /* to send from, when the socket does not say */
	struct ip_address next_hop;
	uint32_t generation; /* of the stack when it was found; 0: never */
	uint32_t mtu;        /* of an IP packet */
	bool is_local;       /* to ourselves: loopback, or an address of ours */
	bool to_group;       /* multicast or broadcast: link_destination is set, no neighbour */
	struct eth_address link_destination;
	struct neighbour *neighbour; /* NULL: is_local or to_group */
};

struct net {
	struct netdev *device;
	struct heap *heap;
	struct sched *sched;
	uint64_t now_ns; /* of the current poll round */

	struct eth_address mac;
	/* What udp_rx_fast compares with: our Ethernet address, 48 bits, and our IPv4 address; it is 0
	 * when there are several or none, or frames must have tags. */
	uint64_t foretold_link;
	uint32_t foretold_ip;
	uint16_t vlan;
	uint8_t link_bytes; /* of the Ethernet header that we send, 14 or 18 */
	uint32_t mtu;       /* of an IPv4 packet on the link: the link's own */
	uint32_t mtu_v6;    /* of an IPv6 packet: a router may say less (RFC 4861, 6.3.4) */
	uint32_t copy_max;
	uint32_t generation; /* changes with every address, route, neighbour and path MTU */

	uint64_t secret[2];
	uint64_t random_count; /* net_random: how many there were */
	uint16_t ipv4_identification;

	/* Frames that wait for net_flush. */
	uint32_t tx_count;
	uint32_t tx_captured; /* of these, from the first on */
	uint64_t tx_stuck_ns; /* since when the device has taken none; 0: it has */
	int failure;          /* net_fail's -errno; 0: there was none */
	struct buf *tx[NETDEV_BURST_MAX];

	/* Packets to ourselves; see ip_tx. */
	uint32_t loopback_head;
	uint32_t loopback_count;
	struct loopback_packet *loopback;

	struct net_address addresses[NET_ADDRESSES_MAX];
	uint32_t address_count;
	struct net_route routes[NET_ROUTES_MAX]; /* longest prefix first */
	uint32_t route_count;

	struct neighbour_table *neighbours;
	struct pmtu_table *pmtu;
	struct reassembly *reassembly;
	struct group_table *groups;
	struct icmp_state *icmp;
	struct udp_table *udp;
	struct tcp_table *tcp;
	struct autoconf *autoconf;
	struct capture *capture;

	/* The frame at hand has come to all who share the device, and another one answers it. */
	bool overhears;

	/* Why the frame at hand is dropped, for the capture; reset for each. */
	uint16_t drop_reason;
	uint8_t drop_layer;

	struct net_options options; /* without the arrays */
	struct net_counters counters;
	struct path paths[NET_PATHS]; /* found lately, each where its destination's hash says */
};

/**
 * net_create - a stack over @options->device; it announces its addresses
 *
 * Return: 0; -EINVAL (an address that no host can have, two of the same, a gateway that is on no
 * prefix of ours, too many of anything), -ENOMEM, each having been logged.
 */
int net_create(struct net **net_out, const struct net_options *options);

/**
 * net_configure - addresses, autoconfiguration, gateways and routes: of net_create (configure.c)
 *
 * A gateway is on a prefix of ours, or any host if net.ip has an address of its version whose prefix
 * is that address alone (/32, /128): then a route says that it is on the link.
 * Return: 0; -EINVAL or -ENOMEM, having been logged.
 */
int net_configure(struct net *net, const struct net_options *options);

/** net_destroy - leave the groups, drop everything; the sockets have been closed */
void net_destroy(struct net *net);

/**
 * net_poll - send what waits, then receive a burst and take every frame as far as it goes
 *
 * Return: frames and local packets received.
 */
unsigned int net_poll(struct net *net, uint64_t now_ns);

/**
 * net_flush - hand the frames that wait to the device
 *
 * What it does not take waits on, until it has taken nothing for NET_STUCK_NS; then it is dropped.
 */
void net_flush(struct net *net);

/**
 * net_fail - the device is gone for good: every socket fails with @error, now and later
 * @error: -errno, netdev.failure
 *
 * Connections end, paths are found no more.
 */
void net_fail(struct net *net, int error);

/** net_random - 64 bits that nobody outside can guess from others he has seen */
uint64_t net_random(struct net *net);

/** net_hash - SipHash-2-4 of @length bytes under the secret, for tables that others fill */
uint64_t net_hash(const struct net *net, const void *data, size_t length);

/** net_count_drop - count a drop; frees nothing. @reason: net_drop, or a parser's error, negated */
static inline void net_count_drop(struct net *net, enum net_layer layer, unsigned int reason)
{
	net->counters.layers[layer].drops[reason]++;
	net->drop_reason = (uint16_t)reason;
	net->drop_layer = (uint8_t)layer;
}

/** net_drop - count, and release a frame */
static inline void net_drop(struct net *net, struct buf *buf, enum net_layer layer,
			    unsigned int reason)
{
	net_count_drop(net, layer, reason);
	netdev_release_chain(net->device, buf);
}

static inline void net_count_rx(struct net *net, enum net_layer layer, uint64_t bytes)
{
	net->counters.layers[layer].rx_packets++;
	net->counters.layers[layer].rx_bytes += bytes;
}

static inline void net_count_tx(struct net *net, enum net_layer layer, uint64_t bytes)
{
	net->counters.layers[layer].tx_packets++;
	net->counters.layers[layer].tx_bytes += bytes;
}

/** net_count_tx_run - @packets of @bytes each */
static inline void net_count_tx_run(struct net *net, enum net_layer layer, uint32_t packets,
				    uint64_t bytes)
{
	net->counters.layers[layer].tx_packets += packets;
	net->counters.layers[layer].tx_bytes += packets * bytes;
}

/** net_mtu - of a packet on the link to an address of @ip's version, bytes */
static inline uint32_t net_mtu(const struct net *net, const struct ip_address *ip)
{
	return ip_address_is_v4(ip) ? net->mtu : net->mtu_v6;
}

/** net_count_copy - payload was copied; counted where it is more than the configuration wants copied */
static inline void net_count_copy(struct net *net, uint32_t bytes)
{
	if (unlikely(bytes > net->options.copy_max))
		net->counters.copied_bytes += bytes;
}

/* ---- addresses (address.c) ---- */

/** net_has_address - our address that is @ip; NULL: it is not ours. Loopback is not looked for */
const struct net_address *net_has_address(const struct net *net, const struct ip_address *ip);

/**
 * net_add_address, net_remove_address - change what is ours; joins and leaves its groups, tells
 * the device, adds and removes the route of its prefix
 *
 * Return: 0, -EEXIST, -ENOSPC, -EINVAL; -ENOENT.
 */
int net_add_address(struct net *net, const struct net_address *address);
int net_remove_address(struct net *net, const struct ip_address *ip);

/**
 * net_source_address - the address of ours to send from to @destination (RFC 6724, section 5: same
 * scope, not deprecated, longest common prefix)
 *
 * Return: 0; -EADDRNOTAVAIL when we have none of its version.
 */
int net_source_address(const struct net *net, const struct ip_address *destination,
		       struct ip_address *source_out);

/** net_can_be_host - unicast, and neither end of an IPv4 prefix of ours that has a broadcast address */
bool net_can_be_host(const struct net *net, const struct ip_address *ip);

/** net_is_subnet_broadcast - the last address of an IPv4 prefix of ours (RFC 1122, 3.2.1.3) */
bool net_is_subnet_broadcast(const struct net *net, const struct ip_address *ip);

/* ---- routes (route.c) ---- */

/** net_prefix_has - whether the first @bits of the 16 bytes are equal; 0 to 128 */
bool net_prefix_has(const struct ip_address *prefix, unsigned int bits,
		    const struct ip_address *ip);

/** net_add_route, net_remove_route - by prefix; -EEXIST, -ENOSPC; -ENOENT */
int net_add_route(struct net *net, const struct net_route *route);
int net_remove_route(struct net *net, const struct ip_address *prefix, uint8_t prefix_bits);

/**
 * net_next_hop - where a packet to @destination goes first: a gateway or itself
 *
 * Return: 0; -ENETUNREACH.
 */
int net_next_hop(const struct net *net, const struct ip_address *destination,
		 struct ip_address *next_hop_out);

/**
 * path_find - fill @path for a destination
 *
 * What was found lately is kept, so that who sends to many by turns need not look for each again.
 *
 * Return: 0; -ENETUNREACH, -EADDRNOTAVAIL (no source), -ENOBUFS (no room for another neighbour),
 * net->failure.
 */
int path_find(struct net *net, struct path *path, const struct ip_address *destination);

static inline bool path_is_valid(const struct net *net, const struct path *path,
				 const struct ip_address *destination)
{
	return path->generation == net->generation &&
	       ip_address_equal(&path->destination, destination);
}

#endif /* DEMI_NET_NET_H */
