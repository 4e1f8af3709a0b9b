/* SPDX-License-Identifier: MIT */
/* What comes in of IPv4 (RFC 791, RFC 1122 section 3.2.1): is it for us, and whole? */
#include "wire/ipv4.h"

#include "net/group.h"
#include "net/ip.h"

#define LAYER NET_LAYER_IPV4
#define TINY_BYTES 8u /* a first fragment of so many leaves TCP's flags to the second */

/* To a group or to all of us; 0, or why not. */
static __attribute__((noinline)) unsigned int check_group(struct net *net,
							  const struct ip_address *destination)
{
	if (ip_address_is_multicast(destination))
		return group_is_member(net, destination) ? 0 : NET_DROP_NO_MEMBER;
	if (ip_address_is_broadcast(destination) || net_is_subnet_broadcast(net, destination))
		return 0;
	return NET_DROP_NOT_FOR_US;
}

/* RFC 1122, 3.2.1.3 and 3.3.6; 0, or why the packet is dropped. */
static inline unsigned int check(struct net *net, const struct ipv4_header *header,
				 const struct eth_header *eth, bool *to_group)
{
	uint32_t source = ip_address_low32(&header->source);
	unsigned int reason;

	*to_group = false;
	if (unlikely(!ip_is_ours(net, &header->destination))) {
		reason = check_group(net, &header->destination);
		if (reason)
			return reason;
		*to_group = true;
	} else if (unlikely(eth_address_is_multicast(&eth->destination))) {
		return NET_DROP_NOT_FOR_US;
	}
	if (unlikely(ip_is_ours(net, &header->source)))
		return NET_DROP_OWN_ADDRESS;
	/* A host that has none yet can tell of its groups all the same: RFC 3376, 4.2.13. */
	if (unlikely(source == 0) && header->protocol != IPPROTO_IGMP)
		return WIRE_BAD_SOURCE;
	/* A broadcast address ends in ones; few others do. */
	if ((source & 3) == 3 && net_is_subnet_broadcast(net, &header->source))
		return WIRE_BAD_SOURCE;
	return 0;
}

static __attribute__((noinline)) void fragment_rx(struct net *net, const struct ipv4_header *header,
						  const struct ip_packet *packet, struct buf *buf)
{
	const struct fragment fragment = {
		.source = header->source,
		.destination = header->destination,
		.identification = header->identification,
		.protocol = header->protocol,
		.offset_bytes = header->fragment_offset_bytes,
		.more_fragments = header->more_fragments,
	};
	struct ip_packet whole;

	/* Nobody honest cuts there: RFC 1858, 3.2.1; RFC 3128. */
	if (header->protocol == IPPROTO_TCP && header->fragment_offset_bytes == TINY_BYTES) {
		net_drop(net, buf, LAYER, WIRE_BAD_FRAGMENT);
		return;
	}
	buf = reassembly_add(net, &fragment, packet, buf, &whole);
	if (buf)
		ip_deliver(net, &whole, buf);
}

static __attribute__((noinline)) void refuse(struct net *net, struct buf *buf, unsigned int reason)
{
	net_drop(net, buf, LAYER, reason);
}

void ipv4_rx(struct net *net, const struct eth_header *eth, struct buf *buf)
{
	struct ip_packet packet;
	struct ipv4_header header;
	unsigned int reason;
	int header_bytes;

	packet.is_frame = true;
	if (unlikely(buf->next != NULL)) {
		buf = ip_linearise(net, LAYER, buf);
		if (!buf)
			return;
		packet.is_frame = false;
	}
	header_bytes = ipv4_parse(&header, buf->data, buf->length);
	if (unlikely(header_bytes < 0)) {
		net_count_rx(net, LAYER, buf->length);
		refuse(net, buf, (unsigned int)-header_bytes);
		return;
	}
	net_count_rx(net, LAYER, header.total_bytes);
	reason = check(net, &header, eth, &packet.to_group);
	if (unlikely(reason)) {
		refuse(net, buf, reason);
		return;
	}
	packet.source = header.source;
	packet.destination = header.destination;
	packet.protocol = header.protocol;
	packet.hop_limit = header.ttl;
	packet.traffic_class = header.traffic_class;
	packet.is_v6 = false;
	packet.is_local = false;
	packet.was_fragmented = false;
	packet.header = buf->data;
	packet.header_bytes = (uint32_t)header_bytes;
	packet.total_bytes = header.total_bytes;
	packet.protocol_offset = 0;
	packet.link_source = eth->source;
	/* Behind the packet is what fills short frames up. */
	buf->length = header.total_bytes;
	buf_pull(buf, (uint32_t)header_bytes);
	if (unlikely(ipv4_is_fragment(&header)))
		fragment_rx(net, &header, &packet, buf);
	else
		ip_deliver(net, &packet, buf);
}
