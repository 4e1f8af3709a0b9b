/* SPDX-License-Identifier: MIT */
/*
 * The IPv6 header and its extension headers (RFC 8200). ipv6_parse reads the fixed header, which
 * is all that most packets have; ipv6_chain_parse walks from there to the upper layer. AH, ESP and
 * what else is not listed in RFC 8200, section 4 counts as an upper layer, which the caller does
 * not know. Jumbograms are not supported: their option is answered as an unknown one.
 */
#ifndef DEMI_WIRE_IPV6_H
#define DEMI_WIRE_IPV6_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/address.h"
#include "wire/bytes.h"
#include "wire/error.h"

#define IPV6_HEADER_BYTES 40
#define IPV6_FRAGMENT_BYTES 8
#define IPV6_NEXT_HEADER_OFFSET 6
#define IPV6_PAYLOAD_LENGTH_OFFSET 4
#define IPV6_ROUTER_ALERT_BYTES 8 /* as a hop-by-hop options header (RFC 2711) */
#define IPV6_MTU_MIN 1280         /* every link can carry that (RFC 8200, section 5) */

/* What a host may bound, so that a packet does not cost more than others: RFC 8504, section 5.3. */
#define IPV6_EXTENSIONS_MAX 8    /* headers in one packet */
#define IPV6_OPTIONS_MAX 8       /* options in one header, without padding */
#define IPV6_PADDING_BYTES_MAX 7 /* in a row: more is never needed for alignment */

struct ipv6_header {
	struct ip_address source;
	struct ip_address destination;
	uint32_t flow_label;    /* 20 bits */
	uint16_t payload_bytes; /* all that follows, extension headers included */
	uint8_t traffic_class;  /* differentiated services and ECN */
	uint8_t next_header;    /* IPPROTO_* */
	uint8_t hop_limit;
};

/** ipv6_is_extension - whether ipv6_chain_parse has something to do for this next header */
static inline bool ipv6_is_extension(uint8_t next_header)
{
	return next_header == IPPROTO_HOPOPTS || next_header == IPPROTO_ROUTING ||
	       next_header == IPPROTO_FRAGMENT || next_header == IPPROTO_DSTOPTS;
}

/** ipv6_addresses_check - the rules that ipv6_parse names; 0 or its error */
static inline int ipv6_addresses_check(const struct ip_address *source,
				       const struct ip_address *destination)
{
	uint64_t high = load_be64(source->bytes);

	if (high >> 56 == 0xff ||
	    (!high && (ip_address_is_loopback(source) || ip_address_is_v4(source))))
		return -WIRE_BAD_SOURCE;
	high = load_be64(destination->bytes);
	if (!high && (ip_address_is_loopback(destination) || ip_address_is_v4(destination) ||
		      ip_address_is_unspecified(destination)))
		return -WIRE_BAD_DESTINATION;
	/* Scopes 0, reserved, and 1, the interface's own, are of no frame: RFC 4291, 2.7. */
	if (high >> 56 == 0xff && (high >> 48 & 0xf) <= 1)
		return -WIRE_BAD_DESTINATION;
	return 0;
}

/**
 * ipv6_parse - the fixed header of the packet at @data, of which there are @length bytes
 *
 * Return: 40; what remains of header->payload_bytes is extension headers and the upper layer.
 * -WIRE_TRUNCATED, -WIRE_BAD_VERSION; -WIRE_BAD_SOURCE for a group and both for loopback and
 * IPv4-mapped addresses, -WIRE_BAD_DESTINATION for :: and a group of less than a link's scope.
 */
static inline int ipv6_parse(struct ipv6_header *header, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint64_t word;
	int error;

	if (length < IPV6_HEADER_BYTES)
		return -WIRE_TRUNCATED;
	word = load_be64(bytes);
	if (word >> 60 != 6)
		return -WIRE_BAD_VERSION;
	header->traffic_class = (uint8_t)(word >> 52);
	header->flow_label = (uint32_t)(word >> 32) & 0xfffff;
	header->payload_bytes = (uint16_t)(word >> 16);
	header->next_header = (uint8_t)(word >> 8);
	header->hop_limit = (uint8_t)word;
	header->source = ip_address_v6(bytes + 8);
	header->destination = ip_address_v6(bytes + 24);
	if (length - IPV6_HEADER_BYTES < header->payload_bytes)
		return -WIRE_TRUNCATED;
	error = ipv6_addresses_check(&header->source, &header->destination);
	return error ? error : IPV6_HEADER_BYTES;
}

/** ipv6_emit - write the fixed header; 40 or -WIRE_NO_ROOM */
static inline int ipv6_emit(void *buffer, size_t room, const struct ipv6_header *header)
{
	uint8_t *bytes = buffer;

	if (room < IPV6_HEADER_BYTES)
		return -WIRE_NO_ROOM;
	store_be64(bytes, 6ull << 60 | (uint64_t)header->traffic_class << 52 |
				  (uint64_t)(header->flow_label & 0xfffff) << 32 |
				  (uint64_t)header->payload_bytes << 16 |
				  (uint64_t)header->next_header << 8 | header->hop_limit);
	memcpy(bytes + 8, header->source.bytes, IP_ADDRESS_BYTES);
	memcpy(bytes + 24, header->destination.bytes, IP_ADDRESS_BYTES);
	return IPV6_HEADER_BYTES;
}

/*
 * What stands between the fixed header and the upper layer. All offsets count from the first byte
 * of the fixed header.
 */
struct ipv6_chain {
	/*
	 * The upper layer, its place, and the place of the byte that names it: what the pointer of
	 * "unrecognized next header" says (RFC 4443, section 3.4). Of a fragment that is not the
	 * first, what the fragment header names, which means nothing, and the fragment's data.
	 */
	uint8_t protocol;
	uint16_t upper_offset;
	uint16_t protocol_offset;
	/*
	 * With a fragment header. What has neither offset nor more is whole and is taken as it is,
	 * never put together with others (RFC 6946); only is_fragment asks for that. The rest is for
	 * who puts the parts together: what stands before the fragment header is kept, the byte at
	 * fragment_next_offset becomes that of the fragment header, the payload length is mended.
	 */
	bool has_fragment_header;
	bool is_fragment;
	bool more_fragments;
	uint8_t fragment_next_header;
	uint16_t fragment_next_offset;   /* of the byte that says "fragment header" */
	uint16_t fragment_header_offset; /* data: IPV6_FRAGMENT_BYTES further */
	uint16_t fragment_offset_bytes;  /* of the data in the whole; multiple of 8 */
	uint32_t fragment_identification;
	bool router_alert; /* RFC 2711 */
	/*
	 * After an error: whether to send the parameter problem that RFC 8200 asks for, with which
	 * code (RFC 4443, section 3.4; RFC 7112, section 5) and pointer. Whether the source may be
	 * answered at all is the caller's (RFC 4443, section 2.4).
	 */
	bool answer;
	bool answer_group; /* even if the packet went to a group (RFC 8200, section 4.2) */
	uint8_t problem_code;
	uint16_t problem_pointer;
};

/**
 * ipv6_chain_parse - walk the extension headers
 * @header: as ipv6_parse has filled it from the same bytes
 * @data: the packet, from its fixed header on; @length bytes
 *
 * In a first fragment the walk goes on behind the fragment header, so that one which does not hold
 * the whole chain is found (-WIRE_INCOMPLETE_CHAIN, RFC 7112); the caller adds: and whose upper
 * layer's header is not whole.
 *
 * Return: the upper layer's offset, 40 or more; -WIRE_TRUNCATED; with an answer perhaps:
 * -WIRE_BAD_EXTENSION (hop-by-hop options that are not first, a second fragment header),
 * -WIRE_SOURCE_ROUTE (a routing header with segments left, type 0 too: RFC 5095),
 * -WIRE_BAD_FRAGMENT, -WIRE_BAD_OPTION, -WIRE_INCOMPLETE_CHAIN; without: -WIRE_TOO_MANY_HEADERS,
 * -WIRE_TOO_MANY_OPTIONS.
 */
int ipv6_chain_parse(struct ipv6_chain *chain, const struct ipv6_header *header, const void *data,
		     size_t length);

/**
 * ipv6_fragment_emit - write a fragment header from the chain's fragment_* fields and
 * more_fragments; 8 or -WIRE_NO_ROOM
 */
int ipv6_fragment_emit(void *buffer, size_t room, const struct ipv6_chain *chain);

/**
 * ipv6_router_alert_emit - write hop-by-hop options that say "multicast listener discovery"
 * (RFC 2711, section 2.1); 8 or -WIRE_NO_ROOM
 */
int ipv6_router_alert_emit(void *buffer, size_t room, uint8_t next_header);

#endif /* DEMI_WIRE_IPV6_H */
