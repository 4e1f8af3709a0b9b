/* SPDX-License-Identifier: MIT */
#include "wire/quoted.h"

#include "wire/bytes.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"

/* Whatever the upper layer is, so much of it is quoted (RFC 792). */
#define QUOTED_UPPER_BYTES 8

/* What the first eight bytes of the upper layer say. */
static int upper_parse(struct quoted_packet *packet, const uint8_t *data, size_t length, size_t at)
{
	uint64_t word;

	if (length < at || length - at < QUOTED_UPPER_BYTES)
		return -WIRE_TRUNCATED;
	word = load_be64(data + at);
	packet->upper_offset = (uint16_t)at;
	packet->source_port = 0;
	packet->destination_port = 0;
	packet->sequence = 0;
	switch (packet->protocol) {
	case IPPROTO_TCP:
		packet->sequence = (uint32_t)word;
		/* fall through */
	case IPPROTO_UDP:
		packet->source_port = (uint16_t)(word >> 48);
		packet->destination_port = (uint16_t)(word >> 32);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		packet->source_port = (uint16_t)(word >> 16);
		packet->destination_port = packet->source_port;
		break;
	default:
		break;
	}
	return (int)at;
}

int quoted_parse_v4(struct quoted_packet *packet, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint8_t start;
	size_t header_bytes;

	if (length < IPV4_HEADER_BYTES)
		return -WIRE_TRUNCATED;
	start = bytes[0];
	header_bytes = (size_t)(start & 0xf) * 4;
	if (start >> 4 != 4)
		return -WIRE_BAD_VERSION;
	if (header_bytes < IPV4_HEADER_BYTES)
		return -WIRE_BAD_HEADER_LENGTH;
	if (load_be16(bytes + 6) & 0x1fff)
		return -WIRE_BAD_FRAGMENT;
	packet->protocol = bytes[9];
	packet->source = ip_address_v4(load_be32(bytes + 12));
	packet->destination = ip_address_v4(load_be32(bytes + 16));
	return upper_parse(packet, bytes, length, header_bytes);
}

int quoted_parse_v6(struct quoted_packet *packet, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	struct ipv6_header header = {0};
	struct ipv6_chain chain;
	size_t left;
	int at;

	if (length < IPV6_HEADER_BYTES)
		return -WIRE_TRUNCATED;
	if (bytes[0] >> 4 != 6)
		return -WIRE_BAD_VERSION;
	/* If the packet was longer, the walk ends where the quotation does, as a fragment may. */
	left = length - IPV6_HEADER_BYTES;
	header.payload_bytes = load_be16(bytes + IPV6_PAYLOAD_LENGTH_OFFSET);
	if (header.payload_bytes > left)
		header.payload_bytes = (uint16_t)(left & ~(size_t)7);
	header.next_header = bytes[IPV6_NEXT_HEADER_OFFSET];
	header.source = ip_address_v6(bytes + 8);
	header.destination = ip_address_v6(bytes + 24);
	at = ipv6_chain_parse(&chain, &header, bytes, length);
	if (at < 0)
		return at;
	if (chain.fragment_offset_bytes)
		return -WIRE_BAD_FRAGMENT;
	packet->protocol = chain.protocol;
	packet->source = header.source;
	packet->destination = header.destination;
	return upper_parse(packet, bytes, IPV6_HEADER_BYTES + (size_t)header.payload_bytes,
			   (size_t)at);
}
