/* SPDX-License-Identifier: MIT */
/*
 * Neighbor discovery for IPv6 (RFC 4861) over Ethernet (RFC 2464, section 6). A message that does
 * not pass all checks of sections 6.1, 7.1 and 8.1 is refused, as is one of whose options any is
 * malformed. Unknown options are skipped, those of DNS servers (RFC 8106) too.
 */
#ifndef DEMI_WIRE_NDP_H
#define DEMI_WIRE_NDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/address.h"
#include "wire/error.h"

#define NDP_HOP_LIMIT 255  /* of every message: it was not forwarded */
#define NDP_PREFIXES_MAX 8 /* further ones of an advertisement are skipped */
#define NDP_OPTIONS_MAX 32 /* more than that is refused */

struct ndp_prefix {
	struct ip_address prefix; /* bits beyond the length may be set: ignore them */
	uint32_t valid_s;         /* UINT32_MAX: for ever */
	uint32_t preferred_s;
	uint8_t length_bits; /* 0 to 128 */
	bool on_link;
	bool autonomous; /* addresses may be made from it (RFC 4862) */
};

struct ndp_message {
	uint8_t type; /* enum icmp6_type, ROUTER_SOLICITATION to REDIRECT; the rest depends on it */
	/* neighbor solicitation and advertisement, redirect */
	struct ip_address target;
	/* neighbor advertisement */
	bool router;
	bool solicited;
	bool overrides;
	/* redirect: where the better hop, target, is for */
	struct ip_address destination;
	/* router advertisement; 0 in a time or limit says nothing */
	bool managed; /* DHCPv6 gives addresses */
	bool other;   /* DHCPv6 tells the rest */
	uint8_t hop_limit;
	uint16_t lifetime_s; /* as a default router: 0, it is none */
	uint32_t reachable_ms;
	uint32_t retransmit_ms;
	/* options */
	bool has_source_link;
	bool has_target_link;
	bool has_mtu;
	uint8_t prefix_count;
	struct eth_address source_link;
	struct eth_address target_link;
	uint32_t mtu; /* bytes; whether it is sensible is the caller's */
	struct ndp_prefix prefixes[NDP_PREFIXES_MAX];
};

/**
 * ndp_parse - a message whose checksum icmp6_parse has verified
 * @source, @destination, @hop_limit: of the IPv6 header
 * @data: the message, from its type on; @length: to the packet's end
 *
 * Return: @length, all of which is read; -WIRE_BAD_HOP_LIMIT, -WIRE_BAD_TYPE, -WIRE_BAD_CODE,
 * -WIRE_TRUNCATED, -WIRE_BAD_OPTION, -WIRE_TOO_MANY_OPTIONS, -WIRE_BAD_SOURCE,
 * -WIRE_BAD_DESTINATION, -WIRE_BAD_TARGET.
 */
int ndp_parse(struct ndp_message *message, const struct ip_address *source,
	      const struct ip_address *destination, uint8_t hop_limit, const void *data,
	      size_t length);

/**
 * ndp_emit - write a message with its checksum, which goes out with NDP_HOP_LIMIT
 *
 * Every type, with the options that are set and belong to it. Return: its length, -WIRE_NO_ROOM,
 * -WIRE_BAD_TYPE.
 */
int ndp_emit(void *buffer, size_t room, const struct ip_address *source,
	     const struct ip_address *destination, const struct ndp_message *message);

#endif /* DEMI_WIRE_NDP_H */
