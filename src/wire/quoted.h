/* SPDX-License-Identifier: MIT */
/*
 * The packet that an ICMP or ICMPv6 error quotes: our own one, if the error is true. It may end
 * anywhere behind the ports, and routers have changed its hop limit, perhaps more; therefore
 * lengths are not held against one another, nor checksums verified. Who believes it compares
 * addresses, ports and sequence number with a connection of his (RFC 5927).
 */
#ifndef DEMI_WIRE_QUOTED_H
#define DEMI_WIRE_QUOTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/address.h"

struct quoted_packet {
	struct ip_address source;
	struct ip_address destination;
	uint8_t protocol;
	uint16_t upper_offset; /* of the upper layer's header, from the quoted packet's start */
	/* TCP and UDP; of an echo request both are its identifier; otherwise 0. */
	uint16_t source_port;
	uint16_t destination_port;
	uint32_t sequence; /* TCP, otherwise 0 */
	/* Of the error that quotes it, which its parser sets. */
	uint8_t error_type;
	uint8_t error_code;
};

/**
 * quoted_parse_v4 - the quotation at @data, @length bytes: a header and 8 bytes at least (RFC 792)
 *
 * Return: the upper layer's offset; -WIRE_TRUNCATED, -WIRE_BAD_VERSION, -WIRE_BAD_HEADER_LENGTH,
 * -WIRE_BAD_FRAGMENT for one that is not the first, which has no ports.
 */
int quoted_parse_v4(struct quoted_packet *packet, const void *data, size_t length);

/**
 * quoted_parse_v6 - as quoted_parse_v4, with the extension headers (RFC 4443, section 3)
 *
 * Return: the upper layer's offset; the errors of quoted_parse_v4 and ipv6_chain_parse.
 */
int quoted_parse_v6(struct quoted_packet *packet, const void *data, size_t length);

#endif /* DEMI_WIRE_QUOTED_H */
