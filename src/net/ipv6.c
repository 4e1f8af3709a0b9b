/* SPDX-License-Identifier: MIT */
/* What comes in of IPv6 (RFC 8200): is it for us, what stands before the transport, is it whole? */
#include "wire/ipv6.h"

#include "net/group.h"
#include "net/icmp.h"
#include "net/ip.h"
#include "wire/icmp6.h"
#include "wire/tcp.h"

#define LAYER NET_LAYER_IPV6
#define UPPER_BYTES_MIN 8u /* of UDP and ICMPv6 */

static __attribute__((noinline)) void refuse(struct net *net, struct buf *buf, unsigned int reason)
{
	net_drop(net, buf, LAYER, reason);
}

/* Who has our address too says so from it: duplicate address detection must hear that. */
static bool is_advertisement(const struct ipv6_header *header, const struct buf *buf)
{
	return header->next_header == IPPROTO_ICMPV6 && header->payload_bytes > 0 &&
	       buf->data[IPV6_HEADER_BYTES] == ICMP6_TYPE_NEIGHBOR_ADVERTISEMENT;
}

/* 0, or why the packet is dropped. */
static inline unsigned int check(struct net *net, const struct ipv6_header *header,
				 const struct eth_header *eth, const struct buf *buf,
				 bool *to_group)
{
	*to_group = eth_address_is_multicast(&eth->destination);
	if (unlikely(!ip_is_ours(net, &header->destination))) {
		if (!ip_address_is_multicast(&header->destination))
			return NET_DROP_NOT_FOR_US;
		if (!group_is_member(net, &header->destination))
			return NET_DROP_NO_MEMBER;
		*to_group = true;
	}
	if (unlikely(ip_is_ours(net, &header->source)) && !is_advertisement(header, buf))
		return NET_DROP_OWN_ADDRESS;
	return 0;
}

/* Whether the upper layer's header is whole in a first fragment of @bytes (RFC 7112, section 3). */
static bool is_chain_whole(uint8_t protocol, const uint8_t *upper, uint32_t bytes)
{
	switch (protocol) {
	case IPPROTO_UDP:
	case IPPROTO_ICMPV6:
		return bytes >= UPPER_BYTES_MIN;
	case IPPROTO_TCP:
		return bytes >= TCP_HEADER_BYTES && bytes >= (upper[12] >> 4) * 4u;
	default:
		return true;
	}
}

static void fragment_rx(struct net *net, const struct ipv6_chain *chain,
			const struct ip_packet *packet, struct buf *buf)
{
	uint32_t data_at = chain->fragment_header_offset + (uint32_t)IPV6_FRAGMENT_BYTES;
	const struct fragment fragment = {
		.source = packet->source,
		.destination = packet->destination,
		.identification = chain->fragment_identification,
		.protocol = chain->protocol,
		.is_v6 = true,
		.more_fragments = chain->more_fragments,
		.offset_bytes = chain->fragment_offset_bytes,
		.skip_bytes = (uint16_t)(chain->upper_offset - data_at),
	};
	struct ip_packet whole;

	if (!chain->fragment_offset_bytes &&
	    !is_chain_whole(chain->protocol, buf->data + chain->upper_offset,
			    buf->length - chain->upper_offset)) {
		icmp_tx_error(net, packet, ICMP_PROBLEM_PARAMETER, ICMP6_PARAMETER_INCOMPLETE_CHAIN,
			      0, false);
		refuse(net, buf, WIRE_INCOMPLETE_CHAIN);
		return;
	}
	buf_pull(buf, data_at);
	buf = reassembly_add(net, &fragment, packet, buf, &whole);
	if (buf)
		ip_deliver(net, &whole, buf);
}

/* A packet with extension headers; @buf is from the fixed header on. */
static __attribute__((noinline)) void chain_rx(struct net *net, const struct ipv6_header *header,
					       struct ip_packet *packet, struct buf *buf)
{
	struct ipv6_chain chain;
	int upper_offset = ipv6_chain_parse(&chain, header, buf->data, buf->length);

	if (upper_offset < 0) {
		if (chain.answer)
			icmp_tx_error(net, packet, ICMP_PROBLEM_PARAMETER, chain.problem_code,
				      chain.problem_pointer, chain.answer_group);
		refuse(net, buf, (unsigned int)-upper_offset);
		return;
	}
	packet->protocol = chain.protocol;
	packet->protocol_offset = chain.protocol_offset;
	packet->header_bytes = (uint32_t)upper_offset;
	packet->was_fragmented = chain.has_fragment_header;
	if (chain.is_fragment) {
		fragment_rx(net, &chain, packet, buf);
		return;
	}
	buf_pull(buf, (uint32_t)upper_offset);
	ip_deliver(net, packet, buf);
}

void ipv6_rx(struct net *net, const struct eth_header *eth, struct buf *buf)
{
	struct ip_packet packet;
	struct ipv6_header header;
	unsigned int reason;
	int header_bytes;

	packet.is_frame = true;
	if (unlikely(buf->next != NULL)) {
		buf = ip_linearise(net, LAYER, buf);
		if (!buf)
			return;
		packet.is_frame = false;
	}
	header_bytes = ipv6_parse(&header, buf->data, buf->length);
	if (unlikely(header_bytes < 0)) {
		net_count_rx(net, LAYER, buf->length);
		refuse(net, buf, (unsigned int)-header_bytes);
		return;
	}
	/* Behind the packet is what fills short frames up. */
	buf->length = (uint32_t)header_bytes + header.payload_bytes;
	net_count_rx(net, LAYER, buf->length);
	reason = check(net, &header, eth, buf, &packet.to_group);
	if (unlikely(reason)) {
		refuse(net, buf, reason);
		return;
	}
	packet.source = header.source;
	packet.destination = header.destination;
	packet.protocol = header.next_header;
	packet.hop_limit = header.hop_limit;
	packet.traffic_class = header.traffic_class;
	packet.is_v6 = true;
	packet.is_local = false;
	packet.was_fragmented = false;
	packet.header = buf->data;
	packet.header_bytes = IPV6_HEADER_BYTES;
	packet.total_bytes = buf->length;
	packet.protocol_offset = IPV6_NEXT_HEADER_OFFSET;
	packet.link_source = eth->source;
	if (unlikely(ipv6_is_extension(header.next_header))) {
		chain_rx(net, &header, &packet, buf);
		return;
	}
	buf_pull(buf, IPV6_HEADER_BYTES);
	ip_deliver(net, &packet, buf);
}
