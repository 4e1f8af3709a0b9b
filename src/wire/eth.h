/* SPDX-License-Identifier: MIT */
/*
 * Ethernet II frames (RFC 894; IEEE 802.3, clause 3) with at most one tag (IEEE 802.1Q, clause 9).
 * What follows the header may be longer than the packet in it: short frames are padded.
 */
#ifndef DEMI_WIRE_ETH_H
#define DEMI_WIRE_ETH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/address.h"
#include "wire/bytes.h"
#include "wire/error.h"

#define ETH_HEADER_BYTES 14
#define ETH_TAG_BYTES 4
#define ETH_HEADER_BYTES_MAX (ETH_HEADER_BYTES + ETH_TAG_BYTES)
#define ETH_FRAME_BYTES_MIN 60 /* shorter ones are padded; without the frame check sequence */
#define ETH_TYPE_MIN 0x0600    /* below it is a length: IEEE 802.3 with LLC, not for us */

enum eth_type {
	ETH_TYPE_IPV4 = 0x0800,
	ETH_TYPE_ARP = 0x0806,
	ETH_TYPE_TAG = 0x8100, /* 802.1Q */
	ETH_TYPE_IPV6 = 0x86dd,
	ETH_TYPE_SERVICE_TAG = 0x88a8, /* 802.1ad */
};

struct eth_header {
	struct eth_address destination;
	struct eth_address source;
	uint16_t type; /* of what follows the tag, if there is one */
	uint16_t tag;  /* priority, drop eligible indicator, VLAN: 3, 1 and 12 bits; if tagged */
	bool tagged;
};

/** eth_vlan - the number of the frame's VLAN; 0: none, a tag may be there for its priority only */
static inline uint16_t eth_vlan(const struct eth_header *header)
{
	return header->tagged ? header->tag & 0xfff : 0;
}

/**
 * eth_parse - the header of the frame at @data, @length bytes long
 *
 * Return: its length, 14 or 18; -WIRE_TRUNCATED, -WIRE_BAD_TYPE for 802.3 lengths and a second or
 * a provider's tag, -WIRE_BAD_SOURCE for a group's address.
 */
static inline int eth_parse(struct eth_header *header, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	int header_bytes = ETH_HEADER_BYTES;

	if (length < ETH_HEADER_BYTES)
		return -WIRE_TRUNCATED;
	header->destination = eth_address_load(bytes);
	header->source = eth_address_load(bytes + 6);
	header->type = load_be16(bytes + 12);
	header->tag = 0;
	header->tagged = header->type == ETH_TYPE_TAG;
	if (header->tagged) {
		if (length < ETH_HEADER_BYTES_MAX)
			return -WIRE_TRUNCATED;
		header->tag = load_be16(bytes + 14);
		header->type = load_be16(bytes + 16);
		header_bytes = ETH_HEADER_BYTES_MAX;
	}
	if (header->type < ETH_TYPE_MIN || header->type == ETH_TYPE_TAG ||
	    header->type == ETH_TYPE_SERVICE_TAG)
		return -WIRE_BAD_TYPE;
	if (eth_address_is_multicast(&header->source))
		return -WIRE_BAD_SOURCE;
	return header_bytes;
}

/** eth_emit - write the header; its length, 14 or 18, or -WIRE_NO_ROOM */
static inline int eth_emit(void *buffer, size_t room, const struct eth_header *header)
{
	size_t header_bytes = header->tagged ? ETH_HEADER_BYTES_MAX : ETH_HEADER_BYTES;
	uint8_t *bytes = buffer;

	if (room < header_bytes)
		return -WIRE_NO_ROOM;
	memcpy(bytes, header->destination.bytes, ETH_ADDRESS_BYTES);
	memcpy(bytes + 6, header->source.bytes, ETH_ADDRESS_BYTES);
	if (header->tagged) {
		store_be16(bytes + 12, ETH_TYPE_TAG);
		store_be16(bytes + 14, header->tag);
	}
	store_be16(bytes + header_bytes - 2, header->type);
	return (int)header_bytes;
}

#endif /* DEMI_WIRE_ETH_H */
