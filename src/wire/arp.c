/* SPDX-License-Identifier: MIT */
#include "wire/arp.h"

#include "wire/bytes.h"
#include "wire/eth.h"

/* Hardware Ethernet (1), protocol IPv4, addresses of 6 and 4 bytes. */
#define ARP_KIND 0x0001080006040000u
#define ARP_KIND_MASK 0xffffffffffff0000u

int arp_parse(struct arp_packet *packet, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint64_t start;

	if (length < ARP_BYTES)
		return -WIRE_TRUNCATED;
	start = load_be64(bytes);
	packet->operation = (uint16_t)start;
	packet->sender = eth_address_load(bytes + 8);
	packet->sender_ip = ip_address_v4(load_be32(bytes + 14));
	packet->target = eth_address_load(bytes + 18);
	packet->target_ip = ip_address_v4(load_be32(bytes + 24));
	if ((start & ARP_KIND_MASK) != ARP_KIND ||
	    (packet->operation != ARP_REQUEST && packet->operation != ARP_REPLY))
		return -WIRE_BAD_TYPE;
	if (eth_address_is_multicast(&packet->sender) ||
	    ip_address_is_multicast(&packet->sender_ip) ||
	    ip_address_is_broadcast(&packet->sender_ip) ||
	    ip_address_is_loopback(&packet->sender_ip) ||
	    (packet->operation == ARP_REPLY && ip_address_is_unspecified(&packet->sender_ip)))
		return -WIRE_BAD_SOURCE;
	return ARP_BYTES;
}

int arp_emit(void *buffer, size_t room, const struct arp_packet *packet)
{
	uint8_t *bytes = buffer;

	if (room < ARP_BYTES)
		return -WIRE_NO_ROOM;
	store_be64(bytes, ARP_KIND | packet->operation);
	memcpy(bytes + 8, packet->sender.bytes, ETH_ADDRESS_BYTES);
	store_be32(bytes + 14, ip_address_low32(&packet->sender_ip));
	memcpy(bytes + 18, packet->target.bytes, ETH_ADDRESS_BYTES);
	store_be32(bytes + 24, ip_address_low32(&packet->target_ip));
	return ARP_BYTES;
}

struct arp_packet arp_request(struct eth_address sender, struct ip_address sender_ip,
			      struct ip_address target_ip)
{
	return (struct arp_packet){
		.operation = ARP_REQUEST,
		.sender = sender,
		.sender_ip = sender_ip,
		.target_ip = target_ip,
	};
}

struct arp_packet arp_reply(struct eth_address sender, const struct arp_packet *request)
{
	return (struct arp_packet){
		.operation = ARP_REPLY,
		.sender = sender,
		.sender_ip = request->target_ip,
		.target = request->sender,
		.target_ip = request->sender_ip,
	};
}

struct arp_packet arp_probe(struct eth_address sender, struct ip_address ip)
{
	return arp_request(sender, ip_address_v4(0), ip);
}

struct arp_packet arp_announcement(struct eth_address sender, struct ip_address ip)
{
	return arp_request(sender, ip, ip);
}
