/* SPDX-License-Identifier: MIT */
/*
 * The IPv4 header (RFC 791, section 3.1) as a host takes it (RFC 1122, section 3.2.1). Options are
 * looked through and, but for the router alert, ignored; source routes are refused (RFC 7126).
 */
#ifndef DEMI_WIRE_IPV4_H
#define DEMI_WIRE_IPV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/address.h"
#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/error.h"

#define IPV4_HEADER_BYTES 20
#define IPV4_HEADER_BYTES_MAX 60
#define IPV4_ROUTER_ALERT 0x94040000u /* RFC 2113 */
#define IPV4_ROUTER_ALERT_BYTES 4
#define IPV4_PACKET_BYTES_MAX 65535
#define IPV4_CHECKSUM_OFFSET 10

struct ipv4_header {
	struct ip_address source;
	struct ip_address destination;
	uint16_t header_bytes; /* emitting: see ipv4_emit */
	uint16_t total_bytes;  /* header and payload; what follows it is padding */
	uint16_t identification;
	uint16_t fragment_offset_bytes; /* multiple of 8 */
	uint8_t traffic_class;          /* differentiated services and ECN (RFC 2474, RFC 3168) */
	uint8_t ttl;                    /* hops */
	uint8_t protocol;               /* IPPROTO_* */
	bool dont_fragment;
	bool more_fragments;
	bool router_alert; /* the option of RFC 2113 is there */
};

/** ipv4_is_fragment - whether the packet has to wait for others */
static inline bool ipv4_is_fragment(const struct ipv4_header *header)
{
	return header->more_fragments || header->fragment_offset_bytes;
}

/** ipv4_options_parse - @length bytes behind the fixed header; 0 or as ipv4_parse. For it only */
int ipv4_options_parse(struct ipv4_header *header, const uint8_t *options, size_t length);

/** ipv4_addresses_check - the rules that ipv4_parse names; 0 or its error. For it only */
static inline int ipv4_addresses_check(uint32_t source, uint32_t destination)
{
	/* 224.0.0.0 and above is groups, reserved and broadcast; 127.0.0.0/8 is loopback. */
	if (__builtin_expect((source >= 0xe0000000 && (source < 0xf0000000 || !~source)) ||
				     source >> 24 == 127,
			     0))
		return -WIRE_BAD_SOURCE;
	if (__builtin_expect(!destination || destination >> 24 == 127, 0))
		return -WIRE_BAD_DESTINATION;
	return 0;
}

/** ipv4_fragment_check - sizes of the one fragment; 0 or -WIRE_BAD_FRAGMENT. For ipv4_parse only */
static inline int ipv4_fragment_check(const struct ipv4_header *header)
{
	uint32_t payload_bytes = (uint32_t)header->total_bytes - header->header_bytes;

	if (header->more_fragments && (!payload_bytes || payload_bytes % 8))
		return -WIRE_BAD_FRAGMENT;
	if (header->header_bytes + header->fragment_offset_bytes + payload_bytes >
	    IPV4_PACKET_BYTES_MAX)
		return -WIRE_BAD_FRAGMENT;
	return 0;
}

/**
 * ipv4_parse - the header of the packet at @data, of which there are @length bytes
 *
 * Return: its length, 20 to 60; the payload is what remains of header->total_bytes.
 * -WIRE_TRUNCATED, -WIRE_BAD_VERSION, -WIRE_BAD_HEADER_LENGTH, -WIRE_BAD_TOTAL_LENGTH,
 * -WIRE_BAD_CHECKSUM; -WIRE_BAD_SOURCE for a group, the broadcast or a loopback address,
 * -WIRE_BAD_DESTINATION for 0.0.0.0 or a loopback address (RFC 1122, section 3.2.1.3);
 * -WIRE_BAD_FRAGMENT when it ends beyond 65,535 bytes or, not being the last, is not a multiple of
 * 8 bytes; -WIRE_BAD_OPTION, -WIRE_SOURCE_ROUTE. A source 0.0.0.0, as DHCP and IGMP use it, and
 * the broadcast addresses of subnets are the caller's.
 */
static inline int ipv4_parse(struct ipv4_header *header, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint64_t first, second, sum;
	uint32_t source, destination;
	size_t header_bytes;
	int error;

	if (length < IPV4_HEADER_BYTES)
		return -WIRE_TRUNCATED;
	/* Each byte is loaded once; whatever is done to the packet meanwhile, these stay. */
	first = load_be64(bytes);
	second = load_be64(bytes + 8);
	destination = load_be32(bytes + 16);
	source = (uint32_t)second;
	if (first >> 60 != 4)
		return -WIRE_BAD_VERSION;
	header_bytes = (first >> 56 & 0xf) * 4;
	if (header_bytes < IPV4_HEADER_BYTES)
		return -WIRE_BAD_HEADER_LENGTH;
	header->header_bytes = (uint16_t)header_bytes;
	header->total_bytes = (uint16_t)(first >> 32);
	if (header->total_bytes < header_bytes)
		return -WIRE_BAD_TOTAL_LENGTH;
	if (length < header->total_bytes)
		return -WIRE_TRUNCATED;
	sum = checksum_add_words(checksum_add_words(first, second), destination);
	if (__builtin_expect(header_bytes != IPV4_HEADER_BYTES, 0))
		sum = checksum_add_words(
			sum, checksum_partial(checksum_add(0, bytes + IPV4_HEADER_BYTES,
							   header_bytes - IPV4_HEADER_BYTES)));
	if (!checksum_is_valid(sum))
		return -WIRE_BAD_CHECKSUM;
	header->traffic_class = (uint8_t)(first >> 48);
	header->identification = (uint16_t)(first >> 16);
	header->dont_fragment = first & 0x4000;
	header->more_fragments = first & 0x2000;
	header->fragment_offset_bytes = (uint16_t)((first & 0x1fff) * 8);
	header->ttl = (uint8_t)(second >> 56);
	header->protocol = (uint8_t)(second >> 48);
	header->source = ip_address_v4(source);
	header->destination = ip_address_v4(destination);
	header->router_alert = false;
	error = ipv4_addresses_check(source, destination);
	if (!error && __builtin_expect((first & 0x3fff) != 0, 0))
		error = ipv4_fragment_check(header);
	if (!error && __builtin_expect(header_bytes != IPV4_HEADER_BYTES, 0))
		error = ipv4_options_parse(header, bytes + IPV4_HEADER_BYTES,
					   header_bytes - IPV4_HEADER_BYTES);
	return error ? error : (int)header_bytes;
}

/**
 * ipv4_emit - write a header with its checksum
 *
 * 20 bytes, or 24 with the router alert; header->header_bytes is not looked at, total_bytes counts
 * the right one of the two and the payload. Return: the header's length, -WIRE_NO_ROOM.
 */
static inline int ipv4_emit(void *buffer, size_t room, const struct ipv4_header *header)
{
	size_t header_bytes = IPV4_HEADER_BYTES;
	uint32_t destination = ip_address_low32(&header->destination);
	uint64_t first, second, sum;
	uint8_t *bytes = buffer;

	if (header->router_alert)
		header_bytes += IPV4_ROUTER_ALERT_BYTES;
	if (room < header_bytes)
		return -WIRE_NO_ROOM;
	first = (0x40ull | header_bytes / 4) << 56 | (uint64_t)header->traffic_class << 48 |
		(uint64_t)header->total_bytes << 32 | (uint64_t)header->identification << 16 |
		(header->dont_fragment ? 0x4000u : 0) | (header->more_fragments ? 0x2000u : 0) |
		header->fragment_offset_bytes / 8u;
	second = (uint64_t)header->ttl << 56 | (uint64_t)header->protocol << 48 |
		 ip_address_low32(&header->source);
	sum = checksum_add_words(checksum_add_words(first, second), destination);
	if (header->router_alert) {
		store_be32(bytes + IPV4_HEADER_BYTES, IPV4_ROUTER_ALERT);
		sum = checksum_add_words(sum, IPV4_ROUTER_ALERT);
	}
	/* These words are of network byte order as they stand, and so is their sum. */
	second |= (uint64_t)(uint16_t)~checksum_fold(sum) << 32;
	store_be64(bytes, first);
	store_be64(bytes + 8, second);
	store_be32(bytes + 16, destination);
	return (int)header_bytes;
}

#endif /* DEMI_WIRE_IPV4_H */
