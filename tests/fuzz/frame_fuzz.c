/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for whole frames, on the way that a stack takes them: Ethernet, IP, what is in
 * it. Checksums are mended on the way.
 */
#include "wire_fuzz.h"

#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/icmp.h"
#include "wire/icmp6.h"
#include "wire/igmp.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/mld.h"
#include "wire/ndp.h"
#include "wire/quoted.h"
#include "wire/tcp.h"
#include "wire/udp.h"

/* What the header below IP's upper layer says of it. */
struct below {
	const struct ip_address *source;
	const struct ip_address *destination;
	uint8_t hops;
};

static uint64_t pseudo(const struct below *below, uint8_t protocol, size_t length)
{
	return checksum_pseudo(below->source, below->destination, protocol, (uint32_t)length);
}

static void udp(const struct below *below, const uint8_t *data, size_t length)
{
	struct udp_header header;

	if (checked(udp_parse(&header, data, length, !ip_address_is_v4(below->source)), length) < 0)
		return;
	must(header.total_bytes >= UDP_HEADER_BYTES && header.total_bytes <= length);
	checked(udp_verify(&header, below->source, below->destination, data), 0);
}

static void tcp(const struct below *below, uint8_t *data, size_t length)
{
	struct tcp_header header;
	struct tcp_options options;

	mend(data, length, TCP_CHECKSUM_OFFSET, pseudo(below, IPPROTO_TCP, length));
	if (checked(tcp_parse(&header, data, length), length) < 0)
		return;
	must(tcp_verify(below->source, below->destination, data, length) == 0);
	checked(tcp_options_parse(&options, &header, data), 0);
}

static void icmp(uint8_t *data, size_t length)
{
	struct quoted_packet quoted;
	struct icmp_message message;
	int at;

	mend(data, length, 2, 0);
	at = checked(icmp_parse(&message, data, length), length);
	if (at > 0 && icmp_is_error(&message))
		checked(quoted_parse_v4(&quoted, data + at, length - (size_t)at), length);
}

static void igmp(uint8_t *data, size_t length)
{
	struct igmp_query query;

	mend(data, length, 2, 0);
	if (checked(igmp_query_parse(&query, data, length), length) > 0)
		must(query.version >= 1 && query.version <= 3);
}

static void icmp6(const struct below *below, uint8_t *data, size_t length)
{
	struct quoted_packet quoted;
	struct icmp6_message message;
	struct ndp_message neighbor;
	struct mld_query query;
	int at;

	mend(data, length, 2, pseudo(below, IPPROTO_ICMPV6, length));
	at = checked(icmp6_parse(&message, below->source, below->destination, data, length),
		     length);
	if (at < 0)
		return;
	if (icmp6_is_ndp(&message))
		checked(ndp_parse(&neighbor, below->source, below->destination, below->hops, data,
				  length),
			length);
	else if (message.type == ICMP6_TYPE_LISTENER_QUERY)
		checked(mld_query_parse(&query, below->source, below->hops, data, length), length);
	else if (icmp6_is_error(&message))
		checked(quoted_parse_v6(&quoted, data + at, length - (size_t)at), length);
}

static void upper(const struct below *below, uint8_t protocol, uint8_t *data, size_t length)
{
	if (protocol == IPPROTO_UDP)
		udp(below, data, length);
	else if (protocol == IPPROTO_TCP)
		tcp(below, data, length);
	else if (protocol == IPPROTO_ICMP && ip_address_is_v4(below->source))
		icmp(data, length);
	else if (protocol == IPPROTO_IGMP && ip_address_is_v4(below->source))
		igmp(data, length);
	else if (protocol == IPPROTO_ICMPV6 && !ip_address_is_v4(below->source))
		icmp6(below, data, length);
}

static void ipv4(uint8_t *data, size_t length)
{
	struct ipv4_header header;
	struct below below = {&header.source, &header.destination, 0};
	size_t header_bytes = length ? (data[0] & 0xf) * 4u : 0;
	int at;

	if (header_bytes <= length)
		mend(data, header_bytes, IPV4_CHECKSUM_OFFSET, 0);
	at = checked(ipv4_parse(&header, data, length), length);
	if (at > 0 && !ipv4_is_fragment(&header))
		upper(&below, header.protocol, data + at, header.total_bytes - (size_t)at);
}

static void ipv6(uint8_t *data, size_t length)
{
	struct ipv6_header header;
	struct ipv6_chain chain;
	struct below below = {&header.source, &header.destination, 0};
	size_t end;
	int at;

	if (checked(ipv6_parse(&header, data, length), length) < 0)
		return;
	below.hops = header.hop_limit;
	end = IPV6_HEADER_BYTES + (size_t)header.payload_bytes;
	at = checked(ipv6_chain_parse(&chain, &header, data, length), end);
	if (at > 0 && !chain.is_fragment)
		upper(&below, chain.protocol, data + at, end - (size_t)at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = copy_of(data, size), again[ETH_HEADER_BYTES_MAX];
	struct eth_header header;
	struct arp_packet packet;
	int at = checked(eth_parse(&header, copy, size), size);

	if (at > 0) {
		must(eth_emit(again, sizeof(again), &header) == at);
		must(!memcmp(again, data, (size_t)at));
		if (header.type == ETH_TYPE_ARP)
			checked(arp_parse(&packet, copy + at, size - (size_t)at), size);
		else if (header.type == ETH_TYPE_IPV4)
			ipv4(copy + at, size - (size_t)at);
		else if (header.type == ETH_TYPE_IPV6)
			ipv6(copy + at, size - (size_t)at);
	}
	free(copy);
	return 0;
}
