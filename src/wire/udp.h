/* SPDX-License-Identifier: MIT */
/*
 * The UDP header (RFC 768; RFC 8200, section 8.1 over IPv6). The checksum is a step of its own,
 * udp_verify, which a device may have done for us.
 */
#ifndef DEMI_WIRE_UDP_H
#define DEMI_WIRE_UDP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/error.h"

#define UDP_HEADER_BYTES 8
#define UDP_CHECKSUM_OFFSET 6

struct udp_header {
	uint16_t source_port;
	uint16_t destination_port;
	uint16_t total_bytes; /* header and payload */
	uint16_t checksum;    /* 0: none */
};

/**
 * udp_parse - the header of the datagram at @data
 * @length: bytes of the IP packet's payload; the datagram may be shorter
 * @over_v6: the version below, which does not allow a checksum of 0
 *
 * Return: 8; the payload is what remains of header->total_bytes. -WIRE_TRUNCATED,
 * -WIRE_BAD_TOTAL_LENGTH, -WIRE_BAD_PORT for a destination of 0, -WIRE_NO_CHECKSUM.
 */
static inline int udp_parse(struct udp_header *header, const void *data, size_t length,
			    bool over_v6)
{
	const uint8_t *bytes = data;
	uint64_t word;

	if (length < UDP_HEADER_BYTES)
		return -WIRE_TRUNCATED;
	word = load_be64(bytes);
	header->source_port = (uint16_t)(word >> 48);
	header->destination_port = (uint16_t)(word >> 32);
	header->total_bytes = (uint16_t)(word >> 16);
	header->checksum = (uint16_t)word;
	if (header->total_bytes < UDP_HEADER_BYTES)
		return -WIRE_BAD_TOTAL_LENGTH;
	if (header->total_bytes > length)
		return -WIRE_TRUNCATED;
	if (!header->destination_port)
		return -WIRE_BAD_PORT;
	if (over_v6 && !header->checksum)
		return -WIRE_NO_CHECKSUM;
	return UDP_HEADER_BYTES;
}

/** udp_verify - the checksum of a datagram that udp_parse has taken; 0 or -WIRE_BAD_CHECKSUM */
static inline int udp_verify(const struct udp_header *header, const struct ip_address *source,
			     const struct ip_address *destination, const void *data)
{
	uint64_t sum = checksum_pseudo(source, destination, IPPROTO_UDP, header->total_bytes);

	if (!header->checksum || checksum_is_valid(checksum_add(sum, data, header->total_bytes)))
		return 0;
	return -WIRE_BAD_CHECKSUM;
}

/** udp_emit - write the header with the checksum that it has; 8 or -WIRE_NO_ROOM */
static inline int udp_emit(void *buffer, size_t room, const struct udp_header *header)
{
	if (room < UDP_HEADER_BYTES)
		return -WIRE_NO_ROOM;
	store_be64(buffer, (uint64_t)header->source_port << 48 |
				   (uint64_t)header->destination_port << 32 |
				   (uint64_t)header->total_bytes << 16 | header->checksum);
	return UDP_HEADER_BYTES;
}

/**
 * udp_checksum - the field's value for a datagram whose bytes lie together
 * @data: header, with a checksum of 0, and payload
 */
static inline uint16_t udp_checksum(const struct ip_address *source,
				    const struct ip_address *destination, const void *data,
				    uint16_t length)
{
	uint64_t sum = checksum_pseudo(source, destination, IPPROTO_UDP, length);

	return checksum_finish_udp(checksum_add(sum, data, length));
}

#endif /* DEMI_WIRE_UDP_H */
