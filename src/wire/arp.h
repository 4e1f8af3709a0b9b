/* SPDX-License-Identifier: MIT */
/*
 * The Address Resolution Protocol between IPv4 and Ethernet (RFC 826; RFC 5227 on conflicts).
 * Whether a frame's source is the packet's sender is the caller's to compare.
 */
#ifndef DEMI_WIRE_ARP_H
#define DEMI_WIRE_ARP_H

#include <stddef.h>
#include <stdint.h>

#include "wire/address.h"
#include "wire/error.h"

#define ARP_BYTES 28

enum arp_operation {
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
};

struct arp_packet {
	uint16_t operation;
	struct eth_address sender;
	struct eth_address target;
	struct ip_address sender_ip;
	struct ip_address target_ip;
};

/**
 * arp_parse - a packet, behind which may be padding
 *
 * Return: 28; -WIRE_TRUNCATED, -WIRE_BAD_TYPE (not Ethernet and IPv4, neither request nor reply),
 * -WIRE_BAD_SOURCE (no sender can have that address; 0.0.0.0 asks in a probe only, RFC 5227, 1.1).
 */
int arp_parse(struct arp_packet *packet, const void *data, size_t length);

/** arp_emit - write the packet; 28 or -WIRE_NO_ROOM */
int arp_emit(void *buffer, size_t room, const struct arp_packet *packet);

/** arp_request - who has @target_ip? Frames go to eth_address_broadcast */
struct arp_packet arp_request(struct eth_address sender, struct ip_address sender_ip,
			      struct ip_address target_ip);

/** arp_reply - @sender has what @request asks for; the frame goes to the request's sender */
struct arp_packet arp_reply(struct eth_address sender, const struct arp_packet *request);

/** arp_probe - does anybody use @ip? It fills nobody's cache (RFC 5227, section 2.1.1) */
struct arp_packet arp_probe(struct eth_address sender, struct ip_address ip);

/** arp_announcement - @sender uses @ip from now on (RFC 5227, section 2.3) */
struct arp_packet arp_announcement(struct eth_address sender, struct ip_address ip);

#endif /* DEMI_WIRE_ARP_H */
