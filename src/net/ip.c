/* SPDX-License-Identifier: MIT */
/* Both versions of IP: up to the transport, and down to the link. */
#include "net/ip.h"

#include <errno.h>
#include <string.h>

#include "net/eth.h"
#include "net/group.h"
#include "net/icmp.h"
#include "net/neighbour.h"
#include "net/tcp/tcp.h"
#include "net/udp.h"
#include "wire/ipv4.h"

#define HOP_LIMIT 64      /* RFC 1700; RFC 4861, 6.3.2 leaves it to us */
#define HOP_LIMIT_GROUP 1 /* RFC 1112, 6.1 */
#define FEISTEL_ROUNDS 4

/* ---- In ---- */

/* Nobody here speaks it: RFC 1122, 3.2.2.1; RFC 8200, section 4; RFC 4443, 3.4. */
static __attribute__((noinline)) void
deliver_unknown(struct net *net, const struct ip_packet *packet, struct buf *buf)
{
	enum net_layer layer = packet->is_v6 ? NET_LAYER_IPV6 : NET_LAYER_IPV4;

	/* "No next header" has nothing that could be missed (RFC 8200, 4.7). */
	if (!packet->is_v6)
		icmp_tx_error(net, packet, ICMP_PROBLEM_PROTOCOL_UNREACHABLE, 0, 0, false);
	else if (packet->protocol != IPPROTO_NONE)
		icmp_tx_error(net, packet, ICMP_PROBLEM_PROTOCOL_UNREACHABLE, 0,
			      packet->protocol_offset, false);
	net_drop(net, buf, layer, NET_DROP_UNKNOWN_PROTOCOL);
}

void ip_deliver(struct net *net, const struct ip_packet *packet, struct buf *buf)
{
	if (likely(packet->protocol == IPPROTO_UDP))
		udp_rx(net, packet, buf);
	else if (packet->protocol == IPPROTO_TCP)
		tcp_rx(net, packet, buf);
	else if (packet->protocol == IPPROTO_ICMPV6 && packet->is_v6)
		icmp6_rx(net, packet, buf);
	else if (packet->protocol == IPPROTO_ICMP && !packet->is_v6)
		icmp_rx(net, packet, buf);
	else if (packet->protocol == IPPROTO_IGMP && !packet->is_v6)
		igmp_rx(net, packet, buf);
	else
		deliver_unknown(net, packet, buf);
}

/* ---- What is not received in one piece ---- */

struct buf *ip_alloc(struct net *net, uint32_t capacity)
{
	struct buf *buf = buf_alloc(net->heap, capacity);

	if (!buf)
		return NULL;
	/* A hold in place of the owner. */
	heap_hold(net->heap, buf);
	heap_free_buf(net->heap, buf);
	return buf;
}

struct buf *ip_linearise(struct net *net, enum net_layer layer, struct buf *chain)
{
	struct buf *whole = ip_alloc(net, buf_chain_length(chain));
	uint32_t flags = chain->flags;

	if (!whole) {
		net_drop(net, chain, layer, NET_DROP_NO_MEMORY);
		return NULL;
	}
	for (const struct buf *buf = chain; buf; buf = buf->next) {
		memcpy(whole->data + whole->length, buf->data, buf->length);
		whole->length += buf->length;
	}
	net_count_copy(net, whole->length);
	/* What the device has verified stays so. */
	whole->flags = flags & BUF_CHECKED;
	netdev_release_chain(net->device, chain);
	return whole;
}

/* ---- Headers ---- */

static inline bool is_v6(const struct ip_send *send)
{
	return !ip_address_is_v4(&send->path->destination);
}

uint8_t ip_hop_limit(const struct ip_send *send)
{
	if (send->hop_limit)
		return send->hop_limit;
	return send->path->to_group && !is_v6(send) ? HOP_LIMIT_GROUP : HOP_LIMIT;
}

/*
 * A counter would tell everybody how much we send to others; random numbers come twice within a
 * few hundred (RFC 7739, section 5). So a counter, permuted under the secret: a Feistel network
 * over its two halves.
 */
uint16_t ip_identification(struct net *net)
{
	uint16_t counter = net->ipv4_identification++;
	uint8_t left = (uint8_t)(counter >> 8), right = (uint8_t)counter;
	uint64_t key = net->secret[0];

	for (unsigned int round = 0; round < FEISTEL_ROUNDS; round++) {
		/* One product alone is almost linear in a byte. */
		uint64_t mixed = (key ^ right) * (net->secret[1] | 1);
		uint8_t next;

		mixed ^= mixed >> 29;
		mixed *= 0x9e3779b97f4a7c15;
		next = left ^ (uint8_t)(mixed >> 56);
		left = right;
		right = next;
		key = key >> 16 | key << 48;
	}
	return (uint16_t)(left << 8 | right);
}

static inline uint32_t header_bytes_of(const struct ip_send *send, bool v6)
{
	uint32_t bytes = v6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;

	if (unlikely(send->router_alert))
		bytes += v6 ? IPV6_ROUTER_ALERT_BYTES : IPV4_ROUTER_ALERT_BYTES;
	return bytes;
}

uint32_t ip_header_bytes(const struct ip_send *send)
{
	return header_bytes_of(send, is_v6(send));
}

static inline void emit_v4(struct net *net, const struct ip_send *send, uint8_t *room,
			   uint32_t total_bytes)
{
	struct ipv4_header header = {
		.source = send->source,
		.destination = send->path->destination,
		.total_bytes = (uint16_t)total_bytes,
		.traffic_class = send->traffic_class,
		.ttl = ip_hop_limit(send),
		.protocol = send->protocol,
		.dont_fragment = send->dont_fragment || send->atomic,
		.router_alert = send->router_alert,
	};

	/* What nobody may fragment needs none (RFC 6864, 4.1). */
	if (!header.dont_fragment)
		header.identification = ip_identification(net);
	ipv4_emit(room, IPV4_HEADER_BYTES_MAX, &header);
}

/* The flow label stays 0: the ports, which would tell flows apart, are not known here (RFC 6437). */
static inline void emit_v6(const struct ip_send *send, uint8_t *room, uint32_t header_bytes,
			   uint32_t payload_bytes)
{
	struct ipv6_header header = {
		.source = send->source,
		.destination = send->path->destination,
		.payload_bytes = (uint16_t)(header_bytes - IPV6_HEADER_BYTES + payload_bytes),
		.traffic_class = send->traffic_class,
		.next_header = send->protocol,
		.hop_limit = ip_hop_limit(send),
	};

	if (unlikely(send->router_alert)) {
		header.next_header = IPPROTO_HOPOPTS;
		ipv6_router_alert_emit(room + IPV6_HEADER_BYTES, IPV6_ROUTER_ALERT_BYTES,
				       send->protocol);
	}
	ipv6_emit(room, IPV6_HEADER_BYTES, &header);
}

static inline void emit(struct net *net, const struct ip_send *send, uint8_t *room,
			uint32_t header_bytes, uint32_t payload_bytes, bool v6)
{
	if (v6)
		emit_v6(send, room, header_bytes, payload_bytes);
	else
		emit_v4(net, send, room, header_bytes + payload_bytes);
}

void ip_emit(struct net *net, const struct ip_send *send, uint8_t *room, uint32_t payload_bytes)
{
	emit(net, send, room, ip_header_bytes(send), payload_bytes, is_v6(send));
}

/* ---- Out ---- */

static inline int tx_link(struct net *net, const struct path *path, struct buf *buf, bool v6)
{
	if (likely(path->neighbour != NULL))
		return neighbour_tx(net, path->neighbour, buf);
	eth_tx(net, buf, &path->link_destination, v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4);
	return 0;
}

int ip_tx_link(struct net *net, const struct path *path, struct buf *buf)
{
	return tx_link(net, path, buf, !ip_address_is_v4(&path->destination));
}

/* More than the length field of the header can say. */
static inline bool is_longer_than_any(bool v6, uint32_t header_bytes, uint32_t payload_bytes)
{
	uint32_t bytes = header_bytes + payload_bytes - (v6 ? IPV6_HEADER_BYTES : 0);

	return bytes > IPV4_PACKET_BYTES_MAX || payload_bytes > IPV4_PACKET_BYTES_MAX;
}

static int refuse(struct net *net, struct buf *buf, bool v6)
{
	net_drop(net, buf, v6 ? NET_LAYER_IPV6 : NET_LAYER_IPV4, NET_DROP_TOO_BIG);
	return -EMSGSIZE;
}

static int tx_local(struct net *net, const struct ip_send *send, struct buf *buf)
{
	int error = ip_tx_loopback(net, send, buf);

	netdev_release_chain(net->device, buf);
	return error;
}

int ip_tx(struct net *net, const struct ip_send *send, struct buf *buf)
{
	const struct path *path = send->path;
	bool v6 = is_v6(send);
	uint32_t header_bytes = header_bytes_of(send, v6);
	uint32_t payload_bytes = buf_chain_length(buf);
	uint8_t *room;

	if (unlikely(is_longer_than_any(v6, header_bytes, payload_bytes)))
		return refuse(net, buf, v6);
	if (unlikely(path->is_local))
		return tx_local(net, send, buf);
	if (unlikely(send->loop) && group_is_member(net, &path->destination))
		ip_tx_loopback(net, send, buf);
	if (unlikely(send->stays)) {
		netdev_release_chain(net->device, buf);
		return 0;
	}
	if (unlikely(header_bytes + payload_bytes > path->mtu)) {
		if (send->dont_fragment)
			return refuse(net, buf, v6);
		return ip_tx_fragments(net, send, buf, payload_bytes);
	}
	room = buf_prepend(buf, header_bytes);
	emit(net, send, room, header_bytes, payload_bytes, v6);
	if (buf->flags & BUF_CHECKSUM) {
		buf->transmit.network_bytes = (uint8_t)header_bytes;
		buf->transmit.link_bytes = net->link_bytes;
		buf->transmit.protocol = send->protocol;
		buf->transmit.is_v6 = v6;
	}
	net_count_tx(net, v6 ? NET_LAYER_IPV6 : NET_LAYER_IPV4, header_bytes + payload_bytes);
	return tx_link(net, path, buf, v6);
}
